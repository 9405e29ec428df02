"""The link in a mail on a running Jaga: opened through its public door, pressed, and then somebody has it."""

import http.client
import re
import signal
from pathlib import Path
from urllib.parse import urlencode

from house import House, Mailbox, free_port, until

NAME = "jaga.kopkarskf.test"
CONFIGURATION = """
public = "127.0.0.1:{public}"
public_url = "https://{name}"
[collectors.disk]
every = "5s"
timeout = "4s"
ignore = ["/?*"]
[notifiers.email]
host = "127.0.0.1"
port = {smtp}
security = "none"
sender = "Jaga <jaga@kopkarskf.test>"
[contacts.budi]
email = "budi@kopkarskf.test"
channels = ["email"]
[alerts]
baseline = "0s"
batch = "1s"
[rules.disk_space]
warning = 0.0001
critical = 0.0002
for = "0s"
hysteresis = 0
"""


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Host": NAME, "Origin": f"https://{NAME}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    found = response.status, response.read().decode()
    connection.close()
    return found


def test_the_link_in_a_mail_takes_the_incident(tmp_path: Path) -> None:
    mail, public = Mailbox(), free_port()
    house = House(tmp_path, CONFIGURATION.format(public=public, name=NAME, smtp=mail.port))
    try:
        house.start()
        until(lambda: mail.mails)
        parts = {part.get_content_type(): part.get_payload(decode=True) for part in mail.mails[0].walk()}
        [text] = [content.decode() for kind, content in parts.items() if kind == "text/plain"]  # type: ignore[union-attr]
        [path] = set(re.findall(rf"https://{re.escape(NAME)}(/a/\S+)", text))
        status, page = ask(public, "GET", path)
        assert (status, house.incidents[0]["acked_by"]) == (200, "")
        [seal] = re.findall(r'value="([^"]+)">\s*<button name="action" value="ack"', page)
        form = urlencode({"seal": seal, "action": "ack"})
        status, page = ask(public, "POST", path, form)
        assert (status, "Tercatat:" in page) == (200, True)
        assert house.incidents[0]["acked_by"] == "budi"
        house.signal(signal.SIGKILL)  # the key outlives us, and so does the deed
        assert house.process is not None
        house.process.wait(20)
        house.start()
        assert "Dengan tautan ini sudah diambil" in ask(public, "POST", path, form)[1]
        assert ask(public, "GET", "/metrics") == (404, "")
        assert house.get("/")[0] == 200
        assert path.removeprefix("/a/") not in (tmp_path / "log").read_text()
        assert house.stop() < 5
    finally:
        house.close()
        mail.close()
