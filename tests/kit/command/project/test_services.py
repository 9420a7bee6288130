"""deploy/kit/project/services.py: databases, queues and workers."""

import re

import pytest

from kit.project import facts, service_text
from tests.kit.command.project.test_application import FLASK, startproject

HEAD = "import os\nWSGI_APPLICATION = 'shop.wsgi.application'\n"


def look(project, settings="", **files):
    """The services of a Django project with such settings."""
    names = {name.replace("__", "/").replace("_txt", ".txt"): text for name, text in files.items()}
    return facts.look(project(startproject() | {"shop/settings.py": HEAD + settings} | names), {}).services


def rows(found):
    return list(service_text.lines(found))


def engine(name, *rest):
    values = "".join(f", {pair}" for pair in rest)
    return f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.{name}'{values}}}}}\n"


OPTIONAL = engine("postgresql", "'HOST': os.getenv('DB_HOST', '')")
OWN = "; or the kit's own: COMPOSE_PROFILES=postgres in .env"
NOTHING = "there is none in the container, and no variable names another"


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (engine("sqlite3", "'NAME': 'db.sqlite3'"), "SQLite (shop/settings.py:3)"),
        (
            engine("postgresql", "'HOST': 'localhost'"),
            f"PostgreSQL on localhost (shop/settings.py:3): {NOTHING}",
        ),
        (
            engine("mysql"),
            f"MySQL on localhost (shop/settings.py:3): {NOTHING}",
        ),
        (
            engine("postgresql", "'HOST': 'db'"),
            "PostgreSQL on db (shop/settings.py:3): the kit has no such machine, and no variable names another",
        ),
        (
            engine("postgresql", "'HOST': os.environ.get('DB_HOST', 'db')", "'NAME': os.environ['DB_NAME']"),
            f"PostgreSQL (shop/settings.py:3): DB_HOST in .env.project, for a server elsewhere{OWN}",
        ),
        (
            engine("postgresql", "'HOST': SECRETS['host']"),
            "PostgreSQL (shop/settings.py:3): on a server that the settings have to name",
        ),
        (
            "import dj_database_url\nDATABASES = {'default': dj_database_url.config(default='postgres://db/shop')}\n",
            f"PostgreSQL (shop/settings.py:4): DATABASE_URL in .env.project, for a server elsewhere{OWN}",
        ),
        (
            "import dj_database_url\nDATABASES = {'default': dj_database_url.config()}\n",
            "what DATABASE_URL names (shop/settings.py:4)",
        ),
        (
            "import dj_database_url\nDATABASES = {'default': dj_database_url.config(default='sqlite:///db')}\n",
            "SQLite (shop/settings.py:4), unless DATABASE_URL names another one",
        ),
        (
            (f"{engine('sqlite3')}if os.getenv('DB') == 'postgres':\n    {OPTIONAL}"),
            "SQLite (shop/settings.py:3); for PostgreSQL on a server elsewhere: DB, DB_HOST in .env.project",
        ),
    ],
)
def test_database_of_django(project, settings, text):
    assert rows(look(project, settings)) == [("database", text)]


def read(*names):
    return "".join(f"{name} = os.environ.get('{name}', '{name.lower()}')\n" for name in names)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (
            read("DB_HOST") + engine("postgresql", "'HOST': DB_HOST"),
            f"PostgreSQL (shop/settings.py:4): DB_HOST in .env.project, for a server elsewhere{OWN}",
        ),
        (
            read("DB_HOST", "DB_USER", "DB_PASSWORD", "DB_NAME")
            + engine("postgresql", "'HOST': DB_HOST, 'USER': DB_USER, 'PASSWORD': DB_PASSWORD, 'NAME': DB_NAME"),
            f"PostgreSQL (shop/settings.py:7): DB_HOST in .env.project, for a server elsewhere{OWN}",
        ),
        (
            read("DB_ENGINE", "DB_HOST") + "if DB_ENGINE == 'postgres':\n    default = {'ENGINE': 'postgresql',"
            " 'HOST': DB_HOST}\nelse:\n    default = {'ENGINE': 'sqlite3'}\nDATABASES = {'default': default}\n",
            "SQLite (shop/settings.py:8); for PostgreSQL on a server elsewhere: DB_ENGINE, DB_HOST in .env.project",
        ),
        (
            "default = {'ENGINE': 'sqlite3'}\nDATABASES = {'default': default}\n",
            "SQLite (shop/settings.py:3)",
        ),
    ],
)
def test_database_of_django_in_names(project, lines, text):
    assert rows(look(project, lines)) == [("database", text)]


PARTS = read("POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_HOST", "POSTGRES_DB")
URL = 'f"postgresql+psycopg://{POSTGRES_USER}:{POSTGRES_PASSWORD}@{POSTGRES_HOST}:5432/{POSTGRES_DB}"'


@pytest.mark.parametrize(
    ("lines", "text", "is_fixed"),
    [
        (
            f"{PARTS}URL = {URL}\nSQLALCHEMY_DATABASE_URI = os.getenv('DATABASE_URL', URL)\n",
            f"PostgreSQL (config.py:7): DATABASE_URL in .env.project, for a server elsewhere{OWN}",
            False,
        ),
        (
            "LOCAL = 'postgresql://db/shop'\nDATABASE_URI = os.getenv('DATABASE_URI', LOCAL)\n",
            f"PostgreSQL (config.py:3): DATABASE_URI in .env.project, for a server elsewhere{OWN}",
            False,
        ),
        (
            f"{PARTS}SQLALCHEMY_DATABASE_URI = {URL}\n",
            f"PostgreSQL (config.py:6): POSTGRES_HOST in .env.project, for a server elsewhere{OWN}",
            False,
        ),
        (
            read("HOST") + "SQLALCHEMY_DATABASE_URI = 'postgresql://shop:shop@{}/shop'.format(HOST)\n",
            f"PostgreSQL (config.py:3): HOST in .env.project, for a server elsewhere{OWN}",
            False,
        ),
        (
            read("HOST") + "SQLALCHEMY_DATABASE_URI = 'postgresql://shop:shop@%s/shop' % HOST\n",
            f"PostgreSQL (config.py:3): HOST in .env.project, for a server elsewhere{OWN}",
            False,
        ),
        (
            "SQLALCHEMY_DATABASE_URI = 'postgresql://shop:shop@' + SECRETS['host'] + '/shop'\n",
            "PostgreSQL (config.py:2): on a server that the settings have to name",
            False,
        ),
        (
            "HOST = 'localhost'\nSQLALCHEMY_DATABASE_URI = f'postgresql://{HOST}/shop'\n",
            f"PostgreSQL on localhost (config.py:3): {NOTHING}",
            True,
        ),
    ],
)
def test_database_whose_url_is_made_of_parts(project, lines, text, is_fixed):
    found = facts.look(project({"app.py": FLASK, "config.py": f"import os\n{lines}"}), {}).services
    assert rows(found) == [("database", text)]
    assert found.database.is_fixed == is_fixed


def test_only_a_server_that_nothing_can_move_is_fixed(project):
    found = look(project, engine("postgresql", "'HOST': '127.0.0.1'")).database
    assert (found.is_fixed, found.is_wanted) == (True, False)
    elsewhere = look(project, engine("postgresql", "'HOST': 'db.shop.net'")).database
    assert (elsewhere.is_fixed, elsewhere.is_wanted) == (False, False)
    named = look(project, engine("postgresql", "'HOST': os.getenv('DB_HOST', 'localhost')")).database
    assert (named.is_fixed, named.is_wanted, named.place) == (False, True, ("DB_HOST",))


def test_settings_that_import_others_hold(project):
    found = look(
        project,
        f"from shop.base import *\n{engine('sqlite3')}",
        shop__base="",
        **{"shop__base.py": engine("postgresql")},
    )
    assert found.database.name == "SQLite"


@pytest.mark.parametrize(
    ("listed", "text"),
    [
        ("redis", "Redis (redis in requirements.txt): on a server that the settings have to name"),
        ("pymongo", "MongoDB (pymongo in requirements.txt): on a server that the settings have to name"),
    ],
)
def test_service_that_only_a_dependency_shows(project, listed, text):
    found = look(project, engine("sqlite3"), requirements_txt=f"django\n{listed}\n")
    assert rows(found)[1:] == [("uses", text)]


BRANCHES = """
import environ
env = environ.Env()
if os.environ.get("SHOP_DATABASE_URI"):
    DATABASES = {"default": env.db_url("SHOP_DATABASE_URI")}
else:
    DATABASES = {"default": {"ENGINE": env.str("DB_ENGINE"), "NAME": env.str("DB_NAME")}}
"""


def test_variable_is_needed_where_the_other_branch_insists_on_more(project):
    found = look(project, BRANCHES, requirements_txt="psycopg[binary]\ndjango-environ\n")
    assert found.database.place == ("SHOP_DATABASE_URI",)
    assert found.database.is_wanted
    assert found.names["postgres"]["SHOP_DATABASE_URI"] == "DATABASE_URL"


def test_variable_is_not_needed_where_the_other_branch_has_a_file(project):
    settings = f"""
if os.environ.get("SHOP_DATABASE_URI"):
    DATABASES = {{"default": env.db_url("SHOP_DATABASE_URI")}}
else:
    {engine("sqlite3", "'NAME': os.getenv('DB_NAME', 'db.sqlite3')")}
"""
    found = look(project, settings, requirements_txt="psycopg[binary]\n")
    assert not any(one.is_wanted for one in found.servers)


def test_url_in_the_settings_names_a_service(project):
    text = "BROKER = os.environ.get('QUEUE', 'redis://localhost:6379/0')\nOTHER = 'amqp://queue.shop.net'\n"
    found = look(project, text)
    assert rows(found) == [
        (
            "uses",
            f"Redis (shop/settings.py:3): QUEUE in .env.project, for a server elsewhere{OWN}".replace(
                "postgres", "redis"
            ),
        ),
        ("uses", "RabbitMQ (shop/settings.py:4): on a server that the settings have to name"),
    ]
    assert [one.is_fixed for one in found.others] == [False, False]
    assert look(project, "CELERY_BROKER_URL = 'redis://127.0.0.1:6379'\n").others[0].is_fixed


@pytest.mark.parametrize(
    ("procfile", "command"),
    [("", "celery -A shop worker"), ("queue: celery -A shop worker -l INFO\n", "celery -A shop worker -l INFO")],
)
def test_worker_has_the_command_of_the_procfile_or_a_usual_one(project, procfile, command):
    files = {"requirements.txt": "django\ncelery[redis]\n", "shop/celery.py": "app = Celery()\n", "Procfile": procfile}
    (worker,) = look(project, engine("sqlite3"), **files).workers
    assert (worker.name, worker.command) == ("Celery", command)


@pytest.mark.parametrize(
    ("path", "text", "named"),
    [
        ("shop/queues.py", "from celery import Celery\napp = Celery('shop')\n", "shop.queues"),
        ("shop/tasks.py", "import celery\nqueue = celery.Celery('shop')\n", "shop.tasks:queue"),
        ("shop/main.py", "celery = make_celery(app)\n", "shop.main"),
        ("shop/tasks.py", "def make_celery():\n    app = Celery('shop')\n    return app\n", "PACKAGE"),
    ],
)
def test_worker_of_celery_names_the_module_that_makes_its_application(project, path, text, named):
    files = {"requirements.txt": "django\ncelery[redis]\n", path: text}
    (worker,) = look(project, engine("sqlite3"), **files).workers
    assert worker.command == f"celery -A {named} worker"


CONFIGURATION = """
import os
class Config:
    SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL", "").replace("postgres://", "postgresql://") or "sqlite:///a"
class ProductionConfig(Config):
    SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL", "postgresql://localhost/shop")
class DevelopmentConfig(Config):
    SQLALCHEMY_DATABASE_URI = "sqlite:///dev.db"
class TestConfig(Config):
    SQLALCHEMY_DATABASE_URI = "mysql://localhost/test"
"""


def test_classes_of_a_configuration_for_production_hold(project):
    found = facts.look(project({"app.py": FLASK, "config.py": CONFIGURATION}), {}).services
    ((name, text),) = rows(found)
    assert name == "database"
    assert text.startswith(
        "PostgreSQL (config.py:5): DATABASE_URL in .env.project, for a server elsewhere; or the kit's"
    )


def test_parts_of_texts_are_no_servers(project):
    lines = [
        line for line in CONFIGURATION.splitlines() if "localhost" not in line and not re.match("class [PT]", line)
    ]
    found = facts.look(project({"app.py": FLASK, "config.py": "\n".join(lines).strip()}), {}).services
    assert rows(found) == [("database", "SQLite (config.py:3), unless DATABASE_URL names another one")]


@pytest.mark.parametrize(
    ("procfile", "command"),
    [
        (
            "worker: celery -A shop worker\nbeat: celery -A shop beat\n",
            "celery -A shop beat -s /data/celerybeat-schedule",
        ),
        ("beat: celery -A shop beat --schedule /tmp/beat\n", "celery -A shop beat --schedule /tmp/beat"),
        ("beat: celery -A shop beat -S django\n", "celery -A shop beat -S django"),
        ("clock: python clock.py\n", "python clock.py"),
        ("worker: celery -A shop worker --beat\nweb: scheduler\n", ""),
    ],
)
def test_scheduler_is_the_process_of_the_procfile_that_runs_once(project, procfile, command):
    found = look(project, engine("sqlite3"), Procfile=procfile)
    assert (found.scheduler.command if found.scheduler else "") == command


HUEY = "huey_consumer PACKAGE.huey --graceful-signal TERM"
LOCK = 'version = 1\n[[package]]\nname = "huey"\nversion = "{}"\n'
PYPROJECT = "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['huey>=2']\n"


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"requirements.txt": "flask\nhuey\n"}, HUEY),
        ({"requirements.txt": "flask\nhuey>=2,<4\n"}, HUEY),
        ({"requirements.txt": "flask\nhuey==3.4.1\n"}, HUEY),
        # without that option yet
        ({"requirements.txt": "flask\nhuey==2.5.1\n"}, "huey_consumer PACKAGE.huey"),
        ({"requirements.txt": "flask\nhuey[redis]>=2,<3.4\n"}, "huey_consumer PACKAGE.huey"),
        ({"pyproject.toml": PYPROJECT, "uv.lock": LOCK.format("2.5.1")}, "huey_consumer PACKAGE.huey"),
        ({"pyproject.toml": PYPROJECT, "uv.lock": LOCK.format("3.4.0")}, HUEY),
    ],
)
def test_worker_outside_of_django_has_another_command(project, files, command):
    (worker,) = facts.look(project({"app.py": FLASK} | files), {}).services.workers
    assert worker.command == command
