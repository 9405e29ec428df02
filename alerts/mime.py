"""A letter as an e-mail message: headers that no text can break out of, one thread per incident, text and HTML."""

import re
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate, getaddresses

from alerts.markup import html
from alerts.notification import Letter
from alerts.text import line
from alerts.words import plain

_ADDRESS = re.compile(r'([^\s<>()\[\],;:\\"@]{1,64})@([^\s<>()\[\],;:\\"@]{1,255})')  # lengths: RFC 5321 4.5.3.1
_UNSAFE = re.compile(r"[^A-Za-z0-9.-]")  # of a Message-ID's own part


def message(letter: Letter, sender: Address, recipient: Address) -> bytes:
    """The whole message, its lines ended by CRLF; all ASCII unless one of the addresses is not."""
    ascii_only = sender.addr_spec.isascii() and recipient.addr_spec.isascii()
    mail = EmailMessage(SMTP if ascii_only else SMTPUTF8)
    mail["From"], mail["To"] = sender, recipient
    mail["Date"] = formatdate(localtime=True)
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in return
    mail["X-Auto-Response-Suppress"] = "All"  # Exchange's word for the same
    mail["X-Jaga-Mark"] = _UNSAFE.sub("", letter.mark)
    if any(s.severity == "critical" and s.reason not in ("resolved", "test") for s in letter.sections):
        mail["Importance"], mail["X-Priority"] = "high", "1"
    # No "Precedence: bulk": it would send an alarm to where newsletters go.
    mail.set_content(plain(letter), cte="quoted-printable")
    mail.add_alternative(html(letter), subtype="html", cte="quoted-printable")
    return _subject(letter) + _thread(letter, sender.domain) + mail.as_bytes()


def mailbox(written: str) -> Address:
    """Read `Jaga <jaga@example.id>` or a bare address; the domain becomes ASCII. Raises ValueError for what is none."""
    found = getaddresses([written])
    name, bare = found[0] if len(found) == 1 else ("", "")
    match = _ADDRESS.fullmatch(bare)
    if match is None or not written.isprintable():
        raise ValueError("not one e-mail address")
    return Address(line(name), match[1], match[2].encode("idna").decode())


def _subject(letter: Letter) -> bytes:
    """Always as encoded words: Python would decode one that hides in a label (`=?utf-8?q?=0aBcc:…?=`) and write it."""
    encoded = Header(line(letter.subject), "utf-8", header_name="Subject").encode(linesep="\r\n")
    return f"Subject: {encoded}\r\n".encode("ascii")


def _thread(letter: Letter, domain: str) -> bytes:
    """The headers that make one thread of one incident, as raw lines: Python would fold a long id into encoded words.

    A message is itself by mark and time of creation, so a repeat is the same message to the reader's mailbox. All of an
    incident's name one root as their parent that was never sent: the first mail that somebody gets of an incident
    need not be its first message (that may have gone by WhatsApp). https://github.com/python/cpython/issues/100991
    """
    root = f"<jaga.{_UNSAFE.sub('', letter.sections[0].code)}@{domain}>"
    own = f"<jaga.{_UNSAFE.sub('', letter.mark)}.{int(letter.created)}@{domain}>"
    return f"Message-ID: {own}\r\nIn-Reply-To: {root}\r\nReferences: {root}\r\n".encode()
