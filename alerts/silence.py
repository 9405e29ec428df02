"""Silences, in Alertmanager's shape: matchers on an incident's labels, a beginning, an end, who and why."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from alerts.incident import Finding, Incident

_WRITTEN = re.compile(r'\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*')


class Matcher(msgspec.Struct, frozen=True, kw_only=True):
    """One condition. A label that is missing counts as empty, as in Alertmanager; a pattern must fit as a whole."""

    name: str
    value: str
    regex: bool = False
    equal: bool = True

    def __post_init__(self) -> None:
        if self.regex:
            re.compile(self.value)  # a bad pattern fails when it is made, not at night

    def fits(self, labels: Mapping[str, str]) -> bool:
        have = labels.get(self.name, "")
        found = re.fullmatch(self.value, have) is not None if self.regex else have == self.value
        return found is self.equal


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for silence on what, from when until when (unix seconds), and why."""

    id: str
    matchers: tuple[Matcher, ...]
    starts: float
    ends: float
    who: str
    why: str = ""

    def covers(self, incident: Incident, now: float) -> bool:
        """Is it in force, and does it match every part of the incident that is not good?"""
        if not self.starts <= now < self.ends:
            return False
        sick = [member for member in incident.members.values() if member.state != "good"]
        return bool(sick) and all(self._fits(labels(member, incident.code)) for member in sick)

    def _fits(self, of: Mapping[str, str]) -> bool:
        return all(matcher.fits(of) for matcher in self.matchers)


def labels(finding: Finding, code: str = "") -> dict[str, str]:
    """What matchers see of a finding. `alertname` is the rule's name, as outside."""
    return {**dict(finding.labels), "alertname": finding.rule, "rule": finding.rule, "severity": finding.severity,
            "code": code}


def parse(text: str) -> Matcher:
    """Read `unit=nginx`, `mount!="/srv"`, `rule=~disk_.*` or `severity!~crit.*`.

    Raises ValueError with a sentence that says what would be right.
    """
    written = _WRITTEN.fullmatch(text)
    if written is None:
        raise ValueError(f'{text!r} is no matcher: write label=value, such as unit=nginx or rule=~"disk_.*"')
    name, operator, value = written.groups()
    try:
        return Matcher(name=name, value=value, regex="~" in operator, equal=not operator.startswith("!"))
    except re.error as error:
        raise ValueError(f"{text!r}: the pattern is not valid: {error}") from error


def written(matcher: Matcher) -> str:
    """The matcher as a person writes it."""
    operator = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}
    return f'{matcher.name}{operator[matcher.equal, matcher.regex]}"{matcher.value}"'


def of_incident(incident: Incident) -> tuple[Matcher, ...]:
    """Matchers for one incident and nothing else, up to its present severity: worse still speaks."""
    (member, *more) = [m for m in incident.members.values() if m.state != "good"] or list(incident.members.values())
    if more:
        return (Matcher(name="code", value=incident.code), Matcher(name="severity", value=_upto(incident), regex=True))
    return (
        Matcher(name="alertname", value=member.rule),
        *(Matcher(name=name, value=value) for name, value in member.labels),
        Matcher(name="severity", value=_upto(incident), regex=True),
    )


def _upto(incident: Incident) -> str:
    return "warning|critical" if incident.severity == "critical" else "warning"


def in_force(silences: Sequence[Silence], now: float) -> list[Silence]:
    """Those that are not over, soonest end first."""
    return sorted((s for s in silences if s.ends > now), key=lambda s: s.ends)
