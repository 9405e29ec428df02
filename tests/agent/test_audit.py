"""Alive means that alerting works: the heartbeat stops when any part of it does, and nothing stops the audit."""

import logging
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from agent.audit import PROOF_AGE, RECHECK, Auditor, Picture, verdict
from agent.board import CollectorState
from agent.config import Heartbeat
from agent.heartbeat import FAIL_AGAIN, Heart
from alerts.incident import Incident
from alerts.ledger import Changes, Message
from alerts.notification import Letter, Notification, Proof
from alerts.policy import Policy
from collectors.disk import USED
from collectors.secret import Secret
from fake_house import NOW, FakeHouse
from house import House, until

PATH = "/ping/0b5f2f8c-secret"
PATIENCE = 20.0  # seconds


class Service:
    """A heartbeat service on loopback: keeps each call, answers as told, and hangs while it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []  # what followed the address, its rid, its body
        self.answers: list[tuple[int, str]] = []  # of the next calls; then 200 OK
        self.open = threading.Event()
        self.open.set()
        self._changed = threading.Condition()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the library's name
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                service._took(self.path, body)
                service.open.wait(PATIENCE)
                status, text = service.answers.pop(0) if service.answers else (200, "OK")
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *words: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}{PATH}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def _took(self, target: str, body: str) -> None:
        parts = urlsplit(target)
        assert parts.path.startswith(PATH)
        with self._changed:
            self.calls.append((parts.path.removeprefix(PATH), parse_qs(parts.query)["rid"][0], body))
            self._changed.notify_all()

    def kinds(self, count: int) -> list[str]:
        """What the first calls were, as soon as there are that many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, PATIENCE), self.calls
            return [kind for kind, _, _ in self.calls]

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Scene:
    """A house without threads, audited, with a service outside. `minute` is a minute in which all is well."""

    def __init__(self, folder: Path) -> None:
        self.house, self.service = FakeHouse(folder), Service()
        settings = Heartbeat(url=Secret("here", lambda: self.service.url))
        self.heart = Heart(lambda: settings, self.house.clock, pauses=(0.01, 0.01))
        self.auditor = Auditor(self.house, lambda: settings, self.house.clock, self.heart)
        self.heart.start()
        self.service.kinds(1)
        self.minute()

    def minute(self) -> float:
        self.house.clock.advance(60)
        self.house.desk.tick(self.house.clock.now())
        self.house.report(USED(0.5, mount="/"))
        return self.auditor.turn()

    def close(self) -> None:
        self.heart.stop()
        self.service.close()
        self.heart._thread.join(PATIENCE)
        self.house.close()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def collector(name: str = "disk", **state: object) -> CollectorState:
    return CollectorState(name, 60.0, 20.0, **({"at": NOW} | state))  # type: ignore[arg-type]


def incident(code: str = "K7M", **fields: object) -> Incident:
    base: dict[str, object] = {"code": code, "key": code, "opened": NOW, "members": {}, "severity": "critical"}
    return Incident(**(base | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(("fields", "failures"), [
    ({}, []),
    ({"clock_at": NOW - 60}, []),
    ({"clock_at": NOW - 61}, ["desk clock: has stood still for 61 s"]),
    ({"store_error": "/var/lib/jaga/jaga.db: commit: disk I/O error"}, ["store: what happens cannot be written down"]),
    ({"collectors": [collector(at=NOW - 140)]}, []),
    ({"collectors": [collector(at=NOW - 141), collector("mysql:a", at=NOW - 6000)]},
     ["collector disk: no report for 141 s", "collector mysql:a: no report for 100 min"]),
    ({"collectors": [collector(success=False, error="mount hangs")]}, []),  # what is reported is known
    ({"collectors": [collector(at=None)]}, []),
    ({"collectors": [collector(at=None)], "first_seen": {"disk": NOW - 200}}, ["collector disk: no report for 200 s"]),
    ({"open": [incident(due=NOW - 60), incident(due=NOW + 900), incident(acked_until=NOW + 9)]}, []),
    ({"open": [incident(due=NOW - 61), incident(due=NOW - 300)]}, ["escalation: 2 late, by up to 300 s"]),
    ({"open": [incident()]}, ["escalation: a problem has no next step"]),
    ({"waiting": {"critical": NOW - 300, "warning": NOW - 1800}}, []),
    ({"waiting": {"critical": NOW - 301, "warning": NOW - 1801}},
     ["outbox: a critical message has waited for 301 s", "outbox: a warning message has waited for 30 min"]),
    ({"unproved": {"twilio": NOW - PROOF_AGE}}, []),
    ({"unproved": {"twilio": NOW - PROOF_AGE - 1}}, ["proof: nothing sent by twilio was seen to arrive for 11520 min"]),
])
def test_the_verdict_names_every_part_of_alerting_that_does_not_work(
        fields: dict[str, object], failures: list[str]) -> None:
    policy = Policy(contacts={}, people=(), steps=())
    whole = {"now": NOW, "policy": policy, "clock_at": NOW} | fields
    assert verdict(Picture(**whole)) == failures  # type: ignore[arg-type]


def stop_the_desk_clock(scene: Scene) -> None:
    scene.house.desk.tick = lambda now: None  # type: ignore[method-assign,assignment]


def hang_a_collector(scene: Scene) -> None:
    scene.house.report = lambda *readings, **state: None  # type: ignore[method-assign,assignment]


def stick_the_outbox(scene: Scene) -> None:
    now = scene.house.clock.now()
    scene.house.store.commit(Changes(notifications=[
        Notification(code="K7M", ordinal=1, reason="opened", severity="critical", contact="budi", channel="console",
                     created=now - 300, not_before=now - 295, stale_at=now + 9999, incident=incident())]))


def make_the_store_read_only(scene: Scene) -> None:
    scene.house.store._db.execute("PRAGMA query_only = ON")


def lose_a_step(scene: Scene) -> None:
    desk = scene.house.desk
    desk._incidents["K7M"] = incident(due=scene.house.clock.now() - 90, step=0)
    desk.tick = lambda now: setattr(desk, "_clock_at", now)  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize(("kill", "why"), [
    (stop_the_desk_clock, "desk clock: "), (hang_a_collector, "collector disk: "), (stick_the_outbox, "outbox: "),
    (make_the_store_read_only, "store: "), (lose_a_step, "escalation: "),
])
def test_when_a_part_of_alerting_dies_the_heartbeat_stops_and_says_why(
        scene: Scene, kill: Callable[[Scene], None], why: str) -> None:
    scene.minute()
    assert scene.service.kinds(2)[0] == "/start"
    kill(scene)
    pauses = [scene.minute() for _ in range(4)]
    assert RECHECK in pauses  # a first failure is looked at again before it counts
    until(lambda: scene.service.kinds(3)[-1] == "/fail", PATIENCE)
    kinds = [kind for kind, _, _ in scene.service.calls]
    assert kinds == ["/start", *[""] * (len(kinds) - 2), "/fail"]
    body = scene.service.calls[-1][2]
    assert body.startswith(why)
    assert not any(word in body for word in ("budi", "Budi", str(scene.house.path.parent)))
    success, *_ = scene.auditor.readings()
    assert (success.metric, success.value, success.note.startswith(why)) == ("jaga_audit_success", 0.0, True)


def test_a_failure_that_a_second_look_does_not_find_is_none(scene: Scene) -> None:
    scene.house.clock.advance(600)  # it slept, and wakes in the middle of things
    assert scene.auditor.turn() == RECHECK
    assert scene.auditor.failures == ()
    assert scene.minute() == 60.0
    assert scene.service.kinds(3) == ["/start", "", ""]


def test_a_lasting_failure_is_said_every_five_minutes_and_its_end_at_once(scene: Scene) -> None:
    store = scene.house.store
    scene.service.kinds(2)
    store._db.execute("PRAGMA query_only = ON")
    scene.minute()
    scene.minute()
    assert scene.service.kinds(3)[-1] == "/fail"
    for _ in range(int(FAIL_AGAIN // 60)):
        scene.minute()
    until(lambda: [kind for kind, _, _ in scene.service.calls].count("/fail") == 2, PATIENCE)
    store._db.execute("PRAGMA query_only = OFF")
    scene.minute()
    until(lambda: scene.service.calls[-1][0] == "", PATIENCE)
    assert scene.auditor.failures == ()


def test_an_endpoint_that_hangs_does_not_stop_the_audit(scene: Scene) -> None:
    scene.service.kinds(2)
    scene.service.open.clear()
    scene.minute()
    scene.service.kinds(3)
    for _ in range(5):
        assert scene.minute() == 60.0
    assert scene.auditor.failures == ()
    scene.service.open.set()
    until(lambda: len(scene.service.calls) == 4 or None, PATIENCE)  # of the five that waited only the last one is true


def test_the_beginning_and_its_end_share_an_id_and_a_try_anew_keeps_it(scene: Scene) -> None:
    scene.service.kinds(2)
    (_, begun, _), (_, ended, _) = scene.service.calls
    assert begun == ended
    scene.service.answers += [(500, "oops"), (429, "slow down")]
    scene.minute()
    scene.service.kinds(5)
    tries = [rid for _, rid, _ in scene.service.calls[2:]]
    assert (len(set(tries)), tries[0] == begun) == (1, False)


@pytest.mark.parametrize(("answers", "error"), [
    ([(404, "not found")], "does not know the address"), ([(200, "OK (not found)")], "does not know the address"),
    ([(503, "")] * 3, "answered 503"), ([(302, "")], "answered 302"),
])
def test_a_heartbeat_that_is_not_taken_is_told_without_its_address(
        scene: Scene, answers: list[tuple[int, str]], error: str, caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    scene.service.kinds(2)
    until(lambda: scene.heart.last_success, PATIENCE)
    scene.service.answers += answers
    scene.minute()
    until(lambda: scene.heart.error, PATIENCE)
    assert error in scene.heart.error
    scene.house.clock.advance(900)
    readings = {reading.metric: reading for reading in scene.auditor.readings()}
    failing = readings["jaga_heartbeat_failing_seconds"]
    assert (failing.value, failing.note) == (900.0, scene.heart.error)
    assert readings["jaga_heartbeat_last_success_timestamp_seconds"].value == NOW + 60
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    assert PATH not in " ".join([*ours, scene.heart.error, *capfd.readouterr()])
    scene.minute()
    until(lambda: not scene.heart.error, PATIENCE)
    assert scene.heart.failing() == 0.0


def test_nobody_outside_is_one_error_and_not_the_end(scene: Scene) -> None:
    scene.service.kinds(2)
    scene.service.close()
    scene.minute()
    until(lambda: scene.heart.error, PATIENCE)
    assert scene.heart.error == "no connection to the heartbeat service: nobody listens there"
    assert scene.auditor.failures == ()


def test_a_dead_auditor_is_seen_by_the_readings(scene: Scene) -> None:
    def audit() -> tuple[float, str]:
        success, *_ = scene.auditor.readings()
        return success.value, success.note

    assert audit() == (1.0, "")
    scene.house.clock.advance(196)
    assert audit() == (0.0, "no audit for 196 s")


def test_an_audit_that_breaks_has_not_found_that_all_is_well(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene.house.store, "waiting", lambda: 1 / 0)
    scene.minute()
    scene.minute()
    assert scene.auditor.failures == ("audit: ZeroDivisionError",)


def sent(house: FakeHouse, at: float, proof: Proof, state: str = "done", channel: str = "twilio") -> None:
    letter = Letter(mark="K7M-1", to="", name="", language="id", severity="critical", created=at, stale_at=at + 9,
                    subject="s", sections=())
    message = Message(id=0, channel=channel, contact="budi", letter=letter, state="sending", claimed=at, owner="x")
    message = house.store.claim([], message)
    house.store.record(msgspec.structs.replace(message, state=state, proof=proof, accepted_at=at))  # type: ignore[arg-type]


def test_what_was_sent_since_the_last_proof_of_delivery_is_what_counts(scene: Scene) -> None:
    """No message yet: nothing to prove. A quiet fortnight after a proof: neither."""
    store, unproved = scene.house.store, lambda: scene.house.store.unproved(Proof.DELIVERED)
    assert unproved() == {}
    sent(scene.house, NOW + 1, Proof.ACCEPTED)
    sent(scene.house, NOW + 2, Proof.ACCEPTED)
    assert unproved() == {"twilio": NOW + 1}
    sent(scene.house, NOW + 3, Proof.READ)
    assert unproved() == {}
    sent(scene.house, NOW + 4, Proof.ACCEPTED)
    sent(scene.house, NOW + 5, Proof.ACCEPTED, "failed")
    sent(scene.house, NOW + 6, Proof.ACCEPTED, channel="email")
    assert unproved() == {"twilio": NOW + 4, "email": NOW + 6}
    assert store.waiting() == {}


def test_a_word_whose_problem_somebody_has_heard_of_does_not_wait(scene: Scene) -> None:
    def word(ordinal: int, channel: str, created: float) -> Notification:
        return Notification(code="K7M", ordinal=ordinal, reason="opened", severity="critical", contact="budi",
                            channel=channel, created=created, not_before=created, stale_at=created + 9999,
                            incident=incident())

    store = scene.house.store
    store.commit(Changes(notifications=[word(1, "twilio", NOW)]))
    assert store.waiting() == {"critical": NOW}
    store.commit(Changes(notifications=[word(2, "email", NOW + 180)]))
    store.spoke([word(2, "email", NOW + 180)])
    assert store.waiting() == {}
    store.commit(Changes(notifications=[word(3, "twilio", NOW + 900)]))
    assert store.waiting() == {"critical": NOW + 900}


def test_a_running_jaga_says_that_it_begins_and_then_that_alerting_works(tmp_path: Path) -> None:
    """The whole of it, as a process; the address is in no log line."""
    service = Service()
    house = House(tmp_path, "[collectors.disk]\nevery = '5s'\ntimeout = '4s'\nignore = ['/?*']\n"
                            "[heartbeat]\nurl = { env = 'BEAT' }\nevery = '30s'\n", {"BEAT": service.url})
    try:
        house.start()
        assert service.kinds(1) == ["/start"]
        until(lambda: len(service.calls) >= 2, 60)
        assert service.calls[1] == ("", service.calls[0][1], "")
        until(lambda: "jaga_audit_success 1.0" in house.get("/metrics")[1])
    finally:
        house.close()
        service.close()
    assert PATH not in (tmp_path / "log").read_text()
