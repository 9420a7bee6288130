"""`make deploy` and `make rollback` under constant traffic: no request is lost, whatever becomes of the release."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator

import pytest

from kit.prove.traffic import Client, Report, Traffic
from tests.helpers.containers import run
from tests.helpers.deployed import KIT, Deployed, deployed
from tests.helpers.paths import REPOSITORY

pytestmark = pytest.mark.docker

WSGI = """
import hashlib
{first_line}
def application(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response({status!r}, [("Content-Type", "text/plain")])
    return [("{version} " + hashlib.sha256(body).hexdigest()).encode()]
"""
FLASK = """
import flask
site = flask.Flask(__name__)
site.wsgi_app = application
application = site
"""
STYLE = "/static/style.css"
INTERVAL = 0.05
"""Seconds between two requests of each of six clients: more of them would slow down what they watch."""


class Site(Deployed):
    """A project of this module's own."""

    def write(self, version: str, *, status: str = "200 OK", first_line: str = "") -> None:
        text = WSGI.format(version=version, status=status, first_line=first_line)
        (self.folder / "wsgi.py").write_text(text)

    def write_with_style(self, version: str, *, status: str = "200 OK") -> None:
        """A release with a static file, which has its version too."""
        self.write(version, status=status)
        with (self.folder / "wsgi.py").open("a") as file:
            file.write(FLASK)
        (self.folder / "requirements.txt").write_text("flask\n")
        (self.folder / "static").mkdir(exist_ok=True)
        (self.folder / STYLE.removeprefix("/")).write_text(f"{version} {{}}\n")

    def version(self, target: str = "/") -> str:
        return self.stack.request(target).content.decode().split()[0]

    @contextlib.contextmanager
    def watched(self) -> Iterator[set[tuple[str, str]]]:
        """The set has, after the block, the versions of the style and of the page that it was followed by."""
        seen: set[tuple[str, str]] = set()
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.02):
                seen.add((self.version(STYLE), self.version()))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()

    def releases(self) -> dict[str, str]:
        """The state of each release by its tag, the newest first."""
        rows = map(json.loads, self.kit("releases", "--json").stdout.splitlines())
        return {row["tag"]: row["state"] for row in rows}

    def containers(self) -> list[str]:
        listed = run("docker", "ps", "--all", "--format", "{{.Names}}", "--filter", f"name={self.stack.name}")
        return sorted(name.removeprefix(f"{self.stack.name}-") for name in listed.stdout.split())

    @contextlib.contextmanager
    def traffic(self) -> Iterator[list[Report]]:
        """GET and POST, on new and on kept connections, by HTTP and HTTPS. The list has the report after the block."""
        plain, tls = ("127.0.0.1", self.stack.port), ("127.0.0.1", self.stack.tls_port)
        clients = [
            *(Client(plain, is_post=is_post, keeps_alive=kept) for is_post in (False, True) for kept in (False, True)),
            Client(tls, is_https=True, keeps_alive=True),
            Client(tls, is_https=True, is_post=True),
        ]
        reports: list[Report] = []
        with Traffic([client._replace(interval=INTERVAL) for client in clients]) as traffic:
            yield reports
        reports.append(traffic.report())


def assert_nothing_lost(reports: list[Report]) -> None:
    (report,) = reports
    assert len(report.requests) > 100
    assert not report.failed, "\n".join(report.lines())


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with deployed(Site) as site:
        site.write("one")
        site.kit("up")
        yield site


def test_release_and_another_backend_are_deployed_without_a_lost_request(site):
    assert site.version() == "one"
    site.write("two")
    with site.traffic() as reports:
        site.kit("up")
        assert site.version() == "two"
        site.variables["BACKEND"] = "gunicorn"
        site.kit("deploy")
    assert_nothing_lost(reports)
    assert list(site.releases().values()) == ["live", "kept"]
    assert site.containers() == ["app-3", "nginx-1", "release-1"]


def test_server_becomes_process_1_without_a_lost_request(site):
    refused = site.kit("deploy", APP_PROCESS="bash", check=False)
    assert refused.stderr.splitlines()[-2] == "deploy: release: APP_PROCESS='bash': must be supervisor or server"
    with site.traffic() as reports:
        site.kit("deploy", APP_PROCESS="server", BACKEND="ropewalk")
        first = site.stack.compose("exec", "-T", "app", "cat", "/proc/1/cmdline").stdout.split("\0")
        assert "ropewalk" in first[1], first
        site.kit("deploy")
    assert_nothing_lost(reports)
    first = site.stack.compose("exec", "-T", "app", "cat", "/proc/1/cmdline").stdout
    assert "supervise" in first, first


def test_compose_then_finds_nothing_to_replace(site):
    before = site.stack.compose("ps", "--quiet").stdout
    environment = {**site.stack.environment, **site.variables, "STOP_GRACE_PERIOD": "45s"}
    run("docker", "compose", "up", "--no-build", "--wait", env=environment, timeout=180)
    assert site.stack.compose("ps", "--quiet").stdout == before


def test_release_that_cannot_start_leaves_the_old_one_serving(site):
    before = site.containers(), site.releases()
    failures = (
        ({"first_line": "raise RuntimeError('no such table')"}, {}, "no such table"),
        ({"status": "500 Internal Server Error"}, {"START_PATIENCE": "6"}, "HTTP/1.1 500"),
        ({}, {"MIGRATE_COMMAND": "sh -c 'echo it failed; exit 3'"}, "it failed"),
    )
    with site.traffic() as reports:
        for broken, variables, reason in failures:
            site.write("bad", **broken)
            done = site.kit("deploy", check=False, **variables)
            assert done.returncode == 1
            assert any(line.startswith("deploy: ") and reason in line for line in done.stderr.splitlines()), done.stderr
            assert (site.containers(), site.releases()) == before
    assert_nothing_lost(reports)
    assert site.version() == "two"


def stop_at(site: Site, step: str, number: int, state: str = "started") -> int:
    """Sends the signal to a deployment once it has come to this step; its exit status."""
    environment = {**site.stack.environment, **site.variables}
    command = [*KIT, "deploy", "--json"]
    with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            row = json.loads(line)
            if (row.get("step"), row.get("state")) == (step, state):
                os.kill(process.pid, number)
        return process.wait(120)


def test_interrupted_deployment_is_undone_and_a_killed_one_by_the_next_call(site):
    before = site.containers(), site.releases()
    site.write("three")
    with site.traffic() as reports:
        assert stop_at(site, "ready", signal.SIGINT) == 130
        assert (site.containers(), site.releases()) == before
        assert stop_at(site, "ready", signal.SIGKILL) == -signal.SIGKILL
        assert "deployment" in site.containers()
        done = site.kit("deploy")
        assert "Undo the deployment of" in done.stdout
        assert site.version() == "three"
        # once nginx is switched, the next call finishes it
        site.write("four")
        assert stop_at(site, "switch", signal.SIGKILL, "done") == -signal.SIGKILL
        assert "Finish the deployment of" in site.kit("rollback").stdout
        assert site.version() == "three"
    assert_nothing_lost(reports)
    # one of the application, of whatever number: nothing of the deployments before remains
    assert [name.rstrip("0123456789") for name in site.containers()] == ["app-", "nginx-", "release-"]


def test_rollback_goes_back_and_forth(site):
    newest, *_, oldest = site.releases()
    with site.traffic() as reports:
        site.kit("rollback", "--to", oldest)
        assert site.version() == "one"
        site.kit("rollback", "--to", newest)
        assert site.version() == "four"
    assert_nothing_lost(reports)
    done = site.kit("rollback", "--to", newest, check=False)
    assert (done.returncode, done.stderr) == (2, f"rollback: TO='{newest}': is the live release\n")


def test_static_file_is_replaced_once_nginx_is_switched(site):
    site.write_with_style("plain")
    site.kit("deploy")
    assert site.version(STYLE) == "plain"
    with site.traffic() as reports, site.watched() as seen:
        site.write_with_style("bad", status="500 Internal Server Error")
        assert site.kit("deploy", check=False, START_PATIENCE="6").returncode == 1
        site.write_with_style("colored")
        assert "Replace static files" in site.kit("deploy").stdout
    assert_nothing_lost(reports)
    # a page of the new release may have the old style for a moment; an old page never has a new one
    assert {("plain", "plain"), ("colored", "colored")} <= seen
    assert seen <= {("plain", "plain"), ("plain", "colored"), ("colored", "colored")}
    site.kit("rollback")
    assert site.version(STYLE) == "plain"


def test_number_of_containers_is_deployed_too(site):
    with site.traffic() as reports:
        site.kit("deploy", APP_REPLICAS="2")
        assert len([name for name in site.containers() if name.startswith("app-")]) == 2
    assert_nothing_lost(reports)


def test_settings_with_which_the_database_does_not_start_leave_it_serving(site):
    environment = {**site.stack.environment, "COMPOSE_PROFILES": "postgres"}

    def database() -> list[str]:
        """Its identifier and its health."""
        shown = ("ps", "--format", "{{.ID}} {{.Health}}", "postgres")
        return run("docker", "compose", *shown, env=environment).stdout.split()

    site.write("with a database")
    site.kit("up", COMPOSE_PROFILES="postgres")
    before = database()
    assert before[1] == "healthy"
    for command, options, reason in (
        ("up", "-c nonsense=1", 'unrecognized configuration parameter "nonsense"'),
        ("deploy", "-c max_wal_senders=200 -c wal_level=minimal", "wal_level"),
        ("rollback", "work_mem=1MB", "invalid argument"),
    ):
        broken = site.kit(command, COMPOSE_PROFILES="postgres", POSTGRES_OPTIONS=options, check=False)
        assert broken.returncode == 1
        said = next(line for line in broken.stderr.splitlines() if line.startswith(f"{command}: "))
        assert f"postgres: it does not start with POSTGRES_OPTIONS='{options}'" in said
        assert reason in said
        assert site.version() == "with"
        assert database() == before
    site.kit("deploy", COMPOSE_PROFILES="postgres", POSTGRES_OPTIONS="-c work_mem=2MB")
    assert database() != before
    assert database()[1] == "healthy"
