"""What is remembered of a database between two looks stays small, and what it says stays right. Without a server."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import mysql_damage, mysql_slow
from collectors.mysql_connection import Session
from collectors.mysql_server import Server, counted, missed
from collectors.mysql_slow_log import Slow
from collectors.mysql_slow_statements import WINDOW, Tally
from collectors.mysql_tables import DAY, Seen, Table, grown, remember
from collectors.mysql_transactions import lasting

NOW = 1795402800.0


def statement(number: int) -> str:
    return f"select t{'x' * number} from t where nik = '{number}'"


@given(st.lists(st.tuples(st.integers(0, 60), st.floats(3, 100), st.floats(0, 2 * WINDOW)), max_size=200))
def test_slow_statements_are_counted_and_little_is_remembered(slow: list[tuple[int, float, float]]) -> None:
    memory: dict[str, Any] = {}
    for shape, seconds, ago in sorted(slow, key=lambda each: -each[2]):
        Tally(memory, NOW - ago).add(Slow(NOW - ago, seconds, 7, statement(shape)))
    tally = Tally(memory, NOW)
    recent = [round(seconds, 3) for _, seconds, ago in slow if ago < WINDOW - 301]
    assert (tally.total, tally.worst >= max(recent, default=0.0)) == (len(slow), True)
    assert len(json.dumps(memory)) < 20_000
    assert len(tally.evidence) < 800


def test_the_worst_is_named_first_with_its_count() -> None:
    tally = Tally({}, NOW)
    for seconds, ago, number in ((4.0, 3000, 1), (9.26, 2000, 2), (5.0, 1000, 1), (3.5, 10, 3), (3.1, 5, 0)):
        tally.add(Slow(NOW - ago, seconds, int(seconds) * 100, statement(number)))
    assert tally.evidence == (
        "1× ≤ 9.3 s, 900 rows: select txx from t where nik = ?\n"
        "2× ≤ 5.0 s, 500 rows: select tx from t where nik = ?\n"
        "1× ≤ 3.5 s, 300 rows: select txxx from t where nik = ?")


def test_an_entry_from_the_future_is_of_now_and_an_old_one_only_counts() -> None:
    memory: dict[str, Any] = {}
    tally = Tally(memory, NOW)
    tally.add(Slow(NOW + 9999, 4.0, 1, "select 1"))
    tally.add(Slow(NOW - 9999, 8.0, 1, "select 1"))
    assert (tally.total, tally.worst) == (2, 4.0)
    assert (Tally(memory, NOW + WINDOW).total, Tally(memory, NOW + WINDOW).worst) == (2, 0.0)


def at(uptime: int, **status: int) -> Server:
    return Server({}, {"Uptime": str(uptime), **{name: str(value) for name, value in status.items()}})


@pytest.mark.parametrize(("looks", "totals"), [
    ([(10, 5), (70, 7), (130, 7)], [5, 7, 7]),
    ([(10, 5), (3, 2), (63, 4)], [5, 7, 9]),  # restarted
    ([(10, 5), (3, 6), (63, 6)], [5, 11, 11]),  # restarted, and more than before already
    ([(10, 5), (70, 1), (130, 2)], [5, 6, 7]),  # FLUSH STATUS
])
def test_counters_go_on_over_a_restart(looks: list[tuple[int, int]], totals: list[int]) -> None:
    memory: dict[str, Any] = {}
    assert [counted(memory, at(uptime, Aborted_clients=value), "Aborted_clients")["Aborted_clients"]
            for uptime, value in looks] == totals


def test_misses_are_a_share_of_many_requests() -> None:
    memory: dict[str, Any] = {}
    asked = [(0, 0, None), (500, 400, None), (20_000, 2_000, 0.1), (20_100, 2_100, 0.1), (40_000, 2_100, 100 / 20_000)]
    for minute, (requests, reads, ratio) in enumerate(asked):
        seen = missed(memory, requests, reads, NOW + minute * 60)
        assert seen == (None if ratio is None else pytest.approx(ratio, abs=0.006))
    assert missed(memory, 40_010, 2_110, NOW + 3600) == pytest.approx(0.001)  # ten misses at night are none


def test_who_is_in_the_way_is_so_until_nobody_has_waited_for_a_while() -> None:
    memory: dict[str, list[float]] = {}
    looks = [(0, [42], 0), (60, [42], 60), (120, [], 0), (300, [42], 300), (900, [42], 0), (960, [42, 43], 60),
             (1020, [43], 60)]
    assert [lasting(memory, roots, NOW + later) for later, roots, _ in looks] == [seconds for *_, seconds in looks]
    assert lasting(memory, [], NOW + 5000) == 0.0
    assert memory == {}


def test_a_clock_that_was_set_back_ages_nothing() -> None:
    memory: dict[str, Any] = {}
    lasting(memory, [42], NOW)
    assert lasting(memory, [42], NOW - 7200) == 0.0
    sizes: dict[str, Any] = {}
    grown(sizes, {"a.t": 100.0}, NOW)
    assert grown(sizes, {"a.t": 50.0}, NOW - 7200) is None


def test_growth_is_told_of_those_who_grew() -> None:
    memory: dict[str, Any] = {}
    for hours, sizes in ((0, {"a.t": 1e9, "a.u": 5e8}), (24, {"a.t": 3e9, "a.u": 4e8, "a.new": 7e9})):
        seen = Seen(sum(sizes.values()), sizes, (Table("a.t", 3e9, 0.5), Table("a.u", 4e8, 0.0)), ("a.old",), ())
        remember(seen, memory, NOW + hours * 3600)
    assert memory["seen"] == {
        "size": 10.4e9, "fragile": ["a.old"], "hidden": [], "growth": [1.9e9, "a.t +1907 MiB"],
        "free": [0.5, "a.t 50% / 2861 MiB"]}


def test_many_tables_are_remembered_for_a_day_and_a_half() -> None:
    memory: dict[str, Any] = {}
    sizes = {f"koperasi.table_with_a_long_name_{number}": 1e12 + number for number in range(60)}
    for hour in range(100):
        grown(memory, sizes, NOW + hour * 3600)
    assert len(json.dumps(memory)) < 40_000
    assert memory["sizes"][0][0] >= NOW + 99 * 3600 - 1.5 * DAY


DAMAGE = (
    ("2026-11-22 19:40:42 4 [ERROR] InnoDB: File './koperasi/t.ibd' is corrupted",
     "InnoDB: File './koperasi/t.ibd' is corrupted"),
    ("2026-11-22T12:40:42.123456Z 8 [ERROR] [MY-012224] [InnoDB] Checksum mismatch in datafile: ./koperasi/t.ibd",
     "Checksum mismatch in datafile: ./koperasi/t.ibd"),
    ("2026-11-22 19:02:29 45 [ERROR] Couldn't repair table: koperasi.lama2", "Couldn't repair table: koperasi.lama2"),
    ("2026-11-22 19:02:29 4 [ERROR] mariadbd: Table './k/l' is marked as crashed and last (automatic?) repair failed",
     "mariadbd: Table './k/l' is marked as crashed and last (automatic?) repair failed"),
    ("2026-11-22 19:02:29 45 [ERROR] mariadbd: Table './k/l' is marked as crashed and should be repaired", ""),
    ("2026-11-22 19:02:29 45 [Warning] Recovering table: './koperasi/lama'", ""),
    ("2026-11-22 19:40:42 4 [Note] InnoDB: You can use CHECK TABLE to scan your table for corruption.", ""),
    ("2026-11-22 19:40:42 4 [Warning] Access denied for user 'corrupt'@'localhost'", ""),
)


@pytest.mark.parametrize(("line", "last"), DAMAGE)
def test_damage_is_told_from_what_the_server_mends(tmp_path: Path, line: str, last: str) -> None:
    file = tmp_path / "error.log"
    file.write_text(f"Version: '10.11'  socket: ''\n{line}\n")
    memory: dict[str, Any] = {}
    assert mysql_damage.read(str(file), memory, 4e9) == (int(bool(last)), last)
    with file.open("a") as log:
        log.write(line[:30])  # more is to come
    again = json.loads(json.dumps(memory))
    assert mysql_damage.read(str(file), again, 4.0) == (int(bool(last)), last)
    with file.open("a") as log:
        log.write(line[30:] + "\n")
    assert mysql_damage.read(str(file), again, 5.0) == (2 * int(bool(last)), last)


@pytest.mark.parametrize(("log_error", "path"), [
    ("", ""), ("stderr", ""), (None, ""), ("./server.err", "/var/lib/mysql/./server.err"),
    ("/var/log/mysql/error.log", "/var/log/mysql/error.log")])
def test_an_error_log_may_be_a_file(log_error: str | None, path: str) -> None:
    assert mysql_damage.path(Server({"log_error": log_error, "datadir": "/var/lib/mysql/"}, {})) == path


@pytest.mark.parametrize(("file", "says"), [
    ("server-slow.log",
     "/var/lib/mysql/server-slow.log lies among the database's own files, which the agent may not see; as an "
     "administrator run: SET GLOBAL slow_query_log_file = '/var/log/mysql/slow.log'"),
    ("/var/log/mysql/slow.log", "what to do"),
])
def test_a_slow_log_that_may_not_be_read_says_where_it_could_lie(monkeypatch: pytest.MonkeyPatch, file: str,
                                                                 says: str) -> None:
    def closed(*_: object, **__: object) -> None:
        raise PermissionError("what to do")

    monkeypatch.setattr(mysql_slow, "follow", closed)  # root, who runs tests, may read anything
    server = Server({"datadir": "/var/lib/mysql/", "slow_query_log_file": file, "log_output": "FILE"}, {})
    with pytest.raises(PermissionError) as refused:
        mysql_slow.read(cast(Session, None), server, {}, NOW, slow=3, path="", here=True, every=600)
    assert str(refused.value) == says
