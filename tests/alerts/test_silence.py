"""Matchers as Alertmanager has them, and what a silence covers."""

import re

import pytest

from alerts.incident import Finding, Incident
from alerts.silence import Matcher, Silence, of_incident, parse

NOW = 1_767_582_000.0


def finding(unit: str = "nginx", severity: str = "critical", state: str = "bad") -> Finding:
    return Finding(rule="down", labels=(("unit", unit),), state=state, severity=severity)  # type: ignore[arg-type]


def incident(*members: Finding, severity: str = "critical") -> Incident:
    return Incident(code="K7M", key=members[0].key, opened=NOW, members={m.key: m for m in members}, severity=severity)


@pytest.mark.parametrize(("text", "matcher"), [
    ("unit=nginx", Matcher(name="unit", value="nginx")),
    (' unit = "nginx" ', Matcher(name="unit", value="nginx")),
    ("mount!=/srv", Matcher(name="mount", value="/srv", equal=False)),
    ("rule=~disk_.*", Matcher(name="rule", value="disk_.*", regex=True)),
    ('severity!~"crit.*"', Matcher(name="severity", value="crit.*", regex=True, equal=False)),
    ("note=a=b", Matcher(name="note", value="a=b")),
    ("site=", Matcher(name="site", value="")),
])
def test_matchers_are_read_as_amtool_reads_them(text: str, matcher: Matcher) -> None:
    assert parse(text) == matcher


@pytest.mark.parametrize(("text", "says"), [
    ("nginx", "'nginx' is no matcher: write label=value, such as unit=nginx or rule=~\"disk_.*\""),
    ("1unit=x", "'1unit=x' is no matcher: write label=value, such as unit=nginx or rule=~\"disk_.*\""),
    ("unit=~(", "'unit=~(': the pattern is not valid: missing ), unterminated subpattern at position 0"),
])
def test_what_is_no_matcher_is_refused_with_the_mend(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        parse(text)


@pytest.mark.parametrize(("text", "covers"), [
    ("unit=nginx", True), ("unit=mysql", False), ("unit!=mysql", True), ("unit=~ng", False), ("unit=~ng.*", True),
    ("unit!~my.*", True), ("alertname=down", True), ("rule=down", True), ("severity=critical", True),
    ("code=K7M", True),
    ("mount=", True), ("mount=/", False), ("mount!=/", True),
])
def test_what_a_matcher_covers(text: str, covers: bool) -> None:
    silence = Silence(id="1", matchers=(parse(text),), starts=NOW, ends=NOW + 60, who="budi")
    assert silence.covers(incident(finding()), NOW) is covers


def test_every_sick_part_must_be_covered() -> None:
    silence = Silence(id="1", matchers=(parse("unit=nginx"),), starts=NOW, ends=NOW + 60, who="budi")
    assert not silence.covers(incident(finding(), finding("mysql")), NOW)
    assert silence.covers(incident(finding(), finding("mysql", state="good")), NOW)


@pytest.mark.parametrize(("at", "covers"), [(-1, False), (0, True), (59, True), (60, False)])
def test_a_silence_begins_and_ends(at: float, covers: bool) -> None:
    silence = Silence(id="1", matchers=(parse("unit=nginx"),), starts=NOW, ends=NOW + 60, who="budi")
    assert silence.covers(incident(finding()), NOW + at) is covers


def test_a_silence_of_one_incident_lets_worse_through() -> None:
    warning = incident(finding(severity="warning"), severity="warning")
    silence = Silence(id="1", matchers=of_incident(warning), starts=NOW, ends=NOW + 60, who="budi")
    assert silence.covers(warning, NOW)
    assert not silence.covers(incident(finding()), NOW)
    assert not silence.covers(incident(finding("mysql", "warning"), severity="warning"), NOW)


def test_a_silence_of_an_incident_with_many_parts_is_by_its_code() -> None:
    several = incident(finding(), finding("mysql"))
    silence = Silence(id="1", matchers=of_incident(several), starts=NOW, ends=NOW + 60, who="budi")
    assert silence.covers(several, NOW)
