"""What Twilio says to a message: refused at once, or accepted and then a fate. Pure functions over the ledger's values.

Codes and meanings are Twilio's error list; where the list does not say how the API answers, the line says "unverified".
"""

import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from agent.demo.fake_twilio.ledger import SANDBOX, WINDOW, Account, Books, Message, Person, Template, Turn

BODY_LIMIT = 1600  # Twilio's limit for Body, in UTF-16 code units ("emoji count more")
MAX_VALIDITY = 36000  # seconds
TEMPLATE_LIMIT = 1024  # WhatsApp's limit for a template after substitution
MOST_BUTTONS, TITLE_LIMIT = 10, 20  # of a quick reply; the title's: unverified for templates
HTTP = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20005: 403}  # the rest: 400. 20005's: unverified
WORDS = {
    12100: "Document parse failure",  # Twilio says so while the call runs
    12200: "Schema validation warning",  # the same
    13512: "Invalid voice attribute",  # number and moment: unverified
    13520: "Say: Invalid text",  # the same
    20001: "Unknown parameters: {0}",  # stricter than Twilio, which ignores them: finds our spelling mistakes
    20003: "Authenticate",
    20005: "Account not active",
    20007: "Page size too large",
    20404: "The requested resource {0} was not found",
    20415: "The content type must be application/x-www-form-urlencoded",  # unverified
    20422: "Invalid parameter: {0}",  # unverified
    20429: "Too Many Requests",
    20500: "An internal server error has occurred",
    21201: "No 'To' number is specified",
    21205: "Url parameter is required.",  # unverified
    21208: "Invalid {0} parameter",
    21210: "The source phone number provided, {0}, is not yet verified for your account.",
    21211: "The 'To' number {0} is not a valid phone number.",
    21212: "The 'From' number {0} is not a valid phone number, shortcode, or alphanumeric sender ID.",
    21213: "No 'From' number is specified",  # unverified
    21214: "The phone number you are attempting to call, {0}, can not be reached.",
    21215: "Account not authorized to call {0}. Perhaps you need to enable some international permissions.",
    21216: "Account not allowed to call {0}",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21609: "The 'StatusCallback' URL {0} is not a valid URL.",  # unverified
    21610: "Attempt to send to unsubscribed recipient",
    21614: "'To' number {0} is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
    21619: "A text message body or media urls must be specified.",
    21655: "The ContentSid is invalid.",
    21656: "The ContentVariables parameter is invalid.",
    21705: "The Messaging Service Sid {0} is invalid.",
    32018: "Twiml size exceeded maximum allowed value of 4000 characters",
    63007: "Twilio could not find a Channel with the specified From address",
}
UNDELIVERED = (63024,)  # reached WhatsApp and came back; the rest end as `failed`. Which is which: unverified
KNOWN = {"To", "From", "Body", "ContentSid", "ContentVariables", "MessagingServiceSid", "StatusCallback",
         "ValidityPeriod"}
_ADDRESS = re.compile(r"whatsapp:\+[1-9]\d{6,14}")
_VARIABLE = re.compile(r"\{\{(\w+)\}\}")
_FORBIDDEN = re.compile(r"[\n\r\t]| {5,}")  # in a variable's value; also an empty one


class Refusal(Exception):
    """An answer with Twilio's code and words."""

    def __init__(self, code: int, *fill: str) -> None:
        self.code, self.status = code, HTTP.get(code, 400)
        self.words = WORDS.get(code, "Refused").format(*fill or ("",))
        super().__init__(self.words)


def length(text: str) -> int:
    """In UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check(form: Mapping[str, str], books: Books) -> None:
    """Raise Refusal for what the API refuses at once."""
    account = books.account
    if not account.active:
        raise Refusal(20005)
    if unknown := sorted(form.keys() - KNOWN):
        raise Refusal(20001, ", ".join(unknown))
    _check_ends(form, account)
    if code := books.people.get(form["To"].removeprefix("whatsapp:"), Person()).refuse:
        raise Refusal(code, form["To"])
    _check_content(form, books)
    validity = form.get("ValidityPeriod", "36000")
    if not validity.isdigit() or not 1 <= int(validity) <= MAX_VALIDITY:
        raise Refusal(20422, "ValidityPeriod")
    if callback := form.get("StatusCallback"):
        url = urlsplit(callback)
        if url.scheme not in ("http", "https") or not url.hostname or "_" in url.hostname:
            raise Refusal(21609, callback)


def _check_ends(form: Mapping[str, str], account: Account) -> None:
    if not form.get("To"):
        raise Refusal(21604)
    if not _ADDRESS.fullmatch(form["To"]):
        raise Refusal(21211, form["To"])
    sender, service = form.get("From", ""), form.get("MessagingServiceSid", "")
    if not sender and not service:
        raise Refusal(21603)
    if service and service not in account.services:
        raise Refusal(21705, service)
    if sender and not _ADDRESS.fullmatch(sender):
        raise Refusal(21212, sender)
    if sender and sender.removeprefix("whatsapp:") not in (*account.senders, SANDBOX):
        raise Refusal(63007)


def _check_content(form: Mapping[str, str], books: Books) -> None:
    body, content = form.get("Body", ""), form.get("ContentSid", "")
    if length(body) > BODY_LIMIT:
        raise Refusal(21617)
    if not content:
        if "ContentVariables" in form:
            raise Refusal(21656)
        if not body.strip():
            raise Refusal(21619)
        return
    if content not in books.templates:
        raise Refusal(21655)
    if body:
        raise Refusal(20422, "Body beside ContentSid")  # stricter than Twilio, which says: omit it
    try:
        values = json.loads(form.get("ContentVariables", "{}"))
    except ValueError:
        raise Refusal(21656) from None
    if not isinstance(values, dict) or not all(
            isinstance(value, str) and value.strip() and not _FORBIDDEN.search(value) for value in values.values()):
        raise Refusal(21656)


def variables(template: Template, form: Mapping[str, str]) -> dict[str, str]:
    """The template's own values, and over them those of the message."""
    return {**template.variables, **json.loads(form.get("ContentVariables", "{}"))}


def substituted(template: Template, values: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: values.get(found[1], found[0]), template.body)


def fate(message: Message, books: Books, now: float) -> tuple[Turn, ...]:
    """What will become of an accepted message: errors that only arrive on the message, or its way to the reader."""
    person = books.people.get(message.to.removeprefix("whatsapp:"), Person())
    if code := _asynchronous_error(message, books, person, now):
        return (Turn(now, "undelivered" if code in UNDELIVERED else "failed", code),)
    if person.blocked:
        return (Turn(now, "sent"),)
    return tuple(Turn(now + after, status) for status, after in books.account.pace)


def _asynchronous_error(message: Message, books: Books, person: Person, now: float) -> int:
    template = books.templates.get(message.content_sid)
    window_open = person.wrote is not None and now - person.wrote < WINDOW
    if person.fail:
        return person.fail
    if message.sender == f"whatsapp:{SANDBOX}" and person.joined_until <= now:
        return 63015
    if template is None and not window_open:
        return 63016
    if template is not None and (code := _template_error(message, template, window_open)):
        return code
    pair = books.account.pair_seconds
    if any(other.to == message.to and other.direction != "inbound" and other.status not in ("failed", "undelivered")
           and not any(turn.error for turn in other.ahead) and now - other.created < pair
           for other in books.messages.values()):
        return 63018
    return 0


def _template_error(message: Message, template: Template, window_open: bool) -> int:
    needed = set(_VARIABLE.findall(template.body))
    if template.status != "approved" and not window_open:
        return {"rejected": 63040, "paused": 63041, "disabled": 63042}.get(template.status, 63016)
    if message.variables.keys() != needed:
        return 63028
    return 63021 if length(message.body) > TEMPLATE_LIMIT else 0


def check_approval(template: Template, given: Mapping[str, object]) -> None:
    """Raise Refusal for a request of approval that cannot be one. How Twilio says so: unverified."""
    if template.status != "unsubmitted":
        raise Refusal(20422, "already submitted")
    if not re.fullmatch(r"[a-z0-9_]+", str(given.get("name", ""))):
        raise Refusal(20422, "name")
    if given.get("category") not in ("UTILITY", "MARKETING", "AUTHENTICATION"):
        raise Refusal(20422, "category")


def template_fault(template: Template) -> str:
    """Why WhatsApp would reject a template; "" where it would not."""
    return _text_fault(template) or _button_fault(template)


def _button_fault(template: Template) -> str:
    shape = template.types.get("twilio/quick-reply")
    if shape is None:
        return ""
    actions = shape.get("actions", [])
    if not 1 <= len(actions) <= MOST_BUTTONS:
        return "A quick reply needs 1 to 10 buttons."
    if any(action.get("type", "QUICK_REPLY") != "QUICK_REPLY" or not action.get("title") for action in actions):
        return "A button has no title."
    if any(length(action["title"]) > TITLE_LIMIT for action in actions):
        return "A button's title is too long."
    return ""


def _text_fault(template: Template) -> str:
    body = template.body.strip()
    if not body:
        return "The template has no body."
    if _VARIABLE.match(body) or re.search(_VARIABLE.pattern + r"$", body):
        return "Variables can't be at the start or end of the template."
    if re.search(_VARIABLE.pattern + r"\s*" + _VARIABLE.pattern, body):
        return "Variables can't be next to each other."
    if missing := sorted(set(_VARIABLE.findall(body)) - template.variables.keys()):
        return f"A sample is missing for the variables {', '.join(missing)}."
    return ""
