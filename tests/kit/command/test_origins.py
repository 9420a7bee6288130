"""deploy/kit/origins.py: where values come from, in a checkout of its own."""

import shutil

import pytest

from kit import origins
from kit.errors import KitError
from kit.paths import ROOT


@pytest.fixture
def checkout(tmp_path):
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copytree(ROOT / "deploy/compose", tmp_path / "deploy/compose")
    return tmp_path


def find(checkout, environment=(), prepared=()):
    found = origins.find(dict(environment), dict(prepared), checkout)
    return {row.name: (row.value, row.origin) for row in found}


def test_defaults_are_named_with_their_file(checkout):
    found = find(checkout)
    assert found["THREADS"] == ("16", "default (deploy/app/variables)")
    assert found["APP_MEMORY"] == ("1g", "default (docker-compose.yml)")
    assert found["TRUSTED_PROXIES"] == ("", "not set")
    assert "SECRET_KEY" not in found


def test_shell_comes_before_the_file_and_a_blank_value_is_none(checkout):
    (checkout / ".env").write_text("THREADS=8\nAPP_MEMORY=2g\nRATE_LIMIT=\nSHOP_MODE=x\n")
    found = find(checkout, {"THREADS": "4", "SECRET_KEY": "x"})
    assert found["THREADS"] == ("4", "shell")
    assert found["APP_MEMORY"] == ("2g", ".env")
    assert found["RATE_LIMIT"] == ("100", "default (deploy/app/variables)")
    assert found["SHOP_MODE"] == ("x", ".env")
    assert found["SECRET_KEY"] == ("x", "shell")


def test_file_of_the_project_is_the_application_s(checkout):
    (checkout / ".env").write_text("THREADS=8\nLOG_LEVEL=INFO\n")
    (checkout / ".env.project").write_text("LOG_LEVEL=DEBUG\nSHOP=1\n")
    found = find(checkout)
    assert found["SHOP"] == ("1", ".env.project")
    assert found["LOG_LEVEL"] == ("DEBUG", ".env.project, for the application; nginx: .env")


def test_computed_values_say_so(checkout):
    found = find(checkout, {"REQUEST_TIMEOUT": "60"}, {"STOP_GRACE_PERIOD": "75s", "REQUEST_TIMEOUT": "60"})
    assert found["STOP_GRACE_PERIOD"] == ("75s", "computed from REQUEST_TIMEOUT and DRAIN_DELAY")
    assert found["PROXY_TIMEOUT"] == ("65", "computed (deploy/app/times)")
    assert found["STOP_WAIT"] == ("65", "computed (deploy/app/times)")  # compose has no drain delay


def test_allowed_hosts_have_the_names_of_the_site(checkout):
    own = "default (deploy/app/variables)"
    assert find(checkout)["ALLOWED_HOSTS"] == ("localhost,127.0.0.1,[::1]", own)
    found = find(checkout, {"SERVER_NAME": "shop.example *.shop.example"})["ALLOWED_HOSTS"]
    assert found == ("localhost,127.0.0.1,[::1],shop.example,.shop.example", f"{own}, and SERVER_NAME")
    given = {"SERVER_NAME": "shop.example", "ALLOWED_HOSTS": "a"}
    assert find(checkout, given)["ALLOWED_HOSTS"] == ("a", "shell")


def test_value_that_the_kit_has_changed_shows_both(checkout):
    found = find(checkout, {"PROJECT_DIR": "../shop"}, {"PROJECT_DIR": "/srv/shop"})
    assert found["PROJECT_DIR"] == ("/srv/shop", "shell (../shop)")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("SECRET_KEY", "abc", "(3 characters)"),
        ("SECRET_KEY", "", ""),
        ("SECRET_KEY_FILE", "/run/secrets/key", "/run/secrets/key"),
        ("DB_PASS", "abc", "(3 characters)"),
        ("db_password", "abc", "(3 characters)"),
        ("FERNET_KEYS", "abc,def", "(7 characters)"),
        ("SENTRY_DSN", "https://abc@sentry.example/1", "(28 characters)"),
        ("SLACK_WEBHOOK_URL", "https://hooks.example/abc", "(25 characters)"),
        ("AWS_ACCESS_KEY_ID", "abc", "abc"),
        ("EMAIL_URL", "smtp://ada@example.org:abc@mail.example", "smtp://ada@example.org:***@mail.example"),
        ("INDEX", "https://abc@packages.example/simple", "https://***@packages.example/simple"),
        ("PLACE", "ssh://git@example.org/shop", "ssh://git@example.org/shop"),
        (
            "DB",
            "postgres:///shop?host=db&password=abc&sslmode=require",
            "postgres:///shop?host=db&password=***&sslmode=require",
        ),
        ("STORE", "AccountName=a;AccountKey=abc==;Suffix=b", "AccountName=a;AccountKey=***;Suffix=b"),
        ("MIGRATE_COMMAND", 'env API_TOKEN="a b" alembic upgrade head', "env API_TOKEN=*** alembic upgrade head"),
        ("DATABASE_URL", "postgres://ada:secret@db/shop", "postgres://ada:***@db/shop"),
        ("SERVER_NAME", "a.example", "a.example"),
    ],
)
def test_secrets_are_masked(name, value, shown):
    assert origins.mask(name, value) == shown


def test_sections_have_to_exist():
    assert origins.check_what("", ("a", "b")) == ("a", "b")
    assert origins.check_what("b", ("a", "b")) == ("b",)
    with pytest.raises(KitError, match=r"^WHAT='c': must be one of a, b$"):
        origins.check_what("c", ("a", "b"))
