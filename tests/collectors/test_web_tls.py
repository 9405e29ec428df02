"""Certificates as they are served: every wrong kind is named, and the end of each is read all the same."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.web_look import Contexts, Look, Tries, look
from collectors.web_site import Site
from collectors.web_tls import strict, validity
from stack.certificates import Authority, Certificate, self_signed
from stack.nginx import Nginx

pytestmark = pytest.mark.needs_debian("nginx", "openssl")
NOW = datetime.now(UTC).replace(microsecond=0)
NAME = "kopkarskf.test"
DAY = timedelta(days=1)


def kinds(folder: Path) -> tuple[Path, dict[str, tuple[Certificate, str]]]:
    """The authority that we trust, and each kind with what is said of it."""
    authority = Authority(folder / "ca")
    between = authority.intermediate()
    stranger = Authority(folder / "stranger")
    long_gone = {"start": NOW - 91 * DAY, "end": NOW - DAY}
    chain_cut = "the chain is incomplete: the intermediate certificate is not served, or the authority is unknown here"
    return authority.file, {
        "right": (between.issue(NAME), ""),
        "expired": (between.issue(NAME, **long_gone), ""),
        "expired in this century's second half": (between.issue(NAME, end=datetime(2060, 1, 1, tzinfo=UTC)), ""),
        "not yet valid": (between.issue(NAME, start=NOW + DAY), "the certificate is not valid yet, or this machine's "
                          "clock is wrong"),
        "self-signed": (self_signed(folder / "own", NAME), "self-signed certificate"),
        "self-signed and expired": (self_signed(folder / "own", NAME, **long_gone), "self-signed certificate"),
        "wrong name": (between.issue("lain.test"), "Hostname mismatch, certificate is not valid for "
                       "'kopkarskf.test'"),
        "wrong name and expired": (between.issue("lain.test", **long_gone), "Hostname mismatch, certificate is not "
                                   "valid for 'kopkarskf.test'"),
        "intermediate missing": (between.issue(NAME, whole=False), chain_cut),
        "an unknown authority": (stranger.issue(NAME), chain_cut),
    }


def seen(server: Nginx, authority: Path) -> Look:
    site = Site(url=f"https://{NAME}:{server.tls_port}/", address="127.0.0.1")
    return look(site, Tries(1, 0.0, 5.0), Contexts(str(authority)), ask_env=False, now=datetime.now(UTC).timestamp())


def test_every_wrong_certificate_is_named_and_its_end_is_read_and_its_page_too(tmp_path: Path) -> None:
    authority, cases = kinds(tmp_path)
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text("Koperasi")
    told, ends = {}, {}
    with Nginx(tmp_path / "nginx", f"root {tmp_path}/www;", cases["right"][0]) as server:
        for name, (certificate, _) in cases.items():
            server.certificate = certificate
            server.reload()
            found = seen(server, authority)
            assert found.certificate is not None
            assert found.good, name  # a page is looked at whatever its certificate is worth
            told[name] = found.certificate.fault
            ends[name] = datetime.fromtimestamp(found.certificate.valid.ends, UTC)
    assert told == {name: fault for name, (_, fault) in cases.items()}
    assert ends["expired"] == ends["wrong name and expired"] == ends["self-signed and expired"] == NOW - DAY
    assert ends["expired in this century's second half"] == datetime(2060, 1, 1, tzinfo=UTC)
    assert timedelta(days=88) < ends["right"] - NOW < timedelta(days=90)


def test_what_speaks_no_tls_is_unreachable(tmp_path: Path) -> None:
    with Nginx(tmp_path, "location / { return 200 x; }") as server:
        server.tls_port = server.port
        authority = Authority(tmp_path / "ca").file
        assert seen(server, authority).unreachable == f"127.0.0.1 port {server.port}: TLS: wrong version number"


def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for content, why in ((None, "No such file or directory"), ("x", "holds no certificate in PEM")):
        file = tmp_path / "own.pem"
        if content:
            file.write_text(content)
        with pytest.raises(OSError, match=f"^ca_file {file}: {why}$"):
            strict(str(file))


# As much of a certificate as is read: the beginning of one of ours, up to the end of its validity.
SAMPLE = bytes.fromhex(
    "3081ae3081a0a003020102020101300a06082a8648ce3d040302300c310a3008060355040a0c0141"
    "301e170d3236313132313139303530305a170d3237303231393139303530305a")


def test_both_ways_of_writing_a_time_are_read_and_others_are_refused() -> None:
    begins, ends = datetime(2026, 11, 21, 19, 5, tzinfo=UTC), datetime(2027, 2, 19, 19, 5, tzinfo=UTC)
    read = validity(SAMPLE)
    assert (read.begins, read.ends) == (begins.timestamp(), ends.timestamp())
    old = validity(SAMPLE.replace(b"261121190500Z", b"551121190500Z"))
    assert datetime.fromtimestamp(old.begins, UTC).year == 1955
    for cut in (b"", SAMPLE[:-1], SAMPLE[:30], SAMPLE.replace(b"Z", b"x")):
        with pytest.raises(ValueError, match=r"."):
            validity(cut)


@given(st.binary(max_size=200), st.integers(0, len(SAMPLE) - 1), st.integers(0, 255))
def test_a_broken_certificate_is_a_value_error_and_nothing_worse(garbage: bytes, at: int, byte: int) -> None:
    for der in (garbage, SAMPLE[:at] + bytes([byte]) + SAMPLE[at + 1:]):
        with suppress(ValueError):
            validity(der)
