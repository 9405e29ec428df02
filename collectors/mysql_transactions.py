"""Who holds what in a MySQL or MariaDB server: transactions, waits for locks and who is in the way, connections."""

from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from collectors.mysql_connection import DatabaseError, Session
from collectors.mysql_fingerprint import fingerprint

_SHOWN: Final = 120  # characters of a statement's shape in a line of evidence
_NAMED: Final = 2  # of those who are in the way
_PAUSE: Final = 300.0  # seconds in which nobody waited, and it is the same trouble still
_PROCESSES: Final = "SELECT id, user, db, command, time, state, LEFT(info, 2000) FROM information_schema.processlist"
# trx_started is in the system's zone, whatever zone the session has; so is NOW() after this.
_SAME_ZONE: Final = "SET SESSION time_zone = 'SYSTEM'"
_TRANSACTIONS: Final = (
    "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()),"
    " TIMESTAMPDIFF(SECOND, trx_wait_started, NOW()), trx_state FROM information_schema.innodb_trx"
    " ORDER BY trx_started LIMIT 1000")
_WAITS_MARIADB: Final = (
    "SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM information_schema.innodb_lock_waits w"
    " JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id"
    " JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id LIMIT 1000")
_WAITS_MYSQL: Final = (
    "SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id FROM performance_schema.data_lock_waits w"
    " JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_engine_transaction_id"
    " JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_engine_transaction_id LIMIT 1000")


class Process(NamedTuple):
    """A connection. `statement` is its shape: no values. `seconds`: in its present command."""

    number: int
    user: str
    schema: str
    command: str
    seconds: float
    state: str
    statement: str

    def __str__(self) -> str:
        return f"{self.number} {self.user}@{self.schema or '-'} {self.statement or self.command.lower()}"


class Held(NamedTuple):
    """A transaction. `waiting`: seconds that it has waited for a row's lock, None where it does not."""

    number: int  # its connection's; 0 for one that was recovered after a crash
    seconds: float
    waiting: float | None


class Jam(NamedTuple):
    """Connections that others wait for, who wait for nobody themselves; and all of it in words."""

    roots: tuple[int, ...]
    evidence: str


class Look(NamedTuple):
    """All at one moment."""

    processes: dict[int, Process]
    transactions: tuple[Held, ...]  # the oldest first

    def shown(self, number: int) -> str:
        return str(self.processes.get(number, number))

    def age(self, number: int) -> float:
        """Seconds since its transaction began."""
        return next((held.seconds for held in self.transactions if held.number == number), 0.0)

    @property
    def waits(self) -> dict[int, float]:
        """Connection -> seconds that it has waited for a row, a table or its definition."""
        waits = {p.number: p.seconds for p in self.processes.values()
                 if p.state.startswith("Waiting for") and p.state.endswith("lock")}
        return waits | {held.number: held.waiting for held in self.transactions if held.waiting is not None}


def look(session: Session, connected: Iterable[Process]) -> Look:
    """Needs PROCESS. Raises DatabaseError."""
    session.rows(_SAME_ZONE)
    held = tuple(Held(int(number or 0), float(seconds or 0), float(waiting or 0) if state == "LOCK WAIT" else None)
                 for number, seconds, waiting, state in session.rows(_TRANSACTIONS))
    return Look({each.number: each for each in connected}, held)


def processes(session: Session) -> list[Process]:
    """All connections with PROCESS, else our own alone. Raises DatabaseError."""
    return [Process(int(number), str(user), _text(schema), str(command), float(seconds or 0), _text(state),
                    fingerprint(_text(info), _SHOWN))
            for number, user, schema, command, seconds, state, info in session.rows(_PROCESSES)]


def jam(session: Session, seen: Look) -> Jam:
    """Who is in the way of those who wait. It raises nothing: what may not be seen is said in the evidence."""
    held_by: dict[int, set[int]] = {}
    trouble = ""
    try:
        for waiting, holding in session.rows(_WAITS_MARIADB if session.mariadb else _WAITS_MYSQL):
            held_by.setdefault(int(waiting or 0), set()).add(int(holding or 0))
    except DatabaseError as error:
        trouble = str(error)
    waits = seen.waits
    longest = max(waits, key=lambda number: waits[number])
    counts = Counter(holding for all_of_them in held_by.values() for holding in all_of_them)
    roots = [number for number, _ in counts.most_common() if number not in waits]
    if roots:
        lines = [f"{seen.shown(root)} ({seen.age(root):.0f} s) \u2190 {counts[root]}\u00d7" for root in roots[:_NAMED]]
    else:  # a table's definition: the server does not say who holds it, but it is a transaction
        lines = [f"{seen.shown(held.number)} ({held.seconds:.0f} s)?" for held in seen.transactions[:1]]
    process = seen.processes.get(longest)
    state = f" {process.state}" if process and not roots else ""
    lines.append(f"{seen.shown(longest)} ({waits[longest]:.0f} s){state}")
    return Jam(tuple(roots), "\n".join(filter(None, [*lines, trouble])))


def lasting(memory: dict[str, list[float]], roots: Iterable[int], now: float) -> float:
    """Seconds since the first of these was first seen in the way; a wait itself ends after innodb_lock_wait_timeout
    (50 s), and the next one begins. Short pauses count."""
    present = {str(root) for root in roots}
    kept = {number: [first, now if number in present else last] for number, (first, last) in memory.items()
            if 0 <= now - last < _PAUSE}
    for number in present - kept.keys():
        kept[number] = [now, now]
    memory.clear()
    memory.update(kept)
    return max((now - kept[number][0] for number in present), default=0.0)


def holders(everybody: Iterable[Process]) -> str:
    """Who has how many connections: `138 koperasi@koperasi sleep, 9 koperasi@koperasi query`."""
    counts = Counter(f"{p.user}@{p.schema or '-'} {p.command.lower()}" for p in everybody)
    return ", ".join(f"{count} {who}" for who, count in counts.most_common(5))


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return "" if value is None else str(value)
