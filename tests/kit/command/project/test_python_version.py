"""deploy/kit/project/python_version.py."""

import pytest

from kit.errors import KitError
from kit.project import python_version


@pytest.mark.parametrize(
    ("specifier", "version", "is_allowed"),
    [
        (">=3.11", (3, 11, 0), True),
        (">=3.11", (3, 10, 9), False),
        (">=3.11.4,<4", (3, 11, 2), False),
        ("<3.13", (3, 13, 0), False),
        ("<=3.13", (3, 13, 5), False),
        (">3.12", (3, 12, 1), True),
        ("==3.12.*", (3, 12, 7), True),
        ("==3.12", (3, 12, 7), False),
        ("!=3.12.*", (3, 12, 7), False),
        ("!=3.9.7,>=3.8", (3, 13, 5), True),
        ("~=3.11", (3, 13, 5), True),
        ("~=3.11.2", (3, 13, 5), False),
        ("~=3.11.2", (3, 11, 1), False),
        ("", (3, 13, 5), True),
        (">= 3.11 , < 4.0", (3, 13, 5), True),
        (">=3.11rc1", (3, 13, 5), True),
    ],
)
def test_specifier(specifier, version, is_allowed):
    assert python_version.allows(specifier, version) is is_allowed


def test_what_is_no_specifier_is_refused():
    with pytest.raises(KitError, match="'three' is not a version specifier"):
        python_version.allows("three", (3, 13))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('[project]\nname = "shop"\nrequires-python = ">=3.14"\n', ">=3.14"),
        ('[tool.poetry.dependencies]\npython = "^3.14"\n', "^3.14"),
    ],
)
def test_condition_that_is_not_met_names_both_ways_out(project, text, shown):
    found = python_version.find(project({"pyproject.toml": text}))
    assert found.check((3, 14, 1), "/usr/bin/python3") == []
    with pytest.raises(KitError) as raised:
        found.check((3, 13, 5), "the image's Python")
    assert str(raised.value).startswith(f"pyproject.toml wants Python {shown}, but the image's Python is 3.13.5. ")
    assert "BASE_IMAGE" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".python-version", "3.12.4\n"),
        (".python-version", "# ours\n3.12\n3.11\n"),
        ("runtime.txt", "python-3.12.4"),
        (".tool-versions", "nodejs 20.1.0\npython 3.12.4\n"),
        ("Pipfile", '[requires]\npython_version = "3.12"\n'),
        ("Dockerfile", "FROM node:22 AS assets\nFROM python:3.12.4-slim-bookworm\n"),
        (
            "Dockerfile",
            "ARG PYTHON=3.12\nFROM --platform=linux/amd64 docker.io/library/python:${PYTHON}-slim AS base\n",
        ),
        ("Dockerfile", "FROM ghcr.io/astral-sh/uv:python3.12-bookworm-slim\nRUN uv sync\n"),
    ],
)
def test_wish_that_is_not_met_is_said(project, name, text):
    found = python_version.find(project({name: text}))
    (said,) = found.check((3, 13, 5), "/usr/bin/python3")
    assert said.startswith(f"{name} names Python 3.12")
    assert said.endswith("; /usr/bin/python3 is 3.13.5")
    assert found.check((3, 12, 1), "") == []


def test_name_of_an_environment_of_pyenv_says_nothing(project):
    assert python_version.find(project({".python-version": "shop-env\n"})).wishes == ()


@pytest.mark.parametrize("image", ["python:slim", "python:3", "python:3-slim", "mypython:3.9", "python:$PYTHON"])
def test_dockerfile_without_a_minor_version_of_python_says_nothing(project, image):
    assert python_version.find(project({"Dockerfile": f"FROM {image}\n"})).wishes == ()
