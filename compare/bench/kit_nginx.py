"""The kit's own nginx in front of a server, as its entrypoint renders the configuration, on the load's CPU.

Only places of files and ports differ from the container's, the limits of a client are higher than any load, and the
access log is a file. Without the modules for brotli and for waiting, their directives are left out.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.kit_files import RenderError, copy_kit, leave_out_missing_modules, render
from bench.nginx import wait_for_nginx
from bench.server_process import LOAD_CPUS, ServerProcess, StartError, free_address, pinned
from bench.servers import find_program

STATIC_BYTES = 20_000
LIMIT = "1000000"

Edit = tuple[str, str]
"""A pattern in the rendered configuration, and what takes its place."""


@contextmanager
def kit_nginx(upstream: str, edits: Sequence[Edit] = ()) -> Iterator[ServerProcess]:
    """Run the kit's nginx before `upstream` (`HOST:PORT` or `unix:PATH`). Raises `StartError`."""
    program = find_program("nginx")
    if program is None or shutil.which("envsubst") is None:
        raise StartError("nginx or envsubst (gettext-base) is not installed")
    listen = free_address()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _render(folder, listen, upstream)
        _edit(folder / "nginx", edits)
        own = "user root; " if os.geteuid() == 0 else ""  # its workers write to the folder, which is root's
        words = [program, "-e", f"{folder}/start.log", "-c", f"{folder}/nginx/nginx.conf", "-g", f"{own}daemon off;"]
        process = pinned(words, LOAD_CPUS, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            yield ServerProcess(process, listen, wait_for_nginx(listen, process, folder))
        finally:
            process.terminate()
            process.wait()


def _render(folder: Path, listen: str, upstream: str) -> None:
    port = listen.rpartition(":")[2]
    changes = {
        "/dev/stdout": f"{folder}/access.log",
        "/dev/stderr": f"{folder}/error.log",
        "${IPV6}listen [::]:8080 ${LISTEN_DEFAULT};": "",
        "listen 8080": f"listen 127.0.0.1:{port}",
        "listen 127.0.0.1:8081": f"listen {free_address()}",
        "listen 8082": f"listen {free_address()}",
    }
    copy_kit(folder, changes)
    leave_out_missing_modules(folder)
    for room in ("assets", "media", "tls"):
        (folder / "srv" / room).mkdir()
    (folder / "srv/assets/site.css").write_text("a { color: #12345 }\n" * (STATIC_BYTES // 20))
    variables = {"HTTPS": "off", "NGINX_WORKERS": "1", "MEDIA": "off", "STATIC_URL": "/static/"}
    variables |= {"RATE_LIMIT": LIMIT, "CONNECTION_LIMIT": "65535", "BODY_LIMIT": "65535", "UPLOAD_LIMIT": "65535"}
    try:
        render(folder, variables, upstream)
    except RenderError as error:
        raise StartError(f"nginx's configuration: {str(error)[-300:]}") from None


def _edit(folder: Path, edits: Sequence[Edit]) -> None:
    """Change the rendered files. Raises `StartError` for a pattern that is in none of them."""
    for pattern, replacement in edits:
        count = 0
        for path in folder.rglob("*.conf"):
            text, found = re.subn(pattern, replacement, path.read_text(), flags=re.M)
            count += found
            path.write_text(text)
        if not count:
            raise StartError(f"{pattern!r} is not in nginx's configuration")
