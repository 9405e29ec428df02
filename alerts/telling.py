"""Who is told of an incident and by which channel: a pure function from reasons to notifications."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from alerts import roster
from alerts.incident import Incident, Told
from alerts.notification import Notification, Proof, Reason
from alerts.policy import Policy

# When several things happen in one breath the first of these is said.
WEIGHT: tuple[Reason, ...] = (
    "resolved", "worsened", "flapping", "recurred", "opened", "joined", "escalated", "ack_expired", "unacked",
    "reminded", "acked", "test",
)


def tell(
    incident: Incident,
    reasons: Sequence[Reason],
    policy: Policy,
    proofs: Mapping[str, Proof],
    now: float,
    who: str = "",
) -> tuple[Incident, list[Notification]]:
    """Return the incident that remembers who was told, and the notifications to queue.

    `proofs` says, for each channel that is configured, the strongest proof of arrival it can give.
    `who` is the person who acknowledged or refused: nobody is told of their own deed.
    """
    if not reasons:
        return incident, []
    reason = min(reasons, key=WEIGHT.index)
    notifications: list[Notification] = []
    told = list(incident.told)
    for pair in _whom(incident, reason, policy, proofs, now, who):
        ordinal = incident.ordinal + len(notifications) + 1
        notifications.append(notify(incident, reason, pair, policy, now, ordinal, who))
        if pair not in told:
            told.append(pair)
    incident = msgspec.structs.replace(
        incident, told=tuple(told), ordinal=incident.ordinal + len(notifications)
    )
    return incident, notifications


def notify(
    incident: Incident, reason: Reason, pair: Told, policy: Policy, now: float, ordinal: int,
    who: str = "", stands_in_for: str = "",
) -> Notification:
    """One notification; it is batched with others for the same person for a moment, and goes stale in its time."""
    severity = incident.severity or "warning"
    return Notification(
        code=incident.code,
        ordinal=ordinal,
        reason=reason,
        severity=severity,
        contact=pair.contact,
        channel=pair.channel,
        created=now,
        not_before=now + policy.batch,
        stale_at=now + policy.stale[severity],
        incident=incident,
        who=who,
        stands_in_for=stands_in_for,
    )


def next_channel(person: str, tried: Iterable[str], policy: Policy, proofs: Mapping[str, Proof]) -> Told | None:
    """That person's next channel in their order of preference that was not tried yet; None at the end of it."""
    contact, gone = policy.contacts.get(person), set(tried)
    left = [channel for channel in contact.channels if channel in proofs and channel not in gone] if contact else []
    return Told(person, left[0]) if left else None


def _whom(
    incident: Incident, reason: Reason, policy: Policy, proofs: Mapping[str, Proof], now: float, who: str
) -> list[Told]:
    # A telephone rings by a step of the escalation and for nothing else: nobody is called to hear that it is over.
    known = [pair for pair in incident.told if pair.contact in policy.contacts and pair.channel in proofs
             and pair.channel not in policy.contacts[pair.contact].call]
    if reason == "resolved":
        return known
    if reason in ("acked", "unacked"):
        return [pair for pair in known if pair.contact != who]
    steps = policy.steps_of(incident)
    # a list that starts again is climbed like the first time, not told to everybody at once
    rung_alone = reason == "escalated" or (reason == "reminded" and policy.end_of(incident) == "repeat")
    reached = steps[incident.step : incident.step + 1] if rung_alone else steps[: incident.step + 1]
    pairs = [] if rung_alone else known
    have = {pair.contact for pair in pairs}
    for each in reached:
        for person in policy.persons(each, now):
            if person not in have and person in policy.contacts:
                have.add(person)
                pairs += _channels(incident, person, policy.ways(person, each), policy, proofs)
    return _besides(who, pairs, incident, policy, proofs, now) if who else list(dict.fromkeys(pairs))


def _besides(who: str, pairs: Sequence[Told], incident: Incident, policy: Policy, proofs: Mapping[str, Proof],
             now: float) -> list[Told]:
    """Whom a refusal goes to: the step's people without who refused; where none of them is new, who is next in turn."""
    others, known = [pair for pair in pairs if pair.contact != who], {pair.contact for pair in incident.told}
    if any(pair.contact not in known for pair in others):
        return list(dict.fromkeys(others))
    in_turn = [name for name in roster.order(policy.roster, now) if name != who and name in policy.contacts]
    fresh = [name for name in in_turn if name not in known]
    if fresh or (in_turn and not others):
        return _channels(incident, [*fresh, *in_turn][0], (), policy, proofs)
    return list(dict.fromkeys(others or pairs))  # whoever stands alone cannot refuse


def _channels(
    incident: Incident, person: str, wanted: tuple[str, ...], policy: Policy, proofs: Mapping[str, Proof]
) -> list[Told]:
    contact = policy.contacts[person]
    order = [channel for channel in (wanted or contact.channels) if channel in proofs]
    # Bad news about a channel does not travel by that channel, where there is another.
    broken = {value for member in incident.members.values() for name, value in member.labels if name == "notifier"}
    order = [channel for channel in order if channel not in broken] or order
    chosen = order[:1]
    if incident.severity == "critical" and chosen and proofs[chosen[0]] <= Proof.ACCEPTED:
        chosen = order[:2]  # acceptance is all it can prove, so a second way is used at once
    return [Told(person, channel) for channel in dict.fromkeys([*chosen, *contact.copy]) if channel in proofs]
