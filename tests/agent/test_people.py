"""Promises of the sections on people: three numbers are enough, and every word of them reaches the policy and back."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent import cli, oncall
from agent import config as configuration
from agent.effective import effective
from alerts.policy import Budget, Contact, Escalation, Policy, Step
from alerts.quiet import Hours, Maintenance, Quiet
from alerts.roster import Override, Rotation

NUMBERS = """
[collectors.disk]
[notifiers.chat]
type = "twilio"
account_sid = "AC00000000000000000000000000000000"
auth_token = { env = "TOKEN" }
sender = "+628110000000"
template = "HX00000000000000000000000000000000"
[contacts.budi]
display = "Pak Budi"
whatsapp = "+628110000001"
phone = "+628110000001"
channels = ["chat"]
[contacts.sari]
whatsapp = "+628110000002"
phone = "+628110000002"
channels = ["chat"]
[contacts.grup]
whatsapp = "120363000000000000@g.us"
channels = ["chat"]
group = true
"""
ALL = NUMBERS + """
[oncall]
people = ["budi", "sari"]
handover = "Sen 08.00"
start = "2026-11-23"
[[oncall.override]]
person = "sari"
from = "2026-12-24 08:00"
to = "2026-12-26T08:00"
[escalations.database]
match = { rule = "mysql_*", unit = ["mysql*", "!mysqld_exporter"], severity = "critical" }
end = "remind"
[[escalation]]
after = 0
to = ["oncall", "grup"]
[[escalation]]
after = "5m"
to = ["next"]
repeat = 2
every = "2m"
severities = ["critical"]
[[escalation]]
policy = "database"
after = 0
to = ["all"]
channels = ["chat"]
[hours]
open = "07.30"
close = "21:00"
days = ["Senin", "Tue"]
holidays = ["2026-12-25"]
[[maintenance]]
name = "mysqlcheck, tiap Minggu"
match = { rule = "mysql_*" }
every = "Min 01:00"
for = "2h"
[[maintenance]]
name = "pindahan"
match = { mount = ["/srv*"] }
from = "2026-12-24 22:00"
to = "2026-12-25"
[alerts]
end = { warning = "repeat" }
quiet = { to = "06:00" }
quiet_closed_days = true
probation = "0s"
budget = { rupiah_per_day = 25000 }
price = { chat = 550 }
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "x")


def load(text: str) -> configuration.Config:
    Path("agent.toml").write_text(text, "utf-8")
    return configuration.load(Path("agent.toml"), {"TOKEN": "x"})


def person(name: str, number: str, **more: object) -> Contact:
    given = {"display": name, "language": "id", "channels": ("chat",),
             "addresses": {"phone": number, "whatsapp": number}}
    return Contact(name=name, **given | more)  # type: ignore[arg-type]


CONTACTS = {
    "budi": person("budi", "+628110000001", display="Pak Budi"),
    "sari": person("sari", "+628110000002"),
    "grup": person("grup", "", addresses={"whatsapp": "120363000000000000@g.us"}, group=True),
}


def test_every_word_of_the_sections_becomes_the_policy() -> None:
    assert load(ALL).policy == Policy(
        contacts=CONTACTS,
        people=("budi", "sari"),
        rotation=Rotation(handover="Sen 08.00", start="2026-11-23", override=(
            Override(person="sari", begin="2026-12-24 08:00", end="2026-12-26T08:00"),)),
        zone="Asia/Jakarta",
        steps=(Step(after=0.0, to=("oncall", "grup")),
               Step(after=300.0, to=("next",), repeat=2, every=120.0, severities=("critical",)),
               Step(after=0.0, to=("all",), channels=("chat",), policy="database")),
        escalations={"database": Escalation(name="database", end="remind", match={
            "rule": ("mysql_*",), "unit": ("mysql*", "!mysqld_exporter"), "severity": ("critical",)})},
        hours=Hours(open="07.30", close="21:00", days=("Senin", "Tue"), holidays=("2026-12-25",)),
        maintenance=(Maintenance(name="mysqlcheck, tiap Minggu", match={"rule": ("mysql_*",)}, every="Min 01:00",
                                 lasts=7200.0),
                     Maintenance(name="pindahan", match={"mount": ("/srv*",)}, begin="2026-12-24 22:00",
                                 end="2026-12-25")),
        end={"critical": "repeat", "warning": "repeat"},
        quiet=Quiet(begin="21:00", end="06:00"),
        quiet_closed_days=True,
        probation=0.0,
        budget=Budget(per_day=40, rupiah_per_day=25000.0),
        price={"chat": 550.0},
    )


def test_what_is_in_force_can_be_written_and_read_again() -> None:
    for text in (NUMBERS, ALL):
        read = load(text)
        again = load(effective(read))
        assert again.policy == read.policy
        assert effective(again) == effective(read)


def test_the_policy_goes_by_the_agents_zone() -> None:
    assert load('agent.timezone = "Asia/Jayapura"\n' + NUMBERS).policy.zone == "Asia/Jayapura"


def test_without_a_notifier_that_calls_the_numbers_are_only_written_to() -> None:
    policy = load(NUMBERS).policy
    assert policy.people == ("budi", "sari")  # the group has no turn
    assert [policy.contacts[name].call for name in policy.contacts] == [(), (), ()]
    assert [(step.after, step.to, step.call) for step in policy.steps] == [
        (0.0, ("oncall", "grup"), False), (900.0, ("next",), False)]


def test_whoever_has_a_phone_is_called_where_a_notifier_calls() -> None:
    from agent.fields import Reader
    from agent.people import policy

    table = {"contacts": {
        "budi": {"phone": "+628110000001", "whatsapp": "+628110000001", "channels": ["chat"]},
        "sari": {"phone": "+628110000002", "channels": ["voice"], "call": []},
        "tono": {"whatsapp": "+628110000003", "channels": ["chat"]},
    }}
    reader = Reader({}, Path())
    read = policy(table, {"chat": "whatsapp", "voice": "phone"}, "id", "Asia/Jakarta", reader)
    assert read is not None, reader.mistakes
    assert {name: each.call for name, each in read.contacts.items()} == {"budi": ("voice",), "sari": (), "tono": ()}
    assert [(step.after, step.to, step.call) for step in read.steps_for("critical")] == [
        (0.0, ("oncall",), False), (300.0, ("oncall",), True),
        (900.0, ("next",), False), (1200.0, ("next",), True),
        (1800.0, ("next2",), False), (2100.0, ("next2",), True)]


def test_steps_of_one_escalation_leave_the_shipped_ones_to_all_others() -> None:
    own = '[escalations.db]\nmatch = { rule = "mysql_*" }\n[[escalation]]\npolicy = "db"\nafter = 0\nto = ["sari"]\n'
    policy = load(NUMBERS + own).policy
    assert [step.to for step in policy.steps_for("critical", "disk_space")] == [("oncall", "grup"), ("next",)]
    assert [step.to for step in policy.steps_for("critical", "mysql_down")] == [("sari",)]


# --- jaga oncall --------------------------------------------------------------------------------------------------


def jaga(*arguments: str, text: str = ALL) -> Result:
    Path("agent.toml").write_text(text, "utf-8")
    return CliRunner().invoke(cli.group, ["oncall", "--config", "agent.toml", *arguments])


def test_oncall_says_who_until_when_who_comes_and_why() -> None:
    said = jaga("--at", "2026-12-21 09:00", "--json")
    assert said.exit_code == 0
    answer = json.loads(said.stdout)
    monday, override, back = 1797818400.0, 1798074000.0, 1798246800.0  # 21 December, 24 and 26 December 08:00 WIB
    assert answer["on_duty"] == {"person": "budi", "display": "Pak Budi", "since": monday - 3600, "until": override,
                                 "why": "rotation"}
    assert [(each["person"], each["since"], each["why"]) for each in answer["upcoming"][:3]] == [
        ("sari", override, "override"), ("budi", back, "rotation"), ("sari", monday - 3600 + 7 * 86400, "rotation")]
    assert answer["overrides"] == [{"person": "sari", "from": "2026-12-24 08:00", "to": "2026-12-26T08:00"}]
    assert (answer["at"], answer["zone"], len(answer["upcoming"])) == (monday, "Asia/Jakarta", oncall.AHEAD)
    assert json.loads(jaga("--at", "2026-12-27", "--json").stdout)["overrides"] == []


def test_oncall_reads_as_a_sentence_and_a_table() -> None:
    said = jaga("--at", "2026-12-24 09:00").stdout.split("\n")
    assert said[0].startswith("Yang berjaga: sari, sampai Sab 26 Des")
    assert said[2].split() == ["Mulai", "Sampai", "Oleh", "Sebab"]
    assert said[3].startswith("Sab 26 Des")
    assert said[3].endswith("Pak Budi  giliran")
    assert jaga(text=NUMBERS).stdout == "Yang berjaga: Pak Budi. Tidak ada pergantian.\n"


@pytest.mark.parametrize(("text", "local"), [
    ("2026-12-24 08:00", "2026-12-24 08:00"), ("2026-12-24", "2026-12-24 00:00"), ("08.30", "2026-11-25 08:30"),
    ("Mon 08:00", "2026-11-30 08:00"), ("Rabu 13:00", "2026-11-25 13:00"), ("Wed 08:00", "2026-12-02 08:00"),
])
def test_a_time_may_be_asked_for_as_people_say_it(text: str, local: str) -> None:
    from zoneinfo import ZoneInfo

    from alerts import localtime

    zone = ZoneInfo("Asia/Jakarta")
    now = localtime.instant(localtime.moment("2026-11-25 12:00"), zone)  # a Wednesday
    assert oncall.when(text, zone, now) == localtime.instant(localtime.moment(local), zone)


def test_a_time_that_is_none_is_a_mistake_of_usage() -> None:
    said = jaga("--at", "besok")
    assert said.exit_code == 2
    assert "write \"2026-12-24 08:00\", \"08:00\" or \"Mon 08:00\"" in said.stderr
