"""MySQL and MariaDB: reachable, full, who waits for whom, slow statements, memory, tables, read-only or behind."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from math import inf
from typing import Any, Final

import msgspec

from collectors import mysql_damage, mysql_replica, mysql_rights, mysql_slow, mysql_tables, mysql_transactions
from collectors.base import Metric, Reading, Run
from collectors.mysql_connection import Database, DatabaseError, Session, connect
from collectors.mysql_server import Server, counted, look, missed
from collectors.mysql_transactions import Process, processes
from collectors.quantities import Seconds

EVERY = 60.0
TIMEOUT = 30.0

UP = Metric("jaga_mysql_up", "Whether the server answers; one that is full, or does not let the agent in, does.")
INFO = Metric("jaga_mysql_info", "1; the labels say which server it is.", ("server", "version"))
UPTIME = Metric("jaga_mysql_uptime_seconds", "Since the server was started.")
FULL = Metric("jaga_mysql_full", "Whether it takes no more connections.")
USED = Metric("jaga_mysql_connections_used_ratio", "Open connections of max_connections.")
REFUSED = Metric("jaga_mysql_connections_refused_total", "Connections refused because it was full.", kind="counter")
ABORTED = Metric("jaga_mysql_connections_aborted_total",
                 "Connections that failed (how=connect: wrong password, port scan) or broke off (how=client).",
                 ("how",), "counter")
RUNNING = Metric("jaga_mysql_threads_running", "Connections at work at this moment, ours included.")
TRANSACTIONS = Metric("jaga_mysql_transactions", "Open transactions.")
OLDEST = Metric("jaga_mysql_transaction_oldest_seconds", "Age of the oldest open transaction; 0 without one.")
WAITS = Metric("jaga_mysql_lock_waits", "Connections that wait for a lock.")
WAITED = Metric("jaga_mysql_lock_wait_seconds", "How long others have waited for whom they wait for; 0: nobody waits.")
LOGGED = Metric("jaga_mysql_slow_log_threshold_seconds",
                "From how slow on the server logs statements; +Inf: it logs none.")
SLOW = Metric("jaga_mysql_slow_queries_total", "Statements slower than the option `slow`.", kind="counter")
SLOWEST = Metric("jaga_mysql_slow_query_seconds", "The slowest statement of the last hour; 0: none was above `slow`.")
MISSES = Metric("jaga_mysql_buffer_pool_miss_ratio", "Page requests that had to read from disk, lately.")
SIZE = Metric("jaga_mysql_tables_size_bytes", "InnoDB's files, the server's own left out.")
GROWTH = Metric("jaga_mysql_tables_day_growth_bytes", "What they grew by within a day.")
FREE = Metric("jaga_mysql_table_free_ratio", "Empty part of the emptiest big table (100 MB); 0: there is none.")
CRASHED = Metric("jaga_mysql_tables_crashed", "Tables that the server calls crashed or corrupt.")
DAMAGE = Metric("jaga_mysql_corruption_errors_total", "Damage that the error log tells of, where that is a file.",
                kind="counter")
READ_ONLY = Metric("jaga_mysql_read_only", "Whether it takes no writes although it is no replica.")
REPLICA_UP = Metric("jaga_mysql_replica_up", "Whether this replica receives and applies what its source writes.")
REPLICA_LAG = Metric("jaga_mysql_replica_lag_seconds", "How far this replica is behind its source.")

_HERE: Final = ("127.0.0.1", "::1", "localhost")
_SOCKETS: Final = ("/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock")
_CRASHED_EVERY: Final = 300.0  # seconds
_FULL: Final = 1040  # MySQL's number for "Too many connections"


class Mysql(Database, msgspec.Struct, frozen=True, kw_only=True):  # Struct is named so that it is listed as a plug-in
    """Watches a MySQL 8 or MariaDB server over one short connection that only reads.

    slow: a statement that takes longer is slow. The server must log it (slow_query_log = 1, long_query_time = 3).
    slow_log: the log's path, "off", or "" for where the server says: its file if that is on this machine, else the
    table mysql.slow_log.
    slow_table_every: how often that table is read, all of it; it has no index.
    tables_every: how often sizes and free space of the tables are looked at.

    Rights: PROCESS and SHOW VIEW on *.* (names and sizes of tables, no contents); SELECT on mysql.slow_log where that
    is the log; on a replica SLAVE MONITOR (MariaDB) or REPLICATION CLIENT (MySQL). Where one is missing, the rest is
    measured all the same, and the error is the GRANT that gives it.
    """

    slow: Seconds = 3.0
    slow_log: str = ""
    slow_table_every: Seconds = 600.0
    tables_every: Seconds = 6 * 3600.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slow_log not in ("", "off") and not self.slow_log.startswith("/"):
            raise ValueError('slow_log: must be a path such as "/var/log/mysql/mariadb-slow.log", or "off"')
        if self.slow <= 0:
            raise ValueError('slow: must be longer than nothing, such as "3s"')

    def collect(self, run: Run) -> Iterator[Reading]:
        with ExitStack() as opened:
            try:
                session = opened.enter_context(connect(self))
                server, connected = look(session), processes(session)
            except DatabaseError as error:
                yield from _shut_out(error)
                return
            yield from _server(server, connected, run.memory, run.now)
            for name, part in self._parts(session, server, connected, run):
                with run.target(name):
                    yield from part
                trouble = run.targets.get(name)
                if isinstance(trouble, DatabaseError) and trouble.unreachable:
                    raise trouble  # it hung up: nothing that follows could be asked

    @staticmethod
    def discover() -> str | None:
        socket = next((path for path in _SOCKETS if os.path.exists(path)), None)
        return socket and (f'[collectors.mysql]\nsocket = "{socket}"\nuser = "jaga"\n'
                           'password = { credential = "mysql_password" }\n')

    @property
    def _here(self) -> bool:
        """Whether the server runs on this machine."""
        return bool(self.socket) or self.host in _HERE

    def _parts(self, session: Session, server: Server, connected: list[Process],
               run: Run) -> Iterator[tuple[str, Iterator[Reading]]]:
        in_the_way = run.memory.setdefault("in the way", {})
        yield "transactions", _transactions(session, server, connected, in_the_way, run.now)
        yield "replication", _replication(session, server)
        yield "tables", self._tables(session, server, run.memory.setdefault("tables", {}), run.now)
        if self._here and mysql_damage.path(server):
            yield "error log", _damage(server, run.memory.setdefault("damage", {}), run.now)
        if self.slow_log != "off":
            yield "slow log", self._slow(session, server, run.memory.setdefault("slow", {}), run.now)

    def _slow(self, session: Session, server: Server, memory: dict[str, Any], now: float) -> Iterator[Reading]:
        yield LOGGED(mysql_slow.logged_from(server))
        if mysql_slow.logged_from(server) < inf:
            tally = mysql_slow.read(
                session, server, memory, now, slow=self.slow, path=self.slow_log, here=self._here,
                every=self.slow_table_every)
            yield SLOW(tally.total)
            yield SLOWEST(tally.worst, note=tally.evidence)

    def _tables(self, session: Session, server: Server, memory: dict[str, Any], now: float) -> Iterator[Reading]:
        if "at" not in memory or not 0 <= now - memory["at"] < self.tables_every:
            with mysql_rights.needed(server):
                mysql_tables.remember(mysql_tables.look(session, memory), memory, now)
        kept = memory["seen"]
        yield SIZE(kept["size"])
        if kept["growth"] is not None:
            yield GROWTH(kept["growth"][0], note=kept["growth"][1])
        yield FREE(kept["free"][0], note=kept["free"][1])
        if str(server.settings["myisam_recover_options"]).upper() == "OFF":
            if "crashed at" not in memory or not 0 <= now - memory["crashed at"] < _CRASHED_EVERY:
                memory["crashed"], memory["crashed at"] = mysql_tables.crashed(session, kept["fragile"]), now
            crashed = [f"{table}: {why}" for table, why in memory["crashed"].items()]
            yield CRASHED(len(crashed), note="\n".join(crashed))
        if kept["hidden"]:
            del memory["at"]  # to see at once when the right is there
            raise mysql_rights.missing(server, f"tables of {', '.join(kept['hidden'])} cannot be seen")


def _server(server: Server, connected: list[Process], memory: dict[str, Any], now: float) -> Iterator[Reading]:
    version = str(server.settings["version"]).removesuffix("-log")  # it says so while it logs slow statements
    used, most = server.number("Threads_connected"), float(server.settings["max_connections"])
    totals = counted(memory, server, "Connection_errors_max_connections", "Aborted_connects", "Aborted_clients",
                     "Innodb_buffer_pool_read_requests", "Innodb_buffer_pool_reads")
    yield UP(1)
    yield INFO(1, server="mariadb" if "mariadb" in version.lower() else "mysql", version=version)
    yield UPTIME(server.number("Uptime"))
    yield FULL(0)
    yield USED(used / most, note=f"{used:.0f} / {most:.0f}: {mysql_transactions.holders(connected)}")
    yield RUNNING(server.number("Threads_running"))
    yield REFUSED(totals["Connection_errors_max_connections"])
    yield ABORTED(totals["Aborted_connects"], how="connect")
    yield ABORTED(totals["Aborted_clients"], how="client")
    ratio = missed(memory, totals["Innodb_buffer_pool_read_requests"], totals["Innodb_buffer_pool_reads"], now)
    if ratio is not None:
        yield MISSES(ratio)


def _transactions(session: Session, server: Server, connected: list[Process], memory: dict[str, Any],
                  now: float) -> Iterator[Reading]:
    with mysql_rights.needed(server):
        seen = mysql_transactions.look(session, connected)
    yield TRANSACTIONS(len(seen.transactions))
    oldest = next(iter(seen.transactions), None)
    yield OLDEST(oldest.seconds if oldest else 0, note=seen.shown(oldest.number) if oldest else "")
    waits = seen.waits
    evidence, longest = "", 0.0
    if waits:
        jam = mysql_transactions.jam(session, seen)
        longest = max(*waits.values(), mysql_transactions.lasting(memory, jam.roots, now))
        evidence = jam.evidence
    yield WAITS(len(waits))
    yield WAITED(longest, note=evidence)


def _damage(server: Server, memory: dict[str, Any], now: float) -> Iterator[Reading]:
    total, last = mysql_damage.read(mysql_damage.path(server), memory, now)
    yield DAMAGE(total, note=last)


def _replication(session: Session, server: Server) -> Iterator[Reading]:
    with mysql_rights.needed(server, "SLAVE MONITOR" if session.mariadb else "REPLICATION CLIENT"):
        replica = mysql_replica.look(session, server)
    yield READ_ONLY(bool(server.shut) and replica is None, note=server.shut)
    if replica is not None:
        yield REPLICA_UP(replica.up, note=replica.why)
        if replica.lag is not None:
            yield REPLICA_LAG(replica.lag)


def _shut_out(error: DatabaseError) -> Iterator[Reading]:
    """What a server that does not let us in tells by that."""
    if error.unreachable:
        yield UP(0, note=str(error))
        return
    yield UP(1)
    if error.code != _FULL:
        raise mysql_rights.account(error)
    yield FULL(1, note=str(error))
    yield USED(1)
