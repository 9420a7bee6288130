"""The projects in this folder: one for each shape, and what the kit has to find in it.

What they have in common: `/` shows `rows: N` and links a stylesheet, and `POST /add` with `text` adds a row. Where
`has_uploads` is set, `/add` also takes a `file`, and `/` links every file that was uploaded, with the class `upload`.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Shape(NamedTuple):
    name: str
    """Of its folder."""
    text: str
    application: str
    dependencies: str
    """The file that lists them; "" if none does."""
    locked_by: tuple[str, ...] = ()
    """Arguments for uv that write its lock. Such locks hold the addresses of files, so none is part of this folder."""
    has_uploads: bool = False
    is_https_only: bool = False
    variables: Mapping[str, str] = {}
    """What its owner puts into .env."""

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    def copy(self, target: Path, lock: Callable[[tuple[str, ...], Path], object] | None = None) -> Path:
        """Copies the project, as a checkout has it; `lock` writes its lock, if it has none here."""
        shutil.copytree(self.folder, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        if self.locked_by and lock:
            lock(self.locked_by, target)
        return target


SHAPES = (
    Shape(
        "django-startproject",
        "Django, as `startproject` and `startapp` make it: SQLite, a key in the settings, `DEBUG`",
        "mysite.wsgi:application",
        "requirements.txt",
    ),
    Shape(
        "django-settings-package",
        "Django, settings and requirements for production in files of their own",
        "config.wsgi:application",
        "requirements/production.txt",
    ),
    Shape(
        "django-environ",
        "Django with django-environ, which insists on `SECRET_KEY` and `DATABASE_URL`; uploads",
        "shop.wsgi:application",
        "requirements.txt",
        has_uploads=True,
    ),
    Shape(
        "django-decouple",
        "Django with python-decouple, which insists on `SECRET_KEY`",
        "core.wsgi:application",
        "requirements.txt",
    ),
    Shape(
        "django-src",
        "Django, `manage.py` in a folder of its own",
        "site_pages.wsgi:application",
        "requirements.txt",
    ),
    Shape("django-pipenv", "Django, locked by Pipenv", "shelf.wsgi:application", "Pipfile.lock"),
    Shape("django-poetry-1", "Django, locked by Poetry 1", "library.wsgi:application", "poetry.lock"),
    Shape("django-poetry-2", "Django, locked by Poetry 2", "archive.wsgi:application", "poetry.lock"),
    Shape("django-uv", "Django, locked by uv", "garden.wsgi:application", "uv.lock", ("lock",)),
    Shape("django-pdm", "Django, locked by PDM", "press.wsgi:application", "pdm.lock"),
    Shape(
        "django-pylock",
        "Django, a `pylock.toml` (PEP 751)",
        "quay.wsgi:application",
        "pylock.toml",
        ("pip", "compile", "--quiet", "--universal", "pyproject.toml", "--output-file", "pylock.toml"),
    ),
    Shape("django-pep621", "Django, a pyproject without a lock", "market.wsgi:application", "pyproject.toml"),
    Shape("django-setup-py", "Django, `setup.py`", "ferry.wsgi:application", "setup.py"),
    Shape(
        "django-media",
        "Django, uploads into the project's folder",
        "album.wsgi:application",
        "requirements.txt",
        has_uploads=True,
    ),
    Shape(
        "django-whitenoise",
        "Django with WhiteNoise, hashed and compressed static files",
        "lantern.wsgi:application",
        "requirements.txt",
    ),
    Shape("django-manifest", "Django, hashed static files", "beacon.wsgi:application", "requirements.txt"),
    Shape(
        "django-ssl-redirect",
        "Django that redirects to HTTPS",
        "vault.wsgi:application",
        "requirements.txt",
        is_https_only=True,
    ),
    Shape(
        "django-log-file", "Django, a log file in the project's folder", "diary.wsgi:application", "requirements.txt"
    ),
    Shape("flask-single-file", "Flask in one file, SQLite in its instance folder", "app:app", "requirements.txt"),
    Shape("flask-factory", "Flask, a package with `create_app`", "notebook:create_app()", "pyproject.toml"),
    Shape("flask-migrate", "Flask with Flask-SQLAlchemy and Flask-Migrate", "app:app", "requirements.txt"),
    Shape(
        "flask-init-db", "Flask, a command `init-db` that creates the tables", "diary:create_app()", "pyproject.toml"
    ),
    Shape("flask-create-all", "Flask-SQLAlchemy without migrations", "app:app", "requirements.txt"),
    Shape("flask-flaskenv", "Flask, `FLASK_APP` in `.flaskenv`", "guestbook:site", "requirements.txt"),
    Shape("flask-procfile", "Flask, gunicorn in a Procfile", "tracker.web:server", "requirements.txt"),
    Shape("flask-src", "Flask, a src layout with a command of its own", "minutes:app", "pyproject.toml"),
    Shape(
        "flask-npm",
        "Flask, a stylesheet that an npm script builds",
        "app:app",
        "requirements.txt",
    ),
    Shape("bottle", "Bottle, SQLite in the project's folder", "app:application", "requirements.txt"),
    Shape(
        "bottle-folders",
        "Bottle, uploads and a log in folders that it makes when they are needed",
        "app:application",
        "requirements.txt",
        has_uploads=True,
    ),
    Shape("falcon", "Falcon, SQLite in the project's folder", "main:app", "requirements.txt"),
    Shape("pyramid", "Pyramid without an ini file", "app:app", "requirements.txt"),
    Shape(
        "pyramid-ini",
        "Pyramid with `production.ini`, SQLAlchemy and Alembic",
        'pyramid.paster:get_app("production.ini")',
        "pyproject.toml",
    ),
    Shape("plain-wsgi", "WSGI without a framework, without dependencies", "wsgi:application", ""),
    Shape(
        "requirements-nested",
        "Requirements with `-r`, `-c` and a folder of the project",
        "app:app",
        "requirements.txt",
    ),
)
