"""The manifests in deploy/kubernetes, rendered by the kustomize that kubectl contains."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.helpers.containers import run
from tests.helpers.paths import REPOSITORY

FOLDER = REPOSITORY / "deploy/kubernetes"
OVERLAYS = ("development", "production")
SECRETS = {
    "SECRET_KEY": "a-key-of-the-tests\n",
    "DATABASE_URL": "postgresql://shop:secret@database.example:5432/shop\n",
}

Manifest = dict[str, Any]


def kubectl() -> str:
    """The pinned one of the environment that runs the tests, or the machine's."""
    pinned = Path(sys.executable).with_name("kubectl")
    return str(pinned) if pinned.exists() else shutil.which("kubectl") or str(pinned)


@dataclass(frozen=True, slots=True)
class Overlays:
    """A copy of deploy/kubernetes, with the secrets that an operator adds."""

    folder: Path

    @classmethod
    def copy(cls, to: Path, secrets: Mapping[str, str] = SECRETS) -> Overlays:
        shutil.copytree(FOLDER, to, ignore=shutil.ignore_patterns("SECRET_KEY", "DATABASE_URL"))
        for name, value in secrets.items():
            (to / "overlays/production/secrets" / name).write_text(value)
        return cls(to)

    def run(self, overlay: str) -> subprocess.CompletedProcess[str]:
        return run(kubectl(), "kustomize", str(self.folder / "overlays" / overlay), check=False)

    def render(self, overlay: str) -> list[Manifest]:
        done = self.run(overlay)
        assert done.returncode == 0, done.stderr
        return [each for each in yaml.safe_load_all(done.stdout) if each]


def the(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """The one of this kind with this name, or with this name before the hash of its content."""
    found = [
        each
        for each in manifests
        if each["kind"] == kind
        and (each["metadata"]["name"] == name or each["metadata"]["name"].rpartition("-")[0] == name)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The name and the pod of each manifest that starts some."""
    for each in manifests:
        if each["kind"] in ("Deployment", "Job", "StatefulSet"):
            yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def container(pod: Manifest, name: str) -> Manifest:
    return next(each for each in containers(pod) if each["name"] == name)
