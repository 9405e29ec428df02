"""The auditor: each minute, does alerting work? Only where it does may the heartbeat leave (promise 13).

A crashed process is silent by itself; this is for the one that lives and would not wake anybody. It shares no thread
with anything that it judges, and none with the network.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from agent.board import CollectorState
from agent.clock import Clock
from agent.config import Heartbeat
from agent.heartbeat import Heart
from agent.logs import Turns, get_logger
from agent.selfcheck import AUDIT_SUCCESS, HEARTBEAT_FAILING, HEARTBEAT_SUCCESS
from agent.standing import House
from alerts.incident import Incident
from alerts.ledger import Changes, StoreError
from alerts.notification import Proof
from alerts.policy import Policy
from alerts.step import next_at
from collectors.base import Reading

REPORT_GRACE = 60.0  # seconds beyond `every` and the time-out, after which the desk's clock says that a run hangs
CLOCK_STILL = 60.0  # seconds; the desk's clock goes round in 5 s, and a commit on a sick disk may take a few
STEP_LATE = 60.0  # seconds that a due step may wait: the clock comes by in 5 s
# Seconds that a word may wait while nobody has any newer word on the same problem. Critical: the first channel is given
# up after 3 minutes, so by 5 the second one has had its try. Warnings: they go stale after an hour, and this is half.
WAITING = {"critical": 300.0, "warning": 1800.0}
PROOF_AGE = 8 * 86400.0  # seconds: the weekly message, and a day for an answer
RECHECK = 15.0  # seconds until a first failure is looked at again: a machine that slept needs a moment to catch up
SILENT = 3  # intervals without an audit after which the auditor itself counts as dead

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What an audit judges. Times are unix seconds."""

    now: float
    collectors: Sequence[CollectorState] = ()
    first_seen: Mapping[str, float] = field(default_factory=dict)  # since when those that never reported are known
    open: Sequence[Incident] = ()
    policy: Policy
    clock_at: float  # when the desk's clock last went round
    store_error: str = ""
    waiting: Mapping[str, float] = field(default_factory=dict)  # by severity: the oldest word that nobody has yet
    unproved: Mapping[str, float] = field(default_factory=dict)  # by channel: first message since the last proof


def verdict(seen: Picture) -> list[str]:
    """Why alerting does not work, a line each; empty when it does. No secret and nobody's name is in them."""
    return [
        *_clock(seen),
        *(["store: what happens cannot be written down"] if seen.store_error else []),
        *_collectors(seen),
        *_steps(seen),
        *_outbox(seen),
        *(f"proof: nothing sent by {channel} was seen to arrive for {_span(seen.now - since)}"
          for channel, since in sorted(seen.unproved.items()) if seen.now - since > PROOF_AGE),
    ]


def _clock(seen: Picture) -> Iterator[str]:
    still = seen.now - seen.clock_at
    if still > CLOCK_STILL:
        yield f"desk clock: has stood still for {_span(still)}"


def _collectors(seen: Picture) -> Iterator[str]:
    """A reported failure counts as reported: the rule on it speaks. Silence does not."""
    for state in sorted(seen.collectors, key=lambda each: each.name):
        last = state.at if state.at is not None else seen.first_seen.get(state.name, seen.now)
        if seen.now - last > state.every + state.timeout + REPORT_GRACE:
            yield f"collector {state.name}: no report for {_span(seen.now - last)}"


def _steps(seen: Picture) -> Iterator[str]:
    due = [at for incident in seen.open if (at := next_at(incident, seen.policy)) is not None]
    late = [seen.now - at for at in due if 0 < at < seen.now - STEP_LATE]
    if late:
        yield f"escalation: {len(late)} late, by up to {_span(max(late))}"
    if 0.0 in due:
        yield "escalation: a problem has no next step"  # promise 7


def _outbox(seen: Picture) -> Iterator[str]:
    for severity, since in sorted(seen.waiting.items()):
        if seen.now - since > WAITING.get(severity, WAITING["warning"]):
            yield f"outbox: a {severity} message has waited for {_span(seen.now - since)}"


def _span(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def look(house: House, first_seen: Mapping[str, float], now: float) -> Picture:
    """Take the picture. The store is judged by writing: what changes nothing is never written otherwise."""
    error, waiting, unproved = house.desk.view.store_error, {}, {}
    try:
        house.store.commit(Changes(meta={"audited_at": repr(now)}))
        waiting, unproved = house.store.waiting(), house.store.unproved(Proof.DELIVERED)
    except StoreError as failure:
        error = str(failure)
    able = {name for name, notifier in house.config.notifiers.items() if notifier.proof >= Proof.DELIVERED}
    view = house.desk.view
    return Picture(
        now=now, collectors=tuple(house.board.snapshot().values()), first_seen=first_seen, open=view.open,
        policy=house.config.policy, clock_at=view.clock_at, store_error=error, waiting=waiting,
        unproved={channel: since for channel, since in unproved.items() if channel in able},
    )


class Auditor:
    """The audit's thread, and what came of it."""

    def __init__(self, house: House, settings: Callable[[], Heartbeat], clock: Clock,
                 heart: Heart | None = None) -> None:
        self._house, self._settings, self._clock = house, settings, clock
        self.heart = heart or Heart(settings, clock)
        self.failures: tuple[str, ...] = ()  # of the last audit that counted
        self._doubt = False  # the last look found a failure, and the second look is due
        self._audited: float | None = None  # by the clock of waking hours
        self._unreported: dict[str, float] = {}  # by that clock as well: since when a collector is known
        self._turns = Turns(log)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="auditor", daemon=True)

    def start(self) -> None:
        self.heart.start()
        self._thread.start()

    def stop(self) -> None:
        """Ask it to leave; does not wait."""
        self._stopped.set()
        self.heart.stop()

    def turn(self) -> float:
        """Audit once; return seconds until the next time. A failure counts when it is still there at a second look."""
        failures = self._audit()
        if failures and not self._doubt and not self.failures:
            self._doubt = True
            return min(RECHECK, self._settings().every)
        self._doubt, self.failures, self._audited = False, tuple(failures), self._clock.awake()
        self._turns.say("audit", "failed" if failures else "", "; ".join(failures))
        self.heart.beat(failures)
        return self._settings().every

    def readings(self) -> Iterator[Reading]:
        """How the audit and its heartbeat stand; nothing before the first audit."""
        if self._audited is not None:
            age = self._clock.awake() - self._audited
            dead = age > SILENT * self._settings().every + RECHECK
            why = f"no audit for {_span(age)}" if dead else "; ".join(self.failures)
            yield AUDIT_SUCCESS(not why, note=why)
        if self._settings().url is not None:
            yield HEARTBEAT_FAILING(self.heart.failing(), note=self.heart.error)
            if self.heart.last_success is not None:
                yield HEARTBEAT_SUCCESS(self.heart.last_success)

    def _audit(self) -> list[str]:
        try:
            now, awake = self._clock.now(), self._clock.awake()
            names = {name for name, state in self._house.board.snapshot().items() if state.at is None}
            self._unreported = {name: self._unreported.get(name, awake) for name in names}
            first_seen = {name: now - (awake - since) for name, since in self._unreported.items()}
            return verdict(look(self._house, first_seen, now))
        except Exception as error:  # an audit that breaks has not found that all is well
            log.exception("audit_broke")
            return [f"audit: {type(error).__name__}"]

    def _run(self) -> None:
        pause = self._settings().every
        while not self._stopped.wait(pause):
            pause = self.turn()
