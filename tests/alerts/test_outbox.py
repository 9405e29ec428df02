"""The one door's promises: at least once, never blindly twice, and nothing lost on the way."""

import threading
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from agent.store import Store
from alerts.incident import Incident
from alerts.ledger import Changes, StoreError
from alerts.notification import (
    Busy,
    Letter,
    Notification,
    Proof,
    Receipt,
    Refused,
    Reply,
    Section,
    Status,
    Uncertain,
)
from alerts.outbox import ASK_AFTER, PACE, Channel
from house import until

START = 1_767_582_000.0


class Vendor:
    """A provider that does as the story says, and remembers every letter that reached it."""

    proof: ClassVar[Proof] = Proof.READ
    address: ClassVar[str] = "whatsapp"

    def __init__(self) -> None:
        self.script: list[Exception | str] = []  # what the next sends meet: "lost" is accepted but not answered
        self.arrived: list[Letter] = []
        self.statuses: dict[str, Status] = {}
        self.asked: list[str] = []

    def send(self, letter: Letter) -> Receipt:
        met = self.script.pop(0) if self.script else "ok"
        if isinstance(met, Exception):
            raise met
        self.arrived.append(letter)
        if met == "lost":
            raise Uncertain("time-out after the request")
        if met == "killed":
            raise Killed
        return Receipt(f"SM{len(self.arrived)}")

    def find(self, mark: str, to: str) -> Receipt | None:
        self.asked.append(mark)
        return next((Receipt(f"SM{n}") for n, letter in enumerate(self.arrived, 1) if letter.mark == mark), None)

    def status(self, provider_id: str) -> Status:
        return self.statuses.get(provider_id, Status(proof=Proof.ACCEPTED))


class Mute(Vendor):
    """A provider that nobody can ask."""

    proof: ClassVar[Proof] = Proof.ACCEPTED
    find = None  # type: ignore[assignment]  # as on a channel that has none
    status = None  # type: ignore[assignment]

    def __getattribute__(self, name: str) -> object:
        if name in ("find", "status"):
            raise AttributeError(name)
        return super().__getattribute__(name)


class Killed(BaseException):
    """kill -9 while the request was on the wire."""


class Door:
    """A channel on a real store, with a clock that the story moves."""

    def __init__(self, folder: Path, vendor: Vendor | None = None) -> None:
        self.store, self.vendor, self.now = Store(folder / "jaga.db", ballast=0), vendor or Vendor(), START
        self.undelivered: list[tuple[str, str]] = []
        self.ends: list[tuple[str, int]] = []
        self.open_windows: set[str] = set()
        self.begin("first")

    def begin(self, process: str, after: Channel | None = None) -> None:
        self.channel = Channel(
            "twilio", self.vendor, self.store, compose, clock=lambda: self.now, undelivered=self._undelivered,
            after=after, patience=lambda: {"critical": 180.0, "warning": 900.0}, process=process,
            window_open=lambda contact, now: contact in self.open_windows,
            outcomes=lambda channel, outcome, batch, now: self.ends.append((outcome, len(batch))),
        )

    def _undelivered(self, notification: Notification, why: str, now: float) -> None:
        self.undelivered.append((notification.mark, why))
        self.store.commit(Changes(passed_on=[notification]))

    def queue(self, *specs: tuple[str, int], severity: str = "critical", contact: str = "budi") -> None:
        self.store.commit(Changes(notifications=[
            Notification(code=code, ordinal=ordinal, reason="opened", severity=severity, contact=contact,
                         channel="twilio", created=self.now, not_before=self.now + 5, stale_at=self.now + 3600,
                         incident=Incident(code=code, key=code, opened=self.now, members={}, severity=severity))
            for code, ordinal in specs]))

    def after(self, seconds: float) -> "Door":
        self.now += seconds
        self.channel.turn()
        return self

    @property
    def marks(self) -> list[str]:
        return [letter.mark for letter in self.vendor.arrived]


def compose(notifications: Sequence[Notification], contact: str, channel: str, *, now: float, window_open: bool,
            stale: int, from_memory: bool) -> Letter | None:
    if contact == "gone":
        return None
    sections = tuple(Section(code=n.code, mark=n.mark, severity=n.severity, reason=n.reason, headline=n.code, since="")
                     for n in notifications)
    return Letter(mark=notifications[0].mark, to="+62812", name=contact, language="id",
                  severity=notifications[0].severity, created=now, stale_at=now + 3600, subject="s", sections=sections,
                  footer=f"stale {stale}", window_open=window_open, from_memory=from_memory)


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_problems_within_the_window_share_a_message(door: Door) -> None:
    door.queue(("A3B", 1))
    door.after(2).queue(("C4D", 1))
    assert door.after(2).marks == []
    door.after(1)
    assert [[s.mark for s in letter.sections] for letter in door.vendor.arrived] == [["A3B-1", "C4D-1"]]


def test_two_messages_to_one_person_keep_the_pair_rate(door: Door) -> None:
    door.queue(("A3B", 1))
    door.after(5).queue(("C4D", 1))
    assert door.after(5).marks == ["A3B-1"]
    assert door.after(PACE - 5).marks == ["A3B-1", "C4D-1"]


def test_nobody_waits_for_the_pace_of_somebody_else(door: Door) -> None:
    door.queue(("A3B", 1))
    door.after(5).queue(("C4D", 1))
    door.queue(("E6F", 1), contact="sari")
    assert door.after(5).marks == ["A3B-1", "E6F-1"]
    assert door.after(PACE - 5).marks == ["A3B-1", "E6F-1", "C4D-1"]


def test_a_busy_vendor_is_tried_again_and_what_waited_goes_together(door: Door) -> None:
    door.vendor.script = [Busy("429", 30.0)]
    door.queue(("A3B", 1))
    door.after(5).queue(("C4D", 1))
    assert door.after(20).marks == []
    door.after(10)
    assert [[s.mark for s in letter.sections] for letter in door.vendor.arrived] == [["A3B-1", "C4D-1"]]


def test_back_off_grows_to_a_minute_and_no_further(door: Door) -> None:
    door.vendor.script = [Busy("503")] * 12
    door.queue(("A3B", 1))
    door.after(5)
    tries = [door.now]
    while door.vendor.script:
        left = len(door.vendor.script)
        door.after(0.5)
        if len(door.vendor.script) < left:
            tries.append(door.now)
    pauses = [after - before for before, after in pairwise(tries)]
    assert pauses[0] < 3.5
    assert 40 < max(pauses) <= 78.5
    assert door.after(100).marks == ["A3B-1"]


@pytest.mark.parametrize("met", ["lost", "killed"])
def test_what_was_accepted_but_not_answered_is_asked_for_and_not_repeated(door: Door, met: str) -> None:
    door.vendor.script = [met]
    door.queue(("A3B", 1))
    crash_or(door, lambda: door.after(5), met)
    door.after(ASK_AFTER - 1)
    assert door.vendor.asked == []
    door.after(1)
    assert door.vendor.asked == ["A3B-1"]
    door.after(600)
    assert door.marks == ["A3B-1"]
    assert door.store.under_way("twilio")[0].provider_id == "SM1"


def test_what_never_arrived_is_sent_again_under_the_same_mark(door: Door) -> None:
    door.vendor.script = [Uncertain("reset")]
    door.queue(("A3B", 1))
    door.after(5).after(ASK_AFTER)
    assert door.vendor.asked == ["A3B-1"]
    assert door.marks == ["A3B-1"]


def test_where_nobody_can_be_asked_only_the_critical_is_repeated(tmp_path: Path) -> None:
    for severity, expected in (("critical", ["A3B-1", "A3B-1"]), ("warning", ["A3B-1"])):
        door = Door(tmp_path / severity, Mute())
        door.vendor.script = ["lost"]
        door.queue(("A3B", 1), severity=severity)
        door.after(5).after(ASK_AFTER).after(600)
        assert door.marks == expected, severity


def test_a_vendor_that_never_answers_gets_a_critical_a_few_times_and_no_more(tmp_path: Path) -> None:
    door = Door(tmp_path, Mute())
    door.vendor.script = ["lost"] * 500
    door.queue(("A3B", 1))
    for _ in range(500):
        door.after(10)
    assert door.marks == ["A3B-1"] * 4
    assert door.channel.failing_since is not None
    assert door.undelivered[0][0] == "A3B-1"


def test_a_retry_after_of_nought_is_no_invitation_to_hammer(door: Door) -> None:
    door.vendor.script = [Busy("429", 0.0)]
    door.queue(("A3B", 1))
    assert door.after(5).marks == []
    assert door.after(1).marks == []
    assert door.after(1).marks == ["A3B-1"]


def test_a_refusal_is_final_and_goes_back_to_the_desk(door: Door) -> None:
    door.vendor.script = [Refused("not a phone number", "21211")]
    door.queue(("A3B", 1), ("C4D", 1))
    door.after(5).after(600)
    assert door.marks == []
    assert door.undelivered == [("A3B-1", "21211 not a phone number"), ("C4D-1", "21211 not a phone number")]
    assert [m.state for m in door.store.last_messages(0)] == ["failed"]


def test_killed_between_a_refusal_and_telling_the_desk_it_is_told_all_the_same(door: Door) -> None:
    def killed(*_: object) -> None:
        raise Killed

    door.vendor.script = [Refused("no such number", "63024")]
    door.queue(("A3B", 1))
    door.channel._undelivered = killed
    with pytest.raises(Killed):
        door.after(5)
    door.begin("second")
    for _ in range(3):
        door.after(180)
    assert [mark for mark, _ in door.undelivered] == ["A3B-1"]
    assert door.vendor.arrived == []


def test_not_delivered_in_time_goes_back_to_the_desk_once(door: Door) -> None:
    door.queue(("A3B", 1))
    door.after(5).after(170)
    assert door.undelivered == []
    door.after(6).after(60)
    assert [mark for mark, _ in door.undelivered] == ["A3B-1"]


def test_delivered_in_time_is_the_end_of_it(door: Door) -> None:
    door.vendor.statuses["SM1"] = Status(proof=Proof.DELIVERED)
    door.queue(("A3B", 1))
    door.after(5).after(4).after(600)
    assert door.undelivered == []
    assert ("delivered", 1) in door.ends
    door.vendor.statuses["SM1"] = Status(proof=Proof.READ)
    door.after(1000)
    assert door.store.under_way("twilio") == []
    assert ("read", 1) in door.ends


def test_a_shut_window_sends_the_same_again_as_a_template(door: Door) -> None:
    door.open_windows.add("budi")
    door.vendor.statuses["SM1"] = Status(failed="63016", needs_template=True)
    door.queue(("A3B", 1))
    door.after(5).after(4).after(PACE)
    assert [(letter.mark, letter.window_open) for letter in door.vendor.arrived] == [("A3B-1", True), ("A3B-1", False)]
    assert door.undelivered == []


def test_content_that_is_refused_after_acceptance_goes_out_again_as_codes_alone(door: Door) -> None:
    door.vendor.statuses["SM1"] = Status(failed="63021", content_refused=True)
    door.queue(("A3B", 1))
    door.after(5).after(4).after(PACE)
    assert [(letter.mark, letter.codes_only) for letter in door.vendor.arrived] == [("A3B-1", False), ("A3B-1", True)]
    assert door.undelivered == []


def test_a_passing_failure_after_acceptance_is_tried_three_times(door: Door) -> None:
    door.vendor.statuses = {f"SM{n}": Status(failed="63012", retry=True) for n in range(1, 9)}
    door.queue(("A3B", 1))
    for _ in range(100):
        door.after(5)
    assert len(door.marks) == 4
    assert door.undelivered[0] == ("A3B-1", "63012")


def test_a_person_who_does_not_pick_up_is_no_fault_of_the_channel(door: Door) -> None:
    nobody = Status(failed="nobody picked up", retry=True, unreached=True)
    door.vendor.statuses = {f"SM{n}": nobody for n in range(1, 9)}
    door.queue(("A3B", 1))
    for _ in range(120):
        door.after(5)
    assert len(door.marks) == 4
    assert ("A3B-1", "nobody picked up") in door.undelivered
    assert (door.channel.error, door.channel.failing_since) == ("", None)
    assert [m.state for m in door.store.last_messages(0)] == ["done"]


def test_the_vendors_word_on_templates_is_asked_for_once_an_hour(tmp_path: Path) -> None:
    class Templates(Vendor):
        looked = 0

        def template_states(self) -> dict[str, str]:
            self.looked += 1
            return {"template": "paused"}

    vendor = Templates()
    door = Door(tmp_path, vendor)
    for _ in range(13):
        door.after(300)
    assert (vendor.looked, door.channel.templates) == (2, {"template": "paused"})


def test_a_stale_message_is_not_sent_and_that_is_said(door: Door) -> None:
    door.vendor.script = [Busy("down", 3600.0)]
    door.queue(("A3B", 1))
    door.after(5).after(3700)
    door.queue(("C4D", 1))
    door.after(5)
    assert [(letter.mark, letter.footer) for letter in door.vendor.arrived] == [("C4D-1", "stale 1")]
    door.queue(("E6F", 1))
    assert door.after(10).vendor.arrived[-1].footer == "stale 0"


def test_a_contact_that_is_gone_holds_nothing_up(door: Door) -> None:
    door.queue(("A3B", 1), contact="gone")
    door.queue(("C4D", 1))
    assert door.after(5).marks == ["C4D-1"]


def test_a_store_that_cannot_be_written_does_not_silence_a_critical(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StoreError("jaga.db: claim: database or disk is full")

    door.queue(("A3B", 1))
    door.queue(("C4D", 1), severity="warning")
    with monkeypatch.context() as patch:
        patch.setattr(door.store, "claim", full)
        with pytest.raises(StoreError):
            door.after(5)
    assert [(letter.mark, letter.from_memory) for letter in door.vendor.arrived] == [("A3B-1", True)]
    door.after(PACE)
    assert door.marks == ["A3B-1", "C4D-1"]


def test_what_goes_out_from_memory_keeps_the_pace_and_shares_a_letter(door: Door) -> None:
    door.queue(("A3B", 1), ("C4D", 1))
    waiting = door.store.open_batch("twilio", door.now + 5, 10)
    door.store.spoke(waiting)
    door.channel.emergency(waiting)
    assert [[s.mark for s in letter.sections] for letter in door.after(0).vendor.arrived] == [["A3B-1", "C4D-1"]]
    door.channel.emergency([msgspec.structs.replace(waiting[0], ordinal=2)])
    assert door.after(PACE - 1).marks == ["A3B-1"]
    assert door.after(1).marks == ["A3B-1", "A3B-2"]


@pytest.mark.parametrize("trouble", [Refused("21211 no such number"), Uncertain("timed out"), KeyError("sid")])
def test_what_goes_out_from_memory_and_is_refused_tries_another_way(door: Door, trouble: Exception) -> None:
    door.queue(("A3B", 1))
    waiting = door.store.open_batch("twilio", door.now + 5, 10)
    door.store.spoke(waiting)
    door.vendor.script = [trouble]
    door.channel.emergency(waiting)
    door.after(0).after(60)
    assert [mark for mark, _ in door.undelivered] == ["A3B-1"]


def test_a_channel_that_stays_busy_lets_another_speak_from_memory_and_goes_on_trying(door: Door) -> None:
    door.queue(("A3B", 1))
    waiting = door.store.open_batch("twilio", door.now + 5, 10)
    door.store.spoke(waiting)
    door.vendor.script = [Busy("503")] * 60
    door.channel.emergency(waiting)
    begun = door.now
    while door.now - begun < 170:
        door.after(5)
    assert door.undelivered == []
    while door.now - begun < 600:
        door.after(5)
    assert door.undelivered == [("A3B-1", "503")]
    door.vendor.script = []
    assert door.after(80).marks == ["A3B-1"]


def test_a_notifier_that_breaks_does_not_end_its_channel(door: Door) -> None:
    door.vendor.script = [KeyError("sid")]
    door.queue(("A3B", 1))
    door.after(5).after(ASK_AFTER)
    assert door.marks == ["A3B-1"]


def crash_or(door: Door, act: Callable[[], object], met: str) -> None:
    """Run it; where the story kills the process, begin a new one on the same store."""
    if met != "killed":
        act()
        return
    with pytest.raises(Killed):
        act()
    door.begin("second")


def test_people_are_listened_to_closely_from_the_moment_that_something_opens(door: Door) -> None:
    heard_at: list[float] = []
    pause = 60.0
    door.vendor.replies = lambda since: heard_at.append(door.now - START) or []  # type: ignore[attr-defined]
    door.channel._listen_every = lambda: pause
    door.after(0).after(1)
    pause = 5.0  # something opened, a second after the last question
    for _ in range(6):
        door.after(2)
    assert heard_at == [0, 5, 11]


@pytest.mark.parametrize("asks", ["status", "find", "replies"])
def test_a_question_that_breaks_holds_up_no_message(tmp_path: Path, asks: str) -> None:
    class Broken(Vendor):
        def replies(self, since: float) -> Sequence[Reply]:
            return []

    def broken(*_: object) -> None:
        raise RuntimeError("a field that was never documented")

    vendor = Broken()
    setattr(vendor, asks, broken)
    vendor.script = ["lost"] if asks == "find" else []
    door = Door(tmp_path, vendor)
    door.queue(("A3B", 1))
    door.after(5).after(ASK_AFTER)
    door.queue(("C4D", 1), contact="sari")
    for _ in range(20):
        door.after(5)
    assert "C4D-1" in door.marks


def test_a_vendor_that_answers_nothing_keeps_no_message_waiting_and_the_thread_goes_round(door: Door) -> None:
    class Slow(Vendor):
        def status(self, provider_id: str) -> Status:
            rounds.append(door.now - door.channel.turned_at)
            door.now += 10
            raise Busy("time-out")

    rounds: list[float] = []
    for ordinal in range(20):
        door.queue(("A3B", ordinal + 1), contact=f"person {ordinal}")
    door.after(5)
    assert len(door.marks) == 20
    door.vendor.status = Slow().status  # type: ignore[method-assign]
    door.queue(("C4D", 1), contact="sari")
    for _ in range(3):
        door.after(5)
    assert "C4D-1" in door.marks
    assert max(rounds) < 20


def test_what_the_outbox_trips_over_does_not_end_its_thread(tmp_path: Path) -> None:
    door, again = Door(tmp_path), threading.Event()
    tripped = iter([RuntimeError("our own fault")])

    def clock() -> float:
        if threading.current_thread().name == "outbox-twilio":
            for error in tripped:
                raise error
            again.set()
        return door.now

    door.channel._clock = clock
    door.channel.start()
    try:
        assert again.wait(10)
        assert door.channel.error == "RuntimeError: our own fault"
    finally:
        door.channel.stop()
        door.channel.join(10)


def test_a_reload_forgets_neither_what_is_to_be_said_nor_that_the_channel_fails(door: Door) -> None:
    door.vendor.script = [Busy("503", 600.0)]
    door.queue(("A3B", 1))
    door.after(5)
    urgent = door.store.open_batch("twilio", door.now + 600, 1)
    door.channel.emergency(urgent)
    old, failing = door.channel, (door.now, "503")
    old._thread = threading.Thread(target=lambda: None)
    door.begin("second", after=old)
    assert (door.channel.failing_since, door.channel.error) == failing
    door.channel.start()
    try:
        until(lambda: door.marks == ["A3B-1"])
    finally:
        door.channel.stop()
        door.channel.join(10)
