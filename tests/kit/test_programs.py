"""Programs that a project adds to the kit's, in supervisor.d/*.conf."""

import configparser
import re

import pytest

import supervise

KIT = """
[supervisord]
nodaemon = true
[group:kit]
programs = backend
[program:backend]
command = /kit/bin/serve
"""


@pytest.fixture
def folder(tmp_path):
    """folder(NAME=text, ...): a supervisor.d with these files."""

    def written(**files):
        for name, text in files.items():
            (tmp_path / f"{name}.conf").write_text(text)
        return tmp_path

    return written


def refusal(folder):
    with pytest.raises(supervise.ConfigError) as raised:
        supervise.merge(KIT, folder)
    return str(raised.value)


def test_without_a_folder_the_kit_s_programs_are_all(tmp_path):
    merged = supervise.merge(KIT, tmp_path / "none")
    assert merged.sections() == ["supervisord", "group:kit", "program:backend"]
    assert merged.get("group:kit", "programs") == "backend"


def test_added_program_stops_with_the_server_and_logs_to_the_container(folder):
    merged = supervise.merge(KIT, folder(worker="[program:worker]\ncommand = python manage.py work ; a comment\n"))
    assert merged.get("group:kit", "programs") == "backend,worker"
    assert dict(merged.items("program:worker")) == {
        "command": "python manage.py work",
        "directory": "/app",
        "killasgroup": "true",
        "stopwaitsecs": "%(ENV_STOP_WAIT)s",
        "stdout_logfile": "/dev/fd/1",
        "stdout_logfile_maxbytes": "0",
        "stderr_logfile": "/dev/fd/2",
        "stderr_logfile_maxbytes": "0",
    }


def test_added_program_runs_where_the_server_does(folder, monkeypatch):
    monkeypatch.setenv("PROJECT_FOLDER", "/app/src")
    merged = supervise.merge(KIT, folder(worker="[program:worker]\ncommand = python manage.py work\n"))
    assert merged.get("program:worker", "directory") == "/app/src"


def test_options_of_the_project_s_own_are_kept(folder):
    text = "[program:worker]\ncommand = %(here)s/work\nstopwaitsecs = 3\nredirect_stderr = true\n"
    merged = supervise.merge(KIT, folder(worker=text))
    assert merged.get("program:worker", "command") == f"{folder()}/work"
    assert merged.get("program:worker", "stopwaitsecs") == "3"
    assert not merged.has_option("program:worker", "stderr_logfile")


def test_program_in_a_group_of_the_project_s_own_stays_there(folder):
    text = "[program:a]\ncommand = a\n[program:b]\ncommand = b\n[group:own]\nprograms = a\n"
    merged = supervise.merge(KIT, folder(a=text))
    assert merged.get("group:kit", "programs") == "backend,b"
    assert merged.get("group:own", "programs") == "a"


@pytest.mark.parametrize("section", ["program:backend", "group:kit", "supervisord"])
def test_section_of_the_kit_s_cannot_be_replaced(folder, section):
    path = folder(mine=f"[{section}]\ncommand = other\n") / "mine.conf"
    assert refusal(path.parent) == f"{path}: [{section}] is defined already"


def test_program_that_two_files_define_is_refused(folder):
    text = "[program:worker]\ncommand = a\n"
    assert refusal(folder(a=text, b=text)).endswith("b.conf: [program:worker] is defined already")


@pytest.mark.parametrize("text", ["command = a\n", "[program:a\n", "[program:a]\nno option\n"])
def test_file_that_cannot_be_parsed_is_refused_in_one_line(folder, text):
    assert re.fullmatch(rf"{folder(mine=text)}/mine\.conf: .+", refusal(folder()))


def test_the_kit_s_configuration_is_merged_and_read_back_unchanged(repository, tmp_path):
    text = (repository / "deploy/supervisor/supervisord.conf").read_text()
    with (tmp_path / "merged").open("w") as file:
        supervise.merge(text, tmp_path).write(file)
    original, merged = (configparser.RawConfigParser(inline_comment_prefixes=(";",)) for _ in range(2))
    original.read_string(text)
    merged.read(tmp_path / "merged")
    assert merged == original


PROGRAM = """
[program:ticker]
command = bash -c 'trap "echo ticker has stopped; exit 0" TERM; echo ticker has started; while :; do sleep 0.1; done'
"""


@pytest.mark.docker
def test_project_s_program_runs_beside_the_server_and_stops_with_it(
    image_of, container, execute, wait, repository, tmp_path
):
    (tmp_path / "wsgi.py").write_text((repository / "tests/kit/plain_project/wsgi.py").read_text())
    (tmp_path / "supervisor.d").mkdir()
    (tmp_path / "supervisor.d/ticker.conf").write_text(PROGRAM)
    # neither a module nor a configuration of the project's takes the place of supervisor's
    (tmp_path / "supervisor").mkdir()
    (tmp_path / "supervisor/__init__.py").write_text("raise SystemExit('the wrong supervisor')\n")
    (tmp_path / "supervisord.conf").write_text("[supervisorctl]\nserverurl = http://127.0.0.1:1\n")
    name = container(image_of(tmp_path), options=("--env", "WSGI_APP=wsgi:application"))

    def status():
        done = execute("docker", "exec", name, "supervisorctl", "status", check=False)
        return {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}

    wait(lambda: status() == dict.fromkeys(["fatal", "kit:backend", "kit:ticker"], "RUNNING"), "all programs run")
    health = ("docker", "exec", name, "/kit/bin/probe", "127.0.0.1", "8000", "/healthz")
    assert execute(*health, check=False).returncode == 0
    assert "ticker has started" in execute("docker", "logs", name).stdout
    execute("docker", "stop", "--time", "40", name)
    assert execute("docker", "inspect", "--format", "{{.State.ExitCode}}", name).stdout == "0\n"
    assert "ticker has stopped" in execute("docker", "logs", name).stdout


@pytest.mark.docker
def test_program_that_cannot_be_kept_running_ends_the_container_and_is_named(
    plain_container, execute, wait, repository, tmp_path
):
    (tmp_path / "broken.conf").write_text("[program:broken]\ncommand = false\nstartretries = 1\n")
    tmp_path.chmod(0o755)
    mount = ("--volume", f"{tmp_path}:/app/supervisor.d:ro")
    name = plain_container(options=mount)
    state = ("docker", "inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", name)
    wait(lambda: execute(*state).stdout == "false 3\n", "the container has ended with status 3")
    assert "supervise: kit:broken could not be kept running" in execute("docker", "logs", name).stderr


@pytest.mark.docker
def test_file_that_cannot_be_used_stops_the_start(plain_container, execute, wait, tmp_path):
    (tmp_path / "mine.conf").write_text("[program:backend]\ncommand = other\n")
    tmp_path.chmod(0o755)
    name = plain_container(options=("--volume", f"{tmp_path}:/app/supervisor.d:ro"))
    state = ("docker", "inspect", "--format", "{{.State.Running}} {{.State.ExitCode}}", name)
    wait(lambda: execute(*state).stdout == "false 2\n", "the container has ended with status 2")
    said = execute("docker", "logs", name).stderr
    assert said == "supervise: /app/supervisor.d/mine.conf: [program:backend] is defined already\n"
