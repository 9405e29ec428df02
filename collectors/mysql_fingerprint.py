"""A statement's shape without its values: `select * from members where nik = ?`, so that no personal data goes on.

Where the text can be read in two ways, depending on a setting of the server (sql_mode), or was cut, the rest is left
out: a short shape is better than a member's name.
"""

import re
from typing import Final

LONGEST: Final = 20_000  # characters looked at: a dump's INSERT has megabytes of values
SHOWN: Final = 200  # characters of a shape, enough to find the place in the code

# What none of these fits, such as a quote that never closes, ends the reading. Before a quote a backslash escapes it,
# or does not, as sql_mode says: `\\[^']` takes every other escape.
_TOKEN: Final = re.compile(
    r"""
      (?P<space>\s++)
    | (?P<code>/\*M?!\d*+ | \*/)                                    # what these enclose is executed
    | (?P<comment>/\*(?:[^*]|\*(?!/))*+(?:\*/|\Z) | (?:--(?=[\s\x00-\x1f]|\Z)|\#)[^\n]*+)
    | (?P<text>(?:[NnXxBb]|_[A-Za-z0-9]++)?+(?:'(?:[^'\\]|''|\\[^'])*+' | "(?:[^"\\]|""|\\[^"])*+"))
    | (?P<name>`(?:[^`]|``)*+`)
    | (?P<number>(?:\d|\.\d)(?:[\w$.]|(?<=[eE])[+-](?=\d))*+)       # 12, .5, 1e-3, 0xFF
    | (?P<word>@{0,2}[^\W\d][\w$]*+)
    | (?P<sign>[-+*/%<>=!~^&|(),;:.@?{}\[\]])
    """, re.X)
_REST: Final = "…"
_VALUE: Final = r"(?:\?|null|default)"
_LISTS: Final = re.compile(rf"\b(in|values?) ?\({_VALUE}(?:, {_VALUE})*+\)(?:, \({_VALUE}(?:, {_VALUE})*+\))*+")
_MINUS: Final = re.compile(r"([(,=<>] ?)[-+] ?\?")


def fingerprint(statement: str, shown: int = SHOWN) -> str:
    """The statement in lower case, on one line, without comments, its values as `?`, its lists as `(?+)`; at most
    `shown` characters. Statements that differ in values alone have the same one."""
    if statement.startswith("# administrator command:"):  # the server's own words: "Ping", "Quit", "Binlog Dump"
        return statement[2:].strip().rstrip(";")[:shown]
    shape = _LISTS.sub(r"\1 (?+)", _MINUS.sub(r"\1?", _masked(statement[:LONGEST]))).strip("; ")
    return shape if len(shape) <= shown else shape[: shown - 1] + _REST


def _masked(statement: str) -> str:
    shape, at, apart = "", 0, False
    while at < len(statement):
        token = _TOKEN.match(statement, at)
        if token is None:
            return f"{shape} {_REST}".lstrip()
        at = token.end()
        if token.lastgroup in ("space", "comment", "code"):
            apart = True
            continue
        piece = "?" if token.lastgroup in ("text", "number") else token[0].lower()
        if piece == "?" and shape.endswith("?") and token.lastgroup == "text":
            continue  # 'one' 'value' in two pieces
        spaced = shape[-1:] == "," or (apart and shape[-1:] not in ("", "(") and piece not in (",", ")", ";"))
        shape += f" {piece}" if spaced else piece
        apart = False
    return shape
