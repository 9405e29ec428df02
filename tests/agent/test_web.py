"""The pages: what they show, who may look, and that nothing from outside becomes markup."""

import http.client
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from agent import plugins
from agent.board import CollectorState
from agent.config import Web
from agent.control import Occupied
from agent.selfcheck import NOTIFIER_FAILING
from agent.web import HEADERS, Site, make
from alerts.ledger import Changes, Message
from alerts.notification import Letter, Proof
from collectors.disk import USED
from fake_house import NOW, FakeHouse

HERE = "http://127.0.0.1:9810"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[FakeHouse]:
    house = FakeHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture
def client(house: FakeHouse) -> FlaskClient:
    return make(house).test_client()


def words(page: str) -> str:
    """What a person reads: the body's text, one line for each block."""
    body = page.split("<body>")[1]
    body = re.sub(r"</(?:h\d|p|tr|div|footer|header)>", "\n", body)
    body = re.sub(r"</(?:td|th|dt)><", " | <", body).replace("<pre>", " ")
    lines = (" ".join(re.sub(r"<[^>]+>", "", line).split()) for line in body.split("\n"))
    return "\n".join(line for line in lines if line)


def page(client: FlaskClient, path: str, status: int = 200, **more: Any) -> str:
    response = client.get(path, base_url=HERE, **more)
    assert response.status_code == status
    return response.get_data(as_text=True)


def test_the_page_says_since_when_nothing_has_left_this_machine(house: FakeHouse, client: FlaskClient) -> None:
    webhook = plugins.notifiers()["webhook"].cls(url="https://hooks.example.id/jaga")
    channels = {**house.config.notifiers, "hook": webhook, "two": webhook}
    house.config = msgspec.structs.replace(house.config, notifiers=channels)

    def failing(**seconds: float) -> bool:
        readings = tuple(NOTIFIER_FAILING(value, notifier=name) for name, value in seconds.items())
        house.board.put(CollectorState("agent", 15.0, 15.0, readings=readings, at=house.clock.now(), success=True))
        return "Sejak 08.30 WIB tidak ada pesan yang keluar" in page(client, "/")

    assert not failing(console=9999.0, hook=0.0, two=0.0)  # the terminal is no line
    assert not failing(hook=119.0, two=0.0)
    assert failing(hook=1800.0, two=0.0)
    letter = Letter(mark="K7M-1", to="", name="", language="id", severity="critical", created=NOW, stale_at=NOW + 9,
                    subject="s", sections=())
    message = house.store.claim([], Message(id=0, channel="two", contact="budi", letter=letter, state="sending",
                                            claimed=NOW - 60, owner="x"))
    assert failing(hook=1800.0, two=0.0)
    house.store.record(msgspec.structs.replace(message, state="done", proof=Proof.ACCEPTED, accepted_at=NOW - 60))
    assert not failing(hook=1800.0, two=0.0)  # the other channel got through meanwhile


def accepted(house: FakeHouse, code: str) -> None:
    """Let the message that is queued for Pak Budi have been accepted a minute ago."""
    house.clock.wall += 60
    [queued] = house.store.open_batch("console", house.clock.now(), 10)
    letter = Letter(mark=f"{code}-1", to="+6281234567890", name="Pak Budi", language="id", severity="critical",
                    created=NOW, stale_at=NOW + 9, subject="s", sections=())
    message = house.store.claim([queued], Message(id=0, channel="console", contact="budi", letter=letter,
                                                  state="sending", claimed=NOW, owner="x"))
    house.store.record(Message(id=message.id, channel="console", contact="budi", letter=letter, state="done",
                               claimed=NOW, owner="x", proof=Proof.ACCEPTED, accepted_at=NOW))


QUIET = """\
Jaga KopKar &lt;SKF&gt; · server
Petugas jaga | Pak Budi
Pesan terakhir diterima layanan pengirim | belum pernah
Data terakhir | 5 detik lalu
Gangguan terbuka
Tidak ada gangguan: semua yang dipantau terbaca dan baik.
Yang dipantau
Pemantau | Umur data | Keadaan
disk | 5 detik lalu | baik
Dibuat 09.00 WIB; diperbarui sendiri tiap 30 detik."""

SICK = """\
Jaga KopKar &lt;SKF&gt; · server
Petugas jaga | Pak Budi
Pesan terakhir diterima layanan pengirim | 09.00 WIB (1 menit lalu)
Data terakhir | 0 detik lalu
Gangguan terbuka
{code} KRITIS: Disk / terisi 93 %
Sejak | 08.57 WIB (4 menit)
Ditangani | belum ada
Berikutnya | 09.15 WIB: diteruskan ke Bu Ani
Yang dipantau
Pemantau | Umur data | Keadaan
agent | belum pernah | belum pernah terbaca
disk | 1 menit lalu | sebagian gagal: /srv: Stale file handle
mysql:toko | 10 menit lalu | data basi
resources | 0 detik lalu | gagal: OSError: /proc: hilang
Dibuat 09.01 WIB; diperbarui sendiri tiap 30 detik."""


def test_a_healthy_machine_is_one_quiet_page(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.5, mount="/"))
    house.board.put(CollectorState("disk", 60.0, 20.0, at=NOW - 5, success=True))
    assert words(page(client, "/")) == QUIET


def test_a_sick_machine_says_what_since_when_who_and_what_next(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount="/"), troubles=(("/srv", "Stale file handle"),))
    [incident] = house.desk.view.open
    accepted(house, incident.code)
    for state in (
        CollectorState("agent", 15.0, 15.0),
        CollectorState("mysql:toko", 60.0, 20.0, at=NOW - 540, success=True),
        CollectorState("resources", 60.0, 20.0, at=NOW + 60, success=False, error="OSError: /proc: hilang"),
    ):
        house.board.put(state)
    text = page(client, "/")
    assert words(text) == SICK.format(code=incident.code)
    assert '<article class="critical">' in text
    assert '<main class="stale">' not in text
    assert '<meta http-equiv="refresh" content="30">' in text


def test_nothing_open_is_no_good_news_while_something_cannot_be_read(house: FakeHouse, client: FlaskClient) -> None:
    for states in ([], [CollectorState("disk", 60.0, 20.0)], [CollectorState("disk", 60.0, 20.0, at=NOW - 999)]):
        for state in states:
            house.board.put(state)
        text = page(client, "/")
        assert "Tidak ada gangguan terbuka, tetapi tidak semuanya terbaca (lihat di bawah)." in text
        assert '<main class="stale">' in text


def test_a_store_that_does_not_write_is_said_on_top(
    house: FakeHouse, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alerts.ledger import StoreError

    def full(_changes: Changes) -> None:
        raise StoreError("/var/lib/jaga/jaga.db: database or disk is full")

    monkeypatch.setattr(house.store, "commit", full)
    house.report(USED(0.93, mount="/"))
    text = words(page(client, "/"))
    assert "Catatan belum dapat disimpan: /var/lib/jaga/jaga.db: database or disk is full" in text


INCIDENT = """\
Semua gangguan · KopKar &lt;SKF&gt; · server
{code} KRITIS: Disk / terisi 93 %
Sejak | 08.57 WIB (4 menit)
Ditangani | Pak Budi sampai 11.00 WIB
Berikutnya | 11.00 WIB: ditanyakan lagi bila belum selesai
Langkah pertama (teknisi)
Cari yang membengkak: `du -xh --max-depth=2 / | sort -h | tail -20`.
Langkah pertama (tanpa terminal)
Disk server hampir penuh. Jangan unggah berkas besar atau membuat backup manual. Telepon petugas IT.
Perbaikan
FIX
Bila Anda tangani, jalankan: jaga ack {code}
Bagian
Masalah | Keadaan | Nilai | Batas
Disk / terisi 93 % yang terbesar: /var/log | bermasalah | 93 % | 90 %
Riwayat
Waktu | Kejadian | Oleh | Keterangan
09.00 WIB | dibuka | |
09.00 WIB | bukti dikumpulkan | | yang terbesar: /var/log
09.00 WIB | ditangani | Pak Budi (cli) | di jalan
Pesan
Waktu | Kepada | Kanal | Keadaan | Bukti
09.00 WIB | Pak Budi | console | terkirim | diterima layanan
Dibuat 09.01 WIB; diperbarui sendiri tiap 30 detik."""


def test_an_incident_has_a_page_with_the_way_out(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount="/"))
    [incident] = house.desk.view.open
    house.desk.explain(incident.key, "yang terbesar: /var/log", NOW)
    house.desk.ack(incident.code, "budi", "cli", NOW, None, "di jalan")
    accepted(house, incident.code)
    text = words(page(client, f"/incidents/{incident.code.lower()}"))
    text = re.sub(r"(?m)(^Perbaikan\n).*$", r"\1FIX", text)
    assert text == INCIDENT.format(code=incident.code)


def test_no_address_of_a_person_is_on_a_page(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount="/"))
    [incident] = house.desk.view.open
    accepted(house, incident.code)
    assert "6281234567890" not in page(client, f"/incidents/{incident.code}") + page(client, "/")


def test_an_incident_that_is_over_can_still_be_read(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount="/"))
    [incident] = house.desk.view.open
    house.clock.wall += 600
    house.report(USED(0.5, mount="/"))
    assert house.desk.view.open == ()
    text = words(page(client, f"/incidents/{incident.code}"))
    assert text.split("\n")[1:4] == [
        f"{incident.code} SELESAI: Disk / terisi 93 % (10 menit)", "Sejak | 08.57 WIB (10 menit), selesai 09.07 WIB",
        "Langkah pertama (teknisi)"]
    assert "jaga ack" not in text


EVIL = '<script>alert(1)</script>"onload="x'


def test_what_comes_from_outside_stays_text(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount=EVIL, note=EVIL), error=EVIL, success=False, troubles=((EVIL, EVIL),))
    [incident] = house.desk.view.open
    house.desk.explain(incident.key, EVIL, NOW)
    house.desk.ack(incident.code, EVIL, EVIL, NOW, None, EVIL)
    for text in (page(client, "/"), page(client, f"/incidents/{incident.code}"),
                 page(client, "/incidents/" + "%3Cscript%3E", 404)):
        assert "<script" not in text.lower()
        assert '"onload=' not in text


def test_pages_speak_english_where_that_is_configured(tmp_path: Path) -> None:
    house = FakeHouse(tmp_path, "en")
    client = make(house).test_client()
    house.report(USED(0.5, mount="/"))
    text = page(client, "/")
    assert '<html lang="en">' in text
    assert "No problems: everything that is watched was read and is good." in words(text)
    house.close()


# --- what is not a page ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [("/nothing", 404, "Halaman ini tidak ada."), ("/static/x", 404, "Halaman ini tidak ada."),
     ("/incidents/K7M", 404, "Tidak ada gangguan dengan kode K7M."), ("/incidents/", 404, "Halaman ini tidak ada."),
     ("/incidents/a%2F..%2Fb", 404, "Halaman ini tidak ada.")],
)
def test_what_is_not_there_is_said_in_words(client: FlaskClient, path: str, status: int, says: str) -> None:
    assert words(page(client, path, status)) == f"Jaga\n{says}\nSemua gangguan"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", "/metrics", "/-/ready", "/incidents/K7M"])
def test_nothing_can_be_changed_over_http(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(path, method=method, base_url=HERE)
    assert (response.status_code, "Halaman ini hanya dapat dibaca." in response.get_data(as_text=True)) == (405, True)


def test_a_page_that_breaks_says_so_and_nothing_more(
    house: FakeHouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, float]:
        raise RuntimeError("secret path")

    monkeypatch.setattr(house.store, "counts", broken)
    text = page(make(house).test_client(), "/", 500)
    assert words(text) == "Jaga\nHalaman ini gagal dibuat; sebabnya ada di journalctl -u jaga.\nSemua gangguan"
    assert "secret path" in caplog.text


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:9810", 200), ("localhost:9810", 200), ("LOCALHOST:9810", 200), ("[::1]:9810", 200),
     ("jaga.evil.example:9810", 421), ("127.0.0.1", 421), ("localhost:80", 421), ("127.0.0.1:9810.evil.example", 421),
     ("", 421)],
)
@pytest.mark.parametrize("path", ["/", "/metrics", "/-/healthy", "/style.css"])
def test_only_this_machines_own_address_is_answered(client: FlaskClient, host: str, status: int, path: str) -> None:
    response = client.get(path, base_url=HERE, headers={"Host": host})
    assert response.status_code == status
    if status == 421:
        assert "http://127.0.0.1:9810/" in response.get_data(as_text=True)


@pytest.mark.parametrize("path", ["/", "/incidents/K7M", "/metrics", "/-/healthy", "/nothing", "/style.css"])
def test_every_answer_carries_the_guards(client: FlaskClient, path: str) -> None:
    response = client.get(path, base_url=HERE)
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    assert "Set-Cookie" not in response.headers


def test_pages_need_nothing_that_their_own_policy_forbids(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.93, mount="/"))
    for path in ("/", f"/incidents/{house.desk.view.open[0].code}"):
        text = page(client, path)
        assert re.findall(r"<script|style=| on\w+=|<form|<img", text) == []
        assert re.findall(r'<link rel="stylesheet" href="([^"]+)"', text) == ["/style.css"]


def test_healthy_is_the_process_and_ready_is_the_work(house: FakeHouse, client: FlaskClient) -> None:
    assert page(client, "/-/ready") == "ready\n"
    house.not_ready = ["collector disk: has not reported yet", "store: disk\nfull"]
    assert page(client, "/-/healthy") == "ok\n"
    assert page(client, "/-/ready", 503) == "collector disk: has not reported yet\nstore: disk full\n"


def test_metrics_answer_in_the_format_that_is_asked_for(house: FakeHouse, client: FlaskClient) -> None:
    house.report(USED(0.5, mount="/"))
    plain = client.get("/metrics", base_url=HERE)
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'jaga_disk_used_ratio{mount="/"} 0.5\n' in plain.get_data(as_text=True)
    other = client.get("/metrics", base_url=HERE, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert other.headers["Content-Type"].startswith("application/openmetrics-text")
    assert other.get_data(as_text=True).endswith("# EOF\n")


# --- the listener ----------------------------------------------------------------------------------------------------


def listening(house: FakeHouse, port: int) -> str:
    """Configure that port."""
    listen = f"127.0.0.1:{port}"
    house.config = msgspec.structs.replace(house.config, web=Web(listen=listen))
    return listen


def get(port: int, path: str, host: str = "") -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host} if host else {})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body, dict(response.headers)


def test_the_listener_serves_and_stops(house: FakeHouse) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listening(house, free.getsockname()[1])
    site = Site(house)
    site.start()
    try:
        assert get(site.port, "/-/healthy")[:2] == (200, b"ok\n")
        status, body, headers = get(site.port, "/metrics")
        assert (status, b"jaga_build_info" in body, "Server" in headers) == (200, True, False)
        assert get(site.port, "/-/healthy", "evil.example")[0] == 421
        assert get(site.port, "/-/healthy", f"localhost:{site.port}")[0] == 200
    finally:
        site.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", site.port), timeout=5)
    assert [thread.name for thread in threading.enumerate() if thread.name == "web"] == []


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_the_listener_may_have_an_ipv6_address(house: FakeHouse) -> None:
    with socket.socket(socket.AF_INET6) as free:
        free.bind(("::1", 0))
        port = free.getsockname()[1]
    house.config = msgspec.structs.replace(house.config, web=Web(listen=f"[::1]:{port}"))
    site = Site(house)
    site.start()
    try:
        connection = http.client.HTTPConnection("::1", port, timeout=10)
        connection.request("GET", "/-/healthy")
        assert connection.getresponse().read() == b"ok\n"
        connection.close()
    finally:
        site.stop()


def test_a_taken_port_is_said_in_words(house: FakeHouse) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listen = listening(house, port)
        with pytest.raises(Occupied) as occupied:
            Site(house)
    assert str(occupied.value) == (
        f'[web] listen = "{listen}": Address already in use: stop what listens there '
        f"(ss -ltnp 'sport = :{port}'), or choose another port")


def test_the_pages_ship_with_the_package() -> None:
    program = ("import importlib.resources as r; "
               "print(sorted(p.name for p in r.files('agent').joinpath('pages').iterdir()))")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True,
                          cwd=Path(__file__).parents[2])
    assert done.stdout == ("['base.html', 'error.html', 'incident.html', 'link.html', 'notice.html', 'overview.html', "
                           "'style.css']\n")
