"""What systemd says over D-Bus: one short-lived connection of one thread, plain values, a time-out at every call.

Source of names and meanings: org.freedesktop.systemd1(5), systemd 249 to 257.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from jeepney import DBusAddress, DBusErrorResponse, HeaderFields, MatchRule, Message, MessageType, new_method_call
from jeepney.bus import get_bus
from jeepney.io.blocking import DBusConnection, DBusConnectionBase, prep_socket
from jeepney.io.common import MessageFilters
from jeepney.wrappers import unwrap_msg

ANSWER = 5.0  # seconds that the bus or systemd may take for one answer
LOOK = 15.0  # seconds between two looks at whether to stop listening
SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
BOOTED = Path("/run/systemd/system")  # exists where systemd is PID 1: sd_booted(3)

SYSTEMD = "org.freedesktop.systemd1"
MANAGER = SYSTEMD + ".Manager"
UNIT = SYSTEMD + ".Unit"
SERVICE = SYSTEMD + ".Service"
TIMER = SYSTEMD + ".Timer"
PROPERTIES = "org.freedesktop.DBus.Properties"
ROOT = "/org/freedesktop/systemd1"
BUS = "org.freedesktop.DBus"

UP = frozenset({"active", "reloading", "refreshing"})


class SystemdError(Exception):
    """systemd or the bus refused, or this machine has no systemd though units of it are to be watched."""


@dataclass(frozen=True, slots=True)
class Row:
    """One unit as the manager lists it. `id` is its primary name: what an alias was resolved to."""

    id: str
    load: str  # loaded, not-found, masked, bad-setting, error
    active: str  # active, reloading, inactive, failed, activating, deactivating, maintenance
    sub: str
    path: str
    job: int  # 0: nobody ordered anything

    @property
    def exists(self) -> bool:
        return self.load == "loaded" or self.active in UP


class _Connection(DBusConnection):  # type: ignore[misc]  # jeepney has no types
    """jeepney says Hello without a time-out: a bus that hangs right after the login would hold its caller forever."""

    def __init__(self, address: str) -> None:
        DBusConnectionBase.__init__(self, prep_socket(get_bus(address), timeout=ANSWER))
        self._filters = MessageFilters()


class SystemdBus:
    """A connection to the bus on which systemd lives. Use it in one thread only, and close it (`with`)."""

    def __init__(self, address: str) -> None:
        """Raises OSError where nobody listens at `address`, or nobody answers within `ANSWER` seconds."""
        self._connection = _Connection(address)
        try:
            self._call(DBusAddress("/org/freedesktop/DBus", BUS, BUS), "Hello")
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def owned(self) -> bool:
        """Does systemd answer on this bus?"""
        return bool(self._call(DBusAddress("/org/freedesktop/DBus", BUS, BUS), "NameHasOwner", "s", SYSTEMD))

    def units(self, names: list[str]) -> list[Row]:
        """One row for each name, in the same order; systemd loads what it does not know yet."""
        rows = self._rows(self._manager("ListUnitsByNames", "as", names)) if names else []
        if len(rows) != len(names):  # it leaves out names that it finds invalid
            raise SystemdError(f"systemd answered for {len(rows)} of {len(names)} units: {', '.join(names)}")
        return rows

    def matching(self, patterns: Iterable[str] = (), states: Iterable[str] = ()) -> list[Row]:
        """The units in systemd's memory that fit one of the shell patterns and one of the states; empty: any."""
        return self._rows(self._manager("ListUnitsByPatterns", "asas", list(states), list(patterns)))

    def failed(self) -> int:
        """How many units are in the failed state."""
        return int(self.property(ROOT, MANAGER, "NFailedUnits"))

    def property(self, path: str, interface: str, name: str) -> Any:
        _signature, value = self._call(DBusAddress(path, SYSTEMD, PROPERTIES), "Get", "ss", interface, name)
        return value

    def properties(self, path: str, interface: str = "") -> dict[str, Any]:
        """All properties at one moment; of all interfaces where none is named, as `systemctl show` asks."""
        answer = self._call(DBusAddress(path, SYSTEMD, PROPERTIES), "GetAll", "s", interface)
        return {name: value for name, (_signature, value) in answer.items()}

    def subscribe(self, paths: Iterable[str], names: Iterable[str]) -> None:
        """Have the bus send us state changes of the units at these paths, ends of jobs of these names, and reloads.

        The bus filters, so that what happens to other units costs us nothing. UnitNew and UnitRemoved are left out on
        purpose: systemd sends both whenever somebody asks for a unit that is not in its memory, as we do.
        """
        self._manager("Subscribe")  # before anybody has called it, systemd sends hardly any signal
        for path in set(paths):
            self._match(PROPERTIES, "PropertiesChanged", UNIT, path=path)
        for name in set(names):
            self._match(MANAGER, "JobRemoved", name, at=2, path=ROOT)
        self._match(MANAGER, "Reloading", path=ROOT)
        self._match(BUS, "NameOwnerChanged", SYSTEMD, sender=BUS)

    def signal(self) -> Message | None:
        """The next signal; None where none came within `LOOK` seconds. Raises OSError when the bus is gone."""
        try:
            message = self._connection.receive(timeout=LOOK)
        except TimeoutError:
            return None
        return message if message.header.message_type is MessageType.signal else None

    def _match(
        self, interface: str, member: str, argument: str = "", *, at: int = 0, path: str | None = None,
        sender: str = SYSTEMD,
    ) -> None:
        rule = MatchRule(type="signal", sender=sender, interface=interface, member=member, path=path)
        if argument:
            rule.add_arg_condition(at, argument)
        self._call(DBusAddress("/org/freedesktop/DBus", BUS, BUS), "AddMatch", "s", rule.serialise())

    def _manager(self, member: str, signature: str = "", *body: Any) -> Any:
        return self._call(DBusAddress(ROOT, SYSTEMD, MANAGER), member, signature, *body)

    def _rows(self, answer: list[tuple[Any, ...]]) -> list[Row]:
        return [Row(row[0], row[2], row[3], row[4], row[6], row[7]) for row in answer]

    def _call(self, to: DBusAddress, member: str, signature: str = "", *body: Any) -> Any:
        """The first value of the answer."""
        message = new_method_call(to, member, signature or None, body)
        try:
            answer = unwrap_msg(self._connection.send_and_get_reply(message, timeout=ANSWER))
        except DBusErrorResponse as error:
            raise SystemdError(f"D-Bus, {member}: {error.name}: {' '.join(map(str, error.data))}") from error
        except TimeoutError as error:
            raise TimeoutError(f"D-Bus, {member}: no answer within {ANSWER:g} s") from error
        return answer[0] if answer else None


def connect(bus: str = "") -> SystemdBus | None:
    """Connect to the system bus (`DBUS_SYSTEM_BUS_ADDRESS`, else the usual socket), or to `bus`.

    None where the machine has no systemd. Raises OSError or SystemdError where it has one that cannot be asked.
    """
    address = bus or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or SYSTEM_BUS
    try:
        connection = SystemdBus(address)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        if BOOTED.is_dir():
            raise SystemdError(f"nobody answers at {address} ({error.strerror}): is dbus running?") from error
        return None
    try:
        owned = connection.owned()
    except BaseException:
        connection.__exit__(None, None, None)
        raise
    if owned:
        return connection
    connection.__exit__(None, None, None)
    if BOOTED.is_dir():
        raise SystemdError(f"systemd is not on the bus at {address}; try: systemctl daemon-reexec")
    return None


class Change(NamedTuple):
    """A signal that matters, with the properties that it brings."""

    member: str
    path: str
    properties: dict[str, Any]


def changes(bus: SystemdBus) -> Iterator[Change | None]:
    """What `subscribe` asked for, without end; None at each idle look.

    Of a unit's PropertiesChanged only real changes of state pass: php-fpm changes its status text every 10 s.
    """
    last: dict[str, tuple[Any, ...]] = {}
    while True:
        message = bus.signal()
        if message is None:
            yield None
            continue
        member, path = (message.header.fields.get(field, "") for field in (HeaderFields.member, HeaderFields.path))
        if member in ("JobRemoved", "Reloading", "NameOwnerChanged"):
            yield Change(member, path, {})
        elif member == "PropertiesChanged":
            properties = {name: value for name, (_signature, value) in message.body[1].items()}
            state = tuple(properties.get(name) for name in ("ActiveState", "SubState", "Job", "StateChangeTimestamp"))
            if last.get(path) != state:
                last[path] = state
                yield Change(member, path, properties)
