"""`[contacts]` and `[alerts]`, and with the sections on duty and escalation the policy that the desk reads."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from agent import duty, escalations
from agent.channels import Addresses, address, check_channel
from agent.fields import INVALID, Reader
from agent.source import Where
from alerts.policy import ALL, ONCALL, Contact, Policy, rung_of

# The policy's fields that are not keys of [alerts]: they have sections of their own.
ELSEWHERE: Final = ("contacts", "people", "rotation", "zone", "steps", "escalations", "hours", "maintenance")


class _Person(msgspec.Struct, frozen=True, kw_only=True):
    """`[contacts.NAME]`, without the addresses."""

    display: str = ""
    language: Literal["", "id", "en"] = ""
    channels: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    call: tuple[str, ...] | None = None
    technician: bool = True
    shared: bool = False
    group: bool = False


def policy(top: Mapping[str, Any], channels: Addresses, language: str, zone: str,
           reader: Reader) -> Policy | None:
    """Read the sections; None after a mistake. `channels` are the notifiers that are configured."""
    before = len(reader.mistakes)
    contacts = _contacts(top, channels, language, reader)
    people, rotation = duty.oncall(top, contacts, reader)
    on_call = dict.fromkeys([*people, *(override.person for override in rotation.override)])
    steps = escalations.steps(top, contacts, people, on_call, channels, reader)
    named = escalations.escalations(top, reader)
    hours, maintenance = duty.hours(top, reader), duty.maintenance(top, reader)
    times = _times(reader.table(top.get("alerts", {}), ("alerts",)), channels, reader)
    if len(reader.mistakes) > before:
        return None
    try:
        return Policy(contacts=contacts, people=people, rotation=rotation, zone=zone, steps=steps, escalations=named,
                      hours=hours, maintenance=maintenance, **times)
    except ValueError as error:
        reader.own_rule(str(error), times, ("alerts",))
        return None


def operator(language: str) -> Contact:
    """Who is told where nobody is configured: whoever looks at the console."""
    return Contact(name="operator", display="operator", language=language, channels=("console",))


def _contacts(top: Mapping[str, Any], channels: Addresses, language: str, reader: Reader) -> dict[str, Contact]:
    tables = reader.table(top.get("contacts", {}), ("contacts",))
    if not tables and "contacts" not in top and set(channels) <= {"console"}:
        return {"operator": operator(language)}
    if not tables:
        reader.wrong(("contacts",), " name nobody to tell: add [contacts.NAME] with an address and channels")
    return {name: _contact(name, reader.table(table, ("contacts", name)), channels, language, reader)
            for name, table in tables.items()}


def _contact(name: str, table: Mapping[str, Any], channels: Addresses, language: str, reader: Reader) -> Contact:
    """Also with mistakes a contact comes back, so that who names it is not blamed besides."""
    where: Where = ("contacts", name)
    reader.name(name, where)
    if (means := _reserved(name)):
        reader.wrong(where, f': "{name}" means {means}: give the contact another name')
    kinds = {"whatsapp", "telegram", "email", "phone", *channels.values()} - {""}
    group = table.get("group") is True
    addresses = {}
    for kind in sorted(kinds & set(table)):
        addresses[kind] = address(kind, table[kind], group, reader, (*where, kind)) or ""
    mistakes = len(reader.mistakes)
    person = reader.struct(_Person, {key: value for key, value in table.items() if key not in kinds}, where, kinds)
    if person is INVALID:
        return Contact(name=name, display=name, language=language, channels=())
    if not person.channels and len(reader.mistakes) == mistakes:
        choice = ", ".join(f'"{channel}"' for channel in channels) or '"console"'
        reader.wrong((*where, "channels"), f" is missing: without a channel nobody hears, so add channels = [{choice}]")
    for key in ("channels", "copy", "call"):
        for at, channel in enumerate(getattr(person, key) or ()):
            check_channel(channel, name, set(table), channels, reader, (*where, key, at))
    call = person.call
    if call is None:  # whoever has a phone number can be called, where there is a notifier that calls
        call = tuple(channel for channel, kind in channels.items() if kind == "phone" and "phone" in addresses)
    return Contact(name=name, display=person.display or name, language=person.language or language, addresses=addresses,
                   channels=person.channels, copy=person.copy, call=call, technician=person.technician,
                   shared=person.shared, group=person.group)


def _reserved(name: str) -> str:
    """What that word means in the steps of an escalation, so that nobody can have it as a name."""
    if name in (ONCALL, ALL):
        return "whoever is on duty" if name == ONCALL else "everybody in [oncall]"
    return "" if rung_of(name) is None else "who follows in the rotation"


def _times(table: Mapping[str, Any], channels: Addresses, reader: Reader) -> dict[str, Any]:
    """The keys of `[alerts]`. A severity that is not named keeps its default."""
    fields = [field for field in msgspec.structs.fields(Policy) if field.name not in ELSEWHERE]
    reader.known(table, [field.name for field in fields], ("alerts",))
    values = {}
    for field in fields:
        if field.name not in table:
            continue
        where: Where = ("alerts", field.name)
        value = reader.read(field.type, table[field.name], where)
        if isinstance(value, dict) and field.name == "price":
            _prices(value, channels, reader)
        elif isinstance(value, dict):
            reader.known(value, escalations.SEVERITIES, where)
            value = {**field.default_factory(), **value}
        values[field.name] = value
    return values


def _prices(prices: Mapping[str, float], channels: Addresses, reader: Reader) -> None:
    for channel, price in prices.items():
        where: Where = ("alerts", "price", channel)
        if channel not in channels:
            check_channel(channel, "", set(), channels, reader, where)
        if price < 0:
            reader.wrong(where, " must not be negative: write what a message costs in Rupiah, such as 550")
