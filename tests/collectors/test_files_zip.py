"""Zips: every damage is found, whole ones are whole whoever wrote them, and hostile ones cost little."""

import gzip
import io
import os
import random
import struct
import subprocess
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.files_verdict import Verdict, Wanted, judged

DATA = Path(__file__).parent / "data"  # written by spatie's way of calling PHP's ZipArchive; password: rahasia
ROWS = "".join(f"INSERT INTO `users` VALUES ({n},'anggota {n * 7919 % 1000}');\n" for n in range(3000))
SQL = (f"/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;\nCREATE TABLE `users` (\n  `id` int);\n{ROWS}"
       "/*!40111 SET SQL_NOTES=@OLD_SQL_NOTES */;\n\n").encode()
SMALL = b"SET FOREIGN_KEY_CHECKS=0;\nCREATE TABLE `a` (b int);\nSET FOREIGN_KEY_CHECKS=1;\n"
DUMP = "db-dumps/mysql-koperasi.sql"
GOOD = Verdict(unreadable="", incomplete="", tables=1, encrypted=False)


class Held:
    """Bytes in memory, as a file's."""

    def __init__(self, content: bytes) -> None:
        self.content, self.size, self.most = content, len(content), 0

    def read(self, offset: int, length: int) -> bytes:
        self.most = max(self.most, length)
        return self.content[offset: offset + length]


def verdict(content: bytes, name: str = "a.zip", wanted: Wanted | None = None) -> Verdict:
    steps = judged(Held(content), name, wanted or Wanted())
    used = 0
    while True:
        try:
            used += next(steps)
        except StopIteration as done:
            assert used <= len(content)
            said: Verdict = done.value
            return said


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, **options: bool) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", method, **options) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return held.getvalue()


SPATIE = zipped({DUMP: SQL, "var/www/koperasi/.env": b"APP_KEY=x\n" * 50, "var/www/koperasi/storage/app/public/ktp/"
                 "3201202601180001.jpg": random.Random(1).randbytes(5000)})
TINY = zipped({DUMP: SMALL, "a/b.txt": b"halo halo halo"})
STORED = zipped({DUMP: SMALL, "a/b.txt": b"halo"}, zipfile.ZIP_STORED)


@pytest.mark.parametrize("content", [
    SPATIE, TINY, STORED, (DATA / "spatie-plain.zip").read_bytes(),
    zipped({"db-dumps/mysql-koperasi.sql.gz": gzip.compress(SQL), "kosong": b""}),
    zipped({"db-dumps/mysql-koperasi.sql.gz": gzip.compress(SMALL) + b"\0" * 10}),
])
def test_a_whole_backup_is_whole(content: bytes) -> None:
    assert verdict(content) == GOOD


def streamed() -> bytes:
    """As written to a pipe: sizes after the content, in data descriptors."""
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: object) -> int:
            self.content += bytes(piece)  # type: ignore[call-overload]
            return len(bytes(piece))  # type: ignore[call-overload]

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[type-var]
        archive.writestr(DUMP, SQL)
    return pipe.content


def big_records() -> bytes:
    """With 64 bit records, as those beyond 65,534 members have."""
    with io.BytesIO() as held:
        with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(DUMP, SMALL)
            for number in range(66_000):
                archive.writestr(zipfile.ZipInfo(f"s/{number}"), b"")
        return held.getvalue()


def test_sizes_may_come_after_the_content_and_in_64_bits() -> None:
    assert verdict(streamed()) == GOOD
    many = big_records()
    assert verdict(many) == GOOD
    assert "its list of members should lie at" in str(verdict(many[:-200] + many[-199:]).broken) or "64 bit" in str(
        verdict(many[:-200] + many[-199:]).broken)


def test_members_of_more_than_4_gib_have_their_sizes_in_64_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 20)  # as if that were 4 GiB
    with io.BytesIO() as held:
        with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(DUMP, SQL)
            archive.writestr("a/b", b"x" * 99)
        content = held.getvalue()
    assert content.count(b"\xff\xff\xff\xff") > 3
    assert verdict(content) == GOOD
    for at in range(content.index(b"PK\1\2"), len(content), 3):
        said = verdict(flipped(content, at))
        assert said == GOOD or said.faulty or said.broken is None or said.unknown or said.incomplete


def flipped(content: bytes, at: int, by: int = 0x10) -> bytes:
    return content[:at] + bytes([content[at] ^ by]) + content[at + 1:]


AES = (DATA / "spatie-aes.zip").read_bytes()
NO_DUMP = zipped({"var/www/koperasi/.env": b"x"})
UTF16 = zipped({DUMP: SMALL.decode().encode("utf-16")})
START = 30 + len(DUMP)  # of the first member's content
PACKED = zipfile.ZipFile(io.BytesIO(SPATIE)).getinfo(DUMP).compress_size

WICKED = [
    ("empty", b"", Verdict(broken="is empty (0 bytes)")),
    ("zeros", b"\0" * 9000, Verdict(broken="is damaged: nothing but zeros (list of members missing)")),
    ("zeroed tail", SPATIE[:5000] + b"\0" * (len(SPATIE) - 5000), Verdict(
        broken=f"is damaged: its last {len(SPATIE) - 5000} bytes are zeros (list of members missing)")),
    ("cut", SPATIE[:9000], Verdict(broken="is cut off at byte 9000: its end (the list of members) is missing")),
    ("a page", b"<!DOCTYPE html><html>Login</html>", Verdict(broken="is a web page (HTML) and no archive")),
    ("no zip", b"Rar!" + bytes(500), Verdict(broken="is no zip archive")),
    ("zeros after it", SPATIE + b"\0" * 100, Verdict(
        broken=f"should end at byte {len(SPATIE)} and ends at {len(SPATIE) + 100}")),
    ("no dump", NO_DUMP, Verdict(incomplete="holds no db-dumps/*.sql* among its 1 members")),
    ("UTF-16", UTF16, Verdict(unreadable=f"{DUMP} is UTF-16 text, as PowerShell's > writes it: mysql cannot read it",
                              encrypted=False)),
    ("cut dump", zipped({DUMP: SQL[:50_000]}), Verdict(
        unreadable="", tables=1, encrypted=False, incomplete=f"{DUMP} stops at byte 50000, in or after table users: "
        "its last line is not SET SQL_NOTES=@OLD_SQL_NOTES")),
    ("cut gzip", zipped({DUMP + ".gz": gzip.compress(SQL)[:2000]}), Verdict(
        encrypted=False, broken=f"{DUMP}.gz: its gzip stream is damaged at byte 2000: it stops in the middle")),
    ("encrypted", AES, Verdict(broken=None, encrypted=True, hidden=f"{DUMP} is encrypted")),
]


@pytest.mark.parametrize(("content", "said"), [case[1:] for case in WICKED], ids=[case[0] for case in WICKED])
def test_each_wicked_backup_gets_the_right_verdict(content: bytes, said: Verdict) -> None:
    assert verdict(content) == said


def test_one_flipped_bit_in_the_middle_is_found_and_its_member_named() -> None:
    said = verdict(flipped(SPATIE, START + PACKED // 2))
    assert str(said.broken).startswith(f"{DUMP} is damaged ")
    assert (said.unreadable, said.incomplete) == (None, None)  # of a broken one nobody can tell
    photo = verdict(flipped(SPATIE, len(SPATIE) - 2000))
    assert "member 3 in var/www/koperasi/storage/app/ is damaged between bytes" in str(photo.broken)
    assert "3201202601180001" not in str(photo.broken)  # whose card it is belongs into no message
    assert (photo.unreadable, photo.incomplete) == ("", "")


def test_an_aes_archive_is_proven_to_the_last_byte_with_its_password() -> None:
    right, wrong = Wanted(password=b"rahasia"), Wanted(password=b"Rahasia")
    hidden = f"{DUMP} is encrypted: every byte holds, its text was not looked at"
    assert verdict(AES, wanted=right) == Verdict(encrypted=True, hidden=hidden)
    assert verdict(AES, wanted=wrong) == Verdict(
        encrypted=True, broken=f"{DUMP} does not open with the password; 3 of 3 members have such a fault")
    member = zipfile.ZipFile(io.BytesIO(AES)).getinfo(DUMP)
    start = START + struct.unpack_from("<H", AES, 28)[0]  # behind the extra fields
    for at in range(start, start + member.compress_size, 9):
        said = verdict(flipped(AES, at), wanted=right)
        assert "its seal does not hold" in str(said.broken) or "does not open with" in str(said.broken), at


@pytest.mark.parametrize("original", [TINY, STORED], ids=["deflated", "stored"])
@given(data=st.data())
def test_no_damaged_byte_is_overlooked_that_zipfile_would_find(original: bytes, data: st.DataObject) -> None:
    """What we call good, Python's own zipfile reads as it was written."""
    content = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    said = verdict(bytes(content))
    if said.faulty or said.broken is None or said.unknown:
        return
    with zipfile.ZipFile(io.BytesIO(original)) as one, zipfile.ZipFile(io.BytesIO(content)) as other:
        assert other.testzip() is None
        assert one.namelist() == other.namelist()
        assert [one.read(name) for name in one.namelist()] == [other.read(name) for name in other.namelist()]


@given(st.binary(max_size=400), st.integers(0, 400), st.integers(0, 200))
def test_no_bytes_make_it_fall_over(noise: bytes, at: int, gone: int) -> None:
    content = TINY[:at] + noise + TINY[at + gone:]
    said = verdict(content)
    assert said.faulty or content == TINY or said == GOOD or said.broken is None or said.unknown


def bomb_overlapping() -> bytes:
    """500 members of 4 MiB each that share their compressed bytes."""
    packed = zlib.compressobj(9, wbits=-15)
    content = packed.compress(bytes(4 << 20)) + packed.flush()
    name, crc = b"db-dumps/a.sql", zlib.crc32(bytes(4 << 20))
    sizes = struct.pack("<III", crc, len(content), 4 << 20)
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 0) + sizes + struct.pack("<HH", len(name), 0) + name
    entry = b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 0) + sizes + struct.pack(
        "<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    start = len(local) + len(content)
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 500, 500, len(entry) * 500, start, 0)
    return local + content + entry * 500 + end


def test_a_zip_bomb_is_told_before_it_is_unpacked_and_memory_stays_flat() -> None:
    bomb = bomb_overlapping()
    began = time.thread_time()
    assert "they overlap (a zip bomb)" in str(verdict(bomb).broken)
    assert time.thread_time() - began < 0.5
    heavy = zipped({DUMP: bytes(64 << 20)})  # honest, but a thousand times its size
    tracemalloc.start()
    said = verdict(heavy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said.unreadable == f"{DUMP} holds NUL bytes from byte 0 on, {64 << 20} of them at the end"
    assert peak < 4 << 20


def test_a_claim_of_more_than_can_be_is_no_reason_to_work() -> None:
    content = bytearray(TINY)
    at = content.index(b"PK\1\2")
    struct.pack_into("<I", content, at + 24, 0xFFFFFFF0)
    assert "which 3" in str(verdict(bytes(content)).broken) or "cannot hold (a zip bomb)" in str(
        verdict(bytes(content)).broken)
    end = content.index(b"PK\5\6")
    content = bytearray(TINY)
    struct.pack_into("<HH", content, end + 8, 60_000, 60_000)
    assert str(verdict(bytes(content)).broken).startswith("claims 60000 members")


@pytest.mark.parametrize(("field", "by", "said"), [
    (24, 1, f"{DUMP} is damaged: it unpacks to {len(SMALL)} of its {len(SMALL) + 1} bytes"),
    (24, -1, f"{DUMP} is damaged: it unpacks to more than its {len(SMALL) - 1} bytes"),
    (42, 1, f"{DUMP} should begin at byte 1, and does not"),
])
def test_a_directory_that_says_something_else_than_the_content_is_told(field: int, by: int, said: str) -> None:
    content = bytearray(TINY)
    content[content.index(b"PK\1\2") + field] += by
    assert verdict(bytes(content)).broken == said


def test_a_member_that_the_count_leaves_out_is_told() -> None:
    content = bytearray(TINY)
    end, second = content.index(b"PK\5\6"), content.rindex(b"PK\1\2")
    struct.pack_into("<HH", content, end + 8, 1, 1)
    assert verdict(bytes(content)).broken == f"its list of members goes on after the last one, at byte {second}"


def test_never_more_than_a_piece_is_read_at_once() -> None:
    held = Held(zipped({DUMP: SQL, "besar.bin": os.urandom(3 << 20)}))
    steps = judged(held, "a.zip", Wanted())
    sizes = list(steps)
    assert max(sizes) <= 256 * 1024
    assert held.most <= 256 * 1024


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.sql", SQL, Verdict(unreadable="", incomplete="", tables=1)),
    ("a.sql.gz", gzip.compress(SQL), Verdict(unreadable="", incomplete="", tables=1)),
    ("a.sql", b"", Verdict(unreadable="is empty")),
    ("a.SQL", SQL[:99], Verdict(unreadable="", tables=1, incomplete="stops at byte 99, in or after table users: its "
                                "last line is not SET SQL_NOTES=@OLD_SQL_NOTES")),
    ("a.sql.gz", gzip.compress(SQL)[:-4], Verdict(broken=f"is damaged at byte {len(gzip.compress(SQL)) - 4}: it stops "
                                                        "in the middle")),
    ("a.tar.gz", gzip.compress(b"x" * 999), Verdict()),
    ("a.tar.gz", flipped(gzip.compress(b"x" * 999), 25, 1), None),
])
def test_plain_and_gzipped_files_are_judged_as_well(name: str, content: bytes, said: Verdict | None) -> None:
    found = verdict(content, name)
    assert found == said if said is not None else found.broken


def test_expected_tables_are_looked_for() -> None:
    wanted = Wanted(tables=("users", "transactions", "members"))
    assert verdict(SPATIE, wanted=wanted).missing == ("transactions", "members")
    assert verdict(SPATIE, wanted=wanted).faulty
    empty = SQL[:57] + SQL[-43:]
    assert verdict(zipped({DUMP: empty})) == Verdict(unreadable="", incomplete="", tables=0, encrypted=False)
    assert verdict(zipped({DUMP: empty})).faulty


def test_an_archive_without_a_dump_is_right_where_none_is_wanted() -> None:
    assert verdict(NO_DUMP, wanted=Wanted(dump="")) == Verdict()


PHP = """<?php
$zip = new ZipArchive; $zip->open($argv[1], ZipArchive::CREATE);
$zip->addFile($argv[2], "db-dumps/mysql-koperasi.sql");
$zip->addEmptyDir("var/www/koperasi/storage");
$zip->addFile($argv[2], "var/www/koperasi/storage/beras.jpg");
if ($argv[3]) { $zip->setPassword($argv[3]);
    foreach (range(0, $zip->numFiles - 1) as $i) { $zip->setEncryptionIndex($i, (int) $argv[4]); } }
exit($zip->close() ? 0 : 1);
"""
AES_128, AES_256 = "257", "259"


@pytest.mark.needs_debian("php8.2:php8.2-cli", "/usr/lib/php/20220829/zip.so:php8.2-zip")
@pytest.mark.parametrize(("password", "method", "said"), [
    ("", "0", GOOD),
    ("rahasia", AES_256, Verdict(encrypted=True, hidden=f"{DUMP} is encrypted: every byte holds, its text was not "
                                 "looked at")),
    ("rahasia", AES_128, Verdict(encrypted=True, hidden=f"{DUMP} is encrypted: every byte holds, its text was not "
                                 "looked at")),
])
def test_what_php_writes_is_whole(tmp_path: Path, password: str, method: str, said: Verdict) -> None:
    (tmp_path / "zip.php").write_text(PHP)
    (tmp_path / "a.sql").write_bytes(SQL)
    subprocess.run(["php8.2", str(tmp_path / "zip.php"), str(tmp_path / "a.zip"), str(tmp_path / "a.sql"), password,
                    method], check=True, timeout=30)
    content = (tmp_path / "a.zip").read_bytes()
    assert verdict(content, wanted=Wanted(password=b"rahasia")) == said


def test_the_old_cipher_is_unknown_and_says_so() -> None:
    said = verdict((DATA / "zipcrypto.zip").read_bytes(), wanted=Wanted(password=b"rahasia"))  # by Info-ZIP's zip -P
    assert (said.broken, said.encrypted, said.unknown) == (
        None, True, "db-dumps/a.sql is encrypted by an old method that Jaga cannot check")


def test_millions_of_faults_are_counted_and_not_kept() -> None:
    many = bytearray(zipped({DUMP: SMALL} | {f"{n}": b"x" for n in range(3000)}, zipfile.ZIP_STORED))
    at = 0
    while (at := many.find(b"x", at + 1)) > 0:
        many[at] = 121
    said = verdict(bytes(many))
    assert str(said.broken).endswith("; 3000 of 3001 members have such a fault")
    assert len(str(said.broken)) < 200
