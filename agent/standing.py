"""How things stand, for pages and tables: an incident with its next step, and a collector with the age of its data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import msgspec

from agent.board import Board, CollectorState
from agent.clock import Clock
from agent.config import Config
from agent.daily import Daily
from agent.store import Store
from agent.wording import Wording, wording
from alerts.desk import Desk
from alerts.figures import ago, show, unit
from alerts.incident import Finding, Incident
from alerts.policy import Policy
from alerts.problem import Reader, problems, topic
from alerts.rule import Rule
from alerts.step import next_at
from alerts.text import fill, line
from alerts.words import headline

SAME_CODE = 28 * 86400.0  # seconds: a code rests for eight weeks, so what is older than this is another incident's


class Exposition(Protocol):
    """The text of /metrics for an Accept header, and its content type."""

    def text(self, accept: str = "") -> tuple[bytes, str]: ...


class House(Protocol):
    """The running daemon, as the doors see it."""

    @property
    def config(self) -> Config: ...
    @property
    def desk(self) -> Desk: ...
    @property
    def store(self) -> Store: ...
    @property
    def board(self) -> Board: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def daily(self) -> Daily: ...
    @property
    def exposition(self) -> Exposition: ...

    def readiness(self) -> list[str]:
        """What is not ready, a line each; empty when all is."""

    def notify_test(self, contact: str, wait: float) -> list[dict[str, Any]]:
        """For each channel of the person: `channel`, `state`, `proof`, `seconds`, `error`."""

    def forget(self, contact: str) -> int: ...


class Next(msgspec.Struct, frozen=True):
    """What the desk does about it next if nothing else happens, when (unix seconds), and whom it tells."""

    what: Literal["told", "escalated", "reminded", "ack_expires", "closes", "explained"]
    at: float
    to: tuple[str, ...] = ()  # contact names
    because: str = ""  # of what is explained: the code of its cause


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that an incident is about."""

    rule: str
    labels: dict[str, str]
    state: str
    severity: str
    value: float
    threshold: float | None
    since: float
    note: str
    summary: str  # in the agent's language, as are `shown` and `limit`
    shown: str  # the value in its unit; "" where it is a mere yes or no
    limit: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """One incident. This is the shape of `jaga incidents --json`; times are unix seconds."""

    code: str
    key: str
    severity: str
    state: Literal["open", "acked", "closed"]
    flapping: bool
    headline: str
    opened: float
    since: float
    closed: float | None
    acked_by: str
    acked_until: float | None
    next: Next | None
    members: tuple[Member, ...]


def reader(house: House, technician: bool = True) -> Reader:
    """Somebody who looks at this agent now, in its language."""
    agent = house.config.agent
    return Reader(house.desk.rules.rules, agent.language, agent.site, agent.name, ZoneInfo(agent.timezone),
                  house.clock.now(), technician)


def find(house: House, code: str) -> Incident | None:
    """As the desk has it now, which is fresher than the disk; else the newest of that code that is over."""
    return next((each for each in house.desk.view.open if each.code == code), None) or house.store.incident(code)


def standing(incident: Incident, policy: Policy, who: Reader) -> Standing:
    """How the incident stands at the reader's moment."""
    return Standing(
        code=incident.code,
        key=incident.key,
        severity=incident.severity,
        state="closed" if incident.closed is not None else "open" if incident.acked_until is None else "acked",
        flapping=incident.flapping,
        headline=headline(incident, who.rules, who.language, agent=who.agent, site=who.site),
        opened=incident.opened,
        since=incident.since,
        closed=incident.closed,
        acked_by=incident.acked_by,
        acked_until=incident.acked_until,
        next=upcoming(incident, policy),
        members=tuple(_member(member, incident, who) for member in problems(incident)),
    )


def upcoming(incident: Incident, policy: Policy) -> Next | None:
    """The next thing that time alone will bring; None for what is over."""
    at = next_at(incident, policy)
    if at is None:
        return None
    if incident.calm_since is not None:
        return Next("closes", at)
    if incident.acked_until is not None:
        return Next("ack_expires", at)
    why, _, cause = incident.held_by.partition(":")
    if why == "inhibited":  # nobody is told then, it is only looked at again
        return Next("explained", at, because=cause)
    steps = policy.steps_of(incident)
    if incident.step + 1 < len(steps):
        to = policy.persons(steps[incident.step + 1], at)
        return Next("told" if incident.step < 0 else "escalated", at, to)
    again = steps[:1] if policy.end_of(incident) == "repeat" else ()
    return Next("reminded", at, policy.persons(again[0], at) if again else ())


def row(stands: Standing, policy: Policy, who: Reader) -> dict[str, str]:
    """The incident as the cells of a table, in the reader's language."""
    words = wording(who.language)
    has = words.nobody_has_it
    if stands.acked_until is not None:
        has = fill(words.has_it, {"who": display(stands.acked_by, policy), "until": who.clock(stands.acked_until)})
    return {
        "code": stands.code,
        "severity": words.severities.get(stands.severity, line(stands.severity)),
        "headline": stands.headline,
        "since": since(stands, who),
        "has_it": has,
        "next": says(stands.next, policy, who),
    }


def since(stands: Standing, who: Reader) -> str:
    end = who.now if stands.closed is None else stands.closed
    return f"{who.clock(stands.since)} ({ago(end - stands.since, who.language)})"


def says(coming: Next | None, policy: Policy, who: Reader) -> str:
    if coming is None:
        return ""
    to = ", ".join(display(name, policy) for name in coming.to)
    said = {"at": who.clock(coming.at), "to": to, "because": coming.because}
    return fill(wording(who.language).nexts[coming.what], said)


def display(name: str, policy: Policy) -> str:
    """A contact's name for people; any other name as it is."""
    contact = policy.contacts.get(name)
    return line(contact.display if contact else name)


def _member(member: Finding, incident: Incident, who: Reader) -> Member:
    alone = msgspec.structs.replace(incident, key=member.key, members={member.key: member})
    rule = who.rules.get(member.rule)
    return Member(
        rule=member.rule,
        labels=dict(member.labels),
        state=member.state,
        severity=member.severity,
        value=member.value,
        threshold=member.threshold,
        since=member.since,
        note=member.note,
        summary=topic(alone, False, who),
        shown="" if rule is None or _yes_or_no(rule, member.value) else amount(rule, member.value, who),
        limit="" if rule is None or member.threshold is None or _yes_or_no(rule, member.value)
        else amount(rule, member.threshold, who),
    )


def amount(rule: Rule, value: float, who: Reader) -> str:
    """What the rule compares, in its unit: seconds for a forecast or an absence, else the metric's."""
    metric = "_seconds" if rule.kind in ("forecast", "absent") else rule.metric
    return show(metric, value, who.language, zone=who.zone, now=who.now)


def _yes_or_no(rule: Rule, value: float) -> bool:
    return rule.kind in ("above", "below") and not unit(rule.metric) and value in (0, 1)


@dataclass(frozen=True, slots=True)
class Watched:
    """One collector as a row: its state is good, partly, failed, stale or never; `age` in seconds."""

    name: str
    state: str
    age: float | None
    said: str  # the state in words
    age_said: str


def watched(states: Sequence[CollectorState], who: Reader) -> list[Watched]:
    """The collectors by name. Data is stale when a second run should have been through by now."""
    return [_watched(state, who, wording(who.language)) for state in sorted(states, key=lambda each: each.name)]


def _watched(state: CollectorState, who: Reader, words: Wording) -> Watched:
    age = None if state.at is None else max(0.0, who.now - state.at)
    troubles = "; ".join(f"{target}: {error}" for target, error in state.troubles)
    if age is None:
        kind, error = "never", ""
    elif age > 2 * state.every + state.timeout:
        kind, error = "stale", ""
    elif not state.success:
        kind, error = "failed", state.error or troubles
    else:
        kind, error = ("partly", troubles) if troubles else ("good", "")
    said = fill(words.collector_states[kind], {"error": line(error)})
    return Watched(state.name, kind, age, said, words.never if age is None else span(age, who))


def span(seconds: float, who: Reader) -> str:
    """`12 detik lalu`: to the second below a minute, for data is that young."""
    text = show("_seconds", round(seconds), who.language) if seconds < 60 else ago(seconds, who.language)
    return fill(wording(who.language).ago, {"ago": text})
