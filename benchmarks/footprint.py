"""What Jaga costs, beside Debian's prometheus-node-exporter in the same run: memory, processor, start, /metrics.

`make bench` runs it for about twelve minutes and writes the table into docs/footprint.md, between its markers. It needs
the Debian packages dbus-daemon and prometheus-node-exporter.
"""

import argparse
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from servers import Server  # noqa: E402

from agent.demo.fake_twilio import Account, FakeTwilio  # noqa: E402
from alerts.notifiers.twilio_templates import TEMPLATES  # noqa: E402
from fake_systemd import FakeSystemd, Unit, private_bus  # noqa: E402
from house import free_port  # noqa: E402

REPORT, BEGIN, END = ROOT / "docs" / "footprint.md", "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
TRIES, REQUESTS = 10, 200
UNITS = ("nginx", "mariadb", "php8.2-fpm", "supervisor", "redis-server")
# What `resources` and `disk` look at.
FEW = ("loadavg", "stat", "meminfo", "pressure", "filesystem", "netclass", "time", "uname")

TWILIO = """
[collectors.resources]
[collectors.disk]
[collectors.services]
[notifiers.twilio]
account_sid = "{sid}"
auth_token = {{ env = "FAKE_TOKEN" }}
sender = "+15005550006"
template = "{template}"
base_url = "{url}"
[notifiers.email]
host = "127.0.0.1"
security = "none"
sender = "jaga@kopkarskf.test"
[contacts.budi]
whatsapp = "+6281234567890"
channels = ["twilio"]
"""


def forget(folders: Sequence[Path]) -> None:
    """Drop files from the page cache, as far as no other process has them mapped."""
    for folder in folders:
        for path in folder.rglob("*") if folder.is_dir() else [folder]:
            if path.is_file():
                with path.open("rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def starts(server: Server, cold: Sequence[Path]) -> list[float]:
    """`TRIES` starts; before each, what is in `cold` is dropped from the page cache."""
    times = []
    for _ in range(TRIES):
        forget(cold)
        times.append(server.start())
        server.stop()
    return times


def latencies(servers: Sequence[Server], before: Callable[[Server], bool], fresh: bool) -> list[list[float]]:
    """Milliseconds of each scrape, the servers taking turns, so that the machine's other work hits them alike."""
    times: list[list[float]] = [[] for _ in servers]
    for _ in range(REQUESTS):
        for server, mine in zip(servers, times, strict=True):
            if fresh:
                server.client.close()
            counts = before(server)
            began = time.perf_counter()
            server.client.get()
            if counts:
                mine.append(1000 * (time.perf_counter() - began))
    return times


def ranks(times: Sequence[float]) -> str:
    ranked = sorted(times)
    return f"{statistics.median(ranked):.2f} / {ranked[math.ceil(0.99 * len(ranked)) - 1]:.2f}" if ranked else "–"


class Bench:
    """All measurements, in order; `rows` is the table."""

    def __init__(self, folder: Path, systemd: FakeSystemd, bus: str, minutes: float) -> None:
        self._folder, self._systemd, self._minutes = folder, systemd, minutes
        self.rows: list[tuple[str, str, list[str]]] = []
        port = free_port()
        config = folder / "agent.toml"
        text = (ROOT / "agent.toml").read_text("utf-8").replace("#listen =", f'listen = "127.0.0.1:{port}"  #')
        services = f'[collectors.services]\nunits = {[*UNITS]}\nbus = "{bus}"'
        config.write_text(text.replace("[collectors.services]", services), "utf-8")
        self.jaga = self._jaga(config, port, "state")
        exporter = shutil.which("prometheus-node-exporter") or "prometheus-node-exporter"
        few = ["--web.disable-exporter-metrics", "--collector.disable-defaults", *(f"--collector.{n}" for n in FEW)]
        exporters = [Server([exporter, f"--web.listen-address=127.0.0.1:{port}", *flags], "/metrics", port)
                     for port, flags in ((free_port(), []), (free_port(), few))]
        self.servers = [self.jaga, *exporters]
        libraries = [Path(sysconfig.get_path(name)) for name in ("purelib", "stdlib")]
        ours = [ROOT / name for name in ("agent", "alerts", "collectors")]
        self._cold = [[*ours, *libraries, Path(sys.executable).resolve()], [Path(exporter)], [Path(exporter)]]

    def _jaga(self, config: Path, port: int, state: str, env: dict[str, str] | None = None) -> Server:
        command = [sys.executable, "-m", "agent", "run", "--config", str(config)]
        return Server(command, "/-/ready", port, {"STATE_DIRECTORY": str(self._folder / state), **(env or {})})

    def run(self) -> None:
        try:
            self._starts()
            for server in self.servers:
                server.start()
            self._row("series", "≤ 200", [str(server.series()) for server in self.servers])
            self._rest()
            self._scrapes()
        finally:
            for server in self.servers:
                server.stop()
        self._row("memory (PSS) with e-mail and WhatsApp, after a message, MiB", "",
                  [f"{self._with_twilio():.1f}", "", ""])

    def _row(self, what: str, aim: str, figures: list[str]) -> None:
        self.rows.append((what, aim, figures))
        print(what, aim, *figures, sep=" | ", flush=True)

    def _starts(self) -> None:
        self.jaga.start()  # compiles what was not compiled yet, and makes the database
        self.jaga.stop()
        for name, aim, cold in (("warm", "≤ 1", False), ("cold", "", True)):
            files = self._cold if cold else [[], [], []]
            times = [starts(server, dropped) for server, dropped in zip(self.servers, files, strict=True)]
            self._row(f"exec to ready, {name}, median (worst) of {TRIES}, s", aim,
                      [f"{statistics.median(each):.2f} ({max(each):.2f})" for each in times])

    def _rest(self) -> None:
        time.sleep(min(60, 60 * self._minutes))  # the first runs, and what they put off
        before = [server.cpu() for server in self.servers]
        began = time.monotonic()
        time.sleep(60 * self._minutes)
        lasted = time.monotonic() - began
        spent = [server.cpu() - past for server, past in zip(self.servers, before, strict=True)]
        self._row(f"processor over {self._minutes:g} min, nobody asking, % of a core", "≤ 0.1",
                  [f"{100 * each / lasted:.3f}" for each in spent])
        self._row("memory (PSS) after it, MiB", "≤ 50", [f"{server.pss():.1f}" for server in self.servers])

    def _scrapes(self) -> None:
        for server in self.servers:
            server.client.close()  # it was idle for longer than a server keeps it
            server.client.get()
        before = [server.cpu() for server in self.servers]
        for fresh in (False, True):
            times = latencies(self.servers, lambda _: True, fresh)
            if not fresh:
                self.share = statistics.median(times[0]) / statistics.median(times[2])
            self._row(f"scrape, {'new connection' if fresh else 'kept connection'}, p50 / p99, ms",
                      "" if fresh else "p50 ≤ ¼ of the last", [ranks(each) for each in times])
        spent = [server.cpu() - past for server, past in zip(self.servers, before, strict=True)]
        self._row("processor for a scrape, ms", "", [f"{1000 * each / (2 * REQUESTS):.2f}" for each in spent])
        for fresh in (False, True):
            times = latencies(self.servers, self._change, fresh)
            self._row(f"scrape after something changed, {'new' if fresh else 'kept'} connection, p50 / p99, ms", "",
                      [ranks(times[0]), "", ""])

    def _change(self, server: Server) -> bool:
        """Have Jaga measure something between two scrapes; the others measure at each scrape anyway."""
        if server is not self.jaga:
            return False
        calls = len(self._systemd.calls)
        self._systemd.set("nginx.service", sub="exited" if calls % 2 else "running")
        time.sleep(0.05)  # it is awake within a few milliseconds, and is to be at rest when it is asked
        return len(self._systemd.calls) > calls

    def _with_twilio(self) -> float:
        twilio = FakeTwilio(Account(pair_seconds=0.0, pace=(("sent", 0.1), ("delivered", 0.2), ("read", 0.3))))
        port = free_port()
        config = self._folder / "twilio.toml"
        config.write_text(f'[web]\nlisten = "127.0.0.1:{port}"\n' + TWILIO.format(
            sid=twilio.account.sid, url=twilio.url, template=twilio.template(TEMPLATES["id"].body)), "utf-8")
        env = {"FAKE_TOKEN": twilio.account.token}
        jaga = self._jaga(config, port, "twilio-state", env)
        jaga.start()
        try:
            subprocess.run([sys.executable, "-m", "agent", "notify-test", "--config", str(config), "budi"], check=True,
                           env={**os.environ, "STATE_DIRECTORY": str(self._folder / "twilio-state"), **env},
                           stdout=subprocess.DEVNULL, timeout=60)
            return jaga.pss()
        finally:
            jaga.stop()
            twilio.close()

    def table(self) -> str:
        names = ["Jaga", "node_exporter, as installed", f"node_exporter, {len(FEW)} collectors"]
        lines = ["| | aim | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
        lines += [f"| {what} | {aim} | " + " | ".join(figures) + " |" for what, aim, figures in self.rows]
        return "\n".join(lines) + "\n"


def circumstances(load: float) -> str:
    """Where and when, and how busy the machine was with other things."""
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    version = subprocess.run(["prometheus-node-exporter", "--version"], capture_output=True, text=True, timeout=10,
                             check=False)
    exporter = (version.stdout + version.stderr).split(" (")[0].replace(", version", "")
    return (f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} on {os.cpu_count()} × "
            f"{models[0] if models else platform.machine()}, Linux {platform.release()}, Python "
            f"{platform.python_version()}, {exporter}. Load average over the last 15 minutes: {load:.1f}.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="that processor time at rest is taken over (10)")
    parser.add_argument("--print", action="store_true", dest="only_print", help="leave docs/footprint.md as it is")
    asked = parser.parse_args()
    os.chdir(ROOT)  # `python -m agent` must find this tree
    with tempfile.TemporaryDirectory() as folder, private_bus(Path(folder)) as bus, \
            FakeSystemd(bus, *(Unit(f"{name}.service") for name in UNITS)) as systemd:
        bench = Bench(Path(folder), systemd, bus, asked.minutes)
        bench.run()
    text = circumstances(os.getloadavg()[2]) + "\n" + bench.table()
    text += f"\nScrape p50 is {bench.share:.2f} of node_exporter's with its few collectors.\n"
    print(text)
    if not asked.only_print:
        before, _, rest = REPORT.read_text("utf-8").partition(BEGIN)
        REPORT.write_text(before + BEGIN + text + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
