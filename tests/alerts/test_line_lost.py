"""Our own internet lost: what happened meanwhile reaches each person as one message with the true times, no flood."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar
from zoneinfo import ZoneInfo

import pytest

from alerts.notification import Busy, Letter, Notification, Proof, Receipt
from alerts.outbox import Channel
from alerts.words import compose
from story import Story

WIB = ZoneInfo("Asia/Jakarta")


class Vendor:
    """A provider behind a line that can be cut."""

    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = "chat"

    def __init__(self) -> None:
        self.cut, self.arrived, self.tries = False, list[Letter](), 0

    def send(self, letter: Letter) -> Receipt:
        self.tries += 1
        if self.cut:
            raise Busy("no connection")
        self.arrived.append(letter)
        return Receipt(f"M{len(self.arrived)}")


class Line(Story):
    """A story with its two channels, both behind one line; time goes by in steps of ten seconds."""

    def __init__(self, folder: Path) -> None:
        self.vendors = {"chat": Vendor(), "mail": Vendor()}
        super().__init__(folder)

    def begin(self) -> None:
        super().begin()
        self.channels = [
            Channel(name, vendor, self.store, self.letter, clock=lambda: self.now, undelivered=self.desk.undelivered,
                    patience=lambda: self.policy.undelivered, process="p")
            for name, vendor in self.vendors.items()]

    def letter(self, notifications: Sequence[Notification], contact: str, channel: str, *, now: float,
               window_open: bool, stale: int, from_memory: bool) -> Letter:
        return compose(notifications, rules={each.name: each for each in self.rules}, to="x", name=contact,
                       language="id", site="Koperasi", agent="server", zone=WIB, now=now, window_open=window_open,
                       stale=stale, from_memory=from_memory)

    def wait(self, minutes: float) -> None:
        for _ in range(round(minutes * 6)):
            self.now += 10
            self.desk.tick(self.now)
            for channel in self.channels:
                channel.turn()

    def cut(self, cut: bool) -> None:
        for vendor in self.vendors.values():
            vendor.cut = cut

    @property
    def arrived(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """Channel, person, and headline and time of each section."""
        return [(name, letter.name, [(section.headline, section.since) for section in letter.sections])
                for name, vendor in self.vendors.items() for letter in vendor.arrived]


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    line = Line(tmp_path)
    yield line
    line.store.close()


def three_outages(line: Line) -> None:
    """Between 10.00 and 10.30 three units die, one after the other, and come back."""
    for unit in ("nginx", "mysql", "redis"):
        line.sees(0, unit)
        line.wait(8)
        line.sees(1, unit)
        line.wait(2)


def test_half_an_hour_without_a_line_is_one_message_for_each_person_with_the_true_times(line: Line) -> None:
    line.cut(True)
    three_outages(line)
    assert line.arrived == []
    line.cut(False)
    line.wait(3)
    over = [("SELESAI: nginx mati (8 menit)", "Dari 10.00 WIB sampai 10.08 WIB (8 menit)"),
            ("SELESAI: mysql mati (8 menit)", "Dari 10.10 WIB sampai 10.18 WIB (8 menit)"),
            ("SELESAI: redis mati (8 menit)", "Dari 10.20 WIB sampai 10.28 WIB (8 menit)")]
    assert sorted(line.arrived) == sorted([("chat", "budi", over), ("mail", "budi", over), ("chat", "sari", over)])


def test_two_hours_without_a_line_are_still_one_message_for_each_channel(line: Line) -> None:
    """Reminders and escalations pile up behind it: many words, few problems."""
    line.cut(True)
    for unit in ("nginx", "mysql", "redis"):
        line.sees(0, unit)
    line.wait(120)
    line.cut(False)
    line.wait(3)
    assert [(channel, person, len(sections)) for channel, person, sections in sorted(line.arrived)] == [
        ("chat", "budi", 3), ("chat", "sari", 3), ("mail", "budi", 3)]


def test_a_line_that_is_down_is_tried_once_a_minute_or_so(line: Line) -> None:
    line.cut(True)
    three_outages(line)
    assert 10 < line.vendors["chat"].tries < 60
