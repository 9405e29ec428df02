"""One incident in words: what it is about, the evidence, what to do, and how to say "I have it"."""

from collections.abc import Mapping
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from alerts.figures import clock, show, unit
from alerts.incident import Finding, Incident
from alerts.notification import Notification
from alerts.phrases import Phrases, phrases
from alerts.rule import RANK, Rule, Words
from alerts.step import BASELINE
from alerts.text import block, fill, line, one_line

MEMBERS_SHOWN = 12
UTC = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads it and where from: everything that the words depend on besides the incident."""

    rules: Mapping[str, Rule]
    language: str
    site: str = ""
    agent: str = ""
    zone: ZoneInfo = UTC
    now: float = 0.0
    technician: bool = True
    two_way: bool = False
    public_url: str = ""
    links: Mapping[str, str] | None = None
    names: Mapping[str, str] | None = None  # contact -> how people call them

    def called(self, who: str) -> str:
        """Somebody's name as people know it; what is no contact's is a name already."""
        return line((self.names or {}).get(who, who))

    @property
    def words(self) -> Phrases:
        return phrases(self.language)

    def clock(self, at: float) -> str:
        return clock(at, self.zone, self.language, self.now)


def topic(incident: Incident, news: bool, reader: Reader) -> str:
    """What it is about, in one line: the worst member's summary, or how many things the temuan awal holds."""
    words, members = reader.words, problems(incident)
    if incident.key == BASELINE:
        phrase = (words.baseline if news else words.baseline_short)[len(members) != 1]
        return fill(phrase, {"count": str(len(members))})
    if not members:
        return line(incident.key)
    more = " (" + fill(words.more_members, {"count": str(len(members) - 1)}) + ")" if len(members) > 1 else ""
    return _summary(members[0], incident, reader) + more


def problems(incident: Incident) -> list[Finding]:
    """Its members that are not good, the worst first; all of them where everything is good again."""
    members = [m for m in incident.members.values() if m.state != "good"] or list(incident.members.values())
    return sorted(members, key=lambda m: (-RANK.get(m.severity, 0), m.state != "bad", m.since, m.key))


def advice(incident: Incident, reader: Reader) -> tuple[str, str]:
    """The first step for this reader, and the whole mend; of several things, the worst one's."""
    members = problems(incident)
    rule = reader.rules.get(members[0].rule) if members else None
    if rule is None:
        return "", ""
    first = _said(rule.first if reader.technician else rule.lay, rule, members[0], incident, reader, reader.technician)
    fix = _said(rule.fix, rule, members[0], incident, reader, True)
    if len(members) > 1 and first:
        first = f"{reader.words.begin_at_top} {first}"
    return first, fix


def detail(notification: Notification, reader: Reader) -> str:
    """The evidence, and what the reader should know of others' deeds; the only text that may have several lines."""
    incident = notification.incident
    lines = _ending(incident, reader) if incident.closed is not None else _evidence(incident, reader)
    return "\n".join(filter(None, [*lines, _deed(notification, reader)]))


def doer(notification: Notification, reader: Reader) -> str:
    return reader.called(notification.who) or reader.words.nobody


def answer(code: str, reason: str, reader: Reader) -> str:
    """How to say "I have it" from where the reader is."""
    words, link = reader.words, (reader.links or {}).get(code, "")
    if reader.two_way:
        return fill(words.answer_take_over if reason == "acked" else words.answer_reply, {"code": code})
    if reason == "test":
        return ""
    lead = words.to_take_over if reason == "acked" else words.if_you_take_it
    if link:
        return fill(words.answer_link, {"lead": lead, "link": line(link)})
    parts = [fill(words.answer_command if reader.technician else words.answer_call, {"lead": lead, "code": code})]
    if reader.public_url:
        parts.append(fill(words.look, {"link": f"{line(reader.public_url).rstrip('/')}/incidents/{code}"}))
    return " · ".join(parts)


def _summary(member: Finding, incident: Incident, reader: Reader) -> str:
    rule = reader.rules.get(member.rule)
    if rule is None:  # the rule is gone, the incident is not
        return line(" ".join([member.rule, *(f"{label}={value}" for label, value in member.labels)]))
    return _said(rule.summary, rule, member, incident, reader)


def _said(words: Words, rule: Rule, member: Finding, incident: Incident, reader: Reader, shell: bool = False) -> str:
    """A rule's text with its placeholders filled. A label goes before the agent's own name and site."""
    labels = {label: line(value) for label, value in member.labels}
    threshold = member.threshold if member.threshold is not None else rule.threshold(incident.severity)
    values = {"agent": line(reader.agent), "site": line(reader.site), **labels}
    values["value"] = _amount(rule, member.value if member.was is None else member.was, reader)
    values["threshold"] = "" if threshold is None else _amount(rule, threshold, reader)
    text = words.en if reader.language == "en" else words.id
    return fill(one_line(text), values, shell=frozenset(labels) if shell else frozenset())


def _amount(rule: Rule, value: float, reader: Reader) -> str:
    metric = "_seconds" if rule.kind in ("forecast", "absent") else rule.metric
    return show(metric, value, reader.language, zone=reader.zone, now=reader.now)


def _evidence(incident: Incident, reader: Reader) -> list[str]:
    members = problems(incident)
    if len(members) == 1 and incident.key != BASELINE:
        member, silent = members[0], reader.words.unknown_now
        found = dict.fromkeys([block(member.note), block(incident.evidence.get(member.key, ""))])
        rule = reader.rules.get(member.rule)
        sop = f"SOP {line(rule.sop)}" if rule is not None and rule.sop else ""
        return [_limit(member, incident, reader), silent if member.state == "unknown" else "", *found, sop]
    lines = [_item(member, incident, reader) for member in members[:MEMBERS_SHOWN]]
    if len(members) > MEMBERS_SHOWN:
        lines.append(fill(reader.words.more_members, {"count": str(len(members) - MEMBERS_SHOWN)}))
    return lines


def _ending(incident: Incident, reader: Reader) -> list[str]:
    if incident.closed_why == "removed":
        return [reader.words.removed]
    if incident.closed_why not in ("", "good"):
        return [fill(reader.words.closed_by, {"who": reader.called(incident.closed_why)})]
    members = problems(incident)
    return [_now(members[0], reader)] if len(members) == 1 else []


def _now(member: Finding, reader: Reader) -> str:
    """`Sekarang: 61 %`, where the headline still has the value that was bad."""
    rule = reader.rules.get(member.rule)
    if rule is None or member.was is None or "{value}" not in rule.summary.id:
        return ""
    before, now = _amount(rule, member.was, reader), _amount(rule, member.value, reader)
    return fill(reader.words.value_now, {"value": now}) if now != before else ""


def _deed(notification: Notification, reader: Reader) -> str:
    """What is known beside the fault itself: who has it until when, who was told before, how often it turned."""
    incident, words = notification.incident, reader.words
    if notification.reason == "flapping" and incident.turns:
        return fill(words.changes, {"count": str(len(incident.turns)), "begin": reader.clock(incident.turns[0])})
    if notification.reason == "acked" and incident.acked_until is not None:
        until = {"who": doer(notification, reader), "end": reader.clock(incident.acked_until)}
        return fill(words.acked_until, until)
    if notification.reason == "escalated":
        others = dict.fromkeys(reader.called(told.contact) for told in incident.told
                               if told.contact != notification.contact)
        return fill(words.told_before, {"who": ", ".join(others)}) if others else ""
    return ""


def _item(member: Finding, incident: Incident, reader: Reader) -> str:
    """One member in a list: `- KRITIS: Disk / terisi 93 % (batas 90 %)`."""
    severity = reader.words.severities.get(member.severity, line(member.severity))
    summary = _summary(member, incident, reader)
    limit = _limit(member, incident, reader, summary)
    silent = f". {reader.words.unknown_now}" if member.state == "unknown" else ""
    return f"- {severity}: {summary}" + (f" ({limit})" if limit else "") + silent


def _limit(member: Finding, incident: Incident, reader: Reader, said: str = "") -> str:
    """`93 %, batas 90 %`; the limit alone where the value was `said` before.

    Nothing where both are a yes or no, for "0, batas 1" tells nobody anything, nor where the rule is gone.
    """
    words, threshold, rule = reader.words, member.threshold, reader.rules.get(member.rule)
    if rule is None:
        return ""
    yes_or_no = rule.kind in ("above", "below") and not unit(rule.metric) and member.value in (0, 1)
    if yes_or_no and (threshold is None or 0 <= threshold <= 1):
        return ""
    amount = _amount(rule, member.value, reader)
    phrases_by_kind = {"increase": words.growth, "forecast": words.forecast, "absent": words.absent}
    window = show("_seconds", rule.window, reader.language)
    value = fill(phrases_by_kind.get(rule.kind, "{value}"), {"value": amount, "window": window})
    if threshold is None:
        return "" if said and amount in said else value
    if threshold == 0:  # "2, batas 0": that it should be none goes without saying
        return "" if amount in (said or _summary(member, incident, reader)) else value
    phrase = words.limit_alone if said and amount in said else words.limit
    return fill(phrase, {"value": value, "threshold": _amount(rule, threshold, reader)})
