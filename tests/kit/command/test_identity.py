"""deploy/kit/identity.py: what compose's containers and volumes are named after."""

import re
from pathlib import Path

import pytest

import project_identity
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


def test_folders_of_the_same_name_are_two_projects():
    first, second = (identity.of_project(Path(path) / "shop", {}, ROOT) for path in ("/home/a", "/home/b"))
    assert first["COMPOSE_PROJECT_NAME"] == second["COMPOSE_PROJECT_NAME"] == "shop"
    assert re.fullmatch("shop@[0-9a-f]{8}", first["PROJECT_ID"])
    assert first["PROJECT_ID"] != second["PROJECT_ID"]
    assert first == identity.of_project(Path("/home/a/shop"), {}, ROOT)


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("shop", "/srv/shop", True),
        ("shop@0a1b2c3d", "shop@0a1b2c3d", True),
        ("shop@0a1b2c3d", "shop@4e5f6a7b", False),
        ("./shop", "shop@4e5f6a7b", True),
        ("shop", "blog@4e5f6a7b", False),
        ("shop@0a1b2c3d", "shop@home", False),
        ("shop\n@0a1b2c3d", "shop\n", True),
    ],
)
def test_two_that_may_be_the_same(one, other, is_same):
    assert project_identity.is_same(one, other) == project_identity.is_same(other, one) == is_same


def test_given_names_are_kept():
    given = {"COMPOSE_PROJECT_NAME": "live", "PROJECT_ID": "old-shop"}
    assert identity.of_project(Path("/srv/shop"), given, ROOT) == {"PROJECT_ID": "old-shop"}
