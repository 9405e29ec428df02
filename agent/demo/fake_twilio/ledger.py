"""What the fake Twilio remembers: the account, people, templates and messages, and how a message's status lives on."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

WINDOW = 24 * 3600.0  # WhatsApp's window for free text, after the person's last message
SANDBOX = "+14155238886"
SANDBOX_JOIN = 3 * 24 * 3600.0  # a joined phone drops out after three days
WAY = ("accepted", "queued", "sending", "sent", "delivered", "read")  # a message only moves on, never back
ENDED = ("failed", "undelivered", "canceled")
CALL_ENDED = ("completed", "busy", "no-answer", "failed", "canceled")


class Turn(msgspec.Struct, frozen=True):
    """A change of status that lies ahead: when (unix seconds), to what, with which error."""

    at: float
    status: str
    error: int | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it stands. Addresses carry their channel (`whatsapp:+62…`); times in unix seconds."""

    sid: str
    to: str
    sender: str = ""
    service: str = ""  # the Messaging Service's sid
    body: str = ""
    direction: str = "outbound-api"
    status: str = "queued"
    error: int | None = None
    created: float
    updated: float
    sent: float | None = None
    content_sid: str = ""
    variables: dict[str, str] = {}
    validity: int = 36000
    callback: str = ""
    media: int = 0
    ahead: tuple[Turn, ...] = ()


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One voice call as it stands. Times in unix seconds; `start` is when somebody picked up."""

    sid: str
    to: str
    sender: str
    twiml: str
    detects: bool = False  # asked who picks up: a person or a machine
    status: str = "queued"
    answered_by: str = ""
    created: float
    updated: float
    start: float | None = None
    end: float | None = None
    ring: int = 60  # seconds
    ahead: tuple[Turn, ...] = ()


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's phone. `refuse` is an error code given at once, `fail` one that comes after the 201."""

    refuse: int = 0  # 21610: opted out
    fail: int = 0  # 63024: not on WhatsApp
    blocked: bool = False  # has blocked the sender: messages stay `sent` for ever, without an error
    joined_until: float = 0.0  # the sandbox
    wrote: float | None = None  # the last message from them
    refuse_call: int = 0  # 21214: no carrier reaches the number
    line: str = "human"  # who picks up (human, machine_start, fax, unknown), or how the call ends (busy, no-answer …)


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A content template and how far its approval by WhatsApp got."""

    sid: str
    friendly_name: str = ""
    language: str = "id"
    types: dict[str, dict[str, Any]]
    variables: dict[str, str] = {}  # defaults, where a message gives none
    status: str = "unsubmitted"
    name: str = ""
    category: str = ""
    rejection_reason: str = ""

    @property
    def body(self) -> str:
        return str(next(iter(self.types.values()), {}).get("body", ""))


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The account and the habits of this fake."""

    sid: str = "AC" + "0" * 32
    token: str = "token"  # noqa: S105 -- the fake's own, and it opens nothing
    keys: dict[str, str] = {}  # API key sid -> secret
    senders: tuple[str, ...] = ("+15005550006",)
    services: tuple[str, ...] = ()  # Messaging Service sids
    active: bool = True  # False: out of funds
    balance: str = "12.50"
    currency: str = "USD"
    pair_seconds: float = 6.0  # WhatsApp takes about one message per 6 s from one sender to one person; 0: no limit
    # after how many seconds a message reaches each status by itself; empty: only by `advance`
    pace: tuple[tuple[str, float], ...] = ()
    callers: tuple[str, ...] = ("+15005550006",)  # numbers that may call
    countries: tuple[str, ...] = ("+62",)  # geographic permissions for calls, as the numbers begin
    call_pace: tuple[tuple[str, float], ...] = ()  # the same for calls: ringing, in-progress, completed


class Books(msgspec.Struct):
    """Everything that survives the process."""

    account: Account
    people: dict[str, Person] = {}
    templates: dict[str, Template] = {}
    messages: dict[str, Message] = {}
    calls: dict[str, Call] = {}
    serial: int = 0


class Ledger:
    """The fake's memory: one lock, every change saved to `file` (where one is given) before anybody hears of it."""

    def __init__(self, account: Account, clock: Callable[[], float], file: Path | None = None) -> None:
        self.clock, self._file = clock, file
        self.lock = threading.Condition(threading.RLock())
        self.on_status: Callable[[Message], None] = lambda message: None
        self.books = Books(account)
        if file is not None and file.exists():
            self.books = msgspec.json.decode(file.read_bytes(), type=Books)

    def save(self) -> None:
        if self._file is not None:
            fresh = self._file.with_suffix(".new")
            fresh.write_bytes(msgspec.json.encode(self.books))
            fresh.replace(self._file)
        self.lock.notify_all()

    def new_sid(self, prefix: str) -> str:
        self.books.serial += 1
        return f"{prefix}{self.books.serial:032x}"

    def put(self, message: Message) -> Message:
        with self.lock:
            self.books.messages[message.sid] = message
            self.save()
        return message

    def messages(self) -> list[Message]:
        """All messages in the order in which they were accepted, with what time has made of them."""
        with self.lock:
            self.settle()
            return list(self.books.messages.values())

    def settle(self) -> None:
        """Let every change of status happen whose time has come."""
        now = self.clock()
        with self.lock:
            for message in list(self.books.messages.values()):
                for turn in message.ahead:
                    if turn.at <= now and turn in self.books.messages[message.sid].ahead:
                        self.advance(message.sid, turn.status, turn.error)
            for call in list(self.books.calls.values()):
                for turn in call.ahead:
                    if turn.at <= now and turn in self.books.calls[call.sid].ahead:
                        self.advance_call(call.sid, turn.status, at=turn.at)

    def advance(self, sid: str, status: str, error: int | None = None) -> Message:
        """Set one message's status now. Raises KeyError for an unknown sid."""
        with self.lock:
            old = self.books.messages[sid]
            now = self.clock()
            sent = now if old.sent is None and status not in ("queued", "accepted", *ENDED) else old.sent
            passed = WAY[:WAY.index(status) + 1] if status in WAY else ()
            ahead = () if status in ENDED else tuple(turn for turn in old.ahead if turn.status not in passed)
            message = self.put(msgspec.structs.replace(
                old, status=status, error=error, updated=now, sent=sent, ahead=ahead))
        self.on_status(message)
        return message

    def put_call(self, call: Call) -> Call:
        with self.lock:
            self.books.calls[call.sid] = call
            self.save()
        return call

    def calls(self) -> list[Call]:
        """All calls in the order in which they were accepted, with what time has made of them."""
        with self.lock:
            self.settle()
            return list(self.books.calls.values())

    def advance_call(self, sid: str, status: str, answered_by: str = "", at: float | None = None) -> Call:
        """Set one call's status now, or as of `at`. Who picks up is the person's `line`, where nobody is named."""
        with self.lock:
            call = self.books.calls[sid]
            line = answered_by or call.answered_by or self.person(call.to).line
            return self.put_call(_advanced(call, status, line, self.clock() if at is None else at))

    def person(self, number: str) -> Person:
        return self.books.people.get(number, Person())

    def inbound(self, number: str, body: str, to: str, media: int = 0) -> Message:
        """Take a message from a person: it opens the 24-hour window; `join …` joins the sandbox, STOP and START opt."""
        with self.lock:
            now, person = self.clock(), self.person(number)
            word = body.strip().lower()
            if to == SANDBOX and word.startswith("join "):
                person = msgspec.structs.replace(person, joined_until=now + SANDBOX_JOIN)
            if word in ("stop", "start"):
                person = msgspec.structs.replace(person, refuse=21610 if word == "stop" else 0)
            self.books.people[number] = msgspec.structs.replace(person, wrote=now)
            return self.put(Message(sid=self.new_sid("SM"), to=f"whatsapp:{to}", sender=f"whatsapp:{number}", body=body,
                                    direction="inbound", status="received", created=now, updated=now, sent=now,
                                    media=media))


def _advanced(call: Call, status: str, line: str, now: float) -> Call:
    """The call in its next status. `line`: who picks up, which is told only where detection was asked for."""
    answered = status in ("in-progress", "completed")
    start = call.start if call.start is not None else now if answered else None
    return msgspec.structs.replace(
        call, status=status, updated=now, start=start, end=now if status in CALL_ENDED else None,
        answered_by=line if call.detects and answered else "",
        ahead=() if status in CALL_ENDED else tuple(turn for turn in call.ahead if turn.status != status))
