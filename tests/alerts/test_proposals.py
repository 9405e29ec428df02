"""What the first week teaches: a threshold just beyond what was seen, and never as late as critical."""

import tomllib

import pytest

from alerts.incident import Finding, Incident
from alerts.ledger import Entry
from alerts.proposals import Proposal, Seen, propose, seen, toml
from alerts.rule import Rule
from story import rule


def a_rule(metric: str = "x_ratio", kind: str = "above", warning: float = 0.8, critical: float | None = 0.95,
           **fields: object) -> Rule:
    return rule("r", metric=metric, kind=kind, warning=warning, critical=critical, **fields)


def thing(worst: float, times: int = 2, **labels: str) -> Seen:
    return Seen(rule="r", labels=tuple(labels.items()), times=times, worst=worst)


@pytest.mark.parametrize(("judged", "worst", "warning"), [
    (a_rule(), 0.853, 0.86),
    (a_rule(), 0.86, 0.87),
    (a_rule(), 0.948, 0.949),  # a whole percent more is critical
    (a_rule(critical=None), 0.999, 0.9991),  # all of it is a threshold that nothing is ever beyond
    (a_rule(kind="below", warning=0.1, critical=0.04), 0.063, 0.06),
    (a_rule(kind="below", warning=0.1, critical=0.04), 0.045, 0.044),
    (a_rule("x_seconds", warning=600, critical=1800), 754.0, 760.0),
    (a_rule("x_total", "increase", warning=0, critical=4), 3.0, 3.0),  # "more than 3" is beyond it
    (a_rule("x_total", "increase", warning=0, critical=3), 3.0, None),
    (a_rule("x_bytes_per_second", warning=3e5, critical=None), 1234567.0, 1300000.0),
    (a_rule("x_ratio", "forecast", warning=86400, critical=14400), 50000.0, 49000.0),
    (a_rule(), 0.5, None),  # a value from after its end: how bad it was is not known
    (a_rule(), float("inf"), None),
    (a_rule("x", warning=0, critical=None), 1.0, 1.0),  # a count
])
def test_the_threshold_is_the_next_round_number_beyond(judged: Rule, worst: float, warning: float | None) -> None:
    found = propose([thing(worst)], {"r": judged})
    assert [each.warning for each in found] == ([] if warning is None else [pytest.approx(warning)])


def test_what_was_seen_once_or_belongs_to_a_rule_that_is_gone_proposes_nothing() -> None:
    assert propose([thing(0.9, times=1)], {"r": a_rule()}) == ()
    assert propose([thing(0.9)], {}) == ()


def test_one_threshold_for_all_things_of_a_rule_as_lax_as_the_worst_needs() -> None:
    things = [thing(0.83, mount="/"), thing(0.88, times=5, mount="/srv")]
    assert propose(things, {"r": a_rule()}) == (
        Proposal(rule="r", warning=pytest.approx(0.89), about=(things[1], things[0])),)


def test_what_is_or_is_not_is_left_out_by_its_label_and_only_where_that_names_it_alone() -> None:
    timer = a_rule("jaga_timer_last_run_failed", warning=0, critical=None, where={"unit": ("!old*",)})
    found = propose([thing(1.0, unit="a[b]")], {"r": timer})
    assert toml(found, {"r": timer}) == '[rules.r]\n# 2 × unit="a[b]": 1\nwhere = { unit = ["!old*", "!a[[]b]"] }'
    assert propose([thing(1.0, unit="a", host="b")], {"r": timer}) == ()
    assert propose([thing(0.0)], {"r": a_rule("x", "below", warning=1, critical=None)}) == ()


def test_the_noisiest_rule_comes_first_and_it_is_toml() -> None:
    rules = {"r": a_rule(), "s": rule("s", metric="y_total", kind="increase", warning=0.0, critical=None)}
    loud = Seen(rule="s", labels=(("unit", 'a"b'),), times=9, worst=12.0)
    text = toml(propose([thing(0.85, mount="/"), loud], rules), rules)
    assert text == ('[rules.s]\n# 9 × unit="a\\"b": 12\nwarning = 12\n'
                    '[rules.r]\n# 2 × mount="/": 85%\nwarning = "86%"')
    assert tomllib.loads(text) == {"rules": {"s": {"warning": 12}, "r": {"warning": "86%"}}}
    assert toml((), rules) == ""


def incident(code: str, *names: str) -> Incident:
    members = [Finding(rule="r", labels=(("mount", name),), state="good") for name in names]
    return Incident(code=code, key=members[0].key, opened=1.0, members={m.key: m for m in members}, severity="warning")


def test_what_a_person_acted_on_is_no_noise_and_other_holds_do_not_count() -> None:
    def entries(*things: tuple[str, str, str]) -> list[Entry]:
        return [Entry(code="K7M", at=1.0, what=what, who=who, detail=detail) for what, who, detail in things]

    held = ("held", "", "probation")
    histories = {
        "A3A": entries(held, held), "B3B": entries(held, held, ("acked", "budi", "")),
        "C3C": entries(("held", "", "quiet")), "D3D": entries(held, ("closed", "", "good")),
        "E3E": entries(held, ("undelivered", "budi", ""))}
    incidents = [incident("A3A", "/"), incident("B3B", "/b"), incident("C3C", "/c"), incident("D3D", "/", "/d"),
                 incident("E3E", "/e")]
    worst = {f'r{{mount="{name}"}}': 0.9 for name in ("/", "/b", "/c", "/d")}
    found = [(dict(each.labels)["mount"], each.times) for each in seen(incidents, histories, worst)]
    assert found == [("/", 3), ("/d", 1)]
