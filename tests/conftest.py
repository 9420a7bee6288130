"""What holds for every test: the plugins that watch it, and how properties are tested."""

from __future__ import annotations

import hypothesis
import pytest

pytest.register_assert_rewrite("tests.helpers")
pytest_plugins = ("tests.helpers.signals", "tests.helpers.machine", "tests.helpers.leaks")

# Properties have no time limit: a busy machine is no fault of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
