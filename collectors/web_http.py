"""One GET by hand: each phase timed, one deadline over all of it, the certificate kept whether it is trusted or not.

httpx has a time-out for each wait and none for the whole, does not time the look-up of a name, and shows no certificate
that it refuses. So the socket is ours, and http.client of the standard library reads the answer from it.
"""

import http.client
import io
import socket
import ssl
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from collectors.web_wire import Deadline, connect, first_of, peer, resolve

LARGEST = 512 * 1024  # bytes of a page that are read: what is looked for stands in its beginning
PORTS = {"http": 80, "https": 443}


class Unreachable(Exception):
    """No whole answer came; the text says from where and why. `addresses` are what the name stands for, if known."""

    def __init__(self, text: str, addresses: tuple[str, ...] = ()) -> None:
        super().__init__(text)
        self.addresses = addresses


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said. `phases`: seconds by name; `der` its certificate, None without TLS."""

    status: int
    reason: str
    location: str
    body: bytes
    addresses: tuple[str, ...]
    der: bytes | None
    phases: dict[str, float]

    @property
    def seconds(self) -> float:
        return sum(self.phases.values())


def get(url: str, deadline: Deadline, *, context: ssl.SSLContext | None = None, address: str = "",
        accept: str = "text/html,*/*") -> Answer:
    """Ask once; no redirect is followed. `address` is asked instead of what the name stands for.

    Raises Unreachable, and ssl.SSLCertVerificationError where `context` verifies.
    """
    asked = _Asked(url, deadline)
    with asked.phase("dns", asked.host):
        places = resolve(address or asked.host, asked.port, asked.left)
    asked.addresses = tuple(dict.fromkeys(str(place[0]) for _, place in places))
    with asked.phase("connect", f"{' '.join(asked.addresses[:3])} port {asked.port}"):
        wire: socket.socket = first_of(places, asked.left)
    with wire:
        if context is None:
            return asked.exchange(wire, None, accept)
        wire.settimeout(asked.left())
        with asked.phase("tls", f"{peer(wire)}: TLS"):
            secure = context.wrap_socket(wire, server_hostname=asked.host)
        with secure:
            return asked.exchange(secure, secure.getpeercert(binary_form=True), accept)


def handshake(url: str, deadline: Deadline, context: ssl.SSLContext, address: str = "") -> None:
    """Only as far as TLS. Raises as `get` does."""
    asked = _Asked(url, deadline)
    with asked.phase("connect", asked.host):
        wire = first_of(resolve(address or asked.host, asked.port, asked.left), asked.left)
    with wire:
        wire.settimeout(asked.left())
        with asked.phase("tls", f"{peer(wire)}: TLS"):
            context.wrap_socket(wire, server_hostname=asked.host).close()


def reaches(place: str, deadline: Deadline) -> str:
    """Whether somebody takes a connection there ("dns.google:443"): "" for yes, else why not."""
    try:
        with _Asked(f"https://{place}", deadline).phase("connect", place):
            connect(place, deadline).close()
    except Unreachable as error:
        return str(error)
    return ""


@cache
def agent_string() -> str:
    """How we name ourselves to those we look at."""
    from importlib.metadata import version  # 2 MiB, and only who asks a web server needs it

    return f"Jaga/{version('jaga')}"


class _Asked:
    """A question under way: where to, and how long each phase took."""

    def __init__(self, url: str, deadline: Deadline) -> None:
        parts = urlsplit(url)
        self.host, self.port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        named = f"[{self.host}]" if ":" in self.host else self.host
        self._named = named if self.port == PORTS[parts.scheme] else f"{named}:{self.port}"
        self._within, self.left = deadline.seconds, deadline.left
        self._phases: dict[str, float] = {}
        self.addresses: tuple[str, ...] = ()

    @contextmanager
    def phase(self, name: str, what: str) -> Iterator[None]:
        """Time it, and put whatever goes wrong in words."""
        began = time.monotonic()
        try:
            yield
        except ssl.SSLCertVerificationError:
            raise
        except TimeoutError:
            raise Unreachable(f"{what}: no answer within {self._within:g} s", self.addresses) from None
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a header that is no number
            raise Unreachable(f"{what}: {_words(error)}", self.addresses) from error
        self._phases[name] = time.monotonic() - began

    def exchange(self, wire: socket.socket, der: bytes | None, accept: str) -> Answer:
        question = (f"GET {self._target} HTTP/1.1\r\nHost: {self._named}\r\nUser-Agent: {agent_string()}\r\n"
                    f"Accept: {accept}\r\nAccept-Encoding: identity\r\nConnection: close\r\n\r\n")
        source = _Source(wire, self.left)
        there = peer(wire)
        with self.phase("first_byte", there):
            wire.settimeout(self.left())
            wire.sendall(question.encode("ascii"))
            answer: Any = http.client.HTTPResponse(source, method="GET")  # type: ignore[arg-type]  # as a socket, it
            answer.begin()                                                # needs only `makefile`
        with self.phase("body", there):
            body = answer.read(LARGEST)
            if answer.length and len(body) < LARGEST:
                raise http.client.IncompleteRead(body, answer.length)
        return Answer(
            status=answer.status, reason=answer.reason, location=answer.headers.get("Location", "").strip(),
            body=_unpacked(body, answer.headers.get("Content-Encoding", "")), addresses=self.addresses, der=der,
            phases=self._phases)


class _Source(io.RawIOBase):
    """A socket that is read until the deadline and no longer, however slowly the bytes drip."""

    def __init__(self, wire: socket.socket, left: Callable[[], float]) -> None:
        self._wire, self._left = wire, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._wire.settimeout(self._left())
        return self._wire.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).replace("_", " ").lower()
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up without an answer"
    if isinstance(error, http.client.IncompleteRead):
        return f"the page was cut off after {len(error.partial)} bytes"
    if isinstance(error, http.client.HTTPException | ValueError):
        return "what answers there does not speak HTTP"
    # `ask` puts the place before the words, and the place is said already
    return getattr(error, "strerror", None) or str(error).rpartition(": ")[2] or type(error).__name__


def _unpacked(body: bytes, packed: str) -> bytes:
    """The page itself where it came packed although nobody asked for that."""
    if packed.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return body
    with suppress(zlib.error):
        return zlib.decompressobj(47).decompress(body, LARGEST)  # 47: either of the two kinds
    return body
