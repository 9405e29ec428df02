"""The shipped unit: valid, closed in, understood by the oldest systemd we install on."""

import re
import subprocess
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
UNIT = TREE / "deploy/systemd/jaga.service"
pytestmark = pytest.mark.needs_debian("systemd-analyze:systemd")


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that this machine has, for `verify` looks whether ExecStart= can be run."""
    copy = tmp_path / "jaga.service"
    copy.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    return copy


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", "--no-pager", *map(str, arguments)],
                          capture_output=True, text=True, timeout=60, check=False)


def test_systemd_finds_nothing_wrong_with_the_unit(unit: Path) -> None:
    done = analyze("verify", unit)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_exposure_is_at_most_two(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--threshold=20", unit)
    assert done.returncode == 0, done.stdout


def test_what_is_left_open_has_a_reason_in_the_unit(unit: Path) -> None:
    done = analyze("security", "--offline=true", unit)
    names = set(re.findall(r"(?m)^✗ (?:RestrictAddressFamilies=~\(?)?(\w+)", done.stdout))
    reasons = UNIT.read_text().split("# Left open, and why:")[1]
    assert "PrivateNetwork" in names  # the pattern reads what this systemd prints
    assert {name for name in names if name not in reasons} == set()


# Newer than 249, which Ubuntu 22.04 has: systemd skips what it does not know, and nobody would see it.
TOO_NEW = {
    "ConditionCredential", "ExtensionDirectories", "ImportCredential", "LoadCredentialEncrypted", "LogFilterPatterns",
    "MemoryKSM", "MemoryPressureWatch", "MemoryZSwapMax", "OpenFile", "RestartMaxDelaySec",
    "RestartMode", "RestartSteps", "RestrictFileSystems", "RestrictNetworkInterfaces", "SetCredentialEncrypted",
    "StartupAllowedCPUs", "SurviveFinalKillSignal",
}


def test_nothing_newer_than_systemd_249_is_used() -> None:
    lines = [line for line in UNIT.read_text().splitlines() if re.match(r"[A-Z]\w*=", line)]
    assert {line.split("=")[0] for line in lines} & TOO_NEW == set()
    assert "Type=notify" in lines  # notify-reload needs 253 and is ignored in silence before


def test_a_wrong_configuration_does_not_restart_for_ever() -> None:
    assert {"Restart=always", "RestartPreventExitStatus=2"} <= set(UNIT.read_text().splitlines())
