"""The kill campaign in small; `make crash` runs a thousand."""

import random

import pytest

from crash_campaign import STEPS, campaign


@pytest.mark.timeout(400)
def test_killed_anywhere_nothing_is_lost_and_nothing_told_blindly_twice() -> None:
    verdict = campaign(50, first_seed=random.Random(20261122).randrange(10_000))  # fixed, so repeatable
    assert verdict.faults == []
    assert verdict.runs == 50
    assert sum(verdict.kills.values()) >= 40
    assert set(verdict.kills) <= set(STEPS)
    assert len(verdict.kills) >= 10, "the kills must be spread over the steps"


def test_the_campaign_would_see_a_repetition(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a provider that claims to know no message, killed responses are sent again: the judge must count that."""
    from alerts.notifiers.twilio import Twilio

    monkeypatch.setattr(Twilio, "find", lambda self, mark, to: None)
    seeds = [seed for seed in range(28) if STEPS[seed % len(STEPS)] in ("response: lost", "record: before")]
    assert sum(campaign(1, first_seed=seed).duplicates for seed in seeds) >= 1
