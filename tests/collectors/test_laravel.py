"""The application's log as the collector tells it: what is new, how much, where it is blind."""

import os
import pwd
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import laravel_journal, laravel_kinds
from collectors.base import Reading, Run
from collectors.following import CHUNK, follow
from collectors.laravel import Laravel
from collectors.laravel_kinds import GROUP, MOST, NAMED, NAMED_AT_ONCE, Kinds, recall
from collectors.laravel_log import Problem
from somebody import NOBODY, WWW_DATA, needs_root, open_folder, somebody

ME = pwd.getpwuid(os.geteuid()).pw_name
DAY = 86400.0


# --- what is remembered of kinds: no files, no clock -----------------------------------------------------------------


def kind(key: str, at: float, count: int = 1, level: str = "ERROR", example: str = "") -> Problem:
    thrown = "" if key.startswith("message") else key.partition(" ")[0]
    return Problem(key, level, thrown, key.partition(" ")[2], example or f"words of {key}", count, at, at)


class Story:
    """Minute by minute: what came, and what is new then."""

    def __init__(self, *known: Problem) -> None:
        self.kinds = Kinds()
        self._look(0.0, known)

    def look(self, minute: float, *problems: Problem) -> tuple[list[str], int, list[str]]:
        """The kinds that are new and named, how many more are, and those that are new no more."""
        ended = self._look(minute * 60, problems)
        self.kinds = recall(self.kinds.plain())  # as a restart would leave it
        fresh = {key: kind for key, kind in self.kinds.kinds.items() if kind.fresh}
        named = [key for key, kind in fresh.items() if kind.named]
        return named, len(fresh) - len(named), ended

    def _look(self, now: float, problems: Sequence[Problem]) -> list[str]:
        self.kinds.learn(problems, now, 30 * DAY)
        self.kinds.at = now
        ended = self.kinds.settle(now, 3600.0)
        self.kinds.prune(now, 3600.0)
        return ended


def test_what_the_first_look_finds_is_known_and_not_new() -> None:
    story = Story(kind("E app/a.php:1", -DAY))
    assert story.look(1, kind("E app/a.php:1", 60)) == ([], 0, [])


def test_a_new_kind_is_named_until_it_was_quiet_for_an_hour() -> None:
    story = Story()
    assert story.look(1, kind("E app/a.php:1", 60)) == (["E app/a.php:1"], 0, [])
    assert story.look(50, kind("E app/a.php:1", 3000)) == (["E app/a.php:1"], 0, [])
    assert story.look(110) == (["E app/a.php:1"], 0, [])
    assert story.look(111) == ([], 0, ["E app/a.php:1"])
    assert story.look(112) == ([], 0, [])
    assert story.look(113, kind("E app/a.php:1", 6780)) == ([], 0, [])  # it is known by now


@pytest.mark.parametrize(("days", "new"), [(29, False), (31, True)])
def test_a_kind_is_new_again_after_a_month_and_not_each_month(days: int, new: bool) -> None:
    story = Story(kind("E app/a.php:1", 0.0))
    named, _, _ = story.look(days * 1440, kind("E app/a.php:1", days * DAY))
    assert named == (["E app/a.php:1"] if new else [])


def test_an_error_that_a_deploy_moved_to_another_line_is_no_news() -> None:
    story = Story(kind("E app/a.php:1", 0.0, example="saldo kurang"), kind("E app/a.php:9", 0.0, example="lain"))
    assert story.look(1, kind("E app/a.php:7", 60, example="saldo kurang")) == ([], 0, [])
    assert sorted(story.kinds.kinds) == ["E app/a.php:7", "E app/a.php:9"]
    assert story.kinds.kinds["E app/a.php:7"].count == 2
    # another class, another file, other words: each is news
    for minute, other in enumerate((kind("F app/a.php:8", 120, example="saldo kurang"),
                                    kind("E app/b.php:7", 120, example="saldo kurang"),
                                    kind("E app/a.php:8", 120, example="nomor salah")), 2):
        assert other.key in story.look(minute, other)[0]


def test_forty_new_kinds_at_once_are_one_group_and_who_follows_joins_it() -> None:
    story = Story()
    crowd = [kind(f"E app/a.php:{line}", 60, example=f"salah {chr(65 + line % 26) * (1 + line // 26)}")
             for line in range(40)]
    assert story.look(1, *crowd) == ([], 40, [])
    assert story.look(2, kind("F app/b.php:1", 120)) == ([], 41, [])
    assert story.look(61.5) == ([], 1, [])  # the forty were quiet for an hour
    assert story.look(63) == ([], 0, [])


def test_only_so_many_are_named_at_a_time() -> None:
    story = Story()
    named: list[str] = []
    for minute in range(1, 10):
        named, group, _ = story.look(minute, kind(f"E app/f{chr(96 + minute)}.php:1", minute * 60))
    assert (len(named), group) == (NAMED, 9 - NAMED)
    few = [kind(f"E app/{name}.php:1", 60) for name in "abcd"]
    assert len(Story().look(1, *few[:NAMED_AT_ONCE])[0]) == NAMED_AT_ONCE
    story = Story()
    assert story.look(1, *few) == ([], 4, [])
    assert story.look(2, kind("E app/z.php:1", 120)) == ([], 5, [])


def test_what_a_dead_service_makes_the_application_say_is_no_news_here() -> None:
    story = Story()
    gone = "SQLSTATE[HY000] [2002] Connection refused (SQL: select * from `users` where `id` = ?)"
    assert story.look(1, kind("QueryException app/a.php:1", 60, example=gone)) == ([], 0, [])
    missing = "SQLSTATE[42S02]: Base table or view not found"
    assert story.look(2, kind("QueryException app/a.php:2", 120, example=missing))[0] == ["QueryException app/a.php:2"]


@pytest.mark.parametrize(("words", "new"), [
    ("Connection refused [tcp://127.0.0.1:6379]", False),  # predis; phpredis says the first two words alone
    ("cURL error 7: Failed to connect to api.fonnte.com port 443: Connection refused", True),
    ('Connection could not be established with host "***": stream_socket_client(): Unable to connect to '
     "ssl://smtp.gmail.com:465 (Connection refused)", True),
])
def test_a_mail_server_or_gateway_that_refuses_is_news_for_nobody_else_watches_it(words: str, new: bool) -> None:
    found = Story().look(1, kind("E app/a.php:1", 60, example=words))
    assert found == (["E app/a.php:1"] if new else [], 0, [])


def test_a_severe_kind_is_told_as_severe_and_not_as_new() -> None:
    assert Story().look(1, kind("message 0a", 60, level="EMERGENCY")) == ([], 0, [])


def test_memory_is_bounded_and_a_flood_washes_nothing_away_that_is_known() -> None:
    known = [kind(f"E app/known{number}.php:1", number, example="k" * 500) for number in range(MOST - GROUP)]
    story = Story(*known)
    for minute in range(1, 30):
        story.look(minute, *(kind(f"message {minute:04x}{number:04x}", minute * 60, example="x" * 500)
                             for number in range(500)))
    kept = story.kinds.kinds
    assert len(kept) <= MOST
    assert {each.key for each in known} <= set(kept)
    assert len(repr(story.kinds.plain())) < 80_000


def test_memory_is_bounded_while_one_of_two_logs_cannot_be_read(root: Path) -> None:
    looks = Looks(root, log=("storage/logs/laravel*.log", "nowhere/x.log"))
    letters = ["".join(chr(97 + number // 26**place % 26) for place in range(3)) for number in range(2 * MOST)]
    for minute in range(6):
        words = letters[minute * MOST // 3:][:MOST // 3]
        looks.write(*(("ERROR", word) for word in words), minute=minute - 0.5)
        assert looks.look(minute).get("log_readable") is None
    assert len(recall(looks.memory["log"]["kinds"]).kinds) == MOST  # type: ignore[index]


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.lists(st.tuples(
    st.sampled_from(["E a.php:1", "E a.php:2", "F a.php:1", "message 1"]), st.none() | st.floats(-1e9, 3e9),
    st.integers(1, 10**6), st.sampled_from(["ERROR", "EMERGENCY"])), max_size=4)), max_size=12))
@settings(max_examples=100)
def test_whatever_the_stamps_say_memory_holds_and_stays_sane(
        looks: list[tuple[float, list[tuple[str, float | None, int, str]]]]) -> None:
    kinds, latest = Kinds(), float("-inf")
    for now, found in looks:
        problems = [Problem(key, level, "E" if "php" in key else "", "", "w", count, at, at)
                    for key, at, count, level in {each[0]: each for each in found}.values()]
        kinds.learn(problems, now, 30 * DAY)
        kinds.count(laravel_kinds.Look(now, sum(each.count for each in problems)), 3600.0)
        kinds.at = now
        kinds.settle(now, 3600.0)
        kinds.prune(now, 3600.0)
        assert recall(kinds.plain()) == kinds
        latest = max(latest, now)
        assert all(each.last <= latest for each in kinds.kinds.values())
        assert 0 <= kinds.lately(now, 300.0).errors <= kinds.lately(now, 3600.0).errors


def test_a_memory_of_another_version_begins_anew() -> None:
    assert recall({"kinds": {"E a.php:1": {"first": "kemarin"}}}) == Kinds()
    assert recall(None) == Kinds()


# --- on files of Laravel's format ------------------------------------------------------------------------------------


@pytest.fixture
def root() -> Iterator[Path]:
    """An application's folders, without an application."""
    with open_folder() as folder:
        path = folder / "koperasi"
        for each in ("storage/logs", "storage/framework", "public"):
            (path / each).mkdir(parents=True)
        (path / "artisan").touch()
        yield path


class Looks:
    """One collector, look by look; its memory is as committed. `minute` is added to the real time."""

    def __init__(self, root: Path, **options: object) -> None:
        self.collector = Laravel(path=str(root), env="", user=ME, **options)  # type: ignore[arg-type]
        self.log = root / "storage/logs/laravel.log"
        self.memory: dict[str, object] = {}
        self.began = time.time()

    def write(self, *entries: tuple[str, str], minute: float = 0.0, zone: float = 0.0, log: str = "") -> None:
        """Append (level, message), stamped with that minute's time in the zone that is `zone` hours from UTC."""
        stamp = datetime.fromtimestamp(self.began + minute * 60, UTC) + timedelta(hours=zone)
        path = self.log.with_name(log) if log else self.log
        with path.open("a") as file:
            file.writelines(f"[{stamp:%Y-%m-%d %H:%M:%S}] production.{level}: {said}  \n" for level, said in entries)
        os.utime(path, (self.began + minute * 60,) * 2)

    def look(self, minute: float) -> dict[str, float]:
        """Readings of the log by metric and label, without what is 0."""
        self.run = Run(self.began + minute * 60, self.memory)
        self.readings = list(self.collector.collect(self.run))
        assert self.run.targets["log"] is None
        self.memory = self.run.memory
        return {_short(each): each.value for each in self.readings if each.value and "_timestamp_" not in each.metric
                and each.metric.startswith(("jaga_app_log_", "jaga_app_error"))}

    def note(self, metric: str) -> str:
        return next(each.note for each in self.readings if each.metric == metric)


def _short(reading: Reading) -> str:
    return " ".join([reading.metric.removeprefix("jaga_app_"), *(value for _, value in reading.labels)])


def test_without_memory_the_first_look_tells_of_today(root: Path) -> None:
    looks = Looks(root)
    looks.write(("ERROR", "lama sekali"), minute=-3 * 1440)
    looks.write(("ERROR", "tadi pagi"), ("INFO", "struk"), minute=-600)
    looks.write(("CRITICAL", "genting"), minute=-30)
    looks.write(("ERROR", "baru saja"), ("ERROR", "baru saja"), minute=-2)
    assert looks.look(0) == {
        "log_readable": 1, "log_entries_total INFO": 1, "log_entries_total ERROR": 3, "log_entries_total CRITICAL": 1,
        "errors_recent": 2, "errors_severe": 1, "errors_day": 4,
        **{f"error_entries_total {key}": kind["count"] for key, kind in looks.memory["log"]["kinds"]["kinds"].items()  # type: ignore[index]
           if kind["last"] > looks.began - DAY}}
    assert len(looks.memory["log"]["kinds"]["kinds"]) == 4  # type: ignore[index]
    assert looks.note("jaga_app_errors_recent") == "2× baru saja"
    assert looks.note("jaga_app_errors_severe") == "CRITICAL ×1: genting"


def test_one_benign_line_is_nothing(root: Path) -> None:
    looks = Looks(root, ignore=("*cuaca*", r"App\Exceptions\Harmless"))
    looks.look(0)
    thrown = '"[object] (App\\\\Exceptions\\\\Harmless(code: 0): x at /srv/app/X.php:3)\n[stacktrace]\n#0 {main}\n"'
    looks.write(("WARNING", "lambat"), ("ERROR", "ramalan cuaca hilang"), ("ERROR", f'x {{"exception":{thrown}}}'))
    assert looks.look(1) == {"log_readable": 1, "log_entries_total WARNING": 1, "log_entries_total ERROR": 2}


def test_what_was_written_a_moment_before_the_first_look_is_known_too(root: Path) -> None:
    looks = Looks(root)
    looks.write(("ERROR", "tadi"), ("ERROR", "baru saja"))
    assert looks.look(0)["errors_day"] == 2
    assert not any(name.startswith("error_new") for name in looks.look(1))


def test_a_log_that_is_added_later_brings_no_news_of_what_it_held(root: Path) -> None:
    looks = Looks(root)
    looks.look(0)
    looks.write(*[("ERROR", "lama")] * 50, minute=-90, log="bayar.log")
    looks.collector = Laravel(path=str(root), env="", user=ME,
                              log=("storage/logs/laravel*.log", "storage/logs/bayar.log"))
    said = looks.look(1)
    assert (said["errors_day"], "errors_recent" in said) == (50, False)
    assert not any(name.startswith(("error_new", "error_kinds_new")) for name in said)
    looks.write(("ERROR", "baru"), minute=1.5, log="bayar.log")
    assert [name[:9] for name in looks.look(2) if name.startswith("error_new")] == ["error_new"]


def test_errors_are_counted_while_they_are_recent(root: Path) -> None:
    looks = Looks(root)
    looks.look(0)
    looks.write(*[("ERROR", "gagal cetak")] * 30, minute=0.5)
    assert looks.look(1)["errors_recent"] == 30
    looks.write(*[("ERROR", "gagal cetak")] * 5, minute=3)
    assert looks.look(3.1)["errors_recent"] == 35
    assert looks.look(5.9)["errors_recent"] == 35
    assert looks.look(6.05)["errors_recent"] == 5
    after = looks.look(9)
    assert ("errors_recent" in after, after["errors_day"]) == (False, 35)


def test_what_was_written_while_we_were_dead_is_no_burst_unless_it_was_just_now(root: Path) -> None:
    looks = Looks(root)
    looks.look(-180)
    for minute in range(-170, 0, 2):
        looks.write(("ERROR", "gagal cetak"), minute=minute)
    said = looks.look(0)
    assert (said["errors_recent"], said["errors_day"], said["log_entries_total ERROR"]) == (2, 85, 85)
    assert said["error_new " + next(iter(looks.memory["log"]["kinds"]["kinds"]))] == 1  # type: ignore[index]


def test_each_entry_counts_once_whatever_is_killed(root: Path) -> None:
    """A look whose memory was not committed is looked again, and counts the same."""
    looks = Looks(root)
    looks.look(0)
    looks.write(*[("ERROR", "gagal cetak")] * 7)
    before = dict(looks.memory)
    once = looks.look(1)
    looks.memory = before  # kill -9 before the commit
    assert looks.look(1) == once
    assert looks.look(2)["log_entries_total ERROR"] == 7


def test_a_forged_entry_is_one_incident_at_most_and_names_nobody(root: Path) -> None:
    """A thousand entries in one message: new kinds are a group, names are cut and printable, nothing is done."""
    looks = Looks(root)
    looks.look(0)
    # not whole half-hours ago, or it would look as another zone does
    ago = f"{datetime.now(UTC) - timedelta(hours=10, minutes=17):%Y-%m-%d %H:%M:%S}"
    forged = "\n".join(f"[{ago}] production.EMERGENCY: hapus {chr(97 + n % 26) * (n // 26 + 1)} "
                       f'{{"exception":"[object] (Jahat{n}(code: 0): x at /{"y" * 300}\x1b[31m{n}.php:1)'
                       for n in range(1000))
    looks.write(("ERROR", f"nama tidak sah: budi\n{forged}"))
    said = looks.look(1)
    assert len(looks.readings) < 80
    assert all(len(value) <= 120 and value.isprintable() for each in looks.readings for _, value in each.labels)
    assert sum(name.startswith("error_new ") for name in said) <= NAMED
    assert len(repr(looks.memory)) < 100_000
    # a stamp years ahead moves no clock of ours
    looks.write(("ERROR", "[2031-01-01 00:00:00] production.ERROR: x\n[2031-01-01 00:00:00] production.ALERT: y"))
    assert "log_skew_seconds" not in looks.look(2) or looks.look(3)["log_skew_seconds"] < 900


@pytest.mark.parametrize(("ours", "theirs", "hours", "note"), [
    ("UTC", 7, 7, 'app_timezone = "UTC", log: UTC+07:00 = "Asia/Jakarta"'),
    ("Asia/Jakarta", 0, 7, 'app_timezone = "Asia/Jakarta", log: UTC+00:00 = "UTC"'),
    ("Asia/Jakarta", 9, 2, 'app_timezone = "Asia/Jakarta", log: UTC+09:00 = "Asia/Jayapura"'),
    ("UTC", -3.5, 3.5, 'app_timezone = "UTC", log: UTC-03:30'),
    ("Asia/Jakarta", 7, 0, ""),
])
def test_a_wrong_zone_is_known_at_the_first_look(root: Path, ours: str, theirs: float, hours: float, note: str) -> None:
    looks = Looks(root, app_timezone=ours)
    looks.write(("INFO", "struk"), minute=-10, zone=theirs)
    assert looks.look(0).get("log_skew_seconds", 0.0) == hours * 3600
    assert looks.note("jaga_app_log_skew_seconds") == note
    looks.write(("INFO", "struk"), minute=1, zone={"UTC": 0, "Asia/Jakarta": 7}[ours])
    assert "log_skew_seconds" not in looks.look(2)  # mended, and known with the next entry


def test_days_come_and_go(root: Path) -> None:
    looks = Looks(root)
    looks.write(("ERROR", "kemarin"), minute=-1, log="laravel-2026-11-21.log")
    looks.look(0)
    looks.write(("ERROR", "kemarin"), minute=1, log="laravel-2026-11-21.log")
    looks.write(("ERROR", "hari baru"), minute=1, log="laravel-2026-11-22.log")
    assert looks.look(2)["log_entries_total ERROR"] == 3


@pytest.mark.parametrize("aside", ["laravel.log.1", "laravel.log-20261122", "laravel-20261122.log"])
def test_an_entry_counts_once_whatever_logrotate_calls_the_old_file(root: Path, aside: str) -> None:
    looks = Looks(root)
    looks.write(("ERROR", "satu"), minute=-1)
    looks.look(0)
    looks.write(("ERROR", "dua"), minute=1)
    looks.log.rename(looks.log.with_name(aside))
    looks.write(("ERROR", "tiga"), minute=2)
    assert looks.look(3)["log_entries_total ERROR"] == 3
    assert "log_lost_total" not in looks.look(4)


@pytest.mark.parametrize("left", [[], ["worker.log"], ["laravel.log.1"], ["laravel.log-20261121.gz"]])
def test_a_log_that_is_not_there_is_told_unless_it_was_only_rotated(root: Path, left: list[str]) -> None:
    for name in left:
        (root / "storage/logs" / name).touch()
    looks = Looks(root)
    readable = looks.look(0).get("log_readable", 0)
    assert readable == (left[:1] != ["worker.log"] and left != [])
    assert looks.note("jaga_app_log_readable") == ("" if readable else (
        f"{root}: tidak ada / there is no storage/logs/laravel*.log"))
    # a file that appears later is read from its beginning, and what it says is new
    looks.write(("ERROR", "pertama"), minute=1)
    said = looks.look(2)
    assert (said["log_readable"], said["errors_recent"]) == (1, 1)


def test_a_log_in_another_format_is_told_for_silence_is_not_health(root: Path) -> None:
    looks = Looks(root)
    looks.log.write_text('{"message":"gagal","level":400,"level_name":"ERROR","channel":"production"}\n' * 3)
    said = looks.look(1)
    assert {name for name in said if name.startswith("error")} == set()
    assert "log_readable" not in said
    assert "JsonFormatter" in looks.note("jaga_app_log_readable")
    assert "log_readable" not in looks.look(2)  # nothing new: still so
    looks.write(("INFO", "struk"), minute=3)
    assert looks.look(4)["log_readable"] == 1


@needs_root
def test_a_log_that_may_not_be_read_is_told_and_what_it_held_is_no_news_later(root: Path) -> None:
    looks = Looks(root)
    looks.write(*[("ERROR", "gagal cetak")] * 50, minute=-20)
    looks.write(("ERROR", "lain"), minute=-20, log="laravel-2026-10-01.log")  # an old one that is closed is no trouble
    os.utime(looks.log.with_name("laravel-2026-10-01.log"), (looks.began - 30 * DAY,) * 2)
    for path in looks.log.parent.iterdir():
        os.chown(path, WWW_DATA, WWW_DATA)
        path.chmod(0o640)
    with somebody():
        said = looks.look(0)
        assert {name for name in said if "error" in name} == set()  # unknown is not zero
        assert "log_readable" not in said
        assert looks.note("jaga_app_log_readable") == (
            f"{looks.log}: nobody may not read it: {looks.log} belongs to www-data:www-data, mode 0640. "
            "Mend: `usermod -aG www-data nobody` and restart Jaga")
    os.chown(looks.log, NOBODY, NOBODY)
    with somebody():
        said = looks.look(5)
        assert (said["log_readable"], said["errors_day"]) == (1, 50)
        assert not any(name.startswith(("error_new", "error_kinds_new", "errors_recent")) for name in said)


@needs_root
def test_while_one_log_may_not_be_read_what_is_new_in_the_others_is_told_and_nothing_is_over(root: Path) -> None:
    looks = Looks(root, log=("storage/logs/laravel.log", "storage/logs/worker.log"))
    looks.write(("INFO", "struk"), minute=-20)
    looks.write(("INFO", "mulai"), minute=-20, log="worker.log")
    for path in looks.log.parent.iterdir():
        path.chmod(0o644)
    with somebody():
        looks.look(0)
    looks.log.with_name("worker.log").chmod(0)
    looks.write(("ERROR", "gagal cetak"), ("ALERT", "disk penuh"), minute=1)
    for minute in (2, 100):
        with somebody():
            said = looks.look(minute)
        kinds = {name.partition(" ")[0] for name in said if name.startswith("error")}
        assert kinds == ({"error_new", "errors_severe"} if minute == 2 else set())
        assert "log_readable" not in said
        # unknown is not zero: an hour of silence in one log ends nothing while the other is closed
        assert not [each for each in looks.readings if each.metric.startswith("jaga_app_error") and not each.value]
    looks.log.with_name("worker.log").chmod(0o644)
    with somebody():
        said = looks.look(101)
    assert said["log_readable"] == 1
    assert not any(name.startswith(("error_new", "errors_severe")) for name in said)


@needs_root
def test_a_file_that_opens_later_is_no_burst_of_long_ago(root: Path) -> None:
    looks = Looks(root)
    looks.write(("INFO", "struk"), minute=-200)
    looks.log.chmod(0o644)
    with somebody():
        assert looks.look(-100)["log_readable"] == 1
    looks.write(*[("ERROR", "gagal cetak")] * 50, minute=-90, log="laravel-2026-11-22.log")
    looks.log.with_name("laravel-2026-11-22.log").chmod(0)
    with somebody():
        assert "log_readable" not in looks.look(-1)
    looks.log.with_name("laravel-2026-11-22.log").chmod(0o644)
    with somebody():
        said = looks.look(0)
    assert (said["errors_day"], "errors_recent" in said) == (50, False)


@needs_root
def test_a_kind_that_fell_quiet_while_the_log_was_closed_is_over_when_it_opens(root: Path) -> None:
    looks = Looks(root)
    looks.look(0)
    looks.write(("ERROR", "gagal cetak"), minute=0.5)
    looks.log.chmod(0o644)
    with somebody():
        assert any(name.startswith("error_new") for name in looks.look(1))
    looks.write(("INFO", "struk"), minute=30)
    looks.log.chmod(0)
    with somebody():
        looks.look(90)
        assert not any(each.metric == "jaga_app_error_new" for each in looks.readings)
    looks.log.chmod(0o644)
    with somebody():
        looks.look(91)
        assert [each.value for each in looks.readings if each.metric == "jaga_app_error_new"] == [0]
        looks.look(92)
        assert [each.value for each in looks.readings if each.metric == "jaga_app_error_new"] == []


def test_a_log_that_was_rotated_away_unread_is_counted(root: Path) -> None:
    looks = Looks(root)
    looks.write(("INFO", "struk"), minute=-1)
    looks.look(0)
    looks.write(*[("ERROR", "gagal")] * 9, minute=1)
    looks.log.unlink()
    looks.write(("INFO", "struk"), minute=2)
    assert looks.look(3)["log_lost_total"] == 1
    assert looks.look(4)["log_lost_total"] == 1


def test_what_one_look_cannot_take_is_said_until_it_is_taken(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laravel_journal, "follow", partial(follow, limit=1))  # one piece of 256 KiB in each look
    looks = Looks(root)
    looks.write(*[("ERROR", "gagal cetak")] * 10_000, minute=-1)
    size = looks.log.stat().st_size
    left = [looks.look(minute).get("log_behind_bytes", 0.0) for minute in range(4)]
    assert left == [pytest.approx(size - CHUNK, abs=100), pytest.approx(size - 2 * CHUNK, abs=200), 0.0, 0.0]
    assert looks.look(4)["log_entries_total ERROR"] == 10_000


@pytest.mark.parametrize("watched_before", [False, True])
def test_what_takes_several_looks_to_read_is_no_burst_of_long_ago(
        root: Path, monkeypatch: pytest.MonkeyPatch, watched_before: bool) -> None:
    """A large log at the first look, or after a day off."""
    monkeypatch.setattr(laravel_journal, "follow", partial(follow, limit=1))
    looks = Looks(root)
    if watched_before:
        looks.write(("INFO", "struk"), minute=-700)
        looks.look(-690)
    for number in range(4):
        looks.write(*[("ERROR", f"gagal cetak {'abcd'[number] * 3}")] * 2500, minute=-600 + number)
    looks.write(*[("ERROR", "baru saja")] * 3, minute=2)
    said = [looks.look(minute) for minute in range(5)]
    assert [each.get("errors_recent", 0.0) for each in said] == [0.0, 0.0, 3.0, 3.0, 3.0]
    assert said[-1]["log_entries_total ERROR"] == said[-1]["errors_day"] == 10_003
    assert any(name.startswith("error_new") or name == "error_kinds_new"
               for each in said for name in each) is watched_before


@pytest.mark.parametrize("pattern", ["SQLSTATE[23000]*", "SQLSTATE[?????]: Integrity*", "message 9db14cea"])
def test_what_is_ignored_may_be_copied_out_of_a_message(root: Path, pattern: str) -> None:
    looks = Looks(root, ignore=(pattern,))
    looks.look(0)
    looks.write(("ERROR", "SQLSTATE[23000]: Integrity constraint violation"), minute=0.5)
    assert {name for name in looks.look(1) if name.startswith("error")} == set()
    looks.write(("ERROR", "SQLSTATE[42S02]: Base table or view not found"), minute=1.5)
    assert looks.look(2)["errors_recent"] == 1


def test_nothing_written_costs_next_to_nothing(root: Path) -> None:
    looks = Looks(root)
    looks.write(*[("ERROR", "gagal cetak")] * 20_000, minute=-5)
    looks.look(0)
    began = time.process_time()
    for minute in range(1, 51):
        looks.look(minute)
    assert time.process_time() - began < 0.5  # 50 looks; they take 0.05 s here
