"""Where the bytes of a followed file are now: under its name, under another after rotation, in a copy, or nowhere."""

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b

from collectors.access import denied

EDGE = 256  # bytes at each end that make the fingerprint; so many are looked at again behind each piece
_ROTATED = re.compile(r"[.-]\d{1,10}(?:[.-]\d{1,10})*$")  # logrotate: laravel.log.1, laravel.log-20261122


@dataclass(frozen=True, slots=True)
class Lost:
    """A rotated file that was compressed, moved away or overwritten before it was taken to its end."""

    name: str
    known: int  # bytes that were seen there and not taken; what was written after the last look comes on top


@dataclass(slots=True)
class File:
    """How far one file was taken: what a place is made of."""

    name: str
    device: int
    inode: int
    at: int  # bytes taken
    size: int = -1  # bytes at the last look
    written: float = 0.0
    since: float = 0.0  # when the size was first seen to be this
    mark: str = ""
    inside: int = 0
    rotated: bool = False


@contextmanager
def opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """A descriptor to read from, and what the file is. Raises OSError with a sentence where it is no file to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)  # a pipe there must not hold us
    except PermissionError:
        raise denied(path) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file: name the log file itself")
        yield descriptor, status
    finally:
        os.close(descriptor)


def located(file: File, folder: str, present: Mapping[str, os.stat_result]) -> bool:
    """Whether the file is still there; where it goes by another name now, or only a copy is left, that is noted."""
    path = os.path.join(folder, file.name)
    status = present.get(path) or _status(path)
    if status and (status.st_dev, status.st_ino) == (file.device, file.inode):
        unchanged = (status.st_size, status.st_mtime) == (file.size, file.written)
        if unchanged or not os.access(path, os.R_OK) or marked(path, file):
            return True
    for name, other in _siblings(folder, file):
        moved = (other.st_dev, other.st_ino) == (file.device, file.inode)
        if (moved or file.at) and marked(os.path.join(folder, name), file):
            file.name, file.device, file.inode = name, other.st_dev, other.st_ino
            file.rotated = os.path.join(folder, name) not in present
            return True
    return False


def loss(file: File, folder: str) -> Lost | None:
    """What is lost with a file that cannot be located: nothing, if it was drained and deleted without a successor."""
    known = max(0, file.size - file.at)
    replaced = not file.rotated and _status(os.path.join(folder, file.name))
    return Lost(file.name, known) if known or replaced else None


def _status(path: str) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(path)
    return None


def _siblings(folder: str, file: File) -> list[tuple[str, os.stat_result]]:
    """Where its bytes may be now, its own inode first: laravel.log → laravel.log.1, laravel.log-20261122."""
    stem = re.split(r"[.-]", file.name, maxsplit=1)[0]
    siblings = []
    with suppress(PermissionError), os.scandir(folder) as listing:
        for entry in listing:
            with suppress(OSError):
                if entry.name.startswith(stem) and entry.is_file():
                    siblings.append((entry.name, entry.stat()))
    return sorted(siblings, key=lambda each: ((each[1].st_dev, each[1].st_ino) != (file.device, file.inode), each[0]))


def between(file: File, folder: str, kept: list[File], present: Mapping[str, os.stat_result]) -> list[File]:
    """What was rotated away after `file` and never seen: twice between two looks, or while nobody looked for days."""
    stem = _ROTATED.sub("", file.name)
    mine = {(other.device, other.inode) for other in kept} | {(each.st_dev, each.st_ino) for each in present.values()}
    siblings = _siblings(folder, file)
    since = next((each.st_mtime for name, each in siblings if name == file.name and file.rotated), file.written)
    later = [(name, each) for name, each in siblings if each.st_mtime >= since
             and _ROTATED.sub("", name) == stem != name and (each.st_dev, each.st_ino) not in mine]
    later.sort(key=lambda each: each[1].st_mtime)
    return [File(name, each.st_dev, each.st_ino, 0, rotated=True) for name, each in later]


def marked(path: str, file: File) -> bool:
    """Whether what was taken of `file` is what stands at this path."""
    with suppress(OSError), opened(path) as (descriptor, status):
        return status.st_size >= file.at and fingerprint(*edges(descriptor, file.at)) == file.mark
    return False


def edges(descriptor: int, at: int) -> tuple[bytes, bytes]:
    """The first bytes, and those before the place."""
    return os.pread(descriptor, min(EDGE, at), 0), os.pread(descriptor, min(EDGE, at), max(0, at - EDGE))


def fingerprint(head: bytes, before: bytes) -> str:
    return blake2b(head + before, digest_size=8).hexdigest()
