"""One fault, one message: a whole server falls over, every collector sees its part, and people hear of the root alone.

The readings are those that the collectors give (tests/golden shows them measured); here all of them are told at once,
in several orders within the minute, for a dead database is seen by whoever happens to look first.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from agent.runner import SUCCESS, TARGET_SUCCESS
from agent.selfcheck import HEARTBEAT_FAILING, NOTIFIER_FAILING, OUTBOX_OLDEST, STORE_WRITABLE
from collectors import disk, files, laravel, mysql, queue, services, sql, web
from collectors.base import Reading
from golden import Told

COLLECTORS = ("disk", "files", "laravel", "mysql", "queue", "resources", "services", "sql", "web")
BROKEN, MENDED, END = 3, 23, 140  # minutes; a new kind of error is over after an hour without it
# At which part of a minute each of them looks; services are woken by D-Bus, or look with the rest.
ORDERS = {
    "services, mysql, …": ("services", "mysql", "queue", "sql", "laravel", "disk", "web", "files", "agent"),
    "the other way round": ("agent", "files", "web", "disk", "laravel", "sql", "queue", "mysql", "services"),
    "the consequences first": ("web", "queue", "laravel", "files", "sql", "services", "disk", "mysql", "agent"),
}
LOST = "Illuminate\\Database\\QueryException: SQLSTATE[HY000] [2002] Connection refused"


@dataclass(frozen=True)
class Server:
    """How it stands at a minute; what is true of it follows from that.

    `broken`: what failed at minute BROKEN and was mended at minute MENDED, of mysql, nginx, redis, internet, disk, and
    maintenance (`artisan down`). `store`: where the queue lies.
    """

    broken: frozenset[str]
    systemd: bool
    store: str
    minute: float

    @property
    def dead(self) -> frozenset[str]:
        """What is broken now; a database that may not write ends itself soon."""
        if not BROKEN <= self.minute < MENDED:
            return frozenset()
        return self.broken | ({"mysql"} if "disk" in self.broken and self.since > 3 else set())

    @property
    def since(self) -> float:
        """Minutes since it broke."""
        return max(0.0, self.minute - BROKEN)

    @property
    def failing(self) -> bool:
        """Whether each request to the application ends in an error."""
        return bool({"mysql", "redis", "disk"} & self.dead)


def _services(server: Server) -> Iterator[Reading]:
    yield services.SYSTEMD_UP(server.systemd)
    if not server.systemd:
        return
    units = {"nginx": "nginx", "mariadb": "mysql", "php8.2-fpm": "php", "supervisor": "supervisor",
             "redis-server": "redis"}
    for unit, part in units.items():
        yield services.LOADED(1, unit=unit)
        yield services.ACTIVE(part not in server.dead, unit=unit)
        yield services.FAILED(part in server.dead, unit=unit)
        yield services.ACTIVATING(0, unit=unit)
        yield services.RESTARTS(0, unit=unit)
    yield services.OTHERS(0)


def _mysql(server: Server) -> Iterator[Reading]:
    if "mysql" in server.dead:
        yield mysql.UP(0, note="/run/mysqld/mysqld.sock: Connection refused")
        return
    yield mysql.UP(1)
    yield mysql.FULL(0)
    yield mysql.USED(0.1)
    yield mysql.REFUSED(0)
    yield mysql.ABORTED(0, how="connect")
    yield mysql.ABORTED(0, how="client")
    yield mysql.OLDEST(0)
    yield mysql.WAITED(0)
    yield mysql.LOGGED(3)
    yield mysql.SLOW(0)
    yield mysql.SLOWEST(0)
    yield mysql.READ_ONLY("disk" in server.dead)
    for part in ("transactions", "replication", "tables", "error log", "slow log"):
        yield TARGET_SUCCESS(1, collector="mysql", target=part)


def _queue(server: Server) -> Iterator[Reading]:
    name = f"{server.store}:default"
    gone = {"database": "mysql", "redis": "redis"}[server.store] in server.dead
    yield queue.STORE_UP("mysql" not in server.dead, store="database", note="Connection refused")
    yield TARGET_SUCCESS(1, collector="queue", target="database")
    if server.store == "redis":
        yield queue.STORE_UP("redis" not in server.dead, store="redis", note="Connection refused")
    yield queue.SUPERVISOR_UP(1)
    # Supervisor starts it three times in ten seconds, and gives up.
    yield queue.WORKER_STOPPED(0, program="worker")
    yield queue.WORKER_UP(not gone, program="worker")
    yield queue.WORKER_MISSING(2 if gone else 0, program="worker")
    yield queue.RESTARTS(6 if server.since and {"mysql", "redis"} & server.broken else 0, program="worker")
    if not gone:
        waiting = server.since * 60 if "maintenance" in server.dead else 0.0
        labels = {"store": server.store, "queue": "default"}
        for metric, value in ((queue.READY, waiting), (queue.DELAYED, 0), (queue.RESERVED, 0), (queue.STUCK, 0),
                              (queue.OLDEST, waiting), (queue.UNATTENDED, waiting), (queue.BEHIND, 0)):
            yield metric(value, **labels)
        yield TARGET_SUCCESS(1, collector="queue", target=name)
    if "mysql" not in server.dead:
        yield queue.FAILED(0)
        yield TARGET_SUCCESS(1, collector="queue", target="failed_jobs")


def _sql(server: Server) -> Iterator[Reading]:
    if "mysql" in server.dead:
        yield SUCCESS(0, collector="sql", note="/run/mysqld/mysqld.sock: Connection refused")
        return
    yield SUCCESS(1, collector="sql")
    for name in ("payments_pending", "bank_unreconciled"):
        yield sql.VALUE(0, query=name, item="")
        yield TARGET_SUCCESS(1, collector="sql", target=name)
    yield sql.VALUE(0, query="books_unbalanced", item="entries")
    yield sql.SECONDS(0, query="app_clock_ahead", item="")


def _laravel(server: Server) -> Iterator[Reading]:
    """What was written counts for five minutes, and a new kind of error stays known for an hour."""
    logs = bool({"mysql", "redis"} & server.broken) and server.since > 0
    recent = 60 * (min(server.since, 5) if server.minute < MENDED else max(0.0, 5 + MENDED - server.minute))
    yield laravel.READABLE(1)
    yield laravel.RECENT(recent if logs else 0, note=LOST)
    yield laravel.SEVERE(0)
    yield laravel.NEW_KINDS(0)
    if logs:
        yield laravel.NEW(server.minute < MENDED + 60, error="QueryException", note=LOST)
    yield laravel.MAINTENANCE(server.since * 60 if "maintenance" in server.dead else 0)
    # schedule:run asks the cache, in the database or redis, and touches its file only where it went well
    stands = server.failing or "maintenance" in server.dead
    yield laravel.SCHEDULE(server.since * 60 + 30 if stands else 30)
    yield laravel.DEBUG(0)
    yield laravel.PRODUCTION(1)


def _web(server: Server) -> Iterator[Reading]:
    here = {"site": "kopkarskf.com", "served": "here"}
    if "internet" in server.dead:
        yield web.INTERNET(0, note="dns.google:443: no answer")
    else:
        yield web.INTERNET(1)
        yield web.REACHABLE(1, site="luar", served="elsewhere")
        yield web.ANSWER_RIGHT(1, site="luar", served="elsewhere")
        yield web.CONTENT_RIGHT(1, site="luar")
    if "nginx" in server.dead:
        yield web.REACHABLE(0, **here, note="127.0.0.1 port 443: Connection refused")
        return
    wrong = server.failing or "maintenance" in server.dead
    yield web.REACHABLE(1, **here)
    yield web.ANSWER_RIGHT(not wrong, **here, note="HTTP 50x" if wrong else "")
    if not wrong:
        yield web.CONTENT_RIGHT(1, site=here["site"])
        yield web.DURATION(0.2, site=here["site"])
    yield web.EXPIRED(0, site=here["site"])
    yield web.TRUSTED(1, site=here["site"])


def _disk(server: Server) -> Iterator[Reading]:
    yield disk.READ_ONLY("disk" in server.dead, mount="/")
    yield disk.USED(0.4, mount="/")


def _files(_: Server) -> Iterator[Reading]:
    yield files.FOUND(1, set="backup")
    yield files.OVERDUE(0, set="backup")
    yield files.GOOD_OVERDUE(0, set="backup")


def _agent(server: Server) -> Iterator[Reading]:
    """Jaga itself: whatever leaves the machine stands still without the internet, and its store lies on the disk."""
    silent = server.since * 60 if "internet" in server.dead else 0.0
    yield NOTIFIER_FAILING(silent, notifier="chat")
    yield HEARTBEAT_FAILING(silent)
    yield OUTBOX_OLDEST(silent)
    yield STORE_WRITABLE("disk" not in server.dead or server.since < 1)


READ: dict[str, Callable[[Server], Iterable[Reading]]] = {
    "services": _services, "mysql": _mysql, "queue": _queue, "sql": _sql, "laravel": _laravel, "web": _web,
    "disk": _disk, "files": _files, "agent": _agent,
}


@dataclass(frozen=True)
class Story:
    """What breaks, and the rule that people are told of in the end: the root, "" for none."""

    broken: str
    root: str
    systemd: bool = True
    store: str = "database"


STORIES = (
    Story("mysql", "service_down"),
    Story("mysql", "mysql_down", systemd=False),
    Story("mysql", "service_down", store="redis"),
    Story("mysql", "mysql_down", systemd=False, store="redis"),
    Story("nginx", "service_down"),
    Story("nginx", "web_down", systemd=False),
    Story("redis", "service_down", store="redis"),
    Story("redis", "queue_redis_down", systemd=False, store="redis"),
    Story("internet", "web_internet_down"),
    Story("disk", "disk_read_only"),
    Story("disk", "disk_read_only", systemd=False),
    Story("maintenance", ""),
)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_one_fault_is_one_message_and_its_end_another(story: Story, order: tuple[str, ...]) -> None:
    told, roots = Told(*COLLECTORS), set[str]()
    for minute in range(END):
        for place, name in enumerate(order):
            at = minute + place / len(order)
            server = Server(frozenset({story.broken}), story.systemd, story.store, at)
            told.take(name, READ[name](server), minute=at)
            for incident in told.desk.view.open:
                if incident.told and not incident.acked_by:  # who reads it takes it, and is not reminded
                    roots |= {member.rule for member in incident.members.values()}
                    told.desk.ack(incident.code, "budi", "chat", told.now, lasts=6 * 3600)
    assert (len(told.subjects), roots) == ((2, {story.root}) if story.root else (0, set())), "\n".join(told.subjects)
    assert not told.open


@pytest.mark.parametrize(("unit", "rule"),
                         [("nginx", "web_down"), ("php8.2-fpm", "web_error"), ("mariadb", "web_error")])
def test_a_crash_that_is_over_hides_no_outage_after_it(unit: str, rule: str) -> None:
    """service_crashing stays for an hour; a site that breaks meanwhile is told at once."""
    told = Told("services", "web")
    here = {"site": "kopkarskf.com", "served": "here"}
    for minute in range(30):
        told.take("services", [services.ACTIVE(1, unit=unit), services.RESTARTS(minute >= 2, unit=unit)], minute=minute)
        broken = minute >= 20
        told.take("web", [web.REACHABLE(not (broken and rule == "web_down"), **here),
                          web.ANSWER_RIGHT(not broken, **here)][:1 if broken and rule == "web_down" else 2],
                  minute=minute)
    assert told.open == ["service_crashing", rule]
    assert [subject.split(" ", 2)[1] for subject in told.subjects] == ["PERINGATAN]", "KRITIS]"]


def test_a_lock_that_is_gone_leaves_no_slow_statement_to_tell_of() -> None:
    """The slowest statement of the last hour is the one that waited for the lock, and the window counts it as well."""
    told = Told("mysql", "web")
    for minute in range(90):
        waits = 2 <= minute < 10
        slow = 50.0 if 3 <= minute < 68 else 0.0
        told.take("mysql", [mysql.WAITED((minute - 1) * 60 if waits else 0), mysql.SLOW(40 if minute >= 3 else 0),
                            mysql.SLOWEST(slow)], minute=minute)
        told.take("web", [web.DURATION(9 if waits else 0.2, site="kopkarskf.com")], minute=minute)
    assert len(told.subjects) == 3, "\n".join(told.subjects)  # that somebody waits, that it got worse, that it is over
    assert told.open == []
