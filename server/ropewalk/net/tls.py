"""TLS (RFC 8446) for accepted connections: contexts made once, and a socket that behaves like a plain one.

The handshake proceeds by readiness (`net.handshake`), so it occupies no thread. Where OpenSSL wants to read or to write
first, its error becomes the `BlockingIOError` of a plain socket.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ropewalk.errors import ConfigError
from ropewalk.portable import pread

MAX_RECORD = 16 * 1024  # RFC 8446 section 5.1: the content of one record

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
VERIFY_MODES = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain in PEM, the server's own certificate first, and its key, which may be in the same file."""

    chain: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The settings for TLS; `by_name` holds certificates by the host name that the peer asks for (SNI)."""

    certificate: Certificate
    by_name: Mapping[str, Certificate] = field(default_factory=dict)
    client_authorities: str = ""  # a PEM file
    verify_mode: str = "none"
    min_version: str = "1.2"
    ciphers: str = ""  # OpenSSL's syntax; TLS 1.2 only


Adapt = Callable[[Callable[[], ssl.SSLContext]], ssl.SSLContext]
"""Takes a function that makes a context as configured, and returns the context to use."""


class TlsContext:
    """Wraps accepted sockets in TLS. Made once, then only read."""

    def __init__(self, config: TlsConfig, adapt: Adapt | None = None) -> None:
        """`adapt` is called for each certificate, and returns the context to use.

        Raises `ConfigError` for a file that cannot be read or does not contain what it should.
        """

        def make(certificate: Certificate, setting: str) -> ssl.SSLContext:
            make_plain = partial(_make_context, config, certificate, setting)
            return adapt(make_plain) if adapt is not None else make_plain()

        self._default = make(config.certificate, "--certfile")
        self._by_name = {
            name.lower(): make(certificate, "--sni-certificate") for name, certificate in config.by_name.items()
        }
        if self._by_name:
            self._default.sni_callback = self._select_certificate
            _silence_undecodable_names()

    @property
    def context(self) -> ssl.SSLContext:
        """The context of the default certificate."""
        return self._default

    def wrap(self, sock: socket.socket) -> ssl.SSLSocket:
        """Return `sock` as a TLS socket that has not begun its handshake; `sock` is detached.

        Raises `OSError` when the peer is gone, and leaves `sock` as it was.
        """
        sock.getpeername()  # `wrap_socket` finds a peer that is gone too late: with a socket that nobody closes
        return self._default.wrap_socket(
            sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )

    def _select_certificate(self, tls: ssl.SSLObject, name: str | None, default: ssl.SSLContext) -> int | None:
        """RFC 6066 section 3: an exact name, else a wildcard one label up, else the default certificate."""
        wanted = (name or "").lower()
        context = self._by_name.get(wanted) or self._by_name.get("*." + wanted.partition(".")[2])
        if context is not None:
            tls.context = context
        return None


def _silence_undecodable_names() -> None:
    """Keep a name that is not ASCII, with which any peer fails its handshake, from printing a traceback each time.

    `ssl` decodes it before it calls `sni_callback`, and reports the failure to nobody but the hook of the interpreter.
    """
    hook = sys.unraisablehook
    if getattr(hook, "is_for_sni", False):
        return

    def report(unraisable: sys.UnraisableHookArgs) -> None:
        # The name is in the message since Python 3.14.
        is_of_name = isinstance(unraisable.object, bytes) or "while decoding name" in (unraisable.err_msg or "")
        if not (is_of_name and isinstance(unraisable.exc_value, UnicodeDecodeError)):
            hook(unraisable)

    report.is_for_sni = True  # type: ignore[attr-defined]  # a mark for the next call
    sys.unraisablehook = report


def _make_context(config: TlsConfig, certificate: Certificate, setting: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    # An end without close_notify is an end: heads and lengths show what is whole (RFC 9112 section 9.8). Without this,
    # OpenSSL 3 takes it for an error and lets no response through after it, such as the 408 after a deadline.
    context.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.set_alpn_protocols(["http/1.1"])
    _load_certificate(context, certificate, setting)
    if config.ciphers:
        try:
            context.set_ciphers(config.ciphers)
        except ssl.SSLError:
            raise ConfigError("--ciphers", config.ciphers, "names no cipher of TLS 1.2 that OpenSSL knows") from None
    _load_authorities(context, config)
    return context


def _load_authorities(context: ssl.SSLContext, config: TlsConfig) -> None:
    """Ask for client certificates, if they are configured."""
    if config.client_authorities:
        _check_readable("--ca-certs", config.client_authorities)
        try:
            context.load_verify_locations(config.client_authorities)
        except OSError as error:
            raise ConfigError("--ca-certs", config.client_authorities, _reason(error, "holds no certificate")) from None
    elif config.verify_mode != "none":
        raise ConfigError("--cert-reqs", config.verify_mode, "needs --ca-certs, the authorities to trust")
    context.verify_mode = VERIFY_MODES[config.verify_mode]


def _load_certificate(context: ssl.SSLContext, certificate: Certificate, setting: str) -> None:
    for path in filter(None, (certificate.chain, certificate.key)):
        _check_readable(setting, path)
    asked_for_password = []

    def password() -> bytes:  # in place of OpenSSL's prompt on the terminal, where nobody would answer it
        asked_for_password.append(True)
        return b""

    shown = ", ".join(filter(None, (certificate.chain, certificate.key)))
    try:
        context.load_cert_chain(certificate.chain, certificate.key or None, password=password)
    except OSError as error:
        if asked_for_password:
            raise ConfigError(setting, shown, "the key is encrypted; it must be stored without a password") from None
        raise ConfigError(setting, shown, _reason(error, "no PEM certificate with its key")) from None


def _check_readable(setting: str, path: str) -> None:
    """OpenSSL's own message names neither the file nor the setting."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise ConfigError(setting, path, f"cannot be read: {(error.strerror or '').lower()}") from None


def _reason(error: OSError, otherwise: str) -> str:
    if isinstance(error, ssl.SSLError):
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            return "the key does not belong to the certificate"
        return otherwise
    return (error.strerror or otherwise).lower()


class TlsSocket:
    """The part of a socket's interface that a connection uses, over TLS.

    Used by the connection's holder alone; only `shutdown` in the ways that send the peer nothing is for any thread.
    """

    __slots__ = ("_is_close_notify_due", "_tls")

    def __init__(self, tls: ssl.SSLSocket) -> None:
        self._tls = tls
        self._is_close_notify_due = True

    def fileno(self) -> int:
        return self._tls.fileno()

    def recv(self, count: int) -> bytes:
        """As `socket.recv`. An end without close_notify is an end as well: heads and lengths show what is whole.

        After the end of our output this returns the encrypted octets: they are only discarded, and OpenSSL would take a
        record of content there for an error.
        """
        if not self._is_close_notify_due:
            return socket.socket.recv(self._tls, count)
        try:
            return self._tls.recv(count)
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def send(self, octets: bytes | memoryview) -> int:
        """As `socket.send`, a record at a time.

        After a `BlockingIOError` the next call must begin with the same octets: OpenSSL has encrypted them already.
        """
        try:
            return self._tls.send(memoryview(octets)[:MAX_RECORD])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def sendmsg(self, parts: Sequence[bytes | memoryview]) -> int:
        """As `socket.sendmsg`, one record at a time. When it is repeated, the parts may be longer, never shorter."""
        if len(parts[0]) >= MAX_RECORD:  # fast path of the rest; test_parts_are_sent_as_if_they_were_joined
            return self.send(parts[0])
        gathered = bytearray()
        for part in parts:
            gathered += part[: MAX_RECORD - len(gathered)]
            if len(gathered) == MAX_RECORD:
                break
        return self.send(memoryview(gathered))

    def send_file(self, fd: int, offset: int, count: int) -> int:
        """Send from a file. What the socket does not take is read again, so the file must not change."""
        octets = pread(fd, min(count, MAX_RECORD), offset)
        return self.send(octets) if octets else 0

    def shutdown(self, how: int) -> None:
        """As `socket.shutdown`. Only the holder ends the sending side, which first sends close_notify, once.

        Raises `BlockingIOError` when the socket has no room for it; then it has to be called again.
        """
        if how == socket.SHUT_WR:
            self._send_close_notify()
        socket.socket.shutdown(self._tls, how)

    def skip_close_notify(self) -> None:
        """Let the output end without close_notify: what was sent is not complete. Call after the last `recv`."""
        self._is_close_notify_due = False

    def _send_close_notify(self) -> None:
        if not self._is_close_notify_due:
            return
        try:
            self._tls.unwrap()
        except ssl.SSLWantWriteError:
            raise BlockingIOError from None
        except (OSError, ValueError):
            pass  # SSLWantReadError: the peer's own is not waited for. Any other: the peer is gone.
        self._is_close_notify_due = False

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        self._tls.setsockopt(level, name, value)

    def close(self) -> None:
        self._tls.close()


def peer_variables(tls: ssl.SSLSocket) -> dict[str, str]:
    """What the handshake negotiated, under the names of Apache's mod_ssl."""
    cipher = tls.cipher()
    found = {
        "HTTPS": "on",
        "SSL_PROTOCOL": tls.version() or "",
        "SSL_CIPHER": cipher[0] if cipher else "",
        "SSL_CLIENT_VERIFY": "NONE",
    }
    der = tls.getpeercert(binary_form=True)
    if der:
        found["SSL_CLIENT_VERIFY"] = "SUCCESS"
        found["SSL_CLIENT_CERT"] = ssl.DER_cert_to_PEM_cert(der)
        found.update(_certificate_variables(tls.getpeercert() or {}))
    return found


def _certificate_variables(certificate: Mapping[str, Any]) -> dict[str, str]:
    return {
        "SSL_CLIENT_S_DN": _distinguished_name(certificate.get("subject", ())),
        "SSL_CLIENT_I_DN": _distinguished_name(certificate.get("issuer", ())),
        "SSL_CLIENT_M_SERIAL": str(certificate.get("serialNumber", "")),
        "SSL_CLIENT_V_START": str(certificate.get("notBefore", "")),
        "SSL_CLIENT_V_END": str(certificate.get("notAfter", "")),
    }


_SHORT_NAMES = {
    "commonName": "CN",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "domainComponent": "DC",
    "userId": "UID",
}


def _distinguished_name(name: Any) -> str:
    """RFC 4514: the last part first, special characters escaped; UTF-8 decoded as latin-1, as PEP 3333 has text."""
    parts = ["+".join(f"{_SHORT_NAMES.get(key, key)}={_escaped(value)}" for key, value in part) for part in name]
    return ",".join(reversed(parts)).encode("utf-8", "replace").decode("latin-1")


def _escaped(value: str) -> str:
    escaped = "".join(_escaped_character(char) for char in value)
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return "\\" + escaped if escaped[:1] in (" ", "#") else escaped


def _escaped_character(char: str) -> str:
    if char in '\\,+"<>;':
        return "\\" + char
    # Section 2.4 requires it of NUL alone; a line feed could end a header field in which the name is passed on.
    return char if char.isprintable() else "".join(f"\\{octet:02X}" for octet in char.encode("utf-8", "replace"))
