"""Puts the rules files of the configured collectors and the `[rules]` of agent.toml together."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from agent import plugins, rulebook, source
from agent.fields import Reader
from agent.plugins import Plugin
from agent.source import Problem, Source, Unreadable, Where
from alerts.rule import Rule
from collectors.base import Metric


class Shipped:
    """The rules files beside the engine and beside third parties' modules; mistakes in them are gathered here."""

    def __init__(self, configured: Iterable[Plugin], metrics: Mapping[str, Metric], reader: Reader) -> None:
        self.problems: list[Problem] = []
        self._metrics, self._reader = metrics, reader
        files = {plugins.OWN: plugins.rules_folder() / f"{plugins.OWN}.toml"}
        files |= {plugin.name: plugin.rules for plugin in configured if plugin.rules}
        self._texts = {name: text for name, file in files.items() if (text := self._read(file))}
        self._owner: dict[str, str] = {}
        for name, text in self._texts.items():
            for rule in text.table:
                if rule in self._owner:
                    self.problems.append(text.problem((rule,), f" is a rule of {self._owner[rule]} already"))
                self._owner.setdefault(rule, name)

    def rules(self, changes: Mapping[str, Any]) -> dict[str, Rule]:
        """The rules in force; `changes` is `[rules]`."""
        tables = {rule: self._texts[name].table[rule] for rule, name in self._owner.items()}
        found = {}
        for name, (table, changed) in rulebook.merged(tables, changes).items():
            where: Where = ("rules", name)
            if name not in tables and not self._new(name, table, where):
                continue
            owner = self._owner.get(name, "")
            if changed:
                rule = rulebook.rule(name, table, owner, self._metrics, self._reader, where)
            else:
                rule = self._unchanged(name, table, owner)
            if rule:
                found[name] = rule
        return found

    def defaults(self) -> dict[str, Rule]:
        """The rules as they ship."""
        tables = {rule: self._texts[name].table[rule] for rule, name in self._owner.items()}
        read = {name: self._unchanged(name, table, self._owner[name]) for name, table in tables.items()}
        return {name: rule for name, rule in read.items() if rule}

    def _new(self, name: str, table: object, where: Where) -> bool:
        """Whether it is a new rule; if not, it is told."""
        if isinstance(table, dict) and "metric" not in table:
            for file in sorted(plugins.rules_folder().glob("*.toml")):
                if (text := self._read(file)) and name in text.table:
                    self._reader.wrong(where, f" changes a rule of the collector {file.stem}, which is not configured: "
                                              f"add [collectors.{file.stem}] or remove this")
                    return False
        return rulebook.new_name(name, self._reader, where, self._owner, table)

    def _unchanged(self, name: str, table: Mapping[str, Any], owner: str) -> Rule | None:
        reader = Reader({}, Path())
        rule = rulebook.rule(name, table, owner, self._metrics, reader, (name,))
        self.problems += [self._texts[owner].problem(where, says) for where, says in reader.mistakes]
        return rule

    def _read(self, file: Path) -> Source | None:
        try:
            return source.read(file)
        except Unreadable as error:
            self.problems.append(error.problem)
            return None
