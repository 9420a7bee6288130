"""Authorities and certificates made for one test run, and a client that speaks TLS to a server."""

from __future__ import annotations

import contextlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from tests.helpers.http_client import Client

HOST = "shop.example"


@dataclass(frozen=True)
class Certificates:
    """An authority that clients believe, and files in a directory."""

    authority: trustme.CA
    directory: Path

    def write(self, certificate: trustme.LeafCert, name: str) -> tuple[str, str]:
        """Write the chain and the key; their paths."""
        chain, key = self.directory / f"{name}.pem", self.directory / f"{name}.key"
        chain.write_bytes(b"".join(part.bytes() for part in certificate.cert_chain_pems))
        key.write_bytes(certificate.private_key_pem.bytes())
        return str(chain), str(key)

    def make(self, *names: str) -> dict[str, Any]:
        """The settings that name a new certificate for `names`."""
        certfile, keyfile = self.write(self.authority.issue_cert(*names), names[0].replace("*", "any"))
        return {"certfile": certfile, "keyfile": keyfile}

    def authority_file(self) -> str:
        path = self.directory / "authority.pem"
        path.write_bytes(self.authority.cert_pem.bytes())
        return str(path)

    def client_context(self) -> ssl.SSLContext:
        """What a careful client uses: it checks the chain and the name."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


class TlsClient(Client):
    """One connection over TLS. `read_all` marks an end that TLS does not vouch for with b"CUT"."""

    def __init__(self, address: Any, context: ssl.SSLContext, name: str = HOST, **options: Any) -> None:
        super().__init__(address)
        try:
            self.sock: ssl.SSLSocket = context.wrap_socket(
                self.sock, server_hostname=name, suppress_ragged_eofs=False, **options
            )
        except BaseException:
            self.sock.close()
            raise

    def read_all(self) -> bytes:
        parts = [self.take(len(self.received))]
        try:
            while data := self.sock.recv(65536):
                parts.append(data)
        except ssl.SSLZeroReturnError:  # both sides said it
            pass
        except (ssl.SSLEOFError, ConnectionResetError):
            parts.append(b"CUT")
        return b"".join(parts)


def read_raw(sock: socket.socket) -> bytes:
    """Everything that the peer sends until it ends the connection in whatever way."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(65536):
            parts.append(data)
    return b"".join(parts)
