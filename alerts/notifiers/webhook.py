"""Any other system: each letter as one signed JSON document, posted to an address of its own."""

import hmac
import time
from datetime import UTC, datetime
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec

from alerts.notification import Busy, Letter, Proof, Receipt, Refused
from alerts.notifiers import posting
from alerts.text import block, line
from collectors.quantities import Seconds
from collectors.secret import Secret

VERSION = 1  # of the document: a field may be added, but none changes its meaning under one version
PASSING = {408, 425, 429}  # of the 4xx: too slow, too early, too many. All others say that a repeat will not help


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Posts each letter as JSON to `url`; `docs/webhook.md` describes the document and how to check its signature.

    With `secret` the request carries `X-Jaga-Signature`, with `token` an `Authorization: Bearer`. A 2xx proves that
    the other side took it and no more.
    """

    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = ""

    url: str
    secret: Secret | None = None
    token: Secret | None = None
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        if flaw := posting.flaw(self.url):
            raise ValueError(f"url {flaw}")
        if self.timeout <= 0:
            raise ValueError('timeout must be more than 0: write "10s"')

    def send(self, letter: Letter) -> Receipt:
        """Post it; the status alone decides. Raises Busy, Refused, or Uncertain where no answer came."""
        name = urlsplit(self.url).hostname or ""
        content = document(letter)
        answer = posting.post(self.url, content, self._headers(letter, content, int(time.time())), self.timeout, name)
        if 200 <= answer.status < 300:
            return Receipt(letter.mark)
        why = f"{name} answered {answer.status}"
        if answer.status >= 500 or answer.status in PASSING:
            raise Busy(why, answer.retry_after)
        if 300 <= answer.status < 400:
            raise Refused(f"{why}, a redirect, which is not followed: write the final address as `url`",
                          str(answer.status))
        raise Refused(why, str(answer.status))

    def _headers(self, letter: Letter, content: bytes, now: int) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "jaga", "Idempotency-Key": _key(letter),
                   "X-Jaga-Timestamp": str(now)}
        if self.secret is not None:
            headers["X-Jaga-Signature"] = signature(self.secret.reveal(), now, content)
        if self.token is not None:
            token = self.token.reveal()
            if not (token.isascii() and token.isprintable()):  # the library's error would show it
                raise Refused("the token holds a character that no header can carry", "token")
            headers["Authorization"] = f"Bearer {token}"
        return headers


class _Section(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    mark: str
    severity: str
    reason: str
    headline: str
    since: str
    detail: str
    first: str
    fix: str
    answer: str


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    mark: str
    severity: str
    contact: str
    language: str
    created: datetime
    stale: datetime
    subject: str
    sections: tuple[_Section, ...]
    footer: str
    from_memory: bool


def document(letter: Letter) -> bytes:
    """The letter as JSON. The same letter gives the same bytes, so a repeat is seen to be one."""
    sections = tuple(_Section(
        code=section.code, mark=section.mark, severity=section.severity, reason=section.reason,
        headline=line(section.headline), since=line(section.since), detail=block(section.detail),
        first=line(section.first), fix=block(section.fix), answer=line(section.answer),
    ) for section in letter.sections)
    return msgspec.json.encode(_Document(
        version=VERSION, mark=letter.mark, severity=letter.severity, contact=line(letter.name),
        language=letter.language, created=datetime.fromtimestamp(letter.created, UTC),
        stale=datetime.fromtimestamp(letter.stale_at, UTC), subject=line(letter.subject), sections=sections,
        footer=line(letter.footer), from_memory=letter.from_memory))


def signature(secret: str, timestamp: int, content: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of time, full stop and body: a time that is not signed would prove nothing."""
    return "sha256=" + hmac.digest(secret.encode(), f"{timestamp}.".encode() + content, "sha256").hex()


def _key(letter: Letter) -> str:
    """All marks, for a letter that goes out again may have gained a problem, which must not count as a repeat."""
    return "+".join(dict.fromkeys([letter.mark, *(section.mark for section in letter.sections)]))
