"""What watching costs the database, by the server's own account: rows examined and time of every statement.

Fills the koperasi's tables twice, a quarter and the whole of five years, lets the real collectors `queue`, `mysql` and
`sql` look at them as through a day and a night, and reads what MariaDB wrote of each of their statements into its slow
log (long_query_time = 0). Ends with 1 where a statement that is not the night's takes more than 50 ms, or examines more
rows in the larger books.

`--write` puts the table into docs/database-cost.md, between its markers. Needs mariadb-server; takes two minutes.
"""

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from collectors.base import Collector, Run  # noqa: E402
from collectors.mysql import Mysql  # noqa: E402
from collectors.mysql_connection import Database  # noqa: E402
from collectors.queue import Queue  # noqa: E402
from collectors.sql import Sql  # noqa: E402
from stack import koperasi  # noqa: E402
from stack.mariadb import MariaDB  # noqa: E402
from stack.program import until  # noqa: E402

REPORT, BEGIN, END = ROOT / "docs" / "database-cost.md", "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
LINES, TRANSACTIONS, AUDIT, JOBS, LOGGED = 1_000_000, 300_000, 1_000_000, 500_000, 20_000
SHARES = (0.25, 1.0)
MINUTE, LIMIT = 60.0, 0.050  # seconds
ROUNDS = 5
# The usual size in Debian and Ubuntu; the tables are four times as large.
OPTIONS = ("--innodb-buffer-pool-size=128M",)

# A day as a shop has it, after the night: new journals and sales, what hangs, what the bank sent, who is online.
DAY = """
INSERT INTO journal_entries (journal_number, transaction_date, total_debit, total_credit, status)
  SELECT CONCAT('HARI-', seq), CURDATE(), 1000, 1000, 'posted' FROM seq_1_to_2000;
INSERT INTO journal_entry_lines (journal_entry_id, account_id, debit, credit)
  SELECT e.id, a.id, IF(a.code = '1101', 1000, 0), IF(a.code = '1101', 0, 1000)
  FROM journal_entries e JOIN accounts a ON a.code IN ('1101', '3102') WHERE e.journal_number LIKE 'HARI-%';
INSERT INTO transactions (invoice_number, status, total_amount, created_at)
  SELECT CONCAT('HARI-', seq), IF(seq % 50, 'completed', 'pending'), 1000, UTC_TIMESTAMP() FROM seq_1_to_1000
"""
BEFORE = """
UPDATE transactions SET status = 'pending' WHERE id % 100 = 7 LIMIT 300;
INSERT INTO bank_transactions (transaction_date, description, amount, type, status, created_at)
  SELECT CURDATE() - INTERVAL seq % 1500 DAY, 'Setoran', 1000, 'credit', IF(seq > 400, 'reconciled', 'pending'),
  CURDATE() - INTERVAL seq % 1500 DAY FROM seq_1_to_{bank};
INSERT INTO users (name, email, password, role) SELECT 'x', CONCAT('u', seq, '@koperasi.test'), 'x', 'member'
  FROM seq_1_to_5000;
INSERT INTO sessions (id, user_id, payload, last_activity)
  SELECT UUID(), 1 + seq % 12, REPEAT('x', 400), UNIX_TIMESTAMP() - 864000 + seq * 43 FROM seq_1_to_20000;
INSERT INTO jobs (queue, payload, attempts, available_at, created_at) SELECT 'default', REPEAT('x', 300), 0,
  UNIX_TIMESTAMP() - 60, UNIX_TIMESTAMP() - 60 FROM seq_1_to_{jobs};
INSERT INTO failed_jobs (uuid, connection, queue, payload, exception, failed_at) SELECT UUID(), 'database', 'default',
  '{{}}', REPEAT('x', 2000), NOW() FROM seq_1_to_20000;
ANALYZE TABLE journal_entries, journal_entry_lines, transactions, bank_transactions, users, sessions, jobs, failed_jobs
"""
# What the same questions would cost in one statement each, as an operator would write them first.
PLAIN = {
    "PENDING, older than 24 h": "SELECT COUNT(*), MIN(created_at), SUM(total_amount) FROM transactions"
                                " WHERE status = 'pending' AND created_at < NOW() - INTERVAL 1 DAY",
    "journals that do not balance": "SELECT e.id FROM journal_entries e JOIN journal_entry_lines l"
                                    " ON l.journal_entry_id = e.id WHERE e.status = 'posted' GROUP BY e.id"
                                    " HAVING SUM(l.debit) <> SUM(l.credit)",
    "the Neraca": "SELECT a.code, SUM(l.debit), SUM(l.credit) FROM journal_entry_lines l JOIN journal_entries e"
                  " ON e.id = l.journal_entry_id JOIN accounts a ON a.id = l.account_id WHERE e.status = 'posted'"
                  " GROUP BY a.code",
}


class Asked(NamedTuple):
    """A statement as the server wrote it down."""

    shape: str
    seconds: float
    examined: int


@dataclass
class Cost:
    """What one shape of statement cost in one kind of run: per statement, and the sums of each run."""

    seconds: list[float] = field(default_factory=list)
    examined: list[int] = field(default_factory=list)
    runs: int = 0

    @property
    def times(self) -> float:
        return len(self.seconds) / self.runs

    @property
    def typical(self) -> float:
        return statistics.median(self.seconds)

    @property
    def rows(self) -> float:
        """Rows examined in a whole run."""
        return sum(self.examined) / self.runs


Costs = dict[tuple[str, float, str], Cost]  # (collector, seconds between, shape)
NIGHT = 86400.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="put the table into docs/database-cost.md")
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES, help="parts of the full size, ascending")
    options = parser.parse_args()
    measured = {share: measure(share) for share in options.shares}
    small, large = measured[min(measured)], measured[max(measured)]
    text = report(small, large, min(measured), max(measured))
    print(text)
    if options.write:
        before, _, rest = REPORT.read_text("utf-8").partition(BEGIN)
        REPORT.write_text(before + BEGIN + text + END + rest.partition(END)[2], "utf-8")
    broken = [*too_slow(large.costs), *growing(small.costs, large.costs)]
    print(*broken or ["Kept: by day nothing takes more than 50 ms, and nothing grows with the books."], sep="\n")
    return 1 if broken else 0


@dataclass
class Measured:
    """One size of books."""

    costs: Costs
    plain: dict[str, Asked]
    passes: float  # seconds that the night's statements took altogether
    bytes: int
    memory: int  # of the collectors, as JSON
    logged: Asked  # the slow log read as a table


def measure(share: float) -> Measured:
    """Fill, look through a day and a night, and take the server's account."""
    with tempfile.TemporaryDirectory(prefix="jaga-database-") as folder:
        server = MariaDB(Path(folder), *OPTIONS)
        server.start()
        try:
            began = time.monotonic()
            koperasi.load(server)
            koperasi.fill(server, journal_lines=int(LINES * share), transactions=int(TRANSACTIONS * share),
                          audit_rows=int(AUDIT * share))
            server.sql(BEFORE.format(bank=int(40_000 * share), jobs=JOBS), "koperasi")
            server.sql("CREATE USER jaga@'%'; GRANT SELECT, PROCESS, SHOW VIEW ON *.* TO jaga@'%'")
            print(f"{share:.0%} filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
            return through_a_day(server)
        finally:
            server.close()


def through_a_day(server: MariaDB) -> Measured:
    database = Database(port=server.port, user="jaga", database="koperasi")
    watched: dict[str, Collector] = {
        "queue": Queue(queues=("database:default",), database=database),
        "mysql": Mysql(port=server.port, user="jaga", slow_log="off"),
        # whatever the hour is now: the next night is far
        "sql": Sql(database=database, presets=("koperasi",), timezone="UTC",
                   night=f"{(datetime.now(UTC).hour + 12) % 24:02}:00"),
    }
    account, costs = Account(server), Costs()
    memories: dict[str, dict[str, Any]] = {name: {} for name in watched}
    now = time.time()

    def look(name: str, at: float, every: float) -> list[Asked]:
        run = Run(at, json.loads(json.dumps(memories[name])))
        before = account.here()
        for _ in watched[name].collect(run):
            pass
        failed = {target: error for target, error in run.targets.items() if error}
        if failed:
            raise SystemExit(f"{name} could not look: {failed}")
        memories[name] = run.memory
        asked = list(account.since(before))
        book(costs, name, every, asked)
        return asked

    for name in ("queue", "mysql"):
        look(name, now, NIGHT)  # the first look; what it asks and later ones do not is rare
        for minute in range(1, ROUNDS + 1):
            look(name, now + minute * MINUTE, MINUTE)
    passes = look("sql", now, NIGHT)
    server.sql(DAY, "koperasi")
    for hour in range(1, ROUNDS + 1):
        at = now + hour * 3600.0
        look("sql", at, 3600.0)
        for minute, every in ((1, MINUTE), (2, MINUTE), (5, 300.0), (6, MINUTE), (10, 600.0)):
            look("sql", at + minute * MINUTE, every)
    plain = {}
    for what, statement in PLAIN.items():
        before = account.here()
        server.sql(statement, "koperasi")
        plain[what] = next(account.since(before, user="root"))
    size = server.sql("SELECT SUM(data_length + index_length) FROM information_schema.tables"
                      " WHERE table_schema = 'koperasi'")[0][0]
    return Measured(costs, plain, sum(one.seconds for one in passes), int(size), len(json.dumps(memories)),
                    slow_log_as_table(server))


def slow_log_as_table(server: MariaDB) -> Asked:
    """What the longer look costs where the server logs into mysql.slow_log, which has no index."""
    server.sql("SET GLOBAL log_output = 'TABLE'")
    with server.connect() as connection, connection.cursor() as cursor:
        for _ in range(LOGGED):
            cursor.execute("SELECT 1")
    memory: dict[str, Any] = {}
    for at in (0.0, 1200.0):
        run = Run(time.time() + at, memory)
        for _ in Mysql(port=server.port, user="jaga").collect(run):
            pass
    rows = server.sql("SELECT query_time, rows_examined FROM mysql.slow_log WHERE user_host LIKE 'jaga%'"
                      " AND sql_text LIKE '%FROM mysql.slow_log%'")
    server.sql("SET GLOBAL log_output = 'FILE'")
    taken, examined = max(rows)
    return Asked("", taken.total_seconds(), int(examined))


class Account:
    """The server's slow log with everything in it."""

    _ENTRY = re.compile(
        r"^# User@Host: (?P<user>\w+)\[.*?^# Query_time: (?P<seconds>[\d.]+).*?Rows_examined: (?P<examined>\d+)"
        r".*?^SET timestamp=\d+;\n(?P<statement>.*?)(?=^# (?:Time|User@Host): |\Z)", re.M | re.S)

    def __init__(self, server: MariaDB) -> None:
        self._server, self._marks = server, 0
        server.sql("SET GLOBAL long_query_time = 0")

    def here(self) -> int:
        return self._server.slow_log.stat().st_size

    def since(self, offset: int, user: str = "jaga") -> Iterator[Asked]:
        self._marks += 1
        self._server.sql(f"SELECT 'mark {self._marks}'")
        log = self._server.slow_log  # it is written after the answer went out
        until(lambda: f"'mark {self._marks}'" in log.read_text("utf-8", "replace")[-9999:], "the mark is written")
        with log.open(encoding="utf-8", errors="replace") as lines:
            lines.seek(offset)
            text = lines.read()
        for entry in self._ENTRY.finditer(text):
            statement = " ".join(entry["statement"].split())
            if entry["user"] == user and not statement.startswith(("# administrator", "SET ", "SELECT 'mark")):
                yield Asked(shape(statement), float(entry["seconds"]), int(entry["examined"]))


def shape(statement: str) -> str:
    """A statement without its values."""
    text = re.sub(r"^use \w+; ", "", re.sub(r"'(?:[^'\\]|\\.)*'", "'…'", statement))
    text = re.sub(r"\bIN \(\d+(?:, \d+)*\)", "IN (…)", text)
    return re.sub(r"\b\d+(?:\.\d+)?\b", "N", text).rstrip("; ")


def book(costs: Costs, name: str, every: float, asked: list[Asked]) -> None:
    """Add a run. A statement that is asked more often anyway costs nothing more in a rarer run."""
    by_shape: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_shape[one.shape].append(one)
    for text, ones in by_shape.items():
        if every != NIGHT and any((name, often, text) in costs for often in (MINUTE, 300.0, 600.0) if often < every):
            continue
        cost = costs.setdefault((name, every, text), Cost())
        cost.runs += 1
        cost.seconds += [one.seconds for one in ones]
        cost.examined += [one.examined for one in ones]


def often_first(costs: Costs) -> Costs:
    """Each statement under its shortest interval alone; the night's chunks are work of their own."""
    seen, kept = set[tuple[str, str]](), Costs()
    for (name, every, text), cost in sorted(costs.items(), key=lambda pair: pair[0][1]):
        walks = every == NIGHT and cost.times > 1
        if (name, text) not in seen or walks:
            kept[name, every, text] = cost
        seen.add((name, text))
    return kept


def too_slow(costs: Costs) -> Iterator[str]:
    for (name, every, text), cost in often_first(costs).items():
        if every < NIGHT and cost.typical > LIMIT:
            yield f"BROKEN: {name}, each {every:.0f} s: {cost.typical * 1000:.0f} ms: {text}"


def growing(small: Costs, large: Costs) -> Iterator[str]:
    less = often_first(small)
    for key, cost in often_first(large).items():
        name, every, text = key
        if every != NIGHT and cost.rows > less.get(key, cost).rows * 1.2 + 100:
            yield f"BROKEN: {name}: from {less[key].rows:.0f} to {cost.rows:.0f} rows: {text}"


def report(small: Measured, large: Measured, least: float, most: float) -> str:
    """The tables in Markdown."""
    before, costs = often_first(small.costs), often_first(large.costs)
    text = [
        f"{LINES * most:,.0f} journal lines, {TRANSACTIONS * most:,.0f} transactions, {AUDIT * most:,.0f} audit rows, "
        f"{JOBS:,} jobs: {large.bytes / 2**20:.0f} MiB; the small books are {least / most:.0%} of that, with as many "
        "jobs. MariaDB 10.11, buffer pool 128 MiB, two cores that others used as well.\n",
        "| collector | every | statements | rows examined, small books | rows examined | ms each, median | worst | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    small_fry: dict[tuple[str, float], list[tuple[float, Cost]]] = defaultdict(list)
    for key, cost in sorted(costs.items(), key=lambda pair: (*pair[0][:2], -sum(pair[1].seconds))):
        rows = before[key].rows if key in before else 0.0
        if cost.typical < 0.001 and cost.rows < 200:
            small_fry[key[:2]].append((rows, cost))
        else:
            text.append(_line(*key, rows, [cost]))
    for (name, every), pairs in small_fry.items():
        text.append(_line(name, every, "", sum(rows for rows, _ in pairs), [cost for _, cost in pairs]))
    text.append(
        f"\nThe night's statements of `sql` took {large.passes:.1f} s altogether ({small.passes:.1f} s in the small"
        f" books). All three collectors together remember {large.memory / 1024:.0f} KiB.\n\n"
        f"Where the slow log is a table (`log_output = TABLE`) of {LOGGED:,} rows, `mysql` reads it in"
        f" {large.logged.seconds * 1000:.0f} ms, {large.logged.examined:,} rows, every ten minutes: it has no index. It"
        " grows with the log and not with the books; a file costs the database nothing.\n\n"
        "What the same questions cost in one statement each:\n\n"
        "| question | rows examined, small books | rows examined | ms |\n|---|---|---|---|")
    for what, asked in large.plain.items():
        text.append(f"| {what} | {small.plain[what].examined:,} | {asked.examined:,} | {asked.seconds * 1000:.0f} |")
    return "\n".join(text) + "\n"


def _line(name: str, every: float, what: str, before: float, costs: list[Cost]) -> str:
    words = {MINUTE: "1 min", 300.0: "5 min", 600.0: "10 min", 3600.0: "1 h"}
    shown = f"`{what[:100].replace('|', '¦')}`" if what else "the others, below 1 ms each"
    return (f"| {name} | {words.get(every, 'night' if name == 'sql' else 'first look')}"
            f" | {sum(cost.times for cost in costs):.0f} | {before:,.0f} | {sum(cost.rows for cost in costs):,.0f}"
            f" | {max(cost.typical for cost in costs) * 1000:.1f}"
            f" | {max(max(cost.seconds) for cost in costs) * 1000:.1f} | {shown} |")


if __name__ == "__main__":
    sys.exit(main())
