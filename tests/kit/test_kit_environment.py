"""deploy/app/kit_environment.py: what `docker compose exec` gives to the project's programs."""

import os
import subprocess
import sys

import pytest

import kit_environment


def run(tmp_path, *options, lines="", services=(), names="", **variables):
    """What an interpreter prints that loads the module at its start, as in the image."""
    (tmp_path / "project.env").write_text(lines)
    (tmp_path / "services").mkdir(exist_ok=True)
    (tmp_path / "names").write_text(names)
    for name, text in dict(services).items():
        (tmp_path / "services" / name).write_text(text)
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); source = open({kit_environment.__file__!r}).read();"
        f"source = source.replace('/srv/services', {str(tmp_path / 'services')!r});"
        f"source = source.replace('/run/secrets', {str(tmp_path / 'secrets')!r});"
        f"source = source.replace('/kit/service-names', {str(tmp_path / 'names')!r});"
        f"exec(source.replace('/kit/project.env', {str(tmp_path / 'project.env')!r}));"
        "import os; print([os.environ.get(n) for n in ('A', 'SECRET_KEY', 'SECRET_KEY_FILE')], '/srv/code' in sys.path)"
    )
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        [sys.executable, *options, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_variables_and_paths_of_the_project_are_there(tmp_path):
    said = run(tmp_path, lines="A=b=c\nPYTHONPATH=/srv/code:/srv/more\n")
    assert said == "['b=c', None, None] True"


def test_variable_that_is_set_stays(tmp_path):
    assert run(tmp_path, lines="A=1\n", A="2") == "['2', None, None] False"


def test_secret_comes_from_its_file(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a$b\n")
    assert run(tmp_path, SECRET_KEY_FILE=str(secret)) == "[None, 'a$b', None] False"


def test_secrets_of_an_orchestrator_are_there(tmp_path):
    for folder in ("project", "site"):
        (tmp_path / "secrets" / folder / "..data").mkdir(parents=True)
    (tmp_path / "secrets/environment").write_bytes(b"A=of Swarm\0")
    assert run(tmp_path) == "['of Swarm', None, None] False"
    (tmp_path / "secrets/environment").unlink()
    (tmp_path / "secrets/project/A").write_text("1\n")
    (tmp_path / "secrets/site/A").write_text("2\n")
    (tmp_path / "secrets/site/SECRET_KEY").write_text("key\n")
    assert run(tmp_path) == "['1', 'key', None] False"


def test_missing_secret_file_is_left_to_the_entrypoint(tmp_path):
    assert run(tmp_path, SECRET_KEY_FILE="/nowhere") == "[None, None, '/nowhere'] False"


def test_services_of_the_kit_are_there_unless_the_project_uses_another(tmp_path):
    services = {"one.env": "A=1\nSECRET_KEY=2\n", "two": "A=0\n"}
    assert run(tmp_path, services=services) == "['1', '2', None] False"
    assert run(tmp_path, services=services, A="mine") == "['mine', None, None] False"
    assert run(tmp_path, services=services, SECRET_KEY="mine") == "['1', 'mine', None] False"


def test_services_have_the_names_that_the_project_reads(tmp_path):
    services = {"one.env": "PLACE=1\nPGHOST=2\n"}
    names = "one A==text=\none SECRET_KEY=PGHOST\nother SECRET_KEY_FILE=PLACE\n"
    assert run(tmp_path, services=services, names=names) == "['text=', '2', None] False"
    # a server elsewhere
    assert run(tmp_path, services=services, names=names, SECRET_KEY="mine") == "[None, 'mine', None] False"


def test_url_of_a_service_names_the_driver_that_the_project_has(tmp_path):
    services = {"one.env": "SECRET_KEY=db://a:b=@c/d?e=f://\n", "two.env": "A=db://a\n"}
    said = run(tmp_path, services=services, names="one scheme=db+driver\n")
    assert said == "['db://a', 'db+driver://a:b=@c/d?e=f://', None] False"


def test_isolated_interpreter_is_left_alone(tmp_path):
    assert run(tmp_path, "-I", lines="A=1\nPYTHONPATH=/srv/code\n") == "[None, None, None] False"


DJANGO = """
import io, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
sys.modules["settings"] = type(sys)("settings")
sys.modules["settings"].__dict__.update(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", DEBUG=DEBUG, LOGGING=LOGGING
)
source = open(sys.argv[1]).read()
exec(source, {"__name__": "kit_environment"})

import django
from django.urls import path

django.setup()

def fails(request):
    raise LookupError("this one")

sys.modules["urls"] = type(sys)("urls")
sys.modules["urls"].urlpatterns = [path("fails", fails)]

from django.core.handlers.wsgi import WSGIHandler

environ = {"REQUEST_METHOD": "GET", "PATH_INFO": PATH, "HTTP_USER_AGENT": AGENT, "SERVER_NAME": "x",
           "SERVER_PORT": "80", "HTTP_X_REQUEST_ID": "5c0f", "wsgi.input": io.BytesIO(), "wsgi.url_scheme": "http"}
WSGIHandler()(environ, lambda status, fields: print(status))
"""
TO_CONSOLE = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"]},
}


def failed_request(tmp_path, *, path="/fails", agent="curl/8", debug=False, logging=None, **variables):
    """What Django with these settings writes to standard error about a view that fails, or a page that is not there."""
    program = tmp_path / "program.py"
    program.write_text(f"PATH, AGENT = {path!r}, {agent!r}\nDEBUG = {debug}\nLOGGING = {logging or {}}\n{DJANGO}")
    done = subprocess.run(
        [sys.executable, str(program), kit_environment.__file__],
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == ("500 Internal Server Error\n" if path == "/fails" else "404 Not Found\n")
    return done.stderr


def test_error_that_django_would_only_mail_is_shown_with_the_request_id(tmp_path):
    said = failed_request(tmp_path)
    assert "[ERROR] Internal Server Error: /fails (request id 5c0f)\nTraceback (most recent call last):\n" in said
    assert said.endswith("LookupError: this one\n")
    assert said.count("Traceback") == 1


def test_error_that_the_project_logs_itself_is_shown_once(tmp_path):
    said = failed_request(tmp_path, logging=TO_CONSOLE)
    assert said.count("LookupError: this one") == 1
    assert "request id" not in said


def test_error_with_debug_on_is_shown_once(tmp_path):
    assert failed_request(tmp_path, debug=True).count("LookupError: this one") == 1


def test_errors_can_be_left_to_the_project(tmp_path):
    assert failed_request(tmp_path, LOG_ERRORS="0") == ""


@pytest.mark.parametrize("variables", [{}, {"LOG_ERRORS": "0"}])
@pytest.mark.parametrize(("debug", "logging"), [(True, None), (False, TO_CONSOLE)])
def test_health_check_of_a_page_that_is_not_there_is_no_warning(tmp_path, debug, logging, variables):
    def said(path, agent):
        return failed_request(tmp_path, path=path, agent=agent, debug=debug, logging=logging, **variables)

    assert said("/healthz", "probe") == ""
    assert said("/healthz", "curl/8") == "Not Found: /healthz\n"
    assert "LookupError: this one" in said("/fails", "probe")


GUNICORN = """
import runpy, sys
sys.orig_argv[1:] = ["/opt/backends/gunicorn/bin/gunicorn", "app"]
exec(open(sys.argv[1]).read(), {"__name__": "kit_environment"})
from gunicorn.config import Config
from gunicorn.glogging import Logger
import datetime, types
configuration = Config()
configuration.set("accesslog", "-")
logger = Logger(configuration)
for status, agent in (("200 OK", "probe"), ("404 Not Found", "probe"), ("503 X", "probe"), ("200 OK", "curl/8")):
    environ = {"REQUEST_METHOD": "GET", "RAW_URI": "/", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_USER_AGENT": agent}
    response = types.SimpleNamespace(status=status, sent=3, headers=[])
    request = types.SimpleNamespace(headers=[("User-Agent", agent)])
    logger.access(response, request, environ, datetime.timedelta(seconds=1))
"""


def test_health_checks_are_not_in_gunicorn_s_log_unless_they_fail(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", GUNICORN, kit_environment.__file__],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = [line.partition('HTTP/1.1" ')[2] for line in done.stdout.splitlines()]
    assert lines == ['503 3 "-" "probe"', '200 3 "-" "curl/8"']
