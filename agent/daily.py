"""What happens at its hour: the morning digest, its signatures and reminders, the hand-over; each once, come what may.

`tick` belongs to the desk's clock. What was done is remembered in the same commit as the words that were queued for it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime

import msgspec
import structlog

from agent.firstweek import FirstWeek
from agent.routine import BOGUS, Setup, display
from agent.weekly import Weekly
from alerts import digest, localtime
from alerts.desk import ANSWERS, Desk
from alerts.digest import Digest, Measured, Row, Signature
from alerts.digest_words import TOO_LATE, digests
from alerts.handover import announce
from alerts.incident import Incident, Told
from alerts.ledger import Ledger, StoreError
from alerts.notification import Answer, Notification
from alerts.policy import Contact
from alerts.roster import order

LATE = 300.0  # seconds after its hour from which a digest says that it is late
SETTLING = 300.0  # seconds after a start that the collectors may take for their first report
REMIND = 1800.0  # seconds for signing, before the reminder and before the next person
DUTY, MORNING = "duty", "morning"  # keys of what is remembered

log = structlog.get_logger()


class Morning(msgspec.Struct, frozen=True, kw_only=True):
    """What was done today. `stage`: 0 the digest is out, 1 its reader was reminded, 2 there is nobody left to urge."""

    day: str = ""  # "2026-01-05"
    at: float = 0.0  # when the digest was queued, or its reader reminded; unix seconds
    told: str = ""  # who was on duty
    stage: int = 0


class Daily:
    """`setup` and `measured` are asked anew each time, for a reload changes them. `tick` is for one thread; `sign` for
    any."""

    def __init__(self, desk: Desk, ledger: Ledger, setup: Callable[[], Setup],
                 measured: Callable[[], Sequence[Measured]], now: float) -> None:
        self._desk, self._ledger, self._setup, self._measured = desk, ledger, setup, measured
        self._started = now
        self._seen = float(ledger.meta(DUTY) or 0.0)
        self._morning = msgspec.json.decode(ledger.meta(MORNING) or "{}", type=Morning)
        self.weekly, self.first_week = Weekly(desk, ledger), FirstWeek(desk, ledger)
        self._duties: dict[str, Callable[[Setup, float], None]] = {
            "hand_over": self._hand_over, "digest": self._digest, "urge": self._urge, "proof": self.weekly.tick,
            "first_week": self.first_week.tick}
        self._broken: set[str] = set()

    def tick(self, now: float) -> None:
        """Do what is due. Raises StoreError."""
        setup = self._setup()
        for name, duty in self._duties.items():
            try:
                duty(setup, now)
            except StoreError:
                raise
            except Exception:  # the desk's clock must go on, whatever the morning's list trips over
                if name not in self._broken:
                    log.exception("daily_failed", duty=name)
                self._broken.add(name)

    def shift(self, seconds: float) -> None:
        """The wall clock was set by so much: who was given half an hour still has it."""
        if self._morning.at:
            self._remember(msgspec.structs.replace(self._morning, at=self._morning.at + seconds))
        self.weekly.shift(seconds)

    # --- the hand-over -------------------------------------------------------------------------------------------

    def _hand_over(self, setup: Setup, now: float) -> None:
        """Tell both people. While the clock is set back into a time that was seen already, there is nothing new."""
        ahead = self._seen - now
        said: list[Notification] = []
        if self._seen and ahead < 0:
            said = announce(setup.policy.roster, self._seen, now, self._desk.view.open, setup.policy, setup.proofs,
                            code=ANSWERS, ordinal=0)
        if said or not self._seen or ahead > BOGUS.total_seconds():
            self._seen = now
            self._desk.post(said, {DUTY: repr(now)})

    # --- the digest ----------------------------------------------------------------------------------------------

    def _digest(self, setup: Setup, now: float) -> None:
        today = localtime.local_day(now, setup.zone)
        at = self._hour(setup, today)
        if at is None or not at <= now <= at + TOO_LATE or self._desk.installed_at > at:
            return
        if _done(self._morning.day, today) or not setup.policy.shop_day(now):
            return
        measured = self._measured()
        if now - self._started < SETTLING and any(each.at is None for each in measured):
            return
        signatures = self._signatures(today.isoformat())
        made = digest.build(setup.rows, measured, self._desk.view.open, self._unsaid(now), signatures, at=at, now=now,
                            late=now - at > LATE)
        duty = setup.policy.on_duty(now)
        to = [pair for name in dict.fromkeys((duty, *setup.digest.to)) for pair in setup.ways(name)]
        log.info("digest", day=today.isoformat(), to=len(to), late=made.late)
        self._remember(Morning(day=today.isoformat(), at=now, told=duty),
                       digests(made, to, setup.policy, now, code=ANSWERS))

    def _unsaid(self, now: float) -> list[Incident]:
        """What the night or the first week held back, and was over before anybody was told."""
        since = max(self._morning.at, self._desk.installed_at, now - 7 * 86400.0)
        return [incident for incident in self._ledger.all_incidents()
                if incident.closed is not None and since < incident.closed <= now and not incident.told
                and any(entry.what == "held" and entry.detail in digest.WAITS_FOR_THE_DIGEST
                        for entry in self._ledger.history(incident.code))]

    # --- signing -------------------------------------------------------------------------------------------------

    def sign(self, contact: Contact, said: str, who: str, channel: str, now: float) -> Answer:
        """Somebody says that these rows are done (as typed, parted by ", "). One that is not known: none is signed."""
        setup = self._setup()
        today = localtime.local_day(now, setup.zone)
        signed = self._signatures(today.isoformat())
        if self._hour(setup, today) is None or not setup.policy.shop_day(now) or not digest.to_sign(setup.rows, signed):
            return Answer(phrase="nothing_to_sign")
        meant = {word: digest.meant(word, setup.rows) for word in said.split(", ")}
        strange = [word for word, row in meant.items() if row is None]
        if strange:
            left = _left(setup, signed, contact) or "-"
            return Answer(phrase="unknown_row", values={"row": strange[0], "left": left})
        rows = list(dict.fromkeys(row for row in meant.values() if row is not None and row.id not in signed))
        if not rows:
            row = next(row for row in meant.values() if row is not None)
            by = display(signed[row.id].who, setup.policy)
            return Answer(phrase="signed_before", values={"row": _title(row, contact), "who": by})
        made = [Signature(day=today.isoformat(), row=row.id, who=who, how=channel, at=now) for row in rows]
        self._desk.post((), signatures=made)
        left = _left(setup, signed | {each.row: each for each in made}, contact)
        return Answer(phrase="signed_left" if left else "signed", values={
            "row": ", ".join(_title(row, contact) for row in rows), "who": display(who, setup.policy), "left": left})

    def _urge(self, setup: Setup, now: float) -> None:
        """Who was to sign is reminded once, at opening time; half an hour later the next person is asked."""
        today, done = localtime.local_day(now, setup.zone), self._morning
        at = self._hour(setup, today)
        if at is None or done.day != today.isoformat() or done.stage > 1 or now < done.at + REMIND:
            return
        opens, closes = (localtime.instant(datetime.combine(today, localtime.clock_time(text)), setup.zone)
                         for text in (setup.policy.hours.open, setup.policy.hours.close))
        if not opens <= now < closes:
            return
        signatures = self._signatures(done.day)
        about = Digest(kind="reminder", at=at, sign=digest.to_sign(setup.rows, signatures))
        if not about.unsigned:
            self._remember(msgspec.structs.replace(done, stage=2))
        elif done.stage == 0 and (channel := setup.answering(done.told)):
            self._remember(msgspec.structs.replace(done, stage=1, at=now),
                           digests(about, [Told(done.told, channel)], setup.policy, now, code=ANSWERS))
        else:
            others = [name for name in order(setup.policy.roster, now) if name != done.told and setup.answering(name)]
            passed = msgspec.structs.replace(about, kind="passed", who=display(done.told, setup.policy))
            to = [Told(name, setup.answering(name)) for name in others[:1]]
            log.info("not_signed", rows=[row.id for row in about.unsigned], asked=others[:1])
            self._remember(msgspec.structs.replace(done, stage=2), digests(passed, to, setup.policy, now, code=ANSWERS))

    # --- inside --------------------------------------------------------------------------------------------------

    def _hour(self, setup: Setup, today: date) -> float | None:
        """When the digest of that day is to go out; None where there is none at all."""
        if not setup.digest.at:
            return None
        return localtime.instant(datetime.combine(today, localtime.clock_time(setup.digest.at)), setup.zone)

    def _signatures(self, day: str) -> dict[str, Signature]:
        return {each.row: each for each in self._ledger.signatures(day)}

    def _remember(self, morning: Morning, notifications: Sequence[Notification] = ()) -> None:
        self._morning = morning
        self._desk.post(notifications, {MORNING: msgspec.json.encode(morning).decode()})


def _done(last: str, today: date) -> bool:
    """Was that day's digest sent, or a later one's before the clock was set back?"""
    return today.isoformat() <= last <= (today + BOGUS).isoformat()


def _left(setup: Setup, signed: Mapping[str, Signature], reader: Contact) -> str:
    rows = {row.id: row for row in setup.rows}
    return ", ".join(f"{_title(rows[each.id], reader)} ({each.word} ok)"
                     for each in digest.to_sign(setup.rows, signed) if each.signature is None)


def _title(row: Row, reader: Contact) -> str:
    return row.title.en if reader.language == "en" else row.title.id
