"""Where `make bench` measures: in a container if a Docker engine is running, else on the host; and that it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.helpers.paths import REPOSITORY

RUN = REPOSITORY / "compare" / "bench" / "run"
TOOLS = (
    "bash",
    "cut",
    "dirname",
    "env",
    "git",
    "id",
    "mkdir",
    "mktemp",
    "realpath",
    "rm",
    "mv",
    "sleep",
    "tail",
    "tar",
    "timeout",
)
DOCKER = """#!/usr/bin/env bash
echo "$*" >>"$FAKES/calls"
script=$FAKES/docker-$1
[[ $* == *--entrypoint* ]] && script=$FAKES/docker-test
[[ ! -e $script ]] || source "$script"
"""
PYTHON = """#!/usr/bin/env bash
[[ $1 == -c || $* == *"/deploy/kit venv "* ]] || echo "host: $*"
"""


class Machine:
    """A machine with the programs that the script needs, and a fake `docker`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.script(folder / "environment" / "bin" / "python", PYTHON)
        self.script(folder / "environment" / "bin" / "pip", PYTHON)
        self.script(self.bin / "python3", PYTHON)
        self.script(self.bin / "docker", DOCKER)

    def script(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def when(self, command: str, script: str) -> None:
        """What `docker COMMAND` does; `test` is the container that tests whether it sees the checkout."""
        (self.folder / f"docker-{command}").write_text(script)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": str(self.bin), "BENCH_VENV": str(self.folder / "environment"), "FAKES": str(self.folder)}
        return subprocess.run(
            [RUN, *arguments], env=variables | environ, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def docker_calls(self) -> list[str]:
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_run_builds_an_image_and_runs_in_it(machine: Machine) -> None:
    done = machine.run("bench", "--quick", "hello", BASE_IMAGE="debian:one")
    assert done.returncode == 0
    assert "Measuring in the image ropewalk-bench:bench, built from debian:one" in done.stderr
    assert "host:" not in done.stdout
    (build,) = [line for line in machine.docker_calls if line.startswith("build")]
    assert "--build-arg BASE_IMAGE=debian:one" in build
    last = machine.docker_calls[-1]
    assert last.startswith("run --rm --init --network none")
    assert f"--user {os.getuid()}:{os.getgid()}" in last
    assert f"type=bind,source={REPOSITORY},target={REPOSITORY} " in last
    assert last.endswith("ropewalk-bench:bench bench --quick hello")


@pytest.mark.parametrize(
    ("command", "script", "reason"),
    [
        ("info", "exit 1", "no Docker engine is running"),
        ("info", "sleep 60", "no Docker engine is running"),
        ("build", "echo no such host >&2; exit 1", "the image could not be built"),
        ("test", "echo no such path; exit 125", "a container cannot see this checkout: no such path"),
    ],
)
def test_without_a_usable_engine_it_runs_on_the_host_and_says_why(
    machine: Machine, command: str, script: str, reason: str
) -> None:
    machine.when(command, script)
    done = machine.run("bench", "--quick", ENGINE_TIMEOUT="1")
    assert done.returncode == 0
    assert f"Measuring on this machine, without a container ({reason})" in done.stderr
    assert done.stdout.splitlines() == ["host: -m bench.install", "host: -m bench --quick"]
    forced = machine.run("bench", BENCH_ON="docker", ENGINE_TIMEOUT="1")
    assert forced.returncode == 2
    assert f"bench: BENCH_ON=docker: {reason}" in forced.stderr
    assert forced.stdout == ""


def test_without_docker_and_on_request_it_runs_on_the_host(machine: Machine) -> None:
    done = machine.run("bench", BENCH_ON="host")
    assert "(BENCH_ON=host)" in done.stderr
    assert machine.docker_calls == []
    (machine.bin / "docker").unlink()
    assert "(docker is not installed)" in machine.run("bench").stderr


def test_an_unknown_value_of_bench_on_is_refused_in_one_line(machine: Machine) -> None:
    done = machine.run("bench", BENCH_ON="moon")
    assert done.returncode == 2
    assert done.stderr == (
        "bench: BENCH_ON='moon': must be host or docker (or empty: docker if an engine is running)\n"
    )


@pytest.mark.parametrize("form", ["{option}={path}", "{option} {path}"])
def test_folders_outside_the_checkout_are_mounted_too(machine: Machine, tmp_path: Path, form: str) -> None:
    (tmp_path / "old").mkdir()
    words = [
        word
        for option, name in (("--before", "old"), ("--output", "new"))
        for word in form.format(option=option, path=tmp_path / name).split()
    ]
    machine.run("bench", *words)
    for name in ("old", "new"):
        assert f"type=bind,source={tmp_path}/{name},target={tmp_path}/{name} " in machine.docker_calls[-1]
    assert (tmp_path / "new").is_dir()


def test_a_rootless_engine_needs_no_user(machine: Machine) -> None:
    machine.when("info", "echo '[name=seccomp name=rootless]'")
    machine.run("bench")
    assert "--user" not in machine.docker_calls[-1]


def test_profiling_may_look_into_processes_and_cannot_write_as_root(machine: Machine) -> None:
    machine.run("bench.profile.syscalls", "bjoern")
    assert (
        f"--cap-add SYS_PTRACE --cap-add SYS_ADMIN --mount type=bind,source={REPOSITORY},target={REPOSITORY},readonly"
        in (machine.docker_calls[-1])
    )
    assert machine.docker_calls[-1].endswith("ropewalk-bench:profile bench.profile.syscalls bjoern")


def test_an_interrupted_profile_does_not_replace_the_page(machine: Machine) -> None:
    page = REPOSITORY / "docs" / "benchmarks" / "profile.md"
    before = page.read_text()
    machine.when("run", "echo '# half'; exit 130")
    assert machine.run("bench.profile").returncode == 130
    assert page.read_text() == before
    assert not page.with_name("profile.md.new").exists()


@pytest.mark.docker
def test_files_belong_to_the_caller_and_no_container_remains(tmp_path: Path) -> None:
    words = ("hello", "--only", "ropewalk", "--rounds", "1", "--seconds", "1", "--output", str(tmp_path / "out"))
    environ = os.environ | {"BENCH_ON": "docker"}
    process = subprocess.Popen([RUN, "bench", *words], env=environ, stderr=subprocess.PIPE, text=True, stdout=-3)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    for name in ("results.json", "README.md", "plots/hello.svg"):
        assert (tmp_path / "out" / name).stat().st_uid == os.getuid()
    page = (tmp_path / "out" / "README.md").read_text()
    assert "| an image of " in page
    assert "| CPython 3.13" in page
    assert ", package python3" in page
    plot = ElementTree.parse(tmp_path / "out" / "plots" / "hello.svg")
    texts = [element.text for element in plot.iter("{http://www.w3.org/2000/svg}text")]
    assert "Hello, keep-alive connections" in texts
    assert "ropewalk" in texts
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout
    assert f"ropewalk-bench-{process.pid}" not in names.split()
