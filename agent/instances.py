"""`[collectors.NAME]`, `[[collectors.NAME]]` and `[notifiers.NAME]`: plug-ins with their options, ready to use."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from agent import plugins
from agent.fields import INVALID, Reader, instead
from agent.plugins import Plugin, Plugins
from agent.source import Where
from collectors.quantities import Seconds

SHORTEST_EVERY: Final = 5.0  # seconds: below it, measuring itself would be a load
_OURS: Final[dict[str, Any]] = {"every": Seconds, "timeout": Seconds, "enabled": bool}


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """A collector to run. `name` is "disk", or "mysql:shop" for an element of [[collectors.mysql]]."""

    name: str
    plugin: Plugin
    every: float  # seconds
    timeout: float
    collector: Any


def collectors(section: object, reader: Reader) -> tuple[list[Plugin], list[Configured]]:
    """The collectors to run, and the plug-ins of all that are written, those switched off or mistaken included."""
    tables = reader.table(section, ("collectors",))
    before = len(reader.mistakes)
    written: list[Plugin] = []
    found: list[Configured] = []
    for name, table in tables.items():
        if plugin := _plugin(plugins.collectors(), "collector", name, reader, ("collectors", name)):
            written.append(plugin)
            found += _instances(plugin, table, reader)
    if not found and len(reader.mistakes) == before:
        why = "are all switched off, so nothing is watched" if tables else "name nothing to watch"
        reader.wrong(("collectors",), f" {why}: add [collectors.disk], for example")
    return written, found


def notifiers(section: object, reader: Reader) -> tuple[dict[str, Any], dict[str, str]]:
    """The notifiers, and the address that each writes to; one with a mistake still counts as configured."""
    found, channels = {}, {}
    for name, written in reader.table(section, ("notifiers",)).items():
        where: Where = ("notifiers", name)
        reader.name(name, where)
        table = reader.table(written, where)
        kind = reader.read(str, table.get("type", name), (*where, "type"))
        place: Where = (*where, "type") if "type" in table else where
        channels[name] = ""
        if kind is not INVALID and (plugin := _plugin(plugins.notifiers(), "notifier", kind, reader, place)):
            channels[name] = plugin.cls.address
            options = {key: value for key, value in table.items() if key != "type"}
            found[name] = reader.struct(plugin.cls, options, where, ("type",))
    return found, channels


def _plugin(known: Plugins, what: str, name: str, reader: Reader, where: Where) -> Plugin | None:
    try:
        return known[name]
    except KeyError:
        reader.wrong(where, f" names no {what}: {instead(name, known)}")
    except plugins.Broken as error:
        reader.wrong(where, f" cannot be loaded: {error}")
    return None


def _instances(plugin: Plugin, table: object, reader: Reader) -> Iterable[Configured]:
    where: Where = ("collectors", plugin.name)
    if not isinstance(table, list):
        one = _instance(plugin, plugin.name, reader.table(table, where), reader, where)
        return [one] if one else []
    found = []
    names: set[str] = set()
    for at, each in enumerate(table):
        place: Where = (*where, at)
        options = dict(reader.table(each, place))
        name = _own_name(options.pop("name", None), names, reader, (*place, "name"))
        if one := _instance(plugin, f"{plugin.name}:{name}", options, reader, place):
            found.append(one)
    return found


def _own_name(written: object, taken: set[str], reader: Reader, where: Where) -> str:
    if written is None:
        reader.wrong(where, ' is missing: each of several needs its own, such as name = "shop"')
        return ""
    name = reader.read(str, written, where)
    if name is INVALID:
        return ""
    if name in taken:
        reader.wrong(where, f' "{name}" is taken: give each of them its own')
    taken.add(name)
    reader.name(name, where)
    return str(name)


def _instance(plugin: Plugin, name: str, table: Mapping[str, Any], reader: Reader, where: Where) -> Configured | None:
    before = len(reader.mistakes)
    read = {key: reader.read(kind, table[key], (*where, key)) for key, kind in _OURS.items() if key in table}
    options = {key: value for key, value in table.items() if key not in _OURS}
    collector = reader.struct(plugin.cls, options, where, _OURS)
    every = read.get("every", plugin.every)
    if INVALID not in read.values():
        _times(read, every, reader, where)
    if len(reader.mistakes) > before or read.get("enabled") is False:
        return None
    # an interval that was shortened shortens a time-out that nobody chose
    timeout = read.get("timeout", min(plugin.timeout, 0.8 * every))
    return Configured(name=name, plugin=plugin, every=every, timeout=timeout, collector=collector)


def _times(read: Mapping[str, Any], every: float, reader: Reader, where: Where) -> None:
    if every < SHORTEST_EVERY:
        reader.wrong((*where, "every"), ' is too short: write at least "5s", for measuring is a load itself')
    elif "timeout" in read and not 0 < read["timeout"] < every:
        reader.wrong((*where, "timeout"), f' must be longer than nothing and shorter than every, which is "{every:g}s"')
