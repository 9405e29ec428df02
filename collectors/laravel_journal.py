"""What an application's log says: follows its files, counts, tells what is new, and notices where it is blind."""

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from collectors.base import Metric, Reading, Run
from collectors.following import PART_QUIET, Take, follow
from collectors.laravel_kinds import DAY, Kinds, Look, label, recall, tally
from collectors.laravel_log import LEVELS, Problem, Scan, Seen, skew

ENTRIES = Metric("jaga_app_log_entries_total", "Log entries by level, those that are ignored as well.", ("level",),
                 "counter")
RECENT = Metric("jaga_app_errors_recent", "Entries from ERROR on within `window`; its note names the most frequent.")
SEVERE = Metric("jaga_app_errors_severe", "Entries above ERROR (CRITICAL, ALERT, EMERGENCY) within `quiet`.")
TODAY = Metric("jaga_app_errors_day", "Entries from ERROR on in the last 24 hours.")
NEW = Metric("jaga_app_error_new", "1 while a kind of error is new, 0 once it was quiet.", ("error",))
NEW_KINDS = Metric("jaga_app_error_kinds_new", "New kinds of errors beside those that are named one by one.")
KIND = Metric("jaga_app_error_entries_total", "Entries of this kind, for the most frequent of the last 24 hours.",
              ("error",), "counter")
FIRST = Metric("jaga_app_error_first_timestamp_seconds", "When this kind was first seen.", ("error",))
LAST = Metric("jaga_app_error_last_timestamp_seconds", "When this kind was last seen.", ("error",))
READABLE = Metric("jaga_app_log_readable", "0 where the log is missing, may not be read, or is in no known format.")
LOST = Metric("jaga_app_log_lost_total", "Rotated log files that vanished before they were read to the end.", (),
              "counter")
BEHIND = Metric("jaga_app_log_behind_bytes", "Of the log, what one look could not take and left for the next one.")
SKEW = Metric("jaga_app_log_skew_seconds", "By how much the log's times are off: app_timezone is not its zone.")

_AT_ONCE = 2 * PART_QUIET  # seconds
_FARTHEST = 26 * 3600.0  # seconds between the two farthest zones; a stamp that is off by more is made up
_ZONES = ("UTC", "Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura")


@dataclass(frozen=True, slots=True)
class _Taken:
    """What one look brought of one log: `seen` by how far back it goes; `written`: when, if anything was."""

    seen: list[Seen]
    written: float | None
    lost: list[str]
    there: bool
    behind: int


@dataclass(frozen=True, slots=True)
class Journal:
    """One application's log and how to look at it; the fields are the collector's options."""

    root: str
    patterns: tuple[str, ...]
    zone: ZoneInfo
    ignore: tuple[str, ...]
    window: float
    quiet: float
    forget: float

    def look(self, run: Run) -> Iterator[Reading]:
        memory = run.memory.get("log", {})
        kinds, places = recall(memory.get("kinds", {})), dict(memory.get("places", {}))
        if set(self.patterns) - places.keys():  # never looked at before: what stands there is known, and no news
            kinds.at = None
        spans = self._spans(kinds, places, run.now, memory.get("behind", 0))
        # at first, the last entry is not waited for: it was there before us
        taken, troubles = self._take(places, spans, run.now, run.now + (_AT_ONCE if kinds.at is None else 0.0))
        problems = [self._meant(each.seen[-1]) for each in taken]
        kinds.learn([problem for some in problems for problem in some], run.now, self.forget)
        self._count(kinds, taken, spans, run.now)
        behind = sum(each.behind for each in taken)
        # until the log could be read to its end, nothing is known, so nothing is new
        if kinds.at is not None or not (troubles or behind):
            kinds.at = run.now
        if not troubles and not any(each.there for each in taken) and not self._rotated():
            troubles.append(f"{self.root}: tidak ada / there is no {', '.join(self.patterns)}")
        # while a log cannot be read, nobody knows what is quiet
        ended = [] if troubles else kinds.settle(run.now, self.quiet)
        kinds.prune(run.now, self.quiet)
        totals = memory.get("totals", {})
        of_the_day = [each.seen[2 if len(spans) > 2 else 0] for each in taken]
        lost = [name for each in taken for name in each.lost]
        off = _skewed(taken, run.now)
        run.memory["log"] = memory = {
            "kinds": kinds.plain(),
            "places": {pattern: places[pattern] for pattern in self.patterns if pattern in places},
            "totals": {level: totals.get(level, 0) + sum(seen.levels[level] for seen in of_the_day)
                       for level in LEVELS},
            "lost": memory.get("lost", 0) + len(lost),
            "behind": behind,
            "skew": memory.get("skew") if off is None else off,
            "foreign": _foreign(taken, memory.get("foreign", "")),
        }
        troubles += [memory["foreign"]] if memory["foreign"] else []
        yield READABLE(not troubles, note="\n".join(dict.fromkeys(troubles)))
        if memory["skew"] is not None:
            yield SKEW(abs(memory["skew"]), note=self._zone_note(memory["skew"], run.now))
        told = _told(kinds, ended, self.window, self.quiet, run.now)
        # what one log cannot hide is bad for all that; how much there is, and what is over, nobody knows meanwhile
        yield from told if not troubles else (each for each in told if each.value and each.metric in _CERTAIN)
        for level in LEVELS:
            yield ENTRIES(memory["totals"][level], level=level)
        yield LOST(memory["lost"], note=", ".join(lost[:3]))
        if taken:
            yield BEHIND(behind)

    def _spans(self, kinds: Kinds, places: Mapping[str, Any], now: float, behind: int) -> tuple[float | None, ...]:
        """How far back to count. What was written since a look that is younger than the window is within the window
        whatever its stamps say; after a longer gap, and where that look left something, the stamps must tell."""
        steady = kinds.at is not None and 0 <= now - kinds.at <= self.window and not behind
        opened = any(os.access(os.path.join(self.root, os.path.dirname(pattern), name), os.R_OK)
                     for pattern, place in places.items() for name in place["closed"])
        return (None,) if steady and not opened else (self.window, self.quiet, DAY, self.forget)

    def _take(self, places: dict[str, Any], spans: Sequence[float | None], now: float, at: float) -> tuple[
            list[_Taken], list[str]]:
        """What one look brings of each log, and what stood in the way; `places` moves on. What had been silent for a
        while by `at` is complete."""
        taken: list[_Taken] = []
        troubles: list[str] = []
        closed: list[tuple[float, str]] = []
        open_ones = 0
        for pattern in self.patterns:
            scans = [Scan(self.zone, None if span is None else now - span) for span in spans]
            try:
                got = follow(os.path.join(self.root, pattern), places.get(pattern), _all(scans), now=at)
            except OSError as error:
                troubles.append(str(error))
                continue
            places[pattern] = got.place
            closed += [(written(path), str(error)) for path, error in got.unreadable.items()]
            open_ones += len(got.files) - len(got.unreadable)
            taken.append(_Taken([scan.seen for scan in scans], got.written if got.taken else None,
                                [each.name for each in got.lost], bool(got.files), got.behind))
        # an old file that nobody writes to may stay closed, as long as there is another
        closed.sort(reverse=True)
        troubles += [words for at, words in closed if now - at < DAY] or [words for _, words in closed[:not open_ones]]
        return taken, troubles[:2]

    def _rotated(self) -> bool:
        """Whether there are only rotated files: nothing was logged since, which is as good as it gets."""
        return any(glob.glob(os.path.join(self.root, pattern) + "[.-]*") for pattern in self.patterns)

    def _count(self, kinds: Kinds, taken: Sequence[_Taken], spans: Sequence[float | None], now: float) -> None:
        looks = [Look(now)] * len(spans)
        for each in taken:
            looks = [look.joined(tally(seen, self._meant(seen), now))
                     for look, seen in zip(looks, each.seen, strict=True)]
        if len(looks) > 1:
            window, quiet, day, _ = looks
            earlier = quiet.joined(window, -1)
            kinds.count(Look(now - self.window, earlier.errors, earlier.severe, earlier.kinds), self.quiet)
            kinds.add(now, day.errors - quiet.errors)
        kinds.count(looks[0], self.quiet)

    def _meant(self, seen: Seen) -> list[Problem]:
        """The errors that are not ignored. Of a pattern only * and ? are wild: SQLSTATE[23000]* means what it says."""
        patterns = [pattern.replace("[", "[[]") for pattern in self.ignore]
        return [problem for problem in seen.problems.values()
                if not any(fnmatchcase(text, pattern) for pattern in patterns
                           for text in (problem.thrown, problem.key, problem.example))]

    def _zone_note(self, off: float, now: float) -> str:
        """Which zone the application seems to write in: `app_timezone = "UTC", log: +07:00 ("Asia/Jakarta")`."""
        if not off:
            return ""
        at = datetime.fromtimestamp(now, UTC)
        ours = at.astimezone(self.zone).utcoffset() or timedelta()
        theirs = ours - timedelta(seconds=off)
        fitting = [name for name in _ZONES if at.astimezone(ZoneInfo(name)).utcoffset() == theirs]
        minutes = round(theirs.total_seconds() / 60)
        offset = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
        return f'app_timezone = "{self.zone.key}", log: UTC{offset}' + (f' = "{fitting[0]}"' if fitting else "")


_CERTAIN = (SEVERE.name, NEW_KINDS.name, NEW.name)  # one is too many


def _told(kinds: Kinds, ended: Sequence[str], window: float, quiet: float, now: float) -> Iterator[Reading]:
    """What the kinds come to. The sums first: where they are a problem, they explain that kinds are new."""
    lately, hour = kinds.lately(now, window), kinds.lately(now, quiet)
    yield RECENT(lately.errors, note=kinds.listed(lately.kinds))
    yield SEVERE(hour.severe, note=kinds.severest(now, quiet) if hour.severe else "")
    yield TODAY(kinds.today(now))
    # of what fell quiet while a log was closed, nobody knows whether it did
    fresh = {key: kind for key, kind in kinds.kinds.items() if kind.fresh and now - kind.last <= quiet}
    group = {key: kind.count for key, kind in fresh.items() if not kind.named}
    yield NEW_KINDS(len(group), note=kinds.listed(group))
    for key, kind in fresh.items():
        if kind.named:
            yield NEW(1, error=label(key), note=kind.words)
    for key in ended:
        yield NEW(0, error=label(key))
    for key in kinds.frequent(now):
        kind = kinds.kinds[key]
        yield KIND(kind.count, note=kind.words if kind.example else "", error=label(key))
        yield FIRST(kind.first, error=label(key))
        yield LAST(kind.last, error=label(key))


def _all(scans: Sequence[Scan]) -> Take:
    """The same bytes to each of them; they see the same grammar, so they take the same."""
    def take(data: bytes, inside: int, end: bool) -> tuple[int, int]:
        return [scan.take(data, inside, end) for scan in scans][-1]
    return take


def _skewed(taken: Sequence[_Taken], now: float) -> float | None:
    """By how much the newest entry's time is off, of the log that was written last; None where nothing was written."""
    written = [(each.written, each.seen[-1].newest) for each in taken if each.written is not None]
    at, newest = max(written, default=(None, None), key=lambda pair: pair[0] or 0.0)
    off = None if at is None or newest is None else skew(newest, at, now)
    return off if off is None or abs(off) <= _FARTHEST else None


def _foreign(taken: Sequence[_Taken], before: str) -> str:
    """Why nothing can be read out of it: lines came, and none of them was an entry. Silence is not health."""
    entries = any(each.seen[-1].counts or each.seen[-1].older for each in taken)
    if entries:
        return ""
    strange = any(each.seen[-1].strange for each in taken)
    return "log: bukan format Laravel / not in Laravel's format (JsonFormatter?)" if strange else before


def written(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:  # rotated away just now, or not ours to see: the look at it tells
        return 0.0
