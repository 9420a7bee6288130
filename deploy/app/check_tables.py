#!/usr/bin/env python3
"""Checks that the database has the tables and columns of the project's models: without them, queries of the site fail.

Runs in the project's folder, with its packages and variables, after the migrations and the command that creates the
database. Django and SQLAlchemy (with Flask-SQLAlchemy or without) are asked; other projects say nothing about tables.

    check_tables.py [--create]      create what SQLAlchemy's models lack, for a project that has no migrations

Exit status 1, and one line that says which tables are missing and what to do, if an app of Django's has none of its
tables, or the whole project none of SQLAlchemy's, or if a table lacks columns of its model. CHECK_TABLES=0 skips it.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import check_columns

PROJECT_FILE = ".env.project"
MOST_NAMES = 5
"""So many names are listed."""

CATALOGS = ("pg_catalog", "information_schema", "sys")
"""Schemas of databases about themselves: SQLAlchemy's dialects have metadata of them, which are no models."""


def say(text: str) -> None:
    sys.stderr.write(f"release: {text}\n")


def listed(names: list[str]) -> str:
    more = ["..."] if len(names) > MOST_NAMES else []
    return ", ".join([*names[:MOST_NAMES], *more])


# --- Django


def of_django() -> str:
    """Why the site cannot work; empty if it can."""
    import django

    django.setup()
    from django.apps import apps

    present = _django_tables()
    there: list[Any] = []
    for config in apps.get_app_configs():
        # with those between two models that are related many-to-many
        models = [model for model in config.get_models(include_auto_created=True) if _has_table(model, present)]
        missing = [model for model in models if not _is_present(model, present)]
        if models and missing == models:
            names = listed([model.__name__ for model in models if not model._meta.auto_created])
            return (
                f"the app {config.label!r} has models ({names}), and the database has no table of theirs:"
                f" {_advice(config)}"
            )
        if missing:
            names = listed(sorted(model._meta.db_table for model in missing))
            say(f"the database lacks tables of the project's models: {names}")
        there += [model for model in models if model not in missing]
    lacks = check_columns.of_django(there)
    return with_way_out(check_columns.described(lacks), check_columns.advice_of_django(lacks)) if lacks else ""


def with_way_out(fault: str, advice: str) -> str:
    return f"{fault}. {advice[0].upper()}{advice[1:]}. (CHECK_TABLES=0 in {PROJECT_FILE} skips this check)"


def _advice(config: Any) -> str:
    """Why an app may have no tables, and what makes them."""
    from django.db.migrations.loader import MigrationLoader

    if config.label in MigrationLoader(None, ignore_no_migrations=True).migrated_apps:
        given = os.environ.get("MIGRATE_COMMAND")
        ran = (
            f"MIGRATE_COMMAND={given!r} has not applied its migrations" if given else "its migrations were not applied"
        )
        return f"{ran}. `python manage.py migrate` applies them"
    without = 'put into .env: MIGRATE_COMMAND="python manage.py migrate --noinput --run-syncdb"'
    if not _is_own(config):
        return f"it is an installed package without migrations. For tables without migrations, {without}"
    return (
        f"it has no migrations. Run `python manage.py makemigrations {config.label}` in the project and keep the new"
        f" files with it; or, for tables without migrations, {without}"
    )


def _is_own(config: Any) -> bool:
    """Whether the app's files are the project's, not those of an installed package."""
    path = Path(config.path).resolve()
    is_installed = {"site-packages", "dist-packages"} & set(path.parts)
    return not is_installed and not path.is_relative_to(Path(sys.prefix).resolve())


def _django_tables() -> dict[str, set[str]]:
    """Of each connection of SQL's: the names of its tables and views, in lower case."""
    from django.db import connections

    tables = {}
    for alias in connections:
        connection = connections[alias]
        if connection.settings_dict["ENGINE"] != "django.db.backends.dummy":
            with connection.cursor() as cursor:
                found = connection.introspection.table_names(cursor, include_views=True)
            tables[alias] = {name.lower() for name in found}
    return tables


def _has_table(model: Any, present: dict[str, set[str]]) -> bool:
    """Whether migrations make a table of its own for this model, somewhere."""
    from django.db import router

    options = model._meta
    is_own = options.managed and not options.proxy and not options.swapped
    return is_own and any(router.allow_migrate_model(alias, model) for alias in present)


def _is_present(model: Any, present: dict[str, set[str]]) -> bool:
    name = model._meta.db_table.replace('"', "").rpartition(".")[2].lower()
    return any(name in tables for tables in present.values())


# --- SQLAlchemy


def of_sqlalchemy(application: Any, *, creates: bool) -> str:
    """Why the site cannot work; empty if it can, or if nothing is known of its tables."""
    if "sqlalchemy" not in sys.modules:
        return ""
    with context(application):
        database = flask_sqlalchemy(application)
        found = list(engines())
        known = _sqlalchemy_tables()
        missing = [table for table in known if not _exists(table, found)]
        if not found:
            return ""
        if not missing:
            return columns_of_sqlalchemy(known, found, creates=creates)
        names = listed([table.fullname for table in missing])
        if creates and (database is not None or len(found) == 1):
            say(
                f"the project has no migrations, and the database lacks tables of its models: {names}. They are created"
            )
            if database is not None:
                database.create_all()
            else:
                for metadata in {id(table.metadata): table.metadata for table in missing}.values():
                    metadata.create_all(found[0])
            return columns_of_sqlalchemy(known, found, creates=creates)
        if len(missing) < len(known):
            say(f"the database lacks tables of the project's models: {names}")
            return columns_of_sqlalchemy(known, found, creates=creates)
    return (
        f"the database has none of the tables of the project's models ({names}), and no command creates them: set"
        " INIT_COMMAND in .env to the project's own that does, which runs once"
    )


def columns_of_sqlalchemy(tables: list[Any], engines: list[Any], *, creates: bool) -> str:
    lacks = check_columns.of_sqlalchemy(tables, engines)
    advice = check_columns.advice_of_sqlalchemy(has_migrations=not creates)
    return with_way_out(check_columns.described(lacks), advice) if lacks else ""


def context(application: Any) -> Any:
    context = getattr(application, "app_context", None)
    return context() if callable(context) else nullcontext()


def flask_sqlalchemy(application: Any) -> Any:
    """The extension, if the application has it: its engines exist from then on."""
    extension = (
        getattr(application, "extensions", {}).get("sqlalchemy") if hasattr(application, "app_context") else None
    )
    database = getattr(extension, "db", extension)
    if database is not None:
        database.engine  # noqa: B018 - made at the first use in older versions
    return database


def _objects(kind: type) -> Iterator[Any]:
    # by type, since isinstance would wake the proxies of frameworks
    return (each for each in gc.get_objects() if issubclass(type(each), kind))


def engines() -> Iterator[Any]:
    known = set[str]()
    for engine in _objects(sys.modules["sqlalchemy.engine"].Engine):
        url = engine.url
        is_in_memory = url.drivername.startswith("sqlite") and url.database in (None, "", ":memory:")
        if str(url) not in known and not is_in_memory:
            known.add(str(url))
            yield engine


def _sqlalchemy_tables() -> list[Any]:
    gc.collect()
    every = (table for metadata in _objects(sys.modules["sqlalchemy"].MetaData) for table in metadata.sorted_tables)
    return [table for table in every if (table.schema or "").lower() not in CATALOGS]


def _exists(table: Any, engines: list[Any]) -> bool:
    inspect = sys.modules["sqlalchemy"].inspect
    return any(inspect(engine).has_table(table.name, schema=table.schema) for engine in engines)


def main(arguments: list[str]) -> int:
    scripts = Path(__file__).resolve().parent
    sys.path[:] = [str(Path.cwd()), *(path for path in sys.path if Path(path or ".").resolve() != scripts)]
    try:
        if os.environ.get("CHECK_TABLES") == "0":
            reason = ""
        elif os.environ.get("DJANGO_SETTINGS_MODULE"):
            reason = of_django()
        elif named := os.environ.get("WSGI_APP"):
            from ropewalk.wsgi.loader import load_application

            reason = of_sqlalchemy(load_application(named), creates="--create" in arguments)
        else:
            reason = ""
    except Exception as error:  # noqa: BLE001 - that the application can be loaded is checked elsewhere
        say(
            f"the tables of the database were not checked: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
        )
        return 0
    if reason:
        say(reason)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if reason else 0)  # a thread of the project's may not end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
