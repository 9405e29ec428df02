"""A real nginx in a folder of its own, on free loopback ports: plain, and with TLS where it has a certificate."""

import getpass
import signal
import socket
from pathlib import Path

import psutil

from house import free_port
from stack.certificates import Certificate
from stack.program import Program, until

NEEDS = ("nginx",)
SITE = """
user {user};
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
    include /etc/nginx/mime.types;
    default_type text/html;
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy;
    scgi_temp_path {folder}/scgi;
    uwsgi_temp_path {folder}/uwsgi;
    server {{
        listen 127.0.0.1:{port};
        {tls}
        location = /nginx_status {{ stub_status; access_log off; }}
        {site}
    }}
}}
"""


class Nginx(Program):
    """One server block: `site` is what stands in it ("root /…;", "location / { … }").

    `site` and `certificate` may be changed at any time; they are in force after `start` or `reload`.
    """

    def __init__(self, folder: Path, site: str, certificate: Certificate | None = None) -> None:
        super().__init__(folder)
        self.site = site
        self.certificate = certificate
        self.port = free_port()
        self.tls_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.access_log = folder / "access.log"
        self.error_log = folder / "error.log"
        self.configuration = folder / "nginx.conf"

    @property
    def command(self) -> list[str]:
        return ["nginx", "-p", str(self.folder), "-c", str(self.configuration), "-e", str(self.error_log)]

    @property
    def ready(self) -> bool:
        with socket.socket() as way:
            way.settimeout(5)
            listens = way.connect_ex(("127.0.0.1", self.port)) == 0
        return listens and bool(psutil.Process(self.pid).children())  # before it has a worker it heeds no signal

    def start(self) -> None:
        self._write()
        super().start()

    def reload(self) -> None:
        """As `systemctl reload nginx`, and wait until only workers with the new configuration are left."""
        self._write()
        before = set(psutil.Process(self.pid).children())
        psutil.Process(self.pid).send_signal(signal.SIGHUP)
        until(lambda: bool(now := set(psutil.Process(self.pid).children())) and not now & before, "nginx is reloaded")

    def _write(self) -> None:
        tls = "" if self.certificate is None else (
            f"listen 127.0.0.1:{self.tls_port} ssl; ssl_certificate {self.certificate.chain};"
            f" ssl_certificate_key {self.certificate.key};")
        self.configuration.write_text(SITE.format(
            folder=self.folder, user=getpass.getuser(), port=self.port, tls=tls, site=self.site), "utf-8")
