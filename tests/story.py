"""A story told minute by minute: a real desk on a real store, a clock that the story moves, what people are told."""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from agent.store import Store
from alerts.desk import Desk
from alerts.incident import Finding
from alerts.judgement import RuleBook
from alerts.notification import Notification, Proof
from alerts.policy import Contact, Policy, default_steps
from alerts.quiet import Quiet
from alerts.rule import Rule, Words
from collectors.base import Reading

MONDAY = 1_767_582_000.0  # 2026-01-05 10:00 WIB
TEXT = Words(id="{unit} mati", en="{unit} is down")


def rule(name: str = "down", **fields: object) -> Rule:
    """A rule on `up{unit}`: below 1 is critical, unless told otherwise."""
    base: dict[str, object] = {"name": name, "metric": "up", "kind": "below", "critical": 1.0, "summary": TEXT,
                               "first": TEXT, "lay": TEXT, "fix": TEXT}
    return Rule(**(base | fields))  # type: ignore[arg-type]


def contact(name: str, *channels: str, copy: tuple[str, ...] = ()) -> Contact:
    return Contact(name=name, display=name.title(), language="id", channels=channels, copy=copy,
                   addresses={channel: f"{name}@{channel}" for channel in (*channels, *copy)})


def policy(**fields: object) -> Policy:
    people = fields.pop("people", ("budi", "sari"))
    base: dict[str, object] = {
        "contacts": {"budi": contact("budi", "chat", "mail"), "sari": contact("sari", "chat")},
        "people": people, "steps": default_steps(people), "baseline": 0.0,  # type: ignore[arg-type]
        "probation": 0.0, "quiet": Quiet(begin="00:00", end="00:00"),
    }
    return Policy(**(base | fields))  # type: ignore[arg-type]


class Story:
    """`at` minutes; `sees` gives readings to the desk; `said` is every notification since it was last asked for."""

    def __init__(self, folder: Path, rules: Sequence[Rule] = (), told_by: Policy | None = None) -> None:
        self.folder, self.rules, self.policy = folder, list(rules or [rule()]), told_by or policy()
        self.proofs = {"chat": Proof.READ, "mail": Proof.ACCEPTED}
        self.now, self.emergencies = MONDAY, list[Notification]()
        self._read = 0
        self.begin()

    def begin(self) -> None:
        """Start, or start again after `crash`, on what is in the store."""
        self.store = Store(self.folder / "jaga.db", ballast=0)
        self.desk = Desk(self.store, RuleBook(self.rules), self.policy, self.proofs, now=self.now,
                         fingerprints={"services": "1"}, emergency=self.emergencies.extend,
                         chance=random.Random(1))

    def crash(self) -> None:
        """Leave without a word, as kill -9 does, and start again."""
        self.store.close()
        self.begin()

    def at(self, minutes: float) -> "Story":
        self.now = MONDAY + minutes * 60
        self.desk.tick(self.now)
        return self

    def sees(self, value: float | None, unit: str = "nginx", metric: str = "up") -> list[Finding]:
        readings = [] if value is None else [Reading(metric, value, (("unit", unit),))]
        return self.desk.observe("services", readings, None, self.now)

    @property
    def code(self) -> str:
        return self.desk.view.open[0].code

    @property
    def said(self) -> list[tuple[str, str, str]]:
        """(reason, contact, channel) of what was queued since the last look."""
        rows = self.store._read("SELECT id, body FROM notifications WHERE id > ? ORDER BY id", (self._read,))
        self._read = max((number for number, _ in rows), default=self._read)
        queued = [msgspec.json.decode(body, type=Notification) for _, body in rows]
        return [(n.reason, n.contact, n.channel) for n in queued]
