"""A deployment whose steps fail leaves everything as it was, up to the switch."""

import pytest

from kit.errors import KitError
from kit.release.engine import Done
from kit.release.errors import ReleaseError
from tests.kit.command.release.deploying import SECOND, assert_deployed, deploy, state

FAILURES = {
    "compose build": "the image cannot be built: no room",
    "compose --dry-run": "docker compose create: no room",
    "compose run": "release: no room",
    "tag": "docker tag ",
    "compose create": "docker compose create: no room",
    "start": "docker start 0000",
    "exec 000000000003 /kit/bin/switch to": "nginx cannot be switched: no room",
}


@pytest.mark.parametrize("call", FAILURES)
def test_step_that_fails_leaves_everything_as_it_was(engine, call):
    before = state(engine)
    engine.failing[call] = lambda: Done(1, "release: no room\n" if "run" in call else "", "no room\n")
    with pytest.raises(ReleaseError) as raised:
        deploy(engine)
    assert str(raised.value).startswith(FAILURES[call])
    engine.failing.clear()
    if "tag" in call:  # it cannot be undone either, then
        deploy(engine, "20261129-100000")
        assert_deployed(engine, "20261129-100000")
    else:
        assert state(engine) == before
        assert engine.broken == []


@pytest.mark.parametrize(
    ("health", "status", "said"),
    [
        ("unhealthy", "running", "shop-app-2: its container is unhealthy"),
        ("starting", "restarting", "shop-app-2: the application cannot be loaded"),
        ("starting", "exited", "shop-app-2: the application cannot be loaded"),
        ("starting", "running", "shop-app-2: not ready within 80 s: GET /healthz: HTTP/1.1 500"),
    ],
)
def test_container_that_does_not_become_ready_ends_the_deployment(engine, health, status, said):
    before = state(engine)
    engine.new_health, engine.new_state = health, status
    with pytest.raises(ReleaseError) as raised:
        deploy(engine)
    assert str(raised.value).startswith(said)
    assert "loading" in raised.value.log
    assert state(engine) == before
    assert engine.broken == []


def test_undo_says_if_somebody_has_removed_all_containers(engine, capsys):
    def down():
        engine.containers = {key: each for key, each in engine.containers.items() if each.service != "app"}
        return Done(1, "", "no such network")

    engine.failing["compose create"] = down
    with pytest.raises(ReleaseError):
        deploy(engine)
    said = capsys.readouterr().out
    assert "Nothing serves: the containers from before have gone; make up\n" in said
    assert "Serving as before" not in said


def test_wrong_value_that_only_a_step_meets_is_undone(engine):
    before = state(engine)

    def fail():
        raise KitError("START_PATIENCE='x': must be an integer")

    engine.failing["compose create"] = fail
    with pytest.raises(KitError, match="START_PATIENCE"):
        deploy(engine)
    assert state(engine) == before
    assert engine.broken == []


def test_failure_after_the_switch_leaves_the_new_release_live(engine, capsys):
    engine.changed = ["shop-nginx-1"]
    engine.failing["compose run --rm --no-deps --no-TTY nginx check"] = lambda: Done(2, "", "nginx: bad value\n")
    with pytest.raises(ReleaseError, match="nginx: bad value"):
        deploy(engine)
    assert f"{SECOND} is live, but what follows was not completed" in capsys.readouterr().out
    assert engine.broken == []
    engine.failing.clear()
    engine.changed = []
    deploy(engine, "20261129-100000")
    assert_deployed(engine, "20261129-100000")
