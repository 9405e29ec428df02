"""Following: each byte of a growing file is taken once, whatever rotation, truncation and a kill -9 do meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors import following
from collectors.following import Followed, follow
from collectors.rotation import Lost

NOW = 2_000_000_000.0  # long after every file here was written: what ends in a line break is whole
NOBODY = 65534


class Lines:
    """Takes whole lines; and the rest, when it is told that this is the end."""

    def __init__(self, keep: bool = True) -> None:
        self.lines: list[str] = []
        self.bytes, self._keep = 0, keep

    def take(self, data: bytes, inside: int, end: bool) -> tuple[int, int]:
        taken = len(data) if end else data.rfind(b"\n") + 1
        self.bytes += taken
        if self._keep:
            self.lines += data[:taken].decode().splitlines()
        return taken, 0


class Watch:
    """Looks again and again, as a collector does: the place goes through JSON, the lines add up."""

    def __init__(self, pattern: Path, **options: float) -> None:
        self.pattern, self.options = str(pattern), options
        self.place: dict[str, Any] | None = None
        self.lines: list[str] = []
        self.lost: list[Lost] = []

    def look(self, now: float = NOW, **options: float) -> Followed:
        reader = Lines()
        seen = follow(self.pattern, self.place, reader.take, now=now, **{"first": 2**40, **self.options, **options})
        self.place = json.loads(json.dumps(seen.place))
        self.lines += reader.lines
        self.lost += seen.lost
        return seen


def write(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.write("".join(f"{line}\n" for line in lines))


def rename_and_create(log: Path) -> None:
    log.rename(log.with_name(log.name + ".1"))
    log.touch()


def rename_by_date(log: Path) -> None:
    log.rename(log.with_name(log.name + "-20261122"))


def copy_and_truncate(log: Path) -> None:
    log.with_name(log.name + ".1").write_bytes(log.read_bytes())
    os.truncate(log, 0)


def edit(log: Path) -> None:
    """As an editor saves: another file with the same words."""
    log.with_name("laravel.tmp").write_bytes(log.read_bytes())
    log.with_name("laravel.tmp").replace(log)


@pytest.mark.parametrize("rotate", [rename_and_create, rename_by_date, copy_and_truncate, edit])
@pytest.mark.parametrize("after", [[], ["x"], ["one that makes the new file longer than the old one was before"] * 3])
def test_a_rotated_file_is_drained_and_the_new_one_begun(tmp_path: Path, rotate: Callable[[Path], None],
                                                         after: list[str]) -> None:
    log = tmp_path / "laravel.log"
    watch = Watch(log)
    write(log, "1", "2")
    watch.look()
    write(log, "3")  # after the last look, before the rotation
    rotate(log)
    write(log, *after)
    watch.look()
    assert watch.lines == ["1", "2", "3", *after]
    assert watch.lost == []
    write(log, "last")
    watch.look()
    watch.look()
    assert watch.lines == ["1", "2", "3", *after, "last"]
    assert watch.lost == []


@pytest.mark.parametrize("found", [True, False])
def test_what_was_rotated_several_times_while_nobody_looked_is_read_too(tmp_path: Path, found: bool) -> None:
    log = tmp_path / "laravel.log"
    write(tmp_path / "laravel.log.4", "of last week")
    write(tmp_path / "laravel-worker.log.1", "of somebody else")
    os.utime(tmp_path / "laravel.log.4", (1, 1))
    write(log, "0")
    os.utime(log, (100, 100))
    watch = Watch(log)
    watch.look()
    if found:
        write(log, "1")
        os.utime(log, (200, 200))
        log.rename(tmp_path / "laravel.log.3")
    for number, words in ((2, "2"), (1, "3")):
        write(tmp_path / f"laravel.log.{number}", words)
        os.utime(tmp_path / f"laravel.log.{number}", (1000 - number, 1000 - number))
    log.unlink(missing_ok=True)
    write(log, "4")
    write(tmp_path / "laravel.log.bak", "of an administrator")
    watch.look()
    watch.look()
    assert watch.lines == ["0", *["1"] * found, "2", "3", "4"]
    assert watch.lost == [Lost("laravel.log", 0)] * (not found)


@pytest.mark.needs_debian("logrotate")
@pytest.mark.parametrize("how", ["create", "copytruncate", "create\ndateext", "create\ndelaycompress\n"
                                 "compress", "copytruncate\ncompress", "create\ncompress", "nocreate"])
def test_logrotate_itself_takes_nothing_from_us_but_what_it_compresses_at_once(tmp_path: Path, how: str) -> None:
    log, state = tmp_path / "laravel.log", tmp_path / "state"
    config = tmp_path / "logrotate.conf"
    config.write_text(f"{log} {{\nrotate 9\n{how}\n}}\n")
    config.chmod(0o644)
    watch = Watch(log)
    wrote: list[str] = []
    watch.look()
    turns = 1 if "dateext" in how else 3  # it has one name for each day
    for turn in range(turns):
        for when in ("before the last look", "after it", "after the rotation"):
            write(log, f"{turn} {when}")
            wrote.append(f"{turn} {when}")
            if when == "after it":
                subprocess.run(["logrotate", "-f", "-s", state, config], check=True, timeout=10)
            else:
                watch.look()
    gone = [line for line in wrote if line not in watch.lines]
    assert watch.lines == [line for line in wrote if line in watch.lines]  # none twice, and in their order
    if how.endswith("compress") and "delay" not in how:
        assert gone == [f"{turn} after it" for turn in range(3)]
        assert watch.lost == [Lost("laravel.log", 0)] * 3
    else:
        assert (gone, watch.lost) == ([], [])


def test_a_worker_that_still_writes_into_the_rotated_file_is_heard(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    watch = Watch(log)
    with log.open("a", buffering=1) as worker:
        worker.write("1\n")
        watch.look()
        rename_and_create(log)
        write(log, "2")
        watch.look()
        worker.write("3\n")
        watch.look()
    assert watch.lines == ["1", "2", "3"]
    watch.look(NOW + following.RETIRED + 1)
    assert watch.place
    assert [file["name"] for file in watch.place["files"]] == ["laravel.log"]


@pytest.mark.parametrize(("known", "unseen"), [(True, 0), (False, 6)])
def test_a_rotated_file_that_was_compressed_away_is_told_as_lost(tmp_path: Path, known: bool, unseen: int) -> None:
    log = tmp_path / "laravel.log"
    watch = Watch(log)
    write(log, "first", "sixth")
    watch.look(limit=following.LIMIT if known else 1)
    log.unlink()
    log.with_name("laravel.log.1.gz").write_bytes(b"\x1f\x8b")
    write(log, "later")
    if not known:
        assert watch.place
        watch.place["files"][0]["at"] = 6  # as if a limit had left a rest
        watch.place["files"][0]["mark"] = "of what is gone"
    watch.look()
    assert watch.lost == [Lost("laravel.log", unseen)]
    assert watch.lines[-1] == "later"


def test_a_file_that_was_emptied_is_begun_anew_even_if_it_has_its_old_size_or_inode(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    watch = Watch(log)
    write(log, "aaaa")
    watch.look()
    os.truncate(log, 0)
    write(log, "bbbb")  # same inode, same size
    watch.look()
    assert watch.lines == ["aaaa", "bbbb"]
    assert watch.lost == [Lost("laravel.log", 0)]


@pytest.mark.parametrize("moment", ["before the first piece", "between two pieces"])
def test_a_truncation_under_our_hands_mixes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                    moment: str) -> None:
    log = tmp_path / "laravel.log"
    old, new = ([f"{word} {number:020}" for number in range(20_000)] for word in ("old", "new"))
    write(log, *old[:10])
    watch = Watch(log)
    watch.look()
    write(log, *old[10:])

    def rotate_once(*_args: object) -> None:
        if not (tmp_path / "laravel.log.1").exists():
            copy_and_truncate(log)
            write(log, *new)

    with monkeypatch.context() as patched:
        if moment == "before the first piece":
            fresh = following._fresh
            patched.setattr(following, "_fresh", lambda *args: rotate_once() or fresh(*args))
        else:
            take = Lines.take
            patched.setattr(Lines, "take", lambda *args: rotate_once() or take(*args))
        watch.look()
    watch.look()
    assert (watch.lines, watch.lost) == (old + new, [])


def test_the_last_entry_of_a_rotated_file_waits_for_nobody(tmp_path: Path) -> None:
    log, lines = tmp_path / "laravel.log", []

    def take(data: bytes, inside: int, end: bool) -> tuple[int, int]:
        """The last line may go on, as an entry does."""
        taken = len(data) if end else data.rfind(b"\n", 0, -1) + 1
        lines.extend(data[:taken].split())
        return taken, 0

    write(log, "1", "2")
    now = log.stat().st_mtime
    place = follow(str(log), None, take, now=now).place
    assert lines == [b"1"]
    rename_and_create(log)
    follow(str(log), place, take, now=now)
    assert lines == [b"1", b"2"]


def test_daily_files_are_drained_and_each_newer_one_opened_in_order(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "laravel-*.log")
    days = [tmp_path / f"laravel-2026-11-{day}.log" for day in (21, 22, 23, 24)]
    write(days[0], "of yesterday")
    os.utime(days[0], (1, 1))
    write(days[1], "1")
    watch.look()
    write(days[3], "4")
    write(days[2], "3")
    write(days[1], "2")
    seen = watch.look()
    assert watch.lines == ["1", "2", "3", "4"]  # what was old at the first look is not news
    days[0].unlink()
    watch.look()
    assert (watch.lost, len(seen.files)) == ([], 4)


def test_a_part_of_a_line_waits_and_is_taken_when_nothing_follows_for_long(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    log.write_text("whole\npart")
    os.utime(log, (NOW, NOW))
    watch = Watch(log)
    watch.look(NOW + 1)
    assert watch.lines == ["whole"]
    watch.look(NOW + following.PART_QUIET - 1)
    assert watch.lines == ["whole"]
    with log.open("a") as file:
        file.write("ly")
    os.utime(log, (NOW + 40, NOW + 40))
    watch.look(NOW + 41)
    assert watch.lines == ["whole"]
    watch.look(NOW + 41 + following.PART_QUIET)
    assert watch.lines == ["whole", "partly"]


def test_a_file_from_a_clock_that_is_ahead_is_finished_too(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    log.write_text("part")
    os.utime(log, (NOW + 9e6, NOW + 9e6))
    watch = Watch(log)
    watch.look(NOW)
    watch.look(NOW + following.PART_QUIET + 1)
    assert watch.lines == ["part"]


def test_the_first_look_reaches_back_as_far_as_it_may_and_says_what_it_left_out(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    write(log, *(f"{number:09}" for number in range(1000)))
    watch = Watch(log, first=100)
    assert watch.look().skipped == 9900
    assert watch.lines == [f"{number:09}" for number in range(990, 1000)]


def test_a_look_takes_no_more_than_its_limit_and_the_next_one_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    lines = [f"{number:0999}" for number in range(1000)]
    write(log, *lines)
    watch = Watch(log, limit=following.CHUNK / 2)
    behind = [watch.look().behind for _ in range(5)]
    assert behind[0] > behind[1] > behind[2] > behind[4] == 0
    assert watch.lines == lines


def test_a_look_ends_in_time_and_the_next_one_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    write(log, "1", "2")
    watch = Watch(log)
    assert (watch.look(seconds=0).behind, watch.lines) == (4, [])
    assert (watch.look().behind, watch.lines) == (0, ["1", "2"])


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    with log.open("w") as file:
        file.write("before\n")
    os.truncate(log, 500 * 2**20)  # zeros, in no time
    write(log, "", "behind")
    reader = Lines(keep=False)
    tracemalloc.start()
    seen = follow(str(log), None, reader.take, now=NOW, first=2**40, limit=2**40)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reader.bytes == seen.taken == log.stat().st_size
    assert peak < 12 * 2**20


def test_a_file_may_appear_later_and_a_link_may_lead_nowhere(tmp_path: Path) -> None:
    log = tmp_path / "laravel.log"
    watch = Watch(log)
    assert watch.look().files == []
    log.symlink_to(tmp_path / "laravel-2026-11-22.log")
    assert watch.look().files == []
    write(tmp_path / "laravel-2026-11-22.log", "1")
    assert watch.look().files == [str(log)]
    log.unlink()
    log.symlink_to(tmp_path / "laravel-2026-11-23.log")
    write(tmp_path / "laravel-2026-11-22.log", "2")
    write(log, "3")
    watch.look()
    assert watch.lines == ["1", "2", "3"]


def test_two_links_to_one_file_are_one_file(tmp_path: Path) -> None:
    write(tmp_path / "a.log", "1")
    (tmp_path / "b.log").hardlink_to(tmp_path / "a.log")
    (tmp_path / "c.log").symlink_to("a.log")
    watch = Watch(tmp_path / "*.log")
    watch.look()
    assert watch.lines == ["1"]


@pytest.mark.parametrize("emptied", [False, True])
def test_a_copy_that_somebody_makes_beside_the_log_is_not_read_again(tmp_path: Path, emptied: bool) -> None:
    log, copy = tmp_path / "laravel.log", tmp_path / "laravel-old.log"
    watch = Watch(tmp_path / "laravel*.log")
    write(log, "one", "two")
    watch.look()
    write(log, "three")
    shutil.copy(log, copy)
    watch.look()  # between the copy and the emptying, if that was the plan
    if emptied:
        log.write_bytes(b"")
    write(log, "four")
    watch.look()
    write(copy, "five")  # whoever writes there is heard
    watch.look()
    assert sorted(watch.lines) == sorted(["one", "two", "three", "four", "five"])
    assert watch.lost == []


def test_an_old_file_that_is_among_the_newest_again_is_not_read_again(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "laravel-*.log")
    days = [tmp_path / f"laravel-{day:03}.log" for day in range(following.MOST + 2)]
    for at, day in enumerate(days):
        write(day, day.stem)
        os.utime(day, (at, at))
    watch.look()
    days[-1].unlink()
    watch.look()
    assert watch.lines == [days[-1].stem]  # as the first look found it; of the others it takes what is new
    write(days[1], "new")
    watch.look()
    assert watch.lines == [days[-1].stem, "new"]


def test_a_new_file_is_read_although_the_one_before_is_from_a_clock_that_was_ahead(tmp_path: Path) -> None:
    now = 1_800_000_000.0
    watch = Watch(tmp_path / "laravel-*.log")
    for day, at in (("a", now + 3600), ("b", now - 30)):
        write(tmp_path / f"laravel-{day}.log", day)
        os.utime(tmp_path / f"laravel-{day}.log", (at, at))
        watch.look(now)
    watch.look(now + 60)
    assert watch.lines == ["a", "b"]


def test_what_is_no_file_is_told_and_hides_no_sibling(tmp_path: Path) -> None:
    (tmp_path / "a.log").mkdir()
    os.mkfifo(tmp_path / "b.log")
    write(tmp_path / "c.log", "1")
    watch = Watch(tmp_path / "*.log")
    seen = watch.look()
    assert watch.lines == ["1"]
    assert {path: str(error) for path, error in seen.unreadable.items()} == {
        str(tmp_path / name): f"{tmp_path / name} is not a regular file: name the log file itself"
        for name in ("a.log", "b.log")}


def test_a_folder_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere does not exist: name the folder where the log is written"):
        Watch(tmp_path / "nowhere" / "laravel.log").look()


def test_other_files_than_before_are_a_first_look(tmp_path: Path) -> None:
    write(tmp_path / "laravel.log", "1", "2")
    watch = Watch(tmp_path / "laravel.log")
    watch.look()
    watch.pattern = str(tmp_path / "*.log")
    assert watch.look(first=2).skipped == 2


def as_nobody(deed: Callable[[], object]) -> object:
    """What `deed` returns, or raises, in a process without rights."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            answer = deed()
        except BaseException as error:  # told to the parent
            answer = str(error)
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        answer = json.load(pipe)
    os.waitpid(child, 0)
    return answer


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_a_file_that_may_not_be_read_names_the_group_to_join(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o001)
    log = tmp_path / "laravel.log"
    write(log, "old")
    os.chown(log, 33, 33)

    def look() -> object:
        seen = follow(str(log), None, Lines().take, now=NOW)
        return [str(error) for error in seen.unreadable.values()]

    log.chmod(0o640)
    us = "nobody may not read it"
    assert as_nobody(look) == [f"{log}: {us}: {log} belongs to www-data:www-data, mode 0640. Mend: "
                               "`usermod -aG www-data nobody` and restart Jaga"]
    with monkeypatch.context() as patch:
        patch.setattr("collectors.access.SERVICE", "nobody")
        assert as_nobody(look)[0].endswith("Mend: `systemctl edit nobody`: below [Service] "
                                           "SupplementaryGroups=www-data, then `systemctl restart nobody`")
    log.chmod(0o600)
    assert as_nobody(look) == [f"{log}: {us}: {log} belongs to www-data:www-data, mode 0600. Mend: "
                               f"`chmod g+r {log}`, then `usermod -aG www-data nobody` and restart Jaga"]
    os.chown(log, 0, 0)  # somebody ran artisan as root
    os.chown(tmp_path, 33, 33)
    tmp_path.chmod(0o755)
    assert as_nobody(look) == [f"{log}: {us}: {log} belongs to root:root, mode 0600. Mend: `chown --reference="
                               f"{tmp_path} {log}`, then `chmod g+r {log}`, then `usermod -aG www-data nobody` "
                               "and restart Jaga"]
    log.chmod(0o644)
    tmp_path.chmod(0o750)
    os.chown(tmp_path, 33, 33)
    assert as_nobody(look) == (f"{log}: {us}: {tmp_path} belongs to www-data:www-data, mode 0750. Mend: "
                               "`usermod -aG www-data nobody` and restart Jaga")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_what_could_not_be_read_for_long_is_not_news_when_it_can(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_mode & 0o001 == 0:
            folder.chmod(folder.stat().st_mode | 0o001)
    log = tmp_path / "laravel.log"
    write(log, *(f"{number:09}" for number in range(1000)))
    log.chmod(0o600)
    place: Any = as_nobody(lambda: follow(str(log), None, Lines().take, now=NOW).place)
    assert place["files"] == []
    watch = Watch(log, first=100)
    watch.place = place
    assert watch.look().skipped == 9900


STEPS = st.lists(st.one_of(
    st.integers(1, 40).map(lambda count: ("write", count)), st.just(("part", 0)), st.just(("look", 2**40)),
    st.just(("look", 60)), st.sampled_from([rename_and_create, rename_by_date, copy_and_truncate, edit]).map(
        lambda deed: ("rotate", deed))), max_size=25)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
def test_every_line_is_taken_once_whatever_happens_in_which_order(
        tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Any]]) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = folder / "laravel.log"
    log.touch()
    watch, number, wrote, rotated = Watch(log), 0, [], 0
    watch.look()
    for deed, how in [*steps, *[("look", 2**40)] * 2]:
        if deed == "write":
            lines = [f"line {number + count}" for count in range(how)]
            write(log, *lines)
            wrote, number = wrote + lines, number + how
        elif deed == "part":
            with log.open("a") as file:
                file.write("~")  # the beginning of the next line
            write(log, f"line {number}")
            wrote, number = [*wrote, f"~line {number}"], number + 1
        elif deed == "look":
            watch.look(limit=how)
        elif how is not edit or log.stat().st_size:  # of an empty file, nothing tells it from its successor
            while any(each.name == f"laravel.log{end}" for each in folder.iterdir() for end in (".1", "-20261122")):
                watch.look()  # one rotation at a time: a rotated file is drained before it is overwritten
                rotated += 1
                for end in (".1", "-20261122"):
                    log.with_name(f"laravel.log{end}").rename(log.with_name(f"laravel.log.old{rotated}")) if (
                        log.with_name(f"laravel.log{end}").exists()) else None
            if how in (copy_and_truncate, edit):
                watch.look()  # of a file that was empty at every look, the copy cannot be told from others
            how(log)
            log.touch()
    assert Counter(watch.lines) == Counter(wrote)
    assert watch.lost == [] or all(lost.known == 0 for lost in watch.lost)


READER = """
import json, os, sys, time
from collectors.following import follow

path, state = sys.argv[1:]
held = {"place": {"pattern": path, "files": [], "closed": []}, "sums": [0, 0, 0]}
if os.path.exists(state):
    held = json.load(open(state))
def take(data, inside, end):
    taken = data.rfind(b"\\n") + 1
    for line in data[:taken].split():
        number = int(line)
        held["sums"] = [held["sums"][0] + 1, held["sums"][1] + number, held["sums"][2] + number * number]
    return taken, 0
while True:
    held["place"] = follow(path, held["place"], take, now=time.time(), limit=40_000).place
    with open(state + ".new", "w") as file:
        json.dump(held, file)
    os.replace(state + ".new", state)  # sums and place in one commit
    print(held["sums"][0], flush=True)
"""
KILLS, ROTATIONS = 8, 20


def test_nothing_is_counted_twice_or_lost_under_load_with_rotations_and_kills(tmp_path: Path) -> None:
    log, state, stopped = tmp_path / "laravel.log", tmp_path / "state", Event()
    log.touch()
    wrote = looks = rotations = 0

    def load() -> None:
        nonlocal wrote, rotations
        begun_at = 0
        while not stopped.is_set():
            with log.open("ab", buffering=0) as file:
                for number in range(wrote, wrote + 100):
                    file.write(b"%d\n" % number)
                wrote += 100
            begun_at = begun_at or looks
            if looks >= begun_at + 3:  # nobody rotates more often than we look
                rotations, begun_at = rotations + 1, 0
                kept = tmp_path / f"laravel.log.{rotations}"
                if rotations % 2:
                    log.rename(kept)
                else:
                    kept.write_bytes(log.read_bytes())
                    os.truncate(log, 0)
            stopped.wait(0.001)

    writer = Thread(target=load)
    writer.start()
    try:
        for kill in range(KILLS):
            reader = subprocess.Popen([sys.executable, "-c", READER, str(log), str(state)], stdout=subprocess.PIPE,
                                      env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
            assert reader.stdout
            with reader:
                last, until = kill == KILLS - 1, looks + 3 + kill
                while looks < until or (last and rotations < ROTATIONS):
                    assert reader.stdout.readline()
                    looks += 1
                if last:
                    stopped.set()
                    writer.join()
                    while int(reader.stdout.readline()) < wrote:
                        pass
                reader.send_signal(signal.SIGKILL)
    finally:
        stopped.set()
        writer.join()
    assert json.loads(state.read_text())["sums"] == [wrote, sum(range(wrote)), sum(n * n for n in range(wrote))]
