"""sample_project/environment.py and the settings: what the variables mean, and what a wrong one says."""

import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from sample_project import environment

PROJECT = Path(environment.__file__).parents[1]


@pytest.fixture(autouse=True)
def _unset(monkeypatch):
    monkeypatch.delenv("V", raising=False)
    monkeypatch.delenv("V_FILE", raising=False)


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("Yes", True), ("on", True), ("0", False), ("FALSE", False), (" ", False)]
)
def test_a_flag(monkeypatch, text, value):
    monkeypatch.setenv("V", text)
    assert environment.flag("V") is value


@pytest.mark.parametrize(
    ("text", "value"), [("512", 512), ("10k", 10240), ("64M", 64 << 20), ("1g", 1 << 30), ("2mb", 2 << 20)]
)
def test_a_size(monkeypatch, text, value):
    monkeypatch.setenv("V", text)
    assert environment.size("V", "1m") == value


@pytest.mark.parametrize("text", ["", "   "])
def test_a_blank_variable_counts_as_not_set(monkeypatch, text):
    monkeypatch.setenv("V", text)
    assert environment.text("V", "default") == "default"
    assert environment.names("V", "a, b,,c") == ["a", "b", "c"]
    assert environment.number("V", 7, least=0, most=9) == 7
    assert environment.secret("V", optional=True) is None


@pytest.mark.parametrize(
    ("read", "text", "allowed"),
    [
        (lambda: environment.flag("V"), "perhaps", "1 or 0"),
        (lambda: environment.size("V", "1m"), "1.5m", "such as 512k"),
        (lambda: environment.size("V", "1m"), "0", "above 0"),
        (lambda: environment.number("V", 1, least=0, most=9), "10", "from 0 to 9"),
        (lambda: environment.number("V", 1, least=0, most=9), "-1", "from 0 to 9"),
        (lambda: environment.number("V", 1, least=0, most=9), "²", "from 0 to 9"),
        (lambda: environment.choice("V", "A", ("A", "B")), "c", "A, B"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(monkeypatch, read, text, allowed):
    monkeypatch.setenv("V", text)
    with pytest.raises(ImproperlyConfigured, match=r"^V='") as raised:
        read()
    assert allowed in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_secret_comes_from_the_variable_or_from_the_file(monkeypatch, tmp_path):
    assert environment.secret("V") is None
    monkeypatch.setenv("V", "hush")
    assert environment.secret("V") == "hush"
    monkeypatch.delenv("V")
    (tmp_path / "secret").write_text("hush from a file\n")
    monkeypatch.setenv("V_FILE", str(tmp_path / "secret"))
    assert environment.secret("V") == "hush from a file"


def test_a_secret_set_twice_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("V", "hush")
    monkeypatch.setenv("V_FILE", str(tmp_path))
    with pytest.raises(ImproperlyConfigured, match="both set"):
        environment.secret("V")


def test_a_blank_secret_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("V", " ")
    with pytest.raises(ImproperlyConfigured, match="V is set but blank"):
        environment.secret("V")
    monkeypatch.delenv("V")
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("V_FILE", str(tmp_path / "empty"))
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        environment.secret("V")


def test_a_secret_file_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("V_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(ImproperlyConfigured, match=r"V_FILE=.*nowhere.*No such file"):
        environment.secret("V")


def test_a_kept_secret_is_made_once_though_many_start_together(tmp_path):
    path = tmp_path / "secret_key"
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: environment.kept_secret(path, "V"), range(32)))
    assert len(made) == 1
    assert len(made.pop()) >= 50
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["secret_key"]


def test_a_kept_secret_that_is_empty_is_refused(tmp_path):
    (tmp_path / "secret_key").touch()
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        environment.kept_secret(tmp_path / "secret_key", "V")


def manage(tmp_path, *arguments, **variables):
    variables = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path / "data")} | variables
    command = [sys.executable, str(PROJECT / "manage.py"), *arguments]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is set but blank"),
        ({"DATABASE_URL": "postgres//hidden"}, "DATABASE_URL cannot be parsed"),
        ({"CSRF_TRUSTED_ORIGINS": "example.org"}, "'example.org'"),
    ],
)
def test_a_wrong_variable_ends_manage_with_one_line(tmp_path, variables, said):
    ended = manage(tmp_path, "check", **variables)
    assert ended.returncode == 1
    assert ended.stderr.startswith("manage.py: ")
    assert said in ended.stderr
    assert "hidden" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_collectstatic_leaves_no_secret_and_no_data_directory(tmp_path):
    ended = manage(tmp_path, "collectstatic", "--noinput", "--dry-run", STATIC_ROOT=str(tmp_path / "static"))
    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "data").exists()


def test_a_deployment_over_https_passes_the_deployment_check(tmp_path):
    ended = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", HTTPS_ONLY="1", HSTS_SECONDS="31536000")
    assert ended.returncode == 0, ended.stderr


LOOK = """
from django.test import Client
client = Client(raise_request_exception=False)
paths = ("log.csv", "log.csv?delay=0", "log.csv?delay=0.01", "api/echo", "slow?seconds=0", "stream", "raise", "cookies")
print(*(client.get("/" + path, HTTP_HOST="localhost").status_code for path in paths))
"""


@pytest.mark.parametrize(
    ("variables", "statuses"),
    [({}, "200 200 400 404 404 404 404 404"), ({"DIAGNOSTICS": "1"}, "200 200 200 200 200 200 500 200")],
)
def test_what_occupies_threads_is_there_only_if_it_is_asked_for(tmp_path, variables, statuses):
    variables = {"DEBUG": "1", "LOG_LEVEL": "CRITICAL"} | variables
    ended = manage(tmp_path, "shell", "--verbosity", "0", "--command", LOOK, **variables)
    assert ended.stdout == f"{statuses}\n", ended.stderr


def test_no_migration_is_missing(tmp_path):
    ended = manage(tmp_path, "makemigrations", "--check", "--dry-run")
    assert ended.returncode == 0, ended.stdout
