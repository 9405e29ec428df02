"""`[oncall]`, `[hours]` and `[[maintenance]]`: who is on duty when, and when it is quiet."""

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from agent.escalations import check_match, with_match
from agent.fields import INVALID, Reader, instead
from agent.source import Where
from alerts import localtime
from alerts.policy import Contact
from alerts.quiet import Hours, Maintenance
from alerts.roster import Override, Rotation


class _Duty(Rotation, frozen=True, kw_only=True):
    """`[oncall]`."""

    people: tuple[str, ...]


def oncall(top: Mapping[str, Any], contacts: Mapping[str, Contact],
           reader: Reader) -> tuple[tuple[str, ...], Rotation]:
    """The people in order, and how they take turns; without the section everybody who is a person, in the file's order.

    A gap is a mistake here, not a surprise at night: nobody may have a turn who cannot be reached.
    """
    if "oncall" not in top:
        people = tuple(name for name, contact in contacts.items() if not contact.shared and not contact.group)
        people = people or tuple(name for name, contact in contacts.items() if not contact.group)
        if contacts and not people:
            reader.wrong(("contacts",), " are all groups, and nobody needs to read those: add a person")
        return people, Rotation()
    duty = reader.struct(_Duty, reader.table(top["oncall"], ("oncall",)), ("oncall",))
    if duty is INVALID:
        return (), Rotation()
    where: Where = ("oncall", "people")
    if not duty.people:
        reader.wrong(where, " is empty: name at least one contact")
    for at, name in enumerate(duty.people):
        if name in duty.people[:at]:
            reader.wrong((*where, at), f' names "{name}" a second time: name everybody once')
        else:
            _person(name, contacts, reader, (*where, at))
    for at, override in enumerate(duty.override):
        _person(override.person, contacts, reader, ("oncall", "override", at, "person"))
    _apart(duty.override, reader)
    return duty.people, Rotation(handover=duty.handover, start=duty.start, override=duty.override)


def hours(top: Mapping[str, Any], reader: Reader) -> Hours:
    """`[hours]`."""
    read = reader.struct(Hours, reader.table(top.get("hours", {}), ("hours",)), ("hours",))
    return Hours() if read is INVALID else read


def maintenance(top: Mapping[str, Any], reader: Reader) -> tuple[Maintenance, ...]:
    """`[[maintenance]]`, without those that hold a mistake."""
    tables = top.get("maintenance", [])
    if not isinstance(tables, list):
        reader.wrong(("maintenance",), " is a list of windows: write each as [[maintenance]]")
        return ()
    found: list[Maintenance] = []
    for at, table in enumerate(tables):
        where: Where = ("maintenance", at)
        each = reader.struct(Maintenance, with_match(reader.table(table, where)), where)
        if each is INVALID:
            continue
        if not each.name.strip() or not each.name.isprintable():
            reader.wrong((*where, "name"), " must be one line of text: it is shown to whoever asks why it is quiet")
        elif each.name in (other.name for other in found):
            reader.wrong((*where, "name"), f' "{each.name}" is taken: give each of them its own')
        if "severity" in each.match:
            reader.wrong((*where, "match", "severity"), " is nothing to ask for: maintenance holds for all severities")
        check_match(each.match, "window", reader, (*where, "match"))
        found.append(each)
    return tuple(found)


def _person(name: str, contacts: Mapping[str, Contact], reader: Reader, where: Where) -> None:
    if name not in contacts:
        reader.wrong(where, f' names "{name}", who is no contact: {instead(name, contacts)}')
    elif contacts[name].group:
        reader.wrong(where, f' names "{name}", a group, which nobody needs to read: name a person')


def _apart(overrides: Iterable[Override], reader: Reader) -> None:
    """Two overrides at one time leave open whose turn it is."""
    spans = sorted((localtime.moment(each.begin), localtime.moment(each.end), at) for at, each in enumerate(overrides))
    for (_, end, first), (begin, _, second) in pairwise(spans):
        if begin < end:
            reader.wrong(("oncall", "override", second),
                         f" begins before oncall.override[{first + 1}] ends: let one follow the other")
