"""What counts as the right answer of a site, what counts as leaked settings, and which sites nginx serves here."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors import web_nginx
from collectors.web import Web
from collectors.web_http import Answer
from collectors.web_nginx import sites
from collectors.web_site import Site, content_fault, leaks_settings, redirect_fault, shown, status_fault


def answer(status: int = 200, body: bytes = b"", location: str = "") -> Answer:
    return Answer(status=status, reason="anything", location=location, body=body, addresses=("127.0.0.1",), der=None,
                  phases={"body": 0.1})


@pytest.mark.parametrize(("wanted", "status", "fault"), [
    ((), 200, ""), ((), 204, ""), ((), 302, ""), ((), 399, ""),
    ((), 404, "HTTP 404 Not Found"), ((), 500, "HTTP 500 Internal Server Error"), ((), 520, "HTTP 520"),
    (401, 401, ""), (200, 302, "HTTP 302 Found (expected 200)"), ((200, 503), 503, ""),
    ((200, 204), 500, "HTTP 500 Internal Server Error (expected 200, 204)"),
])
def test_a_status_is_right_below_400_or_as_it_was_asked_for(wanted: int | tuple[int, ...], status: int,
                                                            fault: str) -> None:
    assert status_fault(Site(url="https://a.id/", status=wanted), answer(status)) == fault


@pytest.mark.parametrize(("redirect", "status", "location", "fault"), [
    ("https://a.id/", 301, "https://a.id/", ""), ("https://a.id", 308, "https://a.id/", ""),
    ("/masuk", 302, "http://a.id/masuk", ""), ("/masuk", 302, "/masuk", ""),
    ("https://a.id/", 200, "", "HTTP 200, no redirect (expected to https://a.id/)"),
    ("https://a.id/", 301, "", "HTTP 301, no redirect (expected to https://a.id/)"),
    ("https://a.id/", 302, "https://judi.example/?token=rahasia",
     "goes to https://judi.example/ (expected https://a.id/)"),
])
def test_a_redirect_is_right_when_it_leads_where_it_should(redirect: str, status: int, location: str,
                                                           fault: str) -> None:
    assert redirect_fault(Site(url="http://a.id/", redirect=redirect), answer(status, location=location)) == fault


@pytest.mark.parametrize(("site", "body", "fault"), [
    (Site(url="https://a.id/"), b"x", ""),
    (Site(url="https://a.id/"), b"", "0 bytes (expected at least 1)"),
    (Site(url="https://a.id/", min_size=10.0), b"x" * 9, "9 bytes (expected at least 10)"),
    (Site(url="https://a.id/", text="Koperasi"), b"<h1>Koperasi</h1>", ""),
    (Site(url="https://a.id/", text="Koperasi"), b"<h1>Jual domain</h1>",
     '20 bytes, the text "Koperasi" is not among them'),
    (Site(url="https://a.id/", text="Ramé"), "Ramé".encode(), ""),
])
def test_a_page_must_be_long_enough_and_hold_its_text(site: Site, body: bytes, fault: str) -> None:
    assert content_fault(site, answer(body=body)) == fault


@pytest.mark.parametrize(("status", "body", "leaks"), [
    (200, b"APP_NAME=Koperasi\nAPP_KEY=base64:x\n", True),
    (200, b"# settings\r\nDB_PASSWORD=x\r\n", True),
    (200, b"export A=1\nB_C=2\nD=3\n", True),
    (200, b"<!DOCTYPE html><html>APP_KEY=</html>", False),  # a page of an application that answers everything
    (200, b"<html>\nAPP_KEY=x\n</html>", False),
    (200, b'{"message": "not found"}', False), (200, b"", False), (200, b"Koperasi", False), (200, b"A=1", False),
    (404, b"APP_KEY=base64:x\n", False), (403, b"APP_KEY=x\n", False), (302, b"APP_KEY=x\n", False),
])
def test_only_what_looks_like_settings_is_a_leak(status: int, body: bytes, leaks: bool) -> None:
    assert leaks_settings(answer(status, body)) is leaks


@given(st.binary(max_size=200))
def test_any_body_can_be_looked_at(body: bytes) -> None:
    assert leaks_settings(answer(200, body)) in (True, False)
    assert content_fault(Site(url="https://a.id/", text="x"), answer(200, body)) == "" or b"x" not in body


def test_what_may_be_a_token_is_not_shown() -> None:
    assert shown("https://a.id/masuk?token=rahasia#x") == "https://a.id/masuk"


LARAVEL = """
# what artisan serves
server {
    listen 80;
    listen [::]:80;
    server_name kopkarskf.com www.kopkarskf.com;
    return 301 https://$host$request_uri; # server { listen 81; }
}
server {
    listen [::]:443 ssl ipv6only=on; # managed by Certbot
    listen 443 ssl;
    server_name kopkarskf.com www.kopkarskf.com;
    root "/var/www/koperasi/public";
    add_header X-Frame-Options "SAMEORIGIN; }";
    location ~ \\.php$ { fastcgi_pass unix:/run/php/php8.2-fpm.sock; if ($x) { server_name no.id; } }
}
upstream workers { server 10.0.0.1:8080; }
server { listen 127.0.0.1:8081; server_name admin.kopkarskf.com; }
server { listen 8443 ssl http2; server_name pos.kopkarskf.com; }
server { listen 80; server_name pos.kopkarskf.com; }
server { server_name plain.kopkarskf.com; }
server { listen 80 default_server; server_name _; }
server { listen 80; server_name ~^(?<who>.+)\\.id$ *.kopkarskf.com localhost; }
server { listen unix:/run/x.sock; server_name sock.kopkarskf.com; }
"""


def test_the_sites_of_nginx_are_found_with_tls_where_they_have_it(tmp_path: Path,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    assert sites(tmp_path) == []
    (tmp_path / "sites-enabled").mkdir()
    (tmp_path / "sites-enabled" / "koperasi").write_text(LARAVEL)
    (tmp_path / "sites-enabled" / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "cut.conf").write_bytes(b"server { listen 80; server_name \xff cut.id; location / { x")
    found = ["https://kopkarskf.com/", "http://admin.kopkarskf.com:8081/", "https://pos.kopkarskf.com:8443/",
             "http://plain.kopkarskf.com/"]
    assert sites(tmp_path) == found
    monkeypatch.setattr(web_nginx.sites, "__defaults__", (tmp_path,))
    said = Web.discover()
    assert said == ('[collectors.web]\nurls = ["https://kopkarskf.com/", "http://admin.kopkarskf.com:8081/", '
                    '"https://pos.kopkarskf.com:8443/", "http://plain.kopkarskf.com/"]\n')
    monkeypatch.setattr(web_nginx.sites, "__defaults__", (tmp_path / "nowhere",))
    assert Web.discover() is None


@given(st.text(alphabet="server {};listen_name\"'#\n ssl80a.id", max_size=200))
def test_no_configuration_of_nginx_is_too_odd(text: str) -> None:
    assert all(url.startswith(("http://", "https://")) for _, url in web_nginx._served(text))
