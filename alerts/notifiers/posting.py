"""One POST over HTTP: what came back, or why nothing did and whether the request can have arrived."""

import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from alerts.notification import Busy, Uncertain

LARGEST = 65536  # bytes after which no more of an answer is read: ours are short, a captive portal's page is not
LONGEST_WAIT = 3600.0  # seconds: a senseless Retry-After must not silence a channel for a day


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said. `headers` by lower-case name; `body` is as much as came, of a long one the beginning."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait, at most an hour; None where it says none, or nought, for that would be no pause at all.

        A date counts from the answer's own, so that no clock of ours is asked.
        """
        text = self.headers.get("retry-after", "").strip()
        if re.fullmatch(r"[0-9]{1,9}", text):
            seconds = float(text)
        else:
            try:
                until, now = parsedate_to_datetime(text), parsedate_to_datetime(self.headers.get("date", ""))
                seconds = (until - now).total_seconds()
            except (TypeError, ValueError):  # TypeError: only one of them names a zone
                return None
        return min(seconds, LONGEST_WAIT) if seconds > 0 else None


def post(url: str, content: bytes, headers: Mapping[str, str], timeout: float, name: str) -> Answer:
    """Send it once; redirects are not followed. `timeout` (seconds) is for connecting and for each wait for bytes.

    Raises Busy where the connection never stood, so that nothing can have arrived, and Uncertain where it may have.
    Their texts call the server `name`: an address may hold a secret or a telephone number, so nothing is chained.
    """
    import httpx  # 140 ms, and only a channel that is used needs it

    try:
        with (httpx.Client(timeout=httpx.Timeout(timeout), follow_redirects=False) as client,
              client.stream("POST", url, content=content, headers=dict(headers)) as response):
            said = {key.lower(): value for key, value in response.headers.items()}
            return Answer(status=response.status_code, headers=said, body=_body(response.iter_bytes(), timeout))
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise Busy(f"no connection to {name}: {_why(error, timeout)}") from None
    except httpx.TransportError as error:
        raise Uncertain(f"no answer from {name}: {_why(error, timeout)}") from None


def flaw(url: str) -> str:
    """What is wrong with a configured address, as a phrase that follows the option's name; "" where it will do."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")  # an empty or endless label is an error of its own kind at the call
    except ValueError:  # UnicodeError too
        host = ""
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable() or " " in url:
        return 'must be an address such as "https://hooks.example.id/jaga"'
    if parts.username is not None:
        return "must not hold a user name or password"
    if parts.scheme == "http" and not is_loopback(host):
        return "must begin with https://: http:// is only for this machine itself"
    return ""


def is_loopback(host: str) -> bool:
    """Whether that host is this machine itself, as far as its name or number says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _body(chunks: Iterator[bytes], timeout: float) -> bytes:
    """As much of the body as comes: the caller sees from what is there whether it is enough."""
    import httpx

    body, deadline = b"", time.monotonic() + timeout  # a byte every nine seconds would hold the channel for ever
    try:
        for chunk in chunks:
            body += chunk
            if len(body) > LARGEST or time.monotonic() > deadline:
                break
    except httpx.RequestError:  # cut, silent, or badly packed; what came before counts
        return body
    return body


def _why(error: BaseException, timeout: float) -> str:
    """The innermost cause in words."""
    cause = error
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    match cause:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not valid: {cause.verify_message}"
        case socket.gaierror():
            return "the name was not found"
        case ConnectionRefusedError():
            return "nobody listens there"
        case TimeoutError():
            return f"silence for {timeout:g} s"
    return type(cause).__name__
