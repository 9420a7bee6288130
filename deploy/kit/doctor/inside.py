"""Runs inside a container of the application, sent to its Python on standard input: prints what is there, as JSON.

It imports nothing of the kit, since the image may be older than this checkout. Secrets are reported by their length
and kind, not by their value.
"""

import json
import os
import re
import resource
import time
from typing import Any

FOLDERS = ("/", "/data", "/srv/media", "/tmp", "/dev/shm")
SECRET = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|_KEY$|^KEY$|API_?KEY$|PRIVATE|_PASS$|_PWD$|^DBPASS$", re.IGNORECASE
)
KNOWN = {"changeme", "change-me", "secret", "password", "insecure", "dev", "test", "example", "a$b", "admin", "none"}
SHOWN = (
    "ALLOWED_HOSTS",
    "BACKEND",
    "BEHIND_PROXY",
    "DEBUG",
    "DIAGNOSTICS",
    "DJANGO_SETTINGS_MODULE",
    "FORWARDED_ALLOW_IPS",
    "REQUEST_TIMEOUT",
    "THREADS",
    "WEB_CONCURRENCY",
)


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def is_secret(name: str) -> bool:
    return bool(SECRET.search(name)) and not name.endswith("_FILE")


def describe(name: str, value: str) -> dict[str, Any]:
    lowered = value.strip().lower()
    return {
        "name": name,
        "length": len(value),
        "blank": not lowered,
        "known": lowered in KNOWN or lowered.startswith(("django-insecure", "dummy-value", "changeme")),
    }


def folder(path: str) -> dict[str, Any]:
    found = os.statvfs(path)
    return {
        "path": path,
        "size": found.f_blocks * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "files": found.f_files,
        "files_free": found.f_favail,
    }


def number(text: str) -> int:
    return int(text) if text.strip().isdigit() else 0


def memory() -> dict[str, int]:
    if limit := read("/sys/fs/cgroup/memory.max"):
        killed = re.search(r"^oom_kill (\d+)", read("/sys/fs/cgroup/memory.events"), re.MULTILINE)
        used = read("/sys/fs/cgroup/memory.current")
    else:
        limit = read("/sys/fs/cgroup/memory/memory.limit_in_bytes")
        killed = re.search(r"^oom_kill (\d+)", read("/sys/fs/cgroup/memory/memory.oom_control"), re.MULTILINE)
        used = read("/sys/fs/cgroup/memory/memory.usage_in_bytes")
    most = number(limit)
    return {"limit": most if most < 1 << 60 else 0, "used": number(used), "killed": int(killed[1]) if killed else 0}


def workers() -> list[dict[str, int]]:
    """Of the server: the children of the process in its pid file, with their memory and descriptors."""
    master = number(read("/tmp/backend.pid"))
    found = []
    for name in os.listdir("/proc"):
        parent = re.search(r"^PPid:\s+(\d+)", read(f"/proc/{name}/status"), re.MULTILINE) if name.isdigit() else None
        if master and parent and int(parent[1]) == master:
            resident = re.search(r"^VmRSS:\s+(\d+)", read(f"/proc/{name}/status"), re.MULTILINE)
            limit = re.search(r"^Max open files\s+(\d+)\s+(\d+)", read(f"/proc/{name}/limits"), re.MULTILINE)
            found.append(
                {
                    "pid": int(name),
                    "memory": int(resident[1]) * 1024 if resident else 0,
                    "descriptors": len(os.listdir(f"/proc/{name}/fd")),
                    "most_descriptors": int(limit[1]) if limit else 0,
                }
            )
    return found


if __name__ == "__main__":
    try:
        project = json.loads(read("/kit/project.json") or "{}")
    except ValueError:
        project = {}
    print(
        json.dumps(
            {
                "variables": {name: os.environ[name] for name in SHOWN if name in os.environ},
                "secrets": [describe(name, value) for name, value in os.environ.items() if is_secret(name)],
                "folders": [folder(path) for path in FOLDERS if os.path.isdir(path)],
                "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
                "memory": memory(),
                "workers": workers(),
                "time": time.time(),
                "has_manage": os.path.exists("manage.py"),
                "project": project,
            }
        )
    )
