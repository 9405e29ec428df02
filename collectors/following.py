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
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from math import inf
from typing import Any

from collectors.access import denied
from collectors.rotation import EDGE, File, Lost, between, edges, fingerprint, located, loss, marked, opened

FIRST = 64 * 2**20  # bytes before the end at which the very first look begins
LIMIT = 128 * 2**20  # bytes taken in one look at most; the rest waits for the next one
SECONDS = 5.0  # as well: where each byte is dear (a slow disk, a forger's million of tiny entries) a look still ends
CHUNK = 2**18  # bytes handed out at once; so much fits into a processor's cache, and a MiB is a third slower
LONGEST = 2**20  # bytes that are waited for until something ends; what is longer is cut, so memory stays flat
MOST = 50  # files that are followed; more than that are the oldest, which nobody writes to
LINE_QUIET, PART_QUIET = 2.0, 30.0  # seconds without a byte until a whole line, and a part of a line, is the last
RETIRED = 2 * 3600.0  # seconds without a byte until a rotated file is let go: queue workers hold it open for an hour

# take(data, inside, end) -> (taken, inside). `inside`: 0 where data begins anew, 1 in the middle of something (as where
# the first look jumps in), else what the reader gave back before. `end`: nothing more is coming for now, take all. It
# says how many bytes it took, and what it wants to be told about where these end. Where it takes 0 it must leave no
# trace: it is called again, with more or with `end`.
Take = Callable[[bytes, int, bool], tuple[int, int]]


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
    present = _present(pattern)
    if place and place["pattern"] != pattern:
        place = None  # other files than before
    files = [File(**record) for record in place["files"]] if place else []
    current = [file for file in files if not file.rotated]
    kept = [file for file in files if located(file, folder, present)]
    seen.lost = [lost for file in files if file not in kept and (lost := loss(file, folder))]
    for file in current:
        if file.rotated or file not in kept:
            kept += between(file, folder, kept, present)[-MOST:]
    kept += _fresh(kept, present, place, now, first, seen)
    # a copy that was made and followed before the file itself was emptied: of the two, the one that was taken less far
    kept = list({(file.device, file.inode): file for file in sorted(kept, key=lambda file: -file.at)}.values())
    for file in sorted(kept, key=lambda file: (not file.rotated, file.written or inf)):
        path = os.path.join(folder, file.name)
        try:
            with opened(path) as (descriptor, status):
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


def _present(pattern: str) -> dict[str, os.stat_result]:
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


def _fresh(kept: list[File], present: dict[str, os.stat_result], place: dict[str, Any] | None, now: float,
           first: float, seen: Followed) -> list[File]:
    """The files that were not there before: from their beginning. What nobody could read before is not news, nor is a
    copy that somebody made beside a file that is followed (`cp laravel.log laravel-old.log`), nor what is older than
    all of these: it was not among the MOST, or was unpacked. (Some are from a clock that was ahead: hence `now`.)"""
    oldest = min((file.written for file in kept if file.size >= 0), default=0.0)
    oldest = min(oldest, now - RETIRED)
    mine = {(file.device, file.inode) for file in kept}
    fresh: list[File] = []
    for path, status in reversed(present.items()):
        name, identity = os.path.basename(path), (status.st_dev, status.st_ino)
        if identity in mine:  # followed already, or another link to the same file
            continue
        file = File(name, *identity, at=0)
        if place is None or name in place["closed"]:
            file.at = status.st_size if fresh else max(0, status.st_size - int(first))
            file.inside = int(file.at > 0)
            seen.skipped += file.at
        elif status.st_mtime < oldest or any(other.at and marked(path, other) for other in kept):
            file.at, file.inside = status.st_size, 1
        mine.add(identity)
        fresh.append(file)
    return sorted(fresh, key=lambda file: file.name)


def _drain(descriptor: int, status: os.stat_result, file: File, take: Take, seen: Followed, now: float,
           limit: float, until: float) -> None:
    """Take what is new, then note where we are."""
    seen.written = max(seen.written or 0.0, status.st_mtime)
    if (status.st_size, status.st_mtime) == (file.size, file.written) and file.at == file.size:
        return
    head, before = edges(descriptor, file.at)
    if file.mark and fingerprint(head, before) != file.mark:
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
            head = head if len(head) == EDGE else (head + data[:taken])[:EDGE]
            before = (before + data[max(0, taken - EDGE):taken])[-EDGE:]
            size = CHUNK if taken else 2 * size
    finally:
        file.size, file.written, file.since = status.st_size, status.st_mtime, since
        file.mark = fingerprint(head, before)
        seen.behind += 0 if ended else max(0, file.size - file.at)
