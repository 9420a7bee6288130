"""deploy/kit/release/run.py: what a deployment replaces, and in which order. Its other ends are in test_run_*.py."""

import os

import pytest

from kit.release import images, lock, run, steps
from kit.release.engine import Done
from kit.release.errors import ReleaseError
from kit.release.output import Output
from kit.release.run import Call, Options
from kit.release.site import Site
from tests.helpers.fake_engine import FakeEngine, Killed
from tests.kit.command.release.deploying import FIRST, PLAIN, SECOND, assert_deployed, deploy, site, state


def test_new_containers_replace_the_old_ones(engine, capsys):
    assert deploy(engine) == 0
    assert_deployed(engine)
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("==>")] == [
        f"==> Build shop-app:{SECOND}",
        "==> Add static files, migrate the database",
        "==> Start 1 container beside the old",
        "==> Wait until it is ready",
        "==> Switch nginx",
        "==> Replace static files that this release has changed",
        "==> Let 1 old container finish, and remove",
        "==> Remove what is no longer needed",
        next(line for line in printed.splitlines() if f"{SECOND} is live" in line),
    ]


def test_replicas_are_kept_unless_their_number_is_set():
    for values, count in (({}, 3), ({"APP_REPLICAS": "2"}, 2)):
        engine = FakeEngine(replicas=3)
        deploy(engine, **values)
        assert_deployed(engine, count=count)


def test_database_is_migrated_before_the_new_containers_start(engine):
    deploy(engine)
    order = [call for call in engine.calls if call.startswith(("compose run", "compose create"))]
    assert order[0].endswith(" release")
    assert order[1] == "compose create --no-build --no-recreate --scale=app=2 app"


def test_what_runs_without_a_release_becomes_one():
    engine = FakeEngine()
    deploy(engine)
    assert engine.tags["shop-app:20261128-100000"] == "sha256:1"
    assert_deployed(engine)


def test_nothing_is_replaced_if_nothing_has_changed(engine):
    before = state(engine)
    engine.failing["compose build"] = lambda: engine._tag(["sha256:1", f"shop-app:{SECOND}"], {})
    assert deploy(engine) == 0
    assert state(engine) == before
    assert deploy(engine, options=Options(is_forced=True)) == 0
    assert_deployed(engine)


def test_changed_settings_are_deployed_with_the_same_image(engine):
    engine.failing["compose build"] = lambda: engine._tag(["sha256:1", f"shop-app:{SECOND}"], {})
    engine.changed = ["shop-app-1"]
    deploy(engine)
    assert_deployed(engine)
    assert f"shop-app:{FIRST}" not in engine.tags, "one release for one image"


@pytest.mark.parametrize("plan", [steps.DEPLOY, steps.ROLLBACK])
def test_new_containers_are_asked_as_the_next_nginx_asks(engine, plan):
    engine.changed = ["shop-app-1", "shop-nginx-1"]
    engine.tags[f"shop-app:{SECOND}"] = "sha256:2"
    services = {"app": {}, "nginx": {"environment": {"HEALTH_PATH": "/up", "ALLOWED_HOSTS": None}}, "release": {}}
    own = Site(engine, Output("deploy"), "shop", images.Image("shop-app", "latest"), services, {})
    call = Call(own, PLAIN, {}, {})
    assert run.locked(call, lambda: run.perform(call, SECOND, plan, is_new=plan is steps.DEPLOY)) == 0
    given = ["HEALTH_PATH=/up", "ALLOWED_HOSTS="]
    assert engine.asked_with == [("to", []), ("ready", given), ("to", given)]


def test_changed_nginx_is_checked_and_replaced_after_the_switch(engine):
    engine.changed = ["shop-nginx-1"]
    deploy(engine)
    assert_deployed(engine)
    check, up = (
        engine.calls.index(call)
        for call in (
            "compose run --rm --no-deps --no-TTY nginx check",
            "compose up --detach --no-build --timeout 10 nginx",
        )
    )
    switched = next(number for number, call in enumerate(engine.calls) if call.startswith("rename"))
    assert switched < check < up


def test_release_is_named_after_the_project_and_not_after_a_copy_in_the_checkout(engine, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(images, "project_commit", lambda project, _: asked.append(project) or "")
    call = Call(site(engine, PROJECT_DIR=str(tmp_path)), Options(is_dry=True), {}, {"PROJECT_DIR": "./deploy"})
    assert run._deploy(call) == 0
    assert asked == [tmp_path]


def test_container_that_crashes_all_the_time_is_replaced(engine):
    engine.application()[0].state = "restarting"
    engine.application()[0].health = "starting"
    engine.broken.clear()
    deploy(engine)
    assert len(engine.application()) == 1
    assert engine.tags["shop-app:live"] == engine.tags[f"shop-app:{SECOND}"]


def test_containers_that_have_ended_are_no_replicas(engine):
    engine.add("app", 2, state="exited", health="")
    deploy(engine)
    assert_deployed(engine)


def test_second_deployment_is_refused_while_one_is_in_progress(engine):
    engine.run("create", "--name", "shop-deployment", f"--label={lock.LABEL}={lock.this_process()}")
    with pytest.raises(ReleaseError) as raised:
        deploy(engine)
    assert f"process {os.getpid()}, since 2026-11-29T08:00:00Z. If it no longer runs: make deploy UNLOCK=1" in str(
        raised.value
    )
    deploy(engine, options=Options(unlocks=True))
    assert_deployed(engine)


@pytest.mark.parametrize("changes_files", [False, True])
def test_static_files_are_replaced_once_nginx_is_switched_if_a_release_has_changed_any(engine, changes_files):
    deploy(engine)
    engine.calls.clear()
    engine.migrations["sha256:1"] = []
    engine.digests["sha256:1"] = "ab12"
    engine.changes_files = changes_files
    run.locked(call := Call(site(engine), PLAIN, {}, {}), lambda: run.roll_back(call, FIRST))
    assert_deployed(engine, FIRST)
    assert engine.published == "FILES=ab12\n"
    at = [at for at, call in enumerate(engine.calls) if call.startswith("compose run")]
    switched = next(at for at, call in enumerate(engine.calls) if " /kit/bin/switch to" in call)
    assert [each < switched for each in at] == ([True, False] if changes_files else [True])


def test_container_that_a_killed_deployment_left_replacing_static_files_is_in_nobody_s_way(engine, monkeypatch):
    def kill():
        engine.is_dead = True
        engine.add("", 0, name=f"shop-release-{SECOND}")

    once = "compose run --rm --no-deps --no-TTY --name shop-release-20261129-090000-1f2e3d4 --env ONLY_STATIC_FILES=1"
    engine.failing[once] = lambda: kill() or Done(137, "", "")
    gone = lock.this_process()._replace(started="0")
    with monkeypatch.context() as patched:
        patched.setattr(lock, "this_process", lambda: gone)
        with pytest.raises(Killed):
            deploy(engine)
    assert any(each.name.endswith("deployment-switched") for each in engine.containers.values())
    engine.failing.clear()
    engine.is_dead = False
    deploy(engine, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert_deployed(engine, FIRST)


def test_nginx_of_an_earlier_version_of_the_kit_is_replaced_first(engine, capsys):
    switch = "exec 000000000003 /kit/bin/switch to"
    engine.failing[switch] = lambda: engine.failing.pop(switch) and Done(127, "", "no such file")
    deploy(engine)
    assert_deployed(engine)
    assert "nginx is of an earlier version of the kit" in capsys.readouterr().out
