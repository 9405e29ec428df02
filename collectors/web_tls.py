"""Certificates as they are served: when they end, and whether a browser would trust them."""

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME of openssl/x509_vfy.h, which Python has no name for
NOT_YET, EXPIRED = 9, 10  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED

_WORDS = {  # X509_V_ERR_… -> what it means to who must mend it
    18: "self-signed certificate",
    19: "signed by an authority that this machine does not know (self-signed in the chain)",
    20: "the chain is incomplete: the intermediate certificate is not served, or the authority is unknown here",
    21: "the chain is incomplete: the intermediate certificate is not served, or the authority is unknown here",
    NOT_YET: "the certificate is not valid yet, or this machine's clock is wrong",
    EXPIRED: "a certificate of the chain has expired",
}
_UTC_TIME = 0x17  # ASN.1 tag; the other kind is GeneralizedTime


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate is valid, in unix seconds."""

    begins: float
    ends: float


def validity(der: bytes) -> Validity:
    """Read it out of the certificate itself: Python decodes none that it did not verify. Raises ValueError.

    RFC 5280, 4.1: Certificate > TBSCertificate > [version] serial, signature, issuer, validity.
    """
    try:
        _, at, _ = _element(der, 0)
        _, at, _ = _element(der, at)
        tag, _, end = _element(der, at)
        if tag == 0xA0:
            at = end
        for _ in range(3):
            _, _, at = _element(der, at)
        _, at, _ = _element(der, at)
        kind, begin, end = _element(der, at)
        begins = _time(kind, der[begin:end])
        kind, begin, end = _element(der, end)
        return Validity(begins, _time(kind, der[begin:end]))
    except (IndexError, OverflowError) as error:
        raise ValueError("this is no certificate") from error


def strict(ca_file: str, flags: int = 0) -> ssl.SSLContext:
    """A context that trusts the system's authorities and those of `ca_file`. `flags` are added to its checks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= flags
    folder = ssl.get_default_verify_paths().openssl_capath
    if "SSL_CERT_FILE" not in os.environ and _hashed(folder):
        context.load_verify_locations(capath=folder)  # read when needed; all authorities at once cost 45 ms each time
    else:
        context.load_default_certs()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:  # its own text names no file; ssl.SSLError is one as well
            why = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror
            raise OSError(f"ca_file {ca_file}: {why}") from error
    return context


def trusting() -> ssl.SSLContext:
    """A context that takes any certificate: to see a page whose certificate is at fault. Nothing secret is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def why(error: ssl.SSLCertVerificationError) -> str:
    """Why it is not trusted, in words."""
    return _WORDS.get(error.verify_code, error.verify_message.rstrip("."))


def _hashed(folder: str) -> bool:
    try:
        with os.scandir(folder) as files:
            return any(file.name.endswith(".0") for file in files)
    except OSError:
        return False


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, begin and end of the content of the element that begins there."""
    tag, length = der[at], der[at + 1]
    at += 2
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(der[at:at + size], "big")
        at += size
    return tag, at, at + length


def _time(kind: int, text: bytes) -> float:
    written = text.decode("ascii")  # UnicodeDecodeError is a ValueError
    at = datetime.strptime(written, "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    if kind == _UTC_TIME and at.year >= 2050:  # RFC 5280, 4.1.2.5.1: 50 to 99 mean the last century
        at = at.replace(year=at.year - 100)
    return at.timestamp()
