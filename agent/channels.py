"""Whether an address is one, and whether a contact has the one that a channel writes to: told in a sentence."""

import re
from collections.abc import Mapping

from agent.fields import INVALID, Reader, close
from agent.source import Where

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_GROUP = re.compile(r"\d[\d-]+@g\.us")  # a WhatsApp group, as its gateways name it
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_CHAT = re.compile(r"-?\d+")

Addresses = Mapping[str, str]  # notifier name -> the contact's address that it writes to; "" for none


def check_channel(channel: str, contact: str, have: set[str], channels: Addresses, reader: Reader,
                  where: Where) -> None:
    """Note a channel that is not configured, or one for which the contact lacks the address."""
    if channel not in channels:
        reader.wrong(where, f' names "{channel}", which is not configured: {_or_add(channel, channels)}')
    elif (kind := channels[channel]) and kind not in have:
        example = {"whatsapp": "+62…", "phone": "+62…", "email": "name@example.org"}.get(kind, "…")
        lacks = f"for which contacts.{contact} has no address"
        reader.wrong(where, f' names "{channel}", {lacks}: add {kind} = "{example}"')


def address(kind: str, value: object, group: bool, reader: Reader, where: Where) -> str | None:
    """The address, checked; what was written is not repeated, for a mistake's text goes into logs."""
    if kind == "telegram" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 2**63 else "?"
    text = reader.read(str, value, where)
    if text is INVALID:
        return None
    says = ""
    if group and kind == "whatsapp" and _GROUP.fullmatch(text):
        return str(text)
    if kind in ("whatsapp", "phone") and not _E164.fullmatch(text):
        says = _international(text)
    elif kind == "email" and not _MAIL.fullmatch(text):
        says = ' is not an e-mail address: write it as "name@example.org"'
    elif kind == "telegram" and not _CHAT.fullmatch(text):
        says = " is not a chat's number: a bot can write only to those, so write it as 123456789"
    elif not text.isprintable() or not text.strip():
        says = " is empty or holds characters that no address has"
    if says:
        reader.wrong(where, says)
        return None
    return str(text)


def _international(text: str) -> str:
    digits = "".join(filter(str.isdecimal, text))
    if digits.startswith("08"):
        return f' begins with 0: write it with the country code and without the 0, "+62{digits[1:4]}…"'
    if _E164.fullmatch(f"+{digits}"):
        return f' is not in international form: write "+{digits[:5]}…", a plus and then only digits'
    return ' is not a phone number in international form: write it as "+628123456789"'


def _or_add(channel: str, channels: Addresses) -> str:
    meant = close(channel, channels)
    return f'did you mean "{meant}"?' if meant else f"add [notifiers.{channel}]"
