"""The clock: the only place that asks what time it is, and the one that notices when the wall clock jumps."""

import time
from collections.abc import Callable


class Clock:
    """The machine's clocks. Tests hand in one of their own.

    A jump of the wall clock is seen by nobody before whoever waits was moved along: until `follow` is called, `now`
    goes on as if it had not happened. What was judged in between would be told an hour early, or an hour late.
    """

    def __init__(self) -> None:
        self._offset = self.wall_clock() - self.steady()

    def now(self) -> float:
        """Unix seconds, as the wall clock had them at the last `follow` and by the steady clock since."""
        return self.steady() + self._offset

    def follow(self) -> None:
        """Take over what the wall clock says."""
        self._offset = self.wall_clock() - self.steady()

    def wall_clock(self) -> float:
        """Unix seconds as the machine tells them; they may jump."""
        return time.time()

    def steady(self) -> float:
        """Seconds since boot, time in suspend included; never jumps (CLOCK_BOOTTIME)."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def awake(self) -> float:
        """Seconds that this machine was awake (CLOCK_MONOTONIC): a run is not late because the lid was closed."""
        return time.monotonic()

    @property
    def booted_at(self) -> float:
        """When the machine started, unix seconds, as today's wall clock tells it."""
        return self.now() - self.steady()


class JumpDetector:
    """Sees the wall clock move against the steady one. Steps that are too small to tell add up until they are told."""

    def __init__(self, wall: Callable[[], float], steady: Callable[[], float], tolerance: float = 30.0) -> None:
        self._wall, self._steady, self._tolerance = wall, steady, tolerance
        self._offset = wall() - steady()

    def check(self) -> float:
        """Return by how many seconds the wall clock jumped since the last jump (negative: set back), or 0.0."""
        offset = self._wall() - self._steady()
        jump = offset - self._offset
        if abs(jump) < self._tolerance:
            return 0.0
        self._offset = offset
        return jump
