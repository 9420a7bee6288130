"""deploy/kit/project/install.py: with a small fake of uv, which records its calls, and with the real one."""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kit.errors import KitError
from kit.project import install, manifests
from kit.project.install import Uv
from kit.project.installation import Installation, Local, Pin
from tests.helpers.paths import REPOSITORY
from tests.helpers.wheels import make_wheel

LOCKS = Path(__file__).with_name("locks")


@pytest.fixture
def fake(tmp_path):
    """fake(output, errors="", status=0): a `uv` that prints these, and the calls that it got, with the files' texts."""

    def make(output="", *, errors="", status=0, environment=None):
        program, calls = tmp_path / "uv", tmp_path / "calls"
        program.write_text(
            textwrap.dedent(f"""\
            #!{sys.executable} -I
            import json, os, pathlib, sys
            texts = [pathlib.Path(word).read_text() for word in sys.argv if word.endswith(".txt")]
            names = ("UV_PYTHON_DOWNLOADS", "UV_PROJECT_ENVIRONMENT", "UV_DEFAULT_INDEX", "PYTHONPATH")
            variables = {{name: os.environ[name] for name in names if name in os.environ}}
            with open({str(calls)!r}, "a") as file:
                file.write(json.dumps([sys.argv[1:], texts, os.getcwd(), variables]) + "\\n")
            sys.stderr.write({errors!r})
            print({output!r})
            sys.exit({status})
            """)
        )
        program.chmod(0o755)
        python = tmp_path / "venv/bin/python"
        return Uv(program, python, environment or {}), lambda: [
            json.loads(line) for line in calls.read_text().splitlines()
        ]

    return make


def test_requirements_are_held_to_their_hashes_if_they_have_any(project, fake):
    folder = project({"requirements.txt": "click==8.1.8 --hash=sha256:aa\n", "plain.txt": "click\n"})
    uv, calls = fake()
    for environment in ({}, {"REQUIREMENTS": "plain.txt"}):
        install.install_dependencies(manifests.find(folder, environment), folder, uv)
    (first, texts, where, _), (second, *_) = calls()
    assert first[:4] == ["pip", "install", "--python", str(uv.python)]
    assert ("--require-hashes" in first, "--require-hashes" in second) == (True, False)
    assert texts == ["click==8.1.8 \\\n    --hash=sha256:aa\n"]
    assert where == str(folder)


def test_lock_of_poetry_is_installed_in_its_versions_and_with_its_hashes(project, fake):
    folder = project({"pyproject.toml": '[tool.poetry.dependencies]\nclick = "*"\nitsdangerous = "*"\n'})
    shutil.copy(LOCKS / "poetry-1.8.lock", folder / "poetry.lock")
    uv, calls = fake("click==8.5.1\nitsdangerous==2.1.2 ; python_version < '3.12'")
    install.install_dependencies(manifests.find(folder, {}), folder, uv)
    (compiled, (constraints, requirements), *_), (installed, (pinned,), *_) = calls()
    assert compiled[:2] == ["pip", "compile"]
    assert requirements == "click\nitsdangerous\n"
    assert "click==8.5.1\n" in constraints
    assert "itsdangerous>=2.1.2,<=2.2.0\n" in constraints
    assert {"--no-deps", "--require-hashes"} <= set(installed)
    assert pinned.startswith("click==8.5.1 \\\n    --hash=sha256:8bb5376d")
    assert "itsdangerous==2.1.2 \\\n    --hash=sha256:2c234911" in pinned
    assert "iniconfig" not in pinned


@pytest.mark.parametrize("line", ["blinker==1.9.0", "click==8.0"])
def test_lock_that_lacks_what_is_needed_is_out_of_date(line):
    installation = Installation("poetry.lock", pins=(Pin("click", "8.5.1"),))
    assert install.chosen_pins("click==8.5.1\n", installation) == [Pin("click", "8.5.1")]
    with pytest.raises(KitError) as raised:
        install.chosen_pins(f"{line}\n", installation)
    assert str(raised.value).startswith(
        f"poetry.lock is out of date: pyproject.toml needs {line}, which it does not have"
    )
    assert "`poetry lock`" in str(raised.value)


def test_lock_of_uv_is_synchronized_without_and_then_with_the_project(project, fake):
    folder = project(
        {"pyproject.toml": "[project]\n", "uv.lock": '[[package]]\nname = "x"\nsource = { editable = "." }\n'}
    )
    uv, calls = fake()
    installation = manifests.find(folder, {})
    install.install_dependencies(installation, folder, uv)
    install.install_project(installation, folder, uv)
    (first, *_, variables), (second, *_) = calls()
    assert first[:4] == ["sync", "--frozen", "--no-dev", "--inexact"]
    assert {"--no-install-project", "--no-install-workspace", "--no-install-local"} <= set(first)
    assert not any(word.startswith("--no-install") for word in second)
    assert variables["UV_PROJECT_ENVIRONMENT"] == str(uv.python.parent.parent)


def test_environment_of_uv(project, fake):
    given = {"PYTHONPATH": "/x", "UV_PYTHON": "3.9", "PIP_INDEX_URL": "https://index.example/simple", "PATH": "/bin"}
    found = install.uv_environment(given, Path("/venv/bin/python"))
    assert found["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert (found["UV_PYTHON_DOWNLOADS"], found["UV_PROJECT_ENVIRONMENT"]) == ("never", "/venv")
    assert not {"PYTHONPATH", "UV_PYTHON"} & set(found)


def test_lack_of_a_compiler_ends_with_the_lines_to_add(project, fake):
    folder = project({"requirements.txt": "psycopg2\n"})
    errors = "  × Failed to build `psycopg2==2.9.10`\nError: pg_config executable not found.\n"
    uv, _ = fake(errors=errors, status=1, environment={"BUILD_PACKAGES": "make", "RUNTIME_PACKAGES": ""})
    with pytest.raises(KitError) as raised:
        install.install_dependencies(manifests.find(folder, {}), folder, uv)
    assert str(raised.value) == (
        "psycopg2 cannot be built, packages of Debian are missing: put into .env:\n"
        'BUILD_PACKAGES="make gcc python3-dev libpq-dev"\nRUNTIME_PACKAGES="libpq5"'
    )


@pytest.fixture
def old_python():
    """old_python(uv): its environment has Python 3.13.5."""

    def set_version(uv):
        uv.python.parent.mkdir(parents=True)
        (uv.python.parent.parent / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.13.5\n")

    return set_version


def test_old_versions_that_cannot_be_built_are_all_named_in_one_line(project, fake, old_python):
    folder = project({"requirements.txt": "markdown==2.6.9\nimp3==1\n", "setup.py": "setup(install_requires=['x'])\n"})
    uv, calls = fake(status=1)
    program = uv.program.read_text().replace(
        "sys.exit(1)",
        "overrides = ''.join(texts[:-1])\n"
        "lacks = [one for one in ('markdown==2.6.9', 'imp3==1') if one.partition('==')[0] not in overrides]\n"
        "if lacks: sys.exit(f'error: Failed to build `{lacks[0]}`')\n",
    )
    uv.program.write_text(program)
    old_python(uv)
    with pytest.raises(KitError) as raised:
        install.install_dependencies(manifests.find(folder, {}), folder, uv)
    said = str(raised.value)
    assert said.startswith("markdown, imp3 cannot be built for Python 3.13.5: these versions are older than it.")
    assert '\nUNPIN="markdown imp3"\nOr, with the listed versions, use an older Python:\n' in said
    assert "\nBASE_IMAGE=python:3.11-slim-trixie" in said
    assert said.endswith("REQUIREMENTS=setup.py")
    assert [len(texts) for _, texts, *_ in calls()] == [1, 2, 2]


def test_package_that_no_newer_version_mends_is_named(project, fake, old_python):
    folder = project({"requirements.txt": "typed-ast==1.4\n"})
    uv, _ = fake(errors="error: Failed to build `typed-ast==1.4`\n", status=1)
    old_python(uv)
    with pytest.raises(KitError) as raised:
        install.install_dependencies(manifests.find(folder, {}), folder, uv)
    assert str(raised.value).startswith("typed-ast could not be built for Python 3.13.5; uv has printed the reason")
    assert str(raised.value).endswith('put into .env:\nUNPIN="-typed-ast"')


def test_packages_that_are_there_are_not_asked_for_again(project, fake, old_python):
    folder = project({"requirements.txt": "psycopg2-binary==2.9.9\n"})
    given = {"BUILD_PACKAGES": "gcc python3-dev libpq-dev", "RUNTIME_PACKAGES": "libpq5"}
    errors = "error: Failed to build `psycopg2-binary==2.9.9`\nError: pg_config executable not found.\n"
    uv, _ = fake(errors=errors, status=1, environment=given)
    old_python(uv)
    with pytest.raises(KitError, match=r"psycopg2-binary could not be built for Python 3[.]13[.]5"):
        install.install_dependencies(manifests.find(folder, {}), folder, uv)


def test_other_failure_refers_to_what_uv_has_printed(project, fake, capsys):
    folder = project({"requirements.txt": "flask\n"})
    uv, _ = fake(errors=" + click==8\nno solution found\n", status=1)
    with pytest.raises(KitError, match=r"^what requirements\.txt lists could not be installed; uv has printed"):
        install.install_dependencies(manifests.find(folder, {}), folder, uv)
    assert capsys.readouterr().err == "no solution found\n"


def test_project_that_cannot_be_built_is_found_by_its_path(project, fake, capsys):
    folder = project({})
    uv, _ = fake(errors="error: Multiple top-level packages\n", status=1)
    install.install_project(Installation(local=(Local(".", is_required=False),)), folder, uv)
    assert "Its folder is on PYTHONPATH instead" in capsys.readouterr().out
    with pytest.raises(KitError):
        install.install_project(Installation(local=(Local("."),)), folder, uv)


def test_folder_of_the_project_is_installed_with_the_options_of_the_requirements(project, fake):
    folder = project({"requirements.txt": "--no-binary x\n-e ./libs/x[a]\n", "libs/x/setup.py": ""})
    uv, calls = fake()
    install.install_project(manifests.find(folder, {}), folder, uv)
    ((words, texts, *_),) = calls()
    assert words[-2:] == ["--editable", "./libs/x[a]"]
    assert texts == ["--no-binary x\n"]


def test_only_the_files_of_dependencies_are_copied(project, tmp_path):
    folder = project(
        {"requirements.txt": "-r more/base.txt\n", "more/base.txt": "flask\n", "app.py": "", "more/x.py": ""}
    )
    install.copy_files(manifests.find(folder, {}), folder, tmp_path / "copy")
    copied = tmp_path / "copy"
    assert sorted(str(path.relative_to(copied)) for path in copied.rglob("*.*")) == [
        "more/base.txt",
        "requirements.txt",
    ]
    assert manifests.find(copied, {}).requirements == ("flask",)


def test_folders_that_are_distributions_need_not_be_copied(project, tmp_path):
    files = {"requirements.txt": "flask\n./libs/x\n-e ./libs/y[a]\n", "libs/x/setup.py": "", "libs/y/setup.py": ""}
    found = manifests.find(folder := project(files), {})
    install.copy_files(found, folder, tmp_path / "copy")
    assert manifests.find(tmp_path / "copy", {}) == found
    assert [path.name for path in (tmp_path / "copy").rglob("*.*")] == ["requirements.txt"]


def test_fingerprint_has_every_file_that_decides(project):
    text = "-r more/base.txt\n-c limits.txt\n./libs/x\n"
    files = {"requirements.txt": text, "more/base.txt": "", "limits.txt": "", "libs/x/setup.py": "", "app.py": ""}
    folder = project(files)
    found = install.fingerprint_files(manifests.find(folder, {}), folder)
    assert [str(path.relative_to(folder)) for path in found] == [
        *("requirements.txt", "more/base.txt", "limits.txt", "libs/x/setup.py")
    ]


@pytest.fixture
def offline(tmp_path):
    """offline(project): runs the kit's own `install` with the real uv and no index; the names that were installed."""
    python = tmp_path / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)

    def run(folder, *options):
        uv = Path(sys.executable).with_name("uv")
        command = [sys.executable, "-I", REPOSITORY / "deploy/kit", "install", "--project", folder, "--python", python]
        environment = {"PATH": "/usr/bin:/bin", "UV_OFFLINE": "1", "UV_CACHE_DIR": str(tmp_path / "cache")}
        done = subprocess.run(
            [*command, "--uv", uv, *options], env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        names = sorted(path.name for path in (tmp_path / "venv").glob("lib/*/site-packages/*.dist-info"))
        return done, names

    return run


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "--no-index\n--find-links wheels\nharbour\n"},
        {
            "requirements.txt": "-r requirements/prod.txt\n",
            "requirements/prod.txt": "./wheels/harbour-1.0-py3-none-any.whl\n",
        },
        {
            "pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.11"\nharbour = "^1.0"\n',
            "poetry.lock": '[[package]]\nname = "harbour"\nversion = "1.0"\n',
            "uv.toml": 'no-index = true\nfind-links = ["wheels"]\n',
        },
    ],
)
def test_real_uv_installs(project, offline, files):
    folder = project(files)
    make_wheel(folder / "wheels", "harbour")
    make_wheel(folder / "wheels", "other")
    done, names = offline(folder)
    assert done.returncode == 0, done.stderr
    assert names == ["harbour-1.0.dist-info"]


def test_real_uv_that_finds_nothing_ends_without_a_traceback(project, offline):
    done, names = offline(project({"requirements.txt": "--no-index\nno-such-name\n"}))
    assert (done.returncode, names) == (2, [])
    assert done.stderr.endswith(
        "install: what requirements.txt lists could not be installed; uv has printed the reason above\n"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "install: --project DIR is missing\n"),
        (["--project", "nowhere"], "install: PROJECT_DIR='nowhere': must be an existing folder\n"),
        (["--project", "/"], "install: --python None: must be the interpreter of a virtual environment\n"),
    ],
)
def test_wrong_use_is_refused(options, said):
    command = [sys.executable, "-I", REPOSITORY / "deploy/kit", "install", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30, cwd="/")
    assert (done.returncode, done.stderr) == (2, said)


def test_pinned_version_that_needs_a_compiler_has_another_way(project, fake):
    folder = project({"requirements.txt": "cffi==1.15.1\n"})
    uv, _ = fake(errors="error: Failed to build `cffi==1.15.1`\nffi.h: No such file\n", status=1)
    with pytest.raises(KitError) as raised:
        install.install_dependencies(manifests.find(folder, {}), folder, uv)
    assert str(raised.value).endswith(
        'RUNTIME_PACKAGES="libffi8"\nOr, if its newest version does for the project, which may need none of them:\n'
        'UNPIN="cffi"'
    )


def test_compiler_for_a_version_that_an_older_python_has_a_wheel_for(project, fake, old_python):
    folder = project({"requirements.txt": "psycopg2-binary==2.9.9\n"})
    uv, _ = fake(errors="error: Failed to build `psycopg2-binary==2.9.9`\nlibpq-fe.h: No such file\n", status=1)
    old_python(uv)
    with pytest.raises(KitError) as raised:
        install.install_dependencies(manifests.find(folder, {}), folder, uv)
    said = str(raised.value)
    assert 'BUILD_PACKAGES="gcc' in said
    assert said.endswith(
        'UNPIN="psycopg2-binary"\nOr, with the listed versions, use an older Python:\n'
        "BASE_IMAGE=python:3.12-slim-trixie"
    )
