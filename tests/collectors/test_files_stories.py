"""Backups that go wrong for real, and what people read about it (tests/golden/backup-*.txt)."""

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collectors.base import Reading
from collectors.files import Files
from collectors.files_sets import FileSet
from golden import Told, same
from stack import backups, koperasi
from stack.mariadb import NEEDS, MariaDB

pytestmark = pytest.mark.needs_debian(*NEEDS, *backups.NEEDS)
WIB = ZoneInfo("Asia/Jakarta")
TABLES = ("users", "transactions", "journal_entries", "journal_entry_lines")


@pytest.fixture(scope="module")
def sql(mariadb: MariaDB) -> bytes:
    """The cooperative's database as mariadb-dump writes it, the same each time: only sessions are drawn by lot."""
    koperasi.load(mariadb, "files_stories", datetime(2026, 11, 22, 10, tzinfo=UTC))
    sql = backups.dump(mariadb, "files_stories")
    return re.sub(rb"\('[0-9a-f]{32}',[^)]*\)", b"('5f2b',4,NULL,NULL,'e30=',0)", sql)


class Nights:
    """A folder of spatie's zips of a week. The next one was due half an hour ago and is not there yet."""

    def __init__(self, folder: Path, sql: bytes) -> None:
        self.folder, self.sql = folder, sql
        # due in a whole minute, and read half a minute later: what people read is the same at any time of the day
        self.newest = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=30)
        self.told = Told("files")
        self._scrub = {str(folder): "/var/www/koperasi/storage/app/Koperasi"}
        for night in range(7, 0, -1):
            self.backup(night)

    def backup(self, ago: int = 0, sql: bytes | None = None) -> Path:
        """Made so many nights before the newest one."""
        when = self.newest - timedelta(days=ago)
        path = backups.spatie(self.folder, self.sql if sql is None else sql, when)
        self._scrub[path.name] = f"2026-11-{22 - ago}-18-00-00.zip"
        self._scrub[when.astimezone(WIB).strftime("%Y-%m-%d %H:%M")] = f"2026-11-{23 - ago} 01:00"
        return path

    def look(self, minute: float, **options: Any) -> tuple[Reading, ...]:
        given = {"pattern": f"{self.folder}/*.zip", "due": f"{self.newest.astimezone(WIB):%H:%M}", "tables": TABLES}
        return self.told.look("files", Files(sets={"harian": FileSet(**(given | options))}), minute=minute)

    def same(self, name: str) -> None:
        """Compare what was told. How late it is depends on the second in which the test began, how long on a photo."""
        text = re.sub(r"\b(1 jam|1 h) \d+ (menit|min)\b", r"\1 2 \2", self.told.text())
        text = re.sub(r"\b(byte|and) 47\d\d\d\b", r"\1 47337", text)
        same(name, text, scrub=self._scrub)


@pytest.fixture
def nights(tmp_path: Path, sql: bytes) -> Nights:
    return Nights(tmp_path / "Koperasi", sql)


def _replace(path: Path, content: bytes, later: float = 0.0) -> None:
    """Other content at the same time, or made anew a little later."""
    at = path.stat().st_mtime + later
    path.write_bytes(content)
    os.utime(path, (at, at))


def test_a_backup_that_was_not_made_is_told_an_hour_after_it_was_due(nights: Nights) -> None:
    nights.look(0)
    nights.look(28)  # the clock of the test is up to a minute later than the half hour
    assert nights.told.subjects == []
    nights.look(32)
    nights.backup()
    nights.look(40)
    nights.same("backup-late")


def test_two_nights_without_a_good_one_are_critical_in_the_morning(nights: Nights) -> None:
    path = nights.backup(1)
    nights.look(0)
    _replace(path, path.read_bytes()[:-99], later=1)  # the disk eats it after it was good
    nights.look(1)
    nights.look(7)
    assert nights.told.open == ["backup_broken"]
    nights.look(50)
    nights.look(32 * 60 + 10)
    assert nights.told.open == ["backup_broken", "backup_late", "backup_no_good"]
    nights.backup()
    nights.look(32 * 60 + 20)
    assert nights.told.open == ["backup_late"]  # that one is good, but the one of the second night is still due
    nights.same("backup-no-good")


def test_a_dump_that_was_cut_off_is_told_with_its_table(nights: Nights) -> None:
    nights.look(0)
    nights.backup(sql=nights.sql[: len(nights.sql) * 3 // 4])
    nights.look(1)
    nights.look(7)
    assert nights.told.open == ["backup_dump_incomplete"]
    nights.backup()
    nights.look(20)
    nights.same("backup-cut")


def test_a_flipped_bit_is_told_with_its_place_and_without_names_of_members(nights: Nights) -> None:
    nights.look(0)
    path = nights.backup()
    whole = path.read_bytes()
    at = whole.index(b"anggota-1.jpg") + 9000
    _replace(path, whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:])
    nights.look(1)
    nights.look(7)
    assert nights.told.open == ["backup_broken"]
    assert "anggota-1" not in nights.told.text()
    _replace(path, whole, later=60)
    nights.look(20)
    nights.same("backup-crc")


def test_a_zip_that_was_cut_off_is_one_message(nights: Nights) -> None:
    nights.look(0)
    path = nights.backup()
    _replace(path, path.read_bytes()[:9000])
    nights.look(1)
    nights.look(7)
    nights.look(20)
    nights.backup()
    nights.look(30)
    nights.same("backup-broken")


def test_a_backup_far_smaller_than_usual_is_told(nights: Nights) -> None:
    nights.look(0)
    nights.backup(sql=_without_rows(nights.sql))
    nights.look(1)
    nights.look(17)
    assert nights.told.open == ["backup_small"]
    nights.backup()
    nights.look(30)
    nights.same("backup-small")


def test_a_dump_in_utf_16_is_told_as_what_it_is(nights: Nights) -> None:
    nights.look(0)
    nights.backup(sql=nights.sql.decode().encode("utf-16"))
    nights.look(1)
    nights.look(7)
    assert nights.told.open == ["backup_unreadable_text"]
    nights.backup()
    nights.look(20)
    nights.same("backup-utf16")


def test_all_backups_gone_wakes_somebody(nights: Nights) -> None:
    nights.backup()
    nights.look(0)
    for path in nights.folder.iterdir():
        path.unlink()
    nights.look(1)
    nights.look(7)
    nights.backup()
    nights.look(20)
    nights.same("backup-missing")


def test_too_little_room_for_the_next_one_is_told(nights: Nights, monkeypatch: pytest.MonkeyPatch) -> None:
    """The filesystem's own answer is the edge of the process: no test may fill a disk that others use."""
    path = nights.backup()
    real = os.statvfs

    def full(folder: str) -> os.statvfs_result:
        status = list(real(folder))
        status[1], status[4] = 1, path.stat().st_size * 3 // 2  # f_frsize, and f_bavail in blocks of it
        return os.statvfs_result(status)

    nights.look(0)
    monkeypatch.setattr(os, "statvfs", full)
    nights.look(1)
    nights.look(12)
    monkeypatch.undo()
    nights.look(20)
    nights.same("backup-no-room")


def _without_rows(sql: bytes) -> bytes:
    """The same tables, as after somebody emptied them."""
    return b"\n".join(line for line in sql.split(b"\n") if not line.startswith((b"INSERT INTO", b"(")))
