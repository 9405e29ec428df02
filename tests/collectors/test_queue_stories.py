"""Real Laravel workers on real servers, truly broken: what a person is told, from the first message to the last."""

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from alerts.figures import show
from collectors.base import Reading
from collectors.mysql_connection import Database
from collectors.queue import BEHIND, UNATTENDED, Queue
from collectors.queue_redis import Redis
from collectors.secret import Secret
from golden import Told, same
from stack import koperasi, laravel, mariadb, redis_server, supervisor
from stack.laravel import Laravel
from stack.mariadb import MariaDB
from stack.program import until
from stack.redis_server import Redis as RedisServer
from stack.supervisor import Supervisor

pytestmark = [
    pytest.mark.needs_debian(*mariadb.NEEDS, *redis_server.NEEDS, *supervisor.NEEDS, *laravel.NEEDS),
    pytest.mark.timeout(180),
]


class World:
    """The app, its servers, and a Jaga that watches its queues."""

    def __init__(self, folder: Path, database: MariaDB, redis: RedisServer) -> None:
        self.folder, self.database, self.redis = folder, database, redis
        self.app = Laravel(folder, database, redis)

    def queue(self, *queues: str, supervisor: Supervisor | None = None, programs: tuple[str, ...] = ()) -> Queue:
        return Queue(
            queues=queues or ("database:default",),
            database=Database(port=self.database.port, user="koperasi", database="koperasi",
                              password=Secret("", lambda: koperasi.PASSWORD)),
            redis=Redis(port=self.redis.port, app_name="Koperasi") if any("redis" in each for each in queues) else None,
            supervisor=str(supervisor.socket) if supervisor else "", programs=programs)

    def scrub(self, *more: Supervisor) -> dict[str, str]:
        return {str(self.app.path): "/var/www/koperasi", f":{self.database.port}": ":3306",
                f":{self.redis.port}": ":6379", **{str(each.socket): "/run/supervisor.sock" for each in more}}

    def scrub_times(self, readings: Iterable[Reading], minutes: int) -> dict[str, str]:
        """A wait as people read it is so many minutes, and the second or two that this machine took."""
        values = [r.value for r in readings if r.metric in (UNATTENDED.name, BEHIND.name) and r.value]
        return {show("_seconds", value, language): show("_seconds", minutes * 60, language)
                for value in values for language in ("id", "en")}

    def push(self, job: str, count: int, *options: str) -> None:
        self.app.artisan("koperasi:push", job, str(count), *options)

    def work(self, *options: str, connection: str = "database") -> str:
        """A worker that does what there is, and leaves."""
        return self.app.artisan("queue:work", connection, "--stop-when-empty", *options)

    def once(self) -> None:
        self.app.artisan("queue:work", "database", "--once")

    def count(self) -> int:
        return int(self.database.sql("SELECT COUNT(*) FROM jobs", "koperasi")[0][0])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with ExitStack() as parts:
        database = parts.enter_context(MariaDB(tmp_path_factory.mktemp("mariadb")))
        koperasi.load(database)
        redis = parts.enter_context(RedisServer(tmp_path_factory.mktemp("redis")))
        yield World(tmp_path_factory.mktemp("app"), database, redis)


@pytest.fixture
def world(shop: World) -> World:
    """With empty queues, and alive whatever the story before left."""
    for each in (shop.database, shop.redis):
        if not each.alive:
            each.start()
    shop.database.sql("TRUNCATE jobs; TRUNCATE failed_jobs", "koperasi")
    with shop.redis.client() as client:
        client.flushall()
    return shop


def running(server: Supervisor, *names: str) -> bool:
    states = server.states()
    return all(states.get(name) == "RUNNING" for name in names)


def kill(server: Supervisor) -> None:
    """kill -9 of all its workers."""
    for pid in re.findall(r"pid (\d+)", server.ctl("status")):
        os.kill(int(pid), signal.SIGKILL)


WORKER = "koperasi-worker:koperasi-worker_00"


def test_a_worker_that_was_killed_and_is_not_started_again(world: World, tmp_path: Path) -> None:
    programs = world.app.workers(processes=1, sleep=1) + "autorestart = false\n"
    with Supervisor(tmp_path / "supervisor", programs) as server:
        until(lambda: running(server, WORKER), "the worker runs")
        queue, told = world.queue(supervisor=server, programs=("koperasi-worker",)), Told("queue")
        told.look("queue", queue, minute=0)
        kill(server)
        until(lambda: server.states()[WORKER] == "EXITED", "it is dead")
        world.push("SendReceipt", 12)
        for minute in (1, 2, 3, 8, 12):
            told.look("queue", queue, minute=minute)
        assert told.open == ["queue_waiting", "worker_down", "worker_fewer"]
        server.ctl("start", "koperasi-worker:*")
        until(lambda: world.count() == 0, "the jobs are done")
        told.look("queue", queue, minute=13)
        told.look("queue", queue, minute=30)
        assert told.open == []
    assert len(told.subjects) == 2  # that jobs wait was no message of its own, and nor was its end
    same("queue-worker-killed", told.text(), scrub=world.scrub(server))


def test_jobs_that_nobody_takes_where_no_supervisor_is_known(world: World) -> None:
    queue, told = world.queue(), Told("queue")
    world.push("SendReceipt", 3)
    world.once()
    scrub = world.scrub()
    for minute in (0, 1, 4, 7, 12, 16):
        scrub |= world.scrub_times(told.look("queue", queue, minute=minute), minute)
    world.work()
    told.look("queue", queue, minute=17)
    assert told.open == []
    same("queue-nobody-works", told.text(), scrub=scrub)


def test_a_worker_that_supervisor_gave_up(world: World, tmp_path: Path) -> None:
    programs = world.app.workers(processes=2, sleep=1).replace("php8.2 ", "/usr/bin/php8.9 ")
    with Supervisor(tmp_path / "supervisor", programs) as server:
        until(lambda: set(server.states().values()) == {"FATAL"}, "Supervisor gives up")
        queue, told = world.queue(supervisor=server), Told("queue")
        for minute in (0, 1, 2, 10):
            told.look("queue", queue, minute=minute)
        server.configuration.write_text(server.configuration.read_text().replace("php8.9", "php8.2"))
        server.ctl("update")
        until(lambda: set(server.states().values()) == {"RUNNING"}, "they run")
        told.look("queue", queue, minute=11)
        told.look("queue", queue, minute=30)
    assert (told.open, len(told.subjects)) == ([], 2)
    same("queue-worker-fatal", told.text(), scrub=world.scrub(server))


def test_a_worker_that_dies_and_starts_again_and_again(world: World, tmp_path: Path) -> None:
    with Supervisor(tmp_path / "supervisor", world.app.workers(processes=7, sleep=1)) as server:
        names = [WORKER.replace("00", f"{number:02}") for number in range(7)]
        until(lambda: running(server, *names), "they run")
        queue, told = world.queue(supervisor=server), Told("queue")
        told.look("queue", queue, minute=0)
        for minute in (1, 2):
            second = int(time.time())
            until(lambda: int(time.time()) > second, "a second passes: Supervisor counts in whole ones")  # noqa: B023
            kill(server)
            until(lambda: running(server, *names), "Supervisor has started them again")
            told.look("queue", queue, minute=minute)
            assert told.open == (["worker_flapping"] if minute == 2 else [])
        told.look("queue", queue, minute=70)
    assert told.open == []
    same("queue-flapping", told.text(), scrub=world.scrub(server))


def test_the_hourly_restart_of_two_workers_is_nobodys_trouble(world: World, tmp_path: Path) -> None:
    programs = world.app.workers(processes=2, sleep=1).replace("=3600", "=2")
    with Supervisor(tmp_path / "supervisor", programs) as server:
        # Each lives two seconds, and they drift apart: a look that finds both running may never come.
        for name in (WORKER, WORKER.replace("00", "01")):
            until(lambda: running(server, name), "it runs")  # noqa: B023
        queue, told = world.queue(supervisor=server), Told("queue")
        total = 0.0
        for hour in range(3):
            began = total
            while total < began + 2:
                found = told.look("queue", queue, minute=hour * 60)
                [total] = [r.value for r in found if r.metric == "jaga_worker_restarts_total"]
                time.sleep(0.2)  # between two looks at another process: there is no event to wait on
    assert (told.open, told.text()) == ([], "")


def test_redis_is_dead(world: World, tmp_path: Path) -> None:
    programs = world.app.workers("redis", processes=1, sleep=1)
    with Supervisor(tmp_path / "supervisor", programs) as server:
        until(lambda: running(server, WORKER), "the worker runs")
        queue, told = world.queue("redis:default", supervisor=server), Told("queue")
        told.look("queue", queue, minute=0)
        world.redis.stop()
        for minute in (1, 2, 3, 4, 12):
            told.look("queue", queue, minute=minute)
        assert [subject.split(" ", 3)[3] for subject in told.subjects] == [
            "Redis antrean di server tidak menjawab: e-mail dan pekerjaan lain berhenti"]
        world.redis.start()
        server.ctl("restart", "all")
        until(lambda: running(server, WORKER), "the worker runs again")
        for minute in (13, 14, 30):
            told.look("queue", queue, minute=minute)
    assert (told.open, len(told.subjects)) == ([], 2)
    same("queue-redis-dead", told.text(), scrub=world.scrub(server))


def test_the_database_is_dead(world: World, tmp_path: Path) -> None:
    with Supervisor(tmp_path / "supervisor", world.app.workers(processes=1, sleep=1)) as server:
        until(lambda: running(server, WORKER), "the worker runs")
        queue, told = world.queue(supervisor=server), Told("queue")
        told.look("queue", queue, minute=0)
        server.ctl("stop", "all")
        world.push("SendReceipt", 5)  # they wait, and are seen to wait, when the database dies
        told.look("queue", queue, minute=1)
        server.ctl("start", "all")
        until(lambda: world.count() == 0, "none is in hand, which nobody would take again for 90 seconds")
        world.database.kill()
        for minute in (2, 3, 4, 8, 14):
            told.look("queue", queue, minute=minute)
        world.database.start()
        server.ctl("restart", "all")
        until(lambda: world.count() == 0, "the jobs are done")
        for minute in (15, 16, 30):
            told.look("queue", queue, minute=minute)
    assert (told.open, len(told.subjects)) == ([], 2)
    same("queue-database-dead", told.text(), scrub=world.scrub(server))


def test_five_hundred_jobs_and_a_worker_that_does_not_get_done(world: World) -> None:
    queue, told = world.queue(), Told("queue")
    world.push("SendReceipt", 500)
    scrub = world.scrub()
    for minute in (0, 4, 8, 12, 16, 20):
        scrub |= world.scrub_times(told.look("queue", queue, minute=minute), minute - 4)
        assert told.open == (["queue_busy"] if minute == 20 else [])
        world.once()
    world.work()
    told.look("queue", queue, minute=24)
    assert told.open == []
    same("queue-500-jobs-busy", told.text(), scrub=scrub)


def test_jobs_that_fail_are_told_by_class_and_without_whose_they_are(world: World) -> None:
    queue, told = world.queue(), Told("queue")
    told.look("queue", queue, minute=0)
    world.push("CalculateShu", 3)
    world.push("SendReceipt", 2)
    world.work("--tries=1")
    told.look("queue", queue, minute=1)
    world.push("CalculateShu", 1)
    world.work("--tries=1")
    told.look("queue", queue, minute=2)
    told.look("queue", queue, minute=63)
    assert told.open == []
    assert not [word for word in ("Siti", "siti@koperasi.test", "081234567890", "1.250.000") if word in told.text()]
    same("queue-failed-jobs", told.text(), scrub=world.scrub())


def test_supervisor_itself_is_dead(world: World, tmp_path: Path) -> None:
    with Supervisor(tmp_path / "supervisor", world.app.workers(processes=1, sleep=1)) as server:
        until(lambda: running(server, WORKER), "the worker runs")
        queue, told = world.queue(supervisor=server, programs=("koperasi-worker",)), Told("queue")
        told.look("queue", queue, minute=0)
        server.stop()
        world.push("SendReceipt", 4)
        for minute in (1, 2, 3, 9, 12):
            told.look("queue", queue, minute=minute)
        assert told.open == ["queue_waiting", "worker_supervisor_down"]
        server.start()
        until(lambda: world.count() == 0, "the jobs are done")
        told.look("queue", queue, minute=13)
        told.look("queue", queue, minute=30)
    assert (told.open, len(told.subjects)) == ([], 2)
    same("queue-supervisor-dead", told.text(), scrub=world.scrub(server))


def test_a_worker_that_died_in_the_middle_of_a_job_and_one_that_somebody_stopped(world: World, tmp_path: Path) -> None:
    with Supervisor(tmp_path / "supervisor", world.app.workers(processes=1, sleep=1)) as server:
        until(lambda: running(server, WORKER), "the worker runs")
        queue, told = world.queue(supervisor=server), Told("queue")
        world.push("CloseMonth", 1, "--seconds=600")
        held = "SELECT COUNT(*) FROM jobs WHERE reserved_at IS NOT NULL"
        until(lambda: world.database.sql(held, "koperasi") == [(1,)], "the worker holds it")
        kill(server)
        server.ctl("stop", "all")
        for minute in (0, 2, 12, 20, 32):
            told.look("queue", queue, minute=minute)
        assert (told.open, len(told.subjects)) == (["queue_stuck", "worker_stopped"], 1)
        world.database.sql("DELETE FROM jobs", "koperasi")
        server.ctl("start", "all")
        until(lambda: running(server, WORKER), "the worker runs")
        told.look("queue", queue, minute=33)
    assert told.open == []
    same("queue-worker-stopped", told.text(), scrub=world.scrub(server))


def test_workers_on_another_machine_are_seen_by_the_jobs_that_go(world: World) -> None:
    queue, told = world.queue("database:default", "redis:default"), Told("queue")
    world.push("SendReceipt", 6)
    world.push("SendReceipt", 6, "--on=redis")
    for minute in range(0, 15, 3):
        told.look("queue", queue, minute=minute)
        world.once()
        world.app.artisan("queue:work", "redis", "--once")
    assert (told.open, told.text()) == ([], "")


def test_a_delayed_job_in_redis_whose_time_has_come_tells_that_nobody_works(world: World) -> None:
    queue, told = world.queue("redis:default"), Told("queue")
    world.push("SendReceipt", 1, "--on=redis", "--delay=60")
    for minute in (0, 2, 6, 10):
        told.look("queue", queue, minute=minute)
        assert told.open == (["queue_waiting"] if minute == 10 else [])
