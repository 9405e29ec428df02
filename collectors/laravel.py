"""A Laravel application from outside: what its log says, and how it stands (debug, maintenance, scheduler, rights)."""

import glob
import os
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import msgspec

from collectors import laravel_state as state
from collectors.access import denied
from collectors.base import Reading, Run
from collectors.laravel_journal import (
    BEHIND,
    ENTRIES,
    FIRST,
    KIND,
    LAST,
    LOST,
    NEW,
    NEW_KINDS,
    READABLE,
    RECENT,
    SEVERE,
    SKEW,
    TODAY,
    Journal,
    written,
)
from collectors.laravel_kinds import DAY
from collectors.laravel_state import DEBUG, DEBUG_NEXT, EXPOSED, MAINTENANCE, PRODUCTION, PUBLISHED, SCHEDULE, WRITABLE
from collectors.quantities import Seconds

EVERY = 60.0
TIMEOUT = 45.0

# What it may yield, declared where it is measured.
__all__ = ["BEHIND", "DEBUG", "DEBUG_NEXT", "ENTRIES", "EXPOSED", "FIRST", "KIND", "LAST", "LOST", "MAINTENANCE",
           "NEW", "NEW_KINDS", "PRODUCTION", "PUBLISHED", "READABLE", "RECENT", "SCHEDULE", "SEVERE", "SKEW", "TODAY",
           "WRITABLE", "Laravel"]


class Laravel(msgspec.Struct, frozen=True, kw_only=True):
    """Watches one Laravel application (8 to 13). Reads its files and never starts PHP; several: [[collectors.laravel]].

    path: the application's folder, where artisan lies.
    log: its log files, below `path`; a pattern may stand in the last part. Rotated ones are found by themselves. A file
        that two of them fit would be counted twice.
    app_timezone: `timezone` in the application's config/app.php; Laravel's own default is UTC.
    ignore: benign errors (patterns) by class, by kind as the messages name it, or by text.
    window: errors are counted over so long.
    quiet: a new kind of error that was not seen for so long is over.
    forget: a kind that was not seen for so long is new again.
    env: its settings' file; "" where there is none or nobody should look. Only APP_DEBUG and APP_ENV are looked at.
    user: who PHP runs as, and must be able to write below storage.
    heartbeat: a file that its schedule touches each minute ("storage/framework/schedule-heartbeat"); "" for none.
    """

    path: str = "/var/www/koperasi"
    log: tuple[str, ...] = ("storage/logs/laravel*.log",)
    app_timezone: str = "UTC"
    ignore: tuple[str, ...] = ("Symfony\\Component\\Console\\Exception\\*", "Psy\\Exception\\*")
    window: Seconds = 300.0
    quiet: Seconds = 3600.0
    forget: Seconds = 30 * DAY
    env: str = ".env"
    user: str = "www-data"
    heartbeat: str = ""

    def __post_init__(self) -> None:
        if not os.path.isabs(self.path):
            raise ValueError('path must begin with "/": write the folder in which artisan lies')
        for pattern in self.log:
            if glob.has_magic(os.path.dirname(pattern)):
                raise ValueError(f'log holds "{pattern}": only its last part may be a pattern')
        try:
            ZoneInfo(self.app_timezone)
        except (KeyError, ValueError, OSError):  # of a name that is none, "../x", and a folder such as "Asia"
            raise ValueError("app_timezone is no time zone that this machine knows: write it as \"Asia/Jakarta\", "
                             "as in the application's config/app.php") from None
        if not 0 < self.window <= self.quiet <= self.forget:
            raise ValueError('window must be longer than nothing, and not longer than quiet, nor that than forget: '
                             'write window = "5m", quiet = "1h", forget = "30d"')

    def collect(self, run: Run) -> Iterator[Reading]:
        _must_be_laravel(self.path)
        with run.target("log"):
            yield from self._journal.look(run)
        with run.target(state.DOWN):
            yield from state.maintenance(self.path, run.now)
        if self.env:
            with run.target(self.env):
                yield from state.settings(self.path, self.env)
            with run.target(f"{self.env}*"):
                yield from state.exposed(self.path)
            with run.target("public"):
                yield from state.published(self.path)
        if self.heartbeat:
            with run.target(self.heartbeat):
                yield from state.schedule(self.path, self.heartbeat, run.now)
        newest = max((file for pattern in self.log for file in glob.glob(os.path.join(self.path, pattern))),
                     key=written, default="")
        for folder in state.FOLDERS:
            with run.target(folder):
                yield from state.writable(self.path, folder, self.user, newest)

    @property
    def _journal(self) -> Journal:
        return Journal(self.path, self.log, ZoneInfo(self.app_timezone), self.ignore, self.window, self.quiet,
                       self.forget)

    @staticmethod
    def discover() -> str | None:
        found = [os.path.dirname(file) for pattern in ("*", "*/current") for file in
                 sorted(glob.glob(f"/var/www/{pattern}/artisan"))]
        return "\n".join(state.section(root, len(found) > 1) for root in found) or None


def _must_be_laravel(path: str) -> None:
    try:
        os.stat(os.path.join(path, "artisan"))
    except PermissionError:
        raise denied(os.path.join(path, "artisan")) from None
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} holds no artisan: set path in [collectors.laravel] to the application's "
                                "folder") from None
