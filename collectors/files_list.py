"""Which files a pattern has, without ever following a link out of their folder; and what is still being written."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

from collectors import files_dates
from collectors.storable import storable

QUIET = 120.0  # seconds without a write: then nobody is writing it any more
_ENTRIES = 100_000  # looked at for one pattern; more is no folder of backups
_LEFT = 1000  # entries of a temporary folder that are looked at
_MAGIC = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class File:
    """One file of a set. Times are unix seconds: `began` by its name, `claimed` the latest that it speaks of."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    began: float
    claimed: float

    @property
    def modified(self) -> float:
        return self.mtime_ns / 1e9

    @property
    def name(self) -> str:
        return storable(os.path.basename(self.path))

    @property
    def key(self) -> list[Any]:
        """What changes with its content; as JSON keeps it."""
        return [storable(self.path), self.size, self.mtime_ns, self.inode]


@dataclass(slots=True)
class Listing:
    """What was found: the files, oldest first; links that lead elsewhere; folders that may not be read, and why."""

    files: list[File] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    locked: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Left:
    """What lies in a temporary folder: the oldest file's time (unix seconds; None: nothing), how many, how much."""

    oldest: float | None = None
    count: int = 0
    bytes: int = 0


def listed(pattern: str, zone: ZoneInfo) -> Listing:
    """The regular files that fit. Raises ValueError where there are too many to look at."""
    found, known = Listing(), set()
    for path in _matching(pattern, found.locked):
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                target = os.path.realpath(path)
                if os.path.dirname(target) != os.path.realpath(os.path.dirname(path)):
                    found.outside.append(storable(path))
                    continue
                path, status = target, os.lstat(target)
        except FileNotFoundError:
            continue  # deleted since it was listed, or a link to nothing
        except PermissionError:  # a folder whose names may be read, and nothing more
            folder = os.path.dirname(path)
            found.locked[storable(folder)] = refusal(folder)
            continue
        itself = status.st_dev, status.st_ino
        if stat.S_ISREG(status.st_mode) and itself not in known:
            known.add(itself)
            name, modified = os.path.basename(path), status.st_mtime
            found.files.append(File(path, status.st_size, status.st_mtime_ns, status.st_ino,
                                    files_dates.began(name, modified, zone), files_dates.claimed(name, modified, zone)))
    found.files.sort(key=lambda file: (file.began, file.mtime_ns))
    return found


def settled(files: list[File], moving: dict[str, Any], now: float) -> list[File]:
    """Those that nobody writes any more. `moving` remembers the others: path -> size, time, since when it is so."""
    young = {storable(file.path) for file in files if now - file.modified < QUIET}
    for gone in moving.keys() - young:
        del moving[gone]
    done = []
    for file in files:
        path, state = storable(file.path), [file.size, file.mtime_ns]
        if path in young:
            if moving.get(path, [])[:2] != state or moving[path][2] > now:  # it changed, or the clock was set back
                moving[path] = [*state, now]
            if not now - moving[path][2] >= QUIET:
                continue
        done.append(file)
    return done


def left(folder: str) -> Left:
    """What lies in a temporary folder and below it; nothing where there is no such folder."""
    oldest, count, size = None, 0, 0
    waiting, entries = [folder], 0
    while waiting and entries < _LEFT:
        try:
            with os.scandir(waiting.pop()) as listing:
                for entry in listing:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    elif entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):  # .gitignore
                        status = entry.stat(follow_symlinks=False)
                        oldest = min(oldest or status.st_mtime, status.st_mtime)
                        count, size = count + 1, size + status.st_size
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise PermissionError(refusal(str(error.filename))) from None
    return Left(oldest, count, size)


def refusal(path: str) -> str:
    """Why this process may not read it, and what would let it."""
    place = path
    while True:  # what cannot be looked at lies in a folder that is closed
        try:
            status = os.stat(place)
            break
        except PermissionError:
            place = os.path.dirname(place)
    owner, group = _named(pwd.getpwuid, status.st_uid), _named(grp.getgrgid, status.st_gid)
    me, mode = _named(pwd.getpwuid, os.geteuid()), stat.S_IMODE(status.st_mode)
    needed = 0o050 if stat.S_ISDIR(status.st_mode) else 0o040
    mend = f"give the service that group (a drop-in with SupplementaryGroups={group})"
    if mode & needed != needed:
        mend = f"chmod g+{'rx' if needed == 0o050 else 'r'} it and {mend}"
    return f"{storable(place)}: user {me} may not read it ({owner}:{group}, mode {mode:04o}): {mend}"


def _named(ask: Any, number: int) -> str:
    try:
        return str(ask(number)[0])
    except KeyError:
        return str(number)


def _matching(pattern: str, locked: dict[str, str]) -> Iterator[str]:
    """As glob.glob, but a folder that may not be read is told and not taken for an empty one."""
    paths, seen = ["/"], 0
    for part in pattern.strip("/").split("/"):
        below: list[str] = []
        for folder in paths:
            try:
                names = _names(folder, part)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except PermissionError:
                locked[storable(folder)] = refusal(folder)
                continue
            seen += len(names)
            if seen > _ENTRIES:
                raise ValueError(f"{pattern}: more than {_ENTRIES} files: name them more closely")
            below += [os.path.join(folder, name) for name in names]
        paths = below
    yield from paths


def _names(folder: str, part: str) -> list[str]:
    if _MAGIC.isdisjoint(part):
        os.lstat(os.path.join(folder, part))
        return [part]
    hidden = part.startswith(".")
    with os.scandir(folder) as listing:
        return [entry.name for entry in listing
                if entry.name.startswith(".") == hidden and fnmatchcase(entry.name, part)]
