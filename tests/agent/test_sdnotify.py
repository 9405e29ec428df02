"""What systemd hears, on a real datagram socket."""

import os
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.sdnotify import Systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket, and the address as it writes it into NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        name = str(tmp_path / "notify") if request.param == "path" else f"@jaga-test-{os.getpid()}"
        listener.bind(name if request.param == "path" else "\0" + name[1:])
        yield listener, name


def test_systemd_hears_every_word(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    systemd = Systemd({"NOTIFY_SOCKET": address})
    systemd.ready()
    systemd.status("3 kolektor,\nREADY=1 2 insiden")
    systemd.watchdog()
    systemd.stopping()
    assert [listener.recv(4096).decode() for _ in range(4)] == [
        "READY=1", "STATUS=3 kolektor, READY=1 2 insiden", "WATCHDOG=1", "STOPPING=1"]


def test_a_reload_is_stamped_with_the_monotonic_clock(manager: tuple[socket.socket, str]) -> None:
    listener, address = manager
    before = time.monotonic()
    Systemd({"NOTIFY_SOCKET": address}).reloading()
    match = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", listener.recv(4096).decode())
    assert match
    assert before - 0.001 <= int(match[1]) / 1e6 <= time.monotonic()


def test_children_do_not_inherit_our_voice() -> None:
    environ = {"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
    Systemd(environ)
    assert environ == {"HOME": "/"}


def test_without_systemd_nothing_happens() -> None:
    with capture_logs() as lines:
        Systemd({}).ready()
    assert lines == []


def test_a_socket_that_is_gone_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    address = tmp_path / "notify"
    systemd = Systemd({"NOTIFY_SOCKET": str(address)})
    with capture_logs() as lines:
        systemd.watchdog()
        systemd.watchdog()
    assert [(line["event"], line["socket"]) for line in lines] == [("systemd_unreachable", str(address))]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(address))
        listener.settimeout(5)
        systemd.watchdog()
        assert listener.recv(100) == b"WATCHDOG=1"


INTERVALS = [
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
    ({"WATCHDOG_USEC": "30000000"}, 15.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
    ({"WATCHDOG_PID": str(os.getpid())}, None),
    ({"WATCHDOG_USEC": "soon"}, None),
    ({"WATCHDOG_USEC": "0"}, None),
    ({}, None),
]


@pytest.mark.parametrize(("environ", "interval"), INTERVALS)
def test_the_watchdog_is_fed_at_half_its_time_when_it_watches_us(
    environ: dict[str, str], interval: float | None
) -> None:
    assert Systemd(dict(environ)).watchdog_interval == interval
