"""`jaga check`: each collector measured once in this process, judged with fresh memory; nothing is stored or sent."""

import sys
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from agent import glance, verdicts
from agent.board import Board, CollectorState
from agent.clock import Clock
from agent.config import Config
from agent.instances import Configured
from agent.logs import get_logger
from agent.runner import Runner
from agent.standing import amount
from agent.tables import show
from agent.wording import Wording, wording
from alerts.figures import show as figure
from alerts.incident import Finding
from alerts.judgement import RuleBook, judge
from alerts.problem import Reader
from alerts.rule import RANK
from alerts.text import fill, line
from collectors.base import Reading

SECOND_LOOK = 1.0  # seconds: shares and rates are taken between two runs
GRACE = 0.1  # seconds beyond its time-out until a run counts as hung
NEEDS_HISTORY = ("increase", "forecast")  # one look cannot tell


class Checked(msgspec.Struct, frozen=True):
    """One collector's look: how it went, what it read, and what the rules find in that."""

    state: CollectorState
    readings: tuple[Reading, ...]
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> int:
        """Bad things, and what could not be measured: silence is not health."""
        return sum(f.state == "bad" for f in self.findings) + bool(self.state.error) + len(self.state.troubles)


def check(config: Config, names: Sequence[str] = (), *, clock: Clock | None = None) -> list[Checked]:
    """Measure the collectors of these names (all where none is named); "mysql" means all of its instances.

    One that left out something it declares is measured a second time, for some facts lie between two looks.
    """
    clock, board = clock or Clock(), Board()
    log = get_logger(__name__)
    looks = [
        (each, Runner(each.name, each.collector, every=each.every, timeout=each.timeout,
                      observe=lambda *_: (), explain_to=lambda *_: None, metric_of=lambda _: "", memory={}, board=board,
                      clock=clock, log=log))
        for each in config.collectors
        if not names or each.name in names or each.name.partition(":")[0] in names
    ]
    for _, runner in looks:
        _look(runner, clock)
    again = [runner for each, runner in looks
             if set(each.plugin.metrics) - {reading.metric for reading in board.snapshot()[each.name].readings}
             and board.snapshot()[each.name].running_since is None]
    if again:
        threading.Event().wait(SECOND_LOOK)
    for runner in again:
        _look(runner, clock)
    rules = [msgspec.structs.replace(rule, hold=0.0, boot_grace=0.0) for rule in config.rules.values()]
    return [_judged(each, board.snapshot()[each.name], RuleBook(rules), clock.now()) for each, _ in looks]


def _look(runner: Runner, clock: Clock) -> None:
    """One run in a thread of its own, which is left behind where it hangs."""
    thread = threading.Thread(target=runner.run, name=f"check-{runner.name}", daemon=True)
    thread.start()
    thread.join(runner.timeout + GRACE)
    if thread.is_alive():
        runner.check_overrun(clock.now())


def _judged(each: Configured, state: CollectorState, book: RuleBook, now: float) -> Checked:
    # without the runner's own readings: how the run went is told by itself
    readings = tuple(reading for reading in state.readings if reading.metric in each.plugin.metrics)
    findings, _ = judge(book, state.name, readings, {}, now)
    return Checked(state, readings, tuple(f for f in findings if book.rules[f.rule].kind not in NEEDS_HISTORY))


# --- saying it ---------------------------------------------------------------------------------------------------


def as_plain(checks: Sequence[Checked]) -> list[dict[str, Any]]:
    """What `jaga check --json` prints."""
    return [{
        "collector": each.state.name,
        "duration": round(each.state.duration, 3),
        "error": each.state.error,
        "troubles": dict(each.state.troubles),
        "readings": [{"metric": r.metric, "labels": dict(r.labels), "value": r.value, "note": r.note}
                     for r in each.readings],
        "findings": [{"rule": f.rule, "labels": dict(f.labels), "state": f.state, "severity": f.severity,
                      "value": f.value, "threshold": f.threshold} for f in each.findings],
    } for each in checks]


def tell(checks: Sequence[Checked], config: Config, now: float) -> None:
    """Print what was read and found: for a pipe a line for each reading, for a terminal all of it in one look."""
    agent = config.agent
    who = Reader(config.rules, agent.language, agent.site, agent.name, ZoneInfo(agent.timezone), now)
    words, book = wording(agent.language), RuleBook(config.rules.values())
    if sys.stdout.isatty():
        _at_a_glance(checks, book, who, words)
    else:
        _line_by_line(checks, book, who, words)
    count = sum(each.problems for each in checks)
    print(fill(words.some_bad, {"count": str(count)}) if count else words.all_good)


def _line_by_line(checks: Sequence[Checked], book: RuleBook, who: Reader, words: Wording) -> None:
    heads = {key: words.columns[key] for key in ("metric", "value", "verdict", "evidence")}
    for each in checks:
        state = each.state
        seconds = figure("_seconds", state.duration, who.language)
        print(f"{state.name}: " + (fill(words.failed, {"error": line(state.error)}) if state.error else
                                   fill(words.measured, {"seconds": seconds})))
        _troubles(each, words)
        if each.readings:
            show(heads, [_row(reading, each.findings, book, who, words) for reading in each.readings])
        print()


def _at_a_glance(checks: Sequence[Checked], book: RuleBook, who: Reader, words: Wording) -> None:
    """One table; below it, next to the prompt, what is wrong with it."""
    def value(reading: Reading) -> str:
        return figure(reading.metric, reading.value, who.language, zone=who.zone, now=who.now)

    groups = [(each.state.name, glance.rows(each.readings, value, partial(_standing, each.findings, book)))
              for each in checks if each.readings]
    if groups:
        glance.draw([words.columns["collector"], words.columns["thing"], "", words.columns["readings"]], groups)
    for each in checks:
        if each.state.error:
            print(f"{each.state.name}: " + fill(words.failed, {"error": line(each.state.error)}))
        elif each.state.troubles:
            print(f"{each.state.name}:")
        _troubles(each, words)
    found = verdicts.problems((finding for each in checks for finding in each.findings), who.rules, who)
    if found:
        verdicts.draw(found, words.severities, words.because)


def _troubles(each: Checked, words: Wording) -> None:
    for target, error in each.state.troubles:
        print(f"  {line(target)}: " + fill(words.failed, {"error": line(error)}))


def _standing(findings: Sequence[Finding], book: RuleBook, reading: Reading) -> int:
    """How one reading stands, as the table shows it."""
    applying = {rule.name for rule in book.applying(reading)}
    mine = [f for f in findings if f.rule in applying and f.labels == reading.labels]
    if bad := [f for f in mine if f.state == "bad"]:
        return glance.CRITICAL if any(f.severity == "critical" for f in bad) else glance.WARNING
    if mine:
        return glance.GOOD
    return glance.NEEDS_HISTORY if applying else glance.NOT_JUDGED


def _row(reading: Reading, findings: Sequence[Finding], book: RuleBook, who: Reader, words: Wording) -> dict[str, str]:
    applying = {rule.name for rule in book.applying(reading)}
    mine = sorted((f for f in findings if f.rule in applying and f.labels == reading.labels),
                  key=lambda f: -RANK[f.severity])
    bad = [f for f in mine if f.state == "bad"]
    labels = ", ".join(f"{name}={value}" for name, value in reading.labels if value)
    return {
        "metric": reading.metric + (f" ({labels})" if labels else ""),
        "value": figure(reading.metric, reading.value, who.language, zone=who.zone, now=who.now),
        "verdict": "; ".join(_verdict(f, who, words) for f in bad)
        or (words.states["good"] if mine else words.needs_history if applying else ""),
        "evidence": reading.note if bad else "",
    }


def _verdict(finding: Finding, who: Reader, words: Wording) -> str:
    threshold = "" if finding.threshold is None else amount(who.rules[finding.rule], finding.threshold, who)
    limit = f" ({words.columns['limit'].lower()} {threshold})" if threshold else ""
    return f"{words.severities[finding.severity]} {finding.rule}{limit}"
