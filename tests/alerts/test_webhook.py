"""The webhook notifier against a small HTTP server: the document, its signature, and what each answer is taken for."""

import hmac
import json
import socket
import struct
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Section, Uncertain
from alerts.notifiers.webhook import Webhook, document
from collectors.secret import Secret

SECRET, TOKEN = "kunci-rahasia", "token-rahasia"
SECTION = Section(code="K7M", mark="K7M-3", severity="critical", reason="opened",
                  headline="KRITIS: Disk /\tterisi 93 %", since="Sejak 02.14 WIB (12 menit)",
                  detail="baris\x1b[31m\n\nkedua \ud800🚨", first="Hapus log lama", fix="rm x\nrm y",
                  answer='Balas "ok K7M" bila Anda tangani.')
LETTER = Letter(mark="K7M-3", to="", name="Budi", language="id", severity="critical", created=1_770_000_000.25,
                stale_at=1_770_021_600.0, subject="[Jaga KRITIS] K7M Disk", sections=(SECTION,),
                footer="Toko · server-1")
DOCUMENT: dict[str, Any] = {
    "version": 1, "mark": "K7M-3", "severity": "critical", "contact": "Budi", "language": "id",
    "created": "2026-02-02T02:40:00.250000Z", "stale": "2026-02-02T08:40:00Z", "subject": "[Jaga KRITIS] K7M Disk",
    "sections": [{
        "code": "K7M", "mark": "K7M-3", "severity": "critical", "reason": "opened",
        "headline": "KRITIS: Disk / terisi 93 %", "since": "Sejak 02.14 WIB (12 menit)", "detail": "baris\nkedua 🚨",
        "first": "Hapus log lama", "fix": "rm x\nrm y", "answer": 'Balas "ok K7M" bila Anda tangani.'}],
    "footer": "Toko · server-1", "from_memory": False}


class Receiver(ThreadingHTTPServer):
    """Answers as it is told, and keeps what came: path, headers by lower-case name, body."""

    daemon_threads, block_on_close = True, False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        self.status, self.headers, self.body, self.fault = 204, dict[str, str](), b"", ""
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook/s3cret"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that gave up leaves a broken pipe."""


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.came.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        match self.server.fault:
            case "hang":
                self.server.closing.wait(60)
                return
            case "reset":
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
                return
        self.send_response_only(self.server.status)  # a Date only where the test gives one
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        missing = 999 if self.server.fault in ("truncated", "dribble") else 0
        self.send_header("Content-Length", str(len(self.server.body) + missing))
        self.end_headers()
        self.wfile.write(self.server.body)
        while self.server.fault == "dribble" and not self.server.closing.wait(0.1):
            self.wfile.write(b".")


@pytest.fixture(name="there")
def _there() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join(10)


def secret(text: str) -> Secret:
    return Secret("a test", lambda: text)


def test_the_document_holds_all_of_the_letter_made_safe() -> None:
    assert json.loads(document(LETTER)) == DOCUMENT


def test_the_page_shows_the_document_as_it_is() -> None:
    page = (Path(__file__).parents[2] / "docs" / "webhook.md").read_text()
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert (shown.keys(), shown["version"]) == (DOCUMENT.keys(), DOCUMENT["version"])
    assert [section.keys() for section in shown["sections"]] == [DOCUMENT["sections"][0].keys()]


def test_a_letter_is_posted_once_and_signed_over_time_and_body(there: Receiver) -> None:
    notifier = Webhook(url=there.url, secret=secret(SECRET), token=secret(TOKEN))
    assert notifier.send(LETTER) == Receipt("K7M-3", Proof.ACCEPTED)
    [(path, headers, body)] = there.came
    assert (path, json.loads(body)) == ("/hook/s3cret", DOCUMENT)
    signed = headers["x-jaga-timestamp"].encode() + b"." + body
    assert headers["x-jaga-signature"] == "sha256=" + hmac.new(SECRET.encode(), signed, "sha256").hexdigest()
    assert int(headers["x-jaga-timestamp"]) > 1_700_000_000
    assert {name: headers[name] for name in ("content-type", "authorization", "idempotency-key", "user-agent")} == {
        "content-type": "application/json", "authorization": f"Bearer {TOKEN}", "idempotency-key": "K7M-3",
        "user-agent": "jaga"}
    assert (notifier.proof, notifier.address, hasattr(notifier, "find")) == (Proof.ACCEPTED, "", False)


def test_without_secret_and_token_nothing_is_signed(there: Receiver) -> None:
    Webhook(url=there.url).send(LETTER)
    assert {"authorization", "x-jaga-signature"} & there.came[0][1].keys() == set()


def test_a_repeat_has_the_same_body_and_key(there: Receiver) -> None:
    for _ in range(2):
        Webhook(url=there.url).send(LETTER)
    first, second = there.came
    assert (first[2], first[1]["idempotency-key"]) == (second[2], second[1]["idempotency-key"])


def test_a_letter_that_gained_a_problem_is_no_repeat(there: Receiver) -> None:
    second = msgspec.structs.replace(SECTION, code="P4Q", mark="P4Q-1")
    Webhook(url=there.url).send(msgspec.structs.replace(LETTER, sections=(SECTION, second)))
    assert there.came[0][1]["idempotency-key"] == "K7M-3+P4Q-1"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_two_hundred_is_acceptance(there: Receiver, status: int) -> None:
    there.status = status
    assert Webhook(url=there.url).send(LETTER) == Receipt("K7M-3")


@pytest.mark.timeout(10)
@pytest.mark.parametrize("fault", ["truncated", "dribble"])
def test_what_happens_to_the_body_of_a_yes_changes_nothing(there: Receiver, fault: str) -> None:
    there.status, there.body, there.fault = 200, b"ok", fault
    assert Webhook(url=there.url, timeout=0.3).send(LETTER) == Receipt("K7M-3")


@pytest.mark.parametrize(("status", "headers", "outcome", "retry_after"), [
    (429, {"Retry-After": "0"}, Busy, None), (429, {"Retry-After": "7"}, Busy, 7.0),
    (503, {"Retry-After": " 9 "}, Busy, 9.0),
    (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, Busy, 30.0),
    (503, {"Retry-After": "Wed, 21 Oct 2020 07:28:30 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, Busy, None),
    (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:30 -0000"}, Busy, None), (503, {"Retry-After": "-3"}, Busy, None),
    (503, {"Retry-After": "soon"}, Busy, None), (503, {"Retry-After": "86400"}, Busy, 3600.0),
    (500, {}, Busy, None), (502, {}, Busy, None), (504, {}, Busy, None), (408, {}, Busy, None), (425, {}, Busy, None),
    (400, {}, Refused, None), (401, {}, Refused, None), (404, {"Retry-After": "7"}, Refused, None),
    (410, {}, Refused, None), (422, {}, Refused, None),
])
def test_each_status_is_taken_for_what_it_means(there: Receiver, status: int, headers: dict[str, str],
                                                outcome: type[Exception], retry_after: float | None) -> None:
    there.status, there.headers, there.body = status, headers, b"kunci-rahasia +6281234567890"
    with pytest.raises(outcome, match=f"127.0.0.1 answered {status}") as caught:
        Webhook(url=there.url, secret=secret(SECRET)).send(LETTER)
    assert getattr(caught.value, "retry_after", None) == retry_after
    assert getattr(caught.value, "code", str(status)) == str(status)
    assert "rahasia" not in repr(caught.value)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(there: Receiver, status: int) -> None:
    there.status, there.headers = status, {"Location": there.url + "/elsewhere"}
    with pytest.raises(Refused, match="a redirect, which is not followed"):
        Webhook(url=there.url).send(LETTER)
    assert [path for path, _, _ in there.came] == ["/hook/s3cret"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(("fault", "says"), [("hang", "silence for 0.3 s"), ("reset", "no answer from 127.0.0.1")])
def test_without_an_answer_it_may_have_arrived(there: Receiver, fault: str, says: str) -> None:
    there.fault = fault
    with pytest.raises(Uncertain, match=says) as caught:
        Webhook(url=there.url, timeout=0.3).send(LETTER)
    assert "s3cret" not in repr(caught.value)
    assert len(there.came) == 1


def test_without_a_connection_it_surely_did_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Busy, match=r"no connection to 127.0.0.1: nobody listens there"):
        Webhook(url="http://127.0.0.1:1/s3cret").send(LETTER)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(Busy, match=r"no connection to hooks.test: the name was not found") as caught:
        Webhook(url="https://hooks.test/s3cret").send(LETTER)
    assert "s3cret" not in repr(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("token", ["rahasia\nX: y", "rähasia"])
def test_a_token_that_no_header_can_carry_is_not_told(there: Receiver, token: str) -> None:
    with pytest.raises(Refused, match="no header can carry") as caught:
        Webhook(url=there.url, token=secret(token)).send(LETTER)
    assert "hasia" not in repr(caught.value)
    assert there.came == []


@pytest.mark.parametrize(("options", "says"), [
    ({"url": "http://hooks.example.id/x"}, "url must begin with https://"), ({"url": ""}, "url must be an address"),
    ({"url": "http://127.0.0.1.example.id"}, "url must begin with https://"),
    ({"url": "ftp://hooks.example.id"}, "url must be an address"), ({"url": "https:///x"}, "url must be an address"),
    ({"url": "https://hooks.example.id/a b"}, "url must be an address"),
    ({"url": "https://hooks.example.id:port/"}, "url must be an address"),
    ({"url": "https://me:pw@hooks.example.id/"}, "url must not hold a user name or password"),
    ({"url": "https://hooks.example.id", "timeout": 0.0}, "timeout must be more than 0")])
def test_a_wrong_option_stops_the_start(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Webhook(**options)


@pytest.mark.parametrize("url", ["http://localhost:8080/x", "http://[::1]/x", "http://127.8.8.8/", "https://example.id"])
def test_plain_http_is_for_this_machine_alone(url: str) -> None:
    assert Webhook(url=url).url == url
