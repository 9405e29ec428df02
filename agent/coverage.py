"""`jaga coverage`: for every hour of a week and every part, who notices that it died and who hears it.

From the configuration alone: what is written there is looked at as if each part died in each hour. A part that nobody
would notice, or whose end nobody would hear, is blind then, and the setting that closes the gap is named.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import Any, Literal, get_args
from zoneinfo import ZoneInfo

import msgspec

from agent import plugins
from agent.config import Config
from agent.coverage_words import CoverageWords, words
from agent.tables import show
from alerts import localtime
from alerts.policy import Policy
from alerts.text import fill, line

DAY, WEEK = 24, 168  # hours
MOST_WEEKS = 8  # that are looked ahead where people take turns
HOUR = 3600.0  # seconds
FAILING = "notifier_failing"  # the rule that tells of a dead channel
ONLY_THE_MACHINE = {"resources", "disk"}  # collectors that say nothing of the shop's programs

Part = Literal["server", "internet", "agent", "app", "channel", "duty", "warnings"]
Notices = Literal["heartbeat", "systemd_heartbeat", "systemd", "jaga", "escalation", "nobody"]
Mend = Literal["", "heartbeat", "collectors", "people", "reach", "second_channel", "second_person", "rule"]


class Cover(msgspec.Struct, frozen=True, kw_only=True):
    """What happens when one part dies in one hour. Blind where `mend` names the setting that is missing."""

    part: Part
    name: str = ""  # the channel's
    notices: Notices
    hears: str = ""  # a contact; "" where the service outside tells people, or nobody is told
    channels: tuple[str, ...] = ()  # by which
    after: float = 0.0  # seconds until then
    until: str = ""  # local time of day that it waits for
    mend: Mend = ""


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """One answer and the hours that it holds for: 0 is Monday from midnight to one, 167 Sunday's last."""

    cover: Cover
    hours: frozenset[int]


def week(config: Config, at: float) -> tuple[Stretch, ...]:
    """The seven local days from that moment's on, hour by hour, and as many weeks as people take turns; what is the
    same is one stretch."""
    roster, zone = config.policy.roster, ZoneInfo(config.policy.zone)
    weeks = min(len(roster.people), MOST_WEEKS) if roster.rotation.handover else 1
    first, found = localtime.local_day(at, zone), dict[Cover, set[int]]()
    for hour in range(WEEK * max(1, weeks)):
        local = datetime.combine(first + timedelta(days=hour // DAY), time(hour % DAY))
        for cover in covers(config, localtime.instant(local, zone)):
            found.setdefault(cover, set()).add(local.weekday() * DAY + local.hour)
    stretches = [Stretch(cover=cover, hours=frozenset(hours)) for cover, hours in found.items()]
    order = get_args(Part)
    return tuple(sorted(stretches, key=lambda each: (order.index(each.cover.part), each.cover.name, min(each.hours))))


def covers(config: Config, at: float) -> Iterator[Cover]:
    """Each part in the hour that begins then."""
    outside = config.heartbeat.url is not None
    yield _outside("server", "heartbeat" if outside else "nobody")
    yield _outside("internet", "heartbeat" if outside else "nobody")
    yield _outside("agent", "systemd_heartbeat" if outside else "systemd")
    ladder = _ladder(config, at)
    yield _app(config, ladder, at)
    for channel in sorted(leaving(config)):
        yield _channel(config, channel, at)
    yield _duty(config, ladder, at)
    yield _warnings(config, ladder, at)


def _outside(part: Part, notices: Notices) -> Cover:
    return Cover(part=part, notices=notices, mend="heartbeat" if notices in ("nobody", "systemd") else "")


class _Rung(msgspec.Struct, frozen=True):
    """Somebody who is told of a critical problem so many seconds after it began, by channels that leave the machine."""

    person: str
    after: float
    channels: tuple[str, ...]


def leaving(config: Config) -> frozenset[str]:
    """The channels that reach somebody who does not sit before this machine."""
    kinds = plugins.notifiers()
    return frozenset(name for name, each in config.notifiers.items() if kinds.name_of(type(each)) != "console")


def _ladder(config: Config, at: float, rule: str = "", channel: str = "") -> list[_Rung]:
    """Who is told of such a problem in which order, if nobody takes it; `channel` is dead, and groups do not count."""
    policy, rungs, outside = config.policy, dict[str, _Rung](), leaving(config) - {channel}
    labels = (("notifier", channel),) if channel else ()
    for step in policy.steps_for("critical", rule, labels):
        for person in policy.persons(step, at):
            contact = policy.contacts.get(person)
            if contact is None or contact.group or person in rungs:
                continue
            ways = (*policy.ways(person, step), *contact.channels, *contact.copy)  # the next where one fails
            if usable := tuple(dict.fromkeys(name for name in ways if name in outside)):
                rungs[person] = _Rung(person, step.after, usable)
    return list(rungs.values())


def _unheard(policy: Policy, at: float) -> Mend:
    return "reach" if policy.on_duty(at) else "people"


def _app(config: Config, ladder: list[_Rung], at: float) -> Cover:
    if all(each.plugin.name in ONLY_THE_MACHINE for each in config.collectors):
        return Cover(part="app", notices="nobody", mend="collectors")
    if not ladder:
        return Cover(part="app", notices="jaga", mend=_unheard(config.policy, at))
    first = ladder[0]
    return Cover(part="app", notices="jaga", hears=first.person, channels=first.channels, after=first.after)


def _channel(config: Config, channel: str, at: float) -> Cover:
    rule = config.rules.get(FAILING)
    if rule is None or rule.critical is None:
        return Cover(part="channel", name=channel, notices="nobody", mend="rule")
    ladder = _ladder(config, at, FAILING, channel)
    if not ladder:
        mend: Mend = "second_channel" if config.policy.on_duty(at) else "people"
        return Cover(part="channel", name=channel, notices="jaga", mend=mend)
    first = ladder[0]
    return Cover(part="channel", name=channel, notices="jaga", hears=first.person, channels=first.channels,
                 after=rule.critical + first.after)


def _duty(config: Config, ladder: list[_Rung], at: float) -> Cover:
    on_duty = config.policy.on_duty(at)
    if not on_duty:
        return Cover(part="duty", notices="nobody", mend="people")
    following = next((each for each in ladder if each.person != on_duty), None)
    if following is None:
        return Cover(part="duty", notices="escalation", mend="second_person")
    return Cover(part="duty", notices="escalation", hears=following.person, channels=following.channels,
                 after=following.after)


def _warnings(config: Config, ladder: list[_Rung], at: float) -> Cover:
    """They are not blind at night: they wait, as the configuration wants it."""
    if not ladder:
        return Cover(part="warnings", notices="jaga", mend=_unheard(config.policy, at))
    until = config.policy.quiet_until("warning", at)
    said = "" if until is None else f"{datetime.fromtimestamp(until, ZoneInfo(config.policy.zone)):%H:%M}"
    return Cover(part="warnings", notices="jaga", hears=ladder[0].person, channels=ladder[0].channels, until=said)


# --- in words ------------------------------------------------------------------------------------------------------


def tell(config: Config, at: float) -> bool:
    """Print the table, and what closes the gaps; is anything blind?"""
    said, stretches = words(config.agent.language), week(config, at)
    show({key: said.columns[key] for key in ("part", "when", "notices", "hears")},
         [_row(each, config, said) for each in stretches])
    gaps = notices(config, at)
    print()
    for gap in gaps:
        print(gap)
    if not gaps:
        print(said.no_gap)
    return bool(gaps)


def notices(config: Config, at: float) -> list[str]:
    """A line for each setting that would close a gap, with what is blind without it and when."""
    said, by_mend = words(config.agent.language), dict[str, list[Stretch]]()
    for each in week(config, at):
        if each.cover.mend:
            by_mend.setdefault(fill(said.mends[each.cover.mend], {"channel": each.cover.name}), []).append(each)
    return [fill(said.gap, {"parts": "; ".join(f"{_part(each.cover, said)} ({hours_said(each.hours, said)})"
                                               for each in blind), "mend": mend})
            for mend, blind in by_mend.items()]


def as_plain(config: Config, at: float) -> dict[str, Any]:
    """What `jaga coverage --json` prints: `stretches` with `hours` of the week from Monday's midnight."""
    return {"at": at, "zone": config.policy.zone,
            "blind": len({hour for each in week(config, at) if each.cover.mend for hour in each.hours}),
            "stretches": [{**msgspec.structs.asdict(each.cover), "blind": bool(each.cover.mend),
                           "hours": sorted(each.hours)} for each in week(config, at)]}


def _row(each: Stretch, config: Config, said: CoverageWords) -> Mapping[str, str]:
    cover = each.cover
    return {"part": _part(cover, said), "when": hours_said(each.hours, said), "notices": said.notices[cover.notices],
            "hears": said.blind if cover.mend else _heard(cover, config, said)}


def _part(cover: Cover, said: CoverageWords) -> str:
    return fill(said.parts[cover.part], {"channel": line(cover.name)})


def _heard(cover: Cover, config: Config, said: CoverageWords) -> str:
    if not cover.hears:
        return said.outside
    contact = config.policy.contacts[cover.hears]
    phrase = said.hears_until if cover.until else said.hears_after if cover.after else said.hears
    return fill(phrase, {"who": line(contact.display), "channels": ", ".join(cover.channels),
                         "minutes": f"{cover.after / 60:g}", "until": cover.until.replace(":", said.colon)})


def hours_said(hours: Iterable[int], said: CoverageWords) -> str:
    """Hours of the week in ranges: `selalu`, `setiap hari 21.00–07.00`, `Sen 08.00–Kam 08.00`."""
    all_of_them = set(hours)
    if len(all_of_them) == WEEK:
        return said.always
    days = [frozenset(hour % DAY for hour in all_of_them if hour // DAY == day) for day in range(7)]
    if len(set(days)) == 1:
        spans = [f"{_time(begin, said)}–{_time(end, said)}" for begin, end in _ranges(set(days[0]), DAY)]
        return fill(said.daily, {"times": ", ".join(spans)})
    return ", ".join(f"{said.days[begin // DAY]} {_time(begin, said)}–{said.days[end // DAY]} {_time(end, said)}"
                     for begin, end in _ranges(all_of_them, WEEK))


def _ranges(hours: set[int], cycle: int) -> list[tuple[int, int]]:
    """Begin and end of each unbroken run on a clock face of `cycle` hours."""
    begins = [hour for hour in sorted(hours) if (hour - 1) % cycle not in hours]
    return [(begin, next((begin + n) % cycle for n in range(1, cycle + 1) if (begin + n) % cycle not in hours))
            for begin in begins]


def _time(hour: int, said: CoverageWords) -> str:
    return f"{hour % DAY:02d}{said.colon}00"
