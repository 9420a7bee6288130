"""deploy/kit/local.py: what `make run` decides; tests/kit/test_make_run.py runs it."""

import socket

import pytest

from kit import local
from kit.errors import KitError
from kit.paths import ROOT, RUN

FLASK = "from flask import Flask\napp = Flask(__name__)\n"


@pytest.fixture
def project(tmp_path):
    """A folder with an application, and a function that adds files to it."""
    folder = tmp_path / "shop"

    def write(files):
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return folder

    write({"app.py": FLASK})
    return write


def test_sample_project_with_no_variable_set():
    plan = local.make_plan({"PATH": "/bin"})
    assert plan.folder == ROOT / "sample_project"
    assert (plan.port, plan.project.application.value) == (8080, "sample_project.wsgi:application")
    assert plan.options[:6] == ("--threads", "16", "--timeout", "30", "--graceful-timeout", "30")
    assert plan.home.parent == RUN / "projects"
    assert plan.environment["DATA_DIR"] == f"{plan.home}/data"
    assert plan.environment["PATH"] == f"{plan.home}/venv/bin:/bin"
    assert plan.environment["DJANGO_SETTINGS_MODULE"] == "sample_project.settings"


def test_project_of_one_s_own_has_its_own_folders_and_comes_first_on_the_path(project):
    folder = project({})
    environment = {"PROJECT_DIR": str(folder), "PYTHONPATH": "/more", "MEDIA_ROOT": "/srv/media"}
    plan = local.make_plan(environment)
    assert plan.environment["PYTHONPATH"] == f"{folder}:/more"
    assert plan.environment["STATIC_ROOT"] == f"{plan.home}/static"
    assert plan.environment["MEDIA_ROOT"] == "/srv/media"
    assert "DJANGO_SETTINGS_MODULE" not in plan.environment


def test_projects_of_the_same_name_are_apart(tmp_path):
    first, second = local.home_of(tmp_path / "a/shop"), local.home_of(tmp_path / "b/shop")
    assert first != second
    assert first.name.startswith("shop-")
    assert local.home_of(tmp_path / "a/shop") == first


def test_project_in_a_folder_below_runs_there(project):
    files = {
        "src/manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
        "src/shop/settings.py": "WSGI_APPLICATION = 'shop.wsgi.application'\n",
        "src/shop/wsgi.py": "application = 1\n",
    }
    folder = project(files)
    plan = local.make_plan({"PROJECT_DIR": str(folder)})
    assert plan.folder == folder / "src"
    assert plan.environment["PYTHONPATH"] == f"{folder}/src:{folder}"
    assert plan.environment["DJANGO_SETTINGS_MODULE"] == "shop.settings"
    given = local.make_plan({"PROJECT_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "shop.live"})
    assert given.environment["DJANGO_SETTINGS_MODULE"] == "shop.live"


def test_variable_names_another_application(project):
    folder = project({"other.py": FLASK})
    plan = local.make_plan({"PROJECT_DIR": str(folder), "WSGI_APP": "other:app"})
    assert plan.project.application.value == "other:app"


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


@pytest.fixture
def installed(project, monkeypatch, tmp_path):
    """installed(files): what `prepare_environment` installs, in order, for a project with these files."""
    calls = []
    monkeypatch.setattr(local, "RUN", tmp_path / "run")
    monkeypatch.setattr(local, "prepare_tools", lambda: tmp_path / "uv")
    for name in ("install_dependencies", "install_project", "install_server"):
        monkeypatch.setattr(local.install, name, lambda *_, name=name: calls.append(name))

    def prepare(files):
        calls.clear()
        plan = local.make_plan({"PROJECT_DIR": str(project(files))})
        local.prepare_environment(plan)
        return plan, list(calls)

    return prepare


ALL = ["install_dependencies", "install_project", "install_server"]


def test_packages_are_installed_once_and_again_when_a_file_changes(installed):
    files = {"requirements.txt": "-r more/base.txt\n", "more/base.txt": "flask\n"}
    plan, calls = installed(files)
    assert calls == ALL
    (plan.venv / "left").touch()
    assert installed(files)[1] == []
    assert installed({"app.py": FLASK + "\n"})[1] == []
    assert (plan.venv / "left").exists()
    assert installed({"more/base.txt": "flask\nredis\n"})[1] == ALL
    assert not (plan.venv / "left").exists()  # nothing stays of what was installed before
    assert installed({"uv.lock": "", "pyproject.toml": "[project]\n"})[1] == ALL


def test_packages_are_installed_again_for_another_python(installed, monkeypatch):
    plan, _ = installed({})
    (plan.venv / "bin/python").unlink()
    assert installed({})[1] == ALL


def test_django_is_prepared_only_if_it_is_installed(installed, capsys):
    plan, _ = installed({})
    assert not local.serves_django(plan)
    assert "Django" not in capsys.readouterr().out
    manage = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
    plan, _ = installed({"manage.py": manage})
    assert not local.serves_django(plan)
    assert "manage.py is Django's, but Django is not installed" in capsys.readouterr().out
    plan, _ = installed({"django/__init__.py": ""})
    assert local.serves_django(plan)


def test_folder_that_cannot_be_created_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(KitError) as raised:
        local.make_folder("DATA_DIR", f"{tmp_path}/file/data")
    assert str(raised.value) == f"DATA_DIR='{tmp_path}/file/data': cannot be created: Not a directory"


def test_each_request_has_a_line_unless_the_server_logs_elsewhere(project):
    variables = {"PROJECT_DIR": str(project({}))}
    assert "--access-logfile" in local.make_plan(variables).options
    assert "--access-logfile" not in local.make_plan(variables | {"ROPEWALK_ACCESS_LOGFILE": "x.log"}).options


def test_port_in_use_is_refused_before_anything_is_installed():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(KitError, match=f"^PORT={port}: in use by another program; a free one: PORT=") as raised:
            local.check_port(port)
        local.check_port(int(str(raised.value).rpartition("PORT=")[2].split()[0]))
    local.check_port(port)
