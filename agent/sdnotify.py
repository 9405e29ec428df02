"""Talks to systemd by the sd_notify protocol (sd_notify(3)): ready, reloading, stopping, status, watchdog."""

import os
import socket
import time
from collections.abc import MutableMapping

from agent.logs import get_logger

_log = get_logger(__name__)
_TIMEOUT = 1.0  # seconds that a full notification queue of systemd may hold us up


class Systemd:
    """The service manager that started us; without one every word is dropped.

    Made once at start: it takes the variables out of the environment, so that no child speaks in our name.
    `watchdog_interval` is how often to call `watchdog()`: half of what systemd allows; None where it does not watch us.
    """

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = environ.pop("NOTIFY_SOCKET", "")
        self._failing = False
        self.watchdog_interval = _interval(environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", ""))

    def notify(self, message: str) -> None:
        """Send newline-separated assignments. A failure is logged once; it never stops the work."""
        if not self._address:
            return
        # "@" stands for the NUL byte of an abstract address
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.settimeout(_TIMEOUT)
                channel.sendto(message.encode(), address)
        except OSError as error:
            if not self._failing:
                _log.warning("systemd_unreachable", socket=self._address, error=str(error))
            self._failing = True
        else:
            self._failing = False

    def ready(self) -> None:
        """Start-up or a reload is finished."""
        self.notify("READY=1")

    def reloading(self) -> None:
        """A reload begins; `ready()` ends it. systemd 253 hangs on `notify-reload` without the time stamp."""
        self.notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self.notify("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; a newline in it would be read as another message."""
        self.notify("STATUS=" + " ".join(text.split()))

    def watchdog(self) -> None:
        self.notify("WATCHDOG=1")


def _interval(usec: str, pid: str) -> float | None:
    # without WATCHDOG_PID it is meant for us, as sd_watchdog_enabled(3) has it
    if not usec or (pid and pid != str(os.getpid())):
        return None
    if not usec.isdecimal() or int(usec) == 0:
        _log.warning("watchdog_unreadable", value=usec)
        return None
    return int(usec) / 1e6 / 2
