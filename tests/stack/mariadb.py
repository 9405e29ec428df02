"""A real MariaDB server in a folder of its own, on a free loopback port and a socket."""

import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from house import free_port
from stack.program import Program

NEEDS = ("mariadbd:mariadb-server", "mariadb-install-db:mariadb-server", "mariadb:mariadb-client")
# Small, and quick rather than safe: a test's books survive a kill -9 but need not survive a power cut.
SMALL = (
    "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync", "--innodb-buffer-pool-dump-at-shutdown=0", "--innodb-buffer-pool-load-at-startup=0",
    "--performance-schema=0", "--key-buffer-size=1M", "--aria-pagecache-buffer-size=1M", "--table-open-cache=200",
)


class MariaDB(Program):
    """`options` go to mariadbd, the last one wins: "--max-connections=10", "--long-query-time=0.2".

    Statements that take 3 s (the SOP's limit) or longer stand in `slow_log`. `zone` is the machine's local time zone
    for the server ("Asia/Jakarta"). Root has no password, and comes in by the socket only: names are not resolved, so
    accounts for the port are of '%' or '127.0.0.1', not of 'localhost'.
    """

    def __init__(self, folder: Path, *options: str, zone: str = "") -> None:
        super().__init__(folder, **({"TZ": zone} if zone else {}))
        self.options = options
        self.port = free_port()
        self.socket = folder / "mysqld.sock"
        self.data = folder / "data"
        self.slow_log = folder / "slow.log"

    @property
    def command(self) -> list[str]:
        return [
            "mariadbd", "--no-defaults", "--user=root", f"--datadir={self.data}", f"--tmpdir={self.folder}",
            f"--socket={self.socket}", f"--pid-file={self.folder / 'mysqld.pid'}", "--bind-address=127.0.0.1",
            f"--port={self.port}", "--skip-name-resolve", "--skip-log-bin", "--character-set-server=utf8mb4",
            "--collation-server=utf8mb4_unicode_ci", "--slow-query-log=1", "--log-output=FILE",
            f"--slow-query-log-file={self.slow_log}", "--long-query-time=3", *SMALL, *self.options,
        ]

    @property
    def ready(self) -> bool:
        try:
            self.sql("SELECT 1")
        except (OSError, pymysql.err.OperationalError):
            return False
        return True

    def start(self) -> None:
        if not self.data.exists():
            done = subprocess.run(
                ["mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={self.data}", "--basedir=/usr",
                 "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
                 "--innodb-log-file-size=8M", "--innodb-flush-method=nosync"],
                env={**os.environ, "TMPDIR": str(self.folder)},  # two at once would meet in /tmp
                capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        super().start()

    def sql(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run one or more statements as root; the rows of the last one that gave any."""
        rows: list[tuple[Any, ...]] = []
        with self.connect(database) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            while True:
                if cursor.description:
                    rows = list(cursor.fetchall())
                if not cursor.nextset():
                    return rows

    def connect(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A connection of root's, to hold open: a lock, a transaction."""
        connection = pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, autocommit=True, charset="utf8mb4",
            client_flag=CLIENT.MULTI_STATEMENTS, read_timeout=110, write_timeout=110, defer_connect=True)
        # our own socket: PyMySQL (1.1) does not close its one when it is refused, which is a warning, and so a failure
        way = socket.socket(socket.AF_UNIX)
        way.settimeout(10)
        try:
            way.connect(str(self.socket))
        except OSError:
            way.close()
            raise
        connection.connect(way)
        return connection

    def load(self, dump: Path, database: str) -> None:
        """Feed a file of statements to the client program, as a person does who restores a dump."""
        with dump.open("rb") as statements:
            done = subprocess.run(
                ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", database], stdin=statements,
                capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr
