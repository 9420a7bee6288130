"""The files of the kit's nginx image in a folder of this machine, and the configuration that its entrypoint renders."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bench.paths import ROOT

MODULES = Path("/usr/lib/nginx/modules")
OPTIONAL = {"brotli": "ngx_http_brotli_filter_module.so", "echo": "ngx_http_echo_module.so"}
"""Packages of their own. Without the second one, nothing waits."""

ROOMS = ("bodies", "responses", "state")  # in /srv
RENDER_TIMEOUT = 30.0  # seconds


class RenderError(Exception):
    """The entrypoint refused a value. The text is its message."""


def missing_modules() -> list[str]:
    return [name for name, file in OPTIONAL.items() if not (MODULES / file).exists()]


def scripts() -> list[Path]:
    """What nginx/Dockerfile copies to /kit/bin."""
    dockerfile = (ROOT / "nginx/Dockerfile").read_text().replace("\\\n", " ")
    names = [name for line in re.findall(r"^COPY (.*) /kit/bin/$", dockerfile, re.M) for name in line.split()]
    return [ROOT / name for name in names]


def without_missing_modules(text: str) -> str:
    missing = missing_modules()
    if "brotli" in missing:
        text = re.sub(r"^\s*(load_module [^;]*brotli|brotli)[^;]*;", "", text, flags=re.M)
    if "echo" in missing:
        text = re.sub(r"^\s*(load_module [^;]*echo|echo_|error_page 502 504 = @)[^;]*;", "", text, flags=re.M)
    return text


def copy_kit(folder: Path, changes: Mapping[str, str]) -> None:
    """Make `folder`/kit and /srv, with the places of the image and `changes` replaced in each file.

    Raises ValueError for a change that no file has.
    """
    kit = folder / "kit"
    changes = {
        "/kit/": f"{kit}/",
        "/tmp/nginx": f"{folder}/nginx",
        "/srv/": f"{folder}/srv/",
        **changes,
    }
    shutil.copytree(ROOT / "nginx", kit / "nginx")
    (kit / "bin").mkdir()
    for script in scripts():
        shutil.copy(script, kit / "bin")
    for room in ROOMS:
        (folder / "srv" / room).mkdir(parents=True)
    made: set[str] = set()
    for path in [path for path in kit.rglob("*") if path.is_file()]:
        text = path.read_text()
        for old, new in changes.items():
            made |= {old} if old in text else set()
            text = text.replace(old, new)
        path.write_text(text)
    if unknown := changes.keys() - made:
        raise ValueError(f"no file of the kit's nginx has {', '.join(sorted(unknown))}")


def leave_out_missing_modules(folder: Path) -> None:
    for path in (folder / "kit").rglob("*"):
        if path.suffix in (".conf", ".template"):
            path.write_text(without_missing_modules(path.read_text()))


def render(folder: Path, variables: Mapping[str, str], upstream: str) -> Path:
    """Have the entrypoint render what `copy_kit` has made; return the path of nginx.conf. Raises `RenderError`."""
    programs = folder / "kit/bin"
    done = subprocess.run(
        ["bash", str(programs / "entrypoint"), "render"],
        env={"PATH": f"{programs}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=RENDER_TIMEOUT,
    )
    if done.returncode:
        raise RenderError(done.stderr.strip())
    # what watch-upstream writes
    (folder / "nginx/upstream.conf").write_text(f"server {upstream} max_fails=3 fail_timeout=2s;\n")
    (folder / "nginx/health.conf").write_text("return 200;\n")
    return folder / "nginx/nginx.conf"
