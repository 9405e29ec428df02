"""The first week: remembers how bad the held-back warnings were, and at its end proposes thresholds, once."""

from collections.abc import Sequence

import msgspec
import structlog

from agent.routine import Setup
from alerts import proposals
from alerts.desk import ANSWERS, Desk
from alerts.digest import Digest
from alerts.digest_words import digests
from alerts.ledger import Ledger
from alerts.notification import Notification
from alerts.proposals import Proposal
from alerts.rule import Rule

FIRST_WEEK = "first_week"  # key of what is remembered
STALE = 7 * 86400.0  # seconds after its end from which nobody needs to hear of the first week any more

log = structlog.get_logger()


class Week(msgspec.Struct, frozen=True, kw_only=True):
    """`worst` values by finding key; `open` are the codes that were held back when it was last written down."""

    worst: dict[str, float] = {}
    open: tuple[str, ...] = ()
    over: bool = False


class FirstWeek:
    """`tick` is for one thread; `proposals` for any."""

    def __init__(self, desk: Desk, ledger: Ledger) -> None:
        self._desk, self._ledger = desk, ledger
        self._week = msgspec.json.decode(ledger.meta(FIRST_WEEK) or "{}", type=Week)
        self._worst = dict(self._week.worst)

    def tick(self, setup: Setup, now: float) -> None:
        """Watch; when it is over, say so and what is proposed, to the first of the people, by day."""
        if self._week.over or not setup.policy.probation:
            return
        end = self._desk.installed_at + setup.policy.probation
        if now < end:
            self._watch()
        elif setup.policy.quiet_until("warning", now) is None:
            about = Digest(kind="proposals", at=end, toml=self.toml())
            to = [pair for name in setup.policy.people[:1] for pair in setup.ways(name)] if now < end + STALE else []
            log.info("first_week_over", told=len(to))
            self._remember(Week(worst=self._worst, over=True), digests(about, to, setup.policy, now, code=ANSWERS))

    def found(self) -> tuple[Proposal, ...]:
        """The proposals from what was seen until now."""
        incidents = self._ledger.all_incidents()
        histories = {incident.code: self._ledger.history(incident.code) for incident in incidents}
        return proposals.propose(proposals.seen(incidents, histories, self._worst), self._rules)

    def toml(self) -> str:
        """The same as agent.toml takes it; "" where nothing is proposed."""
        return proposals.toml(self.found(), self._rules)

    @property
    def _rules(self) -> dict[str, Rule]:
        return self._desk.rules.rules

    def _watch(self) -> None:
        """Incidents forget how bad they were when they end. It is written down when one begins or ends, not between."""
        held = [incident for incident in self._desk.view.open if incident.held_by == "probation"]
        for incident in held:
            for key, member in incident.members.items():
                rule = self._rules.get(member.rule)
                if member.state != "bad" or rule is None:
                    continue
                worse = min if rule.kind in ("below", "forecast") else max
                self._worst = {**self._worst, key: worse(self._worst.get(key, member.value), member.value)}
        codes = tuple(sorted(incident.code for incident in held))
        if codes != self._week.open:
            self._remember(Week(worst=self._worst, open=codes))

    def _remember(self, week: Week, notifications: Sequence[Notification] = ()) -> None:
        self._week = week
        self._desk.post(notifications, {FIRST_WEEK: msgspec.json.encode(week).decode()})
