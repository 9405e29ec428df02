"""`jaga coverage`: who would notice and who would hear, hour by hour, from the configuration alone."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent import cli, coverage
from agent.config import Config, load
from agent.coverage_words import EN, ID

MONDAY = 1_767_582_000.0  # 2026-01-05 10:00 WIB
WHOLE = """
[collectors.disk]
[collectors.services]
[notifiers.telegram]
token = { env = "TOKEN" }
[notifiers.hook]
type = "webhook"
url = "https://hooks.example.id/jaga"
[contacts.budi]
display = "Pak Budi"
telegram = 1
channels = ["telegram", "hook"]
[contacts.sari]
display = "Bu Sari"
telegram = 2
channels = ["telegram", "hook"]
[heartbeat]
url = { env = "BEAT" }
[alerts]
quiet = { from = "21:00", to = "07:00" }
"""
ENV = {"TOKEN": "123456:" + "x" * 35, "BEAT": "https://hc-ping.com/0b5f"}
ALWAYS = frozenset(range(168))
NIGHT = frozenset(day * 24 + hour for day in range(7) for hour in (21, 22, 23, 0, 1, 2, 3, 4, 5, 6))


def read(folder: Path, text: str) -> Config:
    path = folder / "agent.toml"
    path.write_text(text, "utf-8")
    return load(path, ENV)


def blind(config: Config, at: float = MONDAY) -> dict[tuple[str, str], tuple[str, int]]:
    """Part and name of what is blind: what would mend it, and in how many hours."""
    return {(each.cover.part, each.cover.name): (each.cover.mend, len(each.hours))
            for each in coverage.week(config, at) if each.cover.mend}


def without(text: str, *lines: str) -> str:
    for each in lines:
        assert each in text
        text = text.replace(each + "\n", "")
    return text


def test_a_whole_configuration_is_watched_in_every_hour(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    both = ("telegram", "hook")
    assert [(each.cover, each.hours) for each in coverage.week(config, MONDAY)] == [
        (coverage.Cover(part="server", notices="heartbeat"), ALWAYS),
        (coverage.Cover(part="internet", notices="heartbeat"), ALWAYS),
        (coverage.Cover(part="agent", notices="systemd_heartbeat"), ALWAYS),
        (coverage.Cover(part="app", notices="jaga", hears="budi", channels=both), ALWAYS),
        (coverage.Cover(part="channel", name="hook", notices="jaga", hears="budi", channels=("telegram",), after=900.0),
         ALWAYS),
        (coverage.Cover(part="channel", name="telegram", notices="jaga", hears="budi", channels=("hook",), after=900.0),
         ALWAYS),
        (coverage.Cover(part="duty", notices="escalation", hears="sari", channels=both, after=900.0), ALWAYS),
        (coverage.Cover(part="warnings", notices="jaga", hears="budi", channels=both, until="07:00"), NIGHT),
        (coverage.Cover(part="warnings", notices="jaga", hears="budi", channels=both), ALWAYS - NIGHT),
    ]
    assert coverage.notices(config, MONDAY) == []


SARI = '[contacts.sari]\ndisplay = "Bu Sari"\ntelegram = 2\nchannels = ["telegram", "hook"]'


@pytest.mark.parametrize(("text", "gaps"), [
    (without(WHOLE, "[heartbeat]", 'url = { env = "BEAT" }'),
     {("server", ""): ("heartbeat", 168), ("internet", ""): ("heartbeat", 168), ("agent", ""): ("heartbeat", 168)}),
    (without(WHOLE, "[collectors.services]"), {("app", ""): ("collectors", 168)}),
    (without(WHOLE, SARI), {("duty", ""): ("second_person", 168)}),
    (WHOLE.replace('"telegram", "hook"', '"telegram"'), {("channel", "telegram"): ("second_channel", 168)}),
    (WHOLE + "[rules.notifier_failing]\nenabled = false\n",
     {("channel", "telegram"): ("rule", 168), ("channel", "hook"): ("rule", 168)}),
    (WHOLE + '[oncall]\npeople = ["budi"]\n', {("duty", ""): ("second_person", 168)}),
    # who is on duty by turns, and only one of them has a second channel
    (WHOLE.replace('telegram = 2\nchannels = ["telegram", "hook"]', 'telegram = 2\nchannels = ["telegram"]')
     + '[[escalation]]\nafter = "0s"\nto = ["oncall"]\n[oncall]\npeople = ["budi", "sari"]\nhandover = "Wed 08:00"\n'
       'start = "2026-01-05"\n',
     {("channel", "telegram"): ("second_channel", 168), ("duty", ""): ("second_person", 168)}),  # her week is the next
])
def test_a_gap_is_found_with_the_setting_that_closes_it(
        tmp_path: Path, text: str, gaps: dict[tuple[str, str], tuple[str, int]]) -> None:
    assert blind(read(tmp_path, text)) == gaps


def test_a_terminal_reaches_nobody(tmp_path: Path) -> None:
    assert blind(read(tmp_path, "[collectors.services]\n")) == {
        ("server", ""): ("heartbeat", 168), ("internet", ""): ("heartbeat", 168), ("agent", ""): ("heartbeat", 168),
        ("app", ""): ("reach", 168), ("duty", ""): ("second_person", 168), ("warnings", ""): ("reach", 168)}


def test_a_group_that_is_told_is_not_somebody_who_hears(tmp_path: Path) -> None:
    text = WHOLE.replace(SARI, '[contacts.grup]\ntelegram = -3\nchannels = ["telegram"]\ngroup = true')
    assert blind(read(tmp_path, text)) == {("duty", ""): ("second_person", 168)}


@pytest.mark.parametrize(("hours", "indonesian", "english"), [
    (range(168), "selalu", "always"),
    (NIGHT, "setiap hari 21.00–07.00", "every day 21:00–07:00"),
    ([day * 24 + hour for day in range(7) for hour in (8, 9, 12)], "setiap hari 08.00–10.00, 12.00–13.00",
     "every day 08:00–10:00, 12:00–13:00"),
    (range(8, 80), "Sen 08.00–Kam 08.00", "Mon 08:00–Thu 08:00"),
    ([167, 0, 1, 50], "Rab 02.00–Rab 03.00, Min 23.00–Sen 02.00", "Wed 02:00–Wed 03:00, Sun 23:00–Mon 02:00"),
])
def test_hours_are_ranges(hours: Any, indonesian: str, english: str) -> None:
    assert (coverage.hours_said(hours, ID), coverage.hours_said(hours, EN)) == (indonesian, english)


def jaga(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, text: str = WHOLE) -> tuple[int, str, str]:
    path = tmp_path / "agent.toml"
    path.write_text(text, "utf-8")
    for name, value in ENV.items():
        monkeypatch.setitem(os.environ, name, value)
    result = CliRunner().invoke(cli.group, [arguments[0], "--config", str(path), *arguments[1:]])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


TABLE = """\
Bila mati        Kapan                    Yang tahu                    Yang dikabari
server ini       selalu                   layanan detak                yang terdaftar di layanan detak
internet server  selalu                   layanan detak                yang terdaftar di layanan detak
Jaga sendiri     selalu                   systemd, lalu layanan detak  yang terdaftar di layanan detak
aplikasi toko    selalu                   Jaga                         Pak Budi (telegram, hook)
kanal hook       selalu                   Jaga                         Pak Budi (telegram), setelah 15 menit
kanal telegram   selalu                   Jaga                         Pak Budi (hook), setelah 15 menit
petugas diam     selalu                   eskalasi                     Bu Sari (telegram, hook), setelah 15 menit
peringatan       setiap hari 21.00–07.00  Jaga                         Pak Budi (telegram, hook), menunggu pukul 07.00
peringatan       setiap hari 07.00–21.00  Jaga                         Pak Budi (telegram, hook)

Semua jam terjaga.
"""


def test_the_table_is_ranges_of_hours_and_good_where_nothing_is_blind(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jaga(tmp_path, monkeypatch, "coverage") == (0, TABLE, "")


def test_a_blind_hour_is_a_problem_and_is_said_in_the_configured_language(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = WHOLE.replace('"telegram", "hook"', '"telegram"') + '[agent]\nlanguage = "en"\n'
    code, said, _ = jaga(tmp_path, monkeypatch, "coverage", text=text)
    assert code == 1
    gap = ("Nobody watches: channel telegram (always). What closes the gap: a second channel among the channels of who "
           "is on duty, besides telegram.")
    assert said.endswith(f"\n\n{gap}\n")
    assert re.search(r"(?m)^channel telegram +always +Jaga +NOBODY$", said)
    code, said, aside = jaga(tmp_path, monkeypatch, "config", text=text)
    assert (code, aside) == (0, gap + "\n")
    assert gap not in said  # what is printed can be read again


def test_json_tells_each_stretch_with_its_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, _ = jaga(tmp_path, monkeypatch, "coverage", "--json", text=without(WHOLE, "[collectors.services]"))
    answer = json.loads(said)
    assert (code, answer["zone"], answer["blind"]) == (1, "Asia/Jakarta", 168)
    assert answer["stretches"][3] == {
        "part": "app", "name": "", "notices": "nobody", "hears": "", "channels": [], "after": 0.0, "until": "",
        "mend": "collectors", "blind": True, "hours": list(range(168))}
