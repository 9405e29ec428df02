"""When to be quiet: at night, on days without the shop, in maintenance; pure functions of settings and time."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from alerts import localtime
from collectors.quantities import Seconds

LONGEST_CLOSED = 400  # days that are looked ahead; nobody is closed for longer
DAY, WEEK = 86400.0, 7 * 86400.0


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Local times of day between which warnings wait; both the same: they never do."""

    begin: str = msgspec.field(name="from", default="21:00")
    end: str = msgspec.field(name="to", default="07:00")

    def __post_init__(self) -> None:
        _times(("from", self.begin), ("to", self.end))


class Hours(msgspec.Struct, frozen=True, kw_only=True):
    """`[hours]`: when the shop is open."""

    open: str = "08:00"
    close: str = "20:00"
    days: tuple[str, ...] = localtime.DAYS
    holidays: tuple[str, ...] = ()  # "2026-12-25"

    def __post_init__(self) -> None:
        _times(("open", self.open), ("close", self.close))
        if localtime.clock_time(self.open) >= localtime.clock_time(self.close):
            raise ValueError('close is not after open: write open = "08:00" and close = "20:00"')
        if not self.days:
            raise ValueError('days is empty, so the shop never opens: write days = ["Mon", "Tue"]')
        for key, read, texts in (("days", localtime.weekday, self.days), ("holidays", localtime.day, self.holidays)):
            for text in texts:
                try:
                    read(text)
                except ValueError as error:
                    raise ValueError(f'{key} holds "{text}", which {error}') from error


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """`[[maintenance]]`: what fits `match` is told to nobody, once (`from`, `to`) or regularly (`every`, `for`)."""

    name: str
    match: dict[str, tuple[str, ...]]
    begin: str = msgspec.field(name="from", default="")  # local
    end: str = msgspec.field(name="to", default="")
    every: str = ""  # local: "Sun 01:00", or "01:00" for each day
    lasts: Seconds = msgspec.field(name="for", default=0.0)

    def __post_init__(self) -> None:
        once, again = bool(self.begin or self.end), bool(self.every or self.lasts)
        if once == again:
            raise ValueError('needs from = "2026-12-24 22:00" and to, or every = "Sun 01:00" and for = "2h"'
                             + ("; it has some of both" if once else ""))
        if again:
            self._check_recurrence()
            return
        for key, text in (("from", self.begin), ("to", self.end)):
            try:
                localtime.moment(text)
            except ValueError as error:
                raise ValueError(f"{key} {error}") from error
        if localtime.moment(self.begin) >= localtime.moment(self.end):
            raise ValueError("to is not after from, so it never holds")

    def _check_recurrence(self) -> None:
        try:
            weekday, _ = localtime.recurring(self.every)
        except ValueError as error:
            raise ValueError(f"every {error}") from error
        if not 0 < self.lasts < (DAY if weekday is None else WEEK):
            raise ValueError('for must be longer than nothing and end before it begins again: write for = "2h"')


def quiet_until(quiet: Quiet, hours: Hours, closed_days: bool, zone: ZoneInfo, at: float) -> float | None:
    """When the quiet that holds at that moment ends; None where it does not. With `closed_days` those are quiet too."""
    until = at
    for _ in range(LONGEST_CLOSED):
        if (night := _night_ends(quiet, zone, until)) is not None:
            until = night
        elif closed_days and not shop_day(hours, zone, until):
            until = localtime.midnight(localtime.local_day(until, zone) + timedelta(days=1), zone)
        else:
            break
    return until if until > at else None


def shop_day(hours: Hours, zone: ZoneInfo, at: float) -> bool:
    """Does the shop open on that day?"""
    day = localtime.local_day(at, zone)
    return day.weekday() in map(localtime.weekday, hours.days) and day not in map(localtime.day, hours.holidays)


def maintained(each: Maintenance, zone: ZoneInfo, at: float) -> float | None:
    """When the window that holds at that moment ends; None where none does."""
    if not each.every:
        begin, end = (localtime.instant(localtime.moment(text), zone) for text in (each.begin, each.end))
    else:
        begin = localtime.instant(localtime.latest(localtime.recurring(each.every), zone, at), zone)
        end = begin + each.lasts
    return end if begin <= at < end else None


def _night_ends(quiet: Quiet, zone: ZoneInfo, at: float) -> float | None:
    begin, end = (None, localtime.clock_time(quiet.begin)), (None, localtime.clock_time(quiet.end))
    if begin == end or localtime.latest(begin, zone, at) < localtime.latest(end, zone, at):
        return None
    return localtime.instant(localtime.following(end, zone, at), zone)


def _times(*named: tuple[str, str]) -> None:
    for key, text in named:
        try:
            localtime.clock_time(text)
        except ValueError as error:
            raise ValueError(f"{key} {error}") from error
