"""The operator's own questions to the database as readings, and the koperasi app's money at a glance."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from collectors.base import Metric, Reading, Run
from collectors.mysql_connection import Database, DatabaseError, connect
from collectors.sql_keeping import Kept, Moment
from collectors.sql_presets import load, loaded
from collectors.sql_queries import LONGEST, Query
from collectors.sql_walk import Walk

EVERY = 60.0
TIMEOUT = 45.0

_OF: Final = ("query", "item")
VALUE = Metric("jaga_sql_value", "What a query of the operator's or of a preset counts.", _OF)
SECONDS = Metric("jaga_sql_seconds", "What a query gives as a time.", _OF)
RATIO = Metric("jaga_sql_ratio", "What a query gives as a ratio.", _OF)
BYTES = Metric("jaga_sql_bytes", "What a query gives as a size.", _OF)
RUPIAH = Metric("jaga_sql_rupiah", "What a query gives as an amount of money.", _OF)
PASS_AGE = Metric("jaga_sql_full_pass_seconds", "Since the last nightly pass through a whole table ended.", ("query",))

_METRICS: Final = {"plain": VALUE, "seconds": SECONDS, "ratio": RATIO, "bytes": BYTES, "rupiah": RUPIAH}
_APP, _SOCKET = "/var/www/koperasi/artisan", "/run/mysqld/mysqld.sock"
_BUDGET = 20.0  # seconds of a run; what is left is for the next one


class Sql(msgspec.Struct, frozen=True, kw_only=True):
    """Asks a MySQL or MariaDB server what an operator wants to know, and what presets know of an app.

    database: where the server is, who asks, and the schema that names without one belong to.
    presets: sets that ship ("koperasi"), or paths of files in the same form.
    skip: names out of them that are not asked.
    queries: the operator's own, by name: `[collectors.sql.queries.NAME]`. One of a preset's name replaces it.
    app_timezone: the zone in which the app writes created_at (Laravel's config/app.php; "UTC" unless it was changed).
    timezone: the shop's zone: which day it is, and when it is night.
    night: when the passes through whole tables begin, after the backup.

    All statements run in read-only transactions, with a limit of time and of rows each, and one connection a run.
    """

    database: Database
    presets: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    queries: dict[str, Query] = {}
    app_timezone: str = "UTC"
    timezone: str = "Asia/Jakarta"
    night: str = "03:00"

    def __post_init__(self) -> None:
        if not self.database.database:
            raise ValueError('database has no schema: add database = "koperasi" to it')
        for field, zone in (("app_timezone", self.app_timezone), ("timezone", self.timezone)):
            try:
                ZoneInfo(zone)
            except (OSError, ValueError, LookupError):
                raise ValueError(f'{field} is no time zone that this machine knows: write "Asia/Jakarta"') from None
        if not re.fullmatch("([01][0-9]|2[0-3]):[0-5][0-9]", self.night):
            raise ValueError('night is no time of day: write it as "03:00"')
        known = {name for preset in self.presets for name in load(preset)}
        if unknown := [name for name in self.skip if name not in known]:
            there = ", ".join(sorted(known)) or "none"
            raise ValueError(f'skip names "{unknown[0]}", which no preset asks: there is {there}')
        if not self._asked():
            raise ValueError('presets and queries are both empty, so nothing is asked: add presets = ["koperasi"]')

    def collect(self, run: Run) -> Iterator[Reading]:
        asked = self._asked()
        moment = Moment(run.now, ZoneInfo(self.timezone), ZoneInfo(self.app_timezone), self.night,
                        time.monotonic() + _BUDGET)
        for gone in run.memory.keys() - asked.keys():
            del run.memory[gone]
        lost = None
        with connect(self.database, answer_seconds=2 * round(LONGEST)) as session:
            # the quick ones first: a walk takes what is left of the time
            for name, what in sorted(asked.items(), key=lambda pair: isinstance(pair[1], Walk)):
                kept = Kept(name, what, run.memory.setdefault(name, {}))
                with run.target(name):
                    try:
                        for fact in kept.facts(session, moment):
                            yield _METRICS[fact.unit](fact.value, note=fact.note, query=fact.query, item=fact.item)
                    except DatabaseError as error:
                        lost = error
                        raise
                if lost is not None:  # nobody is there any more to answer the rest
                    raise lost
                since = kept.since_pass(run.now)
                if since is not None:
                    yield PASS_AGE(since, query=name)

    def _asked(self) -> dict[str, Query | Walk]:
        """What is asked, by name: the presets' in their order, then the operator's own."""
        known = {name: what for preset in self.presets for name, what in loaded(preset).items()
                 if name not in self.skip}
        return {**known, **self.queries}

    @staticmethod
    def discover() -> str | None:
        """The koperasi app where it is usually installed, asked through the server's socket."""
        if not Path(_APP).is_file() or not Path(_SOCKET).exists():
            return None
        return ('[collectors.sql]\npresets = ["koperasi"]\n\n'
                f'[collectors.sql.database]\nsocket = "{_SOCKET}"\ndatabase = "koperasi"\n')
