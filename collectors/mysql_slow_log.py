"""The slow query log as a file, as MariaDB 10 and MySQL 8 write it: entries cut out of what grows.

MariaDB, where `# Time` comes only when the second changes:

    # Time: 261122 12:13:12
    # User@Host: root[root] @ localhost []
    # Thread_id: 8  Schema: koperasi  QC_hit: No
    # Query_time: 0.303784  Lock_time: 0.000067  Rows_sent: 3  Rows_examined: 6
    # Rows_affected: 0  Bytes_sent: 109
    use `koperasi`;
    SET timestamp=1795349592;
    select nama from simpanan order by nama;

MySQL:

    # Time: 2021-09-17T06:46:20.655775Z
    # User@Host: root[root] @ localhost []  Id:    15
    # Query_time: 4.003891  Lock_time: 0.000000 Rows_sent: 1  Rows_examined: 1
    SET timestamp=1631861176;
    select sleep(4);

The statement stands there as it was sent: it may span lines, and a value in it may hold lines that look like an entry.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

LONGEST: Final = 2.0**25  # seconds, a year; a clock that is set back under way makes queries of 18446744073709 s
KEPT: Final = 100_000  # bytes of a statement that are handed on; a dump's INSERT has megabytes of values


class Slow(NamedTuple):
    """One slow statement. `end` in unix seconds; `statement` with its values: personal data, never to be kept."""

    end: float
    seconds: float
    examined: int  # rows
    statement: str


# Where an entry begins, and the banner that the server writes when it opens the file.
_BEGIN: Final = re.compile(rb"^(?:(?:# Time: [^\n]*\n)?# User@Host: |\S+, Version: [^\n]* started with:\r?\n)", re.M)
# The head is read from its first byte on, in its order: nothing that stands in the statement can pass for it.
_ENTRY: Final = re.compile(
    rb"(?:# Time: [^\n]*\n)?# User@Host: [^\n]*\n(?:# Thread_id: [^\n]*\n)?"
    rb"# Query_time: (?P<seconds>\d+(?:\.\d+)?)\s[^\n]*?Rows_examined: (?P<examined>\d+)[^\n]*\n"
    rb"(?:#[^\n]*\n)*?(?:use [^\n]*;\n)?SET (?:\w+=\d+,)*timestamp=(?P<start>\d+(?:\.\d+)?);\n")
# Quotes and comments. A value that ends in a backslash leaves its quote open for us where sql_mode has
# NO_BACKSLASH_ESCAPES; then the next beginning is believed, as where a crash cut the statement.
_QUOTED: Final = re.compile(
    rb"""'(?:[^'\\]|''|\\.)*+' | "(?:[^"\\]|""|\\.)*+" | `(?:[^`]|``)*+` | /\*(?:[^*]|\*(?!/))*+\*/
       | --(?=[\x00-\x20])[^\n]*+ | \#[^\n]*+ | (?P<open>['"`] | /\*)""", re.X | re.S)


class SlowLog:
    """Takes pieces of the file (`collectors.following`) and gives every whole entry to `found`, once."""

    def __init__(self, found: Callable[[Slow], None]) -> None:
        self._found = found

    def take(self, data: bytes, inside: int, end: bool) -> tuple[int, int]:
        """As `collectors.following.Take`: an entry of which the end is missing waits for it, until there is nothing
        but that entry and `end`."""
        begins = [match.start() for match in _BEGIN.finditer(data)]
        if not begins:  # the rest of something that was rotated or truncated away
            return len(data) if end else data.rfind(b"\n") + 1, inside
        for start, stop in _entries(data, begins):
            if stop is None and not (end and start == 0):
                return start, 0
            entry = _read(data[start:stop])  # of a cut one whatever is there
            if entry is not None:
                self._found(entry)
        return len(data), int(not data.endswith(b"\n"))


def _entries(data: bytes, begins: Sequence[int]) -> Iterator[tuple[int, int | None]]:
    """Where each entry begins and ends. None where its end is not there: the next ones begin where it seems so."""
    bounds = [*begins[1:], len(data)]
    here, trusting = 0, False
    while here < len(begins):
        last = here if trusting else _outside(data, begins[here], bounds, here)
        trusting = trusting or last is None
        whole = last is not None and (last < len(begins) - 1 or _ended(data, begins[here]))
        yield begins[here], bounds[last] if whole and last is not None else None
        here = (here if last is None else last) + 1


def _outside(data: bytes, start: int, bounds: Sequence[int], here: int) -> int | None:
    """The first bound from `here` on that lies in no quote or comment of the text that begins at `start`."""
    for token in _QUOTED.finditer(data, start):
        if bounds[here] <= token.start():
            return here
        if token["open"]:
            return None
        while here < len(bounds) - 1 and bounds[here] < token.end():
            here += 1
    return here


def _ended(data: bytes, start: int) -> bool:
    """Whether the last entry has a statement, and the server wrote the end of it."""
    head = _ENTRY.match(data, start)
    return data.endswith(b";\n") and (head is None or head.end() < len(data))


def _read(entry: bytes) -> Slow | None:
    """None for the banner, for a head that was cut, and for what cannot be."""
    head = _ENTRY.match(entry)
    if head is None or float(head["seconds"]) > LONGEST:
        return None
    seconds = float(head["seconds"])
    statement = entry[head.end():head.end() + KEPT].decode("utf-8", "replace").strip()
    return Slow(float(head["start"]) + seconds, seconds, int(head["examined"]), statement.removesuffix(";"))
