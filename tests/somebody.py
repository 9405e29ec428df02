"""For a moment this process is an ordinary user: only root can be another; whoever runs the tests is one already."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else for a moment")
NOBODY, WWW_DATA = 65534, 33  # the same on every Debian


@contextmanager
def somebody(number: int = NOBODY) -> Iterator[None]:
    """This whole process, all threads of it, by its real and effective ids; root's groups are left behind too."""
    groups = os.getgroups()
    os.setgroups([])
    os.setresgid(number, number, 0)
    os.setresuid(number, number, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
        os.setresgid(0, 0, 0)
        os.setgroups(groups)


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that everybody can get to; pytest's own are its user's alone."""
    folder = Path(tempfile.mkdtemp(prefix="jaga-test-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
