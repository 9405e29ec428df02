"""Twilio's calls to us, as plain values: is it Twilio, what did somebody write, what became of our message.

Pure functions over the parsed form; the caller keeps empty fields (`keep_blank_values`), for they are signed too, and
says under which URL Twilio knows us: behind a proxy the request itself does not tell it.
"""

from collections.abc import Mapping

from alerts.notification import Reply, Status
from alerts.notifiers.twilio_line import masked
from alerts.notifiers.twilio_outcome import FAILED, WAY, judged

CHANNEL = "whatsapp:"


def verify(url: str, params: Mapping[str, str], signature: str, token: str) -> bool:
    """Whether the form was signed by who knows `token`, the account's auth token (never an API key's secret).

    `url` is the whole address as it is configured at Twilio, with its query. Compared in constant time.
    """
    from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

    if not token or not signature.isascii():  # an empty key would be everybody's; hmac compares ASCII alone
        return False
    return bool(RequestValidator(token).validate(url, dict(params), signature))


def incoming(params: Mapping[str, str], now: float) -> Reply | None:
    """What somebody wrote to us by WhatsApp, or None where the call tells something else. `now`: unix seconds."""
    sid, writer = params.get("MessageSid", ""), params.get("From", "")
    if not sid or "MessageStatus" in params or not writer.startswith(CHANNEL):
        return None
    text, payload = params.get("Body", ""), params.get("ButtonPayload", "")
    return Reply(id=sid, address=writer.removeprefix(CHANNEL), text=text, at=now, name=params.get("ProfileName", ""),
                 payload=payload, about=params.get("OriginalRepliedMessageSid", ""),
                 media=unreadable(params.get("NumMedia", ""), text or payload))


def outcome(params: Mapping[str, str], *, fallback: bool = False) -> tuple[str, Status] | None:
    """The sid of our message and what became of it, or None where the call tells something else.

    Callbacks may come late, twice and out of order: a weaker proof after a stronger one is no news. `fallback` as in
    `twilio_outcome.judged`.
    """
    sid, status, code = params.get("MessageSid", ""), params.get("MessageStatus", ""), params.get("ErrorCode", "")
    if not sid or status not in (*WAY, *FAILED):
        return None
    number = int(code) if code.isascii() and code.isdecimal() else 0
    return sid, judged(status, number, masked(params.get("ErrorMessage", "")), fallback=fallback)


def unreadable(media: object, text: str) -> bool:
    """Whether there is nothing to read: a picture or voice note by Twilio's count, or a location, which has no text."""
    count = str(media or "0")
    return not text.strip() or (count.isascii() and count.isdecimal() and int(count) > 0)
