"""The daemon's socket: who asks, what is answered, and what a strange peer cannot do."""

import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from agent import control
from agent.control import LARGEST, Control, Declined, NotRunning, Occupied, ask, find
from agent.standing import reader, says, upcoming
from agent.verbs import verbs
from alerts.incident import Incident
from collectors.disk import USED
from fake_house import NOW, FakeHouse

ME = pwd.getpwuid(os.getuid()).pw_name
NOT_A_QUESTION = {"error": "that was no question", "hint": 'send one line such as {"verb": "incidents", "params": {}}'}


def echo(params: dict[str, Any], who: str) -> dict[str, Any]:
    return {"params": params, "who": who}


def refuse(_params: dict[str, Any], _who: str) -> None:
    raise Declined("tidak", "coba lagi")


def crash(_params: dict[str, Any], _who: str) -> None:
    raise RuntimeError("broken for budi@example.org")


@pytest.fixture(autouse=True)
def _plain_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Control]:
    daemon = Control(tmp_path / "jaga.sock", {})
    daemon.start({"echo": echo, "refuse": refuse, "crash": crash})
    yield daemon
    daemon.stop()


def raw(path: Path, sent: bytes) -> dict[str, Any]:
    """Send these bytes and no more; return the answer."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(path))
        peer.sendall(sent)
        peer.shutdown(socket.SHUT_WR)
        return dict(json.loads(peer.makefile().readline()))


def test_the_daemon_knows_who_asks_from_the_kernel(daemon: Control) -> None:
    assert ask(daemon.path, "echo", code="K7M", lasts=None) == {"params": {"code": "K7M", "lasts": None}, "who": ME}


@pytest.mark.skipif(os.getuid() != 0, reason="only root may speak for another user")
def test_root_may_say_for_whom_it_speaks(daemon: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "daemon")
    assert ask(daemon.path, "echo")["who"] == "daemon"
    monkeypatch.setenv("SUDO_USER", "<b>no such user</b>")
    assert ask(daemon.path, "echo")["who"] == "uid 0"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_nobody_else_may_say_that_they_are_somebody_else(daemon: Control) -> None:
    daemon.path.chmod(0o666)
    for folder in daemon.path.parents[:3]:
        folder.chmod(0o755)
    program = """if True:
        import json, os, socket, sys
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(10)
        peer.connect(sys.argv[1])
        peer.sendall(b'{"verb": "echo", "sudo_user": "root"}\\n')
        print(json.loads(peer.makefile().readline())["answer"]["who"])"""
    done = subprocess.run([sys.executable, "-c", program, str(daemon.path)], capture_output=True, text=True,
                          timeout=30, check=True)
    assert done.stdout == "nobody\n"


def test_the_socket_is_for_its_owner_and_group(daemon: Control) -> None:
    assert stat.S_IMODE(daemon.path.stat().st_mode) == 0o660


def test_a_refusal_arrives_with_its_hint(daemon: Control) -> None:
    with pytest.raises(Declined) as refused:
        ask(daemon.path, "refuse")
    assert (refused.value.error, refused.value.hint) == ("tidak", "coba lagi")


def test_a_fault_of_ours_is_told_without_personal_data_and_the_socket_lives_on(daemon: Control) -> None:
    with capture_logs() as logs, pytest.raises(Declined) as failed:
        ask(daemon.path, "crash")
    assert failed.value.error == "that failed: RuntimeError: broken for b***@example.org"
    assert [(log["event"], log["verb"]) for log in logs] == [("control_failed", "crash")]
    assert ask(daemon.path, "echo")["who"] == ME


@pytest.mark.parametrize(
    "sent",
    [b"\n", b"hello\n", b"[]\n", b"7\n", b'{"params": {}}\n', b'{"verb": 7}\n', b'{"verb": "echo", "params": []}\n',
     b'{"verb": "echo", "sudo_user": 0}\n', b"\xff\xfe\n", b"[" * 60000 + b"\n", b'{"verb": "echo"}',
     b'{"verb": "echo", "params": {"x": "' + b"y" * LARGEST + b'"}}\n'],
    ids=["empty", "words", "a list", "a number", "no verb", "a number as verb", "a list as parameters",
         "a number as user", "no UTF-8", "nested without end", "cut off", "too long"],
)
def test_what_is_no_question_is_answered_as_such(daemon: Control, sent: bytes) -> None:
    assert raw(daemon.path, sent) == NOT_A_QUESTION


@pytest.mark.parametrize(("folder", "why"), [("file", "File exists"), ("file/below", "Not a directory")])
def test_a_state_folder_that_cannot_be_used_is_one_sentence(tmp_path: Path, folder: str, why: str) -> None:
    (tmp_path / "file").touch()
    says = f"{tmp_path / folder}: the state folder cannot be used: {why}: it must be a folder that {ME} may write to"
    with pytest.raises(Occupied, match=f"^{says}"):
        Control(tmp_path / folder / "jaga.sock", {})


def test_text_that_no_file_can_hold_is_no_question(daemon: Control) -> None:
    assert raw(daemon.path, b'{"verb": "echo", "params": {"note": "\\ud800"}}\n') == NOT_A_QUESTION


def test_an_unknown_verb_is_answered_with_those_there_are(daemon: Control) -> None:
    assert raw(daemon.path, b'{"verb": "restart"}\n') == {
        "error": "there is no verb 'restart'", "hint": "there is crash, echo, refuse"}


def test_a_peer_that_says_nothing_is_let_go(daemon: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(10)
        peer.connect(str(daemon.path))
        peer.sendall(b'{"verb"')
        assert json.loads(peer.makefile().readline())["error"] == "the question did not arrive: timed out"


def test_more_questions_than_it_answers_at_once_wait_their_turn(tmp_path: Path) -> None:
    leave, entered = threading.Event(), threading.Semaphore(0)

    def slow(_params: dict[str, Any], _who: str) -> str:
        entered.release()
        leave.wait(10)
        return "done"

    daemon = Control(tmp_path / "jaga.sock", {})
    daemon.start({"slow": slow})
    answers: list[str] = []
    asking = [threading.Thread(target=lambda: answers.append(ask(daemon.path, "slow", patience=10)))
              for _ in range(control.AT_ONCE + 2)]
    try:
        for thread in asking:
            thread.start()
        assert all(entered.acquire(timeout=10) for _ in range(control.AT_ONCE))
        assert not entered.acquire(timeout=0.05)
    finally:
        leave.set()
        for thread in asking:
            thread.join(10)
        daemon.stop()
    assert answers == ["done"] * (control.AT_ONCE + 2)


# --- being alone -----------------------------------------------------------------------------------------------------


def test_a_second_daemon_is_refused_in_words(daemon: Control) -> None:
    with pytest.raises(Occupied, match="another jaga is running with this state: stop it first"):
        Control(daemon.path, {})
    assert ask(daemon.path, "echo")["who"] == ME


def test_what_a_killed_daemon_left_behind_is_no_hindrance(tmp_path: Path) -> None:
    path = tmp_path / "jaga.sock"
    program = ("import os, pathlib, signal, sys; from agent.control import Control;"
               "Control(pathlib.Path(sys.argv[1]), {}).start({}); os.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run([sys.executable, "-c", program, str(path)], timeout=30, check=False,
                          cwd=Path(control.__file__).parents[1])
    assert (done.returncode, path.exists()) == (-9, True)
    with pytest.raises(NotRunning):
        ask(path, "echo")
    daemon = Control(path, {})
    daemon.start({"echo": echo})
    assert ask(path, "echo")["who"] == ME
    daemon.stop()


def test_after_a_stop_the_path_is_free(daemon: Control) -> None:
    daemon.stop()
    assert not daemon.path.exists()
    with pytest.raises(NotRunning) as nobody:
        ask(daemon.path, "echo")
    assert nobody.value.path == daemon.path
    again = Control(daemon.path, {})
    again.start({})
    again.stop()


def test_a_daemon_that_does_not_answer_in_time_is_told_as_such(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "jaga.sock"))
        mute.listen()
        with pytest.raises(NotRunning) as nobody:
            ask(tmp_path / "jaga.sock", "echo", patience=0.05)
    assert nobody.value.why == "timed out"


def test_the_socket_lies_where_systemd_lets_the_group_in_and_the_lock_beside_the_state(tmp_path: Path) -> None:
    runtime, state = tmp_path / "run", tmp_path / "state"
    runtime.mkdir()
    daemon = Control(state / "jaga.sock", {"RUNTIME_DIRECTORY": f"{runtime}:/elsewhere"})
    daemon.start({})
    assert daemon.path == runtime / "jaga.sock"
    assert sorted(path.name for path in state.iterdir()) == ["jaga.lock"]
    daemon.stop()


@pytest.mark.parametrize(
    ("config", "environ", "there", "found"),
    [
        ("agent.toml", {}, [], "var"),
        ("/etc/jaga/agent.toml", {}, [], "run"),
        ("/etc/jaga/agent.toml", {}, ["lib", "var"], "lib"),
        ("/etc/jaga/agent.toml", {}, ["var"], "var"),
        ("agent.toml", {}, ["run", "var"], "var"),
        ("agent.toml", {}, ["run"], "run"),
        ("agent.toml", {"STATE_DIRECTORY": "state"}, ["run", "var"], "run"),
        ("agent.toml", {"STATE_DIRECTORY": "state:other"}, ["run", "state"], "state"),
        ("agent.toml", {"STATE_DIRECTORY": "state", "RUNTIME_DIRECTORY": "other"}, ["other", "state"], "other"),
    ],
)
def test_the_command_line_finds_the_daemon_of_its_configuration(
    config: str, environ: dict[str, str], there: list[str], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(control, "RUNTIME", Path("run"))
    monkeypatch.setattr(control, "STATE", Path("lib"))
    for place in there:
        Path(place).mkdir()
        (Path(place) / "jaga.sock").touch()
    assert find(Path(config), environ) == Path(found, "jaga.sock")


# --- the verbs -------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeHouse]:
    house = FakeHouse(tmp_path)
    yield house
    house.close()


def opened(house: FakeHouse) -> Incident:
    house.report(USED(0.93, mount="/"))
    [incident] = house.desk.view.open
    return incident


def test_incidents_are_told_in_a_stable_shape(house: FakeHouse) -> None:
    code = opened(house).code
    answer = json.loads(json.dumps(verbs(house)["incidents"]({}, "budi")))
    since = NOW - 180
    assert answer == {
        "agent": "server", "site": "KopKar <SKF>", "at": NOW, "language": "id",
        "incidents": [{
            "code": code, "key": 'disk_space{mount="/"}', "severity": "critical", "state": "open", "flapping": False,
            "headline": "KRITIS: Disk / terisi 93 %", "opened": NOW, "since": since, "closed": None, "acked_by": "",
            "acked_until": None, "next": {"what": "escalated", "at": NOW + 900, "to": ["ani"], "because": ""},
            "members": [{"rule": "disk_space", "labels": {"mount": "/"}, "state": "bad", "severity": "critical",
                         "value": 0.93, "threshold": 0.9, "since": since, "note": "", "summary": "Disk / terisi 93 %",
                         "shown": "93 %", "limit": "90 %"}],
        }],
        "table": [{"code": code, "severity": "KRITIS", "headline": "KRITIS: Disk / terisi 93 %",
                   "since": "08.57 WIB (3 menit)", "has_it": "belum ada",
                   "next": "09.15 WIB: diteruskan ke Bu Ani"}],
    }


def test_what_another_problem_explains_is_not_said_to_be_told_soon(house: FakeHouse) -> None:
    explained = msgspec.structs.replace(opened(house), step=-1, held_by="inhibited:K7M", due=NOW + 60)
    policy, who = house.config.policy, reader(house)
    assert says(upcoming(explained, policy), policy, who) == "akibat dari K7M; dikabarkan bila tetap ada sesudahnya"


def test_an_ack_is_the_peers_and_ends_when_it_said(house: FakeHouse) -> None:
    code = opened(house).code
    answer = verbs(house)["ack"]({"code": code.lower(), "lasts": 1800, "note": "di jalan"}, "budi")
    assert answer["text"] == f"{code} ditangani Pak Budi sampai 09.30 WIB."
    assert (answer["incident"]["state"], answer["incident"]["acked_until"]) == ("acked", NOW + 1800)
    last = house.store.history(code)[-1]
    assert (last.what, last.who, last.how, last.detail) == ("acked", "budi", "cli", "di jalan")
    [row] = verbs(house)["incidents"]({}, "budi")["table"]
    assert row["has_it"] == "Pak Budi sampai 09.30 WIB"
    assert row["next"] == "09.30 WIB: ditanyakan lagi bila belum selesai"


def test_an_unack_gives_it_back(house: FakeHouse) -> None:
    code = opened(house).code
    verbs(house)["ack"]({"code": code}, "budi")
    answer = verbs(house)["unack"]({"code": code}, "root")
    assert answer["text"] == f"{code} dilepas root; eskalasi berjalan lagi."
    assert answer["incident"]["state"] == "open"


@pytest.mark.parametrize(
    ("verb", "params", "error", "hint"),
    [
        ("ack", {"code": "{almost}"}, "Tidak ada gangguan terbuka dengan kode {almost}.",
         "Maksud Anda {code}? Yang terbuka: {code}."),
        ("unack", {"code": "999"}, "Tidak ada gangguan terbuka dengan kode 999.", "Yang terbuka: {code}."),
        ("ack", {"code": "{code}", "lasts": 8 * 86400}, "Penanganan paling lama 7 hari: tulis --for 2h, misalnya.", ""),
        ("ack", {"code": "{code}", "lasts": float("nan")},
         "Penanganan paling lama 7 hari: tulis --for 2h, misalnya.", ""),
        ("ack", {"code": "{code}", "lasts": 0}, "Penanganan paling lama 7 hari: tulis --for 2h, misalnya.", ""),
        ("ack", {"code": "{code}", "lasts": "2h"}, "lasts must be a number", ""),
        ("ack", {"code": 7}, "code must be text", ""),
        ("ack", {}, "code must be text", ""),
        ("notify_test", {"contact": "bud", "wait": 1}, "Tidak ada kontak bernama bud di agent.toml.",
         "Maksud Anda budi?"),
        ("notify_test", {"contact": "zzz", "wait": 1}, "Tidak ada kontak bernama zzz di agent.toml.",
         "Yang ada: ani, budi."),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(
    house: FakeHouse, verb: str, params: dict[str, Any], error: str, hint: str
) -> None:
    code = opened(house).code

    def put_in(text: str) -> str:
        return text.replace("{code}", code).replace("{almost}", code[:2] + "Z")

    params = {name: put_in(value) if isinstance(value, str) else value for name, value in params.items()}
    with pytest.raises(Declined) as declined:
        verbs(house)[verb](params, "budi")
    assert (declined.value.error, declined.value.hint) == (put_in(error), put_in(hint))
    assert house.desk.view.open[0].acked_until is None


def test_a_test_message_says_what_became_of_it(house: FakeHouse) -> None:
    assert verbs(house)["notify_test"]({"contact": "budi", "wait": 5}, "root") == [
        {"channel": "console", "state": "done", "proof": "accepted", "seconds": 0.3, "error": ""}]


def test_somebody_who_is_no_contact_any_more_can_be_forgotten(house: FakeHouse) -> None:
    assert verbs(house)["forget"]({"contact": "citra"}, "root") == {
        "text": "citra: 4 catatan dihapus. Hapus juga [contacts.citra] dari agent.toml bila masih ada.",
        "contact": "citra", "count": 4}
    assert house.forgotten == ["citra"]


def test_the_status_says_what_is_not_ready(house: FakeHouse) -> None:
    opened(house)
    house.not_ready = ["store: disk full"]
    assert verbs(house)["status"]({}, "root") == {
        "agent": "server", "pid": os.getpid(), "at": NOW, "ready": False, "not_ready": ["store: disk full"], "open": 1}
