"""The options of one set of files, and when its next file is due."""

from zoneinfo import ZoneInfo

import msgspec

from collectors import files_dates
from collectors.files_dates import Schedule
from collectors.files_verdict import Wanted
from collectors.quantities import Seconds
from collectors.secret import Secret


class FileSet(msgspec.Struct, frozen=True, kw_only=True):
    """One set of files: `[collectors.files.sets.NAME]`, where NAME is what people read in messages.

    pattern: where they lie, such as "/var/www/koperasi/storage/app/Koperasi/*.zip" (* ? [ ] in any part of it).
    due: when the job starts: "01:00" each day, or "Sun 01:00" each week; told when no file is there an hour later.
    grace: how much later, for one that takes long.
    max_age: instead of or besides it, how old the newest may be.
    timezone: of `due` and of the dates in names (names in UTC are recognised).
    dump: which members of a zip must be database dumps; "" for an archive that holds none.
    tables: tables that the dump must create. ends_with: its last line, where Jaga does not know the kind of dump.
    encrypted: true when an archive that is not encrypted is a fault.
    password: the archive's; with it every byte of an AES archive is proven, although its text is not looked at.
    temp: where the backup is built (spatie: storage/app/backup-temp): what a crash left there, and free space.
    """

    pattern: str
    due: str = ""
    grace: Seconds = 0.0
    max_age: Seconds | None = None
    timezone: str = "Asia/Jakarta"
    dump: str = "db-dumps/*.sql*"
    tables: tuple[str, ...] = ()
    ends_with: str = ""
    encrypted: bool = False
    password: Secret | None = None
    temp: str = ""

    def __post_init__(self) -> None:
        for name in ("pattern", "temp"):
            path = getattr(self, name)
            if (path or name == "pattern") and (not path.startswith("/") or {"..", "**"} & set(path.split("/"))):
                raise ValueError(f'{name} must be a whole path without ".." and "**", such as "/srv/backup/*.zip"')
        if self.pattern.endswith("/"):
            raise ValueError('pattern names a folder: add which of its files, such as "*.zip"')
        if self.due:
            files_dates.parse(self.due)
        try:
            ZoneInfo(self.timezone)
        except (KeyError, ValueError, OSError):
            raise ValueError('timezone is none that this machine knows: write it as "Asia/Jakarta"') from None

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def scheduled(self) -> bool:
        return bool(self.due) or self.max_age is not None

    def overdue(self, began: float, now: float) -> float:
        """Since when a file newer than the one begun at `began` should have been there, by due and by max_age."""
        late = Schedule(self.due, self.grace, self.zone).overdue(began, now) if self.due else 0.0
        return max(late, now - began - self.max_age if self.max_age is not None else 0.0)

    def wanted(self) -> Wanted:
        secret = self.password.reveal().encode() if self.password else None
        return Wanted(dump=self.dump, tables=self.tables, ends_with=self.ends_with, password=secret)
