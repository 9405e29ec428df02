"""Signed links: who may act on which incident until when, in letters that nobody but us can put together.

A link is the right itself: whoever has it acts as its contact. So it is short-lived, says nothing in clear but the
incident's code, and dies with the key. Nothing here reads a file or asks the clock.
"""

import base64
import binascii
import hashlib
import hmac
import struct

import msgspec

KEY_BYTES = 32
LASTS = 86400.0  # seconds: a link that lies about in a mailbox for longer does more harm than good
_HEAD = struct.Struct(">II6s")  # opened and expires in whole unix seconds, the contact
_MAC_BYTES = 16  # 128 bits: nobody guesses that, and a shorter link survives a mail program's line break
_LONGEST = 120  # letters; ours have about 47


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """What a link says. Times in unix seconds, whole ones."""

    code: str
    opened: float  # of the incident, for a code is given again after some weeks
    contact: str  # `contact_id` of whom it was sent to
    expires: float


class BadLink(Exception):
    """It is none of ours, or was changed on the way; `why` is for a log, not for whoever holds it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Expired(BadLink):
    """It was ours, and its time is over."""


def make(key: bytes, code: str, opened: float, contact: str, now: float, lasts: float = LASTS) -> str:
    """The token by which the contact of that name may act on that incident for so many seconds; safe in a URL."""
    body = _HEAD.pack(int(opened), int(now + lasts), _contact(key, contact)) + code.encode()
    return _text(body + _mac(key, b"link", body))


def read(key: bytes, token: str, now: float) -> Link:
    """What the token says. Raises BadLink, or Expired where it once was right."""
    raw = _bytes(token)
    body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
    if len(body) <= _HEAD.size or not hmac.compare_digest(mac, _mac(key, b"link", body)):
        raise BadLink("signature")
    opened, expires, contact = _HEAD.unpack_from(body)
    if now >= expires:
        raise Expired("expired")
    return Link(code=body[_HEAD.size:].decode(), opened=float(opened), contact=contact.hex(), expires=float(expires))


def contact_id(key: bytes, name: str) -> str:
    """How a link names a contact: nobody who reads it learns the name."""
    return _contact(key, name).hex()


def seal(key: bytes, token: str, action: str) -> str:
    """The CSRF token of one button on that link's page."""
    return _text(_mac(key, b"form", f"{token}\0{action}".encode()))


def sealed(key: bytes, token: str, action: str, given: str) -> bool:
    """Is this the seal of that button? Compared in constant time."""
    return hmac.compare_digest(seal(key, token, action).encode(), given.encode("utf-8", "replace"))


def trace(token: str, action: str) -> str:
    """What a deed by this link carries as its `how` in the history, so that it is done once: `link:1f3a…`."""
    return f"link:{hashlib.sha256(f'{token}|{action}'.encode()).hexdigest()[:12]}"


def _mac(key: bytes, purpose: bytes, content: bytes) -> bytes:
    """The purpose keeps one kind of signature from serving as another."""
    return hmac.digest(key, purpose + b"\0" + content, "sha256")[:_MAC_BYTES]


def _contact(key: bytes, name: str) -> bytes:
    return _mac(key, b"contact", name.encode())[:6]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(token: str) -> bytes:
    """Decoded, from the one way in which we write it: a second spelling would let a deed be done twice."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)) if len(token) <= _LONGEST else b""
    except (ValueError, binascii.Error):
        raise BadLink("spelling") from None
    if not raw or _text(raw) != token:
        raise BadLink("spelling")
    return raw
