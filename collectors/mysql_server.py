"""What a MySQL or MariaDB server says of itself in two questions: settings and status, and what they mean over time."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from collectors.mysql_connection import Session

_SETTINGS: Final = ("current_user()", "@@version", "@@max_connections", "@@read_only", "@@innodb_read_only",
                    "@@innodb_force_recovery", "@@slow_query_log", "@@slow_query_log_file", "@@log_output",
                    "@@long_query_time", "@@datadir", "@@log_error", "@@myisam_recover_options")
_STATUS: Final = ("Aborted_clients", "Aborted_connects", "Connection_errors_max_connections",
                  "Innodb_buffer_pool_read_requests", "Innodb_buffer_pool_reads", "Slave_running", "Threads_connected",
                  "Threads_running", "Uptime")
_ENOUGH: Final = 10_000  # page requests between two looks: the misses of fewer are no share of anything
_LONG: Final = 600.0  # seconds after which they are few because nobody asks


class Server(NamedTuple):
    """Settings by name, without "@@", and the status counters."""

    settings: Mapping[str, Any]
    status: Mapping[str, str]

    def number(self, name: str) -> float:
        return float(self.status[name])

    @property
    def account(self) -> str:
        """Who the server takes us for, as GRANT wants it: `'jaga'@'localhost'`."""
        user, _, host = str(self.settings["current_user()"]).rpartition("@")
        return f"'{user}'@'{host}'"

    @property
    def shut(self) -> str:
        """The setting that keeps everybody from writing, or ""."""
        names = ("read_only", "innodb_read_only", "innodb_force_recovery")
        return ", ".join(f"{name}={self.settings[name]}" for name in names
                         if str(self.settings[name]).upper() not in ("0", "OFF"))


def look(session: Session) -> Server:
    """Needs no right but to connect. Raises DatabaseError."""
    (settings,) = session.rows(f"SELECT {', '.join(_SETTINGS)}")
    names = ", ".join(f"'{name}'" for name in _STATUS)
    status = session.rows(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
    return Server({name.removeprefix("@@"): value for name, value in zip(_SETTINGS, settings, strict=True)},
                  {str(name): str(value) for name, value in status})


def counted(memory: dict[str, Any], server: Server, *names: str) -> dict[str, float]:
    """The counters as they grew since they were first seen: a restart of the server begins them anew, not these."""
    uptime = server.number("Uptime")
    restarted = uptime < memory.get("uptime", 0.0)
    memory["uptime"] = uptime
    known: dict[str, list[float]] = memory.setdefault("counters", {})
    for name in names:
        value = server.number(name)
        last, total = known.get(name, [0.0, 0.0])
        begun_anew = restarted or value < last  # the latter by FLUSH STATUS
        known[name] = [value, total + (value if begun_anew else value - last)]
    return {name: known[name][1] for name in names}


def missed(memory: dict[str, Any], requests: float, reads: float, now: float) -> float | None:
    """The part of the page requests that had to read from disk, over the last ten thousand of them or ten minutes;
    None before that. Takes what `counted` gives."""
    base = memory.get("pool")
    if base is None:
        memory["pool"] = [requests, reads, now, None]
        return None
    asked = requests - base[0]
    if asked >= _ENOUGH or not 0 <= now - base[2] < _LONG:
        base[:] = [requests, reads, now, min(1.0, (reads - base[1]) / max(asked, _ENOUGH))]
    ratio: float | None = base[3]
    return ratio
