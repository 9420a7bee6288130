"""deploy/kit/project/locks.py, with locks that the tools themselves have made (their URLs replaced)."""

from pathlib import Path

import pytest

from kit.errors import KitError
from kit.project import locks
from kit.project.installation import Installation, Pin

LOCKS = Path(__file__).with_name("locks")
COMMIT = "bfb594006740783be8d12e8d086829a74b747922"


@pytest.mark.parametrize(
    ("name", "markers"),
    [("poetry-1.8.lock", ("", "")), ("poetry-2.5.lock", ('python_version == "3.11"', 'python_version >= "3.12"'))],
)
def test_lock_of_poetry(name, markers):
    pins = {(pin.name, pin.version): pin for pin in locks.read_poetry(LOCKS / name)}
    assert sorted({name for name, _ in pins}) == ["click", "iniconfig", "itsdangerous", "ours", "packaging"]
    assert len(pins["click", "8.5.1"].hashes) == 2
    assert pins["packaging", "26.4"].marker == ""
    assert (pins["itsdangerous", "2.1.2"].marker, pins["itsdangerous", "2.2.0"].marker) == markers
    ours = pins["ours", "1.0"]
    assert ours.requirement() == f"ours @ git+https://git.example/ours.git@{COMMIT}"


def test_lock_of_poetry_1_1_has_its_hashes_in_a_table(tmp_path):
    (tmp_path / "poetry.lock").write_text(
        '[[package]]\nname = "Click"\nversion = "8.0"\ncategory = "main"\noptional = false\n'
        '[metadata]\nlock-version = "1.1"\n[metadata.files]\nclick = [{file = "click.whl", hash = "sha256:aa"}]\n'
    )
    assert locks.read_poetry(tmp_path / "poetry.lock") == (Pin("click", "8.0", ("sha256:aa",)),)


def test_lock_of_pdm():
    pins = {pin.name: pin for pin in locks.read_pdm(LOCKS / "pdm-2.12.lock")}
    assert sorted(pins) == ["click", "iniconfig", "itsdangerous", "packaging"]
    assert pins["itsdangerous"].requirement(hashes=False) == 'itsdangerous==2.2.0 ; python_version >= "3.12"'
    assert len(pins["click"].hashes) == 2


def test_lock_of_pipenv():
    requirements, options = locks.read_pipfile_lock(LOCKS / "Pipfile.lock")
    click, itsdangerous, ours = requirements
    assert click.startswith("click==8.5.1 ; python_version >= '3.10' \\\n    --hash=sha256:8bb5376d")
    assert itsdangerous.startswith("itsdangerous==2.2.0 ; python_version >= '3.11' \\\n    --hash=sha256:")
    assert ours == f"ours @ git+https://git.example/ours.git@{COMMIT}"
    assert options == []


def test_versions_without_a_marker_become_a_range():
    pins = (Pin("a", "1.0"), Pin("b", "2.10"), Pin("b", "2.9"), Pin("c", "1", marker="x"), Pin("c", "2", marker="y"))
    lines = Installation(pins=pins).constraints_of_lock()
    assert lines == ["a==1.0", "b>=2.9,<=2.10", "c==1 ; x", "c==2 ; y"]


@pytest.mark.parametrize(
    ("reader", "text", "said"),
    [
        (locks.read_poetry, "[[package]]\nversion = '1'\n", "is not a lock: every [[package]] must have a name"),
        (locks.read_poetry, "<<<<<<< HEAD\n", "is not valid TOML"),
        (locks.read_pipfile_lock, "{}", 'is not a lock: it has no "default" section'),
        (locks.read_pipfile_lock, "[]", "must be an object of JSON"),
        (locks.read_pipfile_lock, "{,}", "is not valid JSON"),
    ],
)
def test_file_that_is_no_lock_is_named(tmp_path, reader, text, said):
    (tmp_path / "x.lock").write_text(text)
    with pytest.raises(KitError) as raised:
        reader(tmp_path / "x.lock")
    assert str(raised.value).startswith(f"x.lock: {said}")
