"""Backups that only the owner of a private key can read: by age, or by gpg."""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from backup.errors import BackupError, UsageError
from backup.settings import Settings

SUFFIXES = {b"age-encryption.org/": ".age", b"-----BEGIN AGE": ".age", b"\x1f\x8b": ""}
"""The first octets of each kind of file, and the end of its name. What is none of these is gpg's."""


def suffix(settings: Settings) -> str:
    if not settings.recipient:
        return ""
    return ".gpg" if settings.key else ".age"


@contextlib.contextmanager
def writer(target: IO[bytes], settings: Settings) -> Iterator[IO[bytes]]:
    """What is written to it arrives at `target`, encrypted if there is a recipient. Raises BackupError."""
    if not settings.recipient:
        yield target
        target.flush()
        return
    with tempfile.TemporaryDirectory() as home:
        command = ["age", "--encrypt", "--recipient", settings.recipient]
        if settings.key:
            gpg = ["gpg", "--batch", "--quiet", "--homedir", home]
            call([*gpg, "--import", str(settings.key)])
            command = [*gpg, "--trust-model", "always", "--recipient", settings.recipient, "--encrypt"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=target, stderr=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stderr
            with contextlib.suppress(BrokenPipeError):  # the program's own message is better
                yield process.stdin
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            said = process.stderr.read().decode(errors="replace")
    check(command, process.returncode, said)


@contextlib.contextmanager
def reader(source: Path, settings: Settings) -> Iterator[IO[bytes]]:
    """The content of a backup, decrypted if it is encrypted. Raises BackupError, and UsageError without a key."""
    with source.open("rb") as file:
        start = file.read(32)
    kind = next((kind for first, kind in SUFFIXES.items() if start.startswith(first)), ".gpg")
    if not kind:
        with source.open("rb") as file:
            yield file
        return
    if not settings.identity:
        raise UsageError(f"{source.name} is encrypted: BACKUP_IDENTITY has to name a file with the private key")
    if not settings.identity.is_file():
        raise UsageError(f"BACKUP_IDENTITY={str(settings.identity)!r}: must be a file that uid 10001 can read")
    with tempfile.TemporaryDirectory() as home:
        command = ["age", "--decrypt", "--identity", str(settings.identity), str(source)]
        if kind == ".gpg":
            gpg = ["gpg", "--batch", "--quiet", "--homedir", home]
            call([*gpg, "--import", str(settings.identity)])
            command = [*gpg, "--decrypt", str(source)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stderr
            failed: BackupError | None = None
            try:
                yield process.stdout
            except BackupError as error:
                failed = error  # of a content that ends early: the program knows why
            process.stdout.close()
            said = process.stderr.read().decode(errors="replace")
    if failed and process.returncode in (0, -13):
        raise failed
    check(command, process.returncode, said)


def call(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    check(command, done.returncode, done.stderr)


def check(command: list[str], status: int, said: str) -> None:
    if status:
        lines = [line for line in said.splitlines() if line.strip()] or [f"status {status}"]
        raise BackupError(f"{command[0]}: {lines[0].removeprefix(f'{command[0]}: ').removeprefix('error: ')}")
