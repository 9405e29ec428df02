"""Supervisor over its unix socket: which workers run, which gave up, which are started again and again.

Whoever may open the socket may start and stop everything, so this asks for nothing but `getState` and
`getAllProcessInfo`; a test holds it to that.
"""

import http.client
import socket
import xmlrpc.client
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.parsers.expat import ExpatError

from collectors.listing import few

ANSWER_SECONDS: Final = 5.0
# Process states: supervisor.states.ProcessStates, 4.2
STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL = 0, 10, 20, 30, 40, 100, 200
# One that was just started is alive, and if it dies at once it is not for long; one that somebody stops finishes its
# job first, for which Laravel's manual has Supervisor wait an hour (stopwaitsecs=3600).
_ALIVE: Final = (RUNNING, STARTING, STOPPING)
_SERVES: Final = 1  # supervisor.states.SupervisorStates.RUNNING
_SHUTDOWN: Final = 6  # Faults.SHUTDOWN_STATE
SHOWN: Final = 4  # names in one note


class Unreachable(Exception):
    """No Supervisor answers there; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process as Supervisor knows it. `started` in unix seconds, 0: never."""

    group: str
    name: str
    state: int
    told: str  # the state's name, and the spawn error where there is one
    started: int

    @property
    def full(self) -> str:
        """As supervisorctl calls it."""
        return self.name if self.group == self.name else f"{self.group}:{self.name}"


@dataclass(frozen=True, slots=True)
class Program:
    """The processes that do the same work, and what is said of those that do not run."""

    name: str
    processes: Sequence[Process]

    @property
    def running(self) -> int:
        """How many are alive."""
        return sum(1 for process in self.processes if process.state in _ALIVE)

    @property
    def down(self) -> list[Process]:
        """Those that should be alive and are not."""
        return [process for process in self.processes if process.state not in (*_ALIVE, STOPPED)]

    @property
    def stopped(self) -> bool:
        """Whether somebody stopped all of it, or it waits to be started by hand."""
        return bool(self.processes) and all(process.state == STOPPED for process in self.processes)

    @property
    def note(self) -> str:
        """`koperasi-worker_00, koperasi-worker_01: FATAL (can't find command …)`; "" where all of it runs."""
        if not self.processes:
            return f"{self.name}: Supervisor knows no program of this name"
        alike: dict[str, list[str]] = {}
        for process in self.processes:
            if process.state not in _ALIVE:
                alike.setdefault(process.told, []).append(process.name)
        return "; ".join(f"{few(names, SHOWN)}: {told}" for told, names in alike.items())

    @property
    def strength(self) -> str:
        """`koperasi-worker 2 of 2 run`."""
        return f"{self.name} {self.running} of {len(self.processes)} run"


def processes(path: str) -> list[Process]:
    """All processes of the Supervisor at this socket.

    Raises Unreachable where none answers, PermissionError where the agent may not ask, TimeoutError, RuntimeError.
    """
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(path)) as proxy:
            state: Any = proxy.supervisor.getState()
            if state["statecode"] != _SERVES:
                raise Unreachable(f"{path}: Supervisor is {state['statename']}")
            answer: Any = proxy.supervisor.getAllProcessInfo()
            return [_process(info) for info in answer]
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise Unreachable(f"{path}: {error.strerror}: Supervisor does not run") from None
    except PermissionError:
        raise PermissionError(f"{path}: the agent may not open this socket; docs/queue.md says how it may") from None
    except TimeoutError:
        raise TimeoutError(f"{path}: no answer within {ANSWER_SECONDS:.0f} s") from None
    except xmlrpc.client.ProtocolError as error:
        why = "; take user and password out of [unix_http_server]" if error.errcode == 401 else f" {error.errmsg}"
        raise RuntimeError(f"{path}: HTTP {error.errcode}{why}") from None
    except xmlrpc.client.Fault as error:
        if error.faultCode == _SHUTDOWN:
            raise Unreachable(f"{path}: Supervisor is shutting down") from None
        raise RuntimeError(f"{path}: {error.faultString} (fault {error.faultCode})") from None
    except (http.client.HTTPException, ExpatError, xmlrpc.client.ResponseError, LookupError, TypeError) as error:
        raise RuntimeError(f"{path}: what answers there does not speak as Supervisor does") from error


def programs(found: Iterable[Process], wanted: Sequence[str]) -> list[Program]:
    """The programs that are watched: those of these names (a group's, or "group:process"), missing ones too.

    Without names all, but those that were never started: they are not meant to run by themselves.
    """
    found = list(found)
    if wanted:
        return [Program(name, [p for p in found if name in (p.group, p.full, f"{p.group}:{p.name}")])
                for name in wanted]
    groups = dict.fromkeys(process.group for process in found)
    every = (Program(group, [p for p in found if p.group == group]) for group in groups)
    return [program for program in every if any(p.started or p.state != STOPPED for p in program.processes)]


def restarts(program: Program, memory: dict[str, Any], counts: bool) -> int:
    """How often its processes were started anew, as far as looks can tell; `memory` keeps start times and the sum.

    The pid and the state of a worker that dies every few seconds look fine at most looks: its start time does not.
    What happens while it cannot work (`counts` is false) is not its own fault.
    """
    known: Mapping[str, int] = memory.get("starts", {})
    starts = {process.full: process.started for process in program.processes if process.started}
    new = sum(1 for name, at in starts.items() if name in known and known[name] != at)
    memory["starts"] = starts
    memory["total"] = int(memory.get("total", 0)) + (new if counts else 0)
    return int(memory["total"])


def _process(info: Mapping[str, Any]) -> Process:
    told, error = str(info["statename"]), " ".join(str(info.get("spawnerr", "")).split())
    if info["state"] == EXITED:
        status = info.get("exitstatus", "?")  # of a FATAL one it is always 0, and says nothing
        told += " (killed by a signal)" if status == -1 else f" (exit status {status})"
    elif info["state"] == STOPPED:
        told += " by hand" if info.get("start") else ", never started"
    elif error:
        told += f" ({error[:160]})"
    return Process(str(info["group"]), str(info["name"]), int(info["state"]), told, int(info.get("start", 0)))


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.settimeout(ANSWER_SECONDS)
            self.sock.connect(self._path)
        except OSError:
            self.close()
            raise


class _Transport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._connection: tuple[Any, Any] = (None, None)

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection: http.client.HTTPConnection = self._connection[1] or _Connection(self._path)
        self._connection = host, connection  # where the base class looks for it, and closes it in the end
        return connection
