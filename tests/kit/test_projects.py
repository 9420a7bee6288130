"""Projects of every shape in tests/projects: what the detector finds in each; some are brought up.

`make projects` brings up all of them, in every way.
"""

from pathlib import Path

import pytest

from kit.project import facts
from tests.projects.run import BACKENDS, Trial, try_run, try_up
from tests.projects.shapes import FOLDER, SHAPES, Shape
from tests.projects.site import Written


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


def shape_of(name: str) -> Shape:
    return next(shape for shape in SHAPES if shape.name == name)


@pytest.mark.parametrize("name", ["django-startproject", "flask-src"])
def test_project_is_served_by_make_run(name: str, tmp_path: Path) -> None:
    trial = Trial(shape_of(name), tmp_path)
    trial.adopt()
    try_run(trial)


@pytest.mark.docker
@pytest.mark.parametrize("name", ["flask-factory"])
def test_project_is_served_by_make_up_on_each_backend(name: str, tmp_path: Path) -> None:
    trial = Trial(shape_of(name), tmp_path)
    trial.adopt()
    written: Written | None = None
    try:
        for backend in BACKENDS:
            written = try_up(trial, backend, written)
    finally:
        trial.remove()
