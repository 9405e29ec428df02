"""One watched address: what an operator says of it, and whether an answer is what was expected."""

import ipaddress
import re
from http import HTTPStatus
from typing import Literal
from urllib.parse import urljoin, urlsplit

import msgspec

from collectors.quantities import Size
from collectors.web_http import PORTS, Answer

REDIRECTS = (301, 302, 303, 307, 308)
_SETTING = re.compile(rb"^(?:export )?[A-Z][A-Z0-9_]*=", re.MULTILINE)
_TELLING = re.compile(rb"^(?:export )?(?:APP_KEY|APP_ENV|APP_DEBUG|DB_PASSWORD|DB_USERNAME|DB_DATABASE)=", re.MULTILINE)


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One element of `urls`.

    name: what messages call it; the host's name where it has none.
    status: the status or statuses that are right; without it, any below 400.
    text: must stand in the page. min_size: a shorter page is broken.
    redirect: the address that it must send to. follow: go where it sends to, and look at that page.
    address: asked instead of what the name stands for: "127.0.0.1" looks at this machine's nginx behind a CDN.
    served: whether this machine serves it, so that a dead nginx, PHP-FPM or database here explains a dead site;
    "auto" tells by its address.
    env: whether to ask for /.env, which must never be handed out; false for a site that is not yours.
    """

    url: str
    name: str = ""
    status: int | tuple[int, ...] = ()
    text: str = ""
    min_size: Size = 1.0
    redirect: str = ""
    follow: bool = False
    address: str = ""
    served: Literal["auto", "here", "elsewhere"] = "auto"
    env: bool = True

    def __post_init__(self) -> None:
        if says := flaw(self.url):
            raise ValueError(f"url {says}")
        if any(not 100 <= status <= 599 for status in self.statuses):
            raise ValueError("status must be from 100 to 599, such as 200")
        if self.redirect and (says := flaw(urljoin(self.url, self.redirect))):
            raise ValueError(f"redirect {says}")
        if self.redirect and self.follow:
            raise ValueError("follow goes on where redirect stops to look: name one of the two")
        if self.redirect and self.text:
            raise ValueError("text is looked for in a page, and a redirect is none: use follow = true, or two sites")
        if self.address:
            try:
                ipaddress.ip_address(self.address)
            except ValueError:
                raise ValueError('address must be an IP address, such as "127.0.0.1"') from None

    @property
    def label(self) -> str:
        return self.name or self.host

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def statuses(self) -> tuple[int, ...]:
        return (self.status,) if isinstance(self.status, int) else self.status

    @property
    def origin(self) -> tuple[str, str, int, str]:
        """What has one certificate and one /.env."""
        parts = urlsplit(self.url)
        return parts.scheme, self.host, parts.port or PORTS[parts.scheme], self.address


def flaw(url: str) -> str:
    """What is wrong with an address, as a phrase that follows the option's name; "" where it will do."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
        host.encode("idna")
    except ValueError:  # UnicodeError too
        host = ""
    if not host or parts.scheme not in PORTS or not url.isascii() or not url.isprintable() or " " in url:
        return 'must be an address such as "https://kopkarskf.com/"'
    if parts.username is not None:
        return "must not hold a user name or password"
    return ""


def shown(url: str) -> str:
    """An address for people: what stands after "?" may be a token."""
    return url.partition("#")[0].partition("?")[0]


def status_fault(site: Site, answer: Answer) -> str:
    """What is wrong with the status; "" for nothing."""
    if answer.status in site.statuses if site.statuses else answer.status < 400:
        return ""
    try:
        reason = HTTPStatus(answer.status).phrase  # not the server's words: they may be anything
    except ValueError:
        reason = ""
    wanted = f" (expected {', '.join(map(str, site.statuses))})" if site.statuses else ""
    return f"HTTP {answer.status} {reason}".rstrip() + wanted


def redirect_fault(site: Site, answer: Answer) -> str:
    wanted = urljoin(site.url, site.redirect)
    if answer.status not in REDIRECTS or not answer.location:
        return f"HTTP {answer.status}, no redirect (expected to {shown(wanted)})"
    target = urljoin(site.url, answer.location)
    return "" if target.rstrip("/") == wanted.rstrip("/") else f"goes to {shown(target)} (expected {shown(wanted)})"


def content_fault(site: Site, answer: Answer) -> str:
    """What is wrong with a page that came with the right status."""
    if len(answer.body) < site.min_size:
        return f"{len(answer.body)} bytes (expected at least {site.min_size:.0f})"
    if site.text and site.text.encode() not in answer.body:
        return f"{len(answer.body)} bytes, the text \"{site.text}\" is not among them"
    return ""


def has_content(answer: Answer) -> bool:
    """Whether that status comes with a page (RFC 9110: 204 and 205 have none, a redirect's does not matter)."""
    return answer.status not in (204, 205, *REDIRECTS, 304)


def leaks_settings(answer: Answer) -> bool:
    """Whether this is an .env file. Many applications answer every address with 200 and a page of theirs."""
    start = answer.body[:65536]
    if answer.status != 200 or b"<html" in start.lower() or b"<!doctype" in start.lower():
        return False
    return bool(_TELLING.search(start)) or len(_SETTING.findall(start)) >= 3
