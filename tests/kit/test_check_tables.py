"""deploy/app/check_tables.py: a database without the tables of the models is noticed before the site is up."""

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

import check_tables

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["notes"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.db"}}
"""
MODELS = "from django.db import models\nclass Note(models.Model):\n    text = models.TextField()\n"
MODELS += "class Old(models.Model):\n    class Meta:\n        managed = False\n"


def check(folder, *arguments, files, **variables):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    command = [sys.executable, check_tables.__file__, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_app_of_django_without_migrations_is_refused(tmp_path):
    files = {"settings.py": SETTINGS, "notes/__init__.py": "", "notes/models.py": MODELS}
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 1
    assert done.stderr.startswith("release: the app 'notes' has models (Note), and the database has no table of theirs")
    assert "makemigrations notes" in done.stderr
    assert "--run-syncdb" in done.stderr


INSTALLED = {"settings.py": SETTINGS.replace('"notes"', '"notes.apps.Notes"')}
INSTALLED |= {f"lib/site-packages/notes/{name}.py": text for name, text in (("__init__", ""), ("models", MODELS))}
INSTALLED |= {
    "lib/site-packages/notes/apps.py": (
        "from django.apps import AppConfig\nclass Notes(AppConfig):\n    name = 'notes'\n"
    )
}


def test_no_migrations_are_to_be_made_for_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}/lib/site-packages")
    done = check(tmp_path, files=INSTALLED, DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 1
    assert "it is an installed package without migrations" in done.stderr
    assert "makemigrations" not in done.stderr
    assert "--run-syncdb" in done.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [({}, "its migrations were not applied"), ({"MIGRATE_COMMAND": "true"}, "MIGRATE_COMMAND='true' has not applied")],
)
def test_migrations_that_are_there_are_to_be_applied(tmp_path, given, said):
    files = {"settings.py": SETTINGS.replace('"notes"', '"django.contrib.contenttypes"')}
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings", **given)
    assert done.returncode == 1
    assert "the app 'contenttypes' has models (ContentType)" in done.stderr
    assert said in done.stderr
    assert "makemigrations" not in done.stderr


def test_app_of_django_with_its_tables_is_fine(tmp_path):
    files = {"settings.py": SETTINGS, "notes/__init__.py": "", "notes/models.py": MODELS}
    connection = sqlite3.connect(tmp_path / "site.db")
    connection.execute("CREATE TABLE notes_note (id, text)")
    connection.close()
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings")
    assert (done.returncode, done.stderr) == (0, "")


def create(folder, *tables):
    with contextlib.closing(sqlite3.connect(folder / "site.db")) as connection:
        for table in tables:
            connection.execute(f"CREATE TABLE {table}")


def test_column_of_a_model_of_django_that_nothing_adds_is_refused(tmp_path):
    files = {"settings.py": SETTINGS, "notes/__init__.py": "", "notes/models.py": MODELS}
    create(tmp_path, "notes_note (ID, other)")
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 1
    assert done.stderr == (
        "release: the database lacks columns of the project's models: notes_note (text). A migration was not made. Run"
        " `python manage.py makemigrations notes` in the project, keep the new files with it, and deploy again."
        " (CHECK_TABLES=0 in .env.project skips this check)\n"
    )
    assert check(tmp_path, files={}, DJANGO_SETTINGS_MODULE="settings", CHECK_TABLES="0").returncode == 0


def test_column_that_the_database_does_not_list_but_has_is_not_missing(tmp_path):
    """SQLite's rowid, which the model of a full-text index may name."""
    models = (
        "from django.db import models\nclass Note(models.Model):\n    row = models.IntegerField(db_column='rowid')\n"
    )
    files = {"settings.py": SETTINGS, "notes/__init__.py": "", "notes/models.py": models}
    create(tmp_path, "notes_note (id, text)")
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings")
    assert (done.returncode, done.stderr) == (0, "")


def test_column_of_a_migration_that_is_not_applied_is_said(tmp_path):
    files = {"settings.py": SETTINGS.replace('"notes"', '"django.contrib.contenttypes"')}
    create(tmp_path, "django_content_type (id, app_label)")
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 1
    assert "django_content_type (model). Migrations are not applied: contenttypes.0001_initial" in done.stderr


def test_some_missing_tables_of_django_are_a_line_in_the_log(tmp_path):
    models = f"{MODELS}class Tag(models.Model):\n    notes = models.ManyToManyField(Note)\n"
    files = {"settings.py": SETTINGS, "notes/__init__.py": "", "notes/models.py": models}
    create(tmp_path, "notes_note (id, text)")
    done = check(tmp_path, files=files, DJANGO_SETTINGS_MODULE="settings")
    assert done.returncode == 0
    assert done.stderr == "release: the database lacks tables of the project's models: notes_tag, notes_tag_notes\n"


def test_application_that_cannot_be_loaded_is_no_business_of_this_check(tmp_path):
    done = check(tmp_path, files={"app.py": "raise OSError('no')"}, WSGI_APP="app:app")
    assert done.returncode == 0
    assert "were not checked" in done.stderr


APP = """
from sqlalchemy import Column, Integer, MetaData, Table, create_engine
engine = create_engine("sqlite:///site.db")
metadata = MetaData()
Table("note", metadata, Column("id", Integer))
Table("page", metadata, Column("id", Integer))
def app(environ, start_response): ...
"""


@pytest.fixture
def _sqlalchemy():
    pytest.importorskip("sqlalchemy")


@pytest.mark.usefixtures("_sqlalchemy")
def test_tables_of_sqlalchemy_are_created_where_nothing_else_does(tmp_path):
    done = check(tmp_path, "--create", files={"app.py": APP}, WSGI_APP="app:app")
    assert done.returncode == 0, done.stderr
    assert "lacks tables of its models: note, page. They are created" in done.stderr
    again = check(tmp_path, "--create", files={}, WSGI_APP="app:app")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.usefixtures("_sqlalchemy")
def test_tables_of_the_database_s_own_catalog_are_no_models(tmp_path):
    app = f"import sqlalchemy.dialects.postgresql.pg_catalog\n{APP}"
    done = check(tmp_path, "--create", files={"app.py": app}, WSGI_APP="app:app")
    assert done.returncode == 0, done.stderr
    assert "pg_" not in done.stderr


@pytest.mark.usefixtures("_sqlalchemy")
def test_project_with_migrations_that_made_no_table_is_refused(tmp_path):
    done = check(tmp_path, files={"app.py": APP}, WSGI_APP="app:app")
    assert done.returncode == 1
    assert "has none of the tables of the project's models (note, page)" in done.stderr


@pytest.mark.usefixtures("_sqlalchemy")
@pytest.mark.parametrize(
    ("arguments", "advice"), [(["--create"], "create_all() adds no columns"), ([], "(`flask db migrate`, or `alembic")]
)
def test_column_of_a_table_of_sqlalchemy_that_nothing_adds_is_refused(tmp_path, arguments, advice):
    create(tmp_path, "note (other)", "page (id)")
    done = check(tmp_path, *arguments, files={"app.py": APP}, WSGI_APP="app:app")
    assert done.returncode == 1
    assert "release: the database lacks columns of the project's models: note (id). " in done.stderr
    assert advice in done.stderr


@pytest.mark.usefixtures("_sqlalchemy")
def test_column_of_sqlalchemy_that_the_database_does_not_list_but_has_is_not_missing(tmp_path):
    create(tmp_path, "note (id)", "page (text)")
    app = APP.replace('"page", metadata, Column("id"', '"page", metadata, Column("rowid"')
    done = check(tmp_path, files={"app.py": app}, WSGI_APP="app:app")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.usefixtures("_sqlalchemy")
def test_some_missing_tables_are_a_line_in_the_log(tmp_path):
    connection = sqlite3.connect(tmp_path / "site.db")
    connection.execute("CREATE TABLE note (id)")
    connection.close()
    done = check(tmp_path, files={"app.py": APP}, WSGI_APP="app:app")
    assert done.returncode == 0
    assert "lacks tables of the project's models: page" in done.stderr
