"""Slow statements from wherever the server logs them: a file on this machine, or the table mysql.slow_log."""

import os
from math import inf
from typing import Any, Final

from collectors import mysql_slow_table
from collectors.following import follow
from collectors.mysql_connection import DatabaseError, Session
from collectors.mysql_server import Server
from collectors.mysql_slow_log import Slow, SlowLog
from collectors.mysql_slow_statements import WINDOW, Tally

_TAIL: Final = 2.0**20  # bytes of a log that lay there before us


def logged_from(server: Server) -> float:
    """From how slow on, in seconds, the server logs statements; infinite where it logs none."""
    on = str(server.settings["slow_query_log"]).upper() in ("1", "ON") and _outputs(server) != ["NONE"]
    return float(server.settings["long_query_time"]) if on else inf


def read(session: Session, server: Server, memory: dict[str, Any], now: float, *,
         slow: float, path: str, here: bool, every: float) -> Tally:
    """Count what was logged since the last look. `path`: the file, "" for where the server says; `here`: on this
    machine; `every`: seconds between two looks into the table. Raises OSError and DatabaseError."""
    tally = Tally(memory, now)

    def found(entry: Slow) -> None:
        if entry.seconds >= slow:
            tally.add(entry)

    file = path or _file(server)
    if path or ("FILE" in _outputs(server) and here):
        try:
            seen = follow(file, memory.get("file"), SlowLog(found).take, now=now, first=_TAIL)
        except PermissionError as error:
            raise _elsewhere(file, server) or error from error
        memory["file"] = seen.place
        for denied in seen.unreadable.values():
            raise denied
        if not seen.files:
            raise FileNotFoundError(f"{file}: there is no such slow query log; correct `slow_log`, or as an "
                                    "administrator run: FLUSH SLOW LOGS")
    elif "TABLE" in _outputs(server):
        mysql_slow_table.follow(session, memory.setdefault("table", {}), found, now=now, slow=slow, every=every,
                                first=WINDOW)
    else:
        raise DatabaseError(f"{file} lies on the database's machine: watch it from there, or log into the table "
                            "(SET GLOBAL log_output = 'TABLE'), or write slow_log = \"off\"", 0)
    return tally


def _outputs(server: Server) -> list[str]:
    return str(server.settings["log_output"]).upper().split(",")


def _file(server: Server) -> str:
    return os.path.join(str(server.settings["datadir"]), str(server.settings["slow_query_log_file"]))


def _elsewhere(file: str, server: Server) -> PermissionError | None:
    """The server's own folder is closed to everybody else, with good reason: the log can lie somewhere else."""
    if not file.startswith(str(server.settings["datadir"])):
        return None
    return PermissionError(f"{file} lies among the database's own files, which the agent may not see; as an "
                           "administrator run: SET GLOBAL slow_query_log_file = '/var/log/mysql/slow.log'")
