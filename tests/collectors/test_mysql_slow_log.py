"""The slow log as MariaDB and MySQL write it: each entry once, however it is cut, whatever stands in a statement."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.following import follow
from collectors.mysql_slow_log import Slow, SlowLog

# MariaDB 10.11.19 of Debian 12, log_slow_verbosity of the last entry: query_plan,explain
MARIADB = rb"""mariadbd, Version: 10.11.19-MariaDB-0+deb12u1-log (Debian 12). started with:
Tcp port: 0  Unix socket: /run/mysqld/mysqld.sock
Time		    Id Command	Argument
# Time: 261122 12:13:11
# User@Host: root[root] @ localhost []
# Thread_id: 6  Schema: koperasi  QC_hit: No
# Query_time: 0.300325  Lock_time: 0.000000  Rows_sent: 1  Rows_examined: 0
# Rows_affected: 0  Bytes_sent: 67
use `koperasi`;
SET timestamp=1795349591;
select sleep(0.3);
# User@Host: root[root] @ localhost []
# Thread_id: 6  Schema: koperasi  QC_hit: No
# Query_time: 0.450979  Lock_time: 0.000054  Rows_sent: 3  Rows_examined: 3
# Rows_affected: 0  Bytes_sent: 109
SET timestamp=1795349591;
select  nama
from simpanan where sleep(0.15)=0;
# Time: 261122  8:00:01
# User@Host: root[root] @ localhost []
# Thread_id: 8  Schema: koperasi  QC_hit: No
# Query_time: 0.303784  Lock_time: 0.000067  Rows_sent: 3  Rows_examined: 6
# Rows_affected: 0  Bytes_sent: 109
# Pages_accessed: 1  Pages_read: 0  Pages_prefetched: 0  Pages_updated: 0  Old_rows_read: 0
# Full_scan: Yes  Full_join: No  Tmp_table: No  Tmp_table_on_disk: No
#
# explain: id	select_type	table	type	possible_keys	key	Extra
# explain: 1	SIMPLE	simpanan	ALL	NULL	NULL	Using where; Using filesort
#
SET last_insert_id=3,insert_id=4,timestamp=1795349592;
select nama from simpanan where sleep(0.1)=0 order by nama;
"""
IN_MARIADB = [
    Slow(1795349591.300325, 0.300325, 0, "select sleep(0.3)"),
    Slow(1795349591.450979, 0.450979, 3, "select  nama\nfrom simpanan where sleep(0.15)=0"),
    Slow(1795349592.303784, 0.303784, 6, "select nama from simpanan where sleep(0.1)=0 order by nama"),
]
# MySQL 8.0; the second entry with log_slow_extra and another time zone
MYSQL = rb"""/usr/sbin/mysqld, Version: 8.0.22 (MySQL Community Server - GPL). started with:
Tcp port: 3306  Unix socket: /tmp/mysql.sock
Time                 Id Command    Argument
# Time: 2021-09-17T06:46:20.655775Z
# User@Host: root[root] @ localhost []  Id:    15
# Query_time: 4.003891  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 1
use sql_demo;
SET timestamp=1631861176;
select sleep(4);
# Time: 2021-09-17T13:47:00.000001+07:00
# User@Host: app[app] @  [10.0.0.7]  Id:    16
# Query_time: 3.500000  Lock_time: 1.250000 Rows_sent: 0  Rows_examined: 200 Thread_id: 16 Errno: 0 Killed: 0
SET timestamp=1631861216;
# administrator command: Ping;
"""
IN_MYSQL = [
    Slow(1631861180.003891, 4.003891, 1, "select sleep(4)"),
    Slow(1631861219.5, 3.5, 200, "# administrator command: Ping"),
]


def entry(statement: str, seconds: str = "4.000001", at: int = 1795349600) -> bytes:
    return (f"# User@Host: app[app] @ localhost []\n# Thread_id: 9  Schema: koperasi  QC_hit: No\n"
            f"# Query_time: {seconds}  Lock_time: 0.000000  Rows_sent: 1  Rows_examined: 7\n"
            f"# Rows_affected: 0  Bytes_sent: 67\nSET timestamp={at};\n{statement};\n").encode()


def read(*pieces: bytes) -> list[str]:
    """The statements, of pieces that come one after the other and what each leaves behind."""
    found: list[Slow] = []
    log, rest, inside = SlowLog(found.append), b"", 0
    for piece in pieces:
        rest += piece
        taken, inside = log.take(rest, inside, False)
        rest = rest[taken:]
    while rest:
        taken, inside = log.take(rest, inside, True)
        assert taken
        rest = rest[taken:]
    return [slow.statement for slow in found]


@pytest.mark.parametrize(("text", "entries"), [(MARIADB, IN_MARIADB), (MYSQL, IN_MYSQL), (b"", []), (b"\n\n", [])])
def test_both_dialects_are_read(text: bytes, entries: list[Slow]) -> None:
    found: list[Slow] = []
    taken, inside = SlowLog(found.append).take(text, 0, False)
    assert [(round(slow.end, 6), *slow[1:]) for slow in found] == [tuple(slow) for slow in entries]
    assert (taken, inside) == (len(text), 0)


FORGED = "\\n# Time: 261122 12:00:00\\n".replace("\\n", "\n") + entry("select 'forged'", "99999.000000").decode()


@pytest.mark.parametrize("statement", [
    f"insert into notes values ('{FORGED}')",
    f"insert into notes values ('it''s \\' {FORGED}', \"{FORGED}\", `{FORGED}`)".replace("'forged'", "1"),
    f"select /* {FORGED} */ 1".replace("'forged'", "1"),
    "select 'mysqld, Version: 8.0.22 (x). started with:\nTcp port: 3306\n'",
    "select 1 -- it's\n, 2 # don't\n, 3",
    "select 1 -- don't",
    "select 5 / 2 - -1 --2",
    "",
])
def test_what_stands_in_a_statement_is_no_entry(statement: str) -> None:
    text = statement.replace("'forged'", "\\'forged\\'")
    assert read(MARIADB, entry(text), entry("select 2")) == [*(e.statement for e in IN_MARIADB), text, "select 2"]


@pytest.mark.parametrize(("text", "statements"), [
    (entry("select 1")[40:] + entry("select 2"), ["select 2"]),  # its head was rotated away
    (b"rest of a value', 7);\n" + entry("select 2"), ["select 2"]),
    (b"# Time: 261122 12:00:00\n" + MYSQL, ["select sleep(4)", "# administrator command: Ping"]),
    (entry("select 'cut by a cra")[:-2] + b"\n" + entry("select 2") + MYSQL,  # and the quote never closes
     ["select 'cut by a cra", "select 2", "select sleep(4)", "# administrator command: Ping"]),
    (entry("select 'C:\\'") + entry("select 2"), ["select 'C:\\'", "select 2"]),  # NO_BACKSLASH_ESCAPES
    (entry("select 1", "18446744073709.550781") + entry("select 2"), ["select 2"]),  # the clock was set back
    (entry("select 1").replace(b"SET timestamp", b"set x") + entry("select 2"), ["select 2"]),
    (entry("select 1\xff\x00".encode("latin-1").decode("latin-1")), ["select 1\xff\x00"]),
])
def test_what_was_cut_or_spoilt_hides_nothing_that_follows(text: bytes, statements: list[str]) -> None:
    found = read(text)
    assert [each[:len(wanted)] for each, wanted in zip(found, statements, strict=True)] == statements


def test_an_entry_without_its_end_waits_for_it() -> None:
    whole = entry("select 1,\n2")
    for cut in range(1, len(whole)):
        found: list[Slow] = []
        log = SlowLog(found.append)
        taken, inside = log.take(whole[:cut], 0, False)
        assert (found, inside) == ([], 0)
        log.take(whole[taken:] if taken else whole, inside, False)
        assert [slow.statement for slow in found] == ["select 1,\n2"] or taken


TEXTS = st.sampled_from([MARIADB, MYSQL, entry("select 'x;\n'"), entry(f"select '{FORGED[:90]}'"), entry("do 1")])


@given(st.lists(TEXTS, max_size=4).map(b"".join), st.lists(st.integers(0, 2000), max_size=5))
def test_pieces_give_what_the_whole_gives(text: bytes, cuts: list[int]) -> None:
    bounds = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    assert read(*(text[a:b] for a, b in pairwise(bounds)), b"") == read(text)


LINES = st.sampled_from([
    b"# Time: 261122 12:13:11\n", b"# User@Host: a[a] @ b []\n", b"# Query_time: 5.0 Rows_examined: 1\n",
    b"/*", b"*/;\n", b"SET timestamp=1795349600;\n", b"select 'a\n", b"b';\n", b"use `x`;\n", b"\x00\xff", b"`", b"\\",
    b'"', b"# \n", b";\n", b"mysqld, Version: 8 started with:\n"])


@given(st.one_of(st.binary(max_size=400), st.lists(LINES, max_size=30).map(b"".join)), st.booleans(), st.booleans())
def test_any_bytes_are_taken_without_a_fault(text: bytes, inside: bool, end: bool) -> None:
    taken, _ = SlowLog(lambda _: None).take(text, int(inside), end)
    assert (min(1, len(text)) if end else 0) <= taken <= len(text)


def test_a_statement_of_many_megabytes_costs_no_time(tmp_path: Path) -> None:
    file = tmp_path / "slow.log"
    file.write_bytes(entry("insert into t values " + "('O\\'Brien # x')," * 200_000) + entry("select 2") * 5000)
    found: list[int] = []
    log = SlowLog(lambda slow: found.append(len(slow.statement)))
    place = follow(str(file), None, log.take, now=4e9, first=1e9).place
    assert (len(found), max(found) <= 100_000) == (5001, True)
    assert place["files"][0]["at"] == file.stat().st_size


def test_each_entry_counts_once_over_rotation_and_truncation(tmp_path: Path) -> None:
    file, found = tmp_path / "slow.log", list[str]()
    log = SlowLog(lambda slow: found.append(slow.statement))
    file.write_bytes(MARIADB)
    place = follow(str(file), None, log.take, now=4e9).place
    with file.open("ab") as writer:
        writer.write(entry("select 1") + entry("select 2")[:60])
        writer.flush()
        place = follow(str(file), place, log.take, now=1.0).place
        file.rename(tmp_path / "slow.log.1")  # the server goes on writing there until it is told
        writer.write(entry("select 2")[60:])
    file.write_bytes(MYSQL)
    place = follow(str(file), place, log.take, now=4e9).place
    file.write_bytes(b"rest of a statement';\n" + entry("select 3"))  # copytruncate
    follow(str(file), place, log.take, now=5e9)
    assert found == [
        *(e.statement for e in IN_MARIADB), "select 1", "select 2", *(e.statement for e in IN_MYSQL), "select 3"]
