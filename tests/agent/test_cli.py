"""The command line: what it prints, where it asks, and its exit codes."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from agent import checking, cli, control
from agent.conditions import condition
from agent.control import Control
from agent.verbs import verbs
from alerts.rule import Rule, Words
from collectors.disk import USED
from fake_house import NOW, FakeHouse

TREE = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from agent.cli import main; main()"]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHouse]:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    for name in ("RUNTIME_DIRECTORY", "SUDO_USER"):
        monkeypatch.delenv(name, raising=False)
    house = FakeHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def daemon(house: FakeHouse, tmp_path: Path) -> Iterator[FakeHouse]:
    """The same, answering on its socket."""
    control = Control(tmp_path / "jaga.sock", {})
    control.start(verbs(house))
    yield house
    control.stop()


def jaga(house: FakeHouse, *arguments: str, typed: str = "") -> Result:
    command, *rest = arguments
    return CliRunner().invoke(cli.group, [command, "--config", str(house.path), *rest], input=typed)


def said(result: Result) -> tuple[int, str, str]:
    """Exit code, standard output, standard error; a traceback is a failure of ours."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def opened(house: FakeHouse) -> str:
    house.report(USED(0.93, mount="/"))
    return house.desk.view.open[0].code


# --- the running daemon asked ----------------------------------------------------------------------------------------


def test_nothing_open_is_said_and_good(daemon: FakeHouse) -> None:
    assert said(jaga(daemon, "incidents")) == (0, "Tidak ada gangguan terbuka.\n", "")


def test_what_is_open_is_a_table_and_a_problem(daemon: FakeHouse) -> None:
    code = opened(daemon)
    assert said(jaga(daemon, "incidents")) == (1, (
        "Kode  Tingkat  Masalah                     Sejak                Ditangani  Berikutnya\n"
        f"{code}   KRITIS   KRITIS: Disk / terisi 93 %  08.57 WIB (3 menit)  belum ada  "
        "09.15 WIB: diteruskan ke Bu Ani\n"), "")


def test_json_is_the_documented_shape_without_the_table(daemon: FakeHouse) -> None:
    code = opened(daemon)
    exit_code, out, err = said(jaga(daemon, "incidents", "--json"))
    answer = json.loads(out)
    assert (exit_code, err, list(answer)) == (1, "", ["agent", "site", "at", "language", "incidents"])
    assert [list(each) for each in answer["incidents"]] == [[
        "code", "key", "severity", "state", "flapping", "headline", "opened", "since", "closed", "acked_by",
        "acked_until", "next", "members"]]
    assert answer["incidents"][0]["code"] == code


def test_an_infinite_value_is_still_json(daemon: FakeHouse) -> None:
    daemon.report(USED(float("inf"), mount="/"))
    _, out, _ = said(jaga(daemon, "incidents", "--json"))
    assert json.loads(out, parse_constant=pytest.fail)["incidents"][0]["members"][0]["value"] is None


def test_ack_and_unack_go_through_the_daemon(daemon: FakeHouse) -> None:
    code = opened(daemon)
    exit_code, out, err = said(jaga(daemon, "ack", code, "--for", "30m", "--note", "di jalan"))
    assert (exit_code, err) == (0, "")
    assert re.fullmatch(rf"{code} ditangani \w+ sampai 09\.30 WIB\.\n", out)
    assert daemon.desk.view.open[0].acked_until == NOW + 1800
    assert said(jaga(daemon, "unack", code))[0] == 0
    assert daemon.desk.view.open[0].acked_until is None


@pytest.mark.parametrize("arguments", [["ack", "99Z"], ["unack", "99Z"]])
def test_an_unknown_code_is_a_mistake_of_usage(daemon: FakeHouse, arguments: list[str]) -> None:
    code = opened(daemon)
    assert said(jaga(daemon, *arguments)) == (
        2, "", f"Tidak ada gangguan terbuka dengan kode 99Z.\nYang terbuka: {code}.\n")


def test_a_duration_that_is_none_is_refused_before_anybody_is_asked(house: FakeHouse) -> None:
    exit_code, out, err = said(jaga(house, "ack", "K7M", "--for", "soon"))
    assert (exit_code, out) == (2, "")
    assert err.endswith("""Invalid value for '--for': 'soon' is not a duration: write "90s", "5m", "4h" or "1d"\n""")


def test_a_test_message_says_how_long_its_proof_took(daemon: FakeHouse) -> None:
    assert said(jaga(daemon, "notify-test", "budi")) == (
        0, "Pesan tes untuk budi lewat console: diterima layanan setelah 0.3 detik.\n", "")


@pytest.mark.parametrize(
    ("result", "exit_code", "out"),
    [
        ({"state": "failed", "error": "63024 bad number"}, 1,
         "Pesan tes untuk budi lewat console gagal: 63024 bad number\n"),
        ({"state": "queued", "error": ""}, 1,
         "Pesan tes untuk budi lewat console gagal: belum ada bukti bahwa pesan diterima\n"),
        ({"state": "accepted", "proof": "delivered"}, 0,
         "Pesan tes untuk budi lewat console: sampai setelah 2 detik.\n"),
        (None, 1, ""),
    ],
)
def test_a_test_message_without_proof_is_a_problem(
    daemon: FakeHouse, monkeypatch: pytest.MonkeyPatch, result: dict[str, Any] | None, exit_code: int, out: str
) -> None:
    answer = [] if result is None else [{"channel": "console", "proof": "", "seconds": 2, "error": "", **result}]
    monkeypatch.setattr(daemon, "notify_test", lambda contact, wait: answer)
    assert said(jaga(daemon, "notify-test", "budi")) == (exit_code, out, "")


def test_an_unknown_contact_is_a_mistake_of_usage(daemon: FakeHouse) -> None:
    assert said(jaga(daemon, "notify-test", "bdui")) == (
        2, "", "Tidak ada kontak bernama bdui di agent.toml.\nMaksud Anda budi?\n")


def test_nobody_is_forgotten_by_accident(daemon: FakeHouse) -> None:
    exit_code, out, err = said(jaga(daemon, "forget", "ani", typed="n\n"))
    assert (exit_code, err.strip(), daemon.forgotten) == (1, "Aborted!", [])
    assert out.startswith("Hapus pesan, nomor dan nama ani dari catatan Jaga? Ini tidak dapat dibatalkan. [y/N]: ")
    assert said(jaga(daemon, "forget", "ani", "--yes")) == (
        0, "ani: 4 catatan dihapus. Hapus juga [contacts.ani] dari agent.toml bila masih ada.\n", "")
    assert daemon.forgotten == ["ani"]


@pytest.mark.parametrize(
    "arguments",
    [["incidents"], ["ack", "K7M"], ["unack", "K7M"], ["notify-test", "budi"], ["forget", "budi", "--yes"]],
)
def test_without_a_daemon_each_command_says_how_to_start_it(house: FakeHouse, arguments: list[str]) -> None:
    path = house.path.parent / "jaga.sock"
    assert said(jaga(house, *arguments)) == (
        2, "", f"Jaga tidak menjawab di {path}.\nJalankan: systemctl start jaga (atau di sini: jaga run)\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="takes two users, so it needs root")
def test_a_user_who_may_not_ask_is_told_how_to_be_let_in(
    daemon: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barred = tmp_path / "run"
    barred.mkdir(mode=0o700)
    monkeypatch.chdir(barred)  # as with `sudo -u ani` in /root: not even this folder may be looked into
    monkeypatch.setattr(cli, "PLACES", (Path("agent.toml"), barred / "agent.toml"))
    monkeypatch.setattr(control, "find", lambda config: barred / "jaga.sock")
    os.seteuid(65534)  # nobody
    try:
        result = CliRunner().invoke(cli.group, ["ack", "K7M"])
    finally:
        os.seteuid(0)
    assert said(result) == (2, "", (
        f"Pengguna ini tidak boleh bertanya kepada Jaga ({barred}/jaga.sock).\n"
        "Pakai sudo, atau jadi anggota grup jaga: sudo usermod -aG jaga NAMA, lalu masuk (login) lagi.\n"))


def test_without_a_daemon_the_configured_language_is_spoken(house: FakeHouse) -> None:
    house.path.write_text('[agent]\nlanguage = "en"\n')
    assert said(jaga(house, "incidents"))[2].startswith("Jaga does not answer at ")


# --- the configuration -----------------------------------------------------------------------------------------------


def test_all_mistakes_are_printed_at_once(house: FakeHouse) -> None:
    house.path.write_text('[agent]\nlanguage = "jw"\n[collectors.dsk]\n[web]\nlisten = 7\n')
    for command in ("config", "rules", "check", "run"):
        # in a process of its own, for `check` and `run` set up logging
        done = subprocess.run([*PROGRAM, command, "--config", str(house.path)], cwd=TREE, capture_output=True,
                              text=True, timeout=60, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        places = [line.partition(": ")[0] for line in done.stderr.splitlines()]
        assert places == [f"{house.path}:{line}" for line in (2, 3, 5)]


def test_config_prints_what_is_in_force_and_that_can_be_read_again(house: FakeHouse) -> None:
    exit_code, out, err = said(jaga(house, "config"))
    assert exit_code == 0
    assert "Yang menutupnya: [heartbeat] url" in err  # what would go unnoticed is said beside it
    assert 'listen = "127.0.0.1:9810"' in out
    house.path.write_text(out)
    assert said(jaga(house, "config")) == (0, out, err)


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "PLACES", (Path("agent.toml"), tmp_path / "etc/agent.toml"))
    result = CliRunner().invoke(cli.group, ["config"])
    assert (result.exit_code, result.stderr.partition(": ")[0]) == (2, str(tmp_path / "etc/agent.toml"))


def test_the_file_in_this_folder_goes_first(house: FakeHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(house.path.parent)
    assert said(CliRunner().invoke(cli.group, ["config"]))[0] == 0


# --- rules -----------------------------------------------------------------------------------------------------------

WORDS = Words(id="x", en="x")


def rule(**fields: Any) -> Rule:
    return Rule(**{"name": "r", "metric": "jaga_x_ratio", "summary": WORDS, "first": WORDS, "lay": WORDS,
                   "fix": WORDS} | fields)


@pytest.mark.parametrize(
    ("fields", "indonesian", "english"),
    [
        ({"warning": 0.8, "critical": 0.9, "hold": 300.0},
         "di atas 80 % (Peringatan), di atas 90 % (KRITIS), selama 5 menit",
         "above 80 % (Warning), above 90 % (CRITICAL), for 5 min"),
        ({"kind": "below", "critical": 0.05, "where": {"mount": ("/", "!/boot")}},
         "di bawah 5 % (KRITIS), mount: / !/boot", "below 5 % (CRITICAL), mount: / !/boot"),
        ({"metric": "jaga_x_total", "kind": "increase", "warning": 3.0, "window": 3600.0},
         "naik lebih dari 3 dalam 1 jam (Peringatan)", "grows by more than 3 within 1 h (Warning)"),
        ({"kind": "forecast", "warning": 86400.0, "limit": 1.0, "window": 3600.0},
         "diperkirakan mencapai 100 % dalam waktu kurang dari 1 hari (Peringatan)",
         "expected to reach 100 % in less than 1 d (Warning)"),
        ({"kind": "absent", "warning": 600.0}, "tanpa kabar lebih dari 10 menit (Peringatan)",
         "no word for more than 10 min (Warning)"),
    ],
)
def test_a_condition_reads_as_a_sentence(fields: dict[str, Any], indonesian: str, english: str) -> None:
    assert (condition(rule(**fields), "id"), condition(rule(**fields), "en")) == (indonesian, english)


def test_rules_lists_every_rule_in_force(house: FakeHouse) -> None:
    exit_code, out, err = said(jaga(house, "rules"))
    assert (exit_code, err) == (0, "")
    head, *rows = out.splitlines()
    assert head.split() == ["Aturan", "Metrik", "Bila", "SOP"]
    assert [row.split()[0] for row in rows] == list(house.config.rules)
    assert next(row for row in rows if row.startswith("disk_space ")).endswith("  1.2 disk")
    assert [each["name"] for each in json.loads(said(jaga(house, "rules", "--json"))[1])] == list(house.config.rules)


def test_rules_propose_prints_what_the_first_week_saw_as_toml(daemon: FakeHouse) -> None:
    assert said(jaga(daemon, "rules", "--propose"))[:2] == (
        0, "Tidak ada usulan: yang terlihat di minggu pertama tidak terlalu sering.\n")
    for _ in range(2):
        daemon.clock.wall += 8000
        daemon.report(USED(0.85, mount="/"))
        daemon.daily.tick(daemon.clock.now())
        daemon.clock.wall += 8000
        daemon.report(USED(0.1, mount="/"))
    assert said(jaga(daemon, "rules", "--propose"))[:2] == (
        0, '[rules.disk_space]\n# 2 × mount="/": 85%\nwarning = "86%"\n')


# --- check -----------------------------------------------------------------------------------------------------------

COLLECTOR = '''
import msgspec
from collections.abc import Iterator
from collectors.base import Metric, Reading, Run

EVERY, TIMEOUT = 60.0, 10.0
LEVEL = Metric("jaga_probe_ratio", "A level.", ("thing",))
RATE = Metric("jaga_probe_second_look", "Only the second run knows.")

class Probe(msgspec.Struct):
    """A collector for this test."""
    level: float = 0.5
    fails: bool = False

    def collect(self, run: Run) -> Iterator[Reading]:
        yield LEVEL(self.level, thing="a", note="because")
        if "seen" in run.memory:
            yield RATE(1)
        run.memory["seen"] = True
        with run.target("b"):
            if self.fails:
                raise OSError("/srv: Stale file handle")
        if self.fails:
            raise RuntimeError("no more")
'''
RULES = '''
[probe_level]
metric = "jaga_probe_ratio"
warning = "80%"
critical = "90%"
for = "10m"
summary = {id = "x", en = "x"}
first = {id = "x", en = "x"}
lay = {id = "x", en = "x"}
fix = {id = "x", en = "x"}
[probe_grows]
metric = "jaga_probe_second_look"
kind = "increase"
window = "1h"
warning = 3
summary = {id = "x", en = "x"}
first = {id = "x", en = "x"}
lay = {id = "x", en = "x"}
fix = {id = "x", en = "x"}
'''


@pytest.fixture
def probe(house: FakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHouse:
    """The machine has a third party's collector `probe` besides."""
    folder = tmp_path / "third"
    (folder / "probe_plugin-1.dist-info").mkdir(parents=True)
    (folder / "probe_plugin-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: probe-plugin\nVersion: 1\n")
    (folder / "probe_plugin-1.dist-info/entry_points.txt").write_text("[jaga.collectors]\nprobe = probe_plugin\n")
    (folder / "probe_plugin.py").write_text(COLLECTOR)
    (folder / "probe_plugin.toml").write_text(RULES)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "probe_plugin", raising=False)
    monkeypatch.setattr(checking, "SECOND_LOOK", 0.0)
    return house


def check(house: FakeHouse, options: str, *arguments: str) -> tuple[int, str, str]:
    """`jaga check` in a process of its own, for it turns all logging off."""
    house.path.write_text(f"[collectors.probe]\n{options}\n")
    folder = house.path.parent / "third"
    done = subprocess.run([*PROGRAM, "check", "--config", str(house.path), *arguments], cwd=TREE, capture_output=True,
                          text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(folder)})
    return done.returncode, re.sub(r"dalam [\d,]+ (ms|detik)", "dalam N", done.stdout), done.stderr


def test_check_measures_twice_what_lies_between_two_looks_and_finds_nothing_wrong(probe: FakeHouse) -> None:
    assert check(probe, "") == (0, """\
probe: diukur dalam N
Metrik                      Nilai  Penilaian      Bukti
jaga_probe_ratio (thing=a)  50 %   baik
jaga_probe_second_look      1      perlu riwayat

Semua baik.
""", "")


def test_check_judges_as_if_every_waiting_time_had_passed(probe: FakeHouse) -> None:
    assert check(probe, "level = 0.93") == (1, """\
probe: diukur dalam N
Metrik                      Nilai  Penilaian                        Bukti
jaga_probe_ratio (thing=a)  93 %   KRITIS probe_level (batas 90 %)  because
jaga_probe_second_look      1      perlu riwayat

1 masalah ditemukan.
""", "")


def test_check_tells_what_could_not_be_measured(probe: FakeHouse) -> None:
    assert check(probe, "fails = true") == (1, """\
probe: gagal: RuntimeError: no more
  b: gagal: OSError: /srv: Stale file handle
Metrik                      Nilai  Penilaian  Bukti
jaga_probe_ratio (thing=a)  50 %   baik

2 masalah ditemukan.
""", "")


def test_check_speaks_json(probe: FakeHouse) -> None:
    exit_code, out, _ = check(probe, "level = 0.93", "--json")
    [answer] = json.loads(out)
    assert (exit_code, answer | {"duration": 0}) == (1, {
        "collector": "probe", "duration": 0, "error": "", "troubles": {},
        "readings": [
            {"metric": "jaga_probe_ratio", "labels": {"thing": "a"}, "value": 0.93, "note": "because"},
            {"metric": "jaga_probe_second_look", "labels": {}, "value": 1.0, "note": ""},
        ],
        "findings": [{"rule": "probe_level", "labels": {"thing": "a"}, "state": "bad", "severity": "critical",
                      "value": 0.93, "threshold": 0.9}],
    })


def test_check_of_an_unknown_collector_names_those_there_are(probe: FakeHouse) -> None:
    assert check(probe, "", "prob") == (
        2, "", f"Tidak ada pemantau bernama prob di {probe.path}.\nYang ada: probe.\n")


# --- the program -----------------------------------------------------------------------------------------------------


def test_the_version_is_said_without_loading_anything_heavy() -> None:
    program = ("import sys\nfrom agent.cli import main\ntry: main()\nfinally:"
               " print(sorted({'flask', 'rich', 'msgspec', 'structlog', 'sqlite3', 'psutil'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", program, "--version"], cwd=TREE, capture_output=True, text=True,
                          timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "jaga 0.1.0\n[]\n", "")


@pytest.mark.parametrize("arguments", [["nonsense"], ["ack"], ["incidents", "--nonsense"], ["config", "extra"]])
def test_a_mistyped_command_is_a_mistake_of_usage(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli.group, arguments).exit_code == 2


def test_on_a_terminal_a_table_is_drawn_and_markup_in_it_is_text(daemon: FakeHouse) -> None:
    daemon.report(USED(0.93, mount="/[red]x[/red]"))
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "STATE_DIRECTORY": str(daemon.path.parent)}
    with subprocess.Popen([*PROGRAM, "incidents", "--config", str(daemon.path)], cwd=TREE, stdout=theirs,
                          stderr=theirs, env=environ) as process:
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # the terminal's other end is closed
                break
            shown += part
        assert process.wait(30) == 1
    os.close(ours)
    text = shown.decode()
    assert "─" in text
    assert "[red]x[/red]" in text


def test_every_command_of_the_design_is_there_and_explains_itself() -> None:
    assert sorted(cli.group.commands) == ["ack", "check", "config", "coverage", "forget", "incidents", "notify-test",
                                          "oncall", "rules", "run", "silence", "silences", "unack", "whatsapp"]
    alone = [getattr(each, "commands", {"": each}) for each in cli.group.commands.values()]  # a group's own commands
    for command in (command for each in alone for command in each.values()):
        assert {"--config"} <= {option for each in command.params for option in each.opts}
        assert command.help
