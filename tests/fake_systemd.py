"""A fake org.freedesktop.systemd1 on a private dbus-daemon, in a thread of its own; tests move its units.

It keeps to what was seen of systemd 252: names are resolved to Ids, unknown ones are `not-found` and no error, nothing
is signalled before Subscribe, the type's PropertiesChanged goes out before the Unit's, GetAll("") answers with all
interfaces, an automatic restart is a job too and adds to NRestarts, an ordered one sets NRestarts to 0.
"""

import asyncio
import fnmatch
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

SYSTEMD = "org.freedesktop.systemd1"
ROOT = "/org/freedesktop/systemd1"
PROPERTIES = "org.freedesktop.DBus.Properties"
DEADLINE = 10.0  # seconds for anything in here

_CONFIG = """<busconfig><type>session</type><listen>{address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/></policy>
</busconfig>"""


@contextmanager
def private_bus(folder: Path) -> Iterator[str]:
    """The address of a dbus-daemon that lives as long as the block."""
    address = f"unix:path={folder}/bus"
    config = folder / "bus.conf"
    config.write_text(_CONFIG.format(address=address))
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()  # it listens once it has told its address
        try:
            yield address
        finally:
            daemon.send_signal(signal.SIGTERM)


@dataclass
class Unit:
    """What is settable of a unit; `timer` makes it one."""

    id: str
    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    job: int = 0
    file_state: str = "enabled"
    restart: str = "no"
    restarts: int = 0
    result: str = "success"
    code: int = 0
    status: int = 0
    status_text: str = ""
    condition: bool = True
    triggered_by: tuple[str, ...] = ()
    invocation: bytes = field(default_factory=lambda: os.urandom(16))
    changed: float = field(default_factory=time.time)
    changed_monotonic: float = field(default_factory=time.monotonic)
    timer: dict[str, Any] | None = None

    @property
    def path(self) -> str:
        return ROOT + "/unit/" + "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):02x}" for c in self.id)

    @property
    def kind(self) -> str:
        return f"{SYSTEMD}.{self.id.rpartition('.')[2].capitalize()}"

    def row(self) -> list[Any]:
        job = f"{ROOT}/job/{self.job}" if self.job else "/"
        kind = "start" if self.job else ""
        return [self.id, "", self.load, self.active, self.sub, "", self.path, self.job, kind, job]

    def unit(self) -> dict[str, Variant]:
        return {
            "Id": Variant("s", self.id),
            "LoadState": Variant("s", self.load),
            "ActiveState": Variant("s", self.active),
            "SubState": Variant("s", self.sub),
            "UnitFileState": Variant("s", self.file_state),
            "Job": Variant("(uo)", [self.job, f"{ROOT}/job/{self.job}" if self.job else "/"]),
            "InvocationID": Variant("ay", self.invocation),
            "StateChangeTimestamp": Variant("t", int(self.changed * 1e6)),
            "StateChangeTimestampMonotonic": Variant("t", int(self.changed_monotonic * 1e6)),
            "ConditionResult": Variant("b", self.condition),
            "ConditionTimestamp": Variant("t", 1),
            "TriggeredBy": Variant("as", list(self.triggered_by)),
        }

    def own(self) -> dict[str, Variant]:
        if self.timer is not None:
            times = {"NextElapseUSecRealtime": 0, "NextElapseUSecMonotonic": 0, "LastTriggerUSec": 0,
                     "AccuracyUSec": 60_000_000} | {k: int(v) for k, v in self.timer.items() if k != "Unit"}
            unit = self.timer.get("Unit", self.id.replace(".timer", ".service"))
            return {name: Variant("t", value) for name, value in times.items()} | {"Unit": Variant("s", unit)}
        if not self.id.endswith(".service"):
            return {}
        return {
            "Restart": Variant("s", self.restart),
            "NRestarts": Variant("u", self.restarts),
            "Result": Variant("s", self.result),
            "ExecMainCode": Variant("i", self.code),
            "ExecMainStatus": Variant("i", self.status),
            "StatusText": Variant("s", self.status_text),
        }


class FakeSystemd:
    """Owns the name on the bus while the block lasts. Every method may be called from the test's thread."""

    def __init__(self, address: str, *units: Unit, aliases: dict[str, str] | None = None) -> None:
        self.units = {unit.id: unit for unit in units}
        self.aliases = aliases or {}
        self.calls: list[str] = []
        self.mute = False
        self._address, self._subscribed, self._jobs = address, False, 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "FakeSystemd":
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._connect(), self._loop).result(DEADLINE)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result(DEADLINE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE)
        self._loop.close()

    # What a test does to it.

    def set(self, name: str, **fields: Any) -> float:
        """Change a unit's fields and signal it; returns the monotonic time right before the signal left."""
        return self._do(lambda: self._set(self.units[name], **fields))

    def kill(self, name: str, number: int = 9) -> float:
        """kill -9 of the main process: failed, or waiting for the automatic restart, which `come_back` makes."""
        unit = self.units[name]
        state = ("failed", "failed") if unit.restart == "no" else ("activating", "auto-restart")
        return self.set(name, active=state[0], sub=state[1], result="signal", code=2, status=number)

    def come_back(self, name: str) -> None:
        """systemd's automatic restart, after its delay."""
        self.set(name, restarts=self.units[name].restarts + 1, job=self._next_job())
        self._start(name)

    def order_restart(self, name: str) -> None:
        """An operator's `systemctl restart`, up to where the old process is being stopped; `finish_restart` ends it."""
        self.set(name, active="deactivating", sub="stop-sigterm", job=self._next_job())

    def finish_restart(self, name: str) -> None:
        self.set(name, active="inactive", sub="dead", restarts=0)
        self._start(name)

    def end_job(self, name: str, job: int) -> None:
        body = [job, f"{ROOT}/job/{job}", name, "done"]
        self._do(lambda: self._signal(ROOT, f"{SYSTEMD}.Manager", "JobRemoved", "uoss", body))

    def reloading(self, begins: bool) -> None:
        """`systemctl daemon-reload` begins, or is over."""
        self._do(lambda: self._signal(ROOT, f"{SYSTEMD}.Manager", "Reloading", "b", [begins]))

    def _start(self, name: str) -> None:
        self.set(name, active="activating", sub="start", invocation=os.urandom(16))
        job, self.units[name].job = self.units[name].job, 0
        self.set(name, active="active", sub="running", result="success", code=0, status=0)
        self.end_job(name, job)

    def _next_job(self) -> int:
        self._jobs += 1
        return self._jobs

    def _do(self, deed: Callable[[], Any]) -> Any:
        async def run() -> Any:
            return deed()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(DEADLINE)

    # What it says on the bus; all of it in the loop's thread.

    async def _connect(self) -> None:
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._answer)
        await self._bus.request_name(SYSTEMD)

    async def _disconnect(self) -> None:
        self._bus.disconnect()
        with suppress(EOFError):  # the bus was gone first
            await self._bus.wait_for_disconnect()

    def _set(self, unit: Unit, **fields: Any) -> float:
        for name, value in fields.items():
            setattr(unit, name, value)
        if {"active", "sub"} & fields.keys():
            unit.changed, unit.changed_monotonic = time.time(), time.monotonic()
        at = time.monotonic()
        for interface, properties in ((unit.kind, unit.own()), (f"{SYSTEMD}.Unit", unit.unit())):
            self._signal(unit.path, PROPERTIES, "PropertiesChanged", "sa{sv}as", [interface, properties, []])
        return at

    def _signal(self, path: str, interface: str, member: str, signature: str, body: list[Any]) -> None:
        if self._subscribed:
            self._bus.send(Message.new_signal(path, interface, member, signature, body))

    def _unit(self, name: str) -> Unit:
        name = self.aliases.get(name, name)
        return self.units.get(name) or Unit(name, load="not-found", active="inactive", sub="dead", file_state="")

    def _answer(self, call: Message) -> Message | bool | None:
        if call.message_type is not MessageType.METHOD_CALL or call.path is None or not call.path.startswith(ROOT):
            return None
        self.calls.append(call.member or "")
        if self.mute:
            return True
        if call.interface == PROPERTIES:
            return self._properties(call)
        if call.member == "Subscribe":
            self._subscribed = True
            return Message.new_method_return(call)
        if call.member == "ListUnitsByNames":
            rows = [self._unit(name).row() for name in call.body[0]]
        elif call.member == "ListUnitsByPatterns":
            states, patterns = call.body
            rows = [unit.row() for unit in self.units.values() if (not states or unit.active in states)
                    and (not patterns or any(fnmatch.fnmatchcase(unit.id, pattern) for pattern in patterns))]
        else:
            return Message.new_error(call, "org.freedesktop.DBus.Error.UnknownMethod", f"Unknown method {call.member}")
        return Message.new_method_return(call, "a(ssssssouso)", [rows])

    def _properties(self, call: Message) -> Message:
        interface, *name = call.body
        found: dict[str, Variant] = {}
        if call.path == ROOT:
            failed = sum(unit.active == "failed" for unit in self.units.values())
            found = {"NFailedUnits": Variant("u", failed)}
        else:
            known = {unit.path: unit for unit in self.units.values()}.get(call.path or "") or self._unit("gone.service")
            if interface in ("", f"{SYSTEMD}.Unit"):
                found |= known.unit()
            if interface in ("", known.kind):
                found |= known.own()
        if not name:
            return Message.new_method_return(call, "a{sv}", [found])
        if name[0] not in found:
            return Message.new_error(call, "org.freedesktop.DBus.Error.UnknownProperty", f"Unknown property {name[0]}")
        return Message.new_method_return(call, "v", [found[name[0]]])
