"""A whole Jaga without its threads, on a story's clock, before vendors that are told how to misbehave.

It is the daemon's own `App`: its desk, store, outbox, notifiers, self-check and public door. Only its threads are
missing; `play` does what they would, one after another, and moves the clock to whatever is due next.
"""

import contextlib
import email
import email.policy
import os
import random
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
from aiosmtpd.controller import Controller

from agent.app import BEAT, SELFCHECK_EVERY, App
from agent.clock import Clock
from agent.demo.fake_fonnte import FakeFonnte
from agent.demo.fake_telegram import FakeTelegram
from agent.demo.fake_twilio import Account, FakeTwilio
from alerts.ledger import StoreError
from alerts.notification import Notification
from alerts.notifiers.twilio_templates import TEMPLATES
from alerts.outbox import BACK_OFF, Channel
from alerts.phrases import phrases
from collectors.base import Reading
from house import free_port
from story import MONDAY

NAME = "jaga.kopkarskf.test"
HOOK = "s3cret-s3cret-s3cret"
PHONES = {"budi": "+6281200000001", "sari": "+6281200000003"}
CHATS = {"budi": 811000001, "sari": 811000002}
DELIVERY = 2.0  # seconds from acceptance to the phone
CONFIGURATION = """
[agent]
name = "server"
[web]
listen = "127.0.0.1:{listen}"
public = "127.0.0.1:{public}"
public_url = "https://{name}"
[store]
ballast = 0
[collectors.disk]
[notifiers.twilio]
account_sid = "{sid}"
auth_token = {{ env = "FAKE_TOKEN" }}
sender = "+15005550006"
template = "{template}"
base_url = "{twilio}"
timeout = "{timeouts[twilio]}"
{callback}
[notifiers.telegram]
token = {{ env = "FAKE_BOT" }}
base_url = "{telegram}"
timeout = "{timeouts[telegram]}"
[notifiers.fonnte]
token = {{ env = "FAKE_FONNTE" }}
base_url = "{fonnte}"
hook_secret = {{ env = "FAKE_HOOK" }}
timeout = "{timeouts[fonnte]}"
[notifiers.email]
host = "localhost"
port = {smtp}
{security}
sender = "Jaga <jaga@kopkarskf.test>"
timeout = "{timeouts[email]}"
{contacts}
[oncall]
people = ["budi", "sari"]
[alerts]
baseline = "0s"
probation = "0s"
quiet = {{ from = "00:00", to = "00:00" }}
[rules.disk_space]
for = "0s"
"""
CONTACT = """
[contacts.{name}]
whatsapp = "{phone}"
telegram = {chat}
email = "{name}@kopkarskf.test"
channels = {channels}
"""


class StoryClock(Clock):
    """`elapsed` goes on; `ahead` is what somebody set the wall clock ahead by."""

    elapsed = ahead = 0.0

    def wall_clock(self) -> float:
        return MONDAY + self.elapsed + self.ahead

    def steady(self) -> float:
        return 1e6 + self.elapsed

    awake = steady


class Post:
    """A real SMTP server. `rcpt` and `data` are what the next mails are answered with; "cut" takes and says nothing."""

    def __init__(self, clock: StoryClock, tls: Any = None) -> None:
        self.clock, self.port = clock, free_port()
        self.rcpt, self.data = list[str](), list[str]()
        self.mails: list[tuple[float, str, str]] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port, tls_context=tls,
                                      require_starttls=tls is not None)
        self._controller.start()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.rcpt:
            return self.rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        met = self.data.pop(0) if self.data else "250 OK"
        if met[0] == "2" or met == "cut":
            mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
            text = mail.get_body(("plain",))
            assert text is not None
            self.mails.append((self.clock.elapsed, envelope.rcpt_tos[0].partition("@")[0], text.get_content()))
        if met == "cut":
            server.transport.abort()
        return met

    def close(self) -> None:
        self._controller.stop()


@dataclass(frozen=True)
class Got:
    """One message as it reached somebody: seconds since the fault, and the marks that it carried."""

    at: float
    person: str
    channel: str
    marks: tuple[str, ...]
    from_memory: bool


class Stage:
    """`first` is the channel that Budi and Sari are reached by, `then` the one after it.

    `tls` is the vendor that shows a certificate of `certificates` that has expired.
    """

    def __init__(self, folder: Path, first: str = "twilio", then: str = "email", *, tls: str = "",
                 certificates: Path = Path(), callbacks: bool = False, timeout: str = "5s") -> None:
        self.clock, self.folder, self._certificates = StoryClock(), folder, certificates
        self._open = contextlib.ExitStack()
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if tls:
            self._show("expired")
        true_time = lambda: MONDAY + self.clock.elapsed  # noqa: E731  # a vendor's clock is not the one that jumps
        self.twilio = self._open.enter_context(FakeTwilio(
            Account(pace=(("sent", 1.0), ("delivered", DELIVERY))), clock=true_time))
        self.telegram = self._open.enter_context(FakeTelegram(clock=true_time))
        self.fonnte = self._open.enter_context(FakeFonnte(clock=true_time))
        for name, chat in CHATS.items():
            self.telegram.person(chat, name.title())
        if tls == "twilio":
            server: Any = self.twilio._server
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
            self._open.enter_context(patch.dict(os.environ, {"REQUESTS_CA_BUNDLE": str(certificates / "ca.pem")}))
        self.post = Post(self.clock, self.tls if tls == "email" else None)
        self._open.callback(self.post.close)
        self._fonnte_at: list[float] = []
        self._later: list[tuple[float, Callable[[Stage], None]]] = []
        self.public = free_port()
        self._begin(CONFIGURATION.format(
            listen=free_port(), public=self.public, name=NAME, sid=self.twilio.account.sid, smtp=self.post.port,
            template=self.twilio.template(TEMPLATES["id"].body),
            timeouts=dict.fromkeys(("twilio", "telegram", "fonnte", "email"), "5s") | {first: timeout},
            twilio=self.twilio.url.replace("http://127.0.0.1", f"{'https' if tls == 'twilio' else 'http'}://localhost"),
            telegram=self.telegram.url, fonnte=self.fonnte.url,
            callback=f'status_callback = "https://{NAME}/hooks/twilio"' if callbacks else "",
            security=f'security = "starttls"\nca_file = "{certificates}/ca.pem"' if tls == "email" else
            'security = "none"',
            contacts="".join(CONTACT.format(name=name, phone=phone, chat=CHATS[name], channels=[first, then])
                             for name, phone in PHONES.items())))

    def _begin(self, configuration: str) -> None:
        (self.folder / "agent.toml").write_text(configuration, "utf-8")
        secrets = {"STATE_DIRECTORY": str(self.folder / "state"), "FAKE_TOKEN": self.twilio.account.token,
                   "FAKE_BOT": self.telegram.token, "FAKE_FONNTE": self.fonnte.token, "FAKE_HOOK": HOOK}
        self._open.enter_context(patch.dict(os.environ, secrets))
        self._open.enter_context(patch.object(Channel, "start", lambda channel: None))
        # Telegram holds a question open for a second of real time; the story has none to wait for.
        self._open.enter_context(patch("alerts.notifiers.telegram.POLL", 0))
        self.app = App(self.folder / "agent.toml", clock=self.clock)
        for door in (self.app.site, self.app.public):
            door.start()  # type: ignore[union-attr]
        self._open.callback(self.app.stop)  # the public door with it
        self._open.callback(self.app.site.stop)
        self.app.desk._chance = random.Random(1)
        self.app._open_channels({})
        for channel in self.app.channels.values():
            channel._chance = random.Random(1)
        self._turn_at = dict.fromkeys(self.app.channels, 0.0)
        self._checked = float("-inf")

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # --- what happens ------------------------------------------------------------------------------------------------

    def sees(self, used: float) -> None:
        """The disk's collector reports."""
        self.app.desk.observe("disk", [Reading("jaga_disk_used_ratio", used, (("mount", "/srv"),))], None,
                              self.clock.now())

    def later(self, seconds: float, deed: "Callable[[Stage], None]") -> None:
        """Do it so many seconds after the fault."""
        self._later.append((seconds, deed))
        self._later.sort(key=lambda one: one[0])

    def set_clock(self, seconds: float) -> None:
        """Somebody sets the wall clock ahead by so much."""
        self.clock.ahead += seconds

    def renew(self) -> None:
        """The certificate that had expired is renewed."""
        self._show("good")

    def _show(self, name: str) -> None:
        self.tls.load_cert_chain(self._certificates / f"{name}.pem", self._certificates / f"{name}.key")

    def dead_names(self, until: float) -> None:
        """No name is found any more, until so many seconds after the fault."""
        def dead(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        names = self._open.enter_context(contextlib.ExitStack())
        names.enter_context(patch("socket.getaddrinfo", dead))
        self.later(until, lambda stage: names.close())

    # --- what the threads would do -----------------------------------------------------------------------------------

    def play(self, until: float) -> None:
        """Let the story go on until so many seconds after the fault."""
        beat = self.clock.elapsed
        while True:
            deeds = [self._later[0][0]] if self._later else []
            due = min([beat, *deeds, *self._turn_at.values()])
            if due > until:
                break
            self.clock.elapsed = max(self.clock.elapsed, due)
            if deeds and deeds[0] <= self.clock.elapsed:
                self._later.pop(0)[1](self)
            if beat <= self.clock.elapsed:
                self._beat()
                beat = self.clock.elapsed + BEAT
            self._turns()
        self.clock.elapsed = until

    def _beat(self) -> None:
        with contextlib.suppress(StoreError):
            self.app._after_a_jump()
            if self.clock.elapsed - self._checked >= SELFCHECK_EVERY:
                self._checked = self.clock.elapsed
                self.app._check_self(self.clock.now())
            self.app.desk.tick(self.clock.now())

    def _turns(self) -> None:
        now = self.clock.elapsed
        for name, channel in self.app.channels.items():
            if self._turn_at[name] <= now or channel._awake.is_set():
                channel._awake.clear()
                try:
                    pause = channel.turn()
                except StoreError:
                    pause = BACK_OFF[0]
                self._turn_at[name] = now + pause
        self._fonnte_at += [now] * (len(self.fonnte.messages) - len(self._fonnte_at))

    # --- what came of it ---------------------------------------------------------------------------------------------

    @property
    def code(self) -> str:
        """The disk's incident."""
        return next(i.code for i in self.app.store.all_incidents() if i.key.startswith("disk_space"))

    @property
    def got(self) -> list[Got]:
        """What reached people, in order, as the vendors tell it."""
        return sorted(self._arrived(), key=lambda got: (got.at, got.person, got.channel))

    def _arrived(self) -> Iterator[Got]:
        people = {number: name for name, number in PHONES.items()}
        chats = {chat: name for name, chat in CHATS.items()}
        for at, name, text in self.post.mails:
            yield self._got(at, name, "email", text)
        for message in self.twilio.messages:
            if message.status in ("delivered", "read"):
                yield self._got(message.created + DELIVERY - MONDAY, people[message.to.removeprefix("whatsapp:")],
                                "twilio", message.body)
        for note in self.telegram.messages:
            yield self._got(note.at - MONDAY, chats[note.chat], "telegram", note.text)
        for at, text in zip(self._fonnte_at, self.fonnte.messages, strict=True):
            if text.connected:
                yield self._got(at, people[f"+{text.target}"], "fonnte", text.text)

    @staticmethod
    def _got(at: float, person: str, channel: str, text: str) -> Got:
        news = re.sub(phrases("id").stands_in.replace("{mark}", r"\S+"), "", text)
        marks = dict.fromkeys(re.findall(r"\b(?:[A-Z]\d[A-Z]|JAGA)-\d+\b", news))
        return Got(at, person, channel, tuple(marks), phrases("id").from_memory in text)

    @property
    def words(self) -> dict[str, Notification]:
        """Every notification by its mark."""
        rows = self.app.store._read("SELECT body FROM notifications ORDER BY id")
        found = [msgspec.json.decode(body, type=Notification) for (body,) in rows]
        return {each.mark: each for each in found}
