"""Presets: files of queries and walks for an app that many have. Some ship, an operator may write his own."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from collectors import quantities
from collectors.sql_queries import Query
from collectors.sql_walk import Walk

FOLDER: Final = Path(__file__).with_name("presets")
_TIMES: Final = ("every", "within", "older")

_loaded: Final[dict[str, dict[str, Query | Walk]]] = {}


def load(preset: str) -> dict[str, Query | Walk]:
    """A preset by the name under which it ships, or by the path of its file ("/etc/jaga/toko.toml").

    Each table of the file is a query, or a walk where it has the key `table`. Raises ValueError with place and mend.
    """
    path = Path(preset) if "/" in preset else FOLDER / f"{preset}.toml"
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        shipped = ", ".join(f'"{file.stem}"' for file in sorted(FOLDER.glob("*.toml")))
        says = f'presets names "{preset}", which is not there: write {shipped}, or the path of a file'
        raise ValueError(says) from None
    except (OSError, ValueError) as error:
        raise ValueError(f"presets: {path} cannot be read: {error}") from None
    _loaded[preset] = {name: _read(path, name, table) for name, table in tables.items()}
    return _loaded[preset]


def loaded(preset: str) -> dict[str, Query | Walk]:
    """The same as it was when the configuration was read: a file that is being edited changes no running watch."""
    return _loaded.get(preset) or load(preset)


def _read(path: Path, name: str, table: Mapping[str, Any]) -> Query | Walk:
    kind: type[Query] | type[Walk] = Walk if "table" in table else Query
    try:
        times = {key: quantities.parse(quantities.DURATION, table[key]) for key in _TIMES if key in table}
        return msgspec.convert({**table, **times}, kind)
    except (ValueError, TypeError) as error:  # msgspec wraps what a struct's own rules say
        raise ValueError(f"presets: {path.name}, [{name}]: {error}") from None
