"""Laravel's queues on a real Redis, their keys as Laravel 8 to 13 names them, and an account that may only count."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from collectors.base import Run
from collectors.queue import Queue
from collectors.queue_progress import Seen
from collectors.queue_redis import Redis, Unreachable, asking, connect, look, prefix_in_use
from collectors.secret import Secret
from house import free_port
from stack.redis_server import NEEDS
from stack.redis_server import Redis as Server

pytestmark = pytest.mark.needs_debian(*NEEDS)
MANUAL = Path(__file__).parents[2] / "docs/queue.md"
NOW = 1_795_000_000.0
OLD, NEW = "koperasi_database_", "koperasi-database-"  # up to Laravel 12, and from 13 on
# As real RedisQueue of Laravel 8 wrote it
PAYLOAD = {"uuid": "91e5", "displayName": "SendReceipt", "job": "Illuminate\\Queue\\CallQueuedHandler@call",
           "maxTries": 3, "data": {"commandName": "SendReceipt", "command": 'O:11:"SendReceipt"'}, "id": "AhWL",
           "attempts": 0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("redis")) as made:
        yield made


@pytest.fixture
def client(server: Server) -> Iterator["redis.Redis"]:
    with server.client() as made:
        made.flushall()
        yield made


def job(**changes: Any) -> str:
    return json.dumps(PAYLOAD | changes)


def at(server: Server, **changes: Any) -> Redis:
    return Redis(**{"port": server.port, "app_name": "Koperasi"} | changes)


def asked(options: Redis, first: str = "", queue: str = "default", now: float = NOW) -> Seen:
    with asking(options), connect(options) as client:
        return look(client, prefix_in_use(client, options, [queue]), queue, first=first, now=now)


def test_each_kind_of_job_is_counted_apart(server: Server, client: "redis.Redis") -> None:
    key = f"{OLD}queues:default"
    client.rpush(key, job(), job(uuid="2"), job(uuid="3"))
    client.zadd(f"{key}:delayed", {"a": NOW + 60, "b": NOW - 59, "c": NOW - 61, "d": NOW - 600})
    client.zadd(f"{key}:reserved", {"e": NOW + 30, "f": NOW - 1})
    client.rpush(f"{key}:notify", "1", "1")
    found = asked(at(server))
    assert found == Seen(ready=3, delayed=4, reserved=2, stuck=1, overdue=2, head=found.head)
    assert re.fullmatch("[0-9a-f]{16}", found.head)  # nothing of the payload is kept
    assert asked(at(server), queue="emails") == Seen(ready=0, delayed=0, reserved=0, stuck=0)
    assert asked(at(server, db=1)) == Seen(ready=0, delayed=0, reserved=0, stuck=0)


@pytest.mark.parametrize(("payload", "since"), [
    (job(), None),  # until Laravel 11
    (job(createdAt=int(NOW) - 90), NOW - 90),  # from Laravel 12 on
    (job(createdAt=int(NOW) - 90, attempts=1), None),  # given back: it is older than its waiting
    (job(createdAt=int(NOW) - 90, pushedAt=f"{NOW - 30:.4f}"), NOW - 30),  # Horizon
    (job(createdAt=int(NOW) + 90), None),  # another clock
    (job(createdAt=int(NOW) - 3600, delay=3570), NOW - 30),  # its time has come half a minute ago
    (job(createdAt=int(NOW) - 90, delay=None), NOW - 90),
    (job(createdAt=int(NOW) - 90, delay="soon"), None),
    *((payload, None) for payload in (
        job(createdAt="yesterday"), job(createdAt=[1]), job(createdAt=float("nan")), job(createdAt=10**400),
        "[1, 2]", "7", "null", "no JSON", "[" * 100_000, '{"createdAt": ' + "9" * 5000 + "}", "\x00\ud800")),
])
def test_since_when_the_first_in_the_row_waits(server: Server, client: "redis.Redis", payload: str,
                                               since: float | None) -> None:
    client.rpush(f"{OLD}queues:default", payload.encode("utf-8", "surrogatepass"))
    found = asked(at(server))
    assert (found.ready, found.oldest) == (1, since)
    assert asked(at(server), found.head).stays
    client.rpush(f"{OLD}queues:default", job(uuid="another"))
    client.ltrim(f"{OLD}queues:default", 1, -1)
    assert not asked(at(server), found.head).stays


def test_the_first_in_the_row_stays_until_somebody_takes_it(server: Server, client: "redis.Redis") -> None:
    key = f"{OLD}queues:default"
    client.rpush(key, job(), job(uuid="2"))
    first = asked(at(server)).head
    client.rpush(key, job(uuid="3"))
    assert asked(at(server), first).stays
    client.lpop(key)
    assert not asked(at(server), first).stays


def test_a_delayed_job_that_no_worker_moves_is_the_first_in_the_row(server: Server, client: "redis.Redis") -> None:
    key = f"{OLD}queues:default"
    client.zadd(f"{key}:delayed", {"a": NOW - 600})
    found = asked(at(server))
    assert found == Seen(ready=0, delayed=1, reserved=0, stuck=0, overdue=1, oldest=NOW - 600, head=found.head)
    assert asked(at(server), found.head).stays
    client.rpush(key, job())  # a new one comes in front of it, and still nobody works
    assert asked(at(server), found.head).stays
    client.zrem(f"{key}:delayed", "a")
    assert not asked(at(server), found.head).stays


@pytest.mark.parametrize(("name", "prefixes"), [
    ("Koperasi", (OLD, NEW)),
    ("Koperasi Karyawan SKF", ("koperasi_karyawan_skf_database_", "koperasi-karyawan-skf-database-")),
    ("laravel", ("laravel_database_", "laravel-database-")),
    ("Café_Kopi-Satu @Rumah!", ("cafe_kopi_satu_at_rumah_database_", "cafe-kopi-satu-at-rumah-database-")),
])
def test_the_prefix_follows_from_the_apps_name(name: str, prefixes: tuple[str, str]) -> None:
    assert Redis(app_name=name).prefixes == prefixes


def test_jobs_are_found_under_the_old_prefix_and_under_the_new_one(server: Server, client: "redis.Redis") -> None:
    client.rpush(f"{NEW}queues:default", job(), job())
    assert asked(at(server)).ready == 2
    assert asked(at(server, prefix="", app_name="")).ready == 0
    assert asked(at(server, prefix=NEW, app_name="")).ready == 2
    client.zadd(f"{OLD}queues:default:delayed", {job(): NOW})
    with pytest.raises(RuntimeError, match="under koperasi_database_ and under koperasi-database-: Laravel 13 changed"):
        asked(at(server))


@pytest.fixture
def account(server: Server, client: "redis.Redis") -> Iterator[Redis]:
    """An account with the rights of the manual and no other."""
    [rights] = re.findall(r"ACL SETUSER jaga (.*)", MANUAL.read_text())
    client.execute_command("ACL", "SETUSER", "jaga", *rights.split())
    client.execute_command("ACL", "LOG", "RESET")
    yield at(server, user="jaga", password=Secret("", lambda: "PASSWORD"), prefix=OLD, app_name="")
    client.execute_command("ACL", "DELUSER", "jaga")


def test_the_rights_of_the_manual_suffice_and_nothing_else_is_tried(client: "redis.Redis", account: Redis) -> None:
    client.rpush(f"{OLD}queues:default", job())
    client.zadd(f"{OLD}queues:default:delayed", {"a": NOW - 600})
    for queue in (Queue(queues=("redis:default",), redis=account),
                  Queue(queues=("redis:default",), redis=Redis(port=account.port, user="jaga", db=0,
                                                               password=account.password, prefix=OLD))):
        run = Run(NOW)
        assert {reading.value for reading in queue.collect(run) if reading.metric.endswith("ready_jobs")} == {1}
        assert set(run.targets.values()) == {None}
    assert client.execute_command("ACL", "LOG") == []


def test_an_account_that_may_read_one_prefix_settles_it(client: "redis.Redis", account: Redis) -> None:
    client.rpush(f"{NEW}queues:default", job())
    client.rpush(f"{OLD}queues:default", job(), job())
    by_name = Redis(port=account.port, user="jaga", password=account.password, app_name="Koperasi")
    assert asked(by_name).ready == 2


def test_the_account_may_not_take_a_job_or_read_another_key(client: "redis.Redis", account: Redis) -> None:
    client.set("koperasi_cache_session", "x")
    client.rpush(f"{OLD}queues:default", job())
    with connect(account) as stranger:
        for words in (("LPOP", f"{OLD}queues:default"), ("DEL", f"{OLD}queues:default"), ("KEYS", "*"),
                      ("GET", "koperasi_cache_session"), ("CONFIG", "GET", "requirepass")):
            with pytest.raises(NoPermissionError):
                stranger.execute_command(*words)
    assert client.llen(f"{OLD}queues:default") == 1


def test_a_refusal_says_what_mends_it(client: "redis.Redis", account: Redis) -> None:
    place = f"127.0.0.1:{account.port}"
    wrong = Redis(port=account.port, user="jaga", password=Secret("", lambda: "salah-sekali"), prefix=OLD)
    other = Redis(port=account.port, user="jaga", password=account.password, prefix="lain_")
    with pytest.raises(RuntimeError, match=f"^{place}: access denied for user jaga: check user and password$") as told:
        asked(wrong)
    assert "salah-sekali" not in repr(told.value)
    with pytest.raises(RuntimeError, match=f"^{place}: a right is missing for user jaga: .*docs/queue.md lists$"):
        asked(other)
    client.config_set("requirepass", "rahasia")
    try:
        with pytest.raises(RuntimeError, match=f"^{place}: access denied for user default"):
            asked(Redis(port=account.port, prefix=OLD))
        assert asked(Redis(port=account.port, prefix=OLD, password=Secret("", lambda: "rahasia"))).ready == 0
    finally:
        client.config_set("requirepass", "")


def test_a_redis_that_is_not_there_is_unreachable_at_once(tmp_path: Path) -> None:
    port = free_port()
    for options, says in (
        (Redis(port=port, prefix=""), f"127.0.0.1:{port}: nothing listens there: is Redis running?"),
        (Redis(socket=f"{tmp_path}/s", prefix=""), f"{tmp_path}/s: there is no such socket: is Redis running?"),
    ):
        with pytest.raises(Unreachable) as refused:
            asked(options)
        assert str(refused.value) == says


def test_a_redis_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collectors.queue_redis.ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        with pytest.raises(Unreachable, match=f"^127.0.0.1:{port}: no answer in time$"):
            asked(Redis(port=port, prefix=""))
