"""The pages and /metrics on the loopback listener: reading only, and only by this machine's own address."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, render_template, request
from werkzeug.exceptions import HTTPException, MisdirectedRequest, NotFound

from agent import selfcheck
from agent.coverage import leaving
from agent.listener import Listener, guard, headers
from agent.standing import SAME_CODE, House, display, find, reader, row, says, since, span, standing, watched
from agent.wording import Wording, wording
from alerts.incident import Incident
from alerts.policy import Policy
from alerts.problem import Reader, advice
from alerts.text import block, fill, line

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication

PAGES = Path(__file__).with_name("pages")
THREADS = 8
LOST_AFTER = 120.0  # seconds without a message getting through
REFRESH = 30  # seconds between two looks of an open page
HEADERS = headers(style="'self'", form="'none'", referrer="no-referrer")


def make(house: House) -> Flask:
    """The application over the running daemon; every page is drawn from the moment's picture."""
    app = Flask("jaga", static_folder=None, template_folder=str(PAGES))
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    style = (PAGES / "style.css").read_bytes()
    guard(app, HEADERS)

    @app.before_request
    def only_by_our_own_address() -> None:
        # A page elsewhere can point its own name at 127.0.0.1 (DNS rebinding); the Host header gives it away.
        if request.headers.get("Host", "").lower() not in _hosts(house, request.environ["SERVER_PORT"]):
            raise MisdirectedRequest()

    @app.errorhandler(HTTPException)
    def in_words(error: HTTPException) -> tuple[str, int]:
        language = house.config.agent.language
        return render_template("error.html", language=language, words=wording(language),
                               says=_error(error, wording(language), request.environ)), error.code or 500

    @app.get("/metrics")
    def metrics() -> Response:
        text, kind = house.exposition.text(request.headers.get("Accept", ""))
        return Response(text, content_type=kind)

    @app.get("/-/healthy")
    def healthy() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @app.get("/-/ready")
    def ready() -> Response:
        lacks = house.readiness()
        text = "".join(f"{line(each)}\n" for each in lacks)
        return Response(text or "ready\n", status=503 if lacks else 200, mimetype="text/plain")

    @app.get("/style.css")
    def stylesheet() -> Response:
        return Response(style, mimetype="text/css")

    @app.get("/")
    def overview() -> str:
        return render_template("overview.html", **_overview(house))

    @app.get("/incidents/<code>")
    def incident(code: str) -> str:
        found = find(house, code.upper())
        if found is None:
            raise NotFound(code)
        return render_template("incident.html", **_incident(house, found))

    app.wsgi_app = _metrics_first(app.wsgi_app, house)  # type: ignore[assignment]  # Flask's own way to wrap it
    return app


def _metrics_first(flask: "WSGIApplication", house: House) -> "WSGIApplication":
    """A plain scrape without the framework, which takes longer than its answer; the rest, refusals too, is Flask's."""
    def application(environ: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        if (environ["PATH_INFO"], environ["REQUEST_METHOD"]) != ("/metrics", "GET") or \
                environ.get("HTTP_HOST", "").lower() not in _hosts(house, environ["SERVER_PORT"]):
            return flask(environ, start_response)
        text, kind = house.exposition.text(environ.get("HTTP_ACCEPT", ""))
        start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(text))), *HEADERS.items()])
        return [text]

    return application


def _hosts(house: House, port: str) -> set[str]:
    listen = house.config.web.address[0].lower()
    names = {"127.0.0.1", "localhost", "[::1]", f"[{listen}]" if ":" in listen else listen}
    return {f"{name}:{port}" for name in names} | (names if port == "80" else set())


def _error(error: HTTPException, words: Wording, environ: dict[str, Any]) -> str:
    if isinstance(error, MisdirectedRequest):
        return fill(words.wrong_host, {"host": f"127.0.0.1:{environ['SERVER_PORT']}"})
    if isinstance(error, NotFound) and request.endpoint == "incident":
        return fill(words.no_incident, {"code": line(str(error.description))[:20]})
    known = {404: words.no_page, 405: words.no_method, 500: words.broken}
    return known.get(error.code or 500, error.name)


def _overview(house: House) -> dict[str, Any]:
    me, policy, view = reader(house), house.config.policy, house.desk.view
    collectors = watched(list(house.board.snapshot().values()), me)
    ages = [each.age for each in collectors if each.age is not None]
    words = wording(me.language)
    accepted = house.store.counts().get("proved")
    return {
        **_frame(me),
        "incidents": [row(standing(each, policy, me), policy, me) | {"kind": each.severity} for each in view.open],
        "collectors": collectors,
        "all_known": all(each.state == "good" for each in collectors) and bool(collectors),
        "stale": all(each.state in ("stale", "never") for each in collectors),
        "on_duty": display(policy.on_duty(me.now), policy) or words.nobody_has_it,
        "accepted": words.never if accepted is None else f"{me.clock(accepted)} ({span(me.now - accepted, me)})",
        "data_age": span(min(ages), me) if ages else words.never,
        "line_lost": _line_lost(house, me),
        "unsaved": fill(words.unsaved, {"error": line(view.store_error)}) if view.store_error else "",
    }


def _line_lost(house: House, me: Reader) -> str:
    """Since when no message has left this machine, where a channel has been failing for long and none got through."""
    channels, state = leaving(house.config), house.board.snapshot().get(selfcheck.NAME)
    failing = [reading.value for reading in state.readings if reading.metric == selfcheck.NOTIFIER_FAILING.name
               and dict(reading.labels)["notifier"] in channels] if state is not None else []
    if state is None or state.at is None or max(failing, default=0.0) <= LOST_AFTER:
        return ""
    since = state.at - max(failing)
    if any((message.accepted_at or 0.0) > since for message in house.store.last_messages(since)
           if message.channel in channels):
        return ""
    return fill(wording(me.language).line_lost, {"at": me.clock(since)})


def _frame(me: Reader) -> dict[str, Any]:
    """What every page has."""
    words = wording(me.language)
    return {"words": words, "language": me.language, "columns": words.columns, "refresh": REFRESH,
            "title": " · ".join(filter(None, [line(me.site), line(me.agent)])),
            "made_at": fill(words.made_at, {"at": me.clock(me.now)})}


def _incident(house: House, found: Incident) -> dict[str, Any]:
    me, policy = reader(house), house.config.policy
    words, stands = wording(me.language), standing(found, policy, me)
    first, fix = advice(found, me)
    lay, _ = advice(found, reader(house, technician=False))
    cells = row(stands, policy, me)
    return {
        **_frame(me),
        "stands": stands,
        "cells": cells | {"since": since(stands, me)},
        "kind": stands.severity,
        "closed": "" if stands.closed is None else fill(words.closed, {"at": me.clock(stands.closed)}),
        "next": says(stands.next, policy, me),
        "first": first, "lay": lay, "fix": fix,
        "take_it": fill(words.take_it, {"code": stands.code}) if stands.closed is None else "",
        "members": [{"member": each, "state": words.states.get(each.state, each.state),
                     "evidence": block("\n".join(dict.fromkeys(filter(None, [each.note, _evidence(found, each)]))))}
                    for each in stands.members],
        "history": _history(house, found, words, me, policy),
        "messages": _messages(house, found, words, me, policy),
    }


def _evidence(found: Incident, member: Any) -> str:
    keys = (key for key, finding in found.members.items()
            if finding.rule == member.rule and dict(finding.labels) == member.labels)
    return next((found.evidence[key] for key in keys if key in found.evidence), "")


def _history(house: House, found: Incident, words: Wording, me: Reader, policy: Policy) -> list[dict[str, str]]:
    return [{"at": me.clock(entry.at), "what": words.whats.get(entry.what, line(entry.what)),
             "who": display(entry.who, policy) + (f" ({line(entry.how)})" if entry.who and entry.how else ""),
             "detail": block(entry.detail)}
            for entry in house.store.history(found.code) if entry.at > found.opened - SAME_CODE]


def _messages(house: House, found: Incident, words: Wording, me: Reader, policy: Policy) -> list[dict[str, str]]:
    """Names and channels, never an address (promise 14)."""
    return [{"at": me.clock(message.claimed), "to": display(message.contact, policy), "channel": line(message.channel),
             "state": words.message_states.get(message.state, message.state),
             "proof": "" if message.proof is None else words.proofs.get(message.proof.name.lower(), "")}
            for message in house.store.messages_about(found.code) if message.claimed > found.opened - SAME_CODE]


class Site(Listener):
    """The page's listener. Raises Occupied where the port is taken."""

    def __init__(self, house: House) -> None:
        web = house.config.web
        super().__init__(make(house), web.address, f'[web] listen = "{web.listen}"', "web", threads=THREADS,
                         clear_untrusted_proxy_headers=True)
