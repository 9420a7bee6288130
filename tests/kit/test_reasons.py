"""deploy/app/reasons.py: one line for each error that a project meets in the container."""

import errno
import subprocess
import sys

import pytest

import reasons


def traceback(error, *frames):
    lines = "".join(f'  File "{name}", line {number}, in x\n    code()\n' for name, number in frames)
    return f"Traceback (most recent call last):\n{lines}{error}\n"


IN_SETTINGS = ("/app/shop/settings.py", 12)
NEEDS_KEY = "the project needs the variable API_KEY, which is not set: add API_KEY=... to .env.project"


@pytest.mark.parametrize(
    "error",
    [
        "django.core.exceptions.ImproperlyConfigured: Set the API_KEY environment variable",
        "decouple.UndefinedValueError: API_KEY not found. Declare it as envvar or define a default value.",
        'environs.exceptions.EnvError: Environment variable "API_KEY" not set',
        "KeyError: \"Config 'API_KEY' is missing, and has no default.\"",
        "dynaconf.validator.ValidationError: API_KEY is required in env production",
        "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings\napi_key\n  Field required",
    ],
)
def test_missing_variable_is_named_with_its_line(error):
    assert reasons.explain(traceback(error, IN_SETTINGS), {}) == NEEDS_KEY


def test_missing_variable_of_os_environ_is_told_from_another_key(tmp_path):
    def fails(code):
        program = tmp_path / "program.py"
        program.write_text(code)
        return subprocess.run(
            [sys.executable, str(program)], capture_output=True, text=True, check=False, timeout=60
        ).stderr

    assert reasons.explain(fails("import os\nos.environ['API_KEY']"), {}) == NEEDS_KEY
    assert reasons.explain(fails("{}['API_KEY']"), {}, tmp_path) == "KeyError: 'API_KEY' (program.py, line 1)"


def test_several_missing_variables_are_all_named():
    error = (
        "pydantic_core._pydantic_core.ValidationError: 2 validation errors for Settings\n"
        "api_key\n  Field required [type=missing]\ndsn\n  Field required [type=missing]"
    )
    said = reasons.explain(traceback(error), {})
    assert said.endswith("variables API_KEY, DSN, which are not set: add API_KEY=... and DSN=... to .env.project")


def test_unknown_module_is_a_package_or_the_project_s_own():
    error = traceback("ModuleNotFoundError: No module named 'shop'", IN_SETTINGS)
    assert "'shop' is not installed: add its package to the file that lists" in reasons.explain(error, {})
    said = reasons.explain(error, {"DJANGO_SETTINGS_MODULE": "shop.production"})
    assert said == "DJANGO_SETTINGS_MODULE=shop.production: the project has no module 'shop'"


def test_path_in_the_read_only_project_becomes_a_line_of_writable_paths(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/settings.py").touch()

    def place(name):
        error = f"OSError: [Errno 30] Read-only file system: '{tmp_path}/{name}'"
        return reasons.explain(traceback(error), {}, tmp_path).partition("set ")[2].partition(" in .env")[0]

    assert place("logs/site.log") == "WRITABLE_PATHS=logs"
    assert place("site.log") == "WRITABLE_PATHS=site.log"
    assert place("shop/site.log") == "WRITABLE_PATHS=shop/site.log"  # a folder with code stays in the image


def test_path_elsewhere_in_the_read_only_container():
    error = "OSError: [Errno 30] Read-only file system: '/var/lib/shop'"
    assert reasons.explain(traceback(error), {}).endswith("read-only: keep it below /data or /tmp")


def test_file_of_another_user_comes_with_the_command_that_mends_it():
    said = reasons.explain(traceback("PermissionError: [Errno 13] Permission denied: '/srv/media/a/b.png'"), {})
    assert said.startswith("/srv/media/a/b.png: belongs to another user")
    assert said.endswith("chown release -R 10001:10001 /srv/media")


@pytest.mark.parametrize(
    "error",
    [
        "OSError: [Errno 28] No space left on device: '/data/x'",
        "django.db.utils.OperationalError: database or disk is full",
        "OSError: [Errno 122] Disk quota exceeded",
    ],
)
def test_full_disk(error):
    assert "no space left on the engine's disk" in reasons.explain(traceback(error), {})


def test_full_tmp_is_not_the_disk():
    error = "OSError: [Errno 28] No space left on device: '/tmp/x'"
    assert reasons.explain(traceback(error), {}).endswith("raise BODY_ROOM in .env")


def test_other_error_is_its_last_line_with_the_place_in_the_project():
    said = reasons.explain(
        "Starting\n"
        + traceback("KeyError: 'first'", IN_SETTINGS)
        + "\nDuring handling of the above exception, another exception occurred:\n\n"
        + traceback("ValueError: bad level 'x'", IN_SETTINGS, ("/opt/venv/lib/site-packages/x.py", 3)),
        {},
    )
    assert said == "ValueError: bad level 'x' (shop/settings.py, line 12)"


def test_migration_that_fails_is_named():
    said = "Running migrations:\n  Applying notes.0002_more..." + traceback(
        "ValueError: half-way",
        ("/opt/venv/django/operations/special.py", 196),
        ("/app/notes/migrations/0002_more.py", 5),
    )
    assert reasons.explain(said, {}) == "ValueError: half-way (notes/migrations/0002_more.py, line 5)"


def test_output_without_a_traceback_ends_with_its_reason():
    assert reasons.explain("one\nCommandError: no such table\n\n", {}) == "CommandError: no such table"
    assert reasons.explain("", {}) == ""


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.ENOSPC, "/data/.release.lock", "no space left on the engine's disk"),
        (errno.EACCES, "/data/.release.lock", "-R 10001:10001 /data"),
        (errno.EROFS, "/srv/x", "keep it below /data or /tmp"),
        (errno.ENOTDIR, "/data/x", "/data/x: Not a directory"),
    ],
)
def test_errors_of_the_kit_s_own_work_on_files(number, name, said):
    assert said in reasons.of_os_error(OSError(number, "Not a directory", name))


def test_module_that_python_has_no_more_names_the_package_and_the_ways_out():
    text = "ropewalk: importing x raised ModuleNotFoundError: No module named 'cgi' (/opt/venv/bin/bottle.py, line 38)"
    said = reasons.explain(text, {})
    assert said == (
        "the version of 'bottle' that is installed needs the module 'cgi', which Python has no more since 3.13:"
        ' UNPIN="bottle" in .env installs its newest version; or use an older Python,'
        " BASE_IMAGE=python:3.12-slim-trixie in .env"
    )
    assert "BASE_IMAGE=python:3.11" in reasons.explain("ModuleNotFoundError: No module named 'distutils'", {})


def test_relative_path_is_one_of_the_project():
    assert "set WRITABLE_PATHS=data in .env" in reasons.of_known("OSError: [Errno 30] Read-only file system: './data'")
    assert reasons.of_known("ValueError: other") == ""


def test_name_that_the_installed_version_does_not_have_asks_for_another_version():
    text = """Traceback (most recent call last):
  File "/app/shop/urls.py", line 16, in <module>
    from django.conf.urls import url
ImportError: cannot import name 'url' from 'django.conf.urls' (/opt/venv/lib/python3.13/site-packages/django/x.py)
"""
    said = reasons.explain(text, {})
    assert said.startswith(
        "the installed version of 'django' has no 'url' in django.conf.urls (shop/urls.py, line 16):"
    )
    assert said.endswith("List the version that it needs in the file of its dependencies")


def test_alias_that_collections_has_no_more_names_the_package():
    text = "ImportError: cannot import name 'Mapping' from 'collections' (/usr/lib/python3.13/collections/__init__.py)"
    frames = 'Traceback (most recent call last):\n  File "/opt/venv/lib/python3.13/site-packages/jinja2/x.py", line 1\n'
    said = reasons.explain(f"{frames}{text}", {})
    assert said.startswith("the version of 'jinja2' that is installed needs collections.Mapping")
    assert 'UNPIN="jinja2"' in said
    assert "BASE_IMAGE" not in said


def test_table_that_nothing_has_created():
    for error in ("sqlite3.OperationalError: no such table: post", 'UndefinedTable: relation "post" does not exist'):
        assert reasons.of_known(error).startswith("the database has no table 'post': nothing has created it")


def test_package_that_is_too_old_for_another_one_is_named():
    text = """Traceback (most recent call last):
  File "/app/app.py", line 1, in <module>
    from flask import Flask
  File "/opt/venv/lib/python3.13/site-packages/jinja2/filters.py", line 13, in <module>
    from markupsafe import soft_unicode
ImportError: cannot import name 'soft_unicode' from 'markupsafe' (/opt/venv/lib/site-packages/markupsafe/x.py)
"""
    said = reasons.explain(text, {})
    assert said.startswith("the version of 'jinja2' that is installed needs 'soft_unicode' of 'markupsafe'")
    assert 'UNPIN="jinja2" in .env' in said


def test_sqlalchemy_from_before_this_python():
    error = "AssertionError: Class <class 'x'> directly inherits TypingOnly but has additional attributes {'__x__'}."
    assert 'UNPIN="sqlalchemy" in .env' in reasons.of_known(error)
