"""The dump judge: what is readable text, and what ends as a whole dump of its kind does."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files_dump import Dump, Judged
from stack import backups, koperasi
from stack.mariadb import NEEDS, MariaDB

# mysqldump as spatie's db-dumper calls it (--skip-comments); byte for byte from MariaDB 10.11, shortened
SPATIE = rb"""/*M!999999\- enable the sandbox mode */

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;
DROP TABLE IF EXISTS `users`;
CREATE TABLE `users` (
  `id` bigint(20) unsigned NOT NULL
) ENGINE=InnoDB;
INSERT INTO `users` VALUES (1);
CREATE TABLE `transactions` (
  `id` bigint(20) unsigned NOT NULL
) ENGINE=InnoDB;
INSERT INTO `transactions` VALUES (1),(2);
/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;
/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;

"""
COMMENTED = b"-- MySQL dump 10.13  Distrib 8.0.44\n--\n" + SPATIE.partition(b"\n")[2]
COMPLETED = COMMENTED + b"-- Dump completed on 2026-11-22  1:00:03\n"
APP = b"""-- Backup Koperasi\n-- 2026-11-22 01:00:02\n\nSET FOREIGN_KEY_CHECKS=0;\n
DROP TABLE IF EXISTS `users`;\nCREATE TABLE `users` (\n  `id` bigint\n);\n
INSERT INTO `users` VALUES ('1', 'baris\nCREATE TABLE bukan');\n
SET FOREIGN_KEY_CHECKS=1;\n"""
NOTE_VERBOSITY = SPATIE.replace(b"/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */",
                                b"/*M!100616 SET NOTE_VERBOSITY=@OLD_NOTE_VERBOSITY */")
POSTGRES = (b"--\n-- PostgreSQL database dump\n--\n\nCREATE TABLE public.users (\n);\n\n"
            b"--\n-- PostgreSQL database dump complete\n--\n\n")
TWO = frozenset({"users", "transactions"})


def judged(content: bytes, ends_with: str = "", step: int = 1 << 20) -> Judged:
    dump = Dump(ends_with)
    for at in range(0, len(content), step):
        dump.feed(content[at: at + step])
    return dump.judged()


@pytest.mark.parametrize(("content", "tables"), [
    (SPATIE, TWO), (SPATIE.partition(b"\n")[2], TWO), (COMPLETED, TWO), (NOTE_VERBOSITY, TWO),
    (COMMENTED + b"-- Dump completed\n", TWO), (b"\xef\xbb\xbf" + COMPLETED, TWO),
    (COMPLETED.replace(b"\n", b"\r\n"), TWO), (APP, frozenset({"users"})),
])
def test_a_whole_dump_of_each_kind_is_complete(content: bytes, tables: frozenset[str]) -> None:
    assert judged(content) == Judged("", "", tables)


CUT = len(COMMENTED) - 150
FAULTS = [
    # content, unreadable, incomplete (None: that cannot be told)
    (b"", "is empty", None),
    (b"\n \r\n", "holds 4 blank bytes and no text", None),
    (b"\0" * 5000, "holds NUL bytes from byte 0 on, 5000 of them at the end", None),
    (SPATIE.decode().encode("utf-16"), "is UTF-16 text, as PowerShell's > writes it: mysql cannot read it", None),
    (SPATIE.decode().encode("utf-16-le"), "is UTF-16 text, as PowerShell's > writes it: mysql cannot read it", None),
    (b"\r\n<!DOCTYPE html>\n<html><title>419 Page Expired</title>", "is a web page (HTML) and no dump", None),
    (b"<br />\n<b>Fatal error</b>: Allowed memory size", "is a web page (HTML) and no dump", None),
    (b"mysqldump: [Warning] Using a password on the command line interface can be insecure.\n" + COMPLETED,
     "begins with a message of mysqldump, which mysql cannot read", ""),
    (b"mysqldump: Got error: 1045: Access denied", "begins with a message of mysqldump, which mysql cannot read", None),
    (SPATIE[:CUT], "", f"stops at byte {CUT}, in or after table transactions: its last line is not "
                       "SET SQL_NOTES=@OLD_SQL_NOTES"),
    (COMMENTED, "", f"stops at byte {len(COMMENTED)}, in or after table transactions: its last line is not "
                    "-- Dump completed"),
    (APP[:80], "", "stops at byte 80, before the first table: its last line is not SET FOREIGN_KEY_CHECKS=1;"),
    (APP.rstrip()[:-1], "", f"stops at byte {len(APP) - 2}, in or after table users: its last line is not "
                            "SET FOREIGN_KEY_CHECKS=1;"),
    (COMPLETED + b"mysqldump: Got errno 28 on write\n", "", f"stops at byte {len(COMPLETED) + 33}, in or after table "
                                                          "transactions: its last line is not -- Dump completed"),
    (SPATIE[:500] + b"\0" * 800, f"holds NUL bytes from byte {len(SPATIE[:500])} on, 800 of them at the end",
     None),
    (SPATIE[:300] + b"\0" + SPATIE[300:], "holds NUL bytes from byte 300 on", ""),
]


@pytest.mark.parametrize(("content", "unreadable", "incomplete"), FAULTS)
def test_each_fault_of_a_dump_is_named_with_its_place(content: bytes, unreadable: str, incomplete: str | None) -> None:
    found = judged(content)
    if incomplete is None and found.incomplete is not None:  # a zeroed tail is both
        assert found.incomplete.startswith("stops at byte")
    else:
        assert found.incomplete == incomplete
    assert found.unreadable == unreadable


def test_a_dump_of_an_unknown_kind_is_unknown_until_its_last_line_is_told() -> None:
    content = b"CREATE TABLE a (b int);\nINSERT INTO a VALUES (1);\n-- selesai\n"
    assert judged(content) == Judged("", None, frozenset({"a"}),
                                     "is no dump of a kind that Jaga knows: write its last line as ends_with")
    assert judged(content, "-- selesai").incomplete == ""
    assert judged(content[:-12], "-- selesai").incomplete == (
        "stops at byte 49, in or after table a: its last line is not -- selesai")


def test_postgres_ends_in_a_comment_of_its_own() -> None:
    assert judged(POSTGRES) == Judged("", "", frozenset({"public.users"}))
    assert judged(POSTGRES[:60]).incomplete


@given(st.sampled_from([SPATIE, COMPLETED, APP, SPATIE.decode().encode("utf-16"), SPATIE[:600] + b"\0" * 900]),
       st.integers(1, 300))
def test_it_does_not_matter_how_the_bytes_come_in(content: bytes, step: int) -> None:
    assert judged(content, step=step) == judged(content)


@given(st.binary(max_size=3000), st.integers(1, 1000))
def test_no_bytes_at_all_are_too_much(content: bytes, step: int) -> None:
    found = judged(content, step=step)
    assert found.incomplete is not None or found.why


@pytest.mark.needs_debian(*NEEDS, *backups.NEEDS)
def test_real_dumps_of_a_real_database_are_complete_and_cut_nowhere_else(mariadb: MariaDB) -> None:
    koperasi.load(mariadb, "files_dump")
    tables = {row[0] for row in mariadb.sql("SHOW TABLES", "files_dump")}
    for options in (["--skip-comments"], ["--comments"], ["--skip-dump-date"], ["--skip-extended-insert"]):
        sql = backups.dump(mariadb, "files_dump", *options)
        assert judged(sql) == Judged("", "", frozenset(tables)), options
        for part in range(1, 40):
            assert judged(sql[: len(sql) * part // 40]).incomplete, (options, part)
    empty = mariadb.sql("CREATE DATABASE files_empty") or backups.dump(mariadb, "files_empty")
    assert judged(empty) == Judged("", "", frozenset())  # whole, and worth nothing


# The way the koperasi app writes its own dump, in PHP; addslashes leaves line breaks as they are.
PHP = r"""
$db = new PDO("mysql:unix_socket=$argv[1];dbname=$argv[2];charset=utf8mb4", "root", "");
$out = "-- Backup $argv[2]\nSET FOREIGN_KEY_CHECKS=0;\n\n";
foreach ($db->query("SHOW TABLES")->fetchAll(PDO::FETCH_COLUMN) as $table) {
    $out .= "DROP TABLE IF EXISTS `$table`;\n" . $db->query("SHOW CREATE TABLE `$table`")->fetch()[1] . ";\n\n";
    foreach ($db->query("SELECT * FROM `$table`", PDO::FETCH_NUM) as $row) {
        $row = array_map(fn ($cell) => $cell === null ? "NULL" : "'" . addslashes((string) $cell) . "'", $row);
        $out .= "INSERT INTO `$table` VALUES (" . implode(", ", $row) . ");\n";
    }
}
echo $out . "\nSET FOREIGN_KEY_CHECKS=1;\n";
"""


@pytest.mark.needs_debian(*NEEDS, *backups.NEEDS, "php8.2:php8.2-cli")
def test_the_apps_own_dump_is_known_by_its_last_statement(mariadb: MariaDB, tmp_path: Path) -> None:
    koperasi.load(mariadb, "files_php")
    script = tmp_path / "dump.php"
    script.write_text(f"<?php {PHP}")
    sql = subprocess.run(["php8.2", str(script), str(mariadb.socket), "files_php"], capture_output=True, timeout=60,
                         check=True).stdout
    tables = {row[0] for row in mariadb.sql("SHOW TABLES", "files_php")}
    assert judged(sql) == Judged("", "", frozenset(tables))
    assert "in or after table " in str(judged(sql[: len(sql) // 2]).incomplete)
