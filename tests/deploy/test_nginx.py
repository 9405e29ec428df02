"""The shipped nginx configuration in a real nginx, with TLS, before a real public door."""

import http.client
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from agent.config import Web
from agent.public import LARGEST, MOST, PublicSite
from public_house import FORM, HOOK, INCOMING, URL, PublicHouse, signed

SHIPPED = Path(__file__).parents[2] / "deploy/nginx/jaga.conf"
NAME = "jaga.kopkarskf.test"
MAIN = """\
daemon off;
{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  {temporary}
  include {folder}/jaga.conf;
}}
"""

pytestmark = pytest.mark.needs_debian("nginx", "openssl")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Nginx:
    """nginx with the shipped file: only the ports, the name, the certificate and the place of the log are ours.

    `rate` takes the place of its own limit, so that Jaga's can be seen behind it.
    """

    def __init__(self, folder: Path, behind: int, rate: str = "5r/s") -> None:
        self.plain, self.tls, self.folder = free_port(), free_port(), folder
        certificate, key = folder / "cert.pem", folder / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}",
                        "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=30)
        text = SHIPPED.read_text()
        for pattern, ours, times in (
            (r"listen 80;", f"listen 127.0.0.1:{self.plain};", 1),
            (r"listen 443 ssl;", f"listen 127.0.0.1:{self.tls} ssl;", 1),
            (r"/etc/letsencrypt/live/\S+/fullchain\.pem", str(certificate), 1),
            (r"/etc/letsencrypt/live/\S+/privkey\.pem", str(key), 1),
            (r"jaga\.kopkarskf\.com", NAME, 3),
            (r"http://127\.0\.0\.1:9811", f"http://127.0.0.1:{behind}", 3),
            (r"/var/log/nginx/jaga\.error\.log", str(folder / "jaga.error.log"), 1),
            (r"rate=5r/s", f"rate={rate}", 1),
        ):
            text, count = re.subn(pattern, ours, text)
            assert count == times, pattern
        (folder / "jaga.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        root = Path("/proc/self").stat().st_uid == 0
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder, temporary=temporary, user="user root;" * root))
        self.context = ssl.create_default_context(cafile=str(certificate))
        self.process = subprocess.Popen(["nginx", "-p", str(folder), "-e", str(folder / "start.log"),
                                         "-c", str(folder / "nginx.conf")])
        self._await()

    def _await(self) -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "start.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", self.tls), timeout=1).close()
                return
            except ConnectionRefusedError:
                time.sleep(0.02)  # another process: there is no event to wait on
        pytest.fail("nginx does not listen")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str]:
        """Over TLS, with the certificate checked, as the world would."""
        connection = http.client.HTTPSConnection(NAME, self.tls, timeout=20, context=self.context)
        raw = socket.create_connection(("127.0.0.1", self.tls), timeout=20)
        connection.sock = self.context.wrap_socket(raw, server_hostname=NAME)
        connection.request(method, path, body.encode() if body else None,
                           {"Host": NAME, **{name.replace("_", "-"): value for name, value in headers.items()}})
        response = connection.getresponse()
        found = response.status, response.read().decode()
        connection.close()
        return found

    @property
    def written(self) -> str:
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[PublicHouse]:
    house = PublicHouse(tmp_path)
    house.use(web=Web(public=f"127.0.0.1:{free_port()}", public_url=URL))
    house.sick()
    site = PublicSite(house)
    site.start()
    yield house
    site.stop()
    house.close()


@pytest.fixture
def nginx(house: PublicHouse, tmp_path: Path) -> Iterator[Nginx]:
    nginx = Nginx(tmp_path, house.config.web.public_address[1])
    yield nginx
    nginx.close()


def test_what_twilio_signed_passes_and_what_was_changed_on_the_way_does_not(house: PublicHouse, nginx: Nginx) -> None:
    headers = {"Content_Type": FORM, "X_Twilio_Signature": signed(INCOMING)["X-Twilio-Signature"]}
    assert nginx.ask("POST", "/hooks/twilio", urlencode(INCOMING), **headers) == (200, "<Response/>")
    changed = urlencode({**INCOMING, "Body": "ok semua"})
    assert nginx.ask("POST", "/hooks/twilio", changed, **headers) == (403, "")
    assert nginx.ask("POST", "/hooks/twilio?x=1", urlencode(INCOMING), **headers) == (403, "")
    assert [reply.text for _, reply in house.heard] == [INCOMING["Body"]]


def test_a_link_is_opened_and_pressed(house: PublicHouse, nginx: Nginx) -> None:
    path = f"/a/{house.link()}"
    status, page = nginx.ask("GET", path)
    [seal] = re.findall(r'value="([^"]+)">\s*<button name="action" value="ack"', page)
    assert (status, house.desk.view.open[0].acked_by) == (200, "")
    form = urlencode({"seal": seal, "action": "ack"})
    assert nginx.ask("POST", path, form, Content_Type=FORM, Origin="https://evil.example")[0] == 403
    assert nginx.ask("POST", path, form, Content_Type=FORM, Origin=URL)[0] == 200
    assert house.desk.view.open[0].acked_by == "budi"


def test_only_the_doors_are_passed_on_and_no_key_is_written_down(house: PublicHouse, nginx: Nginx) -> None:
    token = house.link()
    assert nginx.ask("GET", f"/a/{token}")[0] == 200
    assert nginx.ask("POST", f"/hooks/fonnte/{HOOK}", '{"sender": "6281234567890", "message": "ok"}') == (200, "")
    for path in ("/", "/metrics", "/a/x/y", "/hooks/twilio/x", "/-/ready", f"/a/../{token}"):
        assert nginx.ask("GET", path)[0] == 404
    assert nginx.ask("POST", f"/hooks/fonnte/{HOOK}", "x" * (LARGEST + 1))[0] == 413
    plain = http.client.HTTPConnection("127.0.0.1", nginx.plain, timeout=20)
    plain.request("GET", f"/a/{token}", headers={"Host": NAME})
    response = plain.getresponse()
    assert (response.status, response.headers["Location"]) == (301, f"{URL}/a/{token}")
    plain.close()
    statuses = [nginx.ask("GET", f"/a/{token}")[0] for _ in range(60)]
    assert statuses.count(429) >= 5  # nginx's own limit
    assert token not in nginx.written
    assert HOOK not in nginx.written


def test_nobody_gets_a_second_allowance_by_claiming_another_address(house: PublicHouse, tmp_path: Path) -> None:
    nginx = Nginx(tmp_path, house.config.web.public_address[1], rate="9000r/s")
    try:
        statuses = [nginx.ask("GET", "/a/x", X_Forwarded_For=f"198.51.100.{number}")[0] for number in range(MOST + 3)]
    finally:
        nginx.close()
    assert statuses == [404] * MOST + [429] * 3


def test_while_jaga_is_down_no_key_is_written_down_either(tmp_path: Path) -> None:
    nginx = Nginx(tmp_path, free_port())
    try:
        assert nginx.ask("POST", f"/hooks/fonnte/{HOOK}", "{}")[0] == 502
    finally:
        nginx.close()
    assert HOOK not in nginx.written
