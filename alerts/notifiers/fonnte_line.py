"""The line to Fonnte: its two calls, what is known of the device for a minute, and what each answer means."""

import json
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import msgspec

from alerts.notification import Busy, Refused, Uncertain
from alerts.notifiers.posting import Answer, post
from alerts.text import line
from collectors.secret import Secret

FRESH = 60.0  # seconds that "connected" is believed: Fonnte limits the question, and does not say to how many
AGAIN = 60.0  # seconds until a disconnected device is asked for again, for the same reason

DISCONNECTED = ("WhatsApp device is disconnected: on Fonnte's dashboard open Device, press Connect, and scan the QR "
                "with the phone")
# "reason" of a failure, by a part of it. What is not here is permanent too: trying on would hold up all other messages.
BUSY = {"disconnect": DISCONNECTED, "not connected": DISCONNECTED, "too many": "Fonnte takes no more for now",
        "limit": "Fonnte takes no more for now", "wait": "Fonnte takes no more for now",
        "maintenance": "Fonnte is under maintenance", "server error": "Fonnte has an error of its own"}
WRONG_TOKEN = "Fonnte does not know the token: copy the device's token anew from its dashboard"  # noqa: S105  # words
REFUSED = {"token invalid": WRONG_TOKEN, "invalid token": WRONG_TOKEN, "unknown user": WRONG_TOKEN,
           "insufficient quota": "Fonnte's quota is used up: renew or top up the package on its dashboard",
           "target invalid": "Fonnte does not take the number", "input invalid": "Fonnte does not take the message"}


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The phone behind the gateway. `quota`: messages left, None where Fonnte tells no number; `expires` as it says."""

    connected: bool
    quota: int | None = None
    expires: str = ""
    name: str = ""
    package: str = ""


class Gateway:
    """One device token's line. It remembers for a minute that the device was connected; a failure forgets that."""

    def __init__(self, base_url: str, token: Secret, timeout: float,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._base, self._token, self._timeout, self._clock = base_url.rstrip("/"), token, timeout, clock
        self._connected_until = float("-inf")

    def send(self, fields: Mapping[str, str]) -> str:
        """Hand one message over and return Fonnte's id for it."""
        self._demand_device()
        try:
            return _accepted(self._post("/send", fields))
        except Exception:
            self._connected_until = float("-inf")
            raise

    def device(self) -> Device:
        """Ask for the device now. A question may be asked again, so what is not known is Busy."""
        try:
            return _device(self._post("/device", {}))
        except Uncertain as uncertain:
            raise Busy(uncertain.why) from None

    def _demand_device(self) -> None:
        if self._clock() < self._connected_until:
            return
        try:
            connected = self.device().connected
        except _Limited:
            return  # a side question must not silence the alarm: /send says itself that the device is disconnected
        if not connected:
            raise Busy(DISCONNECTED, AGAIN)
        self._connected_until = self._clock() + FRESH

    def _post(self, path: str, fields: Mapping[str, str]) -> Answer:
        token = self._token.reveal()
        if not (token.isascii() and token.isprintable()):  # the library's error would show it
            raise Refused("the token holds a character that no header can carry", "token")
        headers = {"Authorization": token, "Content-Type": "application/x-www-form-urlencoded", "User-Agent": "jaga"}
        return post(self._base + path, urlencode(fields).encode(), headers, self._timeout, "Fonnte")


@lru_cache(maxsize=4)  # one for each configured notifier; a reload reads the secret anew and so makes a new one
def gateway(base_url: str, token: Secret, timeout: float) -> Gateway:
    """The line of that configuration: what it remembers has no place in the configuration itself."""
    return Gateway(base_url, token, timeout)


class _Limited(Busy):
    """Too many questions."""


def _accepted(answer: Answer) -> str:
    said = _read(answer)
    if _is(said.get("status"), True):
        ids = said.get("id")
        known = [str(each) for each in ids if isinstance(each, str | int) and str(each)] if isinstance(
            ids, list) else []
        if not known:
            raise Uncertain("Fonnte says yes and names no message")
        return known[0]
    raise _failure(said)


def _device(answer: Answer) -> Device:
    said = _read(answer)
    if not _is(said.get("status"), True):
        raise _failure(said)
    state = str(said.get("device_status", "")).strip().lower()  # "status" only says that the question was understood
    if state not in ("connect", "disconnect"):
        raise Uncertain("Fonnte's answer about the device is not understood")
    quota = str(said.get("quota", "")).strip()  # a number as text: "78"
    return Device(connected=state == "connect", quota=int(quota) if re.fullmatch(r"[0-9]{1,12}", quota) else None,
                  expires=_text(said.get("expired")), name=_text(said.get("name")),
                  package=_text(said.get("package")))


def _read(answer: Answer) -> dict[str, Any]:
    """The answer as JSON, whose status is true or false; Fonnte says both with HTTP 200. Names in lower case."""
    if answer.status == 429:
        raise _Limited("Fonnte takes no more for now (429)", answer.retry_after)
    if answer.status >= 500:
        raise Uncertain(f"Fonnte has an error of its own ({answer.status})")
    try:
        payload = json.loads(answer.body)
    except (ValueError, RecursionError):
        payload = None
    said = {str(name).lower(): value for name, value in payload.items()} if isinstance(payload, dict) else {}
    if _is(said.get("status"), True) or _is(said.get("status"), False):
        return said
    if answer.status >= 300:  # a proxy, a captive portal: not taken
        raise Busy(f"something between here and Fonnte answered ({answer.status})", answer.retry_after)
    raise Uncertain(f"the answer ({answer.status}) is not Fonnte's JSON")


def _is(status: object, truth: bool) -> bool:
    return status is truth or (isinstance(status, str) and status.strip().lower() == str(truth).lower())


def _failure(said: Mapping[str, Any]) -> Exception:
    reason = _text(said.get("reason") or said.get("detail") or said.get("message")).lower()
    if "timeout" in reason or "timed out" in reason:
        return Uncertain("Fonnte gave up waiting for itself")
    for part, words in REFUSED.items():
        if part in reason:
            return Refused(words, part)
    for part, words in BUSY.items():
        if part in reason:
            return Busy(words, AGAIN) if words is DISCONNECTED else _Limited(words)
    shown = re.sub(r"\d(?:[ .-]?\d){4,}", "…", reason)[:120]  # no telephone number
    return Refused(f"Fonnte refused it: {shown or 'no reason given'}", shown)


def _text(value: object) -> str:
    return line(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
