"""deploy/kit/database_variables.py: a site that would have no database is refused before it is built."""

import re

import pytest

from kit import database_variables
from kit.errors import KitError
from kit.project import facts

APP = "import os\nfrom flask import Flask\napp = Flask(__name__)\n"
APP += "app.config['DATABASE'] = os.environ.get('APP_DATABASE')\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "requirements.txt").write_text("flask\n")
    return tmp_path


def test_missing_variable_is_refused_with_the_line_to_add(folder):
    said = (
        "APP_DATABASE names the project's database (app.py:4) and is not set, so the site could not write: add"
        " APP_DATABASE=/data/db.sqlite3 to .env.project"
    )
    with pytest.raises(KitError, match=re.escape(said)):
        database_variables.check(facts.look(folder, {}), {}, ["SECRET_KEY"])


@pytest.mark.parametrize("given", ["APP_DATABASE", "APP_DATABASE_FILE"])
def test_variable_that_is_set_is_fine(folder, given):
    database_variables.check(facts.look(folder, {}), {}, [given])


def test_variable_that_the_kit_s_own_database_sets_is_fine(folder):
    (folder / "app.py").write_text(APP.replace("APP_DATABASE", "DATABASE_URL"))
    database_variables.check(facts.look(folder, {}), {"COMPOSE_PROFILES": "redis,postgres"}, [])
    with pytest.raises(KitError, match="DATABASE_URL names the project's database"):
        database_variables.check(facts.look(folder, {}), {"COMPOSE_PROFILES": "redis"}, [])


def test_value_is_proposed_where_there_is_one(folder):
    project = facts.look(folder, {})
    assert database_variables.proposals(project, []) == {"APP_DATABASE": "/data/db.sqlite3"}
    assert database_variables.proposals(project, ["APP_DATABASE"]) == {}
    (folder / "requirements.txt").write_text("flask\npsycopg2\n")
    assert database_variables.proposals(facts.look(folder, {}), []) == {}
