"""A letter cut to what a channel takes: free text of a limited length, or the five values of a message template.

Pure functions. Lengths are counted in UTF-16 code units, the strictest count in use ("emoji count more").
"""

import re
import unicodedata
from collections.abc import Iterable, Set

from alerts.notification import Letter, Section
from alerts.phrases import phrases
from alerts.text import block, fill, line

EMPTY = "-"  # a template's value may not be empty (Twilio 21656)
# What a text holds as it gets shorter: the fields of its first section, and of the others. Headline and answer stay.
_DEGREES = (
    ({"since", "first", "detail", "fix"}, {"since", "first", "detail", "fix"}),
    ({"since", "first", "detail"}, {"since", "first", "detail"}),
    ({"since", "first"}, {"since", "first"}),
    ({"since", "first"}, {"since"}),
    ({"since"}, {"since"}),
    (set[str](), set[str]()),
)
_BLANK = dict.fromkeys(map(ord, "\u115f\u1160\u2800\u3164\uffa0"), " ")  # letters by name, nothing to the eye


def length(text: str) -> int:
    """In UTF-16 code units."""
    return len(text) + sum(char > "\uffff" for char in text)


def cut(text: str, limit: int) -> str:
    """The text, or as much of its beginning as fits, ending in "…". Never half a character."""
    if length(text) <= limit:
        return text
    kept, room = [], limit - 1
    for char in text:
        room -= length(char)
        if room < 0:
            break
        kept.append(char)
    return "".join(kept).rstrip() + "…" if limit > 0 else ""


def value(text: str) -> str:
    """The text as a template's value: one line, no tab, no run of blanks, never empty."""
    text = line(text.translate(_BLANK))
    seen = any(unicodedata.category(char)[0] in "LNPS" for char in text)
    return text if seen else EMPTY


def has_mark(text: str, mark: str) -> bool:
    """Whether the text carries exactly this mark: K7M-3 is not in "K7M-31", "AK7M-3" or "K7M-3-1"."""
    return re.search(rf"(?<![\w-]){re.escape(mark)}(?![\w-])", text) is not None


def marks(letter: Letter, limit: int) -> str:
    """The letter's own mark, then those of its sections as far as they fit whole."""
    return _whole([letter.mark, *(section.mark for section in letter.sections)], " ", limit)


def free_text(letter: Letter, limit: int) -> str:
    """The letter as text of several lines that ends with its marks; `limit` in UTF-16 code units, at least 400.

    In the order of the mail: what, since when, first step, answer, then the rest. What does not fit goes in this order:
    fix, detail, the first step of all problems but the first, that one too, the times, and only then the last problems
    themselves, which are counted.
    """
    end = f"[{marks(letter, limit // 4)}]"
    footer = cut(line(letter.footer), limit // 8)
    end = f"{footer}\n{end}" if footer else end
    room = limit - length(end) - 2
    for first, others in _DEGREES:
        parts = [_section(section, first if at == 0 else others, letter.language)
                 for at, section in enumerate(letter.sections)]
        text = "\n\n".join(parts or [line(letter.subject)])
        if length(text) <= room:
            return f"{text}\n\n{end}"
    return f"{_squeezed(letter, room)}\n\n{end}"


def template_values(letter: Letter, limit: int) -> dict[str, str]:
    """The five values of the alert template, together at most `limit` UTF-16 code units, at least 400.

    1 headline, 2 since when (and the footer), 3 first step, 4 how to answer, 5 marks. The first step gives way first.
    """
    sections = letter.sections
    tail = marks(letter, limit // 4)
    answer = cut(value(_whole([section.answer for section in sections], " ", limit // 3)), limit // 3)
    times = _whole([section.since for section in sections], "; ", limit // 10)
    since = cut(value(_whole([times, letter.footer], " · ", limit // 6)), limit // 6)
    room = limit - length(tail) - length(answer) - length(since) - 1
    headline = cut(value(_headlines(letter, room)), room)
    room -= length(headline)
    first = sections[0].first if sections else ""
    if len(sections) > 1 and first:
        first = f"{sections[0].code}: {first}"
    values = (headline, since, _step(value(first), room + 1), answer, tail)
    return {str(number): text for number, text in enumerate(values, 1)}


def _step(text: str, room: int) -> str:
    """Half a word of a first step helps nobody: at least twenty characters of it, or none."""
    return text if length(text) <= room else cut(text, room) if room >= 20 else EMPTY


def _headlines(letter: Letter, room: int) -> str:
    sections, words = letter.sections, phrases(letter.language)
    if len(sections) < 2:
        return sections[0].headline if sections else letter.subject
    over = all(section.reason == "resolved" for section in sections)
    phrase, count = words.subject_over if over else words.subject_several, str(len(sections))
    lines = [f"{section.code} {line(section.headline)}" for section in sections]
    whole = fill(phrase, {"count": count, "codes": "; ".join(lines)})
    if length(whole) <= room:
        return whole
    share = max(12, (room - length(phrase)) // len(lines) - 2)
    return fill(phrase, {"count": count, "codes": "; ".join(cut(each, share) for each in lines)})


def _section(section: Section, fields: Set[str], language: str) -> str:
    words = phrases(language)
    first, fix = line(section.first), block(section.fix)
    lines = [line(section.headline), line(section.since) if "since" in fields else "",
             words.first + first if first and "first" in fields else "", line(section.answer),
             block(section.detail) if "detail" in fields else "", words.fix + fix if fix and "fix" in fields else ""]
    return "\n".join(filter(None, lines))


def _squeezed(letter: Letter, room: int) -> str:
    """Headlines and answers of as many sections as fit, and a count of the rest."""
    more, sections = phrases(letter.language).more_members, letter.sections
    parts = [_section(section, set(), letter.language) for section in sections]
    for kept in range(len(sections), 0, -1):
        rest = [fill(more, {"count": str(len(sections) - kept)})] if kept < len(sections) else []
        text = "\n\n".join([*parts[:kept], *rest])
        if length(text) <= room:
            return text
    if not sections:
        return cut(line(letter.subject), room)
    rest = [fill(more, {"count": str(len(sections) - 1)})] if len(sections) > 1 else []
    answer = cut(line(sections[0].answer), room // 3)
    after = "\n".join(filter(None, [answer, *rest]))
    return cut(line(sections[0].headline), room - length(after) - 1) + "\n" + after


def _whole(texts: Iterable[str], separator: str, limit: int) -> str:
    """Distinct texts joined, as many of the first ones as fit whole; the first comes always."""
    joined = ""
    for text in filter(None, dict.fromkeys(line(text) for text in texts)):
        longer = f"{joined}{separator}{text}" if joined else text
        if joined and length(longer) > limit:
            break
        joined = longer
    return joined
