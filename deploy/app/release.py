#!/opt/venv/bin/python -Iu
"""Runs once per release, before its application starts: publishes the static files, creates or migrates the database.

One lock in DATA_DIR covers both, so that replicas and a second `up` wait for each other. The kernel releases the lock
(flock) when its process dies.

What fails ends the log with one line, `release: REASON`, after all that the project itself printed: `make up` shows it.
"""

import fcntl
import filecmp
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # isolated: Python has not put it there

import command_words
import first_start
import project_identity
import reasons

LOCK_TIMEOUT = 600  # seconds: longer than another container's migration should take
KEPT_BYTES = 64 << 10  # of a command's output: a traceback through some frameworks is long
REST_TIMEOUT = 2  # seconds in which the rest of it arrives, after its end
KEEP_DAYS = 30  # pages that stay open or cached for longer may miss an old asset
SITE = ".site"
FOR_NGINX = {"STATIC_URL": "static_url", "MEDIA_URL": "media_url"}
ASK_ENGINES = "from django.db import connections as c; print(*[c[alias].settings_dict['ENGINE'] for alias in c])"
DUMMY = "django.db.backends.dummy"
RECORD = ".published.json"  # relative path -> when a release last contained it (seconds since 1970)


def say(text: str) -> None:
    sys.stderr.write(f"release: {text}\n")


def run(words: list[str], *, stdout: int | None = None) -> int:
    """Runs a command in the project's environment; what it prints goes to the log at once. Returns its exit status.

    If it fails, the reason is the log's last line, unless the command has said it in that form itself. Raises OSError.
    """
    last, is_over = bytearray(), threading.Event()
    process = subprocess.Popen(
        words, stdout=stdout or subprocess.PIPE, stderr=subprocess.PIPE if stdout else subprocess.STDOUT
    )
    output = process.stderr if stdout else process.stdout
    assert output
    # A process that outlives the command may keep the pipe open without end, so this does not wait for its end.
    copier = threading.Thread(target=copy, args=(output.fileno(), last, is_over), daemon=True)
    copier.start()
    process.wait()
    copier.join(REST_TIMEOUT)
    is_over.set()
    lines = last.decode(errors="replace").splitlines()
    if process.returncode and not (lines and lines[-1].startswith("release: ")):
        reason = reasons.explain("\n".join(lines), os.environ)
        ended = f"exit status {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        say(reason or f"{shlex.join(words)}: {ended}")
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def copy(source: int, last: bytearray, is_over: threading.Event) -> None:
    """Copies what the pipe has to the log, until nobody waits for more; `last` gets the end of it."""
    while (content := os.read(source, 1 << 16)) and not is_over.is_set():
        sys.stderr.buffer.write(content)
        sys.stderr.buffer.flush()
        last += content
        del last[:-KEPT_BYTES]


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
    name = project_identity.of(project)
    owner = path.read_text().strip() if path.exists() else ""
    if owner and not project_identity.is_same(owner, name):
        say(
            f"the volume of {path.parent} holds the data of {owner!r}, and this image is of {name!r}: set"
            f" COMPOSE_PROJECT_NAME in .env to another name (or PROJECT_ID={owner}, if it is the same project)"
        )
        sys.exit(2)
    if name and (not owner or project_identity.has_digest(name)):
        path.write_text(f"{name}\n")


def publish(source: Path, target: Path, *, only_new: bool = False) -> bool:
    """Adds the files of `source` to `target`. Files of older releases stay there for KEEP_DAYS.

    With `only_new`, what is there stays as it is; returns whether something in `source` is another than that.
    """
    record_path = target / RECORD
    try:
        record = json.loads(record_path.read_text())
    except (OSError, ValueError):
        record = {}
    now = int(time.time())
    # what was published last has been in use until now, however long ago that was
    last = max(record.values(), default=0)
    record = {name: now if seen == last else seen for name, seen in record.items()}
    copied = waiting = 0
    if not only_new:
        _remove_files_that_became_folders(source, target)
    for path in sorted(source.rglob("*")):
        if not path.is_file():
            continue
        name = str(path.relative_to(source))
        if only_new and _is_taken(target, target / name):
            waiting += not _is_same(path, target / name)
        else:
            copied += _copy(path, target / name)
        record[name] = now
    record = {name: seen for name, seen in record.items() if (target / name).is_file()}
    old = [name for name, seen in record.items() if seen < now - KEEP_DAYS * 86400]
    for name in old:
        (target / name).unlink(missing_ok=True)
        del record[name]
    _write(record_path, json.dumps(record).encode())
    later = f", {waiting} to be replaced later" if waiting else ""
    say(f"static files: {copied} copied{later}, {len(old)} old ones removed, {len(record)} published")
    return bool(waiting)


def _is_taken(top: Path, place: Path) -> bool:
    """Whether something is at this place, or a file where it needs a folder."""
    return place.exists() or any(each.is_file() for each in place.parents if each != top and top in each.parents)


def _is_same(source: Path, target: Path) -> bool:
    # by its content: with another time, browsers would fetch again what has not changed
    return target.is_file() and filecmp.cmp(source, target, shallow=False)


def _remove_files_that_became_folders(source: Path, target: Path) -> None:
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_dir() and place.is_file():
            place.unlink()


def _copy(source: Path, target: Path) -> bool:
    if _is_same(source, target):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir() and not target.is_symlink():  # a folder in an older release
        shutil.rmtree(target)
    _write(target, source.read_bytes())
    shutil.copystat(source, target)
    return True


def _write(target: Path, content: bytes) -> None:
    """Replaces `target` atomically: nginx may be serving it."""
    new = target.with_name(f".{target.name}.new")
    new.write_bytes(content)
    new.chmod(0o644)
    new.replace(target)


def given(name: str) -> str:
    """A command; "" if it is blank."""
    return os.environ.get(name, "").strip()


def migrate(answer: dict[str, Any], *, quiet: bool = False) -> int:
    command = given("MIGRATE_COMMAND") or own_migration(answer)
    if not command:
        if not quiet:
            say("the project has no migrations that the kit knows, and MIGRATE_COMMAND is not set: nothing to migrate")
        return 0
    try:
        words = command_words.split(command)
        say(command)
        return run(words)
    except (ValueError, OSError) as error:
        say(f"MIGRATE_COMMAND={command!r}: {error}")
        return 2


def own_migration(
    answer: dict[str, Any],
    environment: Mapping[str, str] = os.environ,
    folder: Path = Path(),
    *,
    is_of_build: bool = True,
) -> str:
    """Django's, or Alembic's through Flask-Migrate; empty if the project has neither.

    `is_of_build`: the answer is that of the image's build, which had no DATABASE_URL: without it, settings may have no
    database.
    """
    if answer.get("framework") == "django":
        databases = answer.get("databases")
        had_none = databases is not None and all(each["engine"] == "dummy" for each in databases)
        has_none = had_none and not (is_of_build and has_database())
        return "" if has_none else "python manage.py migrate --noinput"
    if answer.get("framework") == "flask" and (folder / "migrations/env.py").is_file():
        # Flask has the option --app since 2.2 only
        return f"env FLASK_APP={shlex.quote(environment['WSGI_APP'])} flask db upgrade"
    return ""


def has_database() -> bool:
    """Whether Django's settings have one, as things are now; also if they cannot be asked."""
    done = subprocess.run([sys.executable, "-c", ASK_ENGINES], stdout=subprocess.PIPE, text=True, check=False)
    lines = done.stdout.splitlines()
    return done.returncode != 0 or not lines or any(engine != DUMMY for engine in lines[-1].split())


def create(answer: dict[str, Any], data: Path) -> int:
    """Migrates, and runs the project's own command for a first start if there was no database before."""
    command = given("INIT_COMMAND")
    reason = first_start.reason_against((data, Path()), data, os.environ, answer) if command else ""
    if status := migrate(answer, quiet=bool(command)):
        return status
    if command and reason:
        say(f"{command}: not run, since {reason}")
    return initialize(command, data) if command and not reason else 0


def initialize(command: str, data: Path) -> int:
    try:
        words = command_words.split(command)
        say(f"{command} (once, since there is no database yet)")
        status = run(words)
    except (ValueError, OSError) as error:
        say(f"INIT_COMMAND={command!r}: {error}")
        return 2
    if not status:
        first_start.remember(data)
    return status


def check_tables(answer: dict[str, Any]) -> int:
    """Tables of models that have no migrations are created; others that are missing end the release."""
    has_migrations = given("MIGRATE_COMMAND") or own_migration(answer)
    script = str(Path(__file__).with_name("check_tables.py"))
    return run([sys.executable, script, *([] if has_migrations else ["--create"])])


def check_databases() -> int:
    command = [sys.executable, str(Path(__file__).with_name("check_database.py"))]
    return run(command)


def check() -> int:
    """Loads the application, so that an error is reported once, not by a server that restarts again and again."""
    application = os.environ.get("WSGI_APP")
    if not application:
        return 0
    return run(["ropewalk", "--check-config", application], stdout=subprocess.DEVNULL)


def read_answer(path: Path = Path("/kit/project.json")) -> dict[str, Any]:
    """What the project said about itself while the image was built (project_answer.Answer)."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}


def describe(answer: dict[str, Any], target: Path, *, only_new: bool = False, is_waiting: bool = False) -> None:
    """Leaves for nginx, beside the static files, which URLs it serves itself: NAME=value, one per line.

    With `only_new`, what nginx serves stays as it is; the line FILES then goes if that is not all of this release.
    """
    lines = [f"{name}={answer[key]}\n" for name, key in FOR_NGINX.items() if answer.get(key)]
    if answer.get("https_redirect"):
        lines.append("HTTPS_REDIRECT=1\n")  # for its health checks, as the next
    if hosts := [host.removeprefix(".") for host in answer.get("allowed_hosts", []) if "*" not in host]:
        lines.append(f"ALLOWED_HOST={hosts[0]}\n")
    if answer.get("files_digest"):
        lines.append(f"FILES={answer['files_digest']}\n")  # for a rollback, which may have nothing to publish
    place = target / SITE
    if only_new and place.exists():
        before = [line for line in place.read_text().splitlines(keepends=True) if not line.startswith("FILES=")]
        if is_waiting or before != [line for line in lines if not line.startswith("FILES=")]:
            lines = before
    _write(place, "".join(lines).encode())


def main() -> int:
    data, static, assets = (os.environ.get(name) for name in ("DATA_DIR", "STATIC_ROOT", "ASSETS_DIR"))
    folder = Path(data or "/data")
    try:
        held = lock(folder / ".release.lock")
    except OSError as error:
        say(reasons.of_os_error(error))
        return 1
    try:
        claim(folder / ".project", os.environ.get("PROJECT_ID", ""))
        answer = read_answer()
        if static and assets and Path(static).is_dir():
            only_new = bool(os.environ.get("ONLY_NEW_FILES"))  # the old release serves the others
            is_waiting = publish(Path(static), Path(assets), only_new=only_new)
            describe(answer, Path(assets), only_new=only_new, is_waiting=is_waiting)
        if os.environ.get("ONLY_STATIC_FILES"):  # a rollback: this image has served before, and the database stays
            return 0
        return check_databases() or create(answer, folder) or check() or check_tables(answer)
    except OSError as error:
        say(reasons.of_os_error(error))
        return 1
    except Exception as error:  # noqa: BLE001 - of the kit itself; one line for who deploys
        # the last line is what `make up` shows
        traceback.print_exc()
        say(f"internal error: {type(error).__name__}: {error}")
        return 1
    finally:
        os.close(held)


if __name__ == "__main__":
    sys.exit(main())
