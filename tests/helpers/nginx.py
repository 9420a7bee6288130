"""The kit's nginx as a process of this machine, in front of a server: no container needed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ropewalk
from bench.kit_files import MODULES, OPTIONAL, copy_kit, leave_out_missing_modules
from tests.helpers.ports import free_port

ECHO = MODULES / OPTIONAL["echo"]
NOBODY = 65534  # nginx is started as this user, if the tests run as root
PATIENCE = 30.0  # seconds; only a fault runs into it


def lay_out(directory: Path, port: int, body_timeout: str) -> None:
    """The files of nginx's image, for a machine that has no /kit, and where /tmp/nginx may be another's.

    Only the places of files and ports change, and how long nginx waits for a client.
    """
    changes = {
        "/dev/stdout": f"{directory}/access.log",
        "/dev/stderr": f"{directory}/error.log",
        "${IPV6}listen [::]:8080 ${LISTEN_DEFAULT};": "",
        "${IPV6}listen [::]:8080 default_server;": "",
        "${IPV6}listen [::]:8080;": "",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "listen 127.0.0.1:8081": f"listen 127.0.0.1:{free_port()}",
        "listen 8082": f"listen 127.0.0.1:{free_port()}",
        "client_header_timeout 10s": "client_header_timeout 300ms",
        "client_body_timeout 15s": f"client_body_timeout {body_timeout}",
        "keepalive_timeout ${CLIENT_KEEP_ALIVE}s": "keepalive_timeout 300ms",
    }
    copy_kit(directory, changes)
    leave_out_missing_modules(directory)
    (directory / "kit/nginx/pages/own").mkdir()


@contextlib.contextmanager
def running_nginx(
    server: ropewalk.Server,
    directory: Path,
    *,
    body_timeout: str = "300ms",
    is_watched: bool = False,
    before: Callable[[Path], object] = lambda _directory: None,
    **variables: str,
) -> Iterator[int]:
    """nginx in front of `server`; yields its port. At the end it has finished, and its log is whole.

    `before` is called once the files of its image are there. If it is watched, watch-upstream runs beside it, as in the
    container, and writes to the same output.
    """
    port = free_port()
    lay_out(directory, port, body_timeout)
    before(directory)
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
        for path in (directory, *directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
    is_unix = isinstance(server.address, str)
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "APP_HOST": "127.0.0.1",
        "APP_PORT": str(9 if is_unix else server.address[1]),
        "NGINX_WORKERS": "1",
        "RATE_LIMIT": "0",
        "CONNECTION_LIMIT": "0",
        "BODY_LIMIT": "0",
        "UPLOAD_LIMIT": "0",
        "HTTPS": "off",  # what is sent is octets of HTTP/1.1
        **variables,
    }
    checked = subprocess.run(
        ["bash", directory / "kit/bin/entrypoint", "check"],
        env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False, **user,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    if is_unix:
        (directory / "nginx/upstream.conf").write_text(f"server unix:{server.address};\n")
    command = ["nginx", "-c", str(directory / "nginx/nginx.conf"), "-g", "daemon off;"]
    with (directory / "output").open("wb") as output:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, **user
        )
    watchers: list[subprocess.Popen[bytes]] = []
    try:
        wait_until_listening(port, process)
        if is_watched:
            watcher = ["bash", str(directory / "kit/bin/watch-upstream")]
            with (directory / "output").open("ab") as output:
                watchers.append(
                    subprocess.Popen(
                        watcher, env=environment, stdout=output, stderr=output, start_new_session=True, **user
                    )
                )
        yield port
        process.send_signal(signal.SIGQUIT)
        assert process.wait(PATIENCE) == 0, (directory / "output").read_text()
    finally:
        # with what it has started, which would outlive it
        for each in watchers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(each.pid, signal.SIGKILL)
            each.wait()
        # not kill: its workers would outlive it
        process.terminate()
        process.wait(PATIENCE)


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1000):
        assert process.poll() is None
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    raise AssertionError("nginx does not listen")
