"""Imports the project of this folder, and prints what it says about itself. ask_project.py runs this as a program.

What goes wrong is in the answer too, with the variables whose lack may be the cause.
"""

import json
import os
import re
import runpy
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, TypedDict

from ask_project import MARK
from project_places import named_places, places_of_values
from project_uploads import uploads_among_code


class Answer(TypedDict, total=False):
    """What a project says about itself. Paths are absolute."""

    framework: str
    """django, flask, or empty."""
    settings: str
    """Django's settings module."""
    static_url: str
    static_root: str
    static_folder: str
    """Flask's, which needs no collecting."""
    collects: bool
    """Whether Django's collectstatic can be used."""
    media_url: str
    media_root: str
    migrations: list[str]
    """The names of its migrations, app.0001_name with Django: a deployment compares them with another image's."""
    databases: list[dict[str, str]]
    """Of each: engine, and file (SQLite) or host and port."""
    writes: list[str]
    """Inside the project: where it keeps its files, what it wrote while it was imported, and what its modules name
    (project_places). A folder ends with "/"."""
    notes: list[str]
    """What somebody should know of where it keeps its files, one line each."""
    https_redirect: bool
    files_digest: str
    """Of its static files, and of what nginx has to know of them: the same if nothing has to be published again."""
    allowed_hosts: list[str]
    debug: bool
    insecure_key: bool
    """Whether the secret key is the one that startproject made for development."""
    logs_errors: bool
    """Whether an exception of the project's reaches the console with DEBUG off."""
    dummies: dict[str, str]
    """Variables without a value that the project insisted on, with the values that they had for this process alone."""
    error: str
    """Why it could not be imported. Then nothing else is there but `missing`."""
    missing: list[str]
    """The variables whose lack may be the cause, the likeliest first."""


def answer_for(folder: Path, top: Path) -> Answer:
    """Imports the project in this process. What goes wrong is in the answer.

    `top` is the folder of the whole project, `folder` that of manage.py or of the application.
    """
    missed = _record_missed_variables(top)
    written = _record_writes(folder, top)
    sys.path.insert(0, str(folder))
    try:
        answer = _ask_django(folder, top) if _has_django(folder) else _ask_application(folder, top)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a project may raise
        return {"error": _one_line(error, folder), "missing": _likely(error, missed)}
    answer["writes"] = sorted({*answer.get("writes", ()), *written, *named_places(folder, top)})
    return answer


def _has_django(folder: Path) -> bool:
    manage = folder / "manage.py"
    return manage.is_file() and "django" in manage.read_text(encoding="utf-8", errors="replace")


def _ask_django(folder: Path, top: Path) -> Answer:
    import django
    from django.core import management

    management.execute_from_command_line = lambda *_args, **_options: None
    sys.argv = ["manage.py", "check"]
    runpy.run_path(str(folder / "manage.py"), run_name="__main__")  # sets DJANGO_SETTINGS_MODULE, reads its .env file
    django.setup()
    from django.conf import settings

    def path(value: Any) -> str:
        return str((folder / value).resolve()) if value else ""

    collects = "django.contrib.staticfiles" in settings.INSTALLED_APPS
    databases = [_database(folder, database) for database in settings.DATABASES.values() if database.get("ENGINE")]
    media_root = path(settings.MEDIA_ROOT)
    uploads, notes = uploads_among_code(folder, top)
    return {
        "framework": "django",
        "settings": os.environ.get("DJANGO_SETTINGS_MODULE", ""),
        "static_url": str(settings.STATIC_URL or "") if collects else "",
        "static_root": path(settings.STATIC_ROOT),
        "collects": collects,
        "media_url": str(settings.MEDIA_URL).removeprefix("/") and str(settings.MEDIA_URL) if media_root else "",
        "media_root": media_root,
        "databases": databases,
        "writes": _inside(
            top,
            [f"{media_root}/" if media_root else "", *(database.get("file", "") for database in databases), *uploads],
        ),
        "notes": notes,
        "https_redirect": bool(settings.SECURE_SSL_REDIRECT),
        "allowed_hosts": [str(host) for host in settings.ALLOWED_HOSTS],
        "debug": bool(settings.DEBUG),
        "insecure_key": str(settings.SECRET_KEY).startswith("django-insecure-"),
        "logs_errors": _logs_errors(),
        "migrations": _migrations(),
    }


def _migrations() -> list[str]:
    """Django's, of all applications, on disk. None if one of them cannot be read: `migrate` says why."""
    from django.db.migrations.loader import MigrationLoader

    try:
        loader = MigrationLoader(None, ignore_no_migrations=True)
    except Exception:  # noqa: BLE001  # the project's code, of which migrations are a part
        return []
    return sorted(f"{app}.{name}" for app, name in loader.disk_migrations or ())


def _revisions(folder: Path) -> list[str]:
    """Alembic's, as Flask-Migrate keeps them."""
    return sorted(f"migrations.{path.stem}" for path in folder.glob("migrations/versions/*.py"))


def _logs_errors() -> bool:
    """Whether an error that Django logs reaches a handler that works with DEBUG off and writes to the console."""
    import logging

    logger: logging.Logger | None = logging.getLogger("django.request")
    while logger:
        for handler in logger.handlers:
            only_debug = any(type(rule).__name__ == "RequireDebugTrue" for rule in handler.filters)
            if isinstance(handler, logging.StreamHandler) and not only_debug:
                return True
        if not logger.propagate:
            return False
        logger = logger.parent
    return False


def _database(folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    engine = str(settings["ENGINE"]).rpartition(".")[2]
    name = str(settings.get("NAME") or "")
    if engine not in ("sqlite3", "spatialite"):
        return {"engine": engine, "host": str(settings.get("HOST") or ""), "port": str(settings.get("PORT") or "")}
    return {"engine": engine, "file": _sqlite_file(folder, name)}


def _sqlite_file(folder: Path, name: str) -> str:
    """The path of a database, or empty if it is in memory."""
    name = re.sub(r"^file:(//)?|\?.*$", "", name) if name.startswith("file:") else name
    return "" if not name or ":memory:" in name else str((folder / name).absolute())


def _ask_application(folder: Path, top: Path) -> Answer:
    """The application that WSGI_APP names. Flask's is asked; others are only imported."""
    named = os.environ.get("WSGI_APP", "")
    if not named:
        return {"framework": ""}
    application = _load(named)
    flask = sys.modules.get("flask")
    if flask is None or not isinstance(application, flask.Flask):
        databases = [_database_of_url(folder, url) for url in _engine_urls()]
        return {
            "framework": "",
            "databases": databases,
            "writes": _inside(folder, [database.get("file", "") for database in databases]),
        }
    config = application.config
    uri = str(config.get("SQLALCHEMY_DATABASE_URI") or "")
    instance = Path(application.instance_path)
    databases, writes = [], [f"{instance}/"] if instance.exists() else []
    if uri.startswith("sqlite:"):
        name = uri.partition("///")[2].partition("?")[0]
        base = instance if _sqlalchemy_uses_instance() else Path(application.root_path)
        databases.append({"engine": "sqlite3", "file": _sqlite_file(base, name)})
    elif uri:
        host = re.match(r"[^/]+//(?:[^@/]*@)?([^:/?]*)(?::(\d+))?", uri)
        databases.append(
            {
                "engine": uri.partition(":")[0].partition("+")[0],
                "host": host[1] if host else "",
                "port": (host and host[2]) or "",
            }
        )
    writes += [database.get("file", "") for database in databases]
    writes += [f"{folder / config['UPLOADED_FILES_DEST']}/"] if config.get("UPLOADED_FILES_DEST") else []
    writes += places_of_values(config, folder)
    return {
        "framework": "flask",
        "static_url": f"{application.static_url_path or ''}/" if application.has_static_folder else "",
        "static_folder": str(application.static_folder or "") if application.has_static_folder else "",
        "databases": databases,
        "writes": _inside(top, writes),
        "migrations": _revisions(folder),
        "debug": bool(application.debug),
    }


def _engine_urls() -> list[Any]:
    """Of SQLAlchemy's engines that the project has made."""
    library = sys.modules.get("sqlalchemy.engine")
    if library is None:
        return []
    import gc

    # by type, since isinstance would wake the proxies of frameworks
    return [each.url for each in gc.get_objects() if issubclass(type(each), library.Engine)]


def _database_of_url(folder: Path, url: Any) -> dict[str, str]:
    engine = str(url.drivername).partition("+")[0]
    if engine == "sqlite":
        return {"engine": "sqlite3", "file": _sqlite_file(folder, str(url.database or ""))}
    return {"engine": engine, "host": str(url.host or ""), "port": str(url.port or "")}


def _sqlalchemy_uses_instance() -> bool:
    """Flask-SQLAlchemy 3 resolves a relative path in the instance folder, older ones in the application's."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return int(version("flask-sqlalchemy").partition(".")[0]) >= 3
    except PackageNotFoundError:
        return False


def _load(named: str) -> Any:
    """MODULE:NAME, or MODULE:FACTORY() with constant arguments, as the servers read it."""
    from ropewalk.wsgi.loader import load_application

    return load_application(named)


def _inside(top: Path, paths: list[str]) -> list[str]:
    return [path for path in paths if path and Path(path).is_relative_to(top) and Path(path) != top]


# --- What is watched while the project is imported


def _record_missed_variables(top: Path) -> list[str]:
    """The names that the project looks up in os.environ in vain, from now on, in order."""
    missed: list[str] = []
    encode, present = os.environ.encodekey, os.environ._data  # type: ignore[attr-defined]  # private

    def watch(name: str) -> Any:
        key = encode(name)
        if key not in present and _is_asked_by_project(sys._getframe(1), top):
            missed.append(name)
        return key

    os.environ.encodekey = watch
    return missed


READERS = re.compile(
    r"^<frozen|/(os|_collections_abc)\.py$|/(environ|decouple|environs|marshmallow|dynaconf|starlette|prettyconf)\b"
)
"""The files of libraries through which settings read variables."""


def _is_asked_by_project(frame: FrameType | None, top: Path) -> bool:
    """Whether the nearest caller that is no reader of variables belongs to the project."""
    while frame and READERS.search(frame.f_code.co_filename):
        frame = frame.f_back
    name = frame.f_code.co_filename if frame else ""
    return name.startswith(f"{top}{os.sep}") and "site-packages" not in name


def _likely(error: BaseException, missed: list[str]) -> list[str]:
    """The variables whose lack may have caused the error, the likeliest first."""
    text = " ".join(str(each) for each in _chain(error))
    names = list(dict.fromkeys(reversed(missed)))
    mentioned = [name for name in names if re.search(rf"\b{re.escape(name)}\b", text)]
    if "SECRET_KEY" in text:  # Django's own message, whatever the variable is called
        mentioned += [name for name in names if "SECRET" in name]
    unread = re.findall(
        r"\b(?:Set the|Environment variable) \"?([A-Z][A-Z0-9_]+)\"?|\b([A-Z][A-Z0-9_]+) not found", text
    )
    unread_names = [first or second for first, second in unread]
    for each in _chain(error):
        if type(each).__name__ == "ValidationError" and callable(errors := getattr(each, "errors", None)):  # pydantic's
            unread_names += [str(found["loc"][0]).upper() for found in errors() if found.get("type") == "missing"]
    is_about_a_value = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, AssertionError, SystemExit)
    last = names[:1] if any(isinstance(each, is_about_a_value) for each in _chain(error)) else []
    return list(dict.fromkeys((*mentioned, *unread_names, *last)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _record_writes(folder: Path, top: Path) -> set[str]:
    """The files and folders inside `top` that are opened for writing or created, from now on."""
    written: set[str] = set()
    root = str(top) + os.sep

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            is_write = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) if isinstance(flags, int) else 0
            if not is_write and not (isinstance(mode, str) and set(mode) & set("wax+")):
                return
        elif event in ("os.mkdir", "sqlite3.connect"):
            path = arguments[0]
        else:
            return
        if isinstance(path, (str, os.PathLike)):
            name = os.path.abspath(_sqlite_file(folder, str(path)) if event == "sqlite3.connect" else path)
            if name.startswith(root) and "__pycache__" not in name:
                if event == "sqlite3.connect":
                    _create_parent(Path(name))
                written.add(f"{name}/" if event == "os.mkdir" else name)

    sys.addaudithook(watch)
    return written


def _create_parent(file: Path) -> None:
    """Git keeps no empty folder, and a queue such as Huey's opens its database when the project is imported."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)


def _one_line(error: BaseException, folder: Path) -> str:
    """The error, and the last line of the project's own code that it came through."""
    text = " ".join(str(error).split()) or type(error).__name__
    if type(error).__name__ == "ConfigError":  # the server's, which names the place
        return text[:500]
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        each for each in frames if Path(each.filename).is_relative_to(folder) and "site-packages" not in each.filename
    ]
    place = f" ({Path(own[-1].filename).relative_to(folder)}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {text[:400]}{place}"


def main() -> None:
    scripts = Path(__file__).resolve().parent
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != scripts]
    top = Path(sys.argv.pop())
    print(MARK + json.dumps(answer_for(Path.cwd(), top)), flush=True)
    os._exit(0)  # a thread of the project's may not end


if __name__ == "__main__":
    main()
