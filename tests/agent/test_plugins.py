"""Promises of the plug-ins: a file is enough, so is a third party's package, and only what is asked for is loaded."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from agent import config, plugins
from collectors.base import Metric

ROOT = Path(__file__).resolve().parents[2]
SCALES = '''
"""Weighs the rice."""
import msgspec
from collectors.base import Metric
from collectors.disk import Disk  # somebody else's collector is not this module's
from collectors.secret import Secret
from collectors.quantities import Seconds, Size, Ratio
from typing import Annotated, Literal
EVERY, TIMEOUT = 30.0, 7.0
WEIGHT = Metric("jaga_scales_weight_grams", "What lies on it.", ("scale",))
class _Hidden(msgspec.Struct, frozen=True):
    def collect(self, run): return ()
class Helper: pass
class Limit(msgspec.Struct, frozen=True):
    low: int
    high: Annotated[int, msgspec.Meta(le=100)] = 50
class Scales(msgspec.Struct, frozen=True):
    port: str
    unit: Literal["g", "kg"] = "g"
    limit: Limit | None = None
    pair: tuple[int, str] = (1, "a")
    names: dict[str, Ratio] = {}
    baud: int | str = 9600
    def collect(self, run): yield WEIGHT(1.0, scale=self.port)
'''
RULES = """
[too_heavy]
metric = "jaga_scales_weight_grams"
warning = 5
summary = { id = "Timbangan {scale} terlalu berat", en = "Scale {scale} is too heavy" }
"""


@pytest.fixture
def scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A third party's package, installed as pip would: two entry points, rules beside the module."""
    (tmp_path / "toko_scales.py").write_text(SCALES)
    (tmp_path / "toko_scales.toml").write_text(RULES)
    (tmp_path / "toko_broken.py").write_text("import nothing_of_this_name\n")
    info = tmp_path / "toko-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toko\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[jaga.collectors]\nscales = toko_scales:Scales\nbroken = toko_broken\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "toko_scales", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> config.Config:
    Path("agent.toml").write_text(text)
    return config.load(Path("agent.toml"), {})


def test_the_file_name_is_the_plug_in_name() -> None:
    disk = plugins.collectors()["disk"]
    assert (disk.name, disk.module.__name__, disk.cls.__name__) == ("disk", "collectors.disk", "Disk")
    assert disk.metrics["jaga_disk_used_ratio"].labels
    assert disk.rules == ROOT / "alerts" / "rules" / "disk.toml"
    email = plugins.notifiers()["email"]
    assert (email.cls.__name__, email.metrics, email.rules) == ("Email", {}, None)


def test_helpers_are_no_plug_ins() -> None:
    assert {"resources", "disk", "services"} <= set(plugins.collectors())
    assert {"console", "email", "twilio"} <= set(plugins.notifiers())
    for helper in ("base", "quantities", "secret", "trend", "__init__", "disk.py", "../agent/config", ""):
        assert helper not in set(plugins.collectors())
        with pytest.raises(KeyError):
            plugins.collectors()[helper]


def test_what_is_listed_can_be_had_and_what_is_not_listed_cannot() -> None:
    for known in (plugins.collectors(), plugins.notifiers()):
        for name in known:
            assert known[name].name == name
    folder = ROOT / "collectors"
    for other in {path.stem for path in folder.glob("*.py")} - set(plugins.collectors()):
        with pytest.raises(KeyError):
            plugins.collectors()[other]


def test_every_rules_file_belongs_to_a_collector_or_to_the_agent() -> None:
    files = {path.stem for path in plugins.rules_folder().glob("*.toml")}
    assert files == {name for name in plugins.collectors() if plugins.collectors()[name].rules} | {plugins.OWN}


def test_the_agents_own_metrics_are_declared() -> None:
    own = plugins.own_metrics()
    assert isinstance(own["jaga_collector_success"], Metric)


def test_only_what_is_asked_for_is_imported() -> None:
    code = ("import sys; from agent import plugins; list(plugins.collectors()); list(plugins.notifiers());"
            "plugins.collectors()['disk'];"
            "print(*(name for name in sys.modules if name.startswith(('collectors.', 'alerts.notifiers.'))))")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=30, text=True,
                          capture_output=True)
    loaded = set(done.stdout.split())
    assert "collectors.disk" in loaded
    assert loaded & {"collectors.resources", "collectors.services", "alerts.notifiers.twilio",
                     "alerts.notifiers.email"} == set()


@pytest.mark.usefixtures("scales")
def test_a_third_partys_collector_comes_with_its_rules_and_times() -> None:
    read = load("""
[collectors.scales]
port = "/dev/ttyUSB0"
limit = { low = 1 }
pair = [2, "b"]
names = { rice = "50%" }
baud = "fast"
""")
    [each] = read.collectors
    assert (each.name, each.every, each.timeout) == ("scales", 30.0, 7.0)
    module = each.plugin.module
    assert each.collector == module.Scales(port="/dev/ttyUSB0", limit=module.Limit(low=1), pair=(2, "b"),
                                           names={"rice": 0.5}, baud="fast")
    rule = read.rules["too_heavy"]
    assert (rule.collector, rule.warning, rule.metric) == ("scales", 5.0, "jaga_scales_weight_grams")
    assert "scales" in set(plugins.collectors())


@pytest.mark.usefixtures("scales")
@pytest.mark.parametrize(("options", "said"), [
    ("", 'collectors.scales.port is missing: add port = "…"'),
    ('unit = "ton"', 'collectors.scales.unit must be "g" or "kg"'),
    ("limit = 3", "collectors.scales.limit must be a table"),
    ("limit = { high = 7 }", "collectors.scales.limit.low is missing: add low = 1"),
    ("limit = { low = 1, high = 101 }", "collectors.scales.limit.high is out of bounds: expected `int` <= 100"),
    ("pair = [2]", "collectors.scales.pair must have 2 values, not 1"),
    ('pair = ["b", 2]', "collectors.scales.pair[1] must be a whole number, without quotes"),
    ("names = { rice = 50 }", 'collectors.scales.names.rice is a ratio from 0 to 1: write "50%" for 50 percent'),
    ("baud = 1.5", "collectors.scales.baud must be a whole number"),
])
def test_the_options_of_any_plug_in_are_checked_by_their_types(options: str, said: str) -> None:
    port = "" if not options else 'port = "x"\n'
    with pytest.raises(config.ConfigError) as caught:
        load(f"[collectors.scales]\n{port}{options}\n")
    assert [problem.text for problem in caught.value.problems][:1] == [said]


@pytest.mark.usefixtures("scales")
def test_a_plug_in_that_does_not_load_is_a_sentence() -> None:
    with pytest.raises(config.ConfigError) as caught:
        load("[collectors.broken]\n")
    assert [str(problem) for problem in caught.value.problems] == [
        "agent.toml:1: collectors.broken cannot be loaded: ModuleNotFoundError: No module named 'nothing_of_this_name'"]


@pytest.mark.parametrize(("rules", "said", "line"), [
    ('[too_heavy]\nmetric = "jaga_x"\nwarning = 1\nsummary = "x"\n',
     'too_heavy.metric names "jaga_x", which no configured collector declares: jaga check lists what there is', 2),
    ("[too_heavy\n", "is not valid TOML: ", 1),
    ('[collector_failed]\nmetric = "jaga_collector_success"\nwarning = 1\nsummary = "x"\n',
     "collector_failed is a rule of agent already", 1),
])
def test_a_mistake_in_a_third_partys_rules_is_told_with_their_file(scales: Path, rules: str, said: str,
                                                                       line: int) -> None:
    (scales / "toko_scales.toml").write_text(rules)
    with pytest.raises(config.ConfigError) as caught:
        load('[collectors.scales]\nport = "x"\n')
    [problem] = caught.value.problems
    assert problem.file == str(scales / "toko_scales.toml")
    assert problem.text.startswith(said)
    assert problem.line == line
