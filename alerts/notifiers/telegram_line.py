"""The line to Telegram's Bot API: one call, and what each of its troubles means: Refused, Busy or Uncertain.

The token is part of every address (https://core.telegram.org/bots/api#making-requests), and httpx puts the address into
its log lines and its exceptions: so its log is silenced here, nothing is chained, and no error text names an address.
"""

import logging
from functools import cache
from ssl import SSLContext
from typing import Any

import msgspec

from alerts.notification import Busy, Refused, Uncertain
from alerts.notifiers.fitting import cut
from alerts.text import line
from collectors.secret import Secret

WORDS = 200  # characters of Telegram's own words that go into an error


class _Parameters(msgspec.Struct, frozen=True):
    retry_after: float | None = None  # seconds
    migrate_to_chat_id: int | None = None


class _Answer(msgspec.Struct, frozen=True):
    """What every call is answered with. `error_code` repeats the HTTP status."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    description: str = ""
    parameters: _Parameters = _Parameters()


def call(base_url: str, token: Secret, method: str, given: dict[str, Any], timeout: float, *,
         repeatable: bool = False) -> msgspec.Raw:
    """Make one call and return its result. Raises Refused, Busy or Uncertain.

    What is `repeatable` does no harm when it is done twice, so a lost answer is Busy instead of Uncertain. `timeout` in
    seconds is for each of connecting, writing and waiting for the next byte.
    """
    import httpx  # 7 MiB that only a configured Telegram costs

    logging.getLogger("httpx").setLevel(logging.WARNING)
    unclear = Busy if repeatable else Uncertain
    try:
        answer = httpx.post(f"{base_url.rstrip('/')}/bot{token.reveal()}/{method}", json=given, timeout=timeout,
                            verify=_context())
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:  # false certificates are among these
        raise Busy(f"no connection to Telegram ({_kind(error)})") from None
    except httpx.RequestError as error:
        raise unclear(f"no answer from Telegram ({_kind(error)})") from None
    try:
        said = msgspec.json.decode(answer.content, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        said = None
    if answer.status_code >= 500 or (answer.is_success and (said is None or not said.ok)):
        raise unclear(f"what Telegram answered is not clear ({answer.status_code})")
    if said is None:  # a proxy, a captive portal
        raise Busy(f"something between here and Telegram answered ({answer.status_code})")
    if not said.ok:
        raise _refusal(answer.status_code, said)
    return said.result


@cache
def _context() -> SSLContext:
    """Made once: reading the certificates of all authorities takes 20 ms, and we ask every few seconds."""
    import httpx

    return httpx.create_ssl_context()


def _kind(error: BaseException) -> str:
    """`ConnectTimeout`, or what the system said: `SSLCertVerificationError`, `gaierror`, `ConnectionRefusedError`."""
    deepest = error
    while (cause := deepest.__cause__ or deepest.__context__) is not None:
        deepest = cause
    return type(deepest if isinstance(deepest, OSError) else error).__name__


def _refusal(status: int, said: _Answer) -> Exception:
    words, code = cut(line(said.description), WORDS) or "refused without a word", str(status)
    if status == 429:
        return Busy("Telegram takes no more for now (429)", said.parameters.retry_after)
    if status in (401, 404):  # 404: the token has not even the right form
        return Refused("Telegram does not know the token: ask @BotFather for it and mend [notifiers]", code)
    if status == 403:
        return Refused(f"{words}: the person must open the chat with the bot and press Start; "
                       "into a group the bot must be invited", code)
    if status == 409:
        return Refused(_conflict(words), code)
    if (group := said.parameters.migrate_to_chat_id) is not None:
        return Refused(f"the group has become a supergroup: write telegram = {group} for this contact", code)
    if "chat not found" in words:
        return Refused("Telegram finds no such chat: the person must press Start in the chat with the bot first, or "
                       "the number is wrong", code)
    return Refused(words, code)


def _conflict(words: str) -> str:
    if "webhook" in words.lower():
        return ("another program takes this bot's messages by a webhook, so no answer can be read: give Jaga a bot of "
                "its own, or remove the webhook (deleteWebhook)")
    return ("another program reads this bot's messages at the same time, so answers get lost: give Jaga a bot of its "
            "own, or stop the other program")
