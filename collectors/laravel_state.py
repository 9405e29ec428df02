"""How a Laravel application stands, told from its files: settings, maintenance, scheduler, rights.

Of `.env` and the cached configuration only APP_DEBUG and APP_ENV are looked at, and no value ever leaves this module:
errors and notes name files and settings.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from collectors.access import denied
from collectors.base import Metric, Reading
from collectors.laravel_rights import ENTER, READ, WRITE, anybody_may_read, hindrance, owner, who
from collectors.listing import few

DEBUG = Metric("jaga_app_debug", "Whether it runs with APP_DEBUG on.")
DEBUG_NEXT = Metric("jaga_app_debug_next", "Whether .env has APP_DEBUG on while a cached configuration keeps it off.")
PRODUCTION = Metric("jaga_app_production", "0 where APP_ENV is not production, in what runs or in .env.")
MAINTENANCE = Metric("jaga_app_maintenance_seconds", "Since `artisan down`; 0 while the application is up.")
SCHEDULE = Metric("jaga_app_schedule_age_seconds", "Since the scheduler last touched its file; +Inf without the file.")
WRITABLE = Metric("jaga_app_writable", "Whether the application's user may write there, by owner, mode and ACL.",
                  ("folder",))
EXPOSED = Metric("jaga_app_env_exposed", "How many .env files every user of this machine may read.")
PUBLISHED = Metric("jaga_app_env_published", "How many copies of .env lie in public/, whose files anybody may fetch.")

CACHE = "bootstrap/cache/config.php"
DOWN = "storage/framework/down"
LOGS = "storage/logs"
HEARTBEAT = "storage/framework/schedule-heartbeat"  # where our manual says that the schedule should touch a file
FOLDERS = (LOGS, "storage/framework/cache", "storage/framework/sessions", "storage/framework/views")
LARGEST = 8 * 2**20  # bytes; a cached configuration has some hundred kilobytes
_COPIES = (".env*", "env.*", "*.env", "*.env.*")

# config/app.php up to Laravel 10, and 12 on; where it says env(…) the answer lies in .env, and is nobody's to print
_ZONE = re.compile(r"""^\s*['"]timezone['"]\s*=>\s*['"]([\w/+-]+)['"]""", re.M)
_ASSIGNED = re.compile(r"^[ \t]*(?:export[ \t]+)?(APP_DEBUG|APP_ENV)[ \t]*=[ \t]*(.*)$", re.M)
_OFF = {"", "0", "false", "(false)", "empty", "(empty)", "null", "(null)"}  # Env::get, then (bool) in config/app.php
# `config:cache` writes var_export($config): the sections two blanks deep, their plain values four.
_APP = re.compile(r"^  'app' =>\s+array \(\n(.*?)^  \),$", re.M | re.S)
_CACHED = re.compile(r"^    '(debug|env)' => (.+),$", re.M)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one file says of the two."""

    debug: bool
    production: bool


def settings(root: str, env: str) -> Iterator[Reading]:
    """Whether it runs as production does. With a cached configuration that is what runs, and .env what will run.

    Raises OSError where it cannot be known because what runs is unreadable.
    """
    cached, why = _read(root, CACHE, cached_settings)
    plain, why_plain = _read(root, env, env_settings)
    known = {name: each for name, each in ((CACHE, cached), (env, plain)) if each}
    strange = [name for name, each in known.items() if not each.production]
    what_runs = cached if cached or why else plain
    if what_runs:
        yield DEBUG(what_runs.debug, note=(CACHE if cached else env) if what_runs.debug else "")
    if plain:
        yield DEBUG_NEXT(plain.debug and what_runs is not plain and not (cached and cached.debug))
    if what_runs or strange:
        yield PRODUCTION(not strange, note=", ".join(strange))
    if not what_runs:
        raise why or why_plain or FileNotFoundError(
            f"{os.path.join(root, env)} does not exist, nor does {CACHE}: so nobody can tell whether APP_DEBUG is off. "
            'Where the settings come from elsewhere, write env = "" in [collectors.laravel]')


def env_settings(text: str) -> Settings:
    """As phpdotenv and `env()` read them: the last one counts, without one the defaults of config/app.php."""
    values = {"APP_DEBUG": "", "APP_ENV": "production"}
    for name, written in _ASSIGNED.findall(text):
        quoted = re.match(r"""(["'])(.*?)\1""", written)
        values[name] = quoted[2] if quoted else re.split(r"[ \t]#|\s", f"{written} ", maxsplit=1)[0]
    for name, value in values.items():
        if "${" in value:
            raise ValueError(f"{name} is made from another variable: write it out, so that it can be checked")
    return Settings(values["APP_DEBUG"].strip().lower() not in _OFF, values["APP_ENV"].strip() == "production")


def cached_settings(text: str) -> Settings:
    """From what `config:cache` wrote. Raises ValueError where it looks otherwise."""
    section = _APP.search(text.replace("\r\n", "\n"))
    values: dict[str, str] = {}
    for name, written in _CACHED.findall(section[1]) if section else ():
        values.setdefault(name, written.strip("'"))
    if not values.keys() >= {"debug", "env"}:
        raise ValueError("has no app.debug and app.env where config:cache writes them: run `php artisan config:cache`")
    return Settings(values["debug"].lower() not in _OFF, values["env"] == "production")


def maintenance(root: str, now: float) -> Iterator[Reading]:
    """The file's age; what it holds (a secret among it) is not read."""
    status = _status(os.path.join(root, DOWN))
    # a clock that was set back must not make it look up
    yield MAINTENANCE(max(1.0, now - status.st_mtime) if status else 0.0)


def schedule(root: str, heartbeat: str, now: float) -> Iterator[Reading]:
    """The age of the file that the schedule touches each minute."""
    status = _status(os.path.join(root, heartbeat))
    yield SCHEDULE(max(0.0, now - status.st_mtime) if status else float("inf"),
                   note=heartbeat if status else f"{heartbeat}: tidak ada / missing")


def writable(root: str, folder: str, user: str, log: str) -> Iterator[Reading]:
    """Whether the application may write into the folder; into the logs' also: the log that is written now (a path)."""
    whom = who(user)
    path = os.path.join(root, folder)
    try:
        what = hindrance(whom, path, READ | WRITE | ENTER)
        if folder == LOGS and log and not what:  # artisan as root makes a log that PHP cannot write
            what = hindrance(whom, log, WRITE)
    except FileNotFoundError as error:
        what = f"{error.filename}: tidak ada / missing"
    except PermissionError as error:
        raise denied(error.filename or path) from None
    yield WRITABLE(not what, folder=folder, note=f"{user} ≠ {what}" if what else "")


def exposed(root: str) -> Iterator[Reading]:
    """The .env and its copies beside it that everybody on this machine may read."""
    open_ones = [f"{name} ({owner(os.stat(os.path.join(root, name)))})" for name in _copies(root, (".env*",))
                 if anybody_may_read(os.path.join(root, name))]
    yield EXPOSED(len(open_ones), note=few(open_ones, 3))


def published(root: str) -> Iterator[Reading]:
    """Copies of .env in public/, named so that one sees them."""
    found = [f"public/{name}" for name in _copies(os.path.join(root, "public"), _COPIES)]
    yield PUBLISHED(len(found), note=few(found, 3))


def section(root: str, several: bool) -> str:
    """The section of agent.toml that would watch the application in that folder."""
    where = root.removesuffix("/current")
    lines = ["[[collectors.laravel]]", f'name = "{os.path.basename(where)}"'] if several else ["[collectors.laravel]"]
    lines.append(f'path = "{root}"')
    zone = _ZONE.search(_text(os.path.join(root, "config/app.php")))
    if zone:
        lines.append(f'app_timezone = "{zone[1]}"')
    if os.path.exists(os.path.join(root, HEARTBEAT)):
        lines.append(f'heartbeat = "{HEARTBEAT}"')
    return "\n".join([*lines, ""])


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(LARGEST)
    except OSError:  # then that is left for a person to write
        return ""


def _copies(folder: str, patterns: tuple[str, ...]) -> list[str]:
    """What holds secrets in clear; what `artisan env:encrypt` writes is made to lie open."""
    try:
        names = sorted(os.listdir(folder))
    except PermissionError:
        raise denied(folder) from None
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)
            and not name.endswith((".example", ".encrypted")) and os.path.isfile(os.path.join(folder, name))]


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise denied(path) from None


def _read(root: str, name: str, parse: Callable[[str], Settings]) -> tuple[Settings | None, Exception | None]:
    """What the file says, or why that cannot be known; neither where there is no such file."""
    path = os.path.join(root, name)
    if not name or not os.path.lexists(path):
        return None, None
    try:
        # errors="replace": the exception for bytes that are no UTF-8 would carry the file's text along
        with open(path, encoding="utf-8", errors="replace") as file:
            return parse(file.read(LARGEST)), None
    except PermissionError:
        return None, PermissionError(f"{denied(path)}; or env = \"\" in [collectors.laravel], if nobody shall look")
    except (OSError, ValueError) as error:
        return None, type(error)(f"{path}: {getattr(error, 'strerror', None) or error}")
