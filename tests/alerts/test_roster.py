"""Promises of the roster: whose turn it is, until when, through year's ends, overrides and daylight saving."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import localtime
from alerts.handover import announce
from alerts.incident import Finding, Incident
from alerts.notification import Answer, Proof
from alerts.policy import Contact, Policy
from alerts.roster import (
    Gap,
    Override,
    Roster,
    Rotation,
    Turn,
    gaps,
    handover_between,
    on_duty,
    order,
    turn,
    upcoming,
)
from alerts.words import compose

HOUR, DAY, WEEK = 3600.0, 86400.0, 604800.0
BERLIN = "Europe/Berlin"  # puts its clocks forward on 29 March 2026 at 02:00, back on 25 October at 03:00


def at(text: str, zone: str = "Asia/Jakarta") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def roster(*overrides: tuple[str, str, str], people: tuple[str, ...] = ("budi", "sari", "tono"),
           zone: str = "Asia/Jakarta", handover: str = "Mon 08:00", start: str = "2026-11-23") -> Roster:
    told = tuple(Override(person=who, begin=begin, end=end) for who, begin, end in overrides)
    return Roster(people=people, rotation=Rotation(handover=handover, start=start, override=told), zone=zone)


@pytest.mark.parametrize(("when", "who"), [
    ("2026-11-23 07:59", "tono"),  # before its start the order goes on backwards
    ("2026-11-23 08:00", "budi"), ("2026-11-30 07:59", "budi"), ("2026-11-30 08:00", "sari"),
    ("2026-12-07 08:00", "tono"), ("2026-12-14 08:00", "budi"),
    ("2026-12-28 08:00", "tono"), ("2027-01-04 07:59", "tono"), ("2027-01-04 08:00", "budi"),  # 2026 has 53 weeks
])
def test_the_duty_changes_weekly_at_the_local_time_in_order(when: str, who: str) -> None:
    assert on_duty(roster(), at(when)) == who


def test_the_week_that_holds_the_start_is_the_first_persons() -> None:
    later = roster(start="2026-11-25")
    assert (turn(later, at("2026-11-25 00:00")).person, turn(later, at("2026-11-25 00:00")).since) == (
        "budi", at("2026-11-23 08:00"))
    assert [on_duty(roster(start=day), at("2026-12-02 12:00")) for day in ("2026-11-29", "2026-11-30")] == [
        "sari", "budi"]


def test_without_a_start_weeks_are_counted_for_ever_so_the_order_outlives_restarts_and_years() -> None:
    free = roster(start="")
    said = [on_duty(free, at("2026-12-07 09:00") + week * WEEK) for week in range(9)]
    assert said == said[:3] * 3
    assert sorted(said[:3]) == ["budi", "sari", "tono"]


def test_without_a_hand_over_the_first_is_always_on_duty() -> None:
    alone = Roster(people=("budi", "sari"))
    assert turn(alone, at("2026-12-02 12:00")) == Turn("budi", None, None, "alone")
    assert upcoming(alone, at("2026-12-02 12:00"), 3) == ()
    assert turn(roster(people=("budi",)), at("2026-12-02 12:00")) == Turn("budi", None, None, "alone")
    assert on_duty(Roster(people=()), 0.0) == ""


def test_an_override_takes_the_turn_from_its_first_moment_to_its_last() -> None:
    over = roster(("tono", "2026-11-25 18:00", "2026-11-26 06:00"))
    monday, evening, morning = at("2026-11-23 08:00"), at("2026-11-25 18:00"), at("2026-11-26 06:00")
    assert turn(over, evening - 60) == Turn("budi", monday, evening, "rotation")
    assert turn(over, evening) == turn(over, morning - 60) == Turn("tono", evening, morning, "override")
    assert turn(over, morning) == Turn("budi", morning, at("2026-11-30 08:00"), "rotation")
    assert upcoming(over, at("2026-11-24 12:00"), 3) == (
        turn(over, at("2026-11-25 18:00")), turn(over, at("2026-11-26 06:00")), turn(over, at("2026-11-30 08:00")))


def test_pieces_of_one_person_that_meet_are_one_turn() -> None:
    over = roster(("sari", "2026-11-28 08:00", "2026-11-30 12:00"))  # runs into her own week
    held = turn(over, at("2026-11-29 12:00"))
    assert (held.person, held.since, held.until) == ("sari", at("2026-11-28 08:00"), at("2026-12-07 08:00"))


def test_an_override_holds_through_every_hand_over_however_long() -> None:
    over = roster(("sari", "2026-11-24 00:00", "2030-01-01 00:00"))
    held = turn(over, at("2028-02-02 12:00"))
    # the week of 31 December 2029 is budi's by rotation
    assert (held.person, held.since, held.until) == ("sari", at("2026-11-24 00:00"), at("2030-01-01 00:00"))


def test_whoever_is_replaced_is_asked_last() -> None:
    over = roster(("tono", "2026-11-25 18:00", "2026-11-26 06:00"), ("wati", "2026-11-27", "2026-11-28"))
    assert order(over, at("2026-11-24 12:00")) == ("budi", "sari", "tono")
    assert order(over, at("2026-11-25 20:00")) == ("tono", "sari", "budi")
    assert order(over, at("2026-11-27 12:00")) == ("wati", "sari", "tono", "budi")  # from outside the list
    assert order(over, at("2026-12-01 12:00")) == ("sari", "tono", "budi")


@pytest.mark.parametrize(("local", "utc"), [
    ("2026-03-29 01:59", "2026-03-29 00:59"),
    ("2026-03-29 02:30", "2026-03-29 01:30"),  # does not exist: as much later as was skipped, 03:30
    ("2026-03-29 03:00", "2026-03-29 01:00"),
    ("2026-10-25 02:30", "2026-10-25 00:30"),  # there twice: the first
    ("2026-10-25 03:00", "2026-10-25 02:00"),
])
def test_a_local_time_that_is_skipped_or_there_twice_means_one_instant(local: str, utc: str) -> None:
    assert localtime.instant(localtime.moment(local), ZoneInfo(BERLIN)) == at(utc, "UTC")


def test_daylight_saving_moves_the_instant_of_the_hand_over_not_its_local_time() -> None:
    berlin = roster(zone=BERLIN, handover="Sun 02:30", start="2026-03-22")
    forward = turn(berlin, at("2026-03-25 12:00", BERLIN))
    assert (forward.since, forward.until) == (at("2026-03-22 02:30", BERLIN), at("2026-03-29 03:30", BERLIN))
    back = turn(berlin, at("2026-10-21 12:00", BERLIN))
    assert (back.since, back.until) == (at("2026-10-18 02:30", BERLIN), at("2026-10-25 00:30", "UTC"))
    assert on_duty(berlin, back.until) == on_duty(berlin, back.until + 1.5 * HOUR)  # not handed over a second time


@given(st.floats(1.7e9, 2.2e9), st.sampled_from(["Asia/Jakarta", BERLIN, "America/New_York", "Australia/Lord_Howe"]),
       st.sampled_from(["Mon 08:00", "Sun 02:30", "Sun 00:00", "Sat 23:59"]), st.booleans())
def test_turns_follow_each_other_without_a_hole(when: float, zone: str, handover: str, replaced: bool) -> None:
    overrides = [("wati", "2026-03-28 00:00", "2026-03-29 02:30"), ("sari", "2026-10-25 02:30", "2026-11-20")]
    team = roster(*overrides if replaced else (), zone=zone, handover=handover)
    now = turn(team, when)
    assert now.since is not None
    assert now.until is not None
    assert now.since <= when < now.until
    assert now.person == on_duty(team, when)
    (coming,) = upcoming(team, when, 1)
    assert coming.since == now.until
    assert coming.person != now.person
    assert turn(team, now.since - 1).until == now.since


def test_a_gap_is_a_turn_of_somebody_who_cannot_be_reached() -> None:
    over = roster(("wati", "2026-11-25 18:00", "2026-11-26 06:00"))
    monday = at("2026-11-23 08:00")
    assert gaps(over, {"budi", "sari", "tono", "wati"}, monday, 4 * WEEK) == ()
    assert gaps(over, {"budi", "tono"}, monday, 2 * WEEK - DAY) == (
        Gap("wati", at("2026-11-25 18:00"), at("2026-11-26 06:00")),
        Gap("sari", at("2026-11-30 08:00"), at("2026-12-06 08:00")))  # cut where the horizon is
    assert gaps(Roster(people=()), {"budi"}, 0.0, DAY) == (Gap("", 0.0, DAY),)


def test_a_hand_over_is_seen_once_also_after_a_long_sleep() -> None:
    team, monday = roster(), at("2026-11-30 08:00")
    new = Turn("sari", monday, monday + WEEK, "rotation")
    assert handover_between(team, monday - 5, monday) == new
    assert handover_between(team, monday, monday + 5) is None
    assert handover_between(team, monday - 5, monday - 1) is None
    assert handover_between(team, monday - 5 - 3 * WEEK, monday) == new
    assert handover_between(team, monday, monday + 3 * WEEK) is None  # round the list: the same person as before


@pytest.mark.parametrize(("read", "text"), [
    (localtime.clock_time, "24:00"), (localtime.clock_time, "8"), (localtime.clock_time, "08:60"),
    (localtime.weekday, "Mo"), (localtime.day, "2026-02-30"), (localtime.day, "25-12-2026"),
    (localtime.moment, "2026-12-24 08:00+07:00"), (localtime.moment, "20261224T0800"), (localtime.moment, ""),
    (localtime.recurring, "Mon"), (localtime.recurring, "Mon Tue 08:00"), (localtime.recurring, ""),
])
def test_what_is_no_time_is_told_with_how_to_write_one(read, text) -> None:
    with pytest.raises(ValueError, match="write"):
        read(text)


def test_days_and_times_may_be_written_in_indonesian() -> None:
    assert localtime.recurring("Senin 08.00") == localtime.recurring("mon 08:00")
    assert [localtime.weekday(name) for name in ("Sen", "Sel", "Rab", "Kam", "Jum", "Sab", "Min")] == list(range(7))


# --- the hand-over told -------------------------------------------------------------------------------------------

MONDAY = at("2026-11-30 08:00")
PROOFS = {"chat": Proof.READ, "mail": Proof.ACCEPTED}


def house(**more: object) -> Policy:
    contacts = {
        "budi": Contact(name="budi", display="Pak Budi", language="id", channels=("call", "chat"), copy=("mail",)),
        "sari": Contact(name="sari", display="Bu Sari", language="en", channels=("chat", "mail")),
    }
    given = {"contacts": contacts, "people": ("budi", "sari"), "steps": (),
             "rotation": Rotation(handover="Mon 08:00", start="2026-11-23")} | more
    return Policy(**given)  # type: ignore[arg-type]


def problem(code: str) -> Incident:
    bad = Finding(rule="disk_space", labels=(("mount", "/"),), state="bad", severity="warning")
    return Incident(code=code, key=bad.key, opened=MONDAY - DAY, members={bad.key: bad}, severity="warning")


def test_both_hear_of_the_hand_over_and_what_is_open() -> None:
    policy, still = house(), (problem("K7M"), problem("P4Q"))
    told = announce(policy.roster, MONDAY - 5, MONDAY, still, policy, PROOFS, code="JAGA", ordinal=17)
    assert [(each.mark, each.reason, each.contact, each.channel) for each in told] == [
        ("JAGA-17", "handover", "sari", "chat"), ("JAGA-18", "handover", "budi", "chat"),
        ("JAGA-19", "handover", "budi", "mail")]
    assert told[0].answer == Answer(phrase="duty_begins_until", incidents=still,
                                    values={"open": "Still open: K7M, P4Q.", "until": "Mon 7 Dec 08:00 WIB"})
    assert told[1].answer == told[2].answer == Answer(
        phrase="duty_ends", values={"open": "Yang masih terbuka: K7M, P4Q.", "who": "Bu Sari"}, incidents=still)


def test_no_hand_over_is_told_where_nothing_changed_or_to_who_is_gone() -> None:
    policy = house()
    assert announce(policy.roster, MONDAY, MONDAY + 5, (), policy, PROOFS, code="JAGA", ordinal=1) == []
    left = house(contacts={"sari": policy.contacts["sari"]})
    told = announce(left.roster, MONDAY - 5, MONDAY, (), left, PROOFS, code="JAGA", ordinal=1)
    assert [(n.contact, n.answer.values["open"]) for n in told if n.answer] == [("sari", "Nothing is open.")]


def test_a_turn_without_an_end_is_told_without_one() -> None:
    policy = house(rotation=Rotation(override=(Override(person="sari", begin="2026-11-29", end="2026-11-30 08:00"),)))
    told = announce(policy.roster, MONDAY - 5, MONDAY, (), policy, PROOFS, code="JAGA", ordinal=1)
    assert told[0].answer == Answer(phrase="duty_begins", values={"open": "Tidak ada masalah terbuka."})


def test_the_hand_over_reads_as_a_message() -> None:
    policy = house()
    told = announce(policy.roster, MONDAY - 5, MONDAY, (problem("K7M"),), policy, PROOFS, code="JAGA", ordinal=17)
    letter = compose(told[2:], rules={}, to="b@x", name="Pak Budi", language="id", site="Toko", agent="srv",
                     zone=ZoneInfo("Asia/Jakarta"), now=MONDAY)
    assert letter.subject == "[Jaga] Giliran jaga Anda selesai; sekarang Bu Sari. Yang masih terbuka: K7M."
    assert letter.sections[0].detail == "K7M disk_space mount=/"
