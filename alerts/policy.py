"""Who is told, when, and by which channel: the configuration that judgement needs, as plain frozen values."""

from typing import Any

import msgspec

from collectors.quantities import Seconds

ONCALL = "oncall"  # in `Step.to`: whoever is on duty
NEXT_PERSON = 900.0  # seconds without an acknowledgement until the next person is told
LONGEST_BATCH = 60.0  # promise 12: a critical message waits no longer than this window
FEWEST_TURNS = 2  # a single turn is no flapping


def _by_severity(critical: float, warning: float) -> Any:
    return msgspec.field(default_factory=lambda: {"critical": critical, "warning": warning})


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can be told. `channels` are notifier names in order of preference; `copy` get everything besides."""

    name: str
    display: str
    language: str
    addresses: dict[str, str] = {}  # "whatsapp", "telegram", "email", "phone" … as the notifiers' `address` names it
    channels: tuple[str, ...]
    copy: tuple[str, ...] = ()
    technician: bool = True  # has a terminal: gets the first step for a technician, not the one for a lay person
    shared: bool = False  # a phone of several people: an answer must name the person


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of the escalation: `after` seconds without an acknowledgement, tell these."""

    after: float
    to: tuple[str, ...]  # contact names, or "oncall"
    channels: tuple[str, ...] = ()  # instead of the contact's own
    severities: tuple[str, ...] = ("warning", "critical")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How the desk speaks. Times in seconds, dicts by severity. The fields after `steps` are the keys of `[alerts]`."""

    contacts: dict[str, Contact]
    people: tuple[str, ...]  # the [oncall] list, in order
    steps: tuple[Step, ...]
    remind: dict[str, Seconds] = _by_severity(900.0, 14400.0)
    ack_for: Seconds = 7200.0
    batch: Seconds = 5.0  # problems for one person within it share a message
    stale: dict[str, Seconds] = _by_severity(21600.0, 3600.0)  # older messages are not sent any more
    undelivered: dict[str, Seconds] = _by_severity(180.0, 900.0)  # not delivered by then: next channel
    flap_window: Seconds = 3600.0
    flap_turns: int = 3  # opened this often within `flap_window`: it flaps
    flap_calm: Seconds = 1800.0  # good this long: the flapping is over
    baseline: Seconds = 120.0  # what is found this soon after the first start is one message

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

    def steps_for(self, severity: str) -> tuple[Step, ...]:
        """The escalation of that severity, in order of delay."""
        return tuple(step for step in self.steps if severity in step.severities)

    def persons(self, step: Step, now: float) -> tuple[str, ...]:
        """The names of whom a step tells at that time; each once."""
        names = (self.people[0] if name == ONCALL else name for name in step.to)
        return tuple(dict.fromkeys(names))


def default_steps(people: tuple[str, ...]) -> tuple[Step, ...]:
    """The escalation when none is configured: who is on duty at once, then for critical ones each next person."""
    first = Step(after=0.0, to=(ONCALL,))
    others = (Step(after=NEXT_PERSON * rung, to=(name,), severities=("critical",))
              for rung, name in enumerate(people[1:], start=1))
    return (first, *others)
