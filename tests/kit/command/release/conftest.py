import pytest

from tests.helpers.fake_engine import FakeEngine
from tests.kit.command.release.deploying import FIRST


@pytest.fixture
def engine():
    engine = FakeEngine()
    engine.tags |= {f"shop-app:{FIRST}": "sha256:1", "shop-app:live": "sha256:1"}
    return engine
