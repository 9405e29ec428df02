"""The running process: what one part trips over stops no other, and what nobody could hear of is told."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from agent import app as running
from agent import selfcheck
from agent.app import PROGRESS, App
from alerts.judgement import RuleBook
from alerts.ledger import StoreError
from alerts.notification import Proof, Reply
from alerts.notifiers.console import Console
from house import House, free_port, until

CONFIGURATION = """
[web]
listen = "127.0.0.1:{port}"
[notifiers.console]
[contacts.budi]
channels = ["console"]
[alerts]
baseline = "0s"
probation = "0s"
quiet = {{ from = "00:00", to = "00:00" }}
batch = "0s"
[collectors.disk]
ignore = ["/*"]
"""
PATIENCE = 10.0  # seconds


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    (tmp_path / "agent.toml").write_text(CONFIGURATION.format(port=free_port()))
    made = App(tmp_path / "agent.toml")
    made.site.start()
    yield made
    made.site.stop()
    made.stop()


def breaks(*_: object) -> None:
    raise RuntimeError("our own fault")


def open_rules(app: App) -> set[str]:
    return {member.rule for incident in app.desk.view.open for member in incident.members.values()}


@pytest.mark.parametrize(
    "broken", ["schedule.check_overruns", "_after_a_jump", "_check_self", "daily.tick", "store.prune"])
def test_what_one_duty_trips_over_stops_neither_the_clock_nor_the_others(
    app: App, monkeypatch: pytest.MonkeyPatch, broken: str,
) -> None:
    monkeypatch.setattr(running, "BEAT", 0.01)
    owner, _, name = broken.rpartition(".")
    monkeypatch.setattr(getattr(app, owner) if owner else app, name, breaks)
    rounds = threading.Semaphore(0)
    ticking: Callable[[float], float | None] = app.desk.tick

    def tick(now: float) -> float | None:
        rounds.release()
        return ticking(now)

    monkeypatch.setattr(app.desk, "tick", tick)
    beat = threading.Thread(target=app._beat, daemon=True)
    beat.start()
    try:
        for _ in range(3):
            assert rounds.acquire(timeout=PATIENCE)
    finally:
        app._stopping.set()
        beat.join(PATIENCE)


def test_a_desk_whose_clock_stands_still_is_not_ready_and_is_the_watchdogs_business(app: App) -> None:
    now = app.clock.now()
    assert app._stuck(now) == []
    assert app._stuck(now + PROGRESS + 1) == ["desk"]


def test_no_address_that_a_broken_notifier_repeats_gets_into_an_incident(
    app: App, monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = "budi@example.id, +6281234567890"

    def repeats(*_: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(Console, "send", repeats)  # what is told of it may be on its way before we look
    app._open_channels({})
    app.channels["console"].failing_since = app.clock.now() - 1000
    app.channels["console"].error = f"RuntimeError: {words}"
    for after in (0.0, 20.0):
        app._check_self(app.clock.now() + after)
    (note,) = [member.note for each in app.desk.view.open for member in each.members.values()]
    assert note == "RuntimeError: b***@example.id, ***890"


def test_a_database_that_somebody_deleted_under_us_is_told(app: App) -> None:
    app.store.path.unlink()
    now = app.clock.now()
    for after in (0.0, 20.0):
        app._check_self(now + after)
    assert "store_not_writable" in open_rules(app)


def test_a_reload_that_trips_over_itself_is_told_and_the_daemon_lives(
    app: App, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(running, "load", breaks)
    app.reload()
    assert "config_invalid" in open_rules(app)


def test_a_reload_while_the_store_cannot_be_read_does_not_end_the_daemon(
    app: App, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(*_: object) -> None:
        raise StoreError("jaga.db: read: database disk image is malformed")

    monkeypatch.setattr(app.store, "counts", unreadable)
    monkeypatch.setattr(app.store, "refill_ballast", breaks)
    app.reload()
    assert app.config_error == ""


def test_an_answer_that_we_trip_over_keeps_nobody_else_unheard(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []

    def hear(channel: str, reply: Reply, now: float) -> None:
        if reply.id == "1":
            breaks()
        heard.append(reply.id)

    monkeypatch.setattr(app.dialogue, "hear", hear)
    app._heard("console", [Reply(id=str(number), address="x", text="ok", at=0.0) for number in (1, 2)])
    assert heard == ["2"]


def test_words_that_cannot_be_put_in_order_still_wake_somebody(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "compose", breaks)
    now = app.clock.now()
    code = app.desk.test("budi", now)
    (notification,) = app.store.open_batch("console", now, 5)
    letter = app._compose([notification], "budi", "console", now=now, window_open=False, stale=0, from_memory=False)
    assert letter is not None
    assert (letter.mark, letter.subject, [section.code for section in letter.sections]) == (
        f"{code}-1", f"[Jaga] {code}: test", [code])


def test_a_test_message_waits_for_the_strongest_proof_and_says_how_long_each_channel_took(
    app: App, monkeypatch: pytest.MonkeyPatch,
) -> None:
    def message(channel: str, state: str, proof: Proof) -> SimpleNamespace:
        return SimpleNamespace(channel=channel, state=state, proof=proof, error="")

    taken = message("console", "done", Proof.ACCEPTED)
    looks = iter([[taken], [taken, message("chat", "accepted", Proof.DELIVERED)],
                  [taken, message("chat", "done", Proof.READ)]])
    seconds = iter([0.0, 1.0, 5.0, 9.0])
    budi = msgspec.structs.replace(app.config.policy.contacts["budi"], channels=("chat", "console"))
    app.config.policy.contacts["budi"] = budi
    app.channels = {name: SimpleNamespace(error="", stop=lambda: None, wake=lambda: None, join=lambda seconds: None)
                    for name in budi.channels}  # type: ignore[misc]
    monkeypatch.setattr(app.store, "messages_about", lambda code: next(looks))
    monkeypatch.setattr(app.clock, "awake", lambda: next(seconds))
    assert [(each["channel"], each["proof"], each["seconds"]) for each in app.notify_test("budi", 60.0)] == [
        ("chat", "read", 9.0), ("console", "accepted", 1.0)]


def test_what_waited_for_a_channel_that_was_taken_out_goes_by_another_and_nothing_waits_for_ever(
    tmp_path: Path, app: App,
) -> None:
    one = app.path.read_text()
    two = one.replace('["console"]', '["second", "console"]') + '[notifiers.second]\ntype = "console"\n'
    app.path.write_text(two)
    app.config = running.load(app.path)
    app.desk.reload(RuleBook(app.config.rules.values()), app.config.policy, app._proofs(), {}, app.clock.now())
    app.desk.observe(selfcheck.NAME, [selfcheck.CONFIG_VALID(0)], None, app.clock.now())
    (waiting,) = app.store.stranded([])
    assert waiting.channel == "second"

    app.path.write_text(one)
    app.reload()
    until(lambda: {message.channel for message in app.store.messages_about(waiting.code)} == {"console"})
    assert app.store.stranded(["console"]) == []
    until(lambda: "oldest" not in app.store.counts())


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signals_that_come_in_a_row_end_nothing_by_force(tmp_path: Path, number: signal.Signals) -> None:
    house = House(tmp_path, CONFIGURATION.split("\n", 3)[3].replace("{{", "{").replace("}}", "}")).start()
    try:
        for _ in range(5):
            house.signal(number)
        if number == signal.SIGHUP:
            until(lambda: (tmp_path / "log").read_text().count("reloaded"))
            assert house.alive
            house.signal(signal.SIGTERM)
        assert house.process is not None
        assert house.process.wait(PATIENCE) == 0
    finally:
        house.close()
