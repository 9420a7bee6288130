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


@pytest.mark.parametrize("name", ["shop-env", "pypy3.9-7.3.13", "banana"])
def test_what_is_no_version_is_said_to_be_unused(project, name):
    found = python_version.find(project({".python-version": f"# pyenv\n{name}\n"}))
    assert (found.wishes, found.unused) == ((), ((".python-version", name),))


@pytest.mark.parametrize("name", ["3", "3.x", "system"])
def test_any_python_will_do(project, name):
    found = python_version.find(project({".python-version": name, "Pipfile": "[requires]\npython_version = '*'\n"}))
    assert (found.wishes, found.unused) == ((), ())


def test_several_versions(project):
    found = python_version.find(
        project({".python-version": "shop\n3.12.1\n3.11\n", ".tool-versions": "python 3.13.1 3.12\n"})
    )
    assert found.wishes == (("3.12.1", ".python-version"), ("3.13.1", ".tool-versions"))


def test_folder_that_lists_the_dependencies_comes_before_the_project_s_own(project):
    files = {"web/pyproject.toml": "[project]\nrequires-python = '>=3.99'\n", "web/.python-version": "3.14\n"}
    found = python_version.find(project(files | {".python-version": "3.12\n"}), "web")
    assert [(one.text, one.origin) for one in found.conditions] == [(">=3.99", "web/pyproject.toml")]
    assert found.wishes == (("3.14", "web/.python-version"), ("3.12", ".python-version"))


def test_wrong_specifier_names_its_file(project):
    found = python_version.find(project({"pyproject.toml": "[project]\nrequires-python = 'banana'\n"}))
    with pytest.raises(KitError, match=r"^pyproject\.toml: the Python that it requires: 'banana' is not a version"):
        found.is_allowed((3, 12))


@pytest.mark.parametrize("image", ["python:slim", "python:3", "python:3-slim", "mypython:3.9", "python:$PYTHON"])
def test_dockerfile_without_a_minor_version_of_python_says_nothing(project, image):
    assert python_version.find(project({"Dockerfile": f"FROM {image}\n"})).wishes == ()
