"""How a Laravel application stands, told from its files; and that no value of `.env` gets out."""

import grp
import logging
import math
import os
import pwd
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import laravel_state as state
from collectors.base import Reading, Run
from collectors.laravel import Laravel
from collectors.laravel_rights import ENTER, READ, WRITE, Who, anybody_may_read, hindrance, who
from collectors.laravel_state import Settings, cached_settings, env_settings
from somebody import WWW_DATA, needs_root, open_folder, somebody

NOW = 1_795_363_894.0
ME = pwd.getpwuid(os.geteuid()).pw_name
CANARY = "kanari-RAHASIA-7f3a"

# What `php artisan config:cache` of Laravel 8 wrote (var_export), shortened; its blanks at the ends of lines are real.
CACHED = """<?php return array (
  'app' => \n  array (
    'name' => 'Koperasi',
    'env' => 'production',
    'debug' => false,
    'url' => 'https://kopkarskf.com',
    'timezone' => 'Asia/Jakarta',
    'key' => 'base64:kanari-RAHASIA-7f3a',
    'providers' => \n    array (
      0 => 'Illuminate\\\\Auth\\\\AuthServiceProvider',
    ),
  ),
  'debugbar' => \n  array (
    'debug' => true,
    'env' => 'local',
  ),
);
"""


@pytest.fixture
def place() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder


@pytest.fixture
def app(place: Path) -> Path:
    """The files of an application that is well."""
    root = place / "koperasi"
    for folder in (*state.FOLDERS, "public", "bootstrap/cache"):
        (root / folder).mkdir(parents=True)
    (root / "artisan").touch()
    env = root / ".env"
    env.write_text(f"APP_ENV=production\nAPP_DEBUG=false\nDB_PASSWORD={CANARY}\n", "utf-8")
    env.chmod(0o640)
    return root


def read(app: Path, now: float = NOW, **options: object) -> tuple[dict[str, float], dict[str, str], dict[str, str]]:
    """What the collector reads of its state: values, notes and troubles, each by metric, label or target."""
    run = Run(now)
    readings = list(Laravel(path=str(app), **{"user": ME, **options}).collect(run))  # type: ignore[arg-type]
    kept = [each for each in readings if "_log_" not in each.metric and "_error" not in each.metric]
    short = {_short(each): each for each in kept}
    return ({name: each.value for name, each in short.items()},
            {name: each.note for name, each in short.items() if each.note},
            {name: str(error) for name, error in run.targets.items() if error})


def _short(reading: Reading) -> str:
    labels = "".join(f" {value}" for _, value in reading.labels)
    return reading.metric.removeprefix("jaga_app_") + labels


WELL = {"maintenance_seconds": 0.0, "debug": 0.0, "debug_next": 0.0, "production": 1.0, "env_exposed": 0.0,
        "env_published": 0.0, "writable storage/logs": 1.0, "writable storage/framework/cache": 1.0,
        "writable storage/framework/sessions": 1.0, "writable storage/framework/views": 1.0}


def test_an_application_that_is_well(app: Path) -> None:
    assert read(app) == (WELL, {}, {})


# --- APP_DEBUG and APP_ENV -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "debug", "production"), [
    ("", False, True),
    ("APP_DEBUG=false\nAPP_ENV=production", False, True),
    ("APP_DEBUG=true", True, True),
    ("  export APP_DEBUG = True  ", True, True),
    ('APP_DEBUG="true" # sementara', True, True),
    ("APP_DEBUG='(true)'", True, True),
    ("APP_DEBUG=true # sementara", True, True),
    ("APP_DEBUG=1", True, True),
    ("APP_DEBUG=off", True, True),  # (bool) "off" is true
    ("APP_DEBUG=0", False, True),
    ("APP_DEBUG=", False, True),
    ("APP_DEBUG=(null)", False, True),
    ("APP_DEBUG=\n\nAPP_DEBUG_MODE=true", False, True),
    ("#APP_DEBUG=true\nXAPP_DEBUG=true", False, True),
    ("APP_DEBUG=false\nAPP_DEBUG=true", True, True),  # the last one counts
    ("APP_DEBUG=false\r\nAPP_ENV=production\r\n", False, True),
    ("APP_ENV=local", False, False),
    ('APP_ENV="production"', False, True),
    ("APP_ENV=Production", False, False),
])
def test_env_is_read_as_laravel_reads_it(text: str, debug: bool, production: bool) -> None:
    assert env_settings(text) == Settings(debug, production)


def test_a_setting_made_of_others_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="APP_DEBUG is made from another variable"):
        env_settings("DEBUG=false\nAPP_DEBUG=${DEBUG}")


@pytest.mark.parametrize(("change", "expected"), [
    (("", ""), Settings(False, True)),
    (("'debug' => false", "'debug' => true"), Settings(True, True)),
    (("'debug' => false", "'debug' => 1"), Settings(True, True)),
    (("'env' => 'production'", "'env' => 'staging'"), Settings(False, False)),
    (("\n", "\r\n"), Settings(False, True)),
])
def test_the_cached_configuration_is_read(change: tuple[str, str], expected: Settings) -> None:
    assert cached_settings(CACHED.replace(*change)) == expected


@pytest.mark.parametrize("text", ["", "<?php return [];", CACHED.replace("'app'", "'apk'"), CACHED[:60]])
def test_a_cache_of_another_shape_is_unknown_not_good(app: Path, text: str) -> None:
    (app / state.CACHE).write_text(text)
    values, _, troubles = read(app)
    assert "debug" not in values
    assert troubles == {".env": f"{app}/bootstrap/cache/config.php: has no app.debug and app.env where config:cache "
                                "writes them: run `php artisan config:cache`"}


@pytest.mark.parametrize(("cached", "plain", "said"), [
    (None, "true", {"debug": 1.0, "debug_next": 0.0}),
    ("false", "true", {"debug": 0.0, "debug_next": 1.0}),
    ("true", "false", {"debug": 1.0, "debug_next": 0.0}),
    ("true", "true", {"debug": 1.0, "debug_next": 0.0}),
    ("false", None, {"debug": 0.0}),
])
def test_with_a_cached_configuration_that_is_what_runs(
        app: Path, cached: str | None, plain: str | None, said: dict[str, float]) -> None:
    if cached:
        (app / state.CACHE).write_text(CACHED.replace("'debug' => false", f"'debug' => {cached}"))
    if plain:
        (app / ".env").write_text(f"APP_DEBUG={plain}\n")
    else:
        (app / ".env").unlink()
    values, notes, troubles = read(app)
    assert ({name: value for name, value in values.items() if name.startswith("debug")}, troubles) == (said, {})
    assert notes.get("debug", "") == ("" if not said["debug"] else state.CACHE if cached else ".env")


def test_without_any_settings_it_is_unknown_unless_nobody_should_look(app: Path) -> None:
    (app / ".env").unlink()
    values, _, troubles = read(app)
    assert "debug" not in values
    assert list(troubles) == [".env"]
    assert 'write env = ""' in troubles[".env"]
    values, _, troubles = read(app, env="")
    assert troubles == {}
    assert {name.partition(" ")[0] for name in values} == {"maintenance_seconds", "writable"}


@needs_root
def test_an_env_that_is_well_guarded_needs_no_reading_where_the_cache_tells(app: Path) -> None:
    with somebody():
        values, _, troubles = read(app)
    assert "debug" not in values
    assert list(troubles) == [".env"]
    assert "Mend: `" in troubles[".env"]
    (app / state.CACHE).write_text(CACHED)
    with somebody():
        values, _, troubles = read(app)
    assert (values["debug"], troubles) == (0.0, {})


# --- maintenance, scheduler ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "value"), [(None, 0.0), (0.0, 1.0), (90.0, 90.0), (-3600.0, 1.0)])
def test_maintenance_is_known_by_its_file_and_never_by_what_it_holds(
        app: Path, age: float | None, value: float) -> None:
    if age is not None:
        down = app / state.DOWN
        down.write_text(f'{{"secret": "{CANARY}"}}')
        os.utime(down, (NOW - age, NOW - age))
    values, notes, troubles = read(app)
    assert (values["maintenance_seconds"], notes, troubles) == (value, {}, {})


@pytest.mark.parametrize(("age", "value", "note"), [
    (59.0, 59.0, "storage/framework/schedule-heartbeat"), (-60.0, 0.0, "storage/framework/schedule-heartbeat"),
    (None, math.inf, "storage/framework/schedule-heartbeat: tidak ada / missing"),
])
def test_the_scheduler_lives_by_its_heartbeat(app: Path, age: float | None, value: float, note: str) -> None:
    beat = app / state.HEARTBEAT
    if age is not None:
        beat.touch()
        os.utime(beat, (NOW - age, NOW - age))
    values, notes, _ = read(app, heartbeat=state.HEARTBEAT)
    assert (values["schedule_age_seconds"], notes["schedule_age_seconds"]) == (value, note)
    assert "schedule_age_seconds" not in read(app)[0]  # it is asked for, or there is none


# --- rights ----------------------------------------------------------------------------------------------------------

PHP = Who("www-data", 33, frozenset({33}))


def _list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF


@needs_root
@pytest.mark.parametrize(("owner", "mode", "access", "may"), [
    ((33, 33), 0o755, None, True),
    ((0, 33), 0o775, None, True),
    ((0, 33), 0o755, None, False),
    ((0, 0), 0o777, None, True),
    ((0, 0), 0o775, None, False),
    ((33, 0), 0o077, None, False),  # the owner's bits count for the owner, whatever others may
    ((0, 33), 0o707, None, False),
    ((0, 0), 0o770, _list((1, 7, NOBODY), (2, 7, 33), (4, 7, NOBODY), (16, 7, NOBODY), (32, 0, NOBODY)), True),
    ((0, 0), 0o770, _list((1, 7, NOBODY), (2, 7, 33), (4, 7, NOBODY), (16, 5, NOBODY), (32, 0, NOBODY)), False),
    ((0, 0), 0o770, _list((1, 7, NOBODY), (4, 7, NOBODY), (8, 7, 33), (16, 7, NOBODY), (32, 0, NOBODY)), True),
    ((0, 33), 0o770, _list((1, 7, NOBODY), (2, 4, 33), (4, 7, NOBODY), (16, 7, NOBODY), (32, 7, NOBODY)), False),
], ids=["owner", "group", "group reads only", "anybody", "another's group", "owner shut out", "group shut out",
        "named user", "masked", "named group", "named user before group"])
def test_who_may_write_is_told_as_the_kernel_would(
        place: Path, owner: tuple[int, int], mode: int, access: bytes | None, may: bool) -> None:
    folder = place / "logs"
    folder.mkdir()
    os.chown(folder, *owner)
    folder.chmod(mode)
    if access:
        os.setxattr(folder, "system.posix_acl_access", access)
    assert (hindrance(PHP, str(folder), READ | WRITE | ENTER) == "") is may
    with somebody(WWW_DATA):  # the kernel's own word
        assert os.access(folder, os.R_OK | os.W_OK | os.X_OK) is may


@needs_root
def test_a_log_that_root_wrote_is_in_the_way_of_php(app: Path) -> None:
    for folder, _, files in os.walk(app):
        for path in (folder, *(os.path.join(folder, file) for file in files)):
            os.chown(path, 33, 33)
    log = app / "storage/logs/laravel.log"
    log.write_text("")
    log.chmod(0o644)
    values, notes, _ = read(app, user="www-data")
    assert (values["writable storage/logs"], notes) == (
        0.0, {"writable storage/logs": f"www-data ≠ {log}: root:root 0644"})
    os.chown(log, 33, 33)
    assert read(app, user="www-data")[0]["writable storage/logs"] == 1.0
    old = app / "storage/logs/laravel-2026-11-01.log"  # root's, but nobody writes there any more
    old.touch()
    old.chmod(0o644)
    os.utime(old, (1, 1))
    assert read(app, user="www-data")[0]["writable storage/logs"] == 1.0
    os.utime(log, (0, 0))
    assert read(app, user="www-data")[0]["writable storage/logs"] == 0.0


@needs_root
def test_a_folder_on_the_way_that_shuts_out_php_is_named(app: Path) -> None:
    (app / "storage").chmod(0o700)
    assert hindrance(PHP, str(app / "storage/logs"), WRITE) == f"{app}/storage: root:root 0700"


def test_a_folder_that_is_missing_cannot_be_written(app: Path) -> None:
    (app / "storage/framework/views").rmdir()
    values, notes, troubles = read(app)
    assert (values["writable storage/framework/views"], troubles) == (0.0, {})
    assert notes["writable storage/framework/views"] == (
        f"{ME} ≠ {app}/storage/framework/views: tidak ada / missing")


def test_a_user_that_this_machine_lacks_is_unknown_not_good(app: Path) -> None:
    values, _, troubles = read(app, user="tidak-ada")
    assert not any(name.startswith("writable") for name in values)
    assert set(troubles) == set(state.FOLDERS)
    assert 'this machine has no user "tidak-ada": set user in [collectors.laravel]' in troubles["storage/logs"]


def test_who_knows_all_groups_of_a_user() -> None:
    assert who("root").number == 0
    assert pwd.getpwnam(ME).pw_gid in who(ME).groups


# --- .env in the open ------------------------------------------------------------------------------------------------


def test_an_env_that_every_user_of_the_server_can_read_is_counted(app: Path) -> None:
    (app / ".env").chmod(0o644)
    (app / ".env.example").write_text("APP_KEY=\n")
    (app / ".env.encrypted").write_text("eyJpdiI6Ik1\n")  # by artisan env:encrypt, for everybody to see
    (app / ".env.backup").write_text(f"DB_PASSWORD={CANARY}\n")
    (app / ".env.backup").chmod(0o604)
    values, notes, _ = read(app)
    assert values["env_exposed"] == 2.0
    owner = f"{ME}:{grp.getgrgid(os.getegid()).gr_name}"
    assert notes["env_exposed"] == f".env ({owner} 0644), .env.backup ({owner} 0604)"
    app.chmod(0o750)  # nobody gets there
    assert read(app)[0]["env_exposed"] == 0.0
    assert not anybody_may_read(str(app / ".env"))


@pytest.mark.parametrize(("name", "counted"), [
    (".env", True), (".env.backup", True), ("env.txt", True), ("koperasi.env", True), ("koperasi.env.old", True),
    (".env.example", False), (".env.production.encrypted", False), ("index.php", False), ("environment.js", False),
    (".htaccess", False),
])
def test_a_copy_of_env_in_the_public_folder_is_counted(app: Path, name: str, counted: bool) -> None:
    (app / "public" / name).write_text(f"DB_PASSWORD={CANARY}\n")
    values, notes, _ = read(app)
    assert (values["env_published"], notes) == (
        (1.0, {"env_published": f"public/{name}"}) if counted else (0.0, {}))


def test_no_value_of_env_is_ever_told(app: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A canary in every place that is looked at, and everything wrong at once."""
    caplog.set_level(logging.DEBUG)
    bad = f"DB_PASSWORD={CANARY}\nAPP_DEBUG=${{{CANARY}}}\nAPP_ENV={CANARY}\n".encode() + b"\xff\xfe=" + CANARY.encode()
    for name in (".env", ".env.backup", "public/.env"):
        (app / name).write_bytes(bad)
        (app / name).chmod(0o644)
    (app / state.DOWN).write_text(f'{{"secret": "{CANARY}"}}')
    for cache in (CACHED.replace("'production'", f"'{CANARY}'"), f"<?php '{CANARY}'", None):
        if cache is None:
            (app / state.CACHE).unlink()
        else:
            (app / state.CACHE).write_text(cache)
        run = Run(NOW)
        readings = list(Laravel(path=str(app), user=ME, heartbeat="x").collect(run))
        errors = [(error, error.__cause__, error.__context__, getattr(error, "object", "")) for error
                  in run.targets.values() if error]
        assert errors or cache  # something was told
        assert CANARY not in f"{readings!r} {run.targets!r} {errors!r} {run.memory!r} {caplog.text}"


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_settings_or_an_error_in_words(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for parse in (env_settings, cached_settings):
        with suppress(ValueError):
            assert isinstance(parse(text), Settings)


# --- where there is no application -----------------------------------------------------------------------------------


def test_a_folder_without_artisan_is_told_with_its_mend(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no artisan: set path in \[collectors\.laravel\]"):
        list(Laravel(path=str(tmp_path)).collect(Run(NOW)))


def test_what_is_found_on_a_machine_is_proposed(app: Path) -> None:
    (app / "config").mkdir()
    (app / "config/app.php").write_text("<?php return [\n    'timezone' => 'Asia/Jakarta',\n];\n")
    (app / state.HEARTBEAT).touch()
    assert state.section(str(app), False) == (
        f'[collectors.laravel]\npath = "{app}"\napp_timezone = "Asia/Jakarta"\n'
        'heartbeat = "storage/framework/schedule-heartbeat"\n')
    (app / "config/app.php").write_text("<?php return ['timezone' => env('APP_TIMEZONE', 'UTC')];\n")
    (app / state.HEARTBEAT).unlink()
    assert state.section(f"{app}/current", True) == (
        f'[[collectors.laravel]]\nname = "koperasi"\npath = "{app}/current"\n')
