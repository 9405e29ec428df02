"""The Telegram notifier against the strict fake: what is sent, what is read, and what each trouble is taken for."""

import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from agent.config import load
from agent.demo.fake_telegram import FakeTelegram, Fault
from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Reply, Section, Uncertain
from alerts.notifiers.telegram import Telegram
from collectors.secret import Secret

BUDI, SITI, GROUP = 811000001, 811000002, -1001234567890
TOKEN = "987654321:AAH-rahasia_sekali_0123456789abcdef"
SECTION = Section(code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
                  since="Sejak 02.14 WIB (12 menit)", detail="baris <b>\nkedua & *ketiga*", first="Hapus log\tlama",
                  answer='Balas "ok K7M" bila Anda tangani.')
LETTER = Letter(mark="K7M-3", to=str(BUDI), name="Budi", language="id", severity="critical", created=0.0,
                stale_at=1800.0, subject="[Jaga KRITIS] K7M Disk", sections=(SECTION,))


class Clock:
    now = 1_770_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="fake")
def _fake(clock: Clock) -> Iterator[FakeTelegram]:
    with FakeTelegram(TOKEN, clock=clock) as fake:
        fake.person(BUDI, "Budi", "Santoso")
        yield fake


@pytest.fixture(name="notifier")
def _notifier(fake: FakeTelegram) -> Telegram:
    return build(fake.url)


def build(base_url: str, token: str = TOKEN, **options: Any) -> Telegram:
    return Telegram(token=Secret("a test", lambda: token), base_url=base_url, **options)


def letter(*sections: Section, **changes: Any) -> Letter:
    return msgspec.structs.replace(LETTER, **({"sections": sections} if sections else {}), **changes)


def section(code: str, **changes: Any) -> Section:
    return msgspec.structs.replace(SECTION, code=code, mark=f"{code}-1", **changes)


# --- sending


def test_a_problem_goes_out_as_text_with_its_mark_and_two_buttons(fake: FakeTelegram, notifier: Telegram) -> None:
    receipt = notifier.send(LETTER)
    [message] = fake.messages
    assert receipt == Receipt(f"{BUDI}/{message.id}", Proof.ACCEPTED)
    assert (message.chat, message.silent) == (BUDI, False)
    assert message.text == ("KRITIS: Disk / terisi 93 %\nSejak 02.14 WIB (12 menit)\nLangkah pertama: Hapus log lama\n"
                            'Balas "ok K7M" bila Anda tangani.\nbaris <b>\nkedua & *ketiga*\n\n[K7M-3]')
    assert message.buttons == ((("Saya tangani", "ok K7M"), ("Diam 2 jam", "diam K7M 2j")),)


def test_several_problems_have_a_row_each_and_one_for_all(fake: FakeTelegram, notifier: Telegram) -> None:
    over = section("P4Q", reason="resolved", answer="")
    notifier.send(letter(SECTION, section("R5T", reason="acked"), over, language="en"))
    assert fake.messages[0].buttons == (
        (("K7M: I take it", "ok K7M"), ("K7M: Silence 2 h", "diam K7M 2j")), (("R5T: I take it", "ok R5T"),),
        (("I take them all", "ok semua"),))


@pytest.mark.parametrize(("reason", "silent", "data"), [
    ("opened", False, ["ok K7M", "diam K7M 2j"]), ("ack_expired", False, ["ok K7M", "diam K7M 2j"]),
    ("acked", True, ["ok K7M"]), ("test", False, ["ok K7M"]), ("resolved", True, []),
])
def test_good_news_wakes_nobody_and_asks_for_nothing(fake: FakeTelegram, notifier: Telegram, reason: Any, silent: bool,
                                                     data: list[str]) -> None:
    said = section("K7M", reason=reason, **({"answer": ""} if reason == "resolved" else {}))
    notifier.send(letter(said))
    [message] = fake.messages
    assert (message.silent, [each for row in message.buttons for _, each in row]) == (silent, data)
    notifier.send(letter(said, section("P4Q")))
    assert fake.messages[1].silent is False


def test_fifty_problems_with_the_worst_texts_still_pass(fake: FakeTelegram, notifier: Telegram) -> None:
    nasty = "SQLSTATE[HY000]\n#0 /var/www\t{main}      🚨" * 80
    many = [section(f"A{n:02}", headline=nasty, since=nasty, first=nasty, fix=nasty, detail=nasty, answer=nasty)
            for n in range(49)]
    notifier.send(letter(*many, section("B" * 80)))
    [message] = fake.messages
    assert "K7M-3" in message.text
    assert [len(row) for row in message.buttons] == [2] * 8 + [1]


@pytest.mark.parametrize("size", range(3850, 4150, 25))
def test_a_text_just_too_long_is_cut_and_taken(fake: FakeTelegram, notifier: Telegram, size: int) -> None:
    notifier.send(letter(section("K7M", detail="x" * (size - 100) + "🚨" * 50)))
    assert fake.messages[0].text.endswith("[K7M-3 K7M-1]")


def test_a_group_is_told_like_a_person(fake: FakeTelegram, notifier: Telegram) -> None:
    fake.group(GROUP)
    assert notifier.send(letter(to=str(GROUP))).id == f"{GROUP}/1"


CALLS: list[tuple[Fault, type[Exception], float | None, int]] = [
    (Fault(kind="429", retry_after="7"), Busy, 7.0, 0),
    (Fault(kind="429"), Busy, None, 0),
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
@pytest.mark.parametrize(("fault", "outcome", "retry_after", "kept"), CALLS, ids=lambda value: getattr(
    value, "kind", ""))
def test_each_trouble_is_taken_for_what_it_is(fake: FakeTelegram, notifier: Telegram, fault: Fault,
                                              outcome: type[Exception], retry_after: float | None, kept: int) -> None:
    fake.misbehave([fault])
    with pytest.raises(outcome) as caught:
        msgspec.structs.replace(notifier, timeout=0.3).send(LETTER)
    assert getattr(caught.value, "retry_after", None) == retry_after
    assert len(fake.messages) == kept
    assert TOKEN not in repr(caught.value)


def test_each_refusal_says_what_to_do_about_it(fake: FakeTelegram, notifier: Telegram) -> None:
    def refused(who: Telegram = notifier, **changes: Any) -> tuple[str, str]:
        with pytest.raises(Refused) as caught:
            who.send(letter(**changes))
        return caught.value.code, caught.value.why

    assert refused(to="7") == ("400", "Telegram finds no such chat: the person must press Start in the chat with the "
                                      "bot first, or the number is wrong")
    assert refused(to="@budi") == ("address", "the contact's telegram address is not a chat's number")
    fake.chat(BUDI, forbidden="bot was blocked by the user")
    assert refused() == ("403", "Forbidden: bot was blocked by the user: the person must open the chat with the bot "
                                "and press Start; into a group the bot must be invited")
    fake.group(-100, "group")
    fake.chat(-100, migrated=GROUP)
    assert refused(to="-100") == (
        "400", f"the group has become a supergroup: write telegram = {GROUP} for this contact")
    fake.misbehave([Fault(kind="refuse", code=400)])
    assert refused() == ("400", "Bad Request: refused")
    unknown = "Telegram does not know the token: ask @BotFather for it and mend [notifiers]"
    assert refused(build(fake.url, "987654321:changed")) == ("401", unknown)
    assert fake.messages == []


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "https://api.telegram.test"])
def test_where_nobody_listens_the_message_surely_did_not_leave(base_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    nowhere = build(base_url)
    for ask in (lambda: nowhere.send(LETTER), lambda: nowhere.replies(0.0)):
        with pytest.raises(Busy, match=r"no connection to Telegram \((ConnectionRefusedError|gaierror)\)") as caught:
            ask()
        assert caught.value.__cause__ is None  # it holds the address with the token


@pytest.mark.needs_debian("openssl")
def test_behind_a_false_certificate_nothing_is_sent(tmp_path: Path) -> None:
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
        with pytest.raises(Busy, match="SSLCertVerificationError"):
            build(f"https://127.0.0.1:{server.getsockname()[1]}").send(LETTER)
        thread.join(10)


# --- reading


def test_what_people_write_and_tap_becomes_replies_in_order(fake: FakeTelegram, notifier: Telegram, clock: Clock,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", clock)
    fake.group(GROUP)
    fake.person(SITI, "Siti")
    notifier.send(LETTER)
    [message] = fake.messages
    numbers = [fake.text(BUDI, "/start"), fake.text(BUDI, "ok", about=message), fake.tap(message, "diam K7M 2j"),
               fake.text(GROUP, "siap", sender=SITI), fake.media(BUDI, "voice"), fake.media(BUDI, caption="ok K7M")]
    mine, about = {"address": str(BUDI), "at": clock.now, "name": "Budi Santoso"}, f"{BUDI}/{message.id}"
    assert notifier.replies(0.0) == [
        Reply(id=f"tg-{numbers[0]}", text="/start", **mine),
        Reply(id=f"tg-{numbers[1]}", text="ok", about=about, **mine),
        Reply(id=f"tg-{numbers[2]}", text="diam K7M 2j", payload="diam K7M 2j", about=about, **mine),
        Reply(id=f"tg-{numbers[3]}", address=str(SITI), text="siap", at=clock.now, name="Siti", group=str(GROUP)),
        Reply(id=f"tg-{numbers[4]}", text="", media=True, **mine),
        Reply(id=f"tg-{numbers[5]}", text="ok K7M", **mine)]
    assert len(fake.answered) == 1


def test_what_nobody_wrote_is_passed_over(fake: FakeTelegram, notifier: Telegram) -> None:
    fake.group(GROUP)
    fake.service(GROUP, BUDI, new_chat_title="Toko")
    fake.update(edited_message={"message_id": 1})
    fake.update(channel_post={"message_id": 1})
    fake.update(message={"message_id": "odd"})
    fake.update(message={"message_id": 5, "chat": {"id": GROUP, "type": "channel"}, "date": 1, "text": "ok"})
    last = fake.text(BUDI, "ok K7M")
    assert [reply.id for reply in notifier.replies(0.0)] == [f"tg-{last}"]
    assert notifier.replies(inf) == []
    assert fake.pending == []


def test_a_reply_comes_again_until_the_caller_asks_from_a_later_time(
        fake: FakeTelegram, notifier: Telegram, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", clock)
    notifier.send(LETTER)
    fake.tap(fake.messages[0], "ok K7M")
    began = clock.now
    first = notifier.replies(began)
    clock.now += 5
    fake.text(BUDI, "status")
    with capture_logs() as said:
        both = notifier.replies(began)
    assert said == []  # the tap is not answered a second time
    assert both[:1] == first  # the same in every field, for its caller may not have got it written down
    assert [reply.text for reply in both] == ["ok K7M", "status"]
    assert len(fake.answered) == 1
    assert len(fake.pending) == 2  # the caller may die now
    clock.now += 1
    assert notifier.replies(began + 5) == both[1:]
    assert len(fake.pending) == 1


def test_what_was_not_written_down_before_a_crash_comes_again(fake: FakeTelegram) -> None:
    number = fake.text(BUDI, "ok K7M")
    code = ("import sys; from alerts.notifiers.telegram import Telegram; from collectors.secret import Secret; "
            "one = Telegram(token=Secret('a test', lambda: sys.argv[2]), base_url=sys.argv[1]); "
            "print([reply.id for reply in one.replies(0.0)])")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, fake.url, TOKEN], capture_output=True, text=True, timeout=20,
                              check=True, cwd=Path(__file__).parents[2])
        assert done.stdout.strip() == f"['tg-{number}']"


def test_a_hundred_and_more_come_in_turns(fake: FakeTelegram, notifier: Telegram) -> None:
    numbers = [fake.text(BUDI, str(n)) for n in range(130)]
    found = [notifier.replies(0.0) for _ in range(2)]  # a full answer is forgotten, however old
    assert [len(each) for each in found] == [100, 30]
    assert [reply.id for each in found for reply in each] == [f"tg-{number}" for number in numbers]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["429", "500", "503", "reset", "hang", "wrong-json", "truncated", "wrong-host",
                                  "odd-json", "accept-reset"])
def test_a_question_that_fails_may_be_asked_again(fake: FakeTelegram, notifier: Telegram, kind: Any,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.notifiers.telegram.HELD", -0.8)  # so that a hang takes half a second
    number = fake.text(BUDI, "ok K7M")
    fake.misbehave([Fault(kind=kind, on="fetch", retry_after="3" if kind == "429" else "")])
    hasty = msgspec.structs.replace(notifier, timeout=0.3)
    with pytest.raises(Busy) as caught:
        hasty.replies(0.0)
    assert caught.value.retry_after == (3.0 if kind == "429" else None)
    assert [reply.id for reply in hasty.replies(0.0)] == [f"tg-{number}"]


def test_a_webhook_or_another_reader_is_for_a_person_to_mend(fake: FakeTelegram, notifier: Telegram) -> None:
    fake.webhook("https://elsewhere.example/")
    with pytest.raises(Refused, match="takes this bot's messages by a webhook") as caught:
        notifier.replies(0.0)
    assert caught.value.code == "409"
    assert notifier.send(LETTER).proof is Proof.ACCEPTED
    fake.webhook("")
    fake.misbehave([Fault(kind="refuse", code=409, on="fetch")])
    with pytest.raises(Refused, match="another program reads this bot's messages at the same time"):
        notifier.replies(0.0)
    assert notifier.replies(0.0) == []


def test_two_notifiers_of_one_bot_take_turns(fake: FakeTelegram) -> None:
    number, outcomes = fake.text(BUDI, "ok K7M"), list[list[str]]()

    def one() -> None:  # without a turn, two of them would be told of a conflict
        outcomes.append([reply.id for reply in build(fake.url).replies(inf)])

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(outcomes) == [[], [], [f"tg-{number}"]]


@pytest.mark.parametrize("kind", ["500", "refuse", "wrong-json"])
def test_a_tap_counts_although_its_button_goes_on_spinning(fake: FakeTelegram, notifier: Telegram, kind: Any) -> None:
    notifier.send(LETTER)
    number = fake.tap(fake.messages[0], "ok K7M")
    fake.misbehave([Fault(kind=kind, on="list", code=400)])
    assert [reply.id for reply in notifier.replies(0.0)] == [f"tg-{number}"]


# --- configuration and secrets


@pytest.mark.parametrize(("options", "words"), [
    ({"token": "bot123:abc"}, "token is not what @BotFather gives out"), ({"token": "123456789"}, "token is not"),
    ({"token": "123456789:abc\n"}, "token is not"), ({"token": "123:a/../b"}, "token is not"),
    ({"base_url": "api.telegram.org"}, "base_url is not an address"),
    ({"base_url": "https://api.telegram.org/bot"}, "base_url is not an address"),
    ({"base_url": "http://api.telegram.org"}, "base_url must be https"), ({"timeout": 0.0}, "timeout must be more"),
])
def test_a_wrong_option_is_one_clear_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        build(**{"base_url": "https://api.telegram.org", **options})
    assert "abc" not in str(caught.value)


def test_the_configuration_needs_a_token_and_a_chat(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("""
[collectors.disk]
[notifiers.telegram]
token = { env = "BOT" }
[notifiers.shop]
type = "telegram"
token = { env = "BOT" }
[contacts.budi]
telegram = 811000001
channels = ["telegram"]
[contacts.group]
telegram = -1001234567890
channels = ["shop"]
shared = true
""")
    read = load(path, {"BOT": TOKEN})
    assert {name: type(notifier) for name, notifier in read.notifiers.items()} == {
        "telegram": Telegram, "shop": Telegram}
    assert {name: contact.addresses for name, contact in read.policy.contacts.items()} == {
        "budi": {"telegram": str(BUDI)}, "group": {"telegram": str(GROUP)}}


def test_the_log_and_the_options_hold_no_token(fake: FakeTelegram, notifier: Telegram,
                                               caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    notifier.send(LETTER)
    fake.tap(fake.messages[0], "ok K7M")
    fake.misbehave([Fault(kind="500", on="list")])
    notifier.replies(0.0)
    assert TOKEN.partition(":")[2] not in caplog.text + repr(notifier)


def test_httpx_is_loaded_by_the_first_message_only() -> None:
    code = "import sys; import alerts.notifiers.telegram; print('httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "False"
