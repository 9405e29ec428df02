"""A replica that stopped says why, and nothing of the member whose row it stumbled over."""

from typing import Any, cast

import pytest

from collectors.mysql_connection import Session
from collectors.mysql_replica import look
from collectors.mysql_server import Server

ROW = {"Slave_IO_Running": "Yes", "Slave_SQL_Running": "No", "Seconds_Behind_Master": None, "Last_IO_Error": ""}


class _Replica:
    """Answers SHOW REPLICA STATUS as MariaDB does."""

    def __init__(self, error: str) -> None:
        self._error = error

    def named(self, _: str) -> list[dict[str, Any]]:
        return [{**ROW, "Last_SQL_Error": self._error}]


@pytest.mark.parametrize(("error", "why"), [
    ("Error 'Duplicate entry 'budi@koperasi.id' for key 'users_email_unique'' on query. Default database: 'koperasi'."
     " Query: 'INSERT INTO users (name, nik) VALUES ('Budi Santoso', '3173051201900001')'",
     "Duplicate entry '***' for key 'users_email_unique'"),
    ("Could not execute Write_rows_v1 event on table koperasi.users; Duplicate entry 'Budi Santoso' for key 'name',"
     " Error_code: 1062",
     "Could not execute Write_rows_v1 event on table koperasi.users; Duplicate entry '***' for key 'name',"
     " Error_code: 1062"),
])
def test_an_error_of_a_replica_tells_of_no_member(error: str, why: str) -> None:
    replica = look(cast(Session, _Replica(error)), Server({}, {}))
    assert replica is not None
    assert replica.why == f"SQL=No; {why}"
