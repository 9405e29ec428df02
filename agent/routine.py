"""`[digest]` and `[proof]`: the hour of the morning digest, and the weekly message that must be answered."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

import alerts
from agent.fields import INVALID, Reader, instead
from agent.source import Where
from alerts import localtime, notification
from alerts.digest import Row, rows
from alerts.incident import Told
from alerts.policy import Contact, Policy

BOGUS = timedelta(days=2)  # a day that far ahead was remembered from a wrong clock


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """`[digest]`: to the person on duty, and to `to`, on every day that the shop opens; rows in `skip` are left out."""

    at: str = "08:00"  # local; "" for never
    to: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.at:
            try:
                localtime.clock_time(self.at)
            except ValueError as error:
                raise ValueError(f"at {error}") from error


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """`[proof]`: a message that `to` must answer within a day; else `manager` is told."""

    weekly: str = "Fri 15:00"  # local; "" for never
    to: str = ""  # the first of [oncall] people
    manager: str = ""  # the next of them

    def __post_init__(self) -> None:
        try:
            each_day = bool(self.weekly) and localtime.recurring(self.weekly)[0] is None
        except ValueError as error:
            raise ValueError(f"weekly {error}") from error
        if each_day:
            raise ValueError('weekly needs the day too: write "Fri 15:00"')


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says that matters here. `two_way`: the channels whose answers reach us."""

    policy: Policy
    proofs: Mapping[str, notification.Proof]
    two_way: frozenset[str]
    digest: Digest = Digest()
    proof: Proof = Proof()

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.policy.zone)

    @property
    def rows(self) -> tuple[Row, ...]:
        return without(checklist(), self.digest.skip)

    def answering(self, name: str) -> str:
        """The first of somebody's channels by which they can answer; "" where there is none."""
        person = self.policy.contacts.get(name)
        return next((channel for channel in (person.channels if person else ()) if channel in self.two_way), "")

    def ways(self, name: str) -> list[Told]:
        """The first of somebody's channels, and the copies: this is no alarm."""
        person = self.policy.contacts.get(name)
        if person is None:
            return []
        channels = [channel for channel in person.channels if channel in self.proofs][:1]
        channels += [channel for channel in person.copy if channel in self.proofs]
        return [Told(name, channel) for channel in dict.fromkeys(channels)]


def sections(top: Mapping[str, Any], contacts: Mapping[str, Contact], notifiers: Mapping[str, Any],
             reader: Reader) -> tuple[Digest, Proof]:
    """Read `[digest]` and `[proof]`. Where the contacts are mistaken themselves (none are given), no name is blamed."""
    return _digest(top, contacts, reader), _proof(top, contacts, notifiers, reader)


@cache
def checklist() -> tuple[Row, ...]:
    """The rows of the morning, as they ship."""
    return rows((Path(alerts.__path__[0]) / "checklists" / "daily.toml").read_text("utf-8"))


def without(checklist: Iterable[Row], skip: Iterable[str]) -> tuple[Row, ...]:
    """The rows that are not left out."""
    skip = set(skip)
    return tuple(row for row in checklist if row.id not in skip)


def display(name: str, policy: Policy) -> str:
    """A contact's name for people; any other name as it is."""
    contact = policy.contacts.get(name)
    return contact.display if contact else name


def _digest(top: Mapping[str, Any], contacts: Mapping[str, Contact], reader: Reader) -> Digest:
    read = reader.struct(Digest, reader.table(top.get("digest", {}), ("digest",)), ("digest",))
    if read is INVALID:
        return Digest()
    for at, name in enumerate(read.to):
        if contacts and name not in contacts:
            reader.wrong(("digest", "to", at), f' names "{name}", who is no contact: {instead(name, contacts)}')
    known = [row.id for row in checklist()]
    for at, row in enumerate(read.skip):
        if row not in known:
            reader.wrong(("digest", "skip", at), f' names "{row}", which is no row: {instead(row, known)}')
    return read  # type: ignore[no-any-return]


def _proof(top: Mapping[str, Any], contacts: Mapping[str, Contact], notifiers: Mapping[str, Any],
           reader: Reader) -> Proof:
    """Who is named to answer must have a channel whose answers reach us."""
    read = reader.struct(Proof, reader.table(top.get("proof", {}), ("proof",)), ("proof",))
    if read is INVALID:
        return Proof()
    for key in ("to", "manager"):
        _person(getattr(read, key), contacts, reader, ("proof", key))
    person = contacts.get(read.to)
    if read.weekly and person is not None and not any(_answers(notifiers.get(name)) for name in person.channels):
        able = sorted(name for name, notifier in notifiers.items() if _answers(notifier))
        add = f"give them {' or '.join(able)}" if able else "configure telegram, twilio or fonnte"
        reader.wrong(("proof", "to"), f' names "{read.to}", whose channels take no answers: {add}')
    return read  # type: ignore[no-any-return]


def _person(name: str, contacts: Mapping[str, Contact], reader: Reader, where: Where) -> None:
    if name and contacts and name not in contacts:
        reader.wrong(where, f' names "{name}", who is no contact: {instead(name, contacts)}')
    elif name in contacts and contacts[name].group:
        reader.wrong(where, f' names "{name}", a group, which nobody needs to read: name a person')


def _answers(notifier: Any) -> bool:
    """Can an answer by this channel reach us, by asking or by a webhook?"""
    return hasattr(notifier, "replies") or hasattr(notifier, "hook_secret")
