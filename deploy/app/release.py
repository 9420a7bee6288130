#!/opt/venv/bin/python -Iu
"""Runs once per release, before its application starts: publishes the static files and migrates the database.

One lock in DATA_DIR covers both, so that replicas and a second `up` wait for each other. The kernel releases the lock
(flock) when its process dies.
"""

import fcntl
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

LOCK_TIMEOUT = 600  # seconds: longer than another container's migration should take
KEEP_DAYS = 30  # pages that stay open or cached for longer may miss an old asset
RECORD = ".published.json"  # relative path -> when a release last contained it (seconds since 1970)


def say(text: str) -> None:
    sys.stderr.write(f"release: {text}\n")


def lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o640)
    deadline = time.monotonic() + LOCK_TIMEOUT
    waiting = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                say(f"another release has held the lock {path} for {LOCK_TIMEOUT} s")
                sys.exit(1)
            if not waiting:
                say("waiting for another release to finish")
                waiting = True
            time.sleep(0.2)


def claim(path: Path, project: str) -> None:
    """Records in the data volume which project it belongs to. Ends the release if it is another's."""
    name = Path(project).name
    owner = path.read_text().strip() if path.exists() else ""
    if owner and owner != name:
        say(
            f"the volume of {path.parent} holds the data of {owner!r}, and this image is of {name!r}: set"
            f" COMPOSE_PROJECT_NAME in .env to another name (or PROJECT_ID={owner}, if it is the same project)"
        )
        sys.exit(2)
    if name and not owner:
        path.write_text(f"{name}\n")


def publish(source: Path, target: Path) -> None:
    """Adds the files of `source` to `target`. Files of older releases stay there for KEEP_DAYS."""
    record_path = target / RECORD
    try:
        record = json.loads(record_path.read_text())
    except (OSError, ValueError):
        record = {}
    now = int(time.time())
    copied = 0
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(source))
        copied += _copy(path, target / name)
        record[name] = now
    old = [name for name, seen in record.items() if seen < now - KEEP_DAYS * 86400]
    for name in old:
        (target / name).unlink(missing_ok=True)
        del record[name]
    _write(record_path, json.dumps(record).encode())
    say(f"static files: {copied} copied, {len(old)} old ones removed, {len(record)} published")


def _copy(source: Path, target: Path) -> bool:
    was = source.stat()
    if target.exists() and (target.stat().st_size, int(target.stat().st_mtime)) == (was.st_size, int(was.st_mtime)):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    _write(target, source.read_bytes())
    shutil.copystat(source, target)
    return True


def _write(target: Path, content: bytes) -> None:
    """Replaces `target` atomically: nginx may be serving it."""
    new = target.with_name(f".{target.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    new.replace(target)


def migrate() -> int:
    command = os.environ.get("MIGRATE_COMMAND") or (
        "python manage.py migrate --noinput" if Path("manage.py").exists() else ""
    )
    if not command:
        say("no manage.py and no MIGRATE_COMMAND: nothing to migrate")
        return 0
    say(command)
    status = subprocess.run(shlex.split(command), check=False).returncode
    if status:
        say(f"{command}: exit status {status} (a database file has to be in DATA_DIR: all else is read-only)")
    return status


def check() -> int:
    """Loads the application, so that an error is reported once, not by a server that restarts again and again."""
    application = os.environ.get("WSGI_APP")
    if not application:
        return 0
    return subprocess.run(
        ["ropewalk", "--check-config", application], stdout=subprocess.DEVNULL, check=False
    ).returncode


def main() -> int:
    data, static, assets = (os.environ.get(name) for name in ("DATA_DIR", "STATIC_ROOT", "ASSETS_DIR"))
    folder = Path(data or "/data")
    held = lock(folder / ".release.lock")
    try:
        claim(folder / ".project", os.environ.get("PROJECT_ID", ""))
        if static and assets and Path(static).is_dir():
            publish(Path(static), Path(assets))
        return migrate() or check()
    finally:
        os.close(held)


if __name__ == "__main__":
    sys.exit(main())
