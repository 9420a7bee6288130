"""deploy/kit/project/manifests.py: which file is used, and what it says is to be installed."""

import shutil
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.project import manifests
from kit.project.installation import Local, Reader, Unused

LOCKS = Path(__file__).with_name("locks")
BUILD = '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n'
LISTED = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask>=3", "redis"]\n'


def find(folder, **environment):
    return manifests.find(folder, environment)


def test_every_file_in_its_order(project):
    order = (
        *("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "requirements.txt"),
        *("requirements/prod.txt", "requirements/production.txt", "requirements/base.txt", "requirements-prod.txt"),
        *("pyproject.toml", "Pipfile", "setup.py"),
    )
    files = dict.fromkeys(order, "") | {"pyproject.toml": LISTED, "Pipfile.lock": '{"default": {}}'}
    assert manifests.candidates(project(files)) == list(order)


def test_the_others_are_said(project):
    found = find(project({"requirements.txt": "flask\n", "pyproject.toml": LISTED, "setup.py": ""}))
    assert found.file == "requirements.txt"
    why = "requirements.txt comes first"
    assert found.unused == (Unused("pyproject.toml", why), Unused("setup.py", why))


def test_pyproject_for_tools_alone_lists_nothing(project):
    found = find(project({"pyproject.toml": "[tool.ruff]\nline-length = 100\n"}))
    assert (found.file, found.has_packages) == ("", False)


def test_variable_names_another_file(project):
    folder = project(
        {"requirements.txt": "flask\n", "requirements/web.txt": "-r ../base.txt\n", "base.txt": "bottle\n"}
    )
    found = find(folder, REQUIREMENTS="requirements/web.txt")
    assert (found.file, found.base, found.requirements) == ("requirements/web.txt", ".", ("bottle",))
    assert found.files == ("requirements/web.txt", "base.txt")
    with pytest.raises(KitError, match=r"REQUIREMENTS='no\.txt': must be a file in the project"):
        find(folder, REQUIREMENTS="no.txt")


def test_included_requirements_are_not_listed_as_unused(project):
    found = find(project({"requirements.txt": "-r requirements/prod.txt\n", "requirements/prod.txt": "flask\n"}))
    assert (found.unused, found.files) == ((), ("requirements.txt", "requirements/prod.txt"))


def test_only_folder_with_requirements_is_used(project):
    found = find(
        project({"backend/requirements.txt": "flask\n-e .\n", "backend/setup.py": "", "docs/requirements.txt": ""})
    )
    assert (found.file, found.base) == ("backend/requirements.txt", "backend")
    assert found.files == ("backend/requirements.txt",)


def test_folders_below_are_looked_at_the_shallow_ones_first(project):
    found = find(project({"services/web/requirements.txt": "flask\n", "services/web/old/requirements.txt": "bottle\n"}))
    assert (found.file, found.base) == ("services/web/requirements.txt", "services/web")


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "pdm.lock"])
def test_lock_without_its_pyproject_is_said_to_be_unused(project, name):
    folder = project({name: "", "app.py": "import flask\n"})
    assert find(folder).unused == (Unused(name, "it needs its pyproject.toml"),)
    (folder / "requirements.txt").write_text("flask\n")
    assert find(folder).unused == (Unused(name, "it needs its pyproject.toml"),)


def test_several_folders_with_requirements_are_an_error(project):
    with pytest.raises(KitError) as raised:
        find(project({"api/requirements.txt": "", "web/requirements.txt": ""}))
    assert str(raised.value).endswith(".env:\nREQUIREMENTS=api/requirements.txt")


def test_uv_lock_is_read_by_uv(project):
    folder = project({"pyproject.toml": LISTED, "libs/core/pyproject.toml": "", "wheels/README": ""})
    shutil.copy(LOCKS / "uv.lock", folder)
    (folder / "wheels/itsdangerous-2.2.0-py3-none-any.whl").touch()
    found = find(folder)
    assert (found.file, found.reader, found.local) == ("uv.lock", Reader.UV_LOCK, (Local("."),))
    wheel = "wheels/itsdangerous-2.2.0-py3-none-any.whl"
    assert found.files == ("uv.lock", "pyproject.toml", "libs/core/pyproject.toml", wheel)


@pytest.mark.parametrize("name", ["poetry-1.8.lock", "poetry-2.5.lock"])
def test_poetry_lock_pins_what_pyproject_lists(project, name):
    text = """
        [tool.poetry]
        name = "shop"
        package-mode = false
        [tool.poetry.dependencies]
        python = "^3.11"
        click = "^8.1"
        core = {path = "libs/core", develop = true}
        packaging = {version = "*", optional = true}
        [tool.poetry.group.dev.dependencies]
        iniconfig = "^2.0"
        [build-system]
        requires = ["poetry-core"]
    """
    folder = project({"pyproject.toml": text, "libs/core/pyproject.toml": ""})
    shutil.copy(LOCKS / name, folder / "poetry.lock")
    found = find(folder)
    assert found.requirements == ("click>=8.1,<9",)
    assert {pin.name for pin in found.pins} == {"click", "iniconfig", "itsdangerous", "ours", "packaging"}
    assert found.local == (Local("libs/core", has_dependencies=True),)
    assert found.files == ("poetry.lock", "pyproject.toml")
    assert found.notes == ("pyproject.toml: groups that are not installed: dev",)


def test_pdm_lock_pins_what_pyproject_lists(project):
    folder = project({"pyproject.toml": f"{LISTED}{BUILD}"})
    shutil.copy(LOCKS / "pdm-2.12.lock", folder / "pdm.lock")
    found = find(folder)
    assert found.requirements == ("flask>=3", "redis")
    assert len(found.pins) == 4
    assert found.local == (Local(".", is_required=False),)


def test_pipfile_lock_is_the_list(project):
    folder = project({"Pipfile": "[packages]\nclick = '*'\n"})
    shutil.copy(LOCKS / "Pipfile.lock", folder)
    found = find(folder)
    assert (found.file, len(found.requirements), found.is_complete) == ("Pipfile.lock", 3, True)
    assert not found.is_hashed  # one of them is a repository
    assert (found.files, found.unused) == (("Pipfile.lock", "Pipfile"), ())


def test_pipfile_without_a_lock(project):
    text = """
        [[source]]
        name = "ours"
        url = "https://index.example/simple"
        [packages]
        flask = "*"
        celery = {version = "~=5.4", extras = ["redis"], markers = "python_version >= '3.11'"}
        [dev-packages]
        pytest = "*"
    """
    found = find(project({"Pipfile": text}))
    assert found.requirements == ("flask", "celery[redis]~=5.4 ; python_version >= '3.11'")
    assert found.options == ("--extra-index-url https://index.example/simple",)


@pytest.mark.parametrize("host", ["{}.org", "{}.python.org"])
def test_pypi_under_any_name_is_no_index_of_its_own(project, host):
    url = f"https://{host.format('pypi')}/simple"
    pipfile = f'[[source]]\nurl = "{url}"\n[packages]\nflask = "*"\n'
    lock = f'{{"_meta": {{"sources": [{{"url": "{url}"}}]}}, "default": {{"flask": {{"version": "==3.1.0"}}}}}}'
    poetry = f"""
        [tool.poetry]
        [tool.poetry.dependencies]
        flask = "*"
        [[tool.poetry.source]]
        name = "main"
        url = "{url}"
    """
    for files in ({"Pipfile": pipfile}, {"Pipfile.lock": lock}, {"pyproject.toml": poetry}):
        found = find(project(files))
        assert (len(found.requirements), found.options) == (1, ()), files


def test_pylock_is_read_by_uv(project):
    text = 'lock-version = "1.0"\ncreated-by = "uv"\n[[packages]]\nname = "click"\nversion = "8.5.1"\n'
    found = find(project({"pylock.toml": text}))
    assert (found.reader, found.files) == (Reader.PYLOCK, ("pylock.toml",))


@pytest.mark.parametrize(
    ("more", "local"),
    [("", ()), (BUILD, (Local(".", is_required=False),)), (f"{BUILD}[tool.uv]\npackage = false\n", ())],
)
def test_pyproject_without_a_lock(project, more, local):
    found = find(project({"pyproject.toml": f"{LISTED}{more}"}))
    assert (found.requirements, found.local) == (("flask>=3", "redis"), local)


def test_dependencies_that_are_no_list_are_refused(project):
    with pytest.raises(KitError, match=r"^pyproject\.toml: project\.dependencies must be a list of strings$"):
        find(project({"pyproject.toml": LISTED.replace('["flask>=3", "redis"]', '"flask"')}))


def test_dependencies_of_pyproject_in_another_file(project):
    text = f"""
[project]
name = "shop"
dynamic = ["version", "dependencies"]
[tool.setuptools.dynamic]
dependencies = {{file = ["requirements.in"]}}
{BUILD}"""
    found = find(project({"pyproject.toml": text, "requirements.in": "flask\n"}))
    assert (found.requirements, found.files) == (("flask",), ("pyproject.toml", "requirements.in"))


@pytest.mark.parametrize(
    ("files", "requirements", "is_required"),
    [
        (
            {"setup.py": "from setuptools import setup\nsetup(install_requires=['flask', 'redis>5'])\n"},
            ("flask", "redis>5"),
            False,
        ),
        ({"setup.py": "requires = ['flask']\nsetup(install_requires=requires)\n"}, ("flask",), False),
        ({"setup.py": "setup(install_requires=open('r').read().split())\n"}, (), True),
        ({"setup.cfg": "[options]\ninstall_requires =\n    flask\n    # no\n    redis\n"}, ("flask", "redis"), False),
        ({"setup.py": "setup()\n", "setup.cfg": "[options]\ninstall_requires = file: r.txt\n"}, (), True),
    ],
)
def test_setup(project, files, requirements, is_required):
    found = find(project(files))
    assert found.requirements == requirements
    assert found.local == (Local(".", has_dependencies=True, is_required=is_required),)


def test_setup_cfg_for_tools_alone_lists_nothing(project):
    assert find(project({"setup.cfg": "[flake8]\nmax-line-length = 100\n"})).file == ""


def test_files_for_uv(project, tmp_path):
    folder = project({"requirements.txt": "--no-binary x\n-c limits.txt\nflask\n", "limits.txt": "werkzeug<4\n"})
    requirements, constraints = find(folder).write(tmp_path)
    assert requirements.read_text() == "--no-binary x\nflask\n"
    assert constraints.read_text() == "werkzeug<4\n"


def test_settings_of_uv_are_read_with_the_dependencies(project):
    folder = project({"requirements.txt": "flask\n", "uv.toml": "", "pyproject.toml": "[tool.uv]\n"})
    assert find(folder).files == ("requirements.txt", "uv.toml", "pyproject.toml")
    (folder / "pyproject.toml").write_text("[tool.ruff]\n")
    assert find(folder).files == ("requirements.txt", "uv.toml")


@pytest.mark.parametrize(
    ("groups", "requirements"),
    [
        ('main = ["flask"]\ndev = ["pytest"]\n', ("flask",)),
        ('web = ["flask", {include-group = "db"}]\ndb = ["redis"]\nlint = ["ruff"]\n', ("flask", "redis", "redis")),
        ('dev = ["pytest"]\n', ()),
    ],
)
def test_dependency_groups_of_a_project_with_no_other_list(project, groups, requirements):
    found = find(project({"pyproject.toml": f"[dependency-groups]\n{groups}"}))
    assert found.requirements == requirements
