"""Runs one collector: measures, hands the facts to the desk and the board, and says so when it fails or hangs."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from agent.board import Board, CollectorState
from agent.clock import Clock
from agent.intake import Intake
from agent.logs import Log, Turns, bound, mask, told
from agent.plugins import metrics
from agent.watching import Watcher
from alerts.incident import Finding
from collectors.base import Collector, Metric, Reading, Run
from collectors.storable import storable

SUCCESS = Metric("jaga_collector_success", "Whether the last run measured everything; its note is the error.",
                 ("collector",))
DURATION = Metric("jaga_collector_duration_seconds", "How long the last finished run took.", ("collector",))
LAST_SUCCESS = Metric("jaga_collector_last_success_timestamp_seconds", "When a run last succeeded.", ("collector",))
OVERRUN = Metric("jaga_collector_running_seconds", "How long an overdue run has been going on; 0: none is overdue.",
                 ("collector",))
WATCH_UP = Metric("jaga_collector_watch_up", "Whether the collector listens for events; the schedule goes on anyway.",
                  ("collector",))
TARGET_SUCCESS = Metric("jaga_target_success", "Whether one of the collector's targets could be measured.",
                        ("collector", "target"))

# the desk: (collector, readings, memory to commit or None, now) -> what opened
Observe = Callable[[str, tuple[Reading, ...], dict[str, Any] | None, float], Sequence[Finding]]


@dataclass(slots=True)
class _Attempt:
    """A run under way, and after it the explaining of what it opened (then `run` is None)."""

    began: float  # of this part, by the clock of waking hours
    run: Run | None
    readings: list[Reading] = field(default_factory=list)
    told: float | None = None  # how long it had been running when that was said last


class Runner:
    """One configured collector: "disk", or "mysql:a" for a named instance, whose readings get the label name="a".

    `observe` is the desk, `explain_to(finding key, text)` adds evidence to what opened, `metric_of(rule)` names the
    metric that a rule judges, `memory` is what the store remembers; a callable is asked in `begin`, when a runner that
    had the name before cannot commit any more. A new runner is due: it never measured.
    """

    def __init__(
        self, name: str, collector: Collector, *, every: float, timeout: float, observe: Observe,
        explain_to: Callable[[str, str], None], metric_of: Callable[[str], str],
        memory: Mapping[str, Any] | Callable[[], Mapping[str, Any]], board: Board, clock: Clock, log: Log,
    ) -> None:
        self.name, self.every, self.timeout = name, every, timeout
        self._collector, self._observe, self._explain_to, self._metric_of = collector, observe, explain_to, metric_of
        self._board, self._clock, self._log = board, clock, log.bind(collector=name)
        self._turns = Turns(self._log)
        self._intake = Intake(metrics(sys.modules[type(collector).__module__]), name.partition(":")[2])
        self._recall = memory if callable(memory) else lambda: memory
        # as committed: a run finds what it would find after a restart
        self._memory = b"{}" if callable(memory) else msgspec.json.encode(memory)
        self._state = CollectorState(name, every, timeout)
        self._lock = threading.Lock()  # guards who runs and whether another run is wanted
        self._attempt: _Attempt | None = None
        self._wanted = True
        self._request: Callable[[], None] = lambda: None
        # A run that ends late and the word that it is overdue must not cross: guards everything below.
        self._publishing = threading.Lock()
        self._retired = False
        self._unexplained: list[Finding] = []
        watch = getattr(collector, "watch", None)
        self._watcher = None if watch is None else Watcher(name, watch, self.wake, clock, self._log)

    def begin(self, request: Callable[[], None]) -> None:
        """Appear on the board and listen for events. `request` makes whoever schedules call `run` at once."""
        self._request = request
        self._memory = msgspec.json.encode(self._recall())
        with self._publishing:
            self._put(self._state)
        if self._watcher:
            self._watcher.start()

    def retire(self) -> None:
        """Leave the board and say nothing more, not even when a hung run ends after all."""
        if self._watcher:
            self._watcher.stop()
        with self._publishing:
            self._retired = True
            self._board.drop(self.name)

    def wake(self) -> None:
        """Measure now; during a run: exactly once more after it. Any thread may call it, as often as it likes."""
        with self._lock:
            if self._wanted:  # asked for already, and not begun yet
                return
            self._wanted = True
            idle = self._attempt is None
        if idle:
            self._request()

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: what it said last keeps its age."""
        with self._publishing:
            self._put(self._state.shifted(seconds))

    @property
    def due(self) -> bool:
        """Wanted and idle: whoever schedules looks at this after each run."""
        with self._lock:
            return self._wanted and self._attempt is None

    def run(self) -> None:
        """Measure once, publish, explain what opened. Called during a run, it makes another one due and returns."""
        run = Run(self._clock.now(), msgspec.json.decode(self._memory))
        attempt = _Attempt(self._clock.awake(), run)
        with self._lock:
            self._wanted = self._attempt is not None
            if self._attempt is not None or self._retired:
                return
            self._attempt = attempt
        try:
            with self._publishing:
                self._put(replace(self._state, running_since=run.now))
            self._finish(attempt, run, self._collect(attempt, run))
            self._explain()
        finally:
            with self._lock:
                self._attempt = None

    def overdue(self) -> float:
        """Seconds that the run under way takes beyond its time-out; 0.0 for none."""
        attempt = self._attempt
        return max(0.0, self._clock.awake() - attempt.began - self.timeout) if attempt else 0.0

    def check_overrun(self, now: float) -> None:
        """Report a run that hangs, without waiting for it: when it becomes overdue, then as often as it should run."""
        attempt = self._attempt
        if attempt is None or not self.overdue():
            return
        with self._publishing:
            running = self._clock.awake() - attempt.began
            if self._retired or attempt is not self._attempt or running <= self.timeout:  # ended while we waited
                return
            if attempt.told is not None and running - attempt.told < self.every:
                return
            first, attempt.told = attempt.told is None, running
            # what it yielded before it hung is fresh now, and not any more the next time we say so
            taken = self._intake.take(attempt.readings.copy()) if first and attempt.run else None
            error = f"no answer for {running:.0f} s" + ("" if attempt.run else " while explaining an incident")
            self._turns.say("collector", "overdue", error)
            state = replace(self._state, at=now, success=False, error=error)
            own = self._own(state, running)
            self._publish(replace(state, readings=(*(taken.readings if taken else ()), *own)), self._memory, now)

    def _collect(self, attempt: _Attempt, run: Run) -> str:
        """Keep what the collector yields; return the error that ended it, or ""."""
        try:
            with bound(collector=self.name):
                for reading in self._collector.collect(run):
                    if not isinstance(reading, Reading):
                        raise TypeError(f"yielded {reading!r}, which is not a Reading")
                    attempt.readings.append(reading)
        except (Exception, SystemExit) as error:  # that it failed is a fact as well, and the runner tells it
            return told(error)
        return ""

    def _finish(self, attempt: _Attempt, run: Run, error: str) -> None:
        taken = self._intake.take(attempt.readings)
        error = error or mask("; ".join(taken.refused))
        memory = self._memory  # a failed run commits none, so that nothing is skipped
        if not error:
            try:
                memory = msgspec.json.encode(run.memory)
            except (TypeError, ValueError, OverflowError) as fault:
                error = f"memory must hold JSON values only: {told(fault)}"
        with self._publishing:
            if self._retired:
                return
            now, awake = self._clock.now(), self._clock.awake()
            self._turns.say("collector", error.partition(":")[0], error)
            for name, trouble in run.targets.items():
                error_kind = type(trouble).__name__ if trouble else ""
                self._turns.say("target", error_kind, told(trouble) if trouble else "", target=name)
            for what in taken.repeated:
                self._turns.say("reading", "repeated", "yielded twice in one run; the last one counts", reading=what)
            state = replace(
                self._state, at=now, success=not error, duration=awake - attempt.began, running_since=None, error=error,
                last_success=self._state.last_success if error else now,
                troubles=tuple((name, told(trouble)) for name, trouble in run.targets.items() if trouble),
            )
            own = (*self._own(state, 0.0), *self._of_targets(run))
            self._publish(replace(state, readings=(*taken.readings, *own)), memory, now)
            attempt.run, attempt.began, attempt.told = None, awake, None

    def _own(self, state: CollectorState, running: float) -> Iterator[Reading]:
        """The readings that every collector gets for free."""
        yield SUCCESS(bool(state.success), note=state.error, collector=self.name)
        yield OVERRUN(running, collector=self.name)
        if not running:
            yield DURATION(state.duration, collector=self.name)
        if state.last_success is not None:
            yield LAST_SUCCESS(state.last_success, collector=self.name)
        if self._watcher:
            self._watcher.note_recovery()
            yield WATCH_UP(self._watcher.up, collector=self.name)

    def _of_targets(self, run: Run) -> Iterator[Reading]:
        for target, trouble in run.targets.items():
            yield TARGET_SUCCESS(trouble is None, note=told(trouble) if trouble else "", collector=self.name,
                                 target=storable(target))

    def _publish(self, state: CollectorState, memory: bytes, now: float) -> None:
        """Give the desk and the board the same picture. Where the desk fails, the memory stays as it was."""
        changed = None if memory == self._memory else msgspec.json.decode(memory)
        try:
            opened = self._observe(self.name, state.readings, changed, now)
        except Exception as error:  # the board and the next run must go on
            self._turns.say("judging", type(error).__name__, told(error), exc_info=True)
        else:
            self._turns.say("judging")
            self._memory = memory
            self._unexplained += opened
        self._put(state)

    def _put(self, state: CollectorState) -> None:
        self._state = state
        if not self._retired:
            self._board.put(state)

    def _explain(self) -> None:
        """Ask the collector for evidence on what opened; outside every lock, for it may take its time."""
        with self._publishing:
            opened, self._unexplained = self._unexplained, []
        explain = getattr(self._collector, "explain", None)
        if explain is None:
            return
        for finding in opened:
            metric = self._metric_of(finding.rule)
            if not self._intake.declares(metric) or self._retired:
                continue
            try:
                with bound(collector=self.name):
                    evidence = mask(storable(explain(metric, self._intake.own_labels(finding.labels))))
                self._explain_to(finding.key, evidence)
            except (Exception, SystemExit) as error:  # an incident without evidence is still an incident
                self._log.warning("explain_failed", finding=finding.key, error=told(error))
