"""Letters cut to a channel: nothing that a vendor refuses gets through, and what matters is never what is cut."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.notification import Letter, Section
from alerts.notifiers import fitting
from alerts.notifiers.twilio_templates import FALLBACK, TEMPLATES

LARAVEL = """[2026-01-18 02:14:07] production.ERROR: SQLSTATE[HY000] [2002] Connection refused {"exception":"[object]
#0 /var/www/koperasi/vendor/laravel/framework/src/Illuminate/Database/Connection.php(829): Illuminate\\Database\\Run()
#1 \t{main}
"}     🚨"""

SECTION = Section(code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
                  since="Sejak 02.14 WIB (12 menit)", detail="/var/log 40 GiB", first="Hapus log lama",
                  fix="journalctl --vacuum-time=7d", answer='Balas "ok K7M" bila Anda tangani.')
LETTER = Letter(mark="K7M-3", to="+6281234567890", name="Budi", language="id", severity="critical", created=0.0,
                stale_at=1800.0, subject="[Jaga KRITIS] K7M Disk", sections=(SECTION,), footer="Koperasi · server-1")


def change(**fields: object) -> Section:
    return msgspec.structs.replace(SECTION, **fields)


def letter(*sections: Section, **fields: object) -> Letter:
    return msgspec.structs.replace(LETTER, sections=sections, **fields)


SECOND = change(code="P4Q", mark="P4Q-1", headline="Peringatan: antrean 900", since="Sejak 02.20 WIB (6 menit)",
                detail="", first="Lihat supervisor", fix="", answer='Balas "ok P4Q" bila Anda tangani.')


def test_a_short_letter_is_told_whole_in_the_order_of_the_mail() -> None:
    assert fitting.free_text(LETTER, 1600) == (
        "KRITIS: Disk / terisi 93 %\nSejak 02.14 WIB (12 menit)\nLangkah pertama: Hapus log lama\n"
        'Balas "ok K7M" bila Anda tangani.\n/var/log 40 GiB\nPerbaikan: journalctl --vacuum-time=7d\n\n'
        "Koperasi · server-1\n[K7M-3]")


def test_a_template_says_headline_time_first_step_answer_and_mark() -> None:
    assert fitting.template_values(LETTER, 880) == {
        "1": "KRITIS: Disk / terisi 93 %", "2": "Sejak 02.14 WIB (12 menit) · Koperasi · server-1",
        "3": "Hapus log lama", "4": 'Balas "ok K7M" bila Anda tangani.', "5": "K7M-3"}


def test_several_problems_share_one_line_of_a_template() -> None:
    assert fitting.template_values(letter(SECTION, SECOND, footer=""), 880) == {
        "1": "2 masalah: K7M KRITIS: Disk / terisi 93 %; P4Q Peringatan: antrean 900",
        "2": "Sejak 02.14 WIB (12 menit); Sejak 02.20 WIB (6 menit)", "3": "K7M: Hapus log lama",
        "4": 'Balas "ok K7M" bila Anda tangani. Balas "ok P4Q" bila Anda tangani.', "5": "K7M-3 P4Q-1"}


def test_several_problems_over_are_called_over() -> None:
    over = change(reason="resolved", headline="SELESAI: Disk", first="", answer="")
    values = fitting.template_values(letter(over, msgspec.structs.replace(over, code="P4Q")), 880)
    assert (values["1"], values["3"], values["4"]) == ("2 masalah selesai: K7M SELESAI: Disk; P4Q SELESAI: Disk",
                                                        "-", "-")


LONG = "x" * 700


@pytest.mark.parametrize(("sections", "kept"), [
    ((change(since="SINCE", first="FIRST", detail="DETAIL", fix="FIX"),), {"SINCE", "FIRST", "DETAIL", "FIX"}),
    ((change(since="SINCE", first="FIRST", detail="DETAIL" + LONG, fix="FIX" + LONG * 2),),
     {"SINCE", "FIRST", "DETAIL"}),
    ((change(since="SINCE", first="FIRST", detail="DETAIL" + LONG * 3, fix="FIX"),), {"SINCE", "FIRST"}),
    ((change(since="SINCE", first="FIRST" + LONG * 3, detail="DETAIL", fix="FIX"),), {"SINCE"}),
    ((change(since="SINCE" + LONG * 3, first="FIRST", detail="DETAIL", fix="FIX"),), set()),
])
def test_a_long_letter_gives_up_the_fix_then_the_detail_then_the_rest(sections: tuple[Section, ...],
                                                                     kept: set[str]) -> None:
    text = fitting.free_text(letter(*sections), 1600)
    assert fitting.length(text) <= 1600
    assert {word for word in ("SINCE", "FIRST", "DETAIL", "FIX") if word in text} == kept
    assert SECTION.headline in text
    assert SECTION.answer in text
    assert text.endswith("[K7M-3]")


def test_the_first_step_of_later_problems_goes_before_that_of_the_first() -> None:
    second = msgspec.structs.replace(SECOND, first="SECOND" + LONG * 2)
    text = fitting.free_text(letter(SECTION, second), 1600)
    assert SECTION.first in text
    assert "SECOND" not in text
    assert second.headline in text


def test_fifty_problems_are_counted_where_they_cannot_be_told() -> None:
    many = tuple(change(code=f"A{n:02}", mark=f"A{n:02}-1", headline=f"KRITIS: bagian {n} " + "y" * 60)
                 for n in range(50))
    text = fitting.free_text(letter(*many), 1600)
    assert fitting.length(text) <= 1600
    told = text.count("KRITIS: bagian")
    assert f"dan {50 - told} lainnya" in text
    assert told > 5
    values = fitting.template_values(letter(*many), 880)
    assert sum(map(fitting.length, values.values())) <= 880
    assert values["1"].startswith("50 masalah: A00 KRITIS")


@pytest.mark.parametrize(("given", "expected"), [
    ("", "-"), (" \n\t ", "-"), ("\u200b\ufeff", "-"), ("\u3164", "-"), ("\u0301", "-"), ("a\nb\tc     d", "a b c d"),
    ("a\u2028b\x00c", "a bc"), ("satu\r\ndua", "satu dua"), ("\ud800x", "x"), ("🚨", "🚨"),
    ("\x1b[31mmerah\x1b[0m", "merah"),
])
def test_any_text_becomes_a_value_that_a_template_takes(given: str, expected: str) -> None:
    assert fitting.value(given) == expected


@pytest.mark.parametrize(("text", "limit", "expected"), [
    ("abc", 3, "abc"), ("abcd", 3, "ab…"), ("🚨🚨", 4, "🚨🚨"), ("🚨🚨", 3, "🚨…"), ("🚨🚨", 2, "…"), ("abc", 0, ""),
])
def test_a_cut_counts_as_twilio_counts_and_splits_no_character(text: str, limit: int, expected: str) -> None:
    assert fitting.cut(text, limit) == expected


@pytest.mark.parametrize(("text", "there"), [
    ("… [K7M-3]", True), ("K7M-3", True), ("Tanda pesan: K7M-3\nPesan", True), ("[A2B-1 K7M-3]", True),
    ("[K7M-31]", False), ("[AK7M-3]", False), ("[K7M-3-1]", False), ("[K7M-2]", False), ("X-K7M-3", False), ("", False),
])
def test_a_mark_is_found_only_as_a_whole(text: str, there: bool) -> None:
    assert fitting.has_mark(text, "K7M-3") is there


def test_a_laravel_exception_travels_as_a_template_value() -> None:
    values = fitting.template_values(letter(change(first=LARAVEL, headline=LARAVEL)), 880)
    assert not any("\n" in text or "\t" in text or "     " in text for text in values.values())
    assert values["1"].startswith("[2026-01-18 02:14:07] production.ERROR")
    assert values["5"] == "K7M-3"


CODES = st.text("ABCDEFGHJKMNPQRSTUVWXYZ23456789", min_size=3, max_size=5)
ANY = st.one_of(st.text(max_size=60), st.text(st.sampled_from("a \n\t🚨\u200b%{}\ud83d"), max_size=2500))
SECTIONS = st.builds(Section, code=CODES, mark=CODES.map(lambda code: f"{code}-7"), severity=st.just("critical"),
                     reason=st.sampled_from(["opened", "resolved"]), headline=ANY, since=ANY, detail=ANY, first=ANY,
                     fix=ANY, answer=ANY)


def build(sections: tuple[Section, ...], **fields: object) -> Letter:
    return msgspec.structs.replace(LETTER, sections=sections, **fields)


LETTERS = st.builds(build, st.lists(SECTIONS, max_size=12).map(tuple), language=st.sampled_from(["id", "en", "xx"]),
                    footer=ANY, subject=ANY, mark=CODES.map(lambda code: f"{code}-3"))


@settings(max_examples=150, deadline=None)
@given(LETTERS, st.integers(400, 1600))
def test_any_letter_fits_and_keeps_its_mark(any_letter: Letter, limit: int) -> None:
    text = fitting.free_text(any_letter, limit)
    values = fitting.template_values(any_letter, limit)
    assert len(text.encode("utf-16-le")) // 2 <= limit
    assert fitting.has_mark(text, any_letter.mark)
    assert list(values) == ["1", "2", "3", "4", "5"]
    assert sum(len(value.encode("utf-16-le")) // 2 for value in values.values()) <= limit
    assert fitting.has_mark(values["5"], any_letter.mark)
    for value in values.values():
        assert value.strip()
        assert not {"\n", "\t", "\r"} & set(value)
        assert "     " not in value


def test_the_page_for_the_engineer_holds_the_templates_as_they_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "whatsapp.md").read_text()
    for template in (*TEMPLATES.values(), FALLBACK):
        assert f"```\n{template.body}\n```" in page
        assert f"`{template.name}`" in page
        assert f"| `{template.button}` |" in page


def test_the_shipped_templates_hold_to_whatsapps_rules() -> None:
    for template in (*TEMPLATES.values(), FALLBACK):
        assert not template.body.startswith("{{")
        assert not template.body.endswith("}}")
        assert "}}{{" not in template.body
        assert "}} {{" not in template.body
        assert "}}\n{{" not in template.body
        assert [f"{{{{{n}}}}}" in template.body for n in range(1, len(template.samples) + 2)] == [
            *[True] * len(template.samples), False]
        assert template.fixed < 250
        assert template.content()["types"] == {"twilio/quick-reply": {"body": template.body, "actions": [
            {"type": "QUICK_REPLY", "title": template.button, "id": "ok"}]}}
        assert len(template.button) <= 20  # WhatsApp: 20 in a session, 25 in a template (unverified)
