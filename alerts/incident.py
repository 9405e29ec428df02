"""A finding, and the incident that grows from it: one problem on one thing, from open to closed, as plain values."""

from typing import Literal

import msgspec

from collectors.base import Labels

State = Literal["good", "bad", "unknown"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A rule's verdict on one thing. Identity is rule and labels; severity is not part of it. Only `good` closes."""

    rule: str
    labels: Labels
    state: State
    severity: str = ""  # of a bad one: "warning" or "critical"
    value: float = 0.0
    threshold: float | None = None
    note: str = ""
    since: float = 0.0  # unix seconds when it began to be bad
    collector: str = ""  # who measured it, so that it can be asked to explain
    was: float | None = None  # of a good one: the value while it was bad

    @property
    def key(self) -> str:
        """Identity as text: `disk_space{mount="/"}`."""
        return self.rule + "{" + ",".join(f'{name}="{value}"' for name, value in self.labels) + "}"


class Told(msgspec.Struct, frozen=True):
    """Somebody who was told of an incident, and by which channel: who is told of the end as well."""

    contact: str
    channel: str


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, or several followed as one (`members`, by finding key). All times in unix seconds."""

    code: str
    key: str  # the finding's key, or "baseline" for the temuan awal
    opened: float
    members: dict[str, Finding]
    severity: str  # the worst bad member's; after closing: the worst it ever was
    closed: float | None = None
    closed_why: str = ""  # "good", "removed" (no longer watched), or who closed it
    acked_by: str = ""
    acked_until: float | None = None
    acked_severity: str = ""
    last_acked_by: str = ""  # who had it when an acknowledgement last ran out
    step: int = -1  # the escalation step that was reached; -1: nobody told yet
    due: float | None = None  # when the clock must look at it again
    told: tuple[Told, ...] = ()
    ordinal: int = 0  # the last notification's
    turns: tuple[float, ...] = ()  # when it opened and reopened, for flapping
    flapping: bool = False
    calm_since: float | None = None  # flapping, but good since then
    held_by: str = ""  # why nobody is told for now: "silence:…", "maintenance:…", "inhibited:K7M", "quiet" …
    evidence: dict[str, str] = {}  # by finding key: what was gathered once, when it opened
    began: float | None = None  # when it first began to be bad, which the rule's `for` kept from opening it

    @property
    def since(self) -> float:
        """When the trouble began: of an open one what is bad now, of a closed one the whole of it."""
        first = self.opened if self.began is None else self.began
        if self.closed is not None:
            return first
        return min((m.since for m in self.members.values() if m.state != "good" and m.since > 0), default=first)
