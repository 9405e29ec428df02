"""The rules' engine: tables of readings over time, and what is found."""

from typing import Any

import pytest

from alerts.incident import Finding
from alerts.judgement import RuleBook, Trace, judge
from alerts.rule import Rule
from collectors.base import Reading
from story import rule

START = 1_767_582_000.0


class Bench:
    """One rule, fed reading by reading, a minute apart unless told otherwise."""

    def __init__(self, each: Rule, booted_at: float = 0.0) -> None:
        self.book, self.traces, self.now, self.booted_at = RuleBook([each]), dict[str, Trace](), START, booted_at

    def feed(self, value: float | None, *, after: float = 60.0, **labels: str) -> list[Finding]:
        self.now += after
        readings = [] if value is None else [Reading("up", value, tuple(sorted(labels.items())))]
        findings, traces = judge(self.book, "services", readings, self.traces, self.now, self.booted_at)
        self.traces |= traces
        return findings

    def verdicts(self, values: list[float | None], **options: Any) -> list[str]:
        """Each finding as one word: good, warning, critical, unknown; "-" where nothing is said."""
        return ["/".join(f.severity if f.state == "bad" else f.state for f in self.feed(v, **options)) or "-"
                for v in values]


FULL = {"kind": "above", "warning": 0.8, "critical": 0.9}


@pytest.mark.parametrize(("fields", "values", "expected"), [
    pytest.param(FULL, [0.8, 0.81, 0.91, 0.85, 0.8], ["good", "warning", "critical", "warning", "good"], id="above"),
    pytest.param({"kind": "below", "warning": 0.2, "critical": 0.1}, [0.2, 0.15, 0.05, 0.3],
                 ["good", "warning", "critical", "good"], id="below"),
    pytest.param(FULL | {"hysteresis": 0.02}, [0.81, 0.79, 0.78, 0.79, 0.91, 0.89, 0.87],
                 ["warning", "warning", "good", "good", "critical", "critical", "warning"], id="hysteresis"),
    pytest.param(FULL | {"hold": 120.0}, [0.95, 0.95, 0.95, 0.7, 0.95],
                 ["-", "-", "critical", "good", "-"], id="for"),
    pytest.param(FULL | {"hold": 120.0}, [0.85, 0.85, 0.95, 0.95, 0.95],
                 ["-", "-", "warning", "warning", "critical"], id="for counts for each severity"),
    pytest.param({"kind": "below", "critical": 1.0}, [0, None, 1], ["critical", "unknown", "good"], id="missing"),
    pytest.param({"kind": "below", "critical": 1.0}, [1, None, 1], ["good", "-", "good"], id="missing but well"),
    pytest.param({"kind": "increase", "warning": 2.0, "window": 300.0}, [5, 6, 8, 8, 8, 8, 8],
                 ["good", "good", "warning", "warning", "warning", "warning", "good"], id="increase"),
    pytest.param({"kind": "increase", "warning": 2.0, "window": 600.0}, [50, 51, 1, 3],
                 ["good", "good", "good", "warning"], id="increase over a counter's reset"),
    pytest.param({"kind": "absent", "warning": 120.0}, [1, None, None, None, 1],
                 ["good", "good", "good", "warning", "good"], id="absent"),
    pytest.param({"kind": "forecast", "warning": 3600.0, "limit": 100.0, "window": 600.0}, [10, 11, 12, 45, 80],
                 ["good", "good", "good", "warning", "warning"], id="forecast"),
    pytest.param({"kind": "forecast", "warning": 3600.0, "limit": 0.0, "window": 600.0}, [50, 49, 48],
                 ["good", "warning", "warning"], id="forecast downwards, as a balance that runs out"),
    pytest.param({"kind": "forecast", "warning": 3600.0, "limit": 100.0, "window": 600.0}, [40, 90, 105, 110],
                 ["good", "warning", "warning", "warning"], id="forecast of what is over the limit already"),
    pytest.param({"kind": "forecast", "warning": 3600.0, "limit": 100.0, "window": 600.0}, [50, 40, 30],
                 ["good", "good", "good"], id="forecast away from the limit"),
])
def test_verdicts_minute_by_minute(fields: dict[str, Any], values: list[float | None], expected: list[str]) -> None:
    each = rule(**({"critical": None} | fields))
    assert Bench(each).verdicts(values) == expected


def test_what_is_not_bad_for_long_enough_neither_opens_nor_closes() -> None:
    bench = Bench(rule(hold=120.0))
    assert bench.feed(0) == []


def test_services_that_still_start_are_not_judged_before_the_boot_grace_ends() -> None:
    bench = Bench(rule(boot_grace=180.0), booted_at=START)
    assert bench.verdicts([0, 0, 0]) == ["-", "-", "critical"]


def test_a_finding_says_since_when_and_beyond_what() -> None:
    bench = Bench(rule(**FULL, hold=120.0))
    for value in (0.95, 0.95, 0.95):
        found = bench.feed(value, unit="a")
    assert found == [Finding(rule="down", labels=(("unit", "a"),), state="bad", severity="critical", value=0.95,
                             threshold=0.9, since=START + 60, collector="services")]


@pytest.mark.parametrize(("where", "labels", "fits"), [
    ({"unit": ("nginx",)}, {"unit": "nginx"}, True),
    ({"unit": ("nginx",)}, {"unit": "mysql"}, False),
    ({"unit": ("php*", "nginx")}, {"unit": "php8.2-fpm"}, True),
    ({"unit": ("!php*",)}, {"unit": "php8.2-fpm"}, False),
    ({"unit": ("!php*",)}, {"unit": "nginx"}, True),
    ({"unit": ("*", "!nginx")}, {"unit": "nginx"}, False),
    ({"mount": ("/",)}, {"unit": "nginx"}, False),
])
def test_where_chooses_by_label(where: dict[str, tuple[str, ...]], labels: dict[str, str], fits: bool) -> None:
    assert bool(Bench(rule(where=where)).feed(0, **labels)) is fits


def test_another_collectors_things_are_not_missing() -> None:
    bench = Bench(rule())
    bench.feed(0, unit="a")
    assert judge(bench.book, "disk", [], bench.traces, bench.now + 60) == ([], {})


def test_memory_stays_bounded_over_a_long_window() -> None:
    bench = Bench(rule(kind="increase", critical=1e9, window=86400.0))
    for count in range(3000):
        bench.feed(count, after=15)
    (trace,) = bench.traces.values()
    assert len(trace.samples) <= 130
    assert trace.samples[-1][1] - trace.samples[0][1] == 2999


def test_a_clock_that_was_set_back_ends_no_pending_time_early() -> None:
    bench = Bench(rule(hold=120.0))
    bench.feed(0)
    bench.traces = {key: trace.shifted(-3600) for key, trace in bench.traces.items()}
    bench.now -= 3600
    assert bench.verdicts([0, 0]) == ["-", "critical"]
