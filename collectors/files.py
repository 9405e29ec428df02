"""The newest file of a pattern, backups first: is it there, in time, as big as ever, whole, and restorable text?"""

import os
import re
import time
from collections.abc import Generator, Iterator
from functools import partial
from statistics import median
from typing import Any

import msgspec

from collectors import files_dates, files_find, files_list, files_verdict, files_verify
from collectors.base import Labels, Metric, Reading, Run
from collectors.deadline import Question, ask
from collectors.files_list import File, Listing
from collectors.files_sets import FileSet
from collectors.files_verdict import Verdict
from collectors.quantities import Seconds

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
                    yield from _set(name, each, listing, free, memory[name], run, until)
            if each.temp:
                with run.target(f"{name}: {each.temp}"):
                    left = ask("walk", each.temp, partial(files_list.left, each.temp)).answer(_ANSWER)
                    yield LEFTOVER(max(0.0, run.now - left.oldest) if left.oldest else 0.0, set=name,
                                   note=f"{each.temp}: {left.count} files, {_size(left.bytes)}" if left.count else "")
        for gone in memory.keys() - self.sets.keys():
            del memory[gone]

    def explain(self, metric: str, labels: Labels) -> str:
        """The newest three files: names, times and sizes."""
        name = dict(labels)["set"]
        if metric not in (FOUND.name, OVERDUE.name, GOOD_OVERDUE.name, KEPT.name, SIZE_RATIO.name):
            return ""
        files = _look(name, self.sets[name]).answer(_ANSWER)[0].files[-3:]
        return "; ".join(f"{file.name} {_size(file.size)}" for file in reversed(files)) or self.sets[name].pattern

    @staticmethod
    def discover() -> str | None:
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


def _set(name: str, each: FileSet, listing: Listing, free: float | None, memory: dict[str, Any], run: Run,
         until: float) -> Iterator[Reading]:
    files, now = listing.files, run.now
    yield FOUND(bool(files), set=name, note="" if files else f"nothing fits {each.pattern}")
    yield OUTSIDE(len(listing.outside), set=name, note=", ".join(listing.outside[:3]))
    yield _kept(name, len(files), memory, now)
    done = files_list.settled(files, memory.setdefault("moving", {}), now)
    writing = [file.name for file in files if files_list.plain(file.path) in memory["moving"]]
    yield COUNT(len(files), set=name, note=f"{', '.join(writing[:3])}: being written" if writing else "")
    if not files or not done:
        return
    last = max(files, key=lambda file: file.claimed)
    ahead = last.claimed - now if last.claimed > now + files_dates.EARLY else 0.0
    yield AHEAD(ahead, set=name, note=f"{last.name}: {files_dates.shown(last.claimed, each.zone)}" if ahead else "")
    past = [file for file in done if file.began <= now + files_dates.EARLY]
    newest = (past or done)[-1]
    yield SIZE(newest.size, set=name, note=newest.name)
    if free is not None and newest.size:
        yield ROOM(free / newest.size, set=name, note=f"{_size(free)} free, {newest.name} has {_size(newest.size)}")
    verdict: Verdict | None = Verdict()  # of a file whose content nobody can judge, nothing bad is known
    if files_verdict.can_judge(newest.name):
        verdict = yield from _verified(name, each, newest, memory, until)
    yield from _compared(name, past, memory)  # behind the content, which may explain it
    if past:
        yield from _in_time(name, each, files, newest, verdict is not None and not verdict.faulty, memory, now)
    if verdict is not None:
        with run.target(f"{name}: content"):
            if verdict.unknown:
                raise ValueError(f"{files_list.plain(newest.path)}: {verdict.unknown}")
            if verdict.hidden and not each.encrypted:
                raise ValueError(f"{files_list.plain(newest.path)}: {verdict.hidden}; "
                                 "write encrypted = true, and give its password")


def _kept(name: str, count: int, memory: dict[str, Any], now: float) -> Reading:
    most, at = memory.get("most", [0, 0.0])
    if count > most or not 0 <= now - at < _REMEMBERED or (count == most and now - at > _REMEMBERED / 24):
        memory["most"] = [count, now]  # no oftener, for each change of the memory is a write
        most = count
    return KEPT(count / most if most else 1.0, set=name, note=f"{count} of {most} files")


def _compared(name: str, past: list[File], memory: dict[str, Any]) -> Iterator[Reading]:
    """The newest size beside those before it, which are remembered where each file replaces the last one."""
    if not past:
        return
    newest = past[-1]
    known = {**dict(memory.get("sizes", [])), **{file.began: file.size for file in past}}
    before = [known[began] for began in sorted(known) if began < newest.began][-_BEFORE:]
    memory["sizes"] = [[began, known[began]] for began in sorted(known)][-_BEFORE - 1:]
    if len(before) >= _ENOUGH and (usual := median(before)):
        yield SIZE_RATIO(newest.size / usual, set=name,
                         note=f"{newest.name}: {_size(newest.size)}; the {len(before)} before: about {_size(usual)}")


def _verified(name: str, each: FileSet, newest: File, memory: dict[str, Any],
              until: float) -> Generator[Reading, None, Verdict | None]:
    """Read on, and tell the verdict where there is one. It is kept, so that each file is read once."""
    wanted = each.wanted()
    key = [*newest.key, wanted.mark]
    kept = memory.get("verdict", {})
    verdict: Verdict | None
    if kept.get("key") == key and not wanted.password:  # a password may be another one after a restart
        verdict, ratio = msgspec.convert(kept["says"], Verdict), 1.0
    else:
        seconds = max(_LEAST, until - time.monotonic())
        place = f"{name} {each.pattern}"
        work = ask(f"read {name}", newest.path, partial(files_verify.verify, place, newest, wanted, seconds))
        verdict, ratio = work.answer(seconds + _ANSWER)
        if verdict is not None:
            memory["verdict"] = {"key": key, "says": msgspec.to_builtins(verdict)}
    yield READ(ratio, set=name, note=newest.name)
    if verdict is not None:
        yield from _content(name, each, newest, verdict)
    return verdict


def _content(name: str, each: FileSet, newest: File, said: Verdict) -> Iterator[Reading]:
    for metric, fault in ((INTACT, said.broken), (READABLE, said.unreadable), (COMPLETE, said.incomplete)):
        if fault is not None:
            yield metric(not fault, set=name, note=f"{newest.name}: {fault}" if fault else "")
    if said.tables is not None:
        yield TABLES(said.tables, set=name, note=newest.name)
        if each.tables:
            yield MISSING(len(said.missing), set=name, note=f"{newest.name}: {', '.join(said.missing[:5])}")
    if said.encrypted is not None:
        yield ENCRYPTED(said.encrypted, set=name)
        if each.encrypted:
            yield OPEN(not said.encrypted, set=name, note="" if said.encrypted else f"{newest.name} is not encrypted")
    yield HIDDEN(bool(said.hidden), set=name, note=said.hidden)


def _in_time(name: str, each: FileSet, files: list[File], newest: File, faultless: bool, memory: dict[str, Any],
             now: float) -> Iterator[Reading]:
    yield AGE(now - newest.began, set=name, note=newest.name)
    if faultless:
        memory["good"] = max(newest.began, memory.get("good", 0.0))
    if not each.scheduled:
        return
    note = f"newest: {newest.name}, {files_dates.shown(newest.began, each.zone)}"
    if files_list.plain(files[-1].path) in memory["moving"]:
        note += f"; {files[-1].name} is being written"
    yield OVERDUE(each.overdue(newest.began, now), set=name, note=note)
    if "good" in memory:
        good = f"last good one: {files_dates.shown(memory['good'], each.zone)}"
        yield GOOD_OVERDUE(each.overdue(memory["good"], now), set=name, note=good)


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.3g} {unit}" if unit != "B" else f"{count:.0f} B"
        count /= 1024
    return f"{count:.1f} GiB"
