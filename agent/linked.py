"""What a signed link leads to: how the incident stands for its contact, and the two deeds that the link allows once."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

from agent import links
from agent.link_words import LinkWords, link_words
from agent.links import BadLink
from agent.standing import SAME_CODE, House, display, find, reader, row, says, since, standing
from agent.wording import wording
from alerts.desk import UnknownCode
from alerts.figures import ago
from alerts.incident import Incident
from alerts.ledger import StoreError
from alerts.policy import Contact
from alerts.problem import Reader, advice
from alerts.text import fill, line

Action = Literal["ack", "refuse"]
ACTIONS: tuple[Action, ...] = ("ack", "refuse")


class Deeds(Protocol):
    """What somebody may do to an open incident; `who` is a contact's name. Both raise UnknownCode."""

    def ack(self, code: str, who: str, how: str, now: float, lasts: float | None = None) -> Incident: ...

    def refuse(self, code: str, who: str, how: str, now: float) -> Incident: ...


class LinkedHouse(House, Protocol):
    """The daemon, with the key that its links are signed with."""

    @property
    def link_key(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Case:
    """A link that holds: who has it, and for what; None where the incident was pruned."""

    token: str
    contact: Contact
    incident: Incident | None
    me: Reader
    words: LinkWords


def follow(house: LinkedHouse, token: str) -> Case:
    """Raises BadLink: also for somebody who is no contact any more."""
    link = links.read(house.link_key, token, house.clock.now())
    contacts = house.config.policy.contacts.values()
    contact = next((each for each in contacts if links.contact_id(house.link_key, each.name) == link.contact), None)
    if contact is None:
        raise BadLink("contact")
    found = find(house, link.code)
    if found is not None and abs(found.opened - link.opened) > SAME_CODE:  # not equal: a clock that was set moves it
        found = None
    me = replace(reader(house, contact.technician), language=contact.language)
    return Case(token, contact, found, me, link_words(contact.language))


class Doer:
    """Does what a button says, each once a link. One at a time: a double tap is two requests at the same moment."""

    def __init__(self, house: LinkedHouse, deeds: Deeds) -> None:
        self._house, self._deeds, self._lock = house, deeds, threading.Lock()

    def act(self, token: str, action: Action) -> str:
        """What came of it, in a sentence for its contact. Raises BadLink."""
        with self._lock:
            case = follow(self._house, token)
            incident, words, me = case.incident, case.words, case.me
            if incident is None:
                return words.gone
            if incident.closed is not None:
                return fill(words.over, {"code": incident.code})
            if said := _done(self._house, case, incident).get(action):
                return said
            if action == "refuse" and _with_another(case, incident):
                who = display(incident.acked_by, self._house.config.policy)
                return fill(words.others, {"code": incident.code, "who": who, "until": _until(incident, me)})
            try:
                after = self._do(action, incident.code, case.contact.name, links.trace(token, action), me.now)
            except UnknownCode:  # it closed in this very moment
                return fill(words.over, {"code": incident.code})
            return fill(words.taken if action == "ack" else words.passed,
                        {"code": after.code, "until": _until(after, me)})

    def _do(self, action: Action, code: str, who: str, how: str, now: float) -> Incident:
        if action == "ack":
            return self._deeds.ack(code, who, how, now, None)  # for as long as the policy says
        return self._deeds.refuse(code, who, how, now)


def page(house: LinkedHouse, case: Case, said: str = "") -> dict[str, Any]:
    """What `link.html` needs; `said` is the sentence on what was just done."""
    incident, me, words, policy = case.incident, case.me, case.words, house.config.policy
    pages = wording(me.language)
    frame = {"words": pages, "language": me.language, "columns": pages.columns, "path": f"/a/{case.token}",
             "title": " · ".join(filter(None, [line(me.site), line(me.agent)])),
             "hello": fill(words.hello, {"who": display(case.contact.name, policy)})}
    if incident is None:
        return frame | {"stands": None, "said": said or words.gone}
    stands = standing(incident, policy, me)
    first, fix = advice(incident, me)
    done = _done(house, case, incident)
    return frame | {
        "stands": stands, "kind": stands.severity, "since": since(stands, me), "over": stands.closed is not None,
        "has_it": row(stands, policy, me)["has_it"], "next": says(stands.next, policy, me),
        "advice": [(pages.first if me.technician else pages.lay, first), (pages.fix, fix)],
        "said": said or _notice(case, incident), "done": [] if said else list(done.values()),
        "buttons": [{"action": action, "seal": links.seal(house.link_key, case.token, action),
                     "label": _label(house, case, incident, action)}
                    for action in _open_to(case, incident) if action not in done],
    }


def _notice(case: Case, incident: Incident) -> str:
    if incident.closed is not None:
        return fill(case.words.over, {"code": incident.code})
    mine = incident.acked_until is not None and not _with_another(case, incident)
    return fill(case.words.yours, {"until": _until(incident, case.me)}) if mine else ""


def _open_to(case: Case, incident: Incident) -> Sequence[Action]:
    """Who has it already needs no button to take it, and what another has need not be passed on."""
    if incident.closed is not None:
        return ()
    if incident.acked_until is None:
        return ACTIONS
    return ("ack",) if _with_another(case, incident) else ("refuse",)


def _label(house: LinkedHouse, case: Case, incident: Incident, action: Action) -> str:
    if action == "refuse":
        return case.words.forward
    lasts = ago(house.config.policy.ack_for, case.me.language)
    return fill(case.words.take_over if _with_another(case, incident) else case.words.take, {"lasts": lasts})


def _done(house: LinkedHouse, case: Case, incident: Incident) -> dict[Action, str]:
    """What was done by this very link, as sentences. While the store cannot be read, rather twice than never."""
    try:
        times = {entry.how: entry.at for entry in house.store.history(incident.code)}
    except StoreError:
        return {}
    traces = {action: links.trace(case.token, action) for action in ACTIONS}
    return {action: fill(case.words.already[action], {"at": case.me.clock(times[how])})
            for action, how in traces.items() if how in times}


def _with_another(case: Case, incident: Incident) -> bool:
    return incident.acked_until is not None and incident.acked_by != case.contact.name


def _until(incident: Incident, me: Reader) -> str:
    return "" if incident.acked_until is None else me.clock(incident.acked_until)
