"""deploy/kit/compose.py: with a small fake of `docker` that records its calls, and with the real compose."""

import json
import os
import re

import pytest

from kit import compose
from kit.errors import KitError
from kit.paths import ROOT


@pytest.fixture
def docker(tmp_path):
    """docker(answers): the environment in which `docker` prints, by the words it is called with, these texts."""

    def fake(**answers):
        known = {
            "compose version --short": "2.26.1-4",
            "info": "",
            "version --format {{.Server.Version}}": "26.1.5",
        } | answers.pop("commands", {})
        values = json.dumps({"services": {"variables": {"environment": answers.pop("values", {})}}})
        assert not answers
        cases = "".join(f"'{words}') printf %s '{said}' ;;\n" for words, said in known.items() if said is not None)
        script = tmp_path / "bin/docker"
        script.parent.mkdir(exist_ok=True)
        script.write_text(
            f"#!/bin/sh\ncase \"$*\" in\n{cases}*config*) cat >/dev/null; printf %s '{values}' ;;\n*) exit 1 ;;\nesac\n"
        )
        script.chmod(0o755)
        return {"PATH": f"{script.parent}:{os.environ['PATH']}"}

    return fake


def refusal(environment):
    with pytest.raises(KitError) as raised:
        compose.prepare(environment)
    return str(raised.value)


@pytest.mark.parametrize("version", ["2.23.3", "v2.6.0", "1.29.2"])
def test_compose_that_is_too_old_is_refused_with_the_version_that_is_needed(docker, version):
    environment = docker(commands={"compose version --short": version})
    assert refusal(environment) == f"docker compose {version} is too old: this kit needs 2.24 or newer"


def test_missing_plugin_is_reported_with_the_other_way(docker):
    assert "`make run` works without them" in refusal(docker(commands={"compose version --short": None}))


def test_engine_that_does_not_respond_is_reported(docker):
    said = refusal(docker(commands={"info": None}))
    assert said.startswith("the Docker engine does not respond (is it running? may ")


def test_stop_grace_period_follows_from_the_request_timeout(docker):
    prepared = compose.prepare(docker(values={"REQUEST_TIMEOUT": "60"}))
    assert prepared["STOP_GRACE_PERIOD"] == "75s"
    assert "COMPOSE_FILE" not in prepared
    assert "PROJECT_DIR" not in prepared


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"BACKEND": "nope"}, "BACKEND='nope': must be one of gunicorn, ropewalk"),
        ({"PROJECT_DIR": "nowhere"}, "PROJECT_DIR='nowhere': must be an existing folder"),
        ({"PROJECT_DIR": "Makefile"}, "PROJECT_DIR='Makefile': must be an existing folder"),
        ({"REQUEST_TIMEOUT": "30s"}, "REQUEST_TIMEOUT='30s': must be an integer from 1 to 3600"),
    ],
)
def test_bad_value_is_refused_before_anything_is_touched(docker, values, said):
    assert refusal(docker(values=values)) == said


@pytest.mark.parametrize("given", ["tests/kit/plain_project", f"{ROOT}/tests/kit/plain_project"])
def test_project_inside_is_named_from_the_checkout(docker, given):
    assert compose.prepare(docker(values={"PROJECT_DIR": given}))["PROJECT_DIR"] == "./tests/kit/plain_project"


def test_project_outside_is_a_build_context_of_its_own(docker, tmp_path):
    prepared = compose.prepare(docker(values={"PROJECT_DIR": str(tmp_path)}))
    assert prepared["PROJECT_DIR"] == str(tmp_path)
    assert prepared["COMPOSE_FILE"] == "docker-compose.yml:deploy/compose/project.yml"


def test_project_outside_is_copied_for_an_engine_without_such_contexts(docker, tmp_path, monkeypatch):
    monkeypatch.setattr(compose, "RUN", ROOT / ".run/test-compose")
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    for name in ("wsgi.py", ".env", ".env.local", ".git/config"):
        (project / name).write_text(name)
    try:
        environment = docker(
            commands={"version --format {{.Server.Version}}": "20.10.24+dfsg1"}, values={"PROJECT_DIR": str(project)}
        )
        for _ in range(2):  # the second replaces the first
            prepared = compose.prepare(environment)
        assert prepared["PROJECT_DIR"] == "./.run/test-compose/project"
        assert "COMPOSE_FILE" not in prepared
        copied = ROOT / prepared["PROJECT_DIR"]
        assert [str(path.relative_to(copied)) for path in copied.rglob("*")] == ["wsgi.py"]
    finally:
        compose.shutil.rmtree(ROOT / ".run/test-compose", ignore_errors=True)


@pytest.mark.parametrize(
    ("values", "present", "expected"),
    [
        ({}, (), "docker-compose.yml:more.yml"),
        ({}, ("docker-compose.override.yml",), "docker-compose.yml:docker-compose.override.yml:more.yml"),
        ({"COMPOSE_FILE": "a.yml:b.yml"}, ("docker-compose.override.yml",), "a.yml:b.yml:more.yml"),
        ({"COMPOSE_FILE": "a.yml;b.yml", "COMPOSE_PATH_SEPARATOR": ";"}, (), "a.yml;b.yml;more.yml"),
    ],
)
def test_files_that_compose_would_read_anyway_are_kept(tmp_path, values, present, expected):
    for name in ("docker-compose.yml", *present):
        (tmp_path / name).touch()
    assert compose.files(values, "more.yml", root=tmp_path) == expected


# --- The real compose, which needs no engine to read a file

READ = [
    ("PROJECT_DIR=../shop", "../shop"),
    ("PROJECT_DIR='../my shop'  # where", "../my shop"),
    ('export PROJECT_DIR="../shop"', "../shop"),
    ("PROJECT_DIR=../a\nPROJECT_DIR=../shop # the later one", "../shop"),
    ("PROJECT_DIR=../shop\r\nBACKEND=gunicorn\r", "../shop"),
    ("PROJECT_DIR='../a$b'", "../a$b"),
    ("PROJECT_DIR=$PLACE/shop", "/srv/shop"),
    ("#PROJECT_DIR=../shop", None),
    ("MY_PROJECT_DIR=../shop", None),
    ("PROJECT_DIR=", ""),
]


@pytest.mark.docker
@pytest.mark.parametrize(("line", "value"), READ)
def test_value_in_dotenv_is_read_by_compose_itself(tmp_path, line, value):
    (tmp_path / ".env").write_bytes(line.encode() + b"\n")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PLACE": "/srv"}
    found = compose.read_variables(["PROJECT_DIR"], environment, root=tmp_path)
    assert found.get("PROJECT_DIR") == value


@pytest.mark.docker
def test_environment_takes_precedence_over_dotenv(tmp_path):
    (tmp_path / ".env").write_text("BACKEND=gunicorn\n")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "BACKEND": "ropewalk"}
    assert compose.read_variables(["BACKEND", "HTTPS"], environment, root=tmp_path) == {"BACKEND": "ropewalk"}


@pytest.mark.docker
def test_dotenv_that_cannot_be_read_is_reported_in_one_line(tmp_path):
    (tmp_path / ".env").write_text("BACKEND='gunicorn\n")
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    with pytest.raises(KitError, match=re.compile(r"\A\.env: .+\Z")):
        compose.read_variables(["BACKEND"], environment, root=tmp_path)
