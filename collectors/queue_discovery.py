"""Finds the workers that this machine's Supervisor is to run, and the queues that they serve."""

import configparser
import glob
import json
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

CONFIGURATIONS = ("/etc/supervisor/conf.d/*.conf", "/etc/supervisor/supervisord.conf", "/etc/supervisord.d/*.ini")
ENVIRONMENTS = "/var/www/*/.env"
SOCKETS = ("/run/supervisor.sock", "/var/run/supervisor.sock", "/run/supervisor/supervisor.sock")
DATABASES = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock")
_STORES = ("database", "redis")


def discovered(root: str = "/") -> str | None:
    """TOML that would watch the queues of this machine, or None where nothing speaks of any. No value but the name of a
    queue's store is taken from a .env."""
    stores = [store for store in map(_store, _files(root, ENVIRONMENTS)) if store]
    default = stores[0] if stores else "database"
    workers = [worker for file in _files(root, *CONFIGURATIONS) for worker in _workers(file)]
    queues = dict.fromkeys(
        f"{store or default}:{queue}" for _, command in workers for store, queues in [_serves(command)]
        for queue in queues if (store or default) in _STORES)
    if not queues and not stores:
        return None
    names = [*queues] or [f"{default}:default"]
    socket = next((path for path in DATABASES if os.path.exists(os.path.join(root, path.lstrip("/")))), "")
    where = f'socket = "{socket}"' if socket else 'host = "127.0.0.1"'
    where += ', user = "jaga", password = { credential = "mysql_password" }, database = "koperasi"'
    lines = ["[collectors.queue]", f"queues = {_list(names)}", f"database = {{ {where} }}"]
    if any(name.startswith("redis:") for name in names):
        lines.append('redis = { host = "127.0.0.1", app_name = "Koperasi" }')
    if workers:
        socket = next((path for path in SOCKETS if os.path.exists(os.path.join(root, path.lstrip("/")))), SOCKETS[0])
        lines += [f'supervisor = "{socket}"', f"programs = {_list([*dict.fromkeys(name for name, _ in workers)])}"]
    return "\n".join(lines) + "\n"


def _files(root: str, *patterns: str) -> list[Path]:
    """Those that the agent may read."""
    found = [Path(name) for pattern in patterns for name in sorted(glob.glob(os.path.join(root, pattern.lstrip("/"))))]
    return [path for path in found if os.access(path, os.R_OK) and path.is_file()]


def _store(path: Path) -> str:
    """What QUEUE_CONNECTION says, if it is one of the stores that can be watched."""
    for line in path.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "QUEUE_CONNECTION":
            said = value.strip().strip("\"'")
            return said if said in _STORES else ""
    return ""


def _workers(path: Path) -> Iterator[tuple[str, str]]:
    """Name and command of each program that works on a queue; the name is its group's where it is in one."""
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",), allow_no_value=True)
    try:
        parser.read_string(path.read_text("utf-8", "replace"))
    except configparser.Error:  # somebody else's file: Supervisor itself will tell what is wrong with it
        return
    groups = {program.strip(): section.removeprefix("group:")
              for section in parser.sections() if section.startswith("group:")
              for program in (parser.get(section, "programs", fallback="") or "").split(",")}
    for section in parser.sections():
        kind, _, name = section.partition(":")
        command = parser.get(section, "command", fallback="") or ""
        if kind == "program" and any(word in command for word in ("queue:work", "queue:listen", "artisan horizon")):
            yield groups.get(name, name), command


def _serves(command: str) -> tuple[str, list[str]]:
    """The connection ("" where it is the app's default) and the queues of an `artisan queue:work` command."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    after = next((at for at, word in enumerate(words) if word in ("queue:work", "queue:listen")), None)
    if after is None:  # Horizon works on Redis, and its queues stand in a file of PHP
        return "redis", ["default"]
    rest = words[after + 1:]
    connection = next((word for word in rest if not word.startswith("-")), "")
    queues = next((word.partition("=")[2] for word in rest if word.startswith("--queue=")), "default")
    return connection, [queue for queue in queues.split(",") if queue]


def _list(names: list[str]) -> str:
    return json.dumps(names, ensure_ascii=False)
