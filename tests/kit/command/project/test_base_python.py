"""deploy/kit/project/base_python.py: which Python the images of a project get."""

import pytest

from kit.project import base_python, manifests, python_version

OLD = {"requirements.txt": "psycopg2-binary==2.9.9\n"}
"""Has wheels for Python 3.12, and not for 3.13."""


@pytest.mark.parametrize(
    ("files", "image"),
    [
        ({}, ""),
        ({"requirements.txt": "flask\npsycopg2-binary>=2.8\n"}, ""),
        ({"runtime.txt": "python-3.13.1\n"}, ""),
        ({"runtime.txt": "python-3.12.4\n"}, "python:3.12-slim-trixie"),
        ({"runtime.txt": "python-3.6.5\n"}, "python:3.11-slim-trixie"),
        ({".python-version": "3.15\n"}, "python:3.14-slim-trixie"),
        ({".python-version": "3.12\n", "Dockerfile": "FROM python:3.11\n"}, "python:3.12-slim-trixie"),
        ({"Dockerfile": "FROM python:3.9-alpine\n"}, "python:3.11-slim-trixie"),
        (OLD, "python:3.12-slim-trixie"),
        ({"requirements.txt": "psycopg2-binary==2.9.9\nmultidict==6.0.4\n"}, "python:3.11-slim-trixie"),
        ({**OLD, ".python-version": "3.13\n"}, ""),
        ({**OLD, "Dockerfile": "FROM python:3.14-slim\n"}, "python:3.12-slim-trixie"),
        ({"requirements.txt": "bottle==0.11.6\n", "Dockerfile": "FROM python:3.12\n"}, "python:3.12-slim-trixie"),
        ({"requirements.txt": "bottle==0.11.6\n"}, ""),
        ({"pyproject.toml": '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.12"\n', **OLD},
         "python:3.12-slim-trixie"),
        ({"pyproject.toml": '[project]\nname = "shop"\nversion = "1"\nrequires-python = ">=3.12"\n',
          ".python-version": "3.11\n"}, "python:3.12-slim-trixie"),
    ],
)  # fmt: skip
def test_image(project, files, image):
    folder = project(files)
    assert base_python.choose(python_version.find(folder), manifests.find(folder, {})).image == image


def test_reason_names_the_versions_that_are_too_old(project):
    folder = project({"requirements.txt": "cffi==1.16.0\nsix==1.16\nbottle==0.11.6\n"})
    found = base_python.choose(python_version.find(folder), manifests.find(folder, {}))
    assert found.reason == "cffi==1.16.0 (requirements.txt) is older than Debian's Python 3.13"
    assert (found.cured, found.remaining) == (("cffi",), ("bottle==0.11.6",))


def test_reason_names_what_is_too_old_for_the_python_of_a_dockerfile(project):
    folder = project({"requirements.txt": "cffi==1.15.1\n", "Dockerfile": "FROM python:3.12.2\n"})
    found = base_python.choose(python_version.find(folder), manifests.find(folder, {}))
    assert (found.shown, found.reason) == ("3.11", "Dockerfile names Python 3.12.2, for which cffi==1.15.1 is too old")
