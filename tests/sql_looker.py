"""Looks through the sql collector, run after run, with a memory that goes through JSON as in a restart."""

import json

from collectors.base import Run
from collectors.sql import Sql

NOW = 1795402800.0  # Monday 2026-11-23 10:00 WIB
Read = dict[tuple[str, str, str], float]


class Looker:
    """A collector with the memory of its runs, which goes through JSON as in a restart."""

    def __init__(self, collector: Sql) -> None:
        self.collector, self.memory = collector, "{}"
        self.troubles: dict[str, str] = {}
        self.notes: dict[tuple[str, str], str] = {}

    def look(self, now: float = NOW) -> Read:
        """(unit, query, item) -> value; `troubles` are the failed targets, `notes` by (query, item)."""
        run = Run(now, json.loads(self.memory))
        readings = list(self.collector.collect(run))
        self.memory = json.dumps(run.memory)
        self.troubles = {name: str(error) for name, error in run.targets.items() if error}
        told = [(dict(r.labels), r) for r in readings]
        self.notes = {(labels["query"], labels.get("item", "")): r.note for labels, r in told if r.note}
        return {(r.metric.removeprefix("jaga_sql_"), labels["query"], labels.get("item", "")): r.value
                for labels, r in told}
