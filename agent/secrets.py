"""Fetches a secret from where the configuration says it lies; the configuration itself never holds one."""

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from collectors.secret import Secret

HOW = '{ credential = "NAME" }, { file = "/PATH" } or { env = "NAME" }'
LARGEST = 65536  # bytes: a key or a password, not an archive


def resolve(value: object, env: Mapping[str, str], folder: Path) -> Secret:
    """Read the secret now, so that a missing one stops the start and not the first message.

    Relative files are looked for in `folder`. Raises ValueError with a phrase that follows the option's path; never
    with the secret in it.
    """
    if isinstance(value, str):
        raise ValueError(f"must not hold the secret itself: write {HOW}")
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"must say where the secret lies: write {HOW}")
    [(kind, name)] = value.items()
    if kind not in ("credential", "file", "env") or not isinstance(name, str) or not name or not name.isprintable():
        raise ValueError(f"must say where the secret lies: write {HOW}")
    if kind == "credential":
        text = _credential(name, env, folder)
    elif kind == "file":
        text = _file(folder / name)
    else:
        text = _variable(name, env)
    return Secret(f"{{ {kind} = {json.dumps(name, ensure_ascii=False)} }}", lambda: text)


def _credential(name: str, env: Mapping[str, str], folder: Path) -> str:
    if "/" in name or name in (".", ".."):
        raise ValueError("names a credential by a path: write its name alone")
    given = env.get("CREDENTIALS_DIRECTORY")
    if not given:  # by hand, such as `jaga config`: the originals, of which systemd hands the service copies
        kept = folder / "credentials" / name
        if not os.path.isfile(kept):  # os.path, for a folder that we may not look into counts as one without it
            raise ValueError(f"names the credential {name}, which systemd hands to the service alone "
                             f"($CREDENTIALS_DIRECTORY is not set), and no {kept} is to be seen: "
                             "use sudo, or { file = … } or { env = … }")
        return _file(kept)
    try:
        # no look at the mode: systemd grants the user by an ACL, which shows as a group permission
        return _text(Path(given, name).read_bytes(), f"the credential {name}")
    except OSError as error:
        raise ValueError(f"names the credential {name}, which systemd did not hand over: "
                         f"put it into /etc/jaga/credentials/{name} and run deploy/install --credentials") from error


def _file(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a FIFO or a device would never end
            raise ValueError(f"names {path}, which is not a file")
        if found.st_mode & 0o077:
            raise ValueError(f"names the file {path}, which other users may read: run chmod 600 {path}")
        if found.st_size > LARGEST:
            raise ValueError(f"names the file {path}, which is too large for a secret")
        return _text(path.read_bytes(), f"the file {path}")
    except OSError as error:
        raise ValueError(f"names the file {path}, which cannot be read: {error.strerror}") from error


def _variable(name: str, env: Mapping[str, str]) -> str:
    if name not in env:
        raise ValueError(f"names the environment variable {name}, which is not set")
    return _text(env[name].encode("utf-8", "surrogateescape"), f"the environment variable {name}")


def _text(content: bytes, what: str) -> str:
    try:
        text = content.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError(f"names {what}, which is not UTF-8 text") from None  # the error itself holds the bytes
    if not text:
        raise ValueError(f"names {what}, which is empty")
    return text
