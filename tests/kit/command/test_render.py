"""deploy/kit/render.py: with a small fake of docker, and in containers."""

import json

import pytest

from kit import render
from tests.kit.command.test_containers import inspected

MODEL = {
    "name": "shop",
    "services": {
        "nginx": {
            "image": "shop-nginx",
            "cpus": 1,
            "tmpfs": ["/tmp:size=16m"],
            "environment": {"HTTPS": "on", "MEDIA": None},
        },
        "app": {"environment": {"SECRET_KEY": "abc", "DATABASE_URL": "postgres://a:b@c/d"}, "build": {"args": ["x"]}},
    },
    "x-service": {},
}


@pytest.fixture
def docker(tmp_path):
    """docker(cases, running): an environment with a docker that knows these."""

    def fake(cases="", running=()):
        (tmp_path / "model.json").write_text(json.dumps(MODEL))
        (tmp_path / "all.json").write_text(json.dumps([inspected(service) for service in running]))
        (tmp_path / "docker").write_text(
            f"""#!/bin/sh
case "$*" in
'compose version --short') echo 2.26.1 ;;
'compose config --format json') cat {tmp_path}/model.json ;;
version*) echo 26.1.5 ;;
ps*) echo {"one" if running else ""} ;;
'inspect one') cat {tmp_path}/all.json ;;
{cases}
*) echo "unknown: $*" >&2; exit 9 ;;
esac
"""
        )
        (tmp_path / "docker").chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin", "COMPOSE_ENV_FILES": "/dev/null"}

    return fake


def test_compose_s_model_has_no_secret_unless_asked_for(docker, capsys):
    assert render.render(docker() | {"WHAT": "compose"}) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["services"]["app"]["environment"] == {
        "SECRET_KEY": "(3 characters)",
        "DATABASE_URL": "postgres://a:***@c/d",
    }
    assert "x-service" not in shown
    assert render.render(docker() | {"WHAT": "compose", "SHOW_SECRETS": "1"}) == 0
    assert '"SECRET_KEY": "abc"' in capsys.readouterr().out


def test_running_container_is_asked(docker, capsys):
    environment = docker(
        "'exec id-of-nginx nginx -T -q -c /tmp/nginx/nginx.conf') echo worker_processes 1 ;;", ["nginx"]
    )
    assert render.render(environment | {"WHAT": "nginx"}) == 0
    assert capsys.readouterr().out == "worker_processes 1\n"


def test_without_one_a_new_container_renders_and_leaves_nothing():
    words = render.new_container("nginx", MODEL, ("bash", "-c", "x"))
    assert words == [
        *("run", "--rm", "--pull=never", "--network=none", "--read-only", "--tmpfs=/tmp:size=16m", "--cpus=1"),
        *("--env=HTTPS=on", "shop-nginx", "bash", "-c", "x"),
    ]
    assert "SECRET_KEY" not in " ".join(render.new_container("app", MODEL, ("x",)))
    assert "shop-app" in render.new_container("app", MODEL, ("x",))


def test_section_that_cannot_be_shown_ends_with_1_and_the_others_are(docker, capsys):
    assert render.render(docker() | {"WHAT": "nginx variables server"}) == 1
    said = capsys.readouterr()
    assert said.err.startswith("render: nginx: docker run: unknown: run --rm")
    assert "# ---- variables\nACME_DIRECTORY " in said.out
    assert "# not known: no container of app runs" in said.out


@pytest.mark.docker
def test_configuration_of_a_running_site_and_of_its_images(new_stack, capsys):
    stack = new_stack("sample", THREADS="7")
    stack.up()
    environment = dict(stack.environment) | {"COMPOSE_PROJECT_NAME": stack.name, "COMPOSE_ENV_FILES": "/dev/null"}
    environment |= {"WHAT": "nginx server supervisor"}
    assert render.render(environment) == 0
    running = capsys.readouterr().out
    assert "--threads 7 " in running
    stack.compose("stop", "nginx", "app")
    assert render.render(environment) == 0
    stopped = capsys.readouterr().out
    for line in ("worker_processes 1;", "[program:backend]", "proxy_read_timeout 35s;"):
        assert line in running
        assert line in stopped
