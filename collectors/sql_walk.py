"""Big tables measured without reading them each time: by night all of them in small bites, by day what is new or open.

A walk goes through a table by its primary key. The nightly pass reads everything, `chunk` keys at a time, and leaves a
base: the keys of rows that matter ("kept": a pending payment, a journal that does not balance), and the sums over all
the others. By day the base holds, and only the kept keys and those after the base are read: both are few, however many
years the books have. So a new row is seen at the next look and a kept one is seen to be mended; a change of an old row
that mattered to nobody is seen by night.
"""

import re
import time
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec

from collectors.mysql_connection import Session
from collectors.quantities import Seconds
from collectors.sql_queries import Fact, Unit, checked, limit, number, of

KEPT: Final = 1000  # keys remembered; what is more is counted by night alone
BITE: Final = 500  # keys in one IN (…)
WITHIN: Final = 2.0  # seconds for one statement; measured: 15 ms (docs/database-cost.md)
ROWS: Final = 10_000  # of one statement, and so the largest chunk
NAMED: Final = 5  # rows named in a note
PLACES: Final = ("keys", "now", "unix_now", "today", "new_year")

_NAMES: Final = re.compile(r"[A-Za-z_][\w.]*( [A-Za-z_]\w*)?")  # a table with its alias, a column with its table
_NEWEST: Final = "SELECT MAX({key}) FROM {table}"
_UPTO: Final = "SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1 OFFSET {again}"
_CHUNK: Final = ("SELECT MAX(k) FROM (SELECT {key} AS k FROM {table} WHERE {key} > {after} AND {key} <= {upto}"
                 " ORDER BY {key} LIMIT {chunk}) keys_of_chunk")


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reading of a walk. of: `count`, `amount` or `oldest` of its rows of that item, or a column of `sums`."""

    query: str
    of: str
    item: str = ""
    unit: Unit | Literal["yes"] = "plain"  # yes: 1 where the figure is not nought


class Walk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a table is walked, as presets write it.

    table, key: what is walked, by which whole positive number ("journal_entries e", "e.id").
    rows: a SELECT of the rows that matter, WHERE :keys. Columns: `id` (the key), and where there is such a thing
    `item`, `amount`, `age` (seconds) and `note` (what people call it; never a person).
    sums: a SELECT of one row of figures that may be added up over chunks, WHERE :keys.
    older: rows count only from this age on. again: so many of the newest keys are read at each look, besides new ones.
    """

    table: str
    key: str
    rows: str
    readings: tuple[Told, ...]
    sums: str = ""
    every: Seconds = 300.0
    chunk: Annotated[int, msgspec.Meta(ge=100, le=ROWS)] = 5000
    again: Annotated[int, msgspec.Meta(ge=0, le=ROWS)] = 1000
    older: Seconds = 0.0
    reads: dict[str, tuple[str, ...]] = {}

    def __post_init__(self) -> None:
        for field, name in (("table", self.table), ("key", self.key)):
            if not _NAMES.fullmatch(name):
                raise ValueError(f'{field} must be a name, such as "journal_entries e" and "e.id"')
        for field, sql in (("rows", self.rows), ("sums", self.sums)):
            if sql and "keys" not in checked(sql, field, PLACES).places:
                raise ValueError(f"{field} must have WHERE :keys, or it would read the whole table each time")


class Row(NamedTuple):
    """A row that matters."""

    id: int
    item: str
    amount: Decimal
    age: float
    note: str


class Base(msgspec.Struct, kw_only=True):
    """What a pass found, and how far one under way has come. Sums are exact decimals."""

    day: str  # the day that sums are as of, as a date
    began: float
    upto: int  # the last key that belongs to it
    after: int = 0  # the last key that was read
    ended: float | None = None
    kept: list[int] = []
    sums: dict[str, Decimal] = {}
    rest: dict[str, tuple[int, Decimal, float]] = {}  # item -> rows beyond KEPT: how many, amount, since when


class Walker:
    """One walk on one connection. `places` are the values of :now and the like, but the days, which are the base's."""

    def __init__(self, walk: Walk, session: Session, places: Mapping[str, str], now: float) -> None:
        self.walk, self._session, self._now = walk, session, now
        self._places = dict(places)
        self._statements = {field: checked(sql, field, PLACES)
                            for field, sql in (("rows", walk.rows), ("sums", walk.sums)) if sql}
        limit(session, WITHIN, ROWS)

    def begin(self, day: str) -> Base:
        """A pass through everything but the newest keys, which are read at each look anyway."""
        found = self._session.rows(self._of_table(_UPTO, again=self.walk.again))
        return Base(day=day, began=self._now, upto=int(found[0][0]) if found else 0)

    def advance(self, base: Base, until: float) -> bool:
        """Go on with a pass until it is through (then True) or the monotonic clock says `until`. At least one bite."""
        while True:
            end = self._end(base.after, base.upto)
            if end is None:
                base.ended = self._now
                return True
            self._bite(base, f"{self.walk.key} > {base.after} AND {self.walk.key} <= {end}")
            base.after = end
            if time.monotonic() >= until:
                return False

    def look(self, base: Base, until: float) -> list[Fact] | None:
        """What is now: base, kept rows and new ones together. None where the base is of another table by now: it was
        emptied or restored. Raises ValueError where so much is new that it takes beyond `until` (monotonic)."""
        newest = self._session.rows(self._of_table(_NEWEST))[0][0] or 0
        if newest < base.upto:
            return None
        rows: list[Row] = []
        sums = dict(base.sums)
        for keys in chain(self._kept(base), self._new(base.upto, newest)):
            if time.monotonic() >= until:
                raise ValueError("has so much new since the night that it takes too long: it is read again by night")
            rows += self._rows(keys, base.day)
            _add(sums, self._sums(keys, base.day))
        return [self._fact(told, base, rows, sums) for told in self.walk.readings]

    def _bite(self, base: Base, keys: str) -> None:
        rows = self._rows(keys, base.day)
        room = KEPT - len(base.kept)
        for row in rows[room:]:
            if row.age >= self.walk.older:
                count, amount, since = base.rest.get(row.item, (0, Decimal(0), self._now))
                base.rest[row.item] = (count + 1, amount + row.amount, min(since, self._now - row.age))
        new = [row.id for row in rows[:room]]
        base.kept += new
        without = f" AND {self.walk.key} NOT IN ({_list(new)})" if new else ""
        _add(base.sums, self._sums(keys + without, base.day))

    def _kept(self, base: Base) -> Iterator[str]:
        for at in range(0, len(base.kept), BITE):
            yield f"{self.walk.key} IN ({_list(base.kept[at:at + BITE])})"

    def _new(self, after: int, newest: int) -> Iterator[str]:
        while (end := self._end(after, newest)) is not None:
            yield f"{self.walk.key} > {after} AND {self.walk.key} <= {end}"
            after = end

    def _end(self, after: int, upto: int) -> int | None:
        """The last key of the next chunk. By counting, for keys may have gaps of millions."""
        found = self._session.rows(self._of_table(_CHUNK, after=after, upto=upto, chunk=self.walk.chunk))[0][0]
        return None if found is None else int(found)

    def _of_table(self, template: str, **numbers: int) -> str:
        return template.format(key=self.walk.key, table=self.walk.table, **numbers)

    def _ask(self, field: str, keys: str, day: str) -> list[dict[str, Any]]:
        places = {**self._places, "keys": f"({keys})", "today": f"'{day}'", "new_year": f"'{day[:4]}-01-01'"}
        return self._session.named(self._statements[field].fill(places))

    def _rows(self, keys: str, day: str) -> list[Row]:
        rows = [Row(int(of(row, "id")), str(row.get("item", "")), number(row.get("amount", 0), "amount"),
                    float(number(row.get("age", 0), "age")), str(row.get("note", "")))
                for row in self._ask("rows", keys, day)]
        if len({row.id for row in rows}) < len(rows):
            raise ValueError("gives a key twice in `rows`: GROUP BY the key")
        return rows

    def _sums(self, keys: str, day: str) -> dict[str, Decimal]:
        if not self.walk.sums:
            return {}
        return {column: number(value or 0, column)  # the sum of nothing is NULL
                for row in self._ask("sums", keys, day) for column, value in row.items()}

    def _fact(self, told: Told, base: Base, rows: list[Row], sums: Mapping[str, Decimal]) -> Fact:
        count, amount, since = base.rest.get(told.item, (0, Decimal(0), self._now))
        these = sorted((row for row in rows if row.item == told.item and row.age >= self.walk.older),
                       key=lambda row: (-row.age, row.id))
        note = ""
        if told.of == "count":
            figure = Decimal(count + len(these))
            note = _named([row.note for row in these if row.note], count + len(these))
        elif told.of == "amount":
            figure = sum((row.amount for row in these), amount)
        elif told.of == "oldest":
            figure = Decimal(max([row.age for row in these] + ([self._now - since] if count else []), default=0))
        else:
            figure = of(sums, told.of) if sums else Decimal(0)  # an empty table has no row to sum up
        if told.unit == "yes":
            return Fact("plain", told.query, told.item, float(figure != 0), note)
        return Fact(told.unit, told.query, told.item, float(figure), note)


def _add(sums: dict[str, Decimal], more: Mapping[str, Decimal]) -> None:
    for column, value in more.items():
        sums[column] = sums.get(column, Decimal(0)) + value


def _list(keys: list[int]) -> str:
    return ", ".join(map(str, keys))


def _named(notes: list[str], count: int) -> str:
    more = count - len(notes[:NAMED])
    return ", ".join(notes[:NAMED]) + (f" +{more}" if notes and more else "")
