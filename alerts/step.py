"""How an incident moves: a pure function from an incident and an event to the incident after it and why to speak.

Time is a value that comes in. What is asked of the world (a code, who is on duty, what to write) is asked elsewhere.
"""

from dataclasses import dataclass
from itertools import pairwise

import msgspec

from alerts.incident import Finding, Incident
from alerts.notification import Reason
from alerts.policy import Policy
from alerts.rule import RANK

BASELINE = "baseline"
LONGEST_ACK = 7 * 86400.0  # seconds; longer would switch a problem off


@dataclass(frozen=True, slots=True)
class Tick:
    """Time went by."""


@dataclass(frozen=True, slots=True)
class Ack:
    """Somebody has it until then."""

    who: str
    until: float


@dataclass(frozen=True, slots=True)
class Unack:
    """Somebody gives it back."""

    who: str


@dataclass(frozen=True, slots=True)
class Pass:
    """Somebody cannot take it: the next rung at once."""

    who: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """Somebody says that it is over. What is still bad comes back by itself."""

    who: str


@dataclass(frozen=True, slots=True)
class Unwatched:
    """The configuration does not watch these any more (finding keys)."""

    keys: frozenset[str]


@dataclass(frozen=True, slots=True)
class Unreached:
    """A message about it could not be delivered, and that person has no other channel."""


Event = Finding | Tick | Ack | Unack | Pass | Resolve | Unwatched | Unreached


def opening(code: str, finding: Finding, now: float, policy: Policy, *, hold_until: float | None = None) -> Incident:
    """The incident that a bad finding opens. With `hold_until` nobody is told before then (the temuan awal)."""
    incident = Incident(
        code=code,
        key=finding.key if hold_until is None else BASELINE,
        opened=now,
        began=min(finding.since or now, now),
        members={finding.key: finding},
        severity=finding.severity,
        turns=(now,),
    )
    if hold_until is not None:
        return msgspec.structs.replace(incident, due=hold_until)
    return _at_step(incident, 0, now, policy)


def step(incident: Incident, event: Event, now: float, policy: Policy) -> tuple[Incident, tuple[Reason, ...]]:
    """Return the incident after the event, and the reasons to speak, if any.

    A closed incident only answers to a bad finding: it recurs under its own code.
    """
    match event:
        case Finding():
            if incident.closed is not None:
                return _recur(incident, event, now, policy) if event.state == "bad" else (incident, ())
            return _found(incident, event, now, policy)
        case _ if incident.closed is not None:
            return incident, ()
        case Ack(who, until):
            acked = msgspec.structs.replace(
                incident, acked_by=who, acked_until=until, acked_severity=incident.severity
            )
            return acked, ("acked",)
        case Unack():
            if incident.acked_until is None:
                return incident, ()
            return _at_step(_unacked(incident), 0, now, policy), ("unacked",)
        case Pass(who):
            return _passed(_unacked(incident), who, now, policy), ("escalated",)
        case Resolve(who):
            return _closed(_unacked(incident), now, who)  # if it comes back, nobody has it
        case Unwatched(keys):
            members = {key: member for key, member in incident.members.items() if key not in keys}
            if len(members) == len(incident.members):
                return incident, ()
            if any(member.state != "good" for member in members.values()):
                return msgspec.structs.replace(incident, members=members, severity=_worst(members)), ()
            return _closed(incident, now, "removed")
        case Unreached():
            if incident.acked_until is not None or incident.due is None:
                return incident, ()
            if not 0 <= incident.step < len(policy.steps_of(incident)) - 1:
                return incident, ()  # nobody is next: to begin again at once would be a flood, and reach nobody either
            return msgspec.structs.replace(incident, due=min(incident.due, now)), ()
        case Tick():
            return _ticked(incident, now, policy)


def next_at(incident: Incident, policy: Policy) -> float | None:
    """When the clock must come back to this incident; None only for a closed one (promise 7)."""
    if incident.closed is not None:
        return None
    if incident.calm_since is not None:
        return incident.calm_since + policy.flap_calm
    if incident.acked_until is not None:
        return incident.acked_until
    return incident.due if incident.due is not None else 0.0


def within_reach(incident: Incident, now: float, policy: Policy) -> Incident:
    """The same, with what comes next no later than it could be set now.

    A clock that was wrong when the time was set, and right since, would else leave an escalation years ahead.
    """
    if incident.closed is not None or incident.due is None:
        return incident
    steps = policy.steps_of(incident)
    waits = [later.after - earlier.after for earlier, later in pairwise(steps)]
    longest = max([policy.remind[incident.severity], *waits])
    until = incident.acked_until
    return msgspec.structs.replace(
        incident,
        due=min(incident.due, now + longest),
        acked_until=None if until is None else min(until, now + LONGEST_ACK),
    )


def _found(incident: Incident, finding: Finding, now: float, policy: Policy) -> tuple[Incident, tuple[Reason, ...]]:
    before = incident.members.get(finding.key)
    if before is None and finding.state != "bad":
        return incident, ()
    if before is not None and finding.state == "unknown":
        # What was known last stays visible; only the state says that it is not known now.
        finding = msgspec.structs.replace(before, state="unknown")
    elif before is not None:
        was = None if finding.state == "bad" else before.was if before.state == "good" else before.value
        finding = msgspec.structs.replace(finding, note=finding.note or before.note, was=was)
    members = {**incident.members, finding.key: finding}
    if all(member.state == "good" for member in members.values()):
        return _all_good(incident, members, now)
    worst = _worst(members)
    after = msgspec.structs.replace(incident, members=members, severity=worst, calm_since=None)
    if incident.key == BASELINE and incident.step < 0:  # whatever joins is part of what will be told
        return after, ()
    if RANK[worst] > RANK[incident.severity]:
        return _worsened(after, now, policy)
    if incident.step < 0:
        return after, ()
    if before is None:
        return after, ("joined",)
    return after, ()


def _all_good(
    incident: Incident, members: dict[str, Finding], now: float
) -> tuple[Incident, tuple[Reason, ...]]:
    if incident.flapping:
        calm = incident.calm_since if incident.calm_since is not None else now
        return msgspec.structs.replace(incident, members=members, calm_since=calm), ()
    return _closed(msgspec.structs.replace(incident, members=members), now, "good")


def _worsened(incident: Incident, now: float, policy: Policy) -> tuple[Incident, tuple[Reason, ...]]:
    incident = _turned(incident, now, policy)
    if incident.acked_until is not None and RANK[incident.severity] <= RANK[incident.acked_severity]:
        return incident, ()  # whoever took it took it at this severity
    return _at_step(_unacked(incident), 0, now, policy), ("worsened",)


def _recur(incident: Incident, finding: Finding, now: float, policy: Policy) -> tuple[Incident, tuple[Reason, ...]]:
    was_flapping = incident.flapping
    again = msgspec.structs.replace(
        incident,
        closed=None,
        closed_why="",
        members={finding.key: finding},
        severity=finding.severity,
        calm_since=None,
    )
    again = _turned(again, now, policy)
    holds = again.acked_until is not None and now < again.acked_until  # it may have run out while all was well
    if not (holds and RANK[finding.severity] <= RANK[again.acked_severity]):
        again = _at_step(_unacked(again), 0, now, policy)
    if again.flapping:
        return again, () if was_flapping else ("flapping",)
    return again, ("recurred",)


def _turned(incident: Incident, now: float, policy: Policy) -> Incident:
    turns = (*(at for at in incident.turns if now - policy.flap_window <= at <= now), now)
    return msgspec.structs.replace(
        incident, turns=turns, flapping=incident.flapping or len(turns) >= policy.flap_turns
    )


def _ticked(incident: Incident, now: float, policy: Policy) -> tuple[Incident, tuple[Reason, ...]]:
    if incident.calm_since is not None:  # good at this moment: nobody is urged, only the calm is waited for
        calm = now - incident.calm_since >= policy.flap_calm
        return _closed(incident, now, "good") if calm else (incident, ())
    if incident.acked_until is not None:
        if now < incident.acked_until:
            return incident, ()
        had = msgspec.structs.replace(_unacked(incident), last_acked_by=incident.acked_by)
        return _at_step(had, 0, now, policy), ("ack_expired",)
    if incident.due is not None and now < incident.due:
        return incident, ()
    if incident.step < 0:  # it was held back until now
        again = bool(incident.told)
        return _at_step(incident, 0, now, policy), ("reminded",) if again else ("opened",)
    return _climbed(incident, now, policy)


def held(incident: Incident, until: float, why: str) -> Incident:
    """Nobody is told before `until`; then it is as if it had just opened."""
    return msgspec.structs.replace(incident, step=-1, due=until, held_by=why)


def _passed(incident: Incident, who: str, now: float, policy: Policy) -> Incident:
    """At the next step that tells somebody else: nobody is called to hear what they have just refused."""
    steps = policy.steps_of(incident)
    others = (index for index in range(incident.step + 1, len(steps))
              if {*policy.persons(steps[index], now)} - {who})
    index = next(others, None)
    if index is not None:
        return _at_step(incident, index, now, policy)
    return _climbed(msgspec.structs.replace(incident, step=len(steps) - 1), now, policy)[0]


def _climbed(incident: Incident, now: float, policy: Policy) -> tuple[Incident, tuple[Reason, ...]]:
    steps = policy.steps_of(incident)
    if incident.step + 1 < len(steps):
        return _at_step(incident, incident.step + 1, now, policy), ("escalated",)
    if policy.end_of(incident) == "repeat":
        return _at_step(incident, 0, now, policy), ("reminded",)
    return msgspec.structs.replace(incident, due=now + policy.remind[incident.severity]), ("reminded",)


def _at_step(incident: Incident, index: int, now: float, policy: Policy) -> Incident:
    """At that escalation step, with the time of what comes next: another step, else a reminder."""
    steps = policy.steps_of(incident)
    if index + 1 < len(steps):
        due = now + steps[index + 1].after - steps[index].after
    else:
        due = now + policy.remind[incident.severity]
    return msgspec.structs.replace(incident, step=index, due=due, held_by="")


def _unacked(incident: Incident) -> Incident:
    return msgspec.structs.replace(incident, acked_by="", acked_until=None, acked_severity="")


def _closed(incident: Incident, now: float, why: str) -> tuple[Incident, tuple[Reason, ...]]:
    after = msgspec.structs.replace(
        incident, closed=now, closed_why=why, due=None, calm_since=None, flapping=False, held_by=""
    )
    return after, ("resolved",) if incident.told else ()


def _worst(members: dict[str, Finding]) -> str:
    return max((m.severity for m in members.values() if m.state != "good"), key=RANK.__getitem__, default="")
