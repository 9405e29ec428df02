"""The newest file of a pattern, backups first: is it there, in time, as big as ever, whole, and restorable text?"""

import os
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from collectors import files_dates, files_list, files_verdict, files_verify
from collectors.base import Labels, Metric, Reading, Run
from collectors.deadline import Question, ask
from collectors.files_list import File, Listing
from collectors.files_sets import FileSet
from collectors.files_verdict import Verdict
from collectors.quantities import Seconds
from collectors.storable import storable

EVERY = 60.0
TIMEOUT = 30.0

FOUND = Metric("jaga_file_found", "Whether any file fits the pattern.", ("set",))
COUNT = Metric("jaga_file_count", "How many files fit the pattern.", ("set",))
KEPT = Metric("jaga_file_kept_ratio", "How many files there are, of the most within two days.", ("set",))
OUTSIDE = Metric("jaga_file_outside", "Links that fit the pattern but lead out of their folder; not followed.",
                 ("set",))
AHEAD = Metric("jaga_file_ahead_seconds", "How far a file's date lies in the future.", ("set",))
AGE = Metric("jaga_file_age_seconds", "Since the newest file was begun.", ("set",))
OVERDUE = Metric("jaga_file_overdue_seconds", "Since a newer file should have been there; 0 while none is due.",
                 ("set",))
GOOD_OVERDUE = Metric("jaga_file_good_overdue_seconds", "The same for a file without any fault that was found.",
                      ("set",))
SIZE = Metric("jaga_file_size_bytes", "Size of the newest file.", ("set",))
SIZE_RATIO = Metric("jaga_file_size_ratio", "Size of the newest file, of the median of those before it.", ("set",))
ROOM = Metric("jaga_file_room_ratio", "Free space where the next file goes, of the newest file's size.", ("set",))
LEFTOVER = Metric("jaga_file_leftover_age_seconds", "Age of the oldest file in the temporary folder; 0: none.",
                  ("set",))
READ = Metric("jaga_file_read_ratio", "How much of the newest file was read and verified.", ("set",))
INTACT = Metric("jaga_file_intact", "Whether it opens and every checksum in it holds.", ("set",))
READABLE = Metric("jaga_file_dump_readable", "Whether its dump is text that a database can read.", ("set",))
COMPLETE = Metric("jaga_file_dump_complete", "Whether its dump is there and ends as a whole one does.", ("set",))
TABLES = Metric("jaga_file_dump_tables", "How many tables its dump creates.", ("set",))
MISSING = Metric("jaga_file_dump_tables_missing", "Expected tables that its dump lacks.", ("set",))
ENCRYPTED = Metric("jaga_file_encrypted", "Whether its dump is encrypted.", ("set",))
OPEN = Metric("jaga_file_encryption_missing", "1 when it should be encrypted and is not.", ("set",))
HIDDEN = Metric("jaga_file_content_hidden", "1 when a part of it could not be looked at; the note says why.", ("set",))

_BEFORE = 7  # files that the size is compared with
_ENOUGH = 2  # of them, or there is nothing to compare with
_REMEMBERED = 2 * 86400.0  # seconds: for so long fewer files than before are a surprise
_ANSWER = 5.0  # seconds in which a folder must answer; a dead network mount does not
_LONGEST = 5.0  # seconds of reading in one run, which take four times as long with their pauses: see TIMEOUT
_LEAST = 0.2  # seconds that each set has in any case: small files need not wait until a big one was read
_NAME = re.compile(r"[\w.-]{1,60}")


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Watches the newest file of each set; every byte of it is read once, a little in each run.

    sets: see FileSet. A file that somebody still writes is not judged yet.
    read_seconds: how long one run may read, with pauses of three times as long between; what needs longer is read on in
    the next ones.

    Nothing is unpacked to the disk or written. The agent needs the right to read the folder and its files (for
    Laravel: group www-data by a drop-in with SupplementaryGroups=www-data).
    """

    sets: dict[str, FileSet] = {}
    read_seconds: Seconds = 2.0

    def __post_init__(self) -> None:
        if not self.sets:
            raise ValueError("sets names nothing to watch: "
                             'add [collectors.files.sets.backup] with pattern = "/…/*.zip"')
        for name in self.sets:
            if not _NAME.fullmatch(name):
                raise ValueError(f'sets has "{name}", which is no name: use only letters, digits, _, - and .')
        if not 0 < self.read_seconds <= _LONGEST:
            raise ValueError(f'read_seconds must be more than nothing and at most "{_LONGEST:g}s"')

    def collect(self, run: Run) -> Iterator[Reading]:
        memory: dict[str, Any] = run.memory.setdefault("sets", {})
        # shared by the sets: what finds no time in this run is read in the next one
        until = time.monotonic() + self.read_seconds / files_verify.SHARE
        looks = {name: _look(name, each) for name, each in self.sets.items()}
        for name, each in self.sets.items():
            if memory.get(name, {}).get("pattern") != each.pattern:
                memory[name] = {"pattern": each.pattern}
            with run.target(name):
                listing, free = looks[name].answer(_ANSWER)
                for folder, why in listing.locked.items():
                    with run.target(f"{name}: {folder}"):
                        raise PermissionError(why)
                if listing.files or not listing.locked:  # what may not be looked at is not missing
                    yield from _Set(name, each, memory[name], run, until).readings(listing, free)
            if each.temp:
                with run.target(f"{name}: {each.temp}"):
                    left = ask("walk", each.temp, partial(files_list.left, each.temp)).answer(_ANSWER)
                    yield LEFTOVER(max(0.0, run.now - left.oldest) if left.oldest else 0.0, set=name,
                                   note=f"{each.temp}: {left.count} files, {_size(left.bytes)}" if left.count else "")
        for gone in memory.keys() - self.sets.keys():
            del memory[gone]

    def explain(self, metric: str, labels: Labels) -> str:
        """The newest three files: names and sizes."""
        name = dict(labels)["set"]
        if metric not in (FOUND.name, OVERDUE.name, GOOD_OVERDUE.name, KEPT.name, SIZE_RATIO.name):
            return ""
        files = _look(name, self.sets[name]).answer(_ANSWER)[0].files[-3:]
        return "; ".join(f"{file.name} {_size(file.size)}" for file in reversed(files))

    @staticmethod
    def discover() -> str | None:
        from collectors import files_find  # only a person who sets Jaga up needs it

        return files_find.discovered()


def _look(name: str, each: FileSet) -> Question[tuple[Listing, float | None]]:
    return ask(f"list {name}", each.pattern, partial(_seen, each))


def _seen(each: FileSet) -> tuple[Listing, float | None]:
    """The files, and the bytes that are free for the next one where there is least: beside the newest, or in `temp`."""
    listing = files_list.listed(each.pattern, each.zone)
    if not listing.files:
        return listing, None
    folders = [os.path.dirname(listing.files[-1].path), *([each.temp] if os.path.isdir(each.temp) else [])]
    return listing, min(status.f_bavail * status.f_frsize for status in map(os.statvfs, folders))


@dataclass(slots=True)
class _Set:
    """One set in one run: `memory` is its own, `until` (monotonic) ends the reading of files."""

    name: str
    options: FileSet
    memory: dict[str, Any]
    run: Run
    until: float

    def readings(self, listing: Listing, free: float | None) -> Iterator[Reading]:
        files = listing.files
        yield FOUND(bool(files), set=self.name, note="" if files else f"nothing fits {self.options.pattern}")
        yield OUTSIDE(len(listing.outside), set=self.name, note=", ".join(listing.outside[:3]))
        yield self._kept(len(files))
        done = files_list.settled(files, self.memory.setdefault("moving", {}), self.run.now)
        moving = ", ".join(file.name for file in files if storable(file.path) in self.memory["moving"])[:100]
        yield COUNT(len(files), set=self.name, note=f"{moving}: being written" if moving else "")
        if not done:
            return
        yield self._ahead(max(files, key=lambda file: file.claimed))
        past = [file for file in done if not self._to_come(file.began)]
        newest = (past or done)[-1]
        yield SIZE(newest.size, set=self.name, note=newest.name)
        if free is not None and newest.size:
            note = f"{_size(free)} free, {newest.name} has {_size(newest.size)}"
            yield ROOM(free / newest.size, set=self.name, note=note)
        verdict: Verdict | None = Verdict()  # of a file whose content nobody can judge, nothing bad is known
        content = f"{self.name}: content"
        if files_verdict.can_judge(newest.name):
            with self.run.target(content):
                verdict = yield from self._content(newest)
        if past:
            yield from self._compared(past)  # behind the content, which may explain it
            yield from self._in_time(newest, moving)
            if not self.run.targets.get(content):
                yield from self._good(newest, verdict)

    def _kept(self, count: int) -> Reading:
        most, at = self.memory.get("most", [0, 0.0])
        age = self.run.now - at
        if count > most or not 0 <= age < _REMEMBERED or (count == most and age > _REMEMBERED / 24):
            self.memory["most"] = [count, self.run.now]  # no oftener, for each change of the memory is a write
            most = count
        return KEPT(count / most if most else 1.0, set=self.name, note=f"{count} of {most} files")

    def _ahead(self, last: File) -> Reading:
        ahead = last.claimed - self.run.now
        if ahead <= files_dates.EARLY:
            return AHEAD(0, set=self.name)
        return AHEAD(ahead, set=self.name, note=f"{last.name}: {self._shown(last.claimed)}")

    def _content(self, newest: File) -> Generator[Reading, None, Verdict | None]:
        """Read on, and tell the verdict where there is one. Raises what cannot be known."""
        verdict, ratio = self._verified(newest)
        yield READ(ratio, set=self.name, note=newest.name)
        if verdict is None:
            return None
        for metric, fault in ((INTACT, verdict.broken), (READABLE, verdict.unreadable), (COMPLETE, verdict.incomplete)):
            if fault is not None:
                yield metric(not fault, set=self.name, note=f"{newest.name}: {fault}" if fault else "")
        if verdict.tables is not None:
            yield TABLES(verdict.tables, set=self.name, note=newest.name)
            if self.options.tables:
                missing = ", ".join(verdict.missing[:5])
                yield MISSING(len(verdict.missing), set=self.name, note=f"{newest.name}: {missing}")
        if verdict.encrypted is not None:
            yield ENCRYPTED(verdict.encrypted, set=self.name)
            if self.options.encrypted:
                yield OPEN(not verdict.encrypted, set=self.name, note=newest.name)
        yield HIDDEN(bool(verdict.hidden), set=self.name, note=verdict.hidden)
        if verdict.unknown:
            raise ValueError(f"{newest.name}: {verdict.unknown}")
        if verdict.hidden and not self.options.encrypted:
            raise ValueError(f"{newest.name}: {verdict.hidden}; write encrypted = true, and give its password")
        return verdict

    def _verified(self, newest: File) -> tuple[Verdict | None, float]:
        """The verdict, and how much was read. It is kept, so that each file is read once."""
        wanted = self.options.wanted()
        key = [*newest.key, wanted.mark]
        kept = self.memory.get("verdict", {})
        if kept.get("key") == key and not wanted.password:  # a password may be another one after a restart
            return msgspec.convert(kept["says"], Verdict), 1.0
        seconds = max(_LEAST, self.until - time.monotonic())
        place = f"{self.name} {self.options.pattern}"
        work = ask(f"read {self.name}", newest.path, partial(files_verify.verify, place, newest, wanted, seconds))
        verdict, ratio = work.answer(seconds + _ANSWER)
        if verdict is not None:
            self.memory["verdict"] = {"key": key, "says": msgspec.to_builtins(verdict)}
        return verdict, ratio

    def _compared(self, past: list[File]) -> Iterator[Reading]:
        """The newest size beside those before it, which are remembered where each file replaces the last one."""
        newest = past[-1]
        known = {**dict(self.memory.get("sizes", [])), **{file.began: file.size for file in past}}
        known = {began: size for began, size in known.items() if not self._to_come(began)}
        before = [known[began] for began in sorted(known) if began < newest.began][-_BEFORE:]
        self.memory["sizes"] = [[began, known[began]] for began in sorted(known)][-_BEFORE - 1:]
        if len(before) >= _ENOUGH and (usual := _median(before)):
            note = f"{newest.name}: {_size(newest.size)}; the {len(before)} before: about {_size(usual)}"
            yield SIZE_RATIO(newest.size / usual, set=self.name, note=note)

    def _in_time(self, newest: File, moving: str) -> Iterator[Reading]:
        yield AGE(self.run.now - newest.began, set=self.name, note=newest.name)
        if self.options.scheduled:
            note = f"newest: {newest.name}, {self._shown(newest.began)}"
            yield OVERDUE(self.options.overdue(newest.began, self.run.now), set=self.name,
                          note=f"{note}; {moving} is being written" if moving else note)

    def _good(self, newest: File, verdict: Verdict | None) -> Iterator[Reading]:
        if verdict is not None and not verdict.faulty:
            before = self.memory.get("good", 0.0)
            self.memory["good"] = newest.began if self._to_come(before) else max(newest.began, before)
        good = self.memory.get("good")
        if good is not None and not self._to_come(good) and self.options.scheduled:
            yield GOOD_OVERDUE(self.options.overdue(good, self.run.now), set=self.name,
                               note=f"last good one: {self._shown(good)}")

    def _to_come(self, began: float) -> bool:
        """Whether a clock that was set right since had made it so late."""
        return began > self.run.now + files_dates.EARLY

    def _shown(self, at: float) -> str:
        return files_dates.shown(at, self.options.zone)


def _median(numbers: list[int]) -> float:
    """As statistics.median, whose module brings decimals and fractions along."""
    ordered, half = sorted(numbers), len(numbers) // 2
    return (ordered[half] + ordered[-half - 1]) / 2


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"
