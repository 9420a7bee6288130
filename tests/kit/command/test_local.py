"""deploy/kit/local.py: what `make run` decides; tests/kit/test_make_run.py runs it."""

import pytest

from kit import local
from kit.errors import KitError
from kit.paths import RUN


def test_sample_project_with_no_variable_set():
    plan = local.make_plan({"PATH": "/bin"})
    assert plan.project.name == "sample_project"
    assert (plan.port, plan.application) == (8080, "sample_project.wsgi:application")
    assert plan.options == ("--threads", "16", "--timeout", "30", "--graceful-timeout", "30")
    assert plan.environment["DATA_DIR"] == str(RUN / "data/sample_project")
    assert plan.environment["PATH"] == f"{RUN}/venv/bin:/bin"


def test_project_of_one_s_own_has_its_own_folders_and_comes_first_on_the_path(tmp_path):
    (tmp_path / "shop").mkdir()
    environment = {"PROJECT_DIR": str(tmp_path / "shop"), "PYTHONPATH": "/more", "MEDIA_ROOT": "/srv/media"}
    plan = local.make_plan(environment)
    assert plan.environment["PYTHONPATH"] == f"{tmp_path}/shop:/more"
    assert plan.environment["STATIC_ROOT"] == str(RUN / "static/shop")
    assert plan.environment["MEDIA_ROOT"] == "/srv/media"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PORT", "80000", "PORT='80000': must be an integer from 1 to 65535"),
        ("THREADS", "many", "THREADS='many': must be an integer from 1 to 1024"),
        ("REQUEST_TIMEOUT", "0", "REQUEST_TIMEOUT='0': must be an integer from 1 to 3600"),
        ("PROJECT_DIR", "nowhere", "PROJECT_DIR='nowhere': must be an existing folder"),
    ],
)
def test_bad_value_is_refused_before_anything_is_installed(name, value, said):
    with pytest.raises(KitError) as raised:
        local.make_plan({name: value})
    assert str(raised.value) == said


def test_stamp_changes_with_any_file_that_it_is_made_from(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("a")
    second.write_text("b")
    before = local.fingerprint([first, second])
    assert local.fingerprint([first, second]) == before != local.fingerprint([first])
    second.write_text("c")
    assert local.fingerprint([first, second]) != before


@pytest.mark.parametrize(("line", "options"), [("django==5.2 --hash=sha256:0", ["--require-hashes"]), ("django", [])])
def test_requirements_are_held_to_their_hashes_if_they_have_any(tmp_path, line, options):
    (tmp_path / "requirements.txt").write_text(line)
    assert local.hash_option(tmp_path / "requirements.txt") == options


def test_folder_that_cannot_be_created_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KitError) as raised:
        local.make_folder("DATA_DIR", f"{tmp_path}/file/data")
    assert str(raised.value) == f"DATA_DIR='{tmp_path}/file/data': cannot be created: Not a directory"
