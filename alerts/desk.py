"""The desk: takes observations in, moves incidents, queues words, and commits all of it as one change.

One lock. Under it nothing happens but the pure functions and one commit; when the commit fails the change is kept and
tried again with the next one, and critical words go out from memory.
"""

import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import structlog

from alerts.codes import new_code
from alerts.digest import Signature
from alerts.holding import AFTERMATH, Surroundings, hold
from alerts.incident import Finding, Incident, Told
from alerts.judgement import RuleBook, Trace, judge
from alerts.ledger import Changes, Entry, Heard, Ledger, Remembered, StoreError
from alerts.notification import Answer, Notification, Proof, Reason
from alerts.policy import Policy
from alerts.silence import Matcher, Silence
from alerts.step import (
    BASELINE,
    Ack,
    Event,
    Pass,
    Resolve,
    Tick,
    Unack,
    Unreached,
    Unwatched,
    held,
    next_at,
    opening,
    step,
    within_reach,
)
from alerts.telling import next_channel, notify, tell
from collectors.base import Reading

ANSWERS = "JAGA"  # the code under which answers to people are counted and marked: JAGA-17
KEPT = 86400.0  # seconds that a closed incident stays at hand, for it may recur; then it is the store's alone
BACKLOG = 100  # changes that wait for the store one by one, so that a bad one takes no other along; then joined
PRINT = "options:"  # prefix of the meta keys that hold the collectors' fingerprints

log = structlog.get_logger()


class View(msgspec.Struct, frozen=True):
    """What readers see: a picture that never changes under them."""

    open: tuple[Incident, ...] = ()
    silences: tuple[Silence, ...] = ()
    unsaved: int = 0  # changes that could not be committed yet
    store_error: str = ""
    clock_at: float = 0.0  # when the desk's clock last went round


class UnknownCode(Exception):
    """No open incident has that code; `near` are the open ones."""

    def __init__(self, code: str, near: Sequence[str]) -> None:
        super().__init__(f"no open incident has the code {code}")
        self.code, self.near = code, tuple(near)


class Desk:
    """Owns the incidents. `emergency` takes critical notifications that could not be stored."""

    def __init__(
        self,
        ledger: Ledger,
        book: RuleBook,
        policy: Policy,
        proofs: Mapping[str, Proof],
        *,
        now: float,
        booted_at: float = 0.0,
        emergency: Callable[[Sequence[Notification]], None] = lambda _: None,
        queued: Callable[[], None] = lambda: None,
        fingerprints: Mapping[str, str] | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self._ledger, self._book, self._policy, self._proofs = ledger, book, policy, dict(proofs)
        self._booted_at, self._emergency, self._queued = booted_at, emergency, queued
        self._chance = chance or random.SystemRandom()
        self._lock = threading.RLock()
        self._unsaved: list[Changes] = []
        self._gathered: Changes | None = None
        self._store_error = ""
        self._clock_at = now
        self._review: set[str] = set()
        self._take_over(ledger.remembered(now), fingerprints or {}, now)

    def _take_over(self, past: Remembered, fingerprints: Mapping[str, str], now: float) -> None:
        self._incidents = {i.code: within_reach(i, now, self._policy) for i in past.incidents}
        self._codes = set(past.codes)
        self._silences = {silence.id: silence for silence in past.silences}
        # Time that we slept through is nobody's silence: an absence is counted from now.
        self._traces = {key: msgspec.structs.replace(trace, seen=now) for key, trace in past.traces.items()}
        self._fingerprints = {key.removeprefix(PRINT): value for key, value in past.meta.items()
                              if key.startswith(PRINT)}
        # Not after now: a clock that ran ahead at the installation would hold warnings back until that day comes.
        self._installed_at = min(float(past.meta.get("installed_at", now)), now)
        self._answers = int(past.meta.get("answers", 0))
        if "baseline_until" in past.meta:
            # Never longer than from now: the clock may have been set back while we slept.
            self._baseline_until = min(float(past.meta["baseline_until"]), now + self._policy.baseline)
        else:  # the very first start: what is wrong now was wrong before us
            self._baseline_until = now + self._policy.baseline
            self._commit(Changes(meta={"baseline_until": repr(self._baseline_until), "installed_at": repr(now)}))
        self.reload(self._book, self._policy, self._proofs, fingerprints, now)

    # --- what comes in -------------------------------------------------------------------------------------------

    def observe(
        self, collector: str, readings: Sequence[Reading], memory: dict[str, Any] | None, now: float
    ) -> list[Finding]:
        """Judge one collector's readings and commit what follows, its `memory` included; return what opened."""
        with self._lock:
            findings, traces = judge(self._book, collector, readings, self._traces, now, self._booted_at)
            changes = Changes(traces={k: t for k, t in traces.items() if self._differs(t, self._traces.get(k))})
            if memory is not None:
                changes.memories[collector] = memory
            self._traces.update(traces)
            if collector in self._review and _whole(readings):
                self._review.discard(collector)
                self._drop({k for k, t in self._traces.items() if t.collector == collector} - set(traces), changes, now)
            opened = [finding for finding in findings if self._take(finding, changes, now)]
            self._commit(changes)
            return opened

    def tick(self, now: float) -> float | None:
        """Let time act on every open incident; return when to come back, or None when nothing is open."""
        with self._lock:
            changes = Changes()
            for incident in self._open():
                at = next_at(incident, self._policy)
                if at is not None and at <= now:
                    self._move(incident, Tick(), changes, now)
            self._silences = {id: silence for id, silence in self._silences.items() if silence.ends > now}
            kept = max(KEPT, self._policy.flap_window)
            self._incidents = {code: incident for code, incident in self._incidents.items()
                               if incident.closed is None or now - incident.closed < kept}
            self._clock_at = now
            self._commit(changes)
            return min((at for i in self._open() if (at := next_at(i, self._policy)) is not None), default=None)

    def ack(self, code: str, who: str, how: str, now: float, lasts: float | None = None, note: str = "") -> Incident:
        """Somebody has it, for `lasts` seconds (the policy's default otherwise). Raises UnknownCode."""
        until = now + (lasts if lasts is not None else self._policy.ack_for)
        return self._deed(code, Ack(who, until), "acked", who, how, now, note)

    def unack(self, code: str, who: str, how: str, now: float) -> Incident:
        """Somebody gives it back: escalation starts again. Raises UnknownCode."""
        return self._deed(code, Unack(who), "unacked", who, how, now, "")

    def refuse(self, code: str, who: str, how: str, now: float) -> Incident:
        """Somebody cannot take it: the next person at once. Raises UnknownCode."""
        return self._deed(code, Pass(who), "refused", who, how, now, "")

    def resolve(self, code: str, who: str, how: str, now: float) -> Incident:
        """Somebody says that it is over; what is still bad comes back under its code. Raises UnknownCode."""
        return self._deed(code, Resolve(who), "closed", who, how, now, "")

    def silence(self, matchers: Sequence[Matcher], who: str, now: float, lasts: float, why: str = "",
                id: str = "") -> Silence:
        """Be silent about what matches for `lasts` seconds, or change the end of the silence `id`."""
        with self._lock:
            made = Silence(id=id or str(uuid.uuid4()), matchers=tuple(matchers), starts=now, ends=now + lasts, who=who,
                           why=why)
            self._silences[made.id] = made
            changes = Changes(silences=[made])
            changes.history += [Entry(code=i.code, at=now, what="silenced", who=who, detail=why)
                                for i in self._open() if made.covers(i, now)]
            self._commit(changes)
            return made

    def expire(self, id: str, now: float) -> Silence:
        """End a silence now; what it held back is told at the next tick. Raises KeyError."""
        with self._lock:
            over = msgspec.structs.replace(self._silences.pop(id), ends=now)
            changes = Changes(silences=[over])
            for incident in self._open():
                if incident.held_by == f"silence:{id}":
                    after = held(incident, now, incident.held_by)
                    self._incidents[after.code] = changes.incidents[after.code] = after
            self._commit(changes)
            return over

    @contextmanager
    def together(self) -> Iterator[None]:
        """Whatever is done within is one change: a reply's deeds, that it was heard, and the answer to it."""
        with self._lock:
            self._gathered = Changes()
            try:
                yield
            finally:  # also where it broke off: what was done until then stands in memory, and must be kept
                changes, self._gathered = self._gathered, None
                self._commit(changes)

    def hear(self, heard: Heard, answer: Answer | None, now: float) -> None:
        """Remember that this was heard, and queue the answer to it, at once and on the same channel."""
        with self._lock:
            changes = Changes(heard=[heard])
            if answer is not None:
                self._answers += 1
                changes.meta["answers"] = str(self._answers)
                blank = Incident(code=ANSWERS, key=ANSWERS, opened=now, members={}, severity="warning")
                spoken = notify(blank, "answer", Told(heard.contact, heard.channel), self._policy, now, self._answers)
                changes.notifications.append(msgspec.structs.replace(spoken, not_before=now, answer=answer))
            self._commit(changes)

    def post(self, notifications: Sequence[Notification], meta: Mapping[str, str] | None = None,
             signatures: Sequence[Signature] = ()) -> None:
        """Queue what is about no incident, numbered like the answers, with whatever must be remembered of it."""
        with self._lock:
            changes = Changes(meta=dict(meta or {}), signatures=list(signatures))
            for notification in notifications:
                self._answers += 1
                changes.notifications.append(msgspec.structs.replace(notification, ordinal=self._answers))
                changes.meta["answers"] = str(self._answers)
            self._commit(changes)

    def explain(self, key: str, text: str, now: float) -> None:
        """Add evidence that was gathered after the incident opened, in time for the message where that is possible."""
        with self._lock:
            for incident in self._open():
                if key not in incident.members:
                    continue
                after = msgspec.structs.replace(incident, evidence={**incident.evidence, key: text})
                self._incidents[incident.code] = after
                entry = Entry(code=incident.code, at=now, what="explained", detail=text)
                self._commit(Changes(incidents={after.code: after}, history=[entry]))

    def test(self, contact: str, now: float) -> str:
        """Queue a test message to that person by each of their channels; returns its code. Raises KeyError."""
        with self._lock:
            person = self._policy.contacts[contact]
            code = self._code()
            incident = Incident(code=code, key="test", opened=now, members={}, severity="warning")
            channels = [channel for channel in person.channels if channel in self._proofs]
            self._commit(Changes(notifications=[
                msgspec.structs.replace(
                    notify(incident, "test", Told(contact, channel), self._policy, now, ordinal), not_before=now)
                for ordinal, channel in enumerate(channels, 1)
            ]))
            return code

    def forget(self, contact: str, names: Sequence[str]) -> int:
        """Erase a person from everything that is kept; returns the number of records touched."""
        with self._lock:
            rewritten = []
            for incident in self._ledger.all_incidents():
                told = tuple(pair for pair in incident.told if pair.contact != contact)
                acked_by = "-" if incident.acked_by in names else incident.acked_by
                if (told, acked_by) != (incident.told, incident.acked_by):
                    rewritten.append(msgspec.structs.replace(incident, told=told, acked_by=acked_by))
            touched = self._ledger.forget(contact, names, rewritten)
            for incident in rewritten:  # a code comes round again after weeks: not the old one in the new one's place
                now_known = self._incidents.get(incident.code)
                if now_known is not None and now_known.opened == incident.opened:
                    self._incidents[incident.code] = incident
            self._publish()
            return touched

    def evidence(self, code: str) -> dict[str, str]:
        """What was gathered when that incident opened, by finding key."""
        with self._lock:
            incident = self._incidents.get(code)
            return dict(incident.evidence) if incident is not None else {}

    def undelivered(self, notification: Notification, why: str, now: float) -> None:
        """A message did not arrive: the same person's next channel; where there is none, and nothing that was told
        beside it is to be hoped for either, escalate without waiting."""
        with self._lock:
            changes = Changes(passed_on=[notification])
            incident = self._incidents.get(notification.code)
            if incident is not None:
                failed = Told(notification.contact, notification.channel)
                changes.history.append(Entry(code=incident.code, at=now, what="undelivered", who=failed.contact,
                                             how=failed.channel, detail=why))
                beside = self._ledger.beside(notification)
                tried = (*notification.tried, notification.channel)
                another = next_channel(failed.contact, (*tried, *beside), self._policy, self._proofs)
                if notification.reason in ("acked", "unacked"):
                    pass  # a courtesy: nobody is woken through another channel for it
                elif another is not None:
                    self._stand_in(incident, notification, another, changes, now)
                elif incident.closed is None and not self._is_group(failed.contact) and not any(beside.values()):
                    self._move(incident, Unreached(), changes, now)
            elif notification.digest is not None:
                self._digest_elsewhere(notification, changes, now)
            self._commit(changes)

    # --- what changes the desk itself ------------------------------------------------------------------------------

    def reload(self, book: RuleBook, policy: Policy, proofs: Mapping[str, Proof], fingerprints: Mapping[str, str],
               now: float) -> None:
        """Work by a new configuration; `fingerprints` tells, for each collector, its options in a comparable form.

        What no rule or collector watches any more is closed as such. A collector whose options changed is reviewed:
        what its first whole run does not report any more was taken out by the operator.
        """
        with self._lock:
            self._book, self._policy, self._proofs = book, policy, dict(proofs)
            changed = {name: text for name, text in fingerprints.items() if self._fingerprints.get(name) != text}
            self._review |= {name for name in changed if name in self._fingerprints}
            self._fingerprints |= changed
            changes = Changes(meta={PRINT + name: text for name, text in changed.items()})
            self._drop({key for key, trace in self._traces.items()
                        if trace.rule not in book.rules or trace.collector not in fingerprints}, changes, now)
            self._commit(changes)

    def shift(self, seconds: float, now: float) -> None:
        """The wall clock was set by so much: everything that waits goes on waiting for as long as it would have."""
        with self._lock:
            changes = Changes(shift=seconds)
            self._booted_at += seconds
            self._baseline_until = min(self._baseline_until + seconds, now + self._policy.baseline)
            self._installed_at += seconds
            changes.meta |= {"baseline_until": repr(self._baseline_until), "installed_at": repr(self._installed_at)}
            for silence in list(self._silences.values()):
                moved_on = msgspec.structs.replace(silence, starts=silence.starts + seconds,
                                                   ends=silence.ends + seconds)
                self._silences[silence.id] = moved_on
                changes.silences.append(moved_on)
            self._traces = {key: trace.shifted(seconds) for key, trace in self._traces.items()}
            changes.traces.update(self._traces)
            for incident in list(self._incidents.values()):
                moved = within_reach(_shifted(incident, seconds), now, self._policy)
                self._incidents[moved.code] = changes.incidents[moved.code] = moved
            self._clock_at = now
            self._commit(changes)

    @property
    def view(self) -> View:
        return self._view

    @property
    def installed_at(self) -> float:
        """When the very first start was, unix seconds."""
        return self._installed_at

    @property
    def rules(self) -> RuleBook:
        return self._book

    # --- inside --------------------------------------------------------------------------------------------------

    def _open(self) -> list[Incident]:
        return [incident for incident in self._incidents.values() if incident.closed is None]

    def _take(self, finding: Finding, changes: Changes, now: float) -> bool:
        """Give the finding to its incident, or open one; True when something newly went bad."""
        holder = self._holder(finding)
        if holder is not None:
            self._move(holder, finding, changes, now)
            return False
        if finding.state != "bad":
            return False
        before_us = finding.since <= self._baseline_until
        first = next((i for i in self._open() if i.key == BASELINE), None) if before_us else None
        known = self._recent(finding.key, now) or first
        if known is not None:
            self._move(known, finding, changes, now)
        elif before_us and now < self._baseline_until:
            self._begin(opening(self._code(), finding, now, self._policy, hold_until=self._baseline_until), (), changes,
                        now)
        else:
            self._begin(opening(self._code(), finding, now, self._policy), ("opened",), changes, now)
        return True

    def _holder(self, finding: Finding) -> Incident | None:
        """The open incident that follows this thing.

        A part of the temuan awal that was mended and breaks again later is a new problem, not an old one.
        """
        following = [i for i in self._open() if finding.key in i.members]
        sick = [i for i in following if i.members[finding.key].state != "good"]
        mended = [i for i in following if finding.state != "bad" or i.step < 0 or len(i.members) == 1]
        return next(iter([*sick, *mended]), None)

    def _recent(self, key: str, now: float) -> Incident | None:
        closed = [i for i in self._incidents.values() if i.key == key and i.closed is not None
                  and now - i.closed <= self._policy.flap_window]
        return max(closed, key=lambda i: i.opened, default=None)

    def _differs(self, after: Trace, before: Trace | None) -> bool:
        """Is it worth a write? When it was last seen, what it read, and its note only matter while we run."""
        if before is None:
            absent = self._book.rules[after.rule].kind == "absent"
            return absent or bool(after.level or after.pending or after.samples)
        return (after.level, after.pending, after.samples) != (before.level, before.pending, before.samples)

    def _drop(self, keys: set[str], changes: Changes, now: float) -> None:
        """These are not watched any more."""
        for incident in self._open():
            self._move(incident, Unwatched(frozenset(keys)), changes, now)
        for key in keys:
            del self._traces[key]
            changes.traces[key] = None

    def _code(self) -> str:
        code = new_code(self._codes, self._chance)
        self._codes.add(code)
        return code

    def _move(self, incident: Incident, event: Event, changes: Changes, now: float, who: str = "") -> Incident:
        after, reasons = step(incident, event, now, self._policy)
        return self._settle(incident, after, reasons, changes, now, who)

    def _begin(self, incident: Incident, reasons: tuple[Reason, ...], changes: Changes, now: float) -> None:
        self._settle(None, incident, reasons, changes, now)

    def _settle(self, before: Incident | None, after: Incident, reasons: tuple[Reason, ...], changes: Changes,
                now: float, who: str = "") -> Incident:
        after, reasons = self._hold_back(after, reasons, changes, now)
        if before is not None and before.closed is not None and after.closed is None and not reasons:
            after = msgspec.structs.replace(after, told=())  # it came back, and nobody has heard of it
        after, notifications = tell(after, reasons, self._policy, self._proofs, now, who)
        if before is not None and after == before:
            return after
        self._incidents[after.code] = after
        if before is None or _matters(before, after):
            changes.incidents[after.code] = after
        changes.notifications += notifications
        changes.history += [Entry(code=after.code, at=now, what=reason, who=who) for reason in reasons]
        if after.closed is not None and "resolved" not in reasons:
            changes.history.append(Entry(code=after.code, at=now, what="closed", detail=after.closed_why))
        return after

    def _hold_back(self, after: Incident, reasons: tuple[Reason, ...], changes: Changes,
                   now: float) -> tuple[Incident, tuple[Reason, ...]]:
        """Where something holds it, nobody is told now, but when the hold ends. Ends and thanks are never held."""
        if not reasons or after.closed is not None or after.acked_until is not None:
            return after, reasons
        reach = max(AFTERMATH, self._book.lingers)
        lately = [i for i in self._incidents.values() if i.closed is None or now - i.closed < reach]
        around = Surroundings(silences=tuple(self._silences.values()), others=tuple(lately), rules=self._book.rules,
                              installed_at=self._installed_at)
        wait = hold(after, around, self._policy, now)
        if wait is None:
            return after, reasons
        if wait.why != after.held_by:
            changes.history.append(Entry(code=after.code, at=now, what="held", detail=wait.why))
        return held(after, wait.until, wait.why), ()

    def _is_group(self, contact: str) -> bool:
        """A group is told besides: whether it hears does not change who must be reached."""
        person = self._policy.contacts.get(contact)
        return person is not None and person.group

    def _stand_in(self, incident: Incident, failed: Notification, another: Told, changes: Changes,
                  now: float) -> None:
        ordinal = incident.ordinal + 1
        told = incident.told if another in incident.told else (*incident.told, another)
        after = msgspec.structs.replace(incident, ordinal=ordinal, told=told)
        self._incidents[after.code] = changes.incidents[after.code] = after
        spoken = notify(after, failed.reason, another, self._policy, now, ordinal, failed.who, failed.mark)
        changes.notifications.append(msgspec.structs.replace(spoken, tried=(*failed.tried, failed.channel)))

    def _digest_elsewhere(self, failed: Notification, changes: Changes, now: float) -> None:
        """A digest belongs to no incident; it goes on by the person's next channel."""
        tried = (*failed.tried, failed.channel)
        another = next_channel(failed.contact, tried, self._policy, self._proofs)
        if another is not None:
            self._answers += 1
            changes.meta["answers"] = str(self._answers)
            changes.notifications.append(msgspec.structs.replace(
                failed, ordinal=self._answers, channel=another.channel, created=now, not_before=now,
                tried=tried, stands_in_for=failed.mark))

    def _deed(self, code: str, event: Event, what: str, who: str, how: str, now: float, note: str) -> Incident:
        with self._lock:
            incident = self._incidents.get(code.strip().upper())
            if incident is None or incident.closed is not None:
                raise UnknownCode(code, [i.code for i in self._open()])
            changes = Changes()
            after = self._move(incident, event, changes, now, who)
            changes.history = [e for e in changes.history if e.what != what]
            changes.history.append(Entry(code=after.code, at=now, what=what, who=who, how=how, detail=note))
            self._commit(changes)
            return after

    def _commit(self, changes: Changes) -> None:
        if self._gathered is not None:
            self._gathered.absorb(changes)
            self._publish()
            return
        kept = self._keep(changes)
        try:
            while self._unsaved:
                self._save(self._unsaved[0])
                self._unsaved.pop(0)
            self._store_error = ""
        except StoreError as error:
            self._store_error = str(error)
            urgent = [n for n in changes.notifications if n.severity == "critical"]
            kept.spoken |= {n.mark for n in urgent}  # when the store is back they are stored as said
            self._emergency(urgent)
        self._publish()
        if changes.notifications:
            self._queued()

    def _keep(self, changes: Changes) -> Changes:
        """Line it up for the store; returns what holds it. A disk full for days must not fill the memory."""
        last = self._unsaved[-1] if self._unsaved else None
        if last is not None and len(self._unsaved) >= BACKLOG and not (last.shift or changes.shift):
            last.absorb(changes)
            return last
        if changes:
            self._unsaved.append(changes)
        return changes

    def _save(self, changes: Changes) -> None:
        """Raises StoreError where another try may pass. What no database takes (text that is no text) would hold up all
        that comes after it for ever: it is given up, and its urgent words go out from memory."""
        try:
            self._ledger.commit(changes)
        except StoreError:
            raise
        except Exception:
            log.exception("change_lost", codes=sorted({*changes.incidents, *(e.code for e in changes.history)}))
            self._emergency([n for n in changes.notifications
                             if n.severity == "critical" and n.mark not in changes.spoken])

    def _publish(self) -> None:
        self._view = View(
            open=tuple(sorted(self._open(), key=lambda i: (i.severity != "critical", i.opened))),
            silences=tuple(self._silences.values()),
            unsaved=len(self._unsaved), store_error=self._store_error, clock_at=self._clock_at,
        )


def _whole(readings: Sequence[Reading]) -> bool:
    """Did the run succeed, and each of its targets?"""
    told = [r.value for r in readings if r.metric in ("jaga_collector_success", "jaga_target_success")]
    return bool(told) and all(value == 1 for value in told)


def _matters(before: Incident, after: Incident) -> bool:
    """A member's newest value alone is no reason to write to the disk each minute."""
    def still(incident: Incident) -> Incident:
        members = {key: msgspec.structs.replace(m, value=0.0, note="") for key, m in incident.members.items()}
        return msgspec.structs.replace(incident, members=members)
    return still(before) != still(after)


def _shifted(incident: Incident, seconds: float) -> Incident:
    def moved(at: float | None) -> float | None:
        return None if at is None else at + seconds
    return msgspec.structs.replace(
        incident,
        opened=incident.opened + seconds,
        began=moved(incident.began),
        closed=moved(incident.closed),
        due=moved(incident.due),
        acked_until=moved(incident.acked_until),
        calm_since=moved(incident.calm_since),
        turns=tuple(at + seconds for at in incident.turns),
        members={key: msgspec.structs.replace(m, since=m.since + seconds) for key, m in incident.members.items()},
    )
