"""The fake Twilio's door: HTTP on loopback, and the ways in which a vendor's door misbehaves."""

import http.server
import json
import socket
import struct
import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agent.demo.fake_twilio import shapes
from agent.demo.fake_twilio.api import Api, Request
from agent.demo.fake_twilio.faults import Fault
from agent.demo.fake_twilio.verdicts import Refusal

HANG = 300.0  # longer than any caller waits
SORRY = b"<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False  # a hanging request must not hold up the end
    request_queue_size = 64

    def __init__(self, port: int, api: Api) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.api, self.closing = api, threading.Event()

    def service_actions(self) -> None:
        self.api.ledger.settle()  # twenty times a second: statuses move, and call back, though nobody asks

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that was killed leaves a broken pipe: nothing to tell."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body leave apart: the body would wait 40 ms for the head's receipt
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are in the ledger; nothing is printed."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_GET

    def _serve(self) -> None:
        request = self._read()
        if request.path.startswith("/_fake/"):
            self._say(*self._answer(request))
            return
        fault = self.server.api.plan.take(request.kind)
        match fault.kind:
            case "429" | "500" | "503" | "refuse" | "wrong-host":
                self._say_no(fault)
            case "hang":
                self._hang()
            case "reset":
                self._reset()
            case "fine":
                self._say(*self._answer(request))
            case _:
                self._say_badly(fault, *self._answer(request))

    def _read(self) -> Request:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = self.headers.get("Content-Type", "")
        form = dict(parse_qsl(body.decode(), keep_blank_values=True)) if "urlencoded" in kind else {}
        port = self.server.server_address[1]
        return Request(method=self.command, path=url.path, content_type=kind, body=body, form=form,
                       query=dict(parse_qsl(url.query, keep_blank_values=True)),
                       authorization=self.headers.get("Authorization", ""), base_url=f"http://127.0.0.1:{port}")

    def _answer(self, request: Request) -> tuple[int, Any]:
        try:
            return self.server.api.answer(request)
        except Refusal as refusal:
            return refusal.status, shapes.error(refusal)

    def _say(self, status: int, payload: Any) -> None:
        self._write(status, json.dumps(payload).encode())

    def _write(self, status: int, body: bytes, *, promised: int | None = None, html: bool = False,
               retry_after: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if html else "application/json")
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def _say_no(self, fault: Fault) -> None:
        if fault.kind == "wrong-host":
            self._write(200, b"<html>Selamat datang di WiFi. Silakan masuk.</html>", html=True)
        elif fault.kind == "503":
            self._write(503, SORRY, html=True, retry_after=fault.retry_after)
        else:
            refusal = Refusal({"429": 20429, "500": 20500}.get(fault.kind, fault.code))
            self._write(refusal.status, json.dumps(shapes.error(refusal)).encode(), retry_after=fault.retry_after)

    def _say_badly(self, fault: Fault, status: int, payload: Any) -> None:
        """The request was carried out; only the answer goes wrong."""
        body = json.dumps(payload).encode()
        match fault.kind:
            case "accept-500":
                self._say(500, shapes.error(Refusal(20500)))
            case "accept-hang":
                self._hang()
            case "accept-reset":
                self._reset()
            case "slow":
                self.server.closing.wait(fault.seconds)
                self._write(status, body)
            case "wrong-json":
                self._write(status, body[:len(body) // 2])
            case "odd-json":
                self._write(status, b'{"ok": true}')
            case "truncated":
                self._write(status, body[:len(body) // 2], promised=len(body))
                self.close_connection = True

    def _hang(self) -> None:
        self.server.closing.wait(HANG)
        self.close_connection = True

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close sends RST
        self.connection.close()
        self.close_connection = True
