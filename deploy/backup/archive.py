"""A backup: a tar archive, compressed, with the checksum of each member in its last one, manifest.json.

data/...              the files of the data volume; SQLite databases as SQLite's own backup copies them
media/...             uploaded files
database.dump         PostgreSQL, in the custom format of pg_dump
environment/...       .env and .env.project, if they were given
manifest.json         what it is, and for each file its size and SHA-256
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import stat
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from backup.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
CHUNK = 1 << 20


@dataclass
class Manifest:
    project: str
    created: str
    """UTC, ISO 8601."""
    release: str = ""
    database: str = ""
    """postgres, elsewhere (not in the backup), or "" for none beside SQLite files."""
    sqlite: list[str] = field(default_factory=list)
    """The members that are SQLite databases."""
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    """For each database (a member's name): its tables, and how many rows each has."""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """For each file: its size, and its SHA-256 in hexadecimal."""
    changed: list[str] = field(default_factory=list)
    """Files that shrank while they were read: the rest is zeros."""
    format: int = FORMAT


class Writer:
    """Writes a backup to `target`, which need not be seekable. At the end of the context it is complete."""

    def __init__(self, target: IO[bytes], manifest: Manifest) -> None:
        # most of what is large, such as images, is compressed already
        self._gzip = gzip.GzipFile(fileobj=target, mode="wb", compresslevel=3)
        self._tar = tarfile.open(fileobj=self._gzip, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `close`
        self.manifest = manifest

    def add_file(self, path: Path, name: str) -> None:
        """A regular file, as large as it is now. One that is gone by now is left out."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            status = os.fstat(file.fileno())
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = status.st_size, stat.S_IMODE(status.st_mode), int(status.st_mtime)
            reader = Hashing(file, status.st_size)
            self._tar.addfile(info, reader)  # type: ignore[arg-type]  # only read() is called
        self.manifest.files[name] = (info.size, reader.digest())
        if reader.is_short:
            self.manifest.changed.append(name)

    def add_bytes(self, content: bytes, name: str, mode: int = 0o600) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), mode
        self._tar.addfile(info, io.BytesIO(content))
        self.manifest.files[name] = (len(content), hashlib.sha256(content).hexdigest())

    def add_other(self, path: Path, name: str) -> None:
        """A folder or a symbolic link."""
        with contextlib.suppress(FileNotFoundError):
            info = self._tar.gettarinfo(path, name)
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            self._tar.addfile(info)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        """Without the manifest, a backup is incomplete."""
        with contextlib.suppress(OSError) if error else contextlib.nullcontext():
            if not error:
                self._add_manifest()
            self._tar.close()
            self._gzip.close()

    def _add_manifest(self) -> None:
        content = json.dumps(asdict(self.manifest), indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode = len(content), 0o600
        self._tar.addfile(info, io.BytesIO(content))


class Hashing:
    """Reads exactly `size` octets of a file: what was added since is left out, and what is missing is zeros."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left, self._hash = file, size, hashlib.sha256()
        self.is_short = False

    def read(self, size: int) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        if len(data) < wanted:
            self.is_short = True
            data += bytes(wanted - len(data))
        self._left -= len(data)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def unpack(source: IO[bytes], folder: Path, is_wanted: Callable[[str], bool] = lambda _name: True) -> Manifest:
    """Unpacks the wanted members below `folder`, and checks all. Raises BackupError if anything is not as saved."""
    seen: dict[str, tuple[int, str]] = {}
    manifest: Manifest | None = None
    try:
        with gzip.GzipFile(fileobj=source) as content, tarfile.open(fileobj=content, mode="r|") as tar:
            for member in tar:
                if member.name == MANIFEST and member.isreg():
                    manifest = read_manifest(extracted(tar, member).read())
                elif member.isreg():
                    seen[member.name] = (member.size, copy(tar, member, folder if is_wanted(member.name) else None))
                elif is_wanted(member.name):
                    tar.extract(member, folder, filter="data")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # this machine's, such as a full disk
        raise BackupError(f"it cannot be read: {' '.join(str(error).split()) or type(error).__name__}") from None
    if manifest is None:
        raise BackupError("it is incomplete: manifest.json is missing")
    for name in sorted({*seen, *manifest.files}):
        if seen.get(name) != manifest.files.get(name):
            raise BackupError(f"it is damaged: {name} is not what was saved")
    return manifest


def extracted(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    file = tar.extractfile(member)
    if file is None:
        raise BackupError(f"{member.name} is no file")
    return file


def copy(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path | None) -> str:
    """Writes a file below the folder, if one is given; returns its SHA-256. No path leads out of the folder."""
    digest = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        target: IO[bytes] | None = None
        if folder is not None:
            checked = tarfile.data_filter(member, str(folder))
            path = folder / checked.name
            path.parent.mkdir(parents=True, exist_ok=True)
            target = stack.enter_context(path.open("xb"))
            os.chmod(path, (checked.mode or 0o644) & 0o777)
        file = extracted(tar, member)
        while block := file.read(CHUNK):
            digest.update(block)
            if target:
                target.write(block)
        if target:
            target.flush()  # a write after it would be a change of the file
            os.utime(target.fileno(), (member.mtime, member.mtime))
    return digest.hexdigest()


def read_manifest(content: bytes) -> Manifest:
    """Raises BackupError for another format."""
    try:
        values = json.loads(content)
        if values["format"] != FORMAT:
            raise BackupError(f"its format is {values['format']}, and this version reads {FORMAT}")
        values["files"] = {name: (size, digest) for name, (size, digest) in values["files"].items()}
        return Manifest(**values)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise BackupError("its manifest.json cannot be read") from None


def walk(folder: Path) -> Iterator[Path]:
    """All below a folder, sorted; not into links to folders, and not into hidden folders of a restore."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".restore-"):
            continue
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from walk(path)


def replace_content(folder: Path, new: Path) -> None:
    """What is below `new`, in the same file system, takes the place of what is below `folder`."""
    old = folder / ".restore-old"
    shutil.rmtree(old, ignore_errors=True)
    old.mkdir()
    for path in folder.iterdir():
        if not path.name.startswith(".restore-"):
            path.rename(old / path.name)
    for path in new.iterdir() if new.is_dir() else ():
        path.rename(folder / path.name)
    shutil.rmtree(old)
    shutil.rmtree(new, ignore_errors=True)
