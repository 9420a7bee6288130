"""Which files of a tree are watched, and which folders are left out."""

import pytest

from ropewalk.reloading import tree
from ropewalk.reloading.tree import Ignored, expanded, templates_and_sources


@pytest.fixture
def project(tmp_path):
    for name in (
        *("shop.py", "shop/views.py", "shop/templates/shop/page.html", "shop/templates/data.bin", "jinja2/a.txt"),
        *("notes.html", ".git/hooks/a.py", "node_modules/x/templates/x.html", "shop/__pycache__/views.py"),
        *("myenv/pyvenv.cfg", "myenv/lib/a.py", "lib/site-packages/b/templates/b.html"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


def names(project, paths):
    return sorted(path.removeprefix(f"{project}/") for path in paths)


def test_templates_are_found_by_the_names_of_their_folders(project):
    assert names(project, templates_and_sources(str(project), with_sources=False)) == [
        *("jinja2/a.txt", "shop/templates/shop/page.html"),
    ]


def test_sources_are_those_that_somebody_edits(project):
    assert names(project, templates_and_sources(str(project), with_sources=True)) == [
        *("jinja2/a.txt", "shop.py", "shop/templates/shop/page.html", "shop/views.py"),
    ]


def test_patterns_are_expanded(project):
    found = expanded([f"{project}/**/*.html", f"{project}/shop", f"{project}/missing"])
    assert set(names(project, found)) == {
        *("notes.html", "shop/templates/shop/page.html", "shop/templates/data.bin", "shop/views.py"),
        "missing",
    }


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.py", ["shop.py"]),
        ("**/*.py", ["shop.py", "shop/views.py"]),
        ("shop/**/*.html", ["shop/templates/shop/page.html"]),
        ("**/templates/**/*", ["shop/templates/data.bin", "shop/templates/shop/page.html"]),
        ("sh?p/[uv]*.py", ["shop/views.py"]),
        ("lib/site-packages/b/templates/*", ["lib/site-packages/b/templates/b.html"]),
        ("**/*.css", []),
    ],
)
def test_pattern_names_files(project, pattern, expected):
    assert names(project, expanded([f"{project}/{pattern}"])) == expected


def test_pattern_that_ends_with_any_depth_names_all_files_below(project):
    assert names(project, expanded([f"{project}/shop/templates/**"])) == [
        *("shop/templates/data.bin", "shop/templates/shop/page.html"),
    ]


def test_a_very_large_tree_is_not_searched_to_its_end(project, monkeypatch):
    monkeypatch.setattr(tree, "MAX_FOLDERS", 1)
    assert names(project, templates_and_sources(str(project), with_sources=True)) == ["shop.py"]


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.log", "/app/a.log", True),
        ("generated.py", "/app/shop/generated.py", True),
        ("generated.py", "/app/shop/not_generated.py", False),
        ("shop/static/", "/app/shop/static/a/b.css", True),
        ("static", "/app/shop/statically.py", False),
        ("/app/shop/*", "/app/shop/a/b.py", True),
        ("/app/shop/*", "/other/a.py", False),
    ],
)
def test_pattern_leaves_out(pattern, path, expected):
    assert (path in Ignored([pattern])) is expected
