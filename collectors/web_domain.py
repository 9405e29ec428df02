"""When a domain's registration ends: RDAP, WHOIS where that fails, and what is remembered between the questions."""

import ipaddress
import json
import re
import socket
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

from collectors.web_http import Unreachable, get
from collectors.web_site import REDIRECTS
from collectors.web_wire import Deadline, connect

RDAP = {  # by top-level domain, as IANA's bootstrap file (RFC 9224) names them; "*": a service that knows the rest
    "com": "https://rdap.verisign.com/com/v1/",
    "net": "https://rdap.verisign.com/net/v1/",
    "id": "https://rdap.pandi.id/rdap/",
    "*": "https://rdap.org/",
}
WHOIS = {"com": "whois.verisign-grs.com", "net": "whois.verisign-grs.com", "id": "whois.id", "*": "whois.iana.org"}

# The registry is asked once a day, more often only where somebody waits to see that it was renewed.
DAILY, SOON = 86400.0, 6 * 3600.0  # seconds; the second one after a failure, too
URGENT = 14 * 86400.0  # seconds before its end
GOOD_FOR = 7 * 86400.0  # seconds for which an answer says something
LARGEST = 65536

# What names are registered below: in Indonesia, as PANDI has them, and in other countries.
_INDONESIAN = frozenset({"co", "or", "ac", "sch", "go", "mil", "net", "web", "my", "biz", "desa", "ponpes"})
_ELSEWHERE = frozenset({"co", "com", "net", "org", "or", "ac", "edu", "go", "gov", "ne"})
_PRIVATE = frozenset({"test", "example", "invalid", "localhost", "local", "internal", "lan", "home", "arpa", "corp"})
_HELD = frozenset({"clienthold", "serverhold", "redemptionperiod", "pendingdelete"})
_END = re.compile(r"(?im)^[ \t]*(?:registry expiry date|registrar registration expiration date|expiration date"
                  r"|expiry date|expires(?: on)?|paid-till)[ \t]*:[ \t]*(\S.*)$")
_STATUS = re.compile(r"(?im)^[ \t]*(?:domain )?status[ \t]*:[ \t]*([A-Za-z ]+?)[ \t]*(?:\(|https?:|$)")
_REFER = re.compile(r"(?im)^(?:refer|whois)[ \t]*:[ \t]*([A-Za-z0-9.-]+)[ \t]*$")
_DATES = ("%d-%b-%Y", "%d-%b-%Y %H:%M:%S", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d", "%d/%m/%Y", "%Y%m%d")


@dataclass(frozen=True, slots=True)
class Registration:
    """Until when (unix seconds) a domain is paid for, and the status that stops it ("" for none)."""

    ends: float
    held: str = ""


def registered(host: str) -> str:
    """The domain that somebody pays for, of a host's name: `kopkar.co.id` of `www.kopkar.co.id`; "" for none."""
    labels = host.lower().rstrip(".").split(".")
    if len(labels) < 2 or labels[-1] in _PRIVATE or _is_number(host):
        return ""
    second = _INDONESIAN if labels[-1] == "id" else _ELSEWHERE if len(labels[-1]) == 2 else frozenset()
    below = 3 if labels[-2] in second else 2
    return ".".join(labels[-below:]) if len(labels) >= below else ""


def from_rdap(body: bytes) -> Registration:
    """RFC 9083. Raises ValueError where it names no end."""
    try:
        answer = json.loads(body)
    except RecursionError as error:
        raise ValueError("nested beyond all measure") from error
    events = answer.get("events") if isinstance(answer, dict) else None
    for event in events if isinstance(events, list) else []:
        if isinstance(event, dict) and event.get("eventAction") == "expiration":
            return Registration(_date(str(event.get("eventDate"))), _held(answer.get("status")))
    raise ValueError("it names no expiration date")


def from_whois(text: str) -> Registration:
    """Raises ValueError where it names no end."""
    text = text.replace("\r", "")
    found = _END.search(text)
    if found is None:
        raise ValueError("it names no expiration date")
    return Registration(_date(found[1]), _held(_STATUS.findall(text)))


def look_up(domain: str, rdap: Mapping[str, str], whois: Mapping[str, str], deadline: Deadline,
            context: Callable[[], ssl.SSLContext]) -> Registration:
    """Ask RDAP, else WHOIS. Raises Unreachable with what both said."""
    end = domain.rpartition(".")[2]
    said = []
    for kind, servers, ask in (("RDAP", rdap, _by_rdap), ("WHOIS", whois, _by_whois)):
        server = servers.get(end) or servers.get("*")
        if server:
            try:
                return ask(domain, server, deadline, context)
            except (Unreachable, ValueError, OSError) as error:
                said.append(f"{kind} {error or type(error).__name__}")
    raise Unreachable("; ".join(said) or "no server is configured for it")


class Remembered:
    """What was learnt of one domain, in `memory` (JSON values). Times in unix seconds."""

    def __init__(self, memory: dict[str, Any], now: float) -> None:
        self._memory, self._now = memory, now
        memory.setdefault("first", now)

    @property
    def registration(self) -> Registration | None:
        """What was said last, while it can be relied on."""
        if "good" not in self._memory or self.age > GOOD_FOR:
            return None
        return Registration(self._memory["ends"], self._memory["held"])

    @property
    def age(self) -> float:
        """Seconds since the last good answer, or since it was first asked for."""
        since: float = self._memory.get("good", self._memory["first"])
        return max(0.0, self._now - since)

    @property
    def why(self) -> str:
        """Why the last question had no answer."""
        return str(self._memory.get("why", ""))

    def due(self, domain: str) -> bool:
        """Whether it may be asked. After a clock that ran ahead, at once."""
        asked = self._memory.get("asked")
        if asked is None or asked > self._now:
            return True
        urgent = self.why or self._memory["held"] or self._memory["ends"] - self._now < URGENT
        # not all of a cooperative's machines at the same minute
        apart = zlib.crc32(f"{socket.gethostname()} {domain}".encode()) % 3600
        return bool(self._now - asked >= (SOON if urgent else DAILY) + apart)

    def asked(self) -> None:
        """Before the question: it counts even where nothing comes back."""
        self._memory |= {"asked": self._now, "why": "no answer"}

    def learnt(self, registration: Registration) -> None:
        self._memory |= {"good": self._now, "ends": registration.ends, "held": registration.held, "why": ""}

    def failed(self, why: str) -> None:
        self._memory["why"] = why[:200]


def _by_rdap(domain: str, server: str, deadline: Deadline, context: Callable[[], ssl.SSLContext]) -> Registration:
    url = urljoin(server, f"domain/{domain}")
    for _ in range(4):  # rdap.org sends on to the registry
        try:
            answer = get(url, deadline, context=context() if url.startswith("https:") else None,
                         accept="application/rdap+json, application/json")
        except ssl.SSLCertVerificationError as error:
            raise ValueError(f"{url}: {error.verify_message}") from error
        if answer.status not in REDIRECTS:
            break
        target = urljoin(url, answer.location)
        if url.startswith("https:") and not target.startswith("https:"):
            raise ValueError(f"{url} sends to an address that is not https")
        url = target
    if answer.status != 200:
        raise ValueError(f"{url} answered {answer.status}")
    try:
        return from_rdap(answer.body)
    except ValueError as error:
        raise ValueError(f"{url}: {'no JSON' if isinstance(error, json.JSONDecodeError) else error}") from error


def _by_whois(domain: str, server: str, deadline: Deadline, _: object) -> Registration:
    text = _whois(server, domain, deadline)
    if server == WHOIS["*"] and (refer := _REFER.search(text)):
        server = refer[1]
        text = _whois(server, domain, deadline)
    try:
        return from_whois(text)
    except ValueError as error:
        raise ValueError(f"{server}: {error}") from error


def _whois(server: str, domain: str, deadline: Deadline) -> str:
    """RFC 3912: the question, a line end, and what comes until the other side hangs up."""
    said = b""
    try:
        with connect(server if ":" in server else f"{server}:43", deadline) as wire:
            wire.settimeout(deadline.left())
            wire.sendall(f"{domain}\r\n".encode("ascii"))
            while len(said) < LARGEST:
                wire.settimeout(deadline.left())
                part = wire.recv(4096)
                if not part:
                    break
                said += part
    except TimeoutError:
        raise TimeoutError(f"{server}: no answer within {deadline.seconds:g} s") from None
    except OSError as error:
        raise OSError(f"{server}: {error.strerror or error}") from error
    return said.decode("utf-8", "replace")


def _date(text: str) -> float:
    """Unix seconds; without a zone it is UTC. Raises ValueError."""
    text = re.sub(r"\s+(?:UTC|GMT)$", "Z", text.strip())
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = _written(text.removesuffix("Z"))
    if not 1985 <= at.year < 2200:
        raise ValueError(f"no date of a registration: {text[:40]}")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _written(text: str) -> datetime:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise ValueError(f"no date: {text[:40]}")


def _held(statuses: object) -> str:
    """The status that stops the domain: RDAP parts its words ("client hold"), EPP does not ("clientHold")."""
    for status in statuses if isinstance(statuses, list) else []:
        if isinstance(status, str) and status.replace(" ", "").lower() in _HELD:
            return status.strip().lower()
    return ""


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
