"""Message templates at Twilio (the Content API, a host of its own): listed, created, sent to WhatsApp for approval."""

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from alerts.notification import Busy
from alerts.notifiers.twilio_line import masked
from alerts.notifiers.twilio_templates import CATEGORY, Template

CONTENT = "https://content.twilio.com"
PAGE, MOST = 100, 50  # templates at a time; pages, against a list that never ends
UNSUBMITTED, APPROVED, MISSING = "unsubmitted", "approved", "missing"  # the last is ours: the account has no such sid
WAITING = ("received", "pending")  # for WhatsApp
_RANK = {UNSUBMITTED: 1, "received": 2, "pending": 3, APPROVED: 4}

T = TypeVar("T")


class Approval(msgspec.Struct, frozen=True):
    """WhatsApp's verdict on a template. `status` in Twilio's words: unsubmitted, received, pending, approved …"""

    status: str
    reason: str = ""  # why it was rejected


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A template as the account has it."""

    sid: str
    friendly_name: str = ""
    language: str = ""
    types: dict[str, Any] = {}

    def same(self, template: Template) -> bool:
        """Whether it says what we ship; Twilio may add fields of its own to what was sent."""
        content = template.content()
        return self.language == content["language"] and _within(content["types"], self.types)


class Content:
    """The templates of one account. All calls raise Refused, Busy or Uncertain."""

    def __init__(self, client: Any, url: str) -> None:
        self._client, self._url = client, url.rstrip("/")

    def stored(self) -> list[Stored]:
        """All templates of the account."""
        url, found = f"{self._url}/v1/Content?PageSize={PAGE}", list[Stored]()
        for _ in range(MOST):
            page = self._ask("GET", url)
            found += _as(page.get("contents"), list[Stored])
            following = (page.get("meta") or {}).get("next_page_url")
            if not following or not str(following).startswith(self._url + "/"):  # the password goes to nobody else
                break
            url = str(following)
        return found

    def create(self, template: Template) -> Stored:
        """Store a template; it is not WhatsApp's business yet."""
        return _as(self._ask("POST", f"{self._url}/v1/Content", template.content()), Stored)

    def submit(self, sid: str, name: str) -> Approval:
        """Send it to WhatsApp for approval, under a name that WhatsApp takes once (a-z, 0-9 and _)."""
        where = f"{self._url}/v1/Content/{sid}/ApprovalRequests/whatsapp"
        return _approval(self._ask("POST", where, {"name": name, "category": CATEGORY}))

    def approval(self, sid: str) -> Approval:
        """How far its approval got."""
        return _approval(self._ask("GET", f"{self._url}/v1/Content/{sid}/ApprovalRequests").get("whatsapp") or {})

    def _ask(self, method: str, url: str, data: dict[str, Any] | None = None) -> dict[str, Any]:
        # The SDK's client carries the password and the time-out; its own 26 classes of content add nothing to a dict.
        kind = {"Content-Type": "application/json"} if data else {}
        answer = self._client.request(method, url, data=data or {}, headers={"Accept": "application/json", **kind})
        return msgspec.json.decode(answer.text, type=dict[str, Any])


def _approval(said: object) -> Approval:
    given = said if isinstance(said, dict) else {}
    return Approval(str(given.get("status") or UNSUBMITTED).lower(), masked(str(given.get("rejection_reason") or "")))


def _as(value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Busy(f"Twilio's list of templates is not as documented: {error}") from None


def _within(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(_within(value, theirs.get(key)) for key, value in ours.items())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(_within, ours, theirs))
    return bool(ours == theirs)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where one of the shipped templates stands in the account."""

    template: Template
    sid: str = ""  # "": the account has it not
    approval: Approval = Approval(MISSING)
    differs: bool = False  # the account has another text under this name or sid
    submitted: bool = False  # just now, by us


def find(content: Content, stored: Sequence[Stored], template: Template, configured: str = "") -> Place:
    """The template in the account, by `configured` sid or by name; of several the one that got furthest."""
    candidates = [each for each in stored if configured == each.sid or template.name == each.friendly_name]
    same = [each for each in candidates if each.same(template)]
    places = [Place(template=template, sid=each.sid, approval=content.approval(each.sid), differs=each not in same)
              for each in same or candidates]
    return max(places, key=lambda place: _RANK.get(place.approval.status, 0), default=Place(template=template))


def submit(content: Content, place: Place) -> Place:
    """Store and send to WhatsApp what is not there yet. What is there with another text is left alone."""
    if place.differs or place.approval.status not in (MISSING, UNSUBMITTED):
        return place
    sid = place.sid or content.create(place.template).sid
    return msgspec.structs.replace(place, sid=sid, approval=content.submit(sid, place.template.name), submitted=True)
