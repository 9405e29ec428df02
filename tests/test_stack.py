"""The real stack of the tests: each part comes up, truly works, dies and comes back."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from stack import certificates, koperasi, laravel, nginx, redis_server, supervisor, whole
from stack import mariadb as mariadb_part
from stack.certificates import Authority, self_signed
from stack.laravel import Laravel
from stack.mariadb import MariaDB
from stack.nginx import Nginx
from stack.program import until
from stack.redis_server import Redis
from stack.supervisor import Supervisor
from stack.whole import Stack

WORKERS = """
[program:sleeper]
command = sleep 1000
numprocs = 2
process_name = %(program_name)s_%(process_num)02d
startsecs = 0
"""


@pytest.mark.needs_debian(*mariadb_part.NEEDS)
def test_mariadb_keeps_what_it_was_told_and_writes_down_slow_statements_in_its_own_zone(tmp_path: Path) -> None:
    with MariaDB(tmp_path, "--max-connections=12", "--long-query-time=0.05", zone="Asia/Jakarta") as server:
        server.sql("CREATE DATABASE toko; USE toko; CREATE TABLE beras (kilo INT); INSERT INTO beras VALUES (5), (25)")
        server.kill()
        with pytest.raises(OSError, match="refused"):
            server.sql("SELECT 1")
        server.start()
        assert server.sql("SELECT kilo, SLEEP(0.06) FROM beras", "toko") == [(5, 0), (25, 0)]
        assert server.sql("SELECT @@max_connections, @@system_time_zone") == [(12, "WIB")]
        logged = "SELECT kilo, SLEEP(0.06) FROM beras;"
        until(lambda: logged in server.slow_log.read_text().splitlines(), "it is logged")


@pytest.mark.needs_debian(*redis_server.NEEDS)
def test_redis_keeps_its_lists_over_a_restart_and_loses_them_by_a_kill(tmp_path: Path) -> None:
    with Redis(tmp_path) as server:
        server.client().rpush("queues:default", "satu", "dua")
        server.stop()
        server.start()
        server.client().rpush("queues:default", "tiga")
        server.kill()
        server.start()
        assert server.client().lrange("queues:default", 0, -1) == ["satu", "dua"]


@pytest.mark.needs_debian(*supervisor.NEEDS)
def test_supervisor_starts_a_killed_worker_again_and_leaves_no_orphans(tmp_path: Path) -> None:
    with Supervisor(tmp_path, WORKERS) as server:
        until(lambda: set(server.states().values()) == {"RUNNING"}, "both run")
        old = int(server.ctl("pid", "sleeper:sleeper_00"))
        os.kill(old, signal.SIGKILL)
        until(lambda: int(server.ctl("pid", "sleeper:sleeper_00")) not in (0, old), "a new one runs")
        pids = [int(server.ctl("pid", f"sleeper:sleeper_0{number}")) for number in (0, 1)]
        server.kill()
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


# As the app computes it: by normal balance under 1, 2 and 3; of this year's result only one side each.
NERACA = """
SELECT SUM(IF(code LIKE '1%', balance, 0)), SUM(IF(code LIKE '2%' OR code LIKE '3%', balance, 0)), SUM(earned)
FROM (SELECT a.code, SUM(IF(a.normal_balance = 'debit', l.debit - l.credit, l.credit - l.debit)) balance,
             SUM(IF(YEAR(e.transaction_date) < {year}, 0,
                 IF(a.type = 'revenue', l.credit, 0) - IF(a.type = 'expense', l.debit, 0))) earned
      FROM journal_entry_lines l JOIN accounts a ON a.id = l.account_id
      JOIN journal_entries e ON e.id = l.journal_entry_id WHERE e.status = 'posted' GROUP BY a.code) balances
"""


@pytest.mark.needs_debian(*mariadb_part.NEEDS)
def test_the_koperasi_has_books_that_balance_few_or_many(mariadb: MariaDB) -> None:
    now = datetime.now(UTC)
    neraca = NERACA.format(year=now.astimezone(koperasi.ZONE).year)
    koperasi.load(mariadb, "koperasi_books", now)
    for many in (False, True):
        assets, others, earnings = mariadb.sql(neraca, "koperasi_books")[0]
        assert assets == others + earnings
        if not many:
            koperasi.fill(mariadb, "koperasi_books", now, journal_lines=1000, transactions=100, audit_rows=100)
    assert mariadb.sql("SELECT COUNT(*) FROM journal_entries", "koperasi_books")[0][0] > 700
    mariadb.sql("DROP DATABASE koperasi_books")


@pytest.mark.needs_debian(*nginx.NEEDS, *certificates.NEEDS)
def test_nginx_serves_certificates_of_every_kind(tmp_path: Path) -> None:
    authority, now, day = Authority(tmp_path / "ca"), datetime.now(UTC), timedelta(days=1)
    intermediate = authority.intermediate()
    alone = tmp_path / "alone"
    kinds = {
        "good": (authority.issue(), 0),
        "by an intermediate": (intermediate.issue(), 0),
        "its intermediate left out": (intermediate.issue(whole=False), 20),
        "expired": (authority.issue(start=now - 90 * day, end=now - day), 10),
        "not yet valid": (authority.issue(start=now + day), 9),
        "of another name": (authority.issue("koperasi.test"), 62),
        "self-signed": (self_signed(alone), 18),
    }
    trusting = ssl.create_default_context(cafile=str(authority.file))
    found = {}
    with Nginx(tmp_path / "nginx", "root /nonexistent;", kinds["good"][0]) as server:
        for kind, (server.certificate, _) in kinds.items():
            server.reload()
            found[kind] = 0
            with socket.create_connection(("127.0.0.1", server.tls_port), 10) as way:
                try:
                    trusting.wrap_socket(way, server_hostname="localhost").close()
                except ssl.SSLCertVerificationError as refused:
                    found[kind] = refused.verify_code
    assert found == {kind: code for kind, (_, code) in kinds.items()}


@pytest.mark.needs_debian(*mariadb_part.NEEDS, *redis_server.NEEDS, *supervisor.NEEDS, *laravel.NEEDS)
def test_the_application_is_a_real_one(tmp_path: Path, mariadb: MariaDB) -> None:
    koperasi.load(mariadb, "koperasi_app")
    with Redis(tmp_path / "redis") as redis, Laravel(tmp_path, mariadb, redis, database="koperasi_app") as app:
        # a page goes through nginx, php-fpm, Laravel and MariaDB
        mariadb.sql("UPDATE settings SET value = 'Koperasi Uji' WHERE `key` = 'koperasi_name'", "koperasi_app")
        status, page = app.get("/")
        assert (status, "<h1>Koperasi Uji</h1>" in page, "Beras 5 kg" in page) == (200, True, True)
        assert "/login HTTP/1.1" not in app.nginx.access_log.read_text()
        assert [app.get(path)[0] for path in ("/up", "/login", "/nowhere", "/.env")] == [200, 200, 404, 403]

        # what it throws lies in its log, each class with its trace, and the visitor sees none of it
        kinds = {
            "runtime": "RuntimeException", "payment": r"App\\Exceptions\\PaymentException", "type": "TypeError",
            "missing-table": r"Illuminate\\Database\\QueryException",
            "status": r"Illuminate\\Database\\QueryException", "lines": "DomainException",
            "memory": r"Symfony\\Component\\ErrorHandler\\Error\\FatalError",
        }
        for kind in kinds:
            status, page = app.get(f"/throw/{kind}")
            assert (status, "Server Error" in page, "siti@" in page) == (500, True, False)
        log = app.log.read_text()
        assert re.findall(r'\.ERROR: (?:.|\n)*?\{"exception":"\[object\] \(([\w\\]+)\(', log) == [*kinds.values()]
        assert log.count("[stacktrace]\n#0 ") == len(kinds) + 3  # three have a previous exception

        # maintenance
        app.artisan("down")
        assert app.get("/")[0] == 503
        app.artisan("up")
        assert app.get("/")[0] == 200

        # jobs on both queues
        for queue in ("database", "redis"):
            app.artisan("koperasi:push", "SendReceipt", "20", f"--on={queue}")
            app.artisan("koperasi:push", "CalculateShu", "1", f"--on={queue}")
        assert mariadb.sql("SELECT COUNT(*) FROM jobs", "koperasi_app") == [(21,)]
        assert redis.client().llen("koperasi_database_queues:default") == 21
        programs = app.workers(tries=1) + app.workers("redis", processes=1, tries=1, name="koperasi-worker-redis")
        with Supervisor(tmp_path / "supervisor", programs) as workers:
            until(lambda: mariadb.sql("SELECT connection FROM failed_jobs ORDER BY 1", "koperasi_app")
                  == [("database",), ("redis",)], "both failed")
            until(lambda: mariadb.sql("SELECT COUNT(*) FROM jobs", "koperasi_app") == [(0,)]
                  and not redis.client().llen("koperasi_database_queues:default"), "all is done")
            until(lambda: set(workers.states().values()) == {"RUNNING"}, "three run")
            assert [*workers.states()] == ["koperasi-worker:koperasi-worker_00", "koperasi-worker:koperasi-worker_01",
                                           "koperasi-worker-redis:koperasi-worker-redis_00"]
        assert app.log.read_text().count("Struk WhatsApp terkirim") == 40
    mariadb.sql("DROP DATABASE koperasi_app")


WATCHED = ["web", "laravel", "queue", "mysql", "sql", "files"]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        (running.folder / "agent.toml").write_text(running.configuration(), "utf-8")
        yield running


def check(stack: Stack, *names: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """`jaga check --json`: its exit code, and what each collector came to."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "check", "--json", "--config", str(stack.folder / "agent.toml"), *names],
        capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[1])
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, {each["collector"]: each for each in json.loads(done.stdout)}


def failures(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: why for name, each in found.items() if (why := [each["error"], each["troubles"]]) != ["", {}]}


def bad(found: dict[str, dict[str, Any]]) -> set[str]:
    return {finding["rule"] for each in found.values() for finding in each["findings"] if finding["state"] == "bad"}


@pytest.mark.needs_debian(*whole.NEEDS)
def test_a_healthy_stack_is_read_by_every_collector_with_the_rights_that_the_manual_asks_for(stack: Stack) -> None:
    exit_code, found = check(stack, *WATCHED)
    assert (exit_code, failures(found), bad(found), [*found]) == (0, {}, set(), WATCHED)
    # what the machine itself is doing at this moment is nobody's promise
    exit_code, found = check(stack)
    assert (failures(found), sorted(found)) == ({}, sorted(["resources", "disk", *WATCHED]))
    assert all(each["readings"] for each in found.values())


@pytest.mark.needs_debian(*whole.NEEDS)
def test_one_broken_piece_is_a_problem_and_its_mend_is_none(stack: Stack) -> None:
    stack.mariadb.kill()
    try:
        exit_code, found = check(stack, *WATCHED)
        assert exit_code == 1
        assert {"mysql_down", "queue_database_down"} <= bad(found)
        assert not failures(found).keys() & {"web", "laravel", "files", "mysql"}
    finally:
        stack.mariadb.start()
        stack.supervisor.ctl("start", "all")  # a worker that found no database may have given up
    # laravel.log goes on telling of it for as long as its errors are new
    until(lambda: check(stack, *(set(WATCHED) - {"laravel"}))[0] == 0, "all is well again")
