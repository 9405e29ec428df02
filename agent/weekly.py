"""The weekly message that somebody must answer: proof that a quiet week was quiet, and not a channel that died."""

from datetime import datetime, timedelta

import msgspec
import structlog

from agent.routine import BOGUS, Setup, display
from alerts import localtime
from alerts.desk import ANSWERS, Desk
from alerts.figures import clock
from alerts.incident import Incident, Told
from alerts.ledger import Ledger
from alerts.notification import Answer, Notification
from alerts.telling import notify

WITHIN = 86400.0  # seconds for the answer, and for a message that was slept through
PROOF = "proof"  # key of what is remembered

log = structlog.get_logger()


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """The last message and what became of it; `waits` ends when it is answered, `told` when the manager knows."""

    slot: str = ""  # "2026-01-09T15:00:00", the local time that it was for
    at: float = 0.0  # unix seconds
    contact: str = ""
    channel: str = ""
    waits: bool = False
    told: bool = False
    answered: float | None = None  # when one was last answered, also an earlier one


class Weekly:
    """`tick` is for one thread; `answered` for any."""

    def __init__(self, desk: Desk, ledger: Ledger) -> None:
        self._desk, self._ledger = desk, ledger
        self._asked = msgspec.json.decode(ledger.meta(PROOF) or "{}", type=Asked)

    @property
    def answered(self) -> float | None:
        """When the weekly message was last answered, unix seconds; None: never."""
        return self._asked.answered

    def tick(self, setup: Setup, now: float) -> None:
        """Look for the answer, tell of its absence, ask anew; each when it is time."""
        if self._asked.waits:
            self._look(setup, now)
        self._ask(setup, now)

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: who was given a day still has it."""
        if self._asked.waits:
            self._remember(msgspec.structs.replace(self._asked, at=self._asked.at + seconds))

    def _ask(self, setup: Setup, now: float) -> None:
        who = setup.proof.to or next(iter(setup.policy.people), "")
        channel = setup.answering(who)
        if not setup.proof.weekly or not channel:
            return
        slot = localtime.latest(localtime.recurring(setup.proof.weekly), setup.zone, now)
        due = localtime.instant(slot, setup.zone)
        if now - due > WITHIN or due < self._desk.installed_at or _done(self._asked.slot, slot):
            return
        log.info("proof_asked", contact=who, channel=channel)
        self._remember(
            Asked(slot=slot.isoformat(), at=now, contact=who, channel=channel, waits=True,
                  answered=self._asked.answered),
            [_spoken(Told(who, channel), Answer(phrase="proof"), setup, now)])

    def _look(self, setup: Setup, now: float) -> None:
        asked = self._asked
        heard = self._ledger.last_heard(asked.channel, asked.contact)
        if heard is not None and heard >= asked.at:
            log.info("proof_answered", contact=asked.contact, seconds=round(heard - asked.at))
            calm = self._to_manager("proof_answered", setup, now) if asked.told else []
            self._remember(msgspec.structs.replace(asked, waits=False, answered=heard), calm)
        elif now - asked.at > WITHIN and not asked.told:
            log.warning("proof_overdue", contact=asked.contact, channel=asked.channel)
            self._remember(msgspec.structs.replace(asked, told=True), self._to_manager("proof_overdue", setup, now))

    def _to_manager(self, phrase: str, setup: Setup, now: float) -> list[Notification]:
        """To the manager by all of their channels, for the main one is what is in doubt."""
        people = [name for name in setup.policy.people if name != self._asked.contact]
        manager = setup.policy.contacts.get(setup.proof.manager or next(iter([*people, self._asked.contact])))
        if manager is None:
            return []
        at = clock(self._asked.at, setup.zone, manager.language, now)
        said = Answer(phrase=phrase, values={
            "who": display(self._asked.contact, setup.policy), "channel": self._asked.channel, "at": at})
        channels = [name for name in dict.fromkeys((*manager.channels, *manager.copy)) if name in setup.proofs]
        return [_spoken(Told(manager.name, name), said, setup, now) for name in channels]

    def _remember(self, asked: Asked, notifications: list[Notification] | None = None) -> None:
        self._asked = asked
        self._desk.post(notifications or (), {PROOF: msgspec.json.encode(asked).decode()})


def _spoken(to: Told, said: Answer, setup: Setup, now: float) -> Notification:
    blank = Incident(code=ANSWERS, key=PROOF, opened=now, members={}, severity="warning")
    return msgspec.structs.replace(notify(blank, "proof", to, setup.policy, now, 0), answer=said,
                                   stale_at=now + WITHIN)


def _done(last: str, slot: datetime) -> bool:
    """Was it asked for that time, or for a later one before the clock was set back?"""
    week = timedelta(days=7)
    return slot.isoformat() <= last <= (slot + week + BOGUS).isoformat()
