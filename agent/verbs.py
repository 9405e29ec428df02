"""What can be asked of the running daemon over its socket: the verbs, and what each answers."""

import math
import os
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from agent.control import Declined, Verb
from agent.fields import close
from agent.standing import House, display, reader, row, standing
from agent.wording import wording
from alerts.desk import UnknownCode
from alerts.incident import Incident
from alerts.silence import in_force, parse, written
from alerts.step import LONGEST_ACK
from alerts.text import fill

T = TypeVar("T")
LONGEST_SILENCE = 90 * 86400.0  # seconds: a silence that nobody remembers is a blind spot
LONGEST_WAIT = 600.0  # seconds that a test message's proof is waited for


def verbs(house: House) -> dict[str, Verb]:
    """All of them, by name."""
    told: dict[str, Callable[[House, dict[str, Any], str], Any]] = {
        "incidents": _incidents, "ack": _ack, "unack": _unack, "notify_test": _notify_test, "forget": _forget,
        "status": _status, "silence": _silence, "silences": _silences, "expire": _expire, "propose": _propose,
    }

    def bound(verb: Callable[[House, dict[str, Any], str], Any]) -> Verb:
        return lambda params, who: verb(house, params, who)

    return {name: bound(verb) for name, verb in told.items()}


def _incidents(house: House, _params: dict[str, Any], _who: str) -> dict[str, Any]:
    """`incidents` is the stable part; `table` the same as people read it."""
    me, policy = reader(house), house.config.policy
    stand = [standing(incident, policy, me) for incident in house.desk.view.open]
    return {
        "agent": me.agent, "site": me.site, "at": me.now, "language": me.language,
        "incidents": msgspec.to_builtins(stand),
        "table": [row(each, policy, me) for each in stand],
    }


def _ack(house: House, params: dict[str, Any], who: str) -> dict[str, Any]:
    lasts = params.get("lasts")
    if lasts is not None:
        lasts = _param(params, "lasts", float)
        if not (math.isfinite(lasts) and 0 < lasts <= LONGEST_ACK):
            raise Declined(wording(house.config.agent.language).ack_too_long)
    code, note = _param(params, "code", str), _param(params, "note", str, "")
    return _deed(house, code, who, lambda: house.desk.ack(code, who, "cli", house.clock.now(), lasts, note))


def _unack(house: House, params: dict[str, Any], who: str) -> dict[str, Any]:
    code = _param(params, "code", str)
    return _deed(house, code, who, lambda: house.desk.unack(code, who, "cli", house.clock.now()))


def _deed(house: House, code: str, who: str, act: Callable[[], Incident]) -> dict[str, Any]:
    me, policy = reader(house), house.config.policy
    words = wording(me.language)
    try:
        after = act()
    except UnknownCode as unknown:
        near = close(code, unknown.near)
        hints = [fill(words.did_you_mean, {"near": near})] if near else []
        hints.append(fill(words.open_codes, {"codes": ", ".join(unknown.near) or "-"}))
        raise Declined(fill(words.unknown_code, {"code": code}), " ".join(hints)) from unknown
    until = after.acked_until
    says = fill(words.unacked if until is None else words.acked,
                {"code": after.code, "who": display(who, policy), "until": "" if until is None else me.clock(until)})
    return {"text": says, "incident": msgspec.to_builtins(standing(after, policy, me))}


def _silence(house: House, params: dict[str, Any], who: str) -> dict[str, Any]:
    """`matchers` as a person writes them; the silence ends by itself after `lasts` seconds."""
    words = wording(house.config.agent.language)
    lasts = _param(params, "lasts", float)
    if not (math.isfinite(lasts) and 0 < lasts <= LONGEST_SILENCE):
        raise Declined(words.silence_too_long)
    texts = params.get("matchers")
    if not isinstance(texts, list) or not texts:
        raise Declined(words.no_matcher)
    try:
        matchers = [parse(str(text)) for text in texts]
    except ValueError as error:
        raise Declined(str(error)) from error
    made = house.desk.silence(matchers, who, house.clock.now(), lasts, _param(params, "why", str, ""))
    covered = [i.code for i in house.desk.view.open if made.covers(i, made.starts)]
    says = fill(words.silenced, {"id": made.id, "until": reader(house).clock(made.ends),
                                 "codes": ", ".join(covered) or "-"})
    return {"text": says, "silence": msgspec.to_builtins(made), "codes": covered}


def _silences(house: House, _params: dict[str, Any], _who: str) -> dict[str, Any]:
    me = reader(house)
    found = in_force(house.desk.view.silences, me.now)
    table = [{"id": each.id, "matchers": " ".join(written(m) for m in each.matchers), "until": me.clock(each.ends),
              "who": each.who, "why": each.why} for each in found]
    return {"language": me.language, "silences": msgspec.to_builtins(found), "table": table}


def _expire(house: House, params: dict[str, Any], _who: str) -> dict[str, Any]:
    words, id = wording(house.config.agent.language), _param(params, "id", str)
    mine = [each for each in house.desk.view.silences if each.id.startswith(id)] if id else []
    if len(mine) != 1:
        known = ", ".join(each.id for each in house.desk.view.silences) or "-"
        raise Declined(fill(words.unknown_silence, {"id": id}), fill(words.known_silences, {"ids": known}))
    house.desk.expire(mine[0].id, house.clock.now())
    return {"text": fill(words.expired, {"id": mine[0].id})}


def _propose(house: House, _params: dict[str, Any], _who: str) -> dict[str, str]:
    return {"toml": house.daily.first_week.toml()}


def _notify_test(house: House, params: dict[str, Any], _who: str) -> list[dict[str, Any]]:
    contact = _param(params, "contact", str)
    policy, words = house.config.policy, wording(house.config.agent.language)
    if contact not in policy.contacts:
        names = ", ".join(sorted(policy.contacts))
        near = close(contact, policy.contacts)
        hint = fill(words.did_you_mean, {"near": near}) if near else fill(words.known_contacts, {"contacts": names})
        raise Declined(fill(words.unknown_contact, {"contact": contact}), hint)
    return house.notify_test(contact, min(LONGEST_WAIT, max(0.0, _param(params, "wait", float))))


def _forget(house: House, params: dict[str, Any], _who: str) -> dict[str, Any]:
    """Somebody who is no contact any more may be forgotten too, so the name is not checked."""
    contact = _param(params, "contact", str)
    count = house.forget(contact)
    words = wording(house.config.agent.language)
    return {"text": fill(words.forgotten, {"contact": contact, "count": str(count)}), "contact": contact,
            "count": count}


def _status(house: House, _params: dict[str, Any], _who: str) -> dict[str, Any]:
    not_ready = house.readiness()
    return {"agent": house.config.agent.name, "pid": os.getpid(), "at": house.clock.now(), "ready": not not_ready,
            "not_ready": not_ready, "open": len(house.desk.view.open)}


def _param(params: dict[str, Any], name: str, kind: type[T], *default: T) -> T:
    value = params.get(name, *default)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind):
        raise Declined(f"{name} must be {'text' if kind is str else 'a number'}")
    return value
