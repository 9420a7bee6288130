"""deploy/kit/failures.py: what `make up` says about the service that failed."""

import pytest

from kit import failures

RELEASE_LOG = """\
release: static files: 3 copied, 0 old ones removed, 3 published
release: python manage.py migrate --noinput
Traceback (most recent call last):
  File "/app/manage.py", line 22, in <module>
    main()

  File "<frozen os>", line 679, in __getitem__
KeyError: 'API_KEY'
release: the project needs the variable API_KEY, which is not set: add API_KEY=... to .env.project
"""

BUILD_OUTPUT = """\
#9 [app look 3/3] RUN install
#9 0.412 look: this is no reason of the failed step
------
 > [app look 3/3] RUN install -d /manifests:
0.412 look: several applications are equal:
0.412     a:app
0.412     b:app
0.413 add WSGI_APP=... to .env
------
failed to solve: process "/bin/sh -c install -d" did not complete successfully: exit code: 2
"""


def container(service, state="exited", status=0, health="", started="1", last_check=""):
    return failures.Container(service, f"id-{service}", state, status, health, started, last_check)


def test_container_is_read_from_what_docker_inspect_prints():
    entry = {
        "Id": "abc",
        "Config": {"Labels": {"com.docker.compose.service": "app"}},
        "State": {
            "Status": "running",
            "ExitCode": 0,
            "StartedAt": "now",
            "Health": {"Status": "unhealthy", "Log": [{"Output": "", "ExitCode": 0}, {"Output": "", "ExitCode": 1}]},
        },
    }
    read = failures.read_container(entry)
    assert read == failures.Container("app", "abc", "running", 0, "unhealthy", "now", "exit status 1")
    entry["State"]["Health"]["Log"].append({"Output": "GET /healthz:\n status 301\n", "ExitCode": 1})
    assert failures.read_container(entry).last_check == "GET /healthz: status 301"
    assert failures.read_container({**entry, "State": {"Status": "exited", "ExitCode": 2}}).last_check == ""


def test_first_service_that_failed_is_to_blame():
    release, app, nginx = container("release", status=1), container("app", "created"), container("nginx", "running")
    assert failures.failed([nginx, app, release], []) is release
    unhealthy = container("app", "running", health="unhealthy")
    starting = container("nginx", "running", health="starting")
    assert failures.failed([starting, unhealthy, container("release")], []) is unhealthy
    assert failures.failed([starting, container("release")], []) is starting
    restarting = container("app", "restarting", status=3)
    assert failures.failed([restarting, starting], []) is restarting


def test_container_that_had_ended_before_is_not_to_blame():
    release = container("release", status=1)
    assert failures.failed([release], [release]) is None
    assert failures.failed([release._replace(started="2")], [release])


def test_reason_of_a_release_is_its_last_line_and_the_traceback_is_left_out():
    said = failures.explain(container("release", status=1), RELEASE_LOG)
    needs = "the project needs the variable API_KEY, which is not set: add API_KEY=... to .env.project"
    assert said.reason == needs
    assert said.lines == [*RELEASE_LOG.splitlines()[:2], "KeyError: 'API_KEY'"]


def test_unhealthy_container_s_reason_is_its_health_check():
    unhealthy = container("app", "running", health="unhealthy", last_check="GET /healthz: status 301")
    said = failures.explain(unhealthy, "ropewalk: serving\n" + "line\n" * 40)
    assert said.reason == "its container is unhealthy; the last health check: GET /healthz: status 301"
    assert len(said.lines) == failures.SHOWN_LINES


def test_container_that_says_nothing_has_its_exit_status():
    assert failures.explain(container("app", status=137), "").reason == "it ended with exit status 137"


def test_build_s_reason_is_the_paragraph_of_the_failed_step():
    said = failures.of_build(BUILD_OUTPUT.replace("------\n", "\x1b[31m------\x1b[0m\n"))
    assert said == "look: several applications are equal:\n    a:app\n    b:app\nadd WSGI_APP=... to .env"
    assert failures.of_build("failed to solve: no such image\n") == ""
    # as on a terminal
    assert failures.of_build(BUILD_OUTPUT.replace("\n", "\r\n")) == said


def test_build_s_reason_is_found_if_buildkit_leaves_it_out_of_what_it_repeats():
    output = (
        "#44 85.66 Installed 38 packages\n#45 1.0 install: another step\n"
        '#44 97.01 install: typed-ast cannot be built: put into .env:\n#44 97.01 UNPIN="typed-ast"\n'
        '#44 ERROR: process "/bin/sh" did not complete successfully: exit code: 2\n'
        "------\n > [app build 3/4] RUN python3:\n85.66 Installed 38 packages\n\n------\n"
    )
    assert failures.of_build(output) == 'install: typed-ast cannot be built: put into .env:\nUNPIN="typed-ast"'
    assert failures.end_of_build(output) == ["Installed 38 packages"]


def test_unhealthy_application_that_cannot_write_is_told_where():
    log = "OSError: [Errno 30] Read-only file system: './data'\nGET /healthz 500\n"
    check = "GET /healthz: HTTP/1.1 500 Internal Server Error"
    failure = failures.explain(container("app", "running", health="unhealthy", last_check=check), log)
    assert failure.reason.startswith(
        f"its container is unhealthy; the last health check: {check}. Its log has: the project"
    )
    assert "set WRITABLE_PATHS=data in .env" in failure.reason


def test_unhealthy_application_that_raises_is_told_what():
    log = "Traceback (most recent call last):\n  File 'x'\nAttributeError: no dataset\nGET /healthz 500\n"
    failure = failures.explain(container("app", "running", health="unhealthy", last_check="500"), log)
    assert failure.reason.endswith("500. Its log has: AttributeError: no dataset")


def test_build_without_a_network_says_what_could_not_be_fetched():
    output = (
        "#27 69.48 W: Failed to fetch http://packages.example/debian/x  Unable to connect to packages.example:http:\n"
        "#27 69.51 W: Some index files failed to download. They have been ignored.\n"
        "------\n > [app prepared 1/6] RUN apt-get update -qq:\n69.6 E: Unable to locate package brotli\n------\n"
    )
    said = failures.of_build(output)
    assert said.startswith("build: http://packages.example/debian/x could not be fetched: Unable to connect")
    assert failures.of_build(output.replace("W: Failed", "W: failed")) == ""


REQUEST = 'failed to do request: Head "https://registry.example/v2/x": '
OLD = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: "
NEW = "failed to solve: debian:nope: failed to resolve source metadata for docker.io/library/debian:nope: "


@pytest.mark.parametrize(
    ("last", "why"),
    [
        (f"{OLD}{REQUEST}no such host", "no such host"),  # engine 20.10
        (f"{NEW}{REQUEST}no such host", "no such host"),
        (f"{NEW}not found", "not found"),
    ],
)
def test_base_image_that_is_not_there_is_named(last, why):
    output = f"------\n > [app internal] load metadata for docker.io/library/debian:nope:\n------\n{last}\n"
    said = f"build: the image debian:nope, which BASE_IMAGE in .env names, cannot be pulled: {why}"
    assert failures.of_build(output) == said
    assert failures.of_build(output.replace("load metadata for", "RUN")) == ""


def test_exceptions_that_have_led_to_each_other_are_lines_without_what_joins_them():
    log = (
        "migrating\nTraceback (most recent call last):\n  File 'x'\nsqlite3.OperationalError: full\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  File 'y'\ndjango.db.utils.OperationalError: full\n"
    )
    lines = failures.explain(container("release"), log).lines
    assert lines == ["migrating", "sqlite3.OperationalError: full", "django.db.utils.OperationalError: full"]
