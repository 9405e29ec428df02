"""A Fonnte on loopback that refuses what Fonnte refuses, remembers what it took, and misbehaves when told to.

In a test: `with FakeFonnte() as fake: … fake.url …`. As a process of its own, which outlives a killed agent:
`python -m agent.demo.fake_fonnte --port 9898`, looked into and steered under `/_fake/`. Where Fonnte's documentation
is silent it is the stricter one: fields that are not documented and any body but a urlencoded form are refused.
"""

import argparse
import http.server
import json
import os
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit

import msgspec

from agent.demo.fake_twilio import door
from agent.demo.fake_twilio.api import Api, Request
from agent.demo.fake_twilio.faults import Fault, Kind, Plan

TOKEN = "device-token"  # noqa: S105 -- the fake's own, and it opens nothing
DEVICE = "6281200000002"
FIELDS = {"target", "message", "countryCode", "connectOnly", "delay", "schedule", "typing", "preview", "inboxid"}
TIMEOUT = 10.0  # seconds that a webhook's answer is waited for

Answer = tuple[int, Any]


class Message(msgspec.Struct, frozen=True):
    """What was taken from us: Fonnte's id, the number, the text as it would arrive, and whether the device was on."""

    id: str
    target: str
    text: str
    connected: bool


class State(msgspec.Struct, kw_only=True):
    """The device as it stands, and the gateway's habits."""

    connected: bool = True
    quota: int = 78
    expired: str = "18 November 2029"
    blind: bool = False  # /send says status true although the device is off, and the message stays in the queue
    reasons: list[str] = []  # the next messages are refused with these words
    limited: bool = False  # /device: too many questions


class FakeFonnte:
    """Starts at once; `close` ends it. `state` may be changed at any time."""

    def __init__(self, token: str = TOKEN, *, port: int = 0, clock: Callable[[], float] = time.time) -> None:
        self.token, self.clock, self.state, self.plan = token, clock, State(), Plan()
        self.messages: list[Message] = []
        self.questions = 0  # how often /device was asked
        self._lock = threading.Condition(threading.RLock())
        self._server = _Server(port, self)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(TIMEOUT)

    def wait(self, count: int, timeout: float = 10.0) -> list[Message]:
        """Wait until `count` messages were taken; returns what there is after at most `timeout` seconds."""
        with self._lock:
            self._lock.wait_for(lambda: len(self.messages) >= count, timeout)
            return list(self.messages)

    def misbehave(self, next: list[Kind | Fault]) -> None:
        """Plan faults for the next requests; a bare word is one on /send, `Fault(kind=…, on="fetch")` on /device."""
        self.plan.add([Fault(kind=fault) if isinstance(fault, str) else fault for fault in next])

    def inbound(self, url: str, sender: str, message: str = "", *, times: int = 1, inboxid: int | None = None,
                **extra: Any) -> list[int]:
        """Somebody writes to the device: calls the webhook, the same one `times` times; returns the HTTP statuses."""
        payload = {"device": DEVICE, "sender": sender, "message": message, "member": "", "name": "Budi", "location": "",
                   "url": "", "filename": "", "extension": "", "timestamp": int(self.clock()), **extra}
        return [deliver(url, payload if inboxid is None else payload | {"inboxid": inboxid}) for _ in range(times)]

    def switch(self, connected: bool, url: str = "", reason: str = "logged out") -> int:
        """The device goes on or off, and calls the device-status webhook where one is given."""
        self.state.connected = connected
        payload = {"device": DEVICE, "status": "connect" if connected else "disconnect",
                   "timestamp": int(self.clock()), **({} if connected else {"reason": reason})}
        return deliver(url, payload) if url else 0

    def answer(self, request: Request) -> Answer:
        """Status and JSON for one request. Fonnte says no with HTTP 200; only the path and the method speak HTTP."""
        if request.path.startswith("/_fake/"):
            return self._fake(request)
        calls = {"/device": self._device, "/send": self._send}
        if request.path not in calls:
            return 404, {"reason": "not found", "status": False}
        if request.method != "POST":
            return 405, {"reason": "method not allowed", "status": False}
        if request.authorization != self.token:  # "Bearer …" too
            return _no("token invalid")
        with self._lock:
            return calls[request.path](request)

    def _device(self, request: Request) -> Answer:
        self.questions += 1
        if self.state.limited:
            return _no("too many request")
        return 200, {"device": DEVICE, "device_status": "connect" if self.state.connected else "disconnect",
                     "expired": self.state.expired, "messages": len(self.messages), "name": "Fonnte admin",
                     "package": "Reguler", "quota": str(self.state.quota), "status": True}

    def _send(self, request: Request) -> Answer:
        form, state = request.form, self.state
        if "urlencoded" not in request.content_type or form.keys() - FIELDS or not form.get("message", "").strip():
            return _no("input invalid")
        if state.reasons:
            return _no(state.reasons.pop(0))
        country = form.get("countryCode", "62")
        target = re.sub(r"^0", "" if country == "0" else country, form.get("target", ""))
        if not re.fullmatch(r"[1-9]\d{6,14}|[\d-]+@g\.us", target):  # a list of targets is not what an alarm needs
            return _no("target invalid")
        if state.quota < 1:
            return _no("insufficient quota")
        if not state.connected and not state.blind and form.get("connectOnly", "true") == "true":
            return _no("request invalid on disconnected device")
        state.quota -= 1
        text = re.sub(r"\{(name|var\d+)\}", "", form["message"])  # its variables; this target has none
        self.messages.append(Message(str(80367170 + len(self.messages)), target, text, state.connected))
        self._lock.notify_all()
        return 200, {"detail": "success! message in queue", "id": [self.messages[-1].id], "process": "pending",
                     "requestid": 2937124 + len(self.messages), "status": True, "target": [target]}

    def _fake(self, request: Request) -> Answer:
        if request.path == "/_fake/messages":
            wanted, timeout = int(request.query.get("at_least", "0")), float(request.query.get("timeout", "0"))
            return 200, msgspec.to_builtins(self.wait(wanted, min(timeout, 60.0)))
        given = msgspec.json.decode(request.body or b"{}", type=dict[str, Any])
        match request.path:
            case "/_fake/state":
                self.state = msgspec.convert({**msgspec.to_builtins(self.state), **given}, State)
            case "/_fake/misbehave":
                self.plan.add(msgspec.convert(given["next"], list[Fault]))
            case "/_fake/inbound":
                return 200, self.inbound(**given)
            case "/_fake/switch":
                return 200, self.switch(**given)
            case _:
                return 404, {}
        return 200, {}


def deliver(url: str, payload: dict[str, Any]) -> int:
    """Post a webhook as Fonnte does, and return the HTTP status, 0 for none. No call leaves this machine."""
    if urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost"):
        raise ValueError("webhooks of the fake go to this machine alone")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy
    request = urllib.request.Request(url, json.dumps(payload).encode(), {"Content-Type": "application/json"})  # noqa: S310 -- loopback, checked above
    try:
        with opener.open(request, timeout=TIMEOUT) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except OSError:  # nobody there: Fonnte would try again in a minute
        return 0


def _no(reason: str) -> Answer:
    return 200, {"reason": reason, "requestid": 331477110, "status": False}


class _Call(Request, frozen=True, kw_only=True):
    @property
    def kind(self) -> str:
        return {"/send": "create", "/device": "fetch"}.get(self.path, "list")


class _Door(door.Handler):
    """Twilio's fake door and its misbehaviours, with Fonnte's own words where there are any."""

    def _read(self) -> Request:
        read = super()._read()
        return _Call(**{name: getattr(read, name) for name in read.__struct_fields__})

    def _say_no(self, fault: Fault) -> None:
        words = {"429": (429, "too many request"), "500": (500, "internal server error"),
                 "refuse": (200, "input invalid")}
        if fault.kind not in words:
            super()._say_no(fault)
            return
        status, reason = words[fault.kind]
        self._write(status, json.dumps(_no(reason)[1]).encode(), retry_after=fault.retry_after)


class _Server(door.Server):
    def __init__(self, port: int, fake: FakeFonnte) -> None:
        http.server.ThreadingHTTPServer.__init__(self, ("127.0.0.1", port), _Door)
        self.api, self.closing = cast(Api, fake), threading.Event()  # the door wants its `plan` and `answer` alone

    def service_actions(self) -> None:
        """Nothing moves by itself here."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="fake_fonnte", description="A strict fake of Fonnte, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--token", default=TOKEN)
    given = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    with FakeFonnte(given.token, port=given.port) as fake:
        print(json.dumps({"url": fake.url, "pid": os.getpid()}), flush=True)
        signal.sigwait((signal.SIGTERM, signal.SIGINT))


if __name__ == "__main__":
    main()
