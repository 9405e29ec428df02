"""A whole Jaga as a process of its own: started, asked, reloaded, killed; with a fake Twilio and a real mail server."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message as Mail
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.controller import Controller

T = TypeVar("T")
SICK_DISK = """
[collectors.disk]
every = "5s"
timeout = "4s"
ignore = ["/?*"]
[rules.disk_space]
warning = 0.0001
critical = 0.0002
for = "0s"
hysteresis = 0
"""  # whatever this machine's disk holds is critical
PATIENCE = 30.0  # seconds; generous, for two cores that others use as well


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(what: Callable[[], T], patience: float = PATIENCE, pause: float = 0.05, said: str = "") -> T:
    """Ask again and again, each `pause`, until the answer is true; it is returned. Fails with the last answer."""
    deadline = time.monotonic() + patience
    while not (answer := what()):
        assert time.monotonic() < deadline, f"not within {patience} s: {said or 'true'}; the last answer was {answer!r}"
        time.sleep(pause)  # between two looks at another process: there is no event to wait on
    return answer


class Mailbox:
    """A real SMTP server on loopback that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.port = free_port()
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # aiosmtpd's name
        self.mails.append(message_from_bytes(envelope.content))
        return "250 taken"

    def close(self) -> None:
        self._controller.stop()


class House:
    """`jaga` in a folder: its configuration, its state, its process."""

    def __init__(self, folder: Path, configuration: str, env: dict[str, str] | None = None) -> None:
        self.folder, self.config = folder, folder / "agent.toml"
        self.port = free_port()
        self.write(configuration)
        self.env = {**os.environ, "STATE_DIRECTORY": str(folder / "state"), **(env or {})}
        self.log = (folder / "log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, configuration: str) -> None:
        self.config.write_text(f'[web]\nlisten = "127.0.0.1:{self.port}"\n{configuration}', "utf-8")

    def start(self) -> "House":
        self.process = subprocess.Popen(self._command("run"), env=self.env, stdout=self.log, stderr=self.log)
        until(lambda: self.get("/-/ready")[0] == 200 or not self.alive)
        assert self.alive, (self.folder / "log").read_text()
        return self

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """kill -9, and wait for the corpse."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(PATIENCE)

    def stop(self) -> float:
        """SIGTERM; returns how many seconds it took to leave."""
        assert self.process is not None
        if self.process.poll() is None:
            began = time.monotonic()
            self.signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
            return time.monotonic() - began
        return 0.0

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        self.stop()
        self.log.close()

    def jaga(self, *words: str) -> tuple[int, str]:
        """Run a command of the command line; returns exit code and output."""
        done = subprocess.run(self._command(*words), env=self.env, capture_output=True, text=True, timeout=PATIENCE,
                              check=False)
        return done.returncode, done.stdout + done.stderr

    @property
    def incidents(self) -> list[dict[str, Any]]:
        code, output = self.jaga("incidents", "--json")
        assert code in (0, 1), output
        found: list[dict[str, Any]] = json.loads(output)["incidents"]
        return found

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()
        except OSError as silent:
            return 0, str(silent)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "agent", words[0], "--config", str(self.config), *words[1:]]
