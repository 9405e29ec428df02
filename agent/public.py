"""The second door, for what a proxy passes on from outside: signed links and webhooks. All else is a wall (404)."""

import base64
import hashlib
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any, Protocol

from flask import Flask, Response, abort, render_template, request
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from agent import linked, links
from agent.hooks import TAKEN, Ears, Hooks
from agent.link_words import link_words
from agent.linked import ACTIONS, Doer, LinkedHouse
from agent.links import BadLink, Expired
from agent.listener import Listener, guard, headers
from agent.logs import get_logger
from agent.web import PAGES

LARGEST = 64 * 1024  # bytes in a request: Twilio's are two or three thousand
THREADS = 4
SILENT = 20  # seconds after which a connection that sends nothing is closed
CONNECTIONS = 100
MOST, WINDOW = 120, 60.0  # requests of one address in so many seconds: a mail scanner and a night's callbacks fit in
ADDRESSES = 1024  # that are remembered at a time, some 200 KiB
TOLD = {400, 403, 413, 415, 429}  # statuses that say nothing of what there is; every other error is a 404

log = get_logger(__name__)


class PublicHouse(LinkedHouse, Ears, Protocol):
    """The daemon, as the public door sees it."""


class PublicSite(Listener):
    """The listener on `[web] public`. Raises Occupied where the port is taken."""

    def __init__(self, house: PublicHouse) -> None:
        web = house.config.web
        super().__init__(
            make(house), web.public_address, f'[web] public = "{web.public}"', "public", threads=THREADS,
            max_request_body_size=LARGEST, channel_timeout=SILENT, cleanup_interval=SILENT // 2,
            connection_limit=CONNECTIONS, clear_untrusted_proxy_headers=False)  # `caller` judges them


def link_key(state: Path) -> bytes:
    """The key in the state folder that links are signed with, made at the first start. Remove the file, and start
    again, to end all links. Where it cannot be kept (a full disk) the links hold until the next start.
    """
    path = state / "link.key"
    try:
        key = path.read_bytes()
        if len(key) == links.KEY_BYTES:
            return key
        log.warning("link_key_replaced", path=str(path), length=len(key))
    except FileNotFoundError:
        pass
    key = secrets.token_bytes(links.KEY_BYTES)
    fresh = path.with_name("link.key.new")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        log.error("link_key_not_kept", error=str(error))
    return key


def make(house: PublicHouse) -> Flask:
    """The application. Every path needs a signature, and no refusal tells what is there."""
    app = Flask("jaga.public", static_folder=None, template_folder=str(PAGES))
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    style = (PAGES / "style.css").read_text("utf-8")
    # The style travels in the page, for a style sheet would be a path without a signature.
    shown = {"style": Markup(style)}  # noqa: S704  # our own file
    # same-origin, not no-referrer: with that a browser names our own form's origin "null".
    guard(app, headers(f"'sha256-{_digest(style)}'", "'self'", "same-origin"))
    turnstile, doer, ears = Turnstile(), Doer(house, house.desk), Hooks(house)

    @app.before_request
    def admit() -> None:
        if not turnstile.admits(caller(request.environ), house.clock.awake()):
            abort(429)
        web = house.config.web
        if not web.public or request.headers.get("Host", "").lower() not in _hosts(web.origin):
            abort(404)

    @app.errorhandler(Exception)
    def nothing_here(error: Exception) -> Response:
        status = error.code if isinstance(error, HTTPException) and error.code in TOLD else 404
        if not isinstance(error, HTTPException):
            status = 500
            log.error("public_failed", endpoint=request.endpoint, exc_info=error)  # never the path: it is a key
        return Response(status=status, mimetype="text/plain", headers={"Retry-After": "60"} if status == 429 else None)

    def notice(status: int, language: str, says: str) -> tuple[str, int]:
        return render_template("notice.html", language=language, says=says, **shown), status

    @app.errorhandler(BadLink)
    def bad_link(error: BadLink) -> tuple[str, int] | Response:
        if isinstance(error, Expired):  # only who once had it learns that
            language = house.config.agent.language
            return notice(410, language, link_words(language).expired)
        return Response(status=404, mimetype="text/plain")

    @app.get("/a/<token>", provide_automatic_options=False)
    def look(token: str) -> str:
        """Never acts: mail scanners open every link."""
        return render_template("link.html", **shown, **linked.page(house, linked.follow(house, token)))

    @app.post("/a/<token>", provide_automatic_options=False)
    def act(token: str) -> str | tuple[str, int]:
        case = linked.follow(house, token)
        if request.mimetype != "application/x-www-form-urlencoded":
            abort(415)
        action = next((each for each in ACTIONS if each == request.form.get("action")), None)
        if action is None:
            abort(400)
        # A browser always names the origin of a form from elsewhere; what names none is no browser.
        ours = request.headers.get("Origin", house.config.web.origin).lower() == house.config.web.origin
        if not ours or not links.sealed(house.link_key, token, action, request.form.get("seal", "")):
            return notice(403, case.me.language, case.words.unsure)
        said = doer.act(token, action)
        return render_template("link.html", **shown, **linked.page(house, linked.follow(house, token), said))

    @app.post("/hooks/twilio", provide_automatic_options=False)
    def twilio() -> Response:
        query = request.query_string.decode("latin-1")
        status = ears.twilio(query, request.get_data(), request.headers.get("X-Twilio-Signature", ""))
        return Response("<Response/>" if status == TAKEN else None, status=status, mimetype="text/xml")

    @app.post("/hooks/fonnte/<secret>", provide_automatic_options=False)
    def fonnte(secret: str) -> Response:
        return Response(status=ears.fonnte(secret, request.get_data()), mimetype="text/plain")

    return app


class Turnstile:
    """Lets each address through so many times a minute. The table is small; who falls out of it begins anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # window's begin and count, oldest first

    def admits(self, address: str, now: float) -> bool:
        """`now` in seconds of a clock that only goes forward."""
        with self._lock:
            began, count = self._counts.get(address, (now, 0))
            if now - began >= WINDOW:
                began, count = now, 0
                del self._counts[address]
            self._counts[address] = began, count + 1
            if len(self._counts) > ADDRESSES:
                self._counts.popitem(last=False)
            return count < MOST


def caller(environ: Mapping[str, Any]) -> str:
    """Who asks: the peer, or where that is the proxy on this machine, whom it saw. A whole IPv6 network is one caller.

    Only the last entry of X-Forwarded-For is the proxy's own; those before it are what the caller claims.
    """
    peer = _address(str(environ.get("REMOTE_ADDR", "")))
    if peer is None:
        return "?"
    if peer.is_loopback:
        peer = _address(str(environ.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()) or peer
    return str(ip_network((peer, 64), strict=False)) if isinstance(peer, IPv6Address) else str(peer)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _hosts(origin: str) -> set[str]:
    """The Host headers that are ours: the usual port may be written or not."""
    scheme, _, host = origin.partition("://")
    usual = {"https": ":443", "http": ":80"}[scheme]
    return {host, host + usual}


def _digest(style: str) -> str:
    return base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
