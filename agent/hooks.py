"""What Twilio and Fonnte call us with: is it they, and which of our channels is it about. It records and does no more.

Whoever calls waits some seconds and then counts it as lost, so nothing here waits: what was heard is handed on and the
caller has its answer.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from agent.clock import Clock
from agent.config import Config
from agent.logs import Turns, get_logger
from alerts.notification import Reply, Status

MOST_FIELDS = 200  # Twilio sends some thirty
WHATSAPP = "whatsapp:"

TAKEN, JUNK, REFUSED, NOBODY = 200, 400, 403, 404

class Ears(Protocol):
    """Who hears what came in. Both calls queue it and return at once."""

    @property
    def config(self) -> Config: ...
    @property
    def clock(self) -> Clock: ...

    def hear(self, channel: str, reply: Reply) -> None: ...

    def outcome(self, channel: str, provider_id: str, status: Status) -> None: ...


class Hooks:
    """Each call returns the HTTP status. Any thread may call."""

    def __init__(self, ears: Ears) -> None:
        self._ears, self._turns = ears, Turns(get_logger(__name__))

    def twilio(self, query: str, body: bytes, signature: str) -> int:
        """A person's message, or what became of ours. `query` is the URL's, which is signed too."""
        web, notifiers = self._ears.config.web, self._ears.config.notifiers
        accounts = {name: notifier for name, notifier in notifiers.items() if _can_check(notifier)}
        if not accounts:
            return NOBODY
        params = _form(body)
        if params is None:
            return JUNK
        url = f"{web.origin}/hooks/twilio" + (f"?{query}" if query else "")
        ours = {name: notifier for name, notifier in accounts.items() if _signed(notifier, url, params, signature)}
        if not ours:
            self._turns.say("hook", "signature", f"signed by none of the configured accounts for {url}: compare it "
                                                 "with the webhook in Twilio's console", door="twilio")
            return REFUSED
        self._turns.say("hook", door="twilio")
        name = max(ours, key=lambda each: _fits(ours[each], params))
        self._from_twilio(name, ours[name], params)
        return TAKEN

    def fonnte(self, secret: str, body: bytes) -> int:
        """A person's message by Fonnte, which signs nothing: the path holds a secret instead."""
        given = secret.encode("utf-8", "replace")
        names = [name for name, notifier in self._ears.config.notifiers.items() if _opens(notifier, given)]
        if not names:
            return NOBODY
        from alerts.notifiers.fonnte import parse_incoming

        try:
            payload = msgspec.json.decode(body, type=dict[str, Any])
        except ValueError:  # cut off on its way, perhaps: Fonnte sends again what is not answered by 200
            return JUNK
        try:
            reply = parse_incoming(payload, self._ears.clock.now())
        except ValueError as error:  # a sixteenth time it would say no more
            self._turns.say("hook", "junk", str(error), door="fonnte")
            return TAKEN
        self._turns.say("hook", door="fonnte")
        if reply is not None:
            self._ears.hear(names[0], reply)
        return TAKEN

    def _from_twilio(self, name: str, notifier: Any, params: Mapping[str, str]) -> None:
        from alerts.notifiers.twilio_hooks import incoming, outcome

        reply = incoming(params, self._ears.clock.now())
        if reply is not None:
            self._ears.hear(name, reply)
        elif told := outcome(params, fallback=bool(getattr(notifier, "fallback_template", ""))):
            self._ears.outcome(name, *told)


def _can_check(notifier: Any) -> bool:
    """Twilio signs with the account's token. Where an API key is used we hold the key's secret, which signs nothing."""
    return bool(getattr(notifier, "account_sid", "")) and not notifier.api_key


def _form(body: bytes) -> dict[str, str] | None:
    """The fields, empty ones too, for they are signed. None where it is no form, or names a field twice."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict",
                          max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    return dict(pairs) if len(dict(pairs)) == len(pairs) else None


def _signed(notifier: Any, url: str, params: Mapping[str, str], signature: str) -> bool:
    from alerts.notifiers.twilio_hooks import verify

    return params.get("AccountSid") == notifier.account_sid and verify(url, params, signature,
                                                                       notifier.auth_token.reveal())


def _fits(notifier: Any, params: Mapping[str, str]) -> tuple[bool, bool]:
    """Several channels may share an account: the one whose sender it is goes before one of the same kind."""
    ends = {params.get(end, "") for end in ("To", "From")}
    sender = getattr(notifier, "sender", "")
    service = getattr(notifier, "messaging_service_sid", "")
    mine = bool(sender) and sender in {end.removeprefix(WHATSAPP) for end in ends}
    return (mine or (bool(service) and service == params.get("MessagingServiceSid")),
            (notifier.address == "whatsapp") == any(end.startswith(WHATSAPP) for end in ends))


def _opens(notifier: Any, given: bytes) -> bool:
    secret = getattr(notifier, "hook_secret", None)
    return secret is not None and hmac.compare_digest(secret.reveal().encode(), given)
