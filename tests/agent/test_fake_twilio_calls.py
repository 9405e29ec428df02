"""The fake's voice calls, taps and approvals refuse what Twilio refuses: held against Twilio's own SDK."""

import json
import urllib.error
import urllib.parse
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.demo.fake_twilio import FakeTwilio, Manner
from agent.demo.fake_twilio.calls import spoken
from alerts.notifiers.twilio_templates import FALLBACK, TEMPLATES

BUDI, US, ACCOUNT = "+6281234567890", "+15005550006", "AC" + "0" * 32
CALLS = f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json"
SAY = '<Response><Say language="id-ID" voice="Google.id-ID-Wavenet-A">Halo</Say></Response>'


class Clock:
    now = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="fake")
def _fake(clock: Clock) -> Iterator[FakeTwilio]:
    with FakeTwilio(clock=clock) as fake:
        yield fake


def call(fake: FakeTwilio, path: str, form: dict[str, str] | None = None, body: Any = None) -> tuple[int, Any]:
    data = json.dumps(body).encode() if body is not None else form and urllib.parse.urlencode(form).encode()
    kind = "application/json" if body is not None else "application/x-www-form-urlencoded"
    request = urllib.request.Request(fake.url + path, data or None, {
        "Authorization": "Basic " + b64encode(f"{ACCOUNT}:token".encode()).decode(), "Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def form(**changes: str | None) -> dict[str, str]:
    fields = {"To": BUDI, "From": US, "Twiml": SAY, **changes}
    return {name: value for name, value in fields.items() if value is not None}


def sdk(fake: FakeTwilio) -> Any:
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client

    client = Client(ACCOUNT, "token", http_client=TwilioHttpClient(timeout=10))
    client.api.base_url = client.content.base_url = fake.url
    return client


def test_an_accepted_call_is_answered_in_twilios_words(fake: FakeTwilio) -> None:
    uri = f"/2010-04-01/Accounts/{ACCOUNT}/Calls/CA{1:032x}"
    assert call(fake, CALLS, form()) == (201, {
        "account_sid": ACCOUNT, "annotation": None, "answered_by": None, "api_version": "2010-04-01",
        "caller_name": None, "date_created": "Mon, 02 Feb 2026 02:40:00 +0000",
        "date_updated": "Mon, 02 Feb 2026 02:40:00 +0000", "direction": "outbound-api", "duration": None,
        "end_time": None, "forwarded_from": None, "from": US, "from_formatted": US, "group_sid": None,
        "parent_call_sid": None, "phone_number_sid": None, "price": None, "price_unit": "USD", "queue_time": "0",
        "sid": f"CA{1:032x}", "start_time": None, "status": "queued", "to": BUDI, "to_formatted": BUDI,
        "trunk_sid": "", "uri": f"{uri}.json",
        "subresource_uris": {"events": f"{uri}/Events.json", "recordings": f"{uri}/Recordings.json"}})


@pytest.mark.parametrize(("changes", "code"), [
    ({"To": None}, 21201), ({"To": f"whatsapp:{BUDI}"}, 21211), ({"To": "081234567890"}, 21211),
    ({"From": None}, 21213), ({"From": "Jaga"}, 21212), ({"From": "+15005550007"}, 21210),
    ({"To": "+4915111111111"}, 21215), ({"Timeout": "0"}, 21208), ({"Timeout": "1.5"}, 21208),
    ({"Timeout": "601"}, 21208), ({"TimeLimit": "0"}, 20422), ({"MachineDetection": "yes"}, 20422),
    ({"MachineDetectionTimeout": "2"}, 20422), ({"MachineDetectionSilenceTimeout": "1999"}, 20422),
    ({"Twiml": None}, 21205), ({"Twiml": None, "Url": "http://127.0.0.1/x"}, 20001), ({"Ring": "5"}, 20001),
    ({"Twiml": SAY.replace("Halo", "x" * 4000)}, 32018), ({"Twiml": "<Response><Say>"}, 12100),
    ({"Twiml": "<Response/>"}, 12200), ({"Twiml": "<Jawab/>"}, 12200),
    ({"Twiml": "<Response><Dial>+62812</Dial></Response>"}, 12200),
    ({"Twiml": SAY.replace("Wavenet-A", "Wavenet-Z")}, 13512),
    ({"Twiml": SAY.replace("id-ID\" v", "ms-MY\" v")}, 13512),
    ({"Twiml": SAY.replace("Google.id-ID-Wavenet-A", "Polly.Joanna")}, 13512),
    ({"Twiml": SAY.replace("Halo", " ")}, 13520),
])
def test_what_twilio_refuses_is_refused_and_not_recorded(fake: FakeTwilio, changes: dict[str, str | None],
                                                        code: int) -> None:
    status, answer = call(fake, CALLS, form(**changes))
    assert (status, answer["code"]) == (400, code)
    assert fake.calls == []


def test_without_money_and_by_json_nobody_is_called(fake: FakeTwilio) -> None:
    assert call(fake, CALLS, body={"To": BUDI})[1]["code"] == 20415
    fake.settings(active=False)
    assert call(fake, CALLS, form())[1]["code"] == 20005
    assert fake.calls == []


@pytest.mark.parametrize(("line", "end"), [
    ("human", ("completed", "20", "human")), ("machine_start", ("completed", "20", "machine_start")),
    ("busy", ("busy", None, None)), ("no-answer", ("no-answer", None, None)), ("failed", ("failed", None, None))])
def test_a_call_goes_at_its_pace_as_the_person_is(fake: FakeTwilio, clock: Clock, line: str,
                                                  end: tuple[str, str | None, str | None]) -> None:
    fake.settings(call_pace=(("ringing", 2.0), ("in-progress", 10.0), ("completed", 30.0)))
    fake.person(BUDI, line=line)
    client = sdk(fake)
    sid = client.calls.create(to=BUDI, from_=US, twiml=SAY, machine_detection="Enable").sid
    seen = [client.calls(sid).fetch().status]
    for _ in range(4):
        clock.now += 9
        seen.append(client.calls(sid).fetch().status)
    fetched = client.calls(sid).fetch()
    assert (fetched.status, fetched.duration, fetched.answered_by) == end
    assert seen[:2] == ["queued", "ringing"]
    assert ("in-progress" in seen) is (end[0] == "completed")
    assert (fetched.start_time is not None) is (end[0] == "completed")


def test_who_picked_up_is_told_only_where_it_was_asked(fake: FakeTwilio) -> None:
    sid = call(fake, CALLS, form())[1]["sid"]
    fake.advance_call(sid, "in-progress", "machine_start")
    assert fake.calls[0].answered_by == ""
    assert spoken(fake.calls[0]) == "Halo"


def test_an_unknown_call_is_not_found(fake: FakeTwilio) -> None:
    assert call(fake, CALLS.replace(".json", "/CA1.json"))[1]["code"] == 20404


def test_calls_outlive_the_process_and_are_steered_from_outside(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "state.json"
    with FakeTwilio(clock=clock, file=file) as fake:
        call(fake, "/_fake/person", body={"number": BUDI, "line": "machine_start"})
        sid = call(fake, CALLS, form(MachineDetection="Enable"))[1]["sid"]
    with FakeTwilio(clock=clock, file=file) as fake:
        clock.now += 5
        call(fake, "/_fake/advance-call", body={"sid": sid, "status": "in-progress"})
        clock.now += 7
        call(fake, "/_fake/advance-call", body={"sid": sid, "status": "completed"})
        [told] = call(fake, "/_fake/calls")[1]
        assert (told["status"], told["answered_by"], told["end"] - told["start"]) == ("completed", "machine_start", 7)
        assert fake.wait_calls(1)[0].sid == sid


def test_a_tap_carries_the_title_and_by_webhook_the_rest(fake: FakeTwilio) -> None:
    sid = fake.template("Halo {{1}}.", button="Saya tangani")
    message = fake.api.accept({"To": f"whatsapp:{BUDI}", "From": f"whatsapp:{US}", "ContentSid": sid,
                               "ContentVariables": '{"1": "Budi"}'})
    fake.callbacks(Manner(inbound_url="https://jaga.example/hooks/twilio"))
    assert fake.tap(BUDI, message.sid).body == "Saya tangani"
    [post] = fake.wait_posts(1)
    carried = {"Body": "Saya tangani", "ButtonText": "Saya tangani", "ButtonPayload": "ok",
               "OriginalRepliedMessageSid": message.sid}
    assert {name: post.params[name] for name in carried} == carried
    assert call(fake, "/_fake/tap", body={"from_": BUDI, "sid": message.sid})[1]["body"] == "Saya tangani"


def submitted(fake: FakeTwilio, content: dict[str, Any], **changes: str) -> tuple[int, Any]:
    sid = call(fake, "/v1/Content", body=content)[1]["sid"]
    request = {"name": "jaga_kabar", "category": "UTILITY", **changes}
    return call(fake, f"/v1/Content/{sid}/ApprovalRequests/whatsapp", body=request)


@pytest.mark.parametrize(("actions", "status"), [
    ([{"type": "QUICK_REPLY", "title": "Saya tangani", "id": "ok"}], "received"),
    ([{"title": "Ya"}], "received"), ([], "rejected"), ([{"type": "QUICK_REPLY", "id": "ok"}], "rejected"),
    ([{"type": "URL", "title": "x"}], "rejected"), ([{"title": "x" * 21}], "rejected"),
    ([{"title": "x"}] * 11, "rejected")])
def test_buttons_are_judged(fake: FakeTwilio, actions: list[dict[str, str]], status: str) -> None:
    types = {"twilio/quick-reply": {"body": "Halo.", "actions": actions}}
    assert submitted(fake, {"language": "id", "types": types})[1]["status"] == status


def test_a_request_of_approval_is_checked_and_made_once(fake: FakeTwilio) -> None:
    assert [submitted(fake, template.content())[0] for template in (*TEMPLATES.values(), FALLBACK)] == [201] * 3
    assert submitted(fake, FALLBACK.content(), name="Jaga Kabar")[0] == 400
    assert submitted(fake, FALLBACK.content(), category="ALERT")[0] == 400
    sid = next(iter(fake.ledger.books.templates))
    again = call(fake, f"/v1/Content/{sid}/ApprovalRequests/whatsapp", body={"name": "x", "category": "UTILITY"})
    assert again[0] == 400
