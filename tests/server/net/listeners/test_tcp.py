"""A listening socket that refuses new connections, and keeps those in its backlog."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ropewalk.net.listeners.open import close_listeners, open_listeners, refuse_new_connections
from ropewalk.net.listeners.tcp import TcpListener


@pytest.fixture
def listener() -> Iterator[TcpListener]:
    (listener,) = open_listeners(["127.0.0.1:0"], backlog=16)
    assert isinstance(listener, TcpListener)
    listener.settimeout(20)
    yield listener
    listener.close()


def test_waiting_connection_is_accepted_and_served(listener: TcpListener) -> None:
    with socket.create_connection(listener.getsockname(), timeout=20) as client:
        client.sendall(b"ping")
        assert listener.refuse_new_connections()
        sock, _ = listener.accept()
        with sock:
            assert sock.recv(4) == b"ping"
            sock.sendall(b"pong" * 65536)
            sock.shutdown(socket.SHUT_WR)
            assert len(client.makefile("rb").read()) == 4 * 65536


def test_connection_to_a_closed_listener_is_refused_and_never_reset(listener: TcpListener) -> None:
    address = listener.getsockname()
    listener.refuse_new_connections()
    with socket.socket() as client:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(address)
        assert select.select([listener], [client], [], 0) == ([], [], [])  # neither connected nor refused
        listener.close()
        assert select.select([], [client], [], 20)[1]  # at its next attempt
        assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_a_closed_socket_has_nobody_to_turn_away(listener: TcpListener) -> None:
    listener.close()
    assert not listener.refuse_new_connections()


def test_a_unix_socket_loses_its_name_and_keeps_who_waits(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listeners = open_listeners([f"unix:{path}"], backlog=16)
    with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as late:
        client.connect(str(path))
        assert not refuse_new_connections(listeners)
        with pytest.raises(FileNotFoundError):
            late.connect(str(path))
        with listeners[0].accept()[0] as sock:
            sock.sendall(b"ok")
            assert client.recv(2) == b"ok"
    close_listeners(listeners)


def test_the_name_of_a_later_server_is_not_taken_away(tmp_path: Path) -> None:
    earlier = open_listeners([f"unix:{tmp_path / 's'}"], backlog=16)
    refuse_new_connections(earlier)
    later = open_listeners([f"unix:{tmp_path / 's'}"], backlog=16)
    close_listeners(earlier)
    assert (tmp_path / "s").exists()
    close_listeners(later)


def test_sockets_of_another_process_are_left_to_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as systemds:
        passed = systemds.dup().detach()
        listeners = open_listeners([f"fd://{passed}"], backlog=16)
        assert not refuse_new_connections(listeners)
        close_listeners(listeners)
        with socket.create_connection(systemds.getsockname(), timeout=20):
            systemds.accept()[0].close()
