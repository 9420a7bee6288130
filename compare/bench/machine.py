"""What the results were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

from bench.backends import BACKENDS, missing, tool, version
from bench.running import LOAD_PROCESSORS, PROCESSORS, SERVER_PROCESSORS

Facts = dict[str, str]

DESCRIBE = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]


def machine() -> Facts:
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{len(PROCESSORS)} x {model[0] if model else platform.machine()}",
        "pinned": _pinned(),
        "memory": f"{memory[0] / 1048576:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "where": os.environ.get("BENCH_WHERE") or "on the machine itself, without a container",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {build()}",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "commit": os.environ.get("BENCH_COMMIT") or _first_line(DESCRIBE),
        "wrk": _first_line([tool("wrk") or "wrk", "-v"]).partition("[")[0].removeprefix("wrk ").strip(),
        "nginx": _first_line([tool("nginx") or "nginx", "-v"]).rpartition("/")[2],
    }


def build() -> str:
    """Whose this interpreter is: of one version, one may be half as fast again as another, by how it was compiled.

    A distribution's does not tell that itself: what its `sysconfig` says is that of another of its builds.
    """
    owner = _first_line(["dpkg-query", "--search", os.path.realpath(sys.executable)]).partition(":")
    if owner[2].strip() == os.path.realpath(sys.executable):
        return f"of the package {_first_line(['dpkg-query', '--show', owner[0]])}".replace("\t", " ")
    return compiled(sysconfig.get_config_var("CONFIG_ARGS") or "")


def compiled(config_args: str) -> str:
    """How it was, by the arguments of its `configure`."""
    led = "led by a profile" if "--enable-optimizations" in config_args else "without a profile to lead it"
    linked = "with" if "--with-lto" in config_args else "without"
    return f"compiled by {platform.python_compiler()}, {led}, {linked} optimisation at link time"


def versions() -> Facts:
    without = missing()
    return {name: version(backend) for name, backend in BACKENDS.items() if name not in without}


def _pinned() -> str:
    if SERVER_PROCESSORS == LOAD_PROCESSORS:
        return "no: there is one processor, which the server and the load share"
    return f"the server to processor {min(SERVER_PROCESSORS)}, the load to processor {min(LOAD_PROCESSORS)}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return (done.stdout + done.stderr).strip().partition("\n")[0] or "unknown"
