"""Decides when collectors run: at once, then on a grid of their own, and whenever something wakes them."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from zlib import crc32

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from agent.clock import Clock
from agent.runner import Runner

_EPOCH, _TICK = datetime.fromtimestamp(0, UTC), timedelta(microseconds=1)


class Grid(BaseTrigger):  # type: ignore[misc]  # APScheduler ships no types
    """Fires every `every` seconds, at a phase that the name gives, so that not all run in the same second.

    It looks only at the present. APScheduler's own interval trigger counts on from the last run: after a machine
    without a clock battery learns the year, it would step through millions of missed runs.
    """

    def __init__(self, name: str, every: float) -> None:
        # whole microseconds, as datetime has them: a rest would fire the same moment twice
        self._every = max(1, round(every * 1e6))
        self._phase = crc32(name.encode()) * self._every >> 32

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """The first point of the grid after `now`, whatever went before."""
        points = ((now - _EPOCH) // _TICK - self._phase) // self._every
        return _EPOCH + ((points + 1) * self._every + self._phase) * _TICK


class Schedule:
    """Runs the runners in a pool of threads, each in one thread at most. Its methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._runners: dict[str, Runner] = {}
        self._pools = (f"collectors-{number}" for number in count(1))
        self._pool: ThreadPoolExecutor | None = None
        self._pool_name = ""
        # A late run is still a run, and one after a pause is enough.
        self._scheduler = BackgroundScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
        self._scheduler.add_listener(self._after_run, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        # At each tick it would warn that a hung run is not over; the runner says that once, and better.
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)

    def start(self, runners: Sequence[Runner]) -> None:
        """Begin with these; each runs at once."""
        self._scheduler.start(paused=True)
        self.change(runners)
        self._scheduler.resume()

    def change(self, runners: Sequence[Runner]) -> None:
        """From now on run these: those that were here already go on, the others are retired, the new run at once.

        The pool is a new one as well (collectors + 2 threads), so that a hung run of old costs the new ones no thread.
        """
        wanted = {runner.name: runner for runner in runners}
        for name, runner in list(self._runners.items()):
            if wanted.get(name) is not runner:
                del self._runners[name]
                self._scheduler.remove_job(name)
                runner.retire()
        old_pool, old_name = self._pool, self._pool_name
        self._pool, self._pool_name = ThreadPoolExecutor(len(wanted) + 2), next(self._pools)
        self._scheduler.add_executor(self._pool, self._pool_name)
        for name, runner in wanted.items():
            if name in self._runners:
                self._scheduler.modify_job(name, executor=self._pool_name)
            else:
                self._add(runner)
        if old_pool is not None:
            self._scheduler.remove_executor(old_name, shutdown=False)
            old_pool.shutdown(wait=False)

    def wake(self, name: str) -> None:
        """Run this one now, or once more after the run that is under way. Raises KeyError for an unknown name."""
        self._runners[name].wake()

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: tell the runners."""
        for runner in list(self._runners.values()):
            runner.shift(seconds)

    def replan(self) -> None:
        """Plan every run anew: for when the wall clock, by which APScheduler plans, has jumped."""
        for name, runner in list(self._runners.items()):
            if runner.due:
                self._run_now(name)
            else:
                self._move(name, Grid(name, runner.every).get_next_fire_time(None, self._now()))

    def check_overruns(self, now: float) -> None:
        """Let every hung run be reported; for a thread that takes no part in running them, every few seconds.

        A scheduler that is late is nudged as well: it sleeps by a clock that stands still while the machine does.
        """
        if self.late(now):
            self._scheduler.wakeup()
        for runner in list(self._runners.values()):
            runner.check_overrun(now)

    def next_run(self, name: str) -> float | None:
        """When this one runs next, unix seconds; None where there is no such collector."""
        job = self._scheduler.get_job(name)
        return None if job is None else float(job.next_run_time.timestamp())

    def late(self, now: float) -> float:
        """Seconds by which the scheduler itself is behind its plan: beyond a few, its thread does not move any more.

        After the wall clock jumped this means nothing until `replan` was called.
        """
        planned = [job.next_run_time.timestamp() for job in self._scheduler.get_jobs()]
        return max(0.0, now - min(planned, default=now))

    def stop(self) -> None:
        """Start nothing more, and return at once. A hung run keeps its thread: the process leaves by `os._exit`."""
        for runner in list(self._runners.values()):
            runner.retire()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def _add(self, runner: Runner) -> None:
        name = runner.name
        self._runners[name] = runner
        runner.begin(lambda: self._run_now(name))
        self._scheduler.add_job(_measure, Grid(name, runner.every), (runner,), id=name, executor=self._pool_name,
                                next_run_time=self._now())

    def _after_run(self, event: JobExecutionEvent) -> None:
        """Plan the run that was wanted in the moment between the last one's end and now: APScheduler dropped it."""
        runner = self._runners.get(event.job_id)
        if runner is not None and runner.due:
            self._run_now(event.job_id)

    def _run_now(self, name: str) -> None:
        self._move(name, self._now())

    def _move(self, name: str, at: datetime) -> None:
        with suppress(JobLookupError):  # it was removed a moment ago: nothing is left to plan
            self._scheduler.modify_job(name, next_run_time=at)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now(), UTC)


def _measure(runner: Runner) -> None:
    """A run, and one more as long as somebody woke it meanwhile. Not left to the listener: where a run ends before
    APScheduler has finished starting it, the listener is called too early and what it plans is overwritten."""
    runner.run()
    while runner.due:
        runner.run()
