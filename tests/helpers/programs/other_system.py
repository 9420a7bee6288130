"""Serves a few requests with what another system lacks hidden: `other_system.py macos|windows`.

A simulation on Linux: it shows what is imported and called, not how the other kernel behaves.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import socket
import sys
from typing import Any

import tests.without_epoll  # noqa: F401 - hides what macOS lacks, before the server is imported

NOT_ON_WINDOWS: dict[Any, str] = {
    os: "O_CLOEXEC O_DIRECTORY O_NOCTTY O_NOFOLLOW O_NONBLOCK fchmod fork geteuid getuid killpg pread register_at_fork "
    "sendfile setsid waitid",
    select: "PIPE_BUF POLLERR POLLHUP POLLIN POLLNVAL POLLOUT POLLPRI poll",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTTIN SIGTTOU SIGUSR1 SIGUSR2 SIGWINCH SIG_BLOCK "
    "SIG_SETMASK pause pthread_kill pthread_sigmask",
    socket: "AF_UNIX MSG_DONTWAIT MSG_NOSIGNAL SCM_RIGHTS SO_REUSEPORT",
}


def tcp_pair(*_: object) -> tuple[socket.socket, socket.socket]:
    """What `socket.socketpair` is on Windows."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = socket.create_connection(listener.getsockname())
        return first, listener.accept()[0]


if sys.argv[1] == "windows":
    import socketserver

    for module, names in NOT_ON_WINDOWS.items():
        for name in names.split():
            delattr(module, name)
    del socketserver.ForkingMixIn
    hidden: dict[str, Any] = dict.fromkeys(("fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios"))
    sys.modules.update(hidden)
    socket.socketpair = tcp_pair  # type: ignore[assignment]  # takes what the tests pass
    setattr(selectors, "DefaultSelector", selectors.SelectSelector)  # noqa: B010 - to type checkers it is a type

import ropewalk  # noqa: E402
import ropewalk.files  # noqa: E402
import ropewalk.simple_server  # noqa: E402


def application(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read() * 100_000]


def ask(address: Any) -> int:
    """The octets of a response."""
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 10\r\n\r\n0123456789")
        count = 0
        while part := client.recv(1 << 16):
            count += len(part)
    return count


def main() -> None:
    log = os.path.join(sys.argv[2], "log")
    with ropewalk.Server(application, bind="127.0.0.1:0", error_log=log, access_log=log) as server:
        assert [ask(server.address) > 1_000_000 for _ in range(20)] == [True] * 20
    with ropewalk.simple_server.make_server("127.0.0.1", 0, application) as simple:
        client = socket.create_connection(("127.0.0.1", simple.server_port))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        simple.handle_request()
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        client.close()
    sys.stdout.write("served\n")


main()
