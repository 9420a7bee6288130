#!/usr/bin/env python3
"""Asks a project that is not Django's which database it uses, and prints what was found, as JSON, in its last line.

Runs in the project's folder, with its packages and variables, for project_console.py: the application is loaded, and
the engines of SQLAlchemy (with Flask-SQLAlchemy or without) are asked. Without one, the SQLite files that the
configuration and the modules name are looked for, then those in the folder for data.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import check_tables
import first_start
from project_places import DATABASE, named_places, places_of_values


def find(application: Any, folder: Path, data: Path) -> list[str]:
    """URLs as SQLAlchemy has them, with their passwords; an SQLite file is sqlite:///PATH."""
    if "sqlalchemy" in sys.modules:
        with check_tables.context(application):
            check_tables.flask_sqlalchemy(application)
            urls = [engine.url.render_as_string(hide_password=False) for engine in check_tables.engines()]
        if urls:
            return urls
    files = dict.fromkeys(str(Path(name).resolve()) for name in _files(application, folder))
    files = files or dict.fromkeys(str(path.resolve()) for path in first_start.databases(data))
    return [f"sqlite:///{name}" for name in files]


def _files(application: Any, folder: Path) -> Iterator[str]:
    """SQLite files that the project names, and that are there."""
    config = getattr(application, "config", None)
    named = list(places_of_values(config, folder)) if isinstance(config, dict) else []
    for name in (*named, *sorted(named_places(folder, folder))):
        if DATABASE.fullmatch(name) and Path(name).is_file():
            yield name


def main() -> None:
    scripts = Path(__file__).resolve().parent
    sys.path[:] = [str(Path.cwd()), *(path for path in sys.path if Path(path or ".").resolve() != scripts)]
    from ropewalk.wsgi.loader import load_application

    found, status = list[str](), 0
    try:
        application = load_application(os.environ["WSGI_APP"]) if os.environ.get("WSGI_APP") else None
        found = find(application, Path.cwd(), Path(os.environ.get("DATA_DIR") or "/data"))
    except Exception as error:  # noqa: BLE001 - whatever a project may raise
        sys.stderr.write(f"the project was not asked: {type(error).__name__}: {' '.join(str(error).split())[:300]}\n")
        status = 1
    print("\n" + json.dumps(found))
    sys.stdout.flush()
    os._exit(status)  # a thread of the project's may not end


if __name__ == "__main__":
    main()
