"""The morning, told minute by minute: the digest once a day, signatures, reminders, the hand-over."""

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent import routine
from agent.config import load
from agent.daily import Daily
from agent.routine import Setup
from alerts.dialogue import Dialogue
from alerts.digest import Digest, Measured
from alerts.notification import Notification, Proof, Reply
from alerts.policy import Contact
from alerts.proposals import Seen, propose, toml
from alerts.quiet import Hours, Quiet
from alerts.roster import Rotation
from alerts.words import compose
from collectors.base import Reading
from story import MONDAY, Story, contact, policy, rule

HOUR = 3600.0
DAY = 24 * HOUR
MIDNIGHT = MONDAY - 10 * HOUR  # Monday 5 January 2026, 00:00 WIB; the story itself begins at 10:00
LAST_WEEK = MIDNIGHT - 7 * DAY
GOOD = Measured(name="disk", declares=frozenset({"jaga_disk_used_ratio"}), yielded=frozenset({"jaga_disk_used_ratio"}),
                at=4e9)


def at(text: str, day: int = 0) -> float:
    """"08:00" of the story's Monday, or so many days later."""
    hours, minutes = text.split(":")
    return MIDNIGHT + day * DAY + int(hours) * HOUR + int(minutes) * 60


class House(Story):
    """A story with a daily round. It was installed a week before, and its clock stands where the story puts it."""

    def __init__(self, folder: Path, *, digest: routine.Digest | None = None, two_way: tuple[str, ...] = ("chat",),
                 proof: routine.Proof | None = None, begins: float = LAST_WEEK, **fields: object) -> None:
        self.digest, self.proof, self.two_way = digest or routine.Digest(), proof or routine.Proof(weekly=""), two_way
        self.measured = [GOOD]
        self._begins = begins
        super().__init__(folder, [rule("disk_space", metric="disk", kind="above", critical=None, warning=0.8), rule()],
                         policy(**fields))

    def begin(self) -> None:
        if self._begins:
            self.now, self._begins = self._begins, 0.0
        super().begin()
        self.daily = Daily(self.desk, self.store, lambda: Setup(
            policy=self.policy, proofs=self.proofs, two_way=frozenset(self.two_way), digest=self.digest,
            proof=self.proof), lambda: self.measured, self.now)
        self.dialogue = Dialogue(
            self.desk, self.store, lambda: self.policy, lambda: ZoneInfo("Asia/Jakarta"),
            lambda: {"chat": "chat", "mail": "mail"}, self.daily.sign)
        self._number = 0

    def goes(self, text: str, day: int = 0) -> "House":
        """The clock goes on to that time of day: by the minute, or to that day's midnight where it is far away."""
        end = at(text, day)
        while self.now < end:
            self.now = min(end, self.now + 60) if end - self.now < 2 * DAY else at("00:00", day)
            self.desk.tick(self.now)
            self.daily.tick(self.now)
        return self

    def writes(self, text: str, who: str = "budi") -> None:
        self._number += 1
        reply = Reply(id=f"{self.now}-{self._number}", address=f"{who}@chat", text=text, at=self.now)
        self.dialogue.hear("chat", reply, self.now)

    @property
    def spoken(self) -> list[Notification]:
        rows = self.store._read("SELECT id, body FROM notifications WHERE id > ? ORDER BY id", (self._read,))
        self._read = max((number for number, _ in rows), default=self._read)
        return [msgspec.json.decode(body, type=Notification) for _, body in rows]

    @property
    def mornings(self) -> list[tuple[str, str, str]]:
        """(kind of digest, contact, channel) of those queued since the last look."""
        return [(n.digest.kind, n.contact, n.channel) for n in self.spoken if n.digest is not None]

    @property
    def answers(self) -> list[str]:
        return [n.answer.phrase for n in self.spoken if n.answer is not None]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.store.close()


# --- the digest --------------------------------------------------------------------------------------------------


def test_the_digest_goes_out_at_its_hour_also_when_all_is_well(house: House) -> None:
    assert house.goes("07:59").mornings == []
    house.goes("08:00")
    (spoken,) = house.spoken
    assert (spoken.reason, spoken.contact, spoken.channel, spoken.mark) == ("digest", "budi", "chat", "JAGA-1")
    assert spoken.digest is not None
    assert ([row.mark for row in spoken.digest.rows if row.id == "disk"], spoken.digest.late) == (["good"], False)
    assert house.goes("08:29").mornings == []


def test_each_day_has_its_own(house: House) -> None:
    house.goes("08:05")
    assert house.mornings == [("daily", "budi", "chat")]
    house.goes("07:59", 1)
    _ = house.mornings
    assert house.goes("08:00", 1).mornings == [("daily", "budi", "chat")]


def test_a_closed_day_has_none(tmp_path: Path) -> None:
    house = House(tmp_path, hours=Hours(days=("Tue", "Wed"), holidays=("2026-01-07",)))
    assert [(house.goes("23:00", day), len([m for m in house.mornings if m[0] == "daily"]))[1] for day in range(3)] == [
        0, 1, 0]
    house.store.close()


def test_others_get_it_too_and_copies_go_along(tmp_path: Path) -> None:
    house = House(tmp_path, digest=routine.Digest(to=("sari", "budi", "gone")), contacts={
        "budi": contact("budi", "chat", copy=("mail",)), "sari": contact("sari", "mail", "chat")})
    assert house.goes("08:00").mornings == [
        ("daily", "budi", "chat"), ("daily", "budi", "mail"), ("daily", "sari", "mail")]
    house.store.close()


@pytest.mark.parametrize("crash_at", ["07:59", "08:00", "08:20"])
def test_a_restart_neither_loses_nor_repeats_it(house: House, crash_at: str) -> None:
    house.goes(crash_at)
    house.crash()
    assert house.goes("08:25").mornings == [("daily", "budi", "chat")]


def test_a_late_start_sends_it_late_and_says_so(house: House) -> None:
    house.goes("07:00")
    house.now = at("09:30")
    house.crash()
    house.goes("09:31")
    digests = [n.digest for n in house.spoken if n.digest]
    assert [(d.kind, d.late, d.at) for d in digests] == [("daily", True, at("08:00"))]


def test_after_four_hours_nobody_wants_it_any_more(house: House) -> None:
    house.goes("07:00")
    house.now = at("12:01")
    house.crash()
    assert house.goes("13:00").mornings == []


def test_a_jump_of_the_clock_neither_skips_nor_repeats_it(house: House) -> None:
    house.goes("07:30")
    house.now = at("08:30")
    assert house.goes("08:31").mornings == [("daily", "budi", "chat")]
    house.now = at("07:31")
    house.daily.shift(-HOUR)
    assert [m for m in house.goes("08:20").mornings if m[0] == "daily"] == []
    house.now = at("23:59", -1)
    assert [m for m in house.goes("08:20").mornings if m[0] == "daily"] == []


def test_a_day_remembered_from_a_wrong_clock_does_not_silence_the_mornings(house: House) -> None:
    house.now = at("08:00", 3650)
    house.daily.tick(house.now)
    _ = house.mornings
    house.now = at("07:59")
    assert house.goes("08:00").mornings == [("daily", "budi", "chat")]


def test_on_the_day_of_the_installation_there_is_no_digest_for_the_hours_before(tmp_path: Path) -> None:
    house = House(tmp_path, begins=at("09:00"))
    assert house.goes("11:00").mornings == []
    assert [kind for kind, *_ in house.goes("08:00", 1).mornings] == ["daily"]
    house.store.close()


def test_after_a_start_the_collectors_may_report_first(house: House) -> None:
    house.goes("07:59")
    house.crash()
    house.measured = [msgspec.structs.replace(GOOD, at=None)]
    assert house.goes("08:02").mornings == []
    house.measured = [GOOD]
    house.goes("08:03")
    (spoken,) = house.spoken
    assert spoken.digest is not None
    assert [row.mark for row in spoken.digest.rows if row.id == "disk"] == ["good"]


def test_a_collector_that_never_reports_holds_it_up_for_minutes_only(house: House) -> None:
    house.goes("07:59")
    house.crash()
    house.measured = [msgspec.structs.replace(GOOD, at=None)]
    assert house.goes("08:04").mornings == [("daily", "budi", "chat")]


def test_the_first_week_s_warnings_are_in_it_and_those_that_came_and_went(tmp_path: Path) -> None:
    house = House(tmp_path, begins=at("07:00", -1), probation=7 * DAY)
    house.goes("12:00", -1)
    for value, hour in ((0.9, "12:00"), (0.1, "13:00")):
        house.goes(hour, -1)
        house.desk.observe("disk", [Reading("disk", value, (("unit", "a"),)), Reading("disk", 0.9, (("unit", "b"),))],
                           None, house.now)
    _ = house.spoken
    house.goes("08:00")
    digest = house.spoken[-1].digest
    assert digest is not None
    row = next(row for row in digest.rows if row.id == "disk")
    assert (row.mark, len(row.about)) == ("bad", 1)
    assert [(i.key, i.closed is not None) for i in digest.held] == [('disk_space{unit="a"}', True)]
    later = house.goes("08:00", 1).spoken[-1].digest
    assert later is not None
    assert later.held == ()  # once is enough
    house.store.close()


def test_without_an_hour_there_is_no_morning(tmp_path: Path) -> None:
    house = House(tmp_path, digest=routine.Digest(at=""))
    assert house.goes("12:00").mornings == []
    house.writes("printer ok")
    assert house.answers == ["nothing_to_sign"]
    house.store.close()


def test_a_digest_that_does_not_arrive_goes_by_the_next_channel(house: House) -> None:
    house.goes("08:00")
    (spoken,) = house.spoken
    house.desk.undelivered(spoken, "number is gone", house.now)
    (again,) = house.spoken
    assert (again.channel, again.mark, again.stands_in_for, again.digest) == ("mail", "JAGA-2", "JAGA-1", spoken.digest)
    house.desk.undelivered(again, "mail is down", house.now)
    assert house.spoken == []


def test_what_trips_in_the_morning_does_not_stop_the_clock(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(*_: object, **__: object) -> Digest:
        raise ZeroDivisionError

    monkeypatch.setattr("alerts.digest.build", trips)
    assert house.goes("08:10").mornings == []
    monkeypatch.undo()
    assert house.goes("08:11").mornings == [("daily", "budi", "chat")]


# --- signing -----------------------------------------------------------------------------------------------------


def test_a_reply_signs_its_row_and_is_told_what_is_left(house: House) -> None:
    house.goes("08:05")
    _ = house.spoken
    house.writes("printer ok")
    (answer,) = [n.answer for n in house.spoken if n.answer]
    assert (answer.phrase, answer.values) == (
        "signed_left", {"row": "Tes cetak", "who": "Budi", "left": "Tes scan (scanner ok)"})
    house.writes("scanner sudah", who="sari")
    assert house.answers == ["signed"]
    assert [(s.row, s.who, s.how, s.at) for s in house.store.signatures("2026-01-05")] == [
        ("print", "budi", "chat", at("08:05")), ("scan", "sari", "chat", at("08:05"))]


@pytest.mark.parametrize(("text", "phrase", "signed"), [
    ("1 2 ok", "signed", {"print", "scan"}),
    ("2 ok", "signed_left", {"scan"}),
    ("tes cetak sudah", "signed_left", {"print"}),
    ("1 9 ok", "unknown_row", set()),
    ("7 ok", "unknown_row", set()),
])
def test_how_rows_are_named(house: House, text: str, phrase: str, signed: set[str]) -> None:
    house.goes("08:05")
    _ = house.spoken
    house.writes(text)
    assert house.answers == [phrase]
    assert {each.row for each in house.store.signatures("2026-01-05")} == signed


def test_the_first_signature_stays(house: House) -> None:
    house.goes("08:05").writes("printer ok")
    _ = house.spoken
    house.writes("printer ok", who="sari")
    (answer,) = [n.answer for n in house.spoken if n.answer]
    assert (answer.phrase, answer.values["who"]) == ("signed_before", "Budi")
    assert [s.who for s in house.store.signatures("2026-01-05")] == ["budi"]


def test_who_signs_before_the_digest_has_signed(house: House) -> None:
    house.goes("07:45").writes("printer ok")
    digest = next(n.digest for n in house.goes("08:00").spoken if n.digest)
    assert [row.id for row in digest.unsigned] == ["scan"]


def test_nothing_is_signed_on_a_closed_day(tmp_path: Path) -> None:
    house = House(tmp_path, hours=Hours(days=("Tue",)))
    house.goes("08:05").writes("printer ok")
    assert house.answers == ["nothing_to_sign"]
    house.store.close()


def test_a_shared_phone_must_name_who_tried_it(tmp_path: Path) -> None:
    shared = msgspec.structs.replace(contact("budi", "chat"), shared=True)
    house = House(tmp_path, contacts={"budi": shared, "sari": contact("sari", "chat")})
    house.goes("08:05").writes("printer ok")
    assert house.store.signatures("2026-01-05") == []
    house.writes("printer ok sari")
    assert house.answers == ["name_needed_to_sign", "signed_left"]
    assert [s.who for s in house.store.signatures("2026-01-05")] == ["Sari"]
    house.store.close()


def test_unsigned_at_opening_is_one_reminder_then_the_next_person_then_silence(house: House) -> None:
    house.goes("08:00")
    _ = house.mornings
    assert house.goes("08:29").mornings == []
    assert house.goes("08:30").mornings == [("reminder", "budi", "chat")]
    assert house.goes("08:59").mornings == []
    assert house.goes("09:00").mornings == [("passed", "sari", "chat")]
    assert house.goes("23:00").mornings == []


def test_the_reminder_waits_for_the_shop_to_open(tmp_path: Path) -> None:
    house = House(tmp_path, hours=Hours(open="10:00", close="20:00"))
    house.goes("09:59")
    _ = house.mornings
    assert house.goes("10:00").mornings == [("reminder", "budi", "chat")]
    house.store.close()


def test_who_signed_all_is_left_alone_and_who_signed_half_is_asked_for_the_rest(house: House) -> None:
    house.goes("08:10").writes("printer ok")
    _ = house.spoken
    (reminder,) = [n.digest for n in house.goes("08:30").spoken if n.digest]
    assert [row.id for row in reminder.unsigned] == ["scan"]
    house.writes("scanner ok")
    _ = house.spoken
    assert house.goes("20:00").mornings == []


def test_reminders_survive_a_restart_and_are_not_repeated(house: House) -> None:
    house.goes("08:31")
    house.crash()
    assert [m[0] for m in house.mornings] == ["daily", "reminder"]
    house.goes("09:30")
    house.crash()
    assert [m[0] for m in house.goes("10:00").mornings] == ["passed"]


def test_a_clock_that_is_set_on_takes_nobody_s_half_hour(house: House) -> None:
    house.goes("08:10")
    house.now += HOUR
    house.daily.shift(HOUR)
    _ = house.mornings
    assert house.goes("09:29").mornings == []
    assert house.goes("09:30").mornings == [("reminder", "budi", "chat")]


def test_who_cannot_answer_is_not_asked_to(tmp_path: Path) -> None:
    house = House(tmp_path, contacts={"budi": contact("budi", "mail"), "sari": contact("sari", "mail", "chat")})
    house.goes("08:00")
    _ = house.mornings
    assert house.goes("08:30").mornings == [("passed", "sari", "chat")]
    house.store.close()
    (tmp_path / "b").mkdir()
    mute = House(tmp_path / "b", two_way=())
    assert [m[0] for m in mute.goes("20:00").mornings] == ["daily"]
    mute.store.close()


def test_rows_that_are_left_out_are_neither_shown_nor_asked_for(tmp_path: Path) -> None:
    house = House(tmp_path, digest=routine.Digest(skip=("scan", "scanner", "web")))
    digest = next(n.digest for n in house.goes("08:00").spoken if n.digest)
    assert {"web", "scanner"} & {row.id for row in digest.rows} == set()
    house.writes("printer ok")
    assert house.answers == ["signed"]
    house.store.close()


def test_a_signature_names_nobody_after_that_person_is_forgotten(house: House) -> None:
    house.goes("08:05").writes("printer ok")
    house.desk.forget("budi", ["budi", "Budi"])
    assert [s.who for s in house.store.signatures("2026-01-05")] == ["-"]


# --- the hand-over -----------------------------------------------------------------------------------------------


def duty(folder: Path, **fields: object) -> House:
    return House(folder, digest=routine.Digest(at=""), rotation=Rotation(handover="Mon 09:00", start="2025-12-29"),
                 **fields)  # type: ignore[arg-type]


def test_the_hand_over_is_told_to_both_once_across_a_restart(tmp_path: Path) -> None:
    house = duty(tmp_path)
    assert house.goes("08:59").said == []
    assert house.goes("09:00").said == [("handover", "sari", "chat"), ("handover", "budi", "chat")]
    house.crash()
    assert house.goes("08:59", 7).said == []
    house.store.close()


def test_a_hand_over_that_was_slept_through_is_told_afterwards(tmp_path: Path) -> None:
    house = duty(tmp_path)
    house.goes("08:00")
    house.now = at("15:00")
    house.crash()
    assert house.goes("15:01").said == [("handover", "sari", "chat"), ("handover", "budi", "chat")]
    house.store.close()


def test_a_clock_set_back_over_the_hand_over_tells_it_once(tmp_path: Path) -> None:
    house = duty(tmp_path)
    house.goes("09:01")
    _ = house.said
    house.now = at("08:01")
    assert house.goes("09:30").said == []
    house.store.close()


def test_nothing_is_written_while_nothing_happens(house: House) -> None:
    house.goes("12:00")
    before = house.store._db.total_changes
    house.goes("20:00")
    assert house.store._db.total_changes == before


def test_the_setup_knows_by_which_channel_somebody_can_answer() -> None:
    people = {"budi": contact("budi", "mail", "chat"), "sari": contact("sari", "mail"),
              "mute": Contact(name="mute", display="Mute", language="id", channels=())}
    setup = Setup(policy=policy(contacts=people), proofs={"mail": Proof.ACCEPTED}, two_way=frozenset({"chat"}))
    assert [setup.answering(name) for name in ("budi", "sari", "mute", "nobody")] == ["chat", "", "", ""]


# --- the weekly proof --------------------------------------------------------------------------------------------


def weekly(folder: Path, **fields: object) -> House:
    """It is Friday morning. Nothing but the proof speaks."""
    proof = fields.pop("proof", routine.Proof())
    house = House(folder, digest=routine.Digest(at=""), proof=proof, **fields)  # type: ignore[arg-type]
    return house.goes("10:00", 4)


def asked(house: House) -> list[tuple[str, str, str]]:
    return [(n.answer.phrase, n.contact, n.channel) for n in house.spoken if n.reason == "proof" and n.answer]


def test_the_weekly_message_goes_to_the_first_of_the_people_once(tmp_path: Path) -> None:
    house = weekly(tmp_path)
    assert asked(house.goes("14:59", 4)) == []
    assert asked(house.goes("15:00", 4)) == [("proof", "budi", "chat")]
    house.crash()
    house.writes("status")
    assert asked(house.goes("15:30", 5)) == []
    assert asked(house.goes("15:00", 11)) == [("proof", "budi", "chat")]
    house.store.close()


def test_any_answer_by_that_channel_counts_and_is_kept(tmp_path: Path) -> None:
    house = weekly(tmp_path)
    assert house.goes("15:00", 4).daily.weekly.answered is None
    house.goes("19:00", 4).writes("makasih")
    house.goes("19:01", 4)
    assert house.daily.weekly.answered == at("19:00", 4)
    house.crash()
    assert house.daily.weekly.answered == at("19:00", 4)
    house.store.close()


def test_an_answer_from_before_the_question_proves_nothing(tmp_path: Path) -> None:
    house = weekly(tmp_path)
    house.goes("14:58", 4).writes("status")
    assert house.goes("16:00", 4).daily.weekly.answered is None
    house.store.close()


def test_without_an_answer_the_manager_hears_by_all_channels_once_and_the_end_too(tmp_path: Path) -> None:
    house = weekly(tmp_path, proof=routine.Proof(to="sari", manager="budi"))
    assert asked(house.goes("15:00", 5)) == [("proof", "sari", "chat")]
    assert asked(house.goes("15:01", 5)) == [("proof_overdue", "budi", "chat"), ("proof_overdue", "budi", "mail")]
    house.crash()
    assert asked(house.goes("20:00", 5)) == []
    house.writes("maaf baru lihat", who="sari")
    assert asked(house.goes("20:01", 5)) == [("proof_answered", "budi", "chat"), ("proof_answered", "budi", "mail")]
    assert house.daily.weekly.answered == at("20:00", 5)
    house.store.close()


def test_without_a_manager_the_next_of_the_people_hears(tmp_path: Path) -> None:
    house = weekly(tmp_path)
    assert ("proof_overdue", "sari", "chat") in asked(house.goes("15:02", 5))
    house.store.close()
    (tmp_path / "b").mkdir()
    alone = weekly(tmp_path / "b", people=("budi",))
    assert asked(alone.goes("15:02", 5))[1:] == [("proof_overdue", "budi", "chat"), ("proof_overdue", "budi", "mail")]
    alone.store.close()


def test_without_a_channel_that_takes_answers_nothing_is_asked(tmp_path: Path) -> None:
    house = weekly(tmp_path, two_way=())
    assert asked(house.goes("20:00", 5)) == []
    house.store.close()


def test_a_proof_that_was_slept_through_is_asked_within_the_day_and_not_after(tmp_path: Path) -> None:
    house = weekly(tmp_path)
    house.now = at("14:00", 5)
    house.crash()
    assert asked(house.goes("14:01", 5)) == [("proof", "budi", "chat")]
    house.store.close()
    (tmp_path / "b").mkdir()
    late = weekly(tmp_path / "b")
    late.now = at("15:01", 5)
    assert asked(late.goes("15:10", 5)) == []
    late.store.close()


def test_the_clock_set_back_over_the_hour_asks_once_and_still_knows_the_answer(tmp_path: Path) -> None:
    house = weekly(tmp_path)
    house.goes("15:05", 4)
    house.now -= HOUR
    house.daily.shift(-HOUR)
    house.writes("status")
    house.goes("15:10", 4)
    assert asked(house) == [("proof", "budi", "chat")]
    assert house.daily.weekly.answered == at("14:05", 4)
    house.store.close()


def test_the_words_of_the_proof(tmp_path: Path) -> None:
    house = weekly(tmp_path, proof=routine.Proof(manager="budi"))
    said = [n for n in house.goes("15:01", 5).spoken if n.reason == "proof"]
    letters = [compose([n], rules={}, to="x", name="Budi", language="id", site="Koperasi", agent="server",
                       zone=ZoneInfo("Asia/Jakarta"), now=house.now, two_way=True) for n in said[:2]]
    assert [letter.sections[0].headline for letter in letters] == [
        "Uji mingguan: balas pesan ini dengan: status. Dengan begitu terbukti pesan Jaga sampai dan jawaban Anda "
        "terbaca.",
        "Budi belum membalas uji mingguan Jaga lewat chat (dikirim Jum 9 Jan 15.00 WIB). Mungkin pesan Jaga tidak "
        "sampai: telepon Budi, lalu periksa kanal itu."]
    house.store.close()


# --- the end of the first week -----------------------------------------------------------------------------------


def first_week(folder: Path, **fields: object) -> House:
    return House(folder, digest=routine.Digest(at=""), begins=MIDNIGHT, probation=7 * DAY, **fields)  # type: ignore[arg-type]


def swells(house: House, value: float, hour: str, day: int) -> None:
    """The disk is that full for ten minutes."""
    house.goes(hour, day)
    house.sees(value, "a", metric="disk")
    house.now += 600
    house.daily.tick(house.now)
    house.sees(0.1, "a", metric="disk")


def test_at_the_end_of_the_first_week_thresholds_are_proposed_once_by_day(tmp_path: Path) -> None:
    house = first_week(tmp_path, quiet=Quiet(begin="21:00", end="07:00"))
    swells(house, 0.85, "10:00", 1)
    swells(house, 0.87, "10:00", 2)
    house.crash()
    swells(house, 0.82, "10:00", 3)
    _ = house.spoken
    assert house.goes("06:59", 7).mornings == []
    (spoken,) = house.goes("07:00", 7).spoken
    assert spoken.digest is not None
    assert (spoken.digest.kind, spoken.contact, spoken.digest.toml) == (
        "proposals", "budi", '[rules.disk_space]\n# 3 × unit="a": 0.87\nwarning = 0.88')
    house.crash()
    assert house.goes("12:00", 8).mornings == []
    house.store.close()


def test_what_somebody_took_in_hand_proposes_nothing_and_that_is_said(tmp_path: Path) -> None:
    house = first_week(tmp_path)
    for day in (1, 2):
        house.goes("10:00", day)
        house.sees(0.85, "a", metric="disk")
        house.desk.ack(house.code, "budi", "cli", house.now)
        house.goes("10:10", day)
        house.sees(0.1, "a", metric="disk")
    said = [n for n in house.goes("08:00", 7).spoken if n.digest]
    assert [n.digest.toml for n in said if n.digest] == [""]
    letter = compose(said, rules={}, to="x", name="Budi", language="id", site="Koperasi", agent="server",
                     zone=ZoneInfo("Asia/Jakarta"), now=house.now)
    assert (letter.sections[0].headline, letter.sections[0].detail, letter.sections[0].answer) == (
        "Minggu pertama selesai. Tidak ada usulan ambang",
        "Mulai sekarang peringatan dikirim, tidak hanya masuk ringkasan pagi.", "")
    house.store.close()


def test_without_a_first_week_and_long_after_it_nothing_is_said(tmp_path: Path) -> None:
    house = House(tmp_path, digest=routine.Digest(at=""))
    assert house.goes("12:00", 8).mornings == []
    house.store.close()
    (tmp_path / "b").mkdir()
    late = first_week(tmp_path / "b")
    late.now = at("12:00", 20)
    late.crash()
    assert late.goes("12:10", 20).mornings == []
    late.store.close()


def test_what_is_proposed_for_any_shipped_rule_is_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "agent.toml"
    begin = "[collectors.resources]\n[collectors.disk]\n[collectors.services]\n"
    file.write_text(begin)
    rules = load(file, {}).rules
    noisy = [Seen(rule=each.name, labels=(("x", "y"),), times=2,
                  worst=each.warning * 0.9 if each.kind in ("below", "forecast") else each.warning * 1.05 + 0.01)
             for each in rules.values() if each.warning is not None]
    proposals = propose(noisy, rules)
    assert len(proposals) > 20
    file.write_text(begin + toml(proposals, rules))
    after = load(file, {}).rules
    changed = {each.rule: each.warning for each in proposals}
    assert {name: after[name].warning for name in changed} == pytest.approx(changed)
