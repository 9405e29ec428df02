"""Telegram on a running process: a fault, a message with buttons, a tap, and what a group and a restart make of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.demo.fake_telegram import FakeTelegram, Message
from house import SICK_DISK, House, until

BUDI, SARI, GROUP = 5551, 5552, -100777
CONFIGURATION = SICK_DISK + """
[notifiers.telegram]
token = {{ env = "FAKE_TOKEN" }}
base_url = "{url}"
[contacts.budi]
telegram = "{budi}"
channels = ["telegram"]
[contacts.sari]
telegram = "{sari}"
channels = ["telegram"]
[contacts.toko]
telegram = "{group}"
group = true
channels = ["telegram"]
[oncall]
people = ["budi", "sari"]
[alerts]
baseline = "0s"
batch = "1s"
quiet = {{ from = "00:00", to = "00:00" }}
"""


@pytest.fixture
def telegram() -> Iterator[FakeTelegram]:
    with FakeTelegram() as fake:
        fake.person(BUDI)
        fake.person(SARI, "Sari")
        fake.group(GROUP)
        yield fake


@pytest.fixture
def house(tmp_path: Path, telegram: FakeTelegram) -> Iterator[House]:
    """A sick house that has told Budi and the group."""
    house = House(tmp_path, CONFIGURATION.format(url=telegram.url, budi=BUDI, sari=SARI, group=GROUP),
                  {"FAKE_TOKEN": telegram.token})
    try:
        house.start()
        until(lambda: {BUDI, GROUP} <= {message.chat for message in telegram.messages})
        yield house
    finally:
        house.close()


def said_to(telegram: FakeTelegram, chat: int, holds: str = "") -> Callable[[], list[Message]]:
    return lambda: [each for each in telegram.messages if each.chat == chat and holds in each.text]


def take(message: Message) -> str:
    """What the button "Saya tangani" under it says to us."""
    return next(data for row in message.buttons for _, data in row if data.startswith("ok "))


def test_a_tap_takes_the_incident_and_is_confirmed_and_acts_once_across_a_kill(
    house: House, telegram: FakeTelegram) -> None:
    [incident], [copy] = house.incidents, said_to(telegram, GROUP)()
    assert take(copy) == f"ok {incident['code']}"
    telegram.tap(copy, take(copy), sender=SARI)  # in a group it counts for the member who taps
    until(said_to(telegram, SARI, "Anda tangani sampai"), 8.0)  # a poll, two seconds, and one for a busy machine
    assert house.incidents[0]["acked_by"] == "sari"
    assert len(telegram.answered) == 1, "the button spins no longer"

    [page] = said_to(telegram, BUDI)()
    telegram.tap(page, take(page))
    house.kill()  # Sari's tap comes again: Telegram was not told to forget it yet
    house.start()
    until(said_to(telegram, BUDI, "Anda tangani sampai"), 8.0)
    assert house.incidents[0]["acked_by"] == "budi"
    assert len(said_to(telegram, SARI, "Anda tangani sampai")()) == 1
