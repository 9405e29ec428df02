"""deploy/install on a make-believe machine: an overlay over this one's root, with a systemctl of our own.

Stand-ins: the packages' installation (deploy/venv) and the daemon. Real: users, files, databases, the HTTP check.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]
SCRIPTS = ["deploy/install", "deploy/venv", "tests/get-debian-packages", ".ci/run"]

SYSTEMCTL = """#!/bin/bash
# Remembers what it was told; the service starts unless the release in force is named in /fake/broken.
echo "$*" >>/fake/told
in_force=$(readlink /opt/jaga/venv)
case "$*" in
  *is-active*) [ -e /fake/active ] ;;
  "show jaga -p SupplementaryGroups --value") echo adm www-data ;;
  *restart* | "start jaga")
    rm -f /fake/active
    bash /fake/at-start "$in_force" 2>/dev/null
    grep -qs "$in_force" /fake/broken && exit 1
    touch /fake/active ;;
  *stop* | *disable*) rm -f /fake/active ;;
esac
"""
VENV = """#!/bin/bash
mkdir -p "$1/bin"
printf '%s\\n' '#!/bin/bash' '[ "$1 $2 $3" = "-m pip install" ] || exec /usr/bin/python3 "$@"' >"$1/bin/python"
printf '%s\\n' '#!/bin/bash' '! grep mistake /etc/jaga/agent.toml >&2' >"$1/bin/jaga"
chmod +x "$1"/bin/*
"""
HOLD = """
mount -t tmpfs none "$1" && mkdir "$1/upper" "$1/work" "$1/root" &&
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root" &&
mount --rbind /dev "$1/root/dev" && mount -t proc proc "$1/root/proc" && mkdir "$1/root/fake" &&
mount --bind "$2" "$1/root/srv" && mount --bind "$3" "$1/root/fake" &&
rm -rf "$1"/root/{opt/jaga,etc/jaga,var/lib/jaga} "$1"/root/etc/systemd/system/jaga.service* &&
mkdir -p "$1/root/run/systemd/system" &&
install -m 0755 "$3/systemctl" "$1/root/usr/local/bin/systemctl" && echo held && exec sleep 600
"""


class Ready(BaseHTTPRequestHandler):
    """The daemon's /-/ready: not yet at the first question, then yes."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200 if self.path == "/-/ready" and type(self).asked > 1 else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Machine:
    def __init__(self, holder: int, root: Path, source: Path, fake: Path) -> None:
        self.holder, self.root, self.source, self.fake = holder, root, source, fake

    def run(self, *command: str, succeeds: bool = True) -> str:
        inside = ["nsenter", "-t", str(self.holder), "-m", "chroot", str(self.root), *command]
        done = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode == 0) is succeeds, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, *arguments: str, succeeds: bool = True) -> str:
        return self.run("/srv/deploy/install", *arguments, succeeds=succeeds)

    def release(self, version: str) -> None:
        project = self.source / "pyproject.toml"
        project.write_text(f'[project]\nname = "jaga"\nversion = "{version}"\n')

    def in_force(self) -> str:
        return self.run("readlink", "/opt/jaga/venv").strip().rsplit("-", 1)[0]

    def releases(self) -> list[str]:
        return sorted(name.rsplit("-", 1)[0] for name in self.run("ls", "/opt/jaga").split() if name != "venv")

    def told(self) -> list[str]:
        """What systemctl was told since the last question, without the questions."""
        log = self.fake / "told"
        lines = [line for line in log.read_text().splitlines() if "is-active" not in line] if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def sql(self, statement: str) -> str:
        return self.run("runuser", "-u", "jaga", "--", "/usr/bin/python3", "-c",
                        "import sqlite3, sys; c = sqlite3.connect('/var/lib/jaga/jaga.db');"
                        "print(c.execute(sys.argv[1]).fetchall()); c.commit()", statement).strip()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    source, fake, mount = (tmp_path / name for name in ("source", "fake", "mount"))
    for folder in ("agent", "alerts", "collectors", "docs", "deploy/systemd"):
        (source / folder).mkdir(parents=True)
    fake.mkdir()
    mount.mkdir()
    for name in ("deploy/install", "deploy/systemd/jaga.service"):
        shutil.copy2(TREE / name, source / name)
    for path, text in ((source / "deploy/venv", VENV), (fake / "systemctl", SYSTEMCTL)):
        path.write_text(text)
        path.chmod(0o755)
    for name in ("README.md", "requirements.lock"):
        (source / name).touch()
    ready = type("ReadyHere", (Ready,), {"asked": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), ready) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (source / "agent.toml").write_text(f'[web]\nlisten = "127.0.0.1:{server.server_port}"\n')
        with subprocess.Popen(["unshare", "-m", "bash", "-c", HOLD, "-", str(mount), str(source), str(fake)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
            try:
                assert holder.stdout
                assert holder.stderr
                if holder.stdout.readline() != "held\n":
                    pytest.skip(f"no mount namespace to be had here: {holder.stderr.read().strip()}")
                made = Machine(holder.pid, mount / "root", source, fake)
                made.release("1.0")
                yield made
            finally:
                holder.kill()
                server.shutdown()


@pytest.fixture
def installed(machine: Machine) -> Machine:
    """Version 1.0 runs, with a database of schema 1 that holds one row."""
    machine.install()
    machine.run("install", "-d", "-o", "jaga", "-m", "0700", "/var/lib/jaga")
    machine.sql("PRAGMA journal_mode = WAL")
    machine.sql("PRAGMA user_version = 1")
    machine.sql("CREATE TABLE told AS SELECT 'before' AS what")
    machine.told()
    return machine


@pytest.mark.needs_debian("shellcheck")
def test_the_scripts_are_clean_shell() -> None:
    done = subprocess.run(["shellcheck", *SCRIPTS], cwd=TREE, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_a_first_installation_lays_everything_and_starts(machine: Machine) -> None:
    machine.install()
    assert machine.in_force() == "venv-1.0"
    laid = machine.run("stat", "-c", "%n %U %G %a", "/etc/jaga", "/etc/jaga/credentials", "/etc/jaga/agent.toml")
    assert laid.splitlines() == [
        "/etc/jaga root jaga 750", "/etc/jaga/credentials root root 700", "/etc/jaga/agent.toml root jaga 640"]
    assert machine.run("cat", "/etc/systemd/system/jaga.service") == (TREE / "deploy/systemd/jaga.service").read_text()
    assert machine.run("readlink", "-f", "/usr/local/bin/jaga").startswith("/opt/jaga/venv-1.0-")
    assert machine.told() == ["daemon-reload", "-q enable jaga", "restart jaga"]


def test_a_second_run_of_the_same_tree_changes_nothing(installed: Machine) -> None:
    assert "nothing to do" in installed.install()
    assert installed.told() == []


def test_a_configuration_that_is_there_is_kept(installed: Machine) -> None:
    installed.run("sh", "-c", "echo '# mine' >> /etc/jaga/agent.toml")
    installed.release("1.1")
    installed.install()
    assert installed.run("tail", "-n", "1", "/etc/jaga/agent.toml") == "# mine\n"


def test_an_upgrade_copies_the_database_and_keeps_one_way_back(installed: Machine) -> None:
    for version in ("1.1", "1.2"):
        installed.release(version)
        installed.install()
    assert installed.in_force() == "venv-1.2"
    assert installed.releases() == ["venv-1.1", "venv-1.2"]
    copies = installed.run("find", "/var/lib/jaga", "-name", "backup-*", "-printf", "%u %m %f\n")
    assert [copy.rsplit("-", 1)[0] for copy in copies.splitlines()] == ["jaga 600 backup-venv-1.1"]
    assert installed.told() == ["stop jaga", "daemon-reload", "-q enable jaga", "restart jaga"] * 2


@pytest.mark.parametrize(
    ("at_start", "left"),
    [
        pytest.param("sql(\"INSERT INTO told VALUES ('after')\")", "[('before',), ('after',)]", id="same schema: kept"),
        pytest.param("sql('DELETE FROM told; PRAGMA user_version = 2')", "[('before',)]", id="other schema: the copy"),
        pytest.param("sql('DELETE FROM told'); open(path, 'wb').write(b'?')", "[('before',)]", id="damaged: the copy"),
    ],
)
def test_a_version_that_does_not_start_is_rolled_back(installed: Machine, at_start: str, left: str) -> None:
    installed.release("1.1")
    (installed.fake / "1.1.py").write_text(
        "import os, sqlite3; path = '/var/lib/jaga/jaga.db'; sql = sqlite3.connect(path).executescript\n"
        f"{at_start}; os._exit(1)  # dies with its log of changes (-wal) left behind")
    (installed.fake / "at-start").write_text(
        "case $1 in venv-1.1-*) echo $1 >/fake/broken; runuser -u jaga -- /usr/bin/python3 /fake/1.1.py ;; esac")
    said = installed.install(succeeds=False)
    assert "rolled back: venv-1.0" in said
    assert installed.in_force() == "venv-1.0"
    assert (installed.fake / "active").exists()
    assert installed.sql("SELECT what FROM told") == left
    assert installed.sql("PRAGMA user_version") == "[(1,)]"


def test_what_the_old_version_cannot_read_gives_way_to_the_copy(installed: Machine) -> None:
    installed.release("1.1")
    (installed.fake / "at-start").write_text("""
sql() { runuser -u jaga -- /usr/bin/python3 -c "import sqlite3; c = sqlite3.connect('/var/lib/jaga/jaga.db')
print(c.execute(\\"$1\\").fetchall()); c.commit()"; }
echo venv-1.1 >/fake/broken
case $1 in
  venv-1.1-*) sql "INSERT INTO told VALUES ('unreadable')"; echo "$1" >>/fake/broken ;;
  venv-1.0-*) sql "SELECT * FROM told" | grep -q unreadable && echo "$1" >>/fake/broken ;;
esac""")
    said = installed.install(succeeds=False)
    assert "does not start on the database as the new version left it" in said
    assert "rolled back: venv-1.0" in said
    assert (installed.fake / "active").exists()
    assert installed.sql("SELECT what FROM told") == "[('before',)]"


def test_a_configuration_that_does_not_suit_stops_the_upgrade_before_anything_changes(installed: Machine) -> None:
    installed.run("sh", "-c", "echo 'mistake = 1' >> /etc/jaga/agent.toml")
    installed.release("1.1")
    assert "nothing was changed" in installed.install(succeeds=False)
    assert (installed.in_force(), installed.told()) == ("venv-1.0", [])


def test_credentials_are_listed_for_the_service_and_read_anew_on_demand(installed: Machine) -> None:
    drop_in = "/etc/systemd/system/jaga.service.d/credentials.conf"
    installed.run("sh", "-c", "echo secret > /etc/jaga/credentials/twilio_token")
    installed.install("--credentials")
    assert installed.run("cat", drop_in).splitlines()[1:] == [
        "[Service]", "LoadCredential=twilio_token:/etc/jaga/credentials/twilio_token"]
    assert installed.told() == ["daemon-reload", "restart jaga"]
    installed.run("rm", "/etc/jaga/credentials/twilio_token")
    installed.install("--credentials")
    installed.run("test", "!", "-e", drop_in)


def test_a_credential_with_a_name_systemd_cannot_take_is_refused(installed: Machine) -> None:
    installed.run("touch", "/etc/jaga/credentials/my token")
    assert "rename it" in installed.install("--credentials", succeeds=False)


def test_a_check_has_the_users_groups_and_secrets_of_the_service(installed: Machine) -> None:
    installed.run("sh", "-c", "echo secret > /etc/jaga/credentials/mysql_password")
    installed.run("sh", "-c", "printf '#!/bin/sh\\necho \"$@\"; exit 1\\n' > /usr/local/bin/systemd-run; "
                              "chmod +x /usr/local/bin/systemd-run")
    asked = installed.install("--check", "mysql", "sql", succeeds=False)  # 1: a problem was found
    assert asked.strip() == (
        "--quiet --wait --pipe --collect -p User=jaga -p Group=jaga -p SupplementaryGroups=adm www-data "
        "-p LoadCredential=mysql_password:/etc/jaga/credentials/mysql_password "
        "/opt/jaga/venv/bin/jaga check --config /etc/jaga/agent.toml mysql sql")


def test_uninstalling_leaves_configuration_and_state(installed: Machine) -> None:
    installed.install("--uninstall")
    for gone in ("/opt/jaga", "/usr/local/bin/jaga", "/etc/systemd/system/jaga.service"):
        installed.run("test", "!", "-e", gone)
    for left in ("/etc/jaga/agent.toml", "/var/lib/jaga/jaga.db"):
        installed.run("test", "-e", left)
    assert installed.told() == ["-q disable --now jaga", "daemon-reload"]


@pytest.mark.parametrize("arguments", [["--dry-run"], ["--dry-run", "--uninstall"]])
def test_a_dry_run_says_and_does_nothing(machine: Machine, arguments: list[str]) -> None:
    said = machine.install(*arguments)
    assert "would" in said
    assert machine.told() == []
    for untouched in ("/opt/jaga", "/etc/jaga", "/etc/systemd/system/jaga.service"):
        machine.run("test", "!", "-e", untouched)


def test_a_wrong_argument_is_answered_with_the_usage(machine: Machine) -> None:
    for argument in ("--unistall", "uninstall"):
        assert "usage: deploy/install" in machine.install(argument, succeeds=False)
