"""Following files that grow: what came since the last look, each byte once, over rotation, truncation and kill -9.

Nothing is kept open between looks. A *place* says how far each file was taken: JSON of some hundred bytes that belongs
into `run.memory`, so that it commits together with what was counted. A file is known by device and inode, and by a
fingerprint of its first bytes and of those before the place: inodes are used again, and a file that was truncated may
have grown past its old end.

Not found are bytes of a file that was compressed or moved to another folder before we looked (`Lost` says so), and
those of a file that was emptied before the first look at its first bytes: its copy is like any other.
"""

import glob
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from math import inf
from typing import Any

from collectors.access import denied

FIRST = 64 * 2**20  # bytes before the end at which the very first look begins
LIMIT = 128 * 2**20  # bytes taken in one look at most; the rest waits for the next one
SECONDS = 5.0  # as well: where each byte is dear (a slow disk, a forger's million of tiny entries) a look still ends
CHUNK = 2**18  # bytes handed out at once; so much fits into a processor's cache, and a MiB is a third slower
LONGEST = 2**20  # bytes that are waited for until something ends; what is longer is cut, so memory stays flat
MOST = 50  # files that are followed; more than that are the oldest, which nobody writes to
LINE_QUIET, PART_QUIET = 2.0, 30.0  # seconds without a byte until a whole line, and a part of a line, is the last
RETIRED = 2 * 3600.0  # seconds without a byte until a rotated file is let go: queue workers hold it open for an hour
_EDGE = 256  # bytes at each end that make the fingerprint; so many are looked at again behind each piece
_ROTATED = re.compile(r"[.-]\d{1,10}(?:[.-]\d{1,10})*$")  # logrotate: laravel.log.1, laravel.log-20261122

# take(data, inside, end) -> (taken, inside). `inside`: 0 where data begins anew, 1 in the middle of something (as where
# the first look jumps in), else what the reader gave back before. `end`: nothing more is coming for now, take all. It
# says how many bytes it took, and what it wants to be told about where these end. Where it takes 0 it must leave no
# trace: it is called again, with more or with `end`.
Take = Callable[[bytes, int, bool], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Lost:
    """A rotated file that was compressed, moved away or overwritten before it was taken to its end."""

    name: str
    known: int  # bytes that were seen there and not taken; what was written after the last look comes on top


@dataclass(slots=True)
class Followed:
    """What one look brought."""

    place: dict[str, Any] = field(default_factory=dict)  # for the next look
    files: list[str] = field(default_factory=list)  # paths that match; none: there is no such file (yet)
    taken: int = 0  # bytes
    behind: int = 0  # bytes that `limit` and `seconds` left for the next look
    skipped: int = 0  # bytes before the place where the very first look began
    written: float | None = None  # when the newest file was last written, unix seconds
    lost: list[Lost] = field(default_factory=list)
    unreadable: dict[str, OSError] = field(default_factory=dict)  # by path; the text says what to do


@dataclass(slots=True)
class _File:
    """How far one file was taken."""

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


def follow(pattern: str, place: dict[str, Any] | None, take: Take, *, now: float,
           first: float = FIRST, limit: float = LIMIT, seconds: float = SECONDS) -> Followed:
    """Hand what came since `place` (None: the very first look) to `take`, older files first.

    pattern: a path, or a folder with a pattern as its last part (`/…/logs/laravel-*.log`). It must not match what
    rotation makes of a file (`laravel.log.1`): that is found by itself, in the same folder.
    The first look begins `first` bytes before the end of the newest file; a file that appears later is taken from its
    beginning. One that is there and cannot be read goes into `unreadable`; its siblings are followed all the same.
    Raises OSError, with a sentence, where the folder cannot be looked at.
    """
    seen, until = Followed(), time.monotonic() + seconds
    folder = os.path.dirname(pattern) or "."
    present = _present(pattern, seen)
    if place and place["pattern"] != pattern:
        place = None  # other files than before
    files = [_File(**record) for record in place["files"]] if place else []
    current = [file for file in files if not file.rotated]
    kept = [file for file in files if _found(file, folder, present, seen)]
    for file in current:
        if file.rotated or file not in kept:
            kept += _between(file, folder, kept, present)
    kept += _fresh(kept, present, place, first, seen)
    for file in sorted(kept, key=lambda file: (not file.rotated, file.written or inf)):
        path = os.path.join(folder, file.name)
        try:
            with _opened(path) as (descriptor, status):
                if (status.st_dev, status.st_ino) == (file.device, file.inode):  # else rotated this very moment
                    _drain(descriptor, status, file, take, seen, now, limit, until)
        except OSError as error:
            seen.unreadable[path] = error
        done = file.at >= file.size and now - max(file.since, file.written) > RETIRED if file.rotated else (
            path not in present)
        if file.size < 0 or done:
            kept.remove(file)
    seen.files = list(present)
    seen.place = {"pattern": pattern, "files": [asdict(file) for file in kept],
                  "closed": sorted(os.path.basename(path) for path in seen.unreadable)}
    return seen


def _present(pattern: str, seen: Followed) -> dict[str, os.stat_result]:
    """The files that match, those written last behind."""
    folder, name = os.path.split(pattern)
    paths, found = [pattern], {}
    try:
        if glob.has_magic(name):
            with os.scandir(folder or ".") as listing:
                paths = [entry.path for entry in listing if fnmatchcase(entry.name, name)]
        for path in paths:
            with suppress(FileNotFoundError):  # a link that leads nowhere, or gone since we listed it
                found[path] = os.stat(path)
        if not found:
            os.stat(folder or ".")
    except PermissionError as error:
        raise denied(error.filename) from None
    except FileNotFoundError:
        raise FileNotFoundError(f"{folder} does not exist: name the folder where the log is written") from None
    return dict(sorted(found.items(), key=lambda item: (item[1].st_mtime, item[0]))[-MOST:])


def _fresh(kept: list[_File], present: dict[str, os.stat_result], place: dict[str, Any] | None, first: float,
           seen: Followed) -> list[_File]:
    """The files that were not there before: from their beginning. What nobody could read before is not news."""
    mine = {(file.device, file.inode) for file in kept}
    fresh: list[_File] = []
    for path, status in reversed(present.items()):
        name, identity = os.path.basename(path), (status.st_dev, status.st_ino)
        if identity in mine:  # followed already, or another link to the same file
            continue
        file = _File(name, *identity, at=0)
        if place is None or name in place["closed"]:
            file.at = status.st_size if fresh else max(0, status.st_size - int(first))
            file.inside = int(file.at > 0)
            seen.skipped += file.at
        mine.add(identity)
        fresh.append(file)
    return sorted(fresh, key=lambda file: file.name)


@contextmanager
def _opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
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


def _found(file: _File, folder: str, present: dict[str, os.stat_result], seen: Followed) -> bool:
    """Whether the file is still there; where it goes by another name now, or only a copy is left, that is noted."""
    path = os.path.join(folder, file.name)
    status = present.get(path) or _status(path)
    if status and (status.st_dev, status.st_ino) == (file.device, file.inode):
        unchanged = (status.st_size, status.st_mtime) == (file.size, file.written)
        if unchanged or not os.access(path, os.R_OK) or _marked(path, file):
            return True
    for name, other in _siblings(folder, file):
        moved = (other.st_dev, other.st_ino) == (file.device, file.inode)
        if (moved or file.at) and _marked(os.path.join(folder, name), file):
            file.name, file.device, file.inode = name, other.st_dev, other.st_ino
            file.rotated = os.path.join(folder, name) not in present
            return True
    known = max(0, file.size - file.at)
    if known or (status and not file.rotated):  # a drained file that retention deleted is no loss
        seen.lost.append(Lost(file.name, known))
    return False


def _status(path: str) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(path)
    return None


def _siblings(folder: str, file: _File) -> list[tuple[str, os.stat_result]]:
    """Where its bytes may be now, its own inode first: laravel.log → laravel.log.1, laravel.log-20261122."""
    stem = re.split(r"[.-]", file.name, maxsplit=1)[0]
    found = []
    with suppress(PermissionError), os.scandir(folder) as listing:
        for entry in listing:
            with suppress(OSError):
                if entry.name.startswith(stem) and entry.is_file():
                    found.append((entry.name, entry.stat()))
    return sorted(found, key=lambda each: ((each[1].st_dev, each[1].st_ino) != (file.device, file.inode), each[0]))


def _between(file: _File, folder: str, kept: list[_File], present: dict[str, os.stat_result]) -> list[_File]:
    """What was rotated away after `file` and never seen: twice between two looks, or while nobody looked for days."""
    stem = _ROTATED.sub("", file.name)
    mine = {(other.device, other.inode) for other in kept} | {(each.st_dev, each.st_ino) for each in present.values()}
    siblings = _siblings(folder, file)
    since = next((each.st_mtime for name, each in siblings if name == file.name and file.rotated), file.written)
    later = [(name, each) for name, each in siblings if each.st_mtime >= since
             and _ROTATED.sub("", name) == stem != name and (each.st_dev, each.st_ino) not in mine]
    later.sort(key=lambda each: each[1].st_mtime)
    return [_File(name, each.st_dev, each.st_ino, 0, rotated=True) for name, each in later[-MOST:]]


def _marked(path: str, file: _File) -> bool:
    """Whether what was taken of `file` is what stands at this path."""
    with suppress(OSError), _opened(path) as (descriptor, status):
        return status.st_size >= file.at and _print(*_edges(descriptor, file.at)) == file.mark
    return False


def _edges(descriptor: int, at: int) -> tuple[bytes, bytes]:
    """The first bytes, and those before the place."""
    return os.pread(descriptor, min(_EDGE, at), 0), os.pread(descriptor, min(_EDGE, at), max(0, at - _EDGE))


def _print(head: bytes, before: bytes) -> str:
    return blake2b(head + before, digest_size=8).hexdigest()


def _drain(descriptor: int, status: os.stat_result, file: _File, take: Take, seen: Followed, now: float,
           limit: float, until: float) -> None:
    """Take what is new, then note where we are."""
    seen.written = max(seen.written or 0.0, status.st_mtime)
    if (status.st_size, status.st_mtime) == (file.size, file.written) and file.at == file.size:
        return
    head, before = _edges(descriptor, file.at)
    if file.mark and _print(head, before) != file.mark:
        return  # truncated this very moment; the next look finds out where the rest is
    since = file.since if status.st_size == file.size else now
    quiet = now - min(since, status.st_mtime)
    size, ended = CHUNK, False
    try:
        while not ended and seen.taken < limit and time.monotonic() < until:
            data = os.pread(descriptor, size, file.at)
            if os.pread(descriptor, len(before), file.at - len(before)) != before:
                ended = True  # truncated under our hands
                continue
            ended, whole = len(data) < size, data.endswith(b"\n")
            end = ended and (quiet >= (LINE_QUIET if whole else PART_QUIET) or (whole and file.rotated))
            taken, inside = take(data, file.inside, end or size > LONGEST) if data else (0, file.inside)
            file.at, file.inside = file.at + taken, inside
            seen.taken += taken
            head = head if len(head) == _EDGE else (head + data[:taken])[:_EDGE]
            before = (before + data[max(0, taken - _EDGE):taken])[-_EDGE:]
            size = CHUNK if taken else 2 * size
    finally:
        file.size, file.written, file.since, file.mark = status.st_size, status.st_mtime, since, _print(head, before)
        seen.behind += 0 if ended else max(0, file.size - file.at)
