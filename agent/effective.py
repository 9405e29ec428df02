"""Prints a Config as TOML that would give the same Config: defaults filled in, secrets by where they lie."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import msgspec

from agent import instances, plugins
from agent.config import Config
from agent.fields import Reader
from agent.people import ELSEWHERE
from agent.rulebook import quantity_of
from agent.shipped import Shipped
from alerts.rule import Rule
from collectors.quantities import DURATION, RATIO, Quantity
from collectors.secret import Secret

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def effective(config: Config) -> str:
    """The whole configuration in force, as `jaga config` prints it."""
    return "\n\n".join("\n".join(section) for section in _sections(config)) + "\n"


def write(quantity: Quantity, value: float) -> str:
    """A number as people write that quantity, in the largest unit that needs no fraction; exact in any case."""
    if quantity is RATIO:
        percent = f"{value * 100:.10g}"
        return f'"{percent}%"' if "e" not in percent and float(percent) * 0.01 == value else repr(value)
    if value == 0:
        return '"0s"' if quantity is DURATION else "0"
    for unit, factor in sorted(quantity.units, key=lambda each: -each[1]):
        count = value / factor
        if count >= 1 and count == int(count) and int(count) * factor == value:
            return f'"{int(count)}{" " if quantity is not DURATION else ""}{unit}"'
    return repr(value)


def toml(value: Any, kind: Any = None) -> str:
    """A value as TOML, in the units of its annotation; a Secret by its source."""
    for note in get_args(kind)[1:] if get_origin(kind) is Annotated else ():
        if isinstance(note, Quantity):
            return write(note, value)
    if isinstance(value, Secret):
        return value.source
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple | list):
        inner = (get_args(kind) or (None,))[0]
        return f"[{', '.join(toml(item, inner) for item in value)}]"
    if isinstance(value, msgspec.Struct):
        return f"{{ {', '.join(_fields(value))} }}"
    if isinstance(value, dict):
        inner = (get_args(kind) or (None, None))[-1]
        return f"{{ {', '.join(f'{_key(key)} = {toml(item, inner)}' for key, item in value.items())} }}"
    return repr(value)


def _sections(config: Config) -> Iterator[list[str]]:
    for name in ("agent", "web", "store"):
        yield [f"[{name}]", *_fields(getattr(config, name))]
    for each in config.collectors:
        yield list(_collector(each))
    for name, notifier in config.notifiers.items():
        kind = plugins.notifiers().name_of(type(notifier))
        yield [f"[notifiers.{_key(name)}]", *([f"type = {toml(kind)}"] if kind != name else []), *_fields(notifier)]
    policy = config.policy
    for contact in policy.contacts.values():
        addresses = [f"{_key(kind)} = {toml(address)}" for kind, address in contact.addresses.items()]
        yield [f"[contacts.{_key(contact.name)}]", *addresses, *_fields(contact, ("name", "addresses"))]
    yield ["[oncall]", f"people = {toml(policy.people)}", *_fields(policy.rotation, ("override",))]
    for override in policy.rotation.override:
        yield ["[[oncall.override]]", *_fields(override)]
    for escalation in policy.escalations.values():
        yield [f"[escalations.{_key(escalation.name)}]", *_fields(escalation, ("name",))]
    for step in policy.steps:
        yield ["[[escalation]]", f"after = {write(DURATION, step.after)}", *_fields(step, ("after",))]
    yield ["[hours]", *_fields(policy.hours)]
    for window in policy.maintenance:
        yield ["[[maintenance]]", *_fields(window, ("begin", "end") if window.every else ("every", "lasts"))]
    yield ["[alerts]", *_fields(policy, ELSEWHERE)]
    for name in ("digest", "proof", "heartbeat"):
        yield [f"[{name}]", *_fields(getattr(config, name))]
    yield from _rules(config)


def _collector(each: instances.Configured) -> Iterator[str]:
    name, colon, instance = each.name.partition(":")
    yield f"[[collectors.{_key(name)}]]" if colon else f"[collectors.{_key(name)}]"
    if colon:
        yield f"name = {toml(instance)}"
    yield f"every = {write(DURATION, each.every)}"
    yield f"timeout = {write(DURATION, each.timeout)}"
    yield from _fields(each.collector)


def _rules(config: Config) -> Iterator[list[str]]:
    """All rules in force; of those that ship only the texts that were changed, for they are long."""
    shipped = Shipped((each.plugin for each in config.collectors), config.metrics, Reader({}, config.path.parent))
    defaults = shipped.defaults()
    for name in defaults:
        if name not in config.rules:
            yield [f"[rules.{name}]", "enabled = false"]
    for name, rule in config.rules.items():
        default = defaults.get(name)
        texts = [key for key in ("summary", "first", "lay", "fix")
                 if default is None or getattr(rule, key) != getattr(default, key)]
        yield [f"[rules.{name}]", *_numbers(rule, default), *(f"{key} = {toml(getattr(rule, key))}" for key in texts)]


def _numbers(rule: Rule, default: Rule | None) -> Iterator[str]:
    """What the rule judges by; what says nothing is left out, where leaving it out means just that."""
    plain = default or Rule(name="", metric="", summary=rule.summary, first=rule.first, lay=rule.lay, fix=rule.fix)
    yield f"metric = {toml(rule.metric)}"
    yield f"kind = {toml(rule.kind)}"
    for key in ("warning", "critical", "limit", "hysteresis", "hold", "window", "boot_grace", "tell_after", "where",
                "explained_by", "sop"):
        value = getattr(rule, key)
        if value is None or (not value and value == getattr(plain, key) and key not in ("warning", "critical")):
            continue
        time = key in ("hold", "window", "boot_grace", "tell_after")
        quantity = DURATION if time else quantity_of(rule.metric, rule.kind, key)
        number = quantity and isinstance(value, float)
        yield f"{'for' if key == 'hold' else key} = {write(quantity, value) if quantity and number else toml(value)}"


def _fields(struct: msgspec.Struct, without: tuple[str, ...] = ()) -> Iterator[str]:
    for field in msgspec.structs.fields(type(struct)):
        value = getattr(struct, field.name)
        if field.name not in without and value is not None:
            yield f"{_key(field.encode_name)} = {toml(value, field.type)}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml(name)
