"""What the results were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bench.backends import BACKENDS, missing, tool, version
from bench.running import LOAD_PROCESSORS, PROCESSORS, SERVER_PROCESSORS

Facts = dict[str, str]


def machine() -> Facts:
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{len(PROCESSORS)} x {model[0] if model else platform.machine()}",
        "pinned": _pinned(),
        "memory": f"{memory[0] / 1048576:.0f} GiB" if memory else "unknown",
        "kernel": platform.release(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
        "commit": _first_line(["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]),
        "wrk": _first_line([tool("wrk") or "wrk", "-v"]).partition("[")[0].removeprefix("wrk ").strip(),
        "nginx": _first_line([tool("nginx") or "nginx", "-v"]).rpartition("/")[2],
    }


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
