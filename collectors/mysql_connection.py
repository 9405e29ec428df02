"""One read-only connection to MySQL or MariaDB for the length of a run, and the server's refusals in plain words."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import msgspec

from collectors.secret import Secret

CONNECT_SECONDS: Final = 3  # to a server on this machine; one that swaps answers later than one that is far away
ANSWER_SECONDS: Final = 5  # the last resort: a server that keeps its word ends a statement before that
MOST_ROWS: Final = 10_000  # of a SELECT without a LIMIT of its own, so that no table fills the agent's memory


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where a MySQL or MariaDB server is, and who asks.

    host, port: where it listens; not used where `socket` is given.
    socket: its unix socket, such as "/run/mysqld/mysqld.sock". MySQL 8 takes a password over TCP only with
    mysql_native_password; by the socket it takes any.
    user, password: an account of the agent's own, with reading rights alone.
    database: the schema that names without a schema belong to.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 3306
    socket: str = ""
    user: str = "jaga"
    password: Secret | None = None
    database: str = ""

    def __post_init__(self) -> None:
        if self.socket and not self.socket.startswith("/"):
            raise ValueError('socket: must be a path such as "/run/mysqld/mysqld.sock"')
        if not self.socket and not self.host:
            raise ValueError('host: is empty: write "127.0.0.1", or give a socket')
        if not self.user:
            raise ValueError('user: is empty: write the account that the agent may use, such as "jaga"')

    @property
    def place(self) -> str:
        """The server as messages name it."""
        return self.socket or f"{self.host}:{self.port}"


class DatabaseError(Exception):
    """The server cannot be reached, or refuses: one sentence with place and mend, never the password.

    `code` is MySQL's number (0: none): 2002…2013 not reachable or lost, 1040 too many connections, 1045 access denied,
    1142…1143 and 1227 a right is missing, 1146 no such table, 1969 and 3024 the statement took too long.
    """

    def __init__(self, says: str, code: int) -> None:
        super().__init__(says)
        self.code = code

    @property
    def unreachable(self) -> bool:
        """Whether nothing answers there: the server is dead, hangs, or the address is wrong."""
        return 2000 <= self.code < 3000


class Session:
    """What a run may do with a server: read. `version` is as the server greets ("10.11.19-MariaDB-0+deb12u1")."""

    def __init__(self, database: Database, connection: Any) -> None:
        self._database, self._connection = database, connection
        self.version = str(connection.server_version).removeprefix("5.5.5-")  # MariaDB < 11 says so to old replicas
        self.mariadb = "mariadb" in self.version.lower()

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows of a statement; `values` fill its `%s`. Raises DatabaseError."""
        from pymysql.cursors import Cursor

        return list(self._ask(Cursor, statement, values))

    def named(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """The same, each row as column -> value, for what differs between servers (SHOW …). Raises DatabaseError."""
        from pymysql.cursors import DictCursor

        return list(self._ask(DictCursor, statement, values))

    def _ask(self, cursor: Any, statement: str, values: tuple[object, ...]) -> Any:
        from pymysql import MySQLError

        try:
            with self._connection.cursor(cursor) as asked:
                asked.execute(statement, values or None)
                return asked.fetchall()
        except MySQLError as error:
            account = self._account() if error.args and error.args[0] in _DENIED else ""
            raise _told(error, self._database, account) from error

    def _account(self) -> str:
        """Who we are to the server: the account that a GRANT must name, and not the address that we come from."""
        name, _, host = str(self.rows("SELECT CURRENT_USER()")[0][0]).rpartition("@")
        return f"'{name}'@'{host}'"


@contextmanager
def connect(
    database: Database, *, statement_seconds: float = 2.0, connect_seconds: int = CONNECT_SECONDS,
    answer_seconds: int = ANSWER_SECONDS, most_rows: int = MOST_ROWS,
) -> Iterator[Session]:
    """Open a connection that cannot write and ends its statements in time; close it in the end.

    The limits: `connect_seconds` to be let in, `statement_seconds` for a statement by the server's own watch (MySQL
    watches SELECT alone), `answer_seconds` without a byte from the server. Raises DatabaseError.
    """
    import pymysql  # only a configured database needs it

    connection: Any = pymysql.connect(
        host=database.host, user=database.user, password=database.password.reveal() if database.password else "",
        database=database.database or None, charset="utf8mb4", autocommit=True, read_timeout=answer_seconds,
        write_timeout=answer_seconds, init_command="SET SESSION TRANSACTION READ ONLY", program_name="jaga",
        ssl_disabled=bool(database.socket),  # preparing for TLS costs 20 ms of processor, and nobody listens there
        defer_connect=True)
    connection._secure = bool(database.socket)  # by a socket MySQL 8 takes any password; PyMySQL must know it is one
    try:
        connection.connect(_way(database, connect_seconds))
    except (pymysql.MySQLError, RuntimeError) as error:  # RuntimeError: the way of proving who we are is not built in
        raise _told(error, database) from error
    try:
        session = Session(database, connection)
        limit = (f"max_statement_time = {statement_seconds:g}" if session.mariadb
                 else f"max_execution_time = {statement_seconds * 1000:.0f}")
        wait = max(1, round(statement_seconds))  # for somebody's ALTER TABLE; the server's default is a day
        session.rows(f"SET SESSION {limit}, lock_wait_timeout = {wait}, sql_select_limit = {most_rows}")
        yield session
    finally:
        connection.close()


def _way(database: Database, seconds: float) -> socket.socket:
    """A connected socket. PyMySQL's own would stay open where a unix socket refuses."""
    try:
        if not database.socket:
            return socket.create_connection((database.host, database.port), seconds)
        way = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            way.settimeout(seconds)
            way.connect(database.socket)
        except BaseException:
            way.close()
            raise
        return way
    except (OSError, UnicodeError) as error:  # UnicodeError: a host that cannot be a name
        raise DatabaseError(f"{database.place}: {_unreachable(error)}", 2002 if database.socket else 2003) from error


_DENIED: Final = (1142, 1143)  # for a table, for a column
_NO_RIGHT = re.compile(r"(?P<what>[A-Z ,]+) command denied to user '[^']*'@'[^']*'"
                       r"(?: for column '(?P<column>[^']*)' in| for) table [`'](?P<table>.*)[`']")

# MySQL's number -> what mends it; {message} is the server's own sentence, which never holds a password.
_MENDS: Final[dict[int, str]] = {
    1040: "too many connections: none is free; look who holds them with SHOW PROCESSLIST, or raise max_connections",
    1044: "user {user} may not use the database {database}: GRANT it, or correct `database`",
    1045: "access denied for user {user}: check user and password",
    1049: "there is no database {database}: correct `database`",
    1129: "the server blocks this machine after many broken connections: run `mysqladmin flush-hosts` there",
    1130: "the server takes no connections from this machine: create the user for this host, or use its socket",
    1146: "{message}: correct the name, or run the app's migrations",
    1203: "user {user} has all its connections open: another run hangs, or max_user_connections is too low",
    1205: "waited too long for a lock: {message}",
    1226: "user {user} has used up what it is granted: {message}",
    1227: "a right is missing: {message}; GRANT it to user {user}",
    1370: "a right is missing: {message}; GRANT it to user {user}",
    1698: "access denied for user {user}: the account belongs to the system user of that name; give it a password",
    1792: "the statement would write, and the agent only reads",
    1969: "the statement took too long and was ended",
    2006: "the server hung up",
    2013: "the server hung up or did not answer in time",
    3024: "the statement took too long and was ended",
}
_FALLBACK: Final = "{message} ({code})"


def _told(error: Exception, database: Database, account: str = "") -> DatabaseError:
    code, message = 0, str(error)
    if len(error.args) > 1 and isinstance(error.args[0], int):
        code, message = error.args[0] or 2006, str(error.args[1])  # 0: PyMySQL's own, after a connection was lost
    if code in _DENIED and (denied := _NO_RIGHT.match(message)):
        mend = _grant(denied, database, account)
    elif isinstance(error, RuntimeError):  # PyMySQL asks for a library that encrypts the password
        mend = "this account's password cannot be sent over TCP: use `socket`, or a mysql_native_password account"
    else:
        mend = _MENDS.get(code, _FALLBACK).format(
            user=database.user, database=database.database or "(none)", message=message.rstrip("."), code=code)
    return DatabaseError(f"{database.place}: {mend}", code)


def _unreachable(cause: BaseException) -> str:
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (ConnectionRefusedError, "nothing listens there: is the database running?"),
        (FileNotFoundError, "there is no such socket: is the database running?"),
        (PermissionError, "the agent may not open this socket"),
        (TimeoutError, "no answer in time"))
    for kind, says in kinds:
        if isinstance(cause, kind):
            return says
    return f"cannot connect: {cause}"


def _grant(denied: "re.Match[str]", database: Database, account: str) -> str:
    """The GRANT that is missing, ready to be pasted by an administrator; never one that would let the agent write."""
    if denied["what"] not in ("SELECT", "SHOW VIEW"):
        return _MENDS[1792]
    schema, _, table = denied["table"].replace("`", "").rpartition(".")
    column = f" ({denied['column']})" if denied["column"] else ""
    place = f"{schema or database.database or 'DATABASE'}.{table}"
    return f"a right is missing; as an administrator run: GRANT {denied['what']}{column} ON {place} TO {account}"
