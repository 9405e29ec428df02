"""When a file was begun, by its name and its time; and when the next one is due."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

EARLY = 600.0  # seconds: clocks differ a little, so one that was begun so long before it was due counts
_LASTS = 2 * 3600.0  # seconds: from the start that the name tells to the last write, while both tell of the same run
DAY = 86400.0
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

# spatie: 2026-01-18-01-00-02.zip; the koperasi app: backup_koperasi_2026-01-18_01-00-02.sql; others: 20260118-0100
_DATED = re.compile(
    r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])"
    r"(?:[-_T. ]?([01]\d|2[0-3])[-_.:]?([0-5]\d)(?:[-_.:]?([0-5]\d))?)?(?!\d)")
_DUE = re.compile(r"(?:(Mon|Tue|Wed|Thu|Fri|Sat|Sun) )?([01]\d|2[0-3]):([0-5]\d)")


def began(name: str, modified: float, zone: ZoneInfo) -> float:
    """Unix seconds at which the file was begun: by the date in its name, else by its time.

    A name tells no zone. Where the local reading does not fit the last write and the one in UTC does, UTC was meant
    (Laravel's default). Nothing can be newer than its last write, whatever its name says.
    """
    named = _named(name, zone)
    if named is None:
        return modified
    for start in (named, _named(name, ZoneInfo("UTC"))):
        if start is not None and -EARLY <= modified - start <= _LASTS:
            return start
    return min(named, modified)


def claimed(name: str, modified: float, zone: ZoneInfo) -> float:
    """The latest moment that the file's name or time speaks of: one that is still to come is a clock's mistake."""
    named = _named(name, zone)
    return modified if named is None or began(name, modified, zone) != modified else max(named, modified)


def minute_of_day(name: str) -> int | None:
    """The time of day in the name, in minutes; None where it has none."""
    found = _last(name)
    return int(found[4]) * 60 + int(found[5]) if found and found[4] else None


def shown(at: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


@dataclass(frozen=True, slots=True)
class Schedule:
    """`due`: "01:00" each day or "Sun 01:00" each week, in `zone`; `grace`: seconds that it may take longer."""

    due: str
    grace: float
    zone: ZoneInfo

    def overdue(self, start: float, now: float) -> float:
        """Since when the next file after the one begun at `start` should have been there; 0 while it is not due."""
        return max(0.0, now - self.next_due(start) - self.grace)

    def next_due(self, start: float) -> float:
        """The first due time that a file begun at `start` does not satisfy. The zone's own days: some have 23 hours."""
        day, hour, minute = parse(self.due)
        date = datetime.fromtimestamp(start, UTC).astimezone(self.zone).replace(tzinfo=None)
        for ahead in range(9):
            each = date + timedelta(days=ahead)
            at = datetime(each.year, each.month, each.day, hour, minute, tzinfo=self.zone).timestamp()
            if at > start + EARLY and day in (None, each.weekday()):
                return at
        raise AssertionError("every week has each of its days")


def parse(due: str) -> tuple[int | None, int, int]:
    """Day of the week (0 is Monday; None: every day), hour and minute. Raises ValueError where it is written wrong."""
    found = _DUE.fullmatch(due)
    if not found:
        raise ValueError('due is no time of day: write it as "01:00", or "Sun 01:00" for once a week')
    return DAYS.index(found[1]) if found[1] else None, int(found[2]), int(found[3])


def _last(name: str) -> re.Match[str] | None:
    return max(_DATED.finditer(name), key=lambda found: found.start(), default=None)


def _named(name: str, zone: ZoneInfo) -> float | None:
    """The moment in the name; where it has a day alone, the end of that day."""
    found = _last(name)
    if not found:
        return None
    year, month, day = (int(found[at]) for at in (1, 2, 3))
    try:
        if found[4]:
            return datetime(year, month, day, int(found[4]), int(found[5]), int(found[6] or 0), tzinfo=zone).timestamp()
        return datetime(year, month, day, tzinfo=zone).timestamp() + DAY
    except ValueError:  # such as the 31st of February
        return None
