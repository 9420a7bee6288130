"""The table of settings, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from ropewalk.config.settings import Settings, all_settings, make_settings
from ropewalk.config.table import Setting
from ropewalk.errors import ConfigError

EACH = pytest.mark.parametrize("setting", all_settings(), ids=lambda setting: setting.name)


def test_no_two_settings_share_a_name() -> None:
    settings = all_settings()
    flags = [flag for setting in settings for flag in setting.declaration.flags]
    variables = [variable for setting in settings for variable in setting.variables]
    keys = [setting.key for setting in settings]
    for names in (flags, variables, keys):
        assert len(names) == len(set(names))


@EACH
def test_a_default_is_a_value_that_the_setting_allows(setting: Setting) -> None:
    assert setting.declaration.read(setting.default) == setting.default


@EACH
def test_help_is_a_phrase_without_an_end(setting: Setting) -> None:
    text = setting.declaration.help
    assert text[0].islower()
    assert not text.endswith(".")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"env": "SCRIPT_NAME=/shop"}, "/shop"),
        ({"env": ["A=1", "SCRIPT_NAME=/first", "SCRIPT_NAME=/shop"]}, "/shop"),
        ({"env": ["SCRIPT_NAME=/env"], "script_name": "/shop"}, "/shop"),
        ({"env": ["SCRIPT_NAME=/env"], "script_name": ""}, ""),
        ({"env": ["SCRIPT_NAME=/"]}, ""),
        ({"env": ["NAME=/shop"]}, ""),
    ],
)
def test_script_name_is_also_read_from_env_in_a_program(values: dict[str, Any], expected: str) -> None:
    assert make_settings(**values).script_name == expected


def test_script_name_from_env_that_is_not_allowed_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"script_name='shop/' \(from SCRIPT_NAME\): must begin with /"):
        make_settings(env=["SCRIPT_NAME=shop/"])


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="cannot set workers"):
        Settings().workers = 2


def test_an_embedder_may_write_one_text_for_a_tuple() -> None:
    settings = make_settings(bind="127.0.0.1:0", workers=2, keep_alive=5, limit_request_body="20M")
    assert settings.bind == ("127.0.0.1:0",)
    assert (settings.workers, settings.keep_alive, settings.limit_request_body) == (2, 5.0, 20 * 1024 * 1024)


def test_an_embedders_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no such setting: worker"):
        make_settings(worker=2)


def test_an_embedders_bad_value_is_reported_by_the_arguments_name() -> None:
    with pytest.raises(ConfigError, match=r"^keep_alive='soon': must be a number of seconds"):
        make_settings(keep_alive="soon")
