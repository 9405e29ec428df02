"""What a scrape says, and that Prometheus' own tools find no fault with it."""

import re
import subprocess
from collections.abc import Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from agent.board import Board, CollectorState
from agent.metrics import Deeds, Exposition
from alerts.incident import Finding, Incident
from collectors.base import Metric, Reading

USED = Metric("jaga_disk_used_ratio", "Used part of the space.", ("mount",))
RESTARTS = Metric("jaga_service_restarts_total", "How often systemd restarted the unit.", ("unit",), kind="counter")
METRICS = {metric.name: metric for metric in (USED, RESTARTS)}


def incident(code: str, severity: str, acked: bool = False) -> Incident:
    member = Finding(rule="disk_space", labels=(("mount", code),), state="bad", severity=severity)
    return Incident(code=code, key=member.key, opened=1.0, members={member.key: member}, severity=severity,
                    acked_until=99.0 if acked else None)


class Scene:
    """A board, the incidents of the moment, and the exposition over them."""

    def __init__(self) -> None:
        self.board, self.deeds, self.incidents = Board(), Deeds(), list[Incident]()
        self.drawn = 0
        self.exposition = Exposition(self.board.snapshot, self._metrics, lambda: self.incidents, self.deeds,
                                     version="1.2.3", started=1700000000.5)

    def _metrics(self) -> dict[str, Metric]:
        self.drawn += 1
        return METRICS

    def put(self, name: str, *readings: Reading) -> None:
        self.board.put(CollectorState(name, 60.0, 10.0, readings, at=5.0, success=True))

    def text(self, accept: str = "") -> str:
        """The text, with what differs from run to run made equal."""
        text = self.exposition.text(accept)[0].decode()
        return re.sub(r"(?m)^(jaga_process_\S+) [\d.e+]+$", r"\1 N", text)


READINGS_TEXT = """\
# HELP jaga_disk_used_ratio Used part of the space.
# TYPE jaga_disk_used_ratio gauge
jaga_disk_used_ratio{mount="/"} 0.93
jaga_disk_used_ratio{mount="/a \\"b\\"\\\\\\n"} 0.5
# HELP jaga_service_restarts_total How often systemd restarted the unit.
# TYPE jaga_service_restarts_total counter
jaga_service_restarts_total{unit="nginx.service"} 3.0
"""

LIVE_TEXT = """\
# HELP jaga_notifications_total Notifications by what became of them.
# TYPE jaga_notifications_total counter
jaga_notifications_total{notifier="email",outcome="accepted"} 2.0
# HELP jaga_replies_total What people wrote, by what it was taken for.
# TYPE jaga_replies_total counter
jaga_replies_total{meaning="take",notifier="whatsapp"} 1.0
# HELP jaga_detection_seconds From the event to the message's acceptance.
# TYPE jaga_detection_seconds histogram
jaga_detection_seconds_bucket{le="0.25"} 0.0
jaga_detection_seconds_bucket{le="0.5"} 0.0
jaga_detection_seconds_bucket{le="1.0"} 1.0
jaga_detection_seconds_bucket{le="2.5"} 1.0
jaga_detection_seconds_bucket{le="5.0"} 1.0
jaga_detection_seconds_bucket{le="10.0"} 1.0
jaga_detection_seconds_bucket{le="30.0"} 1.0
jaga_detection_seconds_bucket{le="60.0"} 1.0
jaga_detection_seconds_bucket{le="120.0"} 1.0
jaga_detection_seconds_bucket{le="300.0"} 1.0
jaga_detection_seconds_bucket{le="600.0"} 1.0
jaga_detection_seconds_bucket{le="+Inf"} 1.0
jaga_detection_seconds_count 1.0
jaga_detection_seconds_sum 0.75
# HELP jaga_build_info The running version.
# TYPE jaga_build_info gauge
jaga_build_info{version="1.2.3"} 1.0
# HELP jaga_start_timestamp_seconds When this process started.
# TYPE jaga_start_timestamp_seconds gauge
jaga_start_timestamp_seconds 1.7000000005e+09
# HELP jaga_process_cpu_seconds_total Processor time of this process.
# TYPE jaga_process_cpu_seconds_total counter
jaga_process_cpu_seconds_total N
# HELP jaga_process_resident_memory_bytes Resident memory of this process.
# TYPE jaga_process_resident_memory_bytes gauge
jaga_process_resident_memory_bytes N
# HELP jaga_incidents Incidents that are not over.
# TYPE jaga_incidents gauge
jaga_incidents{severity="critical",state="open"} 1.0
jaga_incidents{severity="critical",state="acked"} 0.0
jaga_incidents{severity="warning",state="open"} 0.0
jaga_incidents{severity="warning",state="acked"} 2.0
"""


def full_scene() -> Scene:
    scene = Scene()
    scene.put("services", RESTARTS(3, unit="nginx.service"))
    scene.put("disk", USED(0.93, mount="/"), USED(0.5, mount='/a "b"\\\n', note="not for machines"))
    scene.incidents = [incident("K7M", "critical"), incident("A3B", "warning", True), incident("C4D", "warning", True)]
    scene.deeds.outcome("email", "accepted", 2)
    scene.deeds.replied("whatsapp", "take")
    scene.deeds.detected(0.75)
    return scene


def test_a_scrape_says_what_was_measured_and_what_we_did() -> None:
    scene = full_scene()
    assert scene.text() == READINGS_TEXT + LIVE_TEXT
    assert scene.exposition.text()[1] == "text/plain; version=0.0.4; charset=utf-8"


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    scene = full_scene()
    text, kind = scene.exposition.text("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    assert kind == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert text.count(b"# EOF") == 1
    assert text.endswith(b"# EOF\n")
    assert b"# TYPE jaga_service_restarts counter\n" in text
    assert b'jaga_service_restarts_total{unit="nginx.service"} 3.0\n' in text
    assert b"_created" not in text


def test_openmetrics_is_read_back_by_its_own_parser() -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    text = full_scene().exposition.text("application/openmetrics-text")[0].decode()
    values = {(s.name, *s.labels.items()): s.value for f in text_string_to_metric_families(text) for s in f.samples}
    assert values["jaga_disk_used_ratio", ("mount", '/a "b"\\\n')] == 0.5
    assert values["jaga_detection_seconds_count",] == 1


def test_a_new_reading_shows_at_the_next_scrape_and_an_old_one_is_gone() -> None:
    scene = Scene()
    scene.put("disk", USED(0.5, mount="/"), USED(0.1, mount="/old"))
    assert 'mount="/old"' in scene.text()
    scene.put("disk", USED(0.75, mount="/"))
    assert [line for line in scene.text().splitlines() if line.startswith("jaga_disk")] == [
        'jaga_disk_used_ratio{mount="/"} 0.75']


def test_readings_are_put_into_words_once_for_each_picture_of_the_board() -> None:
    scene = Scene()
    scene.put("disk", USED(0.5, mount="/"))
    for _ in range(3):
        scene.text()
    assert scene.drawn == 1
    scene.put("disk", USED(0.5, mount="/"))
    scene.text()
    assert scene.drawn == 2


def test_two_collectors_that_say_the_same_make_one_series() -> None:
    scene = Scene()
    scene.put("one", USED(0.5, mount="/"))
    scene.put("two", USED(0.75, mount="/"))
    assert scene.text().count("jaga_disk_used_ratio{") == 1


def test_an_undeclared_metric_is_shown_all_the_same() -> None:
    scene = Scene()
    scene.put("odd", Reading("jaga_odd", 1.0, (("a", "b"),)))
    assert scene.text().startswith('# HELP jaga_odd Not declared by its collector.\n# TYPE jaga_odd gauge\n'
                                   'jaga_odd{a="b"} 1.0\n')


def test_before_anything_was_measured_there_are_incident_counts_of_nought() -> None:
    lines = Scene().text().splitlines()
    assert [line for line in lines if line.startswith("jaga_incidents{")] == [
        f'jaga_incidents{{severity="{severity}",state="{state}"}} 0.0'
        for severity in ("critical", "warning") for state in ("open", "acked")]


@pytest.mark.needs_debian("promtool:prometheus")
def test_promtool_finds_no_fault() -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=full_scene().exposition.text()[0],
                          capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")


KINDS = {"text 0.0.4": ("", generate_latest), "OpenMetrics": ("application/openmetrics-text", generate_openmetrics)}
VALUES = (0.0, -1.5, 1.0, 1234567.0, 1234567.25, 1e-7, 1e22, 0.1 + 0.2, float("inf"), float("-inf"), float("nan"))
TEXTS = ('say "aah"', "back\\slash", "two\nlines", r"no\newline", "Rp 1.234", "é ☂", "", "a,b=c{d}")


class Odd:
    """What prometheus_client is told of the same readings."""

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        for help_text in TEXTS:
            gauge = GaugeMetricFamily(f"jaga_odd_{TEXTS.index(help_text)}", help_text or "-", labels=("a", "b"))
            for text in TEXTS:
                gauge.add_metric((text, "x"), 1.0)
            yield gauge
        yield GaugeMetricFamily("jaga_plain", "Plain.", 0.5)
        counter = CounterMetricFamily("jaga_values", "Values.", labels=("n",))
        for number, value in enumerate(VALUES):
            counter.add_metric((str(number),), value)
        yield counter


@pytest.mark.parametrize(("accept", "generate"), KINDS.values(), ids=KINDS)
def test_our_words_are_those_of_prometheus_client(accept: str, generate: Callable[[CollectorRegistry], bytes]) -> None:
    odd = [Metric(f"jaga_odd_{n}", text or "-", ("a", "b")) for n, text in enumerate(TEXTS)]
    plain, values = Metric("jaga_plain", "Plain."), Metric("jaga_values_total", "Values.", ("n",), kind="counter")
    readings = [metric(1.0, a=text, b="x") for metric in odd for text in TEXTS]
    readings += [plain(0.5), *(values(value, n=str(number)) for number, value in enumerate(VALUES))]
    board = Board()
    board.put(CollectorState("odd", 60.0, 10.0, tuple(readings)))
    metrics = {metric.name: metric for metric in (*odd, plain, values)}
    ours = Exposition(board.snapshot, lambda: metrics, list, Deeds(), version="1", started=0.0).text(accept)[0]
    registry = CollectorRegistry()
    registry.register(Odd())
    theirs = generate(registry).removesuffix(b"# EOF\n")
    assert ours[:len(theirs)].decode() == theirs.decode()


def test_a_name_that_prometheus_refuses_does_not_cost_the_scrape() -> None:
    scene = Scene()
    scene.put("odd", Reading("9.lives-left", 9.0, (("höhe", "1"),)), Reading("jaga_ok", 1.0, (("mount", "/\udcff"),)))
    text = scene.exposition.text()[0].decode()
    names = {s.name: s.labels for family in text_string_to_metric_families(text) for s in family.samples}
    assert (names["_9_lives_left"], names["jaga_ok"]) == ({"h_he": "1"}, {"mount": "/?"})


def test_a_deed_shows_at_the_next_scrape() -> None:
    scene = Scene()
    scene.text()
    scene.deeds.outcome("email", "accepted")
    assert 'jaga_notifications_total{notifier="email",outcome="accepted"} 1.0' in scene.text()
    scene.deeds.replied("email", "unclear")
    assert 'jaga_replies_total{meaning="unclear",notifier="email"} 1.0' in scene.text()
    scene.deeds.detected(0.1)
    assert "jaga_detection_seconds_count 1.0" in scene.text()
    assert "jaga_detection_seconds_count 1.0" in scene.text("application/openmetrics-text")
