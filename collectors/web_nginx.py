"""The sites that nginx serves here, as its enabled configuration names them: only to propose what to watch."""

import re
from collections.abc import Iterator
from pathlib import Path

FOLDER = Path("/etc/nginx")
_TOKEN = re.compile(r"""\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[{};]|[^\s{};"']+""")
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)  # neither "_" nor "*.x", "~x" or "$host"
_PORTS = {"http": "80", "https": "443"}


def sites(folder: Path = FOLDER) -> list[str]:
    """One address for each name: https where it is served at all. What may not be read is passed over."""
    found: dict[str, str] = {}
    for path in sorted([*folder.glob("sites-enabled/*"), *folder.glob("conf.d/*.conf")]):
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:
            continue
        for host, url in _served(text):
            if url.startswith("https:") or host not in found:
                found[host] = url
    return list(found.values())


def _served(text: str) -> Iterator[tuple[str, str]]:
    """Host and address of each server block, by the first of its names."""
    for block in _servers(text):
        names = [name for words in block if words[0] == "server_name" for name in words[1:] if _NAME.fullmatch(name)]
        places = [words[1:] for words in block if words[0] == "listen" and len(words) > 1] or [["80"]]
        # of several places, those with TLS first
        for place in sorted(places, key=lambda words: "ssl" not in words[1:]):
            scheme = "https" if "ssl" in place[1:] else "http"
            port = place[0].rpartition(":")[2] if not place[0].endswith("]") else _PORTS[scheme]
            if names and names[0] != "localhost" and not place[0].startswith("unix:"):
                port = port if port.isdigit() else _PORTS[scheme]
                yield names[0], f"{scheme}://{names[0]}{'' if port == _PORTS[scheme] else ':' + port}/"
                break


def _servers(text: str) -> Iterator[list[list[str]]]:
    """The directives right inside each `server { … }`."""
    tokens = [token.strip("\"'") for token in _TOKEN.findall(text) if not token.startswith("#")]
    words: list[str] = []
    inside: list[str] = []
    block: list[list[str]] = []
    for token in tokens:
        if token == "{":  # noqa: S105  # a brace, not a password
            inside.append(words[0] if words else "")
            block = [] if words == ["server"] else block
            words = []
        elif token == "}":  # noqa: S105
            if inside and inside.pop() == "server":
                yield block
            words = []
        elif token == ";":  # noqa: S105
            if words and inside and inside[-1] == "server":
                block.append(words)
            words = []
        else:
            words.append(token)
