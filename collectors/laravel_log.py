"""Laravel's log: entries counted by channel and level, errors grouped by what was thrown and where.

Grammar (Laravel 8 to 13, Monolog's LineFormatter with inline line breaks): `[2026-11-22 19:10:33] production.ERROR: `
begins an entry, and every line up to the next such line belongs to it, blank ones and stack traces too. Whoever can put
a line break and such a line into a message forges an entry that nobody can tell from a real one: what is found here may
wake a person, and must never set anything in motion by itself.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from hashlib import blake2b

from collectors.masking import masked, shape

LEVELS = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
GROUPED = LEVELS[4:]  # of these levels, entries are grouped into problems
MOST = 500  # problems told apart in one scan; entries of further ones are counted as `crowded`
EARLY = 300.0  # seconds that a stamp may be ahead of the clock before its zone is doubted

_CHANNELS = 50  # channels told apart; a forger could invent more, which are counted as "…"
_WORDINGS = 4000  # raw messages remembered in one scan, so that only so many are put into shape
_MESSAGE = 2000  # bytes of a message that are looked at
_MID_LINE, _LINE_START = 1, 2  # where inside of an entry the next piece begins

_START = re.compile(
    rb"\n\[(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[+-]\d\d:?\d\d|Z)?)\] "
    rb"([^\s\]]{1,64}?\.(?:DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY)): ")
_FIRST = re.compile(_START.pattern[2:])  # the same at the beginning of the data
_ERRORS = tuple(f".{level}".encode() for level in GROUPED)
# {"exception":"[object] (Illuminate\\Database\\QueryException(code: 42S02): SQLSTATE… at /var/www/…/Connection.php:829)
_THROWN = re.compile(rb"\[object\] \(([\w\\@]{1,200})\(code: -?\w+\)?: ")
# Log::error($e) writes the exception as a string: RuntimeException: words in /var/www/…/Loans.php:45, Stack trace:
_PRINTED = re.compile(rb"([\w\\@]{1,200}): [^\n]*? in ([^\n]{1,500}:\d+)\nStack trace:")
# The first line of a trace that is the app's own.
_FRAME = re.compile(rb"\n#\d+ (?![^\n(]*/(?:vendor/|public/index\.php|artisan\())([^\n(]+)\((\d+)\): ")
_ROOT = re.compile(r"^.*?/(?=(?:app|bootstrap|config|database|modules|public|resources|routes|storage|vendor)/)")
_DIGITS = b"0123456789"


@dataclass(slots=True)
class Problem:
    """Entries that say the same: the same exception from the same place, or the same words but for numbers and names.

    key: stable and free of personal data: `QueryException app/Services/Loans.php:45` (class without namespace, first
    place outside vendor/), or `message 3fa9c1d2` where nothing was thrown.
    """

    key: str
    level: str  # the worst
    thrown: str  # the exception's class with its namespace; "" where nothing was thrown
    at: str  # file:line, from the app's folder on; "" where nothing was thrown
    example: str  # what the first of them says, masked, one line
    count: int = 0
    first: float = 0.0  # unix seconds, by the entries' own stamps; 0 where these are no dates
    last: float = 0.0


@dataclass(slots=True)
class Seen:
    """What a scan found."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)  # entries by (channel, level)
    problems: dict[str, Problem] = field(default_factory=dict)  # by key, in the order of their first entry
    crowded: int = 0  # entries of GROUPED levels whose problem is not among the MOST that were told apart
    older: int = 0  # entries from before `after`, counted nowhere else
    strange: int = 0  # lines before the first entry of a file, in no known format
    nul: bool = False  # NUL bytes: the mark of a disk that was full or of power that was lost
    newest: float | None = None  # the stamp of the last entry, unix seconds

    @property
    def levels(self) -> dict[str, int]:
        """Entries by level, all channels together; every level is there."""
        return {level: sum(count for (_, name), count in self.counts.items() if name == level) for level in LEVELS}


class Scan:
    """Reads what `following.follow` hands out: `follow(path, place, scan.take, …)`, then `scan.seen`.

    zone: the app's (`config('app.timezone')`): its stamps carry no offset.
    after: unix seconds; older entries are only counted as `older` (the first look may reach back for days).
    """

    def __init__(self, zone: tzinfo, after: float | None = None) -> None:
        self._zone, self._after = zone, after
        self.seen = Seen()
        self._thrown: dict[tuple[bytes, bytes], Problem | None] = {}
        self._said: dict[bytes, Problem | None] = {}

    def take(self, data: bytes, inside: int, end: bool) -> tuple[int, int]:
        """Count the entries that are complete in `data`; see `following.Take`. Never raises, whatever the bytes."""
        if b"\0" in data:
            self.seen.nul = True
            data = data.replace(b"\0", b"\n")  # after a hole of them, an entry begins without a line break
        starts = list(_START.finditer(data))
        if inside != _MID_LINE and (first := _FIRST.match(data)):
            starts.insert(0, first)
        whole = starts if end else starts[:-1]
        taken = len(data) if end else starts[-1].start(1) - 1 if starts else data.rfind(b"\n") + 1
        if not taken:
            return 0, inside
        if not inside:
            lead = data[:starts[0].start(1) - 1 if starts else taken]
            self.seen.strange += sum(1 for line in lead.splitlines() if line.strip())
        for index, start in enumerate(whole):
            stop = starts[index + 1].start() if index + 1 < len(starts) else len(data)
            self._entry(data, start, stop)
        if starts and not end:
            return taken, 0
        if not starts and not inside and data[taken - 1:taken] == b"\n":
            return taken, 0
        return taken, _LINE_START if data[taken - 1:taken] == b"\n" else _MID_LINE

    def _entry(self, data: bytes, start: re.Match[bytes], stop: int) -> None:
        at = self._when(start[1])
        if self._after is not None and at is not None and at < self._after:
            self.seen.older += 1
            return
        channel, _, level = start[2].decode("utf-8", "replace").rpartition(".")
        known = len({name for name, _ in self.seen.counts}) < _CHANNELS
        self.seen.counts[channel if known or (channel, level) in self.seen.counts else "…", level] += 1
        if at is not None:
            self.seen.newest = at
        if start[2].endswith(_ERRORS):
            problem = self._problem(data, start.end(), stop, level)
            if problem is None:
                self.seen.crowded += 1
                return
            problem.level = max(problem.level, level, key=LEVELS.index)
            problem.count += 1
            problem.first = problem.first or at or 0.0
            problem.last = at or problem.last

    def _problem(self, data: bytes, begin: int, stop: int, level: str) -> Problem | None:
        object_at = data.find(b"[object] (", begin, stop)
        thrown = _THROWN.match(data, object_at, stop) if object_at >= 0 else None
        text = data[begin:min(stop, begin + _MESSAGE)]
        if thrown:
            trace = data.find(b"\n[stacktrace]", thrown.end(), stop)
            ended = trace - 1 if trace >= 0 else data.find(b')"', thrown.end(), stop)
            place = data[data.rfind(b" at ", max(thrown.end(), ended - 1000), ended) + 4:ended] if ended >= 0 else b""
            if b"/vendor/" in place and (frame := _FRAME.search(data, trace, stop)):
                place = frame[1] + b":" + frame[2]
            return self._of(thrown[1], place, level, text)
        if printed := _PRINTED.match(text):
            return self._of(printed[1], printed[2], level, text)
        words = shape(_message(text))
        key = "message " + blake2b(words.encode(), digest_size=4).hexdigest()
        return self._group(key, Problem(key, level, "", "", masked(_message(text))))

    def _of(self, thrown: bytes, place: bytes, level: str, text: bytes) -> Problem | None:
        kind = thrown.decode("utf-8", "replace").replace("\\\\", "\\")
        at = _ROOT.sub("", place.decode("utf-8", "replace").replace("\\\\", "/"))
        key = f"{kind.rpartition(chr(92))[2]} {at}"
        return self._group(key, Problem(key, level, kind, at, masked(_message(text))))

    def _group(self, key: str, new: Problem) -> Problem | None:
        if key in self.seen.problems or len(self.seen.problems) < MOST:
            return self.seen.problems.setdefault(key, new)
        return None

    def _when(self, stamp: bytes) -> float | None:
        try:
            at = datetime.fromisoformat(stamp.decode("ascii"))
        except ValueError:
            return None
        return (at if at.tzinfo else at.replace(tzinfo=self._zone)).timestamp()


def skew(newest: float, written: float, now: float) -> float:
    """Seconds by which the app's stamps are off its zone: 25200 where a UTC app is read as Asia/Jakarta; 0.0 if fine.

    newest: `Seen.newest`; written: `Followed.written`, of the same look. Positive: stamps are behind. One look proves
    nothing (a long job may log late, somebody may have touched the file): believe what several looks say alike.
    """
    behind = written - newest
    steps = round(behind / 1800)
    if steps and abs(steps) <= 52 and abs(behind - steps * 1800) <= 30:  # 26 h: the farthest two zones are apart
        return steps * 1800.0
    return now - newest if newest > now + EARLY else 0.0


def _message(text: bytes) -> str:
    """What an entry says, without its context."""
    return re.split(r' (?=[{\[]["\[{])', text.decode("utf-8", "replace"), maxsplit=1)[0]
