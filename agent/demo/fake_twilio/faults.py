"""How the fake Twilio misbehaves: a plan of faults, each used up by one request."""

import threading
from typing import Literal

import msgspec

Kind = Literal[
    "fine",  # nothing: lets a request through in the middle of a plan
    "429", "500", "503",  # not recorded; 503 answers in HTML, as a proxy does
    "refuse",  # Twilio's error `code`, not recorded
    "hang",  # takes the request and never answers
    "reset",  # cuts the connection without an answer
    "wrong-host",  # 200 and a page of HTML, as a captive portal does; not recorded
    "accept-500", "accept-hang", "accept-reset",  # the same after the message was recorded
    "slow",  # recorded; answers after `seconds`
    "wrong-json", "odd-json", "truncated",  # recorded; 201 with half an object, with another one, with bytes missing
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault. `on` says which request uses it up."""

    kind: Kind
    on: Literal["create", "list", "fetch", "any"] = "create"
    retry_after: str = ""  # the header's text, for 429 and 503
    seconds: float = 0.0
    code: int = 20500


class Plan:
    """Faults still to come, used up in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, faults: list[Fault]) -> None:
        with self._lock:
            self._faults.extend(faults)

    def take(self, request: str) -> Fault:
        with self._lock:
            for fault in self._faults:
                if fault.on in (request, "any"):
                    self._faults.remove(fault)
                    return fault
        return Fault(kind="fine")
