"""How fast Laravel's log is read, beside `grep -c` and Debian's mtail in the same run, over the same 1 GiB.

`make bench-log` takes about five minutes and writes the table into docs/log-speed.md, between its markers. It needs the
Debian package mtail, and 1.1 GiB in the folder for temporary files.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from collectors.following import LIMIT, follow  # noqa: E402
from collectors.laravel_log import Scan  # noqa: E402

REPORT, BEGIN, END = ROOT / "docs" / "log-speed.md", "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
ZONE = ZoneInfo("Asia/Jakarta")
APP, VENDOR = "/var/www/koperasi/", "vendor/laravel/framework/src/Illuminate/"
FRAMES = 45
CALL = "Illuminate\\\\Pipeline\\\\Pipeline->Illuminate\\\\Pipeline\\\\{closure}(Object(Illuminate\\\\Http\\\\Request))"
DUPLICATE = ("SQLSTATE[23000]: 1062 Duplicate entry '{0}' for key 'users_email_unique' "
             "(Connection: mysql, SQL: insert into `users` (`email`) values ({0}))")
EVERYTHING = 2.0**40

# Equal work as far as mtail can: entries by level, errors by class. It tells neither place nor example nor times.
PROGRAM = r"""
counter entries_total by level
counter errors_total by exception
/^\[\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\] [^ .]+\.(?P<level>DEBUG|INFO|NOTICE|WARNING|ERROR|CRITICAL|ALERT|EMERGENCY): / {
  entries_total[$level]++
  /\[object\] \((?P<exception>[\w\\]+)\(code: / {
    errors_total[$exception]++
  }
}
"""
# Run in a process of its own, so that its memory can be told.
READER = """
import sys
sys.path[:0] = [{root!r}, {here!r}]
import log_speed
print(log_speed.first_scan({path!r}))
"""


def entries(chance: random.Random) -> Iterator[str]:
    """A cooperative's log: nine entries in ten say what went well, one is an error with its trace."""
    at = datetime(2026, 11, 1)  # noqa: DTZ001  # as Laravel writes it: without a zone
    levels = ["INFO"] * 6 + ["DEBUG"] * 2 + ["WARNING"]
    libraries = ["Pipeline/Pipeline.php", "Routing/Router.php", "Database/Connection.php",
                 "Foundation/Http/Middleware/PreventRequestsDuringMaintenance.php", "Container/BoundMethod.php"]
    while True:
        at += timedelta(seconds=chance.random() * 3)
        stamp = f"[{at:%Y-%m-%d %H:%M:%S}] production."
        for _ in range(9):
            level, member = chance.choice(levels), chance.randrange(5000)
            yield f"{stamp}{level}: " + (
                f'Simpanan wajib diterima {{"member_id":{member},"invoice":"TRX-20261122-{member:04}"}} \n'
                if chance.random() < 0.5 else "Midtrans notification received  \n")
        kind = chance.randrange(40)
        own = f"{APP}app/Services/Service{kind}.php"
        thrown, place, words = f"App\\\\Exceptions\\\\Kind{kind}", f"{own}:{kind + 10}", f"Saldo {member} tidak cukup"
        if kind % 3 == 0:  # from the database: the place is the library's, and the app's line stands in the trace
            thrown, place = "Illuminate\\\\Database\\\\QueryException", f"{APP}{VENDOR}Database/Connection.php:829"
            words = DUPLICATE.format(f"anggota{member}@example.com")
        trace = [f"{APP}{VENDOR}{chance.choice(libraries)}({chance.randrange(900)}): {CALL}" for _ in range(FRAMES - 2)]
        trace[8] = f"{own}({kind + 10}): App\\\\Models\\\\Member->save()"
        trace.append(f"{APP}public/index.php(52): Illuminate\\\\Foundation\\\\Application->handleRequest()")
        lines = "".join(f"#{number} {line}\n" for number, line in enumerate([*trace, "{main}"]))
        yield (f'{stamp}ERROR: {words} {{"userId":{member},"exception":"[object] ({thrown}(code: 0): {words} at '
               f'{place})\n[stacktrace]\n{lines}"}} \n')


def write(path: Path, size: int) -> None:
    """A hundred thousand entries, and the same again and again until it is `size` bytes, less a part of an entry."""
    block = "".join(islice(entries(random.Random(1)), 100_000)).encode()  # noqa: S311  # a benchmark's data
    with path.open("wb") as file:
        for _ in range(size // len(block)):
            file.write(block)
        file.write(block[:block.rfind(b"\n[2", 0, size % len(block)) + 1])


def peak() -> float:
    """MiB that this process had at most. ru_maxrss would count what its parent had when it forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def first_scan(path: str) -> str:
    """As JSON: seconds, errors, problems, MiB before and at most."""
    before, scan = peak(), Scan(ZONE)
    began = time.perf_counter()
    follow(path, None, scan.take, now=time.time() + 60, first=EVERYTHING, limit=EVERYTHING, seconds=600)
    seen = scan.seen
    return json.dumps([time.perf_counter() - began, seen.levels["ERROR"], len(seen.problems), before, peak()])


def followed(path: Path, growth: Path, pieces: int) -> float:
    """`path` grows by the same bytes piece by piece, as between two looks; the seconds of our looks only."""
    path.touch()
    place = follow(str(path), None, Scan(ZONE).take, now=time.time()).place
    piece = growth.stat().st_size // pieces
    seconds = 0.0
    with growth.open("rb") as source, path.open("ab") as log:
        while data := source.read(piece):
            log.write(data)
            log.flush()
            began = time.perf_counter()
            scan = Scan(ZONE)
            place = follow(str(path), place, scan.take, now=time.time(), limit=LIMIT).place
            _ = scan.seen
            seconds += time.perf_counter() - began
    path.unlink()
    return seconds


def idle(path: Path, looks: int = 1000) -> float:
    """Milliseconds of a look at a file to which nothing was written."""
    place = follow(str(path), None, Scan(ZONE).take, now=time.time(), first=1).place
    began = time.process_time()
    for _ in range(looks):
        follow(str(path), place, Scan(ZONE).take, now=time.time())
    return 1000 * (time.process_time() - began) / looks


def spent(command: Sequence[str]) -> tuple[float, float, str]:
    """Seconds by the clock, seconds of processors, and what it wrote into a pipe."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=600).stdout
    took = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out.decode()


class Bench:
    """All contestants, in turns."""

    def __init__(self, folder: Path, size: int, rounds: int) -> None:
        self._folder, self._log, self._rounds = folder, folder / "laravel.log", rounds
        write(self._log, size)
        self._program = folder / "laravel.mtail"
        self._program.write_text(PROGRAM)
        self.size = self._log.stat().st_size
        self.times: dict[str, list[float]] = {}
        self.processor: dict[str, list[float]] = {}
        self._errors, self._problems, self._memory = 0, 0, [0.0, 0.0]

    def run(self) -> None:
        spent(["grep", "-c", "warm the page cache\\|", str(self._log)])
        contestants: dict[str, Callable[[], tuple[float, float]]] = {
            "grep": self._grep, "mtail": self._mtail, "scan": self._scan, "follow": self._follow}
        for _ in range(self._rounds):
            for name, contestant in contestants.items():
                took, processor = contestant()
                self.times.setdefault(name, []).append(took)
                self.processor.setdefault(name, []).append(processor)
                print(f"{name}: {self.size / took / 1e6:.0f} MB/s", flush=True)
        self.idle = idle(self._log)

    def _grep(self) -> tuple[float, float]:
        took, processor, out = spent(["grep", "-c", r"production\.ERROR", str(self._log)])
        self._errors = int(out)
        return took, processor

    def _mtail(self) -> tuple[float, float]:
        took, processor, out = spent([
            "mtail", "-one_shot", "-one_shot_format", "prometheus", "-logtostderr", "-address", "127.0.0.1", "-port",
            "0", "-progs", str(self._program), "-logs", str(self._log)])
        if f'entries_total{{level="ERROR",prog="laravel.mtail"}} {self._errors}\n' not in out:
            raise SystemExit("mtail and grep do not count alike: nothing is compared")
        return took, processor

    def _scan(self) -> tuple[float, float]:
        code = READER.format(root=str(ROOT), here=str(Path(__file__).parent), path=str(self._log))
        _, processor, out = spent([sys.executable, "-c", code])
        seconds, errors, self._problems, *self._memory = json.loads(out)
        if errors != self._errors:
            raise SystemExit("we and grep do not count alike: nothing is compared")
        return seconds, processor

    def _follow(self) -> tuple[float, float]:
        before = time.process_time()
        took = followed(self._folder / "growing.log", self._log, 200)
        return took, time.process_time() - before

    def table(self) -> str:
        rows = {"grep": "`grep -c 'production\\.ERROR'` into a pipe", "mtail": "mtail, by level and exception class",
                "scan": "Jaga, first scan", "follow": "Jaga, following in 200 looks"}
        mid = {name: statistics.median(times) for name, times in self.times.items()}
        lines = ["| | MB/s | s | worst s | processor s | × mtail | × grep |", "|---|---|---|---|---|---|---|"]
        lines += [f"| {words} | {self.size / mid[name] / 1e6:.0f} | {mid[name]:.2f} | {max(self.times[name]):.2f} | "
                  f"{statistics.median(self.processor[name]):.2f} | {mid['mtail'] / mid[name]:.1f} | "
                  f"{mid['grep'] / mid[name]:.2f} |" for name, words in rows.items()]
        return "\n".join(lines) + "\n"

    def words(self) -> str:
        before, most = self._memory
        return (f"{self.size / 2**20:.0f} MiB, {self._errors} errors with {FRAMES}-line traces told apart as "
                f"{self._problems} problems; median of {self._rounds} rounds, in turns, warm cache. Memory of the "
                f"process: {before:.1f} MiB before the first scan, {most:.1f} at most during it. A look at a file that "
                f"did not grow: {self.idle:.3f} ms of processor.\n")


def circumstances() -> str:
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]
    version = subprocess.run(["mtail", "-version"], capture_output=True, text=True, timeout=10, check=False)
    grep = subprocess.run(["grep", "--version"], capture_output=True, text=True, timeout=10, check=False)
    return (f"Measured {time.strftime('%Y-%m-%d', time.gmtime())} on {os.cpu_count()} × "
            f"{models[0] if models else platform.machine()}, Linux {platform.release()}, Python "
            f"{platform.python_version()}, {grep.stdout.splitlines()[0]}, "
            f"{' '.join((version.stdout + version.stderr).split()[:3])}. Load average over the last five minutes: "
            f"{os.getloadavg()[1]:.1f}.\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=1024, help="size of the log (1024)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--print", action="store_true", dest="only_print", help="leave docs/log-speed.md as it is")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), asked.mib * 2**20, asked.rounds)
        bench.run()
    text = circumstances() + "\n" + bench.table() + "\n" + bench.words()
    print(text)
    if not asked.only_print:
        before, _, rest = REPORT.read_text("utf-8").partition(BEGIN)
        REPORT.write_text(before + BEGIN + text + END + rest.partition(END)[2], "utf-8")


if __name__ == "__main__":
    main()
