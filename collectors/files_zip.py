"""Reads the list of a zip archive's members with little memory, and trusts nothing that it says about itself.

Python's own zipfile keeps every entry in memory (100 MB for the uploads of a busy app) and believes sizes. Format:
PKWARE APPNOTE 6.3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

_WINDOW = 64 * 1024  # bytes of the directory read at once
_MOST_MEMBERS = 5_000_000
_RATIO = 1032  # deflate makes nothing smaller than that
_END, _END64, _LOCATOR64 = b"PK\5\6", b"PK\6\6", b"PK\6\7"


class Broken(Exception):
    """What is wrong with the archive, and where: a phrase that follows its name."""


class Source(Protocol):
    """Where the bytes come from. `read` gives fewer than asked for only at the end."""

    @property
    def size(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Directory:
    """The list of members at the end of the archive."""

    members: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the directory. Sizes in bytes; `aes` is version and strength where WinZip's AES hides it."""

    at: int  # its number, from 1
    raw_name: bytes
    name: str
    version: int  # of the format that it needs, times ten
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int
    aes: tuple[int, int] | None

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & 1)

    @property
    def shown(self) -> str:
        """Its name for people. Uploads have names of members in them, so of those only the folder is told."""
        folders = self.name.split("/")
        if folders[0] == "db-dumps" or len(folders) == 1:
            return self.name[:100]
        return f"member {self.at} in {'/'.join(folders[:-1][:5])[:100]}/"


def directory(source: Source) -> Directory:
    """Find the list of members. Raises Broken where the file is no whole archive."""
    if not source.size:
        raise Broken("is empty (0 bytes)")
    tail_at = max(0, source.size - 65557)  # the record, and the longest comment
    tail = source.read(tail_at, 65557)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < 22:
        raise Broken(_no_end(source, tail))
    count, size, offset, comment = struct.unpack_from("<HIIH", tail, at + 10)
    end = tail_at + at
    if end + 22 + comment != source.size:
        raise Broken(f"should end at byte {end + 22 + comment} and ends at {source.size}")
    count, size, offset, end = _directory64(source, end, (count, size, offset))
    if offset + size != end:
        raise Broken(f"its list of members should lie at bytes {offset} to {offset + size}, and ends at {end}")
    if count > _MOST_MEMBERS or count * 46 > size:
        raise Broken(f"claims {count} members, which its list of {size} bytes cannot hold")
    return Directory(count, offset, size)


def members(source: Source, found: Directory) -> Iterator[Member]:
    """The entries, one by one. Raises Broken where the list is damaged."""
    at, end, window, start = found.offset, found.offset + found.size, b"", found.offset
    for number in range(1, found.members + 1):
        if at - start + 46 > len(window):
            window, start = source.read(at, min(_WINDOW, end - at)), at
        if window[at - start: at - start + 4] != b"PK\1\2" or len(window) < at - start + 46:
            raise Broken(f"its list of members is damaged at byte {at} (member {number} of {found.members})")
        name_size, extra_size, comment_size = struct.unpack_from("<HHH", window, at - start + 28)
        length = 46 + name_size + extra_size + comment_size
        if at - start + length > len(window):
            window, start = source.read(at, max(length, min(_WINDOW, end - at))), at
        if at + length > end:
            raise Broken(f"its list of members is damaged at byte {at} (member {number} of {found.members})")
        yield _member(number, window[at - start: at - start + length], name_size, extra_size)
        at += length
    if at != end:
        raise Broken(f"its list of members goes on after the last one, at byte {at}")


def bomb(source: Source, packed: int, size: int) -> str:
    """What is impossible about the sums of all members, or ""."""
    if packed > source.size:
        return f"its members claim {packed} packed bytes in a file of {source.size}: they overlap (a zip bomb)"
    if size > source.size * _RATIO:
        return f"its members claim {size} bytes, which {source.size} cannot hold (a zip bomb)"
    return ""


def _no_end(source: Source, tail: bytes) -> str:
    head = source.read(0, 512)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not tail.strip(b"\0"):
        kept = "nothing but zeros" if not head.strip(b"\0") else "its end is overwritten with zeros"
        return f"is damaged: {kept} (list of members missing)"
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<")):
        return "is a web page (HTML) and no archive"
    if not head.startswith(b"PK\3\4"):
        return "is no zip archive"
    zeros = len(tail) - len(tail.rstrip(b"\0"))
    if zeros > 3:
        return f"is damaged: its last {zeros} bytes are zeros (list of members missing)"
    return f"is cut off at byte {source.size}: its end (the list of members) is missing"


def _directory64(source: Source, end: int, small: tuple[int, int, int]) -> tuple[int, int, int, int]:
    """What the 64 bit record says, beyond 65,534 members or 4 GiB; some writers add one in any case."""
    locator = source.read(end - 20, 20) if end >= 20 else b""
    if locator[:4] != _LOCATOR64:
        return *small, end
    at = struct.unpack_from("<Q", locator, 8)[0]
    record = source.read(at, 56) if at < source.size else b""
    if record[:4] != _END64 or len(record) < 56:
        raise Broken(f"its 64 bit end record should lie at byte {at}, and does not")
    count, size, offset = struct.unpack_from("<QQQ", record, 32)
    return count, size, offset, at


def _member(number: int, entry: bytes, name_size: int, extra_size: int) -> Member:
    version, flags, method, crc, packed, size = struct.unpack_from("<HHH4xIII", entry, 6)
    offset = struct.unpack_from("<I", entry, 42)[0]
    raw = entry[46: 46 + name_size]
    aes = None
    for kind, field in _fields(entry[46 + name_size: 46 + name_size + extra_size], number):
        if kind == 1:  # the 64 bit values of those that did not fit, in this order
            try:
                values = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
                size = next(values) if size == 0xFFFFFFFF else size
                packed = next(values) if packed == 0xFFFFFFFF else packed
                offset = next(values) if offset == 0xFFFFFFFF else offset
            except StopIteration:
                raise Broken(f"its list of members is damaged (member {number})") from None
        elif kind == 0x9901 and len(field) >= 7:
            aes = struct.unpack_from("<H", field)[0], field[4]
    name = raw.decode("utf-8" if flags & 0x800 else "cp437", "replace")
    return Member(number, raw, name, version, flags, method, crc, packed, size, offset, aes)


def _fields(extra: bytes, number: int) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<HH", extra)
        if length + 4 > len(extra):
            raise Broken(f"its list of members is damaged (extra field of member {number})")
        yield kind, extra[4: 4 + length]
        extra = extra[4 + length:]
