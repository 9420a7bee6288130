"""deploy/kit/compose.py: with a small fake of `docker`."""

import json
import os

import pytest

from kit import clashes, compose, identity
from kit.errors import KitError
from kit.paths import ROOT


@pytest.fixture
def docker(tmp_path):
    """docker(commands, **values): an environment with these values, and a `docker` that prints what `commands` say."""

    def fake(commands=(), **values):
        known = {
            "compose version --short": "2.26.1-4",
            "version --format {{.Server.Version}}": "26.1.5",
        } | dict(commands)
        cases = "".join(f"'{words}') printf %s '{said}' ;;\n" for words, said in known.items() if said is not None)
        script = tmp_path / "bin/docker"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\ncase "$*" in\n{cases}*) exit 1 ;;\nesac\n')
        script.chmod(0o755)
        return {"PATH": f"{script.parent}:{os.environ['PATH']}", "COMPOSE_ENV_FILES": "/dev/null", **values}

    return fake


def test_values_that_compose_allows_are_allowed(docker):
    compose.prepare(docker(APP_MEMORY="1.5GB", REDIS_MEMORY="268435456", APP_CPUS=".5", SERVER_NAME="*.shop.example b"))


@pytest.mark.parametrize(("given", "is_known"), [("acme,mails", True), ("acme, postgers", False), ("postgres,", True)])
def test_profile_that_no_service_has_is_refused(docker, given, is_known):
    commands = {
        "compose config --format json": '{"name": "shop", "services": {}}',
        "compose --profile * config --profiles": "acme\nmails\npostgres",
        " ".join(["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]): "unix:///x",
        " ".join(clashes.LIST): "",
    }
    environment = docker(commands, COMPOSE_PROFILES=given)
    if is_known:
        assert compose.check_clashes(environment)["name"] == "shop"
        return
    with pytest.raises(KitError) as raised:
        compose.check_clashes(environment)
    assert str(raised.value) == (
        f"COMPOSE_PROFILES={given!r}: no service has postgers; must be one of acme, mails, postgres"
    )


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
    said = refusal(docker(commands={"version --format {{.Server.Version}}": None}))
    assert said.startswith("the Docker engine does not respond (is it running? may ")


def test_stop_grace_period_follows_from_the_request_timeout(docker):
    prepared = compose.prepare(docker(REQUEST_TIMEOUT="60"))
    assert prepared["STOP_GRACE_PERIOD"] == "75s"
    assert "COMPOSE_FILE" not in prepared
    assert "PROJECT_DIR" not in prepared


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"BACKEND": "nope"}, "BACKEND='nope': must be one of gunicorn, ropewalk"),
        ({"OUTBOUND": "no"}, "OUTBOUND='no': must be on or off"),
        ({"HTTPS": "maybe"}, "HTTPS='maybe': must be 1 or 0 (or true, yes, on; false, no, off)"),
        ({"HTTP_ADDRESS_IPV6": "::"}, "HTTP_ADDRESS_IPV6='::': must be an IPv6 address in brackets, such as [::]"),
        (
            {"HTTP_ADDRESS": "300.1.1.1"},
            "HTTP_ADDRESS='300.1.1.1': must be an IPv4 address, such as 127.0.0.1 or 0.0.0.0",
        ),
        ({"HTTP_PORT": "99999"}, "HTTP_PORT='99999': must be an integer from 0 to 65535"),
        ({"APP_REPLICAS": "many"}, "APP_REPLICAS='many': must be an integer from 1 to 100"),
        ({"START_PATIENCE": "1m"}, "START_PATIENCE='1m': must be an integer from 0 to 3600"),
        ({"APP_MEMORY": "lots"}, "APP_MEMORY='lots': must be a size such as 512m"),
        ({"BODY_ROOM": "-1"}, "BODY_ROOM='-1': must be a size such as 512m"),
        ({"NGINX_CPUS": "two"}, "NGINX_CPUS='two': must be a number such as 1 or 0.5"),
        ({"SERVER_NAME": "a;b"}, "SERVER_NAME='a;b': must be names separated by spaces, or _ for any name"),
        ({"PROJECT_DIR": "nowhere"}, "PROJECT_DIR='nowhere': must be an existing folder"),
        ({"PROJECT_DIR": "Makefile"}, "PROJECT_DIR='Makefile': must be an existing folder"),
        ({"REQUEST_TIMEOUT": "30s"}, "REQUEST_TIMEOUT='30s': must be an integer from 1 to 3600"),
        (
            {"IMAGE_INCLUDE": "*"},
            "IMAGE_INCLUDE='*': must be files or folders of the project, separated by spaces, such as data/*.sqlite3",
        ),
    ],
)
def test_bad_value_is_refused_before_anything_is_touched(docker, values, said):
    assert refusal(docker(**values)) == said


@pytest.mark.parametrize("given", ["tests/kit/plain_project", f"{ROOT}/tests/kit/plain_project"])
def test_project_inside_is_named_from_the_checkout(docker, given):
    prepared = compose.prepare(docker(PROJECT_DIR=given, PROJECT_PLACE="outside"))
    assert (prepared["PROJECT_DIR"], prepared["PROJECT_PLACE"]) == ("./tests/kit/plain_project", "inside")


def test_folder_of_a_project_may_be_below_the_home(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compose.find_project("~/shop") == tmp_path / "shop"


@pytest.mark.parametrize("name", ["loop", "closed", "~nobody-of-this-name/shop"])
def test_folder_that_cannot_be_entered_is_one_line(tmp_path, name, monkeypatch):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(compose.os, "scandir", refuse)
    with pytest.raises(KitError, match=f"^PROJECT_DIR='{name}': "):
        compose.find_project(name, tmp_path)


def test_project_outside_is_a_build_context_of_its_own(docker, tmp_path):
    prepared = compose.prepare(docker(PROJECT_DIR=str(tmp_path)))
    assert prepared["PROJECT_DIR"] == str(tmp_path)
    assert prepared["PROJECT_PLACE"] == "outside"
    assert "COMPOSE_FILE" not in prepared  # with that, compose would read no docker-compose.override.yml


def test_project_outside_is_copied_for_an_engine_without_such_contexts(docker, tmp_path, monkeypatch):
    monkeypatch.setattr(compose, "RUN", ROOT / ".run/test-compose")
    project = tmp_path / "shop"
    (project / ".git").mkdir(parents=True)
    for name in ("wsgi.py", ".env", ".env.local", ".git/config", "db.sqlite3"):
        (project / name).write_text(name)
    values = {"PROJECT_DIR": str(project), "IMAGE_INCLUDE": "*.sqlite3"}
    try:
        commands = {"version --format {{.Server.Version}}": "20.10.24+dfsg1"}
        environment = docker(commands, **values)
        for _ in range(2):  # the second replaces the first
            prepared = compose.prepare(environment)
        assert prepared["PROJECT_DIR"] == "./.run/test-compose/project/shop"
        assert prepared["PROJECT_PLACE"] == "inside"
        copied = ROOT / prepared["PROJECT_DIR"]
        assert sorted(str(path.relative_to(copied)) for path in copied.rglob("*")) == ["db.sqlite3", "wsgi.py"]
        # another project of this checkout is built at the same time
        other = compose.prepare(environment | {"COMPOSE_PROJECT_NAME": "shop-2"})
        assert other["PROJECT_DIR"] == "./.run/test-compose/project/shop-2"
        assert copied.is_dir()
    finally:
        compose.shutil.rmtree(ROOT / ".run/test-compose", ignore_errors=True)


def test_what_the_image_will_not_get_is_listed_by_rule(docker, tmp_path):
    for name in ("wsgi.py", ".env", "db.sqlite3", "zones.sqlite3"):
        (tmp_path / name).touch()
    values = {"PROJECT_DIR": str(tmp_path), "IMAGE_INCLUDE": "zones.*"}
    assert compose.left_out(docker(**values)) == [
        "databases: db.sqlite3; the site has its own, which begins empty (IMAGE_INCLUDE in .env takes this one along)",
        "environment files: .env",
    ]


def test_build_script_is_reported_and_a_wrong_choice_refused(tmp_path):
    (tmp_path / "package.json").write_text('{"scripts": {"build": "vite build"}}')
    values = {"PROJECT_DIR": str(tmp_path), "COMPOSE_ENV_FILES": "/dev/null"}
    assert compose.assets_note(values).startswith("A build script is not run: package.json (vite build).")
    assert compose.assets_note(values | {"NODE_BUILD": "on"}) == ""
    with pytest.raises(KitError, match="NODE_BUILD='web': must be on, off, a folder"):
        compose.assets_note(values | {"NODE_BUILD": "web"})


def test_dockerignore_with_an_error_is_reported_before_the_build(docker, tmp_path):
    (tmp_path / ".dockerignore").write_text("[a\n")
    said = refusal(docker(PROJECT_DIR=str(tmp_path)))
    assert said == ".dockerignore of the project: '[a': has a [ that is not the start of characters such as [a-z]"


def test_project_has_a_compose_project_of_its_own(docker, tmp_path):
    project = tmp_path / "My Shop"
    project.mkdir()
    prepared = compose.prepare(docker(PROJECT_DIR=str(project)))
    assert prepared["COMPOSE_PROJECT_NAME"] == "my-shop"
    assert prepared["PROJECT_ID"] == identity.project_id(project, ROOT)


def test_compose_file_of_an_earlier_version_is_refused_with_the_line_to_write(docker, tmp_path):
    given = "docker-compose.yml:deploy/compose/project.yml"
    assert refusal(docker(PROJECT_DIR=str(tmp_path), COMPOSE_FILE=given)) == (
        "COMPOSE_FILE names deploy/compose/project.yml, which is no more: replace it by PROJECT_PLACE=outside, in .env"
    )


def test_own_files_of_compose_are_left_alone(docker, tmp_path):
    given = "docker-compose.yml:mine.yml"
    assert compose.prepare(docker(PROJECT_DIR=str(tmp_path), COMPOSE_FILE=given))["COMPOSE_FILE"] == given


def model(*ports, name="shop"):
    published = [{"target": 8080, "host_ip": "127.0.0.1", "published": str(port)} for port in ports]
    return json.dumps({"name": name, "services": {"nginx": {"ports": published}}})


def test_another_folder_s_project_of_the_same_name_is_refused(docker):
    environment = docker(
        {
            "compose config --format json": model(),
            "context inspect --format {{.Endpoints.docker.Host}}": "unix:///run/docker.sock",
            " ".join(clashes.LIST): "shop\t/srv/other\t",
        }
    )
    with pytest.raises(KitError, match="'shop' belongs to /srv/other"):
        compose.check_clashes(environment)


@pytest.mark.parametrize("owner", ["", "shop", "shop@0a1b2c3d", "shop@4e5f6a7b", "blog"])
def test_image_of_another_project_is_refused_though_its_containers_are_down(docker, owner):
    ours = json.loads(model())
    ours["services"]["app"] = {"image": "shop-app", "environment": {"PROJECT_ID": "shop@0a1b2c3d"}}
    environment = docker(
        {
            "compose config --format json": json.dumps(ours),
            "context inspect --format {{.Endpoints.docker.Host}}": "unix:///run/docker.sock",
            " ".join(clashes.LIST): "",
            f"image inspect --format {compose.IMAGE_OWNER} shop-app": owner or None,
        }
    )
    if owner in ("", "shop", "shop@0a1b2c3d"):
        compose.check_clashes(environment)
        return
    said = f"the image shop-app is of the project '{owner}', and this one is 'shop@0a1b2c3d': set COMPOSE_PROJECT_NAME"
    with pytest.raises(KitError, match=said):
        compose.check_clashes(environment)


def test_compose_file_that_compose_refuses_is_reported_in_one_line(docker):
    with pytest.raises(KitError, match="docker compose config failed"):
        compose.check_clashes(docker({"compose config --format json": None}))


def test_variable_in_the_path_of_a_project_is_replaced_as_compose_does(docker, tmp_path):
    (tmp_path / "my shop").mkdir()
    (tmp_path / ".env").write_text('PROJECT_DIR="$HOME/my shop"\r\nHTTP_PORT=0\r\n')
    environment = docker(COMPOSE_ENV_FILES=str(tmp_path / ".env"), HOME=str(tmp_path))
    prepared = compose.prepare(environment)
    assert prepared["PROJECT_DIR"] == f"{tmp_path}/my shop"
    assert prepared["PROJECT_ID"].startswith("my shop@")
