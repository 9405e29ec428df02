"""What the agent says of itself, as readings like any other, judged by `alerts/rules/agent.toml`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from agent.runner import DURATION, LAST_SUCCESS, OVERRUN, SUCCESS, TARGET_SUCCESS, WATCH_UP
from alerts.desk import View
from alerts.ledger import Message
from alerts.outbox import Channel
from alerts.policy import Policy
from collectors.base import Metric, Reading

NAME = "agent"  # whose readings these are, where a collector's name is asked for

OUTBOX_OLDEST = Metric("jaga_outbox_oldest_seconds", "Age of the oldest notification that no provider has yet.")
AUDIT_SUCCESS = Metric("jaga_audit_success", "1 when the last audit found that alerting works; its note says why not.")
HEARTBEAT_SUCCESS = Metric("jaga_heartbeat_last_success_timestamp_seconds",
                           "When the heartbeat service last took the word that alerting works.")
HEARTBEAT_FAILING = Metric("jaga_heartbeat_failing_seconds", "How long the heartbeat service has taken nothing.")
COST = Metric("jaga_messages_cost_rupiah_total", "What this local month's messages cost.", ("notifier",),
              kind="counter")
STORE_WRITABLE = Metric("jaga_store_writable", "1 when the last commit to the database succeeded.")
STORE_SET_ASIDE = Metric("jaga_store_set_aside", "Corrupt databases that were set aside and not looked at yet.")
BALLAST = Metric("jaga_store_ballast", "1 while the reserve for a full disk is in place.")
CONFIG_VALID = Metric("jaga_config_valid", "1 when the configuration file is the one in force.")
NOTIFIER_FAILING = Metric(
    "jaga_notifier_failing_seconds", "How long the channel has been failing without a success.", ("notifier",)
)
NOTIFIER_DEAF = Metric("jaga_notifier_deaf_seconds", "How long what people write by this channel could not be read.",
                       ("notifier",))
REFUSED = Metric(
    "jaga_notifier_refused", "1 when the last message to this person by this channel was refused for good.",
    ("notifier", "contact"),
)
TEMPLATE_PASSES = Metric(
    "jaga_template_passes", "1 while the vendor lets the message template through or still judges it.",
    ("notifier", "template"),
)
CLOCK_JUMPS = Metric("jaga_clock_jumps_total", "How often the wall clock was set by more than half a minute.",
                     kind="counter")
PROOF_ANSWERED = Metric("jaga_proof_last_answer_timestamp_seconds", "When the weekly proof message was last answered.")

PASSING = ("approved", "received", "pending")  # the vendor's words; whatever else it says, the template is not sent

# The runner's own metrics are judged by the rules of the agent, whichever collector they are about.
__all__ = ["AUDIT_SUCCESS", "BALLAST", "CLOCK_JUMPS", "CONFIG_VALID", "COST", "DURATION", "HEARTBEAT_FAILING",
           "HEARTBEAT_SUCCESS", "LAST_SUCCESS", "NOTIFIER_DEAF", "NOTIFIER_FAILING", "OUTBOX_OLDEST",
           "OVERRUN", "PROOF_ANSWERED", "REFUSED", "STORE_SET_ASIDE", "STORE_WRITABLE", "SUCCESS", "TARGET_SUCCESS",
           "WATCH_UP", "readings"]


def readings(
    view: View,
    channels: Mapping[str, Channel],
    policy: Policy,
    *,
    oldest: float | None,
    last_messages: Sequence[Message],
    set_aside: Sequence[Path],
    has_ballast: bool,
    config_error: str,
    jumps: int,
    now: float,
    proof_answered: float | None = None,
) -> Iterator[Reading]:
    """Yield the agent's own readings. `oldest`: unix seconds; `last_messages`: the last finished one per person and
    channel; `config_error`: why the file on disk is not in force, or ""."""
    yield OUTBOX_OLDEST(max(0.0, now - oldest) if oldest is not None else 0.0)
    unwritten = view.store_error or next((c.store_error for c in channels.values() if c.store_error), "")
    yield STORE_WRITABLE(float(not unwritten), note=unwritten)
    yield STORE_SET_ASIDE(float(len(set_aside)), note=", ".join(str(path) for path in set_aside))
    yield BALLAST(float(has_ballast))
    yield CONFIG_VALID(float(not config_error), note=config_error)
    yield CLOCK_JUMPS(float(jumps))
    if proof_answered is not None:
        yield PROOF_ANSWERED(proof_answered)
    for name, channel in channels.items():
        since = channel.failing_since
        yield NOTIFIER_FAILING(max(0.0, now - since) if since is not None else 0.0, note=channel.error, notifier=name)
        if channel.listens:
            deaf = channel.deaf_since
            yield NOTIFIER_DEAF(max(0.0, now - deaf) if deaf is not None else 0.0, note=channel.deaf, notifier=name)
        for template, state in channel.templates.items():
            yield TEMPLATE_PASSES(float(state in PASSING), note=state, notifier=name, template=template)
    for message in last_messages:
        contact = policy.contacts.get(message.contact)
        if contact is None or message.channel not in channels:
            continue
        # A number that was mended since is not a refused one any more: it simply has no proof yet.
        same = contact.addresses.get(channels[message.channel].address, "") == message.letter.to
        refused = message.state == "failed" and same
        yield REFUSED(float(refused), note=message.error if refused else "", notifier=message.channel,
                      contact=message.contact)
