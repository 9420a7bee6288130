"""What the tests of deployments share."""

from kit.release import images, run, steps
from kit.release.output import Output
from kit.release.run import Call, Options
from kit.release.site import Site

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
