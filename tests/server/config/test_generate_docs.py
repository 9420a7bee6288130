"""docs/settings.md is what the table of settings says."""

from __future__ import annotations

from ropewalk.config.flags import build_parser
from ropewalk.config.generate_docs import document
from ropewalk.config.settings import all_settings
from tests.helpers.paths import REPOSITORY

PAGE = REPOSITORY / "docs/settings.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == document(), "run: make docs"


def test_every_option_and_variable_is_on_the_page_and_in_the_help() -> None:
    page, help_text = document(), build_parser(shows_all=True).format_help()
    for setting in all_settings():
        for flag in setting.declaration.flags:
            assert flag in page
            assert flag in help_text
        for variable in setting.documented_variables:
            assert f"`{variable}`" in page
