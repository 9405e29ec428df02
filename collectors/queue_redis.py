"""Laravel's queues in Redis: a list of ready jobs, and two sorted sets of those that are delayed and reserved."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from collectors.queue_progress import Seen
from collectors.secret import Secret

if TYPE_CHECKING:
    from redis.client import Pipeline
    from redis.client import Redis as Client

ANSWER_SECONDS: Final = 3.0
_MOVED_WITHIN: Final = 60.0  # seconds: a worker moves delayed jobs whenever it looks for work, every 3 s by default
_DELAYED: Final = "delayed:"  # prefix in `head` where nobody is ready and a delayed one should be


class Unreachable(Exception):
    """Nothing answers there; the text says where and why."""


class Redis(msgspec.Struct, frozen=True, kw_only=True):
    """Where the Redis of the queue is, and how its keys begin.

    host, port, db: as REDIS_HOST, REDIS_PORT and REDIS_DB in the app's .env; `socket` is used where it is given.
    user, password: an account that may only count (docs/queue.md); user is empty where there is only a password.
    prefix: as REDIS_PREFIX. Where the app sets none, write its APP_NAME as `app_name`: the prefix follows from it,
    "koperasi_database_" until Laravel 12, and "koperasi-database-" from 13 on; the one under which jobs lie is taken.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 6379
    socket: str = ""
    db: Annotated[int, msgspec.Meta(ge=0)] = 0
    user: str = ""
    password: Secret | None = None
    prefix: str | None = None
    app_name: str = ""

    def __post_init__(self) -> None:
        if self.socket and not self.socket.startswith("/"):
            raise ValueError('socket: must be a path such as "/run/redis/redis-server.sock"')
        if self.prefix is None and not self.app_name:  # a wrong one would look like an empty queue for ever
            raise ValueError('app_name is missing: write APP_NAME of the app\'s .env, or its REDIS_PREFIX as prefix')
        if self.prefix is not None and self.app_name:
            raise ValueError("app_name: is not needed beside prefix: leave one of them out")

    @property
    def place(self) -> str:
        """The server as messages name it."""
        return self.socket or f"{self.host}:{self.port}"

    @property
    def prefixes(self) -> tuple[str, ...]:
        """How the keys may begin, Laravel 8 to 12 first."""
        if self.prefix is not None:
            return (self.prefix,)
        return f"{_slug(self.app_name, '_')}_database_", f"{_slug(self.app_name, '-')}-database-"


def connect(options: Redis) -> "Client":
    """A client that gives up at once; use it in a `with`. Nothing is sent yet."""
    import redis  # 5 MiB that only a queue in Redis needs
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    where: dict[str, Any] = ({"unix_socket_path": options.socket} if options.socket
                             else {"host": options.host, "port": options.port})
    return redis.Redis(
        **where, db=options.db, username=options.user or None,
        password=options.password.reveal() if options.password else None, socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),  # its default tries for 5 s where nothing listens
        protocol=2, driver_info=None)  # an account that may only count may neither say HELLO nor who it is


@contextmanager
def asking(options: Redis) -> Iterator[None]:
    """Turns what the library raises into one sentence with place and mend. Raises Unreachable, or RuntimeError."""
    from redis import exceptions as redis

    place, user = options.place, options.user or "default"
    try:
        yield
    except (redis.AuthenticationError, redis.AuthorizationError):
        raise RuntimeError(f"{place}: access denied for user {user}: check user and password") from None
    except redis.NoPermissionError as error:
        raise RuntimeError(f"{place}: a right is missing for user {user}: {error}; "
                           "give it the rights that docs/queue.md lists") from None
    except redis.BusyLoadingError:
        raise RuntimeError(f"{place}: Redis has just started and still loads its data") from None
    except (redis.ConnectionError, redis.TimeoutError) as error:
        cause = error.__cause__ or error.__context__ or error
        if "max number of clients" in str(error):
            raise RuntimeError(f"{place}: {error}: see who holds them with CLIENT LIST") from None
        raise Unreachable(f"{place}: {_why(cause)}") from None
    except redis.RedisError as error:
        raise RuntimeError(f"{place}: {error}") from None


def prefix_in_use(client: "Client", options: Redis, queues: Iterable[str]) -> str:
    """The prefix under which jobs lie; the first one where none do. Call within `asking`."""
    prefixes = options.prefixes
    if len(prefixes) == 1:
        return prefixes[0]
    from redis.exceptions import NoPermissionError

    used = []
    for prefix in prefixes:
        with client.pipeline(transaction=False) as pipeline:
            for queue in queues:
                _sizes(pipeline, prefix, queue)
            answers = pipeline.execute(raise_on_error=False)
        if any(isinstance(answer, NoPermissionError) for answer in answers):
            continue  # an account that may read one of them settles it
        if any(answers):
            used.append(prefix)
    if len(used) > 1:
        raise RuntimeError(f"{options.place}: jobs lie under {' and under '.join(used)}: Laravel 13 changed the "
                           "prefix, and those under the old one are forgotten; write `prefix` in place of `app_name`")
    return used[0] if used else prefixes[0]


def look(client: "Client", prefix: str, queue: str, *, first: str, now: float) -> Seen:
    """Count one queue in one round trip; `first` is who was first in the row at the look before. Call in `asking`."""
    key = f"{prefix}queues:{queue}"
    with client.pipeline(transaction=False) as pipeline:
        _sizes(pipeline, prefix, queue)
        pipeline.zcount(f"{key}:delayed", "-inf", now - _MOVED_WITHIN)
        pipeline.zcount(f"{key}:reserved", "-inf", now)  # the score is when retry_after is over
        pipeline.lindex(key, 0)
        pipeline.zrangebyscore(f"{key}:delayed", "-inf", now - _MOVED_WITHIN, start=0, num=1, withscores=True)
        ready, delayed, reserved, overdue, stuck, payload, late = pipeline.execute()
    head, since = _first(payload)
    stays = bool(head) and head == first
    if not ready and late:
        since = float(late[0][1])
        head = f"{_DELAYED}{since:.3f}"
        stays = head == first
    elif first.startswith(_DELAYED) and late:  # a new job came in front of it: nobody has worked for that
        stays = first == f"{_DELAYED}{float(late[0][1]):.3f}"
    return Seen(ready=ready, delayed=delayed, reserved=reserved, stuck=stuck, overdue=overdue, head=head, stays=stays,
                oldest=since if since is not None and since <= now else None)


def _sizes(pipeline: "Pipeline", prefix: str, queue: str) -> None:
    key = f"{prefix}queues:{queue}"
    pipeline.llen(key)
    pipeline.zcard(f"{key}:delayed")
    pipeline.zcard(f"{key}:reserved")


def _first(payload: bytes | None) -> tuple[str, float | None]:
    """Who is first in the row, and since when: known from Laravel 12 on (createdAt) and with Horizon (pushedAt).

    A job's payload holds its number and how often it was tried, and stays as it is while the job waits. One that was
    given back was made before it began to wait: then it is not known since when. One that was delayed (Laravel 12 says
    by how much) began to wait when its time had come.
    """
    if payload is None:
        return "", None
    head = hashlib.sha256(payload).hexdigest()[:16]
    try:
        job = json.loads(payload)
        made = float(job.get("pushedAt") or job.get("createdAt") or 0)
        since = 0.0 if job.get("attempts") or not made else made + max(0.0, float(job.get("delay") or 0))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):  # whatever it may be
        since = 0.0
    return head, since if since > 0 else None


def _slug(name: str, separator: str) -> str:
    """As Laravel's Str::slug does, for what is left of a name in ASCII."""
    text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub("[-_]+", separator, text).replace("@", f"{separator}at{separator}")
    text = re.sub(rf"[^{re.escape(separator)}a-z0-9\s]+", "", text)
    return re.sub(rf"[{re.escape(separator)}\s]+", separator, text).strip(separator)


def _why(cause: BaseException) -> str:
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (ConnectionRefusedError, "nothing listens there: is Redis running?"),
        (FileNotFoundError, "there is no such socket: is Redis running?"),
        (TimeoutError, "no answer in time"))
    for kind, says in kinds:
        if isinstance(cause, kind):
            return says
    return f"cannot connect: {cause}"
