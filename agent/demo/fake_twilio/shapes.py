"""Twilio's JSON as it goes over the wire: numbers of media are strings, dates are RFC 2822 in GMT."""

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from agent.demo.fake_twilio.ledger import Account, Message, Template
from agent.demo.fake_twilio.verdicts import Refusal

API = "2010-04-01"
_DATES = ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d", "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S")


def date(at: float | None) -> str | None:
    return None if at is None else format_datetime(datetime.fromtimestamp(int(at), UTC))


def parse_date(text: str) -> float:
    """Unix seconds of a filter's date, in one of the forms that Twilio takes. Raises Refusal."""
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()
        except ValueError:
            continue
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        raise Refusal(20422, "DateSent") from None


def message(account: Account, m: Message) -> dict[str, Any]:
    uri = f"/{API}/Accounts/{account.sid}/Messages/{m.sid}"
    by_service = bool(m.service) and m.sent is None
    return {
        "account_sid": account.sid, "api_version": API, "body": m.body, "date_created": date(m.created),
        "date_sent": date(m.sent), "date_updated": date(m.updated), "direction": m.direction,
        "error_code": m.error, "error_message": None, "from": m.sender or None,
        "messaging_service_sid": m.service or None, "num_media": str(m.media),
        "num_segments": "0" if by_service else "1", "price": None, "price_unit": None, "sid": m.sid,
        "status": m.status, "subresource_uris": {"media": f"{uri}/Media.json"}, "to": m.to, "uri": f"{uri}.json",
    }


def message_list(account: Account, rows: list[Message], query: dict[str, str]) -> dict[str, Any]:
    """One page of `rows`, which are already filtered and newest first."""
    size, page = int(query.get("PageSize", "50")), int(query.get("Page", "0"))
    after = query.get("PageToken", "").removeprefix("PA")
    start = next((place + 1 for place, row in enumerate(rows) if row.sid == after), 0)
    shown = rows[start:start + size]
    base = f"/{API}/Accounts/{account.sid}/Messages.json"
    filters = {name: value for name, value in query.items() if name not in ("Page", "PageToken", "PageSize")}

    def uri(number: int, token: str = "") -> str:
        fields = {**filters, "PageSize": str(size), "Page": str(number), **({"PageToken": token} if token else {})}
        return f"{base}?{urlencode(fields)}"

    more = start + size < len(rows)
    return {
        "messages": [message(account, row) for row in shown], "page": page, "page_size": size,
        "start": start, "end": start + len(shown) - 1, "first_page_uri": uri(0),
        "next_page_uri": uri(page + 1, f"PA{shown[-1].sid}") if more else None,
        "previous_page_uri": uri(page - 1) if page else None, "uri": uri(page, query.get("PageToken", "")),
    }


def error(refusal: Refusal) -> dict[str, Any]:
    return {"code": refusal.code, "message": refusal.words, "status": refusal.status,
            "more_info": f"https://www.twilio.com/docs/errors/{refusal.code}"}


def content(account: Account, t: Template, base_url: str) -> dict[str, Any]:
    url = f"{base_url}/v1/Content/{t.sid}"
    return {"sid": t.sid, "account_sid": account.sid, "friendly_name": t.friendly_name, "language": t.language,
            "variables": t.variables, "types": t.types, "url": url,
            "links": {"approval_create": f"{url}/ApprovalRequests/whatsapp",
                      "approval_fetch": f"{url}/ApprovalRequests"}}


def whatsapp_approval(t: Template) -> dict[str, Any]:
    return {"type": "whatsapp", "name": t.name, "category": t.category, "content_type": next(iter(t.types), ""),
            "status": t.status, "rejection_reason": t.rejection_reason, "allow_category_change": True}


def approval(account: Account, t: Template, base_url: str) -> dict[str, Any]:
    return {"sid": t.sid, "account_sid": account.sid, "whatsapp": whatsapp_approval(t),
            "url": f"{base_url}/v1/Content/{t.sid}/ApprovalRequests"}
