"""deploy/kit/local_project.py: what `make run` asks of a project, and what it does before it serves it."""

import os
import stat
import sys
import textwrap
from pathlib import Path

import pytest

from kit import local_project
from kit.errors import KitError
from kit.local_project import Installed
from kit.project import facts
from tests.kit.command.project.test_application import startproject

DJANGO = {
    "framework": "django",
    "static_url": "/static/",
    "collects": True,
    "media_url": "/media/",
    "databases": [{"engine": "sqlite3", "file": "db.sqlite3"}],
}


@pytest.fixture
def installed(tmp_path):
    """installed(files, **variables): that project, with the packages of the tests."""

    def make(files, *, is_adopted=True, **variables):
        folder = tmp_path / "shop"
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(textwrap.dedent(text).lstrip("\n"))
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        project = facts.look(folder, {})
        environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "WSGI_APP": project.application.value,
            **({"DJANGO_SETTINGS_MODULE": "shop.settings"} if project.django else {}),
            "PYTHONDONTWRITEBYTECODE": "1",
            "STATIC_ROOT": str(home / "static"),
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            **variables,
        }
        return Installed(project, Path(sys.executable), folder, home, environment, is_adopted)

    return make


MANAGE = """
import os
import sys
from django.core.management import execute_from_command_line
if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    execute_from_command_line(sys.argv)
"""


def django(settings):
    base = "SECRET_KEY = 'x'\nALLOWED_HOSTS = ['*']\nWSGI_APPLICATION = 'shop.wsgi.application'\n"
    return startproject() | {"manage.py": MANAGE, "shop/settings.py": base + settings}


def test_missing_variables_are_listed_with_the_lines_to_add(installed):
    files = {"app.py": "import os\nREGION = os.environ['REGION']\nDEBUG = os.environ['DEBUG']\n" + "app = print\n"}
    one = installed(files)
    said = local_project.explain_missing(["DEBUG", "REGION", "OTHER"], one)
    command = f"make adopt PROJECT={one.folder}"
    assert said == (
        "the project insists on variables that have no value: DEBUG (app.py:3), REGION (app.py:2), OTHER. Put them"
        f" into .env.project, to which `{command}` adds what it can:\nDEBUG=0\nREGION=\nOTHER="
    )
    said = local_project.explain_missing(["REGION"], installed(files, is_adopted=False))
    assert f"Set them in the shell, or let `{command}` write .env.project" in said


def test_secret_key_is_generated_once_and_anything_else_is_asked_for(installed):
    settings = "import os\nSECRET_KEY = os.environ['SHOP_SECRET_KEY']\nDATABASES = {}\n"
    first, _ = local_project.prepare(installed(django(settings)))
    second, _ = local_project.prepare(installed({}))
    assert first["SHOP_SECRET_KEY"] == second["SHOP_SECRET_KEY"]
    kept = installed({}).home / "secrets"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert kept.read_text() == f"SHOP_SECRET_KEY={first['SHOP_SECRET_KEY']}\n"
    given, _ = local_project.prepare(installed({}, SHOP_SECRET_KEY="own"))
    assert given["SHOP_SECRET_KEY"] == "own"
    with pytest.raises(KitError, match=r"insists on variables that have no value: REGION \(shop/settings\.py:\d+\)"):
        local_project.prepare(installed(django(settings + "REGION = os.environ['REGION']\n")))


def test_project_that_cannot_be_imported_is_one_line(installed):
    with pytest.raises(KitError, match=r"^the project cannot be imported: ValueError: .*shop/settings\.py"):
        local_project.prepare(installed(django("raise ValueError('no')\n")))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nowhere_at_all",
            "the module 'nowhere_at_all' is not installed: add its package to the file that lists",
        ),
        ("import old.asyncore", "the module 'old' is not installed"),
        (
            "raise ModuleNotFoundError(\"No module named 'asyncore'\")",
            "use an older Python, make run PYTHON=python3.11",
        ),
        (
            "from collections import MutableMapping",
            "needs collections.MutableMapping, which Python has no more since 3.10",
        ),
    ],
)
@pytest.mark.parametrize("is_django", [True, False])
def test_application_that_cannot_be_imported_for_a_known_reason(installed, code, said, is_django):
    files = django(f"{code}\n") if is_django else {"app.py": f"{code}\ndef app(environ, start_response): ...\n"}
    with pytest.raises(KitError, match=r"^the application cannot be imported: ") as raised:
        local_project.prepare(installed(files))
    assert said in str(raised.value)


def test_django_s_static_and_media_files_are_served_where_the_project_has_them(installed):
    settings = (
        "INSTALLED_APPS = ['django.contrib.staticfiles']\nSTATIC_URL = 'assets/'\nSTATICFILES_DIRS = ['css']\n"
        "MEDIA_URL = '/uploads/'\nMEDIA_ROOT = 'uploads'\nDATABASES = {}\n"
    )
    one = installed(django(settings) | {"css/site.css": "body {}"})
    _, options = local_project.prepare(one)
    assert options == ("--static", f"/assets/={one.home}/static", "--static", f"/uploads/={one.folder}/uploads")
    assert (one.home / "static/site.css").is_file()
    assert (one.folder / "uploads").is_dir()


def test_nothing_is_served_that_is_elsewhere_or_the_project_itself(installed, capsys):
    one = installed({"app.py": "app = print\n"})
    assert list(local_project.static_options(one, DJANGO | {"static_url": "https://cdn.example.org/"})) == []
    assert list(local_project.static_options(one, {"framework": "flask", "static_url": "/static/"})) == []
    assert list(local_project.media_options(one, DJANGO | {"media_root": ""})) == []
    assert list(local_project.media_options(one, DJANGO | {"media_root": str(one.folder)})) == []
    assert "/media/ is not served" in capsys.readouterr().out


def test_own_migration_command_is_run_in_the_project(installed):
    one = installed({"app.py": "app = print\n"}, MIGRATE_COMMAND="touch 'mi grated'")
    local_project.migrate(one, {})
    assert (one.folder / "mi grated").exists()
    for wrong in ("'open", "no-such-program-here"):
        with pytest.raises(KitError, match="MIGRATE_COMMAND="):
            local_project.migrate(installed({}, MIGRATE_COMMAND=wrong), {})


def test_database_that_cannot_be_written_ends_the_command(installed, capfd):
    one = installed({"app.py": "app = print\n"}, DATABASE_URL="sqlite:////proc/nowhere/db.sqlite3")
    with pytest.raises(SystemExit) as raised:
        local_project.migrate(one, {})
    assert raised.value.code == 1
    said = capfd.readouterr().err
    assert "the database /proc/nowhere/db.sqlite3 cannot be written: its folder /proc/nowhere does not exist\n" in said


def test_folder_of_the_database_is_created_as_in_a_container(installed, capsys):
    one = installed({"app.py": "app = print\n"})
    files = ("var/state/ledger.db", "ledger.db", "../elsewhere/ledger.db")
    databases = [{"engine": "sqlite3", "file": os.path.normpath(one.folder / name)} for name in files]
    answer = {"databases": [*databases, {"engine": "sqlite3", "file": ""}, {"engine": "postgresql", "host": "db"}]}
    local_project.make_database_folders(one.folder, answer)
    assert (one.folder / "var/state").is_dir()
    assert not (one.folder.parent / "elsewhere").exists()
    assert capsys.readouterr().out.count("Created") == 1
    local_project.make_database_folders(one.folder, answer)
    assert "Created" not in capsys.readouterr().out
    (one.folder / "full").touch()
    with pytest.raises(KitError, match=r"full/more, the database's folder, cannot be created: Not a directory$"):
        local_project.make_database_folders(one.folder, {"databases": [{"file": f"{one.folder}/full/more/a.db"}]})


@pytest.mark.parametrize(
    ("hosts", "debug", "is_said"),
    [(["shop.example"], False, True), ([], False, True), ([], True, False), (["localhost"], False, False)],
)
def test_hosts_that_refuse_this_machine_are_said(hosts, debug, is_said):
    note = local_project.hosts_note(DJANGO | {"allowed_hosts": hosts, "debug": debug})
    assert note.startswith("ALLOWED_HOSTS is") is is_said
