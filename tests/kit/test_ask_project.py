"""deploy/app/ask_project.py: what a project says about itself, without the variables that it has where it runs."""

import json
import os
import signal
import subprocess
import sys

import pytest

import ask_project

MANAGE = """
import os, sys
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    from django.core.management import execute_from_command_line
    execute_from_command_line(sys.argv)
if __name__ == "__main__":
    main()
"""
SETTINGS = """
import os
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ["SECRET_KEY"]
INSTALLED_APPS = ["django.contrib.staticfiles"]
STATIC_URL = "assets/"
MEDIA_URL, MEDIA_ROOT = "uploads/", BASE_DIR / "uploads"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
"""


@pytest.fixture
def project(tmp_path):
    """project(**files): the answer of a project with these files, of which the name has __ for / and no .py."""

    def ask(expected=0, variables=(), **files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **dict(variables)}
        command = [sys.executable, ask_project.__file__]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == expected, done.stderr
        return json.loads(done.stdout) if expected == 0 else done.stderr

    return ask


def test_migrations_are_named_for_a_deployment(project, tmp_path):
    (tmp_path / "goods/migrations").mkdir(parents=True)
    (tmp_path / "goods/migrations/__init__.py").touch()
    migration = "from django.db import migrations\nclass Migration(migrations.Migration):\n    pass\n"
    files = {
        "manage": MANAGE,
        "shop__settings": SETTINGS.replace('staticfiles"', 'staticfiles", "goods"'),
        "goods__models": "",
    }
    files |= {f"goods__migrations__000{number}_x": migration for number in (1, 2)}
    assert project(**files)["migrations"] == ["goods.0001_x", "goods.0002_x"]


def test_project_with_a_migration_that_cannot_be_read_is_built(project, tmp_path):
    (tmp_path / "goods/migrations").mkdir(parents=True)
    (tmp_path / "goods/migrations/__init__.py").touch()
    settings = SETTINGS.replace('staticfiles"', 'staticfiles", "goods"')
    broken = {"goods__migrations__0001_x": "nonsense", "goods__models": ""}
    assert project(manage=MANAGE, shop__settings=settings, **broken)["migrations"] == []


def test_django_project_says_where_its_files_are(project, tmp_path):
    answer = project(manage=MANAGE, shop__settings=SETTINGS)
    assert answer["framework"] == "django"
    assert answer["settings"] == "shop.settings"
    assert (answer["static_url"], answer["collects"]) == ("/assets/", True)
    assert (answer["media_url"], answer["media_root"]) == ("/uploads/", f"{tmp_path}/uploads")
    assert answer["databases"] == [{"engine": "sqlite3", "file": f"{tmp_path}/db.sqlite3"}]
    assert answer["writes"] == [f"{tmp_path}/db.sqlite3", f"{tmp_path}/uploads/"]
    assert list(answer["dummies"]) == ["SECRET_KEY"]
    assert not answer["logs_errors"]


UPLOADS = [
    ("'covers'", ["covers/"]),
    ("'covers/%Y/%m'", ["covers/"]),
    ("'covers/small/%Y'", ["covers/"]),
    ("'there/covers'", ["there/covers/"]),
    ("'shop/covers'", ["shop/covers/"]),
    ("''", []),
    ("'%Y/covers'", []),
    ("'shop'", []),
    ("lambda book, name: name", []),
]


def books(upload_to, storage=""):
    models = "from django.core.files.storage import FileSystemStorage\nfrom django.db import models\n"
    models += f"class Book(models.Model):\n    cover = models.FileField(upload_to={upload_to}{storage})\n"
    settings = SETTINGS.replace('staticfiles"', 'staticfiles", "shop"').replace("MEDIA_URL,", "FORMER_URL,")
    return {"manage": MANAGE, "shop__settings": settings.replace(" MEDIA_ROOT =", " FORMER ="), "shop__models": models}


@pytest.mark.parametrize(("upload_to", "places"), UPLOADS)
def test_uploads_without_a_folder_of_their_own_are_places_to_write(project, tmp_path, upload_to, places):
    """MEDIA_ROOT is '' by default, which is the working directory."""
    (tmp_path / "there").mkdir()
    answer = project(**books(upload_to))
    assert answer["writes"] == sorted([f"{tmp_path}/db.sqlite3", *(f"{tmp_path}/{place}" for place in places)])
    (note,) = answer["notes"]
    assert "MEDIA_ROOT and MEDIA_URL are not set" in note
    assert "Book.cover" in note
    assert ("no URL serves them" if places else "WRITABLE_PATHS") in note


def test_uploads_with_code_beside_them_are_places_to_write(project, tmp_path):
    files = books("'covers'")
    files["shop__settings"] += "MEDIA_URL, MEDIA_ROOT = 'media/', BASE_DIR\n"
    answer = project(**files)
    assert f"{tmp_path}/covers/" in answer["writes"]
    assert answer["notes"][0].startswith(f"MEDIA_ROOT='{tmp_path}' has code in it: uploads go to covers (Book.cover)")


@pytest.mark.parametrize("setting", ["MEDIA_ROOT = BASE_DIR / 'media'", "MEDIA_ROOT = '/srv/media'"])
def test_uploads_in_a_folder_of_their_own_need_no_word(project, setting):
    files = books("'covers'")
    files["shop__settings"] += f"{setting}\n"
    answer = project(**files)
    assert answer["notes"] == []
    assert not any("covers" in place for place in answer["writes"])


@pytest.mark.parametrize("storage", [", storage=FileSystemStorage('/srv/private')", ", storage=Elsewhere"])
def test_uploads_in_a_storage_of_their_own_need_no_word(project, storage):
    files = books("'covers'", storage)
    elsewhere = "from django.core.files.storage import Storage\nclass Elsewhere(Storage): pass\n"
    files["shop__models"] = elsewhere + files["shop__models"]
    assert project(**files)["notes"] == []


def test_database_elsewhere_is_named_with_its_host(project):
    database = """
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "HOST": "db", "PORT": 5432}}
"""
    answer = project(manage=MANAGE, shop__settings=SETTINGS + database)
    assert answer["databases"] == [{"engine": "postgresql", "host": "db", "port": "5432"}]


def test_value_that_is_there_is_no_dummy(project):
    answer = project(manage=MANAGE, shop__settings=SETTINGS, variables={"SECRET_KEY": "django-insecure-x"})
    assert answer["dummies"] == {}
    assert answer["insecure_key"]


HANDLED = [
    "X = os.environ['X']",
    "X = int(os.environ['X'])",
    "X = int(os.getenv('X'))",
    "X = os.environ.get('X').split(',')",
    "X = {'a': 1}[os.environ.get('X') or 'b'] if not os.environ.get('X') else 1",
    "if not os.environ.get('X'): raise RuntimeError('X must be set')",
    "if 'X' not in os.environ: raise SystemExit('set X')",
    "assert os.environ.get('X')",
    "import json; X = json.loads(os.environ['X'])['a'] if os.environ['X'] != '{}' else {}",
]


@pytest.mark.parametrize("line", HANDLED)
def test_variable_that_the_project_insists_on_has_a_dummy_value(project, line):
    answer = project(app=f"import os\n{line}\ndef application(e, s): pass\n", variables={"WSGI_APP": "app"})
    assert list(answer["dummies"]) == ["X"]


def test_several_variables_are_found_one_after_another(project):
    lines = "".join(f"V{number} = int(os.environ['NAME_{number}'])\n" for number in range(4))
    answer = project(
        app=f"import os\n{lines}application = lambda e, s: []\n", variables={"WSGI_APP": "app:application"}
    )
    assert list(answer["dummies"]) == [f"NAME_{number}" for number in range(4)]


def test_variable_that_only_libraries_look_up_is_none_of_the_project_s(project):
    said = project(
        expected=1,
        app="import subprocess, os\nos.path.expanduser('~')\nraise ValueError('broken')\n",
        variables={"WSGI_APP": "app"},
    )
    assert "ValueError: broken" in said


def test_fault_of_the_project_is_one_line_with_its_place(project):
    said = project(expected=1, manage=MANAGE, shop__settings=SETTINGS + "\nimport nowhere\n")
    assert said.count("\n") == 1
    assert "ModuleNotFoundError: No module named 'nowhere' (shop/settings.py, line 11)" in said


def test_project_that_ends_the_interpreter_is_reported(project):
    said = project(expected=1, app="import os; os._exit(7)", variables={"WSGI_APP": "app"})
    assert said == "the project cannot be imported: importing it ended the interpreter (exit status 7)\n"


def test_folder_of_a_database_that_is_opened_on_import_is_created(project, tmp_path):
    answer = project(
        app="import sqlite3\nsqlite3.connect('data/tasks.db')\napplication = lambda e, s: []\n",
        variables={"WSGI_APP": "app:application"},
    )
    assert (tmp_path / "data/tasks.db").exists()
    assert f"{tmp_path}/data/tasks.db" in answer["writes"]


def test_files_that_are_written_while_it_is_imported_are_found(project, tmp_path):
    lines = "os.makedirs('var/log'); open('var/log/a.log', 'a'); open('/dev/null', 'w'); open('app.py')"
    answer = project(
        app=f"import os, sqlite3\n{lines}\nsqlite3.connect('data.db')\napplication = lambda e, s: []\n",
        variables={"WSGI_APP": "app:application"},
    )
    names = ("data.db", "var/", "var/log/", "var/log/a.log")
    assert answer["writes"] == [f"{tmp_path}/{name}" for name in names]


NAMED = [
    ("FILE = Path(__file__).parent / 'notes.db'", "notes.db"),
    ("FILE = os.path.join(os.path.dirname(__file__), 'var', 'notes.sqlite3')", "var/notes.sqlite3"),
    ("FILE = 'notes.sqlite'", "notes.sqlite"),
    ("URL = 'sqlite:///notes.db?timeout=5'", "notes.db"),
    ("def rows(): return sqlite3.connect('notes.db')", "notes.db"),
    ("def rows(): return sqlite3.connect(ROOT / 'data' / 'notes.db', timeout=5)", "data/notes.db"),
    ("def rows(): return sqlite3.connect(os.path.join(os.path.dirname(__file__), 'notes.db'))", "notes.db"),
    ("def rows(): return sqlite3.connect(f'{ROOT}/notes.db')", "notes.db"),
    ("def rows(): return sqlite3.connect(database=str(Path(__file__).resolve().with_name('notes.db')))", "notes.db"),
    ("def rows(): return sqlite3.connect('file:notes.db?mode=rw', uri=True)", "notes.db"),
    ("UPLOADS = ROOT / 'received'", "received/"),
    ("UPLOAD_FOLDER = 'received'", "received/"),
    ("media_dir = str(ROOT / 'received')", "received/"),
    ("CACHE_DIR = ROOT / 'var' / 'cache'", "var/cache/"),
    ("OPTIONS = {'session.type': 'file', 'session.data_dir': './var'}", "var/"),
    ("def log(): os.makedirs('./logs', exist_ok=True)", "logs/"),
    ("def log(): (ROOT / 'logs').mkdir(parents=True)", "logs/"),
    ("LOGS = ROOT / 'logs'\ndef log(): LOGS.mkdir()", "logs/"),
]


@pytest.mark.parametrize(("line", "place"), NAMED)
def test_places_that_are_written_later_are_found(project, tmp_path, line, place):
    """The first request opens them."""
    imports = "import os, sqlite3\nfrom pathlib import Path\nROOT = Path(__file__).parent\n"
    answer = project(
        app="import notes\napplication = lambda e, s: []\n",
        notes=f"{imports}{line}\n",
        variables={"WSGI_APP": "app:application"},
    )
    assert answer["writes"] == [f"{tmp_path}/{place}"]
    assert not list(tmp_path.glob("**/*.db"))


NOT_NAMED = [
    "FILE = '/srv/elsewhere/notes.db'",
    "FILE = ':memory:'",
    "FILE = 'sqlite:///:memory:'",
    "UPLOAD_URL = '/uploads/'",
    "UPLOADS = 'many'",
    "MEDIA_ROOT = 'https://cdn.example/'",
    "TEXT = 'a database: notes.db, or another'",
    "def rows(name): return sqlite3.connect(ROOT / name / 'notes.db')",
    "DATA_DIR = ROOT",
    "CACHE_DIR = 'redis://cache'",
    "def log(name): os.makedirs(ROOT / name)",
    "def log(): os.makedirs(ROOT)",
    "def log(): os.makedirs('/srv/logs')",
]


@pytest.mark.parametrize("line", NOT_NAMED)
def test_what_is_no_place_or_not_known_before_a_request_is_left_alone(project, line):
    imports = "import os, sqlite3\nfrom pathlib import Path\nROOT = Path(__file__).parent\n"
    answer = project(app=f"{imports}{line}\napplication = lambda e, s: []\n", variables={"WSGI_APP": "app:application"})
    assert answer["writes"] == []


@pytest.mark.parametrize(
    ("names", "is_found"), [(["a.png", ".gitkeep", "2026/b.bin"], True), (["a.png", "2026/index.html"], False)]
)
def test_folder_that_is_made_and_has_files_of_development_is_found_unless_the_project_brings_it(
    project, tmp_path, names, is_found
):
    for name in names:
        (tmp_path / "received" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "received" / name).touch()
    line = "def save(): os.makedirs('received', exist_ok=True)"
    app = f"import os\n{line}\napplication = lambda e, s: []\n"
    answer = project(app=app, variables={"WSGI_APP": "app:application"})
    assert answer["writes"] == [f"{tmp_path}/received/"] * is_found


def test_database_beside_the_folder_of_manage_py_is_found(project, tmp_path, monkeypatch):
    settings = SETTINGS.replace(".parent.parent", ".parent.parent.parent")
    project(src__manage=MANAGE, src__shop__settings=settings)
    monkeypatch.setenv("SECRET_KEY", "x")
    answer = ask_project.ask(tmp_path / "src", top=tmp_path)
    assert answer["writes"] == [f"{tmp_path}/db.sqlite3", f"{tmp_path}/uploads/"]


def test_lines_that_the_project_prints_are_not_the_answer(project):
    answer = project(
        app='print(\'{"framework": "mine"}\')\napplication = lambda e, s: []\n',
        variables={"WSGI_APP": "app:application"},
    )
    assert answer["framework"] == ""


def test_process_that_the_project_leaves_behind_is_not_waited_for(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text(
        "import atexit, subprocess\n"
        "left = subprocess.Popen(['sleep', '60'], stderr=subprocess.DEVNULL)\nopen('left', 'w').write(str(left.pid))\n"
        "atexit.register(print, 'a last word')\napplication = lambda e, s: []\n"
    )
    monkeypatch.setattr(ask_project, "TIMEOUT", 20)
    monkeypatch.setenv("WSGI_APP", "app")
    try:
        assert ask_project.ask(tmp_path)["framework"] == ""
    finally:
        os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)


def test_import_that_does_not_end_is_ended(tmp_path, monkeypatch):
    (tmp_path / "app.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setattr(ask_project, "TIMEOUT", 2)
    monkeypatch.setenv("WSGI_APP", "app")
    with pytest.raises(RuntimeError, match="importing it did not end within 2 s"):
        ask_project.ask(tmp_path)


@pytest.mark.parametrize(
    ("line", "logs"),
    [
        ("{'version': 1, 'handlers': {'c': {'class': 'logging.StreamHandler'}}, 'root': {'handlers': ['c']}}", True),
        ("{'version': 1, 'handlers': {'n': {'class': 'logging.NullHandler'}}, 'root': {'handlers': ['n']}}", False),
        ("{}", False),
    ],
)
def test_whether_errors_reach_the_console(project, line, logs):
    answer = project(manage=MANAGE, shop__settings=f"{SETTINGS}\nLOGGING = {line}\n")
    assert answer["logs_errors"] is logs
