"""`jaga whatsapp templates` against the strict fake: printed, submitted once, followed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent import cli
from agent.demo.fake_twilio import Account, FakeTwilio, Fault
from alerts.notifiers.twilio_templates import FALLBACK, OPTIONS, TEMPLATES

NAMES = ["jaga_kabar_id", "jaga_news_en", "jaga_kode"]


@pytest.fixture(name="fake")
def _fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTwilio]:
    monkeypatch.setenv("JAGA_TEST_TOKEN", "rahasia")
    with FakeTwilio(Account(token="rahasia")) as fake:
        yield fake


def jaga(fake: FakeTwilio, folder: Path, *arguments: str, language: str = "id", more: str = "",
         contact: bool = True) -> Result:
    file = folder / "agent.toml"
    notifier = f"""
[notifiers.twilio]
account_sid = "{fake.account.sid}"
auth_token = {{env = "JAGA_TEST_TOKEN"}}
sender = "+15005550006"
base_url = "{fake.url}"
timeout = 0.5
{more}
[contacts.budi]
whatsapp = "+6281234567890"
channels = ["twilio"]
"""
    file.write_text(f'[agent]\nlanguage = "{language}"\n[collectors.resources]\n' + (notifier if contact else ""))
    return CliRunner().invoke(cli.group, ["whatsapp", "templates", "--config", str(file), *arguments])


def said(result: Result) -> tuple[int, str, str]:
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def states(result: Result) -> list[tuple[str, str, bool]]:
    code, out, err = said(result)
    assert (code in (0, 1), err) == (True, "")
    return [(row["name"], row["status"], row["submitted"]) for row in json.loads(out)]


def test_without_an_option_the_templates_are_printed_and_nobody_is_asked(fake: FakeTwilio, tmp_path: Path) -> None:
    fake.misbehave([Fault(kind="500", on="any")])
    code, out, _ = said(jaga(fake, tmp_path))
    assert code == 0
    assert all(template.body in out and f"[{template.button}]" in out for template in OPTIONS.values())
    assert json.loads(said(jaga(fake, tmp_path, "--json"))[1]) == [
        template.content() for template in (TEMPLATES["id"], TEMPLATES["en"], FALLBACK)]


def test_what_is_missing_is_submitted_once_and_the_lines_to_paste_are_told(fake: FakeTwilio, tmp_path: Path) -> None:
    assert states(jaga(fake, tmp_path, "--status", "--json")) == [(name, "missing", False) for name in NAMES]
    code, out, _ = said(jaga(fake, tmp_path, "--submit"))
    sids = list(fake.ledger.books.templates)
    assert code == 0
    assert out.endswith(
        "\nTulis di agent.toml, lalu systemctl reload jaga:\n[notifiers.twilio]\n"
        f'template = "{sids[0]}"\ntemplate_en = "{sids[1]}"\nfallback_template = "{sids[2]}"\n\n'
        "Tunggu persetujuan WhatsApp (biasanya sampai 24 jam): jaga whatsapp templates --status\n")
    assert [(t.friendly_name, t.name, t.category, t.status) for t in fake.ledger.books.templates.values()] == [
        (name, name, "UTILITY", "received") for name in NAMES]
    assert states(jaga(fake, tmp_path, "--submit", "--json")) == [(name, "received", False) for name in NAMES]
    assert list(fake.ledger.books.templates) == sids


def test_what_is_set_already_is_not_told_again(fake: FakeTwilio, tmp_path: Path) -> None:
    said(jaga(fake, tmp_path, "--submit"))
    sids = dict(zip(OPTIONS, fake.ledger.books.templates, strict=True))
    for sid in sids.values():
        fake.approve(sid)
    code, out, _ = said(jaga(fake, tmp_path, "--status", language="en",
                             more="\n".join(f'{option} = "{sid}"' for option, sid in sids.items())))
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["Option", "Name", "ContentSid", "Status", "Note"],
        *([option, OPTIONS[option].name, sid, "approved"] for option, sid in sids.items())]


@pytest.mark.parametrize("status", ["rejected", "paused", "disabled"])
def test_a_template_that_whatsapp_does_not_let_out_is_a_problem_with_its_reason(fake: FakeTwilio, tmp_path: Path,
                                                                               status: str) -> None:
    said(jaga(fake, tmp_path, "--submit"))
    fake.approve(list(fake.ledger.books.templates)[1], status, "INVALID_FORMAT")
    code, out, _ = said(jaga(fake, tmp_path, "--status"))
    assert code == 1
    assert re.search(rf"jaga_news_en .* {status} +INVALID_FORMAT", out)
    assert states(jaga(fake, tmp_path, "--submit", "--json"))[1] == ("jaga_news_en", status, False)


def test_another_text_under_our_name_is_left_alone(fake: FakeTwilio, tmp_path: Path) -> None:
    said(jaga(fake, tmp_path, "--submit"))
    books = fake.ledger.books
    first = next(iter(books.templates))
    books.templates[first] = msgspec.structs.replace(
        books.templates[first], types={"twilio/text": {"body": "Versi lama: {{1}}."}}, status="unsubmitted")
    code, out, _ = said(jaga(fake, tmp_path, "--submit"))
    assert (code, "hapus di konsol Twilio" in out, books.templates[first].status) == (1, True, "unsubmitted")
    assert f'template = "{first}"' not in out
    assert len(books.templates) == 3


def test_of_two_of_one_name_the_one_that_got_furthest_counts(fake: FakeTwilio, tmp_path: Path) -> None:
    said(jaga(fake, tmp_path, "--submit"))
    books = fake.ledger.books
    for number, (sid, each) in enumerate(list(books.templates.items())):
        books.templates[f"HX{number:032x}"[:33] + "f"] = msgspec.structs.replace(
            each, sid=f"HX{number:032x}"[:33] + "f", status="unsubmitted")
        fake.approve(sid)
    assert states(jaga(fake, tmp_path, "--submit", "--json")) == [(name, "approved", False) for name in NAMES]


def test_a_template_far_down_the_list_is_found(fake: FakeTwilio, tmp_path: Path) -> None:
    for number in range(250):
        fake.template(f"Halo {{{{1}}}} {number}.")
    said(jaga(fake, tmp_path, "--submit"))
    assert states(jaga(fake, tmp_path, "--submit", "--json")) == [(name, "received", False) for name in NAMES]


@pytest.mark.parametrize(("kind", "stored"), [("500", 0), ("accept-500", 1), ("accept-reset", 1), ("accept-hang", 1)])
def test_a_submission_that_broke_off_is_run_again_without_a_second_one(fake: FakeTwilio, tmp_path: Path, kind: str,
                                                                      stored: int) -> None:
    fake.misbehave([Fault(kind="fine", on="fetch"), Fault(kind=kind, on="fetch")])  # type: ignore[arg-type]
    code, out, err = said(jaga(fake, tmp_path, "--submit"))
    assert (code, out, len(fake.ledger.books.templates)) == (1, "", stored)
    assert err.startswith("Twilio: ")
    assert err.endswith("Jalankan lagi: yang sudah sampai ditemukan dan tidak diajukan dua kali\n")
    assert states(jaga(fake, tmp_path, "--submit", "--json")) == [(name, "received", True) for name in NAMES]
    assert len(fake.ledger.books.templates) == 3


def test_wrong_credentials_are_told_in_one_sentence(fake: FakeTwilio, tmp_path: Path) -> None:
    fake.settings(token="lain")
    assert said(jaga(fake, tmp_path, "--status")) == (
        1, "", "Twilio: Authenticate: compare account_sid, api_key and auth_token with Twilio's console\n")


def test_without_or_with_several_notifiers_the_way_is_told(fake: FakeTwilio, tmp_path: Path) -> None:
    assert said(jaga(fake, tmp_path, "--status", contact=False))[::2] == (
        2, "Tidak ada notifier Twilio: tambahkan [notifiers.twilio] di agent.toml (docs/whatsapp.md)\n")
    second = f"""[notifiers.toko]
type = "twilio"
account_sid = "{fake.account.sid}"
auth_token = {{env = "JAGA_TEST_TOKEN"}}
sender = "+15005550006"
base_url = "{fake.url}"
"""
    assert said(jaga(fake, tmp_path, "--status", more=second))[::2] == (
        2, "Sebut salah satu dengan --notifier: twilio, toko\n")
    assert said(jaga(fake, tmp_path, "--status", "--notifier", "x"))[0] == 2
    code, out, _ = said(jaga(fake, tmp_path, "--submit", "--notifier", "toko", more=second))
    assert (code, "[notifiers.toko]" in out) == (0, True)
