"""What people read when money hangs or books do not balance: each fault made in the app's real tables, and mended."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from collectors.mysql import Mysql
from collectors.mysql_connection import Database
from collectors.sql import Sql
from collectors.sql_queries import Query
from golden import START, Told, same
from stack import koperasi
from stack.mariadb import NEEDS, MariaDB

pytestmark = pytest.mark.needs_debian(*NEEDS)

BOOKS = "koperasi_kabar"  # a database of these stories' own


class Story:
    """A day at the cooperative: what happens in the tables, and what is told of it."""

    def __init__(self, server: MariaDB) -> None:
        self.told = Told("sql", begin=START)
        self._server = server
        self._database = Database(port=server.port, user="jaga_kabar", database=BOOKS)
        self._collector = Sql(database=self._database, presets=("koperasi",), skip=("sessions_online",))

    def ask(self, name: str, statement: str) -> None:
        """Add a query of the operator's own."""
        self._collector = msgspec.structs.replace(self._collector, queries={name: Query(sql=statement)})

    def sql(self, statement: str) -> None:
        self._server.sql(statement, BOOKS)

    def look(self, minute: float) -> None:
        self.told.look("sql", self._collector, minute=minute)

    def same(self, name: str) -> None:
        same(f"sql-{name}", self.told.text(), scrub={
            f"127.0.0.1:{self._server.port}": "127.0.0.1:3306", BOOKS: "koperasi"})


@pytest.fixture
def story(mariadb: MariaDB) -> Iterator[Story]:
    koperasi.load(mariadb, BOOKS, datetime.fromtimestamp(START, UTC))
    mariadb.sql(f"CREATE OR REPLACE USER jaga_kabar@'%'; GRANT SELECT, EXECUTE ON {BOOKS}.* TO jaga_kabar@'%'")
    yield Story(mariadb)
    mariadb.sql(f"DROP DATABASE {BOOKS}")


def test_payments_that_hang(story: Story) -> None:
    story.sql("UPDATE bank_transactions SET status = 'reconciled'")
    story.look(minute=0)
    story.look(minute=24 * 60 + 5)  # the seed's two are older than 24 hours by now
    story.sql("UPDATE transactions SET status = 'paid' WHERE status = 'pending'")
    story.look(minute=24 * 60 + 11)
    story.same("payment-pending")


def test_bank_lines_that_nobody_reconciled(story: Story) -> None:
    story.sql("UPDATE transactions SET status = 'paid'")
    story.look(minute=0)
    story.look(minute=22 * 60 + 5)
    story.sql("UPDATE bank_transactions SET status = 'reconciled'")
    story.look(minute=22 * 60 + 11)
    story.same("bank-unreconciled")


def test_a_journal_off_by_one_rupiah(story: Story) -> None:
    story.look(minute=0)
    story.sql("UPDATE journal_entry_lines SET debit = debit + 1 WHERE journal_entry_id = 2 AND debit > 0")
    story.look(minute=6)
    story.sql("UPDATE journal_entry_lines SET debit = debit - 1 WHERE journal_entry_id = 2 AND debit > 0")
    story.look(minute=12)
    story.same("books-unbalanced-by-1")


def test_a_header_that_differs(story: Story) -> None:
    story.look(minute=0)
    story.sql("UPDATE journal_entries SET total_debit = 0 WHERE id = 2")
    story.look(minute=6)
    story.sql("UPDATE journal_entries SET total_debit = total_credit WHERE id = 2")
    story.look(minute=12)
    story.same("books-header")


def test_a_last_year_that_was_not_closed(story: Story) -> None:
    story.look(minute=0)
    story.sql("UPDATE journal_entries SET status = 'draft' WHERE description = 'Penutupan tahun buku'")
    story.look(minute=6)
    story.sql("UPDATE journal_entries SET status = 'posted'")
    story.look(minute=12)
    story.same("books-last-year-unclosed")


def test_an_account_of_the_wrong_side(story: Story) -> None:
    story.look(minute=0)
    story.sql("UPDATE accounts SET normal_balance = 'credit' WHERE code = '1501'")
    story.look(minute=6)
    story.sql("UPDATE accounts SET normal_balance = 'debit' WHERE code = '1501'")
    story.look(minute=12)
    story.same("books-contra-account")


def test_a_difference_without_a_known_cause(story: Story) -> None:
    story.look(minute=0)
    story.sql("UPDATE journal_entry_lines SET account_id = 999 WHERE journal_entry_id = 1 AND account_id = 1")
    story.look(minute=6)
    story.sql("UPDATE journal_entry_lines SET account_id = 1 WHERE journal_entry_id = 1 AND account_id = 999")
    story.look(minute=12)
    story.same("books-difference")


def test_a_table_that_the_update_of_the_app_took_away(story: Story) -> None:
    story.look(minute=0)
    story.sql("RENAME TABLE bank_transactions TO bank_mutations")
    for minute in (6, 7, 8, 9, 10):
        story.look(minute=minute)
    story.sql("RENAME TABLE bank_mutations TO bank_transactions")
    story.look(minute=17)
    story.same("table-missing")


def test_a_clock_in_another_zone(story: Story) -> None:
    story.sql("UPDATE transactions SET created_at = created_at + INTERVAL 7 HOUR WHERE status = 'pending'")
    story.look(minute=0)
    story.sql("UPDATE transactions SET created_at = created_at - INTERVAL 7 HOUR WHERE status = 'pending'")
    story.look(minute=11)
    story.same("app-clock-ahead")


def test_a_query_that_would_write_behind_our_back(story: Story) -> None:
    """Read by its words it is harmless: the function that it calls writes. The server refuses."""
    story.sql("CREATE FUNCTION bayar(nomor INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA"
              " BEGIN UPDATE transactions SET status = 'paid' WHERE id = nomor; RETURN 1; END")
    story.ask("dibayar", "SELECT bayar(id) AS value FROM transactions WHERE status = 'pending' LIMIT 1")
    for minute in (0, 1, 2, 3):
        story.look(minute=minute)
    story.ask("dibayar", "SELECT COUNT(*) FROM transactions WHERE status = 'pending' AND id > 200")
    story.look(minute=4)
    story.same("query-refused")


def test_a_dead_database_is_one_message(tmp_path: Path) -> None:
    """What was wrong in the books before is unknown meanwhile, and neither over nor told again."""
    with MariaDB(tmp_path / "database") as server:
        koperasi.load(server, now=datetime.fromtimestamp(START, UTC))
        server.sql("CREATE USER jaga_kabar@'%'; GRANT SELECT ON koperasi.* TO jaga_kabar@'%';"
                   "GRANT PROCESS, SHOW VIEW ON *.* TO jaga_kabar@'%'")
        database = Database(port=server.port, user="jaga_kabar", database="koperasi")
        watched = {"mysql": Mysql(port=server.port, user="jaga_kabar", slow_log="off"),
                   "sql": Sql(database=database, presets=("koperasi",))}
        told = Told(*watched, begin=START)

        def look(minute: int) -> None:
            for name, collector in watched.items():
                told.look(name, collector, minute=minute)

        off = "UPDATE journal_entry_lines SET debit = debit + {} WHERE journal_entry_id = 2 AND debit > 0"
        server.sql(off.format(1), "koperasi")
        look(0)
        assert told.open == ["books_difference", "books_unbalanced"]  # the second explains the first
        server.stop()
        for minute in range(1, 8):
            look(minute)
        server.start()
        server.sql(off.format(-1), "koperasi")
        for minute in range(8, 15):
            look(minute)
    assert told.open == []
    assert told.subjects == [
        "[Jaga PERINGATAN] M4J Jurnal yang tidak seimbang (debit dan kredit berbeda): 1",
        "[Jaga KRITIS] D6P Database di server tidak menjawab",
        "[Jaga SELESAI] D6P Database di server tidak menjawab (7 menit)",
        "[Jaga SELESAI] M4J Jurnal yang tidak seimbang (debit dan kredit berbeda): 1 (8 menit)",
    ]
