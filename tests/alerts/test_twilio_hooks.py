"""Twilio's webhooks as values: who signed, what was written, what became of a message; against the fake's own calls."""

import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from agent.demo.fake_twilio import Account, FakeTwilio, Manner
from alerts.notification import Proof, Reply, Status
from alerts.notifiers.twilio_hooks import incoming, outcome, verify
from alerts.notifiers.twilio_outcome import LATER, MEANING, judged

BUDI, URL, NOW = "+6281234567890", "https://agen.koperasi.co.id/twilio/inbound", 1_770_000_000.0
SID = "SM" + "a" * 32
FORM = {"From": f"whatsapp:{BUDI}", "To": "whatsapp:+14155238886", "Body": "ACK 42", "WaId": BUDI[1:],
        "ProfileName": "Budi", "MessageSid": SID, "SmsSid": SID, "AccountSid": "AC" + "b" * 32, "NumMedia": "0",
        "ButtonPayload": "ack:42", "ButtonText": "Saya tangani", "MediaUrl0": ""}
SIGNED = "9CCRNHCilgy98Biu+UQkX1sGnRw="
CALL_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
CALL = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309",
        "To": "+18005551212"}


@pytest.mark.parametrize(("url", "params", "signature", "token", "good"), [
    (CALL_URL, CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8=", "12345", True),  # Twilio's published example
    (URL, FORM, SIGNED, "12345", True),
    ("https://agen.koperasi.co.id:443/twilio/inbound", FORM, SIGNED, "12345", True),
    ("http://agen.koperasi.co.id/twilio/inbound", FORM, SIGNED, "12345", False),
    (URL + "/", FORM, SIGNED, "12345", False), (URL + "?x=1", FORM, SIGNED, "12345", False),
    (URL, {**FORM, "Body": "ACK 43"}, SIGNED, "12345", False),
    (URL, {name: value for name, value in FORM.items() if value}, SIGNED, "12345", False),  # an empty field dropped
    (URL, {**FORM, "More": "x"}, SIGNED, "12345", False),
    (URL, FORM, SIGNED, "12346", False), (URL, FORM, SIGNED.lower(), "12345", False),
    (URL, FORM, "", "12345", False), (URL, FORM, "tanda tangän", "12345", False),
])
def test_only_twilio_can_sign(url: str, params: dict[str, str], signature: str, token: str, good: bool) -> None:
    assert verify(url, params, signature, token) is good


def test_an_empty_token_signs_nothing() -> None:
    from twilio.request_validator import RequestValidator

    assert not verify(URL, FORM, RequestValidator("").compute_signature(URL, FORM), "")


REPLY = Reply(id=SID, address=BUDI, text="ok K7M", at=NOW)
MESSAGE = {"MessageSid": SID, "From": f"whatsapp:{BUDI}", "Body": "ok K7M", "NumMedia": "0", "SmsStatus": "received"}


@pytest.mark.parametrize(("params", "reply"), [
    (MESSAGE, REPLY),
    ({**MESSAGE, "Body": "Saya tangani", "ButtonText": "Saya tangani", "ButtonPayload": "ok", "ProfileName": "Budi",
      "OriginalRepliedMessageSid": "MM5"},
     Reply(id=SID, address=BUDI, text="Saya tangani", at=NOW, name="Budi", payload="ok", about="MM5")),
    ({**MESSAGE, "Body": "", "NumMedia": "1"}, Reply(id=SID, address=BUDI, text="", at=NOW, media=True)),
    ({**MESSAGE, "Body": "lihat ini", "NumMedia": "2"}, Reply(id=SID, address=BUDI, text="lihat ini", at=NOW,
                                                              media=True)),
    ({**MESSAGE, "Body": "", "Latitude": "-6.2"}, Reply(id=SID, address=BUDI, text="", at=NOW, media=True)),
    ({**MESSAGE, "Body": "", "ButtonPayload": "ok"}, Reply(id=SID, address=BUDI, text="", at=NOW, payload="ok")),
    ({**MESSAGE, "NumMedia": "x"}, REPLY),
    ({**MESSAGE, "From": BUDI}, None),  # an SMS
    ({**MESSAGE, "MessageSid": ""}, None),
    ({**MESSAGE, "MessageStatus": "delivered"}, None),  # a status callback
    (CALL, None), ({}, None),
])
def test_what_somebody_wrote_is_read(params: dict[str, str], reply: Reply | None) -> None:
    assert incoming(params, NOW) == reply


@pytest.mark.parametrize(("params", "expected"), [
    ({"MessageStatus": "queued"}, Status(Proof.ACCEPTED)), ({"MessageStatus": "sent"}, Status(Proof.ACCEPTED)),
    ({"MessageStatus": "delivered"}, Status(Proof.DELIVERED)), ({"MessageStatus": "read"}, Status(Proof.READ)),
    ({"MessageStatus": "failed", "ErrorCode": "63016"}, judged("failed", 63016)),
    ({"MessageStatus": "undelivered", "ErrorCode": "63018"}, judged("undelivered", 63018)),
    ({"MessageStatus": "failed", "ErrorCode": "12", "ErrorMessage": "to +6281234567890"},
     Status(failed="12 to …890")),
    ({"MessageStatus": "failed"}, Status(failed="failed")),
    ({"MessageStatus": "failed", "ErrorCode": "²"}, Status(failed="failed")),
])
def test_what_became_of_a_message_is_read(params: dict[str, str], expected: Status) -> None:
    assert outcome({"MessageSid": SID, **params}) == (SID, expected)


@pytest.mark.parametrize("params", [MESSAGE, CALL, {}, {"MessageStatus": "sent"},
                                    {"MessageSid": SID, "MessageStatus": "received"},
                                    {"MessageSid": SID, "MessageStatus": "baru"}])
def test_what_is_no_status_is_none(params: dict[str, str]) -> None:
    assert outcome(params) is None


def test_refused_content_may_go_again_only_where_a_fall_back_is_set() -> None:
    params = {"MessageSid": SID, "MessageStatus": "failed", "ErrorCode": "63013"}
    assert [outcome(params, fallback=fallback) for fallback in (False, True)] == [
        (SID, Status(failed="63013 WhatsApp's policy forbids the content")),
        (SID, Status(failed="63013 WhatsApp's policy forbids the content", content_refused=True))]


def test_each_error_that_passes_is_tried_again_and_no_other() -> None:
    assert {code for code in MEANING if judged("failed", code).retry} == LATER
    assert {code for code in MEANING if judged("failed", code).needs_template} == {63016}


def test_the_fakes_calls_are_understood_and_their_signatures_hold() -> None:
    got: list[tuple[dict[str, str], str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((dict(urllib.parse.parse_qsl(body, keep_blank_values=True)),
                        self.headers["X-Twilio-Signature"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Hook) as server, FakeTwilio(Account(token="rahasia")) as fake:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        fake.callbacks(Manner(inbound_url=URL, send_to=f"http://127.0.0.1:{server.server_port}"))
        written = fake.inbound(BUDI, "halo", ProfileName="Budi")
        message = fake.api.accept({"To": f"whatsapp:{BUDI}", "From": "whatsapp:+15005550006", "Body": "Halo",
                                   "StatusCallback": URL})
        fake.advance(message.sid, "failed", 63024)
        fake.wait_posts(3)
        server.shutdown()
        thread.join(10)
    assert all(verify(URL, params, signature, "rahasia") for params, signature in got)
    replies = [reply for params, _ in got if (reply := incoming(params, NOW))]
    assert replies == [Reply(id=written.sid, address=BUDI, text="halo", at=NOW, name="Budi")]
    outcomes = [news for params, _ in got if (news := outcome(params))]
    assert sorted(outcomes, key=str) == sorted([(message.sid, Status(Proof.ACCEPTED)),
                                                (message.sid, judged("undelivered", 63024))], key=str)
