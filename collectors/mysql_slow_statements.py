"""Slow statements counted by their shape: how many, how long at worst, over the last hour and in all. Pure."""

from typing import Any, Final

from collectors.mysql_fingerprint import fingerprint
from collectors.mysql_slow_log import Slow

WINDOW: Final = 3600.0  # seconds that the evidence looks back
_STEP: Final = 300.0  # seconds that are counted together
_SHAPES: Final = 20  # that are remembered
_NAMED: Final = 3  # in the evidence


class Tally:
    """Counts into `memory`, which it keeps small: JSON, shapes without values."""

    def __init__(self, memory: dict[str, Any], now: float) -> None:
        self._memory, self._now = memory, now
        shapes: dict[str, list[list[float]]] = memory.setdefault("shapes", {})
        for shape, steps in list(shapes.items()):
            shapes[shape] = [step for step in steps if now - WINDOW < step[0] <= now]  # [until, count, worst, rows]
            if not shapes[shape]:
                del shapes[shape]
        self._shapes = shapes

    def add(self, slow: Slow) -> None:
        """Count it; one that ended before the window counts in the total alone."""
        self._memory["total"] = self._memory.get("total", 0) + 1
        end = min(slow.end, self._now)
        if end <= self._now - WINDOW:
            return
        steps = self._shapes.setdefault(fingerprint(slow.statement) or "?", [])
        if not steps or end - steps[-1][0] > _STEP:
            steps.append([end, 0, 0.0, 0])
        step = steps[-1]
        if slow.seconds > step[2]:
            step[2], step[3] = round(slow.seconds, 3), slow.examined
        step[1] += 1
        if len(self._shapes) > _SHAPES:
            del self._shapes[min(self._shapes, key=lambda shape: max(step[2] for step in self._shapes[shape]))]

    @property
    def total(self) -> int:
        """All that were ever added."""
        return int(self._memory.get("total", 0))

    @property
    def worst(self) -> float:
        """Seconds of the slowest within the window; 0.0 where there was none."""
        return max((step[2] for steps in self._shapes.values() for step in steps), default=0.0)

    @property
    def evidence(self) -> str:
        """The worst shapes, a line each: `2× ≤ 4.0 s, 200000 rows: select …`."""
        ranked = sorted(self._shapes.items(), key=lambda item: _slowest(item[1]), reverse=True)
        return "\n".join(_line(shape, steps) for shape, steps in ranked[:_NAMED])


def _slowest(steps: list[list[float]]) -> tuple[float, float]:
    return max(step[2] for step in steps), sum(step[1] for step in steps)


def _line(shape: str, steps: list[list[float]]) -> str:
    worst, count = _slowest(steps)
    rows = next(step[3] for step in steps if step[2] == worst)
    return f"{count:.0f}× ≤ {worst:.1f} s, {rows:.0f} rows: {shape}"
