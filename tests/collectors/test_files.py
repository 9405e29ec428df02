"""The files collector: which file is judged, when one is missed, and that looking harms nobody."""

import os
import time
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from agent.intake import Intake
from alerts.rule import Words
from collectors import files, files_find, files_list, files_verify
from collectors.base import Metric, Reading, Run
from collectors.files import Files
from collectors.files_sets import FileSet
from collectors.files_verdict import Wanted
from collectors.secret import Secret

WIB = ZoneInfo("Asia/Jakarta")
RULES = Path(__file__).parents[2] / "alerts/rules/files.toml"
DATA = Path(__file__).parent / "data"
NOW = datetime(2026, 11, 23, 1, 30, tzinfo=WIB).timestamp()
DAY = 86400.0
SQL = (b"/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;\nCREATE TABLE `users` (\n  `id` int);\n%s"
       b"/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;\n\n")
METRICS = {value.name: value for value in vars(files).values() if isinstance(value, Metric)}


@dataclass
class Shop:
    """A folder of backups, and a collector that watches it with a memory of its own."""

    folder: Path
    memory: dict[str, Any]

    def backup(self, day: float, size: int = 30_000, name: str = "", content: bytes | None = None) -> Path:
        """Made at 01:00:02 WIB so many days ago, finished half a minute later."""
        at = datetime(2026, 11, 23, 1, 0, 2, tzinfo=WIB).timestamp() - day * DAY
        path = self.folder / (name or datetime.fromtimestamp(at, UTC).astimezone(WIB).strftime("%Y-%m-%d-%H-%M-%S.zip"))
        if content is None:
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr("db-dumps/mysql-koperasi.sql", SQL % (b"-- x\n" * (size // 5)))
        else:
            path.write_bytes(content)
        os.utime(path, (at + 30, at + 30))
        return path

    def look(self, now: float = NOW, read_seconds: float = 2.0, **options: Any) -> "Seen":
        given = {"pattern": f"{self.folder}/*.zip", "due": "01:00"} | options
        run = Run(now, msgspec.json.decode(msgspec.json.encode(self.memory)))
        readings = list(Files(sets={"harian": FileSet(**given)}, read_seconds=read_seconds).collect(run))
        assert Intake(METRICS, "").take(readings).refused == ()
        self.memory = run.memory
        troubles = {name: str(error) for name, error in run.targets.items() if error}
        return Seen({r.metric.removeprefix("jaga_file_"): r for r in readings}, troubles)


@dataclass
class Seen:
    readings: dict[str, Reading]
    troubles: dict[str, str]

    def __getitem__(self, metric: str) -> float:
        return self.readings[metric].value

    def note(self, metric: str) -> str:
        return self.readings[metric].note

    def __contains__(self, metric: str) -> bool:
        return metric in self.readings


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    folder = tmp_path / "Koperasi Kita"  # an app's name may have a blank
    folder.mkdir()
    return Shop(folder, {})


def test_a_week_of_good_backups_is_good(shop: Shop) -> None:
    for day in range(7):
        shop.backup(day)
    seen = shop.look()
    assert seen.troubles == {}
    free = os.statvfs(shop.folder)
    size = (shop.folder / "2026-11-23-01-00-02.zip").stat().st_size
    values = {name: reading.value for name, reading in seen.readings.items()}
    assert values.pop("room_ratio") == pytest.approx(free.f_bavail * free.f_frsize / size, rel=0.1)
    assert values == {
        "found": 1, "count": 7, "kept_ratio": 1, "outside": 0, "ahead_seconds": 0, "age_seconds": 1798,
        "overdue_seconds": 0, "good_overdue_seconds": 0, "size_bytes": size, "size_ratio": 1, "read_ratio": 1,
        "intact": 1, "dump_readable": 1, "dump_complete": 1, "dump_tables": 1, "encrypted": 0, "content_hidden": 0}


def test_where_there_is_no_file_at_all_that_is_a_reading_of_0(shop: Shop) -> None:
    seen = shop.look()
    assert {name: reading.value for name, reading in seen.readings.items()} == {
        "found": 0, "count": 0, "outside": 0, "kept_ratio": 1}
    assert seen.note("found") == f"nothing fits {shop.folder}/*.zip"
    assert shop.look(pattern="/nowhere/*/at/all.zip")["found"] == 0


def test_a_backup_of_the_night_is_missed_when_it_was_due_and_not_24_hours_later(shop: Shop) -> None:
    shop.backup(1)
    assert shop.look(NOW - 1860)["overdue_seconds"] == 0  # 00:59
    seen = shop.look(NOW + 1800 + 60)
    assert (seen["overdue_seconds"], seen["good_overdue_seconds"]) == (3660, 3660)
    assert seen.note("overdue_seconds") == "newest: 2026-11-22-01-00-02.zip, 2026-11-22 01:00 WIB"
    assert shop.look(NOW + 1860, grace=7200.0)["overdue_seconds"] == 0
    assert shop.look(NOW + 1860, due="", max_age=DAY)["overdue_seconds"] == pytest.approx(NOW + 1860 - (
        datetime(2026, 11, 22, 1, 0, 2, tzinfo=WIB).timestamp()) - DAY)
    assert "overdue_seconds" not in shop.look(NOW + 1860, due="")


def test_names_in_utc_are_understood(shop: Shop) -> None:
    path = shop.backup(0)
    path.rename(shop.folder / "2026-11-22-18-00-02.zip")
    seen = shop.look()
    assert (seen["age_seconds"], seen["overdue_seconds"], seen["ahead_seconds"]) == (1798, 0, 0)


def test_a_broken_one_does_not_count_as_a_good_one(shop: Shop) -> None:
    shop.backup(1)
    assert shop.look(NOW - DAY)["good_overdue_seconds"] == 0
    whole = shop.backup(0).read_bytes()
    shop.backup(0, content=whole[:-500])
    seen = shop.look(NOW + 32 * 3600)
    assert seen["intact"] == 0
    assert seen["overdue_seconds"] == pytest.approx(8.5 * 3600)  # of the next night
    assert seen["good_overdue_seconds"] == pytest.approx(32.5 * 3600)
    assert seen.note("good_overdue_seconds") == "last good one: 2026-11-22 01:00 WIB"


def test_one_that_is_40_percent_smaller_is_told_by_the_median_of_those_before_it(shop: Shop) -> None:
    for day, size in ((4, 100_000), (3, 300), (2, 98_000), (1, 102_000), (0, 60_000)):
        shop.backup(day, size)
    seen = shop.look()
    assert seen["size_ratio"] == pytest.approx(0.6, abs=0.02)
    assert seen.note("size_ratio") == "2026-11-23-01-00-02.zip: 58.9 KiB; the 4 before: about 97 KiB"


def test_sizes_are_remembered_where_each_file_replaces_the_last_one(shop: Shop) -> None:
    for day, size in ((3, 50_000), (2, 52_000), (1, 51_000), (0, 20_000)):
        for old in shop.folder.iterdir():
            old.unlink()
        shop.backup(day, size)
        seen = shop.look(NOW - day * DAY)
        assert ("size_ratio" in seen) == (day < 2)
    assert seen["size_ratio"] == pytest.approx(0.4, abs=0.02)


def test_a_file_that_is_being_written_is_not_judged_yet(shop: Shop) -> None:
    shop.backup(1)
    half = shop.backup(0).read_bytes()[:-700]
    path = shop.backup(0, content=half)
    os.utime(path, (NOW - 5, NOW - 5))
    seen = shop.look()
    assert (seen["intact"], seen["overdue_seconds"]) == (1, 1800)  # those of yesterday's
    assert seen.note("count") == "2026-11-23-01-00-02.zip: being written"
    late = shop.look(NOW + 1800 + 30)
    assert late["intact"] == 0  # nobody wrote it for more than two minutes


def test_a_growing_file_whose_time_is_wrong_is_not_judged_either(shop: Shop) -> None:
    shop.backup(1)
    path = shop.backup(0)
    whole = path.read_bytes()
    for minute, part in enumerate((3, 2)):
        path.write_bytes(whole[: len(whole) // part])
        os.utime(path, (NOW + 4000, NOW + 4000))  # a clock ahead: its time never becomes old
        assert shop.look(NOW + minute * 60)["intact"] == 1
    path.write_bytes(whole)
    os.utime(path, (NOW + 4000, NOW + 4000))
    shop.look(NOW + 120)
    seen = shop.look(NOW + 240)
    assert seen.note("size_bytes") == "2026-11-23-01-00-02.zip"
    assert seen["intact"] == 1
    assert seen["ahead_seconds"] == 3760


def test_a_file_from_the_future_is_told_and_hides_no_missing_one(shop: Shop) -> None:
    shop.backup(1)
    ahead = shop.backup(0, name="2027-11-23-01-00-02.zip")
    os.utime(ahead, (NOW + 365 * DAY, NOW + 365 * DAY))
    shop.look(NOW + 3600)
    seen = shop.look(NOW + 3 * 3600)
    assert seen["ahead_seconds"] > 364 * DAY
    assert seen.note("ahead_seconds").startswith("2027-11-23-01-00-02.zip: ")
    assert seen["overdue_seconds"] == pytest.approx(3.5 * 3600)
    assert seen.note("size_bytes") == "2026-11-22-01-00-02.zip"


def test_a_clock_that_was_wrong_for_a_night_is_forgotten(shop: Shop) -> None:
    for day in (3, 2, 1):
        shop.backup(day)
    path = shop.backup(-400, size=90_000)  # the machine believed that it was 2027
    assert shop.look(NOW + 400 * DAY)["good_overdue_seconds"] == 0
    path.unlink()
    seen = shop.look(NOW + 40 * 3600)
    assert seen["good_overdue_seconds"] == seen["overdue_seconds"] == pytest.approx(40.5 * 3600)
    assert seen["size_ratio"] == 1
    assert len(shop.memory["sets"]["harian"]["sizes"]) == 3


def test_a_clock_that_is_set_back_holds_no_judgement_up(shop: Shop) -> None:
    path = shop.backup(0)
    os.utime(path, (NOW + 9000, NOW + 9000))
    shop.look(NOW + 7200)
    shop.look(NOW)
    assert shop.look(NOW + 180)["intact"] == 1


def test_a_link_out_of_the_folder_is_no_backup_and_is_not_followed(shop: Shop, tmp_path: Path) -> None:
    shop.backup(1)
    elsewhere = tmp_path / "elsewhere.zip"
    elsewhere.write_bytes((shop.folder / "2026-11-22-01-00-02.zip").read_bytes())
    (shop.folder / "2026-11-23-01-00-02.zip").symlink_to(elsewhere)
    (shop.folder / "latest.zip").symlink_to("2026-11-22-01-00-02.zip")  # within: an alias, counted once
    (shop.folder / "gone.zip").symlink_to("nothing.zip")
    os.mkfifo(shop.folder / "pipe.zip")
    seen = shop.look(NOW + 3600)
    assert (seen["outside"], seen["count"], seen["overdue_seconds"]) == (1, 1, 5400)
    assert seen.note("outside") == f"{shop.folder}/2026-11-23-01-00-02.zip"


def test_a_folder_reached_by_a_link_is_the_operators_own_choice(shop: Shop, tmp_path: Path) -> None:
    shop.backup(0)
    (tmp_path / "current").symlink_to(shop.folder)
    seen = shop.look(pattern=f"{tmp_path}/current/*.zip")
    assert (seen["count"], seen["outside"]) == (1, 0)


@pytest.fixture
def nobody() -> Any:
    """This process as somebody else than root, as the agent is."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    os.setegid(65534)
    os.seteuid(65534)
    yield
    os.seteuid(0)
    os.setegid(0)


@pytest.fixture
def closed(shop: Shop, tmp_path: Path) -> Shop:
    """Everybody may come as far as the folder."""
    shop.backup(0)
    for folder in [tmp_path, *tmp_path.parents][:-2]:
        folder.chmod(0o755)
    return shop


def test_what_may_not_be_read_is_unknown_and_the_right_that_is_missing_is_named(closed: Shop,
                                                                              request: Any) -> None:
    os.chown(closed.folder, 33, 33)
    closed.folder.chmod(0o700)
    request.getfixturevalue("nobody")
    seen = closed.look()
    assert seen.readings == {}
    assert seen.troubles == {f"harian: {closed.folder}": (
        f"{closed.folder}: user nobody may not read it (www-data:www-data, mode 0700): chmod g+rx it and give the "
        "service that group (a drop-in with SupplementaryGroups=www-data)")}


def test_a_file_that_may_not_be_read_is_told_although_its_folder_may(closed: Shop, request: Any) -> None:
    path = closed.folder / "2026-11-23-01-00-02.zip"
    os.chown(path, 0, 33)
    path.chmod(0o640)
    request.getfixturevalue("nobody")
    seen = closed.look()
    assert (seen["found"], seen["count"]) == (1, 1)
    assert "intact" not in seen
    assert seen["overdue_seconds"] == 0  # that it is there in time is known
    assert "good_overdue_seconds" not in seen  # whether it is good is not
    assert seen.troubles == {"harian: content": (
        f"{path}: user nobody may not read it (root:www-data, mode 0640): give the service that group (a drop-in with "
        "SupplementaryGroups=www-data)")}


def test_one_set_that_cannot_be_looked_at_does_not_hide_the_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.backup(0)
    listed: Callable[..., files_list.Listing] = files_list.listed

    def dead(pattern: str, zone: ZoneInfo) -> files_list.Listing:
        if pattern.startswith("/mnt/nas"):
            raise OSError(116, "Stale file handle", "/mnt/nas")
        return listed(pattern, zone)

    monkeypatch.setattr(files_list, "listed", dead)
    run = Run(NOW)
    sets = {"nas": FileSet(pattern="/mnt/nas/*.zip"), "harian": FileSet(pattern=f"{shop.folder}/*.zip")}
    readings = list(Files(sets=sets).collect(run))
    assert {dict(reading.labels)["set"] for reading in readings} == {"harian"}
    assert str(run.targets["nas"]) == "/mnt/nas: Stale file handle"
    assert run.targets["harian"] is None


def test_most_files_gone_within_a_day_is_a_surprise_for_two_days(shop: Shop) -> None:
    for day in range(9):
        shop.backup(day)
    assert shop.look()["kept_ratio"] == 1
    for day in range(2, 9):
        next(shop.folder.glob(f"2026-11-{23 - day}-*")).unlink()
    seen = shop.look(NOW + 60)
    assert seen["kept_ratio"] == pytest.approx(2 / 9)
    assert seen.note("kept_ratio") == "2 of 9 files"
    assert shop.look(NOW + 2 * DAY + 7200)["kept_ratio"] == 1


def test_each_byte_is_read_once_and_a_big_file_over_several_runs(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.backup(0, size=6_000_000)
    opened: list[str] = []
    enter = files_verify.Bytes.__enter__

    def counted(self: files_verify.Bytes) -> files_verify.Bytes:
        opened.append("")
        return enter(self)

    monkeypatch.setattr(files_verify.Bytes, "__enter__", counted)
    monkeypatch.setattr(files, "_LEAST", 0.002)
    shares: list[float] = []
    while not shares or shares[-1] < 1:
        seen = shop.look(read_seconds=0.0005)
        shares.append(seen["read_ratio"])
        assert ("intact" in seen) == (shares[-1] == 1)
        assert len(shares) < 500
    assert shares == sorted(shares)
    assert 2 < len(shares) == len(opened)
    again = shop.look()
    restarted = Shop(shop.folder, shop.memory)  # the verdict is remembered, not the file read anew
    files_verify._under_way.clear()
    assert restarted.look()["intact"] == again["intact"] == 1
    assert len(opened) == len(shares)
    os.utime(shop.folder / "2026-11-23-01-00-02.zip", (NOW - 900, NOW - 900))  # something happened to it
    assert shop.look()["intact"] == 1
    assert len(opened) == len(shares) + 1


def test_reading_gives_way_to_everybody_else(shop: Shop) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    shop.backup(0)
    assert shop.look()["intact"] == 1
    assert os.getpriority(os.PRIO_PROCESS, 0) == before  # only the thread that read was made nice
    [file] = files_list.listed(f"{shop.folder}/*.zip", WIB).files
    endless = files_verify._Work([], Wanted(), files_verify.Bytes(file), repeat(0))  # type: ignore[arg-type]
    used, began = time.thread_time(), time.monotonic()
    files_verify._advance(endless, 0.4)
    assert time.thread_time() - used < 0.4 * files_verify.SHARE * 1.4
    assert time.monotonic() - began < 2


def test_where_a_service_may_not_be_nice_it_reads_all_the_same(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under the shipped unit: SystemCallFilter=~@resources answers EPERM."""
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    shop.backup(0)
    monkeypatch.setattr(os, "setpriority", forbidden)
    assert shop.look()["intact"] == 1


def test_nothing_changes_in_the_memory_while_nothing_happens(shop: Shop) -> None:
    for day in range(30):
        shop.backup(day)
    shop.look()
    kept = msgspec.json.encode(shop.memory)
    shop.look(NOW + 60)
    assert msgspec.json.encode(shop.memory) == kept
    assert len(kept) < 2000
    shop.look(pattern="/other/*.zip")
    assert "sizes" not in shop.memory["sets"]["harian"]  # another pattern is another story


def test_an_encrypted_archive_is_told_from_an_open_one(shop: Shop) -> None:
    shop.backup(0, content=(DATA / "spatie-aes.zip").read_bytes())
    password = Secret("test", lambda: "rahasia")
    seen = shop.look(encrypted=True, password=password)
    assert (seen["intact"], seen["encrypted"], seen["encryption_missing"], seen["content_hidden"]) == (1, 1, 0, 1)
    assert "dump_complete" not in seen
    assert seen.troubles == {}
    wrong = shop.look(encrypted=True, password=Secret("test", lambda: "salah"))
    assert wrong["intact"] == 0
    assert "db-dumps/mysql-koperasi.sql does not open with the password" in wrong.note("intact")
    assert shop.look(encrypted=True, password=password)["intact"] == 1  # asked anew, for the file is the same
    assert list(shop.look().troubles) == ["harian: content"]  # nobody said that it would be
    shop.backup(0)
    assert shop.look(encrypted=True)["encryption_missing"] == 1


def test_a_dump_of_unknown_kind_is_a_target_that_failed(shop: Shop) -> None:
    shop.backup(0, name="a.sql", content=b"CREATE TABLE a (b int);\n-- selesai\n")
    seen = shop.look(pattern=f"{shop.folder}/*.sql")
    assert seen.troubles == {"harian: content": "a.sql: is no dump of a kind that Jaga knows: write its last line as "
                                                "ends_with"}
    assert shop.look(pattern=f"{shop.folder}/*.sql", ends_with="-- selesai")["dump_complete"] == 1


def test_a_wrong_kind_of_file_has_no_content_to_judge(shop: Shop) -> None:
    shop.backup(0, name="disk.img", content=b"x" * 99)
    seen = shop.look(pattern=f"{shop.folder}/*.img")
    assert (seen["size_bytes"], seen["good_overdue_seconds"]) == (99, 0)
    assert "intact" not in seen


def test_what_a_crash_left_is_told_by_its_age(shop: Shop, tmp_path: Path) -> None:
    shop.backup(0)
    temp = tmp_path / "backup-temp"
    assert shop.look(temp=str(temp))["leftover_age_seconds"] == 0
    (temp / "temp").mkdir(parents=True)
    (temp / ".gitignore").write_text("*")
    (temp / "temp" / "2026-11-20-01-00-02.zip").write_bytes(b"x" * 3_000_000)
    os.utime(temp / "temp" / "2026-11-20-01-00-02.zip", (NOW - 3 * DAY, NOW - 3 * DAY))
    seen = shop.look(temp=str(temp))
    assert seen["leftover_age_seconds"] == 3 * DAY
    assert seen.note("leftover_age_seconds") == f"{temp}: 1 files, 2.86 MiB"


def test_a_file_that_vanishes_while_it_is_looked_at_is_no_fault_of_the_others(shop: Shop,
                                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    shop.backup(0)
    enter = files_verify.Bytes.__enter__

    def late(self: files_verify.Bytes) -> files_verify.Bytes:
        (shop.folder / "2026-11-23-01-00-02.zip").unlink(missing_ok=True)
        return enter(self)

    monkeypatch.setattr(files_verify.Bytes, "__enter__", late)
    seen = shop.look()
    assert seen["count"] == 1
    assert "No such file" in seen.troubles["harian: content"]


def test_what_took_a_files_place_since_it_was_listed_is_not_read(shop: Shop) -> None:
    path = shop.backup(0)
    [file] = files_list.listed(str(path), WIB).files
    path.write_bytes(b"other")
    with pytest.raises(FileNotFoundError, match="changed since it was listed"), files_verify.Bytes(file):
        pass
    path.unlink()
    path.symlink_to("/etc/shadow")
    with pytest.raises(OSError, match="symbolic links"), files_verify.Bytes(file):
        pass
    path.unlink()
    os.mkfifo(path)  # opening it must not wait for a writer
    with pytest.raises(FileNotFoundError), files_verify.Bytes(file):
        pass


def test_a_dying_disk_is_a_broken_backup(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.backup(0, size=600_000)
    pread = os.pread

    def failing(fd: int, length: int, offset: int) -> bytes:
        if offset > 200_000 and length > 1000 and offset < 500_000:
            raise OSError(5, "Input/output error")
        return pread(fd, length, offset)

    monkeypatch.setattr(os, "pread", failing)
    seen = shop.look()
    assert seen["intact"] == 0
    assert "cannot be read at byte" in seen.note("intact")
    assert "is the disk dying?" in seen.note("intact")


def test_laravels_backups_are_found_and_what_is_written_is_right(tmp_path: Path) -> None:
    assert files_find.discovered(str(tmp_path)) is None
    app = tmp_path / "koperasi/storage/app"
    (app / "Koperasi Kita").mkdir(parents=True)
    for day in (20, 21, 22):
        (app / "Koperasi Kita" / f"2026-11-{day}-01-00-0{day % 10}.zip").touch()
    (app / "backups").mkdir()
    (app / "backups" / "backup_koperasi_2026-11-20_14-03-09.sql").touch()
    (app / "public").mkdir()
    (app / "public" / "foto.zip").touch()
    private = tmp_path / "toko.baru/storage/app/private/Laravel"
    private.mkdir(parents=True)
    for name in ("2026-11-21-03-00-00.zip", "2026-11-22-15-30-00.zip"):
        (private / name).touch()
    found = tomllib.loads(str(files_find.discovered(str(tmp_path))))["collectors"]["files"]["sets"]
    assert found == {
        "koperasi": {"pattern": f"{app}/Koperasi Kita/*.zip", "due": "01:00", "temp": f"{app}/backup-temp"},
        "koperasi-sql": {"pattern": f"{app}/backups/*.sql"},
        "toko.baru": {"pattern": f"{private}/*.zip", "max_age": "26h",
                      "temp": f"{tmp_path}/toko.baru/storage/app/backup-temp"}}
    assert Files(sets={name: FileSet(pattern=options["pattern"]) for name, options in found.items()})


def test_a_name_in_bytes_that_are_no_text_disturbs_nothing(shop: Shop) -> None:
    path = shop.backup(0)
    odd = os.path.join(os.fsencode(shop.folder), b"2026-11-23-01-00-02-\xff.zip")
    os.rename(path, odd)
    assert shop.look()["intact"] == 1
    os.utime(odd, (NOW, NOW))
    shop.look()
    assert "being written" in shop.look().note("count")
    msgspec.json.encode(shop.memory)


def test_a_small_file_does_not_wait_until_a_big_one_was_read(shop: Shop) -> None:
    shop.backup(0, size=150_000_000)
    small = shop.backup(1, size=100, name="kecil-2026-11-22-01-00-02.sql", content=SQL % b"")
    sets = {"besar": FileSet(pattern=f"{shop.folder}/*.zip"), "kecil": FileSet(pattern=str(small))}
    run = Run(NOW)
    shares = {dict(r.labels)["set"]: r.value for r in Files(sets=sets, read_seconds=0.001).collect(run)
              if r.metric == "jaga_file_read_ratio"}
    assert shares["besar"] < 1
    assert shares["kecil"] == 1


def test_a_folder_of_too_many_files_is_refused_and_not_listed_for_ever(monkeypatch: pytest.MonkeyPatch,
                                                                     shop: Shop) -> None:
    monkeypatch.setattr(files_list, "_ENTRIES", 3)
    for day in range(5):
        shop.backup(day)
    assert shop.look().troubles == {"harian": f"{shop.folder}/*.zip: more than 3 files: name them more closely"}


def test_each_rule_judges_a_metric_of_the_collector_in_both_languages() -> None:
    with RULES.open("rb") as file:
        rules = tomllib.load(file)
    for name, rule in rules.items():
        assert name.startswith(("backup_", "file_"))
        assert rule["metric"] in METRICS
        for text in ("summary", "first", "lay", "fix"):
            assert msgspec.convert(rule[text], Words)


def test_a_look_at_a_hundred_backups_costs_little(shop: Shop) -> None:
    for day in range(100):
        shop.backup(day, size=1000)
    shop.look()
    began = time.thread_time()
    shop.look()
    assert time.thread_time() - began < 0.1
