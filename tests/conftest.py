"""What all tests share: tests that need a Debian package, one MariaDB for all, and how hypothesis behaves."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from stack.mariadb import MariaDB

# No deadline: the machine's two cores are shared. In CI the examples are fixed, so that a change is judged by itself.
hypothesis.settings.register_profile("jaga", deadline=None, derandomize=bool(os.environ.get("CI")), print_blob=True)
hypothesis.settings.load_profile("jaga")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'needs_debian("program", "program:package", "/path:package"): skipped by name where it is missing; '
        "JAGA_REQUIRE_DEBIAN=1 makes that a failure",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    missing = [
        f"{program} (Debian package {package or program})"
        for marker in item.iter_markers("needs_debian")
        for program, _, package in (need.partition(":") for need in marker.args)
        if not (Path(program).exists() if program.startswith("/") else shutil.which(program))
    ]
    if not missing:
        return
    reason = f"this machine lacks {', '.join(missing)}"
    if os.environ.get("JAGA_REQUIRE_DEBIAN") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """One server for all who do not break it, with databases of their own; mark the tests needs_debian(*NEEDS)."""
    with MariaDB(tmp_path_factory.mktemp("mariadb")) as server:
        yield server
