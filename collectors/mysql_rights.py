"""Rights that the agent's account lacks on a MySQL or MariaDB server, as the GRANT that gives them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from collectors.mysql_connection import DatabaseError
from collectors.mysql_server import Server

EVERYDAY: Final = "PROCESS, SHOW VIEW"  # who waits for whom; names and sizes of tables, but nothing that stands in them
_RIGHT: Final = 1227
_ACCOUNT: Final = (1045, 1698)
_DENIED: Final = re.compile(r"for user ('[^']*'@'[^']*')")


@contextmanager
def needed(server: Server, rights: str = EVERYDAY) -> Iterator[None]:
    """What runs inside needs these rights on all tables: where the server says so, the error is the GRANT."""
    try:
        yield
    except DatabaseError as error:
        if error.code != _RIGHT:
            raise
        raise missing(server, "a right is missing", rights) from error


def missing(server: Server, what: str, rights: str = EVERYDAY) -> DatabaseError:
    return DatabaseError(f"{what}; as an administrator run: GRANT {rights} ON *.* TO {server.account}", _RIGHT)


def account(error: DatabaseError) -> DatabaseError:
    """Where the server refuses the account itself: also how to make it."""
    denied = _DENIED.search(str(error.__cause__))
    if error.code not in _ACCOUNT or denied is None:
        return error
    return DatabaseError(f"{error}; or as an administrator run: CREATE USER {denied[1]} IDENTIFIED BY 'PASSWORD'; "
                         f"GRANT {EVERYDAY} ON *.* TO {denied[1]}", error.code)
