"""Who is on duty when: a weekly rotation with overrides, as pure functions of the roster and a time (unix seconds)."""

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from itertools import islice
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec

from alerts import localtime

A_MOMENT = 1.0  # seconds; hand-overs and overrides are whole minutes apart
FIRST_MONDAY = date(1969, 12, 29)  # of ISO week 1970-W01: weeks are counted from it, so no year's end breaks the order

Why = Literal["alone", "rotation", "override"]


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """`[[oncall.override]]`: that person from one local time to another, whoever's turn it is."""

    person: str
    begin: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")

    def __post_init__(self) -> None:
        times = []
        for key, text in (("from", self.begin), ("to", self.end)):
            try:
                times.append(localtime.moment(text))
            except ValueError as error:
                raise ValueError(f"{key} {error}") from error
        if times[0] >= times[1]:
            raise ValueError("to is not after from, so nobody is ever on duty by it")


class Rotation(msgspec.Struct, frozen=True, kw_only=True):
    """The keys of `[oncall]` besides `people`. Without `handover` the first is always on duty."""

    handover: str = ""  # local, weekly: "Mon 08:00"
    start: str = ""  # the first person has the week that holds this day
    override: tuple[Override, ...] = ()

    def __post_init__(self) -> None:
        try:
            each_day = bool(self.handover) and localtime.recurring(self.handover)[0] is None
        except ValueError as error:
            raise ValueError(f"handover {error}") from error
        if each_day:
            raise ValueError('handover is weekly: write the day too, "Mon 08:00"')
        if self.start and not self.handover:
            raise ValueError('start says when the order begins, but nobody hands over: add handover = "Mon 08:00"')
        try:
            if self.start:
                localtime.day(self.start)
        except ValueError as error:
            raise ValueError(f"start {error}") from error


class Roster(msgspec.Struct, frozen=True, kw_only=True):
    """People in order, how they take turns, and the zone whose clock it goes by."""

    people: tuple[str, ...]
    rotation: Rotation = Rotation()
    zone: str = "Asia/Jakarta"


class Turn(msgspec.Struct, frozen=True):
    """One person's time on duty without a break; None where it has no beginning or end."""

    person: str
    since: float | None
    until: float | None
    why: Why  # as it is at the moment that was asked for


class Gap(msgspec.Struct, frozen=True):
    """A time in which who is on duty cannot be reached; `person` is "" where there is nobody at all."""

    person: str
    since: float
    until: float


def on_duty(roster: Roster, at: float) -> str:
    """The person on duty; "" where the roster names nobody."""
    return next(iter(order(roster, at)), "")


def order(roster: Roster, at: float) -> tuple[str, ...]:
    """Who is on duty, then who follows in rotation; somebody for whom another stands in comes last."""
    rotated = _rotated(roster, at)
    stand_in = _override(roster, at)
    if stand_in is None:
        return rotated
    others = [*rotated[1:], *rotated[:1]]
    return (stand_in.person, *(name for name in others if name != stand_in.person))


def turn(roster: Roster, at: float) -> Turn:
    """The turn that holds that moment. Pieces of one person that meet are one turn."""
    person, override = on_duty(roster, at), _override(roster, at)
    why: Why = "override" if override is not None else "rotation" if _turns(roster) else "alone"
    return Turn(
        person,
        next((edge for edge in _edges_back(roster, at) if on_duty(roster, edge - A_MOMENT) != person), None),
        next((edge for edge in _edges_ahead(roster, at) if on_duty(roster, edge) != person), None),
        why,
    )


def upcoming(roster: Roster, at: float, n: int) -> tuple[Turn, ...]:
    """The next `n` turns after the one that holds that moment; fewer where nothing changes any more."""
    return tuple(islice(_after(roster, at), n))


def gaps(roster: Roster, reachable: Collection[str], at: float, horizon: float) -> tuple[Gap, ...]:
    """The turns between `at` and `at + horizon` of people who are not among the `reachable`."""
    found, end = [], at + horizon
    begin: float | None = at
    while begin is not None and begin < end:
        now = turn(roster, begin)
        if now.person not in reachable:
            found.append(Gap(now.person, begin, end if now.until is None else min(now.until, end)))
        begin = now.until
    return tuple(found)


def handover_between(roster: Roster, before: float, now: float) -> Turn | None:
    """The turn that began after `before` and holds `now`; None where the same person is on duty as then."""
    return turn(roster, now) if on_duty(roster, before) != on_duty(roster, now) else None


def _after(roster: Roster, at: float) -> Iterable[Turn]:
    until = turn(roster, at).until
    while until is not None:
        coming = turn(roster, until)
        yield coming
        until = coming.until


def _turns(roster: Roster) -> bool:
    return bool(roster.rotation.handover) and len(roster.people) > 1


def _rotated(roster: Roster, at: float) -> tuple[str, ...]:
    """The people from whose week it is."""
    if not _turns(roster):
        return roster.people
    every = localtime.recurring(roster.rotation.handover)
    began = localtime.latest(every, ZoneInfo(roster.zone), at).date()
    anchor = FIRST_MONDAY + timedelta(days=every[0] or 0)
    if roster.rotation.start:
        start = localtime.day(roster.rotation.start)
        anchor = start - timedelta(days=(start - anchor).days % 7)
    index = (began - anchor).days // 7 % len(roster.people)
    return roster.people[index:] + roster.people[:index]


def _override(roster: Roster, at: float) -> Override | None:
    """The one in force; the configuration sees to it that there is only one."""
    return next((each for each in roster.rotation.override if _span(roster, each)[0] <= at < _span(roster, each)[1]),
                None)


def _span(roster: Roster, override: Override) -> tuple[float, float]:
    zone = ZoneInfo(roster.zone)
    return (localtime.instant(localtime.moment(override.begin), zone),
            localtime.instant(localtime.moment(override.end), zone))


def _edges_ahead(roster: Roster, at: float) -> Iterable[float]:
    """When somebody else may be on duty after `at`, soonest first. While an override holds, no hand-over does."""
    edges, zone = _override_edges(roster), ZoneInfo(roster.zone)
    while True:
        coming = [edge for edge in edges if edge > at][:1]
        if _turns(roster) and _override(roster, at) is None:
            every = localtime.recurring(roster.rotation.handover)
            coming.append(localtime.instant(localtime.following(every, zone, at), zone))
        if not coming:
            return
        at = min(coming)
        yield at


def _edges_back(roster: Roster, at: float) -> Iterable[float]:
    """The same, backwards from `at`."""
    edges, zone = _override_edges(roster), ZoneInfo(roster.zone)
    while True:
        past = [edge for edge in edges if edge <= at][-1:]
        if _turns(roster) and _override(roster, at) is None:
            every = localtime.recurring(roster.rotation.handover)
            past.append(localtime.instant(localtime.latest(every, zone, at), zone))
        if not past:
            return
        yield max(past)
        at = max(past) - A_MOMENT


def _override_edges(roster: Roster) -> list[float]:
    return sorted({edge for override in roster.rotation.override for edge in _span(roster, override)})
