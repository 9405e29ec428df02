"""Judge readings by rules: a pure function from facts and each rule's memory to findings and new memory."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

import msgspec

from alerts.incident import Finding
from alerts.rule import Rule, Severity
from collectors.base import Labels, Reading
from collectors.trend import slope

SAMPLES_KEPT = 120  # per window: enough for a line, little enough to be written each minute
LEVELS: tuple[Severity, Severity] = ("critical", "warning")


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rule remembers of one thing: the level in force, since when beyond which threshold, its samples."""

    rule: str
    labels: Labels
    collector: str
    level: str = ""
    pending: dict[str, float] = {}
    samples: tuple[tuple[float, float], ...] = ()
    seen: float = 0.0  # last reading; only `absent` rules use it
    value: float = 0.0
    note: str = ""

    @property
    def key(self) -> str:
        return Finding(rule=self.rule, labels=self.labels, state="good").key

    def shifted(self, seconds: float) -> "Trace":
        """The same memory after the wall clock was set by so much."""
        return msgspec.structs.replace(
            self,
            pending={level: at + seconds for level, at in self.pending.items()},
            samples=tuple((at + seconds, value) for at, value in self.samples),
            seen=self.seen + seconds,
        )


class RuleBook:
    """The rules in force, by metric."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = {rule.name: rule for rule in rules if rule.enabled}
        self.by_metric: dict[str, list[Rule]] = {}
        for rule in self.rules.values():
            self.by_metric.setdefault(rule.metric, []).append(rule)
        # seconds for which any cause is remembered after its end
        self.lingers = max((cause.lingers for rule in self.rules.values() for cause in rule.explained_by), default=0.0)

    def applying(self, reading: Reading) -> list[Rule]:
        return [rule for rule in self.by_metric.get(reading.metric, ()) if fits(rule.where, reading.labels)]


def fits(where: Mapping[str, Sequence[str]], labels: Labels) -> bool:
    """Does every label fit one of its patterns and none of those that begin with "!"?"""
    have = dict(labels)
    for label, patterns in where.items():
        value = have.get(label, "")
        wanted = [p for p in patterns if not p.startswith("!")]
        if any(fnmatchcase(value, p[1:]) for p in patterns if p.startswith("!")):
            return False
        if wanted and not any(fnmatchcase(value, p) for p in wanted):
            return False
    return True


def judge(
    book: RuleBook,
    collector: str,
    readings: Iterable[Reading],
    traces: Mapping[str, Trace],
    now: float,
    booted_at: float = 0.0,
) -> tuple[list[Finding], dict[str, Trace]]:
    """Return what the rules find, and the memory of every identity that was looked at, by finding key.

    A thing that was bad and has no reading this time is *unknown*. One that is beyond a threshold but not yet for long
    enough is no finding at all: it must neither open nor close anything.
    """
    findings: list[Finding] = []
    after: dict[str, Trace] = {}
    for reading in readings:
        for rule in book.applying(reading):
            before = traces.get(_key(rule, reading.labels)) or Trace(
                rule=rule.name, labels=reading.labels, collector=collector
            )
            trace, value = _measure(rule, before, reading, now)
            trace = _weigh(rule, trace, value, now, booted_at)
            after[trace.key] = trace
            findings += _verdict(rule, trace, value)
    for key, trace in traces.items():
        missing_rule = book.rules.get(trace.rule)
        if trace.collector != collector or key in after or missing_rule is None:
            continue
        if missing_rule.kind == "absent":
            silent = now - trace.seen
            trace = _weigh(missing_rule, trace, silent, now, booted_at)
            after[key] = trace
            findings += _verdict(missing_rule, trace, silent)
        elif trace.level:
            findings.append(_finding(missing_rule, trace, "unknown", trace.value))
    return findings, after


def _key(rule: Rule, labels: Labels) -> str:
    return Finding(rule=rule.name, labels=labels, state="good").key


def _measure(rule: Rule, trace: Trace, reading: Reading, now: float) -> tuple[Trace, float]:
    """Take the reading in; return the number that is compared with the thresholds."""
    value = reading.value
    if rule.kind in ("increase", "forecast"):
        samples = _window(rule, trace.samples, now, value)
        trace = msgspec.structs.replace(trace, samples=samples)
        value = _increase(samples) if rule.kind == "increase" else _seconds_until(rule.limit or 0.0, samples)
    elif rule.kind == "absent":
        value = 0.0
    return msgspec.structs.replace(trace, seen=now, note=reading.note, value=value), value


def _window(
    rule: Rule, samples: tuple[tuple[float, float], ...], now: float, value: float
) -> tuple[tuple[float, float], ...]:
    kept = [sample for sample in samples if now - rule.window <= sample[0] < now]
    crowded = len(kept) >= 2 and kept[-1][0] - kept[-2][0] < rule.window / SAMPLES_KEPT
    # A counter's sample may only go where it rose on both sides: a reset would take what was counted before it along.
    if crowded and (rule.kind == "forecast" or kept[-2][1] <= kept[-1][1] <= value):
        kept.pop()
    return (*kept, (now, value))


def _increase(samples: Sequence[tuple[float, float]]) -> float:
    """Growth of a counter; a value below the one before means that it began again at nought."""
    pairs = pairwise(samples)
    return sum(after - before if after >= before else after for (_, before), (_, after) in pairs)


def _seconds_until(limit: float, samples: Sequence[tuple[float, float]]) -> float:
    """When the line through the samples meets the limit: nought where it is passed already, infinite where never."""
    rise, left = slope(samples), limit - samples[-1][1]
    if left == 0:
        return 0.0
    if not rise:
        return float("inf")
    if left / rise >= 0:
        return left / rise
    # Beyond the limit, or on the way from it? It went over where it began on the other side of it.
    return 0.0 if (limit - samples[0][1]) * left < 0 else float("inf")


def _weigh(rule: Rule, trace: Trace, value: float, now: float, booted_at: float) -> Trace:
    """Which level is in force now, after `for`, hysteresis and boot grace."""
    pending: dict[str, float] = {}
    level = ""
    for severity in LEVELS:
        threshold = rule.threshold(severity)
        if threshold is None:
            continue
        in_force = trace.level == "critical" or trace.level == severity
        if not _beyond(rule, value, threshold, rule.hysteresis if in_force else 0.0):
            continue
        since = pending[severity] = min(trace.pending.get(severity, now), now)
        held = now - since >= rule.hold and now - booted_at >= rule.boot_grace
        if not level and (in_force or held):
            level = severity
    return msgspec.structs.replace(trace, level=level, pending=pending)


def _beyond(rule: Rule, value: float, threshold: float, hysteresis: float) -> bool:
    if rule.kind in ("below", "forecast"):
        return value < threshold + hysteresis
    return value > threshold - hysteresis


def _verdict(rule: Rule, trace: Trace, value: float) -> list[Finding]:
    if trace.level:
        return [_finding(rule, trace, "bad", value)]
    if trace.pending:
        return []
    return [_finding(rule, trace, "good", value)]


def _finding(rule: Rule, trace: Trace, state: str, value: float) -> Finding:
    return Finding(
        rule=rule.name,
        labels=trace.labels,
        state=state,  # type: ignore[arg-type]  # one of State's three, as the callers show
        severity=trace.level,
        value=value,
        threshold=rule.threshold(trace.level) if trace.level else None,
        note=trace.note,
        since=min(trace.pending.values(), default=0.0),
        collector=trace.collector,
    )
