"""What every byte of a backup says: whole or broken, its dump readable and complete; as generators that can rest.

They take bytes from anywhere, yield how many they have used, and return the Verdict.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import msgspec

from collectors import files_zip
from collectors.files_dump import Dump, Judged
from collectors.files_unpack import PIECE, Closed, Damaged, inflate, unpack
from collectors.files_zip import Broken, Member, Source

_MOST_TABLES = 10_000  # are told apart
_GZIP = 31  # zlib's number for a gzip stream with its CRC


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a file must hold: members that are dumps (a pattern, "" for none), their tables, their last line."""

    dump: str = "db-dumps/*.sql*"
    tables: tuple[str, ...] = ()
    ends_with: str = ""
    password: bytes | None = None

    @property
    def mark(self) -> str:
        """Changes with what is wanted; tells nothing of the password."""
        return f"{self.dump}|{','.join(self.tables)}|{self.ends_with}"


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What every byte of one file said. Texts are faults with their place, "" is good; None: nobody can tell.

    broken: it does not open or a checksum does not hold. unreadable: a dump is no text. incomplete: a dump is not
    there or does not end. tables: how many tables the dumps create. missing: which expected ones they do not.
    encrypted: whether its dumps are; `hidden`: what could not be looked at for that. unknown: what else could not be,
    and what would mend that.
    """

    broken: str | None = ""
    unreadable: str | None = None
    incomplete: str | None = None
    tables: int | None = None
    missing: tuple[str, ...] = ()
    encrypted: bool | None = None
    hidden: str = ""
    unknown: str = ""

    @property
    def faulty(self) -> bool:
        return bool(self.broken or self.unreadable or self.incomplete or self.missing or self.tables == 0)


def can_judge(name: str) -> bool:
    """Whether there is anything to know about the content of a file of that name."""
    return name.lower().endswith((".zip", ".sql", ".gz"))


def judged(source: Source, name: str, wanted: Wanted) -> Generator[int, None, Verdict]:
    """Read all of it, by the kind that its name tells."""
    if name.lower().endswith(".zip"):
        return (yield from _zip(source, wanted))
    try:
        if name.lower().endswith((".sql", ".sql.gz")):
            return (yield from _dump_file(source, wanted, name))
        for read, _ in inflate(_pieces(source), _GZIP):
            yield read
    except Damaged as error:
        return Verdict(broken=f"is damaged at byte {error.read}: {error}")
    except Broken as error:
        return Verdict(broken=str(error))
    return Verdict()


@dataclass(slots=True)
class _Faults:
    """The first of its kind, and how many there are: an archive may have millions of members."""

    first: str = ""
    count: int = 0

    def add(self, says: str) -> None:
        self.first, self.count = self.first or says.strip(), self.count + 1


@dataclass(slots=True)
class _Found:
    """What is gathered from one file."""

    broken: _Faults = field(default_factory=_Faults)
    unreadable: _Faults = field(default_factory=_Faults)
    incomplete: _Faults = field(default_factory=_Faults)
    hidden: _Faults = field(default_factory=_Faults)
    unknown: _Faults = field(default_factory=_Faults)
    dumps: int = 0
    sealed: int = 0  # dumps that are encrypted
    judged: int = 0
    ended: int = 0  # dumps that end as they should
    closed: int = 0  # members that could not be looked at
    tables: set[str] = field(default_factory=set)

    def add(self, name: str, judged: Judged) -> None:
        self.judged += 1
        if len(self.tables) < _MOST_TABLES:
            self.tables |= judged.tables
        if judged.unreadable:
            self.unreadable.add(f"{name} {judged.unreadable}")
        if judged.incomplete:
            self.incomplete.add(f"{name} {judged.incomplete}")
        elif judged.incomplete is None and not judged.unreadable:
            self.unknown.add(f"{name} {judged.why}")
        self.ended += judged.incomplete == ""

    def verdict(self, wanted: Wanted, members: int) -> Verdict:
        all_judged = self.judged == self.dumps > 0
        counted = all_judged and not self.unreadable.count
        whole = counted and not self.incomplete.count
        broken = self.broken.first or (None if self.closed else "")
        if self.broken.count > 1:
            broken = f"{broken}; {self.broken.count} of {members} members have such a fault"
        return Verdict(
            broken=broken,
            unreadable=self.unreadable.first or ("" if all_judged else None),
            incomplete=self.incomplete.first or ("" if self.ended == self.dumps > 0 else None),
            tables=len(self.tables) if counted else None,
            missing=tuple(table for table in wanted.tables if table not in self.tables) if whole else (),
            encrypted=self.sealed == self.dumps if self.dumps else None,
            hidden=self.hidden.first, unknown=self.unknown.first)


def _zip(source: Source, wanted: Wanted) -> Generator[int, None, Verdict]:
    found, count = _Found(), 0
    try:
        listed = files_zip.directory(source)
        packed = size = 0
        for member in files_zip.members(source, listed):  # all of the list before anything is unpacked
            packed, size = packed + member.packed, size + member.size
            yield 0
        if says := files_zip.bomb(source, packed, size):
            raise Broken(says)
        for member in files_zip.members(source, listed):
            count += 1
            yield from _member(source, member, wanted, found)
        if wanted.dump and not found.dumps:
            found.incomplete.add(f"holds no {wanted.dump} among its {count} members")
    except Broken as error:
        found.broken.add(str(error))
    return found.verdict(wanted, count)


def _member(source: Source, member: Member, wanted: Wanted, found: _Found) -> Generator[int, None, None]:
    is_dump = bool(wanted.dump) and fnmatchcase(member.name, wanted.dump)
    found.dumps += is_dump
    found.sealed += is_dump and member.encrypted
    pieces = unpack(source, member, wanted.password)
    try:
        if is_dump and not member.encrypted:
            found.add(member.shown, (yield from _dump(pieces, member.name, wanted)))
        else:
            for read, _ in pieces:
                yield read
    except Broken as error:
        found.broken.add(str(error))
    except Damaged as error:
        found.broken.add(f"{member.shown}: its gzip stream is damaged at byte {error.read}: {error}")
    except Closed as error:
        found.closed += 1
        (found.hidden if member.aes else found.unknown).add(str(error))
    else:
        if is_dump and member.encrypted:
            found.hidden.add(f"{member.shown} is encrypted: every byte holds, its text was not looked at")


def _dump_file(source: Source, wanted: Wanted, name: str) -> Generator[int, None, Verdict]:
    found = _Found(dumps=1)
    found.add("", (yield from _dump(((len(piece), piece) for piece in _pieces(source)), name, wanted)))
    return msgspec.structs.replace(found.verdict(wanted, 1), encrypted=None)


def _dump(pieces: Iterator[tuple[int, bytes]], name: str, wanted: Wanted) -> Generator[int, None, Judged]:
    """Judge one dump, gunzipped on the way where its name says so. Raises Damaged after the rest was read as well."""
    dump = Dump(wanted.ends_with)
    if not name.lower().endswith(".gz"):
        for read, content in pieces:
            dump.feed(content)
            yield read
        return dump.judged()
    done = 0

    def packed() -> Iterator[bytes]:
        nonlocal done
        for read, content in pieces:
            done += read
            yield content

    try:
        for _, content in inflate(packed(), _GZIP):
            dump.feed(content)
            step, done = done, 0
            yield step
    except Damaged:
        for read, _ in pieces:  # the archive's own checksum may name the place better
            yield read
        raise
    return dump.judged()


def _pieces(source: Source) -> Iterator[bytes]:
    at = 0
    while piece := source.read(at, PIECE):
        at += len(piece)
        yield piece
