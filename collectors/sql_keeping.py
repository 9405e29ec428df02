"""When each question is asked, and what holds in between: answers and bases in the memory of the runs."""

import re
import time
import zlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from collectors.mysql_connection import DatabaseError, Session
from collectors.sql_queries import Fact, Query
from collectors.sql_walk import Base, Walk, Walker

# Seconds until a question that failed is asked again: one that is too slow must not be a load each minute.
SOONEST: Final = 300.0
LATEST: Final = 900.0
LOOK: Final = 5.0  # seconds for what is new since the night; measured: 50 ms

_GRANT: Final = re.compile(r"GRANT SELECT(?: \(.*?\))? ON (?P<schema>\S+)\.(?P<table>\S+) TO ")


class QueryError(Exception):
    """A question that has no answer now; held and told again until it is asked the next time."""


class Moment(NamedTuple):
    """When it is, here and for the app; `until` is the monotonic time at which long passes are put off."""

    now: float
    shop: ZoneInfo
    app: ZoneInfo
    night: str  # "03:00"
    until: float

    @property
    def places(self) -> dict[str, str]:
        """What a statement may hold, as SQL."""
        day, app = self.day, datetime.fromtimestamp(self.now, self.app)
        return {"now": f"'{app:%Y-%m-%d %H:%M:%S}'", "unix_now": str(int(self.now)), "today": f"'{day}'",
                "new_year": f"'{day[:4]}-01-01'"}

    @property
    def day(self) -> str:
        return f"{datetime.fromtimestamp(self.now, self.shop):%Y-%m-%d}"

    @property
    def last_night(self) -> float:
        """When the night began last, as unix seconds."""
        local = datetime.fromtimestamp(self.now, self.shop)
        hour, minute = map(int, self.night.split(":"))
        begun = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
        return (begun if begun <= local else begun - timedelta(days=1)).timestamp()


class Kept:
    """What is remembered of one question. `memory` is its own part of the run's."""

    def __init__(self, name: str, what: Query | Walk, memory: dict[str, Any]) -> None:
        mark = zlib.crc32(msgspec.json.encode(what))
        if memory.get("of") != mark:  # it was changed: what another question was answered is nothing
            memory.clear()
            memory["of"] = mark
        self.name, self.what, self._memory = name, what, memory

    def facts(self, session: Session, moment: Moment) -> Iterator[Fact]:
        """What is known now, asked anew where it is time; then QueryError where something could not be asked."""
        trouble = self._trouble(moment)
        if trouble is None:
            try:
                self._ask(session, moment)
            except (DatabaseError, ValueError) as error:
                if isinstance(error, DatabaseError) and (error.unreachable or error.code == 1040):
                    raise
                trouble = _says(error, self.what)
                self._memory["trouble"] = {"at": moment.now, "says": trouble}
        yield from msgspec.convert(self._memory.get("facts", []), list[Fact])
        if trouble is not None:
            raise QueryError(trouble)

    def since_pass(self, now: float) -> float | None:
        """Seconds since a pass through the whole table ended; None where there was none yet, or none is needed."""
        ended = self._memory.get("base", {}).get("ended")
        return None if ended is None else max(0.0, now - ended)

    def _trouble(self, moment: Moment) -> str | None:
        trouble = self._memory.get("trouble")
        if trouble and 0 <= moment.now - trouble["at"] < min(max(self.what.every, SOONEST), LATEST):
            return str(trouble["says"])
        self._memory.pop("trouble", None)
        return None

    def _ask(self, session: Session, moment: Moment) -> None:
        at = self._memory.get("at")
        due = at is None or not 0 <= moment.now - at < self.what.every - 1  # a second early is on time
        if isinstance(self.what, Walk):
            if due or self._nightly(moment):
                self._walk(Walker(self.what, session, moment.places, moment.now), moment, due)
        elif due and time.monotonic() < moment.until:
            self._memory.pop("facts", None)  # an answer of before is not what is, if this one fails
            facts = self.what.ask(self.name, session, moment.places)
            self._memory["facts"], self._memory["at"] = msgspec.to_builtins(facts), moment.now

    def _walk(self, walker: Walker, moment: Moment, due: bool) -> None:
        """Look by day, and go on with the pass of the night. Neither keeps the other from its work."""
        trouble = None
        if due and (base := self._base("base")) is not None:
            try:
                self._look(walker, base, moment)
            except (DatabaseError, ValueError) as error:
                trouble = error
        if self._nightly(moment):
            under = self._base("pass") or walker.begin(moment.day)
            try:
                done = walker.advance(under, moment.until)
            finally:
                self._memory["pass"] = msgspec.to_builtins(under)
            if done:
                self._memory["base"] = self._memory.pop("pass")
                self._look(walker, under, moment)
                trouble = None
        if trouble is not None:
            raise trouble

    def _nightly(self, moment: Moment) -> bool:
        """Whether there is a pass to begin or to go on with. One that began before the last night is begun anew."""
        def current(which: str) -> bool:
            return which in self._memory and moment.last_night <= self._memory[which]["began"] <= moment.now

        if not current("pass"):
            self._memory.pop("pass", None)
        return "pass" in self._memory or not current("base")

    def _look(self, walker: Walker, base: Base, moment: Moment) -> None:
        """Read what is new and open; a base that does not serve any more is dropped."""
        self._memory.pop("facts", None)
        facts = walker.look(base, time.monotonic() + LOOK)
        if facts is None:
            self._memory.pop("base")
        else:
            self._memory["facts"], self._memory["at"] = msgspec.to_builtins(facts), moment.now

    def _base(self, which: str) -> Base | None:
        return msgspec.convert(self._memory[which], Base) if which in self._memory else None


def _says(error: Exception, what: Query | Walk) -> str:
    """The error in one sentence; for a missing right, the narrow GRANT that mends it."""
    if not isinstance(error, DatabaseError):
        return f"the query {error}"
    text = str(error)
    denied = _GRANT.search(text)
    columns = what.reads.get(denied["table"]) if denied else None
    if denied is None or columns is None:
        return text
    return text.replace(denied[0], f"GRANT SELECT ({', '.join(columns)}) ON {denied['schema']}.{denied['table']} TO ")
