"""Finds the backups of Laravel apps on this machine, and writes the TOML that would watch them."""

import glob
import json
import os
import re
from collections.abc import Iterator

from collectors import files_dates

_ROOT = "/var/www"
_SPATIE = re.compile(r".*20\d\d-\d\d-\d\d-\d\d-\d\d-\d\d.*\.zip")
_LOOKED = 200  # names of one folder


def discovered(root: str = _ROOT) -> str | None:
    """spatie's dated zips in `storage/app/*/`, the app's own dumps in `storage/app/backups/`; None: neither."""
    sets: dict[str, list[str]] = {}
    for app, options in _found(root):
        name = re.sub(r"[^\w.-]", "_", os.path.basename(app))[:50]
        while name in sets:
            name += "-2"
        sets[name] = options
    tables = (f"[collectors.files.sets.{json.dumps(name)}]\n" + "\n".join(lines) + "\n" for name, lines in sets.items())
    return "\n".join(tables) if sets else None


def _found(root: str) -> Iterator[tuple[str, list[str]]]:
    for storage in sorted(glob.glob(f"{glob.escape(root)}/*/storage/app")):
        app = os.path.dirname(os.path.dirname(storage))
        inside = [found for below in ("*/", "private/*/") for found in glob.glob(f"{glob.escape(storage)}/{below}")]
        for folder in sorted(inside):
            names = sorted(os.listdir(folder) if os.access(folder, os.R_OK | os.X_OK) else [])[-_LOOKED:]
            zips = [name for name in names if _SPATIE.fullmatch(name)]
            if zips:
                temp = os.path.join(storage, "backup-temp")
                yield app, [f"pattern = {_quoted(glob.escape(folder) + '*.zip')}", _schedule(zips),
                            f"temp = {_quoted(temp)}"]
            elif os.path.basename(folder.rstrip("/")) == "backups" and any(name.endswith(".sql") for name in names):
                yield f"{app}-sql", [f"pattern = {_quoted(glob.escape(folder) + '*.sql')}"]  # made by hand: no schedule


def _schedule(names: list[str]) -> str:
    """The time at which the last ones were begun, to five minutes; where they differ, only that there is one a day."""
    minutes = [minute for name in names[-3:] if (minute := files_dates.minute_of_day(name)) is not None]
    if minutes and max(minutes) - min(minutes) <= 10:
        first = min(minutes) // 5 * 5
        return f'due = "{first // 60:02}:{first % 60:02}"'
    return 'max_age = "26h"'


def _quoted(path: str) -> str:
    return json.dumps(path, ensure_ascii=False)
