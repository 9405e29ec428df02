"""Masking: whom it happened to goes, what happened stays, and no line is dear."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.masking import masked, shape, statement

LINES = [
    ("Saldo anggota tidak cukup", None),
    ("SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry 'budi@skf.co.id' for key "
     "'users_email_unique' (Connection: mysql, SQL: insert into `users` (`name`, `email`) values (Budi, S.E., "
     "budi@skf.co.id))",
     "SQLSTATE[23000]: Integrity constraint violation: 1062 Duplicate entry '***' for key 'users_email_unique' "
     "(Connection: mysql, SQL: insert into `users` (`name`, `email`) values (?))"),
    ("SQLSTATE[42S02]: Base table or view not found: 1146 Table 'koperasi.jobs' doesn't exist (SQL: select * from jobs "
     "where nama like %budi% limit 1)",
     "SQLSTATE[42S02]: Base table or view not found: 1146 Table 'koperasi.jobs' doesn't exist (SQL: select * from jobs "
     "where ? like ? limit ?)"),
    ("Data truncated for column 'status' at row 1 (SQL: update `transactions` set `status` = failed where `id` = 12)",
     "Data truncated for column 'status' at row 1 (SQL: update `transactions` set `status` = ? where `id` = ?)"),
    ("SQLSTATE[HY000] [1045] Access denied for user 'koperasi'@'localhost' (using password: YES)", None),
    ("SQLSTATE[HY000] [2002] Connection refused (Connection: mysql, Host: 127.0.0.1, Port: 3306, Database: koperasi, "
     "SQL: select 1)",
     "SQLSTATE[HY000] [2002] Connection refused (Connection: mysql, Host: 127.0.0.1, Port: 3306, Database: koperasi, "
     "SQL: select ?)"),
    ("Unknown column 'foo' in 'field list'", None),
    ('Undefined array key "total" in /var/www/koperasi/app/X.php:45', None),
    ('Attempt to read property "name" on null', None),
    ('Class "App\\Services\\Loan" not found', None),
    ("No query results for model [App\\Models\\User] 7", None),
    ("Order POS20251225914 (TRX-20260118-0001) ditolak: HTTP 404 setelah 30001 ms", None),
    ("Allowed memory size of 134217728 bytes exhausted (tried to allocate 20480 bytes)", None),
    ("connect to 10.200.100.105:33060 failed, 3 tries, 15.25 s", None),
    ("Pelanggan 'Budi Santoso' tidak ada", "Pelanggan '***' tidak ada"),
    ("it's Budi's", None),
    ('{"name":"Budi","amount":15000,"ok":true}', '{"name":"***","amount":***,"ok":true}'),
    ("Kurang Rp 1.500.000,00 dari Rp2.000.000 dan IDR 50000", "Kurang Rp *** dari Rp *** dan IDR ***"),
    ("saldo: 1234567, total_bayar=75000.00", "saldo: ***, total_bayar=***"),
    ("selisih -1.250.000 / 1,250,000.50 / 99750.25 / 12500", "selisih -*** / *** / *** / ***"),
    ("NIK 3201011203850001 rekening 0123456789012", "NIK *** rekening ***"),
    ("WA 0812-3456-7890, +62 812 3456 7890, 6281234567890", "WA ***, ***, ***"),
    ("WA 0812.3456.7890, NIK 3173-0512-0190-0001 atau 3173 0512 0190 0001, rekening 123-456-7890",
     "WA ***, NIK *** atau ***, rekening ***"),
    ("pada 2026-11-22 10:00:00, 12345678-1234-4567-8901-12345678901f, HTTP 500 503, 10.20.300.1", None),
    ("key base64:Zm9v+YmFy/YmF6cXV4cXV1eGNvcmdlZ3JhdWx0Z2E= salah", "key base64:*** salah"),
    ("secret_key=ab1 kata sandi: rahasia, AWS_SECRET_ACCESS_KEY=wJal/x X-API-KEY: b2 server-key=c3",
     "secret_key=*** kata sandi: ***, AWS_SECRET_ACCESS_KEY=*** X-API-KEY: *** server-key=***"),
    ("foreign key: loans_user_id, primary key id, shipping: cepat", None),
    ("to siti.aminah+x@mail.skf.co.id.", "to s***@mail.skf.co.id."),
    ("GET https://u:rahasia@api.fonnte.com/send?token=abc&target=0812 gagal",
     "GET https://***@api.fonnte.com/send?*** gagal"),
    ("https://api.telegram.org/bot123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/sendMessage",
     "https://api.telegram.org/bot***/sendMessage"),
    ("Authorization: Bearer eyJhbGciOi.eyJzdWIi.c2ln password=rahasia api_key => 'x1'",
     "Authorization: *** *** password=*** api_key => '***'"),
    ("server key SB-Mid-server-AbCdEfGhIj or Mid-client-Zz9", "server key *** or ***"),
    ("session 8f14e45fceea167a5a36dedd4bea2543 abcDEF0123456789abcDEF0123", "session *** ***"),
    ("two\nlines\tand \x1b[31mred\x1b[0m \u202eback", "two lines and [31mred [0m back"),
    ("", None),
]


@pytest.mark.parametrize(("line", "told"), LINES)
def test_what_happened_stays_and_whom_it_happened_to_goes(line: str, told: str | None) -> None:
    assert masked(line, 500) == (line if told is None else told)


@pytest.mark.parametrize(("sql", "form"), [
    ("select sleep(0.3);", "select sleep(?)"),
    ("select count(*), sleep(0.25) from simpanan where nama like '%u%'",
     "select count(*), sleep(?) from simpanan where nama like ?"),
    ("insert into t1 (a,b) values (1,'x''y'), (2,\"z\\\"q\"),(-3, NULL)",
     "insert into t1 (a,b) values (?),(?, NULL)"),
    ("select `a1`, t1.b2 from t1 where id in (1, 2,3) and h=0xFF and n = 'cut",
     "select `a1`, t1.b2 from t1 where id in (?) and h=? and n = ?"),
    ("/* budi */ select 1 -- siti\nfrom dual # ani", "select ? from dual"),
    ("select  nama\nfrom `2026` where x = 1e-5", "select nama from `2026` where x = ?"),
    ("update users set password = X'616263', name = _utf8mb4'Budi' where id=5",
     "update users set password = ?, name = _utf8mb4? where id=?"),
])
def test_a_statement_keeps_its_form_and_loses_its_values(sql: str, form: str) -> None:
    assert statement(sql) == form


@pytest.mark.parametrize(("one", "other", "same"), [
    ("Stok produk 12 habis", "Stok produk 7 habis", True),
    ("Stok produk 12 habis", "Harga produk 12 kosong", False),
    ("Gagal kirim ke Budi Santoso: timeout", "Gagal kirim ke Siti: timeout", True),
    ("Undefined array key \"total\"", "Undefined array key \"saldo\"", False),
    ("file /tmp/a1.png 300x200", "file /tmp/b22.png 10x10", True),
])
def test_the_shape_of_a_message_is_what_stays_the_same(one: str, other: str, same: bool) -> None:
    assert (shape(one) == shape(other)) is same


PERSONAL = st.one_of(
    st.from_regex(r"[a-z]{3,10}\.[a-z]{3,10}@[a-z]{3,8}\.(?:com|co\.id)", fullmatch=True),
    st.from_regex(r"(?:\+62|62|0)8[1-9][0-9]{8,9}", fullmatch=True),
    st.from_regex(r"(?:32|31|33)[0-9]{14}", fullmatch=True),
    st.from_regex(r"Rp ?[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,3}", fullmatch=True),
    st.from_regex(r"'[A-Z][a-z]{3,9} [A-Z][a-z]{3,9}'", fullmatch=True),
)


@settings(max_examples=300, deadline=None)
@given(secret=PERSONAL, before=st.sampled_from(["", "untuk ", "anggota=", "(", "ke: ", "[", '{"x":"', "values (a, "]),
       after=st.sampled_from(["", ".", ", gagal", ")", "]", '"}', ": ditolak", "\n"]))
def test_personal_data_does_not_come_through(secret: str, before: str, after: str) -> None:
    told = masked(f"Gagal {before}{secret}{after}")
    assert secret not in told
    assert not re.search(r"\d{5}", told)
    assert secret.strip("'").partition("@")[0] not in told


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("'\"`@.:/?=*(),-#0123 SQL: Rp")), max_size=1500),
       st.integers(1, 400))
def test_any_text_becomes_one_short_printable_line(text: str, length: int) -> None:
    for deed in (masked, statement, shape):
        told = deed(text, length)
        assert len(told) <= length
        assert not re.search(r"[\x00-\x1f\x7f]", told)


@pytest.mark.parametrize("unit", [
    "a", "1", "a.", "1.", "1,", "'", '"', "saldo", "token", "total ", "@", "a@", "a.b@", "-", "Ab1", "( ", "?,",
    "SQL: a", "`a", "Rp", "\\", "'a", "1-", "Mid-", "A ", "://", "?a=", "eyJ", "key '", "/*", "x'", "--", "(?,", " ",
    "\0",
])
def test_a_hostile_line_is_not_dear(unit: str) -> None:
    began = time.process_time()
    for deed in (masked, statement, shape):
        deed(unit * 500_000)
    assert time.process_time() - began < 0.5
