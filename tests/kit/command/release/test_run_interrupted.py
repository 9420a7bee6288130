"""A deployment that is killed, interrupted or cut off at any of its calls: the next one undoes or finishes it."""

import contextlib
import signal

import pytest

from kit.release import lock, run, steps
from kit.release.errors import ConnectionLost, InterruptedByUser
from kit.release.run import Call
from tests.helpers.fake_engine import FakeEngine, Killed
from tests.kit.command.release.deploying import FIRST, PLAIN, SECOND, assert_deployed, deploy, site, state


def count_calls():
    engine = FakeEngine(replicas=2)
    deploy(engine)
    return len(engine.calls)


@pytest.mark.parametrize("number", range(count_calls()))
def test_killed_at_any_call_the_next_one_undoes_or_finishes(number, monkeypatch):
    engine = FakeEngine(replicas=2)

    def kill():
        engine.is_dead = True

    engine.at[number] = kill
    gone = lock.this_process()._replace(started="0")
    with monkeypatch.context() as patched:
        patched.setattr(lock, "this_process", lambda: gone)
        with pytest.raises(Killed):
            deploy(engine)
    engine.is_dead = False
    deploy(engine, "20261129-100000")
    assert_deployed(engine, "20261129-100000", count=2)


@pytest.mark.parametrize("is_brief", [True, False])
@pytest.mark.parametrize("number", range(count_calls()))
def test_connection_lost_at_any_call_the_next_call_undoes_or_finishes(number, is_brief, monkeypatch):
    engine = FakeEngine(replicas=2)
    engine.tags |= {f"shop-app:{FIRST}": "sha256:1", "shop-app:live": "sha256:1"}

    def lose():
        engine.is_unreachable = not is_brief
        raise ConnectionLost("error during connect")

    engine.at[number] = lose
    # the first has ended by the time of the second, on whatever machine it was
    gone = lock.this_process()._replace(started="0")
    with monkeypatch.context() as patched, contextlib.suppress(ConnectionLost):
        patched.setattr(lock, "this_process", lambda: gone)
        deploy(engine)
    assert engine.broken == []
    engine.is_unreachable = False
    engine.at.clear()
    deploy(engine, "20261129-100000")
    assert_deployed(engine, "20261129-100000", count=2)


@pytest.mark.parametrize("number", range(count_calls()))
def test_interrupted_at_any_call_it_is_undone_or_completed(number):
    engine = FakeEngine(replicas=2)
    engine.tags |= {f"shop-app:{FIRST}": "sha256:1", "shop-app:live": "sha256:1"}
    before = state(engine)

    def interrupt():
        engine.signals.received = signal.SIGTERM

    engine.at[number] = interrupt
    was_interrupted = True
    with contextlib.suppress(InterruptedByUser):
        deploy(engine)
        was_interrupted = False
    if was_interrupted:
        assert state(engine) == before
        assert engine.broken == []
    else:
        assert_deployed(engine, count=2)


def test_interrupted_build_leaves_nginx_s_image_its_name(engine, capsys):
    engine.tags["shop-nginx"] = "sha256:nginx"
    build = engine._compose

    def interrupt(arguments, environment):
        done = build(arguments, environment)
        if arguments[0] == "build":
            engine.tags["shop-nginx"] = "sha256:new"
            engine.signals.received = signal.SIGINT
        return done

    engine._compose = interrupt
    services = {"app": {}, "nginx": {"image": "shop-nginx"}, "release": {}}
    call = Call(site(engine)._replace(services=services), PLAIN, {}, {})
    with pytest.raises(InterruptedByUser):
        run.locked(call, lambda: run.perform(call, SECOND, steps.DEPLOY, is_new=True))
    assert engine.tags["shop-nginx"] == "sha256:nginx"
    assert "The deployment was interrupted: undo it" in capsys.readouterr().out


def test_exit_status_of_an_interrupted_command_is_the_shell_s():
    assert InterruptedByUser(signal.SIGTERM).exit_status == 143
