"""A Twilio on loopback that refuses what Twilio refuses, remembers what it took, and misbehaves when told to.

In a test: `with FakeTwilio() as fake: … fake.url …`. As a process of its own, which outlives a killed agent:
`python -m agent.demo.fake_twilio --port 9899 --state FILE`, looked into and steered under `/_fake/`.
`messages` is the truth that a sender's own record is compared with.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from agent.demo.fake_twilio.api import Api, outbound
from agent.demo.fake_twilio.door import Server
from agent.demo.fake_twilio.faults import Fault, Kind, Plan
from agent.demo.fake_twilio.ledger import SANDBOX, Account, Call, Ledger, Message, Person, Template
from agent.demo.fake_twilio.posts import Manner, Post, Postman

__all__ = ["SANDBOX", "Account", "Call", "FakeTwilio", "Fault", "Manner", "Message", "Person", "Post", "Template"]


class FakeTwilio:
    """Starts at once; `close` ends it. With `account.pace` messages move by themselves, else only by `advance`."""

    def __init__(self, account: Account | None = None, *, port: int = 0, clock: Callable[[], float] = time.time,
                 file: Path | None = None) -> None:
        self.ledger = Ledger(account or Account(), clock, file)
        self._plan, self._postman = Plan(), Postman()
        self.api = Api(self.ledger, self._plan, self._postman)
        self._server = Server(port, self.api)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._server.closing.set()
        self._postman.close()
        self._server.shutdown()
        self._server.server_close()

    @property
    def account(self) -> Account:
        return self.ledger.books.account

    @property
    def messages(self) -> list[Message]:
        """What was accepted from us, in order."""
        return outbound(self.ledger.messages())

    @property
    def calls(self) -> list[Call]:
        """The voice calls that were accepted, in order."""
        return self.ledger.calls()

    def wait_calls(self, count: int, timeout: float = 10.0) -> list[Call]:
        """Wait until `count` calls were accepted; returns what there is after at most `timeout` seconds."""
        with self.ledger.lock:
            self.ledger.lock.wait_for(lambda: len(self.calls) >= count, timeout)
        return self.calls

    def advance_call(self, sid: str, status: str, answered_by: str = "") -> Call:
        """Move a call on: `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `failed`, `canceled`."""
        return self.ledger.advance_call(sid, status, answered_by)

    def tap(self, from_: str, sid: str) -> Message:
        """Somebody taps the button of our message."""
        return self.api.tap(from_, sid)

    @property
    def posts(self) -> list[Post]:
        """The callbacks and webhooks that were made."""
        return list(self._postman.posts)

    def wait(self, count: int, timeout: float = 10.0) -> list[Message]:
        """Wait until `count` messages were accepted; returns what there is after at most `timeout` seconds."""
        with self.ledger.lock:
            self.ledger.lock.wait_for(lambda: len(self.messages) >= count, timeout)
        return self.messages

    def wait_posts(self, count: int, timeout: float = 10.0) -> list[Post]:
        """The same for callbacks."""
        with self._postman.changed:
            self._postman.changed.wait_for(lambda: len(self._postman.posts) >= count, timeout)
        return self.posts

    def misbehave(self, next: list[Kind | Fault]) -> None:
        """Plan faults for the next requests; a bare word is a fault on create."""
        self._plan.add([Fault(kind=fault) if isinstance(fault, str) else fault for fault in next])

    def person(self, number: str, **traits: Any) -> None:
        """Set somebody's traits (the fields of `Person`): `fake.person("+62…", fail=63024)`."""
        with self.ledger.lock:
            self.ledger.books.people[number] = msgspec.structs.replace(self.ledger.person(number), **traits)
            self.ledger.save()

    def settings(self, **fields: Any) -> None:
        """Change fields of the account: `fake.settings(active=False)`."""
        with self.ledger.lock:
            self.ledger.books.account = msgspec.structs.replace(self.account, **fields)
            self.ledger.save()

    def callbacks(self, manner: Manner) -> None:
        self._postman.manner = manner

    def template(self, body: str, *, status: str = "approved", language: str = "id",
                 variables: dict[str, str] | None = None, button: str = "") -> str:
        """Register a template as if WhatsApp had judged it already; returns its ContentSid."""
        types: dict[str, dict[str, Any]] = {"twilio/text": {"body": body}}
        if button:
            tap = {"type": "QUICK_REPLY", "title": button, "id": "ok"}
            types = {"twilio/quick-reply": {"body": body, "actions": [tap]}}
        with self.ledger.lock:
            sid = self.ledger.new_sid("HX")
            self.ledger.books.templates[sid] = Template(
                sid=sid, types=types, variables=variables or {}, status=status,
                language=language)
            self.ledger.save()
        return sid

    def approve(self, sid: str, status: str = "approved", reason: str = "") -> None:
        """WhatsApp's verdict on a template: approved, rejected, paused, disabled …"""
        with self.ledger.lock:
            self.ledger.books.templates[sid] = msgspec.structs.replace(
                self.ledger.books.templates[sid], status=status, rejection_reason=reason)
            self.ledger.save()

    def advance(self, sid: str, status: str, error: int | None = None) -> Message:
        """Move a message on: `sent`, `delivered`, `read`, or `failed` with its error."""
        return self.ledger.advance(sid, status, error)

    def inbound(self, from_: str, body: str = "", *, to: str = "", media: int = 0, **extra: str) -> Message:
        """Somebody writes to our sender: opens the window, and calls the webhook where one is set."""
        return self.api.inbound(from_, body, to, media, **extra)
