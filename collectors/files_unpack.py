"""Reads what a zip's members hold, piece by piece, and proves every byte of it by checksum or seal.

Python's own zipfile cannot stop in the middle of a member and go on later, and cannot check AES at all: WinZip's AE-1
and AE-2 seal the cipher text with an HMAC, which the standard library can check without being able to decipher.
"""

import struct
import zlib
from collections.abc import Generator, Iterator

from collectors.files_zip import Broken, Member, Source

PIECE = 256 * 1024  # bytes read at once
_STORED, _DEFLATED, _AES = 0, 8, 99
_ENCRYPTED, _PATCHED, _STRONG, _UTF8, _MASKED = 1, 0x20, 0x40, 0x800, 0x2000  # flags
_NEWEST = 63  # version of the format, times ten
_SALTS = {1: 8, 2: 12, 3: 16}  # bytes by AES strength: 128, 192, 256 bits


class Closed(Exception):
    """Why a member's content cannot be looked at although nothing is known to be wrong with it."""


class Damaged(Exception):
    """Compressed bytes that cannot be unpacked; `read`: how many were read by then."""

    def __init__(self, says: str, read: int) -> None:
        super().__init__(says)
        self.read = read


def inflate(pieces: Iterator[bytes], bits: int) -> Iterator[tuple[int, bytes]]:
    """Yield (bytes read, content), never more than a piece at once whatever hides in it.

    `bits` as in zlib; gzip files may hold several streams one after the other. Raises Damaged.
    """
    unzip, read = zlib.decompressobj(bits), 0
    try:
        for piece in pieces:
            data, told = piece, len(piece)
            while data:
                if unzip.eof:
                    if bits < 0 or not data.strip(b"\0"):  # gzip allows zeros after the last stream
                        break
                    unzip = zlib.decompressobj(bits)
                content = unzip.decompress(data, PIECE)
                data = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
                yield told, content
                told = 0
            if data and bits < 0:
                raise Damaged("it ends before its place does", read)
            read += len(piece)
        while not unzip.eof:  # what was held back by the limit
            content = unzip.decompress(b"", PIECE)
            if not content and not unzip.eof:
                raise Damaged("it stops in the middle", read)
            yield 0, content
    except zlib.error as error:
        raise Damaged(f"it cannot be unpacked ({error})", read) from None


def unpack(source: Source, member: Member, password: bytes | None) -> Generator[tuple[int, bytes], None, None]:
    """Yield (bytes read, content) until all was read; content is empty where a cipher hides it.

    Raises Broken where anything does not hold, Closed where it cannot be told.
    """
    start = _content_at(source, member)
    if start + member.packed > source.size:
        raise Broken(f"{member.shown} should reach to byte {start + member.packed} of {source.size}")
    if member.version > _NEWEST or member.flags & (_PATCHED | _STRONG | _MASKED):
        raise Closed(f"{member.shown} is written in a way that Jaga does not know (version {member.version / 10})")
    if member.encrypted:
        yield from _decipher(source, member, start, password)
        return
    if member.method not in (_STORED, _DEFLATED):
        raise Closed(f"{member.shown} is packed by method {member.method}, which Jaga cannot unpack")
    plain = member.method == _STORED or not member.packed
    pieces = _stored(source, member, start) if plain else _inflated(source, member, start)
    crc, size = 0, 0
    for read, content in pieces:
        crc, size = zlib.crc32(content, crc), size + len(content)
        if size > member.size:
            raise Broken(f"{member.shown} is damaged: it unpacks to more than its {member.size} bytes")
        yield read, content
    if size != member.size:
        raise Broken(f"{member.shown} is damaged: it unpacks to {size} of its {member.size} bytes")
    if crc != member.crc:
        raise Broken(_damaged(member, start, "CRC"))


def _content_at(source: Source, member: Member) -> int:
    """Where the content begins, after a header of its own that must say the same as the directory."""
    header = source.read(member.offset, 30) if member.offset < source.size else b""
    if len(header) < 30 or header[:4] != b"PK\3\4":
        raise Broken(f"{member.shown} should begin at byte {member.offset}, and does not")
    flags, method = struct.unpack_from("<HH", header, 6)
    name_size, extra_size = struct.unpack_from("<HH", header, 26)
    name = source.read(member.offset + 30, name_size)
    telling = _ENCRYPTED | _PATCHED | _STRONG | _UTF8
    if (flags & telling, method, name) != (member.flags & telling, member.method, member.raw_name):
        raise Broken(f"{member.shown} at byte {member.offset} is another one than the list of members says")
    return member.offset + 30 + int(name_size) + int(extra_size)


def _read(source: Source, start: int, length: int) -> Iterator[bytes]:
    end = start + length
    while start < end:
        piece = source.read(start, min(PIECE, end - start))
        if not piece:
            raise Broken(f"ends at byte {start} while it was read")
        start += len(piece)
        yield piece


def _stored(source: Source, member: Member, start: int) -> Iterator[tuple[int, bytes]]:
    for piece in _read(source, start, member.packed):
        yield len(piece), piece


def _inflated(source: Source, member: Member, start: int) -> Iterator[tuple[int, bytes]]:
    try:
        yield from inflate(_read(source, start, member.packed), -zlib.MAX_WBITS)
    except Damaged as error:
        raise Broken(f"{member.shown} is damaged at byte {start + error.read}: {error}") from None


def _decipher(source: Source, member: Member, start: int, password: bytes | None) -> Iterator[tuple[int, bytes]]:
    """AES: with the password, its seal (HMAC) proves every byte without looking inside."""
    import hashlib  # OpenSSL is big, and few archives are encrypted
    import hmac

    if member.method != _AES or member.aes is None or member.aes[1] not in _SALTS:
        raise Closed(f"{member.shown} is encrypted by an old method that Jaga cannot check")
    if password is None:
        raise Closed(f"{member.shown} is encrypted")
    salt_size, key = _SALTS[member.aes[1]], 2 * _SALTS[member.aes[1]]
    length = member.packed - salt_size - 2 - 10
    head = source.read(start, salt_size + 2)
    if length < 0 or len(head) < salt_size + 2:
        raise Broken(f"{member.shown} is too short to be encrypted")
    derived = hashlib.pbkdf2_hmac("sha1", password, head[:salt_size], 1000, 2 * key + 2)
    if derived[-2:] != head[salt_size:]:
        raise Broken(f"{member.shown} does not open with the password")
    seal = hmac.new(derived[key:-2], digestmod="sha1")
    for piece in _read(source, start + salt_size + 2, length):
        seal.update(piece)
        yield len(piece), b""
    if not hmac.compare_digest(seal.digest()[:10], source.read(start + member.packed - 10, 10)):
        raise Broken(_damaged(member, start, "seal"))


def _damaged(member: Member, start: int, proof: str) -> str:
    return f"{member.shown} is damaged between bytes {start} and {start + member.packed}: its {proof} does not hold"
