"""One look at one site: several tries at its page, its certificate as it is served, and whether it hands out /.env."""

import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from urllib.parse import urljoin, urlsplit

from collectors.web_http import Answer, Unreachable, get, handshake
from collectors.web_site import (
    REDIRECTS,
    Site,
    content_fault,
    flaw,
    has_content,
    leaks_settings,
    redirect_fault,
    shown,
    status_fault,
)
from collectors.web_tls import EXPIRED, NO_CHECK_TIME, Validity, strict, trusting, validity, why
from collectors.web_wire import Deadline, ours, public

HOPS = 5  # redirects that are followed; browsers give up at 20, and no page of ours needs more than two
ASIDE = 5.0  # seconds for the question beside the page: /.env


@dataclass(frozen=True, slots=True)
class Tries:
    """How patiently a site is asked. Times in seconds."""

    count: int
    pause: float
    within: float


@dataclass(frozen=True, slots=True)
class Served:
    """A certificate: how long it is valid, and what is wrong with it besides its time ("" for nothing)."""

    valid: Validity
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What was seen of a site at the last try. A fault is "" where there is none, None where it cannot be told."""

    unreachable: str = ""
    answer: Answer | None = None
    status: str | None = None
    content: str | None = None
    redirect: str | None = None
    certificate: Served | None = None
    leaks: bool | None = None
    addresses: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not (self.unreachable or self.status or self.content or self.redirect)

    @property
    def local(self) -> bool:
        """Whether the way there does not need the internet."""
        return any(not public(address) or ours(address) for address in self.addresses)

    @property
    def here(self) -> bool | None:
        """Whether this machine serves it; None where its name says nothing."""
        return any(ours(address) for address in self.addresses) if self.addresses else None


class Contexts:
    """What TLS connections of one run are made with; made when the first one needs it."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file

    @cached_property
    def strict(self) -> ssl.SSLContext:
        return strict(self._ca_file)

    @cached_property
    def timeless(self) -> ssl.SSLContext:
        return strict(self._ca_file, NO_CHECK_TIME)

    @cached_property
    def trusting(self) -> ssl.SSLContext:
        return trusting()


def look(site: Site, tries: Tries, contexts: Contexts, ask_env: bool, now: float,
         pause: Callable[[float], None] = time.sleep) -> Look:
    """Try until it is good or the tries are used up. `now`: unix seconds."""
    seen = _try(site, tries.within, contexts, now)
    for _ in range(tries.count - 1):
        if seen.good:
            break
        pause(tries.pause)
        seen = _try(site, tries.within, contexts, now)
    return replace(seen, leaks=_leaks(site, contexts)) if ask_env and not seen.unreachable else seen


def _try(site: Site, within: float, contexts: Contexts, now: float) -> Look:
    deadline = Deadline(within)
    certificate, url, address, hops = None, site.url, site.address, [site.url]
    addresses: tuple[str, ...] = ()
    try:
        while True:
            answer, refused = _page(url, deadline, contexts, address)
            addresses = addresses or answer.addresses
            if certificate is None and answer.der is not None:
                certificate = _served(answer.der, refused, url, contexts, address, deadline, now)
            target = urljoin(url, answer.location)
            sent_on = site.follow and answer.status in REDIRECTS and bool(answer.location)
            if not sent_on or len(hops) > HOPS or target in hops or flaw(target):
                break
            hops.append(target)
            url, address = target, site.address if urlsplit(target).hostname == site.host else ""
    except Unreachable as error:
        return Look(unreachable=str(error), certificate=certificate, addresses=addresses or error.addresses)
    seen = Look(answer=answer, certificate=certificate, addresses=addresses)
    if sent_on:
        way = " → ".join(shown(hop) for hop in [*hops[-2:], target])
        return replace(seen, status=f"HTTP {answer.status}, redirects without an end: {way}")
    if status := status_fault(site, answer):
        return replace(seen, status=status)
    if site.redirect:
        return replace(seen, status="", redirect=redirect_fault(site, answer))
    return replace(seen, status="", content=content_fault(site, answer) if has_content(answer) else None)


def _page(url: str, deadline: Deadline, contexts: Contexts,
          address: str) -> tuple[Answer, ssl.SSLCertVerificationError | None]:
    """The page, and why its certificate is not trusted: a page is looked at in any case."""
    if not url.startswith("https:"):
        return get(url, deadline, address=address), None
    try:
        return get(url, deadline, context=contexts.strict, address=address), None
    except ssl.SSLCertVerificationError as error:
        return get(url, deadline, context=contexts.trusting, address=address), error


def _served(der: bytes, refused: ssl.SSLCertVerificationError | None, url: str, contexts: Contexts,
            address: str, deadline: Deadline, now: float) -> Served:
    """A certificate that has expired and is right otherwise has one fault, and its end tells that."""
    valid = validity(der)
    if refused is None:
        return Served(valid, "")
    if refused.verify_code == EXPIRED and valid.ends <= now:
        try:
            handshake(url, deadline, contexts.timeless, address)
        except ssl.SSLCertVerificationError as other:
            return Served(valid, why(other))
        except Unreachable:  # it answered a moment ago; the next run asks again
            return Served(valid, "")
        return Served(valid, "")
    return Served(valid, why(refused))


def _leaks(site: Site, contexts: Contexts) -> bool | None:
    context = contexts.trusting if site.url.startswith("https:") else None
    try:
        return leaks_settings(get(urljoin(site.url, "/.env"), Deadline(ASIDE), context=context, address=site.address,
                                  accept="*/*"))
    except Unreachable:
        return None
