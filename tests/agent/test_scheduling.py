"""When collectors run: at once, on a grid, when woken, after the clock jumped, beside a hung one, not after stop."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_EXECUTED, EVENT_JOB_MAX_INSTANCES
from apscheduler.schedulers import base as apscheduler_base
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agent.board import Board
from agent.clock import Clock
from agent.logs import get_logger
from agent.runner import SUCCESS, Runner
from agent.scheduling import Grid, Schedule
from alerts.incident import Finding
from collectors.base import Metric, Reading, Run
from fake_clock import START, FakeClock

PLAIN = Metric("jaga_test_plain", "A reading in these tests.")
PATIENCE = 10.0  # seconds a test waits for another thread before it fails
HOUR = 3600.0
RARELY = 400 * 24 * HOUR  # no moment of its grid comes by while a test runs


class Counting:
    """A collector that counts its runs; others can wait for the next one, or hold it."""

    def __init__(self, hold: bool = False) -> None:
        self.runs, self.changed = 0, threading.Condition()
        self.go = threading.Event()
        if not hold:
            self.go.set()

    def collect(self, run: Run) -> Iterable[Reading]:
        with self.changed:
            self.runs += 1
            self.changed.notify_all()
        assert self.go.wait(PATIENCE)
        return [PLAIN(self.runs)]

    def ran(self, times: int) -> bool:
        """Wait until it has begun that many runs, and no more than those."""
        with self.changed:
            return self.changed.wait_for(lambda: self.runs >= times, PATIENCE) and self.runs == times


class House:
    """A board, a schedule, and runners made for it; what was published can be waited for."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.board, self.schedule = clock, Board(), Schedule(clock)
        self.published: list[tuple[str, tuple[Reading, ...]]] = []
        self.finished = 0
        self.changed = threading.Condition()
        self.schedule._scheduler.add_listener(self._finished, EVENT_JOB_EXECUTED)

    def _finished(self, _event: object) -> None:
        with self.changed:
            self.finished += 1
            self.changed.notify_all()

    def idle(self, times: int) -> bool:
        """Wait until so many jobs are over for APScheduler as well: from then on it takes the next."""
        with self.changed:
            return self.changed.wait_for(lambda: self.finished >= times, PATIENCE)

    def leave(self) -> None:
        """Wait for the end of everything that runs."""
        assert self.schedule._pool is not None
        self.schedule._pool.shutdown(wait=True)

    def observe(
        self, name: str, readings: tuple[Reading, ...], _memory: dict[str, Any] | None, _now: float
    ) -> Sequence[Finding]:
        with self.changed:
            self.published.append((name, readings))
            self.changed.notify_all()
        return ()

    def runner(self, name: str, collector: Any, every: float = RARELY, timeout: float = 30.0) -> Runner:
        return Runner(name, collector, every=every, timeout=timeout, observe=self.observe,
                      explain_to=lambda key, text: None, metric_of=str, memory={}, board=self.board,
                      clock=self.clock, log=get_logger())

    def saw(self, name: str, times: int = 1) -> bool:
        """Wait until that collector has published so often."""
        with self.changed:
            return self.changed.wait_for(lambda: [n for n, _ in self.published].count(name) >= times, PATIENCE)


@pytest.fixture
def house() -> Iterator[House]:
    house = House(Clock())
    yield house
    house.schedule.stop()


@pytest.fixture
def fake_house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house whose wall clock stands still until a test sets it; APScheduler reads the same one."""
    clock = FakeClock()

    class Wall(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Wall":
            return cls.fromtimestamp(clock.now(), tz)

    monkeypatch.setattr(apscheduler_base, "datetime", Wall)
    house = House(clock)
    yield house
    house.schedule.stop()


# --- the grid


@given(name=st.text(min_size=1), every=st.floats(0.5, 7 * 86400), now=st.floats(1e9, 4e9))
def test_the_next_run_lies_ahead_by_no_more_than_the_interval(name: str, every: float, now: float) -> None:
    at = datetime.fromtimestamp(now, UTC)
    following = Grid(name, every).get_next_fire_time(None, at)
    assert 0 < (following - at).total_seconds() <= every + 1e-3
    again = Grid(name, every).get_next_fire_time(following, following)
    assert (again - following).total_seconds() == pytest.approx(every, abs=1e-3)


def test_a_clock_that_learns_the_year_costs_one_step_and_not_millions() -> None:
    before, now = datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    following = Grid("disk", 15.0).get_next_fire_time(before, now)
    assert 0 < (following - now).total_seconds() <= 15


def test_collectors_of_one_interval_do_not_all_run_in_the_same_second() -> None:
    now = datetime.fromtimestamp(START, UTC)
    names = ["resources", "disk", "services", "mysql:a", "mysql:b", "redis", "queue", "backup"]
    seconds = {int(Grid(name, 60.0).get_next_fire_time(None, now).timestamp()) for name in names}
    assert len(seconds) >= len(names) - 1


# --- runs


def test_every_collector_runs_at_once_and_then_on_its_grid(house: House) -> None:
    slow, quick = Counting(), Counting()
    house.schedule.start([house.runner("slow", slow), house.runner("quick", quick, every=0.05)])
    assert slow.ran(1)
    assert house.saw("quick", 3)
    planned = house.schedule.next_run("slow")
    assert planned is not None
    assert 0 < planned - time.time() <= RARELY
    assert house.schedule.next_run("nobody") is None
    assert slow.ran(1)
    assert house.schedule.late(time.time()) < PATIENCE


def test_a_wake_runs_an_idle_collector_now(house: House) -> None:
    counting = Counting()
    runner = house.runner("disk", counting)
    house.schedule.start([runner])
    for times in range(1, 20):
        assert counting.ran(times)
        assert house.saw("disk", times)
        house.schedule.wake("disk")  # often still before APScheduler has taken back the last run
    with pytest.raises(KeyError):
        house.schedule.wake("nobody")


@pytest.mark.parametrize("wakes", [1, 100])
def test_wakes_during_a_run_lead_to_one_more_run(house: House, wakes: int) -> None:
    counting = Counting(hold=True)
    runner = house.runner("disk", counting)
    house.schedule.start([runner])
    assert counting.ran(1)
    for _ in range(wakes):
        house.schedule.wake("disk")
    assert counting.ran(1)
    counting.go.set()
    assert house.saw("disk", 2)
    house.leave()
    assert (counting.runs, runner.due) == (2, False)


def test_no_wake_is_lost_between_a_runs_end_and_its_end_for_apscheduler(house: House) -> None:
    counting, dropped = Counting(), threading.Event()
    house.schedule._scheduler.add_listener(lambda _: dropped.set(), EVENT_JOB_MAX_INSTANCES)

    class Between(logging.Handler):
        """APScheduler logs when the run is over, just before it would take another one."""

        def emit(self, record: logging.LogRecord) -> None:
            if counting.runs == 1 and "successfully" in record.getMessage():
                house.schedule.wake("disk")
                assert dropped.wait(PATIENCE)

    handler, executors = Between(), logging.getLogger("apscheduler.executors")
    executors.addHandler(handler)
    executors.setLevel(logging.INFO)
    try:
        house.schedule.start([house.runner("disk", counting)])
        assert house.saw("disk", 2)
    finally:
        executors.removeHandler(handler)
        executors.setLevel(logging.NOTSET)


def test_no_wake_is_lost_when_a_run_ends_before_apscheduler_has_finished_starting_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def submit(pool: ThreadPoolExecutor, *args: Any) -> Future[Any]:
        future = original(pool, *args)
        assert wait([future], PATIENCE).done
        return future

    class Eager(Counting):
        """Is woken in the middle of its first run."""

        def collect(self, run: Run) -> Iterable[Reading]:
            if not self.runs:
                house.schedule.wake("disk")
            return super().collect(run)

    original = ThreadPoolExecutor.submit
    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    house.schedule.start([house.runner("disk", Eager())])
    assert house.saw("disk", 2)


class Ahead(Clock):
    """The real clock, which a test can put forward."""

    by = 0.0

    def awake(self) -> float:
        return super().awake() + self.by


def test_a_hung_collector_stops_neither_its_siblings_nor_the_word_that_it_hangs_nor_the_exit() -> None:
    clock = Ahead()
    house, hung, alive = House(clock), [Counting(hold=True) for _ in range(3)], Counting()
    runners = [house.runner(f"hung{n}", collector, every=0.05) for n, collector in enumerate(hung)]
    with capture_logs() as lines:
        house.schedule.start([*runners, house.runner("alive", alive, every=0.05, timeout=HOUR)])
        assert all(collector.ran(1) for collector in hung)
        assert house.saw("alive", 5)
        clock.by = 31.5
        house.schedule.check_overruns(time.time())
        assert {name: (readings[0].metric, readings[0].value) for name, readings in house.published
                if name != "alive"} == {f"hung{n}": (SUCCESS.name, 0.0) for n in range(3)}
        assert house.saw("alive", 8)
        assert all(collector.runs == 1 for collector in hung)
        begun = time.monotonic()
        house.schedule.stop()
        assert time.monotonic() - begun < 2.0
        count = len(house.published)
        for collector in hung:
            collector.go.set()
        house.leave()
    assert len(house.published) == count  # a late end after that is not told to a desk that may be closed
    assert sorted(line["collector"] for line in lines) == ["hung0", "hung1", "hung2"]


def test_a_hung_collector_is_no_hourly_warning_of_the_scheduler(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    hung, alive = Counting(hold=True), Counting()
    house.schedule.start([house.runner("hung", hung, every=0.02), house.runner("alive", alive, every=0.02)])
    assert house.saw("alive", 5)
    assert [record.getMessage() for record in caplog.records if record.name.startswith("apscheduler")] == []
    hung.go.set()


def test_stopping_what_never_started_is_no_mistake() -> None:
    Schedule(Clock()).stop()


# --- a wall clock that jumps


@pytest.mark.parametrize("jump", [-HOUR, HOUR, -400 * 86400.0, 400 * 86400.0])
def test_after_a_jump_every_collector_runs_again_within_its_interval(fake_house: House, jump: float) -> None:
    house, counting = fake_house, Counting()
    assert isinstance(house.clock, FakeClock)
    house.schedule.start([house.runner("disk", counting, every=60.0)])
    assert house.idle(1)
    house.clock.wall += jump
    house.schedule.replan()
    planned = house.schedule.next_run("disk")
    assert planned is not None
    assert 0 < planned - house.clock.now() <= 60
    house.clock.advance(61)
    house.schedule._scheduler.wakeup()  # the real time that it waits for is not ours to spend
    assert counting.ran(2)


def test_without_planning_anew_a_clock_that_was_set_back_would_stop_everything(fake_house: House) -> None:
    """Shows what `replan` is for, so that the test above can fail."""
    house, counting = fake_house, Counting()
    assert isinstance(house.clock, FakeClock)
    house.schedule.start([house.runner("disk", counting, every=60.0)])
    assert counting.ran(1)
    planned = house.schedule.next_run("disk")
    house.clock.wall -= HOUR
    assert planned is not None
    assert planned - house.clock.now() > HOUR - 60


def test_after_suspend_what_is_late_runs_at_the_next_beat(fake_house: House) -> None:
    house, counting = fake_house, Counting()
    assert isinstance(house.clock, FakeClock)
    house.schedule.start([house.runner("disk", counting, every=60.0)])
    assert house.idle(1)
    assert house.schedule.late(house.clock.now()) == 0.0
    house.clock.suspend(8 * HOUR)  # the scheduler's own sleep knows nothing of it
    assert house.schedule.late(house.clock.now()) > 7 * HOUR
    house.schedule.check_overruns(house.clock.now())
    assert counting.ran(2)
    assert house.idle(2)
    assert house.schedule.late(house.clock.now()) == 0.0


def test_planning_anew_forgets_no_wake(fake_house: House) -> None:
    house, counting = fake_house, Counting()
    house.schedule.start([house.runner("disk", counting, every=60.0)])
    assert house.idle(1)
    house.schedule._scheduler.pause()
    house.schedule.wake("disk")
    house.schedule.replan()
    house.schedule._scheduler.resume()
    assert counting.ran(2)


# --- a new configuration


def test_a_reload_keeps_what_stays_retires_what_goes_and_runs_what_is_new_at_once(house: House) -> None:
    stays, goes, new = Counting(), Counting(), Counting()
    staying = house.runner("stays", stays)
    house.schedule.start([staying, house.runner("goes", goes)])
    assert house.saw("stays")
    assert house.saw("goes")
    house.schedule.change([staying, house.runner("new", new)])
    assert house.saw("new")
    assert (stays.runs, goes.runs) == (1, 1)
    assert set(house.board.snapshot()) == {"stays", "new"}
    assert house.schedule.next_run("goes") is None
    house.schedule.wake("stays")
    assert stays.ran(2)


def test_a_hung_run_of_the_old_configuration_costs_the_new_one_neither_thread_nor_truth(house: House) -> None:
    old = [Counting(hold=True) for _ in range(4)]
    house.schedule.start([house.runner(f"c{n}", collector) for n, collector in enumerate(old)])
    assert all(collector.ran(1) for collector in old)
    for _ in range(3):  # each leaves its threads behind
        old += (new := [Counting(hold=True) for _ in range(4)])
        house.schedule.change([house.runner(f"c{n}", collector) for n, collector in enumerate(new)])
        assert all(collector.ran(1) for collector in new)
    for collector in old:
        collector.go.set()
    assert all(house.saw(f"c{n}") for n in range(4))
    house.leave()
    assert sorted(name for name, _ in house.published) == ["c0", "c1", "c2", "c3"]


def test_a_collector_that_stays_is_never_measured_twice_at_once_over_a_reload(house: House) -> None:
    counting = Counting(hold=True)
    runner = house.runner("disk", counting)
    house.schedule.start([runner])
    assert counting.ran(1)
    house.schedule.change([runner])
    house.schedule._run_now("disk")  # the new pool knows nothing of the run in the old one
    other = Counting()
    house.schedule.change([runner, house.runner("other", other)])
    assert house.saw("other")
    assert counting.runs == 1
    counting.go.set()
    assert house.saw("disk")
