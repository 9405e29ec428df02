"""The console prints a whole letter at once, plain where nobody can see colours."""

import io
import sys

import pytest

from alerts.notification import Busy, Letter, Proof, Receipt, Section
from alerts.notifiers.console import Console

LETTER = Letter(
    mark="K7M-3", to="", name="Budi", language="id", severity="critical", created=1.0, stale_at=2.0,
    subject="[Jaga KRITIS] K7M Disk / terisi 93 %",
    sections=(Section(
        code="K7M", mark="K7M-3", severity="critical", reason="opened", headline="KRITIS: Disk / terisi 93 %",
        since="Sejak 02.14 WIB (12 menit)", detail="93 %, batas 90 %", first="df -h", fix="apt-get clean",
        answer="Bila Anda tangani, jalankan: jaga ack K7M"),),
    footer="Toko Sinar · srv1",
)
PRINTED = """\
────────────────────────────────────────────────────────────────────────
[Jaga KRITIS] K7M Disk / terisi 93 % · untuk Budi

KRITIS: Disk / terisi 93 %
Sejak 02.14 WIB (12 menit)
Langkah pertama: df -h
Bila Anda tangani, jalankan: jaga ack K7M

93 %, batas 90 %

Perbaikan: apt-get clean
Kode K7M-3 (kritis)

Toko Sinar · srv1
────────────────────────────────────────────────────────────────────────
"""


class Terminal(io.StringIO):
    """A standard output that counts how often it is written to."""

    encoding = "utf-8"
    writes = 0
    tty = True

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    def isatty(self) -> bool:
        return self.tty


def test_a_letter_is_printed_whole_and_proves_only_that_it_was_accepted(capsys):
    assert Console().send(LETTER) == Receipt("K7M-3", Proof.ACCEPTED)
    assert capsys.readouterr().out == PRINTED
    assert (Console.proof, Console.address) == (Proof.ACCEPTED, "")


def test_it_is_one_write_so_that_no_log_line_falls_into_its_middle(monkeypatch):
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    Console().send(LETTER)
    assert out.writes == 1


@pytest.mark.parametrize(("tty", "no_color", "coloured"), [(True, "", True), (True, "1", False), (False, "", False)])
def test_colours_only_where_somebody_wants_them(monkeypatch, tty, no_color, coloured):
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    monkeypatch.setattr(out, "tty", tty)
    monkeypatch.setenv("NO_COLOR", no_color)
    Console().send(LETTER)
    assert ("\x1b[1;31m" in out.getvalue()) is coloured


def test_an_old_terminal_gets_question_marks_and_no_traceback(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    Console().send(LETTER)
    assert b"Toko Sinar ? srv1" in raw.getvalue()


def test_a_closed_output_is_said_and_may_be_tried_again(monkeypatch):
    monkeypatch.setattr(sys, "stdout", out := Terminal())
    out.close()
    with pytest.raises(Busy, match="standard output: I/O operation on closed file"):
        Console().send(LETTER)
