"""Promises of the policy: whose steps a problem gets, whom they reach and how, and when it is quiet."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from alerts.incident import Finding, Incident, Told
from alerts.notification import Proof
from alerts.policy import Contact, Escalation, Policy, Step, default_steps
from alerts.quiet import Hours, Maintenance, Quiet
from alerts.roster import Override, Rotation
from alerts.step import Tick, opening, step
from alerts.telling import tell

MINUTE, HOUR = 60.0, 3600.0
PROOFS = {"chat": Proof.READ, "mail": Proof.READ, "voice": Proof.ANSWERED}


def at(text: str, zone: str = "Asia/Jakarta") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


NOON = at("2026-11-25 12:00")  # a Wednesday in budi's week


def contact(name: str, *call: str, group: bool = False) -> Contact:
    return Contact(name=name, display=name.title(), language="id", channels=("chat", "mail"), call=call, group=group)


CONTACTS = {name: contact(name, *(("voice",) if name != "tono" else ())) for name in ("budi", "sari", "tono")}


def policy(**fields: object) -> Policy:
    base: dict[str, object] = {
        "contacts": CONTACTS, "people": ("budi", "sari", "tono"),
        "rotation": Rotation(handover="Mon 08:00", start="2026-11-23"),
    }
    base["steps"] = default_steps(("budi", "sari", "tono"), CONTACTS)
    return Policy(**(base | fields))  # type: ignore[arg-type]


def finding(rule: str = "disk_space", severity: str = "critical", since: float = NOON, **labels: str) -> Finding:
    return Finding(rule=rule, labels=tuple(sorted(labels.items())), state="bad", severity=severity, since=since)


def climb(told_by: Policy, minutes: int, about: Finding | None = None,
          now: float = NOON) -> list[tuple[float, str, str, str]]:
    """(minute, reason, person, channel) of everything said while nobody answers."""
    incident, reasons = opening("K7M", about or finding(), now, told_by), ("opened",)
    said = []
    for minute in range(minutes + 1):
        moment = now + minute * MINUTE
        if minute:
            incident, reasons = step(incident, Tick(), moment, told_by)  # type: ignore[assignment]
        incident, notifications = tell(incident, reasons, told_by, PROOFS, moment)  # type: ignore[arg-type]
        said += [(minute, each.reason, each.contact, each.channel) for each in notifications]
    return said


def test_three_numbers_are_enough_chat_then_a_call_then_the_next_person() -> None:
    assert climb(policy(), 55) == [
        (0, "opened", "budi", "chat"), (5, "escalated", "budi", "voice"),
        (15, "escalated", "sari", "chat"), (20, "escalated", "sari", "voice"),
        (30, "escalated", "tono", "chat"), (35, "escalated", "tono", "chat"),  # no phone: written to again
        (50, "reminded", "budi", "chat"), (55, "escalated", "budi", "voice")]  # and it begins again


def test_a_warning_is_told_to_the_person_on_duty_and_wakes_nobody_else() -> None:
    assert climb(policy(), 60 * 5, finding(severity="warning")) == [
        (0, "opened", "budi", "chat"), (240, "reminded", "budi", "chat")]


def test_where_nobody_can_be_called_each_next_person_comes_a_quarter_of_an_hour_later() -> None:
    silent = {name: contact(name) for name in CONTACTS}
    assert default_steps(("budi", "sari", "tono"), silent) == default_steps(("budi", "sari", "tono")) == (
        Step(after=0.0, to=("oncall",)), Step(after=900.0, to=("next",), severities=("critical",)),
        Step(after=1800.0, to=("next2",), severities=("critical",)))


def test_a_group_is_told_besides_and_replaces_nobody() -> None:
    contacts = CONTACTS | {"grup": contact("grup", group=True)}
    grouped = policy(contacts=contacts, steps=default_steps(("budi", "sari", "tono"), contacts))
    assert climb(grouped, 5) == [
        (0, "opened", "budi", "chat"), (0, "opened", "grup", "chat"), (5, "escalated", "budi", "voice")]
    assert grouped.reachable == {"budi", "sari", "tono"}


@pytest.mark.parametrize(("to", "when", "names"), [
    (("oncall",), "2026-11-25 12:00", ("budi",)),
    (("next",), "2026-11-25 12:00", ("sari",)),
    (("next2", "oncall"), "2026-11-25 12:00", ("tono", "budi")),
    (("next3",), "2026-11-25 12:00", ("budi",)),  # round the list
    (("next", "sari"), "2026-11-25 12:00", ("sari",)),  # each once
    (("all",), "2026-12-02 12:00", ("sari", "tono", "budi")),
    (("oncall", "next"), "2026-11-26 12:00", ("tono", "sari")),  # tono stands in for budi
    (("wati",), "2026-11-25 12:00", ("wati",)),
])
def test_the_words_of_a_step_mean_people_at_that_time(to: tuple[str, ...], when: str, names: tuple[str, ...]) -> None:
    over = Override(person="tono", begin="2026-11-26", end="2026-11-27")
    told_by = policy(rotation=Rotation(handover="Mon 08:00", start="2026-11-23", override=(over,)))
    assert told_by.persons(Step(after=0.0, to=to), at(when)) == names


def test_a_step_says_by_which_channels() -> None:
    told_by = policy()
    assert told_by.ways("budi", Step(after=0.0, to=("oncall",))) == ("chat", "mail")
    assert told_by.ways("budi", Step(after=0.0, to=("oncall",), channels=("mail",))) == ("mail",)
    assert told_by.ways("budi", Step(after=0.0, to=("oncall",), call=True)) == ("voice",)
    assert told_by.ways("tono", Step(after=0.0, to=("oncall",), call=True, channels=("mail",))) == ("mail",)
    assert told_by.ways("tono", Step(after=0.0, to=("oncall",), call=True)) == ("chat", "mail")


def test_a_step_that_repeats_tells_so_often_before_the_next_comes() -> None:
    steps = (Step(after=0.0, to=("oncall",), repeat=2, every=120.0), Step(after=600.0, to=("next",)))
    assert [each.after for each in policy(steps=steps).steps_for("critical")] == [0.0, 120.0, 240.0, 600.0]
    assert [(minute, who) for minute, _, who, _ in climb(policy(steps=steps), 10)] == [
        (0, "budi"), (2, "budi"), (4, "budi"), (10, "sari")]


COMMON = (Step(after=0.0, to=("oncall",)),)
OWN = (
    Step(after=0.0, to=("sari",), policy="db", severities=("critical",)),
    Step(after=0.0, to=("tono",), policy="disk"), Step(after=60.0, to=("all",), policy="disk"),
)
NAMED = {
    "db": Escalation(name="db", match={"rule": ("mysql_*", "service_*"), "unit": ("mysql*", "!mysqld_exporter")},
                     end="remind"),
    "disk": Escalation(name="disk", match={"rule": ("disk_*",), "severity": ("warning",)}, end="repeat"),
}


@pytest.mark.parametrize(("rule", "labels", "severity", "to"), [
    ("service_down", (("unit", "mysql.service"),), "critical", "sari"),
    ("service_down", (("unit", "mysql.service"),), "warning", "oncall"),  # db has no step for a warning
    ("service_down", (("unit", "mysqld_exporter"),), "critical", "oncall"),
    ("service_down", (("unit", "nginx.service"),), "critical", "oncall"),
    ("mysql_down", (), "critical", "oncall"),  # no unit, and the pattern wants one
    ("disk_space", (("mount", "/"),), "warning", "tono"),
    ("disk_space", (("mount", "/"),), "critical", "oncall"),
    ("", (), "critical", "oncall"),
])
def test_the_first_escalation_that_fits_is_taken(
    rule: str, labels: tuple[tuple[str, str], ...], severity: str, to: str
) -> None:
    assert policy(steps=(*COMMON, *OWN), escalations=NAMED).steps_for(severity, rule, labels)[0].to == (to,)


def test_the_worst_member_says_which_escalation_an_incident_has() -> None:
    members = [finding("disk_space", "warning", NOON - 60), finding("mysql_down", "critical", unit="mysql"),
               mended(finding("aaa", "critical", NOON - 900))]
    both = Incident(code="K7M", key="baseline", opened=NOON, members={m.key: m for m in members}, severity="critical")
    told_by = policy(steps=(*COMMON, *OWN), escalations=NAMED)
    assert (told_by.steps_of(both)[0].to, told_by.end_of(both)) == (("sari",), "remind")
    empty = Incident(code="K7M", key="x", opened=NOON, members={}, severity="critical")
    assert (told_by.steps_of(empty), told_by.end_of(empty)) == (COMMON, "repeat")


def mended(member: Finding) -> Finding:
    return Finding(rule=member.rule, labels=member.labels, state="good", severity=member.severity, since=member.since)


def test_the_end_of_the_list_reminds_everybody_or_begins_again() -> None:
    steps = (Step(after=0.0, to=("oncall",)), Step(after=600.0, to=("next",)))
    again = climb(policy(steps=steps), 35)
    assert again[2:] == [(25, "reminded", "budi", "chat"), (35, "escalated", "sari", "chat")]
    reminding = climb(policy(steps=steps, end={"critical": "remind", "warning": "remind"}), 40)
    assert reminding[2:] == [(minute, "reminded", who, "chat") for minute in (25, 40) for who in ("budi", "sari")]
    assert [policy().end_for(severity) for severity in ("critical", "warning", "")] == ["repeat", "remind", "remind"]
    own = policy(steps=(*COMMON, *OWN), escalations=NAMED)
    assert own.end_for("critical", "mysql_down", (("unit", "mysql"),)) == "remind"
    assert own.end_for("warning", "disk_space") == "repeat"


def test_the_hand_over_changes_who_is_told_of_an_old_incident() -> None:
    late = at("2026-11-30 07:55")
    said = climb(policy(steps=COMMON), 20, now=late)
    assert said == [(0, "opened", "budi", "chat"), (15, "reminded", "sari", "chat")]


def test_everybody_told_before_hears_the_end_also_through_a_second_round() -> None:
    told_by = policy()
    incident = opening("K7M", finding(), NOON, told_by)
    incident, _ = tell(incident, ("opened",), told_by, PROOFS, NOON)
    for minute in range(1, 60):
        incident, reasons = step(incident, Tick(), NOON + minute * MINUTE, told_by)
        incident, _ = tell(incident, reasons, told_by, PROOFS, NOON + minute * MINUTE)
    closed, reasons = step(incident, mended(finding()), NOON + HOUR, told_by)
    _, notifications = tell(closed, reasons, told_by, PROOFS, NOON + HOUR)
    assert {Told(each.contact, each.channel) for each in notifications} == {
        Told("budi", "chat"), Told("sari", "chat"), Told("tono", "chat")}, "nobody is called to hear that it is over"


# --- quiet --------------------------------------------------------------------------------------------------------

FREE = Hours(days=("Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), holidays=("2026-12-25", "2026-12-26"))


@pytest.mark.parametrize(("when", "until"), [
    ("2026-11-25 20:59", None), ("2026-11-25 21:00", "2026-11-26 07:00"), ("2026-11-26 00:00", "2026-11-26 07:00"),
    ("2026-11-26 06:59", "2026-11-26 07:00"), ("2026-11-26 07:00", None), ("2026-11-29 12:00", None),
])
def test_warnings_wait_for_the_morning_and_critical_never_waits(when: str, until: str | None) -> None:
    told_by = policy(hours=FREE)
    assert told_by.quiet_until("warning", at(when)) == (None if until is None else at(until))
    assert told_by.quiet_until("critical", at(when)) is None


@pytest.mark.parametrize(("when", "until"), [
    ("2026-11-28 21:30", "2026-11-30 07:00"),  # Saturday night, Sunday, Sunday night
    ("2026-11-29 12:00", "2026-11-30 07:00"),
    ("2026-12-24 22:00", "2026-12-28 07:00"),  # two holidays, then a Sunday
    ("2026-11-27 12:00", None),
])
def test_days_without_the_shop_are_quiet_where_that_is_wanted(when: str, until: str | None) -> None:
    told_by = policy(hours=FREE, quiet_closed_days=True)
    assert told_by.quiet_until("warning", at(when)) == (None if until is None else at(until))
    assert told_by.shop_day(at("2026-11-27 12:00"))
    assert not told_by.shop_day(at("2026-12-25 12:00"))


def test_quiet_may_lie_within_a_day_or_be_switched_off() -> None:
    siesta = policy(quiet=Quiet(begin="12:00", end="14:00"))
    assert [siesta.quiet_until("warning", at(f"2026-11-25 {hour}")) for hour in ("11:59", "12:00", "14:00")] == [
        None, at("2026-11-25 14:00"), None]
    assert policy(quiet=Quiet(begin="00:00", end="00:00")).quiet_until("warning", at("2026-11-25 00:00")) is None


def test_a_shop_that_is_shut_for_ever_does_not_hang_us() -> None:
    days = [str(date(2026, 11, 1) + timedelta(days=ahead)) for ahead in range(600)]
    until = policy(hours=Hours(holidays=tuple(days)), quiet_closed_days=True).quiet_until("warning", NOON)
    assert until is not None
    assert until > NOON + 180 * 86400


def test_the_night_is_as_long_as_the_clocks_make_it() -> None:
    berlin = policy(zone="Europe/Berlin")
    nights = (("2026-03-28 21:00", "2026-03-29 07:00", 9), ("2026-10-24 21:00", "2026-10-25 07:00", 11))
    for evening, morning, hours in nights:
        until = berlin.quiet_until("warning", at(evening, "Europe/Berlin"))
        assert until == at(morning, "Europe/Berlin") == at(evening, "Europe/Berlin") + hours * HOUR


WINDOWS = (
    Maintenance(name="tune", match={"rule": ("mysql_*",)}, every="Sun 01:00", lasts=2 * HOUR),
    Maintenance(name="move", match={"rule": ("*",), "mount": ("/srv*",)}, begin="2026-11-29 00:30",
                end="2026-11-29 06:00"),
    Maintenance(name="dump", match={"rule": ("mysql_slow",)}, every="23:00", lasts=3 * HOUR),
)


@pytest.mark.parametrize(("rule", "labels", "when", "holds"), [
    ("mysql_down", (), "2026-11-29 00:59", None),
    ("mysql_down", (), "2026-11-29 01:00", ("tune", "2026-11-29 03:00")),
    ("mysql_down", (), "2026-11-29 03:00", None),
    ("mysql_down", (), "2026-11-30 01:30", None),
    ("mysql_slow", (), "2026-11-29 01:30", ("tune", "2026-11-29 03:00")),  # of two the one that ends last
    ("mysql_slow", (), "2026-11-28 01:30", ("dump", "2026-11-28 02:00")),  # over midnight
    ("disk_space", (("mount", "/srv/a"),), "2026-11-29 05:59", ("move", "2026-11-29 06:00")),
    ("disk_space", (("mount", "/"),), "2026-11-29 05:00", None),
    ("disk_space", (("mount", "/srv/a"),), "2026-11-30 05:00", None),
])
def test_maintenance_holds_for_what_fits_and_while_it_lasts(
    rule: str, labels: tuple[tuple[str, str], ...], when: str, holds: tuple[str, str] | None
) -> None:
    found = policy(maintenance=WINDOWS).in_maintenance(rule, labels, at(when))
    assert found == (None if holds is None else (holds[0], at(holds[1])))
