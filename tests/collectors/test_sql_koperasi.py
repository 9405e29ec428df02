"""The koperasi preset against the app's real tables: what hangs, what does not balance, and what each look costs."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from collectors import sql, sql_keeping, sql_walk
from collectors.mysql_connection import Database
from collectors.sql import Sql
from collectors.sql_presets import FOLDER, load
from collectors.sql_queries import Query
from sql_looker import NOW, Looker, Read
from stack import koperasi
from stack.mariadb import NEEDS, MariaDB

pytestmark = pytest.mark.needs_debian(*NEEDS)

DAY = 86400.0
BOOKS = "koperasi_buku"  # a database of these tests' own
SEED: Read = {
    ("value", "sessions_online", "users"): 2, ("value", "sessions_online", "guests"): 1,
    ("value", "admin_users", ""): 4, ("seconds", "app_clock_ahead", ""): 0,
    ("value", "payments_pending", ""): 0, ("seconds", "payments_pending", ""): 0, ("rupiah", "payments_pending", ""): 0,
    ("value", "bank_unreconciled", ""): 0, ("seconds", "bank_unreconciled", ""): 0,
    ("rupiah", "bank_unreconciled", ""): 0,
    ("value", "books_unbalanced", "entries"): 0, ("value", "books_unbalanced", "headers"): 0,
    ("rupiah", "books_unbalanced", "entries"): 0, ("rupiah", "books_unbalanced", "headers"): 0,
    ("rupiah", "books_difference", "total"): 0, ("rupiah", "books_difference", "unclosed_year"): 0,
    ("rupiah", "books_difference", "contra_accounts"): 0, ("rupiah", "books_difference", "other"): 0,
    ("value", "books_difference", "unclosed_year"): 0, ("value", "books_difference", "contra_accounts"): 0,
    ("value", "books_difference", "other"): 0,
    ("full_pass_seconds", "payments_pending", ""): 0, ("full_pass_seconds", "bank_unreconciled", ""): 0,
    ("full_pass_seconds", "books", ""): 0,
}


class Books:
    """The seeded database and a look at it; `changed` is what a look says differently from the seed."""

    def __init__(self, server: MariaDB, looker: Looker) -> None:
        self.server, self.looker = server, looker

    def sql(self, statement: str) -> None:
        self.server.sql(statement, BOOKS)

    def changed(self, now: float = NOW) -> Read:
        read = self.looker.look(now)
        return {key: value for key, value in read.items()
                if key[0] != "full_pass_seconds" and SEED.get(key) != value and key[1] != "sessions_online"}


@pytest.fixture
def books(mariadb: MariaDB) -> Iterator[Books]:
    koperasi.load(mariadb, BOOKS, datetime.fromtimestamp(NOW, UTC))
    mariadb.sql(f"CREATE OR REPLACE USER jaga_buku@'%'; GRANT SELECT ON {BOOKS}.* TO jaga_buku@'%'")
    database = Database(port=mariadb.port, user="jaga_buku", database=BOOKS)
    yield Books(mariadb, Looker(Sql(database=database, presets=("koperasi",))))
    mariadb.sql(f"DROP DATABASE {BOOKS}")


@pytest.fixture
def small_bites(tmp_path: Path, books: Books) -> Books:
    """The same with chunks of 100, and every row but the new ones left to the night."""
    text = (FOLDER / "koperasi.toml").read_text().replace("chunk = 1000", "chunk = 100")
    file = tmp_path / "kecil.toml"
    file.write_text(text.replace('every = "5m"', 'every = "5m"\nagain = 0'))
    collector = Sql(database=books.looker.collector.database, presets=(str(file),))
    return Books(books.server, Looker(collector))


def test_books_that_nobody_began_to_keep_balance(books: Books) -> None:
    books.sql("; ".join(f"TRUNCATE {table}" for table in ("journal_entries", "journal_entry_lines", "transactions",
                                                          "bank_transactions")))
    assert books.changed() == {}
    assert books.looker.troubles == {}


def test_the_seed_is_in_order(books: Books) -> None:
    assert (books.looker.look(), books.looker.troubles, books.looker.notes) == (SEED, {}, {})


def test_a_journal_off_by_one_rupiah_is_seen_at_the_next_look_and_its_mend_too(books: Books) -> None:
    assert books.changed() == {}
    books.sql("UPDATE journal_entry_lines SET debit = debit + 1 WHERE debit > 0 ORDER BY id DESC LIMIT 1")
    assert books.changed(NOW + 240) == {}  # not asked yet
    assert books.changed(NOW + 300) == {
        ("value", "books_unbalanced", "entries"): 1, ("rupiah", "books_unbalanced", "entries"): 1,
        ("rupiah", "books_difference", "total"): 1, ("rupiah", "books_difference", "other"): 1,
        ("value", "books_difference", "other"): 1,
    }
    assert books.looker.notes == {("books_unbalanced", "entries"): "JU-20261121-0200 (2026-11-21)"}
    books.sql("UPDATE journal_entry_lines SET debit = debit - 1 WHERE debit > 0 ORDER BY id DESC LIMIT 1")
    assert books.changed(NOW + 600) == {}


def test_a_change_of_an_old_journal_is_seen_after_the_night_and_its_mend_at_the_next_look(small_bites: Books) -> None:
    books = small_bites
    assert books.changed() == {}
    books.sql("UPDATE journal_entry_lines SET debit = debit + 1 WHERE debit > 0 ORDER BY id LIMIT 1")
    books.sql("UPDATE journal_entry_lines SET credit = credit + 2 WHERE credit > 0 ORDER BY id DESC LIMIT 1")
    assert books.changed(NOW + 3600) == {}
    after_night = NOW + DAY * 17.25 / 24  # 03:15 WIB
    assert books.changed(after_night) == {
        ("value", "books_unbalanced", "entries"): 2, ("rupiah", "books_unbalanced", "entries"): 3,
        ("rupiah", "books_difference", "total"): -1, ("rupiah", "books_difference", "other"): -1,
        ("value", "books_difference", "other"): 1,
    }
    assert books.looker.notes == {
        ("books_unbalanced", "entries"): "JU-202501-0001 (2025-01-01), JU-20261121-0200 (2026-11-21)"}
    books.sql("UPDATE journal_entry_lines SET debit = debit - 1 WHERE debit > 0 ORDER BY id LIMIT 1")
    books.sql("UPDATE journal_entry_lines SET credit = credit - 2 WHERE credit > 0 ORDER BY id DESC LIMIT 1")
    assert books.changed(after_night + 300) == {}


def test_a_last_year_that_was_not_closed_is_told_apart_from_journals_that_do_not_balance(books: Books) -> None:
    books.sql("DELETE l FROM journal_entry_lines l JOIN journal_entries e ON e.id = l.journal_entry_id"
              " WHERE e.description = 'Penutupan tahun buku'")
    books.sql("DELETE FROM journal_entries WHERE description = 'Penutupan tahun buku'")
    assert books.changed() == {
        ("rupiah", "books_difference", "total"): 31_800_000,
        ("rupiah", "books_difference", "unclosed_year"): 31_800_000,
        ("value", "books_difference", "unclosed_year"): 1,
    }


def test_an_account_of_the_wrong_side_is_told_apart_too(books: Books) -> None:
    books.sql("UPDATE accounts SET normal_balance = 'credit' WHERE code = '1501'")  # 24 million lie there
    assert books.changed() == {
        ("rupiah", "books_difference", "total"): -48_000_000,
        ("rupiah", "books_difference", "contra_accounts"): -48_000_000,
        ("value", "books_difference", "contra_accounts"): 1,
    }


@pytest.mark.parametrize(("change", "other"), [
    ("UPDATE accounts SET type = 'asset' WHERE code = '4101'", "unlike"),  # this year's sales are no revenue any more
    ("UPDATE journal_entry_lines SET account_id = 999 WHERE debit = 25000000", "-25"),  # an account that is not there
])
def test_what_has_no_known_cause_is_other(books: Books, change: str, other: str) -> None:
    books.sql(change)
    changed = books.changed()
    assert changed[("value", "books_difference", "other")] == 1
    assert ("value", "books_unbalanced", "entries") not in changed
    total = changed[("rupiah", "books_difference", "total")]
    assert total == changed[("rupiah", "books_difference", "other")]
    assert other == "unlike" or total == -25_000_000


FAULTS = (
    "UPDATE journal_entry_lines SET debit = debit + {n} WHERE debit > 0 ORDER BY RAND({n}) LIMIT 3",
    "UPDATE journal_entry_lines SET credit = 0 WHERE credit > 0 ORDER BY RAND({n}) LIMIT 1",
    "DELETE FROM journal_entry_lines ORDER BY RAND({n}) LIMIT 2",
    "UPDATE journal_entries SET status = 'draft' ORDER BY RAND({n}) LIMIT 4",
    "UPDATE journal_entries SET transaction_date = transaction_date - INTERVAL {n} DAY ORDER BY RAND({n}) LIMIT 9",
    "UPDATE accounts SET normal_balance = IF(normal_balance = 'debit', 'credit', 'debit') ORDER BY RAND({n}) LIMIT 1",
    "UPDATE accounts SET type = ELT(1 + {n} % 5, 'asset', 'liability', 'equity', 'revenue', 'expense')"
    " ORDER BY RAND({n}) LIMIT 1",
    "UPDATE journal_entry_lines SET account_id = 1 + {n} % 20 ORDER BY RAND({n}) LIMIT 5",
    "DELETE FROM accounts ORDER BY RAND({n}) LIMIT 1",
)


@pytest.mark.parametrize("seed", range(4))
def test_the_difference_is_what_the_apps_own_neraca_shows(small_bites: Books, seed: int) -> None:
    """Against the facts' wording, account by account, whatever is wrong with the books; day and night say the same."""
    books, pick = small_bites, random.Random(seed)
    for night in range(3):
        books.sql("SET foreign_key_checks = 0; " + pick.choice(FAULTS).format(n=pick.randint(2, 400)))
        day = datetime.fromtimestamp(NOW + night * DAY, UTC).date()
        read = books.looker.look(NOW + night * DAY)
        assert read[("rupiah", "books_difference", "total")] == _neraca(books.server, day)
        parts = [read[("rupiah", "books_difference", item)] for item in ("unclosed_year", "contra_accounts", "other")]
        assert sum(parts) == read[("rupiah", "books_difference", "total")]


def _neraca(server: MariaDB, day: date) -> float:
    """Assets less liabilities and equity, as the app adds them up."""
    lines = server.sql(
        "SELECT a.code, a.type, a.normal_balance, e.transaction_date, l.debit, l.credit FROM journal_entry_lines l"
        " JOIN journal_entries e ON e.id = l.journal_entry_id JOIN accounts a ON a.id = l.account_id"
        f" WHERE e.status = 'posted' AND e.transaction_date <= '{day}'", BOOKS)
    balance, earnings = {"1": 0, "2": 0, "3": 0, "4": 0, "5": 0}, 0
    for code, kind, normal, on, debit, credit in lines:
        balance[code[0]] += debit - credit if normal == "debit" else credit - debit
        if kind in ("revenue", "expense") and on >= date(day.year, 1, 1):
            earnings += credit - debit
    return float(balance["1"] - balance["2"] - balance["3"] - earnings)


def test_what_is_no_fault_is_none(books: Books) -> None:
    """A draft, a reversal, a sale on credit, and what is dated tomorrow."""
    day = datetime.fromtimestamp(NOW, UTC).date()
    with books.server.connect(BOOKS) as connection, connection.cursor() as cursor:
        koperasi.post(cursor, "JU-BALIK", day, "Retur sebagian", [("4101", 10_000, 0), ("1101", 0, 10_000)])
        koperasi.post(cursor, "JU-KREDIT", day, "Penjualan kredit", [("1201", 7_500, 0), ("4101", 0, 7_500)])
        koperasi.post(cursor, "JU-BESOK", day + timedelta(days=1), "Besok", [("1101", 9_000, 0), ("4101", 0, 9_000)])
        koperasi.post(cursor, "JU-DRAF", day, "Belum selesai", [("1101", 5_000, 0)])
        cursor.execute("UPDATE journal_entries SET status = 'draft' WHERE journal_number = 'JU-DRAF'")
    assert books.changed() == {}


def test_a_header_that_differs_from_its_lines_is_told_by_its_number(books: Books) -> None:
    books.sql("UPDATE journal_entries SET total_debit = total_debit + 500 WHERE journal_number = 'JU-202506-0002'")
    books.sql("DELETE FROM journal_entry_lines WHERE journal_entry_id ="
              " (SELECT id FROM journal_entries WHERE journal_number = 'JU-202506-0003')")  # it has no line any more
    changed = books.changed()
    assert changed[("value", "books_unbalanced", "headers")] == 2
    assert changed[("rupiah", "books_unbalanced", "headers")] == 500 + 9_600_000
    assert ("value", "books_unbalanced", "entries") not in changed
    assert books.looker.notes[("books_unbalanced", "headers")] == (
        "JU-202506-0002 (2025-06-30), JU-202506-0003 (2025-06-30)")


def test_a_payment_counts_from_its_24th_hour_on_until_it_is_settled(books: Books) -> None:
    """The seed has one of five hours and one of an hour; created_at is UTC although the shop lives in WIB."""
    assert books.changed(NOW + 19 * 3600 - 120) == {}
    one = {("value", "payments_pending", ""): 1, ("seconds", "payments_pending", ""): 24 * 3600 + 180,
           ("rupiah", "payments_pending", ""): 125_000}
    assert books.changed(NOW + 19 * 3600 + 180) == one
    assert books.looker.notes == {("payments_pending", ""): "POS20261123914"}
    books.sql("UPDATE transactions SET status = 'paid' WHERE invoice_number = 'POS20261123914'")
    assert books.changed(NOW + 19 * 3600 + 240) == one  # what was known five minutes ago
    assert books.changed(NOW + 19 * 3600 + 480) == {}


def test_what_the_app_writes_in_another_zone_is_counted_in_that_zone(books: Books) -> None:
    database = books.looker.collector.database
    wib = Books(books.server, Looker(Sql(database=database, presets=("koperasi",), app_timezone="Asia/Jakarta")))
    assert wib.changed(NOW + 12 * 3600 - 60) == {}
    assert wib.changed(NOW + 12 * 3600 + 300)[("value", "payments_pending", "")] == 1  # seven hours earlier
    west = Books(books.server, Looker(Sql(database=database, presets=("koperasi",), app_timezone="America/New_York")))
    assert west.changed()[("seconds", "app_clock_ahead", "")] == 4 * 3600  # written an hour ago, five hours ahead


def test_an_old_payment_that_is_pending_again_is_seen_after_the_night(small_bites: Books) -> None:
    books = small_bites
    books.sql("UPDATE transactions SET status = 'paid' WHERE status = 'pending'")
    assert books.changed() == {}
    books.sql("UPDATE transactions SET status = 'pending' WHERE id = 1")
    assert books.changed(NOW + 3600) == {}
    assert books.changed(NOW + DAY)[("value", "payments_pending", "")] == 1


def test_a_bank_line_counts_from_its_import_on(books: Books) -> None:
    books.sql("UPDATE transactions SET status = 'paid'")
    assert books.changed(NOW + 21 * 3600) == {}
    assert books.changed(NOW + 22.5 * 3600) == {
        ("value", "bank_unreconciled", ""): 1, ("seconds", "bank_unreconciled", ""): 24.5 * 3600,
        ("rupiah", "bank_unreconciled", ""): 1_750_000,
    }
    assert books.looker.notes[("bank_unreconciled", "")] == "#2 (2026-11-23)"
    books.sql("UPDATE bank_transactions SET status = 'ignored'")
    assert ("value", "bank_unreconciled", "") not in books.changed(NOW + 23 * 3600)


def test_more_than_can_be_remembered_is_counted_all_the_same_and_memory_stays_small(
    small_bites: Books, monkeypatch: pytest.MonkeyPatch,
) -> None:
    books = small_bites
    books.sql("INSERT INTO transactions (invoice_number, status, total_amount, created_at)"
              " SELECT CONCAT('LAMA-', seq), 'pending', 10, '2026-01-01 00:00:00' FROM seq_1_to_3000")
    since = NOW - datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert books.changed() == {
        ("value", "payments_pending", ""): 3000, ("seconds", "payments_pending", ""): since,
        ("rupiah", "payments_pending", ""): 30_000}
    assert books.looker.notes == {("payments_pending", ""): "LAMA-1, LAMA-2, LAMA-3, LAMA-4, LAMA-5 +2995"}
    assert len(books.looker.memory) < 20_000
    books.sql("UPDATE transactions SET status = 'cancelled' WHERE invoice_number IN ('LAMA-1', 'LAMA-3000')")
    assert books.changed(NOW + 300)[("value", "payments_pending", "")] == 2999  # one of them is only counted by night
    assert books.changed(NOW + DAY)[("value", "payments_pending", "")] == 3000  # and two of the seed are old by now


def test_a_pass_goes_on_in_the_next_run_where_time_is_up_and_nothing_is_claimed_before(
    small_bites: Books, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sql, "_BUDGET", -1.0)  # one bite of each walk and run
    books = small_bites
    books.sql("UPDATE journal_entry_lines SET debit = debit + 1 WHERE debit > 0 ORDER BY id DESC LIMIT 1")
    seen = [books.looker.look(NOW + minute * 60).get(("value", "books_unbalanced", "entries")) for minute in range(4)]
    assert seen == [None, None, None, 1]  # 206 entries: three bites, and a fourth look finds the end
    assert json.loads(books.looker.memory)["books"]["base"]["kept"] == [206]
    assert books.looker.troubles == {}


def test_a_pass_that_a_night_overtook_is_begun_anew(small_bites: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_BUDGET", -1.0)
    small_bites.looker.look(NOW)
    assert json.loads(small_bites.looker.memory)["books"]["pass"]["day"] == "2026-11-23"
    small_bites.looker.look(NOW + 2 * DAY)
    under = json.loads(small_bites.looker.memory)["books"]["pass"]
    assert (under["day"], under["after"]) == ("2026-11-25", 100)


def test_a_table_that_was_emptied_or_restored_is_read_anew(small_bites: Books) -> None:
    books = small_bites
    books.sql("UPDATE journal_entry_lines SET debit = debit + 1 WHERE debit > 0 ORDER BY id LIMIT 1")
    assert books.changed()[("value", "books_unbalanced", "entries")] == 1
    books.sql("DELETE FROM journal_entry_lines; DELETE FROM journal_entries WHERE id > 3")
    changed = books.changed(NOW + 300)
    assert ("value", "books_unbalanced", "entries") not in changed
    assert changed[("value", "books_unbalanced", "headers")] == 3


def test_so_much_at_once_that_a_look_takes_long_is_told_and_left_to_the_night(
    small_bites: Books, monkeypatch: pytest.MonkeyPatch,
) -> None:
    books = small_bites
    assert books.changed() == {}
    books.sql("INSERT INTO journal_entries (journal_number, transaction_date, status)"
              " SELECT CONCAT('IMPOR-', seq), '2026-11-23', 'posted' FROM seq_1_to_300")
    monkeypatch.setattr(sql_keeping, "LOOK", -1.0)
    assert ("value", "books_unbalanced", "entries") not in books.looker.look(NOW + 300)  # unknown, not nought
    says = "the query has so much new since the night that it takes too long: it is read again by night"
    assert books.looker.troubles["books"] == says
    read = books.looker.look(NOW + DAY)
    assert read[("value", "books_unbalanced", "entries")] == 0
    assert "books" not in books.looker.troubles


def test_what_is_missing_in_the_schema_fails_alone(books: Books) -> None:
    books.sql("DROP TABLE bank_transactions; ALTER TABLE users DROP COLUMN is_active")
    read = books.looker.look()
    place = f"127.0.0.1:{books.server.port}"
    assert books.looker.troubles == {
        "admin_users": f"{place}: Unknown column 'u.is_active' in 'WHERE' (1054)",
        "bank_unreconciled": f"{place}: Table '{BOOKS}.bank_transactions' doesn't exist: correct the name, or run the "
                             "app's migrations",
    }
    assert read == {key: value for key, value in SEED.items() if key[1] not in books.looker.troubles}


def test_the_grants_that_are_printed_are_enough_and_open_no_personal_column(books: Books) -> None:
    books.server.sql(f"REVOKE ALL ON {BOOKS}.* FROM jaga_buku@'%'; GRANT SELECT (id) ON {BOOKS}.users TO jaga_buku@'%'")
    granted = []
    for _ in range(20):
        looker = Looker(books.looker.collector)
        read = looker.look()
        if not looker.troubles:
            break
        for says in set(looker.troubles.values()):
            assert len(says) < 280  # the log and the message cut what is longer
            granted.append(says.partition("run: ")[2])
            books.server.sql(granted[-1])
    assert read == SEED
    assert sorted(granted) == sorted(set(granted))
    opened = " ".join(granted)
    for column in ("email", "password", "payload", "ip_address", "phone", "notes", "description", "old_values", "name"):
        assert f" {column}" not in opened.replace("(id, name)", "")  # of roles and permissions the name is a right's


WALK = """
[hanging]
table = "transactions t"
key = "t.id"
rows = "SELECT t.id FROM hanging t WHERE :keys"
readings = [{ query = "hanging", of = "count" }]
"""


def test_a_walk_that_takes_too_long_or_counts_twice_fails_alone(
    books: Books, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "walk.toml").write_text(WALK)
    monkeypatch.setattr(sql_walk, "WITHIN", 0.2)
    books.sql("CREATE VIEW hanging AS SELECT id FROM transactions WHERE status = 'pending'")
    database = books.looker.collector.database
    looker = Looker(Sql(database=database, presets=(str(tmp_path / "walk.toml"),),
                        queries={"other": Query(sql="SELECT 7")}))
    seven = {("value", "other", ""): 7.0}
    assert looker.look() == {("value", "hanging", ""): 2, ("full_pass_seconds", "hanging", ""): 0} | seven
    books.sql("CREATE OR REPLACE VIEW hanging AS SELECT t.id FROM transactions t, seq_1_to_99999 a, seq_1_to_99999 b"
              " WHERE a.seq % 7 = b.seq % 9")
    assert looker.look(NOW + 300) == {("full_pass_seconds", "hanging", ""): 300} | seven
    assert looker.troubles == {"hanging": "the query gives a key twice in `rows`: GROUP BY the key"}
    books.sql("CREATE OR REPLACE VIEW hanging AS SELECT t.id FROM transactions t, seq_1_to_99999 a, seq_1_to_99999 b"
              " WHERE a.seq % 7 = b.seq % 9 GROUP BY t.id")
    assert looker.look(NOW + 600) == {("full_pass_seconds", "hanging", ""): 600} | seven
    assert looker.troubles == {
        "hanging": f"127.0.0.1:{books.server.port}: the statement took too long and was ended"}


def test_what_a_look_by_day_reads_does_not_grow_with_the_books(books: Books) -> None:
    """By the server's own count. The whole cost, in times and rows: benchmarks/database_cost.py."""
    koperasi.fill(books.server, BOOKS, datetime.fromtimestamp(NOW, UTC), journal_lines=40_000, transactions=20_000,
                  audit_rows=10)

    def rows_read(now: float) -> int:
        before = _rows_read(books.server)
        assert books.changed(now) == {}
        return _rows_read(books.server) - before

    by_night, by_day = rows_read(NOW), rows_read(NOW + 300)
    assert by_night > 100_000
    assert by_day < 20_000  # the newest 1,000 journals with two lines each and their accounts, payments, bank lines
    assert rows_read(NOW + 360) < 100  # who is online


def _rows_read(server: MariaDB) -> int:
    return sum(int(count) for _, count in server.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'"))


def test_the_page_grants_what_the_preset_reads_and_nothing_more() -> None:
    page = (Path(__file__).parents[2] / "docs/sql.md").read_text()
    granted = re.findall(r"^GRANT SELECT \((.*)\) ON koperasi\.(\w+) TO 'jaga'@'localhost';$", page, re.M)
    reads: dict[str, set[str]] = defaultdict(set)
    for what in load("koperasi").values():
        for table, columns in what.reads.items():
            reads[table] |= set(columns)
    assert {table: set(columns.split(", ")) for columns, table in granted} == reads
