"""deploy/kit/release/services.py: a database, a queue's worker and the like, while the application is deployed."""

import pytest

from kit.release import images, services
from kit.release.engine import Done
from kit.release.errors import ReleaseError
from kit.release.output import Output
from kit.release.site import Site
from tests.helpers.fake_engine import FakeEngine

MODEL = {
    "app": {"image": "shop-app"},
    "nginx": {"image": "shop-nginx"},
    "release": {"image": "shop-app", "depends_on": {"postgres": {}, "redis": {}}},
    "postgres": {"image": "shop-postgres"},
    "redis": {"image": "shop-redis"},
    "worker": {"image": "shop-app"},
    "cron": {"image": "shop-app"},
}
PATIENCE = "1"


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(services, "SETTLE", 0.05)
    monkeypatch.setattr(services, "INTERVAL", 0.01)
    return FakeEngine()


def site(engine):
    image = images.Image("shop-app", "latest")
    return Site(engine, Output("deploy"), "shop", image, MODEL, {"START_PATIENCE": PATIENCE})


def created(engine):
    return [call.removeprefix("compose create --no-build ") for call in engine.calls if "create" in call]


@pytest.mark.parametrize(
    "values", [{"state": "restarting"}, {"health": "unhealthy"}, {"health": "starting", "restarts": 3}]
)
def test_server_that_fails_may_be_replaced_before_the_release_and_the_others_wait(engine, values):
    engine.add("postgres", 1, **values)
    engine.add("redis", 1)
    engine.add("worker", 1, state="restarting")
    services.start_servers(site(engine))
    # the worker has the application's image: its new one comes after the migrations
    assert created(engine) == ["postgres", "--no-recreate redis"]


def test_servers_that_are_not_there_are_started_before_the_release(engine):
    services.start_servers(site(engine))
    assert created(engine) == ["--no-recreate postgres redis"]


@pytest.mark.parametrize(
    ("service", "values", "said"),
    [
        ("worker", {"state": "restarting", "health": ""}, "it ends again and again, and its last line is: no broker"),
        ("worker", {"state": "exited", "exit_status": 3, "health": ""}, "it ended with exit status 3"),
        # between two of its restarts
        ("worker", {"restarts": 2, "health": ""}, "it ends again and again, and its last line is: no broker"),
        ("postgres", {"health": "starting"}, "not healthy within 1 s: "),
    ],
)
def test_new_container_that_does_not_run_is_an_error(engine, service, values, said):
    engine.add(service, 1, **values)
    engine.failing["logs"] = lambda: Done(0, "starting\nno broker\n", "")
    with pytest.raises(ReleaseError) as raised:
        services.watch(site(engine))
    assert str(raised.value).startswith(f"shop-{service}-1: {said}")
    assert raised.value.lines == ["starting", "no broker"]


def test_what_runs_as_before_is_not_waited_for(engine):
    """Also if it was restarted at some time, or has a health check about something else."""
    found = [engine.add("worker", 1, restarts=5, health=""), engine.add("cron", 1, health="unhealthy")]
    services.watch(site(engine), {each.identifier for each in found})
    assert [call.partition(" ")[0] for call in engine.calls] == ["ps", "container"]


def test_service_that_is_unhealthy_is_named(engine, capsys):
    engine.add("cron", 1, health="unhealthy")
    services.watch(site(engine))
    assert "Warning: cron is unhealthy" in capsys.readouterr().out


def test_service_that_is_done_is_no_error(engine):
    engine.add("worker", 1, state="exited", health="", exit_status=0)
    services.watch(site(engine))


@pytest.mark.parametrize(
    ("health", "log", "said"),
    [
        ("healthy", "", ""),
        ("starting", "", "acme has no certificate yet, and goes on trying (make logs SERVICE=acme)"),
        (
            "unhealthy",
            "ValueError: no name\nacme/entrypoint: no certificate from https://a/; next attempt in 9 s\n",
            "Warning: acme: no certificate from https://a/: no name (make logs SERVICE=acme)",
        ),
    ],
)
def test_certificate_that_cannot_be_obtained_is_said(engine, capsys, monkeypatch, health, log, said):
    engine.add("acme", 1, health=health)
    monkeypatch.setattr(services.containers, "log_of", lambda *_: log)
    services.note_certificate(site(engine))
    assert capsys.readouterr().out == (f"==> {said}\n" if said else "")


CHECK = "compose run --rm --no-deps --no-TTY postgres check"


def test_settings_of_a_database_that_would_be_replaced_are_tried(engine):
    engine.add("postgres", 1)
    engine.add("redis", 1)
    services.check_servers(site(engine), {"shop-app-1", "shop-redis-1"})
    assert CHECK not in engine.calls
    services.check_servers(site(engine), {"shop-postgres-1"})
    assert CHECK in engine.calls
    engine.failing[CHECK] = lambda: Done(2, "", " Container x  Creating\npostgres: it does not start: no memory\n")
    with pytest.raises(ReleaseError, match=r"^postgres: it does not start: no memory$"):
        services.check_servers(site(engine), {"shop-postgres-1"})


def test_database_in_an_image_without_that_command_is_replaced_untried(engine):
    engine.add("postgres", 1)
    engine.failing[CHECK] = lambda: Done(127, "", "exec: check: not found\n")
    services.check_servers(site(engine), {"shop-postgres-1"})
