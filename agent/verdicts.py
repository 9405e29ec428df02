"""What `jaga check` found to be wrong, in the words of the rules: causes first, and after them what they explain."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from alerts.holding import Surroundings, hold
from alerts.incident import Finding, Incident
from alerts.policy import Policy
from alerts.problem import Reader, advice, topic
from alerts.quiet import Quiet
from alerts.rule import RANK, Rule
from alerts.text import line

# Neither maintenance nor quiet hours: nothing but a cause holds back.
_SPEAKS_AT_ONCE = Policy(contacts={}, people=(), steps=(), quiet=Quiet(begin="00:00", end="00:00"))


class Problem(NamedTuple):
    """One bad finding in words: what it is, the evidence, the first step; `cause` is the rule that explains it."""

    severity: str
    summary: str
    evidence: str
    first: str
    rule: str
    cause: str


def problems(findings: Iterable[Finding], rules: Mapping[str, Rule], who: Reader) -> list[Problem]:
    """The bad ones as if each had just become an incident; the worst first, but consequences last."""
    incidents = [Incident(code=f.key, key=f.key, opened=who.now, members={f.key: f}, severity=f.severity)
                 for f in findings if f.state == "bad"]
    around = Surroundings(others=tuple(incidents), rules=rules)
    rule_of = {incident.code: next(iter(incident.members.values())).rule for incident in incidents}
    told = []
    for incident in incidents:
        held = hold(incident, around, _SPEAKS_AT_ONCE, who.now)
        cause = rule_of.get(held.why.partition(":")[2], "") if held else ""
        [finding] = incident.members.values()
        told.append(Problem(incident.severity, topic(incident, True, who), line(finding.note), advice(incident, who)[0],
                            finding.rule, cause))
    return sorted(told, key=lambda each: (bool(each.cause), -RANK[each.severity]))


def draw(found: Iterable[Problem], severities: Mapping[str, str], because: str) -> None:
    """Print them for a terminal; `because` introduces the cause ("akibat dari")."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for each in found:
        style = "bold red" if each.severity == "critical" else "bold yellow"
        text = Text(each.summary, "bold").append(f"  {each.rule}", "dim not bold")
        for part in (each.evidence, f"→ {each.first}" if each.first and not each.cause else "",
                     f"{because} {each.cause}" if each.cause else ""):
            text.append("\n" + part if part else "", "not bold")
        table.add_row(Text(severities[each.severity], "dim" if each.cause else style), text)
    Console(highlight=False).print(table)
