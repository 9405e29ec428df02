"""What keeps Jaga quiet, and that nothing is lost by it."""

from pathlib import Path

import msgspec
import pytest

from alerts.policy import default_steps
from alerts.quiet import Maintenance, Quiet
from alerts.rule import Cause
from alerts.silence import parse
from story import MONDAY, Story, contact, policy, rule

WARNS = rule("full", metric="full", kind="above", critical=None, warning=0.8)
EFFECT = rule("queue_stuck", metric="queue", explained_by=(Cause(rule="down", where={"unit": ("mysql*",)}),))
NIGHT = Quiet(begin="21:00", end="07:00")


def story(folder: Path, *rules: object, **fields: object) -> Story:
    return Story(folder, list(rules), policy(**fields))  # type: ignore[arg-type]


def test_a_warning_at_night_waits_for_the_morning(tmp_path: Path) -> None:
    night = story(tmp_path, WARNS, quiet=NIGHT)
    night.at(12 * 60).sees(0.9, metric="full")  # 22.00 WIB
    assert night.said == []
    assert night.desk.view.open[0].held_by == "quiet"
    assert night.at(20 * 60 + 59).said == []
    assert night.at(21 * 60).said == [("opened", "budi", "chat")]  # 07.00 WIB


def test_a_warning_that_is_over_by_the_morning_woke_nobody_and_is_no_news(tmp_path: Path) -> None:
    night = story(tmp_path, WARNS, quiet=NIGHT)
    night.at(12 * 60).sees(0.9, metric="full")
    night.at(13 * 60).sees(0.1, metric="full")
    assert night.at(21 * 60).said == []


def test_a_critical_one_never_waits_and_worse_breaks_the_quiet(tmp_path: Path) -> None:
    night = story(tmp_path, rule("full", metric="full", kind="above", warning=0.8, critical=0.9), quiet=NIGHT)
    night.at(12 * 60).sees(0.85, metric="full")
    assert night.said == []
    night.at(12 * 60 + 1).sees(0.95, metric="full")
    assert night.said == [("worsened", "budi", "chat")]


def test_the_first_week_keeps_warnings_for_the_digest(tmp_path: Path) -> None:
    week = story(tmp_path, WARNS, probation=7 * 86400.0)
    week.at(0).sees(0.9, metric="full")
    assert week.said == []
    assert week.desk.view.open[0].held_by == "probation"
    assert week.at(7 * 24 * 60).said == [("opened", "budi", "chat")]


def test_a_silence_is_silent_and_ends(tmp_path: Path) -> None:
    quiet = story(tmp_path, rule())
    quiet.desk.silence([parse("unit=nginx")], "budi", quiet.now, 3600.0, "pindah server")
    quiet.at(1).sees(0)
    quiet.sees(0, "mysql")
    assert quiet.said == [("opened", "budi", "chat")]
    assert {i.held_by.partition(":")[0] for i in quiet.desk.view.open} == {"", "silence"}
    assert ("opened", "budi", "chat") not in quiet.at(15).said
    assert ("opened", "budi", "chat") in quiet.at(60).said


def test_a_silence_that_is_ended_early_speaks_at_once(tmp_path: Path) -> None:
    quiet = story(tmp_path, rule())
    made = quiet.desk.silence([parse("unit=nginx")], "budi", quiet.now, 3600.0)
    quiet.at(1).sees(0)
    quiet.desk.expire(made.id, quiet.now)
    assert quiet.at(2).said == [("opened", "budi", "chat")]


def test_a_silence_survives_a_restart(tmp_path: Path) -> None:
    quiet = story(tmp_path, rule())
    quiet.desk.silence([parse("unit=nginx")], "budi", quiet.now, 3600.0)
    quiet.crash()
    quiet.at(1).sees(0)
    assert quiet.said == []


def test_a_silence_after_the_first_message_stops_the_climb_but_not_the_end(tmp_path: Path) -> None:
    quiet = story(tmp_path, rule())
    quiet.at(0).sees(0)
    quiet.desk.silence([parse("unit=nginx")], "budi", quiet.now, 3600.0)
    assert quiet.said == [("opened", "budi", "chat")]
    assert quiet.at(30).said == []
    quiet.at(31).sees(1)
    assert quiet.said == [("resolved", "budi", "chat")]


def test_maintenance_is_quiet_for_what_it_names_and_no_longer_than_it_says(tmp_path: Path) -> None:
    window = Maintenance(name="pindahan", match={"unit": ("nginx",)}, begin="2026-01-05 10:00", end="2026-01-05 11:00")
    moving = story(tmp_path, rule(), maintenance=(window,))
    moving.at(1).sees(0)
    assert moving.said == []
    assert moving.desk.view.open[0].held_by == "maintenance:pindahan"
    assert moving.at(60).said == [("opened", "budi", "chat")]


def test_a_dead_database_explains_the_queue(tmp_path: Path) -> None:
    both = story(tmp_path, rule(), EFFECT)
    both.at(0).sees(0, "mysql")
    both.at(1).sees(0, "mail", metric="queue")
    assert both.said == [("opened", "budi", "chat")]
    held = next(i for i in both.desk.view.open if i.key.startswith("queue"))
    assert held.held_by.startswith("inhibited:")


@pytest.mark.parametrize("mended", [True, False])
def test_what_the_cause_explained_is_told_only_where_it_stays(tmp_path: Path, mended: bool) -> None:
    both = story(tmp_path, rule(), EFFECT)
    both.at(0).sees(0, "mysql")
    both.at(1).sees(0, "mail", metric="queue")
    _ = both.said
    both.at(5).sees(1, "mysql")
    assert both.said == [("resolved", "budi", "chat")]
    both.at(6).sees(1 if mended else 0, "mail", metric="queue")
    for minute in range(6, 10):
        both.at(minute)
    assert both.said == ([] if mended else [("opened", "budi", "chat")])


@pytest.mark.parametrize(("begun", "told_at"), [(1, 70), (31, 31)])
def test_what_a_cause_left_behind_lingers_and_what_begins_after_it_is_told(
        tmp_path: Path, begun: int, told_at: int) -> None:
    """The errors of an outage are counted for an hour: they are no alarm of their own when it is over."""
    count = rule("errors", metric="errors", kind="above", warning=0.0, critical=None,
                 explained_by=(Cause(rule="down", lingers=3600.0),))
    outage = story(tmp_path, rule(), count)
    outage.at(0).sees(0, "mysql")
    _ = outage.said
    told = []
    for minute in range(1, 75):
        outage.at(minute)
        if minute == begun:
            outage.sees(5, "app", metric="errors")
        if minute == 10:
            outage.sees(1, "mysql")
        told += [(minute, reason) for reason, *_ in outage.said]
    assert told == [(10, "resolved"), (told_at, "opened")]


@pytest.mark.parametrize(("unit", "told"), [("queue", False), ("disk", True)])
def test_a_cause_explains_only_what_it_says_it_does(tmp_path: Path, unit: str, told: bool) -> None:
    blind = rule("blind", metric="seen", explained_by=(Cause(rule="down", of={"unit": ("queue*", "sql")}),))
    story_ = story(tmp_path, rule(), blind)
    story_.at(0).sees(0, "mysql")
    _ = story_.said
    story_.at(1).sees(0, unit, metric="seen")
    assert (story_.said == [("opened", "budi", "chat")]) is told


def test_another_database_explains_nothing(tmp_path: Path) -> None:
    both = story(tmp_path, rule(), EFFECT)
    both.at(0).sees(0, "postgres")
    both.at(1).sees(0, "mail", metric="queue")
    assert both.said == [("opened", "budi", "chat"), ("opened", "budi", "chat")]


def test_the_first_findings_are_told_at_night_too(tmp_path: Path) -> None:
    first = story(tmp_path, WARNS, quiet=Quiet(begin="00:00", end="23:59"), probation=7 * 86400.0, baseline=120.0)
    first.sees(0.9, metric="full")
    assert first.at(2).said == [("opened", "budi", "chat")]
    assert first.now == MONDAY + 120


def test_a_refusal_passes_it_on_at_once(tmp_path: Path) -> None:
    passed = story(tmp_path, rule())
    passed.at(0).sees(0)
    _ = passed.said
    passed.desk.refuse(passed.code, "budi", "chat", passed.now)
    assert passed.said == [("escalated", "sari", "chat")]


def test_a_refused_warning_goes_to_the_next_person_too(tmp_path: Path) -> None:
    passed = story(tmp_path, WARNS, people=("budi", "sari"))
    passed.at(0).sees(0.9, metric="full")
    passed.desk.refuse(passed.code, "budi", "chat", passed.now)
    assert passed.said == [("opened", "budi", "chat"), ("escalated", "sari", "chat")]
    passed.desk.refuse(passed.code, "sari", "chat", passed.now)
    assert passed.said == [("escalated", "budi", "chat")]


def test_who_refuses_is_not_called_about_it(tmp_path: Path) -> None:
    people = {"budi": msgspec.structs.replace(contact("budi", "chat"), call=("mail",)), "sari": contact("sari", "chat")}
    passed = story(tmp_path, rule(), contacts=people, steps=default_steps(("budi", "sari"), people))
    passed.at(0).sees(0)
    passed.desk.refuse(passed.code, "budi", "chat", passed.now)
    assert passed.said == [("opened", "budi", "chat"), ("escalated", "sari", "chat")]
    assert passed.at(4).said == []


def test_whoever_stands_alone_hears_of_it_again(tmp_path: Path) -> None:
    alone = story(tmp_path, rule(), people=("budi",), contacts={"budi": contact("budi", "chat")})
    alone.at(0).sees(0)
    alone.desk.refuse(alone.code, "budi", "chat", alone.now)
    assert alone.said == [("opened", "budi", "chat"), ("escalated", "budi", "chat")]


def test_what_a_person_closed_comes_back_where_it_is_not_over(tmp_path: Path) -> None:
    closed = story(tmp_path, rule())
    closed.at(0).sees(0)
    code = closed.code
    closed.desk.resolve(code, "budi", "chat", closed.now)
    assert closed.said == [("opened", "budi", "chat"), ("resolved", "budi", "chat")]
    closed.at(1).sees(0)
    assert closed.code == code
    assert closed.said == [("recurred", "budi", "chat")]


PATIENT = rule("maintenance", metric="down", kind="above", warning=0, critical=7200, tell_after=1800.0)


def test_a_patient_rule_is_open_at_once_explains_others_and_is_told_late(tmp_path: Path) -> None:
    site = rule("site_down", metric="site", explained_by=(Cause(rule="maintenance"),))
    patient = story(tmp_path, PATIENT, site)
    patient.at(0).sees(1, metric="down")
    patient.sees(0, metric="site")
    assert {i.held_by.partition(":")[0] for i in patient.desk.view.open} == {"early", "inhibited"}
    assert patient.at(29).said == []
    assert patient.at(30).said == [("opened", "budi", "chat")]


def test_a_patient_rule_that_is_over_in_time_told_nobody(tmp_path: Path) -> None:
    patient = story(tmp_path, PATIENT)
    patient.at(0).sees(1, metric="down")
    patient.at(29).sees(0, metric="down")
    assert patient.at(40).said == []


def test_patience_ends_where_it_becomes_critical(tmp_path: Path) -> None:
    patient = story(tmp_path, PATIENT)
    patient.at(0).sees(1, metric="down")
    patient.at(1).sees(7201, metric="down")
    assert patient.said == [("worsened", "budi", "chat")]
