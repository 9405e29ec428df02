"""Twilio's calls to us: signed status callbacks and inbound webhooks, as they should come or late or twice."""

import base64
import hmac
import http.client
import threading
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from agent.demo.fake_twilio.ledger import Account, Message

TIMEOUT = 15.0  # Twilio waits this long for an answer


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How callbacks come. The URL is signed as Twilio knows it; the call itself goes to `send_to`, if that is given.

    No call leaves this machine: a URL elsewhere without `send_to` is noted and not called.
    """

    late: float = 0.0  # seconds
    times: int = 1
    before_response: bool = False  # the first status arrives before our POST is answered
    inbound_url: str = ""  # the webhook for inbound messages; "" for none
    send_to: str = ""  # scheme, host and port in place of the URL's own: "http://127.0.0.1:9811"


class Post(msgspec.Struct, frozen=True):
    """One call that was made, and what came of it: the HTTP status, or 0 and the trouble."""

    url: str
    params: dict[str, str]
    status: int
    answer: str


def signature(token: str, url: str, params: dict[str, str]) -> str:
    """X-Twilio-Signature of a form: the URL, then each name and value in the names' order; HMAC-SHA1, base64."""
    text = url + "".join(name + params[name] for name in sorted(params))
    return base64.b64encode(hmac.digest(token.encode(), text.encode(), "sha1")).decode()


def status_params(account: Account, m: Message) -> dict[str, str]:
    params = {"MessageSid": m.sid, "SmsSid": m.sid, "MessageStatus": m.status, "SmsStatus": m.status, "To": m.to,
              "From": m.sender, "AccountSid": account.sid, "ApiVersion": "2010-04-01", "ChannelPrefix": "whatsapp"}
    return params | ({"ErrorCode": str(m.error)} if m.error else {})


def inbound_params(account: Account, m: Message, extra: dict[str, str]) -> dict[str, str]:
    """`extra` adds what only a webhook carries: ButtonPayload, ButtonText, OriginalRepliedMessageSid, MediaUrl0 …"""
    return {"MessageSid": m.sid, "SmsSid": m.sid, "SmsMessageSid": m.sid, "AccountSid": account.sid,
            "ApiVersion": "2010-04-01", "From": m.sender, "To": m.to, "Body": m.body, "NumMedia": str(m.media),
            "NumSegments": "1", "SmsStatus": "received", "WaId": m.sender.removeprefix("whatsapp:+"),
            "ProfileName": "", "MessageType": "text"} | extra


class Postman:
    """Makes the calls, each in a thread of its own, and remembers what came of them."""

    def __init__(self) -> None:
        self.manner = Manner()
        self.posts: list[Post] = []
        self.changed = threading.Condition()
        self._stopped = threading.Event()
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy

    def close(self) -> None:
        self._stopped.set()

    def post(self, account: Account, url: str, params: dict[str, str], *, now: bool = False) -> None:
        """Call `url` as the manner says; `now` waits for the answer and ignores lateness."""
        # The name that Twilio was told, also where the call goes to a port of this machine, as a proxy passes it on.
        headers = {"Host": urlsplit(url).netloc, "X-Twilio-Signature": signature(account.token, url, params),
                   "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8", "User-Agent": "TwilioProxy/1.1"}
        parts = urlsplit(url)
        called = self.manner.send_to + urlunsplit(("", "", parts.path, parts.query, "")) if self.manner.send_to else url
        if urlsplit(called).hostname not in ("127.0.0.1", "::1", "localhost"):
            self._note(Post(url, params, 0, "not on this machine: not called"))
            return
        request = urllib.request.Request(called, urlencode(params).encode(), headers, method="POST")  # noqa: S310 -- loopback, checked above
        arguments: dict[str, Any] = {"late": 0.0 if now else self.manner.late, "times": self.manner.times}
        thread = threading.Thread(target=self._call, args=(request, params), kwargs=arguments, daemon=True)
        thread.start()
        if now:
            thread.join(TIMEOUT)

    def _call(self, request: urllib.request.Request, params: dict[str, str], late: float, times: int) -> None:
        if self._stopped.wait(late):
            return
        for _ in range(times):
            try:
                with self._opener.open(request, timeout=TIMEOUT) as answer:
                    outcome = answer.status, answer.read().decode(errors="replace")
            except urllib.error.HTTPError as refused:
                with refused:
                    outcome = refused.code, refused.reason
            except (OSError, http.client.HTTPException) as error:
                # Nobody there, or gone while it answered. 11200: Twilio could not fetch it, and says so to nobody
                outcome = 0, str(error)
            self._note(Post(request.full_url, params, *outcome))

    def _note(self, post: Post) -> None:
        with self.changed:
            self.posts.append(post)
            self.changed.notify_all()
