"""A real Laravel, broken for real, and what people read of it."""

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from itertools import count
from threading import Event, Thread

import pytest

from collectors import laravel_journal
from collectors.base import Reading, Run
from collectors.following import follow
from collectors.laravel import Laravel
from golden import Told, same, whole_minutes
from somebody import WWW_DATA, needs_root, open_folder, somebody
from stack import koperasi, laravel
from stack import mariadb as mariadb_part
from stack.laravel import Laravel as App
from stack.mariadb import MariaDB

pytestmark = pytest.mark.needs_debian(*mariadb_part.NEEDS, *laravel.NEEDS)


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> Iterator[App]:
    """One application for all stories; each mends what it broke."""
    koperasi.load(mariadb, "koperasi_log")
    with open_folder() as folder, App(folder, mariadb, database="koperasi_log") as app:
        assert app.get("/")[0] == 200
        yield app
    mariadb.sql("DROP DATABASE koperasi_log")


@pytest.fixture
def app(shop: App) -> App:
    """With a log that holds one entry of yesterday's kind."""
    for log in shop.log.parent.glob("laravel*"):
        log.unlink()
    shop.get("/log/info?message=pagi")
    return shop


def watch(app: App, **options: object) -> Laravel:
    return Laravel(path=str(app.path), user=getpass.getuser(), **options)  # type: ignore[arg-type]


def tell(name: str, told: Told, app: App, **scrub: str) -> None:
    same(name, whole_minutes(told.text()), scrub={str(app.path): "/var/www/koperasi", **scrub})


def test_a_new_kind_of_error(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    for _ in range(3):
        assert app.get("/throw/payment")[0] == 500
    for minute in (1, 2, 3):
        told.look("laravel", watch(app), minute=minute)
    assert told.open == ["app_error_new"]
    told.look("laravel", watch(app), minute=62)
    assert told.open == []
    assert app.get("/throw/payment")[0] == 500
    for minute in (63, 64, 65):
        told.look("laravel", watch(app), minute=minute)
    assert told.open == []  # known by now
    tell("app-error-new", told, app)


def test_a_burst_of_errors(app: App) -> None:
    app.get("/throw/runtime")
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    for kind in ["runtime"] * 20 + ["status"] * 5:
        assert app.get(f"/throw/{kind}")[0] == 500
    for minute in (1, 2, 3):
        told.look("laravel", watch(app), minute=minute)
    assert told.open == ["app_error_burst", "app_error_new"]
    told.look("laravel", watch(app), minute=7)
    assert told.open == ["app_error_new"]
    told.look("laravel", watch(app), minute=64)
    tell("app-error-burst", told, app)


def test_a_bad_deploy_is_one_message(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    for number in range(40):
        app.get(f"/log/error?message=Gagal+di+modul+{chr(97 + number % 20)}{'x' * (number // 20)}")
    for minute in (1, 2, 3):
        told.look("laravel", watch(app), minute=minute)
    assert len(told.subjects) == 1
    told.look("laravel", watch(app), minute=7)
    told.look("laravel", watch(app), minute=70)
    tell("app-error-many", told, app)


def test_an_entry_above_error(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    app.get("/log/critical?message=Kas+toko+minus+Rp+1.250.000+untuk+siti@koperasi.test")
    for minute in (1, 2, 3, 64):
        told.look("laravel", watch(app), minute=minute)
    tell("app-error-severe", told, app)


def test_an_entry_that_a_visitor_forged(app: App) -> None:
    """It is told like any other: with its doubt in the fix, as a warning, once, and nothing is done about it."""
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    for _ in range(50):
        app.get("/throw/forged")
    told.look("laravel", watch(app), minute=1)
    for minute in range(2, 40):
        app.get("/throw/forged")
        told.look("laravel", watch(app), minute=minute)
    assert "critical" not in {incident.severity for incident in told.desk.view.open}
    assert len(told.subjects) == 1, told.text()


def test_errors_without_end_wake_somebody_and_one_flood_does_not(app: App) -> None:
    app.get("/throw/lines")
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    entry = app.log.read_text().partition("\n[")[2]
    with app.log.open("a") as log:  # as one forged message may
        log.write(f"[{entry.rstrip()}\n" + "[2026-11-22 10:00:00] production.EMERGENCY: hapus\n" * 5000)
    for minute in range(1, 9):
        told.look("laravel", watch(app), minute=minute)
    assert "KRITIS" not in told.text()
    for minute in range(9, 21):
        with app.log.open("a") as log:
            log.write(f"[{entry.rstrip()}\n" * 45)
        told.look("laravel", watch(app), minute=minute)
    assert told.desk.view.open[0].severity == "critical"
    told.look("laravel", watch(app), minute=30)
    told.look("laravel", watch(app), minute=90)
    assert told.open == []


def test_a_log_that_somebody_deleted(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    app.get("/throw/payment")
    app.log.unlink()
    app.get("/log/info?message=struk")
    told.look("laravel", watch(app), minute=1)
    told.look("laravel", watch(app), minute=2)
    assert told.open == ["app_log_lost"]
    told.look("laravel", watch(app), minute=62)
    tell("app-log-lost", told, app)


def test_a_log_that_grows_faster_than_it_is_read(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    stamp = app.log.read_text().split("]")[0]
    with app.log.open("a") as log:
        log.writelines(f"{stamp}] production.DEBUG: query {number}  \n" for number in range(120_000))
    with monkeypatch.context() as slowly:
        slowly.setattr(laravel_journal, "follow", partial(follow, limit=1))  # one piece of 256 KiB in each look
        for minute in range(1, 18):
            told.look("laravel", watch(app), minute=minute)
    assert told.open == ["app_log_behind"]
    told.look("laravel", watch(app), minute=18)
    tell("app-log-behind", told, app)


def test_a_wrong_zone(app: App) -> None:
    app.set(APP_TIMEZONE="Asia/Jakarta")
    try:
        told = Told("laravel")
        for minute in (0, 1, 17):
            app.get("/log/info?message=struk")
            told.look("laravel", watch(app), minute=minute)
        assert told.open == ["app_log_timezone"]
        app.get("/log/info?message=struk")
        told.look("laravel", watch(app, app_timezone="Asia/Jakarta"), minute=30)
        tell("app-log-timezone", told, app)
    finally:
        app.set(APP_TIMEZONE="UTC")


def test_maintenance_that_was_forgotten(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    app.artisan("down", "--secret=kanari-RAHASIA")
    try:
        assert app.get("/")[0] == 503
        told.look("laravel", watch(app), minute=1)
        assert told.open == ["app_maintenance"]  # at once: it explains web_*
        told.look("laravel", watch(app), minute=30)
        assert told.subjects == []
        told.look("laravel", watch(app), minute=31)
        told.look("laravel", watch(app), minute=122)
    finally:
        app.artisan("up")
    told.look("laravel", watch(app), minute=130)
    assert "kanari" not in told.text()
    tell("app-maintenance-forgotten", told, app)


def test_a_release_of_some_minutes_is_nobodys_news(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    app.artisan("down")
    told.look("laravel", watch(app), minute=1)
    app.artisan("up")
    told.look("laravel", watch(app), minute=4)
    assert (told.open, told.text()) == ([], "")


def test_debug_in_production(app: App) -> None:
    app.get("/throw/runtime")
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    app.set(APP_DEBUG="true")
    try:
        assert "RuntimeException" in app.get("/throw/runtime")[1]  # so a stranger sees it
        told.look("laravel", watch(app), minute=1)
    finally:
        app.set(APP_DEBUG="false")
    assert told.open == ["app_debug"]
    told.look("laravel", watch(app), minute=5)
    tell("app-debug-on", told, app)


def test_debug_that_waits_behind_the_cached_configuration(app: App) -> None:
    """`artisan config:cache` for real; then .env alone changes nothing that runs, until the cache is cleared."""
    app.get("/throw/runtime")
    told = Told("laravel")
    app.artisan("config:cache")
    try:
        app.set(APP_DEBUG="true", APP_ENV="local")
        told.look("laravel", watch(app), minute=0)
        assert told.open == ["app_debug_next", "app_env"]
        assert "RuntimeException" not in app.get("/throw/runtime")[1]
        app.artisan("config:cache")
        told.look("laravel", watch(app), minute=1)
        assert told.open == ["app_debug", "app_env"]
        app.set(APP_DEBUG="false", APP_ENV="production")
        told.look("laravel", watch(app), minute=2)
        assert told.open == ["app_debug", "app_env"]  # what is cached runs
        app.artisan("config:clear")
        told.look("laravel", watch(app), minute=3)
        assert told.open == []
    finally:
        app.set(APP_DEBUG="false", APP_ENV="production")
        app.artisan("config:clear")


def test_an_env_that_everybody_can_read_and_a_copy_in_public(app: App) -> None:
    told = Told("laravel")
    told.look("laravel", watch(app), minute=0)
    copy = app.path / "public/env.bak"
    try:
        app.env.chmod(0o644)
        told.look("laravel", watch(app), minute=1)
        shutil.copy(app.env, copy)
        assert "MIDTRANS_SERVER_KEY" in app.get("/env.bak")[1]  # so a stranger gets it
        told.look("laravel", watch(app), minute=2)
    finally:
        app.env.chmod(0o640)
        copy.unlink()
    told.look("laravel", watch(app), minute=10)
    assert "RAHASIA" not in told.text()
    tell("app-env-readable", told, app, **{getpass.getuser(): "www-data", "root": "www-data"})


def test_a_scheduler_that_died(app: App) -> None:
    beat = app.path / "storage/framework/schedule-heartbeat"
    cron = f"cd {app.path} && php8.2 artisan schedule:run >/dev/null 2>&1 && touch {beat}"
    run = watch(app, heartbeat="storage/framework/schedule-heartbeat")
    told = Told("laravel")
    subprocess.run(["sh", "-c", cron], check=True, timeout=60)
    told.look("laravel", run, minute=0)
    told.look("laravel", run, minute=9)
    assert told.open == []
    told.look("laravel", run, minute=11)
    subprocess.run(["sh", "-c", cron], check=True, timeout=60)
    os.utime(beat, (os.stat(beat).st_mtime + 15 * 60,) * 2)  # the story's clock is so far ahead of the file's
    told.look("laravel", run, minute=15)
    tell("app-scheduler-dead", told, app)


@needs_root
def test_a_log_that_jaga_may_not_read_and_then_may(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in production: the log is www-data's, 0640, and Jaga is somebody else."""
    monkeypatch.setattr("collectors.access.SERVICE", "nobody")

    class AsNobody:
        def __init__(self, inner: Laravel) -> None:
            self.inner = inner

        def collect(self, run: Run) -> Iterator[object]:
            with somebody():
                yield from [*self.inner.collect(run)]

    AsNobody.__module__ = Laravel.__module__
    jaga = AsNobody(watch(app, env=""))
    told = Told("laravel")
    app.log.chmod(0o644)
    told.look("laravel", jaga, minute=0)  # type: ignore[arg-type]
    os.chown(app.log, WWW_DATA, WWW_DATA)
    app.log.chmod(0o640)
    told.look("laravel", jaga, minute=1)  # type: ignore[arg-type]
    told.look("laravel", jaga, minute=6)  # type: ignore[arg-type]
    assert told.open == ["app_log_unreadable"]
    app.log.chmod(0o644)
    app.get("/throw/type")
    told.look("laravel", jaga, minute=8)  # type: ignore[arg-type]
    told.look("laravel", jaga, minute=9.5)  # type: ignore[arg-type]
    assert told.open == ["app_error_new"]  # what was written meanwhile is not lost
    tell("app-log-unreadable", told, app, nobody="jaga")


def test_a_dead_database_is_no_new_kind_of_error(app: App) -> None:
    """Who watches the database tells that; where nobody does, its errors are a burst."""
    port = next(line for line in app.env.read_text().splitlines() if line.startswith("DB_PORT="))
    told = Told("laravel", "mysql")
    told.look("laravel", watch(app), minute=0)
    app.set(DB_PORT="1")
    try:
        for _ in range(25):
            assert app.get("/")[0] == 500
        told.look("laravel", watch(app), minute=1)
        told.take("mysql", [Reading("jaga_mysql_up", 0.0)], minute=1.2)
        told.look("laravel", watch(app), minute=2)
        told.take("mysql", [Reading("jaga_mysql_up", 0.0)], minute=2.2)
        told.look("laravel", watch(app), minute=3)
    finally:
        app.set(DB_PORT=port.partition("=")[2])
    assert told.open == ["app_error_burst", "mysql_down"]
    assert len(told.subjects) == 1
    told.take("mysql", [Reading("jaga_mysql_up", 1.0)], minute=8)
    told.look("laravel", watch(app), minute=8)
    told.look("laravel", watch(app), minute=12)
    assert told.open == []
    assert len(told.subjects) == 2  # dead, and alive again


def test_midnight_in_the_zone_of_the_application(app: App) -> None:
    """LOG_CHANNEL=daily for real; another zone is another day, so PHP begins another file."""
    collector, written = watch(app), 0
    run = Run(time.time(), {})
    list(collector.collect(run))
    app.set(LOG_CHANNEL="daily")
    try:
        for zone in ("Pacific/Niue", "Pacific/Kiritimati", "Pacific/Niue"):  # 25 hours apart; the last one as a worker
            app.set(APP_TIMEZONE=zone)
            for number in range(5):
                app.get(f"/log/error?message=hari+{zone[8:]}+{number}")
                written += 1
                run = Run(run.now + 20, run.memory)
                list(collector.collect(run))
    finally:
        app.set(LOG_CHANNEL="single", APP_TIMEZONE="UTC")
    run = Run(run.now + 60, run.memory)
    readings = list(collector.collect(run))
    assert len(list(app.log.parent.glob("laravel-????-??-??.log"))) in (2, 3)  # three where midnight came by for real
    assert [each.value for each in readings if each.labels == (("level", "ERROR"),)] == [written]


@needs_root
def test_an_artisan_that_ran_as_root(app: App) -> None:
    """At midnight cron writes the first entry of the day; then PHP cannot add to it."""
    php = Laravel(path=str(app.path), user="www-data")
    subprocess.run(["chown", "-R", "www-data:www-data", str(app.path)], check=True, timeout=60)
    try:
        told = Told("laravel")
        told.look("laravel", php, minute=0)
        app.log.rename(app.log.with_name("laravel.log.1"))
        app.artisan("koperasi:push", "SendReceipt", "--on=sync")  # we are root
        app.log.chmod(0o644)
        told.look("laravel", php, minute=1)
        told.look("laravel", php, minute=6)
        os.chown(app.log, WWW_DATA, WWW_DATA)
        told.look("laravel", php, minute=7)
        tell("app-not-writable", told, app)
    finally:
        subprocess.run(["chown", "-R", "root:root", str(app.path)], check=True, timeout=60)


@pytest.mark.parametrize("rotate", ["rename", "copytruncate"])
def test_rotation_under_load_counts_each_entry_once(app: App, rotate: str) -> None:
    """PHP writes all the time, the log is rotated thrice in the midst of it, and looks go on."""
    stop, written = Event(), list[int]()

    def load(client: int) -> None:
        for number in count():
            if stop.is_set():
                return
            written.append(app.get(f"/log/error?message=Struk+{client}-{number}+gagal")[0])

    run, lost = Run(now=os.stat(app.log).st_mtime, memory={}), 0
    collector = watch(app)
    list(collector.collect(run))
    clients = [Thread(target=load, args=(client,)) for client in range(3)]
    for client in clients:
        client.start()
    try:
        for turn in range(1, 13):
            while len(written) < turn * 12:
                stop.wait(0.01)
            if turn % 4 == 0:
                aside = app.log.with_name(f"laravel.log.{turn // 4}")
                if rotate == "rename":
                    app.log.rename(aside)
                else:
                    shutil.copyfile(app.log, aside)
                    lost += app.log.read_bytes().count(b"ERROR: ") - aside.read_bytes().count(b"ERROR: ")
                    os.truncate(app.log, 0)
            run = Run(run.now + 5, run.memory)
            list(collector.collect(run))
    finally:
        stop.set()
        for client in clients:
            client.join()
    run = Run(run.now + 60, run.memory)
    readings = list(collector.collect(run))
    seen = next(each.value for each in readings if each.labels == (("level", "ERROR"),))
    files = "".join(path.read_text() for path in app.log.parent.glob("laravel.log*"))
    assert set(written) == {200}
    if rotate == "rename":
        assert seen == len(written) == files.count("production.ERROR: ")
    else:  # copytruncate itself loses what three clients write between its copy and its truncation
        assert len(written) - lost - 9 <= seen <= len(written)
