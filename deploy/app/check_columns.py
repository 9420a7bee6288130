"""Which tables of the database lack columns of the project's models: every query of such a model fails.

A migration that was not made leaves the site like that: the models have a new field, and nothing adds its column. A
column that the database has and the models do not is no fault. Databases do not list each column that can be queried,
such as SQLite's rowid, so one that is not listed is queried before it counts as missing. check_tables.py imports this;
it has set up Django, or loaded the application.
"""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

MOST_NAMES = 5
"""So many columns, and tables, are listed."""


class Lack(NamedTuple):
    """A table without some columns of its model."""

    table: str
    columns: list[str]
    owner: str = ""
    """The label of Django's app."""

    def __str__(self) -> str:
        more = ", ..." if len(self.columns) > MOST_NAMES else ""
        return f"{self.table} ({', '.join(self.columns[:MOST_NAMES])}{more})"


def described(lacks: list[Lack]) -> str:
    """In one line: which table lacks which columns."""
    more = ", ..." if len(lacks) > MOST_NAMES else ""
    return f"the database lacks columns of the project's models: {', '.join(map(str, lacks[:MOST_NAMES]))}{more}"


# --- Django


def of_django(models: Iterable[Any]) -> list[Lack]:
    """`models` have tables of their own, somewhere. What cannot be asked for is left out."""
    found = []
    for model in models:
        table = model._meta.db_table
        names = {field.column: field.attname for field in model._meta.local_concrete_fields}
        missing = [
            [name for name in _missing(list(names), columns) if not _can_be_queried(model, alias, names[name])]
            for alias, columns in _columns_of_django(table)
        ]
        if missing and (least := min(missing, key=len)):
            found.append(Lack(table, least, model._meta.app_label))
    return found


def _can_be_queried(model: Any, alias: str, name: str) -> bool:
    try:
        list(model._base_manager.using(alias).order_by().values_list(name)[:1])
    except Exception:  # noqa: BLE001 - each driver has its own for a column that is not there
        return False
    return True


def _columns_of_django(table: str) -> Iterator[tuple[str, list[str]]]:
    """Of the table in each database that has it, with the database's alias."""
    from django.db import connections

    for alias in connections:
        connection = connections[alias]
        if connection.settings_dict["ENGINE"] == "django.db.backends.dummy" or '"' in table:
            continue
        try:
            with connection.cursor() as cursor:
                columns = connection.introspection.get_table_description(cursor, table)
        except Exception:  # noqa: BLE001 - each driver has its own for a table that is not there
            continue
        if columns:
            yield alias, [column.name for column in columns]


def _missing(wanted: list[str], present: list[str]) -> list[str]:
    known = {name.lower() for name in present}
    return [name for name in wanted if name.lower() not in known]


def advice_of_django(lacks: list[Lack]) -> str:
    """What is usually the cause, and what mends it."""
    labels = sorted({lack.owner for lack in lacks})
    if unapplied := _unapplied(labels):
        return (
            f"migrations are not applied: {', '.join(unapplied[:MOST_NAMES])}. `python manage.py migrate` applies them"
        )
    return (
        f"a migration was not made. Run `python manage.py makemigrations {' '.join(labels)}` in the project, keep the"
        " new files with it, and deploy again"
    )


def _unapplied(labels: list[str]) -> list[str]:
    """Migrations of these apps that are in the code and not in the database."""
    from django.db import connection
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connection, ignore_no_migrations=True)
    known = loader.disk_migrations or {}
    return sorted(
        f"{app}.{name}" for app, name in known if app in labels and (app, name) not in loader.applied_migrations
    )


# --- SQLAlchemy


def of_sqlalchemy(tables: Iterable[Any], engines: list[Any]) -> list[Lack]:
    """`tables` are of the models' metadata."""
    sqlalchemy = sys.modules["sqlalchemy"]
    found = []
    for table in tables:
        missing = []
        for engine in engines:
            inspector = sqlalchemy.inspect(engine)
            if not inspector.has_table(table.name, schema=table.schema):
                continue
            listed = [column["name"] for column in inspector.get_columns(table.name, schema=table.schema)]
            columns = {column.name: column for column in table.columns}
            lacking = _missing(list(columns), listed)
            missing.append([name for name in lacking if not _answers(engine, sqlalchemy, columns[name])])
        if missing and (least := min(missing, key=len)):
            found.append(Lack(table.fullname, least))
    return found


def _answers(engine: Any, sqlalchemy: Any, column: Any) -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(sqlalchemy.select(column).limit(1)).first()
    except Exception:  # noqa: BLE001 - as above
        return False
    return True


def advice_of_sqlalchemy(*, has_migrations: bool) -> str:
    if has_migrations:
        return (
            "a migration was not made, or not applied. Make it in the project (`flask db migrate`, or `alembic revision"
            " --autogenerate`), keep the new file with it, and deploy again"
        )
    return (
        "the project has no migrations, and create_all() adds no columns to tables that are there. Add them in make"
        " dbshell (ALTER TABLE ... ADD COLUMN ...), or let Flask-Migrate or Alembic do it"
    )
