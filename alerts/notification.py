"""What leaves the house: a Notification says why we speak, a Letter is what one notifier sends to one person.

A Notification is structured and a row before it is a message. The outbox gathers those for one person and channel into
a Letter, and the notifier turns that into what its vendor takes.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import ClassVar, Literal, Protocol

import msgspec

from alerts.digest import Digest
from alerts.incident import Incident

Reason = Literal["opened", "worsened", "joined", "escalated", "reminded", "ack_expired", "acked", "unacked",
                 "recurred", "flapping", "resolved", "test", "answer", "handover", "digest", "proof"]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What we answer to somebody who wrote: which phrase (alerts/phrases.py, `answers`), and what goes into it."""

    phrase: str
    values: dict[str, str] = {}
    incidents: tuple[Incident, ...] = ()  # to be listed below it, a line each


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to speak to one person by one channel about one incident (as it stood then)."""

    code: str
    ordinal: int
    reason: Reason
    severity: str
    contact: str
    channel: str
    created: float
    not_before: float  # the batch window's end
    stale_at: float  # after this it is not sent any more, and that is said
    incident: Incident
    who: str = ""  # who acknowledged, where that is the reason
    answer: Answer | None = None  # where that is the reason
    digest: Digest | None = None  # where that is the reason
    stands_in_for: str = ""  # mark of the message whose channel failed
    tried: tuple[str, ...] = ()  # the channels that failed for this word before

    @property
    def mark(self) -> str:
        return f"{self.code}-{self.ordinal}"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One problem in a letter, already in the reader's language; no field but `detail` may hold a newline."""

    code: str
    mark: str
    severity: str
    reason: Reason
    headline: str  # "KRITIS: Disk / terisi 93 %"
    since: str  # "Sejak 02.14 WIB (12 menit)"
    detail: str = ""  # masked evidence; may have several lines
    first: str = ""
    fix: str = ""
    answer: str = ""  # how to say "I have it"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one person by one channel. `mark` must travel in it, so that a provider can be asked for it."""

    mark: str
    to: str  # the address that the notifier's `address` names; "" where it needs none
    name: str
    language: str
    severity: str
    created: float
    stale_at: float
    subject: str  # one line that stands alone
    sections: tuple[Section, ...]
    footer: str = ""  # "2 pesan basi tidak terkirim", the site, the agent
    window_open: bool = False  # the person wrote to us in the last 24 h (WhatsApp)
    from_memory: bool = False  # sent although it could not be stored
    codes_only: bool = False  # its content was refused before: say the codes and nothing else


class Proof(IntEnum):
    """How strongly it is known that a message arrived; each implies those before it."""

    ACCEPTED = 1
    DELIVERED = 2
    READ = 3
    ANSWERED = 4


class Receipt(msgspec.Struct, frozen=True):
    """The provider has it: its id for the message and the proof so far."""

    id: str
    proof: Proof = Proof.ACCEPTED


class Status(msgspec.Struct, frozen=True):
    """What became of a message. `failed` is the vendor's code and words, and ends it; `retry`: another try may help."""

    proof: Proof | None = None
    failed: str = ""
    retry: bool = False
    needs_template: bool = False  # WhatsApp 63016: the 24-hour window is shut
    unreached: bool = False  # the channel works, the person was not there: nobody picked up, the line was busy
    content_refused: bool = False  # the same to the same person may pass with other words


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wrote to us. `id` is the provider's and the same by every way it reaches us (webhook, polling)."""

    id: str
    address: str  # the writer's, as a contact's address is written: "+62812…", a chat's number, "budi@…"
    text: str
    at: float  # unix seconds
    name: str = ""  # as the channel shows the writer
    payload: str = ""  # a tapped button's data
    about: str = ""  # the provider's id of our message that it answers
    group: str = ""  # the group's address, where it was written in one
    media: bool = False  # a picture, voice note or sticker: there is nothing to read


class Refused(Exception):
    """Permanent: trying again changes nothing. `code` is the vendor's."""

    def __init__(self, why: str, code: str = "") -> None:
        super().__init__(why)
        self.why, self.code = why, code


class Busy(Exception):
    """Transient and surely not accepted: try again, not before `retry_after` seconds where the vendor said so."""

    def __init__(self, why: str, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.why, self.retry_after = why, retry_after


class Uncertain(Exception):
    """It may have been accepted (time-out after the request, cut connection): ask for the mark before sending again."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Notifier(Protocol):
    """What the outbox needs of a channel. It sends and says; it never sleeps, retries or judges.

    One module in `alerts/notifiers/`: the file name is its name, its one public Struct with a `send` is the notifier,
    the fields are its options in `[notifiers.NAME]`, the docstring is its manual.
    Optional besides: `find(mark, to) -> Receipt | None` (ask the provider, without a date filter, whether it has the
    mark), `status(id) -> Status`, and `replies(since) -> Sequence[Reply]` (what people wrote since that time in unix
    seconds, oldest first; the same reply may come again). All calls raise Refused, Busy or Uncertain and carry their
    own time-outs (10 s).
    """

    proof: ClassVar[Proof]  # the strongest proof it can ever give
    address: ClassVar[str]  # the contact's field it writes to: "whatsapp", "email" …; "" for none

    @property
    def send(self) -> Callable[[Letter], Receipt]: ...
