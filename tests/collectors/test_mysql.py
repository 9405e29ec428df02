"""A real MariaDB, watched by an account that may little: broken in each way, and each right taken away."""

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import pymysql
import pytest

from collectors import mysql_tables
from collectors.base import Reading, Run
from collectors.mysql import EVERY, Mysql
from collectors.mysql_connection import Database, DatabaseError, connect
from collectors.secret import Secret
from house import until
from stack.mariadb import NEEDS, MariaDB

pytestmark = pytest.mark.needs_debian(*NEEDS)

EVERYTHING = "GRANT PROCESS, SHOW VIEW ON *.* TO 'jaga'@'localhost'"
SECRET = Secret("test", lambda: "rahasia")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mysql"), "--max-connections=10", "--long-query-time=0.2",
                 "--myisam-recover-options=OFF") as server:
        server.sql("CREATE DATABASE koperasi")
        server.sql("CREATE TABLE simpanan (id INT PRIMARY KEY AUTO_INCREMENT, nama VARCHAR(50)) ENGINE=InnoDB;"
                   "INSERT INTO simpanan (nama) VALUES ('Budi'), ('Siti')", "koperasi")
        server.sql("CREATE USER app@localhost; GRANT ALL ON koperasi.* TO app@localhost")
        yield server


@pytest.fixture
def jaga(server: MariaDB) -> Mysql:
    """The collector with an account that has the rights which the manual names, and no other."""
    server.sql("DROP USER IF EXISTS jaga@localhost; CREATE USER jaga@localhost IDENTIFIED BY 'rahasia'")
    server.sql(EVERYTHING)
    return collector(server)


def collector(server: MariaDB, **options: Any) -> Mysql:
    return Mysql(socket=str(server.socket), user="jaga", password=SECRET, **options)


class Looks:
    """Looks like those of the runner: a look that fails leaves no memory."""

    def __init__(self, collector: Mysql) -> None:
        self.collector, self.memory = collector, dict[str, Any]()
        self.readings: list[Reading] = []
        self.troubles: dict[str, str] = {}
        self.error = ""

    def look(self, later: float = 0.0, keep: bool = True) -> "Looks":
        run = Run(time.time() + later, json.loads(json.dumps(self.memory)))
        self.readings, self.error = [], ""
        try:
            for reading in self.collector.collect(run):
                self.readings.append(reading)
        except DatabaseError as error:
            self.error = str(error)
        self.troubles = {name: str(error) for name, error in run.targets.items() if error}
        if keep and not self.error:
            self.memory = json.loads(json.dumps(run.memory))
        return self

    def __getitem__(self, metric: str) -> float:
        (value,) = [r.value for r in self.readings if r.metric == f"jaga_mysql_{metric}"]
        return value

    def note(self, metric: str) -> str:
        (note,) = [r.note for r in self.readings if r.metric == f"jaga_mysql_{metric}"]
        return note

    @property
    def metrics(self) -> set[str]:
        return {reading.metric.removeprefix("jaga_mysql_") for reading in self.readings}


WHOLE = {
    "up", "info", "uptime_seconds", "full", "connections_used_ratio", "threads_running", "connections_refused_total",
    "connections_aborted_total", "transactions", "transaction_oldest_seconds", "lock_waits", "lock_wait_seconds",
    "read_only", "tables_size_bytes", "table_free_ratio", "tables_crashed", "slow_log_threshold_seconds",
    "slow_queries_total", "slow_query_seconds",
}


def test_everything_is_measured_with_the_rights_of_the_manual(server: MariaDB, jaga: Mysql) -> None:
    seen = Looks(jaga)
    until(lambda: seen.look()["connections_used_ratio"] == 0.1, pause=0.2)  # who hung up is counted for a moment more
    assert (seen.metrics, seen.troubles, seen.error) == (WHOLE, {}, "")
    assert [dict(r.labels) for r in seen.readings if r.metric == "jaga_mysql_info"] == [
        {"server": "mariadb", "version": str(server.sql("SELECT VERSION()")[0][0]).removesuffix("-log")}]
    assert (seen["up"], seen["full"], seen["read_only"]) == (1, 0, 0)
    assert seen["tables_size_bytes"] >= 65536
    assert len(json.dumps(seen.memory)) < 5000


def test_the_account_cannot_read_what_stands_in_tables(server: MariaDB, jaga: Mysql) -> None:
    with connect(jaga) as session, pytest.raises(DatabaseError) as refused:
        session.rows("SELECT * FROM koperasi.simpanan")
    assert refused.value.code == 1142


def test_a_run_asks_little(server: MariaDB, jaga: Mysql) -> None:
    seen = Looks(jaga).look()
    before = int(server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
    connections = int(server.sql("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])
    seen.look(later=EVERY)
    # root's own two questions and connections are in it
    assert int(server.sql("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]) - before <= 15 + 2
    assert int(server.sql("SHOW GLOBAL STATUS LIKE 'Connections'")[0][1]) - connections == 1 + 2


@pytest.mark.parametrize(("taken", "missing", "grant"), [
    ("PROCESS", {"transactions", "tables"}, EVERYTHING),
    ("SHOW VIEW", {"tables"}, EVERYTHING),
    ("PROCESS, SHOW VIEW", {"transactions", "tables"}, EVERYTHING),
])
def test_a_missing_right_is_printed_as_the_grant_that_gives_it(server: MariaDB, jaga: Mysql, taken: str,
                                                               missing: set[str], grant: str) -> None:
    server.sql(f"REVOKE {taken} ON *.* FROM jaga@localhost")
    looks = Looks(jaga)
    for _ in range(2):  # it is as unknown in the second look
        looks.look()
        assert looks.troubles.keys() == missing
        assert all(trouble.endswith(f"; as an administrator run: {grant}") for trouble in looks.troubles.values())
        assert looks.error == ""
        of = {"transactions": {"transactions", "transaction_oldest_seconds", "lock_waits", "lock_wait_seconds"}}
        assert looks.metrics >= WHOLE - of["transactions"] - {"tables_size_bytes", "table_free_ratio", "tables_crashed"}
    server.sql(looks.troubles["tables"].rpartition("run: ")[2])
    assert (looks.look().metrics, looks.troubles) == (WHOLE, {})


def test_without_an_account_its_making_is_printed(server: MariaDB, jaga: Mysql) -> None:
    server.sql("DROP USER jaga@localhost")
    looks = Looks(jaga).look()
    assert (looks.metrics, looks["up"]) == ({"up"}, 1)
    assert "rahasia" not in looks.error
    server.sql(looks.error.rpartition("run: ")[2].replace("PASSWORD", "rahasia"))
    assert (looks.look().metrics, looks.troubles, looks.error) == (WHOLE, {}, "")


def test_a_replica_is_watched_once_the_right_is_there(server: MariaDB, jaga: Mysql) -> None:
    looks = Looks(jaga).look()
    assert "replica_up" not in looks.metrics
    server.sql("SET GLOBAL gtid_slave_pos = '0-1-1'")
    try:
        grant = looks.look().troubles["replication"].rpartition("run: ")[2]
        assert grant == "GRANT SLAVE MONITOR ON *.* TO 'jaga'@'localhost'"
        assert "read_only" not in looks.metrics  # a replica should be read-only: whether it is one is not known
        server.sql(grant)
        server.sql("SET GLOBAL read_only = 1; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 1")
        looks.look()
        assert (looks["replica_up"], looks["read_only"], looks.troubles) == (0, 0, {})
        assert looks.note("replica_up").startswith("IO=No; SQL=No")
        assert "replica_lag_seconds" not in looks.metrics  # it applies nothing, so nobody knows
    finally:
        server.sql("SET GLOBAL read_only = 0; STOP SLAVE; RESET SLAVE ALL; SET GLOBAL gtid_slave_pos = ''")
    assert (looks.look()["read_only"], "replica_up" in looks.metrics) == (0, False)


@pytest.mark.parametrize(("setting", "note"), [("read_only", "read_only=1")])
def test_a_server_that_takes_no_writes_is_read_only(server: MariaDB, jaga: Mysql, setting: str, note: str) -> None:
    server.sql(f"SET GLOBAL {setting} = 1")
    try:
        seen = Looks(jaga).look()
    finally:
        server.sql(f"SET GLOBAL {setting} = 0")
    assert (seen["read_only"], seen.note("read_only")) == (1, note)
    assert seen.look()["read_only"] == 0


def test_a_full_server_answers_and_is_full(server: MariaDB, jaga: Mysql) -> None:
    looks = Looks(jaga).look()
    refused = looks["connections_refused_total"]
    held = [pymysql.connect(unix_socket=str(server.socket), user="app") for _ in range(9)]
    try:
        looks.look()
        assert (looks["connections_used_ratio"], looks["full"]) == (1, 0)  # we have the last one
        assert looks.note("connections_used_ratio") == "10 / 10: 9 app@- sleep, 1 jaga@- query"

        def one_more() -> bool:
            """As soon as the server is done with Jaga's last connection."""
            with suppress(pymysql.err.OperationalError):
                held.append(pymysql.connect(unix_socket=str(server.socket), user="app"))
            return len(held) == 10

        until(one_more)
        looks.look()
        assert {(r.metric.removeprefix("jaga_mysql_"), r.value) for r in looks.readings} == {
            ("up", 1), ("full", 1), ("connections_used_ratio", 1)}
        held.append(server.connect())  # root has the one that is kept for administrators; MariaDB counts from there on
        looks.look()
        assert looks["full"] == 1
    finally:
        for each in held:
            each.close()
    until(lambda: looks.look().metrics == WHOLE, pause=0.2)
    assert looks["connections_refused_total"] > refused


def test_who_holds_a_lock_is_named_and_what_stands_in_the_row_is_not(server: MariaDB, jaga: Mysql) -> None:
    looks = Looks(jaga)
    with closing(server.connect("koperasi")) as holding, closing(server.connect("koperasi")) as waiting:
        with holding.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE simpanan SET nama = 'Rahasia' WHERE id = 1")
        waiting._execute_command(3, b"UPDATE simpanan SET nama = 'Ani' WHERE id = 1")  # 3: COM_QUERY, without an answer
        until(lambda: looks.look()["lock_waits"] == 1, pause=0.2)
        note = looks.note("lock_wait_seconds")
        assert note.split("\n")[0].startswith(f"{holding.thread_id()} root@koperasi sleep (")
        assert f"{waiting.thread_id()} root@koperasi update simpanan set nama = ? where id = ? (" in note
        assert looks["transactions"] == 2
        first = looks["lock_wait_seconds"]
        assert looks.look(later=240)["lock_wait_seconds"] >= 239  # others may wait in turn: it is the same one's fault
        assert first < 60
        holding.rollback()
        waiting._read_query_result()
        waiting.rollback()
    # InnoDB shows who asks more often than every 0.1 s the same picture for ever
    until(lambda: looks.look()["transactions"] == 0, pause=0.2)
    assert (looks["lock_waits"], looks["lock_wait_seconds"]) == (0, 0)


def test_a_wait_for_a_tables_definition_counts(server: MariaDB, jaga: Mysql) -> None:
    with closing(server.connect("koperasi")) as holding, closing(server.connect("koperasi")) as waiting:
        with holding.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT * FROM simpanan")
        until(lambda: server.sql("SELECT 1 FROM information_schema.innodb_trx"), pause=0.2)  # its picture may be older
        waiting._execute_command(3, b"ALTER TABLE simpanan COMMENT 'x'")
        looks = Looks(jaga)
        until(lambda: looks.look()["lock_waits"] == 1, pause=0.2)
        assert looks.note("lock_wait_seconds").split("\n")[0].startswith(f"{holding.thread_id()} root@koperasi sleep (")
        assert looks.note("lock_wait_seconds").endswith("Waiting for table metadata lock")
        holding.rollback()
        waiting._read_query_result()


def slow(server: MariaDB, statement: str, table: bool = False) -> None:
    """Run it, and wait until it stands in the log."""
    def logged() -> int:
        return int(server.sql("SELECT COUNT(*) FROM mysql.slow_log")[0][0]) if table else server.slow_log.stat().st_size

    before = logged()
    server.sql(statement, "koperasi")
    until(lambda: logged() > before)


def test_slow_statements_are_counted_once_by_shape(server: MariaDB, jaga: Mysql) -> None:
    looks = Looks(collector(server, slow=0.6)).look()
    total = looks["slow_queries_total"]
    slow(server, "SELECT sleep(0.7), 1 FROM dual WHERE 'Budi' <> 'x'")
    slow(server, "SELECT sleep(0.8), 2 FROM dual WHERE 'Siti' <> 'x'")
    slow(server, "SELECT sleep(0.21)")  # logged, but not slow to us
    looks.look(keep=False)  # killed before it was committed
    looks.look()
    looks.look()
    assert looks["slow_queries_total"] == total + 2
    assert 0.8 <= looks["slow_query_seconds"] < 60
    line = next(line for line in looks.note("slow_query_seconds").split("\n") if "dual" in line)
    assert line.startswith("2× ≤ ")
    assert line.endswith(" rows: select sleep(?), ? from dual where ? <> ?")
    assert "Siti" not in json.dumps(looks.memory)
    looks.look(later=3700)  # an hour later nobody minds
    assert (looks["slow_query_seconds"], looks["slow_queries_total"]) == (0, total + 2)


def test_slow_statements_are_read_from_the_table_form(server: MariaDB, jaga: Mysql) -> None:
    server.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.slow_log")
    looks = Looks(collector(server, slow=0.6))
    try:
        slow(server, "SELECT sleep(0.7)", table=True)
        slow(server, "SELECT sleep(0.21)", table=True)
        grant = looks.look().troubles["slow log"].rpartition("run: ")[2]
        assert grant == "GRANT SELECT ON mysql.slow_log TO 'jaga'@'localhost'"
        assert "slow_queries_total" not in looks.metrics
        server.sql(grant)
        assert looks.look(later=1000)["slow_queries_total"] == 1
        slow(server, "SELECT sleep(0.8)", table=True)
        assert looks.look(later=1100)["slow_queries_total"] == 1  # it is read rarely
        assert looks.look(later=1700)["slow_queries_total"] == 2
        assert looks.look(later=2400)["slow_queries_total"] == 2
        assert re.match(r"2× ≤ (0\.[89]|\d+(\.\d)?) s", looks.note("slow_query_seconds"))
        server.sql("TRUNCATE mysql.slow_log")
        slow(server, "SELECT sleep(0.7)", table=True)
        slow(server, "SELECT sleep(0.7)", table=True)
        assert looks.look(later=3100)["slow_queries_total"] == 4
    finally:
        server.sql("SET GLOBAL log_output = 'FILE'")


def test_a_slow_log_that_is_off_is_told_and_nothing_is_called_quick(server: MariaDB, jaga: Mysql) -> None:
    server.sql("SET GLOBAL slow_query_log = 0")
    try:
        seen = Looks(jaga).look()
    finally:
        server.sql("SET GLOBAL slow_query_log = 1")
    assert seen["slow_log_threshold_seconds"] == float("inf")
    assert seen.metrics == WHOLE - {"slow_queries_total", "slow_query_seconds"}
    assert seen.troubles == {}


def test_a_slow_log_that_is_not_there_is_told(server: MariaDB, jaga: Mysql, tmp_path: Path) -> None:
    gone = Looks(collector(server, slow_log=str(tmp_path / "slow.log"))).look()
    assert gone.troubles.keys() == {"slow log"}
    assert gone.troubles["slow log"].startswith(f"{tmp_path}/slow.log: there is no such slow query log")


def test_a_log_on_another_machine_is_not_looked_for_here(server: MariaDB, jaga: Mysql,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    server.sql("DROP USER IF EXISTS jaga@'127.0.0.1'; CREATE USER jaga@'127.0.0.1' IDENTIFIED BY 'rahasia'")
    server.sql("GRANT PROCESS, SHOW VIEW ON *.* TO jaga@'127.0.0.1'")
    far = Mysql(host="127.0.0.2", port=server.port, user="jaga", password=SECRET)
    monkeypatch.setattr("collectors.mysql.connect", lambda _: connect(
        Database(host="127.0.0.1", port=server.port, user="jaga", password=SECRET)))
    assert "lies on the database's machine" in Looks(far).look().troubles["slow log"]


def test_tables_of_all_kinds_are_seen_and_none_is_missed(server: MariaDB, jaga: Mysql) -> None:
    server.sql("CREATE TABLE `log-lama` (id INT) ENGINE=InnoDB; CREATE TABLE `é` (id INT) ENGINE=InnoDB;"
               "CREATE TABLE cari (id INT PRIMARY KEY, isi TEXT, FULLTEXT (isi)) ENGINE=InnoDB;"
               "CREATE TABLE bulan (id INT) ENGINE=InnoDB PARTITION BY HASH (id) PARTITIONS 3;"
               "CREATE TABLE Besar (id INT) ENGINE=InnoDB", "koperasi")
    seen = Looks(jaga).look()
    assert seen.troubles == {}
    with connect(jaga) as session:
        sizes = mysql_tables.look(session, {}).sizes
    assert {"koperasi.log-lama", "koperasi.cari", "koperasi.bulan", "koperasi.Besar"} <= sizes.keys()
    assert sizes["koperasi.bulan"] == 3 * 65536


def test_empty_space_in_a_big_table_is_seen(server: MariaDB, jaga: Mysql, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_tables, "BIG", 8e6)  # instead of filling 100 MB
    server.sql("CREATE TABLE besar1 (id INT PRIMARY KEY, isi VARCHAR(200)) ENGINE=InnoDB;"
               "INSERT INTO besar1 SELECT seq, REPEAT('x', 200) FROM seq_1_to_80000; ANALYZE TABLE besar1", "koperasi")
    looks = Looks(jaga).look()
    assert looks["table_free_ratio"] < 0.4
    server.sql("DELETE FROM besar1 WHERE id > 15000; ANALYZE TABLE besar1", "koperasi")
    hours = count(7, 7)  # tables are looked at every six
    until(lambda: looks.look(later=next(hours) * 3600)["table_free_ratio"] > 0.4)
    assert looks.note("table_free_ratio").startswith("koperasi.besar1 ")
    server.sql("DROP TABLE besar1", "koperasi")


def test_rows_deleted_here_and_there_are_seen_by_how_few_are_left(server: MariaDB, jaga: Mysql,
                                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql_tables, "BIG", 8e6)
    server.sql("CREATE TABLE besar2 (id INT PRIMARY KEY, isi VARCHAR(200)) ENGINE=InnoDB;"
               "INSERT INTO besar2 SELECT seq, REPEAT('x', 200) FROM seq_1_to_80000; ANALYZE TABLE besar2", "koperasi")
    looks = Looks(jaga).look()
    server.sql("DELETE FROM besar2 WHERE id % 6 <> 0; ANALYZE TABLE besar2", "koperasi")
    free = server.sql("SELECT data_free / data_length FROM information_schema.tables WHERE table_name = 'besar2'")[0][0]
    assert free < 0.4  # the server itself does not see it
    hours = count(7, 7)
    until(lambda: looks.look(later=next(hours) * 3600)["table_free_ratio"] > 0.6)
    server.sql("DROP TABLE besar2", "koperasi")


def test_growth_is_that_of_a_day(server: MariaDB, jaga: Mysql) -> None:
    looks = Looks(jaga).look()
    assert "tables_day_growth_bytes" not in looks.metrics
    server.sql("CREATE TABLE tumbuh (id INT PRIMARY KEY, isi VARCHAR(200)) ENGINE=InnoDB", "koperasi")
    for hours in (6, 12, 18):
        looks.look(later=hours * 3600.0 + 60)
    server.sql("INSERT INTO tumbuh SELECT seq, REPEAT('x', 200) FROM seq_1_to_60000", "koperasi")
    looks.look(later=30 * 3600.0 + 60)
    assert looks["tables_day_growth_bytes"] > 10e6
    assert looks.note("tables_day_growth_bytes").startswith("koperasi.tumbuh +")
    assert len(looks.memory["tables"]["sizes"]) == 5
    assert looks.look(later=60 * 3600.0)["tables_day_growth_bytes"] == 0
    server.sql("DROP TABLE tumbuh", "koperasi")


def crash(server: MariaDB, table: str) -> None:
    """As a power cut leaves it: an index file that is cut off, and the server finds out."""
    server.sql(f"CREATE TABLE {table} (id INT PRIMARY KEY, isi VARCHAR(200)) ENGINE=MyISAM;"
               f"INSERT INTO {table} SELECT seq, REPEAT('x', 100) FROM seq_1_to_5000; FLUSH TABLES", "koperasi")
    os.truncate(server.data / "koperasi" / f"{table}.MYI", 20_000)
    with pytest.raises(pymysql.err.Error):
        server.sql(f"SELECT sum(id) FROM {table} WHERE id > 100", "koperasi")


def test_a_crashed_table_is_named_until_it_is_repaired(server: MariaDB, jaga: Mysql) -> None:
    crash(server, "lama")
    server.sql("CHECK TABLE lama; FLUSH TABLES", "koperasi")
    looks = Looks(jaga).look()
    assert (looks["tables_crashed"], looks.note("tables_crashed").split(": ")[0]) == (1, "koperasi.lama")
    server.sql("REPAIR TABLE lama", "koperasi")
    assert looks.look(later=400)["tables_crashed"] == 0
    server.sql("DROP TABLE lama", "koperasi")


def test_where_the_server_repairs_by_itself_no_look_makes_it_do_so(tmp_path: Path) -> None:
    with MariaDB(tmp_path, "--myisam-recover-options=BACKUP,QUICK") as server:
        server.sql("CREATE DATABASE koperasi")
        server.sql(f"CREATE USER jaga@localhost IDENTIFIED BY 'rahasia'; {EVERYTHING}")
        crash(server, "lama")
        files = {file.name: file.stat().st_mtime_ns for file in (server.data / "koperasi").iterdir()}
        looks = Looks(collector(server)).look()
        assert (looks.metrics, looks.troubles) == (WHOLE - {"tables_crashed"}, {})
        assert {file.name: file.stat().st_mtime_ns for file in (server.data / "koperasi").iterdir()} == files


def test_a_dead_or_hanging_server_is_down_and_nothing_else_is_said(tmp_path: Path) -> None:
    with MariaDB(tmp_path) as server:
        server.sql(f"CREATE USER jaga@localhost IDENTIFIED BY 'rahasia'; {EVERYTHING}")
        looks = Looks(collector(server)).look()
        for _ in range(3):  # a counter that a restart will begin anew
            with pytest.raises(pymysql.err.OperationalError):
                pymysql.connect(unix_socket=str(server.socket), user="jaga", password="falsch")
        until(lambda: next(r.value for r in looks.look().readings if ("how", "connect") in r.labels) == 3)

        os.kill(server.pid, signal.SIGSTOP)
        looks.look()
        os.kill(server.pid, signal.SIGCONT)
        assert [(r.metric, r.value) for r in looks.readings] == [("jaga_mysql_up", 0)]
        assert looks.note("up").endswith("the server hung up or did not answer in time")

        server.kill()
        looks.look()
        assert [(r.metric, r.value) for r in looks.readings] == [("jaga_mysql_up", 0)]
        assert looks.note("up").endswith("nothing listens there: is the database running?")

        server.start()
        looks.look()
        assert (looks["up"], looks.error) == (1, "")
        assert next(r.value for r in looks.readings if ("how", "connect") in r.labels) == 3  # as if it had gone on

        server.stop()
        assert looks.look().note("up").endswith("there is no such socket: is the database running?")


def test_the_servers_time_zone_ages_nothing(tmp_path: Path) -> None:
    with MariaDB(tmp_path, "--default-time-zone=+00:00", "--log-output=TABLE", "--long-query-time=0.2",
                 zone="Asia/Jakarta") as server:
        server.sql("CREATE DATABASE koperasi; CREATE TABLE koperasi.t (id INT PRIMARY KEY) ENGINE=InnoDB")
        server.sql(f"CREATE USER jaga@localhost IDENTIFIED BY 'rahasia'; {EVERYTHING};"
                   "GRANT SELECT ON mysql.slow_log TO jaga@localhost")
        looks = Looks(collector(server, slow=0.25))
        with closing(server.connect("koperasi")) as holding, holding.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO t VALUES (1)")
            until(lambda: looks.look()["transactions"] == 1, pause=0.2)
            assert looks["transaction_oldest_seconds"] < 60
        for zone in ("SYSTEM", "+00:00", "+09:00"):  # what stands in the table is the local time of whoever asked
            server.sql(f"SET time_zone = '{zone}'; SELECT sleep(0.3)")
        looks.look(later=1000)
        assert (looks["slow_queries_total"], looks["slow_query_seconds"] < 60) == (3, True)
        assert looks.look(later=1000 + 3700)["slow_query_seconds"] == 0
