"""The machine, the interpreter and the versions that a result was measured with."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import sysconfig
from datetime import UTC, datetime
from pathlib import Path

from bench.server_process import CPUS, LOAD_CPUS, SERVER_CPUS
from bench.servers import SERVERS, find_program, missing_servers, nginx_version, version

Facts = dict[str, str]

DESCRIBE = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]


def machine() -> Facts:
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{len(CPUS)} × {model[0] if model else platform.machine()}",
        "pinning": _pinning(),
        "memory": f"{memory[0] / 1048576:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "environment": os.environ.get("BENCH_WHERE") or "the host, without a container",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {python_build()}",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "commit": os.environ.get("BENCH_COMMIT") or _first_line(DESCRIBE),
        "wrk": _first_line([find_program("wrk") or "wrk", "-v"]).partition("[")[0].removeprefix("wrk ").strip(),
        "nginx": nginx_version(),
    }


def python_build() -> str:
    """The package or the build options of this interpreter.

    Builds of one version differ in speed by up to half. A distribution's interpreter is named by its package, because
    its `sysconfig` describes another of the distribution's builds.
    """
    owner = _first_line(["dpkg-query", "--search", os.path.realpath(sys.executable)]).partition(":")
    if owner[2].strip() == os.path.realpath(sys.executable):
        return f"package {_first_line(['dpkg-query', '--show', owner[0]])}".replace("\t", " ")
    return build_options(sysconfig.get_config_var("CONFIG_ARGS") or "")


def build_options(config_args: str) -> str:
    """How an interpreter was compiled, from the arguments of its `configure`."""
    pgo = "with" if "--enable-optimizations" in config_args else "without"
    lto = "with" if "--with-lto" in config_args else "without"
    return f"compiled by {platform.python_compiler()}, {pgo} PGO, {lto} LTO"


def versions() -> Facts:
    missing = missing_servers()
    return {name: version(server) for name, server in SERVERS.items() if name not in missing}


def _pinning() -> str:
    if SERVER_CPUS == LOAD_CPUS:
        return "none: the server and the load share one CPU"
    return f"the server on CPU {min(SERVER_CPUS)}, the load on CPU {min(LOAD_CPUS)}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except OSError:
        return "unknown"
    return (done.stdout + done.stderr).strip().partition("\n")[0] or "unknown"
