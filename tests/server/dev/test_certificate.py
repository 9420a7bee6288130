"""The certificate that is made for HTTPS in development."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ropewalk
from ropewalk.dev import certificate
from ropewalk.dev.certificate import VARIABLE, adhoc_certificate, share_adhoc_certificate
from ropewalk.errors import ConfigError
from tests.helpers.certificates import TlsClient
from tests.helpers.embedded import answering
from tests.helpers.http_client import GET

PRINT_IT = """
from ropewalk.dev.certificate import adhoc_certificate
with adhoc_certificate() as path:
    print(open(path).read(), end="")
"""


@pytest.fixture
def without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The number of the descriptor of a shared certificate."""
    monkeypatch.setenv(VARIABLE, "")
    share_adhoc_certificate("shop.example")
    number = os.environ[VARIABLE]
    yield number
    os.close(int(number))


def check_names() -> None:
    """A careful client that trusts the certificate accepts it for each of its names, and for no other."""
    with adhoc_certificate("shop.example", "127.0.0.2") as path:
        context = ssl.create_default_context(cafile=path)
        server = ropewalk.Server(answering(), bind="127.0.0.1:0", certfile=path)
    assert not os.path.exists(path)
    with server:
        for name in ("shop.example", "localhost", "127.0.0.1", "127.0.0.2", "::1"):
            client = TlsClient(server.address, context, name)
            client.send(GET)
            assert b"200 OK" in client.read_all()
            client.sock.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            TlsClient(server.address, context, "other.example")


def test_cryptography_makes_it_for_the_names_of_this_machine_too() -> None:
    check_names()


@pytest.mark.usefixtures("without_cryptography")
def test_openssl_makes_it_without_cryptography() -> None:
    check_names()


@pytest.mark.usefixtures("without_cryptography")
def test_one_line_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="cryptography or the command openssl") as caught, adhoc_certificate():
        pass
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("without_cryptography")
def test_reason_of_openssl_is_passed_on() -> None:
    with pytest.raises(ConfigError, match="openssl could not make it"), adhoc_certificate("no name, no address"):
        pass


def test_shared_one_is_used_here_and_in_processes_started_later(shared: str) -> None:
    with adhoc_certificate() as path, adhoc_certificate("another.example") as again:
        here = Path(path).read_bytes()
        assert path == again
    there = subprocess.run([sys.executable, "-c", PRINT_IT], check=True, capture_output=True, close_fds=False).stdout
    assert here == there


def test_process_that_did_not_inherit_it_makes_one(shared: str) -> None:
    with adhoc_certificate() as path:
        here = Path(path).read_bytes()
    there = subprocess.run([sys.executable, "-c", PRINT_IT], check=True, capture_output=True).stdout
    assert b"PRIVATE KEY" in there
    assert here != there


def test_variable_that_names_another_file_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "0")
    with adhoc_certificate() as path:
        assert b"PRIVATE KEY" in Path(path).read_bytes()
    assert certificate.FILE_NAME in path
