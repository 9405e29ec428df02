"""The fake Telegram's door: the fake Twilio's, with Telegram's errors. The ways of misbehaving are the same."""

import json
from typing import Any, cast

import msgspec

from agent.demo.fake_telegram.api import Api, Call, Refusal
from agent.demo.fake_twilio import door
from agent.demo.fake_twilio.faults import Fault

WORDS = {400: "Bad Request: refused", 401: "Unauthorized", 403: "Forbidden: refused", 404: "Not Found",
         409: "Conflict: refused", 429: "Too Many Requests", 500: "Internal Server Error"}


class Server(door.Server):
    """Serves one bot."""

    api: Any

    def __init__(self, port: int, api: Api) -> None:
        super().__init__(port, cast(Any, api))
        self.RequestHandlerClass = Handler

    def service_actions(self) -> None:
        """Nothing moves by itself here."""


class Handler(door.Handler):
    """Reads a call and answers it."""

    def _read(self) -> Call:
        return Call(**msgspec.structs.asdict(super()._read()))

    def _answer(self, request: Any) -> tuple[int, Any]:
        try:
            return self.server.api.answer(request)
        except Refusal as refusal:
            return refusal.status, refusal.payload

    def _say_no(self, fault: Fault) -> None:
        if fault.kind in ("429", "500", "refuse"):
            refusal = _refusal(fault)
            self._write(refusal.status, json.dumps(refusal.payload).encode())
        else:
            super()._say_no(fault)

    def _say_badly(self, fault: Fault, status: int, payload: Any) -> None:
        if fault.kind == "accept-500":
            self._say(500, _refusal(fault).payload)
        else:
            super()._say_badly(fault, status, payload)


def _refusal(fault: Fault) -> Refusal:
    """`code` of a "refuse" is an HTTP status here; `retry_after` goes into the JSON."""
    status = {"429": 429, "refuse": fault.code}.get(fault.kind, 500)
    if status == 429 and fault.retry_after:
        return Refusal(429, f"Too Many Requests: retry after {fault.retry_after}", retry_after=int(fault.retry_after))
    return Refusal(status, WORDS.get(status, "Bad Request: refused"))
