"""What Prometheus scrapes: the collectors' readings, how many incidents there are, our own deeds, this process."""

import re
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.utils import floatToGoString

from agent.board import CollectorState
from alerts.incident import Incident
from collectors.base import Labels, Metric

Snapshot = Mapping[str, CollectorState]

# Seconds from event to accepted message: under one is the aim, beyond ten minutes it hardly matters by how much.
DETECTION = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SEVERITIES, STATES = ("critical", "warning"), ("open", "acked")
BUILD = Metric("jaga_build_info", "The running version.", ("version",))
START = Metric("jaga_start_timestamp_seconds", "When this process started.")
CPU = Metric("jaga_process_cpu_seconds_total", "Processor time of this process.", kind="counter")
RESIDENT = Metric("jaga_process_resident_memory_bytes", "Resident memory of this process.")
INCIDENTS = Metric("jaga_incidents", "Incidents that are not over.", ("severity", "state"))

_GENERATE: dict[str, Callable[[CollectorRegistry], bytes]] = {
    CONTENT_TYPE_PLAIN_0_0_4: generate_latest,
    CONTENT_TYPE_LATEST: generate_openmetrics,
}
_PLAIN = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_PAGE = resource.getpagesize()
_END = b"# EOF\n"  # of an OpenMetrics text


class Deeds:
    """What we did, counted. The outbox tells it; any thread may. `number` changes after each deed."""

    def __init__(self) -> None:
        self.number = 0
        self.registry = CollectorRegistry()
        self._sent = Counter("jaga_notifications", "Notifications by what became of them.", ("notifier", "outcome"),
                             registry=self.registry)
        self._replies = Counter("jaga_replies", "What people wrote, by what it was taken for.", ("notifier", "meaning"),
                                registry=self.registry)
        self._detection = Histogram("jaga_detection_seconds", "From the event to the message's acceptance.",
                                    buckets=DETECTION, registry=self.registry)

    def outcome(self, channel: str, outcome: str, n: int = 1) -> None:
        """`n` notifications by that channel ended so: accepted, delivered, refused, stale …"""
        self._sent.labels(channel, outcome).inc(n)
        self.number += 1

    def replied(self, channel: str, meaning: str) -> None:
        """Somebody wrote to us, and it was taken for that: take, refuse, unclear, stranger …"""
        self._replies.labels(channel, meaning).inc()
        self.number += 1

    def detected(self, seconds: float) -> None:
        """A message was accepted so long after its event."""
        self._detection.observe(seconds)
        self.number += 1


class Exposition:
    """The text of /metrics. What did not change since the last scrape is not put into words again: the readings' part
    is made once for each picture of the board, the deeds' part once for each deed.

    `metrics` are the declarations by name; it is asked anew for each picture, for a reload may bring more.
    """

    def __init__(
        self,
        snapshot: Callable[[], Snapshot],
        metrics: Callable[[], Mapping[str, Metric]],
        incidents: Callable[[], Iterable[Incident]],
        deeds: Deeds,
        *,
        version: str,
        started: float,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # its switch is for the process, and that is ours
        self._snapshot, self._metrics, self._incidents, self._deeds = snapshot, metrics, incidents, deeds
        self._version, self._started = version, started
        self._drawn: tuple[Snapshot | None, dict[str, bytes]] = (None, {})
        self._counted: tuple[int, dict[str, bytes]] = (-1, {})

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The whole text and its content type: OpenMetrics for who asks for it, else Prometheus' text 0.0.4."""
        kind = CONTENT_TYPE_LATEST if "application/openmetrics-text" in accept else CONTENT_TYPE_PLAIN_0_0_4
        end = _END if kind == CONTENT_TYPE_LATEST else b""
        return self._readings(kind) + self._told(kind) + words(self._now(), kind) + end, kind

    def _readings(self, kind: str) -> bytes:
        picture, texts = self._drawn
        now = self._snapshot()
        if now is not picture:
            picture, texts = self._drawn = (now, {})  # two scrapes at once may both draw it; both draw the same
        if kind not in texts:
            texts[kind] = words(families(now, self._metrics()), kind)
        return texts[kind]

    def _told(self, kind: str) -> bytes:
        number, texts = self._counted
        now = self._deeds.number  # read before the deeds are: at worst they are told once more
        if now != number:
            number, texts = self._counted = (now, {})
        if kind not in texts:
            texts[kind] = _GENERATE[kind](self._deeds.registry).removesuffix(_END)
        return texts[kind]

    def _now(self) -> Iterator["Family"]:
        yield BUILD, {(("version", self._version),): 1}
        yield START, {(): self._started}
        yield CPU, {(): time.process_time()}
        yield RESIDENT, {(): _resident()}
        open_now = dict.fromkeys(product(SEVERITIES, STATES), 0)
        for incident in self._incidents():
            severity = incident.severity if incident.severity in SEVERITIES else "warning"
            open_now[severity, "open" if incident.acked_until is None else "acked"] += 1
        yield INCIDENTS, {(("severity", severity), ("state", state)): count
                          for (severity, state), count in open_now.items()}


Family = tuple[Metric, Mapping[Labels, float]]


def families(snapshot: Snapshot, metrics: Mapping[str, Metric]) -> Iterator[Family]:
    """The readings of all collectors by metric; of two with one identity the later one counts."""
    samples: dict[str, dict[Labels, float]] = {}
    for state in snapshot.values():
        for reading in state.readings:
            samples.setdefault(reading.metric, {})[reading.labels] = reading.value
    for name in sorted(samples):
        yield metrics.get(name) or Metric(name, "Not declared by its collector."), samples[name]


def words(families: Iterable[Family], kind: str) -> bytes:
    """The families in that text format, without its end.

    Not by prometheus_client: its generator, made for everything that a metric may be, takes ten times as long, and that
    is most of a scrape.
    """
    lines: list[str] = []
    for metric, samples in families:
        name = _identifier(metric.name)
        family = name
        if metric.kind == "counter":
            family = name.removesuffix("_total")
            name = family + "_total"
        helped = metric.help.replace("\\", r"\\").replace("\n", r"\n")
        if kind == CONTENT_TYPE_LATEST:
            helped = helped.replace('"', r'\"')
        else:
            family = name  # only OpenMetrics knows a counter by its name without "_total"
        lines.append(f"# HELP {family} {helped}\n# TYPE {family} {metric.kind}\n")
        lines += [f"{name}{_braced(labels)} {_number(value)}\n" for labels, value in samples.items()]
    return "".join(lines).encode(errors="replace")  # a mount point may be named in bytes that are no text


@lru_cache(maxsize=4096)
def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = ((_identifier(name), value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r'\"'))
             for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in pairs) + "}"


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # as Go writes it


def _identifier(name: str) -> str:
    """A name that every Prometheus takes: because of one that it does not, it would throw the whole scrape away."""
    return name if _PLAIN.fullmatch(name) else re.sub(r"^(?=\d)|[^a-zA-Z0-9_:]", "_", name)


def _resident() -> float:
    with open("/proc/self/statm", "rb") as statm:
        return float(statm.read().split()[1]) * _PAGE
