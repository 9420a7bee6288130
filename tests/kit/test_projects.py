"""Projects of every shape in tests/projects: what the detector finds in each; some are brought up.

`make projects` brings up all of them, in every way.
"""

from pathlib import Path

import pytest

from kit.project import facts, install, manifests
from tests.projects import run
from tests.projects.run import BACKENDS, Trial, try_run, try_up
from tests.projects.shapes import FOLDER, SHAPES, Shape
from tests.projects.site import ProjectError, Site, Written


def write_empty_lock(arguments: tuple[str, ...], folder: Path) -> None:
    name = next((word for word in arguments if word.startswith("pylock.")), "uv.lock")
    (folder / name).write_text("version = 1\n")


def test_every_project_has_a_shape() -> None:
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {shape.name for shape in SHAPES}
    assert len(folders) >= 24


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_application_and_dependencies_of_a_project_are_found(shape: Shape, tmp_path: Path) -> None:
    project = facts.look(shape.copy(tmp_path / shape.name, write_empty_lock), {})
    assert (project.application.value, project.dependencies.file) == (shape.application, shape.dependencies)
    assert (project.django is not None) is shape.name.startswith("django-")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_image_reads_the_same_dependencies_without_the_code(shape: Shape, tmp_path: Path) -> None:
    """Its layer of the dependencies has only the files that list them."""
    folder, copied = shape.copy(tmp_path / shape.name, write_empty_lock), tmp_path / "copied"
    copied.mkdir()
    found = manifests.find(folder, {})
    install.copy_files(found, folder, copied)
    again = manifests.find(copied, {})
    assert again.reader is found.reader
    for name in ("requirements", "constraints", "options", "arguments", "pins"):
        assert getattr(again, name) == getattr(found, name)


def shape_of(name: str) -> Shape:
    return next(shape for shape in SHAPES if shape.name == name)


@pytest.mark.parametrize("name", ["django-startproject", "flask-src"])
def test_project_is_served_by_make_run(name: str, tmp_path: Path) -> None:
    trial = Trial(shape_of(name), tmp_path)
    trial.adopt()
    try_run(trial)


KEEPING = str.split("django-startproject django-environ django-src django-ssl-redirect django-media flask-migrate")
"""One of each kind of place to write."""

OTHERS = str.split("django-uv django-poetry-2 flask-factory flask-src plain-wsgi requirements-nested")
"""One of each kind of dependencies and of application."""


def backends_of(at: int) -> tuple[str, ...]:
    return BACKENDS if at % 2 else BACKENDS[::-1]


@pytest.mark.docker
@pytest.mark.parametrize(
    ("name", "backends"),
    [
        *(pytest.param(name, backends_of(at), id=name) for at, name in enumerate(KEEPING)),
        # what they write is nothing special: one backend is enough
        *(pytest.param(name, backends_of(at)[:1], id=name) for at, name in enumerate(OTHERS)),
    ],
)
def test_project_is_served_by_make_up(name: str, backends: tuple[str, ...], tmp_path: Path) -> None:
    """Of two backends, the first one serves and writes, and the other one has what it has written."""
    trial = Trial(shape_of(name), tmp_path)
    trial.adopt()
    try:
        failures = [error for _, error in try_up(trial, backends) if error]
        assert not failures, f"{failures[0]}\n{failures[0].log}"
    finally:
        trial.remove()


class FakeTrial(Trial):
    """Backends that fail where the test says so."""

    def __init__(self, *broken: str) -> None:
        self.shape = shape_of("plain-wsgi")
        self.broken, self.calls = broken, list[str]()

    def up(self, backend: str) -> Site:
        self.calls.append(backend)
        if backend in self.broken:
            raise ProjectError("make up: exit status 1", "its log")
        return Site(backend)

    def down(self) -> None:
        self.calls.append("down")

    def logs(self) -> str:
        return ""


@pytest.mark.parametrize(
    ("broken", "kept", "failed", "calls"),
    [
        ((), True, {"a": False, "b": False}, ["a", "down", "b", "down", "a"]),
        (("a",), True, {"a": True, "b": True}, ["a", "b", "down", "a"]),  # nothing shows that b keeps its rows
        (("b",), True, {"a": False, "b": True}, ["a", "down", "b", "a"]),
        (("a", "b"), True, {"a": True, "b": True}, ["a", "b"]),
        ((), False, {"a": True, "b": True}, ["a", "down", "b", "down", "a"]),
    ],
)
def test_each_backend_has_to_keep_what_it_writes(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...], kept: bool, failed: dict[str, bool], calls: list[str]
) -> None:
    def check_kept(site: Site, written: Written) -> None:
        if not kept:
            raise ProjectError("1 rows before the restart, 0 after it")

    monkeypatch.setattr(run, "prove", lambda site, shape: Written(1))
    monkeypatch.setattr(run, "check_kept", check_kept)
    trial = FakeTrial(*broken)
    assert {backend: error is not None for backend, error in try_up(trial, ("a", "b", "a"))} == failed
    assert trial.calls == calls
