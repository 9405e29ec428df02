"""The table of `jaga check` on a terminal: what stands together, what is marked, where a line ends."""

import pytest

from agent import glance
from agent.glance import CRITICAL, GOOD, NOT_JUDGED, Cell, Row
from alerts.figures import show
from collectors.base import Metric, Reading

USED = Metric("jaga_disk_used_ratio", "", ("mount",))
FREE = Metric("jaga_disk_free_bytes", "", ("mount",))
WALKED = Metric("jaga_folder_walk_complete", "", ("folder",))
PHASE = Metric("jaga_web_phase_seconds", "", ("phase", "site"))
VALUE = Metric("jaga_sql_value", "", ("item", "query"))
MONEY = Metric("jaga_sql_rupiah", "", ("item", "query"))
STEAL = Metric("jaga_cpu_steal_ratio", "")
UPTIME = Metric("jaga_uptime_seconds", "")
RESTARTS = Metric("jaga_worker_restarts_total", "", ("program",), "counter")


def verdict(reading: Reading) -> int:
    return CRITICAL if reading.value == 0.97 else GOOD if reading.metric == USED.name else NOT_JUDGED


def rows(*readings: Reading) -> list[Row]:
    return glance.rows(readings, lambda each: show(each.metric, each.value), verdict)


def plain(*texts: str) -> tuple[Cell, ...]:
    return tuple(Cell(text, NOT_JUDGED) for text in texts)


def test_readings_of_one_thing_stand_in_one_row_and_the_worst_marks_it() -> None:
    found = rows(STEAL(0.01), USED(0.5, mount="/"), FREE(2**30, mount="/"), UPTIME(7200), USED(0.97, mount="/srv"),
                 FREE(0, mount="/srv"), WALKED(1, folder="/var/log"), RESTARTS(3, program="w"))
    assert found == [
        Row("cpu", plain("steal 1 %")),
        Row("disk /", (Cell("used 50 %", GOOD), *plain("free 1 GiB"))),
        Row("disk /srv", (Cell("used 97 %", CRITICAL), *plain("free 0 B"))),
        Row("uptime", plain("2 jam")),
        Row("folder /var/log", plain("walk_complete 1")),
        Row("worker w", plain("restarts 3")),
    ]
    assert [row.verdict for row in found] == [NOT_JUDGED, GOOD, CRITICAL, NOT_JUDGED, NOT_JUDGED, NOT_JUDGED]


def test_where_there_are_many_things_and_few_metrics_each_metric_has_a_row() -> None:
    assert rows(
        PHASE(0.002, phase="dns", site="toko"), PHASE(0.003, phase="tls", site="toko"),
        VALUE(2, query="sessions", item="users"), VALUE(1, query="sessions", item="guests"),
        VALUE(3, query="pending", item=""), MONEY(50000, query="pending", item=""),
    ) == [
        Row("web_phase_seconds toko", plain("dns 2 ms", "tls 3 ms")),
        Row("sql_value", plain("sessions users 2", "sessions guests 1", "pending 3")),
        Row("sql_rupiah", plain("pending Rp 50.000")),
    ]


def test_a_line_ends_only_between_two_readings(
        monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    cells = tuple(Cell(f"reading_{number} {number} detik", GOOD) for number in range(5))
    glance.draw(["Pemantau", "Yang diukur", "", "Hasil"], [
        ("mysql", [Row("server", cells), Row("[red]x[/red]", (Cell("up 0", CRITICAL),))]),
        ("web", [Row("toko", plain("status 200"))]),
    ])
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines() if line.strip()] == [
        " Pemantau   Yang diukur        Hasil",
        " ───────────────────────────────────────────────────────────────────",
        " mysql      server         ✓   reading_0 0 detik · reading_1 1 detik",
        "                               reading_2 2 detik · reading_3 3 detik",
        "                               reading_4 4 detik",
        "            [red]x[/red]   ✗   up 0",
        " web        toko               status 200",
    ]
