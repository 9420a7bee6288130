"""deploy/kit/release/first.py: the first start, with its reasons for a failure."""

import signal

import pytest

from kit.release import build_log, first, images, lock, run
from kit.release.engine import Done
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.output import Output
from kit.release.site import Site
from tests.helpers.fake_engine import FakeEngine

TAG = "20261129-090000"


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setattr(build_log, "RUN", tmp_path)
    monkeypatch.setattr(build_log, "ROOT", tmp_path)
    return FakeEngine(replicas=0)


def start(engine):
    image = images.Image("shop-app", "latest")
    site = Site(engine, Output("up"), "shop", image, {}, {})
    first.build(site)
    first.start(site, TAG)


def test_first_start_becomes_a_release_that_is_live(engine, capsys):
    engine.failing["compose port"] = lambda: Done(0, "127.0.0.1:8080\n", "")
    start(engine)
    assert engine.tags[f"shop-app:{TAG}"] == engine.tags["shop-app:live"] == engine.tags["shop-app:latest"]
    assert "Serving http://localhost:8080 and https://localhost:8080; make logs, make down" in capsys.readouterr().out


def test_warnings_of_the_release_are_said_at_the_end(engine, capsys):
    up = engine._compose

    def record(arguments, environment):
        if arguments[0] == "up":
            engine.add("release", 1, state="exited", health="", exit_status=0)
        return up(arguments, environment)

    engine._compose = record
    engine.failing["logs"] = lambda: Done(0, "migrating\nrelease: warning: no table\nrelease: static files\n", "")
    engine.failing["compose port"] = lambda: Done(0, "127.0.0.1:8080\n", "")
    start(engine)
    assert capsys.readouterr().out.count("Warning: no table\n") == 1


def test_failed_release_ends_with_its_reason_and_the_next_command(engine):
    def fail():
        engine.add("release", 1, state="exited", health="", exit_status=1)
        return Done(1, "", "x")

    engine.failing["compose up"] = fail
    engine.failing["logs"] = lambda: Done(0, "migrating\nrelease: the disk is full\n", "")
    with pytest.raises(ReleaseError) as raised:
        start(engine)
    assert str(raised.value) == "release: the disk is full"
    assert raised.value.lines == ["migrating"]
    assert raised.value.whole_log == "docker compose -p shop logs release"


def test_failed_build_ends_with_the_kit_s_own_reason(engine):
    said = (
        "------\n > [app look 3/3] RUN look:\n0.1 loading\n0.1 look: several applications: a, b\n------\nno: exit 2\n"
    )
    engine.failing["compose build"] = lambda: Done(17, said, "")
    with pytest.raises(ReleaseError, match=r"^the image cannot be built: several applications: a, b$") as raised:
        start(engine)
    assert raised.value.lines == ["loading"]
    assert raised.value.whole_log == "build.log"


def test_build_prints_the_kit_s_lines_alone(engine, capsys):
    engine.printed = b"#1 [app base 1/9] FROM x\n#9 1.0 prepare: cache is kept in a volume\n"
    engine.failing["compose port"] = lambda: Done(0, "127.0.0.1:8080\n", "")
    start(engine)
    printed = capsys.readouterr().out
    assert "    prepare: cache is kept in a volume\n" in printed
    assert "FROM x" not in printed


def fail_to_start(engine, *, app):
    """The release has failed, or the application is unhealthy; nginx runs before either."""

    def fail():
        engine.add("release", 1, state="exited", health="", exit_status=0 if app else 1)
        if app:
            engine.add("app", 1, health="unhealthy")
        return Done(1, "", "x")

    engine.failing["compose up"] = fail
    with pytest.raises(ReleaseError):
        start(engine)
    return [each.state for each in engine.containers.values() if each.service == "nginx"]


def test_failed_first_start_leaves_no_nginx_that_keeps_the_ports(engine, capsys):
    assert fail_to_start(engine, app=False) == ["exited"]
    assert "nginx is stopped, since there is nothing to serve: its ports are free" in capsys.readouterr().out


def test_application_that_runs_can_be_looked_at(engine, capsys):
    assert fail_to_start(engine, app=True) == ["running"]
    assert "make down ends them" in capsys.readouterr().out


def test_interrupted_first_start_stops_nginx_too(engine):
    def interrupt():
        engine.signals.received = signal.SIGINT
        engine.signals.check()

    engine.failing["compose up"] = interrupt
    with pytest.raises(InterruptedByUser):
        start(engine)
    assert [each.state for each in engine.containers.values() if each.service == "nginx"] == ["exited"]


def test_failure_that_is_no_container_s_is_compose_s_own(engine):
    engine.failing["compose up"] = lambda: Done(1, "", "starting\nno network\n")
    with pytest.raises(ReleaseError, match=r"^no network$"):
        start(engine)


def test_second_first_start_is_refused_and_leaves_the_first_one_alone(engine, tmp_path, monkeypatch):
    """Both find that nothing runs: the second failed in compose, and then stopped the nginx of the first."""
    monkeypatch.setattr(images, "project_commit", lambda *_: "")
    engine.run("create", "--name", "shop-deployment", f"--label={lock.LABEL}={lock.this_process()}", "sha256:1")
    image = images.Image("shop-app", "latest")
    site = Site(engine, Output("up"), "shop", image, {}, {"PROJECT_DIR": str(tmp_path)})
    with pytest.raises(ReleaseError, match="another deployment of shop is in progress"):
        run._deploy(run.Call(site, run.Options(), {}, {"PROJECT_DIR": str(tmp_path)}))
    assert [each.state for each in engine.containers.values() if each.service == "nginx"] == ["running"]
