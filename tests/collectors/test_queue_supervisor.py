"""A real Supervisor: workers that run, gave up, flap, were stopped; and what is ever asked of it."""

import os
import re
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors.base import Run
from collectors.queue import Queue
from collectors.queue_supervisor import (
    FATAL,
    RUNNING,
    STOPPED,
    STOPPING,
    Process,
    Program,
    Unreachable,
    processes,
    programs,
    restarts,
)
from stack.program import until
from stack.supervisor import NEEDS, Supervisor

pytestmark = pytest.mark.needs_debian(*NEEDS)
NOW = 1_795_000_000.0
PROGRAMS = """
[program:koperasi-worker]
command = sleep 1000
process_name = %(program_name)s_%(process_num)02d
numprocs = 2
startsecs = 0
[program:salah]
command = /nonexistent/php artisan queue:work
startretries = 0
[program:cepat]
command = false
startretries = 0
[program:selesai]
command = sh -c "exit 3"
startsecs = 0
autorestart = false
[program:manual]
command = sleep 1000
autostart = false
[program:dihentikan]
command = sleep 1000
startsecs = 0
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    with Supervisor(tmp_path_factory.mktemp("supervisor"), PROGRAMS) as made:
        until(lambda: made.states()["dihentikan"] == "RUNNING", "it runs")
        made.ctl("stop", "dihentikan")
        settled = {"RUNNING", "STOPPED", "FATAL", "EXITED"}
        until(lambda: set(made.states().values()) <= settled, "every state is final")
        yield made


def measured(path: Path | str, *wanted: str, run: Run | None = None) -> dict[tuple[str, str], tuple[float, str]]:
    """(metric, program) -> value and evidence."""
    queue = Queue(queues=(), supervisor=str(path), programs=wanted)
    run = run or Run(NOW)
    found = {(r.metric.removeprefix("jaga_worker_"), dict(r.labels).get("program", "")): (r.value, r.note)
             for r in queue.collect(run)}
    assert {name: error for name, error in run.targets.items() if error} == {}
    return found


def test_every_state_is_told_with_its_reason(server: Supervisor) -> None:
    found = measured(server.socket)
    assert {program: value for (metric, program), value in found.items() if metric == "up"} == {
        "koperasi-worker": (1, ""),
        "salah": (0, "salah: FATAL (can't find command '/nonexistent/php')"),
        "cepat": (0, "cepat: FATAL (Exited too quickly (process log may have details))"),
        "selesai": (0, "selesai: EXITED (exit status 3)"),
    }
    assert {program: value for (metric, program), value in found.items() if metric == "missing_processes"} == {
        "koperasi-worker": (0, ""), "salah": (1, found["up", "salah"][1]), "cepat": (1, found["up", "cepat"][1]),
        "selesai": (1, found["up", "selesai"][1])}
    assert {program: value[0] for (metric, program), value in found.items() if metric == "stopped"} == {
        "koperasi-worker": 0, "salah": 0, "cepat": 0, "selesai": 0, "dihentikan": 1}
    assert found["stopped", "dihentikan"] == (1, "dihentikan: STOPPED by hand")
    assert found["supervisor_up", ""] == (1, "")


def test_programs_that_are_named_must_be_there(server: Supervisor) -> None:
    found = measured(server.socket, "koperasi-worker:koperasi-worker_01", "manual", "worker-lama")
    assert {key: value for key, value in found.items() if key[0] in ("up", "stopped")} == {
        ("up", "koperasi-worker:koperasi-worker_01"): (1, ""),
        ("stopped", "koperasi-worker:koperasi-worker_01"): (0, ""),
        ("stopped", "manual"): (1, "manual: STOPPED, never started"),
        ("up", "worker-lama"): (0, "worker-lama: Supervisor knows no program of this name"),
        ("stopped", "worker-lama"): (0, "worker-lama: Supervisor knows no program of this name"),
    }


def test_a_killed_worker_is_seen_by_its_new_start_though_it_runs_again(server: Supervisor) -> None:
    run = Run(NOW)
    before = measured(server.socket, run=run)["restarts_total", "koperasi-worker"]
    began = {p.full: p.started for p in processes(str(server.socket))}
    name = "koperasi-worker:koperasi-worker_00"
    # Supervisor counts in whole seconds: an earlier second must be over
    until(lambda: int(server.ctl("pid", name)) > 0 and _clock(server) > began[name], "a second passes")
    os.kill(int(server.ctl("pid", name)), signal.SIGKILL)
    until(lambda: {p.full: (p.state, p.started != began[p.full]) for p in processes(str(server.socket))}[name]
          == (RUNNING, True), "it runs again")
    after = measured(server.socket, run=run)
    assert (before[0], after["restarts_total", "koperasi-worker"][0]) == (0, 1)
    assert after["up", "koperasi-worker"] == (1, "")


def _clock(server: Supervisor) -> int:
    """The time by which Supervisor counts."""
    import time

    return int(time.time())


class Recorder:
    """A unix socket that passes everything on to another one and keeps what was asked."""

    def __init__(self, path: Path, to: Path) -> None:
        self.path, self._to = path, to
        self.asked = b""
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self._to))
            back = threading.Thread(target=self._pass, args=(far, near, False), daemon=True)
            back.start()
            self._pass(near, far, True)
            back.join(10)
            near.close()
            far.close()

    def _pass(self, source: socket.socket, sink: socket.socket, keeps: bool) -> None:
        while data := source.recv(65536):
            if keeps:
                self.asked += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    @property
    def methods(self) -> list[str]:
        return [name.decode() for name in re.findall(rb"<methodName>(.*?)</methodName>", self.asked)]

    @property
    def requests(self) -> int:
        return len(re.findall(rb"(?m)^(?:GET|POST|PUT|HEAD) ", self.asked))


def test_nothing_but_state_and_processes_is_ever_asked(server: Supervisor, tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "proxy", server.socket)
    log = server.folder / "supervisord.log"
    before = log.read_text()
    run = Run(NOW)
    try:
        for _ in range(2):
            assert measured(recorder.path, run=run)["up", "salah"][0] == 0
            assert measured(recorder.path, "manual", "worker-lama", run=run)["up", "worker-lama"][0] == 0
    finally:
        recorder.close()
    assert recorder.methods == ["supervisor.getState", "supervisor.getAllProcessInfo"] * 4
    assert recorder.requests == len(recorder.methods)
    assert log.read_text() == before  # nothing was started, stopped or signalled


def test_a_supervisor_that_is_dead_or_leaving_is_a_reading_of_nought(tmp_path: Path) -> None:
    with Supervisor(tmp_path, PROGRAMS) as server:
        assert measured(server.socket)["supervisor_up", ""] == (1, "")
        server.kill()
        found = measured(server.socket)
    assert found == {("supervisor_up", ""): (0, f"{server.socket}: Connection refused: Supervisor does not run")}
    gone = tmp_path / "nowhere"
    assert measured(gone) == {
        ("supervisor_up", ""): (0, f"{gone}: No such file or directory: Supervisor does not run")}


def served(path: Path, answer: bytes) -> threading.Thread:
    """Answers one request so, whatever it is."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            asked = b""
            while b"</methodCall>" not in asked:  # closing with something unread would be a reset, and asked again
                asked += connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def http(body: str, status: str = "200 OK") -> bytes:
    return (f"HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode()


STATE = ("<methodResponse><params><param><value><struct><member><name>statecode</name><value><int>{code}</int></value>"
         "</member><member><name>statename</name><value><string>{name}</string></value></member></struct></value>"
         "</param></params></methodResponse>")


@pytest.mark.parametrize(("answer", "error", "says"), [
    (http(STATE.format(code=-1, name="SHUTDOWN")), Unreachable, "Supervisor is SHUTDOWN"),
    (http(STATE.format(code=0, name="RESTARTING")), Unreachable, "Supervisor is RESTARTING"),
    (http("", "401 Unauthorized"), RuntimeError, r"HTTP 401; take user and password out of \[unix_http_server\]"),
    (http("", "500 Internal Server Error"), RuntimeError, "HTTP 500 Internal Server Error"),
    (http("<html>"), RuntimeError, "what answers there does not speak as Supervisor does"),
    (http("<methodResponse/>"), RuntimeError, "what answers there does not speak as Supervisor does"),
    (http(STATE.replace("statecode", "code").format(code=1, name="x")), RuntimeError,
     "what answers there does not speak as Supervisor does"),
    (b"SSH-2.0-OpenSSH\r\n", RuntimeError, "what answers there does not speak as Supervisor does"),
])
def test_a_strange_answer_is_an_error_of_one_sentence(tmp_path: Path, answer: bytes, error: type[Exception],
                                                     says: str) -> None:
    path = tmp_path / "s"
    thread = served(path, answer)
    with pytest.raises(error, match=f"^{re.escape(str(path))}: {says}$"):
        processes(str(path))
    thread.join(10)


def test_a_socket_that_is_not_ours_says_how_it_may_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(*_: object) -> None:  # root, who tests, is refused nothing
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("collectors.queue_supervisor._Connection.connect", refused)
    with pytest.raises(PermissionError, match=r"the agent may not open this socket; docs/queue\.md says how it may$"):
        processes(str(tmp_path / "s"))


def process(name: str, state: int = RUNNING, started: int = 1, group: str = "w") -> Process:
    return Process(group, name, state, "", started)


def test_a_group_that_somebody_stopped_in_part_is_judged_by_the_rest() -> None:
    half = Program("w", [process("a", STOPPED), process("b")])
    dead = Program("w", [process("a", STOPPED), process("b", FATAL)])
    assert [(p.running, len(p.down), p.stopped) for p in (half, dead)] == [(1, 0, False), (0, 1, False)]


def test_a_worker_that_finishes_its_last_job_is_not_dead_yet(tmp_path: Path) -> None:
    last = f"""[program:lama]
command = sh -c "trap '' TERM; touch {tmp_path}/ready; while :; do sleep 0.1; done"
stopwaitsecs = 60
startsecs = 0
"""
    with Supervisor(tmp_path, last) as supervisor:
        until(lambda: (tmp_path / "ready").exists(), "it runs")
        stop = threading.Thread(target=supervisor.ctl, args=("stop", "lama"))
        stop.start()
        until(lambda: processes(str(supervisor.socket))[0].state == STOPPING, "it is being stopped")
        found = measured(supervisor.socket)
        assert (found["up", "lama"], found["missing_processes", "lama"]) == ((1.0, ""), (0.0, ""))
        os.kill(int(supervisor.ctl("pid", "lama")), signal.SIGKILL)
        until(lambda: processes(str(supervisor.socket))[0].state == STOPPED, "it is stopped")
        assert measured(supervisor.socket)["stopped", "lama"] == (1.0, "lama: STOPPED by hand")
        stop.join(60)


def test_processes_with_the_same_reason_share_a_line() -> None:
    told = [Process("w", f"w_{number:02}", FATAL, "FATAL (no)", 0) for number in range(6)]
    assert Program("w", [*told, process("x"), Process("w", "y", STOPPED, "STOPPED by hand", 1)]).note == (
        "w_00, w_01, w_02, w_03 +2: FATAL (no); y: STOPPED by hand")


def test_of_those_that_nobody_named_the_never_started_are_no_workers() -> None:
    found = [process("a", STOPPED, 0, "manual"), process("b", STOPPED, 5, "dulu"), process("c", FATAL, 0, "salah")]
    assert [program.name for program in programs(found, ())] == ["dulu", "salah"]
    assert [program.name for program in programs(found, ("manual",))] == ["manual"]


@pytest.mark.parametrize(("looks", "total"), [
    ([{"a": 1, "b": 1}, {"a": 1, "b": 1}], 0),
    ([{"a": 1, "b": 1}, {"a": 9, "b": 1}, {"a": 9, "b": 7}], 2),
    ([{"a": 1}, {"a": 1, "b": 5}], 0),  # one more worker is no restart
    ([{"a": 1}, {}, {"a": 9}], 0),
    ([{"a": 1}, {"a": 0}, {"a": 9}], 0),  # stopped and started by hand
])
def test_a_new_start_is_a_restart(looks: list[dict[str, int]], total: int) -> None:
    memory: dict[str, Any] = {}
    counted = [restarts(Program("w", [process(name, started=at) for name, at in look.items()]), memory, True)
               for look in looks]
    assert counted[-1] == total == memory["total"]


def test_restarts_while_the_database_is_dead_are_not_the_workers_fault() -> None:
    memory: dict[str, Any] = {}
    for at, counts in ((1, True), (2, False), (3, False), (3, True), (4, True)):
        restarts(Program("w", [process("a", started=at)]), memory, counts)
    assert memory["total"] == 1
