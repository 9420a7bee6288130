"""deploy/kit/project/service_names.py: under which names projects read where PostgreSQL and Redis are."""

import pytest

from kit.project import facts
from tests.kit.command.project.test_application import FLASK, startproject

HEAD = "import os\nWSGI_APPLICATION = 'shop.wsgi.application'\n"
PARTS = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD", "NAME": "PGDATABASE"}


def names(project, settings="", app=None, requirements="django\n"):
    """The names for each profile, of a Django project with such settings, or of a Flask project."""
    files = {"app.py": app} if app else startproject() | {"shop/settings.py": HEAD + settings}
    return facts.look(project(files | {"requirements.txt": requirements}), {}).services.names


def database(engine, **variables):
    """Settings that read these variables, by the keys of DATABASES."""
    read = "".join(f", {key!r}: os.environ.get({name!r}, 'x')" for key, name in variables.items())
    return f"DATABASES = {{'default': {{'ENGINE': {engine}{read}}}}}\n"


POSTGRES = "'django.db.backends.postgresql'"


@pytest.mark.parametrize(
    "variables",
    [
        {"HOST": "DB_HOST", "PORT": "DB_PORT", "USER": "DB_USER", "PASSWORD": "DB_PASSWORD", "NAME": "DB_NAME"},
        {"HOST": "POSTGRES_HOST", "USER": "POSTGRES_USER", "PASSWORD": "POSTGRES_PASSWORD", "NAME": "POSTGRES_DB"},
        {"HOST": "SQL_HOST", "USER": "SQL_USER", "PASSWORD": "SQL_PASSWORD", "NAME": "SQL_DATABASE"},
        # whose names say nothing
        {"HOST": "WHERE", "USER": "WHO", "PASSWORD": "SECRET_WORD", "NAME": "STORE"},
    ],
)
def test_variables_of_a_database_of_django(project, variables):
    found = names(project, database(POSTGRES, **variables))["postgres"]
    assert found == {name: PARTS[key] for key, name in variables.items()}


def test_own_names_of_postgresql_need_nothing(project):
    assert names(project, database(POSTGRES, HOST="PGHOST", USER="PGUSER"))["postgres"] == {}


@pytest.mark.parametrize(
    ("engine", "value"),
    [
        ("os.environ.get('SQL_ENGINE', 'django.db.backends.sqlite3')", "=django.db.backends.postgresql"),
        ("'django.db.backends.' + os.environ.get('SQL_ENGINE', 'sqlite3')", "=postgresql"),
        ("f\"django.db.backends.{os.environ.get('SQL_ENGINE')}\"", "=postgresql"),
    ],
)
def test_variable_that_chooses_the_engine_of_django(project, engine, value):
    found = names(project, database(engine, HOST="SQL_HOST"))["postgres"]
    assert found == {"SQL_ENGINE": value, "SQL_HOST": "PGHOST"}


def test_databases_of_other_kinds_have_names_of_their_own(project):
    legacy = "{'ENGINE': 'django.db.backends.mysql', 'HOST': os.environ.get('LEGACY')}"
    text = database(POSTGRES, HOST="DB_HOST") + f"DATABASES['legacy'] = {legacy}\n"
    assert names(project, text)["postgres"] == {"DB_HOST": "PGHOST"}
    assert names(project, database("'django.db.backends.mysql'", HOST="DB_HOST"))["postgres"] == {}


FLASK_URI = (
    FLASK
    + """
import os
user, word = os.environ["POSTGRES_USER"], os.environ["POSTGRES_PASSWORD"]
host, port, name = os.getenv("POSTGRES_HOST"), os.getenv("POSTGRES_PORT", "5432"), os.environ["POSTGRES_DB"]
app.config["SQLALCHEMY_DATABASE_URI"] = f"postgresql://{user}:{word}@{host}:{port}/{name}"
MONGO = os.getenv("MONGO_DB_NAME"), os.getenv("DB_ECHO"), os.getenv("SQL_DEBUG")
"""
)


def test_variables_outside_of_django_are_known_by_their_names(project):
    assert names(project, app=FLASK_URI)["postgres"] == {
        "POSTGRES_DB": "PGDATABASE",
        "POSTGRES_HOST": "PGHOST",
        "POSTGRES_PASSWORD": "PGPASSWORD",
        "POSTGRES_PORT": "PGPORT",
        "POSTGRES_USER": "PGUSER",
    }


def test_url_under_another_name(project):
    text = FLASK + "import os\napp.config['SQLALCHEMY_DATABASE_URI'] = os.environ['SQLALCHEMY_DATABASE_URI']\n"
    assert names(project, app=text)["postgres"] == {"SQLALCHEMY_DATABASE_URI": "DATABASE_URL"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "CELERY_BROKER_URL = os.environ.get('CELERY_BROKER_URL', 'redis://localhost')",
            {"CELERY_BROKER_URL": "REDIS_URL"},
        ),
        ("QUEUE = os.environ.get('QUEUE', 'redis://localhost')", {"QUEUE": "REDIS_URL"}),
        ("R = f\"redis://{os.environ['CACHE_REDIS_HOST']}/1\"", {"CACHE_REDIS_HOST": "REDIS_HOST"}),
        (
            "R = 'redis://:%s@%s' % (os.environ['REDIS_PASS'], os.environ['REDIS_SERVER'])",
            {"REDIS_PASS": "REDIS_PASSWORD", "REDIS_SERVER": "REDIS_HOST"},
        ),
        ("R, T = os.environ['REDIS_URL'], os.getenv('REDIS_TIMEOUT'), os.getenv('REDIS_DB')", {}),
        ("CELERY_BROKER_URL = os.environ.get('CELERY_BROKER_URL', 'amqp://localhost')", {}),
        # where results are kept has a default, which is not Redis
        ("U, R = os.environ['REDIS_URL'], os.getenv('CELERY_RESULT_BACKEND', 'django-db')", {}),
        (
            "U, R = os.environ['REDIS_URL'], os.environ['CELERY_RESULT_BACKEND']",
            {"CELERY_RESULT_BACKEND": "REDIS_URL"},
        ),
    ],
)
def test_variables_of_redis(project, text, expected):
    assert names(project, text, requirements="django\nredis\n")["redis"] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("H = os.environ['REDIS_HOST']", False),
        ("H, P = os.environ['REDIS_HOST'], os.getenv('REDIS_PASSWORD')", True),
        ("H, P = os.environ['SHOP_REDIS_HOST'], os.getenv('SHOP_REDIS_PASS')", True),
        ("U = os.environ['REDIS_URL']", True),
        ("", True),
    ],
)
def test_password_of_redis_needs_a_variable(project, text, expected):
    files = startproject() | {"shop/settings.py": f"{HEAD}{text}\n"}
    assert facts.look(project(files), {}).services.has_redis_password is expected


def test_url_without_a_default_is_of_the_server_that_the_driver_is_for(project):
    text = "import environ\nenv = environ.Env()\nDATABASES = {'default': env.db('DATABASE_URL')}\n"
    files = startproject() | {
        "shop/settings.py": HEAD + text,
        "requirements.txt": "django\npsycopg[c]\ndjango-environ\n",
    }
    found = facts.look(project(files), {}).services.database
    assert (found.name, found.profile, found.is_wanted) == ("PostgreSQL", "postgres", True)
