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
from operator import itemgetter

from collectors.masking import masked, shape

LEVELS = ("DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL", "ALERT", "EMERGENCY")
GROUPED = LEVELS[4:]  # of these levels, entries are grouped into problems
MOST = 500  # problems of either kind told apart in one scan; entries of further ones are counted as `crowded`
EARLY = 300.0  # seconds that a stamp may be ahead of the clock before its zone is doubted

_CHANNELS = 50  # channels told apart; a forger could invent more, which are counted as "…"
_WORDINGS = 1000  # raw messages, and raw places, remembered in one scan: a new one costs up to a millisecond
_MESSAGE = 1000  # bytes of a message that are looked at
_MID_LINE, _LINE_START = 1, 2  # where inside of an entry the next piece begins

# As loose as can be told from anything else: dots are a third faster than digits, and what is no date has no time.
_START = re.compile(
    rb"\n\[(\d...-..-..[T ]..:..:..[^]\n]{0,16})\] "
    rb"([^\s\].]{1,64}(?:\.[^\s\].]{1,64}){0,3}?\.(?:DEBUG|INFO|NOTICE|WARNING|(ERROR|CRITICAL|ALERT|EMERGENCY))): ")
_DIGITS = b"0123456789"
_FIRST = re.compile(_START.pattern[2:])  # the same at the beginning of the data
# {"exception":"[object] (Illuminate\\Database\\QueryException(code: 42S02): SQLSTATE… at /var/www/…/Connection.php:829)
_OBJECT = b"[object] ("
_PLACE = re.compile(rb"[^\n]{1,300}:\d{1,9}")  # anything else behind the last " at " belongs to the words, or is forged
_THROWN = re.compile(rb"\[object\] \(([\w\\@]{1,200})\(code: -?\w+\)?: ")
# Log::error($e) writes the exception as a string: RuntimeException: words in /var/www/…/Loans.php:45, Stack trace:
_PRINTED = re.compile(rb"([\w\\@]{1,200}): [^\n]*? in ([^\n]{1,500}:\d+)\nStack trace:")
# The first line of a trace that is the app's own. With the app's folder known, the search is three times as fast.
_OWN = rb"(?!vendor/|public/index\.php|artisan\()([^\n(]{1,300})\((\d{1,9})\): "
_FRAME = re.compile(rb"\n#\d+ (?![^\n(]*/(?:vendor/|public/index\.php|artisan\())([^\n(]{1,300})\((\d{1,9})\): ")
_APPS = 8  # folders of apps that are learnt
_ROOT = re.compile(r"^.*?/(?=(?:app|bootstrap|config|database|modules|public|resources|routes|storage|vendor)/)")
_CONTEXT = re.compile(r"""\s(?:\{"|\[["\[{]|\[\]|\{\})""")  # where the context begins, behind the message


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
    first: float | None = None  # unix seconds, by the entries' own stamps; None where these are no dates
    last: float | None = None


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
        self._names: Counter[bytes] = Counter()  # entries by `channel.LEVEL`
        self._problems: dict[str, Problem] = {}
        self._stamps: dict[str, tuple[bytes, bytes]] = {}  # of the first and the last entry, by problem
        # By what stands in the log: class and place of what was thrown, and messages without their digits.
        self._thrown: dict[bytes, Problem | None] = {}
        self._said: dict[bytes, Problem | None] = {}
        self._frames: dict[bytes, re.Pattern[bytes]] = {}  # by folder of an app: its own lines in a trace
        self._newest = b""
        self._crowded = self._older = self._strange = 0
        self._nul = False

    @property
    def seen(self) -> Seen:
        """What was found so far."""
        seen = Seen(problems=self._problems, crowded=self._crowded, older=self._older, strange=self._strange,
                    nul=self._nul, newest=self._when(self._newest))
        for name, count in self._names.items():
            channel, _, level = name.decode("utf-8", "replace").rpartition(".")
            seen.counts[channel, level] += count
        for key, (first, last) in self._stamps.items():
            problem = seen.problems[key]
            problem.first, problem.last = self._when(first), self._when(last)
        return seen

    def take(self, data: bytes, inside: int, end: bool) -> tuple[int, int]:
        """Count the entries that are complete in `data`; see `following.Take`. Never raises, whatever the bytes."""
        if b"\0" in data:
            data = data.replace(b"\0", b"\n")  # after a hole of them, an entry begins without a line break
            self._nul = True
        starts = list(_START.finditer(data))
        if inside != _MID_LINE and (first := _FIRST.match(data)):
            starts.insert(0, first)
        taken = len(data) if end else starts[-1].start(1) - 1 if starts else data.rfind(b"\n") + 1
        if not taken:
            return 0, inside
        if not inside:
            lead = data[:starts[0].start(1) - 1 if starts else taken]
            self._strange += sum(map(bool, lead.split(b"\n")))
        self._entries(data, starts if end else starts[:-1], len(data) if end or not starts else starts[-1].start())
        if starts and not end:
            return taken, 0
        whole = data.endswith(b"\n", 0, taken)
        return taken, 0 if whole and not inside and not starts else _LINE_START if whole else _MID_LINE

    def _entries(self, data: bytes, starts: list[re.Match[bytes]], stop: int) -> None:
        if self._after is not None:
            starts = self._since(starts)
        if not starts:
            return
        self._newest = starts[-1][1]
        self._names.update(map(itemgetter(2), starts))
        if len(self._names) > _CHANNELS * len(LEVELS):
            self._fold()
        for index, start in enumerate(starts):
            if start[3]:
                self._error(data, start, starts[index + 1].start() if index + 1 < len(starts) else stop)

    def _since(self, starts: list[re.Match[bytes]]) -> list[re.Match[bytes]]:
        """Without the older ones; a log is in order, so after the first newer one nobody asks any more."""
        for index, start in enumerate(starts):
            at = self._when(start[1])
            if at is not None and self._after is not None and at >= self._after:
                self._after = None
                return starts[index:]
            self._older += 1
        return []

    def _fold(self) -> None:
        """Keep the channels with most entries, and the sum of the others."""
        kept = Counter(dict(self._names.most_common(_CHANNELS)))
        for name, count in self._names.items():
            if name not in kept:
                kept["….".encode() + name.rpartition(b".")[2]] += count
        self._names = kept

    def _error(self, data: bytes, start: re.Match[bytes], stop: int) -> None:
        begin = start.end()
        found = data.find(_OBJECT, begin, stop)
        thrown = _THROWN.search(data, found, stop) if found >= 0 else None
        if thrown:
            known, raw = self._thrown, self._what(data, thrown, stop)
        else:
            known, raw = self._said, data[begin:min(stop, begin + _MESSAGE)].translate(None, _DIGITS)
        problem = known.get(raw)
        if problem is None and raw not in known and len(known) < _WORDINGS:
            problem = known[raw] = self._first(raw, data[begin:min(stop, begin + _MESSAGE)], bool(thrown))
        if problem is None:
            self._crowded += 1
            return
        problem.count += 1
        level = start[3].decode()
        if level != problem.level:
            problem.level = max(problem.level, level, key=LEVELS.index)
        stamp = start[1]
        self._stamps[problem.key] = self._stamps.get(problem.key, (stamp,))[0], stamp

    def _what(self, data: bytes, thrown: re.Match[bytes], stop: int) -> bytes:
        """The class, and the place: the first of the app's own lines, or else where it was thrown."""
        begin = thrown.end()
        trace = data.find(b"\n[stacktrace]", begin, stop)
        ended = trace - 1 if trace >= 0 else data.find(b')"', begin, stop)
        at = data.rfind(b" at ", begin, ended) if ended >= 0 else -1
        told = _PLACE.fullmatch(data, at + 4, ended) if at >= 0 else None
        place = told[0] if told else b""
        app, vendor, _ = place.partition(b"/vendor/")
        if vendor and trace >= 0:
            if app not in self._frames and len(self._frames) < _APPS:
                self._frames[app] = re.compile(rb"\n#\d+ " + re.escape(app) + b"/" + _OWN)
            if frame := self._frames.get(app, _FRAME).search(data, trace, stop):
                place = frame[1].removeprefix(app + b"/") + b":" + frame[2]
        return thrown[1] + b" " + place

    def _first(self, raw: bytes, text: bytes, thrown: bool) -> Problem | None:
        """The problem of an entry that looks like none before; None where too many were told apart already."""
        message = _CONTEXT.split(text.decode("utf-8", "replace"), maxsplit=1)[0]
        printed = None if thrown else _PRINTED.match(text)
        kind = at = ""
        if thrown or printed:
            what = b" ".join(printed.groups()) if printed else raw
            kind, _, at = what.decode("utf-8", "replace").replace("\\\\", "\\").partition(" ")
            at = _ROOT.sub("", at.replace("\\", "/"))
            key = f"{kind.rpartition(chr(92))[2]} {at}"
        else:
            key = "message " + blake2b(shape(message).encode(), digest_size=4).hexdigest()
        if key in self._problems:
            return self._problems[key]
        if sum(bool(other.thrown) == bool(kind) for other in self._problems.values()) >= MOST:
            return None
        self._problems[key] = Problem(key, GROUPED[0], kind, at, masked(message))
        return self._problems[key]

    def _when(self, stamp: bytes) -> float | None:
        try:
            at = datetime.fromisoformat(stamp.decode())
            return (at if at.tzinfo else at.replace(tzinfo=self._zone)).timestamp()
        except (ValueError, OverflowError):
            return None


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

