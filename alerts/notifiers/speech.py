"""A letter as it is read to somebody who was asleep: short sentences, no signs that a voice stumbles over.

Pure functions. What comes out holds letters, digits, blanks, commas and full stops alone, so any voice can read it and
any markup can hold it.
"""

import re
import unicodedata

import msgspec

from alerts.notification import Letter, Section
from alerts.notifiers.fitting import cut
from alerts.text import fill, line

MOST = 3  # problems that are read out; nobody remembers a fourth at three in the morning
HEADLINE = 120  # characters of a headline that are read out


class Tongue(msgspec.Struct, frozen=True, kw_only=True):
    """What is said, in one language."""

    greeting: str
    code: str
    more: str
    answer: str
    digits: tuple[str, ...]
    words: dict[str, str]  # a sign, or several, and how they are read


TONGUES = {
    "id": Tongue(
        greeting="Ini Jaga, penjaga sistem.", code="Kode, {code}.", more="Dan {count} masalah lain.",
        answer="Jawab lewat WhatsApp.",
        digits=("nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan"),
        words={"%": "persen", "°C": "derajat", "°": "derajat", "/": "garis miring", "&": "dan", "@": "at", ".": "titik",
               "<": "kurang dari", ">": "lebih dari", "=": "sama dengan"}),
    "en": Tongue(
        greeting="This is Jaga, your system watch.", code="Code, {code}.", more="And {count} more problems.",
        answer="Answer by WhatsApp.",
        digits=("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        words={"%": "percent", "°C": "degrees", "°": "degrees", "/": "slash", "&": "and", "@": "at", ".": "dot",
               "<": "less than", ">": "more than", "=": "equals"}),
}


def paragraphs(letter: Letter) -> list[str]:
    """What is read, with a silence after each: who calls, each problem with its code, how to answer."""
    tongue = _tongue(letter.language)
    sections = sorted(letter.sections, key=lambda section: section.severity != "critical")
    told = [_problem(section, letter) for section in sections[:MOST]] or [spoken(letter.subject, letter.language)]
    if len(sections) > MOST:
        told.append(fill(tongue.more, {"count": str(len(sections) - MOST)}))
    answer = [tongue.answer] if any(section.answer for section in sections) else []
    return [tongue.greeting, *told, *answer]


def spelled(code: str, language: str) -> str:
    """A code letter by letter: `K7M` is "K, tujuh, M"."""
    digits = _tongue(language).digits
    return ", ".join(digits[int(char)] if char.isascii() and char.isdigit() else char.upper()
                     for char in code if char.isalnum())


def spoken(text: str, language: str) -> str:
    """One line of text as it is read: `KRITIS: Disk / terisi 93 %` is "Kritis, Disk garis miring terisi 93 persen."."""
    words = _tongue(language).words
    text = unicodedata.normalize("NFKC", cut(line(text), HEADLINE))
    text = re.sub(r"\b[^\W\d_]{5,}\b", lambda word: word[0].capitalize() if word[0].isupper() else word[0], text)
    text = re.sub(r"(?<=\d)[:–—-](?=\d)", " ", text)  # 02:14, 10–20
    text = re.sub(r"(?<=[^\W\d_])\.(?=\w)|(?<=\w)\.(?=[^\W\d_])", f" {words['.']} ", text)  # nginx.service
    text = re.sub(r"(?<!\S)/(?!\S)", f" {words['/']} ", text)  # the mount "/"; within a path it is a pause
    for sign, word in words.items():
        if sign not in "./":
            text = text.replace(sign, f" {word} ")
    text = re.sub(r"[:;–—()\[\]…]|(?<!\d),|,(?!\d)|(?<!\d)\.|\.(?!\d)", ", ", text)
    text = "".join(char if char.isalnum() or char in " ,." else " " for char in text)
    parts = [" ".join(part.split()) for part in re.split(r",(?!\d)|(?<!\d),", text)]
    sentence = ", ".join(filter(None, parts))
    if len(sentence) > HEADLINE:  # signs became words
        sentence = sentence[:HEADLINE].rpartition(" ")[0].rstrip(" ,.") or sentence[:HEADLINE]
    return f"{sentence}." if sentence else ""


def _problem(section: Section, letter: Letter) -> str:
    code = fill(_tongue(letter.language).code, {"code": spelled(section.code, letter.language)})
    headline = "" if letter.codes_only else spoken(section.headline, letter.language)
    return f"{headline} {code}".strip()


def _tongue(language: str) -> Tongue:
    return TONGUES.get(language) or TONGUES["id"]
