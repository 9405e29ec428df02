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
from alerts.notifiers.twilio_line import client, masked
from alerts.notifiers.twilio_templates import FALLBACK, TEMPLATES
from collectors.quantities import Seconds
from collectors.secret import Secret

BODY_LIMIT = 1600  # Twilio's limit for Body (21617)
TEMPLATE_LIMIT = 1024  # WhatsApp's limit for a template after substitution (63021)
VALIDITY = (60, 36000)  # seconds; Twilio takes 1 to 36000
PAGE, MOST = 200, 2000  # messages asked for at a time, and in all, when a mark is looked for

# The content was refused, not the message: the fall-back template, which carries codes alone, may pass.
CONTENT_REFUSED = {"21617", "21619", "21654", "21655", "21656", "92007", "63005", "63013", "63021", "63027", "63028",
                   "63040", "63041", "63042"}
LATER = {30001, 30008, 63010, 63012, 63018}  # errors on an accepted message that another try may mend
WINDOW_SHUT = 63016
# "Users should not use the error_code and error_message fields programmatically", says Twilio: what is not here failed.
MEANING = {
    30001: "Twilio's queue overflowed", 30008: "unknown error at the carrier", 63003: "the number cannot receive",
    63010: "trouble inside Twilio", 63012: "trouble inside WhatsApp", 63013: "WhatsApp's policy forbids the content",
    63015: "the phone has not joined the sandbox, or dropped out after three days",
    63016: "the 24-hour window is shut: only a template may be sent", 63018: "too many messages in a short time",
    63021: "the message is too long or invalid", 63024: "the number is not on WhatsApp",
    63028: "the template takes another number of variables", 63032: "WhatsApp does not let us write to this person",
    63033: "the person has blocked us", 63040: "WhatsApp rejected the template", 63041: "the template is paused",
    63042: "the template is disabled", 63051: "the WhatsApp business account is locked",
}
_PROOF = {"delivered": Proof.DELIVERED, "read": Proof.READ}  # any other status: Twilio has it
_FAILED = ("failed", "undelivered", "canceled")
_SHAPES = {"account_sid": "AC[0-9a-fA-F]{32}", "api_key": "SK[0-9a-fA-F]{32}", "sender": r"\+[1-9]\d{6,14}",
           "messaging_service_sid": "MG[0-9a-fA-F]{32}", "template": "HX[0-9a-fA-F]{32}",
           "template_en": "HX[0-9a-fA-F]{32}", "fallback_template": "HX[0-9a-fA-F]{32}", "base_url": r"https?://[^/\s]+"}
_EXAMPLES = {"sender": '"+14155238886"', "base_url": '"https://api.twilio.com"'}


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
    base_url: str = "https://api.twilio.com"
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
            if message.status not in _FAILED and fitting.has_mark(message.body or "", mark):
                return Receipt(message.sid, _PROOF.get(message.status, Proof.ACCEPTED))
        return None

    def status(self, id: str) -> Status:
        message = self._client.messages(id).fetch()
        if message.status not in _FAILED:
            return Status(_PROOF.get(message.status, Proof.ACCEPTED))
        code = message.error_code or 0
        words = MEANING.get(code) or masked(message.error_message or message.status)
        return Status(failed=f"{code or ''} {words}".strip(), retry=code in LATER, needs_template=code == WINDOW_SHUT,
                      content_refused=str(code) in CONTENT_REFUSED and bool(self.fallback_template))

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
                    at=written.timestamp(), media=bool(int(message.num_media or 0))))
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
