"""What a systemd unit's properties mean: up, down or on its way, how it ended, how often it crashed. Pure functions.

Source: org.freedesktop.systemd1(5), systemd.service(5); src/core/service.c for when NRestarts grows and is reset.
"""

import re
from typing import Any, NamedTuple

from collectors.systemd_bus import UP, Row

_TYPES = ("service", "timer", "socket", "mount", "automount", "swap", "target", "path", "slice", "scope", "device")
_NAME = re.compile(r"[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]+)?")  # what systemd.unit(5) allows, templates left out


def members(asked: str) -> list[str]:
    """The full unit names of "mysql|mariadb". Raises ValueError for what cannot be a unit's name."""
    names = [name.strip() for name in asked.split("|")]
    for name in names:
        if not _NAME.fullmatch(name) or len(name) > 255:
            raise ValueError(f'units: "{name}" is no unit name; write it as `systemctl status` shows it, such as '
                             '"nginx", "mysql|mariadb" or "backup.timer"')
    return [name if "." in name and name.rpartition(".")[2] in _TYPES else f"{name}.service" for name in names]


def label(name: str) -> str:
    """The name that people use: without ".service"."""
    return name.removesuffix(".service")


def choose(units: list[tuple[str, Row]]) -> tuple[str, Row]:
    """The first unit that exists gives the name; the one that is up, else on its way, gives the facts."""
    there = [(name, row) for name, row in units if row.exists] or units
    return label(there[0][0]), min((row for _, row in there), key=_rank)


def _rank(row: Row) -> int:
    if row.active in UP:
        return 0
    return 1 if row.job or row.active.endswith("activating") else 2


class Look(NamedTuple):
    """A unit at one moment."""

    up: bool | None  # None: on its way, so nobody can tell yet
    failed: bool = False
    restarts: int = 0  # automatic ones since somebody started it, one that is about to happen included
    invocation: str = ""  # "" where it is not up, or nothing hangs on it
    since: float | None = None  # monotonic seconds when it entered a state between up and down
    why: str = ""  # how it ended
    words: str = ""  # systemd's state, for people


def judge(unit: dict[str, Any]) -> Look:
    """Tell dead from on its way by one snapshot of all the unit's properties.

    Whatever a job is queued for is on its way: somebody gave an order, or systemd is restarting it.
    """
    active, sub, job = unit["ActiveState"], unit["SubState"], unit["Job"][0]
    # What ends without anybody's order, and will not be brought back, is down before its last processes are gone.
    lost = active == "deactivating" and unit.get("Restart", "no") == "no"
    up: bool | None = None
    if active in UP:
        up = True
    elif not job and (lost or active in ("inactive", "failed", "maintenance")):
        up = False
    # NRestarts grows only when the delay is over and the job is queued; the crash is known now.
    pending = sub == "auto-restart" and not job
    between = active in ("activating", "deactivating")
    why = ending(unit)
    return Look(
        up=up,
        failed=active == "failed",
        restarts=unit.get("NRestarts", 0) + pending,
        invocation=bytes(unit["InvocationID"]).hex() if up and unit.get("NRestarts") else "",
        since=unit["StateChangeTimestampMonotonic"] / 1e6 if between else None,
        why=why,
        words=f"{active} ({sub})" + (f", {why}" if why else ""),
    )


def crashes(before: dict[str, Any], now: Look, witnessed: int) -> int:
    """How often it ended unbidden and came back since it was remembered as `before`, as far as anybody can know.

    An operator's start or restart sets NRestarts to 0. The number that was known may be reached again after that:
    then only the invocation differs, which is compared between two times that it was up, for it changes later than
    NRestarts. `witnessed`: failures that a watcher saw and NRestarts may not have, for somebody else mended them.
    """
    known = before["restarts"]
    if now.restarts > known:
        return now.restarts - int(known)
    anew = now.invocation and before["invocation"] and now.invocation != before["invocation"]
    if now.restarts and (now.restarts < known or anew):
        return now.restarts
    return witnessed if now.up is not False and before["up"] else 0  # one that was told as down is no restart


def late(timer: dict[str, Any], now: float, monotonic: float) -> float:
    """Seconds since a waiting timer should have fired; 0 within its own accuracy.

    A time of 0 or of 2^64-1 means that there is none of that kind.
    """
    due = ((timer["NextElapseUSecRealtime"], now), (timer["NextElapseUSecMonotonic"], monotonic))
    late = max((clock - at / 1e6 for at, clock in due if 0 < at < 2**64 - 1), default=0.0)
    return late if late > timer["AccuracyUSec"] / 1e6 else 0.0


def meant_to_run(unit: dict[str, Any]) -> bool:
    """Is an inactive unit one that should have been running: enabled, and with no reason to rest?"""
    rests = unit["TriggeredBy"] or (unit["ConditionTimestamp"] and not unit["ConditionResult"])
    return not rests and unit["UnitFileState"] in ("enabled", "enabled-runtime", "generated")


def ending(properties: dict[str, Any]) -> str:
    """How a service ended, in systemd's own words: "signal 9", "exit-code 203", "core-dump 11", "oom-kill" …"""
    result = str(properties.get("Result", ""))
    code, status = properties.get("ExecMainCode", 0), properties.get("ExecMainStatus", 0)
    last = {1: f"exit-code {status}", 2: f"signal {status}", 3: f"core-dump {status}"}.get(code, "")  # CLD_*: wait(2)
    if result in ("exit-code", "signal", "core-dump"):  # ExecStartPre= may be what failed: then there is no main exit
        return last if last.startswith(result) else result
    if code == 1 and status == 0:
        last = ""
    return ", ".join(word for word in (result, last) if word and word != "success")
