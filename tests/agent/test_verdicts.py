"""What `jaga check` found, in words: the cause first, its consequences after it, each once."""

import pytest

from agent import verdicts
from agent.verdicts import Problem
from alerts.incident import Finding
from alerts.problem import Reader
from alerts.rule import Cause, Rule, Words

NIGHT = 1795374000.0  # 2026-11-23 02:00 WIB, when warnings would wait


def rule(name: str, severity: str, *causes: Cause) -> Rule:
    return Rule(name=name, metric=f"jaga_{name}", summary=Words(id=f"{name} {{unit}} {{value}}", en=""),
                first=Words(id=f"lihat {name}", en=""), lay=Words(id="", en=""), fix=Words(id="", en=""),
                explained_by=causes, **{severity: 0.0})


RULES = {each.name: each for each in (
    rule("books", "warning"), rule("mysql_down", "critical"),
    rule("web_error", "critical", Cause(rule="mysql_*", same=("unit",))),
    rule("worker_fewer", "warning", Cause(rule="queue_down"), Cause(rule="mysql_down")),
)}
READER = Reader(RULES, "id", "Koperasi", "server", now=NIGHT)


def finding(name: str, unit: str, state: str = "bad") -> Finding:
    severity = "critical" if RULES[name].critical is not None else "warning"
    return Finding(rule=name, labels=(("unit", unit),), state=state, severity=severity, value=1.0, note="bukti\nsatu")


def test_causes_come_first_and_what_they_explain_comes_last() -> None:
    found = verdicts.problems([
        finding("worker_fewer", "a"), finding("web_error", "a"), finding("web_error", "b"), finding("books", "a"),
        finding("mysql_down", "a"), finding("mysql_down", "c", "good"),
    ], RULES, READER)
    assert found == [
        Problem("critical", "web_error b 1", "bukti satu", "lihat web_error", "web_error", ""),
        Problem("critical", "mysql_down a 1", "bukti satu", "lihat mysql_down", "mysql_down", ""),
        Problem("warning", "books a 1", "bukti satu", "lihat books", "books", ""),
        Problem("critical", "web_error a 1", "bukti satu", "lihat web_error", "web_error", "mysql_down"),
        Problem("warning", "worker_fewer a 1", "bukti satu", "lihat worker_fewer", "worker_fewer", "mysql_down"),
    ]


def test_a_consequence_names_its_cause_instead_of_a_first_step(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    verdicts.draw([
        Problem("critical", "Database mati", "127.0.0.1: [refused]", "systemctl status mariadb", "mysql_down", ""),
        Problem("warning", "Worker kurang", "", "supervisorctl status", "worker_fewer", "mysql_down"),
    ], {"critical": "KRITIS", "warning": "Peringatan"}, "akibat dari")
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "KRITIS      Database mati  mysql_down",
        "            127.0.0.1: [refused]",
        "            → systemctl status mariadb",
        "Peringatan  Worker kurang  worker_fewer",
        "            akibat dari mysql_down",
    ]
