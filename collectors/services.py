"""systemd units over D-Bus: up, down, missing, crashed and restarted, slow to start; timers and their last runs."""

import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from collectors.base import Labels, Metric, Reading, Run, Wake
from collectors.listing import few
from collectors.systemd_bus import SERVICE, TIMER, UNIT, UP, Row, SystemdBus, SystemdError, changes, connect
from collectors.systemd_units import Look, choose, crashes, ending, judge, label, late, meant_to_run, members

EVERY = 60.0
TIMEOUT = 15.0

SYSTEMD_UP = Metric("jaga_systemd_up", "Whether this machine has a systemd that answers.")
ACTIVE = Metric("jaga_service_active", "1 up, 0 down; none while it is starting, stopping or ordered to.", ("unit",))
FAILED = Metric("jaga_service_failed", "Whether systemd holds it in the failed state.", ("unit",))
LOADED = Metric("jaga_service_loaded", "0 when the unit is missing, masked or unreadable.", ("unit",))
ACTIVATING = Metric("jaga_service_activating_seconds", "How long it has been neither up nor down.", ("unit",))
RESTARTS = Metric("jaga_service_restarts_total", "Times it ended unbidden and was started again.", ("unit",), "counter")
TRIGGERED = Metric("jaga_timer_last_trigger_timestamp_seconds", "When the timer last fired.", ("unit",))
OVERDUE = Metric("jaga_timer_overdue_seconds", "Since it should have fired; 0 within its own accuracy.", ("unit",))
RUN_FAILED = Metric("jaga_timer_last_run_failed", "Whether the last finished run of its unit failed.", ("unit",))
OTHERS = Metric("jaga_systemd_failed_units", "Failed units that are not watched one by one.")

# What is watched where no units are named: each of these that systemd knows here and is meant to run.
WELL_KNOWN = (
    "nginx.service", "apache2.service", "mysql.service", "mariadb.service", "postgresql.service", "php*-fpm.service",
    "supervisor.service", "redis-server.service", "memcached.service", "cron.service", "ssh.service", "certbot.timer",
)
_SHOWN = 5  # units named in one note

# Units that a watcher saw fail, until `collect` has counted them; a deque needs no lock.
_witnessed: dict["Services", deque[str]] = {}


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """Watches systemd units, and wakes up when one of them changes.

    units: such as "nginx", "mysql|mariadb" (either will do; the first that exists gives the name) or "backup.timer".
    Where none is named, well-known ones that run here, failed, or are enabled are watched (`WELL_KNOWN`). Name what
    this machine must run, so that a missing one is noticed as well. A Type=oneshot service is down once it has done
    its work: name its timer instead. Failed units that nobody named are counted in any case.
    bus: the D-Bus address; empty is the system bus.

    Without systemd there is only `jaga_systemd_up 0`, or an error when units were named. An operator's restart is no
    crash; an automatic one counts even after a clean exit; a crash that somebody else mended (a socket, monit) counts
    when the watcher saw it.
    """

    units: tuple[str, ...] = ()
    bus: str = ""

    def __post_init__(self) -> None:
        for asked in self.units:
            members(asked)
        if self.bus and not self.bus.startswith(("unix:path=/", "unix:abstract=")):
            raise ValueError('bus: must be a D-Bus address such as "unix:path=/run/dbus/system_bus_socket"')

    def collect(self, run: Run) -> Iterator[Reading]:
        bus = self._connect()
        yield SYSTEMD_UP(bus is not None)
        if bus is None:
            return
        with bus:
            seen = _drain(_witnessed.get(self))
            memory = run.memory.setdefault("units", {})
            watched = self._watched(bus)
            for unit, row in watched.items():
                yield LOADED(row.load == "loaded", unit=unit, note=f"{row.id}: {row.load}")
                if row.exists:
                    yield from _unit(unit, row, _look(bus, row), memory, seen.count(row.id))
            for gone in memory.keys() - watched.keys():
                del memory[gone]
            runs = _runs(bus, watched)
            for unit, (row, started) in runs.items():
                yield from _timer(bus, unit, row, started, run.now)
            others = _unwatched(bus, [*watched.values(), *(started for _, started in runs.values())])
            yield OTHERS(len(others), note=few([row.id for row in others], _SHOWN))

    def explain(self, metric: str, labels: Labels) -> str:
        """Result, exit status, since when and the unit's own status text, in systemd's words."""
        bus = self._connect()
        if bus is None:
            return ""
        with bus:
            watched = self._watched(bus)
            unit = dict(labels).get("unit", "")
            if metric == OTHERS.name:
                rows = _unwatched(bus, [*watched.values(), *(started for _, started in _runs(bus, watched).values())])
            else:
                rows = [watched[unit]] if unit in watched else []
                rows += [started for name, (_, started) in _runs(bus, watched).items() if name == unit]
            return "; ".join(_story(row, bus.properties(row.path)) for row in rows[:_SHOWN])

    def watch(self, wake: Wake) -> None:
        while not wake.stopped.is_set():
            bus = self._connect()
            if bus is None:
                wake.stopped.wait()
                return
            with bus:
                self._listen(bus, wake)

    @staticmethod
    def discover() -> str | None:
        bus = connect()
        if bus is None:
            return None
        with bus:
            names = [msgspec.json.encode(name).decode() for name in Services()._watched(bus)]
        return f"[collectors.services]\nunits = [{', '.join(names)}]\n" if names else None

    def _connect(self) -> SystemdBus | None:
        bus = connect(self.bus)
        if bus is None and self.units:
            raise SystemdError(f"this machine has no systemd, so nobody can tell whether {', '.join(self.units)} run; "
                               "take them out of [collectors.services] units")
        return bus

    def _watched(self, bus: SystemdBus) -> dict[str, Row]:
        """What to look at, by the name that it goes by."""
        if self.units:
            groups = [members(asked) for asked in self.units]
            rows = iter(bus.units([name for group in groups for name in group]))
            return dict(choose([(name, next(rows)) for name in group]) for group in groups)
        return {label(row.id): row for row in bus.matching(WELL_KNOWN) if row.exists and (
            row.active != "inactive" or row.job or meant_to_run(bus.properties(row.path, UNIT)))}

    def _listen(self, bus: SystemdBus, wake: Wake) -> None:
        """Wake at each change, until told to stop or until systemd was reloaded or came anew."""
        names = [name for asked in self.units for name in members(asked)]
        rows = bus.units(names) if names else bus.matching(WELL_KNOWN)
        ids = {row.path: row.id for row in rows}
        bus.subscribe(ids, [*names, *ids.values()])
        failures = _witnessed.setdefault(self, deque(maxlen=1000))
        wake()  # for what happened before we listened
        for change in changes(bus):
            if wake.stopped.is_set():
                return
            if change is None:
                continue
            if change.properties.get("ActiveState") == "failed":
                failures.append(ids[change.path])
            wake()
            if change.member in ("Reloading", "NameOwnerChanged"):
                return  # units may have come, gone, or got another name


def _look(bus: SystemdBus, row: Row) -> Look:
    """Ask little of a unit that is up, and for all its properties, which costs 15 times as much, of one that is not."""
    if row.active not in UP:
        return judge(bus.properties(row.path))
    if not row.id.endswith(".service"):
        return Look(up=True)
    restarts = bus.property(row.path, SERVICE, "NRestarts")
    # Only a count that is not 0 can be mistaken for an older one.
    invocation = bytes(bus.property(row.path, UNIT, "InvocationID")).hex() if restarts else ""
    return Look(up=True, restarts=restarts, invocation=invocation)


def _unit(unit: str, row: Row, look: Look, memory: dict[str, Any], seen: int) -> Iterator[Reading]:
    before = memory.get(unit, {})
    if before.get("id") != row.id:  # never seen, or another member of the group: what it did before is not news
        before = {"restarts": look.restarts, "invocation": "", "up": False, "total": 0, "why": ""}
    total = before["total"] + crashes(before, look, seen)
    after = {"id": row.id, "restarts": look.restarts, "invocation": look.invocation, "up": look.up is not False,
             "total": total, "why": look.why or before["why"]}
    between = 0.0
    if look.up is None:
        clock = time.monotonic()  # systemd's own times are on this clock too; the wall clock may jump
        after["since"] = min([clock, *(at for at in (before.get("since"), look.since) if at is not None)])
        between = clock - after["since"]
    memory[unit] = after
    note = "" if look.up else f"{row.id}: {look.words}"
    if look.up is not None:
        yield ACTIVE(look.up, unit=unit, note=note)
    yield FAILED(look.failed, unit=unit, note=note)
    yield ACTIVATING(between, unit=unit, note=note)
    if row.id.endswith(".service"):
        yield RESTARTS(total, unit=unit, note=after["why"])


def _runs(bus: SystemdBus, watched: Mapping[str, Row]) -> dict[str, tuple[Row, Row]]:
    """Each timer, and the unit that it starts."""
    timers = {unit: row for unit, row in watched.items() if row.id.endswith(".timer") and row.exists}
    started = bus.units([bus.property(row.path, TIMER, "Unit") for row in timers.values()])
    return {unit: (row, run) for (unit, row), run in zip(timers.items(), started, strict=True)}


def _timer(bus: SystemdBus, unit: str, row: Row, started: Row, now: float) -> Iterator[Reading]:
    timer = bus.properties(row.path, TIMER)
    if timer["LastTriggerUSec"]:
        yield TRIGGERED(timer["LastTriggerUSec"] / 1e6, unit=unit)
    # While its unit runs, the next time is still the one that has come: only a waiting timer can be late.
    yield OVERDUE(late(timer, now, time.monotonic()) if row.sub == "waiting" else 0, unit=unit)
    running = started.job or started.sub == "running" or started.active.endswith(("activating", "reloading"))
    if started.id.endswith(".service") and started.exists and not running:  # a run under way wiped the last result
        service = bus.properties(started.path, SERVICE)
        failed = service["Result"] != "success"
        yield RUN_FAILED(failed, unit=unit, note=f"{started.id}: {ending(service)}" if failed else "")


def _unwatched(bus: SystemdBus, watched: list[Row]) -> list[Row]:
    """The failed units that are none of these."""
    known = {row.id for row in watched}
    rows = bus.matching(states=["failed"]) if bus.failed() else []
    return sorted((row for row in rows if row.id not in known), key=lambda row: row.id)


def _story(row: Row, unit: dict[str, Any]) -> str:
    at = unit["StateChangeTimestamp"] / 1e6
    since = datetime.fromtimestamp(at, UTC).astimezone().strftime(" since %Y-%m-%d %H:%M:%S %Z") if at else ""
    words = [f"{row.id}: {unit['ActiveState']} ({unit['SubState']}){since}", ending(unit),
             " ".join(unit.get("StatusText", "").split())[:200]]
    return ", ".join(filter(None, words))


def _drain(failures: deque[str] | None) -> list[str]:
    return [failures.popleft() for _ in range(len(failures))] if failures else []
