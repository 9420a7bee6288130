"""`make rollback`, and the releases that are kept for it."""

import json

import pytest

from kit.errors import KitError
from kit.release import run, steps
from kit.release.errors import ReleaseError
from kit.release.images import Release
from kit.release.output import Output
from kit.release.run import Call, Options
from tests.kit.command.release.deploying import FIRST, PLAIN, SECOND, assert_deployed, deploy, site, state


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
