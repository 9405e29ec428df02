"""`[contacts]`, `[oncall]`, `[[escalation]]` and `[alerts]`: who is told, as the policy that the desk reads."""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from agent.fields import INVALID, Reader, close, instead
from agent.source import Where
from alerts.policy import ONCALL, Contact, Policy, Step, default_steps
from alerts.rule import RANK, Severity
from collectors.quantities import Seconds

_E164 = re.compile(r"\+[1-9]\d{7,14}")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_CHAT = re.compile(r"-?\d+")
_SEVERITIES: Final = tuple(severity for severity in RANK if severity)
_WHO: Final = ("contacts", "people", "steps")  # the policy's fields that are not keys of [alerts]

Addresses = Mapping[str, str]  # notifier name -> the contact's address that it writes to; "" for none


class _Person(msgspec.Struct, frozen=True, kw_only=True):
    """`[contacts.NAME]`, without the addresses."""

    display: str = ""
    language: Literal["", "id", "en"] = ""
    channels: tuple[str, ...] = ()
    copy: tuple[str, ...] = ()
    technician: bool = True
    shared: bool = False


class _Duty(msgspec.Struct, frozen=True):
    """`[oncall]`."""

    people: tuple[str, ...]


class _Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One `[[escalation]]`."""

    after: Seconds
    to: tuple[str, ...]
    channels: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ("warning", "critical")


def policy(top: Mapping[str, Any], channels: Addresses, language: str, reader: Reader) -> Policy | None:
    """Read the four sections; None after a mistake. `channels` are the notifiers that are configured."""
    before = len(reader.mistakes)
    contacts = _contacts(top, channels, language, reader)
    people = _people(top, contacts, reader)
    steps = _steps(top, contacts, people, channels, reader)
    times = _times(reader.table(top.get("alerts", {}), ("alerts",)), reader)
    if len(reader.mistakes) > before:
        return None
    try:
        return Policy(contacts=contacts, people=people, steps=steps, **times)
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
    if name == ONCALL:
        reader.wrong(where, f': "{ONCALL}" means whoever is on duty: give the contact another name')
    kinds = {"whatsapp", "telegram", "email", "phone", *channels.values()} - {""}
    addresses = {}
    for kind in sorted(kinds & set(table)):
        addresses[kind] = _address(kind, table[kind], reader, (*where, kind)) or ""
    mistakes = len(reader.mistakes)
    person = reader.struct(_Person, {key: value for key, value in table.items() if key not in kinds}, where, kinds)
    if person is INVALID:
        return Contact(name=name, display=name, language=language, channels=())
    if not person.channels and len(reader.mistakes) == mistakes:
        choice = ", ".join(f'"{channel}"' for channel in channels) or '"console"'
        reader.wrong((*where, "channels"), f" is missing: without a channel nobody hears, so add channels = [{choice}]")
    for key in ("channels", "copy"):
        for at, channel in enumerate(getattr(person, key)):
            _channel(channel, name, set(table), channels, reader, (*where, key, at))
    return Contact(name=name, display=person.display or name, language=person.language or language, addresses=addresses,
                   channels=person.channels, copy=person.copy, technician=person.technician, shared=person.shared)


def _channel(channel: str, contact: str, have: set[str], channels: Addresses, reader: Reader, where: Where) -> None:
    if channel not in channels:
        reader.wrong(where, f' names "{channel}", which is not configured: {_or_add(channel, channels)}')
    elif (kind := channels[channel]) and kind not in have:
        example = {"whatsapp": "+62…", "phone": "+62…", "email": "name@example.org"}.get(kind, "…")
        lacks = f"for which contacts.{contact} has no address"
        reader.wrong(where, f' names "{channel}", {lacks}: add {kind} = "{example}"')


def _or_add(channel: str, channels: Addresses) -> str:
    meant = close(channel, channels)
    return f'did you mean "{meant}"?' if meant else f"add [notifiers.{channel}]"


def _address(kind: str, value: object, reader: Reader, where: Where) -> str | None:
    """The address, checked; what was written is not repeated, for a mistake's text goes into logs."""
    if kind == "telegram" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 2**63 else "?"
    text = reader.read(str, value, where)
    if text is INVALID:
        return None
    says = ""
    if kind in ("whatsapp", "phone") and not _E164.fullmatch(text):
        says = _international(text)
    elif kind == "email" and not _MAIL.fullmatch(text):
        says = ' is not an e-mail address: write it as "name@example.org"'
    elif kind == "telegram" and not _CHAT.fullmatch(text):
        says = " is not a chat's number: a bot can write only to those, so write it as 123456789"
    elif not text.isprintable() or not text.strip():
        says = " is empty or holds characters that no address has"
    if says:
        reader.wrong(where, says)
        return None
    return str(text)


def _international(text: str) -> str:
    digits = "".join(filter(str.isdecimal, text))
    if digits.startswith("08"):
        return f' begins with 0: write it with the country code and without the 0, "+62{digits[1:4]}…"'
    if _E164.fullmatch(f"+{digits}"):
        return f' is not in international form: write "+{digits[:5]}…", a plus and then only digits'
    return ' is not a phone number in international form: write it as "+628123456789"'


def _people(top: Mapping[str, Any], contacts: Mapping[str, Contact], reader: Reader) -> tuple[str, ...]:
    if "oncall" not in top:
        return tuple(name for name, contact in contacts.items() if not contact.shared) or tuple(contacts)
    duty = reader.struct(_Duty, reader.table(top["oncall"], ("oncall",)), ("oncall",))
    if duty is INVALID:
        return ()
    where: Where = ("oncall", "people")
    if not duty.people:
        reader.wrong(where, " is empty: name at least one contact")
    for at, name in enumerate(duty.people):
        if name not in contacts:
            reader.wrong((*where, at), f' names "{name}", who is no contact: {instead(name, contacts)}')
        elif name in duty.people[:at]:
            reader.wrong((*where, at), f' names "{name}" a second time: name everybody once')
    return tuple(duty.people)


def _steps(top: Mapping[str, Any], contacts: Mapping[str, Contact], people: tuple[str, ...],
           channels: Addresses, reader: Reader) -> tuple[Step, ...]:
    if "escalation" not in top:
        return default_steps(people)
    tables = top["escalation"]
    if not isinstance(tables, list) or not tables:
        reader.wrong(("escalation",), " is a list of steps: write each as [[escalation]]")
        return ()
    before = len(reader.mistakes)
    rungs = [reader.struct(_Rung, reader.table(table, ("escalation", at)), ("escalation", at))
             for at, table in enumerate(tables)]
    if len(reader.mistakes) > before:
        return ()
    for at, rung in enumerate(rungs):
        _check(rung, ("escalation", at), contacts, people, channels, reader)
        if at and rung.after < rungs[at - 1].after:
            reader.wrong(("escalation", at, "after"), " is shorter than the step's before it: put the steps in order")
    if not any("critical" in rung.severities for rung in rungs):
        reader.wrong(("escalation",), ' has no step for "critical": nobody would be told of the worst')
    return tuple(Step(after=rung.after, to=rung.to, channels=rung.channels, severities=rung.severities)
                 for rung in rungs)


def _check(rung: _Rung, where: Where, contacts: Mapping[str, Contact], people: tuple[str, ...],
           channels: Addresses, reader: Reader) -> None:
    for key in ("to", "severities"):
        if not getattr(rung, key):
            reader.wrong((*where, key), " is empty, so this step tells nobody")
    for at, name in enumerate(rung.to):
        if name != ONCALL and name not in contacts:
            hint = instead(name, [ONCALL, *contacts])
            reader.wrong((*where, "to", at), f' names "{name}", who is no contact: {hint}')
    told = [contacts[name] for one in rung.to for name in (people if one == ONCALL else (one,)) if name in contacts]
    for at, channel in enumerate(rung.channels):
        if channel not in channels:
            _channel(channel, "", set(), channels, reader, (*where, "channels", at))
        for contact in dict.fromkeys(contact.name for contact in told) if channel in channels else ():
            _channel(channel, contact, set(contacts[contact].addresses), channels, reader, (*where, "channels", at))


def _times(table: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    """The keys of `[alerts]`. A severity that is not named keeps its default."""
    fields = [field for field in msgspec.structs.fields(Policy) if field.name not in _WHO]
    reader.known(table, [field.name for field in fields], ("alerts",))
    values = {}
    for field in fields:
        if field.name not in table:
            continue
        where: Where = ("alerts", field.name)
        value = reader.read(field.type, table[field.name], where)
        if isinstance(value, dict):
            reader.known(value, _SEVERITIES, where)
            value = {**field.default_factory(), **value}
        values[field.name] = value
    return values
