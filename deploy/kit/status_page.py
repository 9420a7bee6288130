"""`make status-page`: the server's status page, on loopback ports of this machine, one for each container.

Nothing is published: each connection becomes a `docker exec` into the container, whose standard input and output are
the connection itself. So it also works with an engine on another machine, and only who may use the engine sees it.
"""

import contextlib
import os
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from kit import compose, containers, env_files, variables
from kit.console import step
from kit.containers import Container
from kit.errors import KitError

PORT = 9180
"""Of the first container here; the next one has the next port."""
MOST_CONNECTIONS = 32
"""At a time: each is a process of docker. A browser opens six."""
PIPE = """\
import os, socket, sys, threading
try:
    server = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
except OSError as error:
    text = f"{sys.argv[1]}:{sys.argv[2]}: {error.strerror or error}\\n"
    head = f"HTTP/1.1 502 Bad Gateway\\r\\nContent-Length: {len(text)}\\r\\nConnection: close\\r\\n\\r\\n"
    os.write(1, (head + text).encode())
    sys.exit()
server.settimeout(30)
def send():
    while data := os.read(0, 65536):
        server.sendall(data)
threading.Thread(target=send, daemon=True).start()
while data := server.recv(65536):
    while data:
        data = data[os.write(1, data):]
os._exit(0)
"""
"""Runs in the container: joins its standard input and output with an address there."""


def status_page(environment: Mapping[str, str]) -> int:
    """Until Ctrl-C. Raises KitError if no container of the application has a status page."""
    prepared = compose.prepare(environment)
    name = compose.project_name(prepared)
    found = [each for each in containers.of_project(name, prepared) if each.service == "app" and each.is_running]
    if not found:
        raise KitError(f"no container of the application runs (compose project {name}): make up starts it")
    return show([(each, prepared) for each in found], env_files.read_kit(environment))


def show(found: Sequence[tuple[Container, Mapping[str, str]]], values: Mapping[str, str]) -> int:
    """Until Ctrl-C: of these containers, each with the environment of docker. Raises KitError."""
    pages = [(container, engine, *admin_address(container)) for container, engine in found]
    with contextlib.ExitStack() as stack:
        listeners = [
            stack.enter_context(listen(port)) for _, port in zip(pages, count(read_port(values)), strict=False)
        ]
        for (container, engine, host, port), listener in zip(pages, listeners, strict=True):
            words = ["docker", "exec", "--interactive", container.identifier, "python", "-I", "-c", PIPE, host]
            threading.Thread(target=serve, args=(listener, [*words, str(port)], engine), daemon=True).start()
            step(f"http://127.0.0.1:{listener.getsockname()[1]}/ is the status page of {container.name}")
        step("Ctrl-C ends it")
        threading.Event().wait()
    return 0


def read_port(environment: Mapping[str, str]) -> int:
    """ADMIN_PORT. Raises KitError."""
    text = environment.get("ADMIN_PORT") or str(PORT)
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65000):
        raise KitError(f"ADMIN_PORT={text!r}: must be an integer from 1 to 64999")
    return int(text)


def admin_address(container: Container) -> tuple[str, int]:
    """Where the server of this container has its admin listener, as seen in there. Raises KitError if it has none."""
    environment = dict(_split(container.inspected["Config"].get("Env") or ()))
    if environment.get("BACKEND", "ropewalk") != "ropewalk":
        raise KitError(f"{container.name} runs {environment['BACKEND']}, which has no status page")
    address = environment.get("ADMIN_BIND") or variables.declared()["ADMIN_BIND"].default
    if address == "off":
        raise KitError(f"{container.name} has no status page: ADMIN_BIND is off")
    parts = urllib.parse.urlsplit(f"//{address}")
    host = parts.hostname or ""
    # on every address, also the one that is private to the container
    return "127.0.0.1" if host in ("", "0.0.0.0", "::") else host, parts.port or PORT


def _split(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        name, _, value = line.partition("=")
        yield name, value


def listen(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        text = f"ADMIN_PORT={port}: 127.0.0.1:{port}: {os.strerror(error.errno or 0)}"
        raise KitError(f"{text}; ADMIN_PORT=... names the first port") from None


def serve(listener: socket.socket, words: Sequence[str], environment: Mapping[str, str]) -> None:
    """Accepts until the process ends."""
    free = threading.BoundedSemaphore(MOST_CONNECTIONS)
    while True:
        free.acquire()
        client = listener.accept()[0]
        threading.Thread(target=_join, args=(client, words, environment, free), daemon=True).start()


def _join(
    client: socket.socket, words: Sequence[str], environment: Mapping[str, str], free: threading.BoundedSemaphore
) -> None:
    with client:
        try:
            both = client.fileno()
            done = subprocess.run(
                words, env=environment, stdin=both, stdout=both, stderr=subprocess.DEVNULL, check=False, timeout=60
            )
            if done.returncode:
                text = "This container has gone: run make status-page again.\n"
                head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
                client.sendall((head + text).encode())
        except (OSError, subprocess.TimeoutExpired):
            pass  # the browser is gone, or has sent nothing
        finally:
            free.release()
