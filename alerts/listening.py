"""Takes an answer apart: quotations off, incident codes, lengths of time, names, and the words between them."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple
from unicodedata import category

from alerts.codes import DIGITS, LETTERS
from alerts.vocabulary import Vocabulary, Word, plain, slip

LONGEST = 600  # characters; nobody takes an incident in more, so a longer text can only refuse
_LONGEST_RAW = 20_000  # what is looked at: a mail with all that it quotes
_CODE = re.compile(f"[{LETTERS}][{DIGITS}][{LETTERS}]{{1,3}}")
_STRUCK = re.compile(r"~[^~\n]+~")  # WhatsApp's strike-through
_QUOTED_FROM = re.compile(
    r"(on .{4,200} wrote|pada .{4,200} menulis|-{2,} ?(original message|pesan asli) ?-{2,}):?|-- ?")
_SIGNED = ("sent from my", "dikirim dari ", "get outlook for")
_APART = re.compile(r"(?<![a-z0-9])([a-z])[ .\-]{0,2}([0-9])[ .\-]{0,2}([a-z]{1,3})(?![a-z0-9])")  # "k 7 m", "K7-M"
_MARK = re.compile(r"(?<![a-z0-9])([a-z]{1,2}[0-9][a-z]{1,3})-[0-9]{1,4}(?![a-z0-9])")  # K7M-3
_TOKEN = re.compile(r"@\w+|\d+[.,]\d+[a-z]*|[a-z0-9]+(?:'[a-z]+)*|[?,.;!:\n]|[^\w\s]|[^\W\d_]+|\d+")
_SPAN = re.compile(r"(\d{1,4}(?:[.,]\d{1,2})?)([a-z]*)")
_BREAKS = set(",.;!:\n?")


class Clause(NamedTuple):
    """Words up to a full stop, a comma or a question mark. Codes are words of the kind "code"."""

    words: tuple[Word, ...]
    asks: bool


class Answer(NamedTuple):
    """An answer taken apart. `slip` is an open code that something resembles; `garbled` whether anything does."""

    clauses: tuple[Clause, ...]
    slip: str
    garbled: bool
    seconds: float | None
    too_long: bool

    @property
    def words(self) -> list[Word]:
        return [word for clause in self.clauses for word in clause.words]


def own_words(text: str) -> str:
    """What the writer wrote, without what a mail quotes, a signature, and what is struck through."""
    kept = []
    for each in plain(text[:_LONGEST_RAW]).split("\n"):
        line = " ".join(each.split())
        if _QUOTED_FROM.fullmatch(line):
            break
        if line and not line.startswith((">", "|", *_SIGNED)):
            kept.append(line)
    return _STRUCK.sub(" ", "\n".join(kept))


def read(text: str, open_codes: Collection[str], people: Collection[str], words: Vocabulary) -> Answer:
    """Pure. `open_codes` in capitals."""
    own = own_words(text)
    opened = {code.casefold() for code in open_codes}
    own = _MARK.sub(lambda mark: mark[1] + " ", own)
    too_long = len(own) > LONGEST or len(text) > _LONGEST_RAW
    tokens = _TOKEN.findall(_APART.sub(lambda code: _joined(code, opened), own[:LONGEST]))
    names, seconds = _names(people, words), []
    clauses, nears = [], []
    for part, asks in _parts(tokens):
        found: list[Word] = []
        pending: list[str] = []
        for item in [*_marked(part, opened, names, words), Word("end", "")]:
            if item.kind == "word":
                pending.append(item.text)
                continue
            found += words.read(pending)
            pending = []
            if item.kind == "span":
                seconds.append(float(item.near))
            if item.kind == "slip":
                nears.append(item.near)
            if item.kind != "end":
                found.append(item)
        clauses.append(Clause(tuple(found), asks))
    near = nears[0] if len(set(nears)) == 1 else ""
    return Answer(tuple(clauses), near.upper(), bool(nears), sum(seconds) or None, too_long)


def valid(code: str) -> bool:
    return _CODE.fullmatch(code) is not None


def _joined(apart: re.Match[str], opened: Collection[str]) -> str:
    code = "".join(apart.groups())
    single = len(apart[3]) == 1 and len(apart[0]) > 3
    return f" {code} " if code in opened or (single and valid(code.upper())) else apart[0]


def _parts(tokens: Iterable[str]) -> Iterator[tuple[list[str], bool]]:
    part: list[str] = []
    for each in tokens:
        if each in _BREAKS:
            yield part, each == "?"
            part = []
        else:
            part.append(each)
    yield part, False


def _marked(tokens: Sequence[str], opened: Collection[str], names: dict[tuple[str, ...], str],
            words: Vocabulary) -> Iterator[Word]:
    """Codes, spans of time, numbers and names marked; all else is of the kind "word"."""
    at = 0
    while at < len(tokens):
        token, rest = tokens[at], tokens[at:at + 4]
        length = next((n for n in range(len(rest), 0, -1) if tuple(rest[:n]) in names), 0)
        if length:
            yield Word("person", names[tuple(rest[:length])])
        elif (span := _span(rest, words))[0]:
            length = span[0]
            yield Word("span", " ".join(rest[:length]), str(span[1]))
        else:
            yield from _code(token, opened, words)
        at += length or 1


def _code(token: str, opened: Collection[str], words: Vocabulary) -> Iterator[Word]:
    if token in opened:
        yield Word("code", token.upper())
    elif token.startswith("@"):
        if not token.endswith("bot"):
            yield Word("word", "@")  # somebody else is spoken to
    elif words.knows(token):
        yield Word("word", token)
    elif token.replace(",", "").replace(".", "").isdecimal():
        yield Word("number", token)
    elif (glued := _glued(token, opened, words)):
        yield from glued
    elif token.isascii() and (near := _near(token, opened)):
        yield Word("slip", token, near[0] if len(near) == 1 else "")
    elif valid(token.upper()) and not words.meant(token):
        yield Word("code", token.upper())
    elif token[0].isalnum() or category(token[0])[0] == "S":
        yield Word("word", token)


def _glued(token: str, opened: Collection[str], words: Vocabulary) -> list[Word]:
    """ "okk7m": a known word and an open code without a blank between."""
    for code in opened:
        for word in (token.removesuffix(code), token.removeprefix(code)):
            if word != token and len(word) > 1 and words.knows(word):
                pair = [Word("word", word), Word("code", code.upper())]
                return pair if token.endswith(code) else pair[::-1]
    return []


def _near(token: str, opened: Collection[str]) -> list[str]:
    """The open codes that are one slip away from something that looks like a code."""
    if not 2 <= len(token) <= 8:
        return []
    if (any(char.isdigit() for char in token) and not token[0].isdigit()) or token[:1] in {"1", "0"}:
        return sorted(code for code in opened if slip(token, code))
    return sorted(code for code in opened if len(code) == len(token) and all(
        typed == right or right.isdigit() for typed, right in zip(token, code, strict=True)))  # "KTM" for K7M


def _span(tokens: Sequence[str], words: Vocabulary) -> tuple[int, float]:
    """How many tokens make a length of time, and its seconds: "2j", "2 jam", "setengah jam", "sejam"."""
    first, second = tokens[0], tokens[1] if len(tokens) > 1 else ""
    if (spelled := _SPAN.fullmatch(first)) is not None:
        count = float(spelled[1].replace(",", "."))
        if spelled[2] in words.units:
            return 1, count * words.units[spelled[2]]
        if not spelled[2] and second in words.units:
            return 2, count * words.units[second]
    elif first in words.numbers and second in words.units:
        return 2, words.numbers[first] * words.units[second]
    elif first.startswith("se") and len(first) > 4 and first.removeprefix("se").removesuffix("an") in words.units:
        return 1, words.units[first.removeprefix("se").removesuffix("an")]
    return 0, 0.0


def _names(people: Collection[str], words: Vocabulary) -> dict[tuple[str, ...], str]:
    """Whole names, and the single words of a name that belong to one person only and mean nothing else."""
    whole = {tuple(re.findall(r"\w+", plain(person))): person for person in people}
    owners: dict[tuple[str, ...], set[str]] = {}
    for name, person in whole.items():
        for word in name:
            if len(word) >= 3 and not words.knows(word):
                owners.setdefault((word,), set()).add(person)
    single = {name: next(iter(who)) for name, who in owners.items() if len(who) == 1}
    return {name: who for name, who in {**single, **whole}.items() if name and not all(map(words.knows, name))}
