"""deploy/kit/variables.py; what it shares with the images is compared in tests/kit/test_kit_sh.py."""

import re

import pytest

from kit.errors import KitError
from kit.variables import declared, read, read_integer


def test_every_default_is_an_allowed_value():
    assert len(declared()) > 20
    for name, variable in declared().items():
        if variable.default:
            assert read(name, {}) in (variable.default, "1", "0")


def test_unset_or_blank_variable_has_its_default():
    assert read_integer("THREADS", {}) == read_integer("THREADS", {"THREADS": ""}) == 16
    assert read("HEALTH_PATH", {}) == ""


@pytest.mark.parametrize("word", ["1", "true", "YES", "On"])
def test_switch_that_is_on(word):
    assert read("HTTPS", {"HTTPS": word}) == "1"


@pytest.mark.parametrize("value", ["\uff11\uff16", "1_0", "+1", " 1", "0x10"])
def test_integer_is_ascii_digits_alone(value):
    with pytest.raises(KitError, match=re.escape(f"THREADS={value!r}: must be an integer from 1 to 1024")):
        read("THREADS", {"THREADS": value})
