"""Damaged tables as the server's error log tells them, where that is a file on this machine.

    2026-11-22 19:40:42 4 [ERROR] InnoDB: File './koperasi/t.ibd' is corrupted                          (MariaDB)
    2026-11-22T12:40:42.123456Z 8 [ERROR] [MY-012224] [InnoDB] Checksum mismatch in datafile: ./k/t.ibd   (MySQL)

A MyISAM table that a crash left open is no damage where the server repairs it by itself; that it could not, is.
"""

import os
import re
from typing import Any, Final

from collectors.following import follow
from collectors.mysql_server import Server

_TAIL: Final = 2.0**20  # bytes of a log that lay there before us
_SHOWN: Final = 160  # characters of a line
_DAMAGE: Final = re.compile(
    rb"^[^\n]*?\[ERROR\] (?:\[[^\]\n]*\] )*"
    rb"([^\n]*(?:[Cc]orrupt|Couldn't repair|repair failed|[Cc]hecksum mismatch)[^\n]*)", re.M)
_ELSEWHERE: Final = ("", "stderr", "OFF")


def path(server: Server) -> str:
    """The error log's file; "" where the server leaves it to systemd's journal."""
    name = str(server.settings["log_error"] or "")
    return "" if name in _ELSEWHERE else os.path.join(str(server.settings["datadir"]), name)


def read(file: str, memory: dict[str, Any], now: float) -> tuple[int, str]:
    """How many such errors were ever seen in it, and the last one. Raises OSError."""
    def take(data: bytes, inside: int, end: bool) -> tuple[int, int]:
        whole = len(data) if end else data.rfind(b"\n") + 1
        for error in _DAMAGE.finditer(data[:whole]):
            memory["total"] = memory.get("total", 0) + 1
            memory["last"] = error[1].decode("utf-8", "replace").strip()[:_SHOWN]
        return whole, inside

    seen = follow(file, memory.get("file"), take, now=now, first=_TAIL)
    memory["file"] = seen.place
    for error in seen.unreadable.values():
        raise error
    return memory.get("total", 0), memory.get("last", "")
