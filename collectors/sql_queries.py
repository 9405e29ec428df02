"""A question to the database, and what its answer says: a number for each row, in a unit, under a label."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, Literal

import msgspec

from collectors.mysql_connection import Session
from collectors.quantities import Seconds
from collectors.sql_guard import Statement

Unit = Literal["plain", "seconds", "ratio", "bytes", "rupiah"]
ITEM_LENGTH: Final = 60
LONGEST: Final = 5.0  # seconds for one statement

# An e-mail address, a phone number, a national identity number (16 digits): a label is seen by everybody.
_PERSON: Final = re.compile(r"\S@\S|(?<!\d)(?:\+?62|0)8\d{7,12}(?!\d)|(?<!\d)\d{16}(?!\d)")


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """A reading to be: kept in memory between two askings, so that it is short there."""

    unit: Unit
    query: str
    item: str
    value: float
    note: str = ""


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One SELECT that gives a number in each row, and a few rows at most.

    value: the column with the number; a lone column needs no such name.
    items: the columns that tell rows apart; together they are the label `item`. Never a person's name or number.
    unit: what the number is: plain, seconds, ratio, bytes or rupiah. It names the metric: jaga_sql_rupiah …
    every: how often it is asked; in between, the last answer holds.
    rows: more than so many are a mistake of the query, and none is taken.
    within: the server ends it when it takes longer.

    Places that are filled in: `:now` (the moment as the app writes created_at), `:unix_now` (the same as unix seconds),
    `:today` and `:new_year` (dates in the shop's zone). NOW() is the server's clock in the server's zone instead.
    """

    sql: str
    value: str = "value"
    items: tuple[str, ...] = ()
    unit: Unit = "plain"
    every: Seconds = 300.0
    rows: Annotated[int, msgspec.Meta(ge=1, le=200)] = 20
    within: Seconds = 1.0
    reads: dict[str, tuple[str, ...]] = {}  # table -> the columns it needs: so narrow may a GRANT be

    def __post_init__(self) -> None:
        checked(self.sql, "sql")
        if not 0.01 <= self.within <= LONGEST:
            raise ValueError(f"within must be from 10 ms to {LONGEST:g} s: what takes longer burdens the shop")

    def ask(self, name: str, session: Session, values: Mapping[str, str]) -> list[Fact]:
        """Raises DatabaseError, or ValueError where the answer is not what the fields say."""
        limit(session, self.within, self.rows + 1)
        rows = session.named(Statement(self.sql).fill(values))
        if len(rows) > self.rows:
            raise ValueError(f"gives more than {self.rows} rows: add them up, or raise `rows`")
        facts = [Fact(self.unit, name, self._item(row), float(self._number(row))) for row in rows]
        if len({fact.item for fact in facts}) < len(facts):
            raise ValueError("gives two rows of the same name: put the columns that tell them apart into `items`")
        return facts

    def _number(self, row: Mapping[str, Any]) -> Decimal:
        column = self.value if self.value in row or len(row) > 1 else next(iter(row))
        return number(of(row, column), column)

    def _item(self, row: Mapping[str, Any]) -> str:
        item = "/".join(str(of(row, column)) for column in self.items)
        if _PERSON.search(item):
            raise ValueError("has an e-mail address or a person's number in `items`: choose a column that names nobody")
        return item[:ITEM_LENGTH]


def checked(sql: str, field: str, places: tuple[str, ...] = ()) -> Statement:
    """The statement, refused by the name of its field: ValueError("sql holds more than one statement: …")."""
    try:
        return Statement(sql, places) if places else Statement(sql)
    except ValueError as refused:
        raise ValueError(f"{field} {refused}") from None


def limit(session: Session, seconds: float, rows: int) -> None:
    """Set how long the next statements may take by the server's watch, and how many rows they may give."""
    watch = (f"max_statement_time = {seconds:g}" if session.mariadb
             else f"max_execution_time = {max(1, round(seconds * 1000))}")  # milliseconds; 0 would be no limit
    session.rows(f"SET SESSION {watch}, sql_select_limit = {rows}")


def number(value: object, column: str) -> Decimal:
    """A column's value as an exact number. What it held instead is not told: it may be somebody's name."""
    if value is None:
        raise ValueError(f"gives NULL as {column}: write COALESCE({column}, 0) where nothing means nought")
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"gives something as {column} that is no number") from None
    if not math.isfinite(found):
        raise ValueError(f"gives something as {column} that is no number")
    return found


def of(row: Mapping[str, Any], column: str) -> Any:
    """What the row has in that column. Raises ValueError where it has no such column."""
    if column not in row:
        raise ValueError(f'gives no column "{column}": it has {", ".join(row)}')
    return row[column]
