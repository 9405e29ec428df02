"""A connection that cannot write, ends its statements in time, and says in one sentence why it was refused."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.effective import toml
from collectors.mysql_connection import Database, DatabaseError, connect
from collectors.secret import Secret
from house import free_port
from stack.mariadb import NEEDS, MariaDB
from stack.program import until

pytestmark = pytest.mark.needs_debian(*NEEDS)
PASSWORD = "rahasia-sekali"


def secret(text: str) -> Secret:
    return Secret('{ env = "P" }', lambda: text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    with MariaDB(tmp_path_factory.mktemp("connection"), "--max-connections=10", "--max-connect-errors=100000") as made:
        made.sql(f"""
            CREATE DATABASE toko; CREATE TABLE toko.beras (id INT PRIMARY KEY, kilo INT, harga INT) ENGINE=InnoDB;
            INSERT INTO toko.beras VALUES (1, 5, 68000), (2, 25, 340000);
            CREATE USER jaga@'%' IDENTIFIED BY '{PASSWORD}' WITH MAX_USER_CONNECTIONS 2;
            CREATE USER sempit@'%' IDENTIFIED BY '{PASSWORD}';
            CREATE USER penuh@'%' IDENTIFIED BY '{PASSWORD}';
            GRANT ALL ON toko.* TO jaga@'%'; GRANT ALL ON toko.* TO penuh@'%';
            GRANT SELECT (id, kilo) ON toko.beras TO sempit@'%';""")
        yield made


def at(server: MariaDB, user: str = "penuh", password: str = PASSWORD, database: str = "toko") -> Database:
    return Database(port=server.port, user=user, password=secret(password), database=database)


@pytest.mark.parametrize("way", ["port", "socket"])
def test_a_session_reads_within_its_limits(server: MariaDB, way: str) -> None:
    asked = at(server) if way == "port" else Database(socket=str(server.socket), user="penuh",
                                                      password=secret(PASSWORD), database="toko")
    with connect(asked, statement_seconds=1.5, most_rows=1) as session:
        assert session.rows("SELECT kilo FROM beras WHERE harga < %s AND kilo LIKE '5%%'", 100_000) == [(5,)]
        assert session.rows("SELECT id FROM beras") == [(1,)]
        assert session.named("SHOW VARIABLES LIKE 'max_statement_time'") == [
            {"Variable_name": "max_statement_time", "Value": "1.500000"}]
        assert session.rows("SELECT @@tx_read_only, @@lock_wait_timeout") == [(1, 2)]
        assert session.mariadb
        assert session.version == server.sql("SELECT VERSION()")[0][0]


def test_a_session_leaves_no_connection_behind(server: MariaDB) -> None:
    mine = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'penuh'"
    with connect(at(server)):
        assert server.sql(mine) == [(1,)]
    until(lambda: server.sql(mine) == [(0,)], "the server has seen it go")
    with pytest.raises(ZeroDivisionError), connect(at(server)):
        raise ZeroDivisionError
    until(lambda: server.sql(mine) == [(0,)], "the server has seen it go")


READ_ONLY = "the statement would write, and the agent only reads"


@pytest.mark.parametrize("statement", [
    "INSERT INTO beras VALUES (3, 1, 1)", "UPDATE beras SET harga = 0", "DELETE FROM beras", "DROP TABLE beras",
    "CREATE TABLE lain (id INT)", "TRUNCATE beras", "START TRANSACTION READ WRITE; DELETE FROM beras",
])
def test_an_account_that_may_write_cannot_either(server: MariaDB, statement: str) -> None:
    with connect(at(server)) as session, pytest.raises(DatabaseError) as refused:
        session.rows(statement)
    assert refused.value.code in (1792, 1064)  # 1064: two statements at once are none
    assert server.sql("SELECT COUNT(*), SUM(harga) FROM toko.beras") == [(2, 408000)]
    if refused.value.code == 1792:
        assert str(refused.value) == f"127.0.0.1:{server.port}: {READ_ONLY}"


@pytest.mark.parametrize(("user", "statement", "code", "says"), [
    ("penuh", "SELECT SLEEP(9)", 1969, "the statement took too long and was ended"),
    ("penuh", "SELECT 1 FROM gula", 1146,
     "Table 'toko.gula' doesn't exist: correct the name, or run the app's migrations"),
    ("sempit", "SELECT harga FROM beras", 1143,
     "a right is missing; as an administrator run: GRANT SELECT (harga) ON toko.beras TO 'sempit'@'%'"),
    ("sempit", "SELECT * FROM mysql.user", 1142,
     "a right is missing; as an administrator run: GRANT SELECT ON mysql.user TO 'sempit'@'%'"),
    ("sempit", "DELETE FROM beras", 1142, READ_ONLY),
    ("sempit", "SHOW ENGINE INNODB STATUS", 1227,
     "a right is missing: Access denied; you need (at least one of) the PROCESS privilege(s) for this operation; "
     "GRANT it to user sempit"),
])
def test_a_refusal_says_what_mends_it(server: MariaDB, user: str, statement: str, code: int, says: str) -> None:
    with connect(at(server, user), statement_seconds=0.2) as session, pytest.raises(DatabaseError) as refused:
        session.rows(statement)
    assert (str(refused.value), refused.value.code) == (f"127.0.0.1:{server.port}: {says}", code)
    assert not refused.value.unreachable


def test_the_grant_that_is_told_is_the_one_that_was_missing(server: MariaDB) -> None:
    with connect(at(server, "sempit")) as session, pytest.raises(DatabaseError) as refused:
        session.rows("SELECT harga FROM beras")
    server.sql(str(refused.value).partition("run: ")[2])
    with connect(at(server, "sempit")) as session:
        assert session.rows("SELECT harga FROM beras WHERE id = 1") == [(68000,)]
    server.sql("REVOKE SELECT (harga) ON toko.beras FROM sempit@'%'")


@pytest.mark.parametrize(("user", "password", "database", "code", "says"), [
    ("jaga", "salah", "", 1045, "access denied for user jaga: check user and password"),
    ("nobody", "salah", "", 1045, "access denied for user nobody: check user and password"),
    ("sempit", PASSWORD, "kas", 1044, "user sempit may not use the database kas: GRANT it, or correct `database`"),
    ("root", "", "kas", 1049, "there is no database kas: correct `database`"),
])
def test_who_is_not_let_in_learns_why(server: MariaDB, user: str, password: str, database: str, code: int,
                                      says: str) -> None:
    with pytest.raises(DatabaseError) as refused, connect(at(server, user, password, database)):
        pass
    assert (str(refused.value), refused.value.code) == (f"127.0.0.1:{server.port}: {says}", code)


def test_a_connection_that_is_lost_stays_lost(server: MariaDB) -> None:
    with connect(at(server)) as session:
        server.sql(f"KILL {session.rows('SELECT CONNECTION_ID()')[0][0]}")
        told = []
        for _ in range(3):
            with pytest.raises(DatabaseError) as refused:
                session.rows("SELECT 1")
            told.append((str(refused.value).partition(": ")[2], refused.value.unreachable))
    assert told == [("the server hung up or did not answer in time", True), *[("the server hung up", True)] * 2]


def test_a_full_server_says_that_it_is_full(server: MariaDB) -> None:
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(connect(at(server, "jaga")))
        with pytest.raises(DatabaseError) as refused, connect(at(server, "jaga")):
            pass
        assert (refused.value.code, "max_user_connections" in str(refused.value)) == (1226, True)
        for _ in range(8):
            held.enter_context(connect(at(server)))
        with pytest.raises(DatabaseError) as refused, connect(at(server)):
            pass
    assert str(refused.value) == (f"127.0.0.1:{server.port}: too many connections: none is free; look who holds them "
                                  "with SHOW PROCESSLIST, or raise max_connections")
    assert (refused.value.code, refused.value.unreachable) == (1040, False)


def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    port = free_port()
    for asked, says in (
        (Database(port=port), f"127.0.0.1:{port}: nothing listens there: is the database running?"),
        (Database(socket=f"{tmp_path}/s"), f"{tmp_path}/s: there is no such socket: is the database running?"),
    ):
        with pytest.raises(DatabaseError) as refused, connect(asked):
            pass
        assert (str(refused.value), refused.value.unreachable) == (says, True)


def test_a_server_that_does_not_answer_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with pytest.raises(DatabaseError) as refused, connect(Database(port=port), answer_seconds=1):
            pass
    assert (str(refused.value), refused.value.unreachable) == (
        f"127.0.0.1:{port}: the server hung up or did not answer in time", True)


def test_the_password_stands_nowhere(server: MariaDB) -> None:
    told = []
    for user, password in (("jaga", PASSWORD + "x"), ("nobody", PASSWORD)):
        asked = at(server, user, password)
        told += [repr(asked), toml(asked)]
        with pytest.raises(DatabaseError) as refused, connect(asked):
            pass
        told += [str(refused.value), repr(refused.value), repr(refused.value.__cause__)]
    assert not [text for text in told if re.search(PASSWORD, text)]
