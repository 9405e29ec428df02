"""E-mail by SMTP: text and HTML, one thread per incident, and an exact word on whether the server took it."""

import ipaddress
import re
import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import ClassVar, Literal

import msgspec

from alerts.mime import mailbox, message
from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Uncertain
from alerts.text import line
from collectors.quantities import Seconds
from collectors.secret import Secret

GOODBYE = 2.0  # seconds for the answer to QUIT: the message is accepted by then, and nobody shall wait for manners


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """Writes to a contact's `email` through the SMTP server `host`.

    `security = "starttls"` (port 587) or `"tls"` (port 465); `"none"` only to this machine itself. The certificate is
    always verified, against `ca_file` where that is set. `sender` is written `"Jaga <jaga@example.id>"`. SMTP proves
    acceptance by the server and nothing more, and cannot be asked later whether it has a message.
    """

    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = "email"

    host: str
    sender: str
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: Secret | None = None
    ca_file: str = ""
    hello: str = ""  # our name in EHLO; the host name, else an address literal
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        if not _is_host(self.host):
            raise ValueError('host must name the SMTP server, such as "smtp.example.id"')
        if not all(char.isascii() and char.isprintable() and char != " " for char in self.hello):
            raise ValueError('hello must be a host name, such as "jaga.example.id"')
        if not 0 < self.port < 65536:
            raise ValueError("port must be from 1 to 65535: 587 for starttls, 465 for tls")
        if self.timeout <= 0:
            raise ValueError('timeout must be longer than nought, such as "10s"')
        if self.security == "none" and not _is_loopback(self.host):
            raise ValueError(f'security = "none" is only for this machine itself, not for {self.host}: '
                             'write "starttls" or "tls"')
        if bool(self.username) != (self.password is not None):
            raise ValueError("username and password go together: give both or neither")
        try:
            mailbox(self.sender)
        except ValueError:
            raise ValueError('sender must be an address such as "Jaga <jaga@example.id>"') from None

    def send(self, letter: Letter) -> Receipt:
        """Hand the letter to the server; what it answers to the final dot decides.

        Before the dot nothing can have been taken: Busy or Refused. After it, without an answer: Uncertain.
        """
        mail, sender, recipient = self._prepared(letter)
        hidden = (letter.to, recipient, self.username)
        with self._before_the_dot(hidden), self._dialogue() as smtp:
            options = [] if recipient.isascii() and sender.isascii() else ["SMTPUTF8"]
            _expect(smtp.mail(sender, options))
            _expect(smtp.rcpt(recipient))
            _expect(smtp.docmd("DATA"), 354)
            smtp.send(re.sub(rb"(?m)^\.", b"..", mail))  # RFC 5321 4.5.2: a leading dot is doubled
            code, words = _end_of_data(smtp)
            if not 200 <= code < 300:
                raise smtplib.SMTPDataError(code, words)
            with suppress(OSError):  # it is accepted; what happens to the farewell changes nothing
                if smtp.sock is not None:
                    smtp.sock.settimeout(min(GOODBYE, self.timeout))
                smtp.quit()
        return Receipt(letter.mark)

    def _prepared(self, letter: Letter) -> tuple[bytes, str, str]:
        sender = mailbox(self.sender)
        try:
            recipient = mailbox(letter.to)
        except ValueError:
            raise Refused("the contact's e-mail address is not one", "address") from None
        return message(letter, sender, recipient), sender.addr_spec, recipient.addr_spec

    @contextmanager
    def _dialogue(self) -> Iterator[smtplib.SMTP]:
        """A connection that is secured and logged in."""
        hello = self.hello or _own_name()
        context = None if self.security == "none" else self._context()
        if self.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, hello, timeout=self.timeout, context=context)
        else:
            smtp = smtplib.SMTP(self.host, self.port, hello, timeout=self.timeout)
        try:
            smtp.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                smtp.starttls(context=context)
                smtp.ehlo_or_helo_if_needed()
            if self.password is not None:
                self._log_in(smtp, self.password)
            yield smtp
        finally:
            smtp.close()

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self.ca_file or None)
        except OSError as error:  # ssl.SSLError too: no certificate in it
            raise Refused(f"ca_file {self.ca_file}: {error.strerror or error}", "ca_file") from error

    def _log_in(self, smtp: smtplib.SMTP, password: Secret) -> None:
        try:
            smtp.login(self.username, password.reveal())
        except UnicodeError:  # its text would show a piece of the password
            raise Refused("the user name or password holds a letter outside ASCII, which SMTP cannot send",
                          "auth") from None

    @contextmanager
    def _before_the_dot(self, hidden: tuple[str, ...]) -> Iterator[None]:
        """Say of every trouble whether another try may help. Nothing that passes here can have been accepted."""
        where = f"{self.host}:{self.port}"
        try:
            yield
        except smtplib.SMTPResponseException as error:
            code, said = error.smtp_code, _masked(error.smtp_error, hidden)
            if 500 <= code < 600:
                raise Refused(f"{where} refused it: {code} {said}", str(code)) from None
            raise Busy(f"{where} cannot take it now: {code} {said}") from None
        except smtplib.SMTPServerDisconnected as error:
            raise Busy(f"{where} closed the connection before the message was handed over: "
                       f"{_masked(str(error), hidden)}") from None
        except smtplib.SMTPException as error:
            raise Refused(f"{where} lacks what is asked of it: {_masked(str(error), hidden)}", "unsupported") from None
        except ssl.SSLCertVerificationError as error:
            raise Refused(f"{where} showed a certificate that is not valid: {error.verify_message}", "tls") from error
        except ssl.SSLError as error:
            if error.reason in ("WRONG_VERSION_NUMBER", "UNSUPPORTED_PROTOCOL"):
                raise Refused(f'{where} does not speak TLS this way: port 465 wants security = "tls", '
                              f'port 587 "starttls" ({error.reason})', "tls") from error
            raise Busy(f"{where}: TLS failed: {error.reason or error}") from error
        except socket.gaierror as error:
            raise Busy(f"{self.host}: the name was not found: {error.strerror}") from error
        except TimeoutError as error:
            raise Busy(f"{where} did not answer within {self.timeout:g} s") from error
        except OSError as error:
            raise Busy(f"{where}: {error.strerror or error}") from error


def _end_of_data(smtp: smtplib.SMTP) -> tuple[int, bytes]:
    """Send the final dot and read the answer. From here on a lost connection may mean that the message was taken."""
    try:
        smtp.send(b".\r\n")
        code, words = smtp.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise Uncertain(f"the connection was lost while the server took the message: {error}") from error
    if not 200 <= code < 300 and not 400 <= code < 600:
        raise Uncertain(f"the server answered the message with something that is not SMTP: {line(repr(words))[:200]}")
    return code, words


def _expect(reply: tuple[int, bytes], wanted: int = 250) -> None:
    code, words = reply
    if code != wanted and not (wanted == 250 and code == 251):  # 251: will forward
        raise smtplib.SMTPResponseException(code, words)


def _masked(said: bytes | str, hidden: tuple[str, ...]) -> str:
    """The server's words on one line, without the addresses that it repeats."""
    text = line(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)
    for private in filter(None, hidden):
        text = re.sub(re.escape(private), "…", text, flags=re.IGNORECASE)
    return text[:200]


def _is_host(host: str) -> bool:
    try:  # what Python does with every host name before it asks for it: an empty or endless label is no OSError there
        return bool(host) and not any(char.isspace() for char in host) and bool(host.encode("idna"))
    except UnicodeError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _own_name() -> str:
    """The host name where it is a full one, else what RFC 5321 4.1.3 asks for. No DNS: it may be what is dead."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"
