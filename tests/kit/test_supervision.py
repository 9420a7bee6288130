"""How the application container starts, recovers, stops and fails."""

import concurrent.futures
import json
import secrets

import pytest

pytestmark = pytest.mark.docker
BACKENDS = ["gunicorn", "ropewalk"]


def exit_status(execute, name):
    return int(execute("docker", "inspect", "--format", "{{.State.ExitCode}}", name).stdout)


def is_running(execute, name):
    return execute("docker", "inspect", "--format", "{{.State.Running}}", name).stdout.strip() == "true"


def output(execute, name):
    done = execute("docker", "logs", name)
    return done.stdout + done.stderr


def is_answering(execute, name):
    return (
        execute("docker", "exec", name, "/kit/bin/probe", "127.0.0.1", "8000", "/healthz", check=False).returncode == 0
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_stop_in_the_middle_of_a_request_loses_nothing(new_stack, execute, wait, backend):
    stack = new_stack("plain", BACKEND=backend)
    stack.up()
    app = stack.container("app")
    token = secrets.token_hex(8)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        request = thread.submit(stack.request, f"/slow?seconds=10&token={token}")
        arrived = ("docker", "exec", app, "test", "-e", f"/tmp/{token}")
        wait(lambda: execute(*arrived, check=False).returncode == 0, "the request has reached the application")
        stack.compose("stop", "app")
        answer = request.result(timeout=60)
    assert (answer.status, answer.content) == (200, b"slept\n")
    assert exit_status(execute, app) == 0


def test_a_drain_delay_is_served_through_before_the_end(plain_container, execute, wait):
    name = plain_container("server", options=("--env", "BACKEND=ropewalk", "--env", "DRAIN_DELAY=2"))
    wait(lambda: is_answering(execute, name), "the backend answers")
    execute("docker", "kill", "--signal", "TERM", name)
    wait(lambda: "No longer ready; still serving for 2 s" in output(execute, name), "the delay has begun")
    assert is_answering(execute, name)
    wait(lambda: not is_running(execute, name), "the container has ended")
    assert exit_status(execute, name) == 0


def test_server_and_supervisor_can_be_asked_inside_the_container(plain_container, execute, wait):
    name = plain_container(options=("--env", "BACKEND=ropewalk", "--env", "THREADS=3"))
    wait(lambda: is_answering(execute, name), "the backend answers")
    status = json.loads(execute("docker", "exec", name, "ropewalk", "status", "--json").stdout)
    assert (status["ready"], str(status["pid"])) == (True, backend_pid(execute, name))
    assert "ropewalk-2 (" in execute("docker", "exec", name, "ropewalk", "stacks").stdout
    execute("docker", "exec", name, "ropewalk", "reload")
    wait(lambda: "Reloaded: " in output(execute, name), "other workers serve")
    programs = execute("docker", "exec", name, "supervisorctl", "status").stdout.splitlines()
    assert [line.split()[0] for line in programs] == ["fatal", "kit:backend"]


def backend_pid(execute, name):
    return execute("docker", "exec", name, "cat", "/tmp/backend.pid").stdout.strip()


@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_backend_comes_back(plain_container, execute, wait, backend):
    name = plain_container(options=("--env", f"BACKEND={backend}"))
    wait(lambda: is_answering(execute, name), "the backend answers")
    first = execute("docker", "exec", name, "cat", "/tmp/backend.pid").stdout.strip()
    execute("docker", "exec", name, "python", "-c", f"import os; os.kill({first}, 9)")

    def came_back():
        now = execute("docker", "exec", name, "cat", "/tmp/backend.pid", check=False).stdout.strip()
        return now not in ("", first) and is_answering(execute, name)

    wait(came_back, "another backend answers")
    assert is_running(execute, name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_that_cannot_start_ends_the_container_with_a_status(plain_container, execute, wait, backend):
    name = plain_container(options=("--env", f"BACKEND={backend}", "--env", "WSGI_APP=missing_module:application"))
    wait(lambda: not is_running(execute, name), "the container has given up")
    assert exit_status(execute, name) == 3
    said = output(execute, name)
    assert "missing_module" in said
    assert "could not be kept running" in said


@pytest.mark.parametrize("mode", ["supervisor", "server"])
def test_unknown_backend_is_an_error_that_lists_the_known(plain_container, execute, wait, mode):
    name = plain_container(mode, options=("--env", "BACKEND=nope"))
    wait(lambda: not is_running(execute, name), "the container has ended")
    assert exit_status(execute, name) == 2
    assert output(execute, name).strip() == "entrypoint: BACKEND='nope': must be one of gunicorn, ropewalk"


@pytest.mark.parametrize("backend", BACKENDS)
def test_server_can_be_process_1_and_stops_gracefully(plain_container, execute, wait, backend):
    name = plain_container("server", options=("--env", f"BACKEND={backend}"))
    wait(lambda: is_answering(execute, name), "the backend answers")
    assert execute("docker", "exec", name, "cat", "/tmp/backend.pid").stdout.strip() == "1"
    execute("docker", "stop", "--time", "40", name)
    assert exit_status(execute, name) == 0


def test_supervised_container_stops_with_status_0(plain_container, execute, wait):
    name = plain_container(options=("--env", "BACKEND=gunicorn"))
    wait(lambda: is_answering(execute, name), "the backend answers")
    execute("docker", "stop", "--time", "45", name)
    assert exit_status(execute, name) == 0


@pytest.mark.parametrize(("cpus", "workers"), [("0.5", 1), ("1.5", 2)])
def test_number_of_workers_comes_from_the_cpu_quota(plain_container, execute, wait, cpus, workers):
    name = plain_container("server", options=("--env", "BACKEND=gunicorn", "--cpus", cpus))
    wait(lambda: is_answering(execute, name), "the backend answers")
    environment = execute("docker", "exec", name, "cat", "/proc/1/environ").stdout.split("\0")
    assert f"WEB_CONCURRENCY={workers}" in environment


def test_a_stop_that_would_cut_requests_short_is_refused(plain_container, execute, wait):
    settings = ("--env", "REQUEST_TIMEOUT=60", "--env", "STOP_GRACE_PERIOD=45s")
    name = plain_container(options=settings)
    wait(lambda: not is_running(execute, name), "the container has ended")
    assert exit_status(execute, name) == 2
    said = output(execute, name).strip()
    assert said == "entrypoint: STOP_GRACE_PERIOD='45s': must be at least 75s with REQUEST_TIMEOUT=60"


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("THREADS", "many", "entrypoint: THREADS='many': must be an integer from 1 to 1024"),
        (
            "WSGI_APP",
            "missing:application",
            "ropewalk: MODULE:CALLABLE='missing:application': no module named 'missing'",
        ),
    ],
)
def test_bad_value_ends_up_at_once_and_the_log_says_why_in_one_line(new_stack, variable, value, line):
    stack = new_stack("plain", **{variable: value})
    done = stack.compose("up", "--no-build", "--wait", "--wait-timeout", "120", check=False)
    assert done.returncode != 0
    assert 'service "release" didn\'t complete successfully: exit 2' in done.stderr
    said = [each for each in stack.logs("release").splitlines() if not each.startswith("release: ")]
    assert len(said) == 1
    assert said[0].startswith(line)
    assert stack.logs("app") == ""


def test_secret_given_twice_is_refused(plain_container, execute, wait):
    name = plain_container(options=("--env", "SECRET_KEY=a", "--env", "SECRET_KEY_FILE=/etc/hostname"))
    wait(lambda: not is_running(execute, name), "the container has ended")
    assert (exit_status(execute, name), output(execute, name).strip()) == (
        2,
        "entrypoint: SECRET_KEY and SECRET_KEY_FILE are both set: set only one of them",
    )


def test_trust_in_a_network_that_is_not_there_is_refused(plain_container, execute, wait):
    name = plain_container("server", options=("--env", "FORWARDED_ALLOW_IPS=back"))
    wait(lambda: not is_running(execute, name), "the container has ended")
    assert exit_status(execute, name) == 2
    assert output(execute, name).startswith(
        "entrypoint: FORWARDED_ALLOW_IPS='back': must be addresses, networks, or a name "
    )


def test_command_runs_instead_of_the_server(plain_container, execute, wait):
    name = plain_container("python", "-c", "import json, wsgi; print(json.dumps(wsgi.application.__name__))")
    wait(lambda: not is_running(execute, name), "the command has ended")
    assert json.loads(output(execute, name)) == "application"
