"""Text from outside made safe to print, mail and paste: no control characters, no format strings, no surprises."""

import re
import shlex
import unicodedata
from collections.abc import Mapping

_PLACE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")  # a terminal's escape sequences (ECMA-48 CSI), as logs hold them
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, bidi marks, lone surrogates, line and paragraph separators


def fill(template: str, values: Mapping[str, str], *, shell: frozenset[str] = frozenset()) -> str:
    """Put known names in for their placeholders, once; every other brace stays as it was written.

    Never `str.format`: that follows attributes and raises on a stray brace. Names in `shell` are quoted for a shell.
    """
    def value(match: re.Match[str]) -> str:
        known = values.get(match[1])
        if known is None:
            return match[0]
        return shlex.quote(known) if match[1] in shell and known else known

    return _PLACE.sub(value, template)


def line(text: str) -> str:
    """The text on one line, without control characters."""
    return " ".join(_visible(" ".join(text.split())).split())


def block(text: str) -> str:
    """The text without control characters, its line breaks kept, empty lines dropped."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4).split("\n")
    shown = (_visible(each).rstrip() for each in lines)
    return "\n".join(each for each in shown if each)


def one_line(text: str) -> str:
    """Several lines of a fix as one: commands are parted by "; ", sentences by their full stop."""
    lines = [line(each) for each in text.replace("\\\n", " ").split("\n")]
    joined = ""
    for each in filter(None, lines):
        between = "" if not joined else " " if joined[-1] in ".:;,!?" else "; "
        joined += between + each
    return joined


def _visible(text: str) -> str:
    return "".join(char for char in _COLOUR.sub("", text) if unicodedata.category(char) not in _INVISIBLE)
