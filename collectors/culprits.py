"""Which programs use most of what runs short: by name and number only, for arguments may hold secrets.

Processes of one name are told together: `php-fpm8.2 (pid 812 +19) 74 %` is number 812, the biggest, and 19 more.
"""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator

import psutil

_LOOK = 0.5  # seconds between two looks at the processes
_TOLD = 3
_NOTHING = 0.005  # a share that would be shown as 0 %


def of_cpu() -> str:
    """The three biggest users of the processor over half a second, as shares of the whole machine."""
    began, before = time.monotonic(), _cpu_seconds()
    time.sleep(_LOOK)
    after, capacity = _cpu_seconds(), (time.monotonic() - began) * (os.cpu_count() or 1)
    return tell((name, pid, (spent - before.get((name, pid), spent)) / capacity)
                for (name, pid), spent in after.items())


def of_memory() -> str:
    """The three biggest users of the memory; what processes of one name share counts once."""
    return tell(_memory_shares())


def blocked() -> str:
    """Three that wait for a disk at this moment: `mysqld (pid 501) D`."""
    waiting = [process for process in psutil.process_iter(["name", "status"])
               if process.info["status"] == psutil.STATUS_DISK_SLEEP]
    return ", ".join(f"{process.info['name']} (pid {process.pid}) D" for process in waiting[:_TOLD])


def tell(users: Iterable[tuple[str, int, float]]) -> str:
    """The three biggest of (name, pid, share), those of one name together."""
    groups: defaultdict[str, list[tuple[float, int]]] = defaultdict(list)
    for name, pid, share in users:
        if share > 0:
            groups[name].append((share, pid))
    shares = {name: sum(share for share, _ in group) for name, group in groups.items()}
    told = []
    for name in sorted(groups, key=lambda name: -shares[name])[:_TOLD]:
        if shares[name] >= _NOTHING:
            others = f" +{len(groups[name]) - 1}" if len(groups[name]) > 1 else ""
            told.append(f"{name} (pid {max(groups[name])[1]}{others}) {shares[name] * 100:.0f} %")
    return ", ".join(told)


def _cpu_seconds() -> dict[tuple[str, int], float]:
    return {(process.info["name"], process.pid): process.info["cpu_times"].user + process.info["cpu_times"].system
            for process in psutil.process_iter(["name", "cpu_times"]) if process.info["cpu_times"]}


def _memory_shares() -> Iterator[tuple[str, int, float]]:
    total, seen = psutil.virtual_memory().total, set()
    processes = [one for one in psutil.process_iter(["name", "memory_info"]) if one.info["memory_info"]]
    for process in sorted(processes, key=lambda one: -one.info["memory_info"].rss):
        name, used = process.info["name"], process.info["memory_info"]
        yield name, process.pid, (used.rss - (used.shared if name in seen else 0)) / total
        seen.add(name)
