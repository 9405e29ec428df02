"""The daily budget holds back what can wait, says so once, loses nothing, and never touches what is critical."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from agent.store import Store
from alerts.budget import FREE, Allowance, Sent, allowance, cost, day_began, month_began, resumes
from alerts.incident import Incident
from alerts.ledger import Changes
from alerts.notification import Letter, Notification, Proof, Receipt, Section
from alerts.outbox import PACE, Channel
from alerts.policy import Budget, Policy
from alerts.quiet import Quiet
from story import MONDAY, policy

MORNING = MONDAY + 21 * 3600  # Tuesday 07.00 WIB, when quiet hours end
LIMIT = {"id": "batas pesan hari ini tercapai: yang tidak kritis menyusul Sel 6 Jan 07.00 WIB",
         "en": "today's limit of messages is reached: what is not critical follows Tue 6 Jan 07:00 WIB"}


def spending(per_day: int = 0, rupiah: float = 0.0, **price: float) -> Policy:
    return policy(budget=Budget(per_day=per_day, rupiah_per_day=rupiah), price=price, quiet=Quiet())


def word(code: str = "K7M", ordinal: int = 1, severity: str = "warning", contact: str = "budi", at: float = MONDAY,
         **fields: Any) -> Notification:
    base: dict[str, Any] = {
        "code": code, "ordinal": ordinal, "reason": "opened", "severity": severity, "contact": contact,
        "channel": "chat", "created": at, "not_before": at + 5, "stale_at": at + 3600,
        "incident": Incident(code=code, key=code, opened=at, members={}, severity=severity)}
    return Notification(**(base | fields))


FEW, MANY = [Sent("budi", "chat", False, 8)], [Sent("budi", "chat", False, 6), Sent("budi", "mail", False, 4)]
HELD, LAST = Allowance(hold_until=MORNING), Allowance(says=LIMIT)


@pytest.mark.parametrize(("batch", "sent", "told_by", "judged"), [
    ([word()], FEW, spending(10), FREE),
    ([word()], [Sent("budi", "chat", False, 9)], spending(10), LAST),
    ([word()], MANY, spending(10), HELD),
    ([word()], MANY, spending(0), FREE),  # no limit
    ([word(contact="sari")], MANY, spending(10), FREE),  # each person for themselves
    ([word()], [Sent("budi", "chat", True, 99)], spending(10), FREE),  # critical ones do not count
    ([word(severity="critical")], MANY, spending(10), FREE),
    ([word(severity="critical", reason="resolved")], MANY, spending(10), FREE),
    ([word(reason="resolved")], MANY, spending(10), HELD),
    ([word(reason="answer")], MANY, spending(10), FREE),
    ([word(reason="test")], MANY, spending(10), FREE),
    ([word(reason="proof")], MANY, spending(10), FREE),
    ([word(reason="digest")], MANY, spending(10), FREE),
    ([word(), word("P4Q", severity="critical")], MANY, spending(10), FREE),  # they share one message anyway
    ([word()], FEW, spending(rupiah=5000, chat=500), FREE),
    ([word()], FEW, spending(rupiah=4999, chat=500), LAST),
    ([word()], FEW, spending(rupiah=4499, chat=500), HELD),
    ([word(contact="sari")], FEW, spending(rupiah=4499, chat=500), HELD),  # of all people together
    ([word()], [Sent("sari", "chat", True, 8)], spending(rupiah=4499, chat=500), HELD),  # critical ones cost, too
    ([word(channel="mail")], FEW, spending(rupiah=4499, chat=500), FREE),  # what costs nothing goes
    ([word()], MANY, spending(10, rupiah=9e9, chat=500), HELD),
])
def test_what_the_budget_lets_go(batch: list[Notification], sent: list[Sent], told_by: Policy,
                                 judged: Allowance) -> None:
    assert allowance(batch, lambda since: sent if since == MONDAY - 36000 else [], told_by, MONDAY) == judged


def test_nothing_is_asked_before_a_critical_message_goes() -> None:
    """The store may be what is broken."""
    def broken(since: float) -> Sequence[Sent]:
        raise AssertionError("was asked")

    assert allowance([word(severity="critical")], broken, spending(1), MONDAY) == FREE


def test_days_and_months_are_local_and_the_morning_is_after_the_quiet_hours() -> None:
    late, never_quiet = MONDAY + 13.5 * 3600, spending()
    assert day_began(never_quiet, late) == MONDAY - 36000
    assert month_began(never_quiet, late) == MONDAY - 36000 - 4 * 86400
    assert resumes(spending(), late) == MORNING
    assert resumes(msgspec.structs.replace(spending(), quiet=Quiet(begin="00:00", end="00:00")), late) == MONDAY + 50400


def test_the_cost_is_by_channel_and_only_of_what_has_a_price() -> None:
    assert cost([*MANY, Sent("sari", "chat", True, 1)], spending(chat=550, voice=900)) == {"chat": 3850, "voice": 0}
    assert cost(MANY, spending(mail=0)) == {}


class Vendor:
    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = "chat"

    def __init__(self) -> None:
        self.arrived: list[Letter] = []

    def send(self, letter: Letter) -> Receipt:
        self.arrived.append(letter)
        return Receipt(f"M{len(self.arrived)}")


class Door:
    """The channel `chat` on a real store, with a budget of three messages a day."""

    def __init__(self, folder: Path) -> None:
        self.store, self.vendor, self.now = Store(folder / "jaga.db", ballast=0), Vendor(), MONDAY
        self.passed_on, self.ends = list[str](), list[str]()
        told_by = spending(3)
        self.channel = Channel(
            "chat", self.vendor, self.store, self.letter, clock=lambda: self.now, process="p",
            undelivered=lambda notification, why, now: self.passed_on.append(notification.mark),
            patience=lambda: told_by.undelivered, outcomes=lambda name, outcome, batch, now: self.ends.append(outcome),
            allowance=lambda batch, now: allowance(batch, self.store.sent, told_by, now))

    def letter(self, batch: Sequence[Notification], contact: str, channel: str, *, now: float, window_open: bool,
               stale: int, from_memory: bool) -> Letter:
        sections = tuple(Section(code=n.code, mark=n.mark, severity=n.severity, reason=n.reason, headline=n.code,
                                 since="") for n in batch)
        severity = "critical" if any(n.severity == "critical" for n in batch) else "warning"
        return Letter(mark=batch[0].mark, to="x", name=contact, language="id", severity=severity, created=now,
                      stale_at=max(n.stale_at for n in batch), subject="s", sections=sections, footer="Koperasi")

    def says(self, *words: Notification, wait: float = 60.0) -> None:
        self.store.commit(Changes(notifications=list(words)))
        self.now += wait
        self.channel.turn()

    def go_on(self, seconds: float, step: float = 600.0) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.channel.turn()

    @property
    def marks(self) -> list[list[str]]:
        return [[section.mark for section in letter.sections] for letter in self.vendor.arrived]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    door.store.close()


def test_what_is_beyond_the_budget_comes_in_the_morning_as_one_message(door: Door) -> None:
    for number in range(1, 7):
        door.says(word(f"W{number}", at=door.now))
    assert door.marks == [["W1-1"], ["W2-1"], ["W3-1"]]
    assert [letter.footer for letter in door.vendor.arrived] == ["Koperasi", "Koperasi", f"Koperasi · {LIMIT['id']}"]
    assert door.store.counts().get("oldest") is None  # nothing is stuck: it waits on purpose
    door.go_on(MORNING - door.now - 600)
    assert (len(door.marks), door.passed_on, door.ends.count("held")) == (3, [], 3)
    door.go_on(1200)
    assert door.marks[3:] == [["W4-1", "W5-1", "W6-1"]]
    assert door.vendor.arrived[-1].stale_at > door.now
    assert "stale" not in door.ends


def test_beyond_the_budget_the_critical_and_the_answers_still_go_and_the_next_day_has_its_own(door: Door) -> None:
    for number in range(1, 5):
        door.says(word(f"W{number}", at=door.now))
    door.says(word("C1", severity="critical", at=door.now))
    door.says(word("C1", 2, severity="critical", reason="resolved", at=door.now))
    door.says(word("JAGA", reason="answer", at=door.now))
    assert door.marks == [["W1-1"], ["W2-1"], ["W3-1"], ["C1-1"], ["C1-2"], ["JAGA-1"]]
    door.go_on(MORNING - door.now)
    door.says(word("W5", at=door.now))
    assert door.marks[6:] == [["W4-1"], ["W5-1"]]


def test_one_who_has_had_enough_does_not_hold_up_the_others(door: Door) -> None:
    for number in range(1, 5):
        door.says(word(f"W{number}", at=door.now))
    door.says(word("W5", at=door.now), word("W5", 2, contact="sari", at=door.now), wait=PACE + 60)
    assert door.marks[3:] == [["W5-2"]]


def test_what_is_held_back_survives_a_restart_and_a_set_clock(door: Door, tmp_path: Path) -> None:
    for number in range(1, 5):
        door.says(word(f"W{number}", at=door.now))
    door.store.close()
    again = Door(tmp_path)
    again.now = door.now
    again.store.commit(Changes(shift=3600.0))
    again.now += 3600
    again.go_on(MORNING - again.now)
    assert again.marks == []
    again.go_on(3600)
    assert again.marks == [["W4-1"]]
    again.store.close()
