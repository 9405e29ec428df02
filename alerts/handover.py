"""The hand-over between two people on duty, as messages to both: whose turn it is now, and what is open."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec

from alerts import answers
from alerts.figures import clock
from alerts.incident import Incident, Told
from alerts.notification import Answer, Notification, Proof
from alerts.policy import Contact, Policy
from alerts.roster import Roster, Turn, handover_between, on_duty
from alerts.telling import notify
from alerts.text import fill


def announce(
    roster: Roster, before: float, now: float, open_incidents: Sequence[Incident], policy: Policy,
    proofs: Mapping[str, Proof], *, code: str, ordinal: int,
) -> list[Notification]:
    """What to queue where the duty changed between `before` and `now` (unix seconds): first to whoever has it now.

    The messages are answers in form: marked by `code`, numbered from `ordinal` on, in each reader's language. Several
    hand-overs that were slept through are one. Somebody who is no contact any more is left out.
    """
    turn = handover_between(roster, before, now)
    if turn is None:
        return []
    blank = Incident(code=code, key="handover", opened=now, members={}, severity="warning")
    found: list[Notification] = []
    for name in (turn.person, on_duty(roster, before)):
        person = policy.contacts.get(name)
        for pair in _ways(person, proofs) if person is not None else ():
            spoken = notify(blank, "handover", pair, policy, now, ordinal + len(found))
            said = _said(pair.contact, turn, open_incidents, policy, now)
            found.append(msgspec.structs.replace(spoken, answer=said))
    return found


def _ways(person: Contact, proofs: Mapping[str, Proof]) -> list[Told]:
    """The first channel that there is, and the copies: a hand-over is no alarm."""
    channels = [channel for channel in person.channels if channel in proofs][:1]
    channels += [channel for channel in person.copy if channel in proofs]
    return [Told(person.name, channel) for channel in dict.fromkeys(channels)]


def _said(reader: str, turn: Turn, incidents: Sequence[Incident], policy: Policy, now: float) -> Answer:
    language = policy.contacts[reader].language
    words = answers.LANGUAGES.get(language, answers.ID)
    codes = ", ".join(incident.code for incident in incidents)
    values = {"open": fill(words["duty_open"], {"codes": codes}) if codes else words["duty_calm"]}
    if reader != turn.person:
        successor = policy.contacts.get(turn.person)
        values["who"] = successor.display if successor else turn.person
        return Answer(phrase="duty_ends", values=values, incidents=tuple(incidents))
    if turn.until is None:
        return Answer(phrase="duty_begins", values=values, incidents=tuple(incidents))
    values["until"] = clock(turn.until, ZoneInfo(policy.zone), language, now)
    return Answer(phrase="duty_begins_until", values=values, incidents=tuple(incidents))
