"""Statements that read and nothing else: what could write, lock, wait or reach a file is refused before it is sent.

This is the first of two locks. It reads the words of a statement, not its meaning: a stored function may still write.
The second lock is the server's: a read-only transaction, and an account that has no right to write.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

FIRST: Final = ("SELECT", "WITH", "SHOW")
PLACES: Final = ("now", "unix_now", "today", "new_year", "keys")

# A word of a statement's code -> why it is refused.
_WORDS: Final = {
    "INTO": "INTO writes to a file or a variable",
    "UPDATE": "UPDATE writes, and FOR UPDATE locks rows",
    "DELETE": "DELETE writes",
}
# A function -> why.
_FUNCTIONS: Final = {
    **dict.fromkeys(("SLEEP", "BENCHMARK", "MASTER_POS_WAIT", "SOURCE_POS_WAIT", "MASTER_GTID_WAIT",
                     "WAIT_FOR_EXECUTED_GTID_SET", "WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS"), "makes the server wait"),
    **dict.fromkeys(("GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS"), "holds or frees locks of others"),
    **dict.fromkeys(("NEXTVAL", "SETVAL"), "moves a sequence on"),
    "LOAD_FILE": "reads the server's files",
}
_STATEMENTS: Final = ("INSERT", "REPLACE")  # also functions, and those read
_PAIRS: Final = {
    ("LOCK", "IN"): "LOCK IN SHARE MODE locks rows", ("FOR", "SHARE"): "FOR SHARE locks rows",
    ("NEXT", "VALUE"): "NEXT VALUE FOR moves a sequence on",
}

_TOKEN: Final = re.compile(r"""
    (?P<blank>\s+)
  | (?P<live>/\*(?:M?!|\+))                         # code in a comment: the server runs it
  | (?P<comment>/\*.*?\*/ | \#[^\n]* | --(?=\s|$)[^\n]*)
  | (?P<text>'(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*")
  | (?P<name>`(?:[^`]|``)*`)
  | (?P<place>:[A-Za-z_]\w*)
  | (?P<word>[A-Za-z_$@\u0080-\uffff][\w$@]*)
  | (?P<open>/\*|['"`])                             # nothing above took it: it is never closed
  | (?P<sign>.)
""", re.X | re.S)


class Token(NamedTuple):
    """A piece of a statement: what kind it is, as written."""

    kind: str
    text: str


class Statement:
    """A statement that only reads, with places (`:now`) for what is known at the moment of asking.

    Raises ValueError with a clause that says what is refused, made to follow "sql: ".
    """

    def __init__(self, sql: str, places: tuple[str, ...] = PLACES[:-1]) -> None:
        tokens = [Token(match.lastgroup or "sign", match[0]) for match in _TOKEN.finditer(sql)]
        tokens = [Token("blank", " ") if token.kind == "comment" else token for token in tokens]
        while tokens and (tokens[-1].kind == "blank" or tokens[-1].text == ";"):
            tokens.pop()
        code = [token for token in tokens if token.kind != "blank"]
        _check(code, places)
        self._pieces = tuple(tokens)
        self.places = {token.text[1:] for token in code if token.kind == "place"}

    def fill(self, values: Mapping[str, str]) -> str:
        """The statement with each place taken by its value, which is SQL already."""
        return "".join(values[token.text[1:]] if token.kind == "place" else token.text for token in self._pieces)


def _check(code: list[Token], places: tuple[str, ...]) -> None:
    if not code:
        raise ValueError("is empty: write a SELECT")
    first = next((token for token in code if token.text != "("), code[0])
    if first.kind != "word" or first.text.upper() not in FIRST:
        raise ValueError(f'begins with "{first.text[:20]}": only SELECT, WITH and SHOW read and do nothing else')
    for token, after in zip(code, [*code[1:], Token("", "")], strict=True):
        if refusal := _refusal(token, after, places):
            raise ValueError(refusal)


def _refusal(token: Token, after: Token, places: tuple[str, ...]) -> str:
    word, called = token.text.upper(), after.text == "("
    if token.kind == "live":
        return f"holds {token.text} …, a comment that the server runs as code: write it without"
    if token.kind == "open":
        return f"holds {token.text} that is never closed"
    if token.text == ";":
        return "holds more than one statement: write one query for each"
    if token.kind == "place" and token.text[1:] not in places:
        return f"holds {token.text}, which is not known: there is {', '.join(':' + place for place in places)}"
    bare = token.text.strip("`").upper()
    if called and token.kind in ("word", "name") and bare in _FUNCTIONS:
        return f"calls {bare}, which {_FUNCTIONS[bare]}"
    if token.kind != "word":
        return ""
    if word in _WORDS:
        return f"is refused: {_WORDS[word]}"
    if word in _STATEMENTS and not called:
        return f"is refused: {word} writes"
    pair = (word, after.text.upper() if after.kind == "word" else "")
    return f"is refused: {_PAIRS[pair]}" if pair in _PAIRS else ""
