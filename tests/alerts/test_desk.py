"""The desk's promises, as stories told minute by minute."""

from pathlib import Path

import msgspec
import pytest

from agent.store import Store
from alerts.desk import BACKLOG, UnknownCode
from alerts.judgement import RuleBook
from alerts.ledger import Changes, StoreError
from collectors.base import Reading
from story import MONDAY, Story, contact, policy, rule


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def test_a_fault_is_told_once_and_its_end_once(story: Story) -> None:
    story.at(0).sees(0)
    assert story.said == [("opened", "budi", "chat")]
    story.at(1).sees(0)
    assert story.said == []
    story.at(2).sees(1)
    assert story.said == [("resolved", "budi", "chat")]
    assert story.desk.view.open == ()


def test_nothing_is_said_while_all_is_well(story: Story) -> None:
    for minute in range(5):
        story.at(minute).sees(1)
    assert story.said == []


def test_only_a_good_reading_closes(story: Story) -> None:
    story.at(0).sees(0)
    story.at(1).sees(None)
    (incident,) = story.desk.view.open
    assert [member.state for member in incident.members.values()] == ["unknown"]
    story.at(2).sees(1)
    assert story.desk.view.open == ()


def test_an_unacknowledged_critical_climbs_and_at_the_end_begins_again(story: Story) -> None:
    story.at(0).sees(0)
    assert story.said == [("opened", "budi", "chat")]
    assert story.at(14.9).said == []
    assert story.at(15).said == [("escalated", "sari", "chat")]
    assert story.at(29).said == []
    assert story.at(30).said == [("reminded", "budi", "chat")]
    assert story.at(45).said == [("escalated", "sari", "chat")]
    assert story.at(60).said == [("reminded", "budi", "chat")]


def test_an_acknowledged_incident_does_not_climb_until_the_ack_expires(story: Story) -> None:
    story.at(0).sees(0)
    assert story.said == [("opened", "budi", "chat")]
    story.at(5).desk.ack(story.code, "budi", "cli", story.now, 3600.0)
    assert story.said == []
    for minute in (15, 30, 60):
        assert story.at(minute).said == []
    assert story.at(65).said == [("ack_expired", "budi", "chat")]
    assert story.at(80).said == [("escalated", "sari", "chat")]


def test_the_others_who_were_told_hear_that_somebody_has_it(story: Story) -> None:
    story.at(0).sees(0)
    story.at(15)
    _ = story.said
    story.desk.ack(story.code, "sari", "cli", story.now)
    assert story.said == [("acked", "budi", "chat")]


def test_giving_it_back_starts_the_climb_again(story: Story) -> None:
    story.at(0).sees(0)
    story.desk.ack(story.code, "budi", "cli", story.now)
    _ = story.said
    story.at(10).desk.unack(story.code, "budi", "cli", story.now)
    _ = story.said
    assert story.at(25).said == [("escalated", "sari", "chat")]


def test_worse_than_what_was_acknowledged_pages_again(tmp_path: Path) -> None:
    story = Story(tmp_path, [rule(metric="full", kind="above", warning=0.8, critical=0.9)])
    story.at(0).sees(0.85, metric="full")
    story.desk.ack(story.code, "budi", "cli", story.now)
    _ = story.said
    story.at(1).sees(0.95, metric="full")
    assert story.said == [("worsened", "budi", "chat")]
    assert story.desk.view.open[0].acked_until is None


def test_better_and_back_to_what_was_acknowledged_pages_nobody(tmp_path: Path) -> None:
    story = Story(tmp_path, [rule(metric="full", kind="above", warning=0.8, critical=0.9)])
    story.at(0).sees(0.95, metric="full")
    story.desk.ack(story.code, "budi", "cli", story.now)
    _ = story.said
    story.at(1).sees(0.85, metric="full")
    story.at(2).sees(0.95, metric="full")
    assert story.said == []


def test_a_fault_that_comes_back_keeps_its_code(story: Story) -> None:
    story.at(0).sees(0)
    code = story.code
    story.at(1).sees(1)
    _ = story.said
    story.at(5).sees(0)
    assert story.code == code
    assert story.said == [("recurred", "budi", "chat")]


def test_flapping_is_said_once_and_ends_in_one_final_state(story: Story) -> None:
    said = []
    for minute in range(40):
        story.at(minute).sees(minute % 2)
        said += [reason for reason, *_ in story.said]
        if minute == 4:
            story.desk.ack(story.code, "budi", "cli", story.now)
    assert said == ["opened", "resolved", "recurred", "resolved", "flapping"]
    for minute in range(40, 90):
        story.at(minute).sees(1)
    assert story.said == [("resolved", "budi", "chat")]
    assert story.desk.view.open == ()


def test_a_flapping_critical_that_nobody_takes_climbs_all_the_same(story: Story) -> None:
    for minute in range(21):
        story.at(minute).sees(minute % 2)
    assert ("escalated", "sari", "chat") in story.said


def test_what_was_wrong_before_the_first_start_is_one_message(tmp_path: Path) -> None:
    story = Story(tmp_path, told_by=policy(baseline=120.0))
    for unit in ("nginx", "mysql", "redis"):
        story.sees(0, unit)
    assert story.said == []
    assert story.at(1).said == []
    assert story.at(2).said == [("opened", "budi", "chat")]
    (incident,) = story.desk.view.open
    assert sorted(incident.members) == ['down{unit="mysql"}', 'down{unit="nginx"}', 'down{unit="redis"}']


def test_a_mended_part_of_the_first_findings_that_breaks_again_is_news(tmp_path: Path) -> None:
    story = Story(tmp_path, told_by=policy(baseline=120.0))
    story.sees(0, "nginx")
    story.sees(0, "mysql")
    story.at(2)
    story.at(3).sees(1, "nginx")
    _ = story.said
    story.at(100).sees(0, "nginx")
    assert ("opened", "budi", "chat") in story.said
    assert len(story.desk.view.open) == 2


def test_first_findings_that_end_before_they_are_told_make_no_noise(tmp_path: Path) -> None:
    story = Story(tmp_path, told_by=policy(baseline=120.0))
    story.sees(0)
    story.at(1).sees(1)
    assert story.at(5).said == []


def test_a_restart_makes_no_noise_and_forgets_nothing(story: Story) -> None:
    story.at(0).sees(0)
    _ = story.said
    story.crash()
    story.at(1).sees(0)
    assert story.said == []
    story.at(15)
    assert story.said == [("escalated", "sari", "chat")]
    story.crash()
    story.at(16).sees(1)
    assert story.said == [("resolved", "budi", "chat"), ("resolved", "sari", "chat")]


def test_a_copy_goes_along_and_hears_the_end(tmp_path: Path) -> None:
    people = {"budi": contact("budi", "chat", copy=("mail",))}
    story = Story(tmp_path, told_by=policy(contacts=people, people=("budi",)))
    story.at(0).sees(0)
    assert story.said == [("opened", "budi", "chat"), ("opened", "budi", "mail")]
    story.at(1).sees(1)
    assert story.said == [("resolved", "budi", "chat"), ("resolved", "budi", "mail")]


def test_where_only_acceptance_can_be_proved_a_critical_uses_a_second_channel(tmp_path: Path) -> None:
    people = {"budi": contact("budi", "mail", "chat")}
    story = Story(tmp_path, told_by=policy(contacts=people, people=("budi",)))
    story.at(0).sees(0)
    assert story.said == [("opened", "budi", "mail"), ("opened", "budi", "chat")]


def test_what_was_not_delivered_takes_the_next_channel_and_then_the_next_person(story: Story) -> None:
    story.at(0).sees(0)
    (first,) = story.store.late("chat", {"critical": story.now}, True)
    story.at(3).desk.undelivered(first, "63024 not on WhatsApp", story.now)
    assert story.said == [("opened", "budi", "chat"), ("opened", "budi", "mail")]
    assert story.store.late("chat", {"critical": story.now}, True) == []
    (second,) = story.store.late("mail", {"critical": story.now}, True)
    assert second.stands_in_for == first.mark
    story.at(4).desk.undelivered(second, "550 no such mailbox", story.now)
    assert story.at(4).said == [("escalated", "sari", "chat")]


def test_a_clock_that_is_set_back_while_we_sleep_makes_no_new_trouble_old(tmp_path: Path) -> None:
    story = Story(tmp_path, told_by=policy(baseline=120.0))
    story.at(30).now += 3600
    story.desk.shift(3600, story.now)
    story.now -= 3600  # set right again between the crash and the start
    story.crash()
    story.at(40).sees(0)
    assert story.said == [("opened", "budi", "chat")]


def test_the_clock_may_jump_and_nobody_is_paged_or_lost(story: Story) -> None:
    story.at(0).sees(0)
    _ = story.said
    for jump in (3600.0, -7200.0):
        story.now += jump
        story.desk.shift(jump, story.now)
        story.desk.tick(story.now)
        assert story.said == []
    story.now += 15 * 60
    story.desk.tick(story.now)
    assert story.said == [("escalated", "sari", "chat")]
    story.crash()
    [it] = story.desk.view.open
    assert (it.opened, it.began, it.since) == (MONDAY - 3600,) * 3


def test_what_no_database_takes_is_told_and_holds_up_nothing_after_it(story: Story) -> None:
    odd = Reading("up", 0, (("unit", "caf\udce9"),))  # a name of bytes that are no text, as Python reads it
    story.desk.observe("others", [odd], None, story.now)
    assert [(n.reason, n.contact) for n in story.emergencies] == [("opened", "budi")]
    story.at(1).sees(0)
    assert story.said == [("opened", "budi", "chat")]
    story.crash()
    assert [list(i.members) for i in story.desk.view.open] == [['down{unit="nginx"}']]


def test_a_clock_that_ran_ahead_at_the_installation_holds_no_warning_back_for_years(tmp_path: Path) -> None:
    warns = rule(critical=None, warning=1.0)
    story = Story(tmp_path, [warns], policy(probation=7 * 86400.0))
    story.now -= 9 * 365 * 86400  # set right while we slept
    story.crash()
    story.now += 8 * 86400
    story.sees(0)
    assert story.said == [("opened", "budi", "chat")]


def test_what_is_long_over_is_not_kept_in_memory(story: Story) -> None:
    story.at(0).sees(0)
    story.at(1).sees(1)
    story.at(1 + 24 * 60)
    assert story.desk._incidents == {}
    assert [each.closed for each in story.store.all_incidents()] == [MONDAY + 60]


def test_to_forget_somebody_puts_no_old_incident_in_the_place_of_one_with_its_code(story: Story) -> None:
    story.at(0).sees(0)
    story.at(1).sees(1)
    (old,) = story.store.all_incidents()
    story.at(60 * 24 * 100)
    story.store.commit(Changes(incidents={old.code: msgspec.structs.replace(
        old, opened=story.now, closed=None, told=())}))
    story.crash()
    story.desk.forget("budi", ["budi"])
    assert [(each.opened, each.told) for each in story.desk.view.open] == [(story.now, ())]


def test_an_escalation_set_by_a_wrong_clock_is_not_years_late(story: Story) -> None:
    story.now = MONDAY + 6 * 365 * 86400
    story.desk.observe("services", [Reading("up", 0, (("unit", "nginx"),))], None, story.now)
    _ = story.said
    story.now = MONDAY
    story.crash()
    assert story.at(14).said == []
    assert story.at(15).said == [("escalated", "sari", "chat")]


def test_an_unknown_code_is_refused_with_the_open_ones(story: Story) -> None:
    story.at(0).sees(0)
    with pytest.raises(UnknownCode) as refused:
        story.desk.ack("X9X", "budi", "cli", story.now)
    assert refused.value.near == (story.code,)


def test_a_code_is_taken_in_any_case(story: Story) -> None:
    story.at(0).sees(0)
    assert story.desk.ack(f" {story.code.lower()} ", "budi", "cli", story.now).acked_by == "budi"


def test_a_rule_that_is_taken_out_closes_its_incidents_and_says_so(story: Story) -> None:
    story.at(0).sees(0)
    _ = story.said
    story.desk.reload(RuleBook([]), story.policy, story.proofs, {"services": "1"}, story.now)
    assert story.said == [("resolved", "budi", "chat")]
    assert story.store.all_incidents()[0].closed_why == "removed"


def test_a_unit_that_the_operator_took_out_is_closed_by_the_next_whole_run(story: Story) -> None:
    story.at(0).sees(0, "old-name")
    _ = story.said
    story.desk.reload(RuleBook(story.rules), story.policy, story.proofs, {"services": "2"}, story.now)
    whole = [Reading("jaga_collector_success", 1, (("collector", "services"),))]
    story.at(1).desk.observe("services", [Reading("up", 1, (("unit", "new-name"),)), *whole], None, story.now)
    assert story.said == [("resolved", "budi", "chat")]


def test_a_vanished_thing_stays_open_where_nobody_changed_the_options(story: Story) -> None:
    story.at(0).sees(0)
    whole = [Reading("jaga_collector_success", 1, (("collector", "services"),))]
    story.at(1).desk.observe("services", whole, None, story.now)
    assert len(story.desk.view.open) == 1


class FullStore(Store):
    """A store whose disk is full while `full` is set."""

    full = False

    def commit(self, changes: Changes) -> None:
        if self.full:
            raise StoreError("jaga.db: commit: database or disk is full")
        super().commit(changes)


def test_a_full_disk_does_not_silence_and_loses_nothing_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("story.Store", FullStore)
    story = Story(tmp_path)
    story.store.full = True
    story.at(0).sees(0)
    assert [(n.reason, n.contact) for n in story.emergencies] == [("opened", "budi")]
    story.at(1).sees(0)
    assert len(story.emergencies) == 1
    story.store.full = False
    story.at(2).sees(0)
    assert story.store.open_batch("chat", story.now + 60, 10) == []  # it was said, so it is not queued again
    story.at(3).sees(1)
    assert story.said == [("opened", "budi", "chat"), ("resolved", "budi", "chat")]


def test_what_was_refused_while_nothing_can_be_stored_goes_out_by_another_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("story.Store", FullStore)
    story = Story(tmp_path)
    story.store.full = True
    story.at(0).sees(0)
    story.desk.undelivered(story.emergencies[0], "no such number", story.now)
    assert [(n.reason, n.contact, n.channel) for n in story.emergencies] == [
        ("opened", "budi", "chat"), ("opened", "budi", "mail")]


def test_a_disk_that_stays_full_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("story.Store", FullStore)
    story = Story(tmp_path)
    story.store.full = True
    for number in range(3 * BACKLOG):
        story.desk.observe("log", [], {"offset": number}, story.now)
    story.at(1).sees(0)
    assert [(n.reason, n.contact) for n in story.emergencies] == [("opened", "budi")]
    assert story.desk.view.unsaved == BACKLOG
    story.store.full = False
    story.at(2).sees(0)
    assert story.desk.view.unsaved == 0
    assert story.store.memory_of("log") == {"offset": 3 * BACKLOG - 1}
    assert story.store.open_batch("chat", story.now + 60, 10) == []  # said from memory, joined with others or not


def test_no_change_is_no_write(story: Story) -> None:
    story.at(0).sees(0)
    before = story.store._db.total_changes
    for minute in range(1, 10):
        story.at(minute).sees(0)
    assert story.store._db.total_changes == before


def test_what_was_bad_is_still_known_when_it_is_over(story: Story) -> None:
    full = Story(story.folder / "full", [rule("full", metric="full", kind="above", critical=0.9, hysteresis=0.05)])
    full.at(0).sees(0.93, metric="full")
    full.at(1).sees(0.95, metric="full")
    full.at(2).sees(0.61, metric="full")
    closed = next(iter(full.desk._incidents.values()))
    assert [(member.was, member.value) for member in closed.members.values()] == [(0.95, 0.61)]
    full.at(3).sees(0.97, metric="full")
    back = next(iter(full.desk.view.open))
    assert [(member.was, member.value) for member in back.members.values()] == [(None, 0.97)]
