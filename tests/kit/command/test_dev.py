"""deploy/kit/dev.py: what the project for development gets."""

import pytest

from kit import dev
from kit.project import facts
from tests.kit.command.project.test_application import FLASK

APP = (
    FLASK
    + """
import os
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("DATABASE_URL", "postgresql://localhost/shop")
CACHE = os.environ.get("CACHE_URL", "redis://localhost")
app.debug = os.environ.get("SHOP_DEBUG", "") == "True"
app.testing = os.environ.get("TEST_DEBUG", "no").lower() in ("true", "1")
OTHER = os.environ.get("OTHER_DEBUG")
"""
)


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "requirements.txt").write_text("flask\npsycopg\nredis\n")
    return facts.look(tmp_path, {})


def test_variables_that_name_servers_are_left_out(shop):
    own = {"DATABASE_URL": "postgresql://shop.net/shop", "EMAIL_HOST": "mail.shop.net", "PAGE": "20", "SECRET_KEY": "x"}
    profiles, variables, left_out = dev.choose(shop, {"LOG_LEVEL": "DEBUG"}, own)
    assert left_out == ["DATABASE_URL", "EMAIL_HOST"]
    assert "DATABASE_URL" not in variables
    # mails go to the service that shows them
    assert (variables["EMAIL_HOST"], variables["MAIL_SERVER"]) == ("mail", "mail")
    assert (variables["PAGE"], variables["SECRET_KEY"], variables["LOG_LEVEL"]) == ("20", "x", "DEBUG")
    assert profiles == ["postgres", "redis"]


def test_database_in_a_file_stays(shop):
    _, variables, left_out = dev.choose(shop, {}, {"DATABASE_URL": "sqlite:////data/db.sqlite3"})
    assert left_out == []
    assert variables["DATABASE_URL"] == "sqlite:////data/db.sqlite3"


def test_profiles_of_the_site_that_development_does_not_need_are_off(shop):
    values = {"COMPOSE_PROFILES": "acme,worker,backup,cron", "WORKER_COMMAND": "rq worker"}
    profiles, variables, _ = dev.choose(shop, values, {})
    assert profiles == ["worker", "postgres", "redis"]
    assert variables["WORKER_COMMAND"] == "rq worker"
    assert variables["COMPOSE_PROFILES"] == "worker,postgres,redis"


def test_debugging_is_on_as_the_project_spells_it(shop):
    _, variables, _ = dev.choose(shop, {}, {"DEBUG": "0"})
    names = ("DEBUG", "SHOP_DEBUG", "TEST_DEBUG", "OTHER_DEBUG")
    assert [variables[name] for name in names] == ["1", "True", "true", "1"]


def test_variables_are_kept_for_their_owner_alone(tmp_path):
    dev.keep(tmp_path / "environment", {"A": "x y"})
    assert (tmp_path / "environment").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "environment").read_text() == "A='x y'\n"
