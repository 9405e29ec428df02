"""The whole server of a cooperative in a folder: `make stack` starts it and writes an agent.toml that watches it."""

import contextlib
import getpass
import shutil
import signal
import tempfile
import time
import tomllib
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from stack import backups, certificates, koperasi, laravel, mariadb, redis_server, supervisor
from stack.certificates import Authority
from stack.laravel import Laravel
from stack.mariadb import MariaDB
from stack.program import until
from stack.redis_server import Redis
from stack.supervisor import Supervisor

NEEDS = tuple(dict.fromkeys([*mariadb.NEEDS, *redis_server.NEEDS, *supervisor.NEEDS, *laravel.NEEDS, *backups.NEEDS,
                             *certificates.NEEDS]))
PASSWORD = "rahasia-jaga"  # of the agent's own account at MariaDB
PRESET = Path(__file__).parents[2] / "collectors/presets/koperasi.toml"
QUEUE = {"jobs": ["id", "queue", "attempts", "reserved_at", "available_at"], "failed_jobs": ["id", "payload"]}
CONFIGURATION = """\
[agent]
name = "server"
site = "Koperasi Percobaan"

[collectors.resources]

[collectors.disk]

[collectors.web]
urls = [{{ url = "{url}", name = "toko", text = "Beras 5 kg", min_size = "200 B" }}]
ca_file = "{ca}"
internet = ["127.0.0.1:{plain}"]
domains = []

[collectors.laravel]
path = "{path}"
user = "{user}"

[collectors.queue]
queues = ["database:default", "redis:default"]
database = {{ port = {mysql_port}, database = "koperasi", password = {{ file = "{password}" }} }}
redis = {{ port = {redis_port}, app_name = "Koperasi" }}
supervisor = "{supervisor}"

[collectors.mysql]
port = {mysql_port}
password = {{ file = "{password}" }}
slow_log = "{slow_log}"

[collectors.sql]
database = {{ port = {mysql_port}, database = "koperasi", password = {{ file = "{password}" }} }}
presets = ["koperasi"]

[collectors.files.sets.harian]
pattern = "{backups}/*.zip"
due = "01:00"
tables = ["users", "transactions", "journal_entries", "journal_entry_lines"]

[notifiers.console]

[contacts.operator]
channels = ["console"]
"""
TOLD = """\
The stack runs ({seconds:.1f} s). Ctrl-C ends it and deletes its folder.

  site        {url}/   and https://localhost:{tls}/
  app         {app}   (storage/logs/laravel.log, .env, php8.2 artisan …)
  MariaDB     mariadb --no-defaults --user=root --socket={mariadb} koperasi
  Redis       redis-cli -p {redis}
  Supervisor  supervisorctl -c {supervisor} status
  processes   {pids}
  agent       {configuration}

Look at it:   .venv/bin/jaga check --config {configuration}
Break it:     kill -9 one of the processes · curl {url}/throw/runtime
              in the app: php8.2 artisan down · php8.2 artisan koperasi:push CalculateShu 5
"""


class Stack:
    """nginx, php-fpm, MariaDB, Redis, Supervisor with three workers, the app with its books, a week of backups.

    Enter it, and all of it runs; `now` is when that was, and what the seed's times are counted from.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.mariadb = MariaDB(folder / "mariadb")
        self.redis = Redis(folder / "redis")
        self.authority = Authority(folder / "authority")
        self.app = Laravel(folder, self.mariadb, self.redis, certificate=self.authority.issue())
        programs = self.app.workers() + self.app.workers("redis", processes=1, name="koperasi-worker-redis")
        self.supervisor = Supervisor(folder / "supervisor", programs)
        self.backups = self.app.path / "storage/app/Koperasi"
        self.programs = {"mariadbd": self.mariadb, "redis-server": self.redis, "supervisord": self.supervisor,
                         "php-fpm": self.app.fpm, "nginx": self.app.nginx}

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            parts.enter_context(self.mariadb)
            parts.enter_context(self.redis)
            koperasi.load(self.mariadb, now=self.now)
            self.mariadb.sql(_grants())
            parts.enter_context(self.supervisor)
            parts.enter_context(self.app)
            self._back_up()
            self.app.get("/log/info")  # an app that is in use has a log
            until(lambda: set(self.supervisor.states().values()) == {"RUNNING"}, "all workers run")
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def _back_up(self) -> None:
        """Seven nights, each at 01:00 WIB, which is 18:00 UTC; the last one is the newest that can be there by now."""
        night = self.now.replace(hour=18, minute=0, second=4, microsecond=0)
        night -= timedelta(days=night > self.now)
        sql = backups.dump(self.mariadb)
        for day in range(7):
            backups.spatie(self.backups, sql, night - timedelta(days=day))

    def configuration(self) -> str:
        """An agent.toml that watches all of it and tells only the terminal; the secret that it names lies beside it."""
        password = self.folder / "jaga-password"
        password.write_text(PASSWORD)
        password.chmod(0o600)
        return CONFIGURATION.format(
            url=f"https://localhost:{self.app.nginx.tls_port}/", ca=self.authority.file, plain=self.app.nginx.port,
            path=self.app.path, user=getpass.getuser(), supervisor=self.supervisor.socket, redis_port=self.redis.port,
            mysql_port=self.mariadb.port, password=password, slow_log=self.mariadb.slow_log, backups=self.backups)


def _grants() -> str:
    """The agent's account with no more rights than the manual asks for: column by column."""
    columns = {table: set(names) for table, names in QUEUE.items()}
    for query in tomllib.loads(PRESET.read_text("utf-8")).values():
        for table, names in query["reads"].items():
            columns.setdefault(table, set()).update(names)
    jaga = "jaga@'127.0.0.1'"
    return "; ".join([
        f"CREATE USER {jaga} IDENTIFIED BY '{PASSWORD}'", f"GRANT PROCESS, SHOW VIEW ON *.* TO {jaga}",
        *(f"GRANT SELECT ({', '.join(names)}) ON koperasi.{table} TO {jaga}" for table, names in columns.items())])


def main() -> None:
    """Start it, say where things are, stay until Ctrl-C, and leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="jaga-stack-"))
    began = time.monotonic()
    try:
        with contextlib.suppress(KeyboardInterrupt), Stack(folder) as stack:
            configuration = folder / "agent.toml"
            configuration.write_text(stack.configuration(), "utf-8")
            print(TOLD.format(
                seconds=time.monotonic() - began, url=stack.app.url, tls=stack.app.nginx.tls_port, app=stack.app.path,
                mariadb=stack.mariadb.socket, redis=stack.redis.port, supervisor=stack.supervisor.configuration,
                configuration=configuration, pids=", ".join(
                    f"{name} {program.pid}" for name, program in stack.programs.items())), flush=True)
            signal.pause()
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()
