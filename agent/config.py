"""Reads agent.toml into one frozen Config, or says every mistake of the file at once."""

import os
import re
import socket
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from agent import instances, people, plugins, routine, source
from agent.fields import INVALID, Reader, close
from agent.instances import Configured
from agent.plugins import Plugin
from agent.shipped import Shipped
from agent.source import Problem, Source, Unreadable
from alerts.policy import Policy
from alerts.rule import Rule
from collectors.base import Metric
from collectors.quantities import Seconds, Size
from collectors.secret import Secret

__all__ = ["AgentConfig", "Config", "ConfigError", "Configured", "Heartbeat", "Problem", "Store", "Web", "load"]

SECTIONS: Final = ("agent", "web", "store", "collectors", "rules", "contacts", "notifiers", "oncall", "escalation",
                   "escalations", "hours", "maintenance", "alerts", "digest", "proof", "heartbeat")
DAY: Final = 86400.0
LARGEST_BALLAST: Final = 2**30  # bytes
LAST_PORT: Final = 65535
BEATS: Final = 30.0, 3600.0  # seconds; two a minute leaves room for tries anew below the five that Healthchecks takes
# No underscore: Twilio calls no such host back.
_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:]+\]|[a-z0-9]([a-z0-9.-]*[a-z0-9])?)(:(?P<port>\d{1,5}))?/?",
    re.IGNORECASE | re.ASCII)
_ZONES: Final = {"WIB": "Asia/Jakarta", "WITA": "Asia/Makassar", "WIT": "Asia/Jayapura"}  # what people write first


class ConfigError(Exception):
    """Why a file is not in force: each problem is one sentence with its place and what would be right."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`[agent]`."""

    name: str = msgspec.field(default_factory=socket.gethostname)
    site: str = ""
    timezone: str = "Asia/Jakarta"
    language: Literal["id", "en"] = "id"

    def __post_init__(self) -> None:
        for key in ("name", "site"):
            if not getattr(self, key).isprintable() or (key == "name" and not self.name.strip()):
                raise ValueError(f"{key} must be one line of text")


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """`[web]`. `listen` asks nobody for a password, so it serves this machine only (promise 20). What a proxy passes on
    comes in by `public`, where every path needs a signature; people know it as `public_url`.
    """

    listen: str = "127.0.0.1:9810"
    public: str = ""
    public_url: str = ""

    def __post_init__(self) -> None:
        host, _ = self.address
        if host != "localhost" and not _is_loopback(host):
            raise ValueError('listen must be an address of this machine alone, such as "127.0.0.1:9810", for these '
                             "pages ask nobody for a password; from elsewhere use ssh -L 9810:127.0.0.1:9810")
        if self.public and not self.public_url:
            raise ValueError("public answers only to its address outside: add "
                             'public_url = "https://jaga.example.id"')
        if self.public_url and not self.public:
            raise ValueError("public_url is passed on to nobody: add "
                             'public = "127.0.0.1:9811", and a proxy (docs/public.md)')
        if self.public:
            if self.public_address[1] == self.address[1]:
                raise ValueError('public must have a port of its own, such as "127.0.0.1:9811"')
            _check_url(self.public_url)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port. Raises ValueError where `listen` is not HOST:PORT."""
        return _address("listen", self.listen, "127.0.0.1:9810")

    @property
    def public_address(self) -> tuple[str, int]:
        """Host and port of the second listener. Raises ValueError where `public` is not IP:PORT."""
        host, port = _address("public", self.public, "127.0.0.1:9811")
        if not _is_ip(host):
            raise ValueError('public must have an address in numbers, such as "127.0.0.1:9811"')
        return host, port

    @property
    def origin(self) -> str:
        """`public_url` as a browser names it: no slash at its end, no port where it is the usual one."""
        url = urlsplit(self.public_url.lower())
        usual = {"https": 443, "http": 80}.get(url.scheme)
        return f"{url.scheme}://{url.netloc.removesuffix(f':{usual}')}"


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """`[store]`: how long incidents, and texts and numbers of messages, are kept; the reserve for a full disk."""

    messages: Seconds = 90 * DAY
    incidents: Seconds = 400 * DAY
    ballast: Size = 4 * 2.0**20

    def __post_init__(self) -> None:
        for name, seconds in (("messages", self.messages), ("incidents", self.incidents)):
            if seconds < DAY:
                raise ValueError(f'{name} must be kept for "1d" at least: what is under way needs them')
        if self.ballast > LARGEST_BALLAST:
            raise ValueError('ballast is at most "1 GiB": one alarm needs far less')


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """`[heartbeat]`: the address is a secret, for who knows it can say in our name that all is well."""

    url: Secret | None = None  # off without it
    every: Seconds = 60.0  # between two audits, too

    def __post_init__(self) -> None:
        if not BEATS[0] <= self.every <= BEATS[1]:
            raise ValueError('every must be from "30s" to "1h": the service turns away what comes more often')
        if self.url is not None:
            from alerts.notifiers import posting  # only who has a heartbeat needs it

            if flaw := posting.flaw(self.url.reveal()):
                raise ValueError(f"url {flaw}")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that agent.toml and the shipped defaults say; it remembers nothing of the run."""

    path: Path
    agent: AgentConfig
    web: Web
    store: Store
    collectors: tuple[Configured, ...]
    rules: dict[str, Rule]  # in force; those switched off are not here
    notifiers: dict[str, Any]
    policy: Policy
    digest: routine.Digest
    proof: routine.Proof
    heartbeat: Heartbeat
    state: Path  # the folder of the database, the ballast and the socket
    metrics: dict[str, Metric]  # what the configured collectors and the agent itself may report


def load(path: Path, env: Mapping[str, str] = os.environ) -> Config:
    """Read the file. Raises ConfigError with all its mistakes."""
    try:
        text = source.read(path)
    except Unreadable as error:
        raise ConfigError([error.problem]) from error
    top, reader = text.table, Reader(env, path.parent)
    reader.known(top, SECTIONS, ())
    agent = _agent(top, reader)
    web, store = _section(Web, "web", top, reader), _section(Store, "store", top, reader)
    heartbeat = _section(Heartbeat, "heartbeat", top, reader)
    written, collectors = instances.collectors(top.get("collectors", {}), reader)
    shipped = Shipped(written, _metrics(written), reader)
    rules = shipped.rules(reader.table(top.get("rules", {}), ("rules",)))
    notifiers, channels = _notifiers(top, reader)
    notifiers = _called_back(notifiers, web, reader)
    policy = people.policy(top, channels, getattr(agent, "language", "id"),
                           getattr(agent, "timezone", "Asia/Jakarta"), reader)
    contacts = policy.contacts if policy else {}
    digest, proof = routine.sections(top, contacts, notifiers, reader)
    problems = _problems(text, reader, shipped)
    if problems or policy is None:
        raise ConfigError(problems)
    metrics = _metrics(each.plugin for each in collectors)
    return Config(path=path, agent=agent, web=web, store=store, collectors=tuple(collectors),
                  rules={name: rule for name, rule in rules.items() if rule.metric in metrics},
                  notifiers=notifiers, policy=policy, digest=digest, proof=proof, heartbeat=heartbeat,
                  state=_state(env), metrics=metrics)


def _agent(top: Mapping[str, Any], reader: Reader) -> Any:
    """The zone is judged by itself, so that it is told beside the section's other mistakes."""
    written = _as_table(top.get("agent")).get("timezone")
    zone = written if isinstance(written, str) else "UTC"
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # OSError: "Asia" is a folder
        meant = _ZONES.get(zone.upper()) or close(zone, available_timezones()) or "Asia/Jakarta"
        reader.wrong(("agent", "timezone"), f' is no time zone that this machine knows: write it as "{meant}"')
    return _section(AgentConfig, "agent", top, reader)


def _section(cls: type[Any], name: str, top: Mapping[str, Any], reader: Reader) -> Any:
    return reader.struct(cls, reader.table(top.get(name, {}), (name,)), (name,))


def _notifiers(top: Mapping[str, Any], reader: Reader) -> tuple[dict[str, Any], dict[str, str]]:
    """Those of `[notifiers]`; where neither it nor `[contacts]` is written, the console speaks."""
    if top.get("notifiers") or "contacts" in top:
        return instances.notifiers(top.get("notifiers", {}), reader)
    return instances.notifiers({"console": {}}, reader)


def _called_back(notifiers: Mapping[str, Any], web: Any, reader: Reader) -> dict[str, Any]:
    """With a door to outside, a vendor that signs its calls is asked to report there; a secret without a door: told."""
    given = {}
    for name, notifier in notifiers.items():
        opened = getattr(web, "public_url", "")
        if opened and getattr(notifier, "status_callback", None) == "" and not notifier.api_key:  # which signs nothing
            hook = plugins.notifiers().name_of(type(notifier))
            notifier = msgspec.structs.replace(notifier, status_callback=f"{web.origin}/hooks/{hook}")
        elif web is not INVALID and not opened and getattr(notifier, "hook_secret", None) is not None:
            reader.wrong(("notifiers", name, "hook_secret"), " opens a door that is not there: add [web] public and "
                         "public_url (docs/public.md), or take it out")
        given[name] = notifier
    return given


def _metrics(written: Iterable[Plugin]) -> dict[str, Metric]:
    metrics = plugins.own_metrics()
    for plugin in written:
        metrics |= plugin.metrics
    return metrics


def _problems(text: Source, reader: Reader, shipped: Shipped) -> list[Problem]:
    """In the order of the file; then those of nowhere in it, and those of other files."""
    found = [text.problem(where, says) for where, says in reader.mistakes]
    found.sort(key=lambda problem: (problem.line is None, problem.line or 0))
    return list(dict.fromkeys(found + shipped.problems))


def _as_table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _state(env: Mapping[str, str]) -> Path:
    given = env.get("STATE_DIRECTORY", "")  # systemd joins several by colons; the first is ours
    return Path(given.split(":")[0]) if given else Path("var").absolute()


def _address(key: str, written: str, example: str) -> tuple[str, int]:
    host, _, port = written.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not bare or not (port.isascii() and port.isdecimal() and len(port) < 7) or (":" in host and bare == host):
        raise ValueError(f'{key} must be HOST:PORT, such as "{example}"')
    if not 1 <= int(port) <= LAST_PORT:
        raise ValueError(f"{key} has the port {int(port)}, which does not exist: use one from 1 to {LAST_PORT}")
    return bare, int(port)


def _check_url(written: str) -> None:
    """Raises ValueError where strangers could not reach us there safely."""
    match = _URL.fullmatch(written)
    if not match or (match["host"].startswith("[") and not _is_ip(match["host"].strip("[]"))):
        raise ValueError('public_url must be https:// and a host name, without a path, such as "https://jaga.example.id"')
    host = match["host"].strip("[]")
    if match["scheme"].lower() == "http" and host.lower() != "localhost" and not _is_loopback(host):
        raise ValueError(f"public_url must begin with https://, for its links are keys: write \"https://{host}\"")
    if match["port"] and not 1 <= int(match["port"]) <= LAST_PORT:
        raise ValueError(f'public_url has the port {match["port"]}, which does not exist: leave it out')


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return _is_ip(host) and ip_address(host).is_loopback
