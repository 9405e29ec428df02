"""The slow query log as the table mysql.slow_log: read rarely, for it has no index and each look reads all of it.

Its `start_time` is the local time of whoever asked: rows of one minute may be hours apart. So rows are told apart by
where they stand, which is the order in which they were written, and not by when.
"""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from collectors.mysql_connection import DatabaseError, Session
from collectors.mysql_slow_log import Slow

_PAGE: Final = 2000  # rows in one look; the rest comes with the next one
_TAIL: Final = 200  # rows that the very first look takes, of those that lay there before us
_SHARE: Final = 1000.0  # of the time, at most a thousandth goes into reading it
_TOO_LONG: Final = (1969, 3024, 2013)
_ROWS: Final = ("SELECT UNIX_TIMESTAMP(start_time), CAST(start_time AS CHAR), query_time, rows_examined, thread_id,"
                " LEFT(sql_text, 4000) FROM mysql.slow_log WHERE query_time >= %s LIMIT %s OFFSET %s")
_COUNT: Final = "SELECT COUNT(*) FROM mysql.slow_log WHERE query_time >= %s"


def follow(session: Session, memory: dict[str, Any], found: Callable[[Slow], None], *,
           now: float, slow: float, every: float, first: float) -> None:
    """Give what came since the last look to `found`, each once; the very first look begins `first` seconds back.

    Looks when `every` seconds have gone by, and less often where one look takes long. Raises DatabaseError.
    """
    if memory.get("at", now) <= now < memory.get("next", now):
        if "failed" in memory:
            raise DatabaseError(memory["failed"], 0)  # it is as unknown as it was when it failed
        return
    memory.pop("failed", None)
    if memory.get("slow") != slow:  # what is counted has changed, so the place means nothing any more
        memory.clear()
    began = monotonic()
    try:
        _take(session, memory, found, now, slow, first)
    except DatabaseError as error:
        if error.code not in _TOO_LONG:
            raise
        memory["failed"] = ("mysql.slow_log has become too long to be read: as an administrator run: "
                            "TRUNCATE mysql.slow_log; and better: SET GLOBAL log_output = 'FILE'")
        raise DatabaseError(memory["failed"], error.code) from error
    finally:
        memory["at"], memory["next"] = now, now + max(every, (monotonic() - began) * _SHARE)


def _take(session: Session, memory: dict[str, Any], found: Callable[[Slow], None], now: float, slow: float,
          first: float) -> None:
    longer = timedelta(seconds=slow)
    if "seen" not in memory:
        ((count,),) = session.rows(_COUNT, longer)
        seen = max(0, int(count) - _TAIL)
        rows = session.rows(_ROWS, longer, _PAGE, seen)
        for row in rows:
            end = float(row[0]) + row[2].total_seconds()  # right where who asked had the server's zone
            if now - first < end <= now:
                found(_slow(row, end))
    else:
        seen = memory["seen"]
        rows = session.rows(_ROWS, longer, _PAGE, max(0, seen - 1))  # from the last one that was seen
        if seen and (not rows or _key(rows[0]) != memory["last"]):  # it was emptied since then
            seen, rows = 0, session.rows(_ROWS, longer, _PAGE, 0)
        elif seen:
            del rows[0]
        for row in rows:
            found(_slow(row, now))
    memory["seen"], memory["slow"] = seen + len(rows), slow
    if rows:
        memory["last"] = _key(rows[-1])


def _slow(row: tuple[Any, ...], end: float) -> Slow:
    return Slow(end, row[2].total_seconds(), int(row[3]), _text(row[5]))


def _key(row: tuple[Any, ...]) -> str:
    return f"{row[1]} {row[4]}"


def _text(value: object) -> str:
    """MySQL's column is a blob."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
