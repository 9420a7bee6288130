"""The command as a user runs it, up to where it would serve: its output and its exit status."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk._version import __version__
from ropewalk.config.flags import COMMANDS
from ropewalk.config.settings import all_settings
from ropewalk.config.table import POSITIONAL

APPLICATION = """\
def application(environ, start_response):
    start_response("200 OK", [])
    return []
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


def run(project: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ropewalk", *arguments],
        cwd=project,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_version(project: Path) -> None:
    done = run(project, "--version")
    assert done.returncode == 0
    has_gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    python = f"cpython {'.'.join(map(str, sys.version_info[:3]))}" + ("" if has_gil else " free-threaded")
    assert done.stdout in {f"ropewalk {__version__} ({python}, {build})\n" for build in ("pure", "compiled")}


def test_help_fits_on_a_page_and_has_commands_and_examples(project: Path) -> None:
    done = run(project, "--help")
    assert done.returncode == 0
    assert "ropewalk [OPTIONS] MODULE:CALLABLE" in done.stdout
    assert "ropewalk -b 0.0.0.0:8000 -w 4 project.wsgi" in done.stdout
    shown = {setting.flag for setting in all_settings() if re.search(rf"{setting.flag}\b(?!-)", done.stdout)}
    assert shown == {setting.flag for setting in all_settings() if setting.declaration.is_common} | {POSITIONAL}
    assert len(shown) <= 17
    assert {name for name in COMMANDS if f"\n  {name} " in done.stdout} == set(COMMANDS)


def test_help_all_has_every_option(project: Path) -> None:
    done = run(project, "--help-all")
    assert done.returncode == 0
    assert [flag for setting in all_settings() for flag in setting.declaration.flags if flag not in done.stdout] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_a_help(project: Path, command: str) -> None:
    done = run(project, command, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: ropewalk {command} [-h]")


@pytest.mark.parametrize(
    ("arguments", "env", "line"),
    [
        ([], {}, "ropewalk: MODULE:CALLABLE: is missing; try: ropewalk project.wsgi:application"),
        (["-w", "0", "shop"], {}, "ropewalk: --workers='0': must be an integer from 1 to 1024"),
        (
            ["shop"],
            {"WEB_CONCURRENCY": "two"},
            "ropewalk: --workers='two' (from WEB_CONCURRENCY): must be an integer from 1 to 1024",
        ),
        (["--worker", "2", "shop"], {}, "ropewalk: --worker: no such option; did you mean --workers?"),
        (["-b", "[::1", "shop"], {}, "ropewalk: --bind='[::1': an IPv6 address must have the form [::1]:8000"),
        (["-b", "fd://999", "shop"], {}, "ropewalk: --bind='fd://999': no such descriptor is open in this process"),
        (["--user", "nobody-at-all", "shop"], {}, "ropewalk: --user='nobody-at-all': no such user"),
        (["--check-config", "-g", "no-group", "shop"], {}, "ropewalk: --group='no-group': no such group"),
        (["-m", "22", "shop"], {}, "ropewalk: --umask='22': must be an octal mode from 0 to 0777 with a "),
        (
            ["--limit-request-line", "0", "shop"],
            {},
            "ropewalk: --limit-request-line='0': must be an integer from 64 to 1048576 (0 does not mean unlimited",
        ),
        (["--chdir", "gone", "shop"], {}, "ropewalk: --chdir='gone': no such file or directory"),
        (["-p", "gone/pid", "shop"], {}, "ropewalk: --pid='gone/pid': cannot be written: No such file or directory"),
        (
            ["--access-logformat", "%(nope)s", "shop"],
            {},
            "ropewalk: --access-logformat='%(nope)s': '%(nope)s' is not one of ",
        ),
        (["-c", "gone.py", "shop"], {}, "ropewalk: --config='gone.py': cannot be read: No such file or directory"),
    ],
)
def test_bad_setting_is_one_line_and_status_2(
    project: Path, arguments: list[str], env: dict[str, str], line: str
) -> None:
    done = run(project, *arguments, **env)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(line)
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (["--error-logfile", "gone/error.log"], "--error-logfile"),
        (["--access-logfile", "gone/access.log"], "--access-logfile"),
        (["--static", "/static/=gone"], "--static"),
    ],
)
def test_unusable_path_is_reported_before_any_worker_is_forked(project: Path, arguments: list[str], flag: str) -> None:
    done = run(project, "-b", "127.0.0.1:0", *arguments, "shop")
    assert done.returncode == 2
    assert done.stderr.startswith(f"ropewalk: {flag}='")
    assert "gone" in done.stderr
    assert done.stderr.count("\n") == 1


def test_port_in_use_is_one_line_and_status_2_and_leaves_no_pid_file(project: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        bind = f"127.0.0.1:{other.getsockname()[1]}"
        done = run(project, "-b", bind, "-p", "server.pid", "--log-level", "error", "shop")
    assert done.returncode == 2
    assert done.stderr.startswith(f"ropewalk: --bind='{bind}': already in use")
    assert done.stderr.count("\n") == 1
    assert not (project / "server.pid").exists()


def test_address_looks_the_same_when_it_is_read_and_when_it_is_bound(project: Path) -> None:
    arguments = ("--log-level", "error", "shop")
    assert run(project, *arguments, ROPEWALK_BIND="127.0.0.1:x").stderr.startswith(
        "ropewalk: --bind='127.0.0.1:x' (from ROPEWALK_BIND): the port must be"
    )
    assert run(project, *arguments, ROPEWALK_BIND="192.0.2.1:80").stderr == (
        "ropewalk: --bind='192.0.2.1:80' (from ROPEWALK_BIND): not an address of this machine\n"
    )
    (project / "server.toml").write_text("bind = 'unix:gone/shop.sock'\n")
    assert run(project, "-c", "server.toml", *arguments).stderr == (
        "ropewalk: --bind='unix:gone/shop.sock' (from server.toml): its directory does not exist\n"
    )


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("gone:application", "no module named 'gone'"),
        ("shop:gone", "has no attribute 'gone'"),
        ("shop:__name__", "is not callable"),
    ],
)
def test_application_that_cannot_be_loaded_is_one_line_and_status_3(project: Path, spec: str, reason: str) -> None:
    done = run(project, "-b", "127.0.0.1:0", "-w", "2", "--log-level", "error", spec)
    assert done.returncode == 3
    assert done.stderr.startswith(f"ropewalk: MODULE:CALLABLE='{spec}': ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_application_that_raises_is_shown_with_the_traceback_of_its_own_code(project: Path) -> None:
    (project / "broken.py").write_text("import gone_and_lost\n")
    done = run(project, "-b", "127.0.0.1:0", "--log-level", "error", "broken")
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("ropewalk: MODULE:CALLABLE='broken': ")
    assert "No module named 'gone_and_lost'" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1
    assert 'File "' + str(project / "broken.py") in done.stderr
    assert "ropewalk/" not in done.stderr


def test_check_config_loads_the_application(project: Path) -> None:
    done = run(project, "--check-config", "shop")
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration ok\n", "")


def test_check_config_reports_an_application_that_cannot_be_loaded(project: Path) -> None:
    done = run(project, "--check-config", "shop:gone")
    assert done.returncode == 2
    assert done.stderr.startswith("ropewalk: MODULE:CALLABLE='shop:gone': ")
    assert done.stderr.count("\n") == 1


def test_print_config_shows_values_and_origins_and_needs_no_application(project: Path) -> None:
    (project / "server.toml").write_text("threads = 4\n")
    done = run(project, "--print-config", "-c", "server.toml", "-w", "3", ROPEWALK_TIMEOUT="7")
    assert done.returncode == 0
    lines = {line.split()[0]: " ".join(line.split()[2:]) for line in done.stdout.splitlines()}
    assert lines["workers"] == "3 # --workers"
    assert lines["timeout"] == "7 # ROPEWALK_TIMEOUT"
    assert lines["threads"] == "4 # server.toml"
    assert lines["backlog"] == "2048 # default"


def test_directory_path_and_variables_are_set_before_the_application_is_imported(project: Path) -> None:
    inner, library = project / "inner", project / "library"
    inner.mkdir()
    library.mkdir()
    (library / "helper_of_shop.py").write_text("")
    (inner / "place.py").write_text(
        "import os, helper_of_shop\n"
        f"assert os.getcwd() == {str(inner)!r}\n"
        "assert os.environ['GREETING'] == 'a=b,c'\n" + APPLICATION
    )
    done = run(
        project, "--check-config", "--chdir", "inner", "--pythonpath", "../library", "-e", "GREETING=a=b,c", "place"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration ok\n", "")


def test_console_script_finds_modules_in_the_current_directory(project: Path) -> None:
    script = Path(sys.executable).with_name("ropewalk")
    done = subprocess.run(
        [script, "--check-config", "shop"], cwd=project, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "configuration ok\n", "")


def test_warnings_of_a_gunicorn_file_are_logged(project: Path) -> None:
    (project / "gunicorn.conf.py").write_text("worker_class = 'gevent'\n")
    done = run(project, "--check-config", "-c", "gunicorn.conf.py", "shop")
    assert done.returncode == 0
    assert "[WARNING] gunicorn.conf.py: worker_class has no effect: remove it" in done.stderr


@pytest.mark.parametrize("option", ["--print-config", "--check-config"])
def test_full_standard_output_is_reported_in_one_line(project: Path, option: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ropewalk", option, "shop"],
            cwd=project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "ropewalk: standard output: cannot be written: No space left on device\n"


def test_reader_that_stops_early_is_not_an_error(project: Path) -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    with open(writing_end, "w") as unread:
        done = subprocess.run(
            [sys.executable, "-m", "ropewalk", "--print-config", "shop"],
            cwd=project,
            stdout=unread,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
