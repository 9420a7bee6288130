"""deploy/kit/project/database_names.py: variables of the database that are missed in silence."""

import pytest

from kit.project import database_names, environment_names
from kit.project.reading import modules

ENGINE, FILE, UNKNOWN, URL = "engine", "file", "unknown", "url"


def find(folder, packages=()):
    return database_names.find(environment_names.parse(modules(folder, 3)), packages)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def get():\n    return sqlite3.connect(os.environ.get('APP'))", {"APP": FILE}),
        ("PLACE = os.getenv('APP')\nsqlite3.connect(PLACE)", {"APP": FILE}),
        ("app.config['DATABASE'] = os.environ.get('APP_DATABASE')", {"APP_DATABASE": FILE}),
        ("app.config.from_mapping(DATABASE=os.environ.get('APP_DATABASE', None))", {"APP_DATABASE": FILE}),
        ("DATABASE = os.environ.get('APP_DATABASE', '')", {"APP_DATABASE": FILE}),
        ("class C:\n    SQLALCHEMY_DATABASE_URI = os.environ.get('APP_DB')", {"APP_DB": URL}),
        ("app.config['SQLALCHEMY_DATABASE_URI'] = os.getenv('X')", {"X": URL}),
        ("DB = os.getenv('APP_DATABASE')\nengine = sqlalchemy.create_engine(DB)", {"APP_DATABASE": URL}),
        ("from decouple import config\nDB_URL = config('DB_URL', default='')", {"DB_URL": URL}),
        (
            "DATABASES = {'default': {'ENGINE': os.getenv('DB_ENGINE'), 'NAME': os.getenv('DB_NAME')}}",
            {"DB_ENGINE": ENGINE, "DB_NAME": FILE},
        ),
        (
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': os.getenv('N')}}",
            {"N": FILE},
        ),
        (
            "DATABASES = {'default': {'ENGINE': 'django.db.backends.postgresql', 'NAME': os.getenv('N')}}",
            {"N": UNKNOWN},
        ),
    ],
)
def test_variable_without_a_default_that_becomes_the_database_is_found(project, text, found):
    assert find(project({"app.py": f"import os, sqlite3\n{text}\n"})) == found


@pytest.mark.parametrize(
    "text",
    [
        "DATABASE = os.environ.get('APP_DATABASE', 'app.db')",
        "DATABASE = os.environ.get('APP_DATABASE') or 'app.db'",
        "DATABASE = os.environ.get('APP_DATABASE')\nif DATABASE:\n    sqlite3.connect(DATABASE)",
        "DATABASE = os.environ.get('APP_DATABASE')\nif not DATABASE:\n    DATABASE = 'x.db'",
        "if os.environ.get('APP_DATABASE'):\n    DATABASE = os.environ.get('APP_DATABASE')",
        "app.config['DATABASE'] = os.environ.get('APP_DATABASE') if x else 'x.db'",
        "LEGACY = os.environ.get('LEGACY_DATABASE_URL')",
        "redis.Redis(db=os.environ.get('REDIS_DB'))",
        "REPLICA_DATABASE_URL = os.environ.get('REPLICA_DATABASE_URL')",
        "NAME = os.environ.get('SITE_NAME')",
        "DATABASES = {'default': env.db()}",
    ],
)
def test_what_the_code_is_prepared_to_miss_is_left_out(project, text):
    assert find(project({"app.py": f"import os, sqlite3\n{text}\n"})) == {}


def test_nothing_is_proposed_if_the_database_may_be_on_a_server(project):
    folder = project({"app.py": "import os\nDATABASE = os.environ.get('APP_DATABASE')\n"})
    assert find(folder, ["psycopg2-binary"]) == {"APP_DATABASE": UNKNOWN}
    assert UNKNOWN not in database_names.PROPOSALS


def test_it_counts_as_required(project):
    folder = project({"app.py": "import os\nDATABASE = os.environ.get('APP_DATABASE')\n"})
    parsed = environment_names.parse(modules(folder, 3))
    (found,) = environment_names.find(parsed, folder, databases=database_names.find(parsed, []))
    assert (found.is_required, found.database, found.origin) == (True, FILE, "app.py:2")
