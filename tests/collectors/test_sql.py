"""The sql collector against a real MariaDB: own queries, limits, refusals by the server, what is held between."""

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from collectors import sql
from collectors.base import Run
from collectors.mysql_connection import Database, DatabaseError
from collectors.sql import Sql
from collectors.sql_queries import Query
from house import free_port
from sql_looker import NOW, Looker, Read
from stack.mariadb import NEEDS, MariaDB

pytestmark = pytest.mark.needs_debian(*NEEDS)

K = Database(database="k")


@pytest.fixture(scope="module")
def shop(mariadb: MariaDB) -> Iterator[MariaDB]:
    """A small database of its own, and an account that may read it."""
    mariadb.sql("CREATE DATABASE toko; USE toko;"
                "CREATE TABLE sales (id INT PRIMARY KEY, kind VARCHAR(60), amount DECIMAL(15,2), at DATETIME);"
                "INSERT INTO sales VALUES (1, 'tunai', 1000, '2026-11-23 01:00:00'), (2, 'tunai', 500.50, NULL),"
                " (3, 'kredit', 250, '2026-11-22 02:00:00');"
                "CREATE FUNCTION pay(n INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA"
                " BEGIN UPDATE sales SET amount = 0 WHERE id = n; RETURN n; END;"
                "CREATE USER tamu@'%'; GRANT SELECT, EXECUTE ON toko.* TO tamu@'%'")
    yield mariadb
    mariadb.sql("DROP DATABASE toko; DROP USER tamu@'%'")


@pytest.fixture
def asking(shop: MariaDB) -> Callable[..., Looker]:
    def make(**queries: Query) -> Looker:
        return Looker(Sql(database=Database(port=shop.port, user="tamu", database="toko"), queries=queries))
    return make


@pytest.mark.parametrize(("query", "read"), [
    (Query(sql="SELECT COUNT(*) FROM sales"), {("value", "q", ""): 3}),
    (Query(sql="SELECT SUM(amount) AS value, 'x' AS other FROM sales", unit="rupiah"), {("rupiah", "q", ""): 1750.5}),
    (Query(sql="SELECT kind, SUM(amount) AS total FROM sales GROUP BY kind", value="total", items=("kind",),
           unit="rupiah"), {("rupiah", "q", "tunai"): 1500.5, ("rupiah", "q", "kredit"): 250}),
    (Query(sql="SELECT kind, id % 2 AS odd, COUNT(*) AS value FROM sales GROUP BY kind, odd", items=("kind", "odd")),
     {("value", "q", "tunai/1"): 1, ("value", "q", "tunai/0"): 1, ("value", "q", "kredit/1"): 1}),
    (Query(sql="SELECT amount FROM sales WHERE id = 9"), {}),  # no row is no reading, and no failure
    (Query(sql="SELECT 0.25", unit="ratio"), {("ratio", "q", ""): 0.25}),
    (Query(sql="SELECT COUNT(*) FROM (SELECT DISTINCT seq FROM seq_1_to_500) many"), {("value", "q", ""): 500}),
    (Query(sql="SELECT 'tunai%', 4096 AS value", unit="bytes"), {("bytes", "q", ""): 4096}),
    (Query(sql="SHOW VARIABLES LIKE 'lower_case_table_names'", value="Value"), {("value", "q", ""): 0}),
    (Query(sql="SELECT TIMESTAMPDIFF(SECOND, MAX(at), :now) FROM sales", unit="seconds"), {("seconds", "q", ""): 7200}),
    (Query(sql="SELECT :unix_now"), {("value", "q", ""): NOW}),
    (Query(sql="SELECT YEAR(:new_year) * 10000 + MONTH(:today) * 100 + DAY(:today)"), {("value", "q", ""): 20261123}),
])
def test_an_answer_becomes_readings_in_its_unit(asking: Callable[..., Looker], query: Query, read: Read) -> None:
    looker = asking(q=query)
    assert (looker.look(), looker.troubles) == (read, {})


@pytest.mark.parametrize(("query", "says"), [
    (Query(sql="SELECT SUM(amount) FROM sales WHERE id > 9"),
     "the query gives NULL as SUM(amount): write COALESCE(SUM(amount), 0) where nothing means nought"),
    (Query(sql="SELECT kind FROM sales WHERE id = 1"), "the query gives something as kind that is no number"),
    (Query(sql="SELECT 1 AS a, 2 AS b"), 'the query gives no column "value": it has a, b'),
    (Query(sql="SELECT 1", items=("shop",)), 'the query gives no column "shop": it has 1'),
    (Query(sql="SELECT amount AS value FROM sales"),
     "the query gives two rows of the same name: put the columns that tell them apart into `items`"),
    (Query(sql="SELECT id, 1 AS value FROM sales", items=("id",), rows=2),
     "the query gives more than 2 rows: add them up, or raise `rows`"),
    (Query(sql="SELECT 'siti@koperasi.test' AS who, 1 AS value", items=("who",)),
     "the query has an e-mail address or a person's number in `items`: choose a column that names nobody"),
    (Query(sql="SELECT '081234567890' AS who, 1 AS value", items=("who",)),
     "the query has an e-mail address or a person's number in `items`: choose a column that names nobody"),
    (Query(sql="SELECT 1 FROM penjualan"),
     "HOST: Table 'toko.penjualan' doesn't exist: correct the name, or run the app's migrations"),
    (Query(sql="SELECT jumlah FROM sales"), "HOST: Unknown column 'jumlah' in 'SELECT' (1054)"),
    (Query(sql="SELECT pay(1)"), "HOST: the statement would write, and the agent only reads"),
    (Query(sql="SELECT COUNT(*) FROM seq_1_to_99999 a, seq_1_to_99999 b WHERE a.seq % 7 = b.seq % 9", within=0.05),
     "HOST: the statement took too long and was ended"),
])
def test_what_has_no_answer_says_why_and_leaves_its_siblings_alone(
    shop: MariaDB, asking: Callable[..., Looker], query: Query, says: str,
) -> None:
    looker = asking(q=query, other=Query(sql="SELECT 7"))
    assert looker.look() == {("value", "other", ""): 7}
    assert looker.troubles == {"q": says.replace("HOST", f"127.0.0.1:{shop.port}")}
    assert shop.sql("SELECT SUM(amount) FROM toko.sales")[0][0] == 1750.5  # what would write wrote nothing


def test_a_query_is_asked_in_its_own_time_and_its_answer_holds_between(
    shop: MariaDB, asking: Callable[..., Looker],
) -> None:
    looker = asking(slow=Query(sql="SELECT COUNT(*) FROM sales", every=3600.0),
                    quick=Query(sql="SELECT COUNT(*) FROM sales", every=60.0))
    told = {("value", "slow", ""): 3, ("value", "quick", ""): 3}
    assert looker.look() == told
    shop.sql("INSERT INTO toko.sales VALUES (4, 'tunai', 1, NULL)")
    assert looker.look(NOW + 30) == told
    assert looker.look(NOW + 60) == told | {("value", "quick", ""): 4}
    assert looker.look(NOW + 3600) == {("value", "slow", ""): 4, ("value", "quick", ""): 4}
    shop.sql("DELETE FROM toko.sales WHERE id = 4")
    assert looker.look(NOW - 3600) == told  # the clock was set back: what was asked in the future is asked anew


def test_a_query_that_fails_is_left_alone_for_a_while_and_its_old_answer_is_no_answer(
    shop: MariaDB, asking: Callable[..., Looker],
) -> None:
    looker = asking(q=Query(sql="SELECT COUNT(*) FROM sales", every=60.0))
    assert looker.look() == {("value", "q", ""): 3}
    shop.sql("RENAME TABLE toko.sales TO toko.gone")
    assert looker.look(NOW + 60) == {}
    trouble = looker.troubles
    assert "'toko.sales' doesn't exist" in trouble["q"]
    shop.sql("RENAME TABLE toko.gone TO toko.sales")
    assert (looker.look(NOW + 120), looker.troubles) == ({}, trouble)  # not asked yet, and not forgotten
    assert (looker.look(NOW + 361), looker.troubles) == ({("value", "q", ""): 3}, {})


def test_a_query_that_was_changed_is_asked_at_once(asking: Callable[..., Looker]) -> None:
    looker = asking(q=Query(sql="SELECT 1", every=3600.0))
    assert looker.look() == {("value", "q", ""): 1}
    changed = asking(q=Query(sql="SELECT 2", every=3600.0))
    changed.memory = looker.memory
    assert changed.look(NOW + 60) == {("value", "q", ""): 2}
    renamed = asking(other=Query(sql="SELECT 2", every=3600.0))
    renamed.memory = changed.memory
    assert renamed.look(NOW + 120) == {("value", "other", ""): 2}
    assert set(json.loads(renamed.memory)) == {"other"}


def test_where_no_server_is_the_run_fails_as_a_whole() -> None:
    port = free_port()
    collector = Sql(database=Database(port=port, database="toko"), queries={"q": Query(sql="SELECT 1")})
    with pytest.raises(DatabaseError) as failed:
        list(collector.collect(Run(NOW)))
    assert str(failed.value) == f"127.0.0.1:{port}: nothing listens there: is the database running?"


def test_a_connection_that_is_lost_in_the_middle_fails_the_run_instead_of_each_query(
    shop: MariaDB, asking: Callable[..., Looker],
) -> None:
    shop.sql("GRANT CONNECTION ADMIN ON *.* TO tamu@'%'")  # so that a function of its own may hang up
    shop.sql("CREATE FUNCTION toko.hang_up() RETURNS INT READS SQL DATA BEGIN KILL CONNECTION_ID(); RETURN 1; END")
    looker = asking(a=Query(sql="SELECT 1"), b=Query(sql="SELECT hang_up()"), c=Query(sql="SELECT 3"))
    with pytest.raises(DatabaseError, match=r"hung up|interrupted|lost"):
        looker.look()
    assert looker.memory == "{}"  # a failed run commits nothing


@pytest.mark.parametrize(("options", "says"), [
    ({"database": Database()}, 'database has no schema: add database = "koperasi" to it'),
    ({}, 'presets and queries are both empty, so nothing is asked: add presets = ["koperasi"]'),
    ({"presets": ("koprasi",)},
     'presets names "koprasi", which is not there: write "koperasi", or the path of a file'),
    ({"presets": ("koperasi",), "skip": ("books", "sesions_online")},
     'skip names "sesions_online", which no preset asks: there is admin_users, app_clock_ahead, bank_unreconciled,'
     " books, payments_pending, sessions_online"),
    ({"presets": ("koperasi",), "app_timezone": "WIB"},
     'app_timezone is no time zone that this machine knows: write "Asia/Jakarta"'),
    ({"presets": ("koperasi",), "night": "3 pagi"}, 'night is no time of day: write it as "03:00"'),
])
def test_a_wrong_configuration_says_what_is_wrong(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        Sql(**{"database": K, **options})
    assert str(refused.value) == says


@pytest.mark.parametrize(("text", "says"), [
    ("[q]\nsql = 'DELETE FROM t'",
     '[q]: sql begins with "DELETE": only SELECT, WITH and SHOW read and do nothing else'),
    ("[q]\nsql = 'SELECT 1'\nevery = 'often'", '[q]: is not a duration: write "90s", "5m", "4h" or "1d"'),
    ("[q]\nsql = 'SELECT 1'\nunit = 'dollar'", "[q]: Invalid enum value 'dollar' - at `$.unit`"),
    ("[q]\ntable = 't'\nkey = 'id'\nreadings = []\nrows = 'SELECT id FROM t'",
     "[q]: rows must have WHERE :keys, or it would read the whole table each time"),
    ("[q]\ntable = 't; DROP TABLE t'\nkey = 'id'\nreadings = []\nrows = 'SELECT id FROM t WHERE :keys'",
     '[q]: table must be a name, such as "journal_entries e" and "e.id"'),
    ("[q]\ntabel = 't'\nsql = 'SELECT 1'", "[q]: Object contains unknown field `tabel`"),
])
def test_an_own_preset_with_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "toko.toml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"\w") as refused:
        Sql(database=K, presets=(str(file),))
    assert str(refused.value).startswith(f"presets: toko.toml, {says}")


def test_the_app_is_discovered_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_APP", str(tmp_path / "artisan"))
    monkeypatch.setattr(sql, "_SOCKET", str(tmp_path / "mysqld.sock"))
    assert Sql.discover() is None
    (tmp_path / "artisan").touch()
    (tmp_path / "mysqld.sock").touch()
    section = tomllib.loads(Sql.discover() or "")["collectors"]["sql"]
    assert section == {"presets": ["koperasi"],
                       "database": {"socket": str(tmp_path / "mysqld.sock"), "database": "koperasi"}}
    Sql(database=Database(**section["database"]), presets=tuple(section["presets"]))
