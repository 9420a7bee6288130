"""The commands of the container of backups."""

import contextlib
import dataclasses
import datetime
import io
import os
import shutil
import signal
import stat
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from backup import archive, crypt, postgres, sqlite_files, store
from backup.archive import Manifest
from backup.errors import BackupError, UsageError
from backup.settings import Settings, read

DUMP = "database.dump"
OWNER = ".project"
"""In the data volume: which project it belongs to (deploy/app/release.py)."""

ENVIRONMENT = (".env", ".env.project")
RETRY = 900.0  # seconds after a scheduled backup that failed
HEALTHY = Path("/tmp/healthy")


def run(arguments: list[str], settings: Settings | None = None) -> int:
    """Raises UsageError and BackupError."""
    settings = settings or read()
    command, *rest = arguments or [""]
    known: dict[str, tuple[Callable[..., None], range]] = {
        "save": (save, range(2)),
        "list": (show, range(1)),
        "used": (show_use, range(1)),
        "check": (check, range(2)),
        "verify": (verify, range(1, 2)),
        "restore": (restore, range(1, 2)),
        "environment": (environment, range(1, 2)),
        "schedule": (schedule, range(1)),
    }
    if command not in known or len(rest) not in known[command][1]:
        raise UsageError(f"{' '.join(arguments)!r}: must be one of {', '.join(known)}")
    with given_identity(settings) as complete:
        known[command][0](complete, *rest)
    return 0


def say(text: str) -> None:
    print(f"backup: {text}", file=sys.stderr, flush=True)


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


# --- save


def save(settings: Settings, target: str = "") -> None:
    """Prints the name of the new backup, or the backup itself if the target is -."""
    if target not in {"", "-"}:
        raise UsageError(f"{target!r}: must be -, or nothing")
    files = given_environment()
    with store.lock(settings), work_folder(settings) as work:
        if target:
            with crypt.writer(sys.stdout.buffer, settings) as output:
                write(settings, output, work, files)
            return
        path = new_path(settings)
        with (work / "new").open("xb") as file, crypt.writer(file, settings) as output:
            write(settings, output, work, files)
            output.flush()
            os.fsync(file.fileno())
        (work / "new").rename(path)
        for old in store.remove_old(settings):
            say(f"removed {old.name}: BACKUP_KEEP is {settings.keep}")
    print(path.name)


def new_path(settings: Settings) -> Path:
    while True:
        path = settings.folder / f"{settings.project}-{now():{store.STAMP}}.tar.gz{crypt.suffix(settings)}"
        if not path.exists():
            return path
        time.sleep(0.1)  # two within a second


def write(settings: Settings, output: IO[bytes], work: Path, files: dict[str, bytes]) -> None:
    began = time.monotonic()
    manifest = Manifest(settings.project, now().isoformat(timespec="seconds"), settings.release)
    with archive.Writer(output, manifest) as writer:
        if settings.database_url:
            manifest.database = "postgres"
            say("PostgreSQL ...")
            manifest.counts[DUMP] = postgres.Server(settings.database_url).dump(work / "dump")
            writer.add_file(work / "dump", DUMP)
            (work / "dump").unlink()
        elif settings.elsewhere:
            manifest.database = "elsewhere"
            say(f"warning: the database at {settings.elsewhere} is not in the backup: save it where it is")
        for folder, name in ((settings.data, "data"), (settings.media, "media")):
            say(f"{folder} ...")
            add_folder(writer, folder, name, work)
        for name, content in files.items():
            writer.add_bytes(content, f"environment/{name}")
    for name in manifest.changed:
        say(f"warning: {name} became shorter while it was read")
    size = sum(length for length, _ in manifest.files.values())
    say(f"{len(manifest.files)} files, {size / 1e6:.1f} MB, {time.monotonic() - began:.1f} s")


def add_folder(writer: archive.Writer, folder: Path, name: str, work: Path) -> None:
    for path in archive.walk(folder):
        member = f"{name}/{path.relative_to(folder)}"
        with contextlib.suppress(FileNotFoundError):
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode) and sqlite_files.is_database(path):
                sqlite_files.copy(path, work / "sqlite")
                writer.manifest.sqlite.append(member)
                writer.manifest.counts[member] = sqlite_files.count(work / "sqlite")
                writer.add_file(work / "sqlite", member)
                (work / "sqlite").unlink()
            elif stat.S_ISREG(mode) and not sqlite_files.is_beside(path):
                writer.add_file(path, member)
            elif stat.S_ISDIR(mode) or stat.S_ISLNK(mode):
                writer.add_other(path, member)


def given_environment() -> dict[str, bytes]:
    """.env and .env.project, from a tar archive on standard input."""
    if sys.stdin is None or sys.stdin.isatty():
        return {}
    content = sys.stdin.buffer.read()
    if not content:
        return {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            found = [(member, tar.extractfile(member)) for member in tar if member.name in ENVIRONMENT]
            return {member.name: file.read() for member, file in found if file}
    except tarfile.TarError:
        raise UsageError("standard input must be a tar archive with .env and .env.project, or empty") from None


@contextlib.contextmanager
def given_identity(settings: Settings) -> Iterator[Settings]:
    """BACKUP_IDENTITY=- : the private key precedes everything else on standard input, after a line with its length.

    A file of the machine where `make restore` is called may be readable by its owner alone, or be on another machine.
    """
    if settings.identity != Path("-"):
        yield settings
        return
    line = sys.stdin.buffer.readline(16).strip()
    content = sys.stdin.buffer.read(int(line)) if line.isdigit() else b""
    if not content:
        raise UsageError("standard input must begin with the length of a private key, and the key")
    with tempfile.NamedTemporaryFile(prefix="identity-") as file:
        file.write(content)
        file.flush()
        yield dataclasses.replace(settings, identity=Path(file.name))


@contextlib.contextmanager
def work_folder(settings: Settings) -> Iterator[Path]:
    """Beside the backups, where there is room. What an interrupted command has left is removed."""
    for left in settings.folder.glob(".work-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=".work-", dir=settings.folder))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- list


def show(settings: Settings) -> None:
    for path in store.backups(settings):
        print(f"{path.name}\t{path.stat().st_size}")


def show_use(settings: Settings) -> None:
    """The release leaves a file before anything else."""
    if any(folder.is_dir() and any(folder.iterdir()) for folder, _ in places(settings)):
        print("used")


# --- check


def check(settings: Settings, name: str = "") -> None:
    """Restores into databases beside the site's, counts the rows, and compares them with those that were saved."""
    with store.lock(settings), work_folder(settings) as work:
        path = received(work) if name == "-" else store.find(name, settings)
        manifest = unpack(path, work / "content", settings)
        for member in manifest.sqlite:
            compare(member, manifest, sqlite_files.count(work / "content" / member))
        if manifest.database == "postgres":
            if not settings.database_url:
                raise BackupError(f"{path.name} has a database of PostgreSQL: the profile postgres has to be on")
            server = postgres.Server(settings.database_url)
            try:
                server.restore(work / "content" / DUMP, postgres.SCRATCH)
                compare(DUMP, manifest, server.count(postgres.SCRATCH))
            finally:
                server.drop(postgres.SCRATCH)
        tables = sum(len(counts) for counts in manifest.counts.values())
        rows = sum(number for counts in manifest.counts.values() for number in counts.values())
        print(f"{path.name}: {len(manifest.files)} files, {tables} tables, {rows} rows: all as they were saved")


def compare(member: str, manifest: Manifest, found: dict[str, int]) -> None:
    saved = manifest.counts.get(member, {})
    for table in sorted({*saved, *found}):
        if saved.get(table) != found.get(table):
            raise BackupError(
                f"{member}: the table {table} had {saved.get(table, 'no')} rows, and has {found.get(table, 'none')}"
            )


def unpack(path: Path, folder: Path, settings: Settings, prefix: str | None = "") -> Manifest:
    """What begins with the prefix; None: nothing. All of it is checked. Raises BackupError."""
    folder.mkdir(parents=True)
    with crypt.reader(path, settings) as source:
        try:
            return archive.unpack(source, folder, lambda name: prefix is not None and name.startswith(prefix))
        except BackupError as error:
            raise BackupError(f"{path.name}: {error}") from None


# --- restore


def verify(settings: Settings, name: str) -> None:
    """While the application runs: a file that cannot be restored must not stop it."""
    with store.lock(settings), work_folder(settings) as work:
        path = received(work) if name == "-" else store.find(name, settings)
        manifest = unpack(path, work / "content", settings, None)
        check_database(manifest, settings)
    say(f"a backup of {manifest.project}, made at {manifest.created}: complete")
    if manifest.project != settings.project:
        say(f"warning: it is a backup of another project, {manifest.project}: this one is {settings.project}")


def check_database(manifest: Manifest, settings: Settings) -> None:
    """Raises BackupError."""
    if manifest.database == "postgres" and not (settings.database_url or settings.has_postgres):
        raise BackupError("it has a database of PostgreSQL: the profile postgres has to be on (COMPOSE_PROFILES)")
    if manifest.database != "postgres" and settings.database_url:
        raise BackupError("it has no database of PostgreSQL: the profile postgres has to be off (COMPOSE_PROFILES)")


def restore(settings: Settings, name: str) -> None:
    """Everything is read and checked before anything is replaced."""
    with store.lock(settings), work_folder(settings) as work:
        path = received(work) if name == "-" else store.find(name, settings)
        content = work / "content"
        manifest = unpack(path, content, settings)
        say(f"a backup of {manifest.project}, made at {manifest.created}: complete")
        check_database(manifest, dataclasses.replace(settings, has_postgres=False))
        server = None
        if manifest.database == "postgres":
            server = postgres.Server(settings.database_url)
            say("PostgreSQL ...")
            server.restore(content / DUMP, postgres.NEW)
            compare(DUMP, manifest, server.count(postgres.NEW))
        keep_owner(settings.data, content / "data")
        moved = [(folder, moved_beside(content / part, folder)) for folder, part in places(settings)]
        # from here on nothing takes long, and nothing has to be read that could be damaged
        if server:
            server.take_place(postgres.NEW)
        for folder, new in moved:
            archive.replace_content(folder, new)
        say("restored")


def keep_owner(folder: Path, content: Path) -> None:
    """The volume stays the project's that it belongs to: the one that was saved may have had another path."""
    (content / OWNER).unlink(missing_ok=True)
    if (folder / OWNER).is_file() and content.is_dir():
        shutil.copy2(folder / OWNER, content / OWNER)


def places(settings: Settings) -> list[tuple[Path, str]]:
    return [(settings.data, "data"), (settings.media, "media")]


def moved_beside(source: Path, folder: Path) -> Path:
    """Into the volume in which it will replace what is there now: a rename across volumes is a copy, which may fail."""
    new = folder / ".restore-new"
    shutil.rmtree(new, ignore_errors=True)
    if source.is_dir():
        shutil.move(source, new)
    return new


def received(work: Path) -> Path:
    path = work / (Path(os.environ.get("BACKUP_NAME", "")).name or "the backup")
    with path.open("xb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file, archive.CHUNK)
    if not path.stat().st_size:
        raise BackupError("standard input is empty: the backup did not arrive")
    return path


def environment(settings: Settings, name: str) -> None:
    """Prints a tar archive with .env and .env.project; an empty one if they are not in the backup."""
    with store.lock(settings), work_folder(settings) as work:
        path = received(work) if name == "-" else store.find(name, settings)
        unpack(path, work / "content", settings, "environment/")
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
            for file in sorted((work / "content/environment").glob(".env*")):
                tar.add(file, file.name)
        sys.stdout.buffer.flush()


# --- schedule


def schedule(settings: Settings) -> None:
    """Healthy from the start, and unhealthy after a backup that failed, until one succeeds."""
    # process 1 has no default handlers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    HEALTHY.touch()
    sys.stdin = None  # nothing is given
    while True:
        due = next_time(settings.times, datetime.datetime.now().astimezone())
        say(f"the next backup is due at {due:%Y-%m-%d %H:%M %Z}")
        sleep_until(due)
        while not attempt(settings):
            time.sleep(RETRY)


def reason_of(error: Exception, settings: Settings) -> str:
    """An error without a file is one of writing into the folder of backups."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or settings.folder}: {error.strerror.lower()}"
    return str(error)


def attempt(settings: Settings) -> bool:
    try:
        save(settings)
    except (BackupError, UsageError, OSError) as error:
        say(f"failed, and tries again in {RETRY / 60:.0f} minutes: {reason_of(error, settings)}")
        HEALTHY.unlink(missing_ok=True)
        return False
    HEALTHY.touch()
    return True


def next_time(times: tuple[str, ...], after: datetime.datetime) -> datetime.datetime:
    """The next moment at which the clock shows one of these times."""
    found = []
    for text in times:
        hour, minute = map(int, text.split(":"))
        due = after.replace(hour=hour, minute=minute, second=0, microsecond=0)
        found.append(due if due > after else due + datetime.timedelta(days=1))
    return min(found)


def sleep_until(due: datetime.datetime) -> None:
    """In short naps: the machine may be suspended, and its clock set."""
    while (left := (due - datetime.datetime.now().astimezone()).total_seconds()) > 0:
        time.sleep(min(left, 60.0))
