"""Samples over time: which to keep, the line through them, and when what grows so will have used up the rest. Pure."""

from collections.abc import Sequence
from math import inf

Sample = Sequence[float]  # (unix seconds, value); a list where it came back from JSON

_SAMPLE_EVERY = 300.0  # each sample kept is a write to the store
_ENOUGH = 1800.0  # a shorter history makes every log rotation a catastrophe
_RECENT = 3600.0  # it must still be growing: a big file that was copied once fills nothing


def slope(samples: Sequence[Sample]) -> float | None:
    """How much the value grows per second by least squares; None where two different times are lacking.

    Times are taken relative to their mean: unix seconds squared would eat the digits that carry the slope.
    """
    if not samples:
        return None
    mean_time = sum(sample[0] for sample in samples) / len(samples)
    mean_value = sum(sample[1] for sample in samples) / len(samples)
    spread = sum((sample[0] - mean_time) ** 2 for sample in samples)
    if not spread:
        return None
    return sum((sample[0] - mean_time) * (sample[1] - mean_value) for sample in samples) / spread


def remembered(samples: list[list[float]], now: float, value: float, *,
               fall: float, window: float) -> list[list[float]]:
    """The samples to keep: the window's, one per five minutes, none from a future that the clock took back.

    A fall by more than `fall` since the last sample (a clean-up) starts anew.
    """
    kept = [sample for sample in samples if now - window <= sample[0] <= now]
    if kept and kept[-1][1] - value > fall:
        kept = []
    if not kept or now - kept[-1][0] >= _SAMPLE_EVERY:
        kept.append([now, value])
    return kept


def full_in(samples: Sequence[Sample], free: float) -> float:
    """Seconds until `free` is used up at the pace of the samples, or of the last hour where that is slower."""
    now = samples[-1][0]
    if now - samples[0][0] < _ENOUGH:
        return inf
    pace = min(slope(samples) or 0.0, slope([sample for sample in samples if now - sample[0] <= _RECENT]) or 0.0)
    return free / pace if pace > 0 else inf
