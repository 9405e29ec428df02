"""The fake Fonnte refuses what Fonnte refuses, in its words, and calls webhooks as it does."""

import json
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from agent.demo.fake_fonnte import DEVICE, TOKEN, FakeFonnte, Message

BUDI = "6281234567890"


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakeFonnte]:
    with FakeFonnte(clock=lambda: 1_770_000_000.0) as fake:
        yield fake


def call(url: str, form: dict[str, str] | None = None, *, token: str = TOKEN, method: str = "POST",
         body: bytes | None = None, kind: str = "application/x-www-form-urlencoded") -> tuple[int, Any]:
    data = body if body is not None else urllib.parse.urlencode(form or {}).encode()
    request = urllib.request.Request(url, data, {"Authorization": token, "Content-Type": kind}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)


def form(**changes: str) -> dict[str, str]:
    return {"target": BUDI, "message": "Halo 🚨", "countryCode": "62", **changes}


def test_the_device_answers_in_fonntes_words(fake: FakeFonnte) -> None:
    assert call(f"{fake.url}/device") == (200, {
        "device": DEVICE, "device_status": "connect", "expired": "18 November 2029", "messages": 0,
        "name": "Fonnte admin", "package": "Reguler", "quota": "78", "status": True})


def test_a_message_is_queued_and_costs_quota(fake: FakeFonnte) -> None:
    assert call(f"{fake.url}/send", form()) == (200, {
        "detail": "success! message in queue", "id": ["80367170"], "process": "pending", "requestid": 2937125,
        "status": True, "target": [BUDI]})
    assert fake.messages == [Message("80367170", BUDI, "Halo 🚨", True)]
    assert call(f"{fake.url}/device")[1]["quota"] == "77"


@pytest.mark.parametrize(("changes", "reason"), [
    ({"target": "abc"}, "target invalid"), ({"target": ""}, "target invalid"),
    ({"target": f"{BUDI},{BUDI}"}, "target invalid"), ({"target": "081234567890", "countryCode": "0"}, None),
    ({"target": "0", "countryCode": "62"}, "target invalid"), ({"message": " "}, "input invalid"),
    ({"telegram": "1"}, "input invalid"), ({"target": "081234567890"}, None), ({"target": "1203-99@g.us"}, None)])
def test_what_fonnte_refuses_is_refused_with_200_and_not_recorded(fake: FakeFonnte, changes: dict[str, str],
                                                                 reason: str | None) -> None:
    status, answer = call(f"{fake.url}/send", form(**changes))
    assert (status, answer.get("reason"), answer["status"], len(fake.messages)) == (
        200, reason, reason is None, int(reason is None))


@pytest.mark.parametrize("token", [f"Bearer {TOKEN}", "", "another"])
@pytest.mark.parametrize("path", ["/send", "/device"])
def test_the_token_goes_bare(fake: FakeFonnte, path: str, token: str) -> None:
    assert call(fake.url + path, form(), token=token)[1]["reason"] == "token invalid"
    assert (fake.messages, fake.questions) == ([], 0)


def test_neither_json_nor_get_sends(fake: FakeFonnte) -> None:
    body = json.dumps(form()).encode()
    assert call(f"{fake.url}/send", body=body, kind="application/json")[1]["reason"] == "input invalid"
    assert call(f"{fake.url}/send", form(), method="GET")[0] == 405
    assert call(f"{fake.url}/sent", form())[0] == 404
    assert fake.messages == []


def test_a_device_that_is_off_takes_nothing_unless_the_gateway_is_blind(fake: FakeFonnte) -> None:
    fake.switch(False)
    assert call(f"{fake.url}/send", form())[1]["reason"] == "request invalid on disconnected device"
    assert call(f"{fake.url}/device")[1]["device_status"] == "disconnect"
    assert call(f"{fake.url}/device")[1]["status"] is True
    fake.state.blind = True
    assert call(f"{fake.url}/send", form())[1]["status"] is True
    assert [message.connected for message in fake.messages] == [False]
    fake.state.blind = False
    assert call(f"{fake.url}/send", form(connectOnly="false"))[1]["status"] is True


def test_without_quota_nothing_goes_out(fake: FakeFonnte) -> None:
    fake.state.quota = 1
    assert [call(f"{fake.url}/send", form())[1].get("reason") for _ in range(2)] == [None, "insufficient quota"]


def test_a_variable_in_the_text_is_filled_in(fake: FakeFonnte) -> None:
    call(f"{fake.url}/send", form(message="a {name} b {var1} {main} { name}"))
    assert fake.messages[0].text == "a  b  {main} { name}"


class Listener(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        heard: list[Any] = self.server.heard  # type: ignore[attr-defined]
        heard.append(body)
        self.send_response(500 if len(heard) == 1 else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def listening() -> Iterator[tuple[str, list[Any]]]:
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        server.heard = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/hooks/fonnte/s", server.heard  # type: ignore[attr-defined]
        finally:
            server.shutdown()
            thread.join(10)


def test_the_same_webhook_comes_fifteen_times(fake: FakeFonnte) -> None:
    with listening() as (url, heard):
        assert fake.inbound(url, BUDI, "ok K7M", times=15, inboxid=9) == [500, *[200] * 14]
    assert heard == [{"device": DEVICE, "sender": BUDI, "message": "ok K7M", "member": "", "name": "Budi",
                      "location": "", "url": "", "filename": "", "extension": "", "timestamp": 1_770_000_000,
                      "inboxid": 9}] * 15
    assert fake.inbound(url, BUDI, "ok") == [0]  # nobody listens any more


def test_the_device_tells_when_it_goes_off_and_on(fake: FakeFonnte) -> None:
    with listening() as (url, heard):
        fake.switch(False, url)
        fake.switch(True, url)
    assert heard == [
        {"device": DEVICE, "status": "disconnect", "timestamp": 1_770_000_000, "reason": "logged out"},
        {"device": DEVICE, "status": "connect", "timestamp": 1_770_000_000}]


def test_no_webhook_leaves_this_machine(fake: FakeFonnte) -> None:
    with pytest.raises(ValueError, match="this machine alone"):
        fake.inbound("https://example.org/hook", BUDI, "ok")


def test_as_a_process_it_is_steered_from_outside() -> None:
    process = subprocess.Popen([sys.executable, "-m", "agent.demo.fake_fonnte"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        with process.stdout:
            url = json.loads(process.stdout.readline())["url"]
            call(f"{url}/send", form())
            _, taken = call(f"{url}/_fake/messages?at_least=1&timeout=5", method="GET")
            assert [message["id"] for message in taken] == ["80367170"]
            call(f"{url}/_fake/state", body=b'{"connected": false, "quota": 3}')
            assert call(f"{url}/device")[1]["device_status"] == "disconnect"
            call(f"{url}/_fake/misbehave", body=b'{"next": [{"kind": "500"}]}')
            assert call(f"{url}/send", form())[0] == 500
            with listening() as (hook, heard):
                given = json.dumps({"url": hook, "sender": BUDI, "message": "ok"}).encode()
                assert call(f"{url}/_fake/inbound", body=given)[1] == [500]
                assert call(f"{url}/_fake/switch", body=json.dumps({"connected": True, "url": hook}).encode())[1] == 200
            assert [each.get("message", each.get("status")) for each in heard] == ["ok", "connect"]
            assert call(f"{url}/_fake/nonsense", body=b"{}")[0] == 404
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait(10)
