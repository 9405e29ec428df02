"""What to do about a file that the agent may not read: who may, and the command that mends it."""

import grp
import os
import pwd
import stat


def denied(path: str) -> PermissionError:
    """An error whose text names the first thing in the way to `path`, its owner, and what to do.

    Where the group may read, joining the group is the mend; where it may not, the mode has to change first.
    """
    us = _user(os.geteuid())
    for part in _way(path):
        try:
            status = os.stat(part)
        except OSError:
            break
        folder = stat.S_ISDIR(status.st_mode)
        if not os.access(part, os.R_OK | os.X_OK if folder and part == path else os.X_OK if folder else os.R_OK):
            group, mode = _group(status.st_gid), stat.S_IMODE(status.st_mode)
            need, letters = (stat.S_IRGRP, "r") if not folder else (stat.S_IXGRP, "x") if part != path else (
                stat.S_IRGRP | stat.S_IXGRP, "rx")
            mend = f"`usermod -aG {group} {us}` and restart Jaga"
            if status.st_gid == 0:  # nobody joins root's group: somebody ran artisan as root
                mend = f"`chown --reference={os.path.dirname(part)} {part}`, then {mend.replace('root', 'its group')}"
            if mode & need != need:
                mend = f"`chmod g+{letters} {part}`, then {mend}"
            return PermissionError(f"{path}: {us} may not read it: {part} belongs to {_user(status.st_uid)}:{group}, "
                                   f"mode {mode:04o}. Mend: {mend}")
    return PermissionError(f"{path}: {us} may not read it")


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
