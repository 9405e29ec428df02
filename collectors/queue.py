"""Laravel's queues and their workers: what waits, what hangs, what failed, and whether anybody is at work."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec

from collectors import queue_database, queue_redis, queue_supervisor
from collectors.base import Metric, Reading, Run
from collectors.listing import few
from collectors.mysql_connection import Database, DatabaseError, connect
from collectors.quantities import Seconds
from collectors.queue_discovery import discovered
from collectors.queue_progress import Progress, Seen, first_in_row, interrupted, progress
from collectors.queue_redis import Redis
from collectors.queue_supervisor import SHOWN, Program, programs, restarts

EVERY = 60.0
TIMEOUT = 30.0

STORE_UP = Metric("jaga_queue_store_up", "Whether what holds the queue (database, redis) answers.", ("store",))
READY = Metric("jaga_queue_ready_jobs", "Jobs that could be taken now.", ("store", "queue"))
DELAYED = Metric("jaga_queue_delayed_jobs", "Jobs whose time has not come.", ("store", "queue"))
OVERDUE = Metric("jaga_queue_overdue_jobs", "Delayed jobs whose time has come, and that no worker has moved.",
                 ("store", "queue"))
RESERVED = Metric("jaga_queue_reserved_jobs", "Jobs that workers hold.", ("store", "queue"))
STUCK = Metric("jaga_queue_stuck_jobs", "Of the reserved: for longer than retry_after.", ("store", "queue"))
OLDEST = Metric("jaga_queue_oldest_seconds", "How long the first in the row has been waiting, at least.",
                ("store", "queue"))
UNATTENDED = Metric("jaga_queue_unattended_seconds", "How long jobs have waited without one of them being taken.",
                    ("store", "queue"))
BEHIND = Metric("jaga_queue_behind_seconds", "How long the first in the row waits although somebody is at work.",
                ("store", "queue"))
FAILED = Metric("jaga_queue_failed_jobs_total", "Jobs that failed for good since Jaga watches.", (), "counter")
FAILED_CLASS = Metric("jaga_queue_failed_jobs_by_class_total", "The same by the job's class.", ("job",), "counter")
SUPERVISOR_UP = Metric("jaga_worker_supervisor_up", "Whether Supervisor answers on its socket.")
WORKER_UP = Metric("jaga_worker_up", "Whether at least one process of the program runs; none while stopped by hand.",
                   ("program",))
WORKER_MISSING = Metric("jaga_worker_missing_processes", "Processes of the program that should run and do not.",
                        ("program",))
WORKER_STOPPED = Metric("jaga_worker_stopped", "Whether the program was stopped by hand, or never started.",
                        ("program",))
RESTARTS = Metric("jaga_worker_restarts_total", "Times a process of the program was seen to have started anew.",
                  ("program",), "counter")

_QUEUE = re.compile(r"(database|redis):(.+)")
_TABLE = re.compile(r"\w+(\.\w+)?", re.ASCII)


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Watches Laravel's queues where they lie, and the workers by Supervisor.

    queues: what is watched, as `artisan queue:monitor` writes it: "database:default", "redis:emails".
    database: the app's database, for queues that lie there and for failed jobs (with any kind of queue).
    redis: the Redis of queues that lie there.
    retry_after: as in the app's config/queue.php; a job held for longer is stuck.
    jobs_table, failed_table: where they are not Laravel's; an empty failed_table: failed jobs are not counted.
    supervisor: Supervisor's socket, "" for none. Reading it takes the right to do anything with it: docs/queue.md.
    programs: Supervisor's programs that must run. Where none is named, all but those that were never started.

    Nothing is ever taken, moved or retried. Of a payload nothing is kept but a failed job's class, and a check sum of
    the first one in a Redis list. Whether anybody works is seen by the queue itself: workers may run elsewhere.
    """

    queues: tuple[str, ...] = ("database:default",)
    database: Database | None = None
    redis: Redis | None = None
    retry_after: Seconds = 90.0
    jobs_table: str = "jobs"
    failed_table: str = "failed_jobs"
    supervisor: str = ""
    programs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for queue in self.queues:
            match = _QUEUE.fullmatch(queue)
            if match is None:
                raise ValueError(f'queues: "{queue}" must begin with where it lies: "database:" or "redis:"')
            if getattr(self, match[1]) is None:
                raise ValueError(f'{match[1]} is missing, and "{queue}" lies there: say where it is, or correct queues')
        for option in ("jobs_table", "failed_table"):
            table = getattr(self, option)
            if not _TABLE.fullmatch(table) and (table or option == "jobs_table"):
                raise ValueError(f'{option}: "{table}" is no name of a table: write "{option.replace("_table", "")}"')
        if self.supervisor and not self.supervisor.startswith("/"):
            raise ValueError('supervisor: must be the path of its socket, such as "/run/supervisor.sock"')
        if self.programs and not self.supervisor:
            raise ValueError('programs: cannot be seen without supervisor: add supervisor = "/run/supervisor.sock"')

    def collect(self, run: Run) -> Iterator[Reading]:
        memory: dict[str, dict[str, Any]] = run.memory.setdefault("queues", {})
        for gone in memory.keys() - set(self.queues):
            del memory[gone]
        found, dead = _Found(), False
        for store, look in self._stores(run, memory, found):
            with run.target(store):
                why = look()
                yield STORE_UP(not why, store=store, note=why)
                if why:
                    dead = True
                    for queue, _ in self._names(store):
                        interrupted(memory.get(queue, {}), run.now)
        if self.supervisor:  # before the queues: a dead worker is told, and not the jobs that wait for it
            with run.target("supervisor"):
                yield from self._workers(run, found, counts=not dead)
        for queue, seen in found.seen.items():
            yield from _queue(queue, seen, progress(memory.setdefault(queue, {}), seen, run.now), found.workers)
        if found.failed:
            yield from _failed(run.memory["failed"])

    @staticmethod
    def discover() -> str | None:
        return discovered()

    def _stores(self, run: Run, memory: dict[str, Any], found: "_Found") -> Iterator[tuple[str, Callable[[], str]]]:
        """Each store, and how to look at all that lies there; the look returns why nothing answers, or ""."""
        if self.database is not None:
            yield "database", partial(self._database, self.database, run, memory, found)
        if self.redis is not None:
            yield "redis", partial(self._redis, self.redis, run, memory, found)

    def _names(self, store: str) -> Iterator[tuple[str, str]]:
        """Each queue that lies there: as it is configured, and its own name."""
        for queue in self.queues:
            kind, _, name = queue.partition(":")
            if kind == store:
                yield queue, name

    def _database(self, database: Database, run: Run, memory: dict[str, Any], found: "_Found") -> str:
        try:
            with connect(database) as session:
                for queue, name in self._names("database"):
                    with run.target(queue):
                        found.seen[queue] = queue_database.look(
                            session, self.jobs_table, name, first=first_in_row(memory.get(queue, {})),
                            retry_after=self.retry_after, now=run.now)
                if self.failed_table:
                    with run.target(self.failed_table):
                        queue_database.count_failed(session, self.failed_table, run.memory.setdefault("failed", {}),
                                                    run.now)
                        found.failed = True
        except DatabaseError as error:
            if not error.unreachable:
                raise
            return str(error)
        return ""

    def _redis(self, redis: Redis, run: Run, memory: dict[str, Any], found: "_Found") -> str:
        names = dict(self._names("redis"))
        try:
            with queue_redis.asking(redis), queue_redis.connect(redis) as client:
                prefix = queue_redis.prefix_in_use(client, redis, names.values())
                for queue, name in names.items():
                    found.seen[queue] = queue_redis.look(client, prefix, name, now=run.now,
                                                         first=first_in_row(memory.get(queue, {})))
        except queue_redis.Unreachable as error:
            return str(error)
        return ""

    def _workers(self, run: Run, found: "_Found", counts: bool) -> Iterator[Reading]:
        memory: dict[str, Any] = run.memory.setdefault("workers", {})
        waiting = _waiting(found.seen.values())
        try:
            watched = programs(queue_supervisor.processes(self.supervisor), self.programs)
        except queue_supervisor.Unreachable as error:
            yield SUPERVISOR_UP(0, note=_joined(str(error), waiting))
            return
        yield SUPERVISOR_UP(1)
        found.workers = "workers: " + few([program.strength for program in watched], SHOWN) if watched else ""
        for program in watched:
            yield from _worker(program, restarts(program, memory.setdefault(program.name, {}), counts), waiting)
        for gone in memory.keys() - {program.name for program in watched}:
            del memory[gone]


@dataclass(slots=True)
class _Found:
    """What a run found: the queues that could be looked at, whether failed jobs could be counted, and who is there."""

    seen: dict[str, Seen] = field(default_factory=dict)
    failed: bool = False
    workers: str = ""


def _worker(program: Program, started: int, waiting: str) -> Iterator[Reading]:
    note = _joined(program.note, waiting) if program.note else ""
    yield WORKER_STOPPED(program.stopped, program=program.name, note=note)
    if not program.stopped:
        yield WORKER_UP(program.running > 0, program=program.name, note=note)
        yield WORKER_MISSING(len(program.down), program=program.name, note=note)
    yield RESTARTS(started, program=program.name, note=program.note)


def _queue(name: str, seen: Seen, at_work: Progress, workers: str) -> Iterator[Reading]:
    store, _, queue = name.partition(":")
    labels = {"store": store, "queue": queue}
    note = _joined(_evidence(seen), workers)
    yield READY(seen.ready, note=note, **labels)
    yield DELAYED(seen.delayed, **labels)
    if store == "redis":  # in a table a job is ready when its time has come
        yield OVERDUE(seen.overdue, **labels)
    yield RESERVED(seen.reserved, **labels)
    yield STUCK(seen.stuck, note=note, **labels)
    for metric, value in ((OLDEST, at_work.oldest), (UNATTENDED, at_work.unattended), (BEHIND, at_work.behind)):
        if value is not None:
            yield metric(value, note=note, **labels)


def _failed(memory: dict[str, Any]) -> Iterator[Reading]:
    yield FAILED(memory["total"], note=queue_database.recently(memory))
    for job, count in memory.get("classes", {}).items():
        yield FAILED_CLASS(count, job=job)


def _waiting(looks: Iterable[Seen]) -> str:
    """`jobs waiting: 312`, of all queues, for the evidence on what does not run."""
    looks = list(looks)
    count = sum(look.ready + look.overdue for look in looks)
    least = "at least " if any(look.least for look in looks) else ""
    return f"jobs waiting: {least}{count}" if count else ""


def _evidence(seen: Seen) -> str:
    counts = (("ready", seen.ready), ("delayed", seen.delayed), ("of these overdue", seen.overdue),
              ("reserved", seen.reserved), ("of these for longer than retry_after", seen.stuck))
    told = ", ".join(f"{count} {word}" for word, count in counts if count)
    return f"jobs: {'at least ' if seen.least else ''}{told or 'none'}"


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))
