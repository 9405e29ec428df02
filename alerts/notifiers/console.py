"""Prints each letter where the daemon was started: the notifier that always works and proves the least."""

import os
import sys
from typing import ClassVar

import msgspec

from alerts.notification import Busy, Letter, Proof, Receipt
from alerts.phrases import phrases
from alerts.text import fill, line
from alerts.words import plain

RULE = "─" * 72
COLOURS = {"critical": "\x1b[1;31m", "warning": "\x1b[1;33m"}
CALM, PLAIN = "\x1b[1;32m", "\x1b[0m"


class Console(msgspec.Struct, frozen=True, kw_only=True):
    """Every message on the daemon's standard output: plain, and on a terminal in colour unless `NO_COLOR` is set.

    It has no options. Nobody is reached who does not look, so it is no channel for a night.
    """

    proof: ClassVar[Proof] = Proof.ACCEPTED
    address: ClassVar[str] = ""

    def send(self, letter: Letter) -> Receipt:
        """Print it with one write, so that no log line falls into its middle. Raises Busy when there is nowhere to."""
        out = sys.stdout
        try:
            text = _framed(letter, colour=out.isatty() and not os.environ.get("NO_COLOR"))
            encoding = out.encoding or "utf-8"
            out.write(text.encode(encoding, "replace").decode(encoding))
            out.flush()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise Busy(f"standard output: {error}") from error
        return Receipt(letter.mark)


def _framed(letter: Letter, *, colour: bool) -> str:
    name = line(letter.name)
    reader = " · " + fill(phrases(letter.language).printed_for, {"name": name}) if name else ""
    title = line(letter.subject) + reader
    if colour:
        over = all(section.reason in ("resolved", "test") for section in letter.sections)
        title = (CALM if over else COLOURS.get(letter.severity, "")) + title + PLAIN
    return f"{RULE}\n{title}\n\n{plain(letter)}{RULE}\n"
