"""The programs that `footprint` compares: started, asked as Prometheus asks, their memory and processor time read."""

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
# As Prometheus 2.42 of Debian 12 asks.
REQUEST = ("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Prometheus/2.42.0\r\n"
           "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
           "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: {coding}\r\n"
           "X-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n")


class Client:
    """A scraper on a plain socket, so that what is measured is the server and not a client library."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def get(self, path: str = "/metrics", coding: str = "gzip") -> tuple[int, bytes]:
        """Status and body, by the connection that is open, else a new one."""
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(REQUEST.format(path=path, port=self._port, coding=coding).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, body = answer.split(b"\r\n\r\n", 1)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"content-length" in fields:
            while len(body) < int(fields[b"content-length"]):
                body += self._more()
        else:
            while not body.endswith(b"0\r\n\r\n"):
                body += self._more()
        return int(head.split(b" ", 2)[1]), body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _more(self) -> bytes:
        data = self._socket.recv(1 << 18) if self._socket else b""
        if not data:
            raise ConnectionError("the server closed the connection in mid-answer")
        return data


class Server:
    """One of the compared programs: started, asked, measured."""

    def __init__(self, command: Sequence[str], ready: str, port: int, env: dict[str, str] | None = None) -> None:
        self._command, self._ready, self.port = [*command], ready, port
        self._env = {**os.environ, **(env or {})}
        self.client = Client(port)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; returns the seconds from exec to ready."""
        began = time.monotonic()
        self._process = subprocess.Popen(self._command, env=self._env, stdout=subprocess.DEVNULL,
                                         stderr=subprocess.DEVNULL)
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > began + 60:
                raise RuntimeError(f"{' '.join(self._command)}: not ready, exit code {self._process.poll()}")
            time.sleep(0.005)
        return time.monotonic() - began

    def _is_ready(self) -> bool:
        try:
            return self.client.get(self._ready)[0] == 200
        except OSError:
            return False
        finally:
            self.client.close()

    def stop(self) -> None:
        self.client.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def pss(self) -> float:
        """Proportional memory in MiB: pages that n processes share count for one n-th."""
        rollup = self._proc("smaps_rollup")
        return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024

    def cpu(self) -> float:
        """Seconds of processor time so far."""
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def _proc(self, name: str) -> str:
        if self._process is None:
            raise RuntimeError("not started")
        return Path(f"/proc/{self._process.pid}/{name}").read_text()

    def series(self) -> int:
        body = self.client.get(coding="identity")[1]
        return sum(line[:1].isalpha() for line in body.decode().splitlines() if " " in line)
