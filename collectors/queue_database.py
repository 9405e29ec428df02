"""Laravel's tables `jobs` and `failed_jobs`, read by index and within bounds, never a payload."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from collectors.listing import few
from collectors.mysql_connection import DatabaseError, Session
from collectors.queue_progress import Seen

LOOKED_AT: Final = 5_000  # rows of a queue that are counted: 500,000 must not cost more than these
FAILED_AT_ONCE: Final = 500  # rows of failed_jobs in one run; the rest is taken in the next one
CLASSES: Final = 30  # of jobs, that are counted apart
RECENT: Final = 3600.0  # seconds for which a failure is named in the evidence
OTHER: Final = "other"

# The first one that a worker would take stands for the row: its number and how often it was tried, as one number, for a
# job that was taken and given back is the same row with one try more. A job that was delayed may come up before it.
_HEAD: Final = "id * 65536 + attempts"
_LOOK: Final = f"""
SELECT COUNT(*), SUM(ready), SUM(reserved_at IS NULL AND NOT ready), SUM(reserved_at IS NOT NULL),
  SUM(reserved_at <= %s), MIN(IF(ready, available_at, NULL)), MIN(IF(ready, {_HEAD}, NULL)), SUM(ready AND {_HEAD} = %s)
FROM (SELECT id, attempts, available_at, reserved_at, reserved_at IS NULL AND available_at <= %s AS ready
  FROM {{table}} WHERE queue = %s ORDER BY id LIMIT {LOOKED_AT}) AS first_ones"""  # noqa: S608 - the table is checked

_NAME: Final = "IF(JSON_VALID(payload), JSON_UNQUOTE(JSON_EXTRACT(payload, '$.displayName')), '')"
_CLASS = re.compile(r"[A-Za-z_]\w*(?:\\\w+)*")


def look(session: Session, table: str, queue: str, *, first: str, retry_after: float, now: float) -> Seen:
    """Count one queue; `first` is who was first in the row at the look before. Raises DatabaseError.

    Times are the app's unix seconds, compared with `now`. Costs LOOKED_AT rows by the index on `queue` at the most.
    """
    with _least("id, queue, attempts, reserved_at, available_at"):
        [row] = session.rows(_LOOK.format(table=table), int(now - retry_after), int(first or -1), int(now), queue)
    rows, ready, delayed, reserved, stuck, oldest, head, stays = (None if cell is None else int(cell) for cell in row)
    return Seen(ready=ready or 0, delayed=delayed or 0, reserved=reserved or 0, stuck=stuck or 0,
                oldest=None if oldest is None else float(oldest), head="" if head is None else str(head),
                stays=bool(stays), least=rows == LOOKED_AT)


def count_failed(session: Session, table: str, memory: dict[str, Any], now: float) -> None:
    """Add what failed since the last look to `memory`: last id, total, by class, recently. Raises DatabaseError.

    The first look begins at the newest one: what failed before is nobody's news. A table that begins anew does as well.
    """
    with _least("id, payload"):
        [(newest,)] = session.rows(f"SELECT MAX(id) FROM {table}")  # noqa: S608 - the table is checked
    newest, last = int(newest or 0), memory.get("last")
    memory.setdefault("total", 0)
    recent = [entry for entry in memory.get("recent", []) if now - RECENT < entry[0] <= now]
    if last is None or newest < last:
        memory["last"] = newest
    elif newest > last:
        found = _failed(session, table, last)
        counts: dict[str, int] = {}
        for _, name in found:
            counts[_class(name)] = counts.get(_class(name), 0) + 1
        classes: dict[str, int] = memory.setdefault("classes", {})
        for name, count in counts.items():
            known = name if name in classes or len(classes) < CLASSES else OTHER
            classes[known] = classes.get(known, 0) + count
        memory["last"] = found[-1][0] if found else newest
        memory["total"] += len(found)
        recent = [*recent, [now, counts]] if found else recent
    memory["recent"] = recent


def recently(memory: dict[str, Any]) -> str:
    """Which jobs failed within the last hour, most often first: `App\\Jobs\\KirimStruk ×3`."""
    sums: dict[str, int] = {}
    for _, counts in memory.get("recent", []):
        for name, count in counts.items():
            sums[name] = sums.get(name, 0) + count
    often = sorted(sums.items(), key=lambda pair: (-pair[1], pair[0]))
    return few([f"{name} ×{count}" for name, count in often], 5)


def _failed(session: Session, table: str, last: int) -> list[tuple[int, str]]:
    """Number and class of the next ones. Where the account may not read payloads, all are of the same class."""
    ask = f"SELECT id, {{name}} FROM {table} WHERE id > %s ORDER BY id LIMIT {FAILED_AT_ONCE}"  # noqa: S608 - checked
    try:
        return [(int(id), str(name or "")) for id, name in session.rows(ask.format(name=_NAME), last)]
    except DatabaseError as error:
        if error.code != 1143:  # SELECT is denied for this column
            raise
    return [(int(id), "") for id, _ in session.rows(ask.format(name="''"), last)]


@contextmanager
def _least(columns: str) -> Iterator[None]:
    """Where a right is missing, the GRANT that is told gives these columns and no other."""
    try:
        yield
    except DatabaseError as error:
        says = re.sub(r"GRANT SELECT( \(\w+\))? ON", f"GRANT SELECT ({columns}) ON", str(error))
        raise DatabaseError(says, error.code) from error


def _class(name: str) -> str:
    """A job may name itself as it likes ("Struk Bu Siti"): only what looks like a class is passed on."""
    if name.startswith("Closure"):
        return "Closure"
    return name if len(name) <= 100 and _CLASS.fullmatch(name) else OTHER
