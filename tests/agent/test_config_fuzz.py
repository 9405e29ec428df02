"""Whatever stands in agent.toml, reading it ends in a Config or in sentences, never in a traceback."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent import config as configuration
from agent import source
from agent.config import Config, ConfigError
from agent.effective import effective, toml, write
from agent.source import Where
from collectors.quantities import DURATION, RATIO, SIZE, Quantity, parse

REFERENCE = (Path(__file__).resolve().parents[2] / "agent.toml").read_text()
FULL = source.parse("full", "\n".join(
    line[1:] if line.startswith("#") and not line.startswith("# ") else line for line in REFERENCE.splitlines()
).encode()).table

_TEXTS = st.one_of(
    st.sampled_from(["", "80%", "1h", "10 GiB", "disk", "console", "oncall", "+628110000001", "a@b.id", "critical",
                     "{mount}", "{", "\0", "☃", "x" * 300, "127.0.0.1:1", "[::1]:9810", ":", "Asia", "../etc", "/"]),
    st.text(max_size=12))
_SCALARS = st.one_of(_TEXTS, st.integers(-(10**30), 10**400), st.booleans(), st.floats(), st.sampled_from(["!DATE"]))
_KEYS = st.one_of(st.sampled_from(["every", "name", "type", "file", "env", "credential", "critical", "warning", "id",
                                   "en", "mount", "to", "after", "metric", "channels", "enabled", "oncall"]), _TEXTS)
_VALUES = st.recursive(_SCALARS, lambda inner: st.one_of(
    st.lists(inner, max_size=3), st.dictionaries(_KEYS, inner, max_size=3)), max_leaves=6)


def _places(node: Any, where: Where = ()) -> list[Where]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [place for name, inner in items for place in [(*where, name), *_places(inner, (*where, name))]]


def _with(node: Any, where: Where, value: Any) -> Any:
    if not where:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[where[0]] = _with(node[where[0]], where[1:], value)
    return copy


def _text(table: dict[str, Any]) -> str:
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in table.items()).replace('"!DATE"', "2026-11-22")


def _are_sentences(error: ConfigError, lines: int) -> None:
    assert error.problems
    for problem in error.problems:
        assert len(problem.text.split()) > 2
        assert problem.line is None or 1 <= problem.line <= lines


def _ends_well(content: bytes) -> Config | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "agent.toml")
        path.write_bytes(content)
        try:
            read = configuration.load(path, {})
        except ConfigError as error:
            _are_sentences(error, content.count(b"\n") + 1)
            return None
        path.write_text(effective(read))
        assert configuration.load(path, {}) == read
        return read


@settings(max_examples=250)
@given(st.data())
def test_any_value_in_any_place_is_read_or_told(data: st.DataObject) -> None:
    table = FULL
    for _ in range(data.draw(st.integers(1, 3))):
        places = _places(table)
        place = data.draw(st.sampled_from(places))
        value = data.draw(_VALUES)
        table = _with(table, place, value)
    _ends_well(_text(table).encode("utf-8", "replace"))


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from([*configuration.SECTIONS, "x"]), _VALUES, max_size=6))
def test_any_sections_are_read_or_told(table: dict[str, Any]) -> None:
    _ends_well(_text({"collectors": {"disk": {}}} | table).encode("utf-8", "replace"))


@settings(max_examples=300)
@given(st.binary(max_size=80) | st.text(alphabet='[]{}="\'\\.,# \n\r\tabc019-_é', max_size=60).map(str.encode))
@example(b"a = 1\r")
@example(b"collectors.disk = {}\r\n")
def test_any_bytes_are_read_or_told(content: bytes) -> None:
    _ends_well(content)


@settings(max_examples=60)
@given(st.data())
def test_the_line_of_a_key_is_where_it_is_written(data: st.DataObject) -> None:
    lines = REFERENCE.splitlines()
    chosen = data.draw(st.lists(st.booleans(), min_size=len(lines), max_size=len(lines)))
    text = "\n".join(line[1:] if take and line.startswith("#") and not line.startswith("# ") else line
                     for line, take in zip(lines, chosen, strict=True))
    try:
        parsed = source.parse("agent.toml", text.encode())
    except source.Unreadable:  # two settings without the header between them
        return
    for place in _places(parsed.table):
        line = parsed.line(place)
        assert line is not None
        names = [part for part in place if isinstance(part, str)]
        written = text.split("\n")[line - 1]
        # What stands in an array of several lines is found where that begins: its name is the nearest.
        assert names[-1] in written or (written.endswith("[") and written.split(" = ")[0] in names)


@given(st.sampled_from([DURATION, SIZE, RATIO]), st.floats(0, 1), st.integers(0, 10**9))
def test_a_quantity_survives_being_written_and_read(quantity: Quantity, part: float, whole: int) -> None:
    value = part if quantity is RATIO else part * 1000 + whole if whole % 2 else float(whole)
    written = source.parse("x", f"x = {write(quantity, value)}".encode()).table["x"]
    assert parse(quantity, written) == value
