"""The line to Twilio: its SDK, made at first use, and what each of its troubles means: Refused, Busy or Uncertain."""

import json
import logging
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from alerts.notification import Busy, Refused, Uncertain
from alerts.notifiers.twilio_outcome import MEANING
from collectors.secret import Secret

API = "https://api.twilio.com"
ANSWERS = {"sid", "messages", "balance", "contents", "content_type"}  # each answer that we ask for has one of these
# What to do about an error that names a person, a setting or money, after Twilio's words.
DEEDS = {
    20003: "compare account_sid, api_key and auth_token with Twilio's console",
    20005: "the account is not active: look at its balance in Twilio's console",
    21210: "`caller` must be a number of this Twilio account, or one verified in its console",
    21211: "correct the contact's number: +62 and the rest without the 0",
    21214: "correct the contact's number: no carrier reaches this one",
    21215: "allow calls to that country in Twilio's console: Voice, Settings, Geographic Permissions",
    21216: "Twilio blocks calls to this number: give the contact another",
    21217: "correct the contact's number",
    21219: "a trial account calls verified numbers only: verify it in the console, or pay in",
    21408: "allow messages to that country in Twilio's console: Messaging, Settings, Geo permissions",
    21608: "a trial account writes to verified numbers only: verify it in the console, or pay in",
    21610: "the person wrote STOP: they must write START to our number, and give the contact another channel till then",
    21614: "correct the contact's number: it is no mobile phone's",
    32018: "this is a mistake of Jaga's: report it",
    63007: "`sender` is no WhatsApp sender of this account",
}
_NUMBER = re.compile(r"\+?\d[\d ().-]{5,}\d")


@lru_cache(maxsize=4)  # one for each configured notifier; a reload reads the secret anew and so makes a new one
def client(base_url: str, account_sid: str, api_key: str, auth_token: Secret, timeout: float) -> Any:
    """The SDK's client, made at the first message: the SDK costs 26 MiB."""
    from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
    from twilio.rest import Client  # type: ignore[import-untyped]

    for name in ("twilio.http_client", "urllib3"):  # they log addresses with telephone numbers in them
        logging.getLogger(name).setLevel(logging.WARNING)
    made = Client(api_key or account_sid, auth_token.reveal(), account_sid,
                  http_client=_Line(TwilioHttpClient(timeout=timeout)),
                  environment={"TWILIO_EDGE": "", "TWILIO_REGION": ""})  # not the real one: those bend the address
    made.api.base_url = base_url.rstrip("/")
    return made


class _Line:
    """The SDK's line to Twilio: lets good answers through and turns everything else into Refused, Busy or Uncertain.

    It sits below the SDK because the SDK's exceptions lose Retry-After, differ from call to call (a list raises another
    class than a fetch), and let broken JSON through as ValueError. Messages name no address: requests puts the
    telephone number into its own, which is why nothing is chained.
    """

    def __init__(self, http: Any) -> None:
        self._http = http

    def request(self, method: str, url: str, **rest: Any) -> Any:
        from requests import RequestException

        try:
            answer = self._http.request(method, url, **rest)
        except RequestException as error:
            raise _trouble(method, error) from None
        _judge(method, answer)
        return answer


def _judge(method: str, answer: Any) -> None:
    status = answer.status_code
    try:
        payload = json.loads(answer.text)
    except ValueError:
        payload = None
    said = payload if isinstance(payload, dict) else {}
    if 200 <= status < 300:
        if not ANSWERS & said.keys():
            raise _unclear(method, f"the answer ({status}) is not Twilio's JSON")
        return
    code = said.get("code")
    if status == 429 or code == 20429:
        raise Busy("Twilio takes no more for now (429)", _retry_after(answer.headers))
    if status >= 500:
        raise _unclear(method, f"Twilio has an error of its own ({status})")
    if not isinstance(code, int):  # a proxy, a captive portal
        raise Busy(f"something between here and Twilio answered ({status})")
    words = masked(str(said.get("message", "refused")))
    deed = DEEDS.get(code) or MEANING.get(code)
    raise Refused(f"{words.rstrip('.')}: {deed}" if deed else words, str(code))


def _unclear(method: str, why: str) -> Exception:
    """A question may be asked again; a message may be at Twilio already."""
    return Uncertain(why) if method.upper() == "POST" else Busy(why)


def _trouble(method: str, error: BaseException) -> Exception:
    """No answer. Where the connection never stood, the message surely did not leave."""
    from ssl import SSLCertVerificationError

    from requests import ConnectTimeout
    from urllib3.exceptions import NewConnectionError

    causes = list(_causes(error))
    why = f"no answer from Twilio ({type(causes[-1]).__name__})"
    if any(isinstance(cause, ConnectTimeout | NewConnectionError | SSLCertVerificationError) for cause in causes):
        return Busy(f"no connection to Twilio ({type(causes[-1]).__name__})")
    return _unclear(method, why)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, down to what the system said (requests and urllib3 wrap by argument)."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        inside = (getattr(cause, "reason", None), *cause.args)
        cause = next((each for each in inside if isinstance(each, BaseException)), None)


def _retry_after(headers: Any) -> float | None:
    """Seconds: Twilio sends a number; a date would need a clock, and back-off does without."""
    text = str((headers or {}).get("Retry-After", "")).strip()
    return float(text) if text.isascii() and text.isdigit() else None


def masked(text: str) -> str:
    """The vendor's words without telephone numbers: the last three digits stay."""
    return _NUMBER.sub(lambda number: "…" + re.sub(r"\D", "", number[0])[-3:], text)
