"""What to do about a file that the agent may not read: who may, and the command that mends it."""

import grp
import os
import pwd
import stat
from typing import Final

SERVICE: Final = "jaga"  # the account that deploy/systemd/jaga.service runs as


def denied(path: str) -> PermissionError:
    """An error whose text names the first thing in the way to `path`, its owner, and what to do.

    The mend is joining the group that may read. Where it may not, the mode changes first; and what belongs to root's
    group, which nobody joins (somebody ran artisan as root), gets the owner of its folder.
    """
    us = _user(os.geteuid())
    for part in _way(path):
        try:
            status = os.stat(part)
        except OSError:
            break
        folder, last = stat.S_ISDIR(status.st_mode), part == path
        letters = "r" if not folder else "rx" if last else "x"
        if os.access(part, sum({"r": os.R_OK, "x": os.X_OK}[letter] for letter in letters)):
            continue
        return PermissionError(
            f"{path}: {us} may not read it: {part} belongs to {_user(status.st_uid)}:{_group(status.st_gid)}, "
            f"mode {stat.S_IMODE(status.st_mode):04o}. Mend: {_mend(part, status, letters, us)}")
    return PermissionError(f"{path}: {us} may not read it")


def _mend(part: str, status: os.stat_result, letters: str, us: str) -> str:
    """The commands, in their order."""
    steps, group = [], status.st_gid
    need = sum({"r": stat.S_IRGRP, "x": stat.S_IXGRP}[letter] for letter in letters)
    if group == 0:
        steps.append(f"`chown --reference={os.path.dirname(part)} {part}`")
        group = os.stat(os.path.dirname(part)).st_gid
    if status.st_mode & need != need:
        steps.append(f"`chmod g+{letters} {part}`")
    if group not in {0, os.getegid(), *os.getgroups()}:
        steps.append(_join(_group(group), us))
    return ", then ".join(steps)


def _join(group: str, us: str) -> str:
    """Of the service it is the unit that gets the group: then it goes with the unit, and the account stays bare."""
    if us != SERVICE:
        return f"`usermod -aG {group} {us}` and restart Jaga"
    return f"`systemctl edit {us}`: below [Service] SupplementaryGroups={group}, then `systemctl restart {us}`"


def _way(path: str) -> list[str]:
    """/, /var, /var/www … and the path itself."""
    parts = os.path.abspath(path).split(os.sep)
    return [os.sep.join(parts[:end]) or os.sep for end in range(1, len(parts) + 1)]


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
