"""The rules in force: those that ship with the configured collectors, as `[rules.NAME]` changed them, and new ones."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.fields import INVALID, Reader, close, instead
from agent.source import Where
from alerts.rule import Cause, Kind, Rule, Words
from collectors.base import Metric
from collectors.quantities import DURATION, RATIO, SIZE, Quantity, Seconds

# What a key holds. Thresholds are not here: their unit is the metric's.
_PLAIN: Final[dict[str, Any]] = {
    "metric": str, "kind": Kind, "for": Seconds, "window": Seconds, "boot_grace": Seconds, "tell_after": Seconds,
    "sop": str, "enabled": bool, "explained_by": tuple[Cause, ...]}
_THRESHOLDS: Final = ("warning", "critical", "hysteresis", "limit")
_TEXTS: Final = ("summary", "first", "lay", "fix")
KEYS: Final = ("metric", "kind", "warning", "critical", "for", "where", "hysteresis", "window", "limit", "boot_grace",
               "tell_after", *_TEXTS, "sop", "enabled", "explained_by")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_PLACE = re.compile(r"(?<!\$)\{([A-Za-z_]\w*)\}")  # as `alerts.text.fill` sees it; `${HOME}` is the shell's
_ALWAYS: Final = frozenset({"value", "threshold", "agent", "site"})  # placeholders that every text may hold

_DEFAULTS: Final = {
    "first": Words(id="Jalankan `jaga check` di {agent} dan lihat nilainya.",
                   en="Run `jaga check` on {agent} and look at the value."),
    "lay": Words(id="Telepon petugas IT dan bacakan pesan ini.", en="Call the IT person and read this message out."),
    "fix": Words(id="Aturan ini ditambahkan di agent.toml; langkah perbaikannya belum ditulis di sana.",
                 en="This rule was added in agent.toml, and its fix is not written there yet."),
}

Table = Mapping[str, Any]


def merged(shipped: Mapping[str, Table], changes: Table) -> dict[str, tuple[Table, bool]]:
    """Each rule's table, and whether agent.toml had a say in it: a key that it names replaces the shipped one."""
    both = {name: (table, False) for name, table in shipped.items()}
    for name, table in changes.items():
        base = shipped.get(name, {})
        both[name] = ({**base, **table} if isinstance(table, dict) else table, True)
    return both


def rule(name: str, table: object, collector: str, metrics: Mapping[str, Metric],
         reader: Reader, where: Where) -> Rule | None:
    """Read one rule's table; None where it is switched off or wrong, and then the mistakes are noted."""
    if not isinstance(table, dict):
        reader.wrong(where, " must be a section of keys and values")
        return None
    before = len(reader.mistakes)
    reader.known(table, KEYS, where)
    values = {key: reader.read(kind, table[key], (*where, key)) for key, kind in _PLAIN.items() if key in table}
    if values.get("enabled") is False:
        return None
    metric = _metric(table, values, metrics, reader, where)
    if metric is None or INVALID in values.values():
        return None
    values |= _thresholds(table, metric, values.get("kind", "above"), reader, where)
    values["where"] = _where(table.get("where", {}), metric, reader, (*where, "where"))
    values |= _texts(table, metric, reader, where)
    values["hold"] = values.pop("for", 0.0)
    if len(reader.mistakes) > before:
        return None
    read = Rule(name=name, collector=collector, **values)
    for says in _impossible(read):
        reader.wrong(where, says)
    return read if len(reader.mistakes) == before else None


def new_name(name: str, reader: Reader, where: Where, shipped: Iterable[str], table: object) -> bool:
    """Whether a name that does not ship may be a new rule's; otherwise the mistake is noted."""
    if isinstance(table, dict) and "metric" not in table:  # so it was meant to change one that ships
        meant = close(name, shipped)
        hint = f'did you mean "{meant}"?' if meant else "a new rule needs metric and summary"
        reader.wrong(where, f" changes a rule that does not exist: {hint}")
        return False
    if not _NAME.fullmatch(name):
        reader.wrong(where, ": a rule's name is made of a-z, 0-9 and _, and begins with a letter")
        return False
    return True


def quantity_of(metric: str, kind: str, key: str) -> Quantity | None:
    """The quantity that a rule's number is written in, by the metric's suffix; None for a plain number."""
    if kind in ("forecast", "absent") and key != "limit":
        return DURATION  # both judge a time, whatever the metric counts
    name = metric.removesuffix("_total")
    if name.endswith("_ratio"):
        return RATIO
    if name.endswith("_seconds"):
        return DURATION
    return SIZE if name.endswith(("_bytes", "_bytes_per_second")) else None


def _metric(table: Table, values: Table, metrics: Mapping[str, Metric], reader: Reader, where: Where) -> Metric | None:
    name = values.get("metric")
    if "metric" not in table:
        reader.wrong((*where, "metric"), ' is missing: add metric = "jaga_…"')
    elif isinstance(name, str):
        if name in metrics:
            return metrics[name]
        meant = close(name, metrics)
        hint = f'did you mean "{meant}"?' if meant else "jaga check lists what there is"
        reader.wrong((*where, "metric"), f' names "{name}", which no configured collector declares: {hint}')
    return None


def _thresholds(table: Table, metric: Metric, kind: str, reader: Reader, where: Where) -> dict[str, Any]:
    values = {}
    for key in _THRESHOLDS:
        if key in table:
            quantity = quantity_of(metric.name, kind, key)
            place = (*where, key)
            values[key] = (reader.quantity(quantity, table[key], place) if quantity
                           else reader.read(float, table[key], place))
    return values


def _where(value: object, metric: Metric, reader: Reader, where: Where) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict):
        reader.wrong(where, f' must be a table of labels, such as {{ {(*metric.labels, "mount")[0]} = "…" }}')
        return {}
    patterns = {}
    for label, wanted in value.items():
        if label not in metric.labels:
            reader.wrong((*where, label), f" is no label of {metric.name}: {instead(label, metric.labels)}")
        else:
            several = wanted if isinstance(wanted, list) else [wanted]
            read = reader.read(tuple[str, ...], several, (*where, label))
            if read == ():
                reader.wrong((*where, label), ' fits nothing: write a pattern such as "/srv*", or "!/srv" to exclude')
            elif read is not INVALID:
                patterns[label] = read
    return patterns


def _texts(table: Table, metric: Metric, reader: Reader, where: Where) -> dict[str, Any]:
    texts = {}
    for key in _TEXTS:
        place = (*where, key)
        if key in table:
            texts[key] = _words(table[key], metric, reader, place)
        elif key in _DEFAULTS:
            texts[key] = _DEFAULTS[key]
        else:
            reader.wrong(place, ' is missing: add summary = "…", what people read first')
    return texts


def _words(value: object, metric: Metric, reader: Reader, where: Where) -> Any:
    words: Any = INVALID
    if isinstance(value, str):
        words = Words(id=value, en=value)
    elif isinstance(value, dict):
        words = reader.struct(Words, value, where)
    else:
        return reader.wrong(where, ' must be text, or { id = "…", en = "…" }')
    if words is INVALID:
        return words
    allowed = _ALWAYS.union(metric.labels)
    for name in dict.fromkeys(_PLACE.findall(f"{words.id}\n{words.en}")):
        if name not in allowed:
            reader.wrong(where, f" holds {{{name}}}, which {metric.name} does not fill: {instead(name, allowed)}")
    if not words.id.strip() or not words.en.strip():
        reader.wrong(where, " is empty: say it in a few words")
    return words


def _impossible(rule: Rule) -> Iterable[str]:
    """What no reading could ever make of this rule, as phrases that follow its path."""
    warning, critical = rule.warning, rule.critical
    if warning is None and critical is None:
        yield " has neither warning nor critical: add one"
    elif warning is not None and critical is not None:
        falling = rule.kind in ("below", "forecast")
        if (warning < critical) if falling else (warning > critical):
            yield (f" is critical before it is a warning: with kind = \"{rule.kind}\", "
                   f"critical must be {'at most' if falling else 'at least'} the warning")
    if rule.kind in ("increase", "forecast") and rule.window <= 0:
        yield f' is of kind "{rule.kind}", which needs a window: add window = "1h"'
    if rule.kind == "forecast" and rule.limit is None:
        yield ' is of kind "forecast", which needs the limit that the value runs towards: add limit'
