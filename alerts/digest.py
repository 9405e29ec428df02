"""The morning digest: each row of a checklist as good, bad or unknown, from what was measured and what is open."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from alerts.incident import Incident
from alerts.rule import Words
from collectors.quantities import DURATION, parse

WAITS_FOR_THE_DIGEST = ("quiet", "probation")  # what holds an incident back so that the digest is where it is told

Mark = Literal["good", "bad", "unknown", "unwatched"]
Doubt = Literal["", "never", "old", "failed", "silent"]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a checklist; `alerts/checklists/daily.toml` tells what the fields mean."""

    id: str
    sop: str
    title: Words
    kind: Literal["auto", "sign"] = "auto"
    rules: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    fresh: float = 600.0  # seconds
    says: tuple[str, ...] = ()  # as alerts/vocabulary.toml reads it; the first is what we tell people to write


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody did it and says so. The first signature of a row and day is the one that stays."""

    day: str  # "2026-01-05", the site's
    row: str
    who: str
    how: str  # the channel
    at: float  # unix seconds


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One collector as it stands: what it declares, what its last run yielded, and whether that run was whole."""

    name: str
    declares: frozenset[str]  # names of metrics
    yielded: frozenset[str] = frozenset()
    at: float | None = None  # of its last report, unix seconds
    lasts: float = 0.0  # seconds until its next report is overdue
    whole: bool = True  # the run succeeded, and each of its targets


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A row as it stands: `why` it is unknown, and the incidents that it is `about`, each cut down to this row."""

    id: str
    title: Words
    mark: Mark
    why: Doubt = ""
    about: tuple[Incident, ...] = ()


class ToSign(msgspec.Struct, frozen=True, kw_only=True):
    """A row that a person signs, and the signature, if there is one. `word` is how a reply names it."""

    id: str
    title: Words
    word: str
    signature: Signature | None = None


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """What a digest says, in no language yet. `at`: when it was to be said, unix seconds.

    daily: the list of the morning · reminder: rows that nobody signed · passed: the same, to the next person instead of
    `who` · proposals: `toml` to accept at the end of the first week.
    """

    kind: Literal["daily", "reminder", "passed", "proposals"] = "daily"
    at: float
    late: bool = False
    rows: tuple[Judged, ...] = ()
    sign: tuple[ToSign, ...] = ()
    held: tuple[Incident, ...] = ()  # nobody was told of these; some are over again
    open: tuple[Incident, ...] = ()  # the others that no row shows
    who: str = ""
    toml: str = ""

    @property
    def unsigned(self) -> tuple[ToSign, ...]:
        return tuple(row for row in self.sign if row.signature is None)


def rows(text: str) -> tuple[Row, ...]:
    """Read a checklist. Raises ValueError where it is no list of rows with ids of their own."""
    tables: list[dict[str, Any]] = tomllib.loads(text)["row"]
    found = tuple(msgspec.convert(_with_seconds(table), Row) for table in tables)
    twice = [row.id for at, row in enumerate(found) if row.id in {other.id for other in found[:at]}]
    if twice:
        raise ValueError(f"two rows have the id {twice[0]}")
    return found


def build(
    checklist: Sequence[Row], measured: Sequence[Measured], incidents: Sequence[Incident], over: Sequence[Incident],
    signatures: Mapping[str, Signature], *, at: float, now: float, late: bool = False,
) -> Digest:
    """The morning's digest. `incidents` are open; `over` came and went since the last digest without a word."""
    judged = tuple(_judged(row, measured, incidents, now) for row in checklist if row.kind == "auto")
    # A row shows an incident only where it shows all that is wrong with it; then the lists below need not repeat it.
    shown = {incident.code for incident in incidents if _sick(incident) <= _shown(judged, incident.code)}
    rest = [incident for incident in incidents if incident.code not in shown]
    held = [incident for incident in rest if incident.held_by in WAITS_FOR_THE_DIGEST]
    return Digest(at=at, late=late, rows=judged, sign=to_sign(checklist, signatures), held=(*held, *over),
                  open=tuple(incident for incident in rest if incident not in held))


def to_sign(checklist: Iterable[Row], signatures: Mapping[str, Signature]) -> tuple[ToSign, ...]:
    """The rows that people sign, with the signatures of that day, by row."""
    return tuple(ToSign(id=row.id, title=row.title, word=row.says[0] if row.says else str(number),
                        signature=signatures.get(row.id))
                 for number, row in enumerate((row for row in checklist if row.kind == "sign"), 1))


def meant(said: str, checklist: Iterable[Row]) -> Row | None:
    """The row that a person names by a word of its own, or by its number among those to be signed."""
    to_be_signed = [row for row in checklist if row.kind == "sign"]
    number = int(said) if said.isascii() and said.isdecimal() else 0
    if 1 <= number <= len(to_be_signed):
        return to_be_signed[number - 1]
    return next((row for row in to_be_signed if said.casefold() in (*row.says, row.id)), None)


def _with_seconds(table: dict[str, Any]) -> dict[str, Any]:
    return {**table, "fresh": parse(DURATION, table["fresh"])} if "fresh" in table else table


def _judged(row: Row, measured: Iterable[Measured], incidents: Iterable[Incident], now: float) -> Judged:
    about = tuple(part for incident in incidents if (part := _part(incident, row.rules)) is not None)
    if any(member.state == "bad" for part in about for member in part.members.values()):
        return Judged(id=row.id, title=row.title, mark="bad", about=about)
    if about:  # it was bad when it was last seen
        return Judged(id=row.id, title=row.title, mark="unknown", why="silent", about=about)
    watchers = [each for each in measured if _fitting(each.declares, row.metrics)]
    if not watchers:
        return Judged(id=row.id, title=row.title, mark="unwatched")
    doubts = [_doubt(each, row.fresh, now) for each in watchers]
    if not any(_fitting(each.yielded, row.metrics) for each in watchers):
        doubts.append("never")  # silence is not health
    doubt: Doubt = next(filter(None, doubts), "")
    return Judged(id=row.id, title=row.title, mark="unknown" if doubt else "good", why=doubt)


def _doubt(collector: Measured, fresh: float, now: float) -> Doubt:
    if collector.at is None:
        return "never"
    if now - collector.at > max(fresh, collector.lasts):
        return "old"
    return "" if collector.whole else "failed"


def _part(incident: Incident, rules: Sequence[str]) -> Incident | None:
    """The incident with nothing but what is wrong by these rules; None where that is nothing."""
    members = {key: member for key, member in incident.members.items()
               if member.state != "good" and _fitting((member.rule,), rules)}
    key = next(iter(members), "")
    return msgspec.structs.replace(incident, key=key, members=members, evidence={}) if members else None


def _fitting(names: Iterable[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _sick(incident: Incident) -> set[str]:
    return {key for key, member in incident.members.items() if member.state != "good"}


def _shown(judged: Iterable[Judged], code: str) -> set[str]:
    return {key for row in judged for part in row.about if part.code == code for key in part.members}
