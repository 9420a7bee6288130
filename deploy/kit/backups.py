"""`make backup`, `make restore FILE=...`, `make backup-check`: the site's data in one file.

The work is done by a container that has the volumes (deploy/backup). A file passes through its standard input or
output, so it does not matter on which machine the engine is.
"""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from kit import compose, containers, dotenv, env_files, processes, units
from kit.console import step
from kit.errors import KitError
from kit.paths import ROOT
from kit.remote import folders, images, server

FOLDER = "backups"
"""In the checkout: where `make backup` writes."""

CHUNK = 1 << 20  # octets
QUIET = 4.0
"""Seconds after which a build is no longer one that has nothing to do."""

NAMES = re.compile(r"(?P<project>.+)-(?P<stamp>[0-9]{8}-[0-9]{6})\.tar\.gz(\.age|\.gpg)?")
FILES = (".env", env_files.PROJECT_FILE)
IDENTITY = "--env=BACKUP_IDENTITY=-"
"""The private key precedes everything else on the container's standard input."""


def backup(environment: Mapping[str, str], root: Path = ROOT) -> int:
    """A file with the database, the data, the uploads and the variables; returns the exit status. Raises KitError."""
    prepared = compose.prepare(environment, root)
    name = compose.project_name(prepared)
    path = save(name, prepared, root)
    if path:
        remove_old(path.parent, name, env_files.read_kit(prepared, root))
    return 0 if path else 1


def save(name: str, prepared: Mapping[str, str], root: Path) -> Path | None:
    """None if it failed: the container has said why."""
    values = env_files.read_kit(prepared, root)
    folder = root / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}.tar.gz{suffix(values)}"
    part = path.with_name(f"{path.name}.part")
    options = [f"--env=BACKUP_RELEASE={live_release(name, prepared)}"]
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as target:
            status = run(["save", "-"], prepared, options=options, sent=as_archive(root), target=target)
            target.flush()
            os.fsync(target.fileno())
        if status:
            return None
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    step(f"{path.relative_to(root)}: {units.size(path.stat().st_size)}")
    return path


def suffix(values: Mapping[str, str]) -> str:
    if not values.get("BACKUP_RECIPIENT"):
        return ""
    return ".gpg" if values.get("BACKUP_KEY") else ".age"


def as_archive(root: Path) -> bytes:
    """.env and .env.project, as the container reads them."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name in FILES:
            if (root / name).is_file():
                tar.add(root / name, name)
    return content.getvalue()


def live_release(name: str, prepared: Mapping[str, str]) -> str:
    """The tag of the image that serves; "" if none does."""
    serving = [each for each in containers.of_project(name, prepared) if each.service == "app" and each.is_running]
    if not serving:
        return ""
    found = containers.output(
        ["image", "inspect", "--format", "{{json .RepoTags}}", serving[0].inspected["Image"]], prepared
    )
    tags = re.findall(r":(\d{8}-\d{6}[\w.-]*)\"", found)
    return max(tags, default="")


def remove_old(folder: Path, name: str, values: Mapping[str, str]) -> None:
    """The newest BACKUP_KEEP stay (14; 0: all), of this project."""
    kept = values.get("BACKUP_KEEP") or "14"
    found = sorted(
        each for each in folder.iterdir() if (match := NAMES.fullmatch(each.name)) and match["project"] == name
    )
    for path in found[: -int(kept)] if kept.isdecimal() and int(kept) else []:
        path.unlink()
        step(f"Removed {path.name}: BACKUP_KEEP is {kept}")


def restore(environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Replaces the site's data by that of FILE. Returns the exit status. Raises KitError."""
    given = environment.get("FILE", "")
    if not given:
        raise KitError("which backup? make restore FILE=backups/NAME.tar.gz")
    compose.check_docker(environment)
    file = find(given, root)
    if not (root / ".env").exists():
        write_environment(given, file, environment, root)
    prepared = compose.prepare(environment, root)
    name = compose.project_name(prepared)
    if _has_data(name, prepared):
        profiles_on = env_files.read_kit(prepared, root).get("COMPOSE_PROFILES", "")
        if run(
            ["verify", "-" if file else given], prepared, options=[f"--env=COMPOSE_PROFILES={profiles_on}"], source=file
        ):
            step("Nothing was touched")
            return 1
        confirm(name, given, environment)
        if not save(name, prepared, root):
            raise KitError("the present data cannot be saved, so nothing is replaced")
    return replace_data(name, given, file, prepared)


def _has_data(name: str, prepared: Mapping[str, str]) -> bool:
    """A volume may be there with nothing in it: each run of the container of backups creates those that are missing."""
    if not containers.output(["volume", "ls", "--quiet", "--filter", f"name=^{name}_data$"], prepared).strip():
        return False
    said = io.BytesIO()
    return run(["used"], prepared, target=said) != 0 or bool(said.getvalue().strip())


def replace_data(name: str, given: str, file: Path | None, prepared: Mapping[str, str]) -> int:
    """The application is stopped meanwhile, and starts again on the old data if the new are not as they were saved."""
    services = [service for service in ("postgres", "redis") if service in profiles(prepared)]
    start = ["docker", "compose", "up", "--detach", "--wait", "--no-build", *services]
    if services:
        build(services, prepared)
    if services and processes.call(start, prepared, folder=ROOT):
        raise KitError(f"{' and '.join(services)}: cannot be started, so nothing is replaced")
    serving = [each for each in containers.of_project(name, prepared) if each.service == "app" and each.is_running]
    identifiers = [each.identifier for each in serving]
    if identifiers:
        step("Stopping the application")
        containers.output(["stop", *identifiers], prepared, timeout=4000)
    status = 1
    try:
        status = run(["restore", "-" if file else given], prepared, source=file)
    finally:
        if identifiers:
            containers.output(["start", *identifiers], prepared)
            wait_until_healthy(identifiers, prepared)
    if status:
        step("Nothing was replaced" + (": the application serves the data that it had" if identifiers else ""))
        return 1
    step("Restored. Next: make up, which migrates the database if the code is newer than the backup")
    return 0


def wait_until_healthy(identifiers: Sequence[str], prepared: Mapping[str, str], patience: float = 90.0) -> None:
    """Says so if one of the containers is not."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = [each for identifier in identifiers for each in containers.find(identifier, prepared)]
        if all(each.health in {"healthy", ""} for each in found):
            return
        time.sleep(1)
    step("The application is not healthy yet: make logs")


def check(environment: Mapping[str, str], root: Path = ROOT) -> int:
    """Restores FILE, or the newest backup in the checkout or of the schedule, beside the site, and compares it."""
    prepared = compose.prepare(environment, root)
    given = environment.get("FILE", "")
    file = find(given, root) if given else newest(root / FOLDER, compose.project_name(prepared))
    if file:
        step(f"Checking {file.name}")
        return run(["check", "-"], prepared, source=file)
    return run(["check", *([given] if given else [])], prepared)


def newest(folder: Path, name: str) -> Path | None:
    """None if there is none: then the schedule's newest is meant."""
    found = folder.iterdir() if folder.is_dir() else ()
    ours = [each for each in found if (match := NAMES.fullmatch(each.name)) and match["project"] == name]
    return max(ours, default=None)


def newest_time(names: Iterable[str], project: str) -> datetime | None:
    """When the newest of these backups of the project was made, by its name; None without one."""
    found = [match["stamp"] for name in names if (match := NAMES.fullmatch(name)) and match["project"] == project]
    return datetime.strptime(max(found), "%Y%m%d-%H%M%S").replace(tzinfo=UTC) if found else None


def find(given: str, root: Path) -> Path | None:
    """The file on this machine; None for the name of one in the volume of the schedule. Raises KitError."""
    for path in (Path.cwd() / given, root / given, root / FOLDER / given):
        if path.is_file():
            return path
    if "/" in given or not NAMES.fullmatch(given):
        raise KitError(f"FILE={given!r}: must be a file, or the name of a backup in the volume of the schedule")
    return None


def write_environment(given: str, file: Path | None, environment: Mapping[str, str], root: Path) -> None:
    """On a machine without .env: the files come from the backup, before anything else, since they name everything."""
    prepared = compose.prepare(environment, root)
    content = io.BytesIO()
    if run(["environment", "-" if file else given], prepared, source=file, target=content):
        raise KitError("the backup cannot be read")
    content.seek(0)
    with tarfile.open(fileobj=content, mode="r:") as tar:
        for member in tar:
            if member.name not in FILES or (root / member.name).exists():
                continue
            saved = tar.extractfile(member)
            descriptor = os.open(root / member.name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o644)
            content_here = elsewhere(saved.read() if saved else b"", environment)
            with os.fdopen(descriptor, "wb") as target:
                target.write(content_here)
            step(f"{member.name}: from the backup")
    values = dotenv.read(root / ".env", environment)
    if values.get("PROJECT_DIR") and not (root / values["PROJECT_DIR"]).is_dir():
        raise KitError(
            f"PROJECT_DIR={values['PROJECT_DIR']!r}, from the backup: the code is not there; put it there, or correct"
            " .env, and call this again"
        )


def elsewhere(content: bytes, environment: Mapping[str, str]) -> bytes:
    """A saved .env that names a server (HOST) names the one that this is restored on: not that of the saved site."""
    found = server.of(environment)
    line = f"HOST={found}".encode() if found else b"#HOST="
    return re.sub(rb"^[ \t]*HOST=.*$", line, content, flags=re.MULTILINE)


def confirm(name: str, given: str, environment: Mapping[str, str]) -> None:
    """Raises KitError unless the user agrees."""
    if environment.get("FORCE") == "1":
        return
    question = f"{name} has data already, which {given} replaces (they are saved first)"
    if not sys.stdin.isatty():
        raise KitError(f"{question}; to go on without being asked: FORCE=1")
    if input(f"{question}. Type yes to go on: ").strip().lower() != "yes":
        raise KitError("nothing was changed")


def profiles(prepared: Mapping[str, str]) -> set[str]:
    return set(env_files.read_kit(prepared).get("COMPOSE_PROFILES", "").split(","))


def build(services: Sequence[str], prepared: Mapping[str, str]) -> None:
    """The images of these services, on this machine or where the site is. Raises KitError."""
    here = images.builder(env_files.read_kit(prepared), prepared)
    command = ["docker", "compose", "--profile", "*", "build", "--quiet", *services]
    # docker's clients print lines of their own over SSH, which are of no use if all went well
    with subprocess.Popen(
        command,
        env=here or prepared,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            said, _ = process.communicate(timeout=QUIET)
        except subprocess.TimeoutExpired:
            step(f"Building the image of {' and '.join(services)}, which is new or has changed: a minute or more")
            said, _ = process.communicate()
    if process.returncode:
        sys.stderr.write(said.decode(errors="replace"))
        raise KitError(f"{' and '.join(services)}: cannot be built: {shlex.join(command)}")
    if here:
        found = compose.model(prepared)["services"]
        images.transfer(images.built({name: found[name] for name in services}), here, prepared, lambda *_: None)


def run(
    arguments: Sequence[str],
    prepared: Mapping[str, str],
    *,
    options: Sequence[str] = (),
    sent: bytes = b"",
    source: Path | None = None,
    target: IO[bytes] | None = None,
) -> int:
    """The container, to its end; its messages go to the terminal. Raises KitError if its image cannot be built."""
    build(["backup"], prepared)
    command = ["docker", "compose", "--profile", "backup", "--ansi=never", "--progress=quiet"]
    if arguments[0] == "save":
        for copy in folders.copies(prepared):
            if folders.IMAGES[copy.volume] == "backup":
                model = compose.model(prepared)
                folders.send(model["name"], model["services"]["backup"]["image"], copy, prepared)
    key = identity(prepared)
    words = [*options, *([f"--env=BACKUP_NAME={source.name}"] if source else []), *([IDENTITY] if key else [])]
    command += ["run", "--rm", "--no-deps", "--no-TTY", *words, "backup", *arguments]
    output = subprocess.PIPE if isinstance(target, io.BytesIO) else target
    with subprocess.Popen(command, env=prepared, cwd=ROOT, stdin=subprocess.PIPE, stdout=output) as process:
        assert process.stdin
        with contextlib.suppress(BrokenPipeError):  # the container has said why it reads no more
            process.stdin.write(key + sent)
            if source:
                with source.open("rb") as file:
                    shutil.copyfileobj(file, process.stdin, CHUNK)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        if isinstance(target, io.BytesIO) and process.stdout:
            target.write(process.stdout.read())
    return process.returncode


def identity(prepared: Mapping[str, str]) -> bytes:
    """The private key for reading an encrypted backup, after its length; empty if there is none. Raises KitError."""
    given = env_files.read_kit(prepared).get("BACKUP_IDENTITY", "")
    if not given:
        return b""
    try:
        content = (ROOT / Path(given).expanduser()).read_bytes()
    except OSError as error:
        raise KitError(f"BACKUP_IDENTITY={given!r}: must be a file with the private key: {error.strerror}") from None
    return b"%d\n%s" % (len(content), content)
