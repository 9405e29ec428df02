"""The resources collector: fixtures of /proc and /sys, a real bus with a timedated that we play, real processes."""

import asyncio
import errno
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import msgspec
import psutil
import pytest
from dbus_fast import PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_property

from alerts.rule import Words
from collectors import culprits, resources
from collectors.base import Metric, Reading, Run
from collectors.resources import Cpu, Resources

NOW = 1_795_363_894.0
RULES = Path(__file__).parents[2] / "alerts/rules/resources.toml"

STAT = """\
cpu  1000 100 400 8000 300 50 50 100 0 0
cpu0 500 50 200 4000 150 25 25 50 0 0
cpu1 500 50 200 4000 150 25 25 50 0 0
intr 12345 0 0
ctxt 99999
"""
MEMINFO = """\
MemTotal:        4000000 kB
MemFree:          200000 kB
MemAvailable:    1000000 kB
SwapTotal:       2000000 kB
SwapFree:        1500000 kB
HugePages_Total:       0
"""
VMSTAT = "nr_free_pages 5000\npswpin 256\npswpout 512\n"
PRESSURE = """\
some avg10=1.09 avg60=12.50 avg300=2.26 total=59968835
full avg10=0.00 avg60=4.00 avg300=0.00 total=1
"""


class Machine:
    """A machine of files."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        (self.proc / "pressure").mkdir(parents=True)
        (self.sys / "class/net").mkdir(parents=True)
        for name, text in (("stat", STAT), ("loadavg", "3.00 1.00 0.50 2/345 6789\n"), ("meminfo", MEMINFO),
                           ("vmstat", VMSTAT), ("uptime", "2201.44 4000.00\n")):
            (self.proc / name).write_text(text)

    def card(self, name: str, carrier: str | None, down: int, physical: bool = True) -> None:
        card = self.sys / "devices" / name
        card.mkdir(parents=True)
        (card / "carrier_down_count").write_text(f"{down}\n")
        if carrier is not None:
            (card / "carrier").write_text(carrier)
        if physical:
            (card / "device").mkdir()
        (self.sys / "class/net" / name).symlink_to(card)

    def run(self, now: float = NOW) -> list[Reading]:
        collector = Resources(proc=str(self.proc), sys=str(self.sys))
        return list(collector.collect(Run(now)))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    return Machine(tmp_path)


def shares(readings: list[Reading]) -> dict[str, float]:
    return {r.metric: r.value for r in readings if r.metric.startswith("jaga_cpu_")}


def test_everything_that_a_whole_machine_tells(machine: Machine) -> None:
    for resource in ("cpu", "memory", "io"):
        (machine.proc / "pressure" / resource).write_text(PRESSURE)
    machine.card("eth0", "1\n", 3)
    machine.card("docker0", "1\n", 9, physical=False)
    machine.run()
    (machine.proc / "stat").write_text(STAT.replace("cpu  1000 100 400 8000 300 50 50 100",
                                                    "cpu  1200 110 470 8600 350 60 60 150"))
    assert machine.run() == [
        Reading("jaga_cpu_busy_ratio", 0.3),
        Reading("jaga_cpu_iowait_ratio", 0.05),
        Reading("jaga_cpu_steal_ratio", 0.05),
        Reading("jaga_load_per_core", 1.5, (("window", "1m"),)),
        Reading("jaga_load_per_core", 0.5, (("window", "5m"),)),
        Reading("jaga_memory_available_ratio", 0.25),
        Reading("jaga_memory_available_bytes", 1_024_000_000),
        Reading("jaga_swap_used_ratio", 0.25),
        Reading("jaga_swap_in_bytes_total", 256 * os.sysconf("SC_PAGE_SIZE")),
        Reading("jaga_pressure_ratio", 0.125, (("kind", "some"), ("resource", "cpu"))),
        Reading("jaga_pressure_ratio", 0.125, (("kind", "some"), ("resource", "memory"))),
        Reading("jaga_pressure_ratio", 0.04, (("kind", "full"), ("resource", "memory"))),
        Reading("jaga_pressure_ratio", 0.125, (("kind", "some"), ("resource", "io"))),
        Reading("jaga_pressure_ratio", 0.04, (("kind", "full"), ("resource", "io"))),
        Reading("jaga_uptime_seconds", 2201.44),
        Reading("jaga_network_carrier_down_total", 3, (("interface", "eth0"),)),
        Reading("jaga_network_carrier", 1, (("interface", "eth0"),)),
    ]


def test_what_a_machine_lacks_is_no_failure(machine: Machine) -> None:
    (machine.proc / "meminfo").write_text(MEMINFO.replace("2000000", "0").replace("1500000", "0"))
    (machine.sys / "class/net").rmdir()
    (machine.proc / "vmstat").unlink()
    run = Run(NOW)
    readings = list(Resources(proc=str(machine.proc), sys=str(machine.sys)).collect(run))
    assert [r.metric for r in readings] == [
        "jaga_load_per_core", "jaga_load_per_core", "jaga_memory_available_ratio", "jaga_memory_available_bytes",
        "jaga_uptime_seconds"]
    assert run.targets == {"clock": None}


@pytest.mark.parametrize(("after", "told"), [
    pytest.param("1000 100 400 8000 300 50 50 100", {}, id="no time has passed"),
    pytest.param("1100 100 400 8100 300 50 50 100", {"busy": 0.5, "iowait": 0, "steal": 0}, id="half busy"),
    pytest.param("1100 100 400 8100 290 50 50 90", {"busy": 0.5, "iowait": 0, "steal": 0}, id="iowait and steal back"),
    pytest.param("1100 100 400 4000 150 50 50 100", {"busy": 1, "iowait": 0, "steal": 0}, id="a core went offline"),
    pytest.param("10 1 4 80 3 0 0 1", {}, id="counted anew"),
    pytest.param("10 1 500 9000 3 0 0 1", {}, id="counted anew, and already beyond in part"),
    pytest.param("1100 100 400 8100", {"busy": 0.5, "iowait": 0, "steal": 0}, id="an old kernel's four fields"),
])
def test_shares_hold_when_counters_do_odd_things(machine: Machine, after: str, told: dict[str, float]) -> None:
    assert shares(machine.run()) == {}  # nothing to compare with yet
    (machine.proc / "stat").write_text(f"cpu  {after} 0 0\ncpu0 {after} 0 0\n" if after.count(" ") > 3
                                       else f"cpu  {after}\ncpu0 {after}\n")
    assert shares(machine.run()) == {f"jaga_cpu_{name}_ratio": value for name, value in told.items()}


def test_after_a_reset_the_next_share_is_taken_from_there(machine: Machine) -> None:
    machine.run()
    for counters in ("10 1 4 80 3 0 0 1", "60 1 4 130 3 0 0 1"):
        (machine.proc / "stat").write_text(f"cpu  {counters}\ncpu0 {counters}\n")
        readings = machine.run()
    assert shares(readings)["jaga_cpu_busy_ratio"] == 0.5


def test_the_first_line_of_stat_is_the_sum_of_all_cores() -> None:
    assert resources.cpu(STAT) == Cpu(1000, 100, 400, 8000, 300, 50, 50, 100)


def test_a_pressure_that_the_kernel_switched_off_is_absent(
        machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    read = Path.read_text

    def unsupported(path: Path) -> str:
        if path.parent.name == "pressure":
            raise OSError(errno.EOPNOTSUPP, "Operation not supported", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_text", unsupported)
    assert "jaga_pressure_ratio" not in {r.metric for r in machine.run()}


def test_a_card_that_is_switched_off_has_no_carrier_but_keeps_its_count(
        machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.card("eth0", "0\n", 4)
    machine.card("eth1", None, 2)
    read = Path.read_text

    def switched_off(path: Path) -> str:
        if path.name == "carrier" and path.parent.name == "eth1":
            raise OSError(errno.EINVAL, "Invalid argument", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_text", switched_off)
    assert [(r.metric, dict(r.labels)["interface"], r.value) for r in machine.run() if "network" in r.metric] == [
        ("jaga_network_carrier_down_total", "eth0", 4), ("jaga_network_carrier", "eth0", 0),
        ("jaga_network_carrier_down_total", "eth1", 2)]


class Timedated(ServiceInterface):
    """The one property that is asked for."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.timedate1")
        self.synchronised = True

    @dbus_property(access=PropertyAccess.READ)
    def NTPSynchronized(self) -> "b":  # type: ignore[name-defined]  # noqa: F821  # a D-Bus signature
        return self.synchronised


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A private bus in place of the system's."""
    daemon = subprocess.Popen(["dbus-daemon", "--session", "--nofork", "--print-address",
                               f"--address=unix:path={tmp_path}/bus"], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    yield address
    daemon.terminate()
    daemon.wait(10)
    daemon.stdout.close()


@pytest.fixture
def timedated(bus: str) -> Iterator[Timedated]:
    service, ready, stop = Timedated(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        connection = await MessageBus(bus_address=bus).connect()
        connection.export("/org/freedesktop/timedate1", service)
        await connection.request_name("org.freedesktop.timedate1")
        ready.set()
        await stop.wait()
        connection.disconnect()
        await connection.wait_for_disconnect()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield service
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


def clock(machine: Machine, now: float) -> list[float]:
    return [r.value for r in machine.run(now) if r.metric == "jaga_clock_synchronised"]


@pytest.mark.needs_debian("dbus-daemon")
def test_timedated_is_asked_rarely_and_its_answer_is_told_each_time(machine: Machine, timedated: Timedated) -> None:
    assert clock(machine, NOW) == [1]
    timedated.synchronised = False
    assert clock(machine, NOW + 899) == [1]  # not asked yet
    assert clock(machine, NOW + 900) == [0]
    timedated.synchronised = True
    assert clock(machine, NOW - 3600) == [1]  # the clock was set back: asked anew


@pytest.mark.needs_debian("dbus-daemon")
def test_a_bus_without_timedated_has_no_clock_and_no_failure(machine: Machine, bus: str) -> None:
    run = Run(NOW)
    readings = list(Resources(proc=str(machine.proc), sys=str(machine.sys)).collect(run))
    assert "jaga_clock_synchronised" not in {r.metric for r in readings}
    assert run.targets == {"clock": None}


class SilentBus:
    """Somebody listens on the bus's socket and never answers."""

    def __init__(self, folder: Path) -> None:
        self.socket, self.path = socket.socket(socket.AF_UNIX), folder / "silent"

    def __enter__(self) -> str:
        self.socket.bind(str(self.path))
        self.socket.listen()
        return f"unix:path={self.path}"

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def test_a_bus_that_says_nothing_is_the_clocks_trouble_alone(
        machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with SilentBus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        monkeypatch.setattr(resources, "_BUS_ANSWERS", 0.2)
        run = Run(NOW)
        readings = list(Resources(proc=str(machine.proc), sys=str(machine.sys)).collect(run))
    assert isinstance(run.targets["clock"], TimeoutError)
    assert readings[-1].metric == "jaga_uptime_seconds"


@pytest.mark.parametrize(("users", "told"), [
    ([], ""),
    ([("a", 1, 0.001)], ""),
    ([("mysqld", 501, 0.22), ("php-fpm8.2", 812, 0.5), ("php-fpm8.2", 813, 0.24), ("cron", 7, 0.02), ("sshd", 8, 0.01)],
     "php-fpm8.2 (pid 812 +1) 74 %, mysqld (pid 501) 22 %, cron (pid 7) 2 %"),
    ([("idle", 1, 0.0), ("idle", 2, 0.3)], "idle (pid 2) 30 %"),
])
def test_three_programs_are_named_and_processes_of_one_name_together(
        users: list[tuple[str, int, float]], told: str) -> None:
    assert culprits.tell(users) == told


def test_evidence_names_the_busy_process_but_never_its_arguments() -> None:
    spin = "open('/proc/self/comm', 'w').write('boros')\nprint(flush=True)\nwhile True: pass"
    busy = subprocess.Popen([sys.executable, "-c", spin, "--password=geheim"], stdout=subprocess.PIPE)
    try:
        assert busy.stdout is not None
        busy.stdout.readline()
        for metric, labels in (("jaga_cpu_busy_ratio", ()), ("jaga_load_per_core", (("window", "5m"),))):
            told = Resources().explain(metric, labels)
            assert re.search(rf"boros \(pid {busy.pid}\) \d+ %", told), told
            assert "geheim" not in told
    finally:
        busy.kill()
        busy.communicate()


def process(pid: int, name: str, rss: int, shared: int = 0, status: str = "sleeping") -> SimpleNamespace:
    return SimpleNamespace(pid=pid, info={"name": name, "status": status,
                                          "memory_info": SimpleNamespace(rss=rss, shared=shared)})


def test_memory_that_processes_of_one_name_share_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = [process(501, "mysqld", 400), process(7, "cron", 10), process(8, "sshd", 5),
                 process(812, "php-fpm8.2", 300, 200), process(813, "php-fpm8.2", 250, 200)]
    processes.append(SimpleNamespace(pid=9, info={"name": "kworker", "memory_info": None}))
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: iter(processes))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=1000))
    told = "mysqld (pid 501) 40 %, php-fpm8.2 (pid 812 +1) 35 %, cron (pid 7) 1 %"
    for metric, labels in (("jaga_memory_available_ratio", ()), ("jaga_swap_in_bytes_total", ()),
                           ("jaga_pressure_ratio", (("kind", "full"), ("resource", "memory")))):
        assert Resources().explain(metric, labels) == told


def test_evidence_for_the_disk_names_who_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = [process(501, "mysqld", 1, status="disk-sleep"), process(7, "cron", 1)]
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: iter(processes))
    assert Resources().explain("jaga_cpu_iowait_ratio", ()) == "mysqld (pid 501) D"
    assert Resources().explain("jaga_pressure_ratio", (("kind", "full"), ("resource", "io"))) == "mysqld (pid 501) D"
    assert Resources().explain("jaga_network_carrier_down_total", (("interface", "eth0"),)) == ""


def test_this_machine_can_be_measured() -> None:
    run = Run(NOW)
    metrics = {r.metric for r in Resources().collect(run)}
    assert {"jaga_load_per_core", "jaga_memory_available_ratio", "jaga_uptime_seconds"} <= metrics


def test_every_rule_judges_a_metric_of_the_machine_and_fills_its_placeholders() -> None:
    metrics = {m.name: m for m in vars(resources).values() if isinstance(m, Metric)}
    rules = tomllib.loads(RULES.read_text())
    assert len(rules) == 10
    for name, rule in rules.items():
        metric = metrics[rule["metric"]]
        assert set(rule.get("where", {})) <= set(metric.labels), name
        for text in ("summary", "first", "lay", "fix"):
            words = msgspec.convert(rule[text], Words, strict=True)
            for said in (words.id, words.en):
                assert said, (name, text)
                assert "\n" not in said, (name, text)
                assert set(re.findall(r"\{(\w+)\}", said)) <= {*metric.labels, "value", "threshold"}, (name, text)


def test_what_is_discovered_is_a_section() -> None:
    assert tomllib.loads(Resources.discover() or "") == {"collectors": {"resources": {"every": "1m"}}}
