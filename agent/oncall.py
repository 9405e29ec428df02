"""`jaga oncall`: who is on duty at a time, until when, and who comes after; from the configuration alone."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agent.config import Config
from agent.tables import show
from agent.wording import wording
from alerts import localtime
from alerts.figures import clock
from alerts.policy import Policy
from alerts.roster import Turn, turn, upcoming
from alerts.text import fill, line

AHEAD = 4  # turns that are shown after the present one


def when(text: str, zone: ZoneInfo, now: float) -> float:
    """Read `2026-12-24 08:00`, a day alone, `08:00` (today) or `Mon 08:00` (the next one); unix seconds.

    Raises ValueError with what would be right.
    """
    try:
        return localtime.instant(localtime.moment(text), zone)
    except ValueError:
        pass
    try:
        weekday, time = localtime.recurring(text)
    except ValueError:
        raise ValueError('is no local time: write "2026-12-24 08:00", "08:00" or "Mon 08:00"') from None
    if weekday is None:
        return localtime.instant(datetime.combine(localtime.local_day(now, zone), time), zone)
    return localtime.instant(localtime.following((weekday, time), zone, now), zone)


def turns(policy: Policy, at: float) -> tuple[Turn, ...]:
    """The turn that holds that moment, and the next ones."""
    return turn(policy.roster, at), *upcoming(policy.roster, at, AHEAD)


def as_plain(policy: Policy, at: float) -> dict[str, Any]:
    """What `jaga oncall --json` prints; times are unix seconds, but those of `overrides` as they are written."""
    present, *coming = ({**msgspec.structs.asdict(each), "display": _name(each, policy)} for each in turns(policy, at))
    over = [each for each in policy.rotation.override
            if localtime.instant(localtime.moment(each.end), ZoneInfo(policy.zone)) > at]
    return {"at": at, "zone": policy.zone, "on_duty": present, "upcoming": coming,
            "overrides": [msgspec.to_builtins(each) for each in over]}


def tell(config: Config, at: float, now: float) -> None:
    """Print who has the duty, and a table of what comes."""
    policy, language = config.policy, config.agent.language
    words, zone = wording(language), ZoneInfo(policy.zone)
    present, *coming = turns(policy, at)
    until = "" if present.until is None else clock(present.until, zone, language, now)
    print(fill(words.duty_until if until else words.duty_always, {"who": _name(present, policy), "until": until}))
    if coming:
        print()
        show({key: words.columns[key] for key in ("begins", "until", "who", "why")}, _rows(coming, config, now))


def _rows(coming: Sequence[Turn], config: Config, now: float) -> list[dict[str, str]]:
    words, zone, language = wording(config.agent.language), ZoneInfo(config.policy.zone), config.agent.language
    return [{
        "begins": "" if each.since is None else clock(each.since, zone, language, now),
        "until": "" if each.until is None else clock(each.until, zone, language, now),
        "who": _name(each, config.policy),
        "why": words.duty_whys[each.why],
    } for each in coming]


def _name(each: Turn, policy: Policy) -> str:
    contact = policy.contacts.get(each.person)
    return line(contact.display if contact else each.person)
