"""The one door: each channel's thread claims, sends, asks and proves, and says what did not arrive.

A message is a row before it is sent. What surely was not accepted is queued again; what perhaps was is asked for by its
mark before anything is repeated (promise 9). Nothing here judges: `late` and `refused` go back to the desk.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

import msgspec
import structlog

from alerts.budget import FREE, Allowance
from alerts.ledger import Ledger, Message, StoreError
from alerts.notification import Busy, Letter, Notification, Notifier, Proof, Receipt, Refused, Reply, Status, Uncertain

BATCH = 20  # problems in one letter, with all that there is to say on each; the rest goes in the next
PACE = 6.0  # seconds between two messages to one person: WhatsApp's pair rate, and kindness elsewhere
ASK_AFTER = 10.0  # seconds before a provider is asked for a mark: its list may lag behind what it accepted
IDLE = 30.0  # look at least this often, so that a lost wake-up costs little
BACK_OFF = (2.0, 60.0)  # first and longest pause after a failure, seconds
QUESTIONS = (3.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)  # pauses between questions about a status
GIVE_UP_ASKING = 86400.0  # seconds; a blocked recipient stays "sent" for ever
READ_WAIT = 3600.0  # seconds that a delivered message is still asked whether it was read
ASK_DEAF = 15.0  # seconds: one that has not told what people wrote for that long is asked no oftener
LISTEN_BACK = 900.0  # seconds that replies are asked for again: clocks differ, lists lag, and each acts only once
KEEP_NEWS = 60.0  # seconds that a status is kept whose message is not written down yet
HAND_OVER = 60.0  # seconds that the channel from before a reload may take to finish what it was sending
ASK_AGAIN = 300.0  # the longest such pause: each time that it stays uncertain doubles it
REPEATS = 3  # of a critical message where nobody can be asked
TEMPLATES_EVERY = 3600.0  # seconds
RING_AGAIN = 60.0  # seconds before a busy or unanswered telephone is called again
RETRIES = 3  # of a message that the provider took and then failed for a passing reason

log = structlog.get_logger()


class Compose(Protocol):
    """Writes the letter for one person and channel."""

    def __call__(self, notifications: Sequence[Notification], contact: str, channel: str, *, now: float,
                 window_open: bool, stale: int, from_memory: bool) -> Letter | None: ...


class Finder(Protocol):
    """A notifier whose provider can be asked for a mark."""

    def find(self, mark: str, to: str) -> Receipt | None: ...


class Inquirer(Protocol):
    """A notifier whose provider tells what became of a message."""

    def status(self, provider_id: str) -> Status: ...


class Listener(Protocol):
    """A notifier whose provider tells what people wrote."""

    def replies(self, since: float) -> Sequence[Reply]: ...


class Templated(Protocol):
    """A notifier whose messages need a template that the vendor approves, and may withdraw."""

    def template_states(self) -> Mapping[str, str]: ...


class Outcomes(Protocol):
    """Told of every end: `accepted`, `delivered`, `read`, `unreached`, `refused`, `busy`, `held`, `stale` …"""

    def __call__(self, channel: str, outcome: str, notifications: Sequence[Notification], now: float) -> None: ...


class Channel:
    """One notifier's thread. All methods but `wake`, `emergency`, `shift` and `stop` belong to that thread."""

    def __init__(
        self,
        name: str,
        notifier: Notifier,
        ledger: Ledger,
        compose: Compose,
        *,
        clock: Callable[[], float],
        undelivered: Callable[[Notification, str, float], None],
        patience: Callable[[], Mapping[str, float]],
        window_open: Callable[[str, float], bool] = lambda contact, now: False,
        heard: Callable[[str, Sequence[Reply]], None] = lambda channel, replies: None,
        listen_every: Callable[[], float] = lambda: 60.0,
        outcomes: Outcomes = lambda channel, outcome, notifications, now: None,
        allowance: Callable[[Sequence[Notification], float], Allowance] = lambda batch, now: FREE,
        process: str = "",
        after: "Channel | None" = None,
        chance: random.Random | None = None,
    ) -> None:
        self.name, self._notifier, self._ledger, self._compose = name, notifier, ledger, compose
        self._clock, self._undelivered, self._patience = clock, undelivered, patience
        self._window_open, self._outcomes, self._process = window_open, outcomes, process
        self._allowance = allowance
        self._after, self._chance = after, chance or random.Random()  # noqa: S311  # jitter, not a secret
        self._heard, self._listen_every, self._asked_at = heard, listen_every, float("-inf")
        self._listened_to = clock() - LISTEN_BACK
        self._awake, self._stopped = threading.Event(), threading.Event()
        self._failures, self._paused_until = 0, 0.0
        self._last_to: dict[str, float] = {}
        self._shut: set[str] = set()  # people whose 24-hour window turned out to be shut
        self._refused: set[str] = set()  # marks whose content the provider refused after it had taken them
        self._retried: dict[str, int] = {}
        self._store_failing = False
        self._from_memory: deque[Notification] = deque()
        self._passed_on: set[str] = set()  # marks out of it that another channel was asked to say as well
        self._learnt: deque[tuple[str, Status, float]] = deque()
        self._spoken: dict[str, Notification] = {}
        self.turned_at = clock()  # when the thread last went round, for the watchdog
        self.error = ""  # why the channel does not work at present
        self.failing_since: float | None = None  # unix seconds
        self.templates: dict[str, str] = {}  # the vendor's word on each template, where it has one
        self._templates_at = 0.0
        self.store_error = ""  # why what became of messages cannot be written down at present
        self._said_late: set[str] = set()  # marks that the desk knows of, also where it could not write that down
        self.deaf = ""  # why replies cannot be read at present
        self.deaf_since: float | None = None  # unix seconds
        if after is not None:  # it fails until something passes, and not until somebody edits a file
            self.error, self.failing_since = after.error, after.failing_since
            self.deaf, self.deaf_since = after.deaf, after.deaf_since
        self._thread = threading.Thread(target=self._run, name=f"outbox-{name}", daemon=True)

    @property
    def address(self) -> str:
        """The contact's field that it writes to."""
        return self._notifier.address

    @property
    def listens(self) -> bool:
        """Can its provider be asked for what people wrote?"""
        return hasattr(self._notifier, "replies")

    @property
    def proof(self) -> Proof:
        """The strongest proof of arrival that it can give."""
        return self._notifier.proof

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something was queued."""
        self._awake.set()

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: pauses last for as long as they would have."""
        self.turned_at += seconds
        self._paused_until += seconds
        self._asked_at += seconds
        self._listened_to += seconds
        self._last_to = {contact: at + seconds for contact, at in self._last_to.items()}
        if self.failing_since is not None:
            self.failing_since += seconds
        if self.deaf_since is not None:
            self.deaf_since += seconds

    def stop(self) -> None:
        """Leave after what is being done at this moment; a send in flight is asked for at the next start."""
        self._stopped.set()
        self._awake.set()

    def join(self, seconds: float) -> None:
        """Wait at most that long for its thread to leave."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def emergency(self, notifications: Sequence[Notification]) -> None:
        """Send these although they cannot be stored."""
        self._from_memory.extend(n for n in notifications if n.channel == self.name)
        self._awake.set()

    def _run(self) -> None:
        if self._after is not None:  # of the same name, from before a reload: two must not claim one batch
            self._after.join(HAND_OVER)
            self._take_over(self._after)
            self._after = None
        while not self._stopped.is_set():
            self._awake.clear()
            try:
                pause = self.turn()
            except StoreError as error:
                if not self._store_failing:
                    log.error("outbox_store_failed", channel=self.name, error=str(error))
                self._store_failing = True
                pause = BACK_OFF[0]
            except Exception as error:  # the thread must live on; an incident tells that the channel does not work
                log.exception("outbox_failed", channel=self.name)
                self._back_off(_why(error), None)
                pause = BACK_OFF[0]
            else:
                if self._store_failing:
                    log.info("outbox_store_recovered", channel=self.name)
                self._store_failing = False
            self._awake.wait(pause)

    def _take_over(self, old: "Channel") -> None:
        """What it had no time to do, and what it knew of marks and people."""
        self._from_memory.extendleft(reversed(list(old._from_memory)))
        self._learnt.extendleft(reversed(list(old._learnt)))
        self._spoken |= old._spoken
        self._passed_on |= old._passed_on
        self._shut |= old._shut
        self._refused |= old._refused
        self._retried |= old._retried
        self._last_to |= old._last_to

    def turn(self) -> float:
        """Do what is due, with at most one call for each message; return seconds until something may be due again."""
        self.turned_at = self._clock()
        self._speak_from_memory()
        trouble: StoreError | None = None
        # Each by itself: where nothing can be written any more, it is still seen what does not arrive, and told.
        for part in (self._write_down_spoken, self._drop_stale, self._follow, self._take_news, self._let_go,
                     self._say_late, self._send_batches, self._look_at_templates, self._converse):
            try:
                part()
            except StoreError as error:
                trouble = error
        self.store_error = str(trouble or "")
        if trouble is not None:
            raise trouble
        return self._pause()

    def _write_down_spoken(self) -> None:
        if self._spoken:
            self._ledger.spoke(list(self._spoken.values()))
            self._spoken.clear()

    def _drop_stale(self) -> None:
        now = self._clock()
        if dropped := self._ledger.drop_stale(self.name, now):
            self._outcomes(self.name, "stale", dropped, now)

    def _let_go(self) -> None:
        self._ledger.let_go(self.name, self._clock())

    def _converse(self) -> None:
        if self._listen():
            self._send_batches()  # the answers, at once

    def _follow(self) -> None:
        """Ask about what is under way."""
        answers = True  # a vendor that lets us wait is asked one thing a turn: what is to be sent must not wait as well
        for message in self._ledger.under_way(self.name):
            if message.state == "sending" and message.owner != self._process:
                message = msgspec.structs.replace(message, state="uncertain", next_at=message.claimed + ASK_AFTER)
            if answers and message.next_at is not None and message.next_at <= self._clock():
                self.turned_at = self._clock()
                if message.state == "uncertain":
                    answers = self._recover(message)
                elif message.state == "accepted":
                    answers = self._inquire(message)

    # --- sending -------------------------------------------------------------------------------------------------

    def _send_batches(self) -> None:
        trouble, passed_over = None, set[str]()
        while not self._stopped.is_set() and (now := self._clock()) >= self._paused_until:
            batch = self._ledger.open_batch(self.name, now, BATCH, passed_over | self._resting(now).keys())
            if not batch:
                break
            from_memory = self._spoken.keys() | {notification.mark for notification in self._from_memory}
            try:
                if unsaid := [n for n in batch if n.mark not in from_memory]:
                    self._claim_and_send(unsaid, now)
                    continue
            except StoreError as error:
                trouble = error
            passed_over.add(batch[0].contact)  # nothing of theirs can be written down: it is the others' turn
        if trouble is not None:
            raise trouble

    def _resting(self, now: float) -> dict[str, float]:
        """Who was written to a moment ago, and until when they are left alone; nobody else waits for that."""
        return {contact: at + PACE for contact, at in self._last_to.items() if now < at + PACE}

    def _claim_and_send(self, batch: Sequence[Notification], now: float) -> None:
        contact, allowed = batch[0].contact, self._allowance(batch, now)
        if allowed.hold_until is not None:
            self._hold_back(batch, allowed.hold_until, now)
            return
        stale = self._ledger.stale_unsaid(contact)
        open_window = contact not in self._shut and self._window_open(contact, now)
        letter = self._compose(batch, contact, self.name, now=now, window_open=open_window, stale=stale,
                               from_memory=False)
        if letter is None:  # the contact is gone from the configuration: there is nobody to write to
            self._ledger.spoke(batch)
            return
        if letter.mark in self._refused:
            letter = msgspec.structs.replace(letter, codes_only=True)
        if last_words := allowed.says.get(letter.language):
            letter = msgspec.structs.replace(letter, footer=" · ".join(filter(None, (letter.footer, last_words))))
        message = Message(id=0, channel=self.name, contact=contact, letter=letter, state="sending", claimed=now,
                          owner=self._process)
        try:
            message = self._ledger.claim(batch, message)
        except StoreError:
            urgent = [n for n in batch if n.severity == "critical"]
            self._from_memory.extend(urgent)
            self._speak_from_memory()
            raise
        self._post(message, batch)
        if stale and message.state != "released":
            self._ledger.said_stale(contact)

    def _hold_back(self, batch: Sequence[Notification], until: float, now: float) -> None:
        """Not today: they go out together then, and are no staler for it."""
        self._ledger.hold_back([msgspec.structs.replace(n, not_before=until, stale_at=until + n.stale_at - n.created)
                                for n in batch])
        self._outcomes(self.name, "held", batch, now)
        log.info("messages_held_back", channel=self.name, contact=batch[0].contact, until=until)

    def _post(self, message: Message, batch: Sequence[Notification]) -> None:
        """One attempt; whatever the vendor answers ends in a state."""
        self.turned_at = self._clock()
        try:
            receipt = self._notifier.send(message.letter)
        except Refused as refused:
            self._fail(message, batch, f"{refused.code} {refused.why}".strip())
        except Busy as busy:
            self._back_off(busy.why, busy.retry_after)
            self._ledger.release(message, self._paused_until)
            self._outcomes(self.name, "busy", batch, self._clock())
        except Uncertain as uncertain:
            self._doubt(message, batch, uncertain.why)
        except Exception as error:  # a notifier's own fault: what it sent is not known, and the channel must live on
            log.exception("notifier_failed", channel=self.name)
            self._doubt(message, batch, _why(error))
        else:
            self._accept(message, batch, receipt)

    def _accept(self, message: Message, batch: Sequence[Notification], receipt: Receipt) -> None:
        now = self._last_to[message.contact] = self._clock()
        if self._failures:
            log.info("channel_recovered", channel=self.name)
        self._failures, self._paused_until, self.error, self.failing_since = 0, 0.0, "", None
        asks = self._notifier.proof > receipt.proof and hasattr(self._notifier, "status")
        self._ledger.record(msgspec.structs.replace(
            message, state="accepted" if asks else "done", provider_id=receipt.id, proof=receipt.proof,
            accepted_at=now, questions=0, next_at=now + QUESTIONS[0] if asks else None))
        self._outcomes(self.name, "accepted", batch, now)

    def _fail(self, message: Message, batch: Sequence[Notification], why: str) -> None:
        now = self._clock()
        log.error("message_refused", channel=self.name, contact=message.contact, mark=message.letter.mark, error=why)
        self.error = why
        self._ledger.record(msgspec.structs.replace(message, state="failed", error=why, next_at=None))
        self._outcomes(self.name, "refused", batch, now)
        self._give_back(batch, why, now)

    def _unreached(self, message: Message, batch: Sequence[Notification], why: str) -> None:
        """The channel did its part and the person was not there: no fault of the channel's, and no incident."""
        now = self._clock()
        self._ledger.record(msgspec.structs.replace(message, state="done", error=why, next_at=None))
        self._outcomes(self.name, "unreached", batch, now)
        self._give_back(batch, why, now)

    def _give_back(self, batch: Sequence[Notification], why: str, now: float) -> None:
        for notification in batch:
            self._undelivered(notification, why, now)

    def _doubt(self, message: Message, batch: Sequence[Notification], why: str) -> None:
        now = self._last_to[message.contact] = self._clock()
        log.warning("message_uncertain", channel=self.name, mark=message.letter.mark, error=why)
        self.error, self.failing_since = why, self.failing_since or now
        wait = min(ASK_AGAIN, ASK_AFTER * 2.0**message.questions)
        self._ledger.record(msgspec.structs.replace(
            message, state="uncertain", error=why, next_at=now + wait, owner=self._process))
        self._outcomes(self.name, "uncertain", batch, now)

    def _back_off(self, why: str, retry_after: float | None) -> None:
        if not self._failures:
            log.warning("channel_busy", channel=self.name, error=why)
        self.error = why
        self.failing_since = self.failing_since or self._clock()
        pause = min(BACK_OFF[1], BACK_OFF[0] * 2.0**self._failures) * self._chance.uniform(0.7, 1.3)
        self._failures += 1
        self._paused_until = self._clock() + max(retry_after or 0.0, pause if retry_after is None else BACK_OFF[0])

    # --- after it left -------------------------------------------------------------------------------------------

    def _recover(self, message: Message) -> bool:
        """Was it accepted? Ask by the mark; where nobody can be asked, repeat what is critical and nothing else.

        Returns whether the vendor answered. Where it does not, sending goes on: only this message waits for it.
        """
        batch = self._ledger.notifications_of(message)
        if not hasattr(self._notifier, "find"):
            if message.letter.severity == "critical" and message.questions < REPEATS:
                self._post(self._claimed_anew(message), batch)
            else:
                self._ledger.record(msgspec.structs.replace(message, state="unknown", next_at=None))
                self._outcomes(self.name, "unknown", batch, self._clock())
                if message.letter.severity == "critical":  # of the rest a second copy would be one too many
                    self._give_back(batch, message.error, self._clock())
            return True
        try:
            receipt = cast(Finder, self._notifier).find(message.letter.mark, message.letter.to)
        except Exception as error:  # what no notifier should raise is no answer either
            log.warning("mark_unknown", channel=self.name, mark=message.letter.mark, error=_why(error))
            wait = min(ASK_AGAIN, ASK_AFTER * 2.0**message.questions)
            self._ledger.record(msgspec.structs.replace(
                message, owner=self._process, next_at=self._clock() + wait, questions=message.questions + 1))
            return False
        if receipt is not None:
            self._accept(message, batch, receipt)
        else:
            self._post(self._claimed_anew(message), batch)
        return True

    def _claimed_anew(self, message: Message) -> Message:
        """The same letter under the same mark, claimed by this process before it goes out again."""
        anew = msgspec.structs.replace(message, state="sending", owner=self._process, claimed=self._clock(),
                                       questions=message.questions + 1, next_at=None)
        self._ledger.record(anew)
        return anew

    def learn(self, provider_id: str, status: Status) -> None:
        """The provider called back with what became of a message; any thread may say so."""
        self._learnt.append((provider_id, status, self._clock() + KEEP_NEWS))
        self._awake.set()

    def _take_news(self) -> None:
        for _ in range(len(self._learnt)):
            provider_id, status, keep_until = self._learnt.popleft()
            message = self._ledger.message_of(self.name, provider_id)
            if message is not None and message.state in ("accepted", "done"):
                self._settle(message, status)
            elif message is None and self._clock() < keep_until:  # it may come before the answer to the sending
                self._learnt.append((provider_id, status, keep_until))

    def _inquire(self, message: Message) -> bool:
        """What became of it? Returns whether the vendor answered."""
        now = self._clock()
        asked = msgspec.structs.replace(message, questions=message.questions + 1)
        asked = msgspec.structs.replace(
            asked, next_at=now + QUESTIONS[min(asked.questions, len(QUESTIONS) - 1)])
        try:
            status = cast(Inquirer, self._notifier).status(message.provider_id)
        except Exception as error:  # what no notifier should raise is no answer either
            log.warning("status_unknown", channel=self.name, mark=message.letter.mark, error=_why(error))
            self._ledger.record(self._enough(asked, now))
            return False
        self._settle(asked, status)
        return True

    def _settle(self, message: Message, status: Status) -> None:
        now, batch = self._clock(), self._ledger.notifications_of(message)
        known = message.proof or Proof.ACCEPTED
        if status.failed:
            if known < Proof.DELIVERED:  # news may come in any order, and what was delivered did not fail
                self._failed_later(message, batch, status)
            return
        if status.proof is not None and status.proof > known:
            self._outcomes(self.name, status.proof.name.lower(), batch, now)
            message = msgspec.structs.replace(message, proof=status.proof)
        self._ledger.record(self._enough(message, now))

    def _enough(self, message: Message, now: float) -> Message:
        age = now - (message.accepted_at or now)
        proof = message.proof or Proof.ACCEPTED
        asked_out = proof >= self._notifier.proof or age > GIVE_UP_ASKING or (
            proof >= Proof.DELIVERED and age > READ_WAIT)
        return msgspec.structs.replace(message, state="done", next_at=None) if asked_out else message

    def _failed_later(self, message: Message, batch: Sequence[Notification], status: Status) -> None:
        """The provider took it and then could not deliver it."""
        if status.needs_template and message.contact not in self._shut:
            self._shut.add(message.contact)
            self._ledger.release(message, self._clock())
            return
        if status.content_refused and not message.letter.codes_only:
            self._refused.add(message.letter.mark)
            self._ledger.release(message, self._clock())
            return
        tried_out = self._retried.get(message.letter.mark, 0) >= RETRIES or not status.retry
        if status.unreached and tried_out:
            self._unreached(message, batch, status.failed)
            return
        tries = self._retried[message.letter.mark] = self._retried.get(message.letter.mark, 0) + 1
        if status.retry and tries <= RETRIES:
            if status.unreached:  # the others' calls need not wait for this person's line
                self._ledger.release(message, self._clock() + RING_AGAIN)
                return
            self._back_off(status.failed, None)
            self._ledger.release(message, self._paused_until)
            return
        self._fail(message, batch, status.failed)

    def _listen(self) -> bool:
        """Ask for what people wrote, where the provider can be asked; was there anything?"""
        now = self._clock()
        if not self.listens or now < self._listens_at():
            return False
        self._asked_at = now
        try:
            replies = cast(Listener, self._notifier).replies(self._listened_to)
        except Exception as error:  # what no notifier should raise is no answer either
            if not self.deaf:
                log.warning("replies_unknown", channel=self.name, error=_why(error))
            self.deaf, self.deaf_since = _why(error), self.deaf_since or now
            return False
        if self.deaf:
            log.info("replies_known_again", channel=self.name)
        self.deaf, self.deaf_since = "", None
        self._listened_to = now - LISTEN_BACK
        if replies:
            self._heard(self.name, replies)
        return bool(replies)

    def _listens_at(self) -> float:
        """When to ask again, reckoned from the last time: what opened since then is listened for closely at once."""
        long_deaf = self.deaf_since is not None and self._asked_at - self.deaf_since > ASK_DEAF
        return self._asked_at + max(self._listen_every(), ASK_DEAF if long_deaf else 0.0)

    def _look_at_templates(self) -> None:
        """Ask once an hour whether the vendor still lets our templates through: one that is paused sends nothing."""
        now = self._clock()
        if now < self._templates_at or not hasattr(self._notifier, "template_states"):
            return
        self._templates_at = now + TEMPLATES_EVERY
        try:
            self.templates = dict(cast(Templated, self._notifier).template_states())
        except (Busy, Uncertain, Refused) as error:
            log.info("templates_unknown", channel=self.name, error=error.why)

    def wrote_to_us(self, contact: str) -> None:
        """The person's window is open again."""
        self._shut.discard(contact)

    def _say_late(self) -> None:
        now = self._clock()
        limits = {severity: now - patience for severity, patience in self._patience().items()}
        unproved = self._notifier.proof >= Proof.DELIVERED
        late = self._ledger.late(self.name, limits, unproved)
        self._said_late &= {notification.mark for notification in late}
        for notification in late:
            if notification.mark not in self._said_late:
                self._undelivered(notification, self.error or "not delivered in time", now)
                self._said_late.add(notification.mark)

    def _speak_from_memory(self) -> None:
        """Send what no database takes: all that waits for one person in one letter, at the usual pace."""
        while self._clock() >= self._paused_until:
            resting = self._resting(self._clock())
            contact = next((n.contact for n in self._from_memory if n.contact not in resting), None)
            if contact is None:
                return
            batch = [n for n in self._from_memory if n.contact == contact][:BATCH]
            letter = self._compose(batch, contact, self.name, now=self._clock(), window_open=False, stale=0,
                                   from_memory=True)
            if letter is not None:
                try:
                    self._notifier.send(letter)
                except Busy as busy:
                    self._back_off(busy.why, busy.retry_after)
                    patience = self._patience().get("critical", 0.0)
                    if self._clock() - (self.failing_since or self._clock()) >= patience:
                        self._pass_on([n for n in batch if n.mark not in self._passed_on], busy.why)
                    return  # and it stays in line here: perhaps nobody else can say it
                except Exception as error:
                    log.error("emergency_message_failed", channel=self.name, mark=letter.mark, error=_why(error))
                    self._pass_on(batch, _why(error))
                else:
                    self._failures, self.error, self.failing_since = 0, "", None
                    self._outcomes(self.name, "accepted", batch, self._clock())
                self._last_to[contact] = self._clock()
            for notification in batch:
                self._from_memory.remove(notification)
                self._passed_on.discard(notification.mark)
                self._spoken[notification.mark] = notification

    def _pass_on(self, batch: Sequence[Notification], why: str) -> None:
        """Let the desk find another channel. It cannot store that either, so those words come out of its memory too."""
        for notification in batch:
            self._passed_on.add(notification.mark)
            try:
                self._undelivered(notification, why, self._clock())
            except StoreError as error:  # not even readable: then nobody knows what else is on its way
                log.error("emergency_not_passed_on", channel=self.name, mark=notification.mark, error=str(error))

    def _pause(self) -> float:
        now = self._clock()
        times = [m.next_at for m in self._ledger.under_way(self.name) if m.next_at is not None]
        resting = self._resting(now)
        times += resting.values()
        ripe = self._ledger.next_ripe(self.name, resting)
        if ripe is not None:
            times.append(max(self._paused_until, ripe))
        if any(n.contact not in resting for n in self._from_memory):
            times.append(self._paused_until)
        if self._learnt:
            times.append(now + 1.0)
        if self.listens:
            times.append(self._listens_at())
        return min(IDLE, max(0.05, min(times, default=now + IDLE) - now))


def _why(error: Exception) -> str:
    """A notifier's own words; for what it should not have raised, the kind of fault with them."""
    return error.why if isinstance(error, Busy | Uncertain | Refused) else f"{type(error).__name__}: {error}"
