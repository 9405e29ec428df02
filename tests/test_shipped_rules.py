"""The shipped rules and the morning's list speak of things that exist: rules, metrics, labels, rows of the SOP."""

import tomllib
from fnmatch import filter as fitting
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from agent import plugins
from agent.fields import Reader
from agent.shipped import Shipped
from alerts.rule import Rule
from collectors.base import Metric

ROOT = Path(__file__).parents[1]
KNOWN = plugins.collectors()
PLUGINS = [KNOWN[name] for name in KNOWN]
METRICS: dict[str, Metric] = plugins.own_metrics() | {k: v for each in PLUGINS for k, v in each.metrics.items()}
LATER = {"printer", "scanner", "quota"}  # rows of the morning's list whose collectors are still to come
LATER_RULES = {"redis_down"}  # as causes they are named already; the collectors are still to come


def _rules() -> dict[str, Rule]:
    reader = Reader({}, Path())
    shipped = Shipped(PLUGINS, METRICS, reader)
    rules = shipped.rules({})
    assert [*map(str, shipped.problems), *map(str, reader.mistakes)] == []
    return rules


RULES = _rules()


def test_no_two_collectors_declare_the_same_metric() -> None:
    names = [name for each in PLUGINS for name in each.metrics]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", RULES)
def test_what_explains_a_problem_exists(name: str) -> None:
    own = {*METRICS[RULES[name].metric].labels, "name"}
    for cause in RULES[name].explained_by:
        roots = fitting(RULES, cause.rule)
        assert roots or cause.rule in LATER_RULES, f"{cause.rule} is no rule"
        assert set(cause.of) <= own
        assert set(cause.same) <= own
        for root in roots:
            theirs = {*METRICS[RULES[root].metric].labels, "name"}
            assert {*cause.where, *cause.same} <= theirs, f"{root} has no such label"


@pytest.mark.parametrize("name", RULES)
def test_no_problem_is_its_own_excuse(name: str) -> None:
    """Two that explain each other would both be held back, and nobody would be told."""
    reached, ways = set[str](), [name]
    while ways:
        for cause in RULES[ways.pop()].explained_by:
            new = {root for root in fitting(RULES, cause.rule) if root not in reached}
            reached |= new
            ways += new
    assert name not in reached


@pytest.mark.parametrize("name", RULES)
def test_words_fit_a_message(name: str) -> None:
    rule = RULES[name]
    for language in ("id", "en"):
        assert len(getattr(rule.summary, language)) <= 110
        assert len(getattr(rule.lay, language)) <= 200
        assert all(getattr(words, language).strip() for words in (rule.summary, rule.first, rule.lay, rule.fix))
    assert rule.summary.id != rule.summary.en


def test_the_rows_that_rules_name_are_the_sops() -> None:
    listed = {"1.1 web", "1.1 load", "1.1 log", "1.1 queue", "1.1 printer", "1.1 scanner", "1.1 quota"}
    rows = {rule.sop for rule in RULES.values() if rule.sop.startswith("1.1")}
    assert rows <= listed


def test_the_mornings_list_names_what_there_is() -> None:
    table = tomllib.loads((ROOT / "alerts" / "checklists" / "daily.toml").read_text("utf-8"))
    for row in table["row"]:
        if row.get("kind") == "sign" or row["id"] in LATER:
            continue
        for pattern in row["metrics"]:
            assert any(fnmatchcase(metric, pattern) for metric in METRICS), (row["id"], pattern)
        for pattern in row["rules"]:
            assert fitting(RULES, pattern), (row["id"], pattern)
