"""The whole story on a running Jaga: a sick disk, a WhatsApp message, a mail, an acknowledgement, the end."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.demo.fake_twilio import Account, FakeTwilio, Message
from alerts.notifiers.twilio_templates import TEMPLATES
from house import House, Mailbox, until

BUDI = "+6281234567890"
SICK = "[rules.disk_space]\nwarning = 0.0001\ncritical = 0.0002\nfor = '0s'\nhysteresis = 0\n"
WELL = "[rules.disk_space]\nwarning = 0.9998\ncritical = 0.9999\nfor = '0s'\nhysteresis = 0\n"

CONFIGURATION = """
[agent]
name = "server"
site = "Koperasi"
[collectors.disk]
every = "5s"
timeout = "4s"
ignore = ["/?*"]
[notifiers.twilio]
account_sid = "{sid}"
auth_token = {{ env = "FAKE_TOKEN" }}
sender = "+15005550006"
template = "{template}"
base_url = "{url}"
[notifiers.email]
host = "127.0.0.1"
port = {smtp}
security = "none"
sender = "Jaga <jaga@kopkarskf.test>"
[contacts.budi]
whatsapp = "{budi}"
email = "budi@kopkarskf.test"
channels = ["twilio"]
copy = ["email"]
[oncall]
people = ["budi"]
[alerts]
baseline = "0s"
quiet = {{ from = "00:00", to = "00:00" }}
batch = "1s"
remind = {{ critical = "8s" }}
"""


class Scene:
    """A house with its vendors."""

    def __init__(self, folder: Path) -> None:
        self.twilio = FakeTwilio(Account(pair_seconds=0.0, pace=(("sent", 0.1), ("delivered", 0.2), ("read", 0.3))))
        self.mail = Mailbox()
        self.base = CONFIGURATION.format(
            sid=self.twilio.account.sid, url=self.twilio.url, smtp=self.mail.port, budi=BUDI,
            template=self.twilio.template(TEMPLATES["id"].body))
        self.house = House(folder, self.base + SICK, {"FAKE_TOKEN": self.twilio.account.token})

    def close(self) -> None:
        self.house.close()
        self.twilio.close()
        self.mail.close()

    @property
    def told(self) -> list[Message]:
        return self.twilio.messages

    def marks(self, code: str) -> list[str]:
        """The marks that reached the phone, in order."""
        return [word.strip(".,") for message in self.told for word in message.body.split()
                if word.strip(".,").startswith(f"{code}-")]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


def crash(scene: Scene, wanted: bool) -> None:
    if wanted:
        scene.house.kill()
        scene.house.start()


@pytest.mark.parametrize("crashes", [False, True], ids=["in peace", "killed between every two steps"])
def test_from_the_fault_to_the_end(scene: Scene, crashes: bool) -> None:
    house = scene.house.start()

    (message,) = until(lambda: scene.told)[:1]
    assert (message.to, message.content_sid) == (f"whatsapp:{BUDI}", scene.told[0].content_sid)
    assert message.content_sid.startswith("HX")
    code = house.incidents[0]["code"]
    assert "Disk /" in message.body
    assert scene.marks(code)[0].startswith(f"{code}-")
    (mail,) = until(lambda: scene.mail.mails)[:1]
    assert code in mail["Subject"]
    assert (mail["To"], mail["Auto-Submitted"]) == ("budi@kopkarskf.test", "auto-generated")
    crash(scene, crashes)

    done, said = house.jaga("ack", code, "--for", "14s")
    assert done == 0, said
    acked_at = time.monotonic()
    until(lambda: [m for m in scene.told if "Sudah ditangani" in m.body])
    quiet_from = len(scene.told)
    crash(scene, crashes)
    while time.monotonic() < acked_at + 12:  # longer than the reminder's interval
        assert len(scene.told) == quiet_from, [m.body for m in scene.told[quiet_from:]]
        time.sleep(0.2)
    crash(scene, crashes)

    expired = until(lambda: scene.told[quiet_from:])[0]
    assert "Masih ditangani?" in expired.body
    crash(scene, crashes)

    house.write(scene.base + WELL)
    house.signal(signal.SIGHUP)
    until(lambda: house.incidents == [])
    resolved = until(lambda: [m for m in scene.told if "SELESAI" in m.body])
    until(lambda: [m for m in scene.mail.mails if "SELESAI" in str(m["Subject"]).upper()])
    crash(scene, crashes)
    time.sleep(3)  # nothing more may come: silence has no event to wait on
    assert len([m for m in scene.told if "SELESAI" in m.body]) == len(resolved) == 1
    assert len(scene.marks(code)) == len(set(scene.marks(code))), "a message was sent twice"


def test_a_wrong_file_keeps_the_old_one_running_and_says_so(scene: Scene) -> None:
    house = scene.house
    house.write(scene.base + WELL)
    house.start()
    house.write(scene.base + WELL + "\n[colectors.disk]\n")
    house.signal(signal.SIGHUP)
    message = until(lambda: scene.told)[0]
    assert "agent.toml" in message.body
    until(lambda: [i for i in house.incidents if i["key"].startswith("config_invalid")])
    status, text = house.get("/metrics")
    assert status == 200
    assert "jaga_config_valid 0.0" in text
    house.write(scene.base + WELL)
    house.signal(signal.SIGHUP)
    until(lambda: house.incidents == [])


def test_it_leaves_within_five_seconds_with_a_hung_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hang is real: the collector reads a FIFO that nobody writes to, in place of /proc/self/mountinfo."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    os.mkfifo(tmp_path / "proc" / "self" / "mountinfo")
    house = House(tmp_path, f"[collectors.disk]\nevery = '6s'\ntimeout = '5s'\nproc = '{tmp_path}/proc'\n"
                            "[alerts]\nbaseline = '0s'\n[rules.collector_failed]\nfor = '0s'\n")
    house.process = subprocess.Popen(house._command("run"), env=house.env, stdout=house.log, stderr=house.log)
    until(lambda: house.get("/-/healthy")[0] == 200)
    until(lambda: [i for i in house.incidents if i["key"].startswith("collector_failed")])
    assert house.stop() < 5.0
    assert house.process.returncode == 0
    house.close()
