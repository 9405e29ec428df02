"""Domains: what is registered, what registries say and how they fail, and how seldom they are asked."""

import contextlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.web_domain import Registration, Remembered, from_rdap, from_whois, look_up, registered
from collectors.web_http import Unreachable
from collectors.web_tls import trusting
from collectors.web_wire import Deadline
from fake_registry import Registry, rdap

DAY = 86400.0
END = 1860379200.0  # 2028-12-14T04:00:00Z

VERISIGN = """\
   Domain Name: KOPKARSKF.COM
   Registry Domain ID: 1234567_DOMAIN_COM-VRSN
   Updated Date: 2025-12-01T07:01:44Z
   Creation Date: 2019-12-14T04:00:00Z
   Registry Expiry Date: 2028-12-14T04:00:00Z
   Domain Status: clientTransferProhibited https://icann.org/epp#clientTransferProhibited
>>> Last update of whois database: 2026-11-22T00:00:00Z <<<
"""
PANDI = """\
Domain ID:                    PANDI-DO1234567\r
Domain Name:                  kopkar.co.id\r
Created On:                   2015-03-02 04:11:29\r
Expiration Date:              2028-12-14 04:00:00\r
Status:                       clientHold\r
Registrar Name:               Koperasi Domain \xe9\r
"""


@pytest.mark.parametrize(("host", "domain"), [
    ("kopkarskf.com", "kopkarskf.com"), ("www.KOPKARSKF.com.", "kopkarskf.com"), ("a.b.kopkarskf.com", "kopkarskf.com"),
    ("kopkar.id", "kopkar.id"), ("www.kopkar.id", "kopkar.id"), ("kopkar.co.id", "kopkar.co.id"),
    ("toko.kopkar.or.id", "kopkar.or.id"), ("kopkar.my.id", "kopkar.my.id"), ("x.kopkar.ponpes.id", "kopkar.ponpes.id"),
    ("www.kopkar.co.uk", "kopkar.co.uk"), ("shop.kopkar.com.sg", "kopkar.com.sg"), ("www.web.de", "web.de"),
    ("co.id", ""), ("localhost", ""), ("pos.lan", ""), ("kopkarskf.test", ""), ("10.0.0.7", ""), ("::1", ""), ("", ""),
])
def test_the_domain_is_what_somebody_pays_for(host: str, domain: str) -> None:
    assert registered(host) == domain


@pytest.mark.parametrize(("answer", "registration"), [
    (rdap("a.com", "2028-12-14T04:00:00Z", "client transfer prohibited"), Registration(END)),
    (rdap("a.com", "2028-12-14T11:00:00+07:00"), Registration(END)),
    (rdap("a.com", "2028-12-14T04:00:00"), Registration(END)),
    (rdap("a.com", "2028-12-14T04:00:00.0Z", "active", "clientHold"), Registration(END, "clienthold")),
    (rdap("a.com", "2028-12-14T04:00:00Z", "redemption period"), Registration(END, "redemption period")),
    (rdap("a.com", "2028-12-14T04:00:00Z") | {"status": None}, Registration(END)),
])
def test_rdap_is_read_leniently(answer: dict[str, Any], registration: Registration) -> None:
    assert from_rdap(json.dumps(answer).encode()) == registration


@pytest.mark.parametrize("body", [
    b"", b"<html>Just a moment...</html>", b"[]", b"null", b"\xff\xfe", b'{"events": 3}', b'{"events": [1, null, {}]}',
    b'{"events": [{"eventAction": "expiration"}]}', b'{"events": [{"eventAction": "expiration", "eventDate": "soon"}]}',
    b'{"events": [{"eventAction": "expiration", "eventDate": "0001-01-01"}]}', b"[" * 100_000,
    json.dumps(rdap("a.com")).encode(),
])
def test_what_names_no_end_is_unknown_and_not_expired(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_rdap(body)


@pytest.mark.parametrize(("text", "registration"), [
    (VERISIGN, Registration(END)), (PANDI, Registration(END, "clienthold")),
    ("paid-till: 2028-12-14T04:00:00Z\n", Registration(END)),
    ("Expiry date:  14-Dec-2028\n", Registration(END - 4 * 3600)),
    ("Expiration Date: 2028/12/14 04:00:00 (UTC+0)\n", None), ("Expiration Date:\n", None), ("No match\n", None),
])
def test_whois_is_read_by_its_labels(text: str, registration: Registration | None) -> None:
    if registration is None:
        with pytest.raises(ValueError, match="date"):
            from_whois(text)
    else:
        assert from_whois(text) == registration


@given(st.binary(max_size=300), st.text(max_size=300))
def test_garbage_from_a_registry_is_never_more_than_a_value_error(body: bytes, text: str) -> None:
    for parse in (lambda: from_rdap(body), lambda: from_rdap(json.dumps({"events": [{
            "eventAction": "expiration", "eventDate": text}], "status": [text]}).encode()),
            lambda: from_whois(f"Expiration Date: {text}")):
        with contextlib.suppress(ValueError):
            assert isinstance(parse(), Registration)


def ask(registry: Registry, domain: str = "kopkar.co.id") -> Registration:
    return look_up(domain, {"id": registry.rdap, "*": ""}, {"id": registry.whois, "*": ""}, Deadline(5.0), trusting)


def test_whois_is_asked_only_where_rdap_does_not_tell() -> None:
    with Registry() as registry:
        registry.answers["kopkar.co.id"] = (200, rdap("kopkar.co.id", "2028-12-14T04:00:00Z"), "")
        assert ask(registry) == Registration(END)
        assert registry.asked == ["rdap kopkar.co.id"]
        registry.texts["kopkar.co.id"] = PANDI
        for refusal in ((404, {}, ""), (429, "slow down", ""), (200, "<html>", ""), (200, rdap("x"), "")):
            registry.answers["kopkar.co.id"] = refusal
            registry.asked.clear()
            assert ask(registry) == Registration(END, "clienthold")
            assert registry.asked == ["rdap kopkar.co.id", "whois kopkar.co.id"]


def test_a_redirect_leads_to_the_registry_that_knows() -> None:
    with Registry() as registry:
        registry.answers["kopkar.co.id"] = (302, "", f"{registry.rdap}domain/moved")
        registry.answers["moved"] = (200, rdap("kopkar.co.id", "2028-12-14T04:00:00Z"), "")
        assert ask(registry) == Registration(END)
        registry.answers["moved"] = (302, "", f"{registry.rdap}domain/moved")
        with pytest.raises(Unreachable, match=r"RDAP .* answered 302; WHOIS 127.* names no expiration date"):
            ask(registry)


def test_what_both_said_is_told_when_neither_knows() -> None:
    with Registry() as registry:
        with pytest.raises(Unreachable) as refused:
            ask(registry)
        assert str(refused.value) == (f"RDAP {registry.rdap}domain/kopkar.co.id answered 404; "
                                      f"WHOIS {registry.whois}: it names no expiration date")
        with pytest.raises(Unreachable, match="no server is configured"):
            ask(registry, "kopkar.museum")
    with pytest.raises(Unreachable, match=r"RDAP .*Connection refused; WHOIS .*Connection refused"):
        ask(registry)


def questions(memory: dict[str, Any], hours: range, answer: Registration | None) -> list[int]:
    """At which of these hours the registry is asked, where it answers so each time."""
    asked = []
    for hour in hours:
        known = Remembered(memory, hour * 3600.0)
        if known.due("kopkar.co.id"):
            asked.append(hour)
            known.asked()
            if answer is not None:
                known.learnt(answer)
    return asked


def test_a_registry_is_asked_once_a_day_and_in_trouble_not_more_than_each_six_hours() -> None:
    far, near = Registration(1e9), Registration(30 * 3600.0)
    for answer, least, most in ((far, 24, 25), (near, 6, 7), (Registration(1e9, "client hold"), 6, 7), (None, 6, 7)):
        asked = questions({}, range(200), answer)
        pauses = [after - before for before, after in itertools.pairwise(asked)]
        assert asked[0] == 0
        assert pauses
        assert all(least <= pause <= most for pause in pauses), (answer, pauses)


def test_what_is_remembered_survives_a_restart_as_json_and_an_answer_holds_for_a_week() -> None:
    memory: dict[str, Any] = {}
    known = Remembered(memory, 0.0)
    known.asked()
    known.learnt(Registration(END))
    memory = json.loads(json.dumps(memory))
    for day in (1, 6):
        known = Remembered(memory, day * DAY)
        known.asked()
        known.failed("RDAP: Connection refused")
        assert (known.registration, known.age, known.why) == (Registration(END), day * DAY, "RDAP: Connection refused")
    known = Remembered(memory, 8 * DAY)
    assert (known.registration, known.age) == (None, 8 * DAY)


def test_a_clock_that_was_ahead_does_not_stop_the_questions() -> None:
    memory: dict[str, Any] = {}
    known = Remembered(memory, 1e9)
    known.asked()
    known.learnt(Registration(2e9))
    assert Remembered(memory, 5e8).due("kopkar.co.id")
