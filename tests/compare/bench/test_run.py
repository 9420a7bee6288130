"""Where `make bench` measures: in an image where a Docker engine answers, else on this machine; and that it says so."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

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
    "timeout",
)
DOCKER = """#!/usr/bin/env bash
echo "$*" >>"$FAKES/asked"
answer=$FAKES/docker-$1
[[ $* == *--entrypoint* ]] && answer=$FAKES/docker-look
[[ ! -e $answer ]] || source "$answer"
"""
PYTHON = """#!/usr/bin/env bash
[[ $1 == -c || $* == *"/deploy/kit venv "* ]] || echo "host: $*"
"""


class Machine:
    """One with the programs that the script wants, and a `docker` that does what a test says."""

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
        """What `docker COMMAND` does; `look` is the container that looks whether it sees the checkout."""
        (self.folder / f"docker-{command}").write_text(script)

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        variables = {"PATH": str(self.bin), "BENCH_VENV": str(self.folder / "environment"), "FAKES": str(self.folder)}
        return subprocess.run(
            [RUN, *arguments], env=variables | environ, capture_output=True, text=True, timeout=60, check=False
        )

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_it_runs_in_an_image_that_is_made_first_and_says_so(machine: Machine) -> None:
    done = machine.run("bench", "--quick", "hello", BASE_IMAGE="debian:one")
    assert done.returncode == 0
    assert "Measuring in the image ropewalk-bench:bench, of debian:one" in done.stderr
    assert "host:" not in done.stdout
    (build,) = [line for line in machine.asked if line.startswith("build")]
    assert "--build-arg BASE_IMAGE=debian:one" in build
    last = machine.asked[-1]
    assert last.startswith("run --rm --init --network none")
    assert f"--user {os.getuid()}:{os.getgid()}" in last
    assert f"type=bind,source={REPOSITORY},target={REPOSITORY} " in last
    assert last.endswith("ropewalk-bench:bench bench --quick hello")


@pytest.mark.parametrize(
    ("command", "script", "reason"),
    [
        ("info", "exit 1", "no Docker engine answers"),
        ("info", "sleep 60", "no Docker engine answers"),
        ("build", "echo no such host >&2; exit 1", "the image could not be built"),
        ("look", "echo no such path; exit 125", "a container cannot see this checkout: no such path"),
    ],
)
def test_without_an_engine_that_is_of_use_it_runs_here_and_says_why(
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


def test_without_docker_and_where_it_is_asked_for_it_runs_here(machine: Machine) -> None:
    done = machine.run("bench", BENCH_ON="host")
    assert "(as BENCH_ON=host asks for)" in done.stderr
    assert machine.asked == []
    (machine.bin / "docker").unlink()
    assert "(there is no docker here)" in machine.run("bench").stderr


def test_another_value_is_refused_in_one_line(machine: Machine) -> None:
    done = machine.run("bench", BENCH_ON="moon")
    assert done.returncode == 2
    assert done.stderr == "bench: BENCH_ON 'moon': host, docker, or nothing, for docker where it answers\n"


@pytest.mark.parametrize("form", ["{option}={path}", "{option} {path}"])
def test_folders_elsewhere_are_mounted_too(machine: Machine, tmp_path: Path, form: str) -> None:
    (tmp_path / "old").mkdir()
    words = [
        word
        for option, name in (("--before", "old"), ("--output", "new"))
        for word in form.format(option=option, path=tmp_path / name).split()
    ]
    machine.run("bench", *words)
    for name in ("old", "new"):
        assert f"type=bind,source={tmp_path}/{name},target={tmp_path}/{name} " in machine.asked[-1]
    assert (tmp_path / "new").is_dir()


def test_an_engine_without_root_is_root_only_inside(machine: Machine) -> None:
    machine.when("info", "echo '[name=seccomp name=rootless]'")
    machine.run("bench")
    assert "--user" not in machine.asked[-1]


def test_what_looks_into_processes_may_do_so_and_writes_nothing_as_root(machine: Machine) -> None:
    machine.run("bench.syscalls", "bjoern")
    assert (
        f"--cap-add SYS_PTRACE --cap-add SYS_ADMIN --mount type=bind,source={REPOSITORY},target={REPOSITORY},readonly"
        in (machine.asked[-1])
    )
    assert machine.asked[-1].endswith("ropewalk-bench:profile bench.syscalls bjoern")


def test_a_page_that_was_not_measured_does_not_take_the_old_ones_place(machine: Machine) -> None:
    page = REPOSITORY / "docs" / "benchmarks" / "profile.md"
    before = page.read_text()
    machine.when("run", "echo '# half'; exit 130")
    assert machine.run("bench.page").returncode == 130
    assert page.read_text() == before
    assert not page.with_name("profile.md.new").exists()


@pytest.mark.docker
def test_what_it_writes_is_the_callers_and_no_container_is_left(tmp_path: Path) -> None:
    words = ("hello", "--only", "ropewalk", "--rounds", "1", "--seconds", "1", "--output", str(tmp_path / "out"))
    environ = os.environ | {"BENCH_ON": "docker"}
    process = subprocess.Popen([RUN, "bench", *words], env=environ, stderr=subprocess.PIPE, text=True, stdout=-3)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    for name in ("results.json", "README.md", "hello.svg"):
        assert (tmp_path / "out" / name).stat().st_uid == os.getuid()
    document = (tmp_path / "out" / "README.md").read_text()
    assert "| in an image of " in document
    assert "of the package python3" in document
    names = subprocess.run(
        ["docker", "ps", "--all", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout
    assert f"ropewalk-bench-{process.pid}" not in names.split()
