"""The clocks: what they mean, and which movements of the wall clock are jumps."""

import time

import pytest

from agent.clock import Clock, JumpDetector
from fake_clock import FakeClock

MOVES = {
    "an hour back": (10.0, -3600.0, -3600.0),
    "an hour forward": (10.0, 3600.0, 3600.0),
    "years forward, from a dead clock battery": (5.0, 2.0e8, 2.0e8),
    "nothing": (60.0, 0.0, 0.0),
    "a correction by NTP": (60.0, 4.0, 0.0),
    "just within tolerance": (1.0, -29.0, 0.0),
    "the tolerance itself": (1.0, 30.0, 30.0),
}


@pytest.mark.parametrize(("passed", "moved", "told"), MOVES.values(), ids=MOVES)
def test_a_jump_is_told_with_its_size_and_only_once(passed: float, moved: float, told: float) -> None:
    clock = FakeClock()
    detector = JumpDetector(clock.now, clock.steady)
    clock.advance(passed)
    clock.wall += moved
    assert detector.check() == pytest.approx(told)
    clock.advance(passed)
    assert detector.check() == 0.0


def test_time_spent_in_suspend_is_no_jump() -> None:
    clock = FakeClock()
    detector = JumpDetector(clock.now, clock.steady)
    clock.suspend(8 * 3600)
    assert detector.check() == 0.0


def test_small_steps_add_up_until_they_are_told() -> None:
    clock = FakeClock()
    detector = JumpDetector(clock.now, clock.steady)
    told = []
    for _ in range(4):
        clock.wall -= 12
        told.append(detector.check())
    assert told == pytest.approx([0.0, 0.0, -36.0, 0.0])


def test_the_real_clock_agrees_with_the_kernel() -> None:
    clock = Clock()
    with open("/proc/uptime") as file:
        uptime = float(file.read().split()[0])
    with open("/proc/stat") as file:
        boot = next(float(line.split()[1]) for line in file if line.startswith("btime"))
    assert clock.steady() == pytest.approx(uptime, abs=5)
    assert clock.booted_at == pytest.approx(boot, abs=5)
    assert clock.now() == pytest.approx(time.time(), abs=5)
    assert clock.awake() <= clock.steady() + 0.1
