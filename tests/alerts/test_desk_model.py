"""The desk against a model of it: hypothesis deals deeds, readings, crashes and hours; a few rules say what must be so.

The model counts minutes that no clock's jump touches; the desk lives by the wall clock.
"""

import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alerts.judgement import RuleBook
from alerts.notification import Notification
from alerts.rule import RANK
from alerts.step import next_at
from story import Story
from story import rule as written

UNITS, PEOPLE = ("nginx", "mysql"), ("budi", "sari")
CLIMBS, URGED, FLAPS, CALM = 15, 240, 60, 30  # minutes: to the next person; to a warning's reminder; window; to its end
VALUES = {0.1: "", 0.85: "warning", 0.97: "critical"}

units, people = st.sampled_from(UNITS), st.sampled_from(PEOPLE)


class Thing:
    """What must be so of one unit. Who is told only grows until an end is an hour old."""

    def __init__(self) -> None:
        self.open, self.flapping, self.sick = False, False, False
        self.severity, self.acked_severity = "", ""
        self.acked_until: int | None = None
        self.calm_since: int | None = None
        self.due, self.closed = 0, -FLAPS - 1
        self.told, self.turns = set[str](), list[int]()
        self.heard_the_end = Counter[str]()
        self.codes = 0  # how many it had: one that comes back soon keeps its own

    def reads(self, severity: str, now: int) -> None:
        if not severity:
            self._good(now)
            return
        self.sick, self.calm_since = True, None
        worse = RANK[severity] > RANK[self.severity]
        if self.open and not worse:
            self.severity = severity
            return
        if not self.open:
            if now - self.closed > FLAPS:
                self.told, self.turns, self.acked_until = set(), [], None
                self.codes += 1
            self.open = True
            self.told |= {"budi"}
        self.severity = severity
        self.turns = [at for at in self.turns if now - at <= FLAPS] + [now]
        self.flapping = self.flapping or len(self.turns) >= 3
        lasts = self.acked_until is not None and (self.closed == -1 or now < self.acked_until)
        if not lasts or RANK[severity] > RANK[self.acked_severity]:
            self.begins(now)
        self.closed = -1

    def _good(self, now: int) -> None:
        self.sick = False
        if self.open and self.flapping:
            self.calm_since = now if self.calm_since is None else self.calm_since
        elif self.open:
            self.ends(now)

    def begins(self, now: int) -> None:
        self.acked_until, self.due = None, now + (CLIMBS if self.severity == "critical" else URGED)

    def ends(self, now: int) -> None:
        self.open, self.flapping, self.closed, self.calm_since = False, False, now, None
        self.heard_the_end.update(self.told)

    def minute(self, now: int) -> None:
        if not self.open:
            return
        if self.calm_since is not None:
            if now - self.calm_since >= CALM:
                self.ends(now)
        elif self.acked_until is not None:
            if now >= self.acked_until:
                self.begins(now)
        elif now >= self.due:
            self.told |= set(PEOPLE) if self.severity == "critical" else set()
            self.begins(now)


class Model(RuleBasedStateMachine):
    """A story with a desk, and the two things beside it."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="jaga-model-")
        self.full = written("full", metric="full", kind="above", warning=0.8, critical=0.9)
        self.story = Story(Path(self.folder.name), [self.full])
        self.story.store._db.execute("PRAGMA synchronous = OFF")  # no power is cut here
        self.things = {unit: Thing() for unit in UNITS}
        self.now, self.watched = 0, True
        self.ends = Counter[tuple[str, str]]()
        self.units = dict[str, str]()  # by code, kept when it is over

    def teardown(self) -> None:
        if hasattr(self, "story"):
            self.story.store.close()
            self.folder.cleanup()

    # --- what happens --------------------------------------------------------------------------------------------

    @rule(unit=units, value=st.sampled_from(sorted(VALUES)))
    def reads(self, unit: str, value: float) -> None:
        self.story.sees(value, unit, metric="full")  # the other one has no reading now, which ends nothing
        if self.watched:
            self.things[unit].reads(VALUES[value], self.now)

    @rule(minutes=st.sampled_from((1, 4, 16, 31, 70)))
    def wait(self, minutes: int) -> None:
        for _ in range(minutes):
            self.now, self.story.now = self.now + 1, self.story.now + 60
            self.story.desk.tick(self.story.now)
            for thing in self.things.values():
                thing.minute(self.now)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), who=people, minutes=st.sampled_from((3, 20, 120)))
    def ack(self, data: st.DataObject, who: str, minutes: int) -> None:
        unit = data.draw(st.sampled_from(sorted(self.open)))
        self.story.desk.ack(self.open[unit], who, "chat", self.story.now, minutes * 60.0)
        thing = self.things[unit]
        thing.acked_until, thing.acked_severity = self.now + minutes, thing.severity

    @precondition(lambda self: self.open)
    @rule(data=st.data(), who=people)
    def unack(self, data: st.DataObject, who: str) -> None:
        unit = data.draw(st.sampled_from(sorted(self.open)))
        self.story.desk.unack(self.open[unit], who, "chat", self.story.now)
        if self.things[unit].acked_until is not None:
            self.things[unit].begins(self.now)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), who=people)
    def refuse(self, data: st.DataObject, who: str) -> None:
        unit = data.draw(st.sampled_from(sorted(self.open)))
        self.story.desk.refuse(self.open[unit], who, "chat", self.story.now)
        self.things[unit].told |= set(PEOPLE) - {who}
        self.things[unit].begins(self.now)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), who=people)
    def resolve(self, data: st.DataObject, who: str) -> None:
        unit = data.draw(st.sampled_from(sorted(self.open)))
        self.story.desk.resolve(self.open[unit], who, "chat", self.story.now)
        self.things[unit].ends(self.now)
        self.things[unit].acked_until = None

    @rule()
    def crash(self) -> None:
        self.story.crash()
        self.story.store._db.execute("PRAGMA synchronous = OFF")

    @rule(hours=st.sampled_from((-30, -1, 1, 400)))
    def jump(self, hours: int) -> None:
        self.story.now += hours * 3600.0
        self.story.desk.shift(hours * 3600.0, self.story.now)

    @rule(watched=st.booleans())
    def reload(self, watched: bool) -> None:
        self.story.rules = [self.full] if watched else []
        self.story.desk.reload(RuleBook(self.story.rules), self.story.policy, self.story.proofs, {"services": "1"},
                               self.story.now)
        self.watched = watched
        if not watched:
            for thing in self.things.values():
                if thing.open:
                    thing.ends(self.now)

    # --- what must be so -----------------------------------------------------------------------------------------

    @property
    def open(self) -> dict[str, str]:
        """Code by unit."""
        return {dict(m.labels)["unit"]: i.code for i in self.story.desk.view.open for m in i.members.values()}

    @invariant()
    def as_the_model_says(self) -> None:
        if not hasattr(self, "story"):
            return
        openly = {unit: thing for unit, thing in self.things.items() if thing.open}
        self.units |= {code: unit for unit, code in self.open.items()}
        incidents = {self.units[incident.code]: incident for incident in self.story.desk.view.open}
        assert set(incidents) == set(openly)
        acked = {unit for unit, incident in incidents.items() if incident.acked_until is not None}
        assert Counter(self.units.values()) == Counter({unit: thing.codes for unit, thing in self.things.items()})
        assert acked == {unit for unit, thing in openly.items() if thing.acked_until is not None}
        assert {unit: {pair.contact for pair in i.told} for unit, i in incidents.items()} == {
            unit: thing.told for unit, thing in openly.items()}

    @invariant()
    def every_end_was_told_to_whom_it_concerned(self) -> None:
        if not hasattr(self, "story"):
            return
        rows = self.story.store._read("SELECT id, body FROM notifications WHERE id > ?", (self.story._read,))
        self.story._read = max((number for number, _ in rows), default=self.story._read)
        for notification in (msgspec.json.decode(body, type=Notification) for _, body in rows):
            if notification.reason == "resolved":
                self.ends[self.units[notification.code], notification.contact] += 1
        assert self.ends == Counter({(unit, who): times for unit, thing in self.things.items()
                                     for who, times in thing.heard_the_end.items()})

    @invariant()
    def nobody_is_forgotten(self) -> None:
        if hasattr(self, "story"):
            self.story.desk.tick(self.story.now)
            for incident in self.story.desk.view.open:
                at = next_at(incident, self.story.policy)
                assert at is not None
                assert self.story.now < at <= self.story.now + URGED * 60


TestDesk = Model.TestCase
TestDesk.settings = settings(max_examples=200, stateful_step_count=50, deadline=None, derandomize=True,
                             suppress_health_check=list(HealthCheck))
