"""What a collector is: options as fields, facts as readings, nothing else.

A collector is one module in this folder. The file name is its plug-in name, its one public `Struct` with a `collect`
method is the collector, the fields are its options in `[collectors.NAME]`, the docstring is its manual, and the
module's `Metric` objects are what it may yield. It never judges: thresholds live in `alerts/rules/NAME.toml`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Literal, Protocol

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One fact, in the base unit that the metric's name says. `note` is masked evidence for people: never identity."""

    metric: str
    value: float
    labels: Labels = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that a collector declares; calling it makes a reading: `USED(0.93, mount="/")`."""

    name: str
    help: str
    labels: tuple[str, ...] = ()
    kind: Literal["gauge", "counter"] = "gauge"

    def __call__(self, value: float, /, *, note: str = "", **labels: str) -> Reading:
        if set(labels) != set(self.labels):
            raise TypeError(f"{self.name} takes the labels {self.labels}, not {tuple(labels)}")
        return Reading(self.name, float(value), tuple(sorted(labels.items())), note)


@dataclass(slots=True)
class Run:
    """One measurement under way. `memory` survives restarts: JSON values only, committed together with the readings."""

    now: float  # unix seconds
    memory: dict[str, Any] = field(default_factory=dict)
    targets: dict[str, Exception | None] = field(default_factory=dict)

    @contextmanager
    def target(self, name: str) -> Iterator[None]:
        """Keep one target's failure from hiding its siblings: it becomes `jaga_target_success{target=name} 0`."""
        try:
            yield
        except Exception as error:  # whatever the target does to us is its own trouble; the runner tells it
            self.targets[name] = error
        else:
            self.targets.setdefault(name, None)


class Wake(Protocol):
    """Handed to `watch`: call it to be measured now; leave soon after `stopped` is set (look at least every 30 s)."""

    stopped: Event

    def __call__(self) -> None: ...


class Collector(Protocol):
    """What the runner needs. Optional besides: `explain`, `watch` and `discover`, as told here.

    - `collect(run)` yields readings; raise what you cannot know. Every call that may block carries its own time-out.
    - `explain(metric, labels) -> str`: costly evidence for people, asked once when an incident opens.
    - `watch(wake)`: block in a thread of its own and call `wake()` on events; the schedule stays the safety net.
    - `discover() -> str | None`: a static method; what it finds on this machine as TOML that would watch it.
    """

    @property
    def collect(self) -> Callable[[Run], Iterable[Reading]]: ...
