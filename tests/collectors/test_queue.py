"""The queue collector as a whole: options, discovery, what hides nothing, and who explains whom."""

import json
import re
import socket
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent import plugins
from agent.effective import toml
from agent.fields import Reader
from collectors import queue
from collectors.base import Reading, Run
from collectors.mysql_connection import Database
from collectors.queue import Queue
from collectors.queue_discovery import discovered
from collectors.queue_redis import Redis
from golden import Told
from house import free_port
from stack import koperasi, mariadb, redis_server
from stack.mariadb import MariaDB
from stack.redis_server import Redis as RedisServer

NOW = 1_795_000_000.0
DATABASE = Database(port=1, database="koperasi")
REDIS = Redis(port=1, prefix="")


def test_a_configuration_is_read_as_it_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {
        "queues": ["database:default", "redis:emails,cepat"], "retry_after": "3m", "supervisor": "/run/supervisor.sock",
        "programs": ["koperasi-worker"], "failed_table": "koperasi.failed_jobs",
        "database": {"socket": "/run/mysqld/mysqld.sock", "password": {"env": "P"}, "database": "koperasi"},
        "redis": {"prefix": "", "password": {"env": "P"}, "user": "jaga"},
    }
    reader = Reader({"P": "rahasia"}, Path())
    first: Queue = reader.struct(Queue, table, ("q",))
    assert reader.mistakes == []
    printed = toml(first)
    assert "rahasia" not in printed + repr(first)
    again: Queue = reader.struct(Queue, tomllib.loads(f"q = {printed}")["q"], ("q",))
    assert reader.mistakes == []
    assert toml(again) == printed
    assert (again.database, again.redis) != (None, None)
    assert again.redis is not None
    assert again.redis.prefixes == ("",)


@pytest.mark.parametrize(("options", "says"), [
    ({"queues": ("default",), "database": DATABASE}, 'queues: "default" must begin with where it lies'),
    ({"queues": ("sqs:default",), "database": DATABASE}, 'queues: "sqs:default" must begin'),
    ({"queues": ("database:",), "database": DATABASE}, 'queues: "database:" must begin'),
    ({}, 'database is missing, and "database:default" lies there'),
    ({"queues": ("redis:x",), "database": DATABASE}, 'redis is missing, and "redis:x" lies there'),
    ({"database": DATABASE, "jobs_table": ""}, 'jobs_table: "" is no name of a table'),
    ({"database": DATABASE, "failed_table": "a b"}, 'failed_table: "a b" is no name of a table'),
    ({"database": DATABASE, "supervisor": "http://localhost:9001"}, "supervisor: must be the path of its socket"),
    ({"database": DATABASE, "programs": ("x",)}, "programs: cannot be seen without supervisor"),
])
def test_options_that_cannot_be_right_stop_the_start(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}"):
        Queue(**options)


def test_options_that_only_look_odd_are_taken() -> None:
    assert Queue(queues=("redis:{default}",), redis=REDIS).failed_table == "failed_jobs"
    assert Queue(queues=(), database=DATABASE, failed_table="").queues == ()
    assert Queue(queues=("database:antrean e-mail",), database=DATABASE, jobs_table="koperasi.jobs")


# As in the manual of the app, with a worker of another kind and a program that is none beside it
CONF = """
[program:koperasi-worker]
process_name=%(program_name)s_%(process_num)02d
command=php /var/www/koperasi/artisan queue:work database --sleep=3 --tries=3 --max-time=3600 ; "the queue"
autostart=true
numprocs=2

[program:pesan]
command=/usr/bin/php8.2 '/var/www/koperasi/artisan' queue:work --queue=penting,default
[program:reverb]
command=php /var/www/koperasi/artisan reverb:start
[group:surat]
programs=pesan,lain
"""


@pytest.mark.parametrize(("files", "found"), [
    ({}, None),
    ({"etc/supervisor/conf.d/reverb.conf": "[program:reverb]\ncommand=php artisan reverb:start\n"}, None),
    ({"etc/supervisor/conf.d/koperasi.conf": CONF, "run/supervisor.sock": ""}, """\
[collectors.queue]
queues = ["database:default", "database:penting"]
database = { host = "127.0.0.1", user = "jaga", password = { credential = "mysql_password" }, database = "koperasi" }
supervisor = "/run/supervisor.sock"
programs = ["koperasi-worker", "surat"]
"""),
    ({"etc/supervisor/conf.d/koperasi.conf": CONF, "run/mysqld/mysqld.sock": "",
      "var/www/koperasi/.env": 'APP_KEY=base64:RAHASIA\nQUEUE_CONNECTION="redis"\nREDIS_PASSWORD=RAHASIA\n'}, """\
[collectors.queue]
queues = ["database:default", "redis:penting", "redis:default"]
database = { socket = "/run/mysqld/mysqld.sock", user = "jaga", password = { credential = "mysql_password" }, \
database = "koperasi" }
redis = { host = "127.0.0.1", app_name = "Koperasi" }
supervisor = "/run/supervisor.sock"
programs = ["koperasi-worker", "surat"]
"""),
    ({"var/www/koperasi/.env": "QUEUE_CONNECTION=database\n"}, """\
[collectors.queue]
queues = ["database:default"]
database = { host = "127.0.0.1", user = "jaga", password = { credential = "mysql_password" }, database = "koperasi" }
"""),
    ({"var/www/koperasi/.env": "QUEUE_CONNECTION=sync RAHASIA\n"}, None),
    ({"etc/supervisor/conf.d/rusak.conf": "[program:x\ncommand='php artisan queue:work\n"}, None),
    ({"etc/supervisor/conf.d/horizon.conf": "[program:horizon]\ncommand=php artisan horizon\n"}, """\
[collectors.queue]
queues = ["redis:default"]
database = { host = "127.0.0.1", user = "jaga", password = { credential = "mysql_password" }, database = "koperasi" }
redis = { host = "127.0.0.1", app_name = "Koperasi" }
supervisor = "/run/supervisor.sock"
programs = ["horizon"]
"""),
])
def test_discovery_finds_workers_and_queues_and_tells_no_value(tmp_path: Path, files: dict[str, str],
                                                              found: str | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    told = discovered(str(tmp_path))
    assert told == found
    assert "RAHASIA" not in str(told)
    if told is not None:  # and it can be used as it is, once the password lies where it says
        (tmp_path / "mysql_password").write_text("x")
        reader = Reader({"CREDENTIALS_DIRECTORY": str(tmp_path)}, tmp_path)
        assert isinstance(reader.struct(Queue, tomllib.loads(told)["collectors"]["queue"], ()), Queue)
        assert reader.mistakes == []


def test_discovery_on_this_machine_neither_asks_nor_fails() -> None:
    assert isinstance(Queue.discover(), str | None)


@contextmanager
def supervised(folder: Path) -> Iterator[Path]:
    """A socket on which nobody listens any more."""
    path = folder / "supervisor.sock"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    yield path


@pytest.mark.needs_debian(*mariadb.NEEDS, *redis_server.NEEDS)
def test_what_is_dead_does_not_hide_the_others(mariadb: MariaDB, tmp_path: Path) -> None:
    koperasi.load(mariadb, "antrean_lain")
    here = Database(socket=str(mariadb.socket), user="root", database="antrean_lain")
    gone = free_port()
    both = ("database:default", "redis:default")
    with RedisServer(tmp_path / "redis") as server, supervised(tmp_path) as path:
        for database, redis, up in (
            (here, Redis(port=server.port, prefix=""), (1, 1)),
            (here, Redis(port=gone, prefix=""), (1, 0)),
            (Database(port=gone), Redis(port=server.port, prefix=""), (0, 1)),
            (Database(port=gone), Redis(port=gone, prefix=""), (0, 0)),
        ):
            run = Run(NOW)
            readings = list(Queue(queues=both, database=database, redis=redis, supervisor=str(path)).collect(run))
            assert tuple(r.value for r in readings if r.metric == queue.STORE_UP.name) == up
            assert [dict(r.labels)["store"] for r in readings if r.metric == queue.READY.name] == [
                store for store, alive in zip(("database", "redis"), up, strict=True) if alive]
            assert [r.value for r in readings if r.metric == queue.SUPERVISOR_UP.name] == [0]
            assert [name for name, error in run.targets.items() if error] == []  # dead is known, and no failure
    mariadb.sql("DROP DATABASE antrean_lain")


@pytest.mark.needs_debian(*mariadb.NEEDS)
def test_a_wrong_password_is_no_dead_database(mariadb: MariaDB) -> None:
    run = Run(NOW)
    readings = list(Queue(database=Database(port=mariadb.port, user="nobody")).collect(run))
    assert (readings, str(run.targets["database"])) == (
        [], f"127.0.0.1:{mariadb.port}: access denied for user nobody: check user and password")


def test_memory_forgets_what_is_not_watched_any_more() -> None:
    run = Run(NOW, {"queues": {"database:lama": {"head": "1"}, "database:default": {"head": "2"}}})
    list(Queue(database=Database(port=free_port())).collect(run))
    assert run.memory == {"queues": {"database:default": {"head": "2", "began": None, "moved": NOW}}}
    assert json.dumps(run.memory)


def test_each_metric_that_a_rule_judges_is_declared() -> None:
    plugin = plugins.collectors()["queue"]
    assert plugin.rules is not None
    rules = tomllib.loads(plugin.rules.read_text())
    assert {rule["metric"] for rule in rules.values()} <= set(plugin.metrics)
    assert all(name.startswith(("queue_", "worker_")) for name in rules)
    assert {rule["sop"] for rule in rules.values()} == {"1.1 queue", "2.1 supervisor"}


# --- who explains whom --------------------------------------------------------------------------------------------

LONG = 3600.0
WAITING = queue.UNATTENDED(LONG, store="database", queue="default")
WAITING_REDIS = queue.UNATTENDED(LONG, store="redis", queue="default")
DEAD = queue.WORKER_UP(0, program="koperasi-worker")
FEWER = queue.WORKER_MISSING(2, program="koperasi-worker")
STORE = queue.STORE_UP(0, store="database")
STORE_REDIS = queue.STORE_UP(0, store="redis")
SUPERVISOR = queue.SUPERVISOR_UP(0)
BUSY = queue.BEHIND(LONG, store="database", queue="default")  # it grows from nought
LINE = queue.READY(5000, store="database", queue="default")
STUCK = queue.STUCK(1, store="database", queue="default")
STOPPED = queue.WORKER_STOPPED(1, program="koperasi-worker")


def service(unit: str) -> Reading:
    return Reading("jaga_service_active", 0.0, (("unit", unit),))


MYSQL = Reading("jaga_mysql_up", 0.0)
MAINTENANCE = Reading("jaga_app_maintenance_seconds", 60.0)


@pytest.mark.parametrize(("elsewhere", "readings", "told"), [
    ({}, (WAITING,), ["queue_waiting"]),
    ({}, (DEAD, FEWER, WAITING, STUCK), ["worker_down"]),
    ({}, (SUPERVISOR, WAITING, STUCK), ["worker_supervisor_down"]),
    ({}, (STORE, DEAD, FEWER), ["queue_database_down"]),
    ({}, (STORE_REDIS, DEAD, FEWER), ["queue_redis_down"]),
    ({}, (STORE_REDIS, WAITING), ["queue_redis_down", "queue_waiting"]),  # of the database's queue it says nothing
    ({}, (WAITING, LINE, STUCK, STOPPED), ["queue_waiting"]),
    ({}, (STUCK, STOPPED), ["worker_stopped"]),
    ({}, (BUSY, LINE), ["queue_busy"]),
    ({}, (FEWER, BUSY), ["worker_fewer"]),
    ({}, (LINE,), ["queue_long"]),
    ({"services": (service("supervisor"),)}, (SUPERVISOR, WAITING), ["service_down"]),
    ({"services": (service("redis-server"),)}, (STORE_REDIS, DEAD), ["service_down"]),
    ({"services": (service("redis-server"),)}, (WAITING_REDIS,), ["service_down"]),
    ({"services": (service("redis-server"),)}, (WAITING,), ["queue_waiting", "service_down"]),
    ({"services": (service("mariadb"),), "mysql": (MYSQL,)}, (STORE, DEAD, FEWER, WAITING), ["service_down"]),
    ({"mysql": (MYSQL,)}, (STORE, DEAD, FEWER, WAITING), ["mysql_down"]),
    ({"services": (service("nginx"),)}, (WAITING,), ["queue_waiting", "service_down"]),
    ({"laravel": (MAINTENANCE,)}, (WAITING, LINE), ["app_maintenance"]),
])
def test_one_fault_is_one_message_by_the_name_of_its_root(
        elsewhere: dict[str, tuple[Reading, ...]], readings: tuple[Reading, ...], told: list[str]) -> None:
    desk = Told("queue", "services", "mysql", "laravel")
    for minute in range(32):
        for collector, found in elsewhere.items():
            desk.take(collector, found, minute=minute)
        grown = queue.BEHIND(60.0 * minute, store="database", queue="default")
        desk.take("queue", [grown if reading is BUSY else reading for reading in readings], minute=minute)
    spoken = [i for i in desk.desk.view.open if i.told]
    assert sorted(member.rule for i in spoken for member in i.members.values()) == told


def test_a_cause_that_is_mended_leaves_the_consequence_two_minutes_to_mend_itself() -> None:
    desk = Told("queue")
    for minute in range(10):
        desk.take("queue", (DEAD, WAITING), minute=minute)
    alive = queue.WORKER_UP(1, program="koperasi-worker")
    desk.take("queue", (alive, WAITING), minute=10)
    desk.take("queue", (alive, WAITING), minute=11)
    assert len(desk.subjects) == 2
    for minute in range(12, 16):
        desk.take("queue", (alive, WAITING), minute=minute)
    assert [subject.partition(" ")[2] for subject in desk.subjects][2:]  # it works no better: now it is told
    assert desk.open == ["queue_waiting"]


def test_the_struct_has_no_option_that_the_manual_leaves_out() -> None:
    for cls in (Queue, Database, Redis):
        manual = str(cls.__doc__)
        fields = {field.encode_name for field in msgspec.structs.fields(cls)}
        assert {name for name in fields if not re.search(rf"\b{name}\b", manual)} == set()
