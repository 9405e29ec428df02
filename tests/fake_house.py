"""A daemon without its threads: real configuration, desk, store and board, for the tests of its doors."""

import random
from pathlib import Path
from typing import Any

from agent.board import Board, CollectorState
from agent.config import load
from agent.daily import Daily
from agent.metrics import Deeds, Exposition
from agent.routine import Setup
from agent.store import Store
from alerts.desk import Desk
from alerts.judgement import RuleBook
from alerts.policy import Contact
from collectors.base import Reading
from fake_clock import FakeClock

NOW = 1795312800.0  # 2026-11-22 09:00:00 in Asia/Jakarta
TOML = """
[agent]
name = "server"
site = "KopKar <SKF>"
language = "{language}"
[web]
listen = "127.0.0.1:9810"
[collectors.disk]
[notifiers.console]
[contacts.budi]
display = "Pak Budi"
channels = ["console"]
[contacts.ani]
display = "Bu Ani"
channels = ["console"]
"""


class FakeHouse:
    """What the doors need of the daemon (agent.standing.House)."""

    def __init__(self, folder: Path, language: str = "id") -> None:
        self.path = folder / "agent.toml"
        self.path.write_text(TOML.format(language=language), "utf-8")
        self.config = load(self.path, {"STATE_DIRECTORY": str(folder)})
        self.clock = FakeClock(NOW - 3600)
        self.store = Store(folder / "jaga.db", ballast=0)
        self.board, self.not_ready, self.forgotten = Board(), list[str](), list[str]()
        proofs = {name: notifier.proof for name, notifier in self.config.notifiers.items()}
        self.desk = Desk(self.store, RuleBook(self.config.rules.values()), self.config.policy, proofs,
                         now=self.clock.now(), chance=random.Random(7))  # the same codes each time
        self.exposition = Exposition(self.board.snapshot, lambda: self.config.metrics, lambda: self.desk.view.open,
                                     Deeds(), version="0", started=NOW)
        self.daily = Daily(self.desk, self.store, lambda: Setup(
            policy=self.config.policy, proofs=proofs, two_way=frozenset(), digest=self.config.digest,
            proof=self.config.proof), list, self.clock.now())
        self.clock.wall = NOW

    def close(self) -> None:
        self.store.close()

    def report(self, *readings: Reading, **state: Any) -> None:
        """The disk collector says this, now and three minutes ago, so that no `for` is in the way."""
        for at in (self.clock.now() - 180, self.clock.now()):
            self.desk.observe("disk", readings, None, at)
        facts = {"readings": readings, "at": self.clock.now(), "success": True} | state
        self.board.put(CollectorState("disk", 60.0, 20.0, **facts))

    def readiness(self) -> list[str]:
        return self.not_ready

    def notify_test(self, contact: str, wait: float) -> list[dict[str, Any]]:
        return [{"channel": "console", "state": "done", "proof": "accepted", "seconds": 0.3, "error": ""}]

    def forget(self, contact: str) -> int:
        self.forgotten.append(contact)
        return 4

    @property
    def contacts(self) -> dict[str, Contact]:
        return self.config.policy.contacts
