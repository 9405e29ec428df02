"""From the death of a unit to the queued word: a running Jaga on a private bus, fifty deaths, the times in a row."""

import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from fake_systemd import FakeSystemd, Unit, private_bus
from house import House

UNITS = ("nginx", "mariadb", "php8.2-fpm", "supervisor", "redis-server")  # of the SOP, 2.1
DEATHS = 50
AIM = 1.0  # seconds, for 95 of 100
PATIENCE = 20.0  # seconds until a death counts as not noticed; the safety net alone would take a minute
LOOK = 0.002  # seconds between two looks at the table: so much is added to each time at most

CONFIGURATION = """
[collectors.services]
units = ["nginx", "mysql|mariadb", "php8.2-fpm", "supervisor", "redis-server"]
bus = "{bus}"
[notifiers.console]
[contacts.budi]
channels = ["console"]
[alerts]
baseline = "0s"
flap_turns = 1000
[rules.service_down]
boot_grace = "0s"
"""


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[FakeSystemd]:
    with private_bus(tmp_path) as address, FakeSystemd(address, *(Unit(f"{name}.service") for name in UNITS)) as fake:
        yield fake


@pytest.fixture
def house(tmp_path: Path, systemd: FakeSystemd) -> Iterator[House]:
    house = House(tmp_path, CONFIGURATION.format(bus=f"unix:path={tmp_path}/bus"))
    yield house.start()
    house.close()


class Outbox:
    """The table of notifications, as anybody may read it beside the daemon: each row is seen once."""

    def __init__(self, state: Path) -> None:
        self._db = sqlite3.connect(f"file:{state}/jaga.db?mode=ro", uri=True)
        self._last = 0

    def close(self) -> None:
        self._db.close()

    def next(self) -> tuple[str, str, float, float]:
        """Wait for the next row; returns its reason, its contact, when it was created and when it could be read."""
        deadline = time.monotonic() + PATIENCE
        while True:
            row = self._db.execute("SELECT id, json_extract(body, '$.reason'), contact, created FROM notifications"
                                   " WHERE id > ? ORDER BY id LIMIT 1", (self._last,)).fetchone()
            if row is not None:
                self._last = row[0]
                return row[1], row[2], row[3], time.time()
            assert time.monotonic() < deadline, f"nothing was queued within {PATIENCE} s"
            time.sleep(LOOK)  # another process's table: there is no event to wait on


def spread(seconds: Sequence[float]) -> str:
    """The distribution in milliseconds, by nearest rank."""
    ranked = sorted(seconds)
    ranks = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return ", ".join(f"{name} {1000 * ranked[math.ceil(rank * len(ranked)) - 1]:.0f}" for name, rank in ranks.items())


@pytest.mark.needs_debian("dbus-daemon")
def test_each_of_fifty_deaths_is_queued_and_nearly_all_within_a_second(systemd: FakeSystemd, house: House) -> None:
    created, readable = [], []
    with closing(Outbox(house.folder / "state")) as outbox:
        for number in range(DEATHS):
            unit = f"{UNITS[number % len(UNITS)]}.service"
            died = time.time() - time.monotonic() + systemd.kill(unit)
            reason, contact, made, seen = outbox.next()
            assert (reason, contact) == ("opened" if number < len(UNITS) else "recurred", "budi")
            created.append(made - died)
            readable.append(seen - died)
            systemd.set(unit, active="active", sub="running", result="success", code=0, status=0)
            assert outbox.next()[0] == "resolved"
    print(f"\nfrom the death of a unit to its row in the outbox, {DEATHS} deaths, ms:"
          f"\n  created:  {spread(created)}\n  readable: {spread(readable)}")
    assert sorted(readable)[math.ceil(0.95 * DEATHS) - 1] < AIM, spread(readable)
    assert min(created) > 0
