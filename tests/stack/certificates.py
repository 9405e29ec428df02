"""Certificates of every kind, made by the openssl program: good, expired, not yet valid, self-signed, chain cut."""

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

NEEDS = ("openssl",)
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2049, 1, 1, tzinfo=UTC))
CONFIGURATION = """
[ca]
default_ca = here
[here]
database = {work}/index
serial = {work}/serial
new_certs_dir = {work}
default_md = sha256
policy = policy
unique_subject = no
[policy]
commonName = supplied
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
subjectKeyIdentifier = hash
subjectAltName = {names}
[request]
distinguished_name = name
[name]
"""


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: `chain` is what a server sends (the leaf first), `key` its private key."""

    chain: Path
    key: Path


class Authority:
    """A certificate authority in a folder. `file` is what clients trust; `sends` what servers send beside the leaf."""

    def __init__(self, folder: Path, name: str = "CA Percobaan", parent: Self | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.name = folder, name
        self.key = _key(folder / "authority.key")
        self.file = folder / "authority.pem"
        _sign(self.file, self.key, name, "authority", EVER, by=parent)
        self.sends = "" if parent is None else self.file.read_text() + parent.sends

    def intermediate(self, name: str = "CA Perantara") -> "Authority":
        """An authority that this one vouches for, as Let's Encrypt's R10 and E5."""
        return Authority(self.folder / "intermediate", name, self)

    def issue(self, *names: str, start: datetime | None = None, end: datetime | None = None, whole: bool = True,
              ) -> Certificate:
        """A server's certificate, from a day ago for 90 days unless told; not `whole`: no intermediates."""
        return _leaf(self.folder, names, start, end, self, self.sends if whole else "")


def self_signed(folder: Path, *names: str, start: datetime | None = None, end: datetime | None = None) -> Certificate:
    """A certificate that vouches for itself, as a server has until somebody runs certbot."""
    folder.mkdir(parents=True, exist_ok=True)
    return _leaf(folder, names, start, end, None, "")


def _leaf(folder: Path, names: tuple[str, ...], start: datetime | None, end: datetime | None, by: Authority | None,
          rest: str) -> Certificate:
    names = names or ("localhost", "127.0.0.1")
    start = start or datetime.now(UTC) - timedelta(days=1)
    number = len(list(folder.glob("leaf-*.pem")))
    key, chain = _key(folder / f"leaf-{number}.key"), folder / f"leaf-{number}.pem"
    _sign(chain, key, names[0], "leaf", (start, end or start + timedelta(days=90)), names, by)
    chain.write_text(chain.read_text() + rest)
    return Certificate(chain, key)


def _key(path: Path) -> Path:
    _openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", str(path))
    return path


def _sign(target: Path, key: Path, name: str, kind: str, valid: tuple[datetime, datetime],
          names: tuple[str, ...] = ("localhost",), by: Authority | None = None) -> None:
    """`openssl ca`, for before OpenSSL 3.4 nothing else of it takes both dates."""
    work = target.with_suffix(".work")
    work.mkdir()
    (work / "index").touch()
    san = ",".join(f"{'IP' if each.replace('.', '').isdigit() else 'DNS'}:{each}" for each in names)
    configuration = work / "openssl.cnf"
    configuration.write_text(CONFIGURATION.format(work=work, names=san), "utf-8")
    request = work / "request.pem"
    start, end = (each.astimezone(UTC).strftime("%Y%m%d%H%M%SZ") for each in valid)
    _openssl("req", "-new", "-config", str(configuration), "-utf8", "-key", str(key), "-subj", f"/CN={name}", "-out",
             str(request))
    signer = ["-selfsign", "-keyfile", str(key)] if by is None else ["-cert", str(by.file), "-keyfile", str(by.key)]
    _openssl("ca", "-batch", "-notext", "-rand_serial", "-config", str(configuration), "-extensions", kind, *signer,
             "-startdate", start, "-enddate", end, "-in", str(request), "-out", str(target))


def _openssl(*words: str) -> None:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, f"openssl {' '.join(words)}\n{done.stderr}"
