"""What the first week teaches: thresholds just beyond what was seen and troubled nobody, as TOML to accept; pure."""

import glob
import json
import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from alerts.figures import unit
from alerts.incident import Incident
from alerts.ledger import Entry
from alerts.rule import Rule
from collectors.base import Labels

OFTEN = 2  # held back so often without anybody acting: the threshold is what is wrong, not the machine
_DOWN = ("below", "forecast")  # kinds whose small values are the bad ones
_FINER = 3  # times that a round number is sought at a tenth of the step, to stay short of critical


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing under one rule: how often nobody was told of it, and the worst value meanwhile."""

    rule: str
    labels: Labels
    times: int
    worst: float


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's `warning`, or label values to leave out where no number would help; `about` is what was seen."""

    rule: str
    warning: float | None = None
    leave_out: tuple[tuple[str, str], ...] = ()
    about: tuple[Seen, ...] = ()


def seen(incidents: Iterable[Incident], histories: Mapping[str, Sequence[Entry]],
         worst: Mapping[str, float]) -> list[Seen]:
    """What was held back for the first week's sake and nobody acted on. `worst` values by finding key."""
    times: dict[str, int] = {}
    things: dict[str, tuple[str, Labels]] = {}
    for incident in incidents:
        history = histories.get(incident.code, ())
        held = sum(entry.what == "held" and entry.detail == "probation" for entry in history)
        if not held or any(entry.who and entry.what != "undelivered" for entry in history):
            continue
        for key, member in incident.members.items():
            times[key] = times.get(key, 0) + held
            things[key] = (member.rule, member.labels)
    return [Seen(rule=rule, labels=labels, times=times[key], worst=worst[key])
            for key, (rule, labels) in things.items() if key in worst]


def propose(found: Iterable[Seen], rules: Mapping[str, Rule]) -> tuple[Proposal, ...]:
    """The noisiest first. One threshold for each rule: what is seen on one thing is judged alike on the others."""
    by_rule: dict[str, list[Seen]] = {}
    for each in found:
        if each.times >= OFTEN and each.rule in rules:
            by_rule.setdefault(each.rule, []).append(each)
    proposals = [_proposal(rules[name], sorted(each, key=lambda one: -one.times)) for name, each in by_rule.items()]
    return tuple(sorted((one for one in proposals if one), key=lambda one: -sum(each.times for each in one.about)))


def toml(proposals: Iterable[Proposal], rules: Mapping[str, Rule]) -> str:
    """For agent.toml; each table begins with what was seen. "" where nothing is proposed."""
    return "\n".join("\n".join(_lines(each, rules[each.rule])) for each in proposals)


def _proposal(rule: Rule, found: Sequence[Seen]) -> Proposal | None:
    flags = [each for each in found if _yes_or_no(rule, each)]
    if flags:
        out = tuple(each.labels[0] for each in flags if len(each.labels) == 1)
        return Proposal(rule=rule.name, leave_out=out, about=tuple(flags)) if len(out) == len(flags) else None
    worst = (min if rule.kind in _DOWN else max)(each.worst for each in found)
    warning = _beyond(rule, worst)
    return None if warning is None else Proposal(rule=rule.name, warning=warning, about=tuple(found))


def _yes_or_no(rule: Rule, one: Seen) -> bool:
    """No threshold lies between what is and what is not; a count of one thing without a label has one."""
    return (rule.kind in ("above", "below") and not unit(rule.metric) and one.worst in (0, 1)
            and (bool(one.labels) or rule.kind == "below"))


def _beyond(rule: Rule, worst: float) -> float | None:
    """The next round number at which this would not have been said; None where that would be as late as critical."""
    down, critical = rule.kind in _DOWN, rule.critical
    if rule.warning is None or not math.isfinite(worst) or (worst >= rule.warning if down else worst <= rule.warning):
        return None  # it is not known how bad it was
    for digits in range(_FINER):
        warning = _round(worst, down, _places(rule, worst) + digits)
        short = critical is None or (warning > critical if down else warning < critical)
        if short and warning > 0 and not (_is_ratio(rule) and warning >= 1):
            return warning
    return None


def _is_ratio(rule: Rule) -> bool:
    return unit(rule.metric) == "_ratio" and rule.kind not in ("forecast", "absent")


def _places(rule: Rule, worst: float) -> int:
    """Decimals: whole percents, whole counts, else two digits that matter."""
    if _is_ratio(rule):
        return 2
    if worst == int(worst) and not unit(rule.metric):
        return 0
    return 1 - math.floor(math.log10(abs(worst))) if worst else 0


def _round(worst: float, down: bool, places: int) -> float:
    steps = round(worst * 10.0**places, 6)
    if places == 0 and steps == int(steps):
        return float(steps)  # a whole count is not beyond itself
    return round((math.ceil(steps) - 1 if down else math.floor(steps) + 1) * 10.0**-places, max(places, 0))


def _lines(proposal: Proposal, rule: Rule) -> Iterable[str]:
    yield f"[rules.{rule.name}]"
    for each in proposal.about:
        labels = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in each.labels)
        yield f"# {each.times} × {labels or rule.metric}: {_written(rule, each.worst).strip(chr(34))}"
    if proposal.warning is not None:
        yield f"warning = {_written(rule, proposal.warning)}"
    where: dict[str, list[str]] = {label: list(patterns) for label, patterns in rule.where.items()}
    for label, value in proposal.leave_out:
        where.setdefault(label, []).append("!" + glob.escape(value))
    if proposal.leave_out:
        written = (f"{label} = {json.dumps(patterns, ensure_ascii=False)}" for label, patterns in where.items())
        yield f"where = {{ {', '.join(written)} }}"


def _written(rule: Rule, value: float) -> str:
    """A number of the rule's as agent.toml takes it: percents for a ratio, else the base unit."""
    if _is_ratio(rule):
        return f'"{value * 100:.6g}%"'
    return str(int(value)) if value == int(value) else repr(round(value, 6))
