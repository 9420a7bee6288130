"""deploy/kit/identity.py: what compose's containers and volumes are named after."""

from pathlib import Path

import pytest

from kit import identity

ROOT = Path("/srv/ropewalk")


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("shop", "shop"),
        ("My Shop", "my-shop"),
        ("shop.example", "shop-example"),
        ("_private_", "private"),
        ("123", "123"),
        ("a_b-c", "a_b-c"),
        ("商店", "project"),
    ],
)
def test_name_has_the_letters_that_compose_allows(folder, name):
    assert identity.compose_name(Path("/srv") / folder) == name


def test_sample_project_keeps_compose_s_own_name():
    assert identity.of_project(ROOT / "sample_project", {}, ROOT) == {"PROJECT_ID": "sample_project"}


def test_given_names_are_kept():
    given = {"COMPOSE_PROJECT_NAME": "live", "PROJECT_ID": "old-shop"}
    assert identity.of_project(Path("/srv/shop"), given, ROOT) == {"PROJECT_ID": "old-shop"}
