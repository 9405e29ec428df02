"""Whether a database dump is readable text and ends as a complete dump of its kind does; read in one pass, in pieces.

Sources: mysqldump's and mariadb-dump's own output (MariaDB 10.11), with and without --skip-comments, which spatie's
db-dumper sets; the koperasi app's PHP dump; the documented first and last lines of the others.
"""

import re
from dataclasses import dataclass

_HEAD = 8192  # bytes at the beginning that tell the kind
_TAIL = 4096  # bytes at the end that hold the last line
_LINES = 60  # of the head: an app writes its comments before its first statement
_CARRY = 160  # bytes that two pieces share, so that no CREATE TABLE falls between them
_TABLES = 5000
_CREATE = b"\nCREATE TABLE "
_NAME = re.compile(rb"(?:IF NOT EXISTS )?[`\"]?([^`\"\s(';]{1,64})[`\"]?\s*\(")  # a row's text may speak of tables
_SANDBOX = rb"/\*M!999999\\- enable the sandbox mode \*/"  # first line of newer mariadb-dump
_PROGRAMS = re.compile(rb"(?:\S*[\\/])?(mysqldump|mariadb-dump|mysqlpump|pg_dump)(?:\.exe)?: ", re.IGNORECASE)
_PAGE = re.compile(rb"<(?:!doctype|html|head|body|\?xml|br|b>)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of dump: how one of its first lines begins, and what its last line is."""

    name: str
    begins: re.Pattern[bytes]
    ends: re.Pattern[bytes]
    last: str  # for people


KINDS = (
    Kind("mysqldump", re.compile(rb"-- (?:MySQL|MariaDB) dump "), re.compile(rb"-- Dump completed(?: on .*)?"),
         "-- Dump completed"),
    Kind("phpMyAdmin", re.compile(rb"-- phpMyAdmin SQL Dump"),
         re.compile(rb"/\*!40101 SET COLLATION_CONNECTION=@OLD_COLLATION_CONNECTION \*/;"), "SET COLLATION_CONNECTION"),
    Kind("pg_dump", re.compile(rb"-- PostgreSQL database dump"),
         re.compile(rb"-- PostgreSQL database dump complete|\\unrestrict \w+"), "-- PostgreSQL database dump complete"),
    Kind("sqlite", re.compile(rb"PRAGMA foreign_keys=OFF;"), re.compile(rb"COMMIT;"), "COMMIT;"),
    Kind("mysqldump --skip-comments", re.compile(rb"/\*(?:!40\d{3}|M!\d{6}) SET @OLD_"),
         re.compile(rb"/\*(?:!40111 SET SQL_NOTES=@OLD_SQL_NOTES|M!\d{6} SET NOTE_VERBOSITY=@OLD_NOTE_VERBOSITY) \*/;"),
         "SET SQL_NOTES=@OLD_SQL_NOTES"),
    Kind("app", re.compile(rb"SET FOREIGN_KEY_CHECKS ?= ?0;"), re.compile(rb"SET FOREIGN_KEY_CHECKS ?= ?1;"),
         "SET FOREIGN_KEY_CHECKS=1;"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """What is wrong, in words with the byte; "" is good. `incomplete` is None where nobody can tell; `why` says why."""

    unreadable: str
    incomplete: str | None
    tables: frozenset[str]
    why: str = ""


class Dump:
    """Takes the bytes of one dump, piece by piece, and judges them at the end. `ends_with`: its last line, if given."""

    def __init__(self, ends_with: str = "") -> None:
        self._ends_with = ends_with.strip().encode()
        self._head, self._tail, self._carry = b"", b"", b"\n"
        self._size = 0
        self._nul: int | None = None  # the first one
        self._zeros = 0  # at the end
        self._tables: dict[str, None] = {}

    def feed(self, piece: bytes) -> None:
        """The next bytes. Costs a few passes at memory speed."""
        if len(self._head) < _HEAD:
            self._head += piece[: _HEAD - len(self._head)]
        if (nul := piece.find(b"\0")) >= 0:
            self._nul = self._size + nul if self._nul is None else self._nul
            kept = len(piece.rstrip(b"\0"))
            self._zeros = len(piece) - kept + (0 if kept else self._zeros)
        elif piece:
            self._zeros = 0
        self._size += len(piece)
        self._tail = (self._tail + piece[-_TAIL:])[-_TAIL:]
        self._find_tables(self._carry + piece)

    def judged(self) -> Judged:
        """What all of it was."""
        self._find_tables(self._carry + b"\n" * _CARRY)
        unreadable = self._unreadable()
        kind = next((kind for line in self._first_lines() for kind in KINDS if kind.begins.match(line)), None)
        last = self._tail.rstrip(b"\0\r\n\t ").removesuffix(b"\n--").rpartition(b"\n")[2].strip()  # pg_dump draws lines
        tables = frozenset(self._tables)
        if self._ends_with:
            incomplete = "" if last == self._ends_with else self._cut(self._ends_with.decode())
            return Judged(unreadable, incomplete, tables)
        if kind:
            return Judged(unreadable, "" if kind.ends.fullmatch(last) else self._cut(kind.last), tables)
        if unreadable:
            return Judged(unreadable, None, tables, unreadable)
        return Judged("", None, tables, "is no dump of a kind that Jaga knows: write its last line as ends_with")

    def _find_tables(self, text: bytes) -> None:
        end = len(text) - _CARRY
        at = text.find(_CREATE)
        while 0 <= at < end:
            found = _NAME.match(text, at + len(_CREATE))
            if found and len(self._tables) < _TABLES:
                self._tables[found[1].decode("utf-8", "replace")] = None
            at = text.find(_CREATE, at + 1)
        self._carry = text[max(0, end):]

    def _first_lines(self) -> list[bytes]:
        lines = self._head.removeprefix(b"\xef\xbb\xbf").splitlines()
        return [line for line in map(bytes.strip, lines[:_LINES]) if line and not re.fullmatch(_SANDBOX, line)]

    def _unreadable(self) -> str:
        head = self._head
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if not text and self._size <= _HEAD:
            return "is empty" if not self._size else f"holds {self._size} blank bytes and no text"
        if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _is_wide(head[:64]):
            return "is UTF-16 text, as PowerShell's > writes it: mysql cannot read it"
        if _PAGE.match(text):
            return "is a web page (HTML) and no dump"
        if program := _PROGRAMS.match(text):
            return f"begins with a message of {program[1].decode().lower()}, which mysql cannot read"
        if self._nul is not None:
            zeros = f", {self._zeros} of them at the end" if self._zeros else ""
            return f"holds NUL bytes from byte {self._nul} on{zeros}"
        return ""

    def _cut(self, last: str) -> str:
        end = self._size - self._zeros
        where = f", in or after table {list(self._tables)[-1]}" if self._tables else ", before the first table"
        return f"stops at byte {end}{where}: its last line is not {last}"


def _is_wide(head: bytes) -> bool:
    """Whether each second byte is nought, as in plain text in UTF-16."""
    even, odd = head[::2], head[1::2]
    return len(head) > 3 and any(not noughts.strip(b"\0") and 0 not in rest for noughts, rest in
                                 ((even, odd), (odd, even)))
