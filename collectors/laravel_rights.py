"""May this user write there? Told from owner, mode and POSIX access list, for nothing may be written to find out."""

import grp
import os
import pwd
import stat
import struct
from dataclasses import dataclass

READ, WRITE, ENTER = 4, 2, 1

# the kernel's posix_acl_xattr.h: a version, then (tag, permission, id) for each entry, all little-endian
_ACL, _VERSION, _ENTRY = "system.posix_acl_access", 2, struct.Struct("<HHI")
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 1, 2, 4, 8, 16, 32


@dataclass(frozen=True, slots=True)
class Who:
    """A user of this machine, with all groups."""

    name: str
    number: int
    groups: frozenset[int]


def who(name: str) -> Who:
    """Raises ValueError where this machine has no such user."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        raise ValueError(f'this machine has no user "{name}": set user in [collectors.laravel] to the one that PHP '
                         "runs as (`ps -o user= -C php-fpm8.2`)") from None
    return Who(name, user.pw_uid, frozenset(os.getgrouplist(name, user.pw_gid)))


def hindrance(user: Who, path: str, need: int) -> str:
    """What keeps the user from `need` (READ | WRITE | ENTER) there, as `/path: root:root 0755`; "" for nothing.

    Raises OSError where that cannot be seen. A read-only filesystem is not looked at: that is the disk collector's.
    """
    real = os.path.realpath(path)
    folders = [real]
    while folders[-1] != "/":
        folders.append(os.path.dirname(folders[-1]))
    for place in reversed(folders):
        status = os.stat(place)
        if not _allows(place, status, user, need if place == real else ENTER):
            return f"{place}: {owner(status)}"
    return ""


def owner(status: os.stat_result) -> str:
    """`www-data:www-data 0640`."""
    return f"{_user_name(status.st_uid)}:{_group_name(status.st_gid)} {stat.S_IMODE(status.st_mode):04o}"


def anybody_may_read(path: str) -> bool:
    """Whether every user of this machine may read that file. Raises OSError where it cannot be seen."""
    real = os.path.realpath(path)
    folder = os.path.dirname(real)
    if not os.stat(real).st_mode & stat.S_IROTH:
        return False
    while os.stat(folder).st_mode & stat.S_IXOTH:
        if folder == "/":
            return True
        folder = os.path.dirname(folder)
    return False


def _allows(path: str, status: os.stat_result, user: Who, need: int) -> bool:
    """As acl(5) says: the owner's entry, else the one naming the user, else any group's that suffices, else other."""
    if user.number == 0:
        return True
    entries = _entries(path, status)
    mask = next((has for tag, has, _ in entries if tag == _MASK), 7)
    if user.number == status.st_uid:
        return any(tag == _USER_OBJ and has & need == need for tag, has, _ in entries)
    named = [has & mask for tag, has, number in entries if tag == _USER and number == user.number]
    if named:
        return named[0] & need == need
    groups = [has & mask for tag, has, number in entries
              if (tag == _GROUP and number in user.groups) or (tag == _GROUP_OBJ and status.st_gid in user.groups)]
    if groups:
        return any(has & need == need for has in groups)
    return any(tag == _OTHER and has & need == need for tag, has, _ in entries)


def _entries(path: str, status: os.stat_result) -> list[tuple[int, int, int]]:
    try:
        raw = os.getxattr(path, _ACL)
    except OSError:  # no list, or a filesystem without them: the mode says it all
        raw = b""
    if len(raw) >= 4 and int.from_bytes(raw[:4], "little") == _VERSION and not (len(raw) - 4) % _ENTRY.size:
        return list(_ENTRY.iter_unpack(raw[4:]))
    mode = status.st_mode
    return [(_USER_OBJ, mode >> 6 & 7, 0), (_GROUP_OBJ, mode >> 3 & 7, 0), (_OTHER, mode & 7, 0)]


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
