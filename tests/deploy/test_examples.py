"""The examples that ship: they load as they are, and the rights that the manual grants are enough."""

import re
from pathlib import Path
from typing import Any

import pytest

from agent import config
from collectors.base import Run
from collectors.mysql import Mysql
from collectors.mysql_connection import Database
from collectors.queue import Queue
from collectors.secret import Secret
from collectors.sql import Sql
from stack import koperasi, mariadb

TREE = Path(__file__).parents[2]


@pytest.mark.parametrize("example", sorted((TREE / "deploy" / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_an_example_loads_as_it_is(example: Path, tmp_path: Path) -> None:
    for name in re.findall(r'credential = "(\w+)"', example.read_text()):
        (tmp_path / name).write_text("0123456789abcdef")
        (tmp_path / name).chmod(0o600)
    loaded = config.load(example, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert {each.name for each in loaded.collectors} >= {"web", "laravel", "queue", "mysql", "sql", "files", "services"}


@pytest.mark.needs_debian(*mariadb.NEEDS)
def test_the_account_of_the_manual_may_do_all_that_is_asked_of_it(tmp_path: Path) -> None:
    (granted,) = re.findall(r"```sql\n(.*?)```", (TREE / "docs" / "server.md").read_text(), re.DOTALL)
    with mariadb.MariaDB(tmp_path / "db") as server:
        koperasi.load(server)
        server.sql(granted)
        place: dict[str, Any] = {"socket": str(server.socket), "user": "jaga", "database": "koperasi",
                                 "password": Secret("a test", lambda: "PASSWORD")}
        run = Run(1795402800.0)
        database = Database(**place)
        for collector in (Mysql(**place), Queue(database=database), Sql(presets=("koperasi",), database=database)):
            assert list(collector.collect(run))
        assert {name: error for name, error in run.targets.items() if error is not None} == {}
        assert len(run.targets) > 5
        whole = server.sql("SELECT table_name FROM information_schema.table_privileges WHERE grantee LIKE '%jaga%'")
        assert whole == []  # columns only: no table is open as a whole
