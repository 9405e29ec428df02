"""The disk collector: which mounts are real, what is told of each, and that a dead one hangs nothing."""

import errno
import os
import re
import time
import tomllib
from math import inf, isinf
from pathlib import Path
from threading import Event
from threading import enumerate as threads

import msgspec
import pytest

from alerts.rule import Words
from collectors import disk
from collectors.base import Metric, Reading, Run
from collectors.deadline import ask
from collectors.disk import Disk
from collectors.folders import biggest, walk
from collectors.mounts import Expected, Mount, expected, parse, real

NOW = 1_795_363_894.0
RULES = Path(__file__).parents[2] / "alerts/rules/disk.toml"

FILESYSTEMS = """\
nodev\tsysfs
nodev\ttmpfs
nodev\tproc
nodev\tcgroup2
nodev\tdevtmpfs
nodev\toverlay
nodev\tautofs
nodev\tnfs4
nodev\tcifs
nodev\tfuse
nodev\tfusectl
nodev\tnsfs
nodev\tzfs
\text4
\txfs
\tvfat
\tbtrfs
\tsquashfs
\tiso9660
\tfuseblk
"""

SERVER = r"""
25 30 0:23 / /proc rw,nosuid shared:12 - proc proc rw
26 30 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw,size=2g
30 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
31 30 0:25 / /run rw,nosuid shared:5 - tmpfs tmpfs rw,size=400m
40 30 8:15 / /boot/efi rw,relatime shared:31 - vfat /dev/sda15 rw,umask=0077
41 30 7:1 / /snap/core20/2105 ro,nodev,relatime shared:34 - squashfs /dev/loop1 ro,errors=continue
42 30 11:0 / /media/cdrom ro,relatime shared:35 - iso9660 /dev/sr0 ro
43 30 8:17 / /srv/data\040toko rw,relatime shared:40 - xfs /dev/sdb1 rw,attr2
44 30 8:17 /www /var/www rw,relatime shared:40 - xfs /dev/sdb1 rw,attr2
45 30 0:50 / /mnt/nas rw,relatime shared:50 - autofs systemd-1 rw,fd=47
46 45 0:51 / /mnt/nas rw,relatime shared:51 - nfs4 10.0.0.9:/export rw,vers=4.2
47 30 0:52 / /mnt/lazy rw,relatime shared:52 - autofs systemd-1 rw,fd=48
48 30 0:60 / /var/lib/docker/overlay2/aa/merged rw,relatime shared:60 - overlay overlay rw,lowerdir=/l
49 31 0:4 net:[4026532] /run/docker/netns/x rw shared:61 - nsfs nsfs rw
50 31 0:70 / /run/user/1000/gvfs rw,nosuid shared:62 - fuse.gvfsd-fuse gvfsd-fuse rw
51 30 0:71 / /home/kasir/arsip rw,nosuid shared:63 - fuse.sshfs kasir@nas: rw
52 30 0:72 / /mnt/berbagi rw shared:64 - cifs //nas/berbagi rw,vers=3.1.1
53 30 8:33 / /media/kasir/FLASH rw shared:65 - fuseblk /dev/sdc1 rw
"""
CONTAINER = """
100 90 0:80 / / rw,relatime - overlay overlay rw,lowerdir=/a,upperdir=/b
101 100 0:81 / /proc rw - proc proc rw
102 100 8:1 /var/lib/docker/containers/c/hosts /etc/hosts rw,relatime - ext4 /dev/sda1 rw
103 100 8:1 /var/lib/docker/containers/c/resolv.conf /etc/resolv.conf rw,relatime - ext4 /dev/sda1 rw
104 100 0:82 / /dev/shm rw - tmpfs shm rw,size=64m
"""
HARDENED = """
200 190 8:1 / / ro,relatime - ext4 /dev/sda1 rw
201 200 8:1 /var/lib/jaga /var/lib/jaga rw,relatime - ext4 /dev/sda1 rw
202 200 8:1 /tmp/systemd-private-1/tmp /tmp rw,relatime - ext4 /dev/sda1 rw
203 200 0:90 / /home ro - tmpfs tmpfs ro,mode=755
"""
BTRFS = """
300 1 0:33 /@ / rw,relatime - btrfs /dev/sda2 rw,subvol=/@
301 300 0:33 /@home /home rw,relatime - btrfs /dev/sda2 rw,subvol=/@home
302 300 0:40 /@srv /srv rw,relatime - btrfs /dev/sdb1 rw,subvol=/@srv
303 300 0:41 / /tank rw - zfs tank rw,xattr
304 300 0:42 / /tank/db rw - zfs tank/db rw,xattr
"""
REMOUNTED = """
400 1 8:1 / / rw,relatime - ext4 /dev/sda1 ro,errors=remount-ro
401 400 8:2 / /srv rw,relatime - ext4 /dev/sda2 rw,errors=remount-ro,emergency_ro
"""


@pytest.mark.parametrize(("mountinfo", "points"), [
    pytest.param(SERVER, ["/", "/boot/efi", "/home/kasir/arsip", "/media/kasir/FLASH", "/mnt/berbagi", "/mnt/nas",
                          "/srv/data toko"], id="server"),
    pytest.param(CONTAINER, ["/"], id="container"),
    pytest.param(HARDENED, ["/"], id="inside the hardened unit"),
    pytest.param(BTRFS, ["/", "/srv", "/tank", "/tank/db"], id="btrfs and zfs"),
    pytest.param("1 0 7:0 / / ro - squashfs /dev/loop0 ro\n", [], id="an image that is full by design"),
    pytest.param("1 0 8:1 / /sysroot ro - ext4 /dev/sda1 rw\n2 1 8:1 /ostree/1 / rw - ext4 /dev/sda1 rw\n", ["/"],
                 id="the root wins over the whole of its device"),
    pytest.param("1 0 8:1 / /a/long/way rw - ext4 /dev/sda1 rw\n2 1 8:1 / /short rw - ext4 /dev/sda1 rw\n", ["/short"],
                 id="the shortest of two equal ones"),
    pytest.param("", [], id="nothing"),
])
def test_one_mount_of_each_real_filesystem_is_watched(mountinfo: str, points: list[str]) -> None:
    assert [mount.point for mount in real(parse(mountinfo.strip()), FILESYSTEMS)] == points


def test_a_mount_is_read_only_when_its_superblock_is() -> None:
    assert parse(HARDENED.strip())[0] == Mount("/", "/", "8:1", "ext4", "/dev/sda1", False)
    assert [mount.read_only for mount in parse(REMOUNTED.strip())] == [True, True]


def test_of_two_mounts_at_one_point_the_later_one_counts() -> None:
    assert [m.type for m in parse(SERVER.strip()) if m.point == "/mnt/nas"] == ["nfs4"]


def test_fstab_promises_what_is_mounted_at_boot() -> None:
    assert expected(r"""
# /etc/fstab: static file system information
UUID=1-2 / ext4 errors=remount-ro 0 1
/dev/sdb1 /srv/data\040toko/ xfs defaults,nofail 0 2
/dev/sdc1 /arsip ext4 ro,noatime
10.0.0.9:/export /mnt/nas nfs4 noauto,x-systemd.automount 0 0
/dev/sdd1 /mnt/usb vfat user,noauto 0 0
UUID=3-4 none swap sw 0 0
/swap.img /swap swap sw
LABEL=x
tmpfs /tmp tmpfs
""") == [Expected("/", True), Expected("/srv/data toko", True), Expected("/arsip", False), Expected("/tmp", True)]


class Machine:
    """A machine of files: /proc, fstab and mount points that really exist."""

    def __init__(self, root: Path) -> None:
        self.root, self.proc, self.fstab = root, root / "proc", root / "fstab"
        (self.proc / "self").mkdir(parents=True)
        (self.proc / "filesystems").write_text(FILESYSTEMS)
        self.fstab.write_text("")
        self.memory: dict[str, object] = {}

    def mount(self, *lines: str) -> list[str]:
        """Each line: `name type super-options`. Returns the mount points."""
        points, text = [], ""
        for number, line in enumerate(lines, 1):
            name, kind, options = line.split()
            points.append(str(self.root / name))
            (self.root / name).mkdir(exist_ok=True)
            text += f"{number} 0 9:{number} / {self.root / name} rw - {kind} /dev/{name} {options}\n"
        (self.proc / "self/mountinfo").write_text(text)
        return points

    def disk(self, **options: object) -> Disk:
        return Disk(**{"proc": str(self.proc), "fstab": str(self.fstab), "folders": (), **options})  # type: ignore[arg-type]

    def run(self, collector: Disk, now: float = NOW) -> tuple[list[Reading], Run]:
        run = Run(now, self.memory)
        readings = list(collector.collect(run))
        self.memory = msgspec.json.decode(msgspec.json.encode(self.memory))  # it must survive as JSON
        return readings, run


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def values(readings: list[Reading], metric: Metric) -> dict[str, float]:
    return {next(iter(dict(r.labels).values())): r.value for r in readings if r.metric == metric.name}


def statvfs(*, blocks: int = 1000, free: int = 300, available: int = 250, files: int = 100, left: int = 40,
            size: int = 4096) -> os.statvfs_result:
    return os.statvfs_result((size, size, blocks, free, available, files, left, left, 0, 255))


def test_space_is_told_as_df_counts_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    data, = machine.mount("data ext4 rw")
    monkeypatch.setattr(os, "statvfs", lambda path: statvfs())
    readings, run = machine.run(machine.disk())
    mount = (("mount", data),)
    assert readings == [
        Reading("jaga_disk_read_only", 0.0, mount, "/dev/data (ext4)"),
        Reading("jaga_disk_used_ratio", 700 / 950, mount),
        Reading("jaga_disk_free_bytes", 250 * 4096, mount),
        Reading("jaga_disk_size_bytes", 1000 * 4096, mount),
        Reading("jaga_disk_inodes_used_ratio", 0.6, mount),
        Reading("jaga_disk_full_seconds", inf, mount),
    ]
    assert run.targets == {data: None}


@pytest.mark.parametrize(("answer", "metrics"), [
    (statvfs(files=0, left=0), {"read_only", "used_ratio", "free_bytes", "size_bytes", "full_seconds"}),
    (statvfs(blocks=0, free=0, available=0), {"read_only"}),
])
def test_a_filesystem_without_inodes_or_size_has_no_such_reading(
        machine: Machine, monkeypatch: pytest.MonkeyPatch, answer: os.statvfs_result, metrics: set[str]) -> None:
    machine.mount("data btrfs rw")
    monkeypatch.setattr(os, "statvfs", lambda path: answer)
    readings, _ = machine.run(machine.disk())
    assert {r.metric.removeprefix("jaga_disk_") for r in readings} == metrics


def test_a_real_filesystem_answers_as_the_kernel_does(machine: Machine) -> None:
    data, = machine.mount("data ext4 rw")
    readings, _ = machine.run(machine.disk())
    assert values(readings, disk.SIZE) == {data: os.statvfs(data).f_blocks * os.statvfs(data).f_frsize}


def test_a_dead_mount_hides_no_sibling_and_holds_one_thread(
        machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    before, dead, after = machine.mount("a ext4 rw", "nas nfs4 rw", "z ext4 rw")
    release, real_statvfs = Event(), os.statvfs

    def blocking(path: str) -> os.statvfs_result:
        if path == dead:
            release.wait(60)
        return real_statvfs(path)

    monkeypatch.setattr(os, "statvfs", blocking)
    collector = machine.disk(answer_within=0.2)
    try:
        for turn in range(3):
            began = time.monotonic()
            readings, run = machine.run(collector, NOW + turn)
            assert time.monotonic() - began < 2
            assert set(values(readings, disk.USED)) == {before, after}
            assert str(run.targets[dead]) == f"{dead}: no answer for 0 s (dead network mount?)"
            assert run.targets[before] is run.targets[after] is None
        assert [t.name for t in threads()].count(f"statvfs {dead}") == 1
        hanging = next(t for t in threads() if t.name == f"statvfs {dead}")
    finally:
        release.set()
    hanging.join(10)
    readings, run = machine.run(collector)
    assert set(values(readings, disk.USED)) == {before, dead, after}
    assert run.targets[dead] is None


def test_an_error_names_the_place_and_the_reason(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    data, = machine.mount("data nfs4 rw")

    def stale(path: str) -> os.statvfs_result:
        raise OSError(116, os.strerror(116), path)

    monkeypatch.setattr(os, "statvfs", stale)
    _, run = machine.run(machine.disk())
    assert str(run.targets[data]) == f"{data}: Stale file handle"


def test_a_mount_whose_name_is_no_text_hides_no_sibling(machine: Machine) -> None:
    data, = machine.mount("data ext4 rw")
    with (machine.proc / "self/mountinfo").open("ab") as file:
        file.write(b"9 0 9:9 / /mnt/caf\xe9 rw - ext4 /dev/sdz1 rw\n")
    readings, run = machine.run(machine.disk())
    assert set(values(readings, disk.USED)) == {data}
    assert {name for name, trouble in run.targets.items() if trouble} == {"/mnt/caf\\xe9"}


@pytest.mark.parametrize(("fstab", "first", "then", "told"), [
    pytest.param("", "rw", "ro", (0, 1), id="was writable before"),
    pytest.param("", "ro", "ro", (0, 0), id="never was writable"),
    pytest.param("defaults", "ro", "ro", (1, 1), id="fstab says writable"),
    pytest.param("ro", "rw", "ro", (0, 0), id="fstab says read-only now"),
    pytest.param("", "rw,errors=remount-ro", "rw,errors=remount-ro,emergency_ro", (0, 1), id="newer ext4's way"),
    pytest.param("", "ro", "rw", (0, 0), id="became writable"),
])
def test_read_only_on_purpose_is_no_fault(
        machine: Machine, fstab: str, first: str, then: str, told: tuple[int, int]) -> None:
    if fstab:
        machine.fstab.write_text(f"/dev/data {machine.root / 'data'} ext4 {fstab} 0 2\n")
    seen = []
    for options in (first, then):
        data, = machine.mount(f"data ext4 {options}")
        seen.append(values(machine.run(machine.disk())[0], disk.READ_ONLY)[data])
    assert tuple(seen) == told


def test_another_disk_at_the_same_place_is_not_called_remounted(machine: Machine) -> None:
    data, = machine.mount("data ext4 rw")
    machine.run(machine.disk())
    mountinfo = machine.proc / "self/mountinfo"
    mountinfo.write_text(f"1 0 9:9 / {data} rw - ext4 /dev/other ro\n")
    assert values(machine.run(machine.disk())[0], disk.READ_ONLY) == {data: 0}


def test_a_promised_mount_that_is_missing_is_a_reading_of_0(machine: Machine) -> None:
    data, = machine.mount("data ext4 rw")
    (machine.root / "alias").symlink_to(data)
    gone = machine.root / "gone"
    machine.fstab.write_text("".join(f"/dev/x {machine.root / name} ext4\n" for name in ("data", "alias", "gone")))
    readings, _ = machine.run(machine.disk())
    assert values(readings, disk.MOUNTED) == {data: 1, str(machine.root / "alias"): 1, str(gone): 0}
    readings, _ = machine.run(machine.disk(ignore=(f"{machine.root}/g*",)))
    assert str(gone) not in values(readings, disk.MOUNTED)


def test_a_machine_without_fstab_and_folders_is_no_failure(machine: Machine) -> None:
    machine.mount()
    machine.fstab.unlink()
    nowhere = (f"{machine.root}/nowhere", f"{machine.root}/*/storage")
    readings, run = machine.run(machine.disk(folders=nowhere))
    assert readings == []
    assert run.targets == dict.fromkeys(nowhere)


def test_the_forecast_survives_a_restart_and_writes_once_in_five_minutes(
        machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    data, = machine.mount("data ext4 rw")
    left = 1000
    monkeypatch.setattr(os, "statvfs", lambda path: statvfs(free=left, available=left))
    forecast, written = {}, 0
    for minute in range(61):  # ten blocks each minute
        before = msgspec.json.encode(machine.memory)
        readings, _ = machine.run(machine.disk(), NOW + 60 * minute)
        forecast[minute] = values(readings, disk.FULL)[data]
        written += msgspec.json.encode(machine.memory) != before
        left -= 10
    assert isinf(forecast[29])
    assert forecast[60] == pytest.approx(40 * 60, rel=0.01)  # 400 blocks are left
    assert written == 13
    machine.mount("other ext4 rw")
    machine.run(machine.disk(), NOW + 3700)
    assert list(machine.memory["used"]) == [str(machine.root / "other")]  # type: ignore[call-overload]


def folder(root: Path) -> Path:
    log = root / "log"
    (log / "nginx" / "old").mkdir(parents=True)
    (log / "syslog").write_bytes(b"x" * 8192)
    os.link(log / "syslog", log / "nginx" / "again")
    (log / "nginx" / "access.log").write_bytes(b"x" * 40960)
    with (log / "sparse").open("wb") as sparse:
        sparse.truncate(10**9)
    (log / "out").symlink_to("/usr")
    return log


def allocated(top: Path) -> int:
    seen = {(s.st_dev, s.st_ino): s.st_blocks * 512 for s in (p.lstat() for p in (top, *top.rglob("*")))}
    return sum(seen.values())


def test_a_walk_counts_as_du_does(tmp_path: Path) -> None:
    log = folder(tmp_path)
    seen = walk(str(log), 1000, 60)
    assert (seen.bytes, seen.complete, seen.unreadable) == (allocated(log), True, [])
    assert seen.bytes < 10**6


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="/dev/shm is no mount of its own here")
def test_a_walk_stays_on_its_device() -> None:
    assert "/dev/shm" not in walk("/dev", 100_000, 60, depth=1).bytes_in


@pytest.mark.parametrize(("entries", "seconds", "complete"), [(7, 60, True), (6, 60, False), (1000, 0, False)])
def test_a_walk_that_was_cut_short_says_so(tmp_path: Path, entries: int, seconds: float, complete: bool) -> None:
    assert walk(str(folder(tmp_path)), entries, seconds).complete is complete


def test_a_folder_that_we_may_not_read_is_counted_and_not_measured(
        machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.mount()
    log, scandir = folder(machine.root), os.scandir

    def private(path: str) -> object:
        if path == str(log / "nginx"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", private)
    readings, run = machine.run(machine.disk(folders=(str(log),)))
    assert values(readings, disk.FOLDER_UNREADABLE) == {str(log): 1}
    assert run.targets == {str(log): None}
    _, run = machine.run(machine.disk(folders=(str(log / "nginx"),)))
    assert str(run.targets[str(log / "nginx")]) == f"{log / 'nginx'}: Permission denied"


def test_the_biggest_folders_are_named_but_not_their_files(tmp_path: Path) -> None:
    log = folder(tmp_path)
    assert biggest(str(log), 60, 1)[0] == str(log / "nginx")
    assert biggest(str(log), 60, 1, by_entries=True)[0] == str(log)
    assert biggest(str(log), 60, 1, skip={str(log / "nginx")}) == [str(log)]


def test_a_folder_is_walked_once_an_hour_and_its_growth_is_told(machine: Machine) -> None:
    machine.mount()
    log = folder(machine.root)
    collector = machine.disk(folders=(f"{machine.root}/l*g",))
    readings, _ = machine.run(collector)
    first = allocated(log)
    assert {r.metric: r.value for r in readings} == {
        "jaga_folder_walk_complete": 1, "jaga_folder_unreadable": 0, "jaga_folder_size_bytes": first}
    (log / "laravel.log").write_bytes(b"x" * 360_448)
    assert machine.run(collector, NOW + 3599)[0] == readings
    readings, _ = machine.run(collector, NOW + 3600)
    assert values(readings, disk.FOLDER_SIZE) == {str(log): allocated(log)}
    assert values(readings, disk.FOLDER_GROWTH) == {str(log): (allocated(log) - first) / 3600}
    (log / "laravel.log").unlink()
    readings, _ = machine.run(collector, NOW + 7200)
    assert values(readings, disk.FOLDER_SIZE) == {str(log): first}
    assert values(readings, disk.FOLDER_GROWTH)[str(log)] > 0  # cleaning up is no shrinking trend


def test_a_folder_too_big_to_measure_has_no_size(machine: Machine) -> None:
    machine.mount()
    log = folder(machine.root)
    readings, run = machine.run(machine.disk(folders=(str(log),), folder_entries=3))
    assert [(r.metric, r.value) for r in readings] == [("jaga_folder_walk_complete", 0.0)]
    assert run.targets == {str(log): None}


def test_evidence_names_the_biggest_folders_of_what_was_asked(machine: Machine) -> None:
    machine.mount("data ext4 rw")
    (machine.root / "data" / "a" / "b" / "c" / "budi").mkdir(parents=True)
    (machine.root / "data" / "a" / "b" / "c" / "budi" / "ktp.jpg").write_bytes(b"x" * 40960)
    told = machine.disk().explain(disk.USED.name, (("mount", str(machine.root / "data")),))
    assert told.split(", ")[0] == str(machine.root / "data/a/b/c")
    assert "budi" not in told
    assert machine.disk().explain(disk.MOUNTED.name, (("mount", "/gone"),)) == ""


def test_an_open_question_is_not_asked_twice() -> None:
    release = Event()
    first = ask("test", "/somewhere", lambda: release.wait(60))
    assert ask("test", "/somewhere", lambda: False) is first
    release.set()
    assert first.answer(10) is True
    assert ask("test", "/somewhere", lambda: "anew").answer(10) == "anew"


def test_what_is_discovered_is_a_section_that_this_collector_takes() -> None:
    text = Disk.discover()
    assert text is not None
    section = tomllib.loads(text)["collectors"]["disk"]
    assert set(section) <= set(Disk.__struct_fields__)
    assert all(Path(folder).is_dir() for folder in section["folders"])


def test_every_rule_judges_a_metric_of_the_disk_and_fills_its_placeholders() -> None:
    metrics = {m.name: m for m in vars(disk).values() if isinstance(m, Metric)}
    rules = tomllib.loads(RULES.read_text())
    assert len(rules) == 7
    for name, rule in rules.items():
        allowed = {*metrics[rule["metric"]].labels, "value", "threshold"}
        for text in ("summary", "first", "lay", "fix"):
            words = msgspec.convert(rule[text], Words, strict=True)
            for said in (words.id, words.en):
                assert said, (name, text)
                assert "\n" not in said, (name, text)
                assert set(re.findall(r"\{(\w+)\}", said)) <= allowed, (name, text)
    assert (rules["disk_space"]["warning"], rules["disk_space"]["critical"]) == ("80%", "90%")  # the SOP's
