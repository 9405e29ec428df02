"""Running one collector: what is kept, what is refused, what is said, and what a hang, a wake and a crash lead to."""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent import watching
from agent.board import Board, CollectorState
from agent.logs import get_logger
from agent.runner import DURATION, LAST_SUCCESS, OVERRUN, SUCCESS, TARGET_SUCCESS, WATCH_UP, Runner
from alerts.incident import Finding
from collectors.base import Metric, Reading, Run, Wake
from fake_clock import START, FakeClock

LEVEL = Metric("jaga_test_level", "A collector's reading in these tests.", ("thing",))
PLAIN = Metric("jaga_test_plain", "One without labels.")
PATIENCE = 10.0  # seconds a test waits for another thread before it fails


@dataclass
class Fixed:
    """A collector that does what it is told."""

    doing: Callable[[Run], Iterable[Any]]

    def collect(self, run: Run) -> Iterable[Reading]:
        return self.doing(run)


@dataclass
class Desk:
    """Writes down what it is given, and lets open what it is told to."""

    seen: list[tuple[tuple[Reading, ...], dict[str, Any] | None, float]] = field(default_factory=list)
    opens: Sequence[Finding] = ()
    error: Exception | None = None
    explained: list[tuple[str, str]] = field(default_factory=list)

    def observe(
        self, _name: str, readings: tuple[Reading, ...], memory: dict[str, Any] | None, now: float
    ) -> Sequence[Finding]:
        if self.error is not None:
            raise self.error
        self.seen.append((readings, memory, now))
        return self.opens

    def explain(self, key: str, text: str) -> None:
        self.explained.append((key, text))


class House:
    """A desk, a board and a clock, and runners that work with them."""

    def __init__(self) -> None:
        self.clock, self.desk, self.board = FakeClock(), Desk(), Board()

    def runner(self, collector: Any, name: str = "test", memory: Mapping[str, Any] | None = None,
               log: Any = None) -> Runner:
        runner = Runner(
            name, collector, every=60.0, timeout=30.0, observe=self.desk.observe, explain_to=self.desk.explain,
            metric_of=lambda rule: {"level_high": "jaga_test_level"}.get(rule, "jaga_of_somebody_else"),
            memory=memory or {}, board=self.board, clock=self.clock, log=log or get_logger())
        runner.begin(lambda: None)
        return runner

    def run(self, doing: Callable[[Run], Iterable[Any]], name: str = "test") -> CollectorState:
        """One run of a collector that does this; return what the board says then."""
        self.runner(Fixed(doing), name).run()
        return self.board.snapshot()[name]


@pytest.fixture
def house() -> House:
    return House()


class Hung:
    """A collector that yields a reading and then waits until it is let go."""

    def __init__(self) -> None:
        self.waits, self.go = threading.Event(), threading.Event()

    def collect(self, run: Run) -> Iterator[Reading]:
        yield LEVEL(1, thing="a")
        self.waits.set()
        assert self.go.wait(PATIENCE)
        run.memory["ended"] = True
        yield LEVEL(2, thing="b")


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def ended(thread: threading.Thread) -> bool:
    thread.join(PATIENCE)
    return not thread.is_alive()


def test_a_good_run_is_measured_judged_and_shown_with_the_free_readings(house: House) -> None:
    def doing(run: Run) -> Iterator[Reading]:
        house.clock.advance(2.5)
        run.memory["offset"] = 7
        yield LEVEL(0.5, thing="/", note="see /var")

    state = house.run(doing)
    end = START + 2.5
    readings = (
        LEVEL(0.5, thing="/", note="see /var"), SUCCESS(1, collector="test"), OVERRUN(0, collector="test"),
        DURATION(2.5, collector="test"), LAST_SUCCESS(end, collector="test"),
    )
    assert house.desk.seen == [(readings, {"offset": 7}, end)]
    assert state == CollectorState(
        "test", 60.0, 30.0, readings=readings, at=end, success=True, duration=2.5, last_success=end)


def test_a_collector_is_on_the_board_before_it_ever_ran_and_due(house: House) -> None:
    runner = house.runner(Fixed(lambda run: ()))
    assert house.board.snapshot() == {"test": CollectorState("test", 60.0, 30.0)}
    assert runner.due


def test_what_was_yielded_before_an_error_is_kept(house: House) -> None:
    def doing(run: Run) -> Iterator[Reading]:
        run.memory["offset"] = 7
        yield LEVEL(1, thing="a")
        yield LEVEL(2, thing="b")
        raise OSError(116, "Stale file handle", "/srv")

    state = house.run(doing)
    error = "OSError: [Errno 116] Stale file handle: '/srv'"
    assert house.desk.seen == [(
        (LEVEL(1, thing="a"), LEVEL(2, thing="b"), SUCCESS(0, collector="test", note=error),
         OVERRUN(0, collector="test"), DURATION(0, collector="test")), None, START)]
    assert (state.success, state.error, state.last_success, state.at) == (False, error, None, START)


def test_a_failed_target_hides_neither_its_siblings_nor_the_memory(house: House) -> None:
    def doing(run: Run) -> Iterator[Reading]:
        for target in ("a", "dead", "c"):
            with run.target(target):
                if target == "dead":
                    raise TimeoutError("no answer in 5 s")
                yield LEVEL(1, thing=target)
        run.memory["seen"] = 3

    state = house.run(doing)
    readings, memory, _ = house.desk.seen[0]
    trouble = "TimeoutError: no answer in 5 s"
    assert readings[:2] == (LEVEL(1, thing="a"), LEVEL(1, thing="c"))
    assert readings[-3:] == (
        TARGET_SUCCESS(1, collector="test", target="a"),
        TARGET_SUCCESS(0, collector="test", target="dead", note=trouble),
        TARGET_SUCCESS(1, collector="test", target="c"))
    assert (memory, state.success, state.troubles) == ({"seen": 3}, True, (("dead", trouble),))


REFUSED = {
    "an undeclared metric": (Reading("jaga_other", 1.0), "jaga_other is not declared in the collector's file"),
    "a missing label": (Reading("jaga_test_level", 1.0), "jaga_test_level must have the labels thing"),
    "not a number": (LEVEL(math.nan, thing="a"), 'jaga_test_level{thing="a"} is not a number'),
}


@pytest.mark.parametrize(("reading", "error"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_fact_is_refused_and_said_and_the_rest_counts(house: House, reading: Reading, error: str) -> None:
    def doing(run: Run) -> Iterator[Reading]:
        run.memory["offset"] = 7
        yield reading
        yield LEVEL(math.inf, thing="b")

    state = house.run(doing)
    readings, memory, _ = house.desk.seen[0]
    assert [r for r in readings if r.metric not in OWN] == [LEVEL(math.inf, thing="b")]
    assert (state.success, state.error, memory) == (False, error, None)


OWN = {metric.name for metric in (SUCCESS, DURATION, LAST_SUCCESS, OVERRUN, WATCH_UP, TARGET_SUCCESS)}


def test_something_that_is_no_reading_fails_the_run(house: House) -> None:
    state = house.run(lambda run: [LEVEL(1, thing="a"), None])
    assert state.readings[0] == LEVEL(1, thing="a")
    assert state.error == "TypeError: yielded None, which is not a Reading"


def test_of_a_thing_that_is_yielded_twice_the_last_counts_and_it_is_logged_once(house: House) -> None:
    runner = house.runner(Fixed(lambda run: [LEVEL(1, thing="a"), PLAIN(5), LEVEL(2, thing="a")]))
    with capture_logs() as lines:
        runner.run()
        runner.run()
    assert house.board.snapshot()["test"].readings[:2] == (LEVEL(2, thing="a"), PLAIN(5))
    assert [(line["event"], line["reading"]) for line in lines] == [
        ("reading_failed", 'jaga_test_level{thing="a"}')]


def test_evidence_is_masked(house: House) -> None:
    state = house.run(lambda run: [LEVEL(1, thing="a", note="member budi@kopkarskf.com")])
    assert state.readings[0].note == "member b***@kopkarskf.com"


def test_names_in_bytes_that_are_no_text_are_written_out_and_can_be_stored(house: House) -> None:
    (reading, *_) = house.run(lambda run: [LEVEL(1, thing="caf\udce9", note="caf\udce9 é")]).readings
    assert (reading.labels, reading.note) == ((("thing", "caf\\udce9"),), "caf\\udce9 é")


def test_a_target_in_bytes_that_are_no_text_is_written_out_too(house: House) -> None:
    def doing(run: Run) -> Iterator[Reading]:
        with run.target("caf\udce9"):
            raise OSError("caf\udce9: gone")
        yield LEVEL(1, thing="a")

    told = house.run(doing).readings[-1]
    assert told == TARGET_SUCCESS(0, collector="test", target="caf\\udce9", note="OSError: caf\\udce9: gone")


def test_evidence_in_bytes_that_are_no_text_is_written_out(house: House) -> None:
    house.desk.opens = [finding("level_high", thing="a")]
    collector = SimpleNamespace(collect=lambda run: [LEVEL(1, thing="a")], explain=lambda metric, labels: "m\udcff 9 %")
    house.runner(as_of_this_module(collector)).run()
    assert [text for _, text in house.desk.explained] == ["m\\udcff 9 %"]


def test_a_named_instance_signs_its_readings(house: House) -> None:
    state = house.run(lambda run: [LEVEL(1, thing="z"), PLAIN(2)], name="test:toko")
    assert state.readings[:3] == (
        Reading("jaga_test_level", 1.0, (("name", "toko"), ("thing", "z"))),
        Reading("jaga_test_plain", 2.0, (("name", "toko"),)), SUCCESS(1, collector="test:toko"))


def test_a_failure_is_logged_when_it_begins_when_it_changes_and_when_it_ends(house: House) -> None:
    errors: list[Exception | None] = [None, OSError("a"), OSError("b"), ValueError("c"), None, None]

    def doing(run: Run) -> Iterator[Reading]:
        error = errors.pop(0)
        if error:
            raise error
        yield PLAIN(1)

    runner = house.runner(Fixed(doing))
    with capture_logs() as lines:
        for _ in range(6):
            runner.run()
    assert [(line["event"], line.get("error"), line["collector"]) for line in lines] == [
        ("collector_failed", "OSError: a", "test"), ("collector_failed", "ValueError: c", "test"),
        ("collector_recovered", None, "test")]


# --- memory


def test_a_run_finds_what_the_last_good_run_left_as_a_restart_would_find_it(house: House) -> None:
    found: list[dict[str, Any]] = []

    def doing(run: Run) -> Iterator[Reading]:
        found.append(deepcopy(run.memory))
        run.memory["ids"] = (*run.memory.get("ids", ()), len(found))
        run.memory.setdefault("nested", {})["n"] = len(found)
        yield PLAIN(1)
        if len(found) == 2:
            raise OSError("gone")

    runner = house.runner(Fixed(doing), memory={"ids": [0]})
    for _ in range(3):
        runner.run()
    assert found == [{"ids": [0]}, {"ids": [0, 1], "nested": {"n": 1}}, {"ids": [0, 1], "nested": {"n": 1}}]
    assert [memory for _, memory, _ in house.desk.seen] == [
        {"ids": [0, 1], "nested": {"n": 1}}, None, {"ids": [0, 1, 3], "nested": {"n": 3}}]


def test_memory_is_read_when_the_runner_before_can_commit_no_more(house: House) -> None:
    stored: dict[str, Any] = {"offset": 1}

    def doing(run: Run) -> Iterator[Reading]:
        yield PLAIN(run.memory["offset"])

    new = Runner("test", Fixed(doing), every=60, timeout=30, observe=house.desk.observe,
                 explain_to=house.desk.explain, metric_of=str, memory=lambda: stored, board=house.board,
                 clock=house.clock, log=get_logger())
    stored["offset"] = 2  # the old runner's last run ends while the new configuration is being read
    new.begin(lambda: None)
    new.run()
    assert house.desk.seen[0][0][0] == PLAIN(2)


def test_memory_that_did_not_change_is_not_committed_again(house: House) -> None:
    runner = house.runner(Fixed(lambda run: [PLAIN(1)]), memory={"offset": 7})
    runner.run()
    assert house.desk.seen[0][1] is None


@pytest.mark.parametrize("value", [object(), "\udcff", {(1, 2): 3}])
def test_memory_that_is_not_json_fails_the_run_and_not_the_runner(house: House, value: object) -> None:
    def doing(run: Run) -> Iterator[Reading]:
        run.memory["x"] = value
        yield PLAIN(1)

    state = house.run(doing)
    assert state.error.startswith("memory must hold JSON values only: ")
    assert house.desk.seen[0][1] is None


def test_when_the_desk_fails_the_board_is_right_and_the_memory_is_offered_again(house: House) -> None:
    house.desk.error = RuntimeError("a fault in judging")

    def doing(run: Run) -> Iterator[Reading]:
        run.memory["offset"] = run.memory.get("offset", 0) + 1
        yield PLAIN(run.memory["offset"])

    runner = house.runner(Fixed(doing))
    with capture_logs() as lines:
        runner.run()
        runner.run()
        assert house.board.snapshot()["test"].readings[0] == PLAIN(1)
        house.desk.error = None
        runner.run()
    assert [line["event"] for line in lines] == ["judging_failed", "judging_recovered"]
    assert [memory for _, memory, _ in house.desk.seen] == [{"offset": 1}]


# --- evidence


def finding(rule: str, **labels: str) -> Finding:
    return Finding(rule=rule, labels=tuple(sorted(labels.items())), state="bad", severity="critical")


def test_what_opens_is_explained_once_with_the_collectors_own_labels(house: House) -> None:
    asked = []

    def explain(metric: str, labels: dict[str, str]) -> str:
        asked.append((metric, labels))
        return "mysqld 3.1 GiB\nbudi@kopkarskf.com"

    house.desk.opens = [finding("level_high", thing="a", name="toko"), finding("collector_failed", collector="x")]
    collector = SimpleNamespace(collect=lambda run: [LEVEL(1, thing="a")], explain=explain)
    runner = house.runner(as_of_this_module(collector), name="test:toko")
    runner.run()
    house.desk.opens = ()
    runner.run()
    assert asked == [("jaga_test_level", {"thing": "a"})]
    assert house.desk.explained == [
        ('level_high{name="toko",thing="a"}', "mysqld 3.1 GiB\nb***@kopkarskf.com")]


def test_a_failing_explanation_is_logged_and_stops_nothing(house: House) -> None:
    def explain(metric: str, labels: dict[str, str]) -> str:
        if labels["thing"] == "a":
            raise PermissionError("/proc/1/io")
        return "seen"

    house.desk.opens = [finding("level_high", thing="a"), finding("level_high", thing="b")]
    runner = house.runner(as_of_this_module(SimpleNamespace(collect=lambda run: [], explain=explain)))
    with capture_logs() as lines:
        runner.run()
    assert [(line["event"], line["error"]) for line in lines] == [("explain_failed", "PermissionError: /proc/1/io")]
    assert house.desk.explained == [('level_high{thing="b"}', "seen")]


def test_an_explanation_that_hangs_is_told_like_a_hung_run(house: House) -> None:
    asked, go = threading.Event(), threading.Event()

    def explain(metric: str, labels: dict[str, str]) -> str:
        asked.set()
        assert go.wait(PATIENCE)
        return "late"

    house.desk.opens = [finding("level_high", thing="a")]
    runner = house.runner(as_of_this_module(SimpleNamespace(collect=lambda run: [], explain=explain)))
    thread = in_thread(runner.run)
    assert asked.wait(PATIENCE)
    assert house.board.snapshot()["test"].success
    house.clock.advance(31)
    house.desk.opens = ()
    runner.check_overrun(house.clock.now())
    assert house.board.snapshot()["test"].error == "no answer for 31 s while explaining an incident"
    go.set()
    assert ended(thread)
    assert house.desk.explained == [('level_high{thing="a"}', "late")]


def as_of_this_module(collector: SimpleNamespace) -> Any:
    """A collector's metrics are those of its module."""
    return type("Made", (), {"__module__": __name__, **{n: staticmethod(f) for n, f in vars(collector).items()}})()


# --- a hang


def test_a_hung_run_is_reported_without_waiting_for_it_and_its_late_end_counts(house: House) -> None:
    hung = Hung()
    runner = house.runner(hung)
    thread = in_thread(runner.run)
    assert hung.waits.wait(PATIENCE)
    assert house.board.snapshot()["test"].running_since == START

    house.clock.advance(30)
    runner.check_overrun(house.clock.now())
    assert (runner.overdue(), house.desk.seen) == (0.0, [])

    house.clock.advance(1)
    runner.check_overrun(house.clock.now())
    error = "no answer for 31 s"
    assert runner.overdue() == 1.0
    assert house.desk.seen == [((
        LEVEL(1, thing="a"), SUCCESS(0, collector="test", note=error), OVERRUN(31, collector="test")),
        None, START + 31)]
    state = house.board.snapshot()["test"]
    assert (state.success, state.error, state.at, state.running_since) == (False, error, START + 31, START)

    for _ in range(6):  # said again only after as long as it would have taken to the next run
        house.clock.advance(10)
        runner.check_overrun(house.clock.now())
    assert [readings for readings, _, _ in house.desk.seen[1:]] == [(
        SUCCESS(0, collector="test", note="no answer for 91 s"), OVERRUN(91, collector="test"))]

    hung.go.set()
    assert ended(thread)
    runner.check_overrun(house.clock.now())
    readings, memory, _ = house.desk.seen[2]
    assert len(house.desk.seen) == 3
    assert readings[:4] == (LEVEL(1, thing="a"), LEVEL(2, thing="b"), SUCCESS(1, collector="test"),
                            OVERRUN(0, collector="test"))
    assert memory == {"ended": True}
    assert house.board.snapshot()["test"].running_since is None


def test_a_hang_and_its_end_are_two_lines_in_the_log(house: House) -> None:
    hung = Hung()
    runner = house.runner(hung)
    with capture_logs() as lines:
        thread = in_thread(runner.run)
        assert hung.waits.wait(PATIENCE)
        for _ in range(5):
            house.clock.advance(60)
            runner.check_overrun(house.clock.now())
        hung.go.set()
        assert ended(thread)
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("collector_failed", "no answer for 60 s"), ("collector_recovered", None)]


def test_a_run_is_not_late_because_the_machine_slept_or_its_clock_was_set(house: House) -> None:
    hung = Hung()
    runner = house.runner(hung)
    thread = in_thread(runner.run)
    assert hung.waits.wait(PATIENCE)
    house.clock.suspend(8 * 3600)
    house.clock.wall += 3600
    runner.check_overrun(house.clock.now())
    assert house.desk.seen == []
    hung.go.set()
    assert ended(thread)


def test_a_retired_runner_says_nothing_more(house: House) -> None:
    hung = Hung()
    runner = house.runner(hung)
    thread = in_thread(runner.run)
    assert hung.waits.wait(PATIENCE)
    house.clock.advance(31)
    runner.retire()
    runner.check_overrun(house.clock.now())
    hung.go.set()
    assert ended(thread)
    runner.run()
    assert (house.desk.seen, dict(house.board.snapshot())) == ([], {})


# --- a wake


@pytest.mark.parametrize("wakes", [1, 100])
def test_a_wake_during_a_run_means_exactly_one_more_run_after_it(house: House, wakes: int) -> None:
    hung, requests = Hung(), []
    runner = house.runner(hung)
    runner.begin(lambda: requests.append(1))
    thread = in_thread(runner.run)
    assert hung.waits.wait(PATIENCE)
    assert not runner.due
    for _ in range(wakes):
        runner.wake()
    assert not runner.due  # wanted, but it is still running
    hung.go.set()
    assert ended(thread)
    assert runner.due
    assert requests == []  # whoever schedules looks at `due` after each run
    runner.run()
    assert not runner.due


def test_a_wake_of_an_idle_collector_asks_for_a_run_once(house: House) -> None:
    requests: list[int] = []
    runner = house.runner(Fixed(lambda run: ()))
    runner.begin(lambda: requests.append(1))
    runner.run()
    for _ in range(100):
        runner.wake()
    assert requests == [1]
    assert runner.due


def test_a_second_run_at_the_same_time_becomes_one_afterwards(house: House) -> None:
    hung = Hung()
    runner = house.runner(hung)
    thread = in_thread(runner.run)
    assert hung.waits.wait(PATIENCE)
    runner.run()
    hung.go.set()
    assert ended(thread)
    assert (len(house.desk.seen), runner.due) == (1, True)


# --- listening for events


class Ear:
    """A collector whose `watch` does one thing after another."""

    def __init__(self, *doings: Callable[[Wake], None]) -> None:
        self.doings, self.listens = list(doings), threading.Event()

    def collect(self, run: Run) -> Iterable[Reading]:
        return [PLAIN(1)]

    def watch(self, wake: Wake) -> None:
        if self.doings:
            self.doings.pop(0)(wake)
        else:
            self.listens.set()
            wake.stopped.wait(PATIENCE)


def fail(_wake: Wake) -> None:
    raise ConnectionResetError("the bus is gone")


def test_a_watcher_that_dies_is_started_again_and_said_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 0.001)
    ear = Ear(fail, fail, lambda wake: None)
    with capture_logs() as lines:
        runner = house.runner(ear)
        assert ear.listens.wait(PATIENCE)
        runner.run()
        assert [line["event"] for line in lines] == ["watch_failed"]
        house.clock.advance(60)
        runner.run()
        runner.retire()
    assert WATCH_UP(1, collector="test") in house.desk.seen[0][0]
    assert [(line["event"], line.get("error")) for line in lines] == [
        ("watch_failed", "ConnectionResetError: the bus is gone"), ("watch_recovered", None)]


class Heard:
    """A log that tells when something was said."""

    def __init__(self) -> None:
        self.warned = threading.Event()

    def bind(self, **_fields: str) -> "Heard":
        return self

    def warning(self, _event: str, **_fields: str) -> None:
        self.warned.set()


def test_a_collector_that_does_not_listen_says_so_and_can_be_retired_in_its_pause(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "FIRST_PAUSE", 3600.0)
    log = Heard()
    runner = house.runner(Ear(fail), name="test:pause", log=log)
    assert log.warned.wait(PATIENCE)
    runner.run()
    assert WATCH_UP(0, collector="test:pause") in house.desk.seen[0][0]
    (thread,) = (t for t in threading.enumerate() if t.name == "watch-test:pause")
    runner.retire()
    assert ended(thread)


def test_an_event_wakes_the_collector_until_it_is_retired(house: House) -> None:
    woken, handed = threading.Event(), []

    def listen(wake: Wake) -> None:
        handed.append(wake)
        wake()
        wake.stopped.wait(PATIENCE)

    runner = Runner(
        "test", Ear(listen), every=60, timeout=30, observe=house.desk.observe, explain_to=house.desk.explain,
        metric_of=str, memory={}, board=house.board, clock=house.clock, log=get_logger())
    runner.run()
    runner.begin(woken.set)
    assert woken.wait(PATIENCE)
    runner.run()
    woken.clear()
    runner.retire()
    handed[0]()
    assert not woken.is_set()
