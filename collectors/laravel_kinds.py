"""Which errors of an application are new, how many came lately, and what is remembered of each kind.

A kind is new when it was never seen, or not for `forget`; what the very first look finds is known, not new. It is over
when it was not seen for `quiet`. After a bad deploy many kinds are new at once: few are named, the rest is one group.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from collectors.laravel_log import GROUPED, Problem, Seen
from collectors.masking import shape

MOST = 200  # kinds remembered; the one that was not seen for longest is forgotten
NAMED_AT_ONCE, NAMED = 3, 5  # new kinds that are named in one look, and at the same time; all others are a group
GROUP = 100  # new kinds of the group that are remembered
SHOWN, LISTED = 3, 5  # kinds in a note, and with readings of their own
EXAMPLE, LONGEST = 160, 120  # characters of an example and of a kind's name
DAY, HOUR = 86400.0, 3600.0  # seconds
SEVERE = GROUPED[1:]
# What a service that is gone makes the application say: who watches that service tells it, so it is no news here. Redis
# begins so; nobody watches a mail server or a gateway, whose words have it further behind.
_ELSEWHERE = re.compile(r"SQLSTATE\[HY000\] \[20(02|03|06|13)\]|server has gone away|^Connection refused|went away|"
                        r"No space left on device|Read-only file system", re.I)
_PARTS = 60  # of the time that looks are remembered: what comes within one part is joined


class Kind(msgspec.Struct):
    """What is known of one kind; times in unix seconds. `fresh`: since when it is new, 0.0 for not."""

    first: float
    last: float
    count: int
    level: str
    shape: str
    fresh: float = 0.0
    named: bool = False
    example: str = ""

    @property
    def severe(self) -> bool:
        return self.level in SEVERE

    @property
    def words(self) -> str:
        """`ERROR ×3: SQLSTATE[42S02]: Base table or view not found …`."""
        return f"{self.level} ×{self.count}: {self.example}"


class Look(msgspec.Struct, array_like=True):
    """What one look brought: entries from ERROR on, those above ERROR among them, and the most frequent kinds."""

    at: float
    errors: int = 0
    severe: int = 0
    kinds: dict[str, int] = {}

    def joined(self, other: "Look", sign: int = 1) -> "Look":
        """Both together, or with -1 this one without the other; `at` is this one's."""
        kinds = Counter(self.kinds)
        for key, count in other.kinds.items():
            kinds[key] += sign * count
        return Look(self.at, self.errors + sign * other.errors, self.severe + sign * other.severe,
                    dict((+kinds).most_common(SHOWN)))


class Kinds(msgspec.Struct):
    """The memory: JSON by `plain`, at most some 40 kB."""

    kinds: dict[str, Kind] = {}
    looks: list[Look] = []
    hours: dict[str, int] = {}  # hour since 1970 -> entries from ERROR on
    at: float | None = None  # the last look

    def plain(self) -> dict[str, Any]:
        """For `run.memory`."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made

    def learn(self, problems: Sequence[Problem], now: float, forget: float) -> None:
        """Take in what a look found, and see what of it is new."""
        present = {problem.key for problem in problems}
        open_ones = [kind for kind in self.kinds.values() if kind.fresh]
        new: list[Kind] = []
        for problem in problems:
            first, last = self._within(problem.first, now), self._within(problem.last, now)
            what = _hash(problem)
            known = self.kinds.get(problem.key) or self._moved(problem, what, present)
            if known is None or first - known.last > forget:
                known = Kind(first, last, 0, problem.level, what)
                # severe ones are told by themselves, new or not
                if self.at is not None and problem.level not in SEVERE and not _ELSEWHERE.search(problem.example):
                    known.fresh = now
                    new.append(known)
            known.last = max(known.last, last)
            known.count += problem.count
            known.level, known.shape = max(known.level, problem.level, key=GROUPED.index), what
            known.example = problem.example[:EXAMPLE]
            self.kinds[problem.key] = known
        crowd = len(new) > NAMED_AT_ONCE or any(not kind.named for kind in open_ones)
        for place, kind in enumerate(new):
            kind.named = not crowd and len(open_ones) + place < NAMED

    def count(self, look: Look, keep: float) -> None:
        """Remember how many came, for windows of at most `keep` seconds and for the day."""
        if not look.errors:
            return
        last = self.looks[-1] if self.looks else None
        if last and 0 <= look.at - last.at < keep / _PARTS:
            self.looks[-1] = last.joined(look)
        else:
            self.looks.append(look)
        self.add(look.at, look.errors)

    def add(self, at: float, errors: int) -> None:
        """Remember errors for the day alone."""
        hour = str(int(at // HOUR))
        self.hours[hour] = self.hours.get(hour, 0) + errors

    def lately(self, now: float, window: float) -> Look:
        """All looks of the last `window` seconds as one."""
        total = Look(now)
        for look in self.looks:
            if now - window < look.at:
                total = total.joined(look)
        return total

    def today(self, now: float) -> int:
        """Errors of the last 24 hours, to the hour."""
        return sum(count for hour, count in self.hours.items() if int(hour) > now // HOUR - 24)

    def settle(self, now: float, quiet: float) -> list[str]:
        """End what was quiet for long enough; the named kinds that are new no more."""
        ended = []
        for key, kind in self.kinds.items():
            if kind.fresh and now - kind.last > quiet:
                if kind.named:
                    ended.append(key)
                kind.fresh, kind.named = 0.0, False
        return ended

    def prune(self, now: float, quiet: float) -> None:
        """Forget what is too old or too much."""
        self.looks = [look for look in self.looks if now - quiet < look.at <= now]
        self.hours = {hour: count for hour, count in self.hours.items() if 0 <= now // HOUR - int(hour) < 24}
        hot = {key for look in self.looks for key in look.kinds}
        group = [key for key, kind in self.kinds.items() if kind.fresh and not kind.named]
        for key in group[GROUP:]:  # a flood, forged maybe, must not wash away what is known
            del self.kinds[key]
        by_age = sorted(self.kinds, key=lambda key: (self.kinds[key].named, self.kinds[key].last))
        for key in by_age[:-MOST]:
            del self.kinds[key]
        for key, kind in self.kinds.items():
            if not (kind.fresh or key in hot or (kind.severe and now - kind.last < quiet)):
                kind.example = ""

    def frequent(self, now: float) -> list[str]:
        """The kinds with most entries, of those that were seen in the last 24 hours."""
        day = [key for key, kind in self.kinds.items() if now - kind.last < DAY]
        return sorted(day, key=lambda key: -self.kinds[key].count)[:LISTED]

    def listed(self, counts: Mapping[str, int]) -> str:
        """The most frequent of these as people read them, the first one's words with them."""
        most = [key for key, _ in Counter(counts).most_common(SHOWN) if key in self.kinds]
        lines = [f"{counts[key]}× {self._called(key)}" for key in most]
        if len(counts) > len(most):
            lines.append(f"+{len(counts) - len(most)}")
        if most and self._called(most[0]) == label(most[0]):
            lines.append(self.kinds[most[0]].example)
        return "\n".join(lines)

    def severest(self, now: float, window: float) -> str:
        """The newest of the severe ones that were seen lately."""
        found = [(kind.last, key) for key, kind in self.kinds.items() if kind.severe and now - kind.last < window]
        said = [[label(key)] * (not key.startswith("message ")) + [self.kinds[key].words] for _, key in sorted(found)]
        return "\n".join(said[-1]) if said else ""

    def _called(self, key: str) -> str:
        """Class and place; of what was not thrown, its words."""
        return self.kinds[key].example[:80] if key.startswith("message ") else label(key)

    def _within(self, stamp: float | None, now: float) -> float:
        """What this look found was written since the last one, whatever its stamps say."""
        return min(max(stamp or 0.0, self.at or 0.0), now) or now

    def _moved(self, problem: Problem, what: str, present: set[str]) -> Kind | None:
        """The same error of the same file in another line: a deploy moved it, and that makes it no news."""
        if not problem.thrown:
            return None
        stem = problem.key.rpartition(":")[0]
        return next((self.kinds.pop(key) for key, kind in list(self.kinds.items())
                     if kind.shape == what and key not in present and key.rpartition(":")[0] == stem), None)


def label(key: str) -> str:
    """A kind's name where people and Prometheus see it: whoever forges an entry has a say in it."""
    return "".join(char if char.isprintable() else "?" for char in key.strip())[:LONGEST]


def tally(seen: Seen, problems: Sequence[Problem], at: float) -> Look:
    """What counts of a scan: `problems` are those that are not ignored."""
    counts = Counter({problem.key: problem.count for problem in problems})
    severe = sum(problem.count for problem in problems if problem.level in SEVERE)
    return Look(at, counts.total() + seen.crowded, severe, dict(counts.most_common(SHOWN)))


def recall(memory: Any) -> Kinds:
    """What `plain` made; nothing where it is of another version."""
    try:
        return msgspec.convert(memory, Kinds)
    except msgspec.ValidationError:
        return Kinds()


def _hash(problem: Problem) -> str:
    """What it says but for numbers and names; a message without an exception is known by that alone, in its key."""
    said = f"{problem.thrown} {shape(problem.example)}" if problem.thrown else ""
    return blake2b(said.encode(), digest_size=4).hexdigest()
