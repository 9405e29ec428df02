"""A small real Laravel app on Debian's php-laravel-framework, served by nginx and php-fpm, with queue workers."""

import shutil
import subprocess
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from stack import fpm, koperasi, nginx
from stack.certificates import Certificate
from stack.fpm import Fpm
from stack.mariadb import MariaDB
from stack.nginx import Nginx
from stack.redis_server import Redis

MODULES = "/etc/php/8.2/mods-available"
NEEDS = (
    *fpm.NEEDS, *nginx.NEEDS, "php8.2:php8.2-cli", "/usr/share/php/Illuminate:php-laravel-framework",
    f"{MODULES}/pdo_mysql.ini:php8.2-mysql", f"{MODULES}/redis.ini:php-redis",
    f"{MODULES}/mbstring.ini:php8.2-mbstring", f"{MODULES}/dom.ini:php8.2-xml",
)
APP = Path(__file__).with_name("app")
ILLUMINATE = Path("/usr/share/php/Illuminate")
FOLDERS = ("logs", "app/public", "framework/cache/data", "framework/sessions", "framework/views")
ENV = """APP_NAME=Koperasi
APP_ENV=production
APP_KEY=base64:S3VuY2kgcGVyY29iYWFuLCBidWthbiByYWhhc2lhISE=
APP_DEBUG=false
APP_TIMEZONE={timezone}
APP_URL={url}
LOG_CHANNEL={channel}
DB_CONNECTION=mysql
DB_HOST=127.0.0.1
DB_PORT={mysql_port}
DB_DATABASE={database}
DB_USERNAME=koperasi
DB_PASSWORD={password}
QUEUE_CONNECTION=database
SESSION_DRIVER=database
REDIS_HOST=127.0.0.1
REDIS_PORT={redis_port}
MIDTRANS_SERVER_KEY=SB-Mid-server-KUNCI-RAHASIA
"""
SITE = """
    root {public};
    index index.php;
    location / {{ try_files $uri $uri/ /index.php?$query_string; }}
    location ~ \\.php$ {{
        include /etc/nginx/fastcgi_params;
        fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
        fastcgi_pass unix:{fpm};
    }}
    location ~ /\\. {{ deny all; }}
"""
WORKER = """
[program:{name}]
command = php8.2 {path}/artisan queue:work {connection} --sleep={sleep} --tries={tries} --max-time=3600
process_name = %(program_name)s_%(process_num)02d
numprocs = {processes}
directory = {path}
startsecs = 1
autorestart = true
stopasgroup = true
killasgroup = true
stopwaitsecs = 10
redirect_stderr = true
stdout_logfile = {path}/storage/logs/worker.log
"""


class Laravel:
    """The app in `folder`/koperasi, on a database that `koperasi.load` made; entered, it is served at `url`.

    `timezone` is the app's, in which laravel.log is written; `channel` is "single" or "daily". The queues are
    "database" and, with a `redis`, "redis" with the prefix "koperasi_database_".
    """

    def __init__(self, folder: Path, mariadb: MariaDB, redis: Redis | None = None, *, database: str = "koperasi",
                 timezone: str = "UTC", channel: str = "single", certificate: Certificate | None = None) -> None:
        self.path = folder / "koperasi"
        shutil.copytree(APP, self.path)
        shutil.copytree(ILLUMINATE, self.path / "vendor/laravel/framework/src/Illuminate",
                        ignore=shutil.ignore_patterns("autoload.php"))
        for each in FOLDERS:
            (self.path / "storage" / each).mkdir(parents=True)
        (self.path / "bootstrap/cache").mkdir()
        self.fpm = Fpm(folder / "fpm")
        self.nginx = Nginx(folder / "nginx", SITE.format(public=self.path / "public", fpm=self.fpm.socket), certificate)
        self.url = self.nginx.url
        self.log = self.path / "storage/logs/laravel.log"
        self.env = self.path / ".env"
        self.env.write_text(ENV.format(
            timezone=timezone, channel=channel, url=self.url, mysql_port=mariadb.port, database=database,
            password=koperasi.PASSWORD, redis_port=redis.port if redis else 0), "utf-8")
        self.env.chmod(0o640)

    def artisan(self, *words: str) -> str:
        """`php artisan …`; what it said. Besides Laravel's own: koperasi:push JOB COUNT --on=redis --delay=60.

        The jobs are SendReceipt, which succeeds, CalculateShu, which throws, and CloseMonth, which takes --seconds.
        """
        done = subprocess.run(["php8.2", "artisan", *words], cwd=self.path, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str = "/") -> tuple[int, str]:
        """What a visitor gets: the status and the page. Redirects are followed."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def set(self, **settings: str) -> None:
        """Change .env: the site sees it at once, a worker when it starts again."""
        lines = [line for line in self.env.read_text().splitlines() if line.partition("=")[0] not in settings]
        self.env.write_text("\n".join([*lines, *(f"{key}={value}" for key, value in settings.items())]) + "\n", "utf-8")

    def workers(self, connection: str = "database", *, processes: int = 2, sleep: int = 3, tries: int = 3,
                name: str = "koperasi-worker") -> str:
        """The ini section of workers for a Supervisor, as the cooperative's server has it."""
        return WORKER.format(path=self.path, connection=connection, processes=processes, sleep=sleep, tries=tries,
                             name=name)

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            parts.enter_context(self.fpm)
            parts.enter_context(self.nginx)
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()
