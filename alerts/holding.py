"""Why nobody is told of an incident for now, and until when to wait: a pure function.

A hold never loses anything: when it ends and the incident is still open, it is told then.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

import msgspec

from alerts.incident import Finding, Incident
from alerts.judgement import fits
from alerts.policy import Policy
from alerts.rule import Cause, Rule
from alerts.silence import Silence
from alerts.step import BASELINE

RECHECK = 60.0  # seconds until it is looked at again whether the cause is still there
AFTERMATH = 120.0  # seconds after the cause ended in which its consequences may mend themselves
OWN = "agent"  # the agent's own rules have no thresholds that a first week could tune


class Hold(msgspec.Struct, frozen=True):
    """Wait until then, and why: `silence:ID`, `maintenance:NAME`, `inhibited:CODE`, `quiet`, `probation`, `early`."""

    until: float
    why: str


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What besides the incident itself decides whether to speak."""

    silences: tuple[Silence, ...] = ()
    others: tuple[Incident, ...] = ()  # open ones, and those that closed lately
    rules: Mapping[str, Rule] = {}
    installed_at: float = 0.0


def hold(incident: Incident, around: Surroundings, policy: Policy, now: float) -> Hold | None:
    """The reason that holds longest of those that hold, or None: speak."""
    holds = [*_silenced(incident, around, now), *_maintained(incident, policy, now), *_inhibited(incident, around, now)]
    if incident.severity == "warning" and incident.key != BASELINE:
        holds += [*_quiet(policy, now), *_probation(incident, around, policy, now), *_early(incident, around, now)]
    return max(holds, key=lambda each: each.until, default=None)


def _silenced(incident: Incident, around: Surroundings, now: float) -> Iterable[Hold]:
    return (Hold(s.ends, f"silence:{s.id}") for s in around.silences if s.covers(incident, now))


def _maintained(incident: Incident, policy: Policy, now: float) -> Iterable[Hold]:
    found = [policy.in_maintenance(member.rule, member.labels, now) for member in _sick(incident)]
    windows = [window for window in found if window is not None]
    if windows and len(windows) == len(found):
        name, until = min(windows, key=lambda window: window[1])
        yield Hold(until, f"maintenance:{name}")


def _inhibited(incident: Incident, around: Surroundings, now: float) -> Iterable[Hold]:
    causes = [_cause(member, incident, around, now) for member in _sick(incident)]
    if causes and all(causes):
        yield Hold(now + RECHECK, f"inhibited:{causes[0]}")


def _cause(finding: Finding, incident: Incident, around: Surroundings, now: float) -> str:
    """The code of the incident that explains this finding, or ""."""
    rule = around.rules.get(finding.rule)
    for cause in rule.explained_by if rule else ():
        for other in around.others:
            if other.code != incident.code and _lasts(cause, finding, other, now) and any(
                _explains(cause, member, finding, other) for member in other.members.values()
            ):
                return other.code
    return ""


def _lasts(cause: Cause, finding: Finding, other: Incident, now: float) -> bool:
    """Whether it is open, or its consequences may still be seen: a count over the last hour knows of no mend."""
    if other.closed is None:
        return True
    return now - other.closed < (max(AFTERMATH, cause.lingers) if finding.since <= other.closed else AFTERMATH)


def _explains(cause: Cause, member: Finding, finding: Finding, other: Incident) -> bool:
    theirs, ours = dict(member.labels), dict(finding.labels)
    return (
        (member.state != "good" or other.closed is not None)
        and fnmatchcase(member.rule, cause.rule)
        and fits(cause.where, member.labels)
        and fits(cause.of, finding.labels)
        and all(theirs.get(label) == ours.get(label) for label in cause.same)
    )


def _quiet(policy: Policy, now: float) -> Iterable[Hold]:
    until = policy.quiet_until("warning", now)
    return [Hold(until, "quiet")] if until is not None else []


def _probation(incident: Incident, around: Surroundings, policy: Policy, now: float) -> Iterable[Hold]:
    until = around.installed_at + policy.probation
    tuned = any(rule.collector != OWN for m in _sick(incident) if (rule := around.rules.get(m.rule)) is not None)
    return [Hold(until, "probation")] if tuned and now < until else []


def _early(incident: Incident, around: Surroundings, now: float) -> Iterable[Hold]:
    """What often mends itself, and is known meanwhile as the cause of others: told once the first of it has lasted."""
    ends = [m.since + rule.tell_after if (rule := around.rules.get(m.rule)) is not None else now
            for m in _sick(incident)]
    return [Hold(min(ends), "early")] if ends and now < min(ends) else []


def _sick(incident: Incident) -> list[Finding]:
    return [member for member in incident.members.values() if member.state != "good"]
