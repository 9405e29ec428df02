"""Voice calls at the fake Twilio: what is refused at once, how a call goes, and its JSON. Pure functions over values.

Codes are Twilio's error list; where it does not say how the API answers, the line says "unverified".
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

from agent.demo.fake_twilio.ledger import CALL_ENDED, Account, Books, Call, Person, Turn
from agent.demo.fake_twilio.verdicts import Refusal

TWIML_LIMIT = 4000  # characters (32018)
NUMBERS = {"Timeout": (1, 600, 21208), "TimeLimit": (1, 86400, 20422), "MachineDetectionTimeout": (3, 59, 20422),
           "MachineDetectionSilenceTimeout": (2000, 10000, 20422)}  # least, most, the code beyond them
KNOWN = {"To", "From", "Twiml", "MachineDetection", *NUMBERS}
# The voices that Twilio's page lists and we may use, by language.
VOICES = {"id-ID": r"Google\.id-ID-((Standard|Wavenet)-[A-D]|Chirp3-HD-\w+)",
          "en-US": r"Polly\.(Joanna|Matthew)(-Neural)?"}
_NUMBER = re.compile(r"\+[1-9]\d{6,14}")


def check(form: Mapping[str, str], books: Books) -> None:
    """Raise Refusal for what the API refuses at once."""
    account = books.account
    if not account.active:
        raise Refusal(20005)
    if unknown := sorted(form.keys() - KNOWN):
        raise Refusal(20001, ", ".join(unknown))
    _check_ends(form, account)
    if code := books.people.get(form["To"], Person()).refuse_call:
        raise Refusal(code, form["To"])
    for name, (least, most, code) in NUMBERS.items():
        given = form.get(name, str(least))
        if not given.isdecimal() or not least <= int(given) <= most:
            raise Refusal(code, name)
    if form.get("MachineDetection", "Enable") not in ("Enable", "DetectMessageEnd"):
        raise Refusal(20422, "MachineDetection")
    _check_twiml(form.get("Twiml", ""))


def _check_ends(form: Mapping[str, str], account: Account) -> None:
    if not form.get("To"):
        raise Refusal(21201)
    if not _NUMBER.fullmatch(form["To"]):
        raise Refusal(21211, form["To"])
    if not form.get("From"):
        raise Refusal(21213)
    if not _NUMBER.fullmatch(form["From"]):
        raise Refusal(21212, form["From"])
    if form["From"] not in account.callers:
        raise Refusal(21210, form["From"])
    if not form["To"].startswith(account.countries):
        raise Refusal(21215, form["To"])


def _check_twiml(twiml: str) -> None:
    """Stricter than Twilio, which reads it when somebody picks up, and then says that an error has occurred."""
    if not twiml:
        raise Refusal(21205)
    if len(twiml) > TWIML_LIMIT:
        raise Refusal(32018)
    try:
        root = ET.fromstring(twiml)  # noqa: S314 -- from ourselves, on loopback
    except ET.ParseError:
        raise Refusal(12100) from None
    if root.tag != "Response" or {each.tag for each in root} - {"Say", "Pause", "Hangup"}:
        raise Refusal(12200)
    says = root.findall("Say")
    if not says:
        raise Refusal(12200)
    for say in says:
        if not re.fullmatch(VOICES.get(say.get("language", ""), "-"), say.get("voice", "")):
            raise Refusal(13512)
        if not (say.text or "").strip():
            raise Refusal(13520)


def fate(call: Call, books: Books, now: float) -> tuple[Turn, ...]:
    """How it will go by itself, where the account has a pace for calls."""
    line = books.people.get(call.to, Person()).line
    turns = []
    for status, after in books.account.call_pace:
        if status == "in-progress" and line in CALL_ENDED:  # nobody picks up
            turns.append(Turn(now + after, line))
            break
        turns.append(Turn(now + after, status))
    return tuple(turns)


def spoken(call: Call) -> str:
    """What the person hears, each Say on a line of its own."""
    return "\n".join((say.text or "").strip() for say in ET.fromstring(call.twiml).findall("Say"))  # noqa: S314


def shape(account: Account, call: Call, date: Any) -> dict[str, Any]:
    """A call as it goes over the wire; `duration` is text, and missing where nobody picked up."""
    uri = f"/2010-04-01/Accounts/{account.sid}/Calls/{call.sid}"
    over = call.status == "completed" and call.start is not None and call.end is not None
    return {
        "sid": call.sid, "account_sid": account.sid, "to": call.to, "to_formatted": call.to, "from": call.sender,
        "from_formatted": call.sender, "status": call.status, "direction": "outbound-api", "api_version": "2010-04-01",
        "answered_by": call.answered_by or None, "duration": str(_seconds(call)) if over else None,
        "start_time": date(call.start), "end_time": date(call.end), "date_created": date(call.created),
        "date_updated": date(call.updated), "parent_call_sid": None, "phone_number_sid": None, "price": None,
        "price_unit": "USD", "forwarded_from": None, "caller_name": None, "group_sid": None, "queue_time": "0",
        "trunk_sid": "", "annotation": None, "uri": f"{uri}.json",
        "subresource_uris": {"events": f"{uri}/Events.json", "recordings": f"{uri}/Recordings.json"}}


def _seconds(call: Call) -> int:
    return round((call.end or 0.0) - (call.start or 0.0))
