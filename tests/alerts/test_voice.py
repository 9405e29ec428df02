"""Calls through Twilio's real SDK against the strict fake: what is read out, who counts as reached, what is refused."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.demo.fake_twilio import Account, FakeTwilio, Fault
from agent.demo.fake_twilio.calls import TWIML_LIMIT, spoken
from alerts.notification import Busy, Letter, Proof, Receipt, Refused, Section, Status, Uncertain
from alerts.notifiers import speech
from alerts.notifiers.voice import LANGUAGES, MOST_REPEATS, Voice
from collectors.secret import Secret

BUDI, US, TOKEN, ACCOUNT = "+6281234567890", "+15005550006", "rahasia-sekali", "AC" + "0" * 32
SECTION = Section(code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
                  since="Sejak 02.14 WIB (12 menit)", detail="baris\nkedua", answer='Balas "ok K7M".')
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
    with FakeTwilio(Account(token=TOKEN), clock=clock) as fake:
        yield fake


@pytest.fixture(name="voice")
def _voice(fake: FakeTwilio) -> Voice:
    return build(fake)


def build(fake: FakeTwilio, **options: Any) -> Voice:
    return Voice(**{"account_sid": ACCOUNT, "auth_token": Secret("a test", lambda: TOKEN), "caller": US,
                    "base_url": fake.url, **options})


def letter(**changes: Any) -> Letter:
    return msgspec.structs.replace(LETTER, **changes)


def section(**changes: Any) -> Section:
    return msgspec.structs.replace(SECTION, **changes)


def test_a_call_reads_the_incident_twice_and_needs_no_public_address(fake: FakeTwilio, voice: Voice) -> None:
    receipt = voice.send(LETTER)
    [call] = fake.calls
    assert receipt == Receipt(call.sid, Proof.ACCEPTED)
    assert (call.to, call.sender, call.detects, call.ring) == (BUDI, US, True, 45)
    once = ["Ini Jaga, penjaga sistem.", "Kritis, Disk garis miring terisi 93 persen. Kode, K, tujuh, M.",
            "Jawab lewat WhatsApp."]
    assert spoken(call).splitlines() == once * 2
    assert call.twiml.count('language="id-ID" voice="Google.id-ID-Wavenet-A"') == 6
    assert call.twiml.count('<Pause length="1"/>') == 6  # time to put the phone to the ear, and to follow


def test_english_is_read_in_english(fake: FakeTwilio, voice: Voice) -> None:
    voice.send(letter(language="en", sections=(section(headline="CRITICAL: Disk / is 93% full"),)))
    assert spoken(fake.calls[0]).splitlines()[:3] == [
        "This is Jaga, your system watch.", "Critical, Disk slash is 93 percent full. Code, K, seven, M.",
        "Answer by WhatsApp."]
    assert 'language="en-US" voice="Polly.Joanna"' in fake.calls[0].twiml


def test_the_worst_problems_are_read_and_the_rest_is_counted(fake: FakeTwilio, voice: Voice) -> None:
    lesser = section(code="P4Q", severity="warning", headline="PERINGATAN: antrean panjang")
    voice.send(letter(sections=(lesser, *(section(code=f"A{n}", headline=f"KRITIS: layanan {n} mati")
                                          for n in range(2, 6)))))
    assert spoken(fake.calls[0]).splitlines()[1:6] == [
        "Kritis, layanan 2 mati. Kode, A, dua.", "Kritis, layanan 3 mati. Kode, A, tiga.",
        "Kritis, layanan 4 mati. Kode, A, empat.", "Dan 2 masalah lain.", "Jawab lewat WhatsApp."]


def test_what_is_over_asks_for_no_answer_and_codes_only_tells_no_more(fake: FakeTwilio, voice: Voice) -> None:
    voice.send(letter(sections=(section(reason="resolved", headline="SELESAI: disk", answer=""),)))
    voice.send(letter(codes_only=True))
    voice.send(letter(sections=(), subject="[Jaga] uji"))
    half = [spoken(call).splitlines()[1:len(spoken(call).splitlines()) // 2] for call in fake.calls]
    assert half == [["Selesai, disk. Kode, K, tujuh, M."], ["Kode, K, tujuh, M.", "Jawab lewat WhatsApp."],
                    ["Jaga, uji."]]


@pytest.mark.parametrize(("text", "said"), [
    ("KRITIS: Disk / terisi 93 %", "Kritis, Disk garis miring terisi 93 persen."),
    ("PERINGATAN: nginx.service mati (exit-code 1)", "Peringatan, nginx titik service mati, exit code 1."),
    ("CPU 97% — /var/log naik 3,5 GiB", "CPU 97 persen, var log naik 3,5 GiB."),
    ("Rp 1.234.567 hilang, sejak 02:14", "Rp 1.234.567 hilang, sejak 02 14."),
    ("php8.2-fpm & PostgreSQL", "php8.2 fpm dan PostgreSQL."), ("suhu 70 °C", "suhu 70 derajat."),
    ("🚨 <b>x</b> \x00\ud800", "kurang dari b lebih dari x kurang dari b lebih dari."), ("", ""), ("…", ""),
])
def test_signs_are_read_as_words_or_left_out(text: str, said: str) -> None:
    assert speech.spoken(text, "id") == said


@pytest.mark.parametrize(("code", "language", "said"), [
    ("K7M", "id", "K, tujuh, M"), ("K7M", "en", "K, seven, M"), ("ak02", "id", "A, K, nol, dua"),
    ("K7M", "fr", "K, tujuh, M")])
def test_a_code_is_spelled(code: str, language: str, said: str) -> None:
    assert speech.spelled(code, language) == said


SECTIONS = st.builds(section, code=st.text("ABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=1, max_size=6),
                     headline=st.text(max_size=400), severity=st.sampled_from(["warning", "critical"]))


@settings(max_examples=100, deadline=None)
@given(st.lists(SECTIONS, max_size=20), st.sampled_from(["id", "en", "fr"]), st.integers(1, MOST_REPEATS),
       st.text(max_size=100))
def test_any_letter_can_be_read_out(sections: list[Section], language: str, repeat: int, subject: str) -> None:
    import xml.etree.ElementTree as ET

    voice = Voice(account_sid=ACCOUNT, auth_token=Secret("a test", lambda: ""), caller=US, repeat=repeat)
    twiml = voice.twiml(letter(sections=tuple(sections), language=language, subject=subject))
    assert len(twiml) <= TWIML_LIMIT
    says = ET.fromstring(twiml).findall("Say")
    assert len(says) >= 2 * repeat
    assert {char for say in says for char in say.text or "" if not char.isalnum()} <= {" ", ",", "."}


@pytest.mark.parametrize("headline", ["ö% " * 200, "%" * 400, "x" * 400, "W " * 400, "a.b" * 200, "ﷺ" * 300])
def test_the_longest_letter_fits_three_times(headline: str) -> None:
    worst = section(code="8" * 6, headline=headline)
    voice = Voice(account_sid=ACCOUNT, auth_token=Secret("a test", lambda: ""), caller=US, repeat=MOST_REPEATS,
                  speakers={"id": "Google.id-ID-Chirp3-HD-Zephyr"})
    assert len(voice.twiml(letter(sections=(worst,) * 9))) <= TWIML_LIMIT


OVER: list[tuple[str, str, int, Status]] = [
    ("completed", "human", 30, Status(Proof.DELIVERED)),
    ("completed", "human", 4, Status(failed="picked up and hung up before a word was heard", retry=True,
                                     unreached=True)),
    ("completed", "machine_start", 30, Status(failed="a machine picked up, not a person", unreached=True)),
    ("completed", "fax", 30, Status(failed="a machine picked up, not a person", unreached=True)),
    ("completed", "unknown", 30, Status(failed="picked up in silence: not known whether a person heard it",
                                        unreached=True)),
    ("busy", "", 0, Status(failed="the line is busy, or the call was declined", retry=True, unreached=True)),
    ("no-answer", "", 0, Status(failed="nobody picked up", retry=True, unreached=True)),
    ("failed", "", 0, Status(failed="the call could not be put through: is the number right, and its phone switched "
                                    "on?")),
    ("canceled", "", 0, Status(failed="the call was cancelled at Twilio")),
]


@pytest.mark.parametrize(("status", "by", "seconds", "expected"), OVER)
def test_only_a_person_who_stayed_on_the_line_was_told(fake: FakeTwilio, voice: Voice, clock: Clock, status: str,
                                                       by: str, seconds: int, expected: Status) -> None:
    sid = voice.send(LETTER).id
    on_the_way = [voice.status(sid)]
    for step in ("ringing", *(["in-progress"] if status == "completed" else [])):
        fake.advance_call(sid, step, by)
        on_the_way.append(voice.status(sid))
    clock.now += seconds
    fake.advance_call(sid, status)
    assert set(on_the_way) == {Status(Proof.ACCEPTED)}
    assert voice.status(sid) == expected


@pytest.mark.parametrize(("code", "deed"), [
    (21211, "correct the contact's number"), (21214, "no carrier reaches this one"),
    (21215, "Geographic Permissions"), (21216, "Twilio blocks calls"), (21217, "correct the contact's number"),
    (21219, "verify it in the console"), (21210, "`caller` must be a number of this Twilio account"),
    (20005, "look at its balance"), (20003, "auth_token")])
def test_a_call_that_is_refused_says_what_to_do(fake: FakeTwilio, voice: Voice, code: int, deed: str) -> None:
    fake.person(BUDI, refuse_call=code)
    with pytest.raises(Refused) as caught:
        voice.send(LETTER)
    assert (caught.value.code, deed in caught.value.why, BUDI[1:] in caught.value.why) == (str(code), True, False)
    assert fake.calls == []


def test_another_country_must_be_allowed_first(fake: FakeTwilio, voice: Voice) -> None:
    with pytest.raises(Refused, match=r"not authorized to call …111.*Geographic Permissions"):
        voice.send(letter(to="+4915111111111"))


@pytest.mark.timeout(10)
@pytest.mark.parametrize(("fault", "outcome", "calls"), [
    (Fault(kind="429", retry_after="7"), Busy, 0), (Fault(kind="500"), Uncertain, 0),
    (Fault(kind="accept-500"), Uncertain, 1), (Fault(kind="hang"), Uncertain, 0),
    (Fault(kind="accept-reset"), Uncertain, 1), (Fault(kind="wrong-json"), Uncertain, 1),
    (Fault(kind="wrong-host"), Uncertain, 0)], ids=lambda value: getattr(value, "kind", ""))
def test_each_trouble_is_taken_for_what_it_is(fake: FakeTwilio, voice: Voice, fault: Fault, outcome: type[Exception],
                                              calls: int) -> None:
    fake.misbehave([fault])
    with pytest.raises(outcome):
        msgspec.structs.replace(voice, timeout=0.3).send(LETTER)
    assert len(fake.calls) == calls


def test_a_question_that_fails_may_be_asked_again(fake: FakeTwilio, voice: Voice) -> None:
    sid = voice.send(LETTER).id
    fake.misbehave([Fault(kind="500", on="fetch")])
    with pytest.raises(Busy):
        voice.status(sid)
    assert voice.status(sid) == Status(Proof.ACCEPTED)


def test_nobody_is_asked_for_a_mark_that_no_call_carries(voice: Voice) -> None:
    assert not hasattr(voice, "find")  # so the outbox rings again in doubt, for critical ones alone


def test_another_voice_may_speak(fake: FakeTwilio) -> None:
    build(fake, speakers={"id": "Google.id-ID-Standard-B"}, repeat=1).send(LETTER)
    assert fake.calls[0].twiml.count('voice="Google.id-ID-Standard-B"') == 3


@pytest.mark.parametrize(("options", "words"), [
    ({"account_sid": "AC12"}, "account_sid is not what Twilio uses"), ({"caller": ""}, "caller is not what Twilio"),
    ({"caller": "08123"}, r"caller is not .* a number of the Twilio account"), ({"api_key": "x"}, "api_key is not"),
    ({"base_url": "x"}, "base_url is not"), ({"repeat": 0}, "repeat must be from 1 to 3"),
    ({"repeat": 4}, "repeat must be"), ({"speakers": {"fr": "Polly.Lea"}}, "speakers must be"),
    ({"speakers": {"id": '" x="'}}, "speakers must be"), ({"timeout": 0.0}, "timeout must be more than 0")])
def test_a_wrong_option_is_one_clear_sentence(fake: FakeTwilio, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build(fake, **options)


def test_the_sdk_is_loaded_by_the_first_call_only() -> None:
    code = ("import sys; import alerts.notifiers.voice; "
            "print(sorted({'twilio', 'requests', 'urllib3', 'xml'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_names_the_voices_that_speak() -> None:
    page = (Path(__file__).parents[2] / "docs" / "voice.md").read_text()
    assert [speaker for _, speaker in LANGUAGES.values() if f"`{speaker}`" not in page] == []
