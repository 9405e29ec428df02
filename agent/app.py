"""The running process: builds every object once, starts them, reloads them, stops them."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agent import VERSION, links, selfcheck
from agent.audit import Auditor
from agent.board import Board, CollectorState
from agent.clock import Clock, JumpDetector
from agent.config import Config, ConfigError, load
from agent.control import Control
from agent.daily import Daily
from agent.logs import Turns, get_logger, mask, told
from agent.metrics import Deeds, Exposition
from agent.public import PublicSite, link_key
from agent.routine import Setup
from agent.runner import Runner
from agent.scheduling import Schedule
from agent.sdnotify import Systemd
from agent.store import Store
from agent.verbs import verbs
from agent.web import Site
from alerts import budget
from alerts.desk import Desk
from alerts.dialogue import Dialogue
from alerts.digest import Measured
from alerts.judgement import RuleBook
from alerts.ledger import StoreError
from alerts.notification import Letter, Notification, Proof, Reply, Status
from alerts.outbox import Channel
from alerts.policy import Contact
from alerts.words import bare, compose
from collectors.base import Reading

BEAT = 5.0  # seconds between two rounds of the desk's clock
SELFCHECK_EVERY = 15.0  # seconds
PRUNE_EVERY = 86400.0  # seconds
PROGRESS = 120.0  # seconds without a turn after which a thread counts as stuck; a send may take three time-outs
FAREWELL = 2.0  # seconds that a message in flight may take when we stop; the rest is asked for at the next start
WINDOW = 86400.0 - 300.0  # seconds after somebody wrote in which WhatsApp takes free text, less what a send may take
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}

log = get_logger(__name__)


def hold_signals() -> None:
    """Let only `App.run` take them. Called before an App is made, for that makes threads already: one that does not
    block them lets a second SIGHUP end the process while the first is being obeyed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)


class App:
    """One agent. Raises ConfigError, StoreError or Occupied when it cannot start; `run` ends the process itself."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self.path, self.clock = path, clock or Clock()
        self.config = load(path)
        self.config_error = ""
        self.board, self.deeds = Board(), Deeds()
        self.control = Control(self.config.state / "jaga.sock")  # first: it is the lock against a second daemon
        self.store = Store(self.config.state / "jaga.db", ballast=int(self.config.store.ballast))
        self.schedule = Schedule(self.clock)
        self.channels: dict[str, Channel] = {}
        self._jumps, self._jump_detector = 0, JumpDetector(self.clock.wall_clock, self.clock.steady)
        self._moving = threading.Lock()  # held while the clock's jump is being followed, and nothing fits together
        self._stopping = threading.Event()
        self._turns = Turns(log)
        self.desk = Desk(
            self.store, RuleBook(self.config.rules.values()), self.config.policy, self._proofs(),
            now=self.clock.now(), booted_at=self.clock.booted_at, emergency=self._emergency, queued=self._queued,
            fingerprints=self._fingerprints(),
        )
        self.daily = Daily(self.desk, self.store, self._setup, self._measured, self.clock.now())
        self.dialogue = Dialogue(
            self.desk, self.store, lambda: self.config.policy, lambda: ZoneInfo(self.config.agent.timezone),
            lambda: {name: notifier.address for name, notifier in self.config.notifiers.items()},
            self.daily.sign, self.deeds.replied)
        self.exposition = Exposition(self.board.snapshot, lambda: self.config.metrics, lambda: self.desk.view.open,
                                     self.deeds, version=VERSION, started=self.clock.now())
        self.auditor = Auditor(self, lambda: self.config.heartbeat, self.clock)
        self.site = Site(self)
        self.link_key = link_key(self.config.state) if self.config.web.public else b""
        self.public = PublicSite(self) if self.config.web.public else None
        self._systemd = Systemd()

    # --- living --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Watch until told to stop, then leave the process. Called from the main thread, after `hold_signals`."""
        self.start()
        while (received := signal.sigwait(SIGNALS)) == signal.SIGHUP:
            self.reload()
        log.info("stopping", signal=signal.Signals(received).name)
        self.stop()
        os._exit(0)  # a worker that hangs in a dead mount would block the interpreter's own exit for ever

    def start(self) -> None:
        if self.store.set_aside:
            log.error("store_corrupt", set_aside=str(self.store.set_aside))
        self._open_channels({})
        self._duty("stranded", self._pick_up)
        self.schedule.start(self._runners())
        self.site.start()
        if self.public is not None:
            self.public.start()
        self.control.start(verbs(self))
        threading.Thread(target=self._beat, name="desk-clock", daemon=True).start()
        self.auditor.start()
        self._systemd.ready()
        log.info("ready", version=VERSION, config=str(self.path), state=str(self.config.state),
                 page=f"http://{self.config.web.listen}/")

    def stop(self) -> None:
        """Let a message in flight land, close the store. Nothing is lost: what was not done is a row."""
        self._systemd.stopping()
        self._stopping.set()
        self.auditor.stop()
        self.schedule.stop()
        if self.public is not None:
            self.public.stop()
        for channel in self.channels.values():
            channel.stop()
        until = time.monotonic() + FAREWELL
        for channel in self.channels.values():
            channel.join(max(0.0, until - time.monotonic()))
        self.control.stop()
        self.store.close()

    def reload(self) -> None:
        """Work by the file as it is now; where it is wrong, go on as before and raise an incident that says why."""
        self._systemd.reloading()
        try:
            config = load(self.path)
            self._adopt(config)
        except ConfigError as error:
            self.config_error = "; ".join(str(problem) for problem in error.problems)
            log.error("config_refused", error=self.config_error)
        except Exception as error:  # our own fault: whoever watches must not fall to a new line in a file
            self.config_error = told(error)
            log.exception("reload_failed")
        self._duty("self", self._check_self, self.clock.now())
        self._systemd.ready()

    def _adopt(self, config: Config) -> None:
        fixed = [name for name, old, new in (("[web] listen", self.config.web.listen, config.web.listen),
                                             ("[web] public", self.config.web.public, config.web.public),
                                             ("state folder", self.config.state, config.state)) if old != new]
        if fixed:
            log.warning("needs_restart", settings=fixed)
        self.config, self.config_error = config, ""
        old = self.channels
        self.desk.reload(RuleBook(config.rules.values()), config.policy, self._proofs(), self._fingerprints(),
                         self.clock.now())
        self._open_channels(old)
        self._pick_up()
        self.schedule.change(self._runners())
        log.info("reloaded", config=str(self.path))

    # --- building ------------------------------------------------------------------------------------------------

    def _proofs(self) -> dict[str, Proof]:
        return {name: notifier.proof for name, notifier in self.config.notifiers.items()}

    def _setup(self) -> Setup:
        """What the morning, the hand-over and the weekly message go by."""
        two_way = frozenset(name for name, notifier in self.config.notifiers.items() if self._two_way(notifier))
        return Setup(policy=self.config.policy, proofs=self._proofs(), two_way=two_way, digest=self.config.digest,
                     proof=self.config.proof)

    def _measured(self) -> list[Measured]:
        """The collectors as they stand, for the digest."""
        states = self.board.snapshot()
        found = []
        for each in self.config.collectors:
            state = states.get(each.name) or CollectorState(each.name, each.every, each.timeout)
            found.append(Measured(
                name=each.name, declares=frozenset(each.plugin.metrics), at=state.at,
                yielded=frozenset(reading.metric for reading in state.readings),
                lasts=2 * each.every + each.timeout, whole=bool(state.success) and not state.troubles))
        return found

    def _fingerprints(self) -> dict[str, str]:
        """Each collector's options as text. The agent's own readings depend on whom it writes to, and how."""
        prints = {each.name: repr(each.collector) for each in self.config.collectors}
        contacts = self.config.policy.contacts
        return prints | {selfcheck.NAME: repr((sorted(contacts), sorted(self.config.notifiers), self.config.heartbeat,
                                               [each.name for each in self.config.collectors]))}

    def _open_channels(self, old: dict[str, Channel]) -> None:
        """One thread for each notifier; a channel of the same name from before finishes first what it is sending."""
        for channel in old.values():
            channel.stop()
        self.channels = {
            name: Channel(
                name, notifier, self.store, self._compose, clock=self.clock.now, undelivered=self._undelivered,
                patience=lambda: self.config.policy.undelivered, outcomes=self._outcome, process=self.store.process,
                window_open=self._window_open(name), heard=self._heard, listen_every=self._listen_every,
                after=old.get(name),
                allowance=lambda batch, now: budget.allowance(batch, self.store.sent, self.config.policy, now),
            )
            for name, notifier in self.config.notifiers.items()
        }
        for channel in self.channels.values():
            channel.start()

    def _pick_up(self) -> None:
        """What waited for a channel that is not configured any more goes the way of what was not delivered."""
        channels, now = list(self.channels), self.clock.now()
        stranded = self.store.stranded(channels)
        for notification in stranded:
            self.desk.undelivered(notification, f"{notification.channel} is not configured any more", now)
        self.store.abandon(channels)

    def _runners(self) -> list[Runner]:
        return [
            Runner(each.name, each.collector, every=each.every, timeout=each.timeout, observe=self.desk.observe,
                   explain_to=lambda key, text: self.desk.explain(key, text, self.clock.now()),
                   metric_of=lambda rule: self.config.rules[rule].metric,
                   memory=lambda name=each.name: self.store.memory_of(name),  # type: ignore[misc]
                   board=self.board, clock=self.clock, log=log)
            for each in self.config.collectors
        ]

    # --- what the desk and the outbox ask ------------------------------------------------------------------------

    def _emergency(self, notifications: Sequence[Notification]) -> None:
        for channel in self.channels.values():
            channel.emergency(notifications)

    def _undelivered(self, notification: Notification, why: str, now: float) -> None:
        self.desk.undelivered(notification, mask(why), now)

    def _queued(self) -> None:
        for channel in self.channels.values():
            channel.wake()

    def _outcome(self, channel: str, outcome: str, notifications: Sequence[Notification], now: float) -> None:
        self.deeds.outcome(channel, outcome, len(notifications))
        if outcome == "accepted":
            for notification in notifications:
                if notification.reason == "opened":
                    self.deeds.detected(now - notification.incident.since)

    def hear(self, channel: str, reply: Reply) -> None:
        """Somebody wrote to us by that channel, as a webhook told it."""
        self._heard(channel, [reply])

    def outcome(self, channel: str, provider_id: str, status: Status) -> None:
        """What became of a message, as a webhook told it."""
        if channel in self.channels:
            self.channels[channel].learn(provider_id, status)

    def _heard(self, channel: str, replies: Sequence[Reply]) -> None:
        for reply in replies:
            try:
                contact = self.dialogue.hear(channel, reply, self.clock.now())
            except StoreError:
                raise
            except Exception:  # what one wrote must not keep us from hearing the others
                log.exception("reply_failed", channel=channel)
                continue
            if contact is not None and channel in self.channels:
                self.channels[channel].wrote_to_us(contact)

    def _listen_every(self) -> float:
        """People are listened to closely while something waits for an answer."""
        return 5.0 if any(i.acked_until is None and i.told for i in self.desk.view.open) else 60.0

    def _window_open(self, channel: str) -> Callable[[str, float], bool]:
        def is_open(contact: str, now: float) -> bool:
            at = self.store.last_heard(channel, contact)
            return at is not None and now - at < WINDOW

        return is_open

    def _two_way(self, notifier: Any) -> bool:
        """Does an answer by this channel reach us: by asking, or because the vendor can call us?"""
        called = self.public is not None and getattr(notifier, "hook_secret", None) is not None
        return called or hasattr(notifier, "replies")

    def _links(self, contact: Contact, notifier: Any, notifications: Sequence[Notification],
               now: float) -> dict[str, str]:
        """For whom a mail reaches: it cannot be answered, but a link in it can be opened. By no other way, for a link
        is a key, and the journal or somebody's webhook would keep it; and to no shared mailbox, for a deed has one
        doer."""
        if self.public is None or not self.config.web.public or notifier.address != "email" or contact.shared:
            return {}
        door = f"{self.config.web.origin}/a/"
        return {n.code: door + links.make(self.link_key, n.code, n.incident.opened, contact.name, now)
                for n in notifications}

    def _compose(self, notifications: Sequence[Notification], contact: str, channel: str, *, now: float,
                 window_open: bool, stale: int, from_memory: bool) -> Letter | None:
        config, person = self.config, self.config.policy.contacts.get(contact)
        notifier = config.notifiers.get(channel)
        if person is None or notifier is None:
            return None
        to = person.addresses.get(notifier.address, "")
        try:
            return compose(
                [self._with_evidence(notification) for notification in notifications], rules=config.rules,
                to=to, name=person.display, language=person.language, site=config.agent.site, agent=config.agent.name,
                zone=ZoneInfo(config.agent.timezone), now=now, technician=person.technician,
                two_way=self._two_way(notifier), links=self._links(person, notifier, notifications, now),
                window_open=window_open, stale=stale, from_memory=from_memory,
                names={contact.name: contact.display for contact in config.policy.contacts.values()},
            )
        except Exception:  # one word that cannot be put in order must not hold up a channel for ever
            log.exception("words_failed", codes=sorted({notification.code for notification in notifications}))
            return bare(notifications, to=to, name=person.display, language=person.language)

    def _with_evidence(self, notification: Notification) -> Notification:
        """Evidence is gathered after the incident opened, so it is put in when the letter is written."""
        evidence = self.desk.evidence(notification.code)
        if not evidence:
            return notification
        members = {
            key: msgspec.structs.replace(member, note="\n".join(filter(None, (member.note, evidence.get(key, "")))))
            for key, member in notification.incident.members.items()
        }
        incident = msgspec.structs.replace(notification.incident, members=members)
        return msgspec.structs.replace(notification, incident=incident)

    # --- the desk's clock ----------------------------------------------------------------------------------------

    def _beat(self) -> None:
        """Time for the desk. It shares no thread with anything that waits for the network, and systemd's watchdog
        hangs on it: whoever stops it stops the keep-alive. Whatever one duty trips over, the others are done."""
        checked = pruned = petted = float("-inf")
        while not self._stopping.wait(BEAT):
            steady = self.clock.awake()
            self._duty("clock", self._after_a_jump)
            now = self.clock.now()
            self._duty("overruns", self.schedule.check_overruns, now)
            if steady - checked >= SELFCHECK_EVERY:
                checked = steady
                self._duty("self", self._check_self, now)
            self._duty("desk", self.desk.tick, now)
            self._duty("daily", self.daily.tick, now)
            if steady - pruned >= PRUNE_EVERY:
                pruned = steady
                self._duty("prune", self.store.prune, now, self.config.store.messages, self.config.store.incidents)
            interval = self._systemd.watchdog_interval
            if interval is not None and steady - petted >= interval / 2 and not self._stuck(self.clock.now()):
                petted = steady
                self._systemd.watchdog()

    def _duty(self, name: str, work: Callable[..., object], *given: object) -> None:
        try:
            work(*given)
        except Exception as error:  # nobody is above the desk's clock to catch it, and it must go on
            self._turns.say("duty", type(error).__name__, told(error), exc_info=not isinstance(error, StoreError),
                            duty=name)
        else:
            self._turns.say("duty", duty=name)

    def _after_a_jump(self) -> None:
        """Move everything that waits, then go by the new time; also where the clock only crept (NTP)."""
        jump = self._jump_detector.check()
        if not jump:
            self.clock.follow()
            return
        self._jumps += 1
        log.warning("clock_jumped", seconds=round(jump, 1))
        # Whoever asks meanwhile must find what waits not due yet, and what was said not old yet.
        first, then = (self._shift_waiting, self._shift_said) if jump > 0 else (self._shift_said, self._shift_waiting)
        with self._moving:
            first(jump)
            self.clock.follow()
            then(jump)
            self.schedule.replan()
        self._queued()

    def _shift_waiting(self, jump: float) -> None:
        self.desk.shift(jump, self.clock.wall_clock())
        self.daily.shift(jump)
        for channel in self.channels.values():
            channel.shift(jump)

    def _shift_said(self, jump: float) -> None:
        self.board.shift(jump)
        self.schedule.shift(jump)

    def _check_self(self, now: float) -> None:
        self.store.refill_ballast()
        readings, failed = tuple[Reading, ...](), ""
        try:
            readings = (*self.auditor.readings(), *self._costs(now), *selfcheck.readings(
                self.desk.view, self.channels, self.config.policy, oldest=self.store.counts().get("oldest"),
                last_messages=self.store.last_messages(now - 7 * 86400), has_ballast=self.store.has_ballast,
                set_aside=sorted(self.config.state.glob("jaga.db.corrupt-*[0-9]")), config_error=self.config_error,
                jumps=self._jumps, now=now, proof_answered=self.daily.weekly.answered,
            ))
        except StoreError as error:  # a store that cannot be read is one of the things to tell
            failed = told(error)
            readings = (selfcheck.STORE_WRITABLE(0.0, note=failed),)
        readings = tuple(dataclasses.replace(each, note=mask(each.note)) if each.note else each for each in readings)
        whole = selfcheck.SUCCESS(not failed, note=failed, collector=selfcheck.NAME)
        self.desk.observe(selfcheck.NAME, (*readings, whole), None, now)
        self.board.put(CollectorState(selfcheck.NAME, SELFCHECK_EVERY, SELFCHECK_EVERY, readings=(*readings, whole),
                                      at=now, success=not failed, last_success=now, error=failed))

    def _costs(self, now: float) -> Iterator[Reading]:
        """What this month's messages cost so far, where they have a price."""
        policy = self.config.policy
        if any(policy.price.values()):
            for name, rupiah in budget.cost(self.store.sent(budget.month_began(policy, now)), policy).items():
                yield selfcheck.COST(rupiah, notifier=name)

    def _stuck(self, now: float) -> list[str]:
        """Threads of ours that do not move: what a restart mends, and nothing else, is the watchdog's business."""
        stuck = [f"outbox {name}" for name, channel in self.channels.items() if now - channel.turned_at > PROGRESS]
        if self.schedule.late(now) > PROGRESS:
            stuck.append("scheduler")
        if now - self.desk.view.clock_at > PROGRESS:
            stuck.append("desk")
        return stuck

    # --- what people ask -----------------------------------------------------------------------------------------

    def readiness(self) -> list[str]:
        """What is not as it should be for watching and telling; empty when ready."""
        with self._moving:
            now, states, stuck = self.clock.now(), self.board.snapshot(), self._stuck(self.clock.now())
        missing = []
        for state in states.values():
            if state.at is None:
                missing.append(f"collector {state.name}: has not reported yet")
            elif now - state.at > 3 * state.every + state.timeout:
                missing.append(f"collector {state.name}: last report {now - state.at:.0f} s ago")
        if self.desk.view.store_error:
            missing.append(f"store: {self.desk.view.store_error}")
        return missing + [f"{name}: does not move" for name in stuck]

    def notify_test(self, contact: str, wait: float) -> list[dict[str, Any]]:
        """Send a real message by each of the person's channels; wait at most that long for the strongest proof.

        Returns, for each channel, `channel`, `state`, `proof`, `seconds` until that proof, and `error`. Raises KeyError
        for an unknown contact.
        """
        began, proved = self.clock.awake(), dict[str, tuple[Proof | None, float]]()
        channels = sorted(set(self.config.policy.contacts[contact].channels) & set(self.channels))
        code, waiting = self.desk.test(contact, self.clock.now()), threading.Event()
        while True:
            found = {message.channel: message for message in self.store.messages_about(code)}
            passed = round(self.clock.awake() - began, 1)
            for name, message in found.items():
                if name not in proved or proved[name][0] != message.proof:
                    proved[name] = message.proof, passed
            ended = {name for name, message in found.items() if message.state in ("done", "failed", "unknown")}
            if ended >= set(channels) or passed >= wait:
                break
            waiting.wait(0.2)
        return [
            {"channel": name, "state": found[name].state if name in found else "queued",
             "seconds": proved[name][1] if name in found and found[name].proof else passed,
             "proof": (found[name].proof or Proof.ACCEPTED).name.lower() if name in found and found[name].proof else "",
             "error": found[name].error if name in found else
             self.channels[name].error if name in self.channels else ""}
            for name in channels
        ]

    def forget(self, contact: str) -> int:
        """Erase what is kept of that person; returns how many records that were."""
        person = self.config.policy.contacts.get(contact)
        return self.desk.forget(contact, [contact, *([person.display] if person else [])])
