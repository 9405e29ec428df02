"""The wall clock is set forward and back by an hour under a running Jaga: it goes on as if nothing had happened."""

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import Clock
from house import House, until

HOUR = 3600
EVERY = 5.0  # seconds, of the collectors
URGE = 12.0  # seconds to the second step, and from then on to each reminder
BEAT = 5.0  # seconds between two looks of the desk at its clock
SLACK = 4.0  # seconds more, on two cores that others use as well

CONFIGURATION = f"""
[collectors.disk]
every = "{EVERY:.0f}s"
timeout = "4s"
ignore = ["/?*"]
[[collectors.resources]]
name = "quick"
every = "{EVERY:.0f}s"
timeout = "4s"
[[collectors.resources]]
name = "slow"
[notifiers.console]
[contacts.budi]
channels = ["console"]
[oncall]
people = ["budi"]
[[escalation]]
after = "0s"
to = ["oncall"]
[[escalation]]
after = "{URGE:.0f}s"
to = ["budi"]
[alerts]
baseline = "0s"
batch = "0s"
remind = {{ critical = "{URGE:.0f}s" }}
[rules.disk_space]
warning = 0.0001
critical = 0.0002
for = "0s"
[rules.still_waiting]
metric = "jaga_uptime_seconds"
warning = 1
for = "10m"
summary = "Bad from the start, and not long enough to be told"
"""


def libfaketime() -> str:
    """Where Debian's multi-arch folders have it."""
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return str(library)


class Machine:
    """A Jaga whose wall clock is set by a file; what counts its seconds since boot is left alone."""

    def __init__(self, folder: Path) -> None:
        self._offset, self._set_by = folder / "offset", 0
        self.set_clock(0)
        self.house = House(folder, CONFIGURATION, {
            "LD_PRELOAD": libfaketime(), "FAKETIME_TIMESTAMP_FILE": str(self._offset), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"})

    def set_clock(self, seconds: int) -> None:
        """So far ahead of this test's own clock."""
        new = self._offset.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        os.replace(new, self._offset)  # it is read at each look at the clock: never half a file
        self._set_by = seconds

    @property
    def now(self) -> float:
        return time.time() + self._set_by

    def close(self) -> None:
        self.house.close()
        assert self.house.process is not None
        for left in Path("/dev/shm").glob(f"*faketime*_{self.house.process.pid}"):
            left.unlink()  # libfaketime tidies up in an exit handler, and Jaga leaves by os._exit

    def figure(self, series: str) -> float:
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.house.get("/metrics")[1], re.M)
        return float(found[1]) if found else float("nan")

    def jumped(self, times: int) -> bool:
        """It saw so many jumps, and both quick collectors succeeded within an interval, by the clock as it is now."""
        assert self.house.get("/-/ready") == (200, "ready\n")  # also while nobody has noticed yet
        ages = [self.now - self.figure(f'jaga_collector_last_success_timestamp_seconds{{collector="{name}"}}')
                for name in ("disk", "resources:quick")]
        return self.figure("jaga_clock_jumps_total") == times and all(-1 < age < EVERY + 1 for age in ages)

    @property
    def queued(self) -> list[tuple[str, str, str]]:
        """Every word so far: why, to whom, and whether it is out."""
        with closing(sqlite3.connect(f"file:{self.house.folder}/state/jaga.db?mode=ro", uri=True)) as db:
            return db.execute("SELECT json_extract(body, '$.reason'), contact, state FROM notifications"
                              " ORDER BY id").fetchall()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.close()


# One person: a pause kept between two messages by the wrong clock would hold the third back for an hour.
TOLD = [("opened", "budi", "sent"), ("escalated", "budi", "sent"), ("reminded", "budi", "sent")]


def told_in_time(machine: Machine, words: int, since: float) -> float:
    """Wait for the next word; it must come when its time has gone by, and be out at once. Returns when it came."""
    until(lambda: machine.queued != TOLD[:words])
    waited = time.monotonic() - since
    assert URGE - SLACK < waited < URGE + BEAT + SLACK, machine.queued
    return since + waited


@pytest.mark.needs_debian("faketime")
def test_an_hour_forward_and_an_hour_back_change_nothing_but_the_clock(machine: Machine) -> None:
    house = machine.house.start()
    until(lambda: machine.queued == TOLD[:1])
    opened = time.monotonic()

    machine.set_clock(+HOUR)
    until(lambda: machine.jumped(1), 2 * EVERY + SLACK)
    escalated = told_in_time(machine, 1, opened)
    until(lambda: machine.queued == TOLD[:2], SLACK)

    machine.set_clock(0)
    until(lambda: machine.jumped(2), 2 * EVERY + SLACK)
    told_in_time(machine, 2, escalated)
    until(lambda: machine.queued == TOLD, SLACK)
    assert [incident["key"].partition("{")[0] for incident in house.incidents] == ["disk_space"]
    assert house.get("/-/ready") == (200, "ready\n")


def test_nobody_sees_a_jump_before_it_is_followed() -> None:
    class Wandering(Clock):
        wall = 1_000_000.0

        def steady(self) -> float:
            return 500.0

        def wall_clock(self) -> float:
            return self.wall

    clock = Wandering()
    clock.wall += HOUR
    assert (clock.now(), clock.booted_at) == (1_000_000.0, 999_500.0)
    clock.follow()
    assert (clock.now(), clock.booted_at) == (1_003_600.0, 1_003_100.0)
