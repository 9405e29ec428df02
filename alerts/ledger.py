"""What must be remembered, and the promise of whoever remembers it: all of a change, or none of it."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

from alerts.digest import Signature
from alerts.incident import Incident
from alerts.judgement import Trace
from alerts.notification import Letter, Notification, Proof
from alerts.silence import Silence


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an incident's history: what happened, who did it, and how they said so."""

    code: str
    at: float
    what: str  # a reason to speak, or "closed", "undelivered", "explained" …
    who: str = ""
    how: str = ""  # "cli", "whatsapp", "web" …
    detail: str = ""


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was acted on: it comes by webhook and by polling, and must act once."""

    channel: str
    id: str
    contact: str
    at: float  # when it was written, unix seconds: the channel's 24-hour window begins there


class Changes(msgspec.Struct, kw_only=True):
    """Everything that one observation, tick or deed changes. It is committed whole, or kept and tried again."""

    incidents: dict[str, Incident] = {}  # by code
    history: list[Entry] = []
    notifications: list[Notification] = []
    traces: dict[str, Trace | None] = {}  # by finding key; None forgets it
    memories: dict[str, dict[str, Any]] = {}  # by collector
    meta: dict[str, str] = {}
    silences: list[Silence] = []  # new, or with another end
    heard: list[Heard] = []
    signatures: list[Signature] = []
    spoken: set[str] = set()  # marks of notifications that already went out from memory
    passed_on: list[Notification] = []  # did not arrive in time and were handed to another channel, or given up
    shift: float = 0.0  # the wall clock was set by so much: move every time that a queued word waits for

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)

    def absorb(self, later: "Changes") -> None:
        """Make one change of both, the other one the later. Only what shifts no clock can be joined."""
        if later.shift:
            raise ValueError("a shift of the clock is a change of its own")
        for name in self.__struct_fields__:
            mine, theirs = getattr(self, name), getattr(later, name)
            if isinstance(mine, dict | set):
                mine |= theirs
            elif isinstance(mine, list):
                mine += theirs


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """What a start begins with."""

    incidents: tuple[Incident, ...]  # open ones, and closed ones that may still recur
    codes: frozenset[str]  # given in the last weeks
    silences: tuple[Silence, ...]  # that are not over
    traces: dict[str, Trace]
    meta: dict[str, str]


class StoreError(Exception):
    """A commit failed (disk full, read-only, I/O error); nothing of it was written. Says what and where."""


MessageState = Literal["sending", "uncertain", "accepted", "done", "failed", "released", "unknown"]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A letter under way: one row, written before anything is sent.

    sending: claimed, perhaps on the wire · uncertain: perhaps accepted, to be asked for · accepted: the provider has
    it, proof may still grow · done: nothing more is asked about it · failed: refused for good · released: surely not
    accepted, its notifications are queued again · unknown: perhaps accepted, nobody can be asked, not repeated.
    """

    id: int
    channel: str
    contact: str
    letter: Letter
    state: MessageState
    claimed: float
    owner: str  # the process that claimed it
    questions: int = 0  # how often the provider was asked about it
    next_at: float | None = None  # when to ask next
    provider_id: str = ""
    proof: Proof | None = None
    accepted_at: float | None = None
    error: str = ""


class Ledger(Protocol):
    """Durable memory. Every method is one transaction; all raise StoreError when it could not be made durable."""

    def commit(self, changes: Changes) -> None: ...

    def remembered(self, now: float) -> Remembered: ...

    def open_batch(self, channel: str, now: float, limit: int, not_to: Collection[str] = ()) -> Sequence[Notification]:
        """The queued notifications of the person whose batch window ended first, those in `not_to` left out."""

    def next_ripe(self, channel: str, not_to: Collection[str] = ()) -> float | None:
        """When the next batch window ends, if anything is queued for others than those."""

    def claim(self, notifications: Sequence[Notification], message: Message) -> Message:
        """Bind them to a message (its id is given here), before it is sent."""

    def record(self, message: Message) -> None:
        """Write what became of a message; its notifications follow."""

    def release(self, message: Message, not_before: float) -> None:
        """It was surely not accepted: queue its notifications again, to go with whatever else waits by then."""

    def spoke(self, notifications: Sequence[Notification]) -> None:
        """These went out from memory: they are not to be sent again."""

    def under_way(self, channel: str) -> Sequence[Message]:
        """Messages that still want something: a try, a question, a proof."""

    def notifications_of(self, message: Message) -> Sequence[Notification]: ...

    def late(self, channel: str, created_before: Mapping[str, float], unproved: bool) -> Sequence[Notification]:
        """Notifications older than their severity's limit that were not passed on and are not with the person:
        neither accepted nor, where `unproved`, delivered."""

    def beside(self, notification: Notification) -> Mapping[str, bool]:
        """The other channels by which the same was told to the same person in the same moment: is it still to be
        hoped for there, or with them?"""

    def stranded(self, channels: Sequence[str]) -> Sequence[Notification]:
        """What waits for a channel that is none of these, and was not passed on."""

    def abandon(self, channels: Sequence[str]) -> None:
        """Give up whatever waits for a channel that is none of these: no thread will ever look at it again."""

    def drop_stale(self, channel: str, now: float) -> Sequence[Notification]:
        """Give up queued notifications past their time; they count as stale until that was said."""

    def stale_unsaid(self, contact: str) -> int:
        """How many notifications to that person went stale without their being told so."""

    def said_stale(self, contact: str) -> None: ...

    def hold_back(self, notifications: Sequence[Notification]) -> None:
        """Keep these out of the queue until their `not_before`, as they are here: nobody is late with them."""

    def let_go(self, channel: str, now: float) -> None:
        """Queue what was held back until now."""

    def was_heard(self, channel: str, id: str) -> bool: ...

    def last_heard(self, channel: str, contact: str) -> float | None:
        """When that person last wrote to us by that channel."""

    def message_of(self, channel: str, provider_id: str) -> Message | None:
        """The message that the provider knows by this id."""

    def codes_of(self, channel: str, provider_id: str) -> Sequence[str]:
        """The incidents that the provider's message was about."""

    def meta(self, key: str) -> str:
        """What was last committed under that key; "" where nothing was."""

    def signatures(self, day: str) -> Sequence[Signature]:
        """What people signed on that day."""

    def history(self, code: str) -> Sequence[Entry]:
        """What happened to the incidents of that code, oldest first."""

    def incident(self, code: str) -> Incident | None:
        """The newest incident that had that code, open or closed."""

    def all_incidents(self) -> Sequence[Incident]: ...

    def forget(self, contact: str, names: Sequence[str], incidents: Sequence[Incident]) -> int:
        """Erase a person under any of these names; `incidents` are those that named them, already rewritten."""
