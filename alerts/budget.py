"""What may still be said today: a daily budget of messages and Rupiah that never holds back what cannot wait."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import msgspec

from alerts import localtime
from alerts.figures import clock
from alerts.notification import Notification
from alerts.policy import Policy
from alerts.text import fill

# Somebody asked for these, or takes it for a fault of ours when they do not come; they are few.
EXPECTED = frozenset({"answer", "test", "proof", "digest", "handover"})
SAID = {
    "id": "batas pesan hari ini tercapai: yang tidak kritis menyusul {when}",
    "en": "today's limit of messages is reached: what is not critical follows {when}",
}


class Sent(msgspec.Struct, frozen=True):
    """How many messages to one person by one channel the provider took, or may have taken."""

    contact: str
    channel: str
    critical: bool
    count: int


class Allowance(msgspec.Struct, frozen=True):
    """May it go? `hold_until`: not before then (unix seconds). `says`: by language, what its reader should know."""

    hold_until: float | None = None
    says: Mapping[str, str] = {}


FREE = Allowance()


def day_began(policy: Policy, now: float) -> float:
    """When the budget's day began: local midnight."""
    zone = ZoneInfo(policy.zone)
    return localtime.midnight(localtime.local_day(now, zone), zone)


def month_began(policy: Policy, now: float) -> float:
    """When the local month began, by which costs are summed up."""
    zone = ZoneInfo(policy.zone)
    return localtime.midnight(localtime.local_day(now, zone).replace(day=1), zone)


def resumes(policy: Policy, now: float) -> float:
    """When what was held back goes out: the next local day, when its quiet hours are over."""
    zone = ZoneInfo(policy.zone)
    midnight = localtime.midnight(localtime.local_day(now, zone) + timedelta(days=1), zone)
    return policy.quiet_until("warning", midnight) or midnight


def cost(sent: Sequence[Sent], policy: Policy) -> dict[str, float]:
    """Rupiah by channel, of those that have a price."""
    spent = {channel: 0.0 for channel, price in policy.price.items() if price > 0}
    for each in sent:
        if each.channel in spent:
            spent[each.channel] += each.count * policy.price[each.channel]
    return spent


def allowance(batch: Sequence[Notification], sent_since: Callable[[float], Sequence[Sent]], policy: Policy,
              now: float) -> Allowance:
    """Judge one message to one person by one channel; `sent_since` tells what went out since a time.

    What cannot wait goes before anything is asked, and whatever shares a message with it goes along. The last message
    that the budget allows says that it is the last one.
    """
    if any(n.severity == "critical" or n.reason in EXPECTED for n in batch):
        return FREE
    budget, first, sent = policy.budget, batch[0], sent_since(day_began(policy, now))
    price, so_far = policy.price.get(first.channel, 0.0), sum(cost(sent, policy).values())
    told = sum(each.count for each in sent if each.contact == first.contact and not each.critical)

    def spent(more: int) -> bool:
        """Would `more` messages like this one be too many?"""
        too_many = 0 < budget.per_day < told + more
        return too_many or (price > 0 and 0 < budget.rupiah_per_day < so_far + more * price)

    if spent(1):
        return Allowance(hold_until=resumes(policy, now))
    if spent(2):
        zone, until = ZoneInfo(policy.zone), resumes(policy, now)
        return Allowance(says={language: fill(text, {"when": clock(until, zone, language, now)})
                               for language, text in SAID.items()})
    return FREE
