"""When a file was begun, and when the next one is due: by name, by time, in any zone."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from collectors.files_dates import Schedule, began, claimed

WIB = ZoneInfo("Asia/Jakarta")
BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = WIB) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


NIGHT = at("2026-11-22 01:00:02")

NAMES = [
    # name, last write, begun, the latest moment that it claims
    ("2026-11-22-01-00-02.zip", NIGHT + 40, NIGHT, NIGHT + 40),
    ("koperasi 2026-11-22-01-00-02-full.zip", NIGHT + 40, NIGHT, NIGHT + 40),
    ("backup_koperasi_2026-11-22_01-00-02.sql", NIGHT + 40, NIGHT, NIGHT + 40),
    ("20261122-010002.sql.gz", NIGHT + 40, NIGHT, NIGHT + 40),
    ("dump-20261122_0100.sql", NIGHT + 40, NIGHT - 2, NIGHT + 40),
    # the app's zone is UTC, as Laravel's default is
    ("2026-11-21-18-00-02.zip", NIGHT + 40, NIGHT, NIGHT + 40),
    # copied the next day without keeping the time: the name knows
    ("2026-11-22-01-00-02.zip", NIGHT + 86400, NIGHT, NIGHT + 86400),
    # a day alone: the time knows, but nothing copied later is newer than that day's end
    ("backup-2026-11-21.zip", at("2026-11-21 13:00"), at("2026-11-21 13:00"), at("2026-11-22 00:00")),
    ("backup-2026-11-21.zip", NIGHT + 9e5, at("2026-11-22 00:00"), NIGHT + 9e5),
    # an old one that was given a new name: its content cannot be newer than its last write
    ("2026-11-22-01-00-02.zip", NIGHT - 9 * 86400, NIGHT - 9 * 86400, NIGHT),
    ("latest.zip", NIGHT, NIGHT, NIGHT),
    ("2026-02-31-01-00-02.zip", NIGHT, NIGHT, NIGHT),
    ("rekening-3201202601180100021.zip", NIGHT, NIGHT, NIGHT),
]


@pytest.mark.parametrize(("name", "modified", "begun", "latest"), NAMES)
def test_a_file_is_as_old_as_its_name_and_its_time_allow(name: str, modified: float, begun: float,
                                                          latest: float) -> None:
    assert (began(name, modified, WIB), claimed(name, modified, WIB)) == (begun, latest)


@pytest.mark.parametrize(("start", "now", "overdue"), [
    ("2026-11-21 01:00:02", "2026-11-22 00:59", 0),
    ("2026-11-21 01:00:02", "2026-11-22 02:00", 0),
    ("2026-11-21 01:00:02", "2026-11-22 02:00:05", 5),  # at 01:00 and the grace of an hour, not 24 h after the last
    ("2026-11-22 01:00:02", "2026-11-22 02:00:05", 0),
    ("2026-11-22 00:55:00", "2026-11-22 12:00", 0),  # clocks differ a little
    ("2026-11-21 18:00:00", "2026-11-22 03:00", 3600),  # one by hand in the evening is not the one of the night
    ("2026-11-18 01:00:02", "2026-11-22 02:00", 3 * 86400),
])
def test_a_backup_is_missed_when_it_is_due_and_its_grace_is_over(start: str, now: str, overdue: float) -> None:
    assert Schedule("01:00", 3600, WIB).overdue(at(start), at(now)) == overdue


@pytest.mark.parametrize(("start", "now", "overdue"), [
    ("2026-11-15 01:00:00", "2026-11-21 23:00", 0),
    ("2026-11-15 01:00:00", "2026-11-22 03:00", 3600),
    ("2026-11-18 12:00:00", "2026-11-22 03:00", 3600),
])
def test_a_weekly_one_is_due_on_its_day(start: str, now: str, overdue: float) -> None:
    assert Schedule("Sun 01:00", 3600, WIB).overdue(at(start), at(now)) == overdue


@pytest.mark.parametrize(("due", "start", "expected"), [
    ("02:30", "2026-03-28 02:30:01", "2026-03-29 03:30"),  # an hour that this night does not have
    ("04:00", "2026-03-28 04:00:01", "2026-03-29 04:00"),  # 23 hours later
    ("04:00", "2026-10-24 04:00:01", "2026-10-25 04:00"),  # 25 hours later
])
def test_days_of_23_and_25_hours_are_one_day_each(due: str, start: str, expected: str) -> None:
    assert Schedule(due, 0, BERLIN).next_due(at(start, BERLIN)) == at(expected, BERLIN)
