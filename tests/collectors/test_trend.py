"""The trend: which samples are kept, the line through them, and when the rest is used up."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.trend import full_in, remembered, slope

NOW = 1_795_363_894.0  # a real unix time: the digits that squares would lose
GIB = 2.0**30


@pytest.mark.parametrize(("samples", "rate"), [
    ([], None),
    ([(NOW, 5.0)], None),
    ([(NOW, 5.0), (NOW, 9.0)], None),
    ([(NOW, 5.0), (NOW + 10, 25.0)], 2.0),
    ([[NOW, 7.0], [NOW + 60, 7.0], [NOW + 120, 7.0]], 0.0),
    ([(NOW, 0.0), (NOW + 1, 4.0), (NOW + 2, 2.0)], 1.0),
])
def test_the_slope_is_the_least_squares_line_or_nothing(samples: list[tuple[float, float]], rate: float | None) -> None:
    assert slope(samples) == rate


@given(st.floats(-1e6, 1e6), st.floats(0, 1e12), st.integers(2, 80))
def test_a_straight_line_is_found_at_todays_unix_times(rate: float, start: float, count: int) -> None:
    samples = [(NOW + 300 * n, start + rate * 300 * n) for n in range(count)]
    assert slope(samples) == pytest.approx(rate, rel=1e-6, abs=1e-3)


@pytest.mark.parametrize(("samples", "value", "kept"), [
    pytest.param([], 50, [[NOW, 50]], id="the first"),
    pytest.param([[NOW - 299, 50]], 51, [[NOW - 299, 50]], id="too soon for another"),
    pytest.param([[NOW - 300, 50]], 51, [[NOW - 300, 50], [NOW, 51]], id="five minutes later"),
    pytest.param([[NOW - 3601, 40], [NOW - 3600, 50]], 51, [[NOW - 3600, 50], [NOW, 51]], id="the window has passed"),
    pytest.param([[NOW - 600, 50], [NOW + 5, 60]], 51, [[NOW - 600, 50], [NOW, 51]], id="the clock was set back"),
    pytest.param([[NOW - 600, 50]], 39, [[NOW, 39]], id="a clean-up starts anew"),
    pytest.param([[NOW - 600, 50]], 40, [[NOW - 600, 50], [NOW, 40]], id="a small fall does not"),
    pytest.param([[NOW - 90_000, 50]], 99, [[NOW, 99]], id="a day switched off"),
])
def test_samples_are_few_recent_and_never_from_the_future(
        samples: list[list[float]], value: float, kept: list[list[float]]) -> None:
    assert remembered(samples, NOW, value, fall=10, window=3600) == kept


def history(*gib: float) -> list[list[float]]:
    """Used GiB, one sample each five minutes, the last one now."""
    return [[NOW - 300 * (len(gib) - 1 - n), used * GIB] for n, used in enumerate(gib)]


@pytest.mark.parametrize(("samples", "seconds"), [
    pytest.param(history(*range(6)), inf, id="25 minutes say nothing"),
    pytest.param(history(*range(7)), 3000, id="half an hour at 1 GiB in 5 minutes"),
    pytest.param(history(*range(70)), 3000, id="a full window"),
    pytest.param(history(*[7.0] * 70), inf, id="level"),
    pytest.param(history(*range(70, 0, -1)), inf, id="emptying"),
    pytest.param(history(*[0.0] * 30, *[20.0] * 14), inf, id="one big file was copied, more than an hour ago"),
])
def test_a_disk_fills_only_while_it_really_grows(samples: list[list[float]], seconds: float) -> None:
    assert full_in(samples, 10 * GIB) == pytest.approx(seconds)


def test_nothing_left_is_full_now() -> None:
    assert full_in(history(*range(7)), 0.0) == 0.0
