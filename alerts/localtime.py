"""Times of day and days as people write them in agent.toml, and the instants (unix seconds) that they mean in a zone.

A local time that a zone skips (clocks put forward) means the instant as much later as was skipped; one that it has
twice (clocks put back) means the first.
"""

import re
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_NAMES = (("mon", "monday", "sen", "senin"), ("tue", "tuesday", "sel", "selasa"), ("wed", "wednesday", "rab", "rabu"),
          ("thu", "thursday", "kam", "kamis"), ("fri", "friday", "jum", "jumat", "jum'at"),
          ("sat", "saturday", "sab", "sabtu"), ("sun", "sunday", "min", "minggu"))
_WEEKDAY = {name: at for at, names in enumerate(_NAMES) for name in names}
_TIME = re.compile(r"(\d\d?)[:.](\d\d)")
_DAY = re.compile(r"20\d\d-\d\d-\d\d")
_WEEK_AND_A_DAY = 8


def clock_time(text: str) -> time:
    """Read `08:00`. Raises ValueError with what would be right."""
    written = _TIME.fullmatch(text.strip())
    if written is None or int(written[1]) > 23 or int(written[2]) > 59:
        raise ValueError('is no time of day: write it as "08:00", from "00:00" to "23:59"')
    return time(int(written[1]), int(written[2]))


def weekday(text: str) -> int:
    """Read `Mon` (0 is Monday), also `Monday`, `Sen` and `Senin`. Raises ValueError with what would be right."""
    found = _WEEKDAY.get(text.strip().lower())
    if found is None:
        raise ValueError(f"is no day of the week: write {', '.join(DAYS[:-1])} or {DAYS[-1]}")
    return found


def day(text: str) -> date:
    """Read `2026-12-25`. Raises ValueError with what would be right."""
    try:
        if _DAY.fullmatch(text.strip()):
            return date.fromisoformat(text.strip())
    except ValueError:  # the 31st of a month that has none
        pass
    raise ValueError('is no day of the calendar: write it as "2026-12-25"')


@lru_cache(maxsize=256)
def moment(text: str) -> datetime:
    """Read `2026-12-24 08:00`, local and without a zone; a day alone begins at midnight. Raises ValueError."""
    on, _, hours = text.strip().replace("T", " ").partition(" ")
    try:
        return datetime.combine(day(on), clock_time(hours) if hours else time())
    except ValueError:
        raise ValueError('is no local time: write it as "2026-12-24 08:00"') from None


@lru_cache(maxsize=64)
def recurring(text: str) -> tuple[int | None, time]:
    """Read `Mon 08:00` as weekday and time, `08:00` as each day's. Raises ValueError with what would be right."""
    name, _, hours = text.strip().rpartition(" ")
    try:
        return weekday(name) if name else None, clock_time(hours)
    except ValueError:
        raise ValueError('is no day and time: write it as "Mon 08:00"') from None


def instant(local: datetime, zone: ZoneInfo) -> float:
    """When that local time is, in unix seconds."""
    return local.replace(tzinfo=zone, fold=0).timestamp()


def local_day(at: float, zone: ZoneInfo) -> date:
    """Which day it is there."""
    return datetime.fromtimestamp(at, zone).date()


def midnight(on: date, zone: ZoneInfo) -> float:
    """When that day begins there."""
    return instant(datetime.combine(on, time()), zone)


def latest(every: tuple[int | None, time], zone: ZoneInfo, at: float) -> datetime:
    """The last local time of that kind (see `recurring`) whose instant is at or before `at`."""
    today = local_day(at, zone)
    return next(local for back in range(-1, _WEEK_AND_A_DAY + 1)
                if _falls(every, local := datetime.combine(today - timedelta(days=back), every[1]))
                and instant(local, zone) <= at)


def following(every: tuple[int | None, time], zone: ZoneInfo, at: float) -> datetime:
    """The next local time of that kind whose instant is after `at`."""
    today = local_day(at, zone)
    return next(local for ahead in range(-1, _WEEK_AND_A_DAY + 1)
                if _falls(every, local := datetime.combine(today + timedelta(days=ahead), every[1]))
                and instant(local, zone) > at)


def _falls(every: tuple[int | None, time], local: datetime) -> bool:
    return every[0] is None or local.weekday() == every[0]
