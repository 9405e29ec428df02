"""What Prometheus scrapes: the collectors' readings, how many incidents there are, our own deeds, this process."""

import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from agent.board import CollectorState
from alerts.incident import Incident
from collectors.base import Labels, Metric

Snapshot = Mapping[str, CollectorState]

# Seconds from event to accepted message: under one is the aim, beyond ten minutes it hardly matters by how much.
DETECTION = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
SEVERITIES, STATES = ("critical", "warning"), ("open", "acked")
_FORMATS: dict[str, Callable[[CollectorRegistry], bytes]] = {
    CONTENT_TYPE_PLAIN_0_0_4: generate_latest,
    CONTENT_TYPE_LATEST: generate_openmetrics,
}
_END = b"# EOF\n"  # of an OpenMetrics text


class Deeds:
    """What we did, counted. The outbox tells it; any thread may."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._sent = Counter("jaga_notifications", "Notifications by what became of them.", ("notifier", "outcome"),
                             registry=self.registry)
        self._detection = Histogram("jaga_detection_seconds", "From the event to the message's acceptance.",
                                    buckets=DETECTION, registry=self.registry)

    def outcome(self, channel: str, outcome: str, n: int = 1) -> None:
        """`n` notifications by that channel ended so: accepted, delivered, refused, stale …"""
        self._sent.labels(channel, outcome).inc(n)

    def detected(self, seconds: float) -> None:
        """A message was accepted so long after its event."""
        self._detection.observe(seconds)


class Exposition:
    """The text of /metrics. The readings' part is made once for each picture of the board, not for each scrape.

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
        self._snapshot, self._metrics, self._incidents = snapshot, metrics, incidents
        self._version, self._started = version, started
        self._live = deeds.registry
        self._live.register(_Collector(self._now))
        self._drawn: tuple[Snapshot | None, dict[str, bytes]] = (None, {})

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The whole text and its content type: OpenMetrics for who asks for it, else Prometheus' text 0.0.4."""
        kind = CONTENT_TYPE_LATEST if "application/openmetrics-text" in accept else CONTENT_TYPE_PLAIN_0_0_4
        return self._readings(kind) + _FORMATS[kind](self._live), kind

    def _readings(self, kind: str) -> bytes:
        picture, texts = self._drawn
        now = self._snapshot()
        if now is not picture:
            picture, texts = self._drawn = (now, {})  # two scrapes at once may both draw it; both draw the same
        if kind not in texts:
            registry = CollectorRegistry()
            registry.register(_Collector(lambda: families(now, self._metrics())))
            texts[kind] = _FORMATS[kind](registry).removesuffix(_END)
        return texts[kind]

    def _now(self) -> Iterator[Family]:
        build = GaugeMetricFamily("jaga_build_info", "The running version.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
        yield GaugeMetricFamily("jaga_start_timestamp_seconds", "When this process started.", self._started)
        yield CounterMetricFamily("jaga_process_cpu_seconds", "Processor time of this process.", time.process_time())
        yield GaugeMetricFamily("jaga_process_resident_memory_bytes", "Resident memory of this process.", _resident())
        open_now = dict.fromkeys(product(SEVERITIES, STATES), 0)
        for incident in self._incidents():
            severity = incident.severity if incident.severity in SEVERITIES else "warning"
            open_now[severity, "open" if incident.acked_until is None else "acked"] += 1
        counts = GaugeMetricFamily("jaga_incidents", "Incidents that are not over.", labels=("severity", "state"))
        for labels, count in open_now.items():
            counts.add_metric(labels, count)
        yield counts


def families(snapshot: Snapshot, metrics: Mapping[str, Metric]) -> Iterator[Family]:
    """The readings of all collectors as metric families; of two with one identity the later one counts."""
    samples: dict[str, dict[Labels, float]] = {}
    for state in snapshot.values():
        for reading in state.readings:
            samples.setdefault(reading.metric, {})[reading.labels] = reading.value
    for name in sorted(samples):
        metric = metrics.get(name) or Metric(name, "Not declared by its collector.")
        yield _family(metric, samples[name])


def _family(metric: Metric, samples: Mapping[Labels, float]) -> Family:
    counter = metric.kind == "counter"
    family = Family(metric.name.removesuffix("_total") if counter else metric.name, metric.help, metric.kind)
    name = family.name + "_total" if counter else family.name
    for labels, value in samples.items():
        family.add_sample(name, dict(labels), value)
    return family


def _resident() -> float:
    with open("/proc/self/statm", "rb") as statm:
        return float(statm.read().split()[1]) * resource.getpagesize()


class _Collector:
    """What a registry takes: something with a `collect`."""

    def __init__(self, collect: Callable[[], Iterable[Family]]) -> None:
        self.collect = collect
