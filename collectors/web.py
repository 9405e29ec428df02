"""Websites as a visitor meets them: reachable, right, how fast; their certificates and domains; and our own way out."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urljoin

import msgspec

from collectors import web_nginx
from collectors.base import Metric, Reading, Run
from collectors.quantities import Seconds
from collectors.web_domain import RDAP, WHOIS, Remembered, look_up, registered
from collectors.web_http import Unreachable, reaches
from collectors.web_look import Contexts, Look, Tries, look
from collectors.web_site import Site, flaw, shown
from collectors.web_wire import Deadline

EVERY = 60.0
TIMEOUT = 50.0

REACHABLE = Metric("jaga_web_reachable", "Whether a whole answer came; served: by this machine or elsewhere.",
                   ("site", "served"))
ANSWER_RIGHT = Metric("jaga_web_answer_right", "Whether the answer has a status that is right.", ("site", "served"))
CONTENT_RIGHT = Metric("jaga_web_content_right", "Whether the page is long enough and holds its text.", ("site",))
REDIRECT_RIGHT = Metric("jaga_web_redirect_right", "Whether it sends visitors where it should.", ("site",))
STATUS = Metric("jaga_web_status", "The HTTP status.", ("site",))
DURATION = Metric("jaga_web_duration_seconds", "From the first look-up of the name to the page's end.", ("site",))
PHASE = Metric("jaga_web_phase_seconds", "The parts of that: dns, connect, tls, first_byte, body.", ("site", "phase"))
BODY = Metric("jaga_web_body_bytes", "Size of the page, as far as it was read (512 KiB).", ("site",))
ENV_EXPOSED = Metric("jaga_web_env_exposed", "Whether anybody may read the application's .env.", ("site",))
INTERNET = Metric("jaga_web_internet_up", "0 when neither a site nor any of `internet` can be reached from here.")
LEFT = Metric("jaga_certificate_left_seconds", "Until the served certificate expires; below 0 it has.", ("site",))
LEFT_RATIO = Metric("jaga_certificate_left_ratio",
                    "The same as a part of its life; one that lives longer than 90 days counts as 90.", ("site",))
EXPIRED = Metric("jaga_certificate_expired", "Whether its time is over.", ("site",))
TRUSTED = Metric("jaga_certificate_trusted", "Whether name and chain are right, its time left aside.", ("site",))
DOMAIN_LEFT = Metric("jaga_domain_left_seconds", "Until the domain's registration ends.", ("domain",))
DOMAIN_HELD = Metric("jaga_domain_held", "Whether the registry has stopped it or is about to delete it.", ("domain",))
DOMAIN_AGE = Metric("jaga_domain_data_age_seconds", "Since the registry last told when it ends.", ("domain",))

_PLACE = re.compile(r"[\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}", re.ASCII)
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
_LONG_LIFE = 90 * 86400.0  # seconds: what lives longer is renewed no earlier, or it would warn for months
_PATIENCE = 35.0  # seconds that all tries of a site may take; the rest of TIMEOUT is for what is asked besides
_ENV_KEPT = 86400.0  # seconds for which the last answer about /.env says something
_ASIDE = 4.0  # seconds for the probe of the way out
_PROVED = 86400.0  # seconds after which it is looked at again whether those who are asked for it answer at all
_DOUBTED = 600.0  # the same while none did: it may have been a bad minute
_REGISTRY = 15.0  # seconds for a question to a registry, WHOIS included


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """Looks at each of `urls` as a visitor does, with `tries` before it says that one is down.

    urls: addresses, or tables such as { url = "https://kopkarskf.com/", text = "Koperasi" }; `Site` tells all keys.
    tries, pause, answer_within: a try takes at most answer_within in all, and the next begins after the pause.
    internet: who is asked when no site answers, so that "our internet is down" is not told as "the site is down".
    Sites on this machine or in its own network are judged in any case. Once a day it is seen whether those answer,
    and every ten minutes while none of them does.
    env_every: how often /.env is asked for; each time while it is handed out.
    domains: whose end is asked for; those of `urls` where it is not given, none where it is [].
    ca_file: certificate authorities of your own, besides the system's.
    rdap, whois: who knows a domain's end, by its last part, "*" for all others; besides those known for com, net, id.
    """

    urls: tuple[Site | str, ...] = ()
    tries: int = 3
    pause: Seconds = 2.0
    answer_within: Seconds = 10.0
    internet: tuple[str, ...] = ("dns.google:443", "one.one.one.one:443", "www.pandi.id:443")
    env_every: Seconds = 3600.0
    domains: tuple[str, ...] | None = None
    ca_file: str = ""
    rdap: dict[str, str] = {}
    whois: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not self.urls:
            raise ValueError('urls names no site: write urls = ["https://kopkarskf.com/"]')
        for number, site in enumerate(self.urls, 1):
            if isinstance(site, str) and (says := flaw(site)):
                raise ValueError(f"urls: number {number} {says}")
        labels = [site.label for site in self._sites()]
        if twice := next((label for label in labels if labels.count(label) > 1), ""):
            raise ValueError(f'urls has two sites called "{twice}": give one of them a name')
        for place in self.internet:
            if not _PLACE.fullmatch(place):
                raise ValueError('internet must name hosts with their ports: write ["dns.google:443"]')
        for name in self.domains or ():
            if not _DOMAIN.fullmatch(name):
                raise ValueError('domains must be names as they are registered: write ["kopkarskf.com"]')
        for end, server in self.rdap.items():
            if server and (flaw(server) or not server.startswith(("https://", "http://127."))):
                raise ValueError(f'rdap must name an address with https:// for "{end}": "https://rdap.org/"')
        if not 1 <= self.tries <= 10:
            raise ValueError("tries must be from 1 to 10")
        if self.answer_within <= 0:
            raise ValueError('answer_within must be more than 0: write "10s"')
        if self.tries * self.answer_within + (self.tries - 1) * self.pause > _PATIENCE:
            raise ValueError(f"tries take too long: with pause and answer_within they may come to {_PATIENCE:g} s")

    def collect(self, run: Run) -> Iterator[Reading]:
        sites = self._sites()
        firsts = {site.origin: site for site in reversed(sites)}  # what has one certificate and one .env
        domains = self._remembered(run, sites)
        due = [name for name, known in domains.items() if known.due(name)][:1]  # registries are asked one by one
        contexts = Contexts(self.ca_file)
        tries = Tries(self.tries, self.pause, self.answer_within)
        with ThreadPoolExecutor(len(sites) + len(due), "web") as pool:  # none waits for another
            questions = [pool.submit(self._look_up, name, domains[name], contexts) for name in due]
            futures = [pool.submit(look, site, tries, contexts, site in firsts.values() and self._asks_env(run, site),
                                   run.now) for site in sites]
        looks = [future.result() for future in futures if future.exception() is None]
        cut_off = self._cut_off(run, looks)
        if cut_off is not None:
            yield INTERNET(not cut_off, note=cut_off)
        for site, future in zip(sites, futures, strict=True):
            with run.target(site.label):
                seen = future.result()
                if not (seen.unreachable and cut_off and not seen.local):
                    yield from _page(site, seen, _served_by(run, site, seen))
                if site in firsts.values():
                    yield from _certificate(site, seen, run.now)
                    yield from self._env(run, site, seen)
        for name, question in zip(due, questions, strict=True):
            with run.target(name):
                question.result()
        for name, known in domains.items():
            yield from _domain(name, known, run.now)

    @staticmethod
    def discover() -> str | None:
        urls = web_nginx.sites()
        return f"[collectors.web]\nurls = {json.dumps(urls)}\n" if urls else None

    def _sites(self) -> list[Site]:
        return [Site(url=site) if isinstance(site, str) else site for site in self.urls]

    def _cut_off(self, run: Run, looks: list[Look]) -> str | None:
        """Why we believe that our own way out is down; "" for up, None where nothing tells."""
        outside = [seen for seen in looks if not seen.local]
        online = any(not seen.unreachable for seen in outside)
        known = run.memory.setdefault("internet", {"at": None, "useless": "", "cut_off": ""})
        holds = _DOUBTED if known["useless"] else _PROVED
        if online and self.internet and (known["at"] is None or not 0 <= run.now - known["at"] < holds):
            known |= {"at": run.now, "useless": self._refusals()}
        if known["useless"]:  # a firewall, perhaps: their silence would hide that a site is down
            with run.target("internet"):
                raise OSError(f"sites answer and none of `internet` does, so name others: {known['useless']}")
        said = "" if online else None
        if not online and self.internet and not known["useless"] and (outside or known["cut_off"]):
            said = self._refusals()
        known["cut_off"] = said or ""
        return said

    def _refusals(self) -> str:
        """What each of `internet` said; "" where one of them answers."""
        with ThreadPoolExecutor(len(self.internet), "web") as pool:
            refusals = list(pool.map(lambda place: reaches(place, Deadline(_ASIDE)), self.internet))
        return "; ".join(refusals)[:300] if all(refusals) else ""

    def _asks_env(self, run: Run, site: Site) -> bool:
        known = run.memory.get("env", {}).get(site.label)
        if not site.env or known is None:
            return site.env
        return bool(known["exposed"]) or not 0 <= run.now - known["at"] < self.env_every

    def _env(self, run: Run, site: Site, seen: Look) -> Iterator[Reading]:
        """What was seen last: while it is not asked for, nothing new is known."""
        remembered = run.memory.setdefault("env", {})
        if seen.leaks is not None:
            remembered[site.label] = {"at": run.now, "exposed": seen.leaks}
        known = remembered.get(site.label)
        if site.env and known is not None and 0 <= run.now - known["at"] < max(_ENV_KEPT, 2 * self.env_every):
            url = shown(urljoin(site.url, "/.env"))
            yield ENV_EXPOSED(known["exposed"], site=site.label, note=url if known["exposed"] else "")

    def _remembered(self, run: Run, sites: list[Site]) -> dict[str, Remembered]:
        """What is known of each domain; what is not watched any more is forgotten, here and elsewhere."""
        if self.domains is None:
            names = dict.fromkeys(filter(None, (registered(site.host) for site in sites)))
        else:
            names = dict.fromkeys(self.domains)
        known = run.memory.setdefault("domains", {})
        for place, wanted in (("domains", set(names)), ("env", {site.label for site in sites}),
                              ("served", {site.label for site in sites})):
            for gone in run.memory.get(place, {}).keys() - wanted:
                del run.memory[place][gone]
        return {name: Remembered(known.setdefault(name, {}), run.now) for name in names}

    def _look_up(self, name: str, known: Remembered, contexts: Contexts) -> None:
        known.asked()
        try:
            known.learnt(look_up(name, RDAP | self.rdap, WHOIS | self.whois, Deadline(_REGISTRY),
                                 lambda: contexts.strict))
        except Unreachable as error:
            known.failed(str(error))


def _served_by(run: Run, site: Site, seen: Look) -> str:
    """ "here" or "elsewhere". It is part of the identity: it may change only while there is nothing to be resolved."""
    if site.served != "auto":
        return site.served
    known: dict[str, str] = run.memory.setdefault("served", {})
    now = known.get(site.label, "") if seen.here is None else ("here" if seen.here else "elsewhere")
    served = known.setdefault(site.label, now or "elsewhere")
    if seen.good:
        known[site.label] = now
    return served


def _page(site: Site, seen: Look, served: str) -> Iterator[Reading]:
    label = site.label
    yield REACHABLE(not seen.unreachable, site=label, served=served, note=seen.unreachable)
    if seen.answer is None:
        return
    yield STATUS(seen.answer.status, site=label)
    yield ANSWER_RIGHT(not seen.status, site=label, served=served, note=seen.status or "")
    if seen.status:  # of an error page, neither speed nor text says anything
        return
    yield BODY(len(seen.answer.body), site=label)
    slowest = max(seen.answer.phases, key=lambda phase: seen.answer.phases[phase] if seen.answer else 0.0)
    yield DURATION(seen.answer.seconds, site=label, note=f"{slowest} {seen.answer.phases[slowest]:.1f} s")
    for phase, seconds in seen.answer.phases.items():
        yield PHASE(seconds, site=label, phase=phase)
    if seen.content is not None:
        yield CONTENT_RIGHT(not seen.content, site=label, note=seen.content)
    if seen.redirect is not None:
        yield REDIRECT_RIGHT(not seen.redirect, site=label, note=seen.redirect)


def _certificate(site: Site, seen: Look, now: float) -> Iterator[Reading]:
    if seen.certificate is None:
        return
    valid, fault = seen.certificate.valid, seen.certificate.fault
    left, life = valid.ends - now, min(valid.ends - valid.begins, _LONG_LIFE)
    note = f"{_day(valid.begins)} – {_day(valid.ends)}"
    yield EXPIRED(left <= 0, site=site.label, note=note)
    yield LEFT(left, site=site.label)
    yield LEFT_RATIO(max(0.0, min(1.0, left / life if life > 0 else 0.0)), site=site.label, note=note)
    yield TRUSTED(not fault, site=site.label, note=fault)


def _domain(name: str, known: Remembered, now: float) -> Iterator[Reading]:
    yield DOMAIN_AGE(known.age, domain=name, note=known.why)
    if registration := known.registration:
        yield DOMAIN_LEFT(registration.ends - now, domain=name, note=_day(registration.ends))
        yield DOMAIN_HELD(bool(registration.held), domain=name, note=registration.held)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
