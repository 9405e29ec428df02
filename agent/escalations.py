"""`[[escalation]]` and `[escalations]`: who is told after how long, for everything or for what fits a match."""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

import msgspec

from agent.channels import Addresses, check_channel
from agent.fields import INVALID, Reader, instead
from agent.source import Where
from alerts.policy import ALL, ONCALL, Contact, Escalation, Step, default_steps, rung_of
from alerts.rule import RANK

SEVERITIES: Final = tuple(severity for severity in RANK if severity)


class _Group(msgspec.Struct, frozen=True, kw_only=True):
    """`[escalations.NAME]`."""

    match: dict[str, tuple[str, ...]]
    end: Literal["", "repeat", "remind"] = ""


def escalations(top: Mapping[str, Any], reader: Reader) -> dict[str, Escalation]:
    """Those with a name, in the order of the file; one with a mistake is left out."""
    found = {}
    for name, table in reader.table(top.get("escalations", {}), ("escalations",)).items():
        where: Where = ("escalations", name)
        reader.name(name, where)
        group = reader.struct(_Group, with_match(reader.table(table, where)), where)
        if group is not INVALID:
            check_match(group.match, "escalation", reader, (*where, "match"))
            found[name] = Escalation(name=name, match=group.match, end=group.end)
    return found


def steps(top: Mapping[str, Any], contacts: Mapping[str, Contact], people: tuple[str, ...], on_call: Iterable[str],
          channels: Addresses, reader: Reader) -> tuple[Step, ...]:
    """All steps. The common ones are the shipped ones where none is written; `on_call` is everybody who has turns."""
    written = top.get("escalation", [])
    if not isinstance(written, list) or ("escalation" in top and not written):
        reader.wrong(("escalation",), " is a list of steps: write each as [[escalation]]")
        return ()
    before = len(reader.mistakes)
    rungs: list[Step] = [reader.struct(Step, reader.table(table, ("escalation", at)), ("escalation", at))
                         for at, table in enumerate(written)]
    if len(reader.mistakes) > before:
        return ()
    checker = _Checker(contacts, people, tuple(on_call), channels, reader)
    for at, rung in enumerate(rungs):
        checker.check(rung, ("escalation", at))
    _order(rungs, reader)
    _groups(rungs, reader.table(top.get("escalations", {}), ("escalations",)), reader)
    if any(not rung.policy for rung in rungs):
        return tuple(rungs)
    return (*default_steps(people, contacts), *rungs)


def with_match(table: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with single patterns of `match` as lists of one."""
    match = table.get("match")
    if not isinstance(match, dict):
        return dict(table)
    return {**table, "match": {key: [value] if isinstance(value, str) else value for key, value in match.items()}}


def check_match(match: Mapping[str, tuple[str, ...]], what: str, reader: Reader, where: Where) -> None:
    """Note a match that takes nothing, or everything without saying so."""
    if not match:
        reader.wrong(where, f' is empty: say what the {what} is for, as in match = {{ rule = ["disk_*"] }}')
    for key, patterns in match.items():
        if not patterns:
            reader.wrong((*where, key), ' fits nothing: write a pattern such as "disk_*", or "!disk_*" to exclude')
    for at, pattern in enumerate(match.get("severity", ())):
        if not any(fnmatchcase(severity, pattern.removeprefix("!")) for severity in SEVERITIES):
            reader.wrong((*where, "severity", at), f" fits no severity: {instead(pattern, SEVERITIES)}")


def _order(rungs: list[Step], reader: Reader) -> None:
    """Within each escalation and severity, a step begins when the one before it has told for the last time."""
    for at, rung in enumerate(rungs):
        before = [each for each in rungs[:at] if each.policy == rung.policy and {*each.severities} & {*rung.severities}]
        if before and rung.after < before[-1].after:
            reader.wrong(("escalation", at, "after"), " is shorter than the step's before it: put the steps in order")
        elif before and rung.after < before[-1].last:
            reader.wrong(("escalation", at, "after"), " comes before the step before it has told for the last time "
                                                      f"({_minutes(before[-1].last)}): make it longer, or repeat less")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g}m" if seconds % 60 == 0 else f"{seconds:g}s"


def _groups(rungs: list[Step], named: Mapping[str, Any], reader: Reader) -> None:
    """Steps and names of escalations belong together."""
    common = [rung for rung in rungs if not rung.policy]
    if common and not any("critical" in rung.severities for rung in common):
        reader.wrong(("escalation",), ' has no step for "critical": nobody would be told of the worst')
    for at, rung in enumerate(rungs):
        if rung.policy and rung.policy not in named:
            reader.wrong(("escalation", at, "policy"),
                         f' names "{rung.policy}", which is not written: {_or_add(rung.policy, named)}')
    for name in named:
        if not any(rung.policy == name for rung in rungs):
            reader.wrong(("escalations", name), f' has no step: add [[escalation]] with policy = "{name}"')


def _or_add(name: str, named: Mapping[str, Any]) -> str:
    meant = instead(name, named)
    return meant if meant.startswith("did you") else f"add [escalations.{name}] with a match"


class _Checker(msgspec.Struct, frozen=True):
    """What a step may name."""

    contacts: Mapping[str, Contact]
    people: tuple[str, ...]
    on_call: tuple[str, ...]
    channels: Addresses
    reader: Reader

    def check(self, rung: Step, where: Where) -> None:
        wrong = self.reader.wrong
        for key in ("to", "severities"):
            if not getattr(rung, key):
                wrong((*where, key), " is empty, so this step tells nobody")
        for at, name in enumerate(rung.to):
            self._name(name, (*where, "to", at))
        if rung.repeat and rung.every <= 0:
            wrong((*where, "every"), ' must be longer than nothing: write every = "5m"')
        told = [self.contacts[name] for one in rung.to for name in self._meant(one) if name in self.contacts]
        if told and all(contact.group for contact in told):
            wrong((*where, "to"), f' names only groups, which nobody needs to read: add "{ONCALL}" or a person')
        if rung.call and told and not any(contact.call for contact in told):
            wrong((*where, "call"), ' rings nobody: add phone = "+62…" to a contact here, and a notifier that calls')
        for at, channel in enumerate(rung.channels):
            place: Where = (*where, "channels", at)
            if channel not in self.channels:
                check_channel(channel, "", set(), self.channels, self.reader, place)
            for contact in {contact.name: contact for contact in told}.values() if channel in self.channels else ():
                check_channel(channel, contact.name, set(contact.addresses), self.channels, self.reader, place)

    def _name(self, name: str, where: Where) -> None:
        rung = rung_of(name)
        if rung is None and name != ALL and name not in self.contacts:
            hint = instead(name, [ONCALL, *self.contacts])
            self.reader.wrong(where, f' names "{name}", who is no contact: {hint}')
        elif rung and rung >= len(self.people) > 0:
            self.reader.wrong(where, f' names "{name}", but [oncall] has {len(self.people)} '
                                     f"{'person' if len(self.people) == 1 else 'people'}: name more there")

    def _meant(self, name: str) -> tuple[str, ...]:
        return self.on_call if rung_of(name) is not None or name == ALL else (name,)
