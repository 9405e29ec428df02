"""A real php8.2-fpm in a folder of its own, on unix sockets: one for PHP, one for its status."""

import getpass
import socket
from pathlib import Path

from stack.program import Program

NEEDS = ("php-fpm8.2:php8.2-fpm",)
POOL = """
[global]
daemonize = no
error_log = {folder}/fpm.log

[www]
user = {user}
listen = {folder}/fpm.sock
pm = dynamic
pm.max_children = 5
pm.start_servers = 2
pm.min_spare_servers = 1
pm.max_spare_servers = 3
pm.status_path = /fpm-status
pm.status_listen = {folder}/fpm-status.sock
ping.path = /fpm-ping
catch_workers_output = yes
"""


class Fpm(Program):
    """Debian's pool, with status and ping on. `lines` are settings of the pool, the last one wins."""

    def __init__(self, folder: Path, *lines: str) -> None:
        super().__init__(folder)
        self.lines = lines
        self.socket = folder / "fpm.sock"
        self.status_socket = folder / "fpm-status.sock"
        self.configuration = folder / "fpm.conf"

    @property
    def command(self) -> list[str]:
        return ["php-fpm8.2", "--nodaemonize", "--allow-to-run-as-root", "--fpm-config", str(self.configuration)]

    @property
    def ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as way:
            way.settimeout(5)
            return way.connect_ex(str(self.socket)) == 0

    def start(self) -> None:
        pool = POOL.format(folder=self.folder, user=getpass.getuser()) + "\n".join(self.lines)
        self.configuration.write_text(pool + "\n", "utf-8")
        super().start()
