"""How big a folder is: a bounded walk that stays on its device, follows no link and says when it was cut short."""

import os
import time
from collections import Counter, deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Walk:
    """What a walk saw. The counters hold bytes and entries by folder, at most `depth` levels below the top."""

    bytes: int = 0  # allocated, as du counts: sparse files are small, a hard link counts once
    entries: int = 0
    complete: bool = True  # False: a limit cut it short, so nothing here is a whole
    unreadable: list[str] = field(default_factory=list)  # folders that we may not look into
    bytes_in: Counter[str] = field(default_factory=Counter)
    entries_in: Counter[str] = field(default_factory=Counter)


def walk(top: str, entries: int, seconds: float, depth: int = 0, skip: Container[str] = ()) -> Walk:
    """Walk `top` breadth first until it ends, `entries` were seen or `seconds` are over; never look at `skip`.

    Raises OSError where `top` itself cannot be read. What vanishes under way is left out.
    """
    seen, until = Walk(), time.monotonic() + seconds
    itself = os.stat(top)
    device = itself.st_dev
    seen.bytes = itself.st_blocks * 512
    linked: set[int] = set()
    waiting = deque([(top, top, 0)])  # folder, the folder that it is counted under, levels below the top
    while waiting:
        folder, under, level = waiting.popleft()
        try:
            for entry, status in _look(folder, skip):
                # the clock is asked every 256 entries: one folder may hold millions of session files
                if seen.entries >= entries or (seen.entries % 256 == 0 and time.monotonic() >= until):
                    seen.complete = False
                    return seen
                seen.entries += 1
                is_folder = entry.is_dir(follow_symlinks=False)
                if status.st_dev != device or status.st_ino in linked:
                    continue
                if status.st_nlink > 1 and not is_folder:
                    linked.add(status.st_ino)
                name = entry.path if is_folder and level < depth else under
                seen.bytes += status.st_blocks * 512
                seen.bytes_in[name] += status.st_blocks * 512
                seen.entries_in[name] += 1
                if is_folder:
                    waiting.append((entry.path, name, level + 1))
        except (FileNotFoundError, PermissionError) as error:
            if folder == top:
                raise
            if isinstance(error, PermissionError):
                seen.unreadable.append(folder)
    return seen


def biggest(top: str, seconds: float, depth: int, by_entries: bool = False, skip: Container[str] = ()) -> list[str]:
    """The three folders below `top`, at most `depth` deep, that hold most of what can be seen in `seconds`."""
    seen = walk(top, 10_000_000, seconds, depth, skip)
    return [name for name, _ in (seen.entries_in if by_entries else seen.bytes_in).most_common(3)]


def _look(folder: str, skip: Container[str]) -> Iterator[tuple[os.DirEntry[str], os.stat_result]]:
    with os.scandir(folder) as listing:
        for entry in listing:
            if entry.path in skip:
                continue
            try:
                yield entry, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # deleted since it was listed
