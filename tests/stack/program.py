"""One program of the real stack as a process of its own: waited for until it answers, ended by its pid."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil

import house

PATIENCE = 30.0  # seconds until it answers or has left; generous, for two cores that others use as well


def until(true: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    """Look again and again until it is true."""
    house.until(true, patience, pause=0.02, said=what)


class Program:
    """What starts, stops and is killed. A kind of program says its `command` and when it is `ready`."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.output = folder / "output"
        # without PYTHONPATH: supervisord is Python as well, and this folder's modules are not for it
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
        self._process: subprocess.Popen[bytes] | None = None
        self._children: list[psutil.Process] = []

    @property
    def command(self) -> list[str]:
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        raise NotImplementedError

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert not self.alive, f"{self.command[0]} runs already"
        # --pdeathsig: where the tests are killed without warning, nothing stays behind.
        # A session of its own: a Ctrl-C in the terminal is ours to handle, in order.
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *self.command], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )
        try:
            until(lambda: self.ready or not self.alive, f"{self.command[0]} answers\n{self.told()}")
            assert self.alive, f"{self.command[0]} left with {self._process.returncode}\n{self.told()}"
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Ask it to leave, as systemd does, and wait."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9: no last words. Its children live on as orphans until `close`."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop, and leave nothing behind, orphans of a kill included."""
        try:
            self.stop()
        finally:
            for child in self._children:
                with contextlib.suppress(psutil.NoSuchProcess):  # psutil compares start times: never another's pid
                    child.kill()
            psutil.wait_procs(self._children, PATIENCE)

    def told(self) -> str:
        """The last of what it wrote to standard output and error."""
        return self.output.read_text("utf-8", "replace")[-2000:] if self.output.exists() else ""

    def _end(self, how: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            self._children = [*self._children, *psutil.Process(self.pid).children(recursive=True)]
        self._process.send_signal(how)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
            raise

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
