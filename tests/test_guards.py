"""Guards of the house itself: names, floors, locks and what ships."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TREE = Path(__file__).parents[1]
PACKAGES = ("agent", "alerts", "collectors")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=TREE, capture_output=True, text=True, timeout=30, check=True)
    return [TREE / name for name in listed.stdout.split("\0") if name and (TREE / name).is_file()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three packages and pyproject.toml in a folder of their own, to plant faults in."""
    folder = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        shutil.copytree(TREE / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "tests").mkdir()
    for name in ("pyproject.toml", "tests/strangers.py"):
        shutil.copy2(TREE / name, folder / name)
    (folder / "README.md").touch()
    return folder


def test_no_other_distribution_claims_our_package_names() -> None:
    owners = {package: set(packages_distributions().get(package, ())) for package in PACKAGES}
    assert {package: names - {"jaga"} for package, names in owners.items()} == {package: set() for package in PACKAGES}


PLUGIN = "import msgspec\n{imports}\nclass P(msgspec.Struct):\n    def {method}(self): ...\n"


@pytest.mark.parametrize(
    ("planted", "broken"),
    [
        ({}, None),
        ({"collectors/zz.py": "import alerts.rule"}, "Imports go down only"),
        ({"alerts/zz.py": "def f():\n    import agent"}, "Imports go down only"),
        ({"collectors/zz.py": PLUGIN.format(imports="import collectors.zy", method="collect"),
          "collectors/zy.py": PLUGIN.format(imports="", method="collect")}, "Collectors know nothing"),
        ({"collectors/zz.py": PLUGIN.format(imports="import collectors.zx", method="collect"),
          "collectors/zx.py": "import collectors.zy",
          "collectors/zy.py": PLUGIN.format(imports="", method="collect")}, "Collectors know nothing"),
        ({"alerts/notifiers/zz.py": PLUGIN.format(imports="import alerts.notifiers.zy", method="send"),
          "alerts/notifiers/zy.py": PLUGIN.format(imports="", method="send")}, "Notifiers know nothing"),
    ],
    ids=["the tree as it is", "collector looks up", "alerts look up, inside a function", "two collectors",
         "two collectors by way of a helper", "two notifiers"],
)
def test_imports_go_down_and_plug_ins_are_strangers(copy: Path, planted: dict[str, str], broken: str | None) -> None:
    for name, source in planted.items():
        (copy / name).write_text(source)
    try:
        lint = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
        done = subprocess.run(lint, cwd=copy, capture_output=True, text=True, timeout=60, check=False)
    finally:
        for name in planted:
            (copy / name).unlink()
    said = re.findall(r"(?m)^(\w.*?) BROKEN", done.stdout)
    assert (len(said), done.returncode) == ((1, 1) if broken else (0, 0)), done.stdout + done.stderr
    assert all(line.startswith(str(broken)) for line in said)


def test_what_ships_is_everything_that_lies_in_the_three_packages(copy: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-qq", "--disable-pip-version-check", "--no-index", "--no-deps",
               "--no-build-isolation", "-w", str(tmp_path), str(copy)]
    subprocess.run(command, capture_output=True, timeout=100, check=True)
    with zipfile.ZipFile(next(tmp_path.glob("jaga-*.whl"))) as wheel:
        shipped = set(wheel.namelist())
    files = {path.relative_to(copy).as_posix() for package in PACKAGES for path in (copy / package).rglob("*")
             if path.is_file()}
    assert files - shipped == set()


def test_no_module_is_a_drawer_for_everything() -> None:
    drawers = {"common", "core", "utils", "util", "helpers", "helper", "manager", "misc"}
    assert [path for package in PACKAGES for path in (TREE / package).rglob("*.py") if path.stem in drawers] == []


@pytest.mark.needs_debian("git")
def test_no_file_names_a_package_registry() -> None:
    host = re.compile(rb"(pypi|pythonhosted|npmjs|(deb|security|snapshot)\.debian|archive\.ubuntu)\.(org|com)")
    guilty = [path for path in tracked() if path != Path(__file__) and host.search(path.read_bytes())]
    assert guilty == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_locked_package_has_its_hashes_and_no_place_of_origin(lock: str) -> None:
    text = (TREE / lock).read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    assert len(lines) > 30
    assert [line for line in lines if not re.match(r"[\w.\[\]-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", line)] == []


# A lock made by one Python leaves out what only another one needs: pip then refuses to install anything.
@pytest.mark.parametrize("python", ["3.11.0", "3.11.2", "3.12.3", "3.13.5"],
                         ids=["Ubuntu 22.04", "Debian 12", "Ubuntu 24.04", "Debian 13"])
@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_the_lock_holds_all_that_this_python_needs(lock: str, python: str) -> None:
    locked = {canonicalize_name(name) for name in re.findall(r"(?m)^([\w.-]+)==", (TREE / lock).read_text())}
    machine = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    project = tomllib.loads((TREE / "pyproject.toml").read_text())["project"]
    ours = project["dependencies"] + (project["optional-dependencies"]["dev"] if "dev" in lock else [])
    waiting, known = [Requirement(text) for text in ours], set()
    while waiting:
        needed = waiting.pop()
        for extra in {"", *needed.extras}:
            if (needed.name, extra) in known:
                continue
            known.add((needed.name, extra))
            theirs = map(Requirement, requires(needed.name) or () if canonicalize_name(needed.name) in locked else ())
            waiting += [one for one in theirs if not one.marker or one.marker.evaluate({**machine, "extra": extra})]
    assert {canonicalize_name(name) for name, _ in known} - locked == set()


def test_the_development_lock_holds_the_versions_that_run() -> None:
    def versions(lock: str) -> set[str]:
        return set(re.findall(r"(?m)^[\w.-]+==\S+", (TREE / lock).read_text()))

    assert versions("requirements.lock") <= versions("requirements-dev.lock")


@pytest.mark.needs_debian("git")
def test_every_file_says_its_purpose_in_its_first_line() -> None:
    sources = [path for path in tracked() if path.suffix == ".py" and path.read_bytes().strip()]
    assert [path for path in sources if not path.read_text().startswith(('"""', "#!"))] == []
