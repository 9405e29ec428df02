"""Turns notifications into the letter that a person reads: short, plain, for somebody half asleep.

Nothing here asks the clock or the world. What comes from outside (labels, notes, names) is only ever put in as text.
"""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from alerts import answers
from alerts.digest_words import digested
from alerts.figures import ago
from alerts.incident import Incident
from alerts.notification import Answer, Letter, Notification, Section
from alerts.phrases import Phrases, phrases
from alerts.problem import Reader, advice, answer, detail, doer, topic
from alerts.rule import RANK, Rule
from alerts.step import BASELINE
from alerts.text import fill, line

CODES_SHOWN = 6
ANSWER_LINES = 10
SPOKEN = ("answer", "digest")  # about no one incident: such sections have no code
_CATCH_UP = {"worsened", "joined", "reminded"}  # after an opening in the same letter they are no news of their own


def compose(
    notifications: Sequence[Notification],
    *,
    rules: Mapping[str, Rule],
    to: str,
    name: str,
    language: str,
    site: str,
    agent: str,
    zone: ZoneInfo,
    now: float,
    technician: bool = True,
    two_way: bool = False,
    links: Mapping[str, str] | None = None,
    window_open: bool = False,
    public_url: str = "",
    stale: int = 0,
    from_memory: bool = False,
    names: Mapping[str, str] | None = None,
) -> Letter:
    """One letter of all the notifications for one person and channel: a section per incident, the worst first.

    `two_way` says that an answer by this channel is read; `links` holds a signed link by code, where there is one, and
    `names` how contacts are called.
    The letter's mark is its first section's and depends on the notifications alone, so a repeat has it again.
    """
    reader = Reader(rules, language, site, agent, zone, now, technician, two_way, public_url, links, names)
    by_code: dict[str, list[Notification]] = {}
    for notification in sorted(notifications, key=lambda n: (n.code, n.ordinal)):
        # Each answer is a section of its own: they share a code, but not what they are about.
        topic_of = notification.mark if notification.answer or notification.digest else notification.code
        by_code.setdefault(topic_of, []).append(notification)
    batches = sorted(by_code.values(), key=_urgency)
    sections = tuple(_section(batch, reader) for batch in batches)
    return Letter(
        mark=sections[0].mark,
        to=line(to),
        name=line(name),
        language=language,
        severity=max((section.severity for section in sections), key=lambda severity: RANK.get(severity, 0)),
        created=min(n.created for n in notifications),
        stale_at=max(n.stale_at for n in notifications),
        subject=_subject(sections, [batch[-1].incident for batch in batches], reader.words),
        sections=sections,
        footer=_footer(notifications, reader, stale, from_memory),
        window_open=window_open,
        from_memory=from_memory,
    )


def bare(notifications: Sequence[Notification], *, to: str, name: str, language: str) -> Letter:
    """The letter for when `compose` trips over what it was given: codes, severities and what they are about as we call
    it ourselves. Ugly words wake somebody; none wake nobody."""
    sections = tuple(Section(code=n.code, mark=n.mark, severity=n.severity, reason=n.reason, since="",
                             headline=line(f"{n.code}: {n.incident.key}")) for n in notifications)
    return Letter(
        mark=sections[0].mark, to=line(to), name=line(name), language=language,
        severity=max((n.severity for n in notifications), key=lambda severity: RANK.get(severity, 0)),
        created=min(n.created for n in notifications), stale_at=max(n.stale_at for n in notifications),
        subject=f"[Jaga] {sections[0].headline}", sections=sections)


def headline(incident: Incident, rules: Mapping[str, Rule], language: str, *, agent: str = "", site: str = "") -> str:
    """One line on how the incident stands: `KRITIS: Disk / terisi 93 %`, or `SELESAI: … (12 menit)` once closed."""
    reader = Reader(rules, language, site, agent)
    if incident.closed is None:
        return _headline(incident, "opened", incident.severity, reader, "")
    elapsed = ago(incident.closed - incident.since, language)
    return _headline(incident, "resolved", incident.severity, reader, elapsed)


def plain(letter: Letter) -> str:
    """The whole letter as plain text: what is wrong, since when, what to do first, then the rest."""
    words = phrases(letter.language)
    parts = []
    for section in letter.sections:
        head = [section.headline, section.since, section.first and words.first + section.first, section.answer]
        tail = [section.fix and words.fix + section.fix, mark_line(section, words)]
        blocks = ["\n".join(filter(None, head)), section.detail, "\n".join(filter(None, tail))]
        parts.append("\n\n".join(filter(None, blocks)))
    body = "\n\n----------\n\n".join(parts)
    return body + (f"\n\n{letter.footer}\n" if letter.footer else "\n")


def mark_line(section: Section, words: Phrases) -> str:
    """`Kode K7M-3 (kritis)`; without the severity once that is over."""
    over = section.reason in ("resolved", "test", *SPOKEN)
    severity = "" if over else words.severities.get(section.severity, "").lower()
    return fill(words.mark, {"mark": section.mark}) + (f" ({severity})" if severity else "")


def _urgency(batch: list[Notification]) -> tuple[bool, int, float, str]:
    last = batch[-1]
    return last.reason == "resolved", -RANK.get(last.severity, 0), last.incident.opened, last.code


def _section(batch: Sequence[Notification], reader: Reader) -> Section:
    last, words = batch[-1], reader.words
    if last.answer is not None:
        return _answered(last, last.answer, reader)
    if last.digest is not None:
        return digested(last, last.digest, reader)
    incident, over = last.incident, last.reason == "resolved"
    reason = batch[0].reason if batch[0].reason == "opened" and last.reason in _CATCH_UP else last.reason
    begin = min(notification.incident.since for notification in batch)
    end = incident.closed if incident.closed is not None else reader.now
    elapsed = ago(end - begin, reader.language)
    since = words.sent if reason == "test" else words.from_to if over else words.since
    first, fix = advice(incident, reader) if reason not in ("resolved", "test") else ("", "")
    return Section(
        code=incident.code,
        mark=last.mark,
        severity=last.severity,
        reason=reason,
        headline=_headline(incident, reason, last.severity, reader, elapsed, doer(last, reader)),
        since=fill(since, {"begin": reader.clock(begin), "end": reader.clock(end), "elapsed": elapsed}),
        detail=detail(last, reader) if reason != "test" else "",
        first=first,
        fix=fix,
        answer="" if over else answer(incident.code, reason, reader),
    )


def _answered(notification: Notification, said: Answer, reader: Reader) -> Section:
    """What we say to somebody who wrote: a sentence, and a line for each incident that it is about."""
    words = answers.LANGUAGES.get(reader.language, answers.ID)
    lines = []
    for incident in said.incidents[:ANSWER_LINES]:
        about = topic(incident, True, reader)
        phrase = words["held_by" if incident.acked_until is not None else "open"]
        lines.append(fill(phrase, {"code": incident.code, "headline": about, "who": reader.called(incident.acked_by)}))
    if len(said.incidents) > ANSWER_LINES:
        lines.append(fill(reader.words.more_members, {"count": str(len(said.incidents) - ANSWER_LINES)}))
    headline = fill(words[said.phrase], {name: line(value) for name, value in said.values.items()})
    return Section(code="", mark=notification.mark, severity=notification.severity, reason="answer",
                   headline=headline, since="", detail="\n".join(lines))


def _headline(incident: Incident, reason: str, severity: str, reader: Reader, elapsed: str, who: str = "") -> str:
    key = reason
    if reason == "opened":
        key = severity if severity in RANK and severity else "warning"
    elif reason == "resolved" and not _mended(incident):
        key = "removed"
    about = topic(incident, reason == "opened", reader)
    if incident.key == BASELINE and reason == "opened":
        return about  # "Temuan awal: …" is a beginning of its own
    return fill(reader.words.headlines[key], {"about": about, "who": who, "elapsed": elapsed})


def _mended(incident: Incident) -> bool:
    """Did it end well? One that is no longer watched, or was closed by hand, is over but not known to be good."""
    return incident.closed_why in ("", "good")


def _subject(sections: Sequence[Section], incidents: Sequence[Incident], words: Phrases) -> str:
    """One line that stands alone: `[Jaga KRITIS] K7M Disk / terisi 93 %`."""
    first = sections[0]
    if all(section.reason in SPOKEN for section in sections):
        return f"[Jaga] {first.headline}"
    about = [pair for pair in zip(sections, incidents, strict=True) if pair[0].reason not in SPOKEN]
    sections, incidents = [section for section, _ in about], [incident for _, incident in about]
    first = sections[0]
    live = [section for section in sections if section.reason != "resolved"]
    over = [section.code for section in sections if section.reason == "resolved"]
    if live:
        worst = max((section.severity for section in live), key=lambda severity: RANK.get(severity, 0))
        tag = words.severities.get(worst, words.severities["warning"])
        tag = words.tags["test"] if all(section.reason == "test" for section in live) else tag
    else:
        tag = words.tags["resolved" if any(_mended(incident) for incident in incidents) else "removed"]
    if len(sections) == 1:
        return f"[Jaga {tag}] {first.code} {_without(first.headline, tag)}"
    said = _several(words.subject_several, [section.code for section in live], words)
    if not live:
        said = _several(words.subject_over, over, words)
    elif over:
        said = fill(words.subject_both, {"open": said, "codes": _codes(over, words)})
    return f"[Jaga {tag}] {said}"


def _without(text: str, tag: str) -> str:
    return text[len(tag) + 2:] if text.lower().startswith(f"{tag.lower()}: ") else text


def _several(phrase: str, codes: Sequence[str], words: Phrases) -> str:
    return fill(phrase, {"count": str(len(codes)), "codes": _codes(codes, words)})


def _codes(codes: Sequence[str], words: Phrases) -> str:
    shown = ", ".join(codes[:CODES_SHOWN])
    more = len(codes) - CODES_SHOWN
    return fill(words.codes_more, {"codes": shown, "count": str(more)}) if more > 0 else shown


def _footer(notifications: Sequence[Notification], reader: Reader, stale: int, from_memory: bool) -> str:
    words = reader.words
    parts = list(dict.fromkeys([line(reader.site), line(reader.agent)]))
    if stale:
        parts.append(fill(words.stale[stale != 1], {"count": str(stale)}))
    if from_memory:
        parts.append(words.from_memory)
    failed = sorted({n.stands_in_for for n in notifications if n.stands_in_for})
    if failed:
        parts.append(fill(words.stands_in, {"mark": line(", ".join(failed))}))
    return " · ".join(filter(None, parts))
