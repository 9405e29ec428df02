"""Plays the table of misbehaviours and writes docs/vendors.md: `PYTHONPATH=.:tests python tests/vendors_page.py`.

With words, only the rows that have one of them in their names are played and printed, and nothing is written.
"""

import contextlib
import logging
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from alerts.incident import Incident
from misbehaviours import TABLE, Row
from story import MONDAY
from vendor_stage import Stage

PAGE = Path(__file__).parents[1] / "docs" / "vendors.md"
AFTERWARDS = 90.0  # seconds that the story goes on when the fault is over
HEAD = """\
# What people get when vendors misbehave

`tests/test_misbehaving_vendors.py` plays each row and compares it with this page; `tests/vendors_page.py` writes it.
What plays is the daemon's own desk, outbox and notifiers with the shipped times, on a clock of the story's: Twilio's
SDK, Telegram and Fonnte against strict fakes, mail against a real SMTP server.

At 0:00 a disk is found 95 % full: one critical incident. Budi is on duty, Sari is next. Both are reached by the channel
that the section is about and then by e-mail; under SMTP by e-mail and then by WhatsApp; under the last heading by
WhatsApp and then by e-mail. Nobody answers, but where that is the matter. The fault is over after 5 minutes, or after
20 where the trouble lasts. Times are the minutes and seconds at which a message was on the phone or in the mailbox;
WhatsApp (`twilio`) takes two seconds here.

A number such as ‑2 is the message's mark. The same mark twice is one message that came twice, because nobody could be
asked whether it had arrived. Where a channel proves acceptance only (Telegram, Fonnte, e-mail) a critical message uses
a second one in the same moment. Where delivery can be proved, what was not delivered in three minutes goes by the next.
"""


@dataclass(frozen=True)
class Word:
    """One reason to speak. `about`: "" for the fault itself, else what of Jaga's own it is about."""

    about: str
    reason: str
    mark: str

    def __str__(self) -> str:
        return f"{self.about} {self.reason}".strip() + f" ‑{self.mark.partition('-')[2]}"


@dataclass(frozen=True)
class Arrived:
    """One message as it reached somebody, seconds after the fault."""

    at: float
    person: str
    channel: str
    words: tuple[Word, ...]
    from_memory: bool

    def __str__(self) -> str:
        words = f"{clock(self.at)} {self.channel}: {', '.join(map(str, self.words))}"
        return words + (" (from memory)" if self.from_memory else "")


@dataclass(frozen=True)
class Played:
    """What came of a row: messages in order, incidents about Jaga's own parts, and the fault's history."""

    arrived: list[Arrived]
    own: list[str]
    history: list[tuple[str, str]]

    def line(self, row: Row) -> str:
        """The row of the page's table."""
        people = ("<br>".join(str(each) for each in self.arrived if each.person == person) or "–"
                  for person in ("budi", "sari"))
        return f"| {row.name} | {' | '.join(people)} | {'<br>'.join(self.own) or '–'} |"


def play(row: Row, folder: Path) -> Played:
    """One row from the fault to its end."""
    if row.tls:
        make_certificates(folder)
    with _small_disk(folder / "state", row.small_disk), Stage(
            folder, row.first, row.then, tls=row.tls, certificates=folder, callbacks=row.callbacks,
            timeout=row.timeout) as stage:
        stage.later(row.over, lambda stage: stage.sees(0.5))
        for at, deed in row.later:
            stage.later(at, deed)
        row.begin(stage)
        stage.sees(0.95)
        stage.play(row.over + AFTERWARDS)
        return Played(list(_arrived(stage)), list(_own(stage)), [
            (entry.what, entry.who) for entry in stage.app.store.history(stage.code)])


@contextlib.contextmanager
def _small_disk(folder: Path, wanted: bool) -> Iterator[None]:
    """A disk of three megabytes, where root may mount one."""
    if not wanted:
        yield
        return
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _arrived(stage: Stage) -> Iterator[Arrived]:
    known = stage.words
    for got in stage.got:
        words = tuple(Word(_about(known[mark].incident), known[mark].reason, mark) for mark in got.marks)
        yield Arrived(got.at, got.person, got.channel, words, got.from_memory)


def _own(stage: Stage) -> Iterator[str]:
    for incident in stage.app.store.all_incidents():
        if about := _about(incident):
            yield f"{clock(incident.opened - MONDAY)} {about}, {incident.severity}"


def _about(incident: Incident) -> str:
    """`notifier_refused budi twilio`; "" for the fault of the story."""
    rule, _, labels = incident.key.partition("{")
    return "" if rule == "disk_space" else " ".join([rule, *re.findall(r'="([^"]*)"', labels)])


def clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def make_certificates(folder: Path) -> None:
    """An authority of our own, and two certificates of this machine: one that has expired, and its successor."""
    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    run("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA", "-days", "2")
    (folder / "host").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name, days in (("expired", "-1"), ("good", "2")):
        run("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=localhost")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", days,
            "-out", f"{name}.pem", "-extfile", "host")


def page(lines: dict[str, list[str]]) -> str:
    """The whole page; `lines` by section and row."""
    parts = [HEAD]
    for section, rows in lines.items():
        parts += [f"## {section}\n", "| misbehaviour | Budi, on duty | Sari, next | Jaga's own incidents |",
                  "|---|---|---|---|", *rows, ""]
    return "\n".join(parts)


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    wanted = sys.argv[1:]
    lines: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as base:
        for section, rows in TABLE.items():
            for row in rows:
                if not wanted or any(word in f"{section}: {row.name}" for word in wanted):
                    with tempfile.TemporaryDirectory(dir=base) as folder:
                        lines.setdefault(section, []).append(play(row, Path(folder)).line(row))
                    print(lines[section][-1])
    if not wanted:
        PAGE.write_text(page(lines), "utf-8")


if __name__ == "__main__":
    main()
