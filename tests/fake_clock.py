"""A clock that tests set by hand; it starts on Friday 2026-11-20, 08:00 WIB."""

from agent.clock import Clock

START = 1795136400.0


class FakeClock(Clock):
    def __init__(self, now: float = START) -> None:
        self.wall, self.since_boot, self.since_boot_awake = now, 86400.0, 86400.0

    def now(self) -> float:
        return self.wall

    def steady(self) -> float:
        return self.since_boot

    def awake(self) -> float:
        return self.since_boot_awake

    def advance(self, seconds: float) -> None:
        """Time goes by on every clock."""
        self.wall += seconds
        self.since_boot += seconds
        self.since_boot_awake += seconds

    def suspend(self, seconds: float) -> None:
        """The lid is closed for a while."""
        self.wall += seconds
        self.since_boot += seconds
