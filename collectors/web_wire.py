"""The way to a server: names resolved and connections made until a deadline; does it lead out of this machine?"""

import errno
import ipaddress
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from collectors.deadline import ask

Place = tuple[int, tuple[Any, ...]]  # family and socket address


class Deadline:
    """A moment until which an answer is waited for, however many questions it takes."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._at = seconds, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then. Raises TimeoutError."""
        seconds = self._at - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


def connect(place: str, deadline: Deadline) -> socket.socket:
    """A connection to "HOST:PORT". Raises OSError."""
    parts = urlsplit(f"//{place}")
    return first_of(resolve(parts.hostname or "", parts.port or 0, deadline.left), deadline.left)


def ours(address: str) -> bool:
    """Whether that address is this machine's own: only then may a socket be bound to it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        return True
    return False


def public(address: str) -> bool:
    """Whether the way there leads through the internet."""
    return ipaddress.ip_address(address.partition("%")[0]).is_global


def resolve(host: str, port: int, left: Callable[[], float]) -> list[Place]:
    """Family and socket address of each address. The resolver has no time-out of its own."""
    find = partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    found = ask("resolve", host, find).answer(left())
    return [(family, (place[0], port, *place[2:])) for family, _, _, _, place in found]


def first_of(places: list[Place], left: Callable[[], float]) -> socket.socket:
    """The first of them that takes us; each has its share of the time. Raises the last one's refusal."""
    refused: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
    for number, (family, place) in enumerate(places):
        wire = None
        try:
            wire = socket.socket(family, socket.SOCK_STREAM)
            wire.settimeout(left() / (len(places) - number))
            wire.connect(place)
        except OSError as error:
            if wire is not None:
                wire.close()
            refused = error
        else:
            return wire
    raise refused


def peer(wire: socket.socket) -> str:
    try:
        address, port, *_ = wire.getpeername()
    except OSError:  # gone already
        return "server"
    return f"{address} port {port}"
