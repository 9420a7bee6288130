"""Sent to the server's own Python, of any version from 3.7: prints what `make setup` wants to know, as JSON.

Nothing is changed, and nothing of the kit is imported. A question without an answer is null.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time

LISTENING = "0A"  # the state of a socket in /proc/net/tcp, proc(5)
KERNEL = ("net/core/somaxconn", "fs/file-max", "vm/overcommit_memory")


def call(*command: str) -> list[object] | None:
    """The exit status and what it printed; null if there is no such program."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=20,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [done.returncode, done.stdout.strip()]


def read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def listening() -> list[int]:
    ports = set()
    for name in ("tcp", "tcp6"):
        for line in read("/proc/net/" + name).splitlines()[1:]:
            words = line.split()
            if words[3] == LISTENING:
                ports.add(int(words[1].rpartition(":")[2], 16))
    return sorted(ports)


def memory() -> int | None:
    """In octets."""
    for line in read("/proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return None


def disk(folder: str) -> int:
    """Free octets where the folder is, or will be."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def main() -> None:
    folder = call("docker", "info", "--format", "{{.DockerRootDir}}")
    # without an engine, some versions print an error and succeed
    root = str(folder[1]) if folder and str(folder[1]).startswith("/") else ""
    published = call("docker", "ps", "--format", "{{.Ports}}")
    print(
        json.dumps(
            {
                "time": time.time(),
                "python": list(sys.version_info[:3]),
                "system": dict(
                    line.replace('"', "").split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line
                ).get("PRETTY_NAME", sys.platform),
                "uid": os.getuid(),
                "docker": call("docker", "version", "--format", "{{.Server.Version}}"),
                "compose": call("docker", "compose", "version", "--short"),
                "warnings": call("docker", "info", "--format", "{{json .Warnings}}"),
                "published": published[1] if published and not published[0] else "",
                "disk": disk(root or "/var/lib/docker"),
                "memory": memory(),
                "processors": os.cpu_count(),
                "ports": listening(),
                "synchronized": call("timedatectl", "show", "--property=NTPSynchronized", "--value"),
                "kernel": {name: read("/proc/sys/" + name).strip() for name in KERNEL},
                "has_apt": bool(shutil.which("apt-get")),
                "has_make": bool(shutil.which("make")),
            }
        )
    )


main()
