"""The words people answer with: a message as words, and each word or phrase with what it means.

The words themselves are data: `alerts/vocabulary.toml`. Pure; every step is linear in the message's length.
"""

import re
import tomllib
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

UNKNOWN = "unknown"
_REPEATS = re.compile(r"(.)\1+")
_LEET = str.maketrans("0134576892", "oieastgbgz")  # "g4k" is written for "gak"
_SUFFIXES = ("lah", "nya", "deh", "kah", "ku")
_QUESTION = "apakah"  # what the ending -kah makes of a word
_NEGATIONS = {"tidak", "belum", "bukan", "jangan"}
_MEANT = {"no", "not_yet", "is_not", "do_not", "able", "refuse"}  # understood in spite of a typo: both ways are safe
_HARMLESS = {"assent", "take", "move", "work", "grab", "me", "yes", "filler", "courtesy", "greet", "thanks",
             "laugh", "this", "thing"}


class Word(NamedTuple):
    """A word or phrase of the message. `near` is the known word that an unknown one resembles."""

    kind: str
    text: str
    near: str = ""


def plain(text: str) -> str:
    """Small letters without accents, skin tones, invisible characters and controls; line breaks stay."""
    spread = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(map(_plain, spread)).translate({ord("’"): "'", ord("‘"): "'", ord("`"): "'"})


def _plain(char: str) -> str:
    if char.isascii():
        return char if char.isprintable() or char == "\n" else "\n" if char in "\r\v\f" else " "
    category = unicodedata.category(char)
    if category in {"Zl", "Zp"} or char == "\x85":
        return "\n"
    return "" if category[0] in "MC" or category == "Sk" else char


def slip(one: str, other: str) -> bool:
    """Whether one slip of the finger lies between them: a letter too few, too many, wrong, or two swapped."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    swapped = one[at:at + 2] == other[at:at + 2][::-1] and one[at + 2:] == other[at + 2:]
    return swapped or one[at + 1:] == other[at + 1:] or one[at:] == other[at + 1:] or one[at + 1:] == other[at:]


class Vocabulary:
    """`vocabulary.toml`, ready to be asked."""

    def __init__(self, table: dict[str, Any]) -> None:
        self.numbers: dict[str, float] = table["numbers"]
        self.units: dict[str, float] = {}
        for name, unit in table["units"].items():
            self.units |= dict.fromkeys((name, *unit["words"]), unit["seconds"])
        self.payload = {word: verb for verb, words in table["payload"].items() for word in words}
        self._spelling: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.doubles: list[str] = []  # words with two meanings: mistakes of the file, shown by a test
        for right, variants in table["spelling"].items():
            for variant in variants:
                self._put(self._spelling, tuple(plain(variant).split()), tuple(right.split()))
        self._spelling = {key: value for key, value in self._spelling.items() if key != value}
        self._meaning: dict[tuple[str, ...], str] = {}
        for kind, phrases in table["meaning"].items():
            for phrase in phrases:
                self._put(self._meaning, tuple(self._spelled(plain(phrase).split())), kind)
        keys = [*self._spelling, *self._meaning]
        self._words = {word for key in (*keys, *self._spelling.values()) for word in key}
        self._longest = max(map(len, keys))
        self._collapsed: dict[str, set[str]] = {}
        self._lacking: dict[str, set[str]] = {}
        for word in self._words:
            self._collapsed.setdefault(_REPEATS.sub(r"\1", word), set()).add(word)
            if len(word) >= 4:
                for lack in _lacks(word):
                    self._lacking.setdefault(lack, set()).add(word)

    def _put(self, into: dict[tuple[str, ...], Any], key: tuple[str, ...], value: Any) -> None:
        if into.setdefault(key, value) != value:
            self.doubles.append(" ".join(key))

    def knows(self, word: str) -> bool:
        return word in self._words

    def meant(self, word: str) -> bool:
        """Whether a word of letters and digits ("g4k") is one that a refusal may be made of."""
        return self._kind(word.translate(_LEET)) in _MEANT | {"me"}

    def read(self, words: Iterable[str]) -> list[Word]:
        """What the words mean, the longest phrases first."""
        known: list[str] = []
        typos: dict[str, str] = {}
        for word in words:
            read = self._respelled(word)
            if not read:
                near = self._near(word)
                if near and self._kind(near) in _MEANT and _surely(word, near):
                    read = [near]
                elif near:
                    typos[word] = near
            known += read or [word]
        spelled = self._spelled(known)
        found, at = [], 0
        while at < len(spelled):
            length = next((n for n in range(min(self._longest, len(spelled) - at), 0, -1)
                           if tuple(spelled[at:at + n]) in self._meaning), 0)
            if length:
                found.append(Word(self._meaning[tuple(spelled[at:at + length])], " ".join(spelled[at:at + length])))
            else:
                found.append(self._stranger(spelled[at], typos.get(spelled[at], "")))
            at += length or 1
        return found

    def _stranger(self, word: str, near: str) -> Word:
        if _drawn(word):
            return Word("emoji", word)
        if _laughs(word):
            return Word("laugh", word)
        harmful = near and self._kind(near) not in _HARMLESS
        return Word("doubt" if harmful else UNKNOWN, word, near)

    def _kind(self, word: str) -> str:
        return self._meaning.get(tuple(self._spelled([word])), UNKNOWN)

    def _spelled(self, words: Sequence[str]) -> list[str]:
        spelled: list[str] = []
        longest, at = 4, 0
        while at < len(words):
            for n in range(min(longest, len(words) - at), 0, -1):
                if right := self._spelling.get(tuple(words[at:at + n])):
                    spelled += right
                    break
            else:
                n = 1
                spelled.append(words[at])
            at += n
        return spelled

    def _respelled(self, word: str) -> list[str]:
        """The known words that a word stands for: itself, "okeee", "siap2", "g4k", "bisakah", "okpak"; or none."""
        if word in self._words:
            return [word]
        if len(word) > 24:
            return self._one_of(_REPEATS.sub(r"\1", word))
        if one := self._one_of(_REPEATS.sub(r"\1", word)):
            return one
        if word.endswith("2") and self.knows(word[:-1]):
            return [word[:-1]] * 2
        if not word.isalpha():
            bare = word.replace("'", "").translate(_LEET)
            return [bare] if self.knows(bare) else self._one_of(_REPEATS.sub(r"\1", bare))
        for suffix in _SUFFIXES:
            stem = word.removesuffix(suffix)
            if stem != word and len(stem) >= (2 if suffix == "kah" else 3) and self.knows(stem):
                return [_QUESTION, stem] if suffix == "kah" else [stem]
        return self._split(word)

    def _one_of(self, collapsed: str) -> list[str]:
        """The known word that is written so but for repeated letters, where all of them mean the same."""
        words = self._collapsed.get(collapsed, set()) if len(collapsed) > 1 else set()
        return [min(words)] if words and len({tuple(self._spelled([word])) for word in words}) == 1 else []

    def _split(self, word: str) -> list[str]:
        """Two words run together, where the second is a form of address or the first is a "no"."""
        halves = [(word[:at], word[at:]) for at in range(2, len(word) - 1)]
        fit = [[left, right] for left, right in halves if self.knows(left) and self.knows(right)
               and (self._kind(right) == "courtesy" or (len(left) > 2 and set(self._spelled([left])) & _NEGATIONS))]
        return fit[0] if len(fit) == 1 else []

    def _near(self, word: str) -> str:
        if not 4 <= len(word) <= 24 or not word.isalpha():
            return ""
        maybe = {other for lack in _lacks(word) for other in self._lacking.get(lack, ())}
        near = {other for other in maybe if slip(word, other)}
        kinds = {tuple(self._spelled([other])) for other in near}
        return " ".join(kinds.pop()) if len(kinds) == 1 else min(near & _NEGATIONS, default="")


def _lacks(word: str) -> set[str]:
    return {word, *(word[:at] + word[at + 1:] for at in range(len(word)))}


def _surely(word: str, near: str) -> bool:
    """Four letters with one of them wrong is too often another word ("cuci", "cuti")."""
    return len(near) > 4 or len(word) != len(near) or sorted(word) == sorted(near)


def _laughs(word: str) -> bool:
    return len(word) > 2 and any(set(word) == set(laugh) for laugh in ("wk", "ha", "he", "hi", "hu", "xi", "hae"))


def _drawn(word: str) -> bool:
    return unicodedata.category(word[0])[0] == "S"


@cache
def vocabulary() -> Vocabulary:
    """The shipped words; read once, when the first answer comes."""
    return Vocabulary(tomllib.loads((Path(__file__).parent / "vocabulary.toml").read_text("utf-8")))
