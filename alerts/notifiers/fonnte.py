"""WhatsApp by Fonnte, a gateway on a phone of one's own: text in both directions, and acceptance as the only proof."""

import hashlib
import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from alerts.notification import Letter, Proof, Receipt, Refused, Reply
from alerts.notifiers import fitting, posting
from alerts.notifiers.fonnte_line import Device, gateway
from alerts.text import block, line
from collectors.quantities import Seconds
from collectors.secret import Secret

TEXT_LIMIT = 4000  # Fonnte documents none (unverified); a longer alarm is not read on a phone
REPEATS = 900.0  # seconds: Fonnte repeats a webhook each minute, 15 times at most
INDONESIA = "62"

_GROUP = re.compile(r"[0-9-]{5,40}@g\.us")
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,}")
_DIGITS = re.compile(r"[1-9][0-9]{6,14}")
_VARIABLE = re.compile(r"\{(name|var[0-9]+)\}", re.IGNORECASE)
_PLACEHOLDERS = {"non-text message", "non-button message"}  # in place of a text that there is not (unverified)
_ATTACHED = ("url", "filename", "extension", "location")


class Fonnte(msgspec.Struct, frozen=True, kw_only=True):
    """Sends text to the contact's `whatsapp` number through the device whose `token` this is (`docs/fonnte.md`).

    Before it sends it asks whether the device is connected. Fonnte puts a message in a queue and cannot be asked later
    what became of it. A number that begins with 0 gets `country_code`.
    """

    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = "whatsapp"

    token: Secret
    base_url: str = "https://api.fonnte.com"
    country_code: str = INDONESIA
    timeout: Seconds = 10.0
    hook_secret: Secret | None = None  # the end of the webhook's address: /hooks/fonnte/SECRET

    def __post_init__(self) -> None:
        if self.hook_secret is not None and not _SECRET.fullmatch(self.hook_secret.reveal()):
            raise ValueError("hook_secret must be 16 letters and digits or more, for it alone tells Fonnte from a "
                             "stranger: openssl rand -hex 16")
        if flaw := posting.flaw(self.base_url):
            raise ValueError(f"base_url {flaw}")
        if not re.fullmatch(r"[1-9][0-9]{0,2}", self.country_code):
            raise ValueError('country_code must be a country\'s number without "+", such as "62"')
        if self.timeout <= 0:
            raise ValueError('timeout must be more than 0: write "10s"')

    def send(self, letter: Letter) -> Receipt:
        """Ask for the device, then hand the text over. A device that is off is Busy: all that waits follows the scan.

        Busy and not Refused, for it is the channel that ails and not the message: one incident about the channel, and
        no message lost over a phone that restarts. Nobody waits for it: acceptance being all that Fonnte proves, a
        critical letter has gone out by the person's second channel already, and others are late by the policy's time.
        """
        target = _target(letter.to, self.country_code)
        if not target:
            raise Refused("the contact's whatsapp number is not one", "address")
        text = _VARIABLE.sub(r"{ \1}", fitting.free_text(letter, TEXT_LIMIT))  # Fonnte would put a contact's name in
        return Receipt(gateway(self.base_url, self.token, self.timeout).send({
            "target": target, "message": text, "countryCode": self.country_code,
            # The default, but our whole safety: false would keep the message for days until the phone is back.
            "connectOnly": "true"}))

    def device(self) -> Device:
        """The device and its quota, asked for now. Raises Busy or Refused."""
        return gateway(self.base_url, self.token, self.timeout).device()


class DeviceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the device-status webhook tells: `at` in unix seconds, `reason` only of a disconnected one."""

    device: str
    connected: bool
    at: float
    reason: str = ""


def parse_incoming(payload: Mapping[str, Any], now: float) -> Reply | None:
    """What a person wrote, from the body of Fonnte's incoming webhook; `now` counts where it tells no time.

    None for what is no person's message: a status, or our own device's. Raises ValueError with a sentence for junk.
    Repeats have the same id: Fonnte's inbox id, else a hash of who, what and when.
    """
    said = {str(name).lower(): value for name, value in payload.items()}
    if "sender" not in said and ("status" in said or "state" in said):
        return None
    sender, member = _field(said, "sender"), _field(said, "member")
    group = sender if _GROUP.fullmatch(sender) else ""
    address = _target(member if group else sender, INDONESIA)
    if not address or "@" in address:
        raise ValueError("the webhook's sender is not a telephone number")
    if address == _target(_field(said, "device"), INDONESIA):
        return None
    written = said.get("message")
    if written is not None and not isinstance(written, str | int | float):
        raise ValueError("the webhook's message is not text")
    text = block(str(written)) if written is not None else ""
    if text.lower() in _PLACEHOLDERS:
        text = ""
    return Reply(id=_id(said, sender, member, text, now), address=f"+{address}", text=text,
                 at=_time(said.get("timestamp"), now), name=line(_field(said, "name"))[:100], group=group,
                 media=not text or any(_field(said, name) for name in _ATTACHED))


def parse_status(payload: Mapping[str, Any], now: float) -> DeviceStatus | None:
    """The body of Fonnte's device-status webhook; None where it is another one."""
    said = {str(name).lower(): value for name, value in payload.items()}
    status = _field(said, "status").lower()
    if status not in ("connect", "disconnect") or "sender" in said or "id" in said:
        return None
    connected = status == "connect"
    return DeviceStatus(device=_field(said, "device"), connected=connected, at=_time(said.get("timestamp"), now),
                        reason="" if connected else line(_field(said, "reason"))[:200])


def _target(number: str, country_code: str) -> str:
    """Digits with the country's number, or a group's address; "" where it is neither."""
    text = re.sub(r"@(s\.whatsapp\.net|c\.us)$", "", number.strip())
    if _GROUP.fullmatch(text):
        return text
    digits = re.sub(r"[ ().-]", "", text).removeprefix("+")
    digits = country_code + digits[1:] if digits.startswith("0") and not digits.startswith("00") else digits
    return digits if digits.isascii() and _DIGITS.fullmatch(digits) else ""


def _id(said: Mapping[str, Any], sender: str, member: str, text: str, now: float) -> str:
    """Without an inbox id (it is told only where the device's inbox is on) the vendor's own time, as it was written."""
    if inbox := _field(said, "inboxid"):
        return f"inbox-{inbox}"[:100]
    when = _field(said, "timestamp") or f"around {now // REPEATS:.0f}"
    parts = [sender, member, text, *(_field(said, name) for name in _ATTACHED), when]
    return "hash-" + hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


def _field(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _time(value: object, now: float) -> float:
    """Unix seconds, also from milliseconds; `now` where it is no time or lies far from it."""
    try:
        at = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return now
    at = at / 1000 if at > 1e11 else at
    return at if abs(at - now) <= 86400 else now
