"""deploy/kit/release: a deployment that fails, is interrupted or is killed at any of its calls loses no request."""

import contextlib
import json
import os
import signal

import pytest

from kit.errors import KitError
from kit.release import images, lock, run, steps
from kit.release.engine import Done
from kit.release.errors import ConnectionLost, InterruptedByUser, ReleaseError
from kit.release.images import Release
from kit.release.output import Output
from kit.release.run import Call, Options
from kit.release.site import Site
from tests.helpers.fake_engine import FakeEngine, Killed

FIRST = "20261129-080000"
SECOND = "20261129-090000-1f2e3d4"
PLAIN = Options()


def site(engine, **values):
    image = images.Image("shop-app", "latest")
    services = {"app": {}, "nginx": {}, "release": {}}
    return Site(engine, Output("deploy"), "shop", image, services, values)


def deploy(engine, tag=SECOND, *, plan=steps.DEPLOY, is_new=True, options=PLAIN, **values):
    call = Call(site(engine, **values), options, {}, {})
    return run.locked(call, lambda: run.perform(call, tag, plan, is_new=is_new))


@pytest.fixture
def engine():
    engine = FakeEngine()
    engine.tags |= {f"shop-app:{FIRST}": "sha256:1", "shop-app:live": "sha256:1"}
    return engine


def state(engine):
    """What a deployment that was undone must leave as it was."""
    names = {each.name for each in engine.containers.values()}
    return names, dict(engine.tags), set(engine.used), engine.restriction


def assert_deployed(engine, tag=SECOND, count=1):
    names = {each.name for each in engine.containers.values()}
    assert len(engine.application()) == count
    assert len(names) == count + 1, "the lock and the journal have gone"
    image = engine.tags[f"shop-app:{tag}"]
    assert engine.tags["shop-app:latest"] == engine.tags["shop-app:live"] == image
    assert {each.image for each in engine.application()} == {image}
    assert engine.used == {each.address for each in engine.application()}
    assert engine.restriction is None
    assert engine.broken == []


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


def test_release_is_named_after_the_project_and_not_after_a_copy_in_the_checkout(engine, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(images, "project_commit", lambda project, _: asked.append(project) or "")
    call = Call(site(engine, PROJECT_DIR=str(tmp_path)), Options(is_dry=True), {}, {"PROJECT_DIR": "./deploy"})
    assert run._deploy(call) == 0
    assert asked == [tmp_path]


def test_exit_status_of_an_interrupted_command_is_the_shell_s():
    assert InterruptedByUser(signal.SIGTERM).exit_status == 143


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


@pytest.fixture
def broken_page(engine):
    """The next release answers the page `/` with 500, or another status."""
    build = engine._compose
    engine.new_page = 500

    def record(arguments, environment):
        done = build(arguments, environment)
        if arguments[0] == "build":
            engine.pages[engine.tags[environment["APP_IMAGE"]]] = engine.new_page
        return done

    engine._compose = record
    engine.failing["logs"] = lambda: Done(0, "Traceback (most recent call last):\nValueError: no such column\n", "")
    engine.failing["compose port"] = lambda: Done(0, "nowhere", "")
    return engine


def test_release_whose_page_fails_where_it_did_not_is_undone(broken_page):
    before = state(broken_page)
    with pytest.raises(ReleaseError) as raised:
        deploy(broken_page)
    assert str(raised.value) == (
        "shop-app-2: the page / is answered with 500, and with 200 by the release that serves:"
        " ValueError: no such column. To go on all the same: make deploy FORCE=1"
    )
    assert "ValueError" in raised.value.log
    assert state(broken_page) == before
    assert broken_page.broken == []


def test_release_that_does_not_accept_the_site_s_name_is_undone(broken_page):
    engine = broken_page
    engine.new_page = 400
    before = state(engine)
    with pytest.raises(ReleaseError, match=r"answered with 400, .* the name localhost, which ALLOWED_HOSTS"):
        deploy(engine)
    assert state(engine) == before


def test_undoing_that_fails_hides_no_reason(broken_page, capsys):
    def hang():
        raise ReleaseError("docker rm has not ended in time")

    broken_page.failing["rm"] = hang
    with pytest.raises(ReleaseError, match=r"the page / is answered with"):
        deploy(broken_page)
    said = capsys.readouterr().out
    assert "It could not be undone: docker rm has not ended in time. The next call does that: make deploy" in said


def test_release_whose_page_fails_is_deployed_by_force(broken_page):
    assert deploy(broken_page, options=Options(is_forced=True)) == 0
    assert_deployed(broken_page)


@pytest.mark.parametrize("before", [500, 503, 0])
def test_release_whose_page_fails_as_before_is_deployed(broken_page, before):
    broken_page.pages["sha256:1"] = before
    assert deploy(broken_page) == 0
    assert_deployed(broken_page)


def test_rollback_from_a_page_that_fails_needs_no_force_and_one_to_it_does(broken_page):
    deploy(broken_page, options=Options(is_forced=True))
    deploy(broken_page, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert_deployed(broken_page, FIRST)
    with pytest.raises(ReleaseError, match="the page / is answered with 500"):
        deploy(broken_page, SECOND, plan=steps.ROLLBACK, is_new=False)
    assert_deployed(broken_page, FIRST)


def test_maintenance_is_named_instead_of_its_page(broken_page, capsys):
    broken_page.is_maintained = True
    broken_page.failing["compose port"] = lambda: Done(0, "127.0.0.1:1", "")
    deploy(broken_page, options=Options(is_forced=True))
    said = capsys.readouterr().out
    assert "the maintenance is on (make maintenance OFF)" in said
    assert "Warning: the page / is answered with 500: ValueError: no such column" in said
    broken_page.pages.clear()
    deploy(broken_page, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert "Warning" not in capsys.readouterr().out


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


def test_rollback_goes_to_the_release_before_the_live_one_and_runs_no_migration(engine):
    deploy(engine)
    engine.calls.clear()
    deploy(engine, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert_deployed(engine, FIRST)
    one_shots = [call for call in engine.calls if call.startswith("compose run")]
    assert [call.partition("--env ")[2] for call in one_shots] == [
        "ONLY_NEW_FILES=1 --env ONLY_STATIC_FILES=1 --env MIGRATE_COMMAND=true release",
        "ONLY_STATIC_FILES=1 --env MIGRATE_COMMAND=true release",
    ]
    assert f"shop-app:{SECOND}" in engine.tags


@pytest.mark.parametrize(("published", "runs"), [("FILES=ab12\n", 0), ("FILES=ab1\n", 1), ("", 1)])
def test_rollback_publishes_static_files_unless_nginx_serves_them_already(engine, published, runs):
    deploy(engine)
    engine.calls.clear()
    engine.migrations["sha256:1"] = []
    engine.digests["sha256:1"] = "ab12"
    engine.published = f"STATIC_URL=/static/\n{published}"
    run.locked(call := Call(site(engine), PLAIN, {}, {}), lambda: run.roll_back(call, FIRST))
    assert_deployed(engine, FIRST)
    assert sum(each.startswith("compose run") for each in engine.calls) == runs


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


def test_migrations_that_a_release_adds_are_named_and_stay_if_it_fails(engine, capsys):
    engine.migrations["sha256:1"] = ["shop.0001_initial"]
    build = engine._compose

    def record(arguments, environment):
        done = build(arguments, environment)
        if arguments[0] == "build":
            engine.migrations[engine.tags[environment["APP_IMAGE"]]] = ["shop.0001_initial", "shop.0002_price"]
        return done

    engine._compose = record
    engine.new_health = "unhealthy"
    with pytest.raises(ReleaseError):
        deploy(engine)
    said = capsys.readouterr().out
    assert "This release adds migrations: shop.0002_price\n" in said
    assert "Its migrations stay applied: shop.0002_price\n" in said


def test_rollback_past_a_migration_needs_to_be_forced(engine, capsys):
    deploy(engine)
    engine.migrations = {"sha256:1": ["shop.0001"], engine.tags["shop-app:live"]: ["shop.0001", "shop.0002"]}
    before = state(engine)
    with pytest.raises(ReleaseError) as raised:
        run.roll_back(Call(site(engine), PLAIN, {}, {}), FIRST)
    assert str(raised.value) == (
        f"{FIRST} does not have these migrations, which stay applied: shop.0002."
        f" If that release works with them: make rollback TO={FIRST} FORCE=1"
    )
    assert state(engine) == before
    run.roll_back(Call(site(engine), Options(is_forced=True), {}, {}), FIRST)
    assert_deployed(engine, FIRST)
    assert "Warning: " in capsys.readouterr().out


def test_rollback_that_fails_keeps_the_release(engine):
    deploy(engine)
    before = state(engine)
    engine.new_health = "unhealthy"
    with pytest.raises(ReleaseError):
        deploy(engine, FIRST, plan=steps.ROLLBACK, is_new=False)
    assert state(engine) == before


def test_releases_past_the_fifth_are_removed(engine):
    tags = [f"20261129-09000{number}" for number in range(6)]
    for tag in tags:
        deploy(engine, tag)
    kept = {name.partition(":")[2] for name in engine.tags} - {"live", "latest"}
    assert kept == set(tags[1:])


KEPT = [Release(f"20261129-09000{number}", f"sha256:{number}", "1MB", number == 1) for number in (2, 1, 0)]


def test_target_of_a_rollback():
    assert run.find_target(KEPT, "") == KEPT[2]
    assert run.find_target(KEPT, KEPT[0].tag) == KEPT[0]
    for wanted, said in (("nope", "must be one of the kept releases: "), (KEPT[1].tag, "is the live release")):
        with pytest.raises(KitError, match=said):
            run.find_target(KEPT, wanted)
    with pytest.raises(KitError, match="there is no release before the live one"):
        run.find_target(KEPT[:2], "")
    with pytest.raises(KitError, match="no release is live"):
        run.find_target(KEPT[:1], "")


def test_output_for_programs_is_one_object_per_line(engine, capsys):
    call = Call(site(engine)._replace(output=Output("deploy", is_json=True)), Options(is_json=True), {}, {})
    run.locked(call, lambda: run.perform(call, SECOND, steps.DEPLOY, is_new=True))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["step"] for row in rows if row.get("state") == "done"] == [
        "build",
        "release",
        "start",
        "ready",
        "switch",
        "static",
        "drain",
        "tidy",
    ]
    assert rows[-1]["state"] == "succeeded"
    assert rows[-1]["tag"] == SECOND
