"""deploy/kit/times.py; the chain's inequalities are in tests/kit/test_times.py."""

import re

import pytest

from kit.errors import KitError
from kit.times import stop_grace_period


@pytest.mark.parametrize(
    ("variables", "period"),
    [
        ({}, "45s"),
        ({"REQUEST_TIMEOUT": "60"}, "75s"),
        ({"DRAIN_DELAY": "20"}, "60s"),
        ({"STOP_GRACE_PERIOD": "90s"}, "90s"),
        ({"STOP_GRACE_PERIOD": "45s", "REQUEST_TIMEOUT": "30"}, "45s"),
    ],
)
def test_period_is_the_given_one_or_the_chain_s(variables, period):
    assert stop_grace_period(variables) == period


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"STOP_GRACE_PERIOD": "44s"}, "STOP_GRACE_PERIOD='44s': must be at least 45s with REQUEST_TIMEOUT=30"),
        ({"STOP_GRACE_PERIOD": "1m"}, "STOP_GRACE_PERIOD='1m': must be whole seconds, such as 45s"),
    ],
)
def test_period_that_would_cut_a_stop_short_is_refused(variables, said):
    with pytest.raises(KitError, match=f"^{re.escape(said)}$"):
        stop_grace_period(variables)
