"""The Fonnte notifier against the strict fake: what is sent, what each trouble is taken for, what a webhook says."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.demo.fake_fonnte import DEVICE, FakeFonnte
from agent.demo.fake_twilio import Fault
from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Reply, Section, Uncertain
from alerts.notifiers.fonnte import DeviceStatus, Fonnte, parse_incoming, parse_status
from alerts.notifiers.fonnte_line import DISCONNECTED, FRESH, Device, Gateway
from collectors.secret import Secret

BUDI, TOKEN = "+6281234567890", "rahasia-sekali"
SECTION = Section(code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
                  since="Sejak 02.14 WIB (12 menit)", detail="baris {name}\nkedua {main}", first="Hapus log\tlama",
                  answer='Balas "ok K7M" bila Anda tangani.')
LETTER = Letter(mark="K7M-3", to=BUDI, name="Budi", language="id", severity="critical", created=0.0, stale_at=1800.0,
                subject="[Jaga KRITIS] K7M Disk", sections=(SECTION,))


@pytest.fixture(name="fake")
def _fake() -> Iterator[FakeFonnte]:
    with FakeFonnte(TOKEN) as fake:
        yield fake


@pytest.fixture(name="notifier")
def _notifier(fake: FakeFonnte) -> Fonnte:
    return build(fake.url)


def build(url: str, token: str = TOKEN, **options: Any) -> Fonnte:
    return Fonnte(**{"token": Secret("a test", lambda: token), "base_url": url, **options})


def letter(**changes: Any) -> Letter:
    return msgspec.structs.replace(LETTER, **changes)


def test_the_whole_text_goes_out_with_its_mark_and_proves_acceptance_alone(fake: FakeFonnte, notifier: Fonnte) -> None:
    assert notifier.send(LETTER) == Receipt("80367170", Proof.ACCEPTED)
    [message] = fake.messages
    assert (message.target, message.text) == ("6281234567890", (
        "KRITIS: Disk / terisi 93 %\nSejak 02.14 WIB (12 menit)\nLangkah pertama: Hapus log lama\n"
        'Balas "ok K7M" bila Anda tangani.\nbaris { name}\nkedua {main}\n\n[K7M-3]'))
    assert (notifier.proof, hasattr(notifier, "find"), hasattr(notifier, "status")) == (Proof.ACCEPTED, False, False)


def test_fifty_problems_with_the_worst_texts_still_pass(fake: FakeFonnte, notifier: Fonnte) -> None:
    nasty = "SQLSTATE[HY000]\n#0 /var/www\t{main}      🚨" * 40
    many = tuple(msgspec.structs.replace(SECTION, code=f"A{n:02}", mark=f"A{n:02}-1", headline=nasty, since=nasty,
                                         first=nasty, fix=nasty, detail=nasty, answer=nasty) for n in range(50))
    notifier.send(letter(sections=many))
    assert len(fake.messages[0].text.encode("utf-16-le")) // 2 <= 4000
    assert "[K7M-3 A00-1" in fake.messages[0].text


@pytest.mark.parametrize(("to", "target"), [
    ("+62 812-3456-7890", "6281234567890"), ("081234567890", "6281234567890"), ("6281234567890", "6281234567890"),
    ("+6591234567", "6591234567"), ("120363041234567890@g.us", "120363041234567890@g.us")])
def test_a_number_is_written_as_fonnte_takes_it(fake: FakeFonnte, notifier: Fonnte, to: str, target: str) -> None:
    notifier.send(letter(to=to))
    assert fake.messages[0].target == target


@pytest.mark.parametrize("to", ["", "budi", "+62", "0062812345678", "+6281234567890,+6281234567891", "62812|Budi|x"])
def test_what_is_no_number_is_refused_before_anything_is_asked(fake: FakeFonnte, notifier: Fonnte, to: str) -> None:
    with pytest.raises(Refused, match="whatsapp number is not one"):
        notifier.send(letter(to=to))
    assert (fake.questions, fake.messages) == (0, [])


def test_a_device_that_is_off_is_busy_and_the_message_stays_with_us(fake: FakeFonnte, notifier: Fonnte) -> None:
    fake.switch(False)
    fake.state.blind = True  # "status": true while disconnected
    with pytest.raises(Busy, match="scan the QR") as caught:
        notifier.send(LETTER)
    assert (caught.value.retry_after, fake.messages) == (60.0, [])
    fake.switch(True)
    assert notifier.send(LETTER).id == "80367170"


def test_a_device_that_drops_between_question_and_message_is_noticed(fake: FakeFonnte, notifier: Fonnte) -> None:
    notifier.send(LETTER)
    fake.switch(False)
    with pytest.raises(Busy, match="scan the QR") as caught:
        notifier.send(LETTER)  # the device was believed to be on
    assert (caught.value.why, caught.value.retry_after, fake.questions) == (DISCONNECTED, 60.0, 1)
    with pytest.raises(Busy, match="scan the QR"):
        notifier.send(LETTER)  # now it is asked for
    assert (fake.questions, len(fake.messages)) == (2, 1)


def test_the_device_is_asked_for_once_a_minute_and_after_each_failure(fake: FakeFonnte) -> None:
    now = 1000.0
    line = Gateway(fake.url, Secret("a test", lambda: TOKEN), 10.0, clock=lambda: now)
    fields = {"target": "6281234567890", "message": "x"}
    asked = []
    for passed, fault in ((0.0, None), (FRESH - 1, None), (2.0, None), (0.0, "accept-500"), (0.0, None)):
        now += passed
        if fault:
            fake.misbehave(["accept-500"])
            with pytest.raises(Uncertain):
                line.send(fields)
        else:
            line.send(fields)
        asked.append(fake.questions)
    assert asked == [1, 1, 2, 2, 3]


def test_too_many_questions_do_not_silence_the_alarm(fake: FakeFonnte, notifier: Fonnte) -> None:
    fake.state.limited = True
    notifier.send(LETTER)
    fake.state.limited = False
    fake.misbehave([Fault(kind="429", on="fetch")])
    build(fake.url).send(LETTER)
    fake.misbehave([Fault(kind="429", on="fetch")])
    fake.switch(False)
    with pytest.raises(Busy, match="scan the QR"):  # as /send says
        build(fake.url).send(LETTER)
    assert len(fake.messages) == 2


CALLS: list[tuple[Fault, type[Exception], float | None, int]] = [
    (Fault(kind="429", retry_after="7"), Busy, 7.0, 0), (Fault(kind="429"), Busy, None, 0),
    (Fault(kind="429", retry_after="99999999"), Busy, 3600.0, 0),
    (Fault(kind="500"), Uncertain, None, 0), (Fault(kind="503", retry_after="9"), Uncertain, None, 0),
    (Fault(kind="accept-500"), Uncertain, None, 1), (Fault(kind="reset"), Uncertain, None, 0),
    (Fault(kind="accept-reset"), Uncertain, None, 1), (Fault(kind="hang"), Uncertain, None, 0),
    (Fault(kind="accept-hang"), Uncertain, None, 1), (Fault(kind="slow", seconds=30.0), Uncertain, None, 1),
    (Fault(kind="wrong-json"), Uncertain, None, 1), (Fault(kind="odd-json"), Uncertain, None, 1),
    (Fault(kind="truncated"), Uncertain, None, 1), (Fault(kind="wrong-host"), Uncertain, None, 0),
    (Fault(kind="refuse"), Refused, None, 0),
]


@pytest.mark.timeout(10)  # a hang ends by our own time-out
@pytest.mark.parametrize(("fault", "outcome", "retry_after", "taken"), CALLS, ids=lambda value: getattr(
    value, "kind", ""))
def test_each_trouble_is_taken_for_what_it_is(fake: FakeFonnte, fault: Fault, outcome: type[Exception],
                                              retry_after: float | None, taken: int) -> None:
    fake.misbehave([fault])
    with pytest.raises(outcome) as caught:
        build(fake.url, timeout=0.3).send(LETTER)
    assert (getattr(caught.value, "retry_after", None), len(fake.messages)) == (retry_after, taken)
    assert_nothing_private(caught.value)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("kind", ["500", "503", "reset", "hang", "wrong-json", "odd-json", "truncated", "wrong-host"])
def test_a_question_that_fails_has_sent_nothing(fake: FakeFonnte, kind: Any) -> None:
    notifier = build(fake.url, timeout=0.3)
    fake.misbehave([Fault(kind=kind, on="fetch")])
    with pytest.raises(Busy):
        notifier.send(LETTER)
    assert fake.messages == []
    notifier.send(LETTER)


def assert_nothing_private(error: BaseException) -> None:
    assert TOKEN not in repr(error)
    assert "8123" not in repr(error)
    assert (error.__cause__, error.__suppress_context__ or error.__context__ is None) == (None, True)


@pytest.mark.parametrize(("reason", "outcome", "words"), [
    ("token invalid", Refused, "copy the device's token anew"), ("Invalid Token", Refused, "does not know the token"),
    ("insufficient quota", Refused, "renew or top up"), ("target invalid", Refused, "does not take the number"),
    ("input invalid", Refused, "does not take the message"), ("url unreachable", Refused, "url unreachable"),
    ("", Refused, "no reason given"), ("blocked 0812-3456-7890 by admin", Refused, "blocked … by admin"),
    ("request invalid on disconnected device", Busy, "scan the QR"), ("device not connected", Busy, "scan the QR"),
    ("too many request", Busy, "takes no more"), ("rate limit exceeded", Busy, "takes no more"),
    ("please wait 30 seconds", Busy, "takes no more"), ("Server Error", Busy, "error of its own"),
    ("request timeout", Uncertain, "gave up waiting"),
])
def test_each_reason_has_its_meaning(fake: FakeFonnte, notifier: Fonnte, reason: str, outcome: type[Exception],
                                     words: str) -> None:
    fake.state.reasons = [reason]
    with pytest.raises(outcome, match=words) as caught:
        notifier.send(LETTER)
    assert_nothing_private(caught.value)


@pytest.mark.parametrize("token", ["another", "Bearer " + TOKEN])
def test_a_wrong_token_is_permanent_and_not_told(fake: FakeFonnte, token: str) -> None:
    notifier = build(fake.url, token)
    with pytest.raises(Refused) as caught:
        notifier.send(LETTER)
    assert caught.value.code == "token invalid"
    assert token not in f"{caught.value!r} {notifier!r}"


@pytest.mark.parametrize("token", ["geheim\nX: y", "géheim", "ge\x00heim"])
def test_a_token_that_no_header_can_carry_is_not_told(fake: FakeFonnte, token: str) -> None:
    with pytest.raises(Refused, match="no header can carry") as caught:
        build(fake.url, token).send(LETTER)
    assert "heim" not in repr(caught.value)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_where_nobody_listens_the_message_surely_did_not_leave(base_url: str) -> None:
    with pytest.raises(Busy, match="no connection to Fonnte: nobody listens there") as caught:
        build(base_url).send(LETTER)
    assert_nothing_private(caught.value)


class Fixed(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answers: dict[str, tuple[int, bytes]] = self.server.answers  # type: ignore[attr-defined]
        status, body = answers[self.path]
        self.send_response(status)
        self.send_header("Location", "/send")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(name="fixed")
def _fixed() -> Iterator[HTTPServer]:
    """A server with one answer for each path: what the strict fake would never say."""
    with HTTPServer(("127.0.0.1", 0), Fixed) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def answering(fixed: HTTPServer, send: str, status: int = 200, device: str = "") -> Fonnte:
    on = '{"status": true, "device_status": "connect"}'
    fixed.answers = {"/device": (200, (device or on).encode()), "/send": (status, send.encode())}  # type: ignore[attr-defined]
    return build(f"http://127.0.0.1:{fixed.server_address[1]}")


@pytest.mark.parametrize(("body", "outcome"), [
    ('{"Status": true, "ID": ["7"]}', "7"), ('{"status": "true", "id": [7]}', "7"),
    ('{"status": "FALSE", "Reason": "token invalid"}', Refused), ('{"status": 1, "id": ["7"]}', Uncertain),
    ('{"status": true, "id": []}', Uncertain), ('{"status": true, "id": "7"}', Uncertain),
    ('{"status": true, "id": [null, {}]}', Uncertain), ('{"status": null}', Uncertain), ("[]", Uncertain),
    ("null", Uncertain), ('"true"', Uncertain), ("", Uncertain), ("\x00", Uncertain), ("[" * 60000, Uncertain),
    ('{"status": false, "reason": ["token invalid"]}', Refused), ('{"status": false, "reason": 5}', Refused),
    (" " * 300_000 + '{"status": true, "id": ["7"]}', Uncertain),
])
def test_answers_of_the_wrong_shape_are_handled(fixed: HTTPServer, body: str, outcome: Any) -> None:
    notifier = answering(fixed, body)
    if isinstance(outcome, str):
        assert notifier.send(LETTER) == Receipt(outcome)
        return
    with pytest.raises(outcome):
        notifier.send(LETTER)


@pytest.mark.parametrize(("status", "body", "outcome"), [
    (403, "<html>WAF</html>", Busy), (404, "", Busy), (302, "", Busy), (301, "", Busy), (502, "<html>", Uncertain),
    (401, '{"status": false, "reason": "token invalid"}', Refused),
    (500, '{"status": false, "reason": "token invalid"}', Uncertain)])
def test_the_http_status_counts_where_the_body_is_not_fonntes(fixed: HTTPServer, status: int, body: str,
                                                              outcome: type[Exception]) -> None:
    with pytest.raises(outcome):
        answering(fixed, body, status).send(LETTER)


@pytest.mark.parametrize(("said", "expected"), [
    ('"device_status": "connect", "quota": "78", "expired": "18 November 2029", "name": "A", "package": "Reguler"',
     Device(connected=True, quota=78, expires="18 November 2029", name="A", package="Reguler")),
    ('"device_status": "Disconnect", "quota": 12, "expired": 5', Device(connected=False, quota=12, expires="5")),
    ('"device_status": "connect", "quota": "unlimited", "name": null', Device(connected=True)),
    ('"device_status": "connect", "quota": -1, "name": ["x"]', Device(connected=True)),
    ('"device_status": "connect", "quota": true', Device(connected=True)),
    ('"Device_Status": "connect", "QUOTA": "0"', Device(connected=True, quota=0)),
])
def test_the_device_and_its_quota_are_read_as_they_come(fixed: HTTPServer, said: str, expected: Device) -> None:
    assert answering(fixed, "", device=f'{{"status": true, {said}}}').device() == expected


@pytest.mark.parametrize("said", ['{"status": true}', '{"status": true, "device_status": "scan"}',
                                  '{"status": true, "device_status": true}'])
def test_a_state_that_is_not_understood_is_not_taken_for_connected(fixed: HTTPServer, said: str) -> None:
    with pytest.raises(Busy, match="not understood"):
        answering(fixed, '{"status": true, "id": ["1"]}', device=said).send(LETTER)


@pytest.mark.parametrize(("options", "says"), [
    ({"base_url": "http://api.fonnte.com"}, "base_url must begin with https://"),
    ({"base_url": "api.fonnte.com"}, "base_url must be an address"),
    ({"base_url": "https://me:pw@api.fonnte.com"}, "base_url must not hold"),
    ({"base_url": "https://a..b"}, "base_url must be an address"),
    ({"base_url": "https://[::1"}, "base_url must be an address"),
    ({"country_code": "+62"}, "country_code must be"), ({"country_code": ""}, "country_code must be"),
    ({"hook_secret": Secret("a test", lambda: "short")}, "hook_secret must be 16"),
    ({"hook_secret": Secret("a test", lambda: "0123456789abcdef/")}, "hook_secret must be 16"),
    ({"hook_secret": Secret("a test", lambda: "fifteen-letters")}, "hook_secret must be 16"),
    ({"hook_secret": Secret("a test", lambda: "sixteen/letters/x")}, "hook_secret must be 16"),
    ({"timeout": 0.0}, "timeout must be more than 0")])
def test_a_wrong_option_stops_the_start(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        Fonnte(**{"token": Secret("a test", lambda: TOKEN), **options})
    assert str(caught.value).startswith(next(iter(options)))


# --- webhooks

NOW = 1_770_000_000.0
SAID = {"device": DEVICE, "sender": "6281234567890", "message": "ok K7M", "name": "Budi", "member": "", "url": "",
        "filename": "", "extension": "", "location": "", "timestamp": 1_769_999_990, "inboxid": 42}
HEARD = Reply(id="inbox-42", address=BUDI, text="ok K7M", at=1_769_999_990.0, name="Budi")


def heard(**changes: Any) -> Reply:
    return msgspec.structs.replace(HEARD, **changes)


@pytest.mark.parametrize(("changes", "expected"), [
    ({}, HEARD),
    ({"timestamp": "1769999990"}, HEARD),
    ({"timestamp": 1_769_999_990_000}, HEARD),
    ({"timestamp": "kemarin"}, heard(at=NOW)),
    ({"timestamp": 5}, heard(at=NOW)),
    ({"timestamp": None}, heard(at=NOW)),
    ({"timestamp": "9" * 400}, heard(at=NOW)),
    ({"sender": 6281234567890}, HEARD),
    ({"sender": "081234567890"}, HEARD),
    ({"sender": "6281234567890@s.whatsapp.net"}, HEARD),
    ({"name": None}, heard(name="")),
    ({"name": "Bu\x1b[31mdi\n"}, heard(name="Budi")),
    ({"message": "baris\r\ndua "}, heard(text="baris\ndua")),
    ({"message": 1}, heard(text="1")),
    ({"message": ""}, heard(text="", media=True)),
    ({"message": None}, heard(text="", media=True)),
    ({"message": "non-text message"}, heard(text="", media=True)),
    ({"message": "ini fotonya", "url": "https://x/y.jpg"}, heard(text="ini fotonya", media=True)),
    ({"message": "", "location": "-7.98,112.62"}, heard(text="", media=True)),
    ({"sender": "120363041234567890@g.us", "member": "6281234567890"}, heard(group="120363041234567890@g.us")),
])
def test_what_a_person_wrote_is_read(changes: dict[str, Any], expected: Reply) -> None:
    assert parse_incoming(SAID | changes, NOW) == expected
    assert parse_incoming({name.upper(): value for name, value in (SAID | changes).items()}, NOW) == expected


@pytest.mark.parametrize("payload", [
    {"device": DEVICE, "status": "disconnect", "reason": "logged out"},
    {"device": DEVICE, "id": "1", "stateid": "x", "status": "sent", "state": "delivered"},
    SAID | {"sender": DEVICE}])
def test_what_no_person_wrote_is_no_reply(payload: dict[str, Any]) -> None:
    assert parse_incoming(payload, NOW) is None


@pytest.mark.parametrize(("payload", "says"), [
    ({}, "sender"), ({"sender": ""}, "sender"), ({"sender": "budi", "message": "ok"}, "sender"),
    ({"sender": True}, "sender"), ({"sender": "123456789012345@lid", "message": "ok"}, "sender"),
    (SAID | {"sender": "1203-4@g.us", "member": ""}, "sender"),
    (SAID | {"sender": "12036-4@g.us", "member": "12036-5@g.us"}, "sender"),
    (SAID | {"member": {}, "sender": []}, "sender"),
    (SAID | {"message": {"text": "ok"}}, "message is not text"), (SAID | {"message": ["ok"]}, "message is not text")])
def test_junk_is_told_in_a_sentence(payload: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_incoming(payload, NOW)


def ident(at: float = NOW, **changes: Any) -> str:
    reply = parse_incoming({k: v for k, v in (SAID | changes).items() if v is not None}, at)
    assert reply is not None
    return reply.id


def test_fifteen_repeats_are_one_message() -> None:
    assert {ident(NOW + 60 * n) for n in range(15)} == {"inbox-42"}
    assert len({ident(NOW + 60 * n, inboxid=None) for n in range(15)}) == 1
    assert ident(inboxid=None).startswith("hash-")
    assert BUDI[1:] not in ident(inboxid=None)


@pytest.mark.parametrize("changes", [{"timestamp": 1_769_999_991}, {"message": "ok K7N"}, {"sender": "628111111111"},
                                     {"url": "https://x/y.jpg"}])
def test_another_message_is_another_one(changes: dict[str, Any]) -> None:
    assert ident(inboxid=None) != ident(**(changes | {"inboxid": None}))
    assert ident(inboxid=43) != ident()


def test_without_a_time_the_same_words_count_again_after_a_quarter_of_an_hour() -> None:
    bare = {"inboxid": None, "timestamp": None}
    assert ident(NOW - NOW % 900, **bare) == ident(NOW - NOW % 900 + 899, **bare)
    assert ident(NOW, **bare) != ident(NOW + 900, **bare)


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))


@given(st.dictionaries(st.sampled_from([*SAID, "status", "state", "id"]), VALUES))
def test_no_payload_breaks_the_reader(payload: dict[str, Any]) -> None:
    parse_status(payload, NOW)
    said = ""
    try:
        reply = parse_incoming(payload, NOW)
    except ValueError as error:
        said, reply = str(error), None
    assert (reply.address if reply else said or "+").startswith(("+", "the webhook's "))


@pytest.mark.parametrize(("payload", "expected"), [
    ({"device": DEVICE, "status": "disconnect", "timestamp": 1_769_999_990, "reason": "logged out"},
     DeviceStatus(device=DEVICE, connected=False, at=1_769_999_990.0, reason="logged out")),
    ({"device": DEVICE, "status": "connect", "reason": "x"}, DeviceStatus(device=DEVICE, connected=True, at=NOW)),
    ({"Device": int(DEVICE), "Status": "CONNECT"}, DeviceStatus(device=DEVICE, connected=True, at=NOW)),
    (SAID, None), ({}, None), ({"status": True}, None), ({"id": "1", "status": "connect"}, None)])
def test_the_devices_own_webhook_is_read(payload: dict[str, Any], expected: DeviceStatus | None) -> None:
    assert parse_status(payload, NOW) == expected
