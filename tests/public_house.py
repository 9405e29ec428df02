"""A daemon's public doors without its threads: channels that can be called, and ears that keep what they hear."""

from pathlib import Path
from typing import Any

import msgspec
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from agent import links
from agent.config import Web
from alerts.notification import Reply, Status
from alerts.notifiers.fonnte import Fonnte
from alerts.notifiers.twilio import Twilio
from collectors.disk import USED
from collectors.secret import Secret
from fake_house import FakeHouse

URL = "https://jaga.kopkarskf.test"
TOKEN, OTHER_TOKEN, HOOK = "0123456789abcdef" * 2, "fedcba9876543210" * 2, "s3cret-s3cret-s3cret"
SENDER, FORM = "+628110000000", "application/x-www-form-urlencoded"
INCOMING = {"AccountSid": "AC" + "a" * 32, "MessageSid": "SM" + "1" * 32, "From": "whatsapp:+6281234567890",
            "To": f"whatsapp:{SENDER}", "Body": "ok K7M é👍", "ProfileName": "Budi", "NumMedia": "0", "MediaUrl0": ""}


def signed(params: dict[str, str], token: str = TOKEN, url: str = f"{URL}/hooks/twilio") -> dict[str, str]:
    return {"X-Twilio-Signature": RequestValidator(token).compute_signature(url, params)}


class PublicHouse(FakeHouse):
    """A daemon's doors, with ears that keep what they hear."""

    def __init__(self, folder: Path, language: str = "id") -> None:
        super().__init__(folder, language)
        self.link_key = bytes(range(32))
        self.heard: list[tuple[str, Reply]] = []
        self.outcomes: list[tuple[str, str, Status]] = []
        self.use(notifiers={
            **self.config.notifiers,
            "calls": _twilio("c", TOKEN, api_key="SK" + "0" * 32),  # holds a key's secret, which signs nothing
            "other": _twilio("b", OTHER_TOKEN),
            "twilio": _twilio("a", TOKEN, fallback_template="HX" + "f" * 32),
            "twilio2": _twilio("a", TOKEN, sender="+628119999999"),
            "fonnte": Fonnte(token=Secret("x", lambda: "t"), hook_secret=Secret("x", lambda: HOOK)),
            "mute": Fonnte(token=Secret("x", lambda: "t")),
        })

    def use(self, **fields: Any) -> None:
        web = Web(public="127.0.0.1:9811", public_url=f"{URL}/")
        self.config = msgspec.structs.replace(self.config, **{"web": web, **fields})

    def hear(self, channel: str, reply: Reply) -> None:
        self.heard.append((channel, reply))

    def outcome(self, channel: str, provider_id: str, status: Status) -> None:
        self.outcomes.append((channel, provider_id, status))

    def sick(self) -> str:
        """Let the disk be full; the incident's code."""
        self.report(USED(0.93, mount="/"))
        return self.desk.view.open[0].code

    def well(self) -> None:
        self.report(USED(0.5, mount="/"))

    def link(self, contact: str = "budi", **more: float) -> str:
        incident = self.desk.view.open[0]
        return links.make(self.link_key, incident.code, incident.opened, contact, self.clock.now(), **more)

    def deeds(self, code: str) -> list[tuple[str, str]]:
        """What people did: what and who."""
        return [(entry.what, entry.who) for entry in self.store.history(code) if entry.how.startswith("link:")]


def _twilio(account: str, token: str, **more: Any) -> Twilio:
    return Twilio(**{"account_sid": "AC" + account * 32, "auth_token": Secret("x", lambda: token), "sender": SENDER,
                     **more})
