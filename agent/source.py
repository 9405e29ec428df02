"""A TOML file as text: read, parsed, and asked on which line something is written."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Where = tuple[str | int, ...]  # ("collectors", "disk", "every"); the index of an [[array]] counts from 0

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")
LARGEST = 2**20  # bytes: a configuration is a page or two, and a mistaken path may be a disk image


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake as one sentence; `line` only where it is surely known."""

    file: str
    text: str
    path: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.text}"


class Unreadable(Exception):
    """A file that cannot be had as TOML at all."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed file. `lines` is worked out only when a mistake asks for it."""

    file: str
    text: str
    table: dict[str, Any]
    _lines: dict[Where, int] = field(default_factory=dict)

    def line(self, where: Where) -> int | None:
        """The line on which `where`, or the nearest thing around it, begins; None where nothing of it is written."""
        if not self._lines:
            self._lines.update(_lines_of(self.text))
        return next((self._lines[where[:end]] for end in range(len(where), 0, -1) if where[:end] in self._lines), None)

    def problem(self, where: Where, says: str) -> Problem:
        return Problem(self.file, f"{dotted(where)}{says}", dotted(where), self.line(where))


def dotted(where: Where) -> str:
    """The path as people write it: `collectors.disk.every`, `escalation[2].after` (counted from 1)."""
    text = ""
    for part in where:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else repr(part))
    return text


def read(path: Path) -> Source:
    """Read and parse a TOML file. Raises Unreadable with one sentence."""
    file = str(path)
    try:
        if not path.is_file():  # a FIFO or a device would never end
            what = "is not a file" if path.exists() else "does not exist"
            raise Unreadable(Problem(file, f"the configuration {what}: name another one with --config"))
        if path.stat().st_size > LARGEST:
            raise Unreadable(Problem(file, "is larger than 1 MiB, so it is hardly a configuration"))
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise Unreadable(Problem(file, f"cannot be read: {why}")) from error
    return parse(file, content)


def parse(file: str, content: bytes) -> Source:
    """Parse the bytes of a TOML file. Raises Unreadable with one sentence and, where TOML says it, the line."""
    try:
        text = content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unreadable(Problem(file, "is not UTF-8 here: save the file as UTF-8", line=line)) from error
    try:
        return Source(file, text, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        at = _AT.search(said)
        line = int(at[1]) if at and at[1] else text.count("\n") + 1
        raise Unreadable(Problem(file, f"is not valid TOML: {_plain(_AT.sub('', said))}", line=line)) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; brackets nested without end
        raise Unreadable(Problem(file, "holds a number or a nesting beyond all measure")) from error


def _plain(said: str) -> str:
    """What tomllib says, in words for people where its own are not."""
    if said == "Cannot overwrite a value":
        return "this key is written twice"
    if said.startswith("Cannot declare") and said.endswith("twice"):
        return "this section is written twice: put its keys under one header"
    if said == "Invalid value" or said.startswith("Expected newline or end of document"):
        return "a value is not understood: text and durations need quotes"
    if said in (r"Illegal character '\n'", "Unterminated string"):
        return "a text is not closed: a quote is missing"
    return said[:1].lower() + said[1:]


def _lines_of(text: str) -> dict[Where, int]:
    """Where each key of a valid file begins, exactly: each statement is parsed by itself, under its header."""
    found: dict[Where, int] = {}
    header: Where = ()
    arrays: dict[Where, int] = {}  # the index of the last element of each [[array]]
    start, lines = 0, text.split("\n")
    for end in range(1, len(lines) + 1):
        try:
            statement = tomllib.loads("\n".join(lines[start:end]))
        except (ValueError, RecursionError):  # a value over several lines: take one more
            continue
        if lines[start].lstrip().startswith("["):
            header = _header(statement, arrays)
            for depth in range(1, len(header) + 1):
                found.setdefault(header[:depth], start + 1)
        else:
            for where in _paths(statement):
                found.setdefault(header + where, start + 1)
        start = end
    return found


def _header(statement: dict[str, Any], arrays: dict[Where, int]) -> Where:
    where: Where = ()
    node: Any = statement
    while node:
        if isinstance(node, list):
            arrays[where] = arrays.get(where, -1) + 1
            where, node = (*where, arrays[where]), node[0]
        else:
            [(name, node)] = node.items()
            where = (*where, name)
            if not isinstance(node, list) and where in arrays:
                where = (*where, arrays[where])
    return where


def _paths(node: Any, where: Where = ()) -> list[Where]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(node, dict):
        items = list(node.items())
    elif isinstance(node, list):
        items = list(enumerate(node))
    return [path for name, inner in items for path in ((*where, name), *_paths(inner, (*where, name)))]
