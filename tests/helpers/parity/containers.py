"""Starts the kit with the sample project, nginx in front: one compose project for each backend."""

from __future__ import annotations

import contextlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.helpers.containers import compose_project
from tests.helpers.parity.backends import SECRET_KEY
from tests.helpers.parity.raw_http import Address


@contextlib.contextmanager
def running_containers(backend: str, images: Mapping[str, str], prepared: Path) -> Iterator[Address]:
    variables = {"BACKEND": backend, "SECRET_KEY": SECRET_KEY, "LOG_LEVEL": "CRITICAL", "DIAGNOSTICS": "1"}
    with compose_project(images, "sample", **variables, WEB_CONCURRENCY="1", RATE_LIMIT="0") as stack:
        unpack = ("--entrypoint", "tar", "release", "-x", "-C", "/", "--no-overwrite-dir")
        stack.compose("run", "--rm", "--no-deps", "-T", *unpack, input=_packed(prepared))
        stack.up()
        yield "127.0.0.1", stack.port


def _packed(prepared: Path) -> bytes:
    """The prepared data as an archive, its files where the image has its volumes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for path in sorted(prepared.glob("db.sqlite3*")):
            archive.add(path, f"data/{path.name}", filter=_owned)
        archive.add(prepared / "media/papers", "srv/media/papers", filter=_owned)
    return packed.getvalue()


def _owned(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 10001
    return member
