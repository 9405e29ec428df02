"""Which filesystems a machine really has: mountinfo and fstab, without pseudo filesystems and bind mounts by rule."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Network filesystems are `nodev` in /proc/filesystems although they hold data; zfs is because it manages its own disks.
# Other fuse types are views of something (gvfs, lxcfs, a document portal) or have no end (object stores).
_WITHOUT_DEVICE_BUT_REAL = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "zfs",
    "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.mergerfs",
})
# Full and read-only by design: images, discs, snaps.
_NEVER_WRITABLE = frozenset({"squashfs", "iso9660", "udf", "erofs", "cramfs", "romfs"})
# Newer ext4 keeps "rw" after `errors=remount-ro` struck and adds `emergency_ro` (seen on Linux 6.18) or `shutdown`.
_READ_ONLY = frozenset({"ro", "emergency_ro", "shutdown"})
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of /proc/self/mountinfo (proc(5))."""

    point: str
    root: str  # the part of the filesystem that is seen here: "/" unless it is a bind mount or a subvolume
    device: str  # "major:minor" of the superblock
    type: str
    source: str
    read_only: bool  # the superblock, not this mount: ProtectSystem= binds read-only what is writable


@dataclass(frozen=True, slots=True)
class Expected:
    """A mount that /etc/fstab promises."""

    point: str
    writable: bool


def parse(mountinfo: str) -> list[Mount]:
    """Read /proc/self/mountinfo. Of several mounts at one point the last one covers the others."""
    found: dict[str, Mount] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        device, root, point = before.split(" ")[2:5]
        kind, source, options = after.split(" ")[:3]
        found[_plain(point)] = Mount(_plain(point), _plain(root), device, kind, _plain(source),
                                     not _READ_ONLY.isdisjoint(options.split(",")))
    return list(found.values())


def real(mounts: Iterable[Mount], filesystems: str) -> list[Mount]:
    """Those that can fill up, one mount per device. `filesystems` is the text of /proc/filesystems.

    Real is: what needs a block device, holds data without one (network, zfs), or is mounted at "/" whatever its type
    (a container's overlay). Of one device the mount at "/" is kept, else the whole filesystem before a part of it, else
    the shortest path. Parts alone (a container's /etc/hosts, a systemd unit's view) are no filesystem of this machine;
    btrfs and network filesystems show subvolumes and exports that way and are kept.
    """
    without_device = {line.split()[1] for line in filesystems.splitlines() if line.startswith("nodev")}
    kept: dict[str, Mount] = {}
    for mount in sorted(mounts, key=lambda one: (one.point != "/", one.root != "/", len(one.point), one.point)):
        with_device = mount.type.partition(".")[0] not in without_device
        network = mount.type in _WITHOUT_DEVICE_BUT_REAL
        whole = mount.root == "/" or network or mount.type == "btrfs"
        if mount.type not in _NEVER_WRITABLE and (mount.point == "/" or ((with_device or network) and whole)):
            kept.setdefault(mount.device, mount)
    return sorted(kept.values(), key=lambda one: one.point)


def expected(fstab: str) -> list[Expected]:
    """What fstab(5) mounts at boot: without swap, `noauto`, and automounts, which come when somebody looks."""
    found = []
    for line in fstab.splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#") or not fields[1].startswith("/") or fields[2] == "swap":
            continue
        options = set(fields[3].split(",")) if len(fields) > 3 else set()
        if options.isdisjoint({"noauto", "x-systemd.automount"}):
            found.append(Expected(_plain(fields[1]).rstrip("/") or "/", "ro" not in options))
    return found


def _plain(field: str) -> str:
    """Undo the octal escapes for blank, tab, newline and backslash."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 8)), field)
