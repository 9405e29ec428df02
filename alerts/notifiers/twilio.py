"""WhatsApp by Twilio: a template outside the 24-hour window, free text inside it, and the proof that it was read."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import msgspec
import structlog

from alerts.notification import Letter, Proof, Receipt, Refused, Reply, Status
from alerts.notifiers import fitting
from alerts.notifiers.twilio_content import CONTENT, MISSING, Content
from alerts.notifiers.twilio_hooks import unreadable
from alerts.notifiers.twilio_line import API, client, masked
from alerts.notifiers.twilio_outcome import CONTENT_REFUSED, FAILED, PROOF, judged
from alerts.notifiers.twilio_templates import FALLBACK, OPTIONS, TEMPLATES
from collectors.quantities import Seconds
from collectors.secret import Secret

BODY_LIMIT = 1600  # Twilio's limit for Body (21617)
TEMPLATE_LIMIT = 1024  # WhatsApp's limit for a template after substitution (63021)
VALIDITY = (60, 36000)  # seconds; Twilio takes 1 to 36000
PAGE, MOST = 200, 2000  # messages asked for at a time, and in all, when a mark is looked for
NOT_FOUND = "20404"

_SHAPES = {"account_sid": "AC[0-9a-fA-F]{32}", "api_key": "SK[0-9a-fA-F]{32}", "sender": r"\+[1-9]\d{6,14}",
           "messaging_service_sid": "MG[0-9a-fA-F]{32}", "template": "HX[0-9a-fA-F]{32}",
           "template_en": "HX[0-9a-fA-F]{32}", "fallback_template": "HX[0-9a-fA-F]{32}", "base_url": r"https?://[^/\s]+",
           "content_url": r"https?://[^/\s]+", "status_callback": r"https?://[^/\s_]+(/\S*)?"}
_EXAMPLES = {"sender": '"+14155238886"', "base_url": f'"{API}"', "content_url": f'"{CONTENT}"',
             "status_callback": '"https://jaga.example/hooks/twilio" (no underscore in the host\'s name)'}

log = structlog.get_logger()


class Twilio(msgspec.Struct, frozen=True, kw_only=True):
    """Sends to the contact's `whatsapp` number through Twilio. `docs/whatsapp.md` tells which templates to submit.

    Write from `sender` (a WhatsApp sender's number, "+62…") or from a Messaging Service. With `api_key` (SK…),
    `auth_token` holds the key's secret. `template` and `template_en` are approved ContentSids (HX…);
    `fallback_template` carries codes alone and goes out when the others' content is refused.
    """

    proof: ClassVar[Proof] = Proof.READ
    address: ClassVar[str] = "whatsapp"

    account_sid: str
    auth_token: Secret
    api_key: str = ""
    sender: str = ""
    messaging_service_sid: str = ""
    template: str = ""
    template_en: str = ""
    fallback_template: str = ""
    base_url: str = API
    content_url: str = ""  # where templates live: Twilio's own place, or `base_url` where that is not Twilio's
    status_callback: str = ""  # where Twilio is to report what becomes of a message; it is asked for besides
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        for field, shape in _SHAPES.items():
            given = getattr(self, field)
            if (given or field == "account_sid") and not re.fullmatch(shape, given):
                example = _EXAMPLES.get(field) or f'"{shape[:2]}" and 32 digits or letters a to f'
                raise ValueError(f"{field} is not what Twilio uses: it looks like {example}")
        if bool(self.sender) == bool(self.messaging_service_sid):
            raise ValueError("needs one of sender and messaging_service_sid: who the message comes from")
        if self.timeout <= 0:
            raise ValueError('timeout must be more than 0: write "10s"')

    def send(self, letter: Letter) -> Receipt:
        if letter.codes_only and self.fallback_template:
            return self._create(letter, self._codes(letter))
        content = {"body": fitting.free_text(letter, BODY_LIMIT)} if letter.window_open else self._template(letter)
        try:
            return self._create(letter, content)
        except Refused as refused:
            if refused.code not in CONTENT_REFUSED or not self.fallback_template:
                raise
            log.warning("content_refused", code=refused.code, mark=letter.mark, error=refused.why)
            return self._create(letter, self._codes(letter))

    def find(self, mark: str, to: str) -> Receipt | None:
        """Ask Twilio for a message with this mark, without a date: what is only queued has no date yet."""
        for message in self._messages(to=_whatsapp(to)):
            if message.status not in FAILED and fitting.has_mark(message.body or "", mark):
                return Receipt(message.sid, PROOF.get(message.status, Proof.ACCEPTED))
        return None

    def status(self, id: str) -> Status:
        message = self._client.messages(id).fetch()
        return judged(message.status, message.error_code or 0, masked(message.error_message or ""),
                      fallback=bool(self.fallback_template))

    def template_states(self) -> dict[str, str]:
        """How far WhatsApp's approval of each configured template got, by option: `approved`, `pending`, `paused` …

        `missing` where the account has no such template. Meant to be asked once an hour.
        """
        states = {}
        for option in OPTIONS:
            if sid := getattr(self, option):
                try:
                    states[option] = self.content.approval(sid).status
                except Refused as refused:
                    if refused.code != NOT_FOUND:
                        raise
                    states[option] = MISSING
        return states

    @property
    def content(self) -> Content:
        """The account's message templates."""
        return Content(self._client, self.content_url or (CONTENT if self.base_url == API else self.base_url))

    def replies(self, since: float) -> list[Reply]:
        """What people wrote to us since then (unix seconds), oldest first; the id tells what was seen already."""
        # From the day before: whether Twilio heeds the time of day is not documented. The SDK writes any zone as UTC.
        day = datetime.fromtimestamp(since, UTC) - timedelta(days=1)
        who = {"to": _whatsapp(self.sender)} if self.sender else {}
        found = []
        for message in self._messages(**who, date_sent_after=day):
            written = message.date_sent or message.date_created
            if message.direction == "inbound" and written is not None and written.timestamp() >= since:
                found.append(Reply(
                    id=message.sid, address=message.from_.removeprefix("whatsapp:"), text=message.body or "",
                    at=written.timestamp(), media=unreadable(message.num_media, message.body or "")))
        return sorted(found, key=lambda reply: (reply.at, reply.id))

    def _codes(self, letter: Letter) -> dict[str, str]:
        return _content(self.fallback_template, {"1": fitting.marks(letter, TEMPLATE_LIMIT - FALLBACK.fixed)})

    def _template(self, letter: Letter) -> dict[str, str]:
        english = letter.language == "en" and bool(self.template_en)
        sid = self.template_en if english else self.template
        if not sid:
            raise Refused("the person did not write to us in the last 24 hours, so WhatsApp takes only a template, "
                          "and none is set: submit one (docs/whatsapp.md) and write its sid as `template`")
        fixed = TEMPLATES["en" if english else "id"].fixed
        return _content(sid, fitting.template_values(letter, TEMPLATE_LIMIT - fixed))

    def _create(self, letter: Letter, content: dict[str, str]) -> Receipt:
        least, most = VALIDITY
        who = {"from_": _whatsapp(self.sender)} if self.sender else {
            "messaging_service_sid": self.messaging_service_sid}
        if self.status_callback:
            who["status_callback"] = self.status_callback
        message = self._client.messages.create(
            to=_whatsapp(letter.to), validity_period=int(min(max(letter.stale_at - letter.created, least), most)),
            **who, **content)
        return Receipt(message.sid)

    @property
    def _client(self) -> Any:
        return client(self.base_url, self.account_sid, self.api_key, self.auth_token, self.timeout)

    def _messages(self, **filters: Any) -> Iterator[Any]:
        yield from self._client.messages.stream(**filters, page_size=PAGE, limit=MOST)


def _whatsapp(number: str) -> str:
    return "whatsapp:" + number.removeprefix("whatsapp:")


def _content(sid: str, values: dict[str, str]) -> dict[str, str]:
    return {"content_sid": sid, "content_variables": json.dumps(values, ensure_ascii=False)}
