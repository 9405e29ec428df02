"""Reads every byte of a file once, in slices that each run can afford, and harms nobody meanwhile."""

import errno
import os
import stat
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from collectors import files_list
from collectors.files_list import File
from collectors.files_unpack import PIECE
from collectors.files_verdict import Verdict, Wanted, judged
from collectors.files_zip import Broken
from collectors.storable import storable

SHARE = 0.25  # of its time a thread that reads works; processor and disk are for those who sell and print
_SLICE = 0.02  # seconds at a stretch
_NICE = 10  # the thread's own, beside its pauses


@dataclass(slots=True)
class _Work:
    """One file under way: what is left to do, how much was read, and the verdict once there is one."""

    key: list[Any]
    wanted: Wanted
    bytes: "Bytes"
    steps: Generator[int, None, Verdict] = field(repr=False)
    read: int = 0
    verdict: Verdict | None = None

    @property
    def ratio(self) -> float:
        """How much of the file was read; 1 when all of it was."""
        if self.verdict is not None:
            return 1.0
        return min(0.999, self.read / self.bytes.size) if self.bytes.size else 0.0


class Bytes:
    """A file's bytes; open only while somebody reads, so that a deleted one gives its place on the disk back."""

    def __init__(self, file: File) -> None:
        self._file, self.size, self._fd = file, file.size, -1

    def __enter__(self) -> "Bytes":
        # a link or a FIFO that took its place since it was listed is neither followed nor waited for
        self._fd = os.open(self._file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        status = os.fstat(self._fd)
        same = [status.st_size, status.st_mtime_ns, status.st_ino] == self._file.key[1:]
        if not same or not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise FileNotFoundError(f"{storable(self._file.path)}: changed since it was listed")
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def read(self, offset: int, length: int) -> bytes:
        """Reading a backup must not push the database's pages out of memory: each big piece is forgotten at once."""
        try:
            piece = os.pread(self._fd, length, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            raise Broken(f"cannot be read at byte {offset}: {error.strerror} (is the disk dying?)") from None
        if len(piece) >= PIECE // 4:
            os.posix_fadvise(self._fd, offset, len(piece), os.POSIX_FADV_DONTNEED)
        return piece


_under_way: dict[str, _Work] = {}  # by folder and kind of file: one each, for the newest alone is read


def verify(place: str, file: File, wanted: Wanted, seconds: float) -> tuple[Verdict | None, float]:
    """Go on reading `file` until so many seconds are over. The verdict once all was read, and how much was (0 to 1).

    `place` names the set whose newest it is; a file that was begun there before is given up. Call it in a thread of
    its own. Raises PermissionError with what would let us, FileNotFoundError where it changed meanwhile.
    """
    with suppress(PermissionError):  # a hardened service may not; the pauses do most of it
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)  # on Linux: of this thread alone
    work = _under_way.get(place)
    if work is None or work.key != file.key or work.wanted != wanted:
        source = Bytes(file)
        work = _under_way[place] = _Work(file.key, wanted, source, judged(source, file.name, wanted))
    if work.verdict is None:
        try:
            with work.bytes:
                _advance(work, seconds)
        except StopIteration as done:
            work.verdict = done.value
        except PermissionError:
            raise PermissionError(files_list.refusal(file.path)) from None
        except FileNotFoundError:
            del _under_way[place]
            raise
    return work.verdict, work.ratio


def _advance(work: _Work, seconds: float) -> None:
    """Work in short slices with pauses between them. StopIteration carries the verdict out."""
    now = time.monotonic()
    until, rest = now + seconds, Event()
    while now < until:
        began = now
        while now < min(began + _SLICE, until):
            work.read += next(work.steps)
            now = time.monotonic()
        rest.wait(min((now - began) * (1 / SHARE - 1), max(0.0, until - now)))
        now = time.monotonic()
