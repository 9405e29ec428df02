"""Backups as the cooperative has them: spatie's zips with a real dump inside."""

import os
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

from stack.mariadb import MariaDB

NEEDS = ("mariadb-dump:mariadb-client",)


def dump(mariadb: MariaDB, database: str = "koperasi", *options: str) -> bytes:
    """What mariadb-dump writes, by default as spatie/db-dumper calls it: without the line "Dump completed"."""
    done = subprocess.run(
        ["mariadb-dump", "--no-defaults", f"--socket={mariadb.socket}", "--user=root", "--extended-insert",
         *(options or ["--skip-comments"]), database], capture_output=True, timeout=60, check=True)
    return done.stdout


def spatie(folder: Path, sql: bytes, when: datetime, database: str = "koperasi") -> Path:
    """One zip as spatie/laravel-backup writes it at that time, named in the app's zone (UTC); returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{when.astimezone(UTC):%Y-%m-%d-%H-%M-%S}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"db-dumps/mysql-{database}.sql", sql)
        archive.writestr("var/www/koperasi/storage/app/public/foto/anggota-1.jpg", os.urandom(20_000))
    path.chmod(0o640)
    os.utime(path, (when.timestamp(), when.timestamp()))
    return path
