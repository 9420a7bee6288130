"""A certificate for HTTPS on the developer's own machine, made when it is asked for and kept in memory.

The standard library cannot make one: the package cryptography does if it is installed, otherwise the command openssl.
"""

from __future__ import annotations

import ipaddress
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ropewalk.errors import ConfigError

VARIABLE = "_ROPEWALK_ADHOC_CERTIFICATE"
"""The descriptor of the certificate that the process before a reload has made."""

FILE_NAME = "ropewalk-adhoc-certificate"

DAYS = 30
"""Nobody keeps it for long, and browsers refuse what is valid for years."""

USUAL_NAMES = ("localhost", "127.0.0.1", "::1")


@contextmanager
def adhoc_certificate(*names: str) -> Iterator[str]:
    """The path of a PEM file with a certificate and its key, for what loads it within the `with` block.

        with adhoc_certificate("dev.example") as path:
            server = ropewalk.Server(application, certfile=path)

    It is for `names`, host names or addresses, and for those of this machine. After `share_adhoc_certificate`, here or
    in the process that started this one, it is the certificate that was shared. Raises ConfigError, one line, if
    neither cryptography nor openssl is installed.
    """
    shared = _shared()
    if shared is not None:
        yield f"/proc/self/fd/{shared}"
        return
    with tempfile.TemporaryDirectory(prefix=FILE_NAME) as folder:  # nobody else can enter it
        path = Path(folder) / "certificate.pem"
        path.write_bytes(_make(names))
        yield str(path)


def share_adhoc_certificate(*names: str) -> None:
    """Have the processes that this one starts from now on use the same certificate: a browser that has accepted it does
    not ask again after each reload. They have to inherit descriptors (`close_fds=False`).

    Raises ConfigError as `adhoc_certificate` does.
    """
    if _shared() is None and sys.platform == "linux":
        descriptor = os.memfd_create(FILE_NAME, 0)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                file.write(_make(names))
        except BaseException:
            os.close(descriptor)
            raise
        os.environ[VARIABLE] = str(descriptor)


def _shared() -> int | None:
    number = os.environ.get(VARIABLE, "")
    try:
        is_ours = number.isdigit() and FILE_NAME in os.readlink(f"/proc/self/fd/{number}")
    except OSError:  # the descriptor was not inherited
        return None
    return int(number) if is_ours else None


def _make(names: Sequence[str]) -> bytes:
    wanted = [name for name in dict.fromkeys((*names, *USUAL_NAMES)) if name]
    try:
        return _make_with_cryptography(wanted)
    except ImportError:
        return _make_with_openssl(wanted)


def _make_with_cryptography(names: Sequence[str]) -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, names[0][:64])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # the clock of a browser may be slow
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.IPAddress(ipaddress.ip_address(n)) if _is_address(n) else x509.DNSName(n) for n in names]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem) + private


def _make_with_openssl(names: Sequence[str]) -> bytes:
    alternatives = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
    with tempfile.TemporaryDirectory(prefix=FILE_NAME) as folder:
        key, certificate = Path(folder) / "key.pem", Path(folder) / "certificate.pem"
        command = [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", str(DAYS), "-subj", f"/CN={names[0][:64]}", "-addext", f"subjectAltName={alternatives}"),
            *("-addext", "extendedKeyUsage=serverAuth", "-keyout", str(key), "-out", str(certificate)),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except FileNotFoundError:
            reason = "needs the package cryptography or the command openssl, and neither is installed"
            raise ConfigError("adhoc certificate", None, reason) from None
        except subprocess.CalledProcessError as error:
            lines = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
            raise ConfigError("adhoc certificate", None, f"openssl could not make it: {lines[-1]}") from None
        return certificate.read_bytes() + key.read_bytes()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
