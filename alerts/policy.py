"""Who is told, when, and by which channel: the configuration that judgement needs, as plain frozen values."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from alerts import quiet
from alerts.incident import Incident
from alerts.judgement import fits
from alerts.quiet import Hours, Maintenance, Quiet
from alerts.roster import Roster, Rotation, on_duty, order
from alerts.rule import RANK, Severity
from collectors.base import Labels
from collectors.quantities import Seconds

ONCALL = "oncall"  # in `Step.to`: whoever is on duty
NEXT = re.compile(r"next([2-9]|[1-9]\d)?")  # in `Step.to`: the next in rotation, "next2" the one after them
ALL = "all"  # in `Step.to`: everybody of [oncall]
CALL_AFTER = 300.0  # seconds without an acknowledgement until the same person is called
NEXT_PERSON = 900.0  # seconds without an acknowledgement until the next person is told
LONGEST_BATCH = 60.0  # promise 12: a critical message waits no longer than this window
FEWEST_TURNS = 2  # a single turn is no flapping
MOST_REPEATS = 20  # of one step

End = Literal["repeat", "remind"]


def _by_severity(critical: Any, warning: Any) -> Any:
    return msgspec.field(default_factory=lambda: {"critical": critical, "warning": warning})


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can be told. `channels` are notifier names in order of preference; `copy` get everything besides."""

    name: str
    display: str
    language: str
    addresses: dict[str, str] = {}  # "whatsapp", "telegram", "email", "phone" … as the notifiers' `address` names it
    channels: tuple[str, ...]
    copy: tuple[str, ...] = ()
    call: tuple[str, ...] = ()  # notifiers that ring: for steps with `call`
    technician: bool = True  # has a terminal: gets the first step for a technician, not the one for a lay person
    shared: bool = False  # a phone of several people: an answer must name the person
    group: bool = False  # a chat of several people: told besides, which never counts as reaching a person


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of an escalation: `after` seconds without an acknowledgement, tell these."""

    after: Seconds
    to: tuple[str, ...]  # contact names, "oncall", "next", "next2" … or "all"
    channels: tuple[str, ...] = ()  # instead of the contact's own
    severities: tuple[Severity, ...] = ("warning", "critical")
    policy: str = ""  # which [escalations.NAME] it belongs to; "" for everything that none of them takes
    call: bool = False  # ring their phones; who cannot be called is written to
    repeat: Annotated[int, msgspec.Meta(ge=0, le=MOST_REPEATS)] = 0  # tell them so often again …
    every: Seconds = 300.0  # … each after so many seconds

    @property
    def last(self) -> float:
        """When it tells for the last time, in seconds from the beginning."""
        return self.after + self.repeat * self.every

    def times(self) -> tuple["Step", ...]:
        """The same, once for each time that it tells."""
        return tuple(msgspec.structs.replace(self, after=self.after + turn * self.every, repeat=0)
                     for turn in range(self.repeat + 1))


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """`[escalations.NAME]`: steps of its own for what fits `match` (label, `rule` or `severity` -> patterns)."""

    name: str
    match: dict[str, tuple[str, ...]]
    end: Literal["", "repeat", "remind"] = ""  # instead of [alerts] end


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """What one person gets at most in a day besides critical messages; 0 is no limit."""

    per_day: Annotated[int, msgspec.Meta(ge=0)] = 40  # messages
    rupiah_per_day: Annotated[float, msgspec.Meta(ge=0)] = 0.0  # of all people together


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How the desk speaks. Times in seconds, dicts by severity. The fields from `remind` on are those of `[alerts]`."""

    contacts: dict[str, Contact]
    people: tuple[str, ...]  # the [oncall] list, in order
    rotation: Rotation = Rotation()
    zone: str = "Asia/Jakarta"  # whose clock local times go by
    steps: tuple[Step, ...]
    escalations: dict[str, Escalation] = {}  # in order: the first that fits is taken
    hours: Hours = Hours()
    maintenance: tuple[Maintenance, ...] = ()
    remind: dict[str, Seconds] = _by_severity(900.0, 14400.0)
    end: dict[str, End] = _by_severity("repeat", "remind")  # of the list of steps: start again, or remind all of them
    ack_for: Seconds = 7200.0
    batch: Seconds = 5.0  # problems for one person within it share a message
    stale: dict[str, Seconds] = _by_severity(21600.0, 3600.0)  # older messages are not sent any more
    undelivered: dict[str, Seconds] = _by_severity(180.0, 900.0)  # not delivered by then: next channel
    flap_window: Seconds = 3600.0
    flap_turns: int = 3  # opened this often within `flap_window`: it flaps
    flap_calm: Seconds = 1800.0  # good this long: the flapping is over
    baseline: Seconds = 120.0  # what is found this soon after the first start is one message
    quiet: Quiet = Quiet()  # warnings wait for its end
    quiet_closed_days: bool = False  # warnings wait on holidays and other days without the shop too
    probation: Seconds = 604800.0  # so long after the installation warnings go into the digest only
    budget: Budget = Budget()
    price: dict[str, float] = {}  # Rupiah for one message, by channel

    def __post_init__(self) -> None:
        # a zero here would have the desk speak without end
        for name, times in (("remind", self.remind), ("stale", self.stale), ("undelivered", self.undelivered)):
            if any(seconds <= 0 for seconds in times.values()):
                raise ValueError(f'{name} must be longer than nothing: write {{ critical = "15m", warning = "4h" }}')
        if self.ack_for <= 0:
            raise ValueError('ack_for must be longer than nothing: write "2h"')
        if self.batch > LONGEST_BATCH:
            raise ValueError('batch holds back critical messages too, so it ends at "60s"')
        if self.flap_turns < FEWEST_TURNS:
            raise ValueError("flap_turns must be at least 2: a single turn is no flapping")

    @property
    def roster(self) -> Roster:
        return Roster(people=self.people, rotation=self.rotation, zone=self.zone)

    @property
    def reachable(self) -> frozenset[str]:
        """The contacts whose being told counts: a person with a channel."""
        return frozenset(name for name, each in self.contacts.items() if each.channels and not each.group)

    def on_duty(self, now: float) -> str:
        """Whose turn it is; "" where nobody's."""
        return on_duty(self.roster, now)

    # --- escalation ----------------------------------------------------------------------------------------------

    def steps_for(self, severity: str, rule: str = "", labels: Labels = ()) -> tuple[Step, ...]:
        """The escalation of such a problem, in order of delay; a step that repeats comes as often as it tells."""
        name = self._escalation(severity, rule, labels)
        return tuple(each for step in self.steps if step.policy == name and severity in step.severities
                     for each in step.times())

    def steps_of(self, incident: Incident) -> tuple[Step, ...]:
        """The escalation of that incident: that of its worst member."""
        return self.steps_for(incident.severity, *_worst(incident))

    def end_for(self, severity: str, rule: str = "", labels: Labels = ()) -> End:
        """What follows the last step of that escalation: the first one again, or reminders to everybody told."""
        own = self.escalations.get(self._escalation(severity, rule, labels))
        return (own.end if own else "") or self.end.get(severity, "remind")

    def end_of(self, incident: Incident) -> End:
        return self.end_for(incident.severity, *_worst(incident))

    def persons(self, step: Step, now: float) -> tuple[str, ...]:
        """The names of whom a step tells at that time; each once."""
        people = order(self.roster, now)
        names = [one for name in step.to for one in _meant(name, people)]
        return tuple(dict.fromkeys(names))

    def ways(self, contact: str, step: Step) -> tuple[str, ...]:
        """The channels by which a step speaks to somebody, in order of preference."""
        person = self.contacts[contact]
        return (person.call if step.call else step.channels) or step.channels or person.channels

    def _escalation(self, severity: str, rule: str, labels: Labels) -> str:
        """The first that fits and has a step for that severity; "" for the common one."""
        facts = (*labels, ("rule", rule), ("severity", severity))
        have = {step.policy for step in self.steps if severity in step.severities}
        return next((name for name, each in self.escalations.items() if name in have and fits(each.match, facts)), "")

    # --- quiet ---------------------------------------------------------------------------------------------------

    def quiet_until(self, severity: str, at: float) -> float | None:
        """When the quiet that holds back this severity ends; None: speak. Critical never waits."""
        if severity == "critical":
            return None
        return quiet.quiet_until(self.quiet, self.hours, self.quiet_closed_days, ZoneInfo(self.zone), at)

    def in_maintenance(self, rule: str, labels: Labels, at: float) -> tuple[str, float] | None:
        """The maintenance that holds on this now, and when it ends; of several the one that ends last."""
        facts, zone = (*labels, ("rule", rule)), ZoneInfo(self.zone)
        windows = [(each.name, end) for each in self.maintenance
                   if fits(each.match, facts) and (end := quiet.maintained(each, zone, at)) is not None]
        return max(windows, key=lambda window: window[1], default=None)

    def shop_day(self, at: float) -> bool:
        """Does the shop open on that day?"""
        return quiet.shop_day(self.hours, ZoneInfo(self.zone), at)


def default_steps(people: tuple[str, ...], contacts: Mapping[str, Contact] | None = None) -> tuple[Step, ...]:
    """The escalation when none is configured: who is on duty at once; for critical ones each next person later.

    Where `contacts` says that some can be called, each is called before the next person is told. Groups among them
    are told besides, at once.
    """
    known = contacts or {}
    calls = any(known[name].call for name in people if name in known)
    steps = [Step(after=0.0, to=(ONCALL, *(name for name, each in known.items() if each.group)))]
    for rung in range(len(people)):
        to = (ONCALL,) if not rung else ("next" if rung == 1 else f"next{rung}",)
        if rung:
            steps.append(Step(after=NEXT_PERSON * rung, to=to, severities=("critical",)))
        if calls:
            steps.append(Step(after=NEXT_PERSON * rung + CALL_AFTER, to=to, severities=("critical",), call=True))
    return tuple(steps)


def rung_of(name: str) -> int | None:
    """0 for "oncall", 1 for "next", 2 for "next2"; None for any other name."""
    if name == ONCALL:
        return 0
    written = NEXT.fullmatch(name)
    return int(written[1] or 1) if written else None


def _meant(name: str, people: tuple[str, ...]) -> tuple[str, ...]:
    """The people that one word of `Step.to` means; `people` begin with who is on duty."""
    if name == ALL:
        return people
    rung = rung_of(name)
    if rung is None:
        return (name,)
    return (people[rung % len(people)],) if people else ()


def _worst(incident: Incident) -> tuple[str, Labels]:
    """Rule and labels of its worst member; of several the one that was bad first."""
    members = [member for member in incident.members.values() if member.state != "good"]
    members = members or list(incident.members.values())
    worst = min(members, key=lambda m: (-RANK.get(m.severity, 0), m.since, m.key), default=None)
    return (worst.rule, worst.labels) if worst else ("", ())
