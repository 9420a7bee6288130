"""deploy/kit/stack.py: `make down` while somebody deploys."""

import pytest

from kit import compose, stack
from kit.errors import KitError
from kit.release import engine as engines
from kit.release import lock
from tests.helpers.fake_engine import FakeEngine


class Replaced(Exception):  # noqa: N818 - named as what has happened
    """The process would be docker compose from here on."""


@pytest.fixture
def engine(monkeypatch):
    engine = FakeEngine()
    monkeypatch.setattr(compose, "prepare", dict)
    monkeypatch.setattr(compose, "project_name", lambda _: "shop")
    monkeypatch.setattr(engines, "Engine", lambda *_: engine)

    def replace(arguments, _):
        raise Replaced(*arguments)

    monkeypatch.setattr(compose, "replace", replace)
    return engine


def test_deployment_in_progress_is_not_ended_unless_it_is_wanted(engine):
    lock.acquire(engine, "shop", "sha256:1")
    with pytest.raises(KitError, match=r"a deployment of shop is in progress: .* process \d+, since .* UNLOCK=1"):
        stack.down({})
    with pytest.raises(Replaced, match="down"):
        stack.down({}, unlocks=True)


@pytest.mark.parametrize("owner", [None, lock.this_process()._replace(started="0")])
def test_nothing_is_in_the_way_of_the_end(engine, owner):
    if owner:
        engine.run("create", "--name", "shop-deployment", f"--label={lock.LABEL}={owner}")
    with pytest.raises(Replaced, match="down"):
        stack.down({})
