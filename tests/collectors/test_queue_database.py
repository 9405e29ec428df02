"""Laravel's tables on a real MariaDB: what is counted, what it costs, and what is never read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors import queue_database
from collectors.base import Run
from collectors.mysql_connection import Database, DatabaseError, connect
from collectors.queue import Queue
from collectors.queue_database import CLASSES, FAILED_AT_ONCE, LOOKED_AT, count_failed, look, recently
from collectors.queue_progress import Seen
from collectors.secret import Secret
from stack import koperasi
from stack.mariadb import NEEDS, MariaDB

pytestmark = pytest.mark.needs_debian(*NEEDS)
MANUAL = Path(__file__).parents[2] / "docs/queue.md"
NOW = 1_795_000_000.0
SECRET = "Siti Rahmawati siti@koperasi.test 081234567890"


@pytest.fixture
def shop(mariadb: MariaDB) -> Iterator[Database]:
    """The tables of the app, and an account that has the rights of the manual and no other."""
    mariadb.sql("CREATE DATABASE antrean")
    mariadb.load(koperasi.TABLES, "antrean")
    for statement in rights():
        mariadb.sql(statement)
    yield Database(port=mariadb.port, user="jaga", password=Secret("", lambda: "PASSWORD"), database="antrean")
    mariadb.sql("DROP DATABASE antrean; DROP USER jaga@'127.0.0.1'")


def rights() -> list[str]:
    """The statements of the manual, for this test's database and the address that it comes from."""
    [block] = re.findall(r"```sql\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    text = block.replace("koperasi.", "antrean.").replace("'localhost'", "'127.0.0.1'")
    return [statement for statement in text.split(";\n") if statement.strip()]


def job(mariadb: MariaDB, *, at: float, queue: str = "default", reserved: float | None = None, tries: int = 0,
        count: int = 1) -> None:
    """Jobs as Laravel writes them; `at` and `reserved` in seconds from NOW."""
    payload = json.dumps({"uuid": "91e5", "displayName": "App\\Jobs\\SendReceipt", "data": {"command": SECRET}})
    held = "NULL" if reserved is None else NOW + reserved
    mariadb.sql(f"INSERT INTO jobs (queue, payload, attempts, reserved_at, available_at, created_at) "
                f"SELECT '{queue}', {quoted(payload)}, {tries}, {held}, {NOW + at}, {NOW + at} FROM seq_1_to_{count}",
                "antrean")


def failed(mariadb: MariaDB, *names: str | None) -> None:
    """Failed jobs of these classes; None: a payload that is no JSON."""
    rows = ", ".join(
        f"(UUID(), 'database', 'default', "
        f"{quoted('{' if name is None else json.dumps({'displayName': name, 'data': {'command': SECRET}}))}, "
        f"{quoted('RuntimeException: ' + SECRET)})" for name in names)
    mariadb.sql(f"INSERT INTO failed_jobs (uuid, connection, queue, payload, exception) VALUES {rows}", "antrean")


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def asked(shop: Database, first: str = "", queue: str = "default") -> Seen:
    with connect(shop) as session:
        return look(session, "jobs", queue, first=first, retry_after=90, now=NOW)


def test_each_kind_of_job_is_counted_apart(mariadb: MariaDB, shop: Database) -> None:
    job(mariadb, at=3600)  # delayed; it has the lowest number, and is not the first in the row
    job(mariadb, at=-300, count=2)
    job(mariadb, at=-400)
    job(mariadb, at=0)
    job(mariadb, at=-500, reserved=-89, tries=1)
    job(mariadb, at=-500, reserved=-90, tries=1)
    job(mariadb, at=-900, queue="emails")
    assert asked(shop) == Seen(ready=4, delayed=1, reserved=2, stuck=1, oldest=NOW - 400, head=str(2 * 65536))
    emails = asked(shop, queue="emails")
    assert emails == Seen(ready=1, delayed=0, reserved=0, stuck=0, oldest=NOW - 900, head=emails.head)
    assert asked(shop, queue="nobody's") == Seen(ready=0, delayed=0, reserved=0, stuck=0)


@pytest.mark.parametrize(("deed", "stays"), [
    ("DO 0", True),
    ("INSERT INTO jobs VALUES (NULL, 'default', '{}', 0, NULL, 0, 0)", True),  # somebody waits behind it
    ("UPDATE jobs SET available_at = 0 WHERE id = 1", True),  # a delayed one comes up before it: nobody's work
    ("UPDATE jobs SET reserved_at = 1, attempts = 1 WHERE id = 2", False),
    ("UPDATE jobs SET attempts = 1 WHERE id = 2", False),  # taken and given back
    ("DELETE FROM jobs WHERE id = 2", False),
])
def test_the_first_in_the_row_stays_until_somebody_takes_it(mariadb: MariaDB, shop: Database, deed: str,
                                                           stays: bool) -> None:
    job(mariadb, at=3600)
    job(mariadb, at=-60, count=3)
    first = asked(shop).head
    mariadb.sql(deed, "antrean")
    assert asked(shop, first).stays is stays


def test_half_a_million_jobs_cost_no_more_than_the_first_ones(mariadb: MariaDB, shop: Database) -> None:
    job(mariadb, at=-3000, count=500_000)
    job(mariadb, at=-60, queue="emails", count=3)
    mariadb.sql("ANALYZE TABLE jobs", "antrean")
    for queue, ready, most in (("default", LOOKED_AT, LOOKED_AT), ("emails", 3, 3), ("nobody's", 0, 0)):
        with connect(shop) as session:
            found = look(session, "jobs", queue, first="", retry_after=90, now=NOW)
            read = dict(session.rows("SHOW STATUS LIKE 'Handler_read%'"))
        assert (found.ready, found.least) == (ready, ready == LOOKED_AT)
        # each row once by the index, and once more from the list of those
        assert sum(map(int, read.values())) <= 2 * most + 10, read


def test_failed_jobs_are_counted_by_class_from_now_on_and_exactly_once(mariadb: MariaDB, shop: Database) -> None:
    failed(mariadb, "App\\Jobs\\CalculateShu")
    memory: dict[str, Any] = {}
    totals = []

    def at(after: float) -> None:
        memory_of_the_store = json.loads(json.dumps(memory))  # what a restart finds
        with connect(shop) as session:
            count_failed(session, "failed_jobs", memory_of_the_store, NOW + after)
        memory.clear()
        memory.update(memory_of_the_store)
        totals.append(memory["total"])

    at(0)
    failed(mariadb, "App\\Jobs\\CalculateShu", "App\\Mail\\Struk", "App\\Jobs\\CalculateShu")
    at(60)
    at(120)
    failed(mariadb, None, f"Struk untuk {SECRET}", "Closure (web.php:12)", "A" * 101)
    at(180)
    assert totals == [0, 3, 3, 7]
    assert memory["classes"] == {"App\\Jobs\\CalculateShu": 2, "App\\Mail\\Struk": 1, "other": 3, "Closure": 1}
    assert recently(memory) == "other ×3, App\\Jobs\\CalculateShu ×2, App\\Mail\\Struk ×1, Closure ×1"
    at(3700)
    assert recently(memory) == "other ×3, Closure ×1"
    mariadb.sql("TRUNCATE failed_jobs", "antrean")  # artisan queue:flush, and numbers that begin anew
    failed(mariadb, "App\\Jobs\\CalculateShu")
    at(3760)
    failed(mariadb, "App\\Jobs\\CalculateShu")
    at(3820)
    assert totals[4:] == [7, 7, 8]


def test_a_flood_of_failures_is_taken_in_portions_and_classes_are_bounded(mariadb: MariaDB, shop: Database) -> None:
    memory: dict[str, Any] = {}
    with connect(shop) as session:
        count_failed(session, "failed_jobs", memory, NOW)
        failed(mariadb, *(f"App\\Jobs\\Job{number % 40}" for number in range(FAILED_AT_ONCE + 100)))
        count_failed(session, "failed_jobs", memory, NOW + 60)
        assert memory["total"] == FAILED_AT_ONCE
        count_failed(session, "failed_jobs", memory, NOW + 120)
    assert memory["total"] == FAILED_AT_ONCE + 100 == sum(memory["classes"].values())
    assert len(memory["classes"]) == CLASSES + 1
    assert len(json.dumps(memory)) < 5000


def test_without_the_right_to_payloads_failures_are_counted_all_the_same(mariadb: MariaDB, shop: Database) -> None:
    mariadb.sql("REVOKE SELECT (payload) ON antrean.failed_jobs FROM jaga@'127.0.0.1'")
    memory: dict[str, Any] = {}
    with connect(shop) as session:
        count_failed(session, "failed_jobs", memory, NOW)
        failed(mariadb, "App\\Jobs\\CalculateShu", "App\\Mail\\Struk")
        count_failed(session, "failed_jobs", memory, NOW + 60)
    assert (memory["total"], recently(memory)) == (2, "other ×2")


def test_the_rights_of_the_manual_suffice_and_let_nothing_else_through(mariadb: MariaDB, shop: Database) -> None:
    queue = Queue(database=shop)
    run = Run(NOW)
    assert list(queue.collect(run))
    assert set(run.targets.values()) == {None}
    with connect(shop) as session:
        for statement in ("SELECT payload FROM jobs", "SELECT exception FROM failed_jobs", "SELECT * FROM users"):
            with pytest.raises(DatabaseError, match="a right is missing"):
                session.rows(statement)


def test_a_missing_right_says_which_and_does_not_hide_the_others(mariadb: MariaDB, shop: Database) -> None:
    mariadb.sql("REVOKE SELECT (id, payload) ON antrean.failed_jobs FROM jaga@'127.0.0.1'")
    run = Run(NOW)
    metrics = {reading.metric for reading in Queue(database=shop).collect(run)}
    assert "jaga_queue_ready_jobs" in metrics
    assert "jaga_queue_failed_jobs_total" not in metrics
    assert {name: error is None for name, error in run.targets.items()} == {
        "database:default": True, "failed_jobs": False, "database": True}
    told = str(run.targets["failed_jobs"])
    assert told.endswith("a right is missing; as an administrator run: "
                         "GRANT SELECT (id, payload) ON antrean.failed_jobs TO 'jaga'@'127.0.0.1'")
    mariadb.sql(told.partition("run: ")[2])
    mariadb.sql("REVOKE SELECT (attempts) ON antrean.jobs FROM jaga@'127.0.0.1'")
    run = Run(NOW)
    assert "jaga_queue_failed_jobs_total" in {reading.metric for reading in Queue(database=shop).collect(run)}
    assert {name: error is None for name, error in run.targets.items()} == {
        "database:default": False, "failed_jobs": True, "database": True}
    mariadb.sql(str(run.targets["database:default"]).partition("run: ")[2])
    assert asked(shop)


def test_nothing_of_a_payload_or_an_exception_comes_out(mariadb: MariaDB, shop: Database) -> None:
    job(mariadb, at=-600, count=3)
    queue, run = Queue(database=shop), Run(NOW)
    told = repr(list(queue.collect(run)))
    failed(mariadb, "App\\Jobs\\CalculateShu", SECRET, None)
    run = Run(NOW + 60, run.memory)
    told += repr(list(queue.collect(run))) + json.dumps(run.memory)
    assert "App\\\\Jobs\\\\CalculateShu" in told
    assert not [word for word in SECRET.split() if word in told]


def test_statements_name_only_what_the_manual_grants() -> None:
    granted = set(re.findall(r"\w+", " ".join(re.findall(r"SELECT \((.*?)\)", MANUAL.read_text()))))
    asked_for = f"{queue_database._LOOK} {queue_database._NAME}"
    assert {name for name in ("exception", "created_at", "payload", "failed_at", "connection", "uuid")
            if name in asked_for} <= granted == {"id", "queue", "attempts", "reserved_at", "available_at", "payload"}
