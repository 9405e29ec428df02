"""Tables: how big, how fast they grow, how much of them is empty, and which are crashed; without opening one that the
server would repair at that moment.

Sizes are the files' of InnoDB, which PROCESS shows. What is empty inside is known of big tables alone: `data_free`
counts whole free extents and is blind to rows deleted here and there, so a table whose rows became far fewer while its
size stayed counts as well. Whoever opens a crashed MyISAM or Aria table makes a server with `myisam_recover_options`
(MariaDB's default) repair it, and our statement time limit would break that off: there such tables are left alone.
"""

import re
from typing import Any, Final, NamedTuple

from collectors.mysql_connection import Session

BIG: Final = 100e6  # bytes; a smaller table is rebuilt by itself before anybody notices
DAY: Final = 86400.0
_LOOKED_AT: Final = 20  # tables of which the inside is looked at, and which are looked at for being crashed
_NAMED: Final = 3  # in the evidence
_REMEMBERED: Final = 60  # tables of which the size is remembered
_THINNED: Final = 0.6  # InnoDB's count of rows is a guess: less than this says nothing
# These columns are answered without opening the tables.
_NAMES: Final = ("SELECT table_schema, table_name, engine FROM information_schema.tables"
                 " WHERE table_type = 'BASE TABLE'"
                 " AND table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')")
_FILES_MARIADB: Final = "SELECT name, file_size FROM information_schema.innodb_sys_tablespaces WHERE name LIKE '%/%'"
_FILES_MYSQL: Final = "SELECT name, file_size FROM information_schema.innodb_tablespaces WHERE name LIKE '%/%'"
_INSIDE: Final = ("SELECT data_length + index_length, data_free, table_rows, table_comment FROM"
                  " information_schema.tables WHERE table_schema = %s AND table_name = %s")
_CODED: Final = re.compile(r"@(00[0-9a-f]{2})")  # how MySQL writes "-" and the like in names of files; letters: @0p
# its schemas, tables that an ALTER is about to rename, what full-text indexes keep beside a table
_SERVERS_OWN: Final = re.compile(r"(?:mysql|sys)\.|[^.]*\.(?:$|FTS_0)", re.I)
# What the server says of a table in place of its comment; MariaDB has no figures of it then.
_BROKEN: Final = re.compile(r"is marked as crashed|is corrupt;|repair failed|Incorrect (?:key file|file format)")


class Table(NamedTuple):
    """A big table. `free`: the part of it that a rebuild would give back, as far as the server knows."""

    name: str
    size: float
    free: float


class Seen(NamedTuple):
    """What one look saw. `hidden`: schemas with tables that the account may not see."""

    total: float  # bytes of all InnoDB files
    sizes: dict[str, float]  # the biggest
    big: tuple[Table, ...]
    fragile: tuple[str, ...]  # tables of engines that can crash
    hidden: tuple[str, ...]


def look(session: Session, memory: dict[str, Any]) -> Seen:
    """Needs PROCESS, and any right on the tables (SHOW VIEW will do). Raises DatabaseError."""
    if not session.mariadb:
        session.rows("SET SESSION information_schema_stats_expiry = 0")  # else MySQL tells figures of up to a day ago
    sizes: dict[str, float] = {}
    for name, size in session.rows(_FILES_MARIADB if session.mariadb else _FILES_MYSQL):
        table = _plain(str(name))
        if not _SERVERS_OWN.match(table):
            sizes[table] = sizes.get(table, 0.0) + float(size)
    engines = {f"{schema}.{name}": str(engine) for schema, name, engine in session.rows(_NAMES)}
    biggest = sorted(sizes, key=lambda table: -sizes[table])
    inside = [_inside(session, table, sizes[table], memory) for table in biggest[:_LOOKED_AT] if sizes[table] >= BIG]
    return Seen(sum(sizes.values()), {table: sizes[table] for table in biggest[:_REMEMBERED]},
                tuple(sorted(filter(None, inside), key=lambda table: -table.free)),
                tuple(name for name, engine in engines.items() if engine in ("MyISAM", "Aria"))[:_LOOKED_AT],
                tuple(sorted({table.partition(".")[0] for table in sizes.keys() - engines.keys() if "@" not in table})))


def crashed(session: Session, tables: list[str]) -> dict[str, str]:
    """Those of the tables that are crashed, and what the server says of each. It opens them. Raises DatabaseError."""
    found = {}
    for table in tables:
        for length, *_, comment in session.rows(_INSIDE, *table.split(".", 1)):
            if length is None or _BROKEN.search(str(comment)):
                found[table] = str(comment)
    return found


def grown(memory: dict[str, Any], sizes: dict[str, float], now: float) -> dict[str, float] | None:
    """Bytes that each table grew by since about a day ago; None while nothing is remembered from then."""
    samples = [sample for sample in memory.get("sizes", []) if now - 1.5 * DAY < sample[0] < now]
    if not samples or now - samples[-1][0] >= DAY / 6:
        samples.append([now, {table: round(size) for table, size in sizes.items()}])
    memory["sizes"] = samples
    day_old = [sample for sample in samples if now - sample[0] >= 0.75 * DAY]
    if not day_old:
        return None
    _, before = min(day_old, key=lambda sample: abs(now - sample[0] - DAY))
    return {table: size - before[table] for table, size in sizes.items() if table in before}


def remember(seen: Seen, memory: dict[str, Any], now: float) -> None:
    """Keep what the readings until the next look are made of; JSON values."""
    growth = grown(memory, seen.sizes, now)
    fastest = sorted(growth or {}, key=lambda table: -(growth or {})[table])[:_NAMED]
    emptiest = [table for table in seen.big if table.free >= 0.01][:_NAMED]
    memory["at"] = now
    memory["seen"] = {
        "size": seen.total, "fragile": list(seen.fragile), "hidden": list(seen.hidden[:_NAMED]),
        "growth": None if growth is None else [
            sum(growth.values()), ", ".join(f"{t} +{_mib(growth[t])}" for t in fastest if growth[t] > 0)],
        "free": [seen.big[0].free if seen.big else 0.0,
                 ", ".join(f"{table.name} {table.free:.0%} / {_mib(table.size)}" for table in emptiest)]}


def _mib(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


def _inside(session: Session, table: str, size: float, memory: dict[str, Any]) -> Table | None:
    rows = session.rows(_INSIDE, *table.split(".", 1))
    if not rows or rows[0][0] is None:
        return None
    length, free, count = (float(value or 0) for value in rows[0][:3])
    densest: dict[str, float] = memory.setdefault("densest", {})
    dense = count / max(length, 1.0)
    most = densest[table] = max(dense, densest.get(table, 0.0))
    thinned = 1 - dense / most if most else 0.0
    for gone in list(densest)[:-2 * _LOOKED_AT]:
        del densest[gone]
    return Table(table, size, max(min(1.0, free / size), thinned if thinned >= _THINNED else 0.0))


def _plain(file: str) -> str:
    """`koperasi/log@002dlama#P#p2025` is the table koperasi.log-lama."""
    name = _CODED.sub(lambda code: chr(int(code[1], 16)), file.partition("#")[0])
    return name.replace("/", ".", 1)
