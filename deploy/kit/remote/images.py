"""BUILD=here: images are built by this machine's engine, and reach the server's by save and load, with the layers alone
that it does not have, or by way of a registry (REGISTRY)."""

import contextlib
import gzip
import json
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from kit import containers
from kit.errors import KitError
from kit.paths import ROOT
from kit.remote import server

PLACES = ("there", "here")
CHUNK = 256 * 1024  # octets
COMPRESSION = 1  # of gzip: the connection is slower than the processor, but not by much
QUESTION_TIMEOUT = 120.0  # seconds
SAVE_TIMEOUT = 1200.0
LOAD_TIMEOUT = 3600.0
"""For what remains once all is sent."""
REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*")
OF_REGISTRY = (
    ("no basic auth credentials|unauthorized|authentication required|denied", "refuses the login: docker login {host}"),
    (
        "HTTP response to HTTPS",
        'speaks plain HTTP: give it a certificate, or list it in "insecure-registries" of both engines\' daemon.json',
    ),
    ("refused|no such host|timeout|timed out|unreachable|no route", "does not answer: is it on? is the name right?"),
)
"""What docker says of a registry, and the reason with its mend."""

CONTAINERD = "io.containerd.snapshotter"
"""An image store that refuses an archive without all layers."""

Progress = Callable[[int, int], None]
"""Called with the octets that are sent, and all; may raise to end the transfer."""


def builder(values: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str] | None:
    """The variables of this machine's engine if images are built by it; None: the engine of the site builds them.

    Raises KitError.
    """
    place = values.get("BUILD") or ("here" if values.get("REGISTRY") else "there")
    if place not in PLACES:
        raise KitError(f"BUILD={place!r}: must be {' or '.join(PLACES)}")
    if not REGISTRY.fullmatch(values.get("REGISTRY") or "x"):
        raise KitError(f"REGISTRY={values['REGISTRY']!r}: must be a registry and a path, such as registry.example/shop")
    if place == "there" or server.of(environment) is None:
        return None
    own = {name: value for name, value in environment.items() if name != "DOCKER_HOST"}
    if given := environment.get(server.ENGINE_HERE):
        own["DOCKER_HOST"] = given
    else:
        own["DOCKER_HOST"] = _docker(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"], own)
    try:
        _docker(["version", "--format", "{{.Server.Version}}"], own)
    except KitError as error:
        raise KitError(f"BUILD=here needs a Docker engine on this machine: {error}") from None
    return own


def built(services: Mapping[str, Any], app_image: str = "") -> list[str]:
    """The names of the images that compose builds for these services; `app_image`: the application's for this time."""
    names = {name: each["image"] for name, each in services.items() if "build" in each and "image" in each}
    if app_image and "app" in names:
        names["app"] = app_image
    return sorted(set(names.values()))


def transfer(names: Sequence[str], here: Mapping[str, str], there: Mapping[str, str], progress: Progress) -> int:
    """Returns the octets that were sent. Raises KitError, and what `progress` raises."""
    with tempfile.TemporaryDirectory(prefix="ropewalk-images-") as folder:
        saved, packed = Path(folder) / "saved.tar", Path(folder) / "sent.tar.gz"
        _docker(["save", "--output", str(saved), *map(tagged, names)], here, timeout=SAVE_TIMEOUT)
        known = layers_of(there)
        pack(saved, packed, known)
        try:
            return _load(packed, there, progress)
        except KitError:
            if not known:
                raise
        pack(saved, packed, set())  # a layer has gone meanwhile, or this engine insists on all
        return _load(packed, there, progress)


def tagged(name: str) -> str:
    """With its tag: `docker save` takes a name without one for all images of that name."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def layers_of(environment: Mapping[str, str]) -> set[tuple[str, ...]]:
    """The chains of layers that the engine has: each of its images' layers, from the first to any."""
    if CONTAINERD in _docker(["info", "--format", "{{.DriverStatus}}"], environment):
        return set()
    identifiers = sorted(set(_docker(["images", "--quiet", "--no-trunc"], environment).split()))
    if not identifiers:
        return set()
    inspected = _docker(["image", "inspect", "--format", "{{json .RootFS.Layers}}", *identifiers], environment)
    chains = [tuple(json.loads(line) or ()) for line in inspected.splitlines()]
    return {chain[:length] for chain in chains for length in range(1, len(chain) + 1)}


class _Saved(NamedTuple):
    """An image in an archive of `docker save`."""

    layers: list[str]
    """Names in the archive."""
    digests: list[str]
    """Of the content of each layer."""


def pack(saved: Path, packed: Path, known: set[tuple[str, ...]]) -> None:
    """A compressed copy of the archive without the layers that are known."""
    with tarfile.open(saved) as source:
        found = list(_images(source))
        needed = {
            digest
            for image in found
            for at, digest in enumerate(image.digests)
            if tuple(image.digests[: at + 1]) not in known
        }
        left_out = {
            name
            for image in found
            for name, digest in zip(image.layers, image.digests, strict=True)
            if digest not in needed
        }
        with gzip.open(packed, "wb", COMPRESSION) as compressed, tarfile.open(fileobj=compressed, mode="w|") as target:
            for member in source:
                if member.name not in left_out:
                    target.addfile(member, source.extractfile(member) if member.isfile() else None)


def _images(source: tarfile.TarFile) -> Iterable[_Saved]:
    for each in _read_json(source, "manifest.json"):
        yield _Saved(each["Layers"], _read_json(source, each["Config"])["rootfs"]["diff_ids"])


def _read_json(source: tarfile.TarFile, name: str) -> Any:
    file = source.extractfile(name)
    return json.load(file) if file else None


def _load(packed: Path, environment: Mapping[str, str], progress: Progress) -> int:
    total = packed.stat().st_size
    with tempfile.TemporaryFile() as printed, packed.open("rb") as file:
        process = subprocess.Popen(
            ["docker", "load", "--quiet"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=printed,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            _send(file, process.stdin, total, progress)
            status = process.wait(LOAD_TIMEOUT)
        except subprocess.TimeoutExpired:
            raise KitError("docker load: it has not ended in time") from None
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            if process.stdin:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
        printed.seek(0)
        said = printed.read().decode(errors="replace").strip().splitlines() or [f"exit status {status}"]
    if status:
        raise KitError(f"docker load: {said[-1]}")
    return total


def _send(file: IO[bytes], pipe: IO[bytes] | None, total: int, progress: Progress) -> None:
    assert pipe
    sent = 0
    with contextlib.suppress(BrokenPipeError):  # docker says why it reads no more
        while piece := file.read(CHUNK):
            pipe.write(piece)
            sent += len(piece)
            progress(sent, total)
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


def by_registry(
    names: Sequence[str],
    registry: str,
    here: Mapping[str, str],
    there: Mapping[str, str],
    tag: str,
    say: Callable[[str], None],
) -> None:
    """Pushed here, pulled there; the names that the registry knows them by are removed again. Raises KitError."""
    for name in names:
        repository, colon, own = name.rpartition(":")
        base = (repository if colon and "/" not in own else name).rpartition("/")[2]
        remote = f"{registry}/{base}:{tag}"
        say(f"Push {remote}")
        _docker(["tag", name, remote], here)
        try:
            _ask_registry("push", remote, registry, here)
            say(f"Pull {remote}")
            _ask_registry("pull", remote, registry, there)
            _docker(["tag", remote, name], there)
        finally:
            for environment in (here, there):
                with contextlib.suppress(KitError):  # it got no further
                    _docker(["image", "rm", remote], environment)


def _ask_registry(command: str, name: str, registry: str, environment: Mapping[str, str]) -> None:
    """Raises KitError."""
    try:
        _docker([command, "--quiet", name], environment, timeout=LOAD_TIMEOUT)
    except KitError as error:
        for pattern, text in OF_REGISTRY:
            if re.search(pattern, str(error), re.IGNORECASE):
                host = registry.partition("/")[0]
                raise KitError(f"REGISTRY={registry!r}: it {text.format(host=host)} ({error})") from None
        raise


def forget(app_image: str, latest: str, here: Mapping[str, str]) -> None:
    """A release is the server's: here its image is kept under the name that the next build continues from."""
    _docker(["tag", app_image, latest], here)
    _docker(["image", "rm", app_image], here)


def _docker(words: Sequence[str], environment: Mapping[str, str], *, timeout: float = QUESTION_TIMEOUT) -> str:
    """What it prints. Raises KitError."""
    return containers.output(words, environment, timeout=timeout).strip()
