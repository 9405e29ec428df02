"""The services collector, against a fake systemd on a real private bus, and its judgement of units as tables."""

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors import services, systemd_bus
from collectors.base import Reading, Run
from collectors.services import Services
from collectors.systemd_bus import SystemdError
from collectors.systemd_units import Look, crashes, ending, late, members
from fake_systemd import FakeSystemd, Unit, private_bus

pytestmark = pytest.mark.needs_debian("dbus-daemon")

NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with private_bus(tmp_path_factory.mktemp("bus")) as address:
        yield address


@pytest.fixture(autouse=True)
def _not_booted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine that runs the tests may have systemd or not."""
    monkeypatch.setattr(systemd_bus, "BOOTED", tmp_path / "no-systemd")


class Watched:
    """A collector whose `watch` runs in a thread; it counts its wakes and notes when they came."""

    def __init__(self, collector: Services) -> None:
        self.stopped = threading.Event()
        self.wakes: list[float] = []
        self.error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._watch, args=(collector,), daemon=True)

    def __call__(self) -> None:
        with self._changed:
            self.wakes.append(time.monotonic())
            self._changed.notify_all()

    def until(self, count: int) -> float:
        """When that wake came; fails if it does not come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.wakes) >= count, 10), f"{len(self.wakes)} wakes, not {count}"
            return self.wakes[count - 1]

    def __enter__(self) -> "Watched":
        self._thread.start()
        self.until(1)  # it listens
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.ended()

    def ended(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _watch(self, collector: Services) -> None:
        try:
            collector.watch(self)
        except BaseException as error:
            self.error = error


@pytest.fixture
def quick_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd_bus, "LOOK", 0.05)


def read(collector: Services, memory: dict[str, Any] | None = None, now: float = NOW) -> dict[str, float]:
    """The readings as `active{nginx}`: value; times are rounded to whole seconds."""
    return {short(reading): round(reading.value, 0) for reading in
            collector.collect(Run(now=now, memory={} if memory is None else memory))}


def short(reading: Reading) -> str:
    name = reading.metric.removeprefix("jaga_").removeprefix("service_")
    return name + "".join(f"{{{value}}}" for _, value in reading.labels)


def notes(collector: Services, memory: dict[str, Any] | None = None) -> dict[str, str]:
    run = Run(now=NOW, memory={} if memory is None else memory)
    return {short(reading): reading.note for reading in collector.collect(run) if reading.note}


def calm(name: str, restarts: int = 0) -> dict[str, float]:
    return {f"loaded{{{name}}}": 1, f"active{{{name}}}": 1, f"failed{{{name}}}": 0,
            f"activating_seconds{{{name}}}": 0, f"restarts_total{{{name}}}": restarts}


def test_a_running_unit_is_up_whatever_its_suffix_was_written_as(address: str) -> None:
    with FakeSystemd(address, Unit("nginx.service"), Unit("php8.2-fpm.service"), Unit("run-x.mount")):
        got = read(Services(bus=address, units=("nginx", "php8.2-fpm.service", "run-x.mount")))
    mount = calm("run-x.mount")
    del mount["restarts_total{run-x.mount}"]
    assert got == {"systemd_up": 1, **calm("nginx"), **calm("php8.2-fpm"), **mount, "systemd_failed_units": 0}


BETWEEN = None
STATES: list[tuple[str, dict[str, Any], bool | None]] = [
    ("dead by kill -9", {"active": "failed", "sub": "failed", "result": "signal", "code": 2, "status": 9}, False),
    ("stopped by an operator", {"active": "inactive", "sub": "dead"}, False),
    ("reloading", {"active": "reloading", "sub": "reload"}, True),
    ("up while its reload is queued", {"active": "active", "job": 3}, True),
    ("starting", {"active": "activating", "sub": "start"}, BETWEEN),
    ("waiting to be restarted", {"active": "activating", "sub": "auto-restart", "restart": "always"}, BETWEEN),
    ("being restarted by an operator", {"active": "deactivating", "sub": "stop-sigterm", "job": 5}, BETWEEN),
    ("between stop and start of that restart", {"active": "inactive", "sub": "dead", "job": 5}, BETWEEN),
    ("failed, but started again just now", {"active": "failed", "sub": "failed", "job": 6}, BETWEEN),
    ("ending unbidden, nobody will bring it back", {"active": "deactivating", "sub": "stop-post"}, False),
    ("ending unbidden, systemd will", {"active": "deactivating", "sub": "stop-post", "restart": "always"}, BETWEEN),
]


@pytest.mark.parametrize(("state", "up"), [s[1:] for s in STATES], ids=[s[0] for s in STATES])
def test_a_unit_is_down_only_when_nobody_is_about_to_start_it(
    address: str, state: dict[str, Any], up: bool | None
) -> None:
    with FakeSystemd(address, Unit("nginx.service", **state)):
        assert read(Services(bus=address, units=("nginx",))).get("active{nginx}") == up


@pytest.mark.parametrize("load", ["not-found", "masked", "bad-setting"])
def test_a_missing_unit_is_a_loaded_of_nought_and_hides_no_sibling(address: str, load: str) -> None:
    with FakeSystemd(address, Unit("nginx.service"), Unit("lost.service", load=load, active="inactive", sub="dead")):
        collector = Services(bus=address, units=("lost", "never-heard-of", "nginx"))
        assert read(collector) == {"systemd_up": 1, "loaded{lost}": 0, "loaded{never-heard-of}": 0, **calm("nginx"),
                                   "systemd_failed_units": 0}
        assert notes(collector)["loaded{lost}"] == f"lost.service: {load}"


def test_a_masked_unit_that_still_runs_is_up_and_yet_missing(address: str) -> None:
    with FakeSystemd(address, Unit("nginx.service", load="masked")):
        assert read(Services(bus=address, units=("nginx",))) == {
            "systemd_up": 1, **calm("nginx"), "loaded{nginx}": 0, "systemd_failed_units": 0}


GROUPS: list[tuple[str, list[Unit], dict[str, str], str, float]] = [
    ("an alias", [Unit("mariadb.service")], {"mysql.service": "mariadb.service"}, "mysql", 1),
    ("only the second exists", [Unit("mariadb.service")], {}, "mariadb", 1),
    ("the first is off, the second runs",
     [Unit("mysql.service", active="inactive", sub="dead"), Unit("mariadb.service")], {}, "mysql", 1),
    ("both are down", [Unit("mysql.service", active="failed", sub="failed"),
                       Unit("mariadb.service", active="inactive", sub="dead")], {}, "mysql", 0),
]


@pytest.mark.parametrize(("units", "aliases", "label", "up"), [g[1:] for g in GROUPS], ids=[g[0] for g in GROUPS])
def test_of_an_alias_group_any_member_will_do_and_the_first_that_exists_gives_the_name(
    address: str, units: list[Unit], aliases: dict[str, str], label: str, up: float
) -> None:
    with FakeSystemd(address, *units, aliases=aliases):
        got = read(Services(bus=address, units=("mysql|mariadb",)))
    assert {key: value for key, value in got.items() if key.startswith("active")} == {f"active{{{label}}}": up}


def test_a_crash_that_systemd_repairs_is_no_death_but_counts_once(address: str) -> None:
    collector, memory = Services(bus=address, units=("redis-server",)), {}
    with FakeSystemd(address, Unit("redis-server.service", restart="always", restarts=4)) as systemd:
        assert read(collector, memory)["restarts_total{redis-server}"] == 0  # what was before us is no news
        systemd.kill("redis-server.service")
        during = read(collector, memory)
        assert "active{redis-server}" not in during
        assert during["restarts_total{redis-server}"] == 1  # known before the delay is over
        systemd.set("redis-server.service", restarts=5, job=7)  # the delay is over, the job not yet begun
        assert read(collector, memory)["restarts_total{redis-server}"] == 1
        systemd.set("redis-server.service", active="active", sub="running", job=0)
        assert read(collector, memory) == {
            "systemd_up": 1, **calm("redis-server", restarts=1), "systemd_failed_units": 0}
        assert notes(collector, memory)["restarts_total{redis-server}"] == "signal 9"
        for _ in range(3):  # nobody looked meanwhile
            systemd.kill("redis-server.service")
            systemd.come_back("redis-server.service")
        assert read(collector, memory)["restarts_total{redis-server}"] == 4


def test_an_ordered_restart_is_neither_a_death_nor_a_crash(address: str) -> None:
    collector, memory = Services(bus=address, units=("nginx",)), {}
    with FakeSystemd(address, Unit("nginx.service", restart="on-failure", restarts=2)) as systemd:
        before = read(collector, memory)
        systemd.order_restart("nginx.service")
        assert "active{nginx}" not in read(collector, memory)
        systemd.finish_restart("nginx.service")
        assert read(collector, memory) == before


def test_calm_units_are_asked_for_in_one_call_and_their_restarts(address: str) -> None:
    with FakeSystemd(address, Unit("nginx.service"), Unit("mariadb.service")) as systemd:
        read(Services(bus=address, units=("nginx", "mysql|mariadb", "nowhere")))
        assert systemd.calls == ["ListUnitsByNames", "Get", "Get", "Get"]  # NRestarts twice, NFailedUnits


def test_crashes_after_an_ordered_restart_count_even_when_they_reach_the_same_number(address: str) -> None:
    collector, memory = Services(bus=address, units=("redis-server",)), {}
    with FakeSystemd(address, Unit("redis-server.service", restart="always", restarts=1)) as systemd:
        read(collector, memory)
        systemd.order_restart("redis-server.service")
        systemd.finish_restart("redis-server.service")
        systemd.kill("redis-server.service")
        systemd.come_back("redis-server.service")
        assert read(collector, memory)["restarts_total{redis-server}"] == 1


def test_memory_does_not_change_while_nothing_happens(address: str) -> None:
    collector, memory = Services(bus=address, units=("nginx", "slow")), {}
    slow = Unit("slow.service", active="activating", sub="start", changed_monotonic=time.monotonic() - 90)
    with FakeSystemd(address, Unit("nginx.service"), slow):
        read(collector, memory)
        before = str(memory)
        read(collector, memory, now=NOW + 60)
    assert str(memory) == before


def test_a_unit_that_is_no_longer_watched_is_forgotten(address: str) -> None:
    memory: dict[str, Any] = {}
    with FakeSystemd(address, Unit("nginx.service"), Unit("cron.service")):
        read(Services(bus=address, units=("nginx", "cron")), memory)
        read(Services(bus=address, units=("cron",)), memory)
    assert list(memory["units"]) == ["cron"]


CRASHES: list[tuple[str, tuple[int, str, bool], tuple[int, str, bool | None], int, int]] = [
    ("nothing happened", (2, "a", True), (2, "a", True), 0, 0),
    ("two automatic restarts", (2, "a", True), (4, "c", True), 0, 2),
    ("restarted by an operator", (2, "a", True), (0, "b", True), 0, 0),
    ("by an operator, then one crash", (2, "a", True), (1, "c", True), 0, 1),
    ("by an operator, then as many crashes as before", (2, "a", True), (2, "d", True), 0, 2),
    ("counted at the crash, now up", (2, "", True), (2, "b", True), 0, 0),
    ("crash pending, then an operator was quicker", (1, "", True), (0, "b", True), 0, 0),
    ("failed and was mended by somebody else", (0, "a", True), (0, "b", True), 1, 1),
    ("failed, and is being mended", (0, "a", True), (0, "", None), 1, 1),
    ("failed, and is still down", (0, "a", True), (0, "", False), 1, 0),
    ("was told as down, came back", (0, "", False), (0, "b", True), 1, 0),
    ("witnessed, and counted by systemd as well", (0, "a", True), (1, "b", True), 1, 1),
]


@pytest.mark.parametrize(("before", "now", "seen", "count"), [c[1:] for c in CRASHES], ids=[c[0] for c in CRASHES])
def test_every_crash_counts_and_no_order_does(
    before: tuple[int, str, bool], now: tuple[int, str, bool | None], seen: int, count: int
) -> None:
    known = {"restarts": before[0], "invocation": before[1], "up": before[2]}
    assert crashes(known, Look(restarts=now[0], invocation=now[1], up=now[2]), seen) == count


def test_a_crash_mended_by_somebody_else_counts_because_the_watcher_saw_it(address: str, quick_to_stop: None) -> None:
    collector, memory = Services(bus=address, units=("nginx", "other")), {}
    with FakeSystemd(address, Unit("nginx.service"), Unit("other.service")) as systemd, Watched(collector) as watched:
        read(collector, memory)
        systemd.kill("nginx.service")
        systemd.set("nginx.service", active="active", sub="running", result="success", invocation=b"b" * 16)
        watched.until(3)
        assert read(collector, memory) == {
            "systemd_up": 1, **calm("nginx", restarts=1), **calm("other"), "systemd_failed_units": 0}


def test_how_long_it_starts_is_told_across_failed_attempts_and_does_not_follow_the_wall_clock(address: str) -> None:
    collector, memory = Services(bus=address, units=("mariadb",)), {}
    unit = Unit("mariadb.service", active="activating", sub="start", restart="on-failure",
                changed=time.time() + 3600, changed_monotonic=time.monotonic() - 90)
    with FakeSystemd(address, unit) as systemd:
        assert read(collector, memory, now=NOW - 7200)["activating_seconds{mariadb}"] == 90
        systemd.kill("mariadb.service")
        assert read(collector, memory, now=NOW)["activating_seconds{mariadb}"] == 90
        systemd.come_back("mariadb.service")
        assert read(collector, memory)["activating_seconds{mariadb}"] == 0


def test_a_start_that_was_queued_just_now_does_not_count_the_days_of_rest_before(address: str) -> None:
    resting = Unit("backup.service", active="inactive", sub="dead", job=4, changed_monotonic=1)
    with FakeSystemd(address, resting):
        assert read(Services(bus=address, units=("backup",)))["activating_seconds{backup}"] == 0


ENDINGS = [
    ({"Result": "signal", "ExecMainCode": 2, "ExecMainStatus": 9}, "signal 9"),
    ({"Result": "exit-code", "ExecMainCode": 1, "ExecMainStatus": 203}, "exit-code 203"),
    ({"Result": "core-dump", "ExecMainCode": 3, "ExecMainStatus": 11}, "core-dump 11"),
    ({"Result": "exit-code", "ExecMainCode": 0, "ExecMainStatus": 0}, "exit-code"),  # ExecStartPre= failed
    ({"Result": "start-limit-hit", "ExecMainCode": 1, "ExecMainStatus": 1}, "start-limit-hit, exit-code 1"),
    ({"Result": "oom-kill", "ExecMainCode": 2, "ExecMainStatus": 9}, "oom-kill, signal 9"),
    ({"Result": "timeout", "ExecMainCode": 0, "ExecMainStatus": 0}, "timeout"),
    ({"Result": "success", "ExecMainCode": 1, "ExecMainStatus": 0}, ""),
    ({}, ""),  # not a service
]


@pytest.mark.parametrize(("unit", "words"), ENDINGS, ids=[words or "nothing" for _, words in ENDINGS])
def test_the_note_says_how_it_ended_in_systemds_words(unit: dict[str, Any], words: str) -> None:
    assert ending(unit) == words


def test_the_note_names_the_real_unit_its_state_and_its_end(address: str) -> None:
    dead = Unit("mariadb.service", active="failed", sub="failed", result="exit-code", code=1, status=1,
                status_text="Taking your\nSQL requests now...", changed=NOW)
    with FakeSystemd(address, dead, aliases={"mysql.service": "mariadb.service"}):
        collector = Services(bus=address, units=("mysql|mariadb",))
        assert notes(collector)["active{mysql}"] == "mariadb.service: failed (failed), exit-code 1"
        told = collector.explain("jaga_service_active", (("unit", "mysql"),))
    assert told.startswith("mariadb.service: failed (failed) since 2027-01-15 ")
    assert told.endswith(", exit-code 1, Taking your SQL requests now...")


TIMERS: list[tuple[str, dict[str, float], str, float]] = [
    ("in time", {"NextElapseUSecRealtime": (NOW + 60) * 1e6}, "waiting", 0),
    ("due, within its accuracy", {"NextElapseUSecRealtime": (NOW - 30) * 1e6}, "waiting", 0),
    ("ten minutes late", {"NextElapseUSecRealtime": (NOW - 600) * 1e6}, "waiting", 600),
    ("its unit runs for ten minutes", {"NextElapseUSecRealtime": (NOW - 600) * 1e6}, "running", 0),
    ("no next time", {"NextElapseUSecRealtime": 2.0**64 - 2048}, "elapsed", 0),
]


@pytest.mark.parametrize(("times", "sub", "seconds"), [t[1:] for t in TIMERS], ids=[t[0] for t in TIMERS])
def test_a_timer_is_overdue_only_while_it_waits(
    address: str, times: dict[str, float], sub: str, seconds: float
) -> None:
    timer = Unit("backup.timer", sub=sub, timer={**times, "LastTriggerUSec": (NOW - 86400) * 1e6})
    with FakeSystemd(address, timer, Unit("backup.service", active="inactive", sub="dead")):
        got = read(Services(bus=address, units=("backup.timer",)))
    assert got == {"systemd_up": 1, "loaded{backup.timer}": 1, "active{backup.timer}": 1, "failed{backup.timer}": 0,
                   "activating_seconds{backup.timer}": 0,
                   "timer_last_trigger_timestamp_seconds{backup.timer}": NOW - 86400,
                   "timer_overdue_seconds{backup.timer}": seconds, "timer_last_run_failed{backup.timer}": 0,
                   "systemd_failed_units": 0}


def test_a_monotonic_timer_is_late_by_the_monotonic_clock() -> None:
    timer = {"NextElapseUSecRealtime": 0, "NextElapseUSecMonotonic": 1000e6, "AccuracyUSec": 60e6}
    assert [late(timer, NOW, monotonic) for monotonic in (900.0, 1050.0, 1100.0)] == [0, 0, 100]
    assert late(timer | {"NextElapseUSecMonotonic": 2**64 - 1}, NOW, 5.0) == 0


RUNS: list[tuple[str, Unit, float | None]] = [
    ("succeeded", Unit("b.service", active="inactive", sub="dead"), 0),
    ("failed", Unit("b.service", active="failed", sub="failed", result="exit-code", code=1, status=1), 1),
    ("runs again after a failure", Unit("b.service", active="activating", sub="start"), None),
    ("is a service that stays up", Unit("b.service"), None),
    ("is done and remains", Unit("b.service", sub="exited"), 0),
    ("is queued", Unit("b.service", active="failed", sub="failed", result="signal", job=4), None),
    ("does not exist", Unit("b.service", load="not-found", active="inactive", sub="dead"), None),
]


@pytest.mark.parametrize(("unit", "failed"), [r[1:] for r in RUNS], ids=[r[0] for r in RUNS])
def test_a_timers_run_is_judged_when_it_is_over(address: str, unit: Unit, failed: float | None) -> None:
    with FakeSystemd(address, Unit("backup.timer", sub="waiting", timer={"Unit": "b.service"}), unit):
        got = read(Services(bus=address, units=("backup.timer",)))
    assert got.get("timer_last_run_failed{backup.timer}") == failed
    assert got["systemd_failed_units"] == 0  # the timer tells it already


def test_failed_units_that_nobody_named_are_counted_and_named(address: str) -> None:
    with FakeSystemd(address, *(Unit(f"{name}.service", active="failed", sub="failed") for name in "abcdefg")):
        collector = Services(bus=address, units=("a",))
        assert read(collector)["systemd_failed_units"] == 6
        assert notes(collector)["systemd_failed_units"] == "b.service, c.service, d.service, e.service, f.service +1"
        assert collector.explain("jaga_systemd_failed_units", ()).count("failed (failed) since ") == 5


REST: dict[str, Any] = {"active": "inactive", "sub": "dead"}
MACHINE = [
    Unit("nginx.service"), Unit("php8.2-fpm.service"), Unit("php8.3-fpm.service", **REST, file_state="disabled"),
    Unit("mariadb.service", **REST), Unit("ssh.service", **REST, triggered_by=("ssh.socket",)),
    Unit("cron.service", **REST, condition=False), Unit("redis-server.service", active="failed", sub="failed"),
    Unit("mysql.service", load="not-found", **REST), Unit("somebodys-own.service"),
]


def test_where_nobody_named_units_the_well_known_ones_that_should_run_are_watched(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSystemd(address, *MACHINE):
        got = {key: value for key, value in read(Services(bus=address)).items() if key.startswith("active{")}
        assert got == {"active{nginx}": 1, "active{php8.2-fpm}": 1, "active{mariadb}": 0, "active{redis-server}": 0}
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        assert Services.discover() == (
            '[collectors.services]\nunits = ["nginx", "php8.2-fpm", "mariadb", "redis-server"]\n')


# Machines without systemd, and systemds that do not answer.


def test_without_systemd_there_is_one_reading_and_nothing_to_watch_for(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"unix:path={tmp_path}/none"
    for bus in (nowhere, address):  # no bus at all; a bus without systemd
        assert read(Services(bus=bus)) == {"systemd_up": 0}
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", nowhere)
    assert Services.discover() is None
    assert Services().explain("jaga_service_active", (("unit", "nginx"),)) == ""
    wake = Watched(Services())
    wake.stopped.set()
    Services().watch(wake)
    assert wake.wakes == []


@pytest.mark.parametrize("there_is_a_bus", [True, False])
def test_without_systemd_units_that_were_asked_for_are_unknown_not_down(
    tmp_path: Path, address: str, there_is_a_bus: bool
) -> None:
    collector = Services(bus=address if there_is_a_bus else f"unix:path={tmp_path}/none", units=("nginx", "cron"))
    with pytest.raises(SystemdError, match="no systemd, so nobody can tell whether nginx, cron run"):
        read(collector)


@pytest.mark.parametrize(("there_is_a_bus", "says"), [(False, "is dbus running"), (True, "systemd is not on the bus")])
def test_a_machine_that_was_booted_by_systemd_but_cannot_be_asked_is_a_failure(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, there_is_a_bus: bool, says: str
) -> None:
    monkeypatch.setattr(systemd_bus, "BOOTED", tmp_path)
    with pytest.raises(SystemdError, match=says):
        read(Services(bus=address if there_is_a_bus else f"unix:path={tmp_path}/none"))


def test_a_systemd_that_hangs_is_a_timeout_that_says_where(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd_bus, "ANSWER", 0.2)
    with FakeSystemd(address, Unit("nginx.service")) as systemd:
        systemd.mute = True
        with pytest.raises(TimeoutError, match=r"D-Bus, ListUnitsByNames: no answer within 0\.2 s"):
            read(Services(bus=address, units=("nginx",)))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"units": ("",)}, 'units: "" is no unit name'),
    ({"units": ("php*-fpm",)}, r'"php\*-fpm" is no unit name'),
    ({"units": ("nginx, cron",)}, '"nginx, cron" is no unit name'),
    ({"units": ("mysql||mariadb",)}, '"" is no unit name'),
    ({"units": ("getty@",)}, '"getty@" is no unit name'),
    ({"bus": "/run/dbus/system_bus_socket"}, "must be a D-Bus address such as"),
]


@pytest.mark.parametrize(("options", "says"), BAD, ids=[str(options) for options, _ in BAD])
def test_a_wrong_option_stops_the_start_with_one_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Services(**options)


def test_names_are_completed_as_systemctl_does() -> None:
    assert members("mysql | mariadb.service") == ["mysql.service", "mariadb.service"]
    assert members("php8.2-fpm") == ["php8.2-fpm.service"]
    assert members("backup.timer") == ["backup.timer"]
    assert members("getty@tty1") == ["getty@tty1.service"]
    assert members("timer") == ["timer.service"]


# The watcher.


def test_from_a_units_death_to_the_wake_passes_under_a_second(address: str, quick_to_stop: None) -> None:
    collector, memory = Services(bus=address, units=("nginx", "mysql|mariadb", "redis-server")), {}
    wakes, readings = [], []
    units = Unit("nginx.service"), Unit("mariadb.service"), Unit("redis-server.service")
    with FakeSystemd(address, *units) as systemd, Watched(collector) as watched:
        for count in range(2, 102, 2):
            killed = systemd.kill("nginx.service")
            wakes.append(watched.until(count) - killed)
            assert read(collector, memory)["active{nginx}"] == 0
            readings.append(time.monotonic() - killed)
            systemd.set("nginx.service", active="active", sub="running", result="success", invocation=b"%016d" % count)
            watched.until(count + 1)
    for what, seconds in (("wake", wakes), ("reading", readings)):
        p50, p90 = statistics.quantiles(seconds, n=10)[4::4]
        print(f"{len(seconds)} kills, death to {what}: min {min(seconds) * 1e3:.1f} p50 {p50 * 1e3:.1f} "
              f"p90 {p90 * 1e3:.1f} max {max(seconds) * 1e3:.1f} ms")
    assert len(wakes) == 50
    assert statistics.quantiles(readings, n=20)[-1] < 1


def test_status_texts_and_strangers_do_not_wake(address: str, quick_to_stop: None) -> None:
    with FakeSystemd(address, Unit("php8.2-fpm.service"), Unit("session-1.scope")) as systemd, \
            Watched(Services(bus=address, units=("php8.2-fpm", "nowhere"))) as watched:
        systemd.set("php8.2-fpm.service", sub="running")  # its state is known from here on
        watched.until(2)
        for number in range(20):
            systemd.set("php8.2-fpm.service", status_text=f"Requests: {number}")
            systemd.set("session-1.scope", active="failed")
        systemd.kill("php8.2-fpm.service")
        watched.until(3)
    assert len(watched.wakes) == 3


def test_the_end_of_a_job_wakes_if_it_is_a_watched_units(address: str, quick_to_stop: None) -> None:
    with FakeSystemd(address, Unit("nginx.service")) as systemd, \
            Watched(Services(bus=address, units=("nginx",))) as watched:
        systemd.end_job("strange.service", 8)
        systemd.end_job("nginx.service", 9)
        watched.until(2)
        systemd.kill("nginx.service")
        watched.until(3)
    assert len(watched.wakes) == 3


def test_a_unit_installed_later_is_watched_after_the_reload(address: str, quick_to_stop: None) -> None:
    with FakeSystemd(address) as systemd, Watched(Services(bus=address)) as watched:
        systemd.units["nginx.service"] = Unit("nginx.service")
        systemd.reloading(False)
        watched.until(3)  # the reload itself, and the new beginning
        systemd.kill("nginx.service")
        watched.until(4)


def test_the_watcher_leaves_when_told_to(address: str, quick_to_stop: None) -> None:
    with FakeSystemd(address), Watched(Services(bus=address, units=("nginx",))) as watched:
        pass
    assert watched.error is None


def test_a_bus_that_dies_ends_the_watch_with_an_error(tmp_path: Path) -> None:
    with private_bus(tmp_path) as address:
        systemd = FakeSystemd(address, Unit("nginx.service"))
        systemd.__enter__()
        watched = Watched(Services(bus=address, units=("nginx",))).__enter__()
    watched.ended()
    assert isinstance(watched.error, OSError | SystemdError)
    systemd.__exit__()


def test_what_it_yields_is_declared() -> None:
    from collectors.base import Metric

    names = [metric.name for metric in vars(services).values() if isinstance(metric, Metric)]
    assert len(names) == len(set(names)) == 10
