"""What must be remembered, and the promise of whoever remembers it: all of a change, or none of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from alerts.incident import Incident
from alerts.judgement import Trace
from alerts.notification import Letter, Notification, Proof


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an incident's history: what happened, who did it, and how they said so."""

    code: str
    at: float
    what: str  # a reason to speak, or "closed", "undelivered", "explained" …
    who: str = ""
    how: str = ""  # "cli", "whatsapp", "web" …
    detail: str = ""


class Changes(msgspec.Struct, kw_only=True):
    """Everything that one observation, tick or deed changes. It is committed whole, or kept and tried again."""

    incidents: dict[str, Incident] = {}  # by code
    history: list[Entry] = []
    notifications: list[Notification] = []
    traces: dict[str, Trace | None] = {}  # by finding key; None forgets it
    memories: dict[str, dict[str, Any]] = {}  # by collector
    meta: dict[str, str] = {}

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What a start begins with."""

    incidents: tuple[Incident, ...]  # open ones, and closed ones that may still recur
    codes: frozenset[str]  # given in the last weeks
    traces: dict[str, Trace]
    meta: dict[str, str]


class StoreError(Exception):
    """A commit failed (disk full, read-only, I/O error); nothing of it was written. Says what and where."""


MessageState = Literal["sending", "uncertain", "retry", "accepted", "failed", "stale", "unknown", "done"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A letter under way: one row, written before anything is sent.

    sending: claimed, perhaps on the wire · uncertain: perhaps accepted, ask for the mark · retry: surely not accepted ·
    accepted: with the provider, proof may still grow · done: its strongest proof is there, or no more is asked ·
    failed: refused for good · stale: too old to send · unknown: perhaps accepted, nobody can be asked, not repeated.
    """

    id: int
    channel: str
    contact: str
    letter: Letter
    state: MessageState
    claimed: float
    owner: str  # the process that claimed it
    lease_until: float
    attempts: int = 0
    next_at: float | None = None  # next try, or next question about its status
    provider_id: str = ""
    proof: Proof | None = None
    accepted_at: float | None = None
    error: str = ""
    passed_on: bool = False  # its notifications went to the next channel


class Ledger(Protocol):
    """Durable memory. Every method is one transaction; all raise StoreError when it could not be made durable."""

    def commit(self, changes: Changes) -> None: ...

    def remembered(self, now: float) -> Remembered: ...

    def open_batch(self, channel: str, now: float, limit: int) -> Sequence[Notification]:
        """The queued notifications of the person whose batch window ended first; empty when none is ripe."""

    def claim(self, notifications: Sequence[Notification], message: Message) -> Message:
        """Bind them to a message (its id is given here), before it is sent."""

    def record(self, message: Message) -> None: ...

    def under_way(self, channel: str) -> Sequence[Message]:
        """Messages that still want something: a try, a question, a proof."""

    def notifications_of(self, message: Message) -> Sequence[Notification]: ...

    def stale_unsaid(self, contact: str) -> int:
        """How many messages to that person went stale without their being told so."""

    def said_stale(self, contact: str) -> None: ...

    def drop_stale(self, channel: str, now: float) -> Sequence[Notification]:
        """Mark queued notifications past their time as stale; returns them."""

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: move every time that something waits for."""

    def counts(self) -> Mapping[str, float]:
        """Figures about itself: oldest queued notification, sizes, last proof of delivery."""
