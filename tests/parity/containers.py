"""Starts the kit with the sample project, nginx in front: one compose project for each backend."""

import contextlib
import io
import os
import secrets
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from .backends import SECRET_KEY
from .wire import Address

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD_TIMEOUT = 900.0  # both images, with nothing in the cache
BASE_IMAGE = os.environ.get("BASE_IMAGE", "debian:trixie-slim")


def run(command: list[str], *, timeout: float = 180, check: bool = True, **options: object) -> bytes:
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, timeout=timeout, check=False, **options)
    if check and ended.returncode != 0:
        output = (ended.stdout + ended.stderr).decode(errors="replace")
        raise AssertionError(f"{' '.join(command)} exited with {ended.returncode}\n{output}")
    return ended.stdout


@contextlib.contextmanager
def built_images() -> Iterator[dict[str, str]]:
    """The variables that name both images, which go again at the end."""
    suffix = secrets.token_hex(4)
    images = {"APP_IMAGE": f"ropewalk-parity-app:{suffix}", "NGINX_IMAGE": f"ropewalk-compare-nginx:{suffix}"}
    try:
        for image, dockerfile in zip(images.values(), ("Dockerfile", "nginx/Dockerfile"), strict=True):
            base = f"--build-arg=BASE_IMAGE={BASE_IMAGE}"
            run(["docker", "build", "--quiet", base, "--file", dockerfile, "--tag", image, "."], timeout=BUILD_TIMEOUT)
        yield images
    finally:
        for image in images.values():
            run(["docker", "image", "rm", "--force", image], check=False)


@contextlib.contextmanager
def running_containers(backend: str, images: dict[str, str], prepared: Path) -> Iterator[Address]:
    # a developer's own .env and variables must not reach the tests
    kept = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        **images,
        "BASE_IMAGE": BASE_IMAGE,
        "BACKEND": backend,
        "HTTP_PORT": "0",
        "HTTPS_PORT": "0",
        "SECRET_KEY": SECRET_KEY,
        "LOG_LEVEL": "CRITICAL",
        "WEB_CONCURRENCY": "1",
        "RATE_LIMIT": "0",
    }
    name = f"ropewalk-parity-{backend}-{secrets.token_hex(4)}"
    compose = ["docker", "compose", "--env-file", "/dev/null", "--project-name", name]
    try:
        unpack = [
            "run",
            "--rm",
            "--no-deps",
            "-T",
            "--entrypoint",
            "tar",
            "release",
            "-x",
            "-C",
            "/",
            "--no-overwrite-dir",
        ]
        run([*compose, *unpack], env=environment, input=_packed(prepared))
        run([*compose, "up", "--no-build", "--wait", "--wait-timeout", "120"], env=environment)
        port = run([*compose, "port", "nginx", "8080"], env=environment).decode().strip().rpartition(":")[2]
        yield "127.0.0.1", int(port)
    finally:
        run([*compose, "down", "--volumes", "--remove-orphans", "--timeout", "10"], env=environment, check=False)


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
