"""A port with threads that serve an application on it, and the headers that every answer of ours carries."""

import os
import socket
import threading
from typing import Any

import waitress  # type: ignore[import-untyped]
from flask import Flask, Response
from waitress import wasyncore

from agent.control import Occupied

IDLE = 15  # seconds that a listener sleeps at most; what comes in wakes it. At waitress's own 1, it cost most at rest


def headers(style: str, form: str, referrer: str) -> dict[str, str]:
    """What keeps a page to itself; `style` and `form` are sources of the policy, such as "'self'"."""
    return {
        "Content-Security-Policy": f"default-src 'none'; style-src {style}; img-src data:; base-uri 'none'; "
                                   f"form-action {form}; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": referrer,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def guard(app: Flask, carried: dict[str, str]) -> None:
    """Let every answer carry these."""
    @app.after_request
    def carry(response: Response) -> Response:
        response.headers.update(carried)
        return response


class Listener:
    """Made, it has the port; `start` serves. `setting` is the line of agent.toml that an error names.

    `adjustments` are waitress's own. Raises Occupied where the port is taken.
    """

    def __init__(self, app: Flask, address: tuple[str, int], setting: str, name: str, **adjustments: Any) -> None:
        host, port = address
        self._sockets: dict[int, Any] = {}
        try:
            listener = socket.create_server(address, family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            why = os.strerror(error.errno or 0)
            raise Occupied(f"{setting}: {why}: stop what listens there (ss -ltnp 'sport = :{port}'), "
                           "or choose another port") from error
        self._waitress: Any = waitress.create_server(app, map=self._sockets, sockets=[listener], ident=None,
                                                     asyncore_loop_timeout=IDLE, **adjustments)
        self._thread = threading.Thread(target=self._waitress.run, name=name, daemon=True)

    @property
    def port(self) -> int:
        return int(self._waitress.effective_port)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the port and end the threads; a page that is being drawn is given up."""
        self._waitress.trigger.pull_trigger(lambda: wasyncore.close_all(self._sockets))
        self._thread.join(2.0)
        self._waitress.task_dispatcher.shutdown(timeout=1)
