"""The cooperative's database: its tables, believable books that balance, and a lot of them for measuring costs."""

import random
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from stack.mariadb import MariaDB

ZONE = ZoneInfo("Asia/Jakarta")  # whose days the books have
TABLES = Path(__file__).with_name("koperasi.sql")
PASSWORD = "rahasia-aplikasi"  # of the app's own account
KEYS = {"wa_provider": "fonnte", "fonnte_token": "KUNCI-FONNTE-RAHASIA", "twilio_token": "KUNCI-TWILIO-RAHASIA"}

# code, name, type, normal balance
ACCOUNTS = (
    ("1101", "Kas", "asset", "debit"), ("1102", "Bank", "asset", "debit"),
    ("1201", "Piutang Anggota", "asset", "debit"), ("1301", "Persediaan Barang", "asset", "debit"),
    ("1501", "Inventaris", "asset", "debit"),
    ("1502", "Akumulasi Penyusutan", "asset", "credit"), ("2101", "Simpanan Sukarela", "liability", "credit"),
    ("2102", "Utang Dagang", "liability", "credit"), ("3101", "Simpanan Pokok", "equity", "credit"),
    ("3102", "Simpanan Wajib", "equity", "credit"), ("3901", "Laba Ditahan", "equity", "credit"),
    ("4101", "Penjualan Toko", "revenue", "credit"), ("4201", "Jasa Pinjaman", "revenue", "credit"),
    ("5101", "Harga Pokok Penjualan", "expense", "debit"), ("5201", "Beban Gaji", "expense", "debit"),
    ("5202", "Beban Listrik dan Air", "expense", "debit"),
)
CATEGORIES = {"1": "Aset", "2": "Kewajiban", "3": "Modal", "4": "Pendapatan", "5": "Beban"}
ROLES = {"super_admin": "Super Admin", "manager": "Manager", "kasir": "Kasir", "anggota": "Anggota"}
NAMES = ("Siti Rahmawati", "Budi Santoso", "Agus Wijaya", "Dewi Lestari", "Rina Marlina", "Joko Susilo", "Sri Wahyuni",
         "Hendra Gunawan", "Yuli Astuti", "Bambang Setiawan", "Ratna Sari", "Eko Prasetyo")

Line = tuple[str, int, int]  # account code, debit, credit; whole Rupiah


def load(mariadb: MariaDB, database: str = "koperasi", now: datetime | None = None) -> None:
    """Make the database anew with tables, the app's account ("koperasi"@"%") and the seed."""
    mariadb.sql(f"DROP DATABASE IF EXISTS `{database}`; CREATE DATABASE `{database}`")
    mariadb.load(TABLES, database)
    mariadb.sql(f"CREATE USER IF NOT EXISTS koperasi@'%' IDENTIFIED BY '{PASSWORD}';"
                f"GRANT ALL ON `{database}`.* TO koperasi@'%'")
    seed(mariadb, database, now)


def seed(mariadb: MariaDB, database: str = "koperasi", now: datetime | None = None) -> None:
    """People, a year that was closed, sales and savings of this one. `now` is aware; rows are stored in UTC, and the
    books have the shop's days.

    2 users with role admin (one of them has the role super_admin), 1 manager, 1 cashier, 8 members; 3 sessions, one a
    guest's; 2 pending transactions, an hour and five hours old; 1 bank line of today, not reconciled yet; no job.
    """
    aware = now or datetime.now(UTC)
    today = aware.astimezone(ZONE).date()
    now = aware.astimezone(UTC).replace(tzinfo=None, microsecond=0)
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        connection.begin()
        _people(cursor, now)
        _accounts(cursor)
        for number, (day, told, lines) in enumerate(_year_before(today), 1):
            post(cursor, f"JU-{day:%Y%m}-{number:04}", day, told, lines)
        _sales(cursor, now, today)
        _small(cursor, now)
        connection.commit()


def post(cursor: Any, number: str, day: date, told: str, lines: list[Line], reference: int | None = None) -> None:
    """Write one posted journal entry with its lines, header totals as they add up."""
    cursor.execute(
        "INSERT INTO journal_entries (journal_number, reference_type, reference_id, transaction_date, description,"
        " total_debit, total_credit, status, created_by, posted_by, posted_at, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, 'posted', 1, 1, %s, %s, %s)",
        (number, "transaction" if reference else None, reference, day, told, sum(debit for _, debit, _ in lines),
         sum(credit for _, _, credit in lines), day, day, day))
    entry = cursor.lastrowid
    cursor.executemany(
        "INSERT INTO journal_entry_lines (journal_entry_id, account_id, debit, credit, description, created_at,"
        " updated_at) SELECT %s, id, %s, %s, %s, %s, %s FROM accounts WHERE code = %s",
        [(entry, debit, credit, told, day, day, code) for code, debit, credit in lines])


def _people(cursor: Any, now: datetime) -> None:
    cursor.executemany("INSERT INTO roles (name, label, is_system, created_at) VALUES (%s, %s, %s, %s)",
                       [(name, label, name == "super_admin", now) for name, label in ROLES.items()])
    cursor.executemany("INSERT INTO permissions (name, label, `group`) VALUES (%s, %s, %s)",
                       [("journal.post", "Posting jurnal", "akuntansi"), ("user.manage", "Kelola pengguna", "sistem")])
    cursor.execute("INSERT INTO role_permission SELECT r.id, p.id FROM roles r, permissions p WHERE r.id = 1")
    rights = [("admin", 1), ("admin", 2), ("pengurus", 2), ("pengurus", 3), *[("member", 4)] * (len(NAMES) - 4)]
    since = now - timedelta(days=200)
    cursor.executemany(
        "INSERT INTO users (name, email, password, role, role_id, phone, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        [(name, f"{name.split()[0].lower()}@koperasi.test", "$2y$10$" + "x" * 53, role, role_id,
          f"0812345678{number:02}", since, since)
         for number, (name, (role, role_id)) in enumerate(zip(NAMES, rights, strict=True))])
    cursor.executemany(
        "INSERT INTO members (user_id, member_number, name, nik, phone, address, join_date, created_at, updated_at)"
        " VALUES (%s, %s, %s, %s, %s, 'Jl. Melati No. 5, Bekasi', %s, %s, %s)",
        [(number, f"A{number:04}", name, f"32750112038500{number:02}", f"0812345678{number:02}", since, since, since)
         for number, name in enumerate(NAMES, 1)])
    cursor.executemany("INSERT INTO products (sku, name, price, stock) VALUES (%s, %s, %s, %s)",
                       [("8992761111111", "Beras 5 kg", 68000, 40), ("8992761222222", "Minyak 1 l", 17500, 120),
                        ("8992761333333", "Gula 1 kg", 15000, 80)])


def _accounts(cursor: Any) -> None:
    cursor.executemany("INSERT INTO account_categories (id, code, name) VALUES (%s, %s, %s)",
                       [(int(prefix), prefix, name) for prefix, name in CATEGORIES.items()])
    cursor.executemany(
        "INSERT INTO accounts (account_category_id, code, name, type, normal_balance) VALUES (%s, %s, %s, %s, %s)",
        [(int(code[0]), code, name, kind, normal) for code, name, kind, normal in ACCOUNTS])


def _year_before(today: date) -> list[tuple[date, str, list[Line]]]:
    """Last year in short: what it began with, its sum of sales and costs, and that its result was closed into 3901.

    Nothing on 1502: the app's Neraca adds an asset account whose normal balance is credit instead of subtracting it.
    """
    year = today.year - 1
    return [
        (date(year, 1, 1), "Saldo awal", [("1101", 25_000_000, 0), ("1102", 150_000_000, 0), ("1201", 80_000_000, 0),
         ("1301", 40_000_000, 0), ("1501", 24_000_000, 0), ("2101", 0, 90_000_000),
         ("2102", 0, 12_000_000), ("3101", 0, 60_000_000), ("3102", 0, 130_000_000), ("3901", 0, 27_000_000)]),
        (date(year, 6, 30), "Penjualan setahun", [("1101", 420_000_000, 0), ("4101", 0, 420_000_000)]),
        (date(year, 6, 30), "Jasa pinjaman setahun", [("1102", 9_600_000, 0), ("4201", 0, 9_600_000)]),
        (date(year, 6, 30), "HPP setahun", [("5101", 357_000_000, 0), ("1101", 0, 357_000_000)]),
        (date(year, 12, 1), "Gaji, listrik dan air", [("5201", 36_000_000, 0), ("5202", 4_800_000, 0),
         ("1102", 0, 40_800_000)]),
        (date(year, 12, 31), "Penutupan tahun buku", [("4101", 420_000_000, 0), ("4201", 9_600_000, 0),
         ("5101", 0, 357_000_000), ("5201", 0, 36_000_000), ("5202", 0, 4_800_000), ("3901", 0, 31_800_000)]),
    ]


def _sales(cursor: Any, now: datetime, today: date) -> None:
    """Two hundred sales of this year with their journals, some on credit, and two customers who are still to pay."""
    pick = random.Random(7)
    days = (today - date(today.year, 1, 1)).days
    for number in range(1, 201):
        day = date(today.year, 1, 1) + timedelta(days=days * number // 201)
        amount, credit = 500 * pick.randint(10, 900), number % 9 == 0
        invoice = f"TRX-{day:%Y%m%d}-{number:04}"
        _transaction(cursor, invoice, "credit" if credit else "completed", "credit" if credit else "cash", amount,
                     min(datetime(day.year, day.month, day.day, 4, 0), now))  # noqa: DTZ001 - as the app stores it
        cost = amount * 17 // 20
        post(cursor, f"JU-{day:%Y%m%d}-{number:04}", day, f"Penjualan {invoice}",
             [("1201" if credit else "1101", amount, 0), ("4101", 0, amount), ("5101", cost, 0), ("1301", 0, cost)],
             cursor.lastrowid)
    for hours, invoice in ((5, f"POS{now:%Y%m%d}914"), (1, f"POS{now:%Y%m%d}915")):
        _transaction(cursor, invoice, "pending", "midtrans", 125_000, now - timedelta(hours=hours))


def _transaction(cursor: Any, invoice: str, status: str, method: str, amount: int, at: datetime) -> None:
    cursor.execute(
        "INSERT INTO transactions (invoice_number, user_id, cashier_id, type, status, payment_method, total_amount,"
        " paid_amount, created_at, updated_at) VALUES (%s, 5, 4, %s, %s, %s, %s, %s, %s, %s)",
        (invoice, "online" if method == "midtrans" else "offline", status, method, amount,
         amount if status == "completed" else 0, at, at))


def _small(cursor: Any, now: datetime) -> None:
    """Sessions, audit rows, bank lines, settings."""
    seen = int(now.replace(tzinfo=UTC).timestamp()) - 60
    cursor.executemany("INSERT INTO sessions VALUES (%s, %s, '10.10.1.7', 'Mozilla/5.0', 'e30=', %s)",
                       [(uuid.uuid4().hex, user, seen) for user in (1, 4, None)])
    cursor.executemany(
        "INSERT INTO audit_logs (user_id, action, ip_address, description, created_at, updated_at)"
        " VALUES (%s, %s, '10.10.1.7', %s, %s, %s)",
        [(1 + number % 4, action, f"{action} oleh {NAMES[number % 4]}", now - timedelta(hours=number),
          now - timedelta(hours=number)) for number, action in enumerate(("login", "create", "update", "logout") * 10)])
    cursor.executemany(
        "INSERT INTO bank_transactions (transaction_date, reference_number, description, amount, type, status,"
        " created_at, updated_at) VALUES (%s, %s, %s, %s, 'credit', %s, %s, %s)",
        [(now - timedelta(days=3), "BCA-001", "Setoran toko", 2_500_000, "reconciled", now - timedelta(days=3), now),
         (now, "BCA-002", "Setoran toko", 1_750_000, "pending", now - timedelta(hours=2), now)])
    cursor.executemany("INSERT INTO ai_settings (`key`, value) VALUES (%s, %s)", list(KEYS.items()))
    cursor.execute("INSERT INTO settings (`key`, value, `group`, type)"
                   " VALUES ('koperasi_name', 'Koperasi Karyawan SKF', 'umum', 'string')")


def fill(mariadb: MariaDB, database: str = "koperasi", now: datetime | None = None, *, journal_lines: int = 1_000_000,
         transactions: int = 300_000, audit_rows: int = 1_000_000) -> None:
    """Five years of books on top of the seed, balanced as well (cash against Simpanan Wajib), for measuring costs."""
    entries = journal_lines // 2
    day = f"DATE '{now or datetime.now(UTC):%Y-%m-%d}' - INTERVAL FLOOR(({{count}} - seq) * 1825 / {{count}}) DAY"
    base = mariadb.sql("SELECT MAX(id) FROM journal_entries", database)[0][0]
    for statement in (
        f"INSERT INTO journal_entries (id, journal_number, transaction_date, description, total_debit, total_credit,"
        f" status, created_by, posted_by, posted_at, created_at, updated_at) SELECT {base} + seq, CONCAT('JM-', seq),"
        f" {day.format(count=entries)}, 'Simpanan wajib', 50000 + seq % 97, 50000 + seq % 97, 'posted', 1, 1,"
        f" {day.format(count=entries)}, {day.format(count=entries)}, {day.format(count=entries)}"
        f" FROM seq_1_to_{entries}",
        f"INSERT INTO journal_entry_lines (journal_entry_id, account_id, debit, credit, description)"
        f" SELECT {base} + (seq + 1) DIV 2, IF(seq % 2, (SELECT id FROM accounts WHERE code = '1101'),"
        f" (SELECT id FROM accounts WHERE code = '3102')), IF(seq % 2, 50000 + ((seq + 1) DIV 2) % 97, 0),"
        f" IF(seq % 2, 0, 50000 + ((seq + 1) DIV 2) % 97), 'Simpanan wajib' FROM seq_1_to_{2 * entries}",
        f"INSERT INTO transactions (invoice_number, user_id, cashier_id, type, status, payment_method, total_amount,"
        f" paid_amount, created_at, updated_at) SELECT CONCAT('LAMA-', seq), 1 + seq % 12, 4, 'offline', 'completed',"
        f" 'cash', 5000 + seq % 200000, 5000 + seq % 200000, {day.format(count=transactions)},"
        f" {day.format(count=transactions)}"
        f" FROM seq_1_to_{transactions}",
        f"INSERT INTO audit_logs (user_id, action, model_type, model_id, ip_address, description, created_at,"
        f" updated_at) SELECT 1 + seq % 4, ELT(1 + seq % 5, 'login', 'logout', 'create', 'update', 'delete'),"
        f" 'App\\\\Models\\\\Product', seq % 1000, '10.10.1.7', 'Perubahan data', {day.format(count=audit_rows)},"
        f" {day.format(count=audit_rows)}"
        f" FROM seq_1_to_{audit_rows}",
        "ANALYZE TABLE journal_entries, journal_entry_lines, transactions, audit_logs",
    ):
        mariadb.sql("SET unique_checks = 0, foreign_key_checks = 0; " + statement, database)
