"""A real Redis server in a folder of its own, on a free loopback port."""

from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from house import free_port
from stack.program import Program

NEEDS = ("redis-server",)


class Redis(Program):
    """`options` go to redis-server: "--maxmemory", "2mb". What it holds survives `stop`, not `kill`, as on a server."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder)
        self.options = options
        self.port = free_port()

    @property
    def command(self) -> list[str]:
        return ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder),
                "--save", "3600 1", "--daemonize", "no", *self.options]

    @property
    def ready(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self, database: int = 0) -> "redis.Redis":
        return redis.Redis("127.0.0.1", self.port, database, decode_responses=True, socket_timeout=10,
                           socket_connect_timeout=10, retry=Retry(NoBackoff(), 0))
