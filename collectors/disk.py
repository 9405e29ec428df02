"""Disks: how full, how soon full, writable and mounted as promised; and the folders that are known to swell."""

import glob
import os
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from collectors.base import Labels, Metric, Reading, Run
from collectors.deadline import ask
from collectors.folders import Walk, biggest, walk
from collectors.mounts import Expected, Mount, expected, parse, real
from collectors.quantities import Seconds
from collectors.trend import full_in, remembered

EVERY = 60.0
TIMEOUT = 20.0

USED = Metric("jaga_disk_used_ratio", "Used part of what is not reserved for root, as df counts.", ("mount",))
FREE = Metric("jaga_disk_free_bytes", "Free for everybody but root.", ("mount",))
SIZE = Metric("jaga_disk_size_bytes", "Size of the filesystem.", ("mount",))
INODES = Metric("jaga_disk_inodes_used_ratio", "Used part of the inodes, where they are limited.", ("mount",))
FULL = Metric("jaga_disk_full_seconds", "Until it is full at this pace; +Inf when it is not filling.", ("mount",))
READ_ONLY = Metric("jaga_disk_read_only", "1 when it is read-only although it was or should be writable.", ("mount",))
MOUNTED = Metric("jaga_disk_mounted", "Whether a mount that fstab promises is there.", ("mount",))
FOLDER_SIZE = Metric("jaga_folder_size_bytes", "Allocated size of a watched folder, as du counts.", ("folder",))
FOLDER_GROWTH = Metric("jaga_folder_growth_bytes_per_second", "Growth of a watched folder; clean-ups do not count.",
                       ("folder",))
FOLDER_COMPLETE = Metric("jaga_folder_walk_complete", "0 when a limit cut the walk short: size unknown.", ("folder",))
FOLDER_UNREADABLE = Metric("jaga_folder_unreadable", "Folders within that the agent may not read: not counted.",
                           ("folder",))

_CLEANED = 0.01  # a fall by this part of the size is a clean-up: what grew before says nothing any more


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    """Watches every filesystem that can fill up, and the folders that usually fill it.

    ignore: mount points that are not looked at (patterns), such as a pen drive.
    answer_within: a filesystem that does not answer for so long is dead (a network mount whose server is gone).
    window: how far back the forecast looks.
    folders: watched folders, patterns allowed; one that does not exist is no error.
    folders_every, folder_entries, folder_seconds: how often they are walked, and where a walk is cut short.
    """

    ignore: tuple[str, ...] = ("/media/*", "/run/media/*")
    answer_within: Seconds = 5.0
    window: Seconds = 6 * 3600.0
    folders: tuple[str, ...] = ("/var/log", "/var/www/*/storage")
    folders_every: Seconds = 3600.0
    folder_entries: int = 200_000
    folder_seconds: Seconds = 5.0
    fstab: str = "/etc/fstab"
    proc: str = "/proc"

    def collect(self, run: Run) -> Iterator[Reading]:
        mounts = self._mounts()
        watched = [m for m in real(mounts, self._read("filesystems")) if not self._ignored(m.point)]
        promised = [e for e in expected(_text(self.fstab)) if not self._ignored(e.point)]
        questions = [(m, ask("statvfs", m.point, partial(_statvfs, m.point))) for m in watched]

        yield from _read_only(watched, promised, run.memory.setdefault("writable", {}))
        for mount, question in questions:
            with run.target(mount.point):
                try:
                    status = question.answer(self.answer_within)
                except TimeoutError as error:
                    raise TimeoutError(f"{error} (dead network mount?)") from None
                yield from self._space(mount.point, status, run)
        used = run.memory.get("used", {})
        for gone in used.keys() - {mount.point for mount in watched}:
            del used[gone]
        for promise in promised:
            with run.target(promise.point):
                yield MOUNTED(self._is_mounted(promise.point, {m.point for m in mounts}), mount=promise.point)
        yield from self._folders(run, {m.point for m in mounts})

    def explain(self, metric: str, labels: Labels) -> str:
        """The three folders that hold most (or most files): names only, and never deep enough to name a member."""
        named = dict(labels)
        top, depth = (named["mount"], 3) if "mount" in named else (named["folder"], 2)
        if metric in (READ_ONLY.name, MOUNTED.name):
            return ""
        points = {mount.point for mount in self._mounts()}
        look = ask("explain", top, lambda: biggest(top, 2.0, depth, metric == INODES.name, points))
        return ", ".join(look.answer(4.0))

    @staticmethod
    def discover() -> str | None:
        found = [folder for pattern in Disk().folders for folder in sorted(glob.glob(pattern))]
        return f"[collectors.disk]\nfolders = [{', '.join(msgspec.json.encode(f).decode() for f in found)}]\n"

    def _read(self, name: str) -> str:
        # a name in bytes that are no UTF-8 is that mount's own trouble, not everybody's
        return Path(self.proc, name).read_text("utf-8", "backslashreplace")

    def _mounts(self) -> list[Mount]:
        return parse(self._read("self/mountinfo"))

    def _ignored(self, point: str) -> bool:
        return any(fnmatch(point, pattern) for pattern in self.ignore)

    def _is_mounted(self, point: str, points: set[str]) -> bool:
        """fstab may name a mount point by way of a symbolic link; looking there could hang as well."""
        return point in points or ask("realpath", point, partial(os.path.realpath, point)).answer(
            self.answer_within) in points

    def _space(self, point: str, status: os.statvfs_result, run: Run) -> Iterator[Reading]:
        used = (status.f_blocks - status.f_bfree) * status.f_frsize
        free = status.f_bavail * status.f_frsize
        if not status.f_blocks or not used + free:
            return  # it has no size: nothing there can fill up
        size = status.f_blocks * status.f_frsize
        yield USED(used / (used + free), mount=point)
        yield FREE(free, mount=point)
        yield SIZE(size, mount=point)
        if status.f_files:  # btrfs, vfat and some network filesystems have no limit
            taken = status.f_files - status.f_ffree
            yield INODES(taken / (taken + status.f_favail) if taken + status.f_favail else 1.0, mount=point)
        history: dict[str, list[list[float]]] = run.memory.setdefault("used", {})
        kept = remembered(history.get(point, []), run.now, used, fall=size * _CLEANED, window=self.window)
        if kept != history.get(point):
            history[point] = kept
        yield FULL(full_in([*kept, [run.now, used]], free), mount=point)

    def _folders(self, run: Run, points: set[str]) -> Iterator[Reading]:
        known: dict[str, Any] = run.memory.setdefault("folders", {})
        until = time.monotonic() + self.folder_seconds  # those that find no time in this run are walked in the next one
        for pattern in self.folders:
            with run.target(pattern):
                old = known.get(pattern, {"at": None, "found": {}})
                due = old["at"] is None or not 0 <= run.now - old["at"] < self.folders_every
                if due and time.monotonic() < until:
                    look = ask("walk", pattern, partial(self._walk, pattern, points))
                    walks = look.answer(self.folder_seconds + 2)
                    keep = max(self.window, 3 * self.folders_every)
                    found = {folder: _record(old["found"].get(folder), seen, run.now, keep)
                             for folder, seen in walks.items()}
                    known[pattern] = {"at": run.now, "found": found}
                for folder, record in known.get(pattern, old)["found"].items():
                    yield from _folder(folder, record)
        for gone in known.keys() - set(self.folders):
            del known[gone]

    def _walk(self, pattern: str, points: set[str]) -> dict[str, Walk]:
        until = time.monotonic() + self.folder_seconds
        return {folder: walk(folder, self.folder_entries, until - time.monotonic(), skip=points)
                for folder in sorted(glob.glob(pattern))}


def _statvfs(point: str) -> os.statvfs_result:
    return os.statvfs(point)


def _read_only(watched: list[Mount], promised: list[Expected], writable: dict[str, str]) -> Iterator[Reading]:
    """Read-only on purpose is what fstab calls so, or what never was anything else. `writable`: point -> source."""
    promises = {promise.point: promise.writable for promise in promised}
    for mount in watched:
        if not mount.read_only and writable.get(mount.point) != mount.source:
            writable[mount.point] = mount.source
        should = promises.get(mount.point, writable.get(mount.point) == mount.source)
        yield READ_ONLY(mount.read_only and should, mount=mount.point, note=f"{mount.source} ({mount.type})")
    for gone in writable.keys() - {mount.point for mount in watched}:
        del writable[gone]


def _record(old: dict[str, Any] | None, seen: Walk, now: float, keep: float) -> dict[str, Any]:
    samples = [s for s in (old or {}).get("samples", []) if now - keep <= s[0] < now]
    if seen.complete:
        samples.append([now, seen.bytes])
    return {"samples": samples, "complete": seen.complete, "unreadable": len(seen.unreadable)}


def _folder(folder: str, record: dict[str, Any]) -> Iterator[Reading]:
    samples = record["samples"]
    yield FOLDER_COMPLETE(record["complete"], folder=folder)
    if record["complete"]:
        yield FOLDER_UNREADABLE(record["unreadable"], folder=folder)
        yield FOLDER_SIZE(samples[-1][1], folder=folder)
        if len(samples) > 1:
            grown = sum(max(0.0, new[1] - old[1]) for old, new in pairwise(samples))
            yield FOLDER_GROWTH(grown / (samples[-1][0] - samples[0][0]), folder=folder)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return ""  # a container has no fstab: then nothing is promised
