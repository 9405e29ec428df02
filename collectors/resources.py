"""The machine itself: processor, load, memory, swap, pressure, uptime, clock and the cable of the network card."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from collectors.base import Labels, Metric, Reading, Run
from collectors.deadline import ask
from collectors.quantities import Seconds

EVERY = 60.0
TIMEOUT = 20.0

BUSY = Metric("jaga_cpu_busy_ratio", "Part of all cores' time spent working since the last run, without steal.")
IOWAIT = Metric("jaga_cpu_iowait_ratio", "Part of all cores' time idle while a disk was waited for.")
STEAL = Metric("jaga_cpu_steal_ratio", "Part of all cores' time that the hypervisor gave to other guests.")
LOAD = Metric("jaga_load_per_core", "Load average for each core that is online.", ("window",))
MEMORY = Metric("jaga_memory_available_ratio", "Part of the memory that programs can still get without swapping.")
MEMORY_BYTES = Metric("jaga_memory_available_bytes", "Memory that programs can still get without swapping.")
SWAP = Metric("jaga_swap_used_ratio", "Used part of the swap; none where there is no swap.")
SWAP_IN = Metric("jaga_swap_in_bytes_total", "Read back from swap since boot.", kind="counter")
PRESSURE = Metric("jaga_pressure_ratio", "Part of the last minute in which some or all tasks were stalled (PSI avg60).",
                  ("kind", "resource"))
UPTIME = Metric("jaga_uptime_seconds", "Since boot.")
CLOCK = Metric("jaga_clock_synchronised", "Whether the clock follows a time server, as systemd-timedated says.")
CARRIER = Metric("jaga_network_carrier", "Whether a physical card that is up has a link.", ("interface",))
LINK_DOWN = Metric("jaga_network_carrier_down_total", "Times a physical card lost its link.", ("interface",), "counter")

_BUS_ANSWERS = 4.0  # seconds; timedated may have to be started
# What the bus says where there is no timedated: not installed, masked, or a bus that cannot start it.
_NO_TIMEDATED = ("ServiceUnknown", "NameHasNoOwner", "NoSuchUnit", "UnitMasked", "Spawn.ServiceNotFound")


class Cpu(NamedTuple):
    """Clock ticks of all cores since boot; guest time is within `user` already (proc(5))."""

    user: int
    nice: int
    system: int
    idle: int
    iowait: int
    irq: int
    softirq: int
    steal: int


# What the last run saw, by the file that it saw: the shares are taken between two runs. In memory only, for a write to
# the store each minute is dearer than one missing reading at the start.
_last_cpu: dict[str, Cpu] = {}
_last_clock: dict[str, tuple[float, bool | None]] = {}


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """Measures the machine. What a kernel or a container lacks (PSI, swap, a bus, a physical card) has no reading.

    The shares of the processor are taken between two runs, so the first run after a start has none: the average since
    boot would be another fact, and could close an incident that goes on. In a container, memory is the host's.

    clock_every: how often timedated is asked; each question starts it anew.
    proc, sys: where procfs and sysfs are mounted.
    """

    clock_every: Seconds = 900.0
    proc: str = "/proc"
    sys: str = "/sys"

    def collect(self, run: Run) -> Iterator[Reading]:
        stat = self._read("stat")
        before, now = _last_cpu.get(self.proc), cpu(stat)
        _last_cpu[self.proc] = now
        if before is not None:
            yield from _shares(before, now)
        cores = sum(line.startswith("cpu") for line in stat.splitlines()) - 1  # a line for each that is online
        one, five = self._read("loadavg").split()[:2]
        yield LOAD(float(one) / cores, window="1m")
        yield LOAD(float(five) / cores, window="5m")
        yield from _memory(self._read("meminfo"), self._optional("vmstat"))
        for resource in ("cpu", "memory", "io"):
            yield from _pressure(resource, self._optional(f"pressure/{resource}"))
        yield UPTIME(float(self._read("uptime").split()[0]))
        for card in sorted(Path(self.sys, "class/net").glob("*")):
            if (card / "device").exists():  # a bridge, a tunnel or a container's end has none
                yield from _card(card)
        with run.target("clock"):
            yield from self._clock(run.now)

    def explain(self, metric: str, labels: Labels) -> str:
        """The programs that use most of what runs short: see `collectors.culprits`."""
        from collectors import culprits  # psutil is needed only once an incident opens

        resource = dict(labels).get("resource", "")
        if metric == IOWAIT.name or resource == "io":
            return culprits.blocked()
        if metric == LOAD.name:
            return ", ".join(filter(None, (culprits.of_cpu(), culprits.blocked())))
        if metric == BUSY.name or resource == "cpu":
            return culprits.of_cpu()
        if metric in (MEMORY.name, MEMORY_BYTES.name, SWAP.name, SWAP_IN.name) or resource == "memory":
            return culprits.of_memory()
        return ""

    @staticmethod
    def discover() -> str | None:
        return '[collectors.resources]\nevery = "1m"\n'

    def _read(self, name: str) -> str:
        return Path(self.proc, name).read_text()

    def _optional(self, name: str) -> str:
        try:
            return self._read(name)
        except FileNotFoundError:
            return ""
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:  # PSI is built in and switched off: the kernel wants "psi=1" at boot
                return ""
            raise

    def _clock(self, now: float) -> Iterator[Reading]:
        asked, answer = _last_clock.get(self.proc, (-1.0, None))
        if not 0 <= now - asked < self.clock_every:
            answer = ask("synchronised", "timedate1", synchronised).answer(_BUS_ANSWERS)
            _last_clock[self.proc] = now, answer
        if answer is not None:
            yield CLOCK(answer)


def cpu(stat: str) -> Cpu:
    """The sum of all cores: the first line of /proc/stat. Old kernels have fewer fields."""
    fields = [int(field) for field in stat.splitlines()[0].split()[1:9]]
    return Cpu(*fields, *[0] * (8 - len(fields)))


def synchronised() -> bool | None:
    """Ask org.freedesktop.timedate1; None where there is no bus or no timedated.

    adjtimex(2) would say it as well and is outside the unit's system call filter.
    """
    from jeepney import DBusAddress, DBusErrorResponse
    from jeepney.io.blocking import open_dbus_connection
    from jeepney.wrappers import Properties, unwrap_msg

    try:
        bus = open_dbus_connection("SYSTEM", auth_timeout=_BUS_ANSWERS)  # Hello has no time-out: `ask` holds it
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    with bus:
        where = DBusAddress("/org/freedesktop/timedate1", "org.freedesktop.timedate1", "org.freedesktop.timedate1")
        question = Properties(where).get("NTPSynchronized")
        try:
            (_, value), = unwrap_msg(bus.send_and_get_reply(question, timeout=_BUS_ANSWERS))
        except DBusErrorResponse as error:
            if str(error.name).endswith(_NO_TIMEDATED):
                return None
            raise OSError(f"timedate1: {error.name}: {' '.join(map(str, error.data))}") from error
    return bool(value)


def _shares(before: Cpu, now: Cpu) -> Iterator[Reading]:
    if now.user < before.user or now.system < before.system:
        return  # counted anew: a restored or migrated guest
    # idle, iowait and steal may run backwards a little, and with a core that goes offline (proc(5))
    spent = Cpu(*(max(0, new - old) for old, new in zip(before, now, strict=True)))
    total = sum(spent)
    if total:
        yield BUSY((total - spent.idle - spent.iowait - spent.steal) / total)
        yield IOWAIT(spent.iowait / total)
        yield STEAL(spent.steal / total)


def _memory(meminfo: str, vmstat: str) -> Iterator[Reading]:
    kib = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in meminfo.splitlines())}
    yield MEMORY(kib["MemAvailable"] / kib["MemTotal"])
    yield MEMORY_BYTES(kib["MemAvailable"] * 1024)
    if kib.get("SwapTotal"):
        yield SWAP(1 - kib["SwapFree"] / kib["SwapTotal"])
        pages = dict(line.split() for line in vmstat.splitlines()).get("pswpin")
        if pages is not None:
            yield SWAP_IN(int(pages) * os.sysconf("SC_PAGE_SIZE"))


def _pressure(resource: str, text: str) -> Iterator[Reading]:
    for line in text.splitlines():
        kind, *fields = line.split()
        if (resource, kind) != ("cpu", "full"):  # undefined for a whole machine, and always 0 (psi.rst)
            minute = dict(field.split("=") for field in fields)["avg60"]
            yield PRESSURE(float(minute) / 100, resource=resource, kind=kind)


def _card(card: Path) -> Iterator[Reading]:
    try:
        yield LINK_DOWN(int((card / "carrier_down_count").read_text()), interface=card.name)
        yield CARRIER(int((card / "carrier").read_text()), interface=card.name)
    except FileNotFoundError:
        return  # unplugged just now
    except OSError as error:
        if error.errno != errno.EINVAL:  # switched off on purpose: such a card has no carrier to tell
            raise
