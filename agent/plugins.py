"""Finds collectors and notifiers: the file name is the plug-in name, and only what is asked for gets imported.

Third parties add theirs through the entry-point groups `jaga.collectors` and `jaga.notifiers` (a module, its rules
beside it as `<module>.toml`). A plug-in that ships with Jaga wins over a third party's of the same name.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from collectors.base import Metric

EVERY, TIMEOUT = 60.0, 30.0  # seconds, where the module has no constants of these names
OWN = "agent"  # the pseudo plug-in of the agent's own readings


class Broken(Exception):
    """A plug-in that exists and cannot be loaded; the text says why."""


@dataclass(frozen=True, slots=True)
class Plugin:
    """A collector's or notifier's module, with what it declares. Times in seconds."""

    name: str
    module: ModuleType
    cls: type[Any]
    metrics: dict[str, Metric]
    every: float
    timeout: float
    rules: Path | None  # where its shipped rules lie, if it has any


class Plugins(Mapping[str, Plugin]):
    """The plug-ins of one kind. Asking for one imports it; listing the names reads the sources without running them."""

    def __init__(self, package: str, method: str, group: str, rules: Path | None) -> None:
        self._package, self._method, self._group, self._rules = package, method, group, rules
        self._folder = Path(importlib.import_module(package).__path__[0])

    def __getitem__(self, name: str) -> Plugin:
        """Import that plug-in. Raises KeyError where there is none, Broken where it does not load."""
        if any(name == path.stem for path in self._folder.glob("*.py")):
            module, beside = self._import(name, f"{self._package}.{name}"), self._rules
        else:
            module, beside = self._import(name, self._entry_points()[name]), None
        cls = _public_struct(module, self._method)
        if cls is None:
            raise KeyError(name)
        rules = beside / f"{name}.toml" if beside else Path(str(module.__file__)).with_suffix(".toml")
        return Plugin(name, module, cls, metrics(module), float(getattr(module, "EVERY", EVERY)),
                      float(getattr(module, "TIMEOUT", TIMEOUT)), rules if rules.is_file() else None)

    def __iter__(self) -> Iterator[str]:
        shipped = [path.stem for path in sorted(self._folder.glob("*.py")) if _declares(path, self._method)]
        yield from shipped
        yield from sorted(set(self._entry_points()) - set(shipped))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def name_of(self, cls: type[Any]) -> str:
        """The name of the plug-in that this class came from: the file's, except for a third party's."""
        file = cls.__module__.rpartition(".")[2]
        if cls.__module__ == f"{self._package}.{file}":
            return file
        return next(name for name, module in self._entry_points().items() if module == cls.__module__)

    def _entry_points(self) -> dict[str, str]:
        from importlib.metadata import entry_points  # 2 MiB that are needed only for names that do not ship with Jaga

        return {point.name: point.module for point in entry_points(group=self._group)}

    @staticmethod
    def _import(name: str, module: str) -> ModuleType:
        try:
            return importlib.import_module(module)
        except Exception as error:  # a third party's module may raise anything; the configuration tells it
            raise Broken(f"{type(error).__name__}: {error}") from error


def rules_folder() -> Path:
    """Where the shipped rules lie, one file for each collector and `agent.toml` for the agent's own."""
    return Path(importlib.import_module("alerts").__path__[0]) / "rules"


def collectors() -> Plugins:
    """What `[collectors.NAME]` may name."""
    return Plugins("collectors", "collect", "jaga.collectors", rules_folder())


def notifiers() -> Plugins:
    """What `[notifiers.NAME]` may name."""
    return Plugins("alerts.notifiers", "send", "jaga.notifiers", None)


def own_metrics() -> dict[str, Metric]:
    """The agent's readings about itself and its collectors, which its own rules judge."""
    return metrics(importlib.import_module("agent.selfcheck"))


def metrics(module: ModuleType) -> dict[str, Metric]:
    """The metrics among a module's names, those that it imported from its helper modules included."""
    return {value.name: value for value in vars(module).values() if isinstance(value, Metric)}


def _public_struct(module: ModuleType, method: str) -> type[Any] | None:
    for name, value in vars(module).items():
        if (not name.startswith("_") and isinstance(value, type) and issubclass(value, msgspec.Struct)
                and value.__module__ == module.__name__ and callable(getattr(value, method, None))):
            return value
    return None


def _declares(path: Path, method: str) -> bool:
    """Whether the source has a public Struct with that method."""
    import ast  # names are listed for suggestions and discovery, not when the daemon starts

    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):  # it is still listed: asking for it tells what is wrong with it
        return True
    return any(
        isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        and any("Struct" in ast.unparse(base) for base in node.bases)
        and any(isinstance(item, ast.FunctionDef) and item.name == method for item in node.body)
        for node in tree.body)
