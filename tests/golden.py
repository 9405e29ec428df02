"""Messages as golden files: a collector looks at the real thing, the shipped rules judge, and people read this.

    told = Told("queue", "mysql")
    told.look("queue", Queue(...), minute=0)
    same("queue-worker-killed", told.text(), scrub={str(folder): "/var/www/koperasi"})

`GOLDEN=write` in the environment writes tests/golden/NAME.txt anew instead of comparing with it.
"""

import os
import random
import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from agent import plugins
from agent.board import Board
from agent.fields import Reader
from agent.runner import Runner
from agent.shipped import Shipped
from agent.store import Store, _unpack
from alerts.desk import Desk
from alerts.incident import Finding
from alerts.judgement import RuleBook
from alerts.notification import Notification, Proof
from alerts.policy import Contact, Policy, default_steps
from alerts.problem import problems
from alerts.quiet import Quiet
from alerts.words import compose, plain
from collectors.base import Collector, Reading
from fake_clock import FakeClock

FOLDER = Path(__file__).parent / "golden"
ZONE = ZoneInfo("Asia/Jakarta")
START = 1795402800.0  # Monday 2026-11-23 10:00 WIB
BUDI = Contact(name="budi", display="Pak Budi", language="id", channels=("chat",), copy=(), addresses={"chat": "budi"})


class Told:
    """The shipped rules of these collectors and the agent's own, a desk on a virtual clock, one person on duty.

    `changes` is what `[rules]` of agent.toml would hold. Minutes count from Monday 10:00 WIB and only go forward.
    Collectors live in the real time, which their servers and files have, or from `begin` on where the story brings all.
    """

    def __init__(self, *collectors: str, changes: Mapping[str, Any] | None = None, agent: str = "server",
                 begin: float | None = None) -> None:
        known = plugins.collectors()
        self._agent, self._begin = agent, begin
        self._plugins = {name: known[name] for name in collectors}
        metrics = {k: v for plugin in self._plugins.values() for k, v in plugin.metrics.items()} | plugins.own_metrics()
        reader = Reader({}, Path())
        shipped = Shipped(self._plugins.values(), metrics, reader)
        self.rules = shipped.rules(changes or {})
        assert not [*shipped.problems, *reader.mistakes], [*shipped.problems, *reader.mistakes]
        folder = tempfile.mkdtemp(prefix="jaga-golden-")
        policy = Policy(contacts={"budi": BUDI}, people=("budi",), steps=default_steps(("budi",)), baseline=0.0,
                        probation=0.0, quiet=Quiet(begin="00:00", end="00:00"))
        self._store = Store(Path(folder) / "jaga.db", ballast=0)
        self._close = weakref.finalize(self, _close, self._store, folder)
        # Codes are drawn by chance: a fixed one makes them the same each time, and other ones with each agent.
        chance = random.Random(7 if agent == "server" else agent)
        self.desk = Desk(self._store, RuleBook(self.rules.values()), policy, {"chat": Proof.READ}, now=START,
                         fingerprints=dict.fromkeys(collectors, "1"), chance=chance)
        self._minute, self._read, self._said = 0.0, 0, list[str]()
        self._memories: dict[str, dict[str, Any]] = {}

    def look(self, name: str, collector: Collector, *, minute: float) -> tuple[Reading, ...]:
        """Let the collector measure the real thing, and judge; its memory is kept under `name` ("mysql:a" too).

        It is told its own time plus `minute`; the desk lives by the virtual clock. Returns all readings, those of
        the runner included (`jaga_target_success`, `jaga_collector_success`).
        """
        self.at(minute)
        clock = FakeClock((time.time() if self._begin is None else self._begin) + minute * 60)
        taken: list[Reading] = []

        def observe(who: str, readings: tuple[Reading, ...], memory: dict[str, Any] | None, _: float) -> list[Finding]:
            taken.extend(readings)
            if memory is not None:
                self._memories[who] = memory
            return self.desk.observe(who, readings, memory, self.now)

        runner = Runner(
            name, collector, every=60.0, timeout=60.0, observe=observe,
            explain_to=lambda key, words: self.desk.explain(key, words, self.now),
            metric_of=lambda rule: self.rules[rule].metric, memory=self._memories.get(name, {}),
            board=Board(), clock=clock, log=structlog.get_logger())
        runner.begin(lambda: None)
        runner.run()
        runner.retire()
        self._collect()
        return tuple(taken)

    def take(self, name: str, readings: Iterable[Reading], *, minute: float) -> None:
        """Judge readings that the test gives."""
        self.at(minute)
        self.desk.observe(name, tuple(readings), None, self.now)
        self._collect()

    def at(self, minute: float) -> None:
        """Let time go by up to that minute, with what it brings (reminders, escalation)."""
        assert minute >= self._minute, f"minute {minute} is before {self._minute}"
        self._minute = minute
        self.desk.tick(self.now)
        self._collect()

    @property
    def now(self) -> float:
        return START + self._minute * 60

    @property
    def open(self) -> list[str]:
        """The rules of what is bad now, held back or not, by name."""
        return sorted({finding.rule for incident in self.desk.view.open for finding in problems(incident)})

    @property
    def subjects(self) -> list[str]:
        """One line for each message so far, in Indonesian."""
        return [text.split("\n")[1] for text in self._said]

    def text(self) -> str:
        """All that was told so far, as people read it."""
        return "\n".join(self._said)

    def _collect(self) -> None:
        """Make one message of what was queued since, as the outbox would within its batch window."""
        rows = self._store._read("SELECT id, body FROM notifications WHERE id > ? ORDER BY id", (self._read,))
        if not rows:
            return
        self._read = max(number for number, _ in rows)
        batch = [_unpack(body, Notification) for _, body in rows]
        minutes = f"{self._minute:g}"
        self._said.append("\n".join([f"===== menit ke-{minutes} / minute {minutes}", *self._written(batch, "id"),
                                     *self._written(batch, "en")]))

    def _written(self, batch: Sequence[Notification], language: str) -> list[str]:
        both = {technician: compose(
            batch, rules=self.rules, to="budi", name="Pak Budi", language=language, site="Koperasi", agent=self._agent,
            zone=ZONE, now=self.now, technician=technician, two_way=True) for technician in (True, False)}
        lay = [f"[{language}, lay] {section.first}" for section in both[False].sections if section.first]
        return [both[True].subject, "", plain(both[True]).rstrip(), "", *lay, ""]


def same(name: str, text: str, *, scrub: Mapping[str, str] | None = None) -> None:
    """Compare with tests/golden/NAME.txt; `scrub` replaces what differs from run to run, longest first."""
    if scrub:  # all at once: what was put in is not looked at again
        known = "|".join(re.escape(found) for found in sorted(scrub, key=len, reverse=True))
        text = re.sub(known, lambda found: scrub[found[0]], text)
    text = text.rstrip() + "\n"
    file = FOLDER / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert file.exists(), f"{file} is missing: run this test once with GOLDEN=write, and read what it wrote"
    assert text == file.read_text("utf-8")


def whole_minutes(text: str) -> str:
    """Without the seconds behind them, which the test itself took."""
    return re.sub(r"(\d) (menit|min) \d+ (detik|s)\b", r"\1 \2", text)


def _close(store: Store, folder: str) -> None:
    store.close()
    shutil.rmtree(folder)


__all__ = ["FOLDER", "START", "Told", "same", "whole_minutes"]
