"""The slow query log as the table mysql.slow_log: read rarely, for it has no index and each look reads all of it."""

from collections.abc import Callable
from datetime import timedelta
from time import monotonic
from typing import Any, Final

from collectors.mysql_connection import DatabaseError, Session
from collectors.mysql_slow_log import Slow

_AGAIN: Final = 10.0  # seconds before the last end that are looked at once more: rows are not written in order
_SHARE: Final = 1000.0  # of the time, at most a thousandth goes into reading it
_TOO_LONG: Final = (1969, 3024, 2013)
_ROWS: Final = (
    "SELECT UNIX_TIMESTAMP(start_time), query_time, rows_examined, thread_id, LEFT(sql_text, 4000)"
    " FROM mysql.slow_log WHERE query_time >= %s AND ADDTIME(start_time, query_time) >= FROM_UNIXTIME(%s)"
    " ORDER BY ADDTIME(start_time, query_time) LIMIT 2000")  # the oldest; the rest comes with the next look


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
    began = monotonic()
    try:
        since = memory.get("end", now - first) - _AGAIN
        _take(session.rows(_ROWS, timedelta(seconds=slow), since), memory, found)
    except DatabaseError as error:
        if error.code not in _TOO_LONG:
            raise
        memory["failed"] = ("mysql.slow_log has become too long to be read: as an administrator run: "
                            "TRUNCATE mysql.slow_log; and better: SET GLOBAL log_output = 'FILE'")
        raise DatabaseError(memory["failed"], error.code) from error
    finally:
        memory["at"], memory["next"] = now, now + max(every, (monotonic() - began) * _SHARE)


def _take(rows: list[tuple[Any, ...]], memory: dict[str, Any], found: Callable[[Slow], None]) -> None:
    known: dict[str, float] = memory.get("known", {})  # rows that ended shortly before the last end, and come again
    for start, took, examined, thread, statement in rows:
        slow = Slow(float(start) + took.total_seconds(), took.total_seconds(), int(examined), _text(statement))
        key = f"{thread} {float(start):.6f}"
        if key not in known:
            found(slow)
        known[key] = slow.end
        memory["end"] = max(memory.get("end", 0.0), slow.end)
    memory["known"] = {key: end for key, end in known.items() if end >= memory["end"] - _AGAIN}


def _text(value: object) -> str:
    """MySQL's column is a blob."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
