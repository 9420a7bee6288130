"""tests/helpers/nginx_lint.py, the part of make lint that reads the rendered configuration of nginx."""

import os
import shutil
import subprocess

import pytest

from tests.helpers import nginx_lint


@pytest.fixture
def path_without_envsubst(tmp_path, monkeypatch):
    programs = tmp_path / "bin"
    programs.mkdir()
    for program in ("bash", "cat", "cp", "mkdir", "nproc", "rm", "stat"):
        (programs / program).symlink_to(shutil.which(program))
    monkeypatch.setenv("PATH", str(programs))


def rendered(folder, variables):
    folder.mkdir()
    nginx_lint.render(folder, variables)
    return {
        str(path.relative_to(folder)): path.read_text().replace(str(folder), "")
        for path in (folder / "nginx").rglob("*.conf")
    }


@pytest.mark.parametrize("name", nginx_lint.RENDERINGS)
def test_machine_without_envsubst_and_nginx_renders(tmp_path, path_without_envsubst, name):
    files = rendered(tmp_path / "one", nginx_lint.RENDERINGS[name])
    assert "worker_shutdown_timeout 40s;" in files["nginx/nginx.conf"]
    assert "http://$" not in files["nginx/nginx.conf"]
    assert "map $host$authority_port $request_host" in files["nginx/snippets/maps.conf"]
    directives = [line for text in files.values() for line in text.splitlines() if not line.startswith("#")]
    assert not [line for line in directives if "${" in line]


@pytest.mark.skipif(not shutil.which("envsubst"), reason="envsubst is not installed")
@pytest.mark.parametrize("name", nginx_lint.RENDERINGS)
def test_machine_without_envsubst_renders_the_same(tmp_path, name, request):
    expected = rendered(tmp_path / "one", nginx_lint.RENDERINGS[name])
    request.getfixturevalue("path_without_envsubst")
    assert rendered(tmp_path / "two", nginx_lint.RENDERINGS[name]) == expected


def test_fault_in_a_snippet_is_found(tmp_path):
    configuration = nginx_lint.render(tmp_path, {})
    site = tmp_path / "nginx/snippets/site.conf"
    command = [nginx_lint.GIXY, "--skips", ",".join(nginx_lint.SKIPPED), configuration]

    def check():
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))

    assert check().returncode == 0
    site.write_text(f"{site.read_text()}\nlocation /old {{ return 302 https://$host$uri; }}\n")
    done = check()
    assert done.returncode == 1
    assert "[http_splitting]" in done.stdout


def test_value_that_the_entrypoint_refuses_is_reported(tmp_path):
    with pytest.raises(SystemExit, match="it cannot be rendered: nginx/entrypoint: STATIC_URL='x': must be a path"):
        nginx_lint.render(tmp_path, {"STATIC_URL": "x"})


@pytest.mark.parametrize("has_ipv6", [True, False])
def test_kernel_without_ipv6_is_not_asked_for_an_address_of_it(tmp_path, has_ipv6):
    nginx_lint.render(tmp_path, {"SERVER_NAME": "shop.example"})
    sign = tmp_path / "if_inet6"
    if has_ipv6:
        sign.touch()
    entrypoint = tmp_path / "kit/bin/entrypoint"
    entrypoint.write_text(entrypoint.read_text().replace("/proc/net/if_inet6", str(sign)))
    environment = {"PATH": f"{tmp_path / 'kit/bin'}:{os.environ['PATH']}", "SERVER_NAME": "shop.example"}
    subprocess.run(["bash", entrypoint, "render"], env=environment, check=True, timeout=30)
    texts = [path.read_text() for path in (tmp_path / "nginx").rglob("*.conf")]
    lines = [line.strip() for text in texts for line in text.splitlines()]
    listens = [line for line in lines if line.startswith("listen [::]")]
    assert bool(listens) == has_ipv6
    assert [line for line in lines if line.startswith("listen 8443 ssl")]
