"""Whether a MySQL or MariaDB server is a replica, and if so whether it keeps up with its source."""

import re
from typing import Any, Final, NamedTuple

from collectors.masking import masked
from collectors.mysql_connection import DatabaseError, Session
from collectors.mysql_server import Server

_SYNTAX: Final = 1064
_RIGHT: Final = 1227
_SHOWN: Final = 300  # characters of an error
_QUERY: Final = re.compile(r"(?s)^(?:Error ')?(.*?)'? on query\. .*")  # behind it stands the statement, values and all


class Replica(NamedTuple):
    """`lag`: seconds behind the source; None where nobody knows, for it does not apply anything."""

    up: bool
    lag: float | None
    why: str


def look(session: Session, server: Server) -> Replica | None:
    """None where it is no replica, or shows no sign of being one to who may not ask. Raises DatabaseError."""
    try:
        rows = _status(session)
    except DatabaseError as error:
        if error.code != _RIGHT or _signs(session, server):
            raise
        return None
    if not rows:
        return None
    row = {key.replace("Slave", "Replica").replace("Master", "Source"): value for key, value in rows[0].items()}
    threads = {name: str(row.get(f"Replica_{name}_Running")) for name in ("IO", "SQL")}
    lag = row.get("Seconds_Behind_Source")
    words = [f"{name}={state}" for name, state in threads.items() if state != "Yes"]
    words += [str(row["Last_IO_Error"])[:_SHOWN]] if row.get("Last_IO_Error") else []
    if row.get("Last_SQL_Error"):  # it quotes what a member typed
        words.append(masked(_QUERY.sub(r"\1", str(row["Last_SQL_Error"])), _SHOWN))
    return Replica(not words, None if lag is None else float(lag), "; ".join(words))


def _status(session: Session) -> list[dict[str, Any]]:
    try:
        return session.named("SHOW REPLICA STATUS")
    except DatabaseError as error:
        if error.code != _SYNTAX:
            raise
        return session.named("SHOW SLAVE STATUS")  # MySQL before 8.0.22


def _signs(session: Session, server: Server) -> bool:
    if not session.mariadb:
        return bool(server.shut)
    ((position,),) = session.rows("SELECT @@gtid_slave_pos")
    return bool(position) or server.status.get("Slave_running") == "ON"
