"""A database that really breaks, and what people are told: tests/golden/mysql-*.txt."""

import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from collectors.mysql import Mysql
from collectors.secret import Secret
from collectors.services import ACTIVE
from golden import Told, same, whole_minutes
from house import until
from stack.mariadb import NEEDS, MariaDB

SECRET = Secret("test", lambda: "rahasia")
pytestmark = pytest.mark.needs_debian(*NEEDS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("mysql"), "--max-connections=10", "--myisam-recover-options=OFF") as server:
        server.sql("CREATE DATABASE koperasi")
        server.sql("CREATE TABLE savings (id INT PRIMARY KEY, name VARCHAR(50), balance INT) ENGINE=InnoDB;"
                   "INSERT INTO savings VALUES (1, 'Budi', 100), (2, 'Siti', 200)", "koperasi")
        server.sql("CREATE USER koperasi@localhost; GRANT ALL ON koperasi.* TO koperasi@localhost;"
                   "CREATE USER jaga@localhost IDENTIFIED BY 'rahasia';"
                   "GRANT PROCESS, SHOW VIEW ON *.* TO jaga@localhost")
        yield server


@pytest.fixture
def jaga(server: MariaDB) -> Mysql:
    os.truncate(server.slow_log, 0)  # what an earlier story left there
    return Mysql(socket=str(server.socket), user="jaga", password=SECRET)


def app(server: MariaDB) -> "pymysql.Connection[Any]":
    return pymysql.connect(unix_socket=str(server.socket), user="koperasi", database="koperasi", read_timeout=60)


def folder(server: MariaDB) -> dict[str, str]:
    return {str(server.socket): "/run/mysqld/mysqld.sock", str(server.folder): "/var/lib/mysql"}


def test_a_killed_database(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    told.look("mysql", jaga, minute=0)
    server.kill()
    try:
        told.look("mysql", jaga, minute=1)
        assert told.subjects == []  # a restart takes less than a minute
        told.look("mysql", jaga, minute=2)
    finally:
        server.start()
    told.look("mysql", jaga, minute=9)
    same("mysql-down", told.text(), scrub=folder(server))


def test_a_dead_unit_is_the_one_message(server: MariaDB, jaga: Mysql) -> None:
    told = Told("services", "mysql")
    told.look("mysql", jaga, minute=0)
    server.stop()
    try:
        told.take("services", [ACTIVE(0, unit="mariadb", note="exited with 0")], minute=0.5)
        for minute in (1, 2, 3, 10):
            told.look("mysql", jaga, minute=minute)
        assert told.open == ["mysql_down", "service_down"]
    finally:
        server.start()
    told.take("services", [ACTIVE(1, unit="mariadb")], minute=11)
    told.look("mysql", jaga, minute=11.5)
    assert told.subjects == [told.subjects[0], told.subjects[-1]]
    assert "mariadb" in told.subjects[0]
    assert told.open == []


def test_connections_run_out(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    held = [app(server) for _ in range(8)]
    try:
        told.look("mysql", jaga, minute=0)
        told.look("mysql", jaga, minute=2)
        held += [app(server) for _ in range(2)]
        told.look("mysql", jaga, minute=3)
        told.look("mysql", jaga, minute=4)
    finally:
        for each in held:
            each.close()
    with closing(server.connect()) as root, root.cursor() as cursor:
        def connected() -> str:
            cursor.execute("SHOW STATUS LIKE 'Threads_connected'")
            [(_, number)] = cursor.fetchall()
            return str(number)

        until(lambda: connected() == "1")
        told.look("mysql", jaga, minute=6)
    same("mysql-connections-exhausted", told.text(), scrub=folder(server))


def test_a_query_of_four_seconds(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    told.look("mysql", jaga, minute=0)
    server.sql("SELECT s.name, sleep(4) FROM savings s WHERE s.name = 'Budi'", "koperasi")
    until(lambda: b"sleep(4)" in server.slow_log.read_bytes())
    told.look("mysql", jaga, minute=1)
    told.look("mysql", jaga, minute=30)
    told.look("mysql", jaga, minute=65)
    text = re.sub(r"^4[.,]\d (detik|s),", r"4 \1,", told.text(), flags=re.M)  # it may wake a little late
    same("mysql-slow-query", re.sub(r"≤ 4\.\d s", "≤ 4.0 s", text))


def test_a_lock_that_is_held(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    with closing(app(server)) as holding, closing(app(server)) as waiting:
        with holding.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE savings SET balance = balance + 5000 WHERE name = 'Budi'")
        waiting._execute_command(3, b"UPDATE savings SET balance = 0 WHERE id = 1")  # 3: COM_QUERY, without an answer
        waits = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        until(lambda: server.sql(waits), pause=0.2)
        numbers = {f"{client.thread_id()} koperasi@": f"{number} koperasi@"
                   for client, number in ((holding, 42), (waiting, 57))}
        for minute in (0, 1, 3, 4, 6):
            told.look("mysql", jaga, minute=minute)
        holding.rollback()
        waiting._read_query_result()
        waiting.rollback()
    # InnoDB shows who asks more often than every 0.1 s the same picture for ever
    until(lambda: not server.sql("SELECT 1 FROM information_schema.innodb_trx"), pause=0.2)
    told.look("mysql", jaga, minute=7)
    text = re.sub(r"\(\d+ s\)", "(20 s)", told.text())
    same("mysql-lock-held", whole_minutes(text), scrub=numbers)


def test_a_crashed_table(server: MariaDB, jaga: Mysql) -> None:
    server.sql("CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(200)) ENGINE=MyISAM;"
               "INSERT INTO notes SELECT seq, REPEAT('x', 100) FROM seq_1_to_5000; FLUSH TABLES", "koperasi")
    told = Told("mysql")
    told.look("mysql", jaga, minute=0)
    os.truncate(server.data / "koperasi/notes.MYI", 20_000)
    with pytest.raises(pymysql.err.Error):
        server.sql("SELECT sum(id) FROM notes WHERE id > 100", "koperasi")
    server.sql("CHECK TABLE notes; FLUSH TABLES", "koperasi")
    told.look("mysql", jaga, minute=6)
    server.sql("REPAIR TABLE notes", "koperasi")
    told.look("mysql", jaga, minute=12)
    same("mysql-table-crashed", told.text())


def test_a_table_whose_pages_are_damaged(tmp_path: Path) -> None:
    with MariaDB(tmp_path, f"--log-error={tmp_path}/error.log") as server:
        server.sql("CREATE DATABASE koperasi; USE koperasi;"
                   "CREATE TABLE ledger (id INT PRIMARY KEY, text VARCHAR(200)) ENGINE=InnoDB;"
                   "INSERT INTO ledger SELECT seq, REPEAT('x', 200) FROM seq_1_to_2000;"
                   "CREATE USER jaga@localhost IDENTIFIED BY 'rahasia';"
                   "GRANT PROCESS, SHOW VIEW ON *.* TO jaga@localhost")
        told, jaga = Told("mysql"), Mysql(socket=str(server.socket), user="jaga", password=SECRET)
        told.look("mysql", jaga, minute=0)
        server.stop()
        with (server.data / "koperasi/ledger.ibd").open("r+b") as file:  # as a dying disk leaves it
            for page in range(6, 30):
                file.seek(page * 16384 + 5000)
                file.write(b"\xff" * 64)
        server.start()
        told.look("mysql", jaga, minute=2)
        assert told.subjects == []  # nobody has read it yet
        with pytest.raises(pymysql.err.Error):
            server.sql("SELECT sum(length(text)) FROM ledger", "koperasi")
        told.look("mysql", jaga, minute=3)
        told.look("mysql", jaga, minute=4)
        server.sql("DROP TABLE ledger", "koperasi")
        told.look("mysql", jaga, minute=364)
    same("mysql-corruption", told.text())


def test_a_database_that_takes_no_writes(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    told.look("mysql", jaga, minute=0)
    server.sql("SET GLOBAL read_only = 1")
    try:
        with closing(app(server)) as client, client.cursor() as cursor, pytest.raises(pymysql.err.OperationalError):
            cursor.execute("UPDATE savings SET balance = 0")
        told.look("mysql", jaga, minute=1)
        told.look("mysql", jaga, minute=3)
    finally:
        server.sql("SET GLOBAL read_only = 0")
    told.look("mysql", jaga, minute=4)
    same("mysql-read-only", told.text())


def test_a_right_that_is_missing(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    told.look("mysql", jaga, minute=0)
    server.sql("REVOKE SHOW VIEW ON *.* FROM jaga@localhost")
    told.look("mysql", jaga, minute=361)
    told.look("mysql", jaga, minute=365)
    server.sql("GRANT PROCESS, SHOW VIEW ON *.* TO 'jaga'@'localhost'")
    told.look("mysql", jaga, minute=366)
    same("mysql-right-missing", told.text(), scrub=folder(server))


def test_a_slow_log_that_holds_the_slowest_alone(server: MariaDB, jaga: Mysql) -> None:
    told = Told("mysql")
    server.sql("SET GLOBAL long_query_time = 10")
    try:
        told.look("mysql", jaga, minute=0)
        told.look("mysql", jaga, minute=60)
    finally:
        server.sql("SET GLOBAL long_query_time = 3")
    told.look("mysql", jaga, minute=61)
    same("mysql-slow-log-off", told.text())


def test_the_socket_that_is_there_is_discovered(server: MariaDB, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.mysql._SOCKETS", (str(tmp_path / "no.sock"), str(server.socket)))
    found = Mysql.discover() or ""
    assert tomllib.loads(found) == {"collectors": {"mysql": {
        "socket": str(server.socket), "user": "jaga", "password": {"credential": "mysql_password"}}}}
    monkeypatch.setattr("collectors.mysql._SOCKETS", (str(tmp_path / "no.sock"),))
    assert Mysql.discover() is None
