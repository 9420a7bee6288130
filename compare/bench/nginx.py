"""nginx in front of a server, on the load's CPU."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.nginx_places import temporary_files
from bench.server_process import LOAD_CPUS, StartError, connect, free_address, pinned
from bench.servers import find_program

START_SECONDS = 10

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  {temporary_files}
  upstream application {{ server {upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen {listen};
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
    }}
  }}
}}
"""


@contextmanager
def nginx(upstream: str) -> Iterator[str]:
    """Run nginx in front of `upstream`; yield the address on which it listens. Raises `StartError`."""
    program = find_program("nginx")
    if program is None:
        raise StartError("nginx is not installed")
    listen = free_address()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nginx.conf")
        path.write_text(
            CONFIGURATION.format(
                folder=folder, temporary_files=temporary_files(folder), upstream=upstream, listen=listen
            )
        )
        process = pinned(
            [program, "-e", f"{folder}/start.log", "-p", folder, "-c", str(path)],
            LOAD_CPUS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for_nginx(listen, process, path.parent)
            yield listen
        finally:
            process.kill()
            process.wait()


def wait_for_nginx(listen: str, process: subprocess.Popen[bytes], folder: Path) -> float:
    """Return after how many seconds it accepts connections. Raises `StartError` with the end of the folder's logs."""
    began = time.monotonic()
    while time.monotonic() < began + START_SECONDS and process.poll() is None:
        with suppress(OSError), connect(listen):
            return time.monotonic() - began
        time.sleep(0.01)
    log = "".join(path.read_text() for path in folder.glob("*.log"))
    raise StartError(f"nginx did not start: {log.strip()[-300:]}")
