"""The public door: what a signed link shows and does, whose webhooks are heard, and that all else meets a wall."""

import base64
import hashlib
import http.client
import json
import re
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from agent import links
from agent.config import Web
from agent.control import Occupied
from agent.public import ADDRESSES, LARGEST, MOST, PublicSite, Turnstile, caller, link_key, make
from alerts.ledger import Entry, StoreError
from alerts.notification import Proof, Reply, Status
from collectors.disk import USED
from fake_house import NOW
from public_house import FORM, HOOK, INCOMING, OTHER_TOKEN, SENDER, TOKEN, URL, PublicHouse, signed


@pytest.fixture
def house(tmp_path: Path) -> Iterator[PublicHouse]:
    house = PublicHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def client(house: PublicHouse) -> FlaskClient:
    return make(house).test_client()


def look(client: FlaskClient, token: str, status: int = 200) -> str:
    response = client.get(f"/a/{token}", base_url=URL)
    assert response.status_code == status
    return response.get_data(as_text=True)


def words(page: str) -> str:
    """What a person reads: the body's text, one line for each block."""
    body = re.sub(r"</(?:h\d|p|div|header|form)>", "\n", page.split("<body>")[1])
    lines = (" ".join(re.sub(r"<[^>]+>", " ", line).split()) for line in body.split("\n"))
    return "\n".join(line for line in lines if line)


def buttons(page: str) -> dict[str, dict[str, str]]:
    """The forms as a browser would send them, by the button's words."""
    found = {}
    for path, seal, action, label in re.findall(
            r'<form method="post" action="([^"]+)">\s*<input type="hidden" name="seal" value="([^"]+)">\s*'
            r'<button name="action" value="([^"]+)">([^<]+)</button>\s*</form>', page):
        found[label] = {"path": path, "seal": seal, "action": action}
    return found


def press(client: FlaskClient, button: dict[str, str], origin: str | None = URL, **more: Any) -> TestResponse:
    headers = {} if origin is None else {"Origin": origin}
    fields = {key: value for key, value in button.items() if key != "path"}
    return client.post(button["path"], data=fields, base_url=URL, headers=headers, **more)


def pressed(client: FlaskClient, button: dict[str, str]) -> str:
    response = press(client, button)
    assert response.status_code == 200
    return words(response.get_data(as_text=True)).split("\n")[1]  # below the header


# --- the page behind a link ------------------------------------------------------------------------------------------

SEEN = """\
Jaga · KopKar &lt;SKF&gt; · server · Untuk Pak Budi
{code} KRITIS: Disk / terisi 93 %
Sejak 08.57 WIB (3 menit)
Ditangani belum ada
Berikutnya 09.15 WIB: diteruskan ke Bu Ani
Saya tangani (2 jam)
Bukan saya, teruskan
Langkah pertama (teknisi)
Cari yang membengkak: `du -xh --max-depth=2 / | sort -h | tail -20`.
Perbaikan
FIX"""


def test_a_link_shows_what_since_when_what_to_do_and_who_has_it(house: PublicHouse, client: FlaskClient) -> None:
    code = house.sick()
    text = words(look(client, house.link()))
    assert re.sub(r"(?m)(^Perbaikan\n).*$", r"\1FIX", text) == SEEN.format(code=code)


def test_looking_never_acts(house: PublicHouse, client: FlaskClient) -> None:
    """Mail scanners open every link, some with HEAD, some with what they find in the page put behind it."""
    code, token = house.sick(), house.link()
    before = house.store.history(code)
    seal = buttons(look(client, token))["Saya tangani (2 jam)"]["seal"]
    assert client.head(f"/a/{token}", base_url=URL).status_code == 200
    assert client.get(f"/a/{token}?action=ack&seal={seal}", base_url=URL).status_code == 200
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
        assert client.open(f"/a/{token}", method=method, base_url=URL).status_code == 404
    assert house.store.history(code) == before


def test_a_button_takes_it_once(house: PublicHouse, client: FlaskClient) -> None:
    code = house.sick()
    take = buttons(look(client, house.link()))["Saya tangani (2 jam)"]
    assert pressed(client, take) == f"Tercatat: {code} Anda tangani sampai 11.00 WIB."
    [incident] = house.desk.view.open
    assert (incident.acked_by, incident.acked_until) == ("budi", NOW + 7200)
    house.clock.wall += 600
    again = "Dengan tautan ini sudah diambil (09.00 WIB). Bila perlu lagi, buka tautan di pesan terbaru."
    assert pressed(client, take) == again
    assert house.desk.view.open == (incident,)
    assert house.deeds(code) == [("acked", "budi")]
    page = look(client, house.link())
    assert "Anda menanganinya sampai 11.00 WIB." in page
    assert list(buttons(page)) == ["Bukan saya, teruskan"]
    house.desk.unack(code, "budi", "cli", house.clock.now())  # the old link is spent, a new one is not
    assert "Saya tangani (2 jam)" in buttons(look(client, house.link()))


def test_a_button_passes_it_on_at_once(house: PublicHouse, client: FlaskClient) -> None:
    code = house.sick()
    token = house.link()
    assert pressed(client, buttons(look(client, token))["Bukan saya, teruskan"]) == (
        f"Tercatat: {code} diteruskan, yang lain dikabari sekarang.")
    [incident] = house.desk.view.open
    assert {told.contact for told in incident.told} == {"budi", "ani"}
    page = look(client, token)
    assert "Dengan tautan ini sudah diteruskan (09.00 WIB)." in page
    assert list(buttons(page)) == ["Saya tangani (2 jam)"]
    assert [who for _, who in house.deeds(code)] == ["budi"]


def test_a_double_tap_acts_once(house: PublicHouse, client: FlaskClient) -> None:
    code = house.sick()
    take = buttons(look(client, house.link()))["Saya tangani (2 jam)"]
    app, start = client.application, threading.Barrier(4)
    answers: list[str] = []

    def tap() -> None:
        start.wait(10)
        answers.append(pressed(app.test_client(), take))

    threads = [threading.Thread(target=tap) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answer.split()[0] for answer in answers) == ["Dengan", "Dengan", "Dengan", "Tercatat:"]
    assert house.deeds(code) == [("acked", "budi")]


def test_what_another_has_can_be_taken_over_but_not_passed_on(house: PublicHouse, client: FlaskClient) -> None:
    code, token = house.sick(), house.link("ani")
    forward = buttons(look(client, token))["Bukan saya, teruskan"]
    house.desk.ack(code, "budi", "cli", NOW)
    page = look(client, token)
    assert "Pak Budi sampai 11.00 WIB" in page
    assert list(buttons(page)) == ["Ambil alih (2 jam)"]
    assert pressed(client, forward) == f"{code} sudah ditangani Pak Budi sampai 11.00 WIB; tidak perlu diteruskan."
    assert house.desk.view.open[0].acked_by == "budi"
    assert pressed(client, buttons(page)["Ambil alih (2 jam)"]) == f"Tercatat: {code} Anda tangani sampai 11.00 WIB."
    assert house.desk.view.open[0].acked_by == "ani"


def test_of_what_is_over_only_the_end_is_shown(house: PublicHouse, client: FlaskClient) -> None:
    code, token = house.sick(), house.link()
    take = buttons(look(client, token))["Saya tangani (2 jam)"]
    house.clock.wall += 600
    house.well()
    page = look(client, token)
    assert f"{code} sudah selesai; tidak ada yang perlu dilakukan." in page
    assert (buttons(page), "Langkah pertama" in page) == ({}, False)
    assert pressed(client, take) == f"{code} sudah selesai; tidak ada yang perlu dilakukan."
    assert house.deeds(code) == []


def test_a_link_outlives_neither_its_time_nor_its_contact_nor_its_key(house: PublicHouse, client: FlaskClient) -> None:
    code, token, gone = house.sick(), house.link(), house.link("siti")
    take = buttons(look(client, token))["Saya tangani (2 jam)"]
    assert look(client, gone, 404) == ""
    house.clock.wall += 86400
    assert words(look(client, token, 410)) == (
        "Jaga\nTautan ini sudah kedaluwarsa. Buka tautan di pesan Jaga terbaru, atau kabari petugas IT.")
    assert press(client, take).status_code == 410
    house.clock.wall -= 86400
    house.link_key = bytes(32)
    assert look(client, token, 404) == ""
    assert press(client, take).status_code == 404
    assert house.deeds(code) == []


def test_a_link_does_not_serve_another_incident_that_got_its_code(house: PublicHouse, client: FlaskClient) -> None:
    code = house.sick()
    old = links.make(house.link_key, code, NOW - 60 * 86400, "budi", NOW)
    page = look(client, old)
    assert (words(page).split("\n")[1], buttons(page)) == ("Gangguan ini sudah tidak ada dalam catatan.", {})
    seal = links.seal(house.link_key, old, "ack")
    assert pressed(client, {"path": f"/a/{old}", "seal": seal, "action": "ack"}) == (
        "Gangguan ini sudah tidak ada dalam catatan.")
    assert house.deeds(code) == []


def test_a_link_survives_a_clock_that_was_set(house: PublicHouse, client: FlaskClient) -> None:
    house.sick()
    token = house.link()
    house.clock.wall += 3600
    house.desk.shift(3600, house.clock.now())
    assert "Saya tangani (2 jam)" in buttons(look(client, token))


def test_it_is_taken_even_while_the_store_cannot_be_read(
    house: PublicHouse, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.sick()
    take = buttons(look(client, house.link()))["Saya tangani (2 jam)"]

    def broken(_code: str) -> list[Entry]:
        raise StoreError("jaga.db: disk I/O error")

    monkeypatch.setattr(house.store, "history", broken)
    assert pressed(client, take).startswith("Tercatat:")
    assert house.desk.view.open[0].acked_by == "budi"


def test_the_page_speaks_its_contacts_language_and_to_their_trade(house: PublicHouse, client: FlaskClient) -> None:
    people = house.config.policy.contacts
    ani = msgspec.structs.replace(people["ani"], language="en", technician=False)
    house.use(policy=msgspec.structs.replace(house.config.policy, contacts={**people, "ani": ani}))
    code = house.sick()
    page = look(client, house.link("ani"))
    assert '<html lang="en">' in page
    assert list(buttons(page)) == ["I take it (2 h)", "Not me, pass it on"]
    assert "First step (without a terminal)" in page
    assert pressed(client, buttons(page)["I take it (2 h)"]) == f"Noted: you have {code} until 11:00 WIB."


# --- who may press ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("origin", "status"), [
    (URL, 200), (URL.upper(), 200), (None, 200), ("https://evil.example", 403), ("null", 403), ("", 403),
    (URL.replace("https", "http"), 403), (f"{URL}.evil.example", 403), (f"{URL}:8443", 403)])
def test_a_form_from_elsewhere_does_nothing(
    house: PublicHouse, client: FlaskClient, origin: str | None, status: int
) -> None:
    code = house.sick()
    take = buttons(look(client, house.link()))["Saya tangani (2 jam)"]
    response = press(client, take, origin)
    assert (response.status_code, len(house.deeds(code))) == (status, 1 if status == 200 else 0)
    if status == 403:
        assert words(response.get_data(as_text=True)) == (
            "Jaga\nBelum dilakukan apa pun. Buka lagi tautan di pesan, lalu tekan tombolnya.")


def test_a_form_without_its_seal_does_nothing(house: PublicHouse, client: FlaskClient) -> None:
    code, token, other = house.sick(), house.link(), house.link("ani")
    take = buttons(look(client, token))["Saya tangani (2 jam)"]
    theirs = buttons(look(client, other))["Saya tangani (2 jam)"]
    for changed in ({"seal": ""}, {"seal": theirs["seal"]}, {"action": "refuse"}, {"seal": "é"}):
        assert press(client, {**take, **changed}).status_code == 403
    for junk in ({"action": "close"}, {"action": ""}):
        assert press(client, {**take, **junk}).status_code == 400
    assert client.post(take["path"], json=take, base_url=URL).status_code == 415
    assert client.post(take["path"], data=take, content_type="multipart/form-data", base_url=URL).status_code == 415
    assert client.post(take["path"], base_url=URL).status_code == 415
    assert house.deeds(code) == []


# --- Twilio ----------------------------------------------------------------------------------------------------------

FATE = {"AccountSid": "AC" + "a" * 32, "MessageSid": "SM" + "2" * 32, "MessageStatus": "read",
        "From": f"whatsapp:{SENDER}", "To": "whatsapp:+6281234567890"}


def call(client: FlaskClient, params: dict[str, str], headers: dict[str, str], path: str = "/hooks/twilio",
         **more: Any) -> TestResponse:
    return client.post(path, data=urlencode(params), content_type=FORM, headers=headers, base_url=URL, **more)


def test_a_persons_message_is_heard(house: PublicHouse, client: FlaskClient) -> None:
    response = call(client, INCOMING, signed(INCOMING))
    assert (response.status_code, response.data, response.mimetype) == (200, b"<Response/>", "text/xml")
    reply = Reply(id="SM" + "1" * 32, address="+6281234567890", text="ok K7M é👍", at=NOW, name="Budi")
    assert (house.heard, house.outcomes) == ([("twilio", reply)], [])


def test_what_became_of_our_message_is_heard(house: PublicHouse, client: FlaskClient) -> None:
    assert call(client, FATE, signed(FATE)).status_code == 200
    refused = {**FATE, "MessageStatus": "undelivered", "ErrorCode": "63013"}
    assert call(client, refused, signed(refused)).status_code == 200
    [first, second] = house.outcomes
    assert first == ("twilio", "SM" + "2" * 32, Status(Proof.READ))
    assert (second[2].failed.split()[0], second[2].content_refused) == ("63013", True)  # it has a fall-back template
    assert house.heard == []


def test_each_account_and_sender_has_its_channel(house: PublicHouse, client: FlaskClient) -> None:
    second = {**INCOMING, "To": "whatsapp:+628119999999"}
    other = {**INCOMING, "AccountSid": "AC" + "b" * 32}
    nobodys = {**INCOMING, "To": "whatsapp:+620000000000"}
    for params, token in ((second, TOKEN), (other, OTHER_TOKEN), (nobodys, TOKEN)):
        assert call(client, params, signed(params, token)).status_code == 200
    assert [channel for channel, _ in house.heard] == ["twilio2", "other", "twilio"]


def test_what_says_nothing_is_answered_all_the_same(house: PublicHouse, client: FlaskClient) -> None:
    empty = {"AccountSid": "AC" + "a" * 32}
    assert call(client, empty, signed(empty)).status_code == 200
    assert (house.heard, house.outcomes) == ([], [])


def test_a_url_with_a_query_is_signed_with_it(house: PublicHouse, client: FlaskClient) -> None:
    query = "/hooks/twilio?from=jaga&x=%C3%A9"
    assert call(client, INCOMING, signed(INCOMING, url=URL + query), query).status_code == 200
    assert call(client, INCOMING, signed(INCOMING), query).status_code == 403


@pytest.mark.parametrize(("params", "headers"), [
    ({}, {}),
    (INCOMING, {}),
    (INCOMING, {"X-Twilio-Signature": ""}),
    (INCOMING, {"X-Twilio-Signature": "\xe9"}),
    (INCOMING, signed(INCOMING, OTHER_TOKEN)),
    (INCOMING, signed(INCOMING, url="http://127.0.0.1:9811/hooks/twilio")),
    ({**INCOMING, "Body": "ok semua"}, signed(INCOMING)),
    ({**INCOMING, "Extra": ""}, signed(INCOMING)),  # an empty field counts
    ({k: v for k, v in INCOMING.items() if k != "MediaUrl0"}, signed(INCOMING)),
    ({**INCOMING, "AccountSid": "AC" + "b" * 32}, signed({**INCOMING, "AccountSid": "AC" + "b" * 32}, TOKEN)),
    ({**INCOMING, "AccountSid": "AC" + "c" * 32}, signed({**INCOMING, "AccountSid": "AC" + "c" * 32}, TOKEN)),
], ids=["nothing", "unsigned", "empty", "no ASCII", "other token", "other URL", "changed", "added", "left out",
        "other's account", "account of an API key"])
def test_what_twilio_did_not_sign_is_not_heard(
    house: PublicHouse, client: FlaskClient, params: dict[str, str], headers: dict[str, str]
) -> None:
    response = call(client, params, headers)
    assert (response.status_code, response.data) == (403, b"")
    assert house.heard == []


@pytest.mark.parametrize("body", [b"\xff\xfe", b"Body=%FF", b"x", b"A=1&A=2", b"&".join([b"a%d=" % n for n in
                                                                                              range(500)])])
def test_what_is_no_form_is_not_heard(house: PublicHouse, client: FlaskClient, body: bytes) -> None:
    response = client.post("/hooks/twilio", data=body, content_type=FORM, base_url=URL)
    assert (response.status_code, response.data, house.heard) == (400, b"", [])


def test_without_twilio_there_is_no_such_door(house: PublicHouse, client: FlaskClient) -> None:
    house.use(notifiers={})
    assert call(client, INCOMING, signed(INCOMING)).status_code == 404


def test_refusals_are_logged_once_and_tell_no_secret(house: PublicHouse, client: FlaskClient) -> None:
    with capture_logs() as logs:
        for _ in range(5):
            call(client, INCOMING, signed(INCOMING, OTHER_TOKEN))
        call(client, INCOMING, signed(INCOMING))
    assert [said["event"] for said in logs] == ["hook_failed", "hook_recovered"]
    assert f"{URL}/hooks/twilio" in logs[0]["error"]
    assert not any(secret in repr(logs) for secret in (TOKEN, OTHER_TOKEN, "81234567890"))


# --- Fonnte ----------------------------------------------------------------------------------------------------------

SAID = {"device": "628110000009", "sender": "6281234567890", "message": "ok K7M", "name": "Budi", "inboxid": 77}


def test_a_message_by_fonnte_is_heard(house: PublicHouse, client: FlaskClient) -> None:
    response = client.post(f"/hooks/fonnte/{HOOK}", json=SAID, base_url=URL)
    assert (response.status_code, response.data) == (200, b"")
    reply = Reply(id="inbox-77", address="+6281234567890", text="ok K7M", at=NOW, name="Budi")
    assert house.heard == [("fonnte", reply)]


def test_a_status_by_fonnte_is_taken_and_says_nothing(house: PublicHouse, client: FlaskClient) -> None:
    body = json.dumps({"device": "628110000009", "status": "connect"})
    assert client.post(f"/hooks/fonnte/{HOOK}", data=body, base_url=URL).status_code == 200  # of any content type
    assert house.heard == []


@pytest.mark.parametrize("path", ["", "/", f"/{HOOK[:-1]}", f"/{HOOK}x", f"/{HOOK}/", "/%FF", "/None",
                                  f"/{HOOK.upper()}"])
def test_without_the_secret_there_is_no_such_door(house: PublicHouse, client: FlaskClient, path: str) -> None:
    response = client.post(f"/hooks/fonnte{path}", json=SAID, base_url=URL)
    assert (response.status_code, response.data, house.heard) == (404, b"", [])


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"[" * 60000])
def test_junk_by_fonnte_is_not_heard(house: PublicHouse, client: FlaskClient, body: bytes) -> None:
    response = client.post(f"/hooks/fonnte/{HOOK}", data=body, content_type="application/json", base_url=URL)
    assert (response.status_code, response.data, house.heard) == (400, b"", [])


def test_what_fonnte_would_only_say_again_is_taken_and_logged_once(house: PublicHouse, client: FlaskClient) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            response = client.post(f"/hooks/fonnte/{HOOK}", json={"sender": "123@lid", "message": "ok"}, base_url=URL)
            assert (response.status_code, house.heard) == (200, [])
    assert [said["event"] for said in logs] == ["hook_failed"]


# --- the wall --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/-/ready", "/style.css", "/incidents/K7M", "/a",
                                  "/a/", "/a/x", "/a/x/y", "/api/v2/alerts", "/static/style.css", "/hooks/",
                                  "/hooks/twilio", f"/hooks/fonnte/{HOOK}", "//a/x", "/%00"])
def test_there_is_nothing_else(house: PublicHouse, client: FlaskClient, path: str) -> None:
    house.sick()
    door = path.startswith("/hooks/") and path != "/hooks/"
    for method in ["GET", "HEAD", "OPTIONS", "TRACE", *([] if door else ["POST"])]:
        response = client.open(path, method=method, base_url=URL)
        assert (response.status_code, response.data, response.headers.get("Location")) == (404, b"", None)


@pytest.mark.parametrize(("host", "status"), [
    ("jaga.kopkarskf.test", 200), ("JAGA.kopkarskf.test", 200), ("jaga.kopkarskf.test:443", 200),
    ("jaga.kopkarskf.test:80", 404), ("127.0.0.1:9811", 404), ("localhost", 404), ("", 404),
    ("jaga.kopkarskf.test.evil.example", 404)])
def test_only_our_address_outside_is_answered(house: PublicHouse, client: FlaskClient, host: str, status: int) -> None:
    house.sick()
    response = client.get(f"/a/{house.link()}", base_url=URL, headers={"Host": host})
    assert (response.status_code, bool(response.data)) == (status, status == 200)


def test_a_door_that_a_reload_took_out_is_shut_at_once(house: PublicHouse, client: FlaskClient) -> None:
    house.sick()
    house.use(web=Web())
    assert look(client, house.link(), 404) == ""
    assert client.get("/", base_url=URL, headers={"Host": ""}).status_code == 404


def test_a_large_request_is_not_read(house: PublicHouse, client: FlaskClient) -> None:
    house.sick()
    for path in ("/hooks/twilio", f"/hooks/fonnte/{HOOK}", f"/a/{house.link()}"):
        response = client.post(path, data=b"x" * (LARGEST + 1), content_type=FORM, base_url=URL)
        assert (response.status_code, response.data) == (413, b"")


def test_a_fault_of_ours_tells_nothing_outside_and_not_the_link_inside(
    house: PublicHouse, client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(house, "hear", broken)
    with capture_logs() as logs:
        response = client.post(f"/hooks/fonnte/{HOOK}", json=SAID, base_url=URL)
    assert (response.status_code, response.data) == (500, b"")
    [said] = logs
    assert (said["event"], said["endpoint"]) == ("public_failed", "fonnte")
    told = "".join(traceback.format_exception(said["exc_info"])) + caplog.text
    assert "a fault" in told
    assert HOOK not in told


def test_every_answer_carries_the_guards_and_the_page_keeps_to_them(house: PublicHouse, client: FlaskClient) -> None:
    house.sick()
    for path in (f"/a/{house.link()}", "/nothing", f"/a/{house.link(lasts=-1)}"):
        response = client.get(path, base_url=URL)
        page = response.get_data(as_text=True)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "form-action 'self'" in policy
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "same-origin"  # else the browser calls our own form "null"
        assert response.headers["X-Frame-Options"] == "DENY"
        assert "Set-Cookie" not in response.headers
        assert re.findall(r"<script|style=| on\w+=|<img|<link rel=\"stylesheet", page) == []
        for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL):
            assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
        assert ("<style>" in page) == (path != "/nothing")


EVIL = '<script>alert(1)</script>"onload="x'


def test_what_comes_from_outside_stays_text(house: PublicHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount=EVIL, note=EVIL))
    house.desk.ack(house.desk.view.open[0].code, EVIL, EVIL, NOW)
    page = look(client, house.link())
    assert "<script" not in page.lower()
    assert '"onload=' not in page


# --- too many --------------------------------------------------------------------------------------------------------


def test_an_address_that_asks_without_end_waits_and_others_do_not(house: PublicHouse, client: FlaskClient) -> None:
    def ask(address: str) -> int:
        return client.get("/nothing", base_url=URL, environ_base={"REMOTE_ADDR": address}).status_code

    assert [ask("203.0.113.7") for _ in range(MOST + 2)] == [404] * MOST + [429] * 2
    assert ask("203.0.113.8") == 404
    house.clock.advance(61)
    assert ask("203.0.113.7") == 404


def test_the_table_of_addresses_does_not_grow() -> None:
    turnstile = Turnstile()
    for number in range(ADDRESSES * 3):
        assert turnstile.admits(str(number), number / 1000)
    assert len(turnstile._counts) == ADDRESSES


@pytest.mark.parametrize(("peer", "forwarded", "who"), [
    ("203.0.113.7", "", "203.0.113.7"),
    ("203.0.113.7", "198.51.100.1", "203.0.113.7"),  # no proxy of ours, so its word counts for nothing
    ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("127.0.0.1", "1.1.1.1, 198.51.100.1", "198.51.100.1"),  # what the caller claimed stands before
    ("127.0.0.1", "", "127.0.0.1"),
    ("127.0.0.1", "unknown", "127.0.0.1"),
    ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ("::ffff:127.0.0.1", "198.51.100.1", "198.51.100.1"),
    ("2001:db8::1%eth0", "", "2001:db8::/64"),
    ("", "198.51.100.1", "?"),
])
def test_who_asks_is_whom_our_own_proxy_saw(peer: str, forwarded: str, who: str) -> None:
    assert caller({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}) == who


# --- the key ---------------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    key = link_key(tmp_path)
    assert (len(key), (tmp_path / "link.key").stat().st_mode & 0o777) == (32, 0o600)
    assert link_key(tmp_path) == key
    assert [path.name for path in tmp_path.iterdir()] == ["link.key"]
    (tmp_path / "link.key").unlink()
    assert link_key(tmp_path) != key


def test_half_a_key_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link.key").write_bytes(b"half")
    assert len(link_key(tmp_path)) == 32
    assert len((tmp_path / "link.key").read_bytes()) == 32


def test_where_the_key_cannot_be_kept_the_start_goes_on(tmp_path: Path) -> None:
    with capture_logs() as logs:
        assert len(link_key(tmp_path / "none")) == 32
    assert [said["event"] for said in logs] == ["link_key_not_kept"]


# --- the listener ----------------------------------------------------------------------------------------------------


def listening(house: PublicHouse) -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    house.use(web=Web(public=f"127.0.0.1:{port}", public_url=URL))
    return port


def ask(port: int, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": "jaga.kopkarskf.test", **(headers or {})}
    connection.request("GET" if body is None else "POST", path, body, headers)
    response = connection.getresponse()
    found = response.status, response.read()
    assert "Server" not in response.headers
    connection.close()
    return found


def test_the_listener_serves_counts_by_forwarded_address_and_stops(house: PublicHouse) -> None:
    port = listening(house)
    site = PublicSite(house)
    site.start()
    try:
        house.sick()
        status, page = ask(port, f"/a/{house.link()}")
        assert (status, b"Saya tangani" in page) == (200, True)
        body = urlencode(INCOMING).encode()
        headers = {"Content-Type": FORM, **signed(INCOMING)}
        assert ask(port, "/hooks/twilio", body, headers) == (200, b"<Response/>")
        assert ask(port, "/hooks/twilio", body + b"!", headers) == (403, b"")
        assert ask(port, "/hooks/twilio", b"x" * (LARGEST + 1), headers)[0] == 413
        statuses = [ask(port, "/", None, {"X-Forwarded-For": "198.51.100.1"})[0] for _ in range(MOST + 1)]
        assert statuses == [404] * MOST + [429]
        assert ask(port, "/", None, {"X-Forwarded-For": "198.51.100.2"})[0] == 404
    finally:
        site.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert [thread.name for thread in threading.enumerate() if thread.name == "public"] == []


def test_a_taken_port_is_said_in_words(house: PublicHouse) -> None:
    port = listening(house)
    with socket.create_server(("127.0.0.1", port)), pytest.raises(Occupied) as occupied:
        PublicSite(house)
    assert str(occupied.value) == (f'[web] public = "127.0.0.1:{port}": Address already in use: stop what listens '
                                   f"there (ss -ltnp 'sport = :{port}'), or choose another port")
