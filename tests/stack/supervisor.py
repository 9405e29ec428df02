"""A real Supervisor in a folder of its own, on a unix socket, with the programs that are asked for."""

import getpass
import subprocess
from pathlib import Path

from stack.program import Program

NEEDS = ("supervisord:supervisor", "supervisorctl:supervisor")
HEAD = """
[supervisord]
nodaemon = true
user = {user}
directory = {folder}
logfile = {folder}/supervisord.log
pidfile = {folder}/supervisord.pid
childlogdir = {folder}

[unix_http_server]
file = {socket}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl = unix://{socket}
"""


class Supervisor(Program):
    """`programs` are the ini sections [program:NAME], as in /etc/supervisor/conf.d."""

    def __init__(self, folder: Path, programs: str, **environment: str) -> None:
        super().__init__(folder, **environment)
        self.programs = programs
        self.socket = folder / "supervisor.sock"
        self.configuration = folder / "supervisord.conf"

    @property
    def command(self) -> list[str]:
        return ["supervisord", "--nodaemon", "--configuration", str(self.configuration)]

    @property
    def ready(self) -> bool:
        return self.socket.exists() and "refused" not in self.ctl("pid")

    def start(self) -> None:
        head = HEAD.format(folder=self.folder, socket=self.socket, user=getpass.getuser())
        self.configuration.write_text(head + self.programs, "utf-8")
        super().start()

    def ctl(self, *words: str) -> str:
        """What supervisorctl answers; its exit code is 3 where anything does not run, and that is no mistake."""
        done = subprocess.run(["supervisorctl", "--configuration", str(self.configuration), *words],
                              env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        return done.stdout + done.stderr

    def states(self) -> dict[str, str]:
        """Each process by its full name ("group:name"; the name alone where both are the same) and its state."""
        return dict(line.split()[:2] for line in self.ctl("status").splitlines())
