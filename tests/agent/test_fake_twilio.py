"""The fake refuses what Twilio refuses: held against Twilio's own SDK, and against its own signature check."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from agent.demo.fake_twilio import SANDBOX, Account, FakeTwilio, Fault, Manner
from agent.demo.fake_twilio.posts import signature
from alerts.notifiers.twilio_templates import FALLBACK, TEMPLATES

BUDI, US, ACCOUNT = "+6281234567890", "+15005550006", "AC" + "0" * 32
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"


class Clock:
    now = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="fake")
def _fake(clock: Clock) -> Iterator[FakeTwilio]:
    with FakeTwilio(Account(services=("MG" + "1" * 32,), keys={"SK" + "2" * 32: "key"}), clock=clock) as fake:
        yield fake


def call(fake: "FakeTwilio | FakeAt", path: str, form: dict[str, str] | None = None, *, user: str = f"{ACCOUNT}:token",
         kind: str = "application/x-www-form-urlencoded", body: Any = None) -> tuple[int, dict[str, Any]]:
    data = json.dumps(body).encode() if body is not None else form and urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(fake.url + path, data or None, {
        "Authorization": "Basic " + b64encode(user.encode()).decode(),
        "Content-Type": "application/json" if body is not None else kind})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def form(**changes: str | None) -> dict[str, str]:
    fields = {"To": f"whatsapp:{BUDI}", "From": f"whatsapp:{US}", "Body": "Halo 🚨", **changes}
    return {name: value for name, value in fields.items() if value is not None}


def template_form(sid: str, values: dict[str, Any] | str, **changes: str | None) -> dict[str, str]:
    text = values if isinstance(values, str) else json.dumps(values)
    return form(Body=None, ContentSid=sid, ContentVariables=text, **changes)


def fate(fake: FakeTwilio) -> tuple[str, int | None]:
    message = fake.messages[-1]
    return message.status, message.error


def test_an_accepted_message_is_answered_in_twilios_words(fake: FakeTwilio) -> None:
    uri = f"/2010-04-01/Accounts/{ACCOUNT}/Messages/SM{1:032x}"
    assert call(fake, MESSAGES, form()) == (201, {
        "account_sid": ACCOUNT, "api_version": "2010-04-01", "body": "Halo 🚨",
        "date_created": "Mon, 02 Feb 2026 02:40:00 +0000", "date_sent": None,
        "date_updated": "Mon, 02 Feb 2026 02:40:00 +0000", "direction": "outbound-api", "error_code": None,
        "error_message": None, "from": f"whatsapp:{US}", "messaging_service_sid": None, "num_media": "0",
        "num_segments": "1", "price": None, "price_unit": None, "sid": f"SM{1:032x}", "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"}, "to": f"whatsapp:{BUDI}", "uri": f"{uri}.json"})


def test_a_messaging_service_accepts_without_a_sender(fake: FakeTwilio) -> None:
    _, answer = call(fake, MESSAGES, form(From=None, MessagingServiceSid="MG" + "1" * 32))
    assert (answer["status"], answer["from"], answer["num_segments"]) == ("accepted", None, "0")


@pytest.mark.parametrize(("changes", "code"), [
    ({"To": None}, 21604), ({"To": BUDI}, 21211), ({"To": "whatsapp:081234567890"}, 21211),
    ({"To": "whatsapp:+62 812"}, 21211), ({"From": None}, 21603), ({"From": US}, 21212),
    ({"From": "whatsapp:+15005550007"}, 63007), ({"MessagingServiceSid": "MG" + "9" * 32}, 21705),
    ({"Body": None}, 21619), ({"Body": " "}, 21619), ({"Body": "x" * 1601}, 21617), ({"Body": "🚨" * 801}, 21617),
    ({"ValidityPeriod": "0"}, 20422), ({"ValidityPeriod": "36001"}, 20422), ({"ValidityPeriod": "1.5"}, 20422),
    ({"StatusCallback": "http://under_score.example/x"}, 21609), ({"Validity": "3"}, 20001),
    ({"ContentVariables": "{}"}, 21656), ({"Body": None, "ContentSid": "HX" + "0" * 32}, 21655),
])
def test_what_twilio_refuses_at_once_is_refused_and_not_recorded(fake: FakeTwilio, changes: dict[str, str | None],
                                                                code: int) -> None:
    status, answer = call(fake, MESSAGES, form(**changes))
    assert (status, answer["code"], answer["more_info"]) == (400, code, f"https://www.twilio.com/docs/errors/{code}")
    assert fake.messages == []


@pytest.mark.parametrize("values", ["no json", "[]", {"1": ""}, {"1": " "}, {"1": "a\nb"}, {"1": "a\tb"},
                                    {"1": "a     b"}, {"1": 7}])
def test_variables_that_whatsapp_cannot_take_are_refused(fake: FakeTwilio, values: dict[str, Any] | str) -> None:
    sid = fake.template("Halo {{1}}.")
    assert call(fake, MESSAGES, template_form(sid, values))[1]["code"] == 21656
    assert call(fake, MESSAGES, template_form(sid, {"1": "a    b"}))[0] == 201


@pytest.mark.parametrize(("user", "path", "status", "code"), [
    (f"{ACCOUNT}:wrong", MESSAGES, 401, 20003), ("", MESSAGES, 401, 20003), (f"{ACCOUNT}:token", "/x", 404, 20404),
    (f"SK{'2' * 32}:key", MESSAGES.replace(ACCOUNT, "AC" + "9" * 32), 404, 20404),
])
def test_a_stranger_or_a_wrong_path_gets_nothing(fake: FakeTwilio, user: str, path: str, status: int,
                                                 code: int) -> None:
    given = call(fake, path, form(), user=user)
    assert (given[0], given[1]["code"]) == (status, code)
    assert fake.messages == []


def test_an_api_key_opens_and_json_does_not_send(fake: FakeTwilio) -> None:
    assert call(fake, MESSAGES, form(), user=f"SK{'2' * 32}:key")[0] == 201
    assert call(fake, MESSAGES, body={"To": "x"})[1]["code"] == 20415


def test_without_money_nothing_is_sent(fake: FakeTwilio) -> None:
    fake.settings(active=False, balance="0.00")
    assert call(fake, MESSAGES, form())[1]["code"] == 20005
    assert call(fake, f"/2010-04-01/Accounts/{ACCOUNT}/Balance.json")[1] == {
        "account_sid": ACCOUNT, "balance": "0.00", "currency": "USD"}


def test_free_text_needs_the_window_that_the_person_opens(fake: FakeTwilio, clock: Clock) -> None:
    assert call(fake, MESSAGES, form())[1]["status"] == "queued"
    assert fate(fake) == ("failed", 63016)
    fake.inbound(BUDI, "halo")
    clock.now += 24 * 3600 - 1
    call(fake, MESSAGES, form())
    assert fate(fake) == ("queued", None)
    clock.now += 1
    call(fake, MESSAGES, form())
    assert fate(fake) == ("failed", 63016)


@pytest.mark.parametrize(("status", "error"), [
    ("approved", None), ("received", 63016), ("rejected", 63040), ("paused", 63041), ("disabled", 63042)])
def test_only_an_approved_template_opens_a_conversation(fake: FakeTwilio, status: str, error: int | None) -> None:
    sid = fake.template("Halo {{1}}.", status=status)
    assert call(fake, MESSAGES, template_form(sid, {"1": "Budi"}))[1]["body"] == "Halo Budi."
    assert fate(fake)[1] == error


@pytest.mark.parametrize(("values", "error"), [
    ({"1": "a", "2": "b"}, None), ({"1": "a"}, None), ({"2": "b"}, 63028), ({"1": "a", "2": "b", "3": "c"}, 63028),
    ({"1": "x" * 1010, "2": "b"}, None), ({"1": "x" * 1020, "2": "b"}, 63021), ({"1": "🚨" * 510, "2": "b"}, 63021)])
def test_a_template_counts_its_variables_and_its_length(fake: FakeTwilio, values: dict[str, str],
                                                        error: int | None) -> None:
    sid = fake.template("Halo {{1}}, {{2}}.", variables={"2": "contoh"})
    assert call(fake, MESSAGES, template_form(sid, values))[0] == 201
    assert fate(fake)[1] == error


@pytest.mark.parametrize(("traits", "status", "later"), [
    ({"refuse": 21610}, 400, None), ({"refuse": 21614}, 400, None), ({"fail": 63024}, 201, ("undelivered", 63024)),
    ({"fail": 63003}, 201, ("failed", 63003)), ({"blocked": True}, 201, ("sent", None))])
def test_each_phone_has_its_fate(fake: FakeTwilio, traits: dict[str, Any], status: int,
                                 later: tuple[str, int | None] | None) -> None:
    fake.settings(pace=(("sent", 0.0), ("delivered", 0.0)))
    fake.inbound(BUDI, "halo")
    fake.person(BUDI, **traits)
    assert call(fake, MESSAGES, form())[0] == status
    assert (fate(fake) if later else None) == later


def test_who_says_stop_is_left_alone_until_start(fake: FakeTwilio) -> None:
    fake.inbound(BUDI, "STOP")
    assert call(fake, MESSAGES, form())[1]["code"] == 21610
    fake.inbound(BUDI, "Start")
    assert call(fake, MESSAGES, form())[0] == 201


def test_one_person_gets_one_message_in_six_seconds(fake: FakeTwilio, clock: Clock) -> None:
    fake.inbound(BUDI, "halo")
    results = []
    for wait in (0.0, 5.9, 6.0):
        clock.now += wait
        call(fake, MESSAGES, form())
        results.append(fate(fake)[1])
    assert results == [None, 63018, None]


def test_the_sandbox_wants_a_join_every_three_days(fake: FakeTwilio, clock: Clock) -> None:
    sid = fake.template("Halo {{1}}.")
    results = []
    for joins, wait in ((False, 0.0), (True, 10.0), (False, 3 * 86400.0)):
        clock.now += wait
        if joins:
            fake.inbound(BUDI, "join dua-kata", to=SANDBOX)
        call(fake, MESSAGES, template_form(sid, {"1": "x"}, From=f"whatsapp:{SANDBOX}"))
        results.append(fate(fake)[1])
    assert results == [63015, None, 63015]


def test_a_message_moves_at_its_pace_and_never_back(fake: FakeTwilio, clock: Clock) -> None:
    fake.settings(pace=(("sent", 1.0), ("delivered", 3.0), ("read", 60.0)))
    fake.inbound(BUDI, "halo")
    call(fake, MESSAGES, form())
    seen = []
    for _ in range(4):
        seen.append(fate(fake)[0])
        clock.now += 1.5
    fake.advance(fake.messages[0].sid, "read")
    clock.now += 100
    assert [*seen, fate(fake)[0]] == ["queued", "sent", "delivered", "delivered", "read"]


def sdk(fake: FakeTwilio) -> Any:
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    client = Client(ACCOUNT, "token", http_client=TwilioHttpClient(timeout=10))
    client.api.base_url = client.content.base_url = fake.url
    return client


def test_the_sdk_pages_through_all_messages_newest_first(fake: FakeTwilio, clock: Clock) -> None:
    for number in range(5):
        clock.now += 10
        call(fake, MESSAGES, form(Body=str(number)))
    fake.inbound(BUDI, "jawaban")
    client = sdk(fake)
    assert [m.body for m in client.messages.list(to=f"whatsapp:{BUDI}", page_size=2)] == ["4", "3", "2", "1", "0"]
    assert [(m.body, m.direction) for m in client.messages.list(to=f"whatsapp:{US}")] == [("jawaban", "inbound")]
    first = fake.messages[0]
    fetched = client.messages(first.sid).fetch()
    assert (fetched.status, fetched.error_code, fetched.date_created.timestamp()) == ("failed", 63016, first.created)


def test_dates_find_only_what_was_sent(fake: FakeTwilio, clock: Clock) -> None:
    fake.inbound(BUDI, "lama")
    clock.now += 100_000
    fake.inbound(BUDI, "baru")
    call(fake, MESSAGES, form())
    client, limit = sdk(fake), datetime.fromtimestamp(clock.now - 50_000, UTC)
    assert [m.body for m in client.messages.list(date_sent_after=limit)] == ["baru"]
    assert [m.body for m in client.messages.list(date_sent_before=limit)] == ["lama"]
    assert [m.body for m in client.messages.list(date_sent=datetime.fromtimestamp(clock.now, UTC))] == ["baru"]
    fake.advance(fake.messages[0].sid, "sent")
    assert len(client.messages.list(date_sent_after=limit)) == 2
    assert call(fake, f"{MESSAGES}?DateSent=kemarin")[1]["code"] == 20422
    assert call(fake, f"{MESSAGES}?PageSize=1001")[1]["code"] == 20007


def test_the_shipped_templates_pass_and_bad_ones_are_rejected(fake: FakeTwilio) -> None:
    def submitted(content: dict[str, Any]) -> tuple[str, str]:
        sid = call(fake, "/v1/Content", body=content)[1]["sid"]
        call(fake, f"/v1/Content/{sid}/ApprovalRequests/whatsapp", body={"name": "x", "category": "UTILITY"})
        approval = call(fake, f"/v1/Content/{sid}/ApprovalRequests")[1]["whatsapp"]
        return approval["status"], approval["rejection_reason"]

    assert {submitted(template.content()) for template in (*TEMPLATES.values(), FALLBACK)} == {("received", "")}
    for body in ("{{1}} di depan", "di belakang {{1}}", "dua {{1}} {{2}} berdampingan.", "tanpa contoh {{3}}."):
        content = {"language": "id", "variables": {"1": "a", "2": "b"}, "types": {"twilio/text": {"body": body}}}
        assert submitted(content)[0] == "rejected", body


def test_an_approval_is_what_lets_a_template_out(fake: FakeTwilio) -> None:
    sid = call(fake, "/v1/Content", body=FALLBACK.content())[1]["sid"]
    fake.approve(sid)
    call(fake, MESSAGES, template_form(sid, {"1": "K7M-1"}))
    assert fate(fake) == ("queued", None)
    assert call(fake, f"/v1/Content/{sid}")[1]["types"] == FALLBACK.content()["types"]
    assert [row["sid"] for row in call(fake, "/v1/Content")[1]["contents"]] == [sid]


@pytest.mark.parametrize(("token", "url", "params", "expected"), [
    ("12345", "https://mycompany.com/myapp.php?foo=1&bar=2", {
        "CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
        "To": "+18005551212"}, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),  # Twilio's published example
    ("12345", "https://agen.koperasi.co.id/twilio/inbound", {
        "From": f"whatsapp:{BUDI}", "To": "whatsapp:+14155238886", "Body": "ACK 42", "WaId": BUDI[1:],
        "ProfileName": "Budi", "MessageSid": "SM" + "a" * 32, "SmsSid": "SM" + "a" * 32,
        "AccountSid": "AC" + "b" * 32, "NumMedia": "0", "ButtonPayload": "ack:42", "ButtonText": "Saya tangani",
        "MediaUrl0": ""}, "9CCRNHCilgy98Biu+UQkX1sGnRw="),
])
def test_callbacks_are_signed_as_twilio_signs(token: str, url: str, params: dict[str, str], expected: str) -> None:
    from twilio.request_validator import RequestValidator

    assert signature(token, url, params) == expected
    assert RequestValidator(token).validate(url, params, expected)


class Hook(BaseHTTPRequestHandler):
    got: list[tuple[str, dict[str, str], str]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        params = dict(urllib.parse.parse_qsl(body, keep_blank_values=True))
        self.got.append((self.path, params, self.headers["X-Twilio-Signature"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(name="hook")
def _hook() -> Iterator[HTTPServer]:
    Hook.got = []
    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_callbacks_come_signed_twice_and_before_the_answer(fake: FakeTwilio, hook: HTTPServer) -> None:
    from twilio.request_validator import RequestValidator

    public = "https://jaga.example/hooks/twilio"
    fake.callbacks(Manner(times=2, before_response=True, send_to=f"http://127.0.0.1:{hook.server_port}",
                          inbound_url=public))
    fake.inbound(BUDI, "ok", ButtonPayload="ack")
    fake.wait_posts(2)
    call(fake, MESSAGES, form(StatusCallback=public))
    assert [params["MessageStatus"] for _, params, _ in Hook.got[2:]] == ["queued", "queued"]
    fake.advance(fake.messages[0].sid, "delivered")
    fake.wait_posts(6)
    assert [(path, params.get("ButtonPayload"), params.get("MessageStatus")) for path, params, _ in Hook.got[::2]] == [
        ("/hooks/twilio", "ack", None), ("/hooks/twilio", None, "queued"), ("/hooks/twilio", None, "delivered")]
    assert all(RequestValidator("token").validate(public, params, signed) for _, params, signed in Hook.got)
    assert {post.status for post in fake.posts} == {204}


def test_a_callback_whose_answer_breaks_off_is_one_that_nobody_took(fake: FakeTwilio) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        fake.callbacks(Manner(inbound_url=f"http://127.0.0.1:{door.getsockname()[1]}/hooks/twilio"))
        fake.inbound(BUDI, "ok")
        wire, _ = door.accept()
        with wire:
            wire.recv(65536)
            wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n")
        [post] = fake.wait_posts(1)
    assert (post.status, post.answer) == (0, "IncompleteRead(0 bytes read, 11 more expected)")


def test_no_callback_leaves_the_machine(fake: FakeTwilio) -> None:
    fake.inbound(BUDI, "halo")
    call(fake, MESSAGES, form(StatusCallback="https://jaga.example/hooks/twilio"))
    assert [(post.status, post.answer) for post in fake.wait_posts(1)] == [(0, "not on this machine: not called")]


def test_a_plan_of_faults_is_used_up_in_order(fake: FakeTwilio) -> None:
    fake.misbehave(["429", "fine", "500", Fault(kind="500", on="list")])
    assert [call(fake, MESSAGES, form())[0] for _ in range(4)] == [429, 201, 500, 201]
    assert [call(fake, MESSAGES)[0] for _ in range(2)] == [500, 200]


def test_the_process_outlives_its_callers_and_goes_on_from_its_file(tmp_path: Path) -> None:
    def start() -> "tuple[subprocess.Popen[str], FakeAt]":
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.demo.fake_twilio", "--state", str(tmp_path / "state.json"),
             "--account", '{"pair_seconds": 0}'], stdout=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[2])
        assert process.stdout is not None
        return process, FakeAt(json.loads(process.stdout.readline())["url"])

    process, fake = start()
    try:
        call(fake, "/_fake/inbound", body={"from_": BUDI, "body": "halo"})
        call(fake, "/_fake/misbehave", body={"next": [{"kind": "429"}]})
        assert [call(fake, MESSAGES, form())[0] for _ in range(2)] == [429, 201]
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)  # and closes the pipe
        process, fake = start()
        sid = call(fake, MESSAGES, form(Body="lagi"))[1]["sid"]
        call(fake, "/_fake/advance", body={"sid": sid, "status": "read"})
        call(fake, "/_fake/person", body={"number": BUDI, "fail": 63024})
        call(fake, "/_fake/account", body={"balance": "1.00"})
        call(fake, MESSAGES, form(Body="gagal"))
        messages = call(fake, "/_fake/messages?at_least=3&timeout=5")[1]
        assert [(m["body"], m["status"]) for m in messages if m["direction"] != "inbound"] == [
            ("Halo 🚨", "queued"), ("lagi", "read"), ("gagal", "undelivered")]
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.communicate(timeout=10)


class FakeAt:
    """A fake in another process: its address is all that a caller knows."""

    def __init__(self, url: str) -> None:
        self.url = url
