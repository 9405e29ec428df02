"""The notifier through Twilio's real SDK against the strict fake: what is sent, and what each trouble is taken for."""

import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.demo.fake_twilio import Account, FakeTwilio, Fault
from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Section, Status, Uncertain
from alerts.notifiers.twilio import Reply, Twilio
from alerts.notifiers.twilio_templates import FALLBACK, TEMPLATES
from collectors.secret import Secret

BUDI, US, TOKEN = "+6281234567890", "+15005550006", "rahasia-sekali"
ACCOUNT = "AC" + "0" * 32
SECTION = Section(code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
                  since="Sejak 02.14 WIB (12 menit)", detail="baris\nkedua", first="Hapus log\tlama",
                  answer='Balas "ok K7M" bila Anda tangani.')
LETTER = Letter(mark="K7M-3", to=BUDI, name="Budi", language="id", severity="critical", created=0.0, stale_at=1800.0,
                subject="[Jaga KRITIS] K7M Disk", sections=(SECTION,))


class Clock:
    now = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="fake")
def _fake(clock: Clock) -> Iterator[FakeTwilio]:
    with FakeTwilio(Account(token=TOKEN, pair_seconds=0), clock=clock) as fake:
        yield fake


@pytest.fixture(name="notifier")
def _notifier(fake: FakeTwilio) -> Twilio:
    return build(fake, template=fake.template(TEMPLATES["id"].body), template_en=fake.template(TEMPLATES["en"].body),
                 fallback_template=fake.template(FALLBACK.body))


def build(fake: FakeTwilio, **options: Any) -> Twilio:
    return Twilio(**{"account_sid": ACCOUNT, "auth_token": Secret("a test", lambda: TOKEN), "sender": US,
                     "base_url": fake.url, **options})


def letter(**changes: Any) -> Letter:
    return msgspec.structs.replace(LETTER, **changes)


def test_outside_the_window_a_template_goes_out_with_all_that_matters(fake: FakeTwilio, notifier: Twilio) -> None:
    receipt = notifier.send(LETTER)
    [message] = fake.messages
    assert receipt == Receipt(message.sid, Proof.ACCEPTED)
    assert (message.to, message.sender, message.content_sid, message.validity, message.status) == (
        f"whatsapp:{BUDI}", f"whatsapp:{US}", notifier.template, 1800, "queued")
    assert message.body == (
        "Jaga melaporkan: KRITIS: Disk / terisi 93 %\nWaktu: Sejak 02.14 WIB (12 menit)\n"
        'Langkah pertama: Hapus log lama\nMenjawab: Balas "ok K7M" bila Anda tangani.\nTanda pesan: K7M-3\n'
        "Pesan otomatis dari Jaga, penjaga sistem koperasi.")


def test_inside_the_window_the_whole_text_goes_out(fake: FakeTwilio, notifier: Twilio) -> None:
    fake.inbound(BUDI, "halo")
    notifier.send(letter(window_open=True))
    [message] = fake.messages
    assert (message.content_sid, message.status) == ("", "queued")
    assert message.body.startswith("KRITIS: Disk / terisi 93 %\nSejak")
    assert "baris\nkedua" in message.body
    assert message.body.endswith("[K7M-3]")


@pytest.mark.parametrize(("language", "english", "beginning"), [
    ("id", True, "Jaga melaporkan"), ("en", True, "Jaga reports"), ("en", False, "Jaga melaporkan")])
def test_the_template_speaks_the_readers_language(fake: FakeTwilio, notifier: Twilio, language: str, english: bool,
                                                  beginning: str) -> None:
    if not english:
        notifier = msgspec.structs.replace(notifier, template_en="")
    notifier.send(letter(language=language))
    assert fake.messages[0].body.startswith(beginning)


@pytest.mark.parametrize(("stale_at", "validity"), [(1800.0, 1800), (5.0, 60), (90_000.0, 36000), (600.9, 600)])
def test_a_message_dies_when_it_is_stale(fake: FakeTwilio, notifier: Twilio, stale_at: float, validity: int) -> None:
    notifier.send(letter(stale_at=stale_at))
    assert fake.messages[0].validity == validity


def test_without_a_template_the_window_must_be_open(fake: FakeTwilio) -> None:
    with pytest.raises(Refused, match="takes only a template, and none is set"):
        build(fake).send(LETTER)
    assert fake.messages == []


def test_a_messaging_service_or_an_api_key_may_send(fake: FakeTwilio) -> None:
    key, service = "SK" + "1" * 32, "MG" + "2" * 32
    fake.settings(keys={key: TOKEN}, services=(service,), token="another")
    build(fake, api_key=key, sender="", messaging_service_sid=service,
          template=fake.template(TEMPLATES["id"].body)).send(LETTER)
    assert (fake.messages[0].service, fake.messages[0].sender) == (service, "")


def test_fifty_problems_with_the_worst_texts_still_pass(fake: FakeTwilio, notifier: Twilio) -> None:
    nasty = "SQLSTATE[HY000]\n#0 /var/www\t{main}      🚨" * 40
    many = tuple(msgspec.structs.replace(SECTION, code=f"A{n:02}", mark=f"A{n:02}-1", headline=nasty, since=nasty,
                                         first=nasty, fix=nasty, detail=nasty, answer=nasty) for n in range(50))
    fake.inbound(BUDI, "halo")
    for window_open in (True, False):
        notifier.send(letter(sections=many, window_open=window_open))
    assert [message.status for message in fake.messages] == ["queued", "queued"]
    assert notifier.find("K7M-3", BUDI) is not None


@pytest.mark.parametrize("size", range(1350, 1650, 50))
def test_a_text_just_too_long_is_cut_and_taken(fake: FakeTwilio, notifier: Twilio, size: int) -> None:
    fake.inbound(BUDI, "halo")
    section = msgspec.structs.replace(SECTION, detail="x" * size)
    notifier.send(letter(sections=(section,), window_open=True))
    assert fake.messages[0].body.endswith("[K7M-3]")


CALLS: list[tuple[Fault, type[Exception], float | None, int]] = [
    (Fault(kind="429", retry_after="7"), Busy, 7.0, 0),
    (Fault(kind="429"), Busy, None, 0),
    (Fault(kind="429", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"), Busy, None, 0),
    (Fault(kind="500"), Uncertain, None, 0),
    (Fault(kind="503", retry_after="9"), Uncertain, None, 0),
    (Fault(kind="accept-500"), Uncertain, None, 1),
    (Fault(kind="reset"), Uncertain, None, 0),
    (Fault(kind="accept-reset"), Uncertain, None, 1),
    (Fault(kind="hang"), Uncertain, None, 0),
    (Fault(kind="accept-hang"), Uncertain, None, 1),
    (Fault(kind="slow", seconds=30.0), Uncertain, None, 1),
    (Fault(kind="wrong-json"), Uncertain, None, 1),
    (Fault(kind="odd-json"), Uncertain, None, 1),
    (Fault(kind="truncated"), Uncertain, None, 1),
    (Fault(kind="wrong-host"), Uncertain, None, 0),
]


@pytest.mark.timeout(10)  # a hang ends by our own time-out
@pytest.mark.parametrize(("fault", "outcome", "retry_after", "recorded"), CALLS, ids=lambda value: getattr(
    value, "kind", ""))
def test_each_trouble_is_taken_for_what_it_is(fake: FakeTwilio, notifier: Twilio, fault: Fault,
                                              outcome: type[Exception], retry_after: float | None,
                                              recorded: int) -> None:
    notifier = msgspec.structs.replace(notifier, timeout=0.3)
    fake.misbehave([fault])
    with pytest.raises(outcome) as caught:
        notifier.send(LETTER)
    assert getattr(caught.value, "retry_after", None) == retry_after
    assert len(fake.messages) == recorded
    assert (notifier.find("K7M-3", BUDI) is not None) == bool(recorded)


@pytest.mark.parametrize("kind", ["429", "500", "503", "reset", "hang", "wrong-json", "truncated", "wrong-host",
                                  "odd-json"])
@pytest.mark.parametrize("on", ["list", "fetch"])
def test_a_question_that_fails_may_be_asked_again(fake: FakeTwilio, notifier: Twilio, kind: Any, on: Any) -> None:
    notifier = msgspec.structs.replace(notifier, timeout=0.3)
    sid = notifier.send(LETTER).id
    fake.misbehave([Fault(kind=kind, on=on)])
    ask: Callable[[], object] = (lambda: notifier.status(sid)) if on == "fetch" else (
        lambda: notifier.find("K7M-3", BUDI))
    with pytest.raises(Busy):
        ask()
    assert ask()


@pytest.mark.parametrize("code", [21211, 21610, 21614, 21606, 63007, 20005, 21408, 20003])
def test_a_permanent_error_says_its_code_and_hides_the_number(fake: FakeTwilio, notifier: Twilio, code: int) -> None:
    fake.person(BUDI, refuse=code)
    with pytest.raises(Refused) as caught:
        notifier.send(LETTER)
    assert caught.value.code == str(code)
    assert "8123" not in caught.value.why


def test_a_wrong_number_is_told_by_its_last_digits(fake: FakeTwilio, notifier: Twilio) -> None:
    with pytest.raises(Refused) as caught:
        notifier.send(letter(to="081234567890"))
    assert (caught.value.code, caught.value.why) == (
        "21211", "The 'To' number whatsapp:…890 is not a valid phone number: "
                 "correct the contact's number: +62 and the rest without the 0")


def test_a_wrong_token_is_permanent_and_not_told(fake: FakeTwilio, notifier: Twilio) -> None:
    fake.settings(token="changed")
    with pytest.raises(Refused) as caught:
        notifier.send(LETTER)
    assert (caught.value.why, caught.value.code) == (
        "Authenticate: compare account_sid, api_key and auth_token with Twilio's console", "20003")
    assert TOKEN not in repr(notifier)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://api.twilio.test"])
def test_where_nobody_listens_the_message_surely_did_not_leave(notifier: Twilio, base_url: str,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        if host.endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    nowhere = msgspec.structs.replace(notifier, base_url=base_url)
    for ask in (lambda: nowhere.send(LETTER), lambda: nowhere.status("SM1"), lambda: nowhere.find("K7M-3", BUDI)):
        with pytest.raises(Busy, match="no connection to Twilio") as caught:
            ask()
        assert BUDI[1:] not in repr(caught.value)
        assert caught.value.__cause__ is None  # it holds the number, and a logged traceback would show it


@pytest.mark.needs_debian("openssl")
def test_behind_a_false_certificate_nothing_is_sent(notifier: Twilio, tmp_path: Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", "key.pem", "-out", "cert.pem"],
                   cwd=tmp_path, check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)

        def greet() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=greet)
        thread.start()
        false = msgspec.structs.replace(notifier, base_url=f"https://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Busy, match="SSLCertVerificationError"):
            false.send(LETTER)
        thread.join(10)


@pytest.mark.parametrize("code", [21655, 21656, 63013])
def test_refused_content_falls_back_to_the_code_alone(fake: FakeTwilio, notifier: Twilio, code: int) -> None:
    fake.misbehave([Fault(kind="refuse", code=code)])
    second = msgspec.structs.replace(SECTION, code="P4Q", mark="P4Q-1")
    receipt = notifier.send(letter(sections=(SECTION, second)))
    [message] = fake.messages
    assert (message.sid, message.content_sid) == (receipt.id, notifier.fallback_template)
    assert "masalah K7M-3 P4Q-1 yang" in message.body


def test_a_number_that_is_refused_gets_no_fall_back(fake: FakeTwilio, notifier: Twilio) -> None:
    fake.misbehave([Fault(kind="refuse", code=21610)])
    with pytest.raises(Refused):
        notifier.send(LETTER)
    assert fake.messages == []


@pytest.mark.parametrize(("fallback", "faults"), [(False, 1), (True, 2)])
def test_refused_content_without_a_fall_back_is_permanent(fake: FakeTwilio, notifier: Twilio, fallback: bool,
                                                          faults: int) -> None:
    if not fallback:
        notifier = msgspec.structs.replace(notifier, fallback_template="")
    fake.misbehave([Fault(kind="refuse", code=21656)] * faults)
    with pytest.raises(Refused) as caught:
        notifier.send(LETTER)
    assert caught.value.code == "21656"
    assert fake.messages == []


def test_a_mark_is_found_among_many_and_only_exactly(fake: FakeTwilio, notifier: Twilio, clock: Clock) -> None:
    sid = notifier.send(LETTER).id
    for number in range(250):  # more than one page
        clock.now += 1
        fake.api.accept({"To": f"whatsapp:{BUDI}", "From": f"whatsapp:{US}", "Body": f"[K7M-3{number}]"})
    fake.inbound(BUDI, "ok K7M-4")
    fake.advance(sid, "delivered")
    assert notifier.find("K7M-3", BUDI) == Receipt(sid, Proof.DELIVERED)
    assert [notifier.find(mark, BUDI) for mark in ("K7M-4", "7M-3", "AK7M-3")] == [None, None, None]
    assert notifier.find("K7M-3", "+628111111111") is None


@pytest.mark.parametrize("status", ["failed", "undelivered", "canceled"])
def test_what_failed_does_not_count_as_sent(fake: FakeTwilio, notifier: Twilio, status: str) -> None:
    sid = notifier.send(LETTER).id
    fake.advance(sid, status, 30008)
    assert notifier.find("K7M-3", BUDI) is None


@pytest.mark.parametrize(("status", "error", "expected"), [
    ("queued", None, Status(Proof.ACCEPTED)), ("sent", None, Status(Proof.ACCEPTED)),
    ("delivered", None, Status(Proof.DELIVERED)), ("read", None, Status(Proof.READ)),
    ("failed", 63016, Status(failed="63016 the 24-hour window is shut: only a template may be sent",
                             needs_template=True)),
    ("failed", 63018, Status(failed="63018 too many messages in a short time", retry=True)),
    ("undelivered", 63012, Status(failed="63012 trouble inside WhatsApp", retry=True)),
    ("failed", 63010, Status(failed="63010 trouble inside Twilio", retry=True)),
    ("failed", 30001, Status(failed="30001 Twilio's queue overflowed", retry=True)),
    ("failed", 30008, Status(failed="30008 unknown error at the carrier", retry=True)),
    ("undelivered", 63024, Status(failed="63024 the number is not on WhatsApp: correct the contact's whatsapp number, "
                                  "or install WhatsApp on that phone")),
    ("failed", 63015, Status(failed='63015 the phone has not joined the sandbox, or dropped out after three days: send '
                             '"join <code>" from it to the sandbox number, or use a sender of your own')),
    ("failed", 63033, Status(failed="63033 the person has blocked us: unblock our number in that phone's WhatsApp")),
    ("failed", 63041, Status(failed="63041 the template is paused, for too many people complained: jaga whatsapp "
                             "templates --status", content_refused=True)),
    ("scheduled", None, Status(Proof.ACCEPTED)),
    ("failed", 99999, Status(failed="99999 failed")), ("canceled", None, Status(failed="canceled")),
])
def test_a_status_says_how_far_it_got(fake: FakeTwilio, notifier: Twilio, status: str, error: int | None,
                                      expected: Status) -> None:
    sid = notifier.send(LETTER).id
    fake.advance(sid, status, error)
    assert notifier.status(sid) == expected


@pytest.mark.parametrize(("code", "deed"), [
    (21610, "they must write START to our number"), (63015, 'send "join <code>" from it to the sandbox number'),
    (63024, "install WhatsApp on that phone"), (20005, "look at its balance"), (21614, "it is no mobile phone's"),
    (21408, "allow messages to that country"), (63007, "no WhatsApp sender of this account")])
def test_who_is_refused_is_told_with_what_to_do(fake: FakeTwilio, notifier: Twilio, code: int, deed: str) -> None:
    fake.misbehave([Fault(kind="refuse", code=code)])
    with pytest.raises(Refused) as caught:
        notifier.send(LETTER)
    assert (caught.value.code, deed in caught.value.why) == (str(code), True)


def test_who_wrote_stop_is_refused_until_start(fake: FakeTwilio, notifier: Twilio) -> None:
    fake.inbound(BUDI, "stop")
    with pytest.raises(Refused, match="must write START"):
        notifier.send(LETTER)
    fake.inbound(BUDI, "start")
    assert notifier.send(LETTER).proof is Proof.ACCEPTED


def test_a_callback_is_asked_for_where_one_is_set(fake: FakeTwilio, notifier: Twilio) -> None:
    notifier.send(LETTER)
    msgspec.structs.replace(notifier, status_callback="https://jaga.example/hooks/twilio").send(LETTER)
    assert [message.callback for message in fake.messages] == ["", "https://jaga.example/hooks/twilio"]


def test_the_state_of_each_template_is_told_by_its_option(fake: FakeTwilio, notifier: Twilio) -> None:
    fake.approve(notifier.template, "paused")
    fake.approve(notifier.template_en, "REJECTED", "INVALID_FORMAT")
    assert notifier.template_states() == {
        "template": "paused", "template_en": "rejected", "fallback_template": "approved"}
    assert build(fake, fallback_template="HX" + "9" * 32).template_states() == {"fallback_template": "missing"}
    assert build(fake).template_states() == {}


def test_templates_are_asked_of_their_own_host(fake: FakeTwilio, notifier: Twilio) -> None:
    with FakeTwilio(Account(token=TOKEN)) as other:
        elsewhere = build(fake, content_url=other.url, template=other.template("Halo {{1}}.", status="pending"))
        assert elsewhere.template_states() == {"template": "pending"}
    real = build(fake, base_url="https://api.twilio.com")
    assert real.content._url == "https://content.twilio.com"


@pytest.mark.parametrize("kind", ["429", "500", "hang", "wrong-json", "odd-json", "wrong-host"])
def test_templates_that_cannot_be_asked_about_are_no_verdict(fake: FakeTwilio, notifier: Twilio, kind: Any) -> None:
    fake.misbehave([Fault(kind=kind, on="fetch")])
    with pytest.raises(Busy):
        msgspec.structs.replace(notifier, timeout=0.3).template_states()


@pytest.mark.parametrize(("prepare", "code"), [
    (lambda fake: fake.person(BUDI, fail=63024), "63024"),
    (lambda fake: fake.settings(pair_seconds=6.0), "63018"),
    (lambda fake: fake.approve(next(iter(fake.ledger.books.templates)), "paused"), "63041"),
])
def test_what_twilio_takes_and_cannot_deliver_is_learnt_later(fake: FakeTwilio, notifier: Twilio,
                                                             prepare: Callable[[FakeTwilio], None], code: str) -> None:
    notifier.send(LETTER)
    prepare(fake)
    assert notifier.status(notifier.send(LETTER).id).failed.startswith(code)


def test_free_text_into_a_shut_window_asks_for_a_template(fake: FakeTwilio, notifier: Twilio) -> None:
    assert notifier.status(notifier.send(letter(window_open=True)).id).needs_template
    assert notifier.find("K7M-3", BUDI) is None


def test_one_who_blocked_us_stays_at_accepted_for_ever(fake: FakeTwilio, notifier: Twilio, clock: Clock) -> None:
    fake.settings(pace=(("sent", 0.0), ("delivered", 1.0)))
    fake.person(BUDI, blocked=True)
    sid = notifier.send(LETTER).id
    clock.now += 86400
    assert notifier.status(sid) == Status(Proof.ACCEPTED)


def test_an_unknown_message_is_refused(notifier: Twilio) -> None:
    with pytest.raises(Refused) as caught:
        notifier.status("SM" + "9" * 32)
    assert caught.value.code == "20404"


def test_replies_come_oldest_first_in_true_time(fake: FakeTwilio, notifier: Twilio, clock: Clock) -> None:
    fake.inbound(BUDI, "terlalu lama")
    clock.now += 7200
    since = clock.now
    first = fake.inbound(BUDI, "ok K7M")
    notifier.send(LETTER)
    clock.now += 5
    second = fake.inbound("+628111111111", "", media=1)
    assert notifier.replies(since) == [
        Reply(id=first.sid, address=BUDI, text="ok K7M", at=since),
        Reply(id=second.sid, address="+628111111111", text="", at=since + 5, media=True)]
    assert datetime.fromtimestamp(since, UTC).hour != 0  # so that a date's own beginning would show


@pytest.mark.parametrize(("options", "words"), [
    ({"account_sid": "AC12"}, "account_sid is not what Twilio uses: it looks like \"AC\" and 32 digits"),
    ({"account_sid": ""}, "account_sid is not"), ({"api_key": "AC" + "1" * 32}, "api_key is not"),
    ({"sender": "whatsapp:+1415"}, r'sender is not what Twilio uses: it looks like "\+14155238886"'),
    ({"sender": "08123456789"}, "sender is not"), ({"template": "jaga_kabar"}, "template is not"),
    ({"base_url": "api.twilio.com"}, "base_url is not"), ({"sender": ""}, "one of sender and messaging_service_sid"),
    ({"messaging_service_sid": "MG" + "1" * 32}, "one of sender and messaging_service_sid"),
    ({"content_url": "content.twilio.com"}, 'content_url is not .* "https://content.twilio.com"'),
    ({"status_callback": "https://my_host/x"}, r"status_callback is not .*\(no underscore"),
    ({"timeout": 0.0}, "timeout must be more than 0"),
])
def test_a_wrong_option_is_one_clear_sentence(fake: FakeTwilio, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(fake, **options)


def test_the_environment_bends_nothing(fake: FakeTwilio, notifier: Twilio, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TWILIO_REGION", "au1"), ("TWILIO_EDGE", "sydney"), ("TWILIO_AUTH_TOKEN", "wrong")):
        monkeypatch.setenv(name, value)
    notifier.send(LETTER)
    assert len(fake.messages) == 1


def test_the_log_holds_no_number_and_no_token(fake: FakeTwilio, notifier: Twilio,
                                              caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake.misbehave([Fault(kind="refuse", code=21656)])
    notifier.send(LETTER)
    notifier.find("K7M-3", BUDI)
    assert BUDI[1:] not in caplog.text
    assert TOKEN not in caplog.text


def test_the_sdk_is_loaded_by_the_first_message_only(fake: FakeTwilio) -> None:
    code = ("import sys; import alerts.notifiers.twilio; "
            "print(sorted({'twilio', 'requests', 'aiohttp', 'urllib3'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


def test_the_trouble_of_one_caller_never_reaches_another(fake: FakeTwilio, notifier: Twilio) -> None:
    fake.misbehave([Fault(kind="429", retry_after="3")])
    outcomes: list[object] = []

    def one() -> None:
        try:
            outcomes.append(notifier.send(LETTER).proof)
        except Busy as busy:
            outcomes.append(busy.retry_after)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(outcomes, key=str) == [Proof.ACCEPTED, Proof.ACCEPTED, Proof.ACCEPTED, 3.0]
