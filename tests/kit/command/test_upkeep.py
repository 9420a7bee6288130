"""deploy/kit/upkeep.py: make prune and make update, with a small fake of docker."""

import json

import pytest

from kit import containers, upkeep
from kit.release import run
from tests.kit.command.test_containers import inspected

FREED = "Deleted Images:\ndeleted: sha256:1\ndeleted: sha256:2\n\nTotal reclaimed space: 36.1MB\n"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (FREED, "2 layers removed, 36.1MB freed"),
        (FREED.replace("36.1MB", "0B"), "2 removed, which frees nothing: the build cache has the same layers"),
        ("Total reclaimed space: 0B\n", "none to remove"),
        ("Deleted Containers:\none\ntwo\n\nTotal reclaimed space: 2kB\n", "2 removed, 2kB freed"),
        ("Deleted Networks:\nshop_outbound\n", "1 removed"),
        ("", "none to remove"),
    ],
)
def test_what_was_removed_is_said(output, said):
    assert upkeep.removed(output) == said


def test_size_of_the_build_cache():
    rows = [{"Type": "Images", "Size": "2GB"}, {"Type": "Build Cache", "Size": "1.5GB"}]
    assert upkeep.cache_size("\n".join(map(json.dumps, rows))) == "1.5GB"
    assert upkeep.cache_size("no JSON") == ""


@pytest.fixture
def docker(tmp_path):
    """docker(cases): an environment with a docker that knows these, and writes down what it was asked."""

    def fake(cases):
        (tmp_path / "docker").write_text(
            f"""#!/bin/sh
echo "$*" >>{tmp_path}/asked
case "$*" in
'compose version --short') echo 2.26.1 ;;
'compose config --format json') echo '{{"name": "shop"}}' ;;
version*) echo 26.1.5 ;;
{cases}
*) exit 9 ;;
esac
"""
        )
        (tmp_path / "docker").chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin", "COMPOSE_ENV_FILES": "/dev/null"}

    return fake


def test_size_of_the_build_cache_that_cannot_be_read_is_a_note(docker, capsys):
    broken = "error getting build cache usage: failed to get usage: snapshot not found"
    assert upkeep.prune(docker(f"*prune*) ;; 'system df'*) echo '{broken}' >&2; exit 1 ;;")) == 0
    assert f"The size of the build cache is not known: docker system: {broken}" in capsys.readouterr().out


def test_prune_touches_this_project_alone(docker, tmp_path, capsys):
    assert upkeep.prune(docker(f"*prune*) printf '{FREED}' ;; 'system df'*) ;;")) == 0
    asked = [line for line in (tmp_path / "asked").read_text().splitlines() if "prune" in line]
    assert len(asked) == 3
    assert all("--filter=label=com.docker.compose.project=shop" in line and " --all" not in line for line in asked)
    assert "--filter=label=com.docker.compose.oneoff=True" in asked[0]
    assert "==> Images that have no name any more: 2 layers removed, 36.1MB freed\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "from_registry"),
    [("echo '[\"debian@sha256:1\"]'", True), ("echo '[]'", False), ("echo null", False), ("exit 1", True)],
)
def test_base_of_a_registry_has_a_digest_of_it(docker, answer, from_registry):
    environment = docker(f"'image inspect --format {{{{json .RepoDigests}}}} base') {answer} ;;")
    assert upkeep.is_from_registry("base", environment) is from_registry


def test_packages_of_the_images_that_run(docker):
    found = containers.read(
        [inspected("app", Image="a"), inspected("shop-tool", Image="b"), inspected("nginx", state="exited")]
    )
    words = "run --rm --pull=never --network=none --entrypoint dpkg-query a -W -f"
    assert upkeep.packages(found, docker(f"'{words}'*) echo libc6 2.41-12; echo tzdata 2025b ;;")) == {
        "app": {"libc6": "2.41-12", "tzdata": "2025b"}
    }
    assert upkeep.packages(found, docker("")) == {"app": {}}


def test_differences_are_named():
    before = {"app": {"libc6": "1", "tzdata": "1"}, "nginx": {"nginx": "1"}}
    after = {"app": {"libc6": "2", "tzdata": "1", "new": "1"}, "nginx": {"nginx": "1"}, "acme": {"x": "1"}}
    assert upkeep.differences(before, after) == ["app: libc6 1 → 2"]
    assert upkeep.differences(before, before) == ["No package is newer than before"]
    many = {"app": {f"lib{number:02}": "1" for number in range(20)}}
    newer = {"app": dict.fromkeys(many["app"], "2")}
    assert upkeep.differences(many, newer)[0].endswith("lib11 1 → 2 and 8 more")


@pytest.mark.parametrize(
    ("base", "digests", "options", "said"),
    [
        ("debian:x", "[debian@sha256:1]", ("--no-cache", "--pull"), ""),
        ("debian:x", "[]", ("--no-cache",), "was made on this machine"),
        ("debian@sha256:1", "[]", ("--no-cache",), "is pinned to a digest"),
    ],
)
def test_update_builds_without_the_cache_and_goes_the_way_of_up(
    docker, monkeypatch, capsys, base, digests, options, said
):
    called = []
    monkeypatch.setattr(run, "call", lambda *arguments: called.append(arguments) or 0)
    environment = docker(f"'image inspect'*) echo '{digests}' ;; ps*) ;;") | {"BASE_IMAGE": base}
    assert upkeep.update(environment) == 0
    assert called == [("update", environment, run.Options(build_options=options))]
    assert said in capsys.readouterr().out


def test_update_that_fails_says_nothing_of_packages(docker, monkeypatch, capsys):
    monkeypatch.setattr(run, "call", lambda *_: 1)
    assert upkeep.update(docker("'image inspect'*) echo '[x]' ;; ps*) ;;")) == 1
    assert capsys.readouterr().out == ""


def test_default_base_is_the_dockerfile_s():
    assert upkeep.default_base().startswith("debian:")
