"""deploy/app/prepare.py: what the image needs to know of a project, and the links to where it writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import prepare
from kit.project import facts, report

LOOKED = {
    "root": ".",
    "work_folder": ".",
    "paths": ["."],
    "manage": None,
    "settings": None,
    "application": {"value": "app:application"},
}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    for name in ("data", "media"):
        monkeypatch.setattr(prepare, name.upper(), tmp_path / "volumes" / name)
    for name in ("app", "kit", "static"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_files_that_the_project_writes_become_links_into_the_volume(folders):
    project = folders / "app"
    (project / "logs").mkdir()
    (project / "logs/.keep").touch()
    paths = prepare.places(
        {"writes": [f"{project}/db.sqlite3", f"{project}/logs/", f"{project}/logs/a.log"]}, project, ""
    )
    links = prepare.link(paths, project, folders / "kit/initial", folders / "nowhere")
    assert links == {"db.sqlite3": f"{folders}/volumes/data/db.sqlite3", "logs": f"{folders}/volumes/data/logs/"}
    assert os.readlink(project / "logs") == f"{folders}/volumes/data/logs"
    assert os.readlink(project / "db.sqlite3") == f"{folders}/volumes/data/db.sqlite3"
    assert (folders / "kit/initial/logs/.keep").exists()


def test_static_root_outside_of_the_project_becomes_a_link_to_the_files(tmp_path):
    additions, project, static = tmp_path / "additions", tmp_path / "app", tmp_path / "static"
    additions.mkdir()
    for root in (Path("/var/www/collected"), project / "static", static, Path("/tmp/static")):
        prepare.keep_outside(root, project, static, additions)
    links = [path for path in additions.rglob("*") if path.is_symlink()]
    assert links == [additions / "var/www/collected"]
    assert links[0].readlink() == static


def test_database_in_the_folder_for_temporary_files_is_kept(capsys):
    databases = [{"file": name} for name in ("/tmp/shop.db", "/srv/shop.db", "")] + [{"host": "db"}]
    target = "/data/project/.outside/tmp/shop.db"
    assert prepare.from_temporary({"databases": databases}, Path("/app")) == {
        ".outside/tmp/shop.db": f"{target}\t/tmp/shop.db"
    }
    assert capsys.readouterr().err == "prepare: /tmp/shop.db is kept in a volume, since it is a database\n"


def test_files_that_only_root_could_read_can_be_copied_into_the_volume(folders):
    cache = folders / "app/cache/1"
    cache.mkdir(parents=True, mode=0o700)
    (cache / "entry").write_text("x")
    (cache / "entry").chmod(0o600)
    (cache / "gone").symlink_to("/nowhere")
    prepare.link({Path("cache"): True}, folders / "app", folders / "kit/initial", Path("/nowhere"))
    kept = folders / "kit/initial/cache/1"
    assert [oct(path.stat().st_mode)[-3:] for path in (kept, kept / "entry")] == ["755", "644"]


def test_media_have_the_volume_that_nginx_reads(folders):
    project = folders / "app"
    links = prepare.link(prepare.places({"writes": [f"{project}/up/"]}, project, ""), project, folders, project / "up")
    assert links == {"up": f"{folders}/volumes/media/"}


def test_media_in_a_folder_that_is_written_have_the_volume_that_nginx_reads(folders):
    project, media = folders / "app", folders / "app/var/media"
    media.mkdir(parents=True)
    (media / "logo.png").touch()
    (project / "var/state.txt").touch()
    paths = prepare.places({"writes": [f"{project}/var/", f"{media}/"]}, project, "")
    links = prepare.link(paths, project, folders / "initial", media)
    assert links == {
        "var": f"{folders}/volumes/data/var/",
        ".media/var/media": f"{folders}/volumes/media/\t{folders}/volumes/data/var/media",
    }
    assert sorted(path.name for path in (folders / "initial/var").iterdir()) == ["state.txt"]
    assert (folders / "initial/.media/var/media/logo.png").exists()


@pytest.mark.parametrize("name", ["/srv/elsewhere", "{app}/", "{app}/static/a.css", "{app}/shop/", "{app}/../x"])
def test_what_is_outside_or_has_code_in_it_is_left_alone(folders, name):
    project = folders / "app"
    (project / "shop").mkdir()
    (project / "shop/views.py").touch()
    assert prepare.places({"writes": [name.format(app=project)]}, project, f"{project}/static") == {}


def test_more_places_can_be_named(folders, monkeypatch):
    monkeypatch.setenv("WRITABLE_PATHS", "cache state/counter.txt data lock/")
    (folders / "app/cache").mkdir()
    places = prepare.places({}, folders / "app", "")
    expected = {"cache": True, "data": True, "lock": True, "state/counter.txt": False}
    assert {str(path): is_folder for path, is_folder in places.items()} == expected


def test_named_folder_with_code_is_reported(folders, monkeypatch, capsys):
    monkeypatch.setenv("WRITABLE_PATHS", "shop")
    (folders / "app/shop").mkdir()
    (folders / "app/shop/views.py").touch()
    assert prepare.places({}, folders / "app", "") == {}
    assert "WRITABLE_PATHS=shop has code in it" in capsys.readouterr().err


def run(folders, looked, **variables):
    (folders / "looked.json").write_text(json.dumps(looked))
    environment = {"PATH": os.environ["PATH"], "STATIC_ROOT": str(folders / "static"), **variables}
    command = [sys.executable, prepare.__file__, *(str(folders / n) for n in ("looked.json", "app", "static", "kit"))]
    return subprocess.run(
        command, env=environment, cwd=folders, capture_output=True, text=True, check=False, timeout=120
    )


def test_application_is_described_for_the_containers(folders):
    (folders / "app/src").mkdir()
    (folders / "app/src/app.py").write_text("import os\nos.environ['KEY']\napplication = lambda e, s: []\n")
    done = run(folders, {**LOOKED, "root": "src", "work_folder": "src", "paths": ["src", "."]})
    assert done.returncode == 0, done.stderr
    assert (folders / "kit/project.env").read_text().splitlines() == [
        f"PYTHONPATH={folders}/app/src:{folders}/app",
        f"PROJECT_FOLDER={folders}/app/src",
        "WSGI_APP=app:application",
    ]
    assert json.loads((folders / "kit/project.json").read_text())["framework"] == ""
    assert (folders / "kit/links").read_text() == ""
    assert "insists on KEY" in done.stderr


def test_application_that_cannot_be_imported_yet_is_no_reason_not_to_build(folders):
    (folders / "app/app.py").write_text("raise OSError('no database here')\n")
    done = run(folders, LOOKED)
    assert done.returncode == 0
    assert "cannot be imported while the image is built" in done.stderr
    assert "no database here" in done.stderr


@pytest.mark.parametrize("root", ["", "STATIC_ROOT = 'collected'\n"], ids=["none", "relative"])
def test_django_s_static_files_are_collected(folders, root):
    (folders / "app/manage.py").write_text(
        "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
    )
    (folders / "app/settings.py").write_text(
        "import atexit, os\natexit.register(print, 'a last word')\n"
        "SECRET_KEY = os.environ['SECRET_KEY']\nINSTALLED_APPS = ['django.contrib.staticfiles']\n"
        f"STATIC_URL = '/static/'\nSTATICFILES_DIRS = ['assets']\n{root}"
    )
    (folders / "app/assets").mkdir()
    (folders / "app/assets/site.css").write_text("p {}")
    done = run(folders, {**LOOKED, "manage": "manage.py", "settings": {"module": "settings"}})
    assert done.returncode == 0, done.stderr
    assert (folders / "static/site.css").read_text() == "p {}"
    assert "DJANGO_SETTINGS_MODULE=settings\n" in (folders / "kit/project.env").read_text()


MANAGE = (
    "import os, sys\nos.environ['DJANGO_SETTINGS_MODULE'] = 'settings'\n"
    "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
)


def test_manifest_keeps_files_that_the_project_brings_in_its_static_root(folders):
    (folders / "app/manage.py").write_text(MANAGE)
    storages = {"staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"}}
    (folders / "app/settings.py").write_text(
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django.contrib.staticfiles']\nSTATIC_ROOT = 'static'\n"
        f"STATIC_URL, STATICFILES_DIRS = '/static/', ['assets']\nSTORAGES = {storages!r}\n"
    )
    brought = {"built.js": "built.0123.js", "gone.js": "gone.4567.js", "site.css": "site.old.css"}
    (folders / "app/assets").mkdir()
    (folders / "app/assets/site.css").write_text("p {}")
    (folders / "app/static").mkdir()
    for name in ("built.js", "built.0123.js", "site.old.css"):
        (folders / "app/static" / name).write_text("")
    (folders / "app/static/staticfiles.json").write_text(json.dumps({"version": "1.1", "hash": "", "paths": brought}))
    done = run(folders, {**LOOKED, "manage": "manage.py", "settings": {"module": "settings"}})
    assert done.returncode == 0, done.stderr
    paths = json.loads((folders / "static/staticfiles.json").read_text())["paths"]
    assert paths["built.js"] == "built.0123.js"
    assert set(paths) == {"built.js", "site.css"}
    assert paths["site.css"] != "site.old.css"
    assert (folders / "static/built.0123.js").exists()


COMPRESS = """
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    def add_arguments(self, parser):
        parser.add_argument("--force", action="store_true")

    def handle(self, force, **options):
        if settings.DEBUG or not (settings.COMPRESS_ENABLED or force):
            raise CommandError("not as on the site")
        assert (Path(settings.STATIC_ROOT) / "site.css").exists()
        (Path(settings.STATIC_ROOT) / "manifest.json").write_text("{}")
"""
"""As django-compressor's, which writes a manifest of what the templates' tags contain."""


@pytest.mark.parametrize("is_offline", [True, False])
def test_what_templates_compress_is_made_with_the_static_files(folders, is_offline):
    files = {
        "manage.py": MANAGE,
        "settings.py": (
            "SECRET_KEY, DEBUG = 'x', True\nINSTALLED_APPS = ['django.contrib.staticfiles', 'compressor']\n"
            f"STATIC_URL, STATIC_ROOT, STATICFILES_DIRS = '/static/', 'static', ['assets']\n"
            f"COMPRESS_ENABLED, COMPRESS_OFFLINE = not DEBUG, {is_offline}\n"
        ),
        "assets/site.css": "p {}",
        "compressor/__init__.py": "",
        "compressor/management/__init__.py": "",
        "compressor/management/commands/__init__.py": "",
        "compressor/management/commands/compress.py": COMPRESS,
    }
    for name, text in files.items():
        (folders / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        (folders / "app" / name).write_text(text)
    done = run(folders, {**LOOKED, "manage": "manage.py", "settings": {"module": "settings"}})
    assert done.returncode == 0, done.stderr
    assert (folders / "static/manifest.json").exists() == is_offline


SPLIT = {
    "manage.py": (
        "import os, sys\nfrom pathlib import Path\nsys.path.insert(0, str(Path(__file__).parent / 'src'))\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'ledger.settings')\n"
        "from django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
    ),
    "src/ledger/__init__.py": "",
    "src/ledger/wsgi.py": "def application(environ, start_response): ...\n",
    "src/ledger/settings.py": (
        "SECRET_KEY = 'x'\nINSTALLED_APPS = ['django.contrib.staticfiles']\nSTATIC_URL = 'static/'\n"
        "STATICFILES_DIRS = ['assets']\nMEDIA_URL, MEDIA_ROOT = 'media/', 'media'\n"
        "WSGI_APPLICATION = 'ledger.wsgi.application'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'ledger.db'}}\n"
    ),
    "assets/site.css": "p {}",
}


@pytest.mark.parametrize("web", ["", "web: gunicorn --chdir src ledger.wsgi\n"], ids=["found", "procfile"])
def test_package_in_another_folder_than_manage_py_is_prepared_in_that_of_manage_py(folders, web):
    """Also relative paths mean the same to the server, to manage.py, and while the image is built."""
    project = folders / "app"
    for name, text in (SPLIT | ({"Procfile": web} if web else {})).items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    looked = json.loads(report.as_json(facts.look(project, {})))
    assert (looked["root"], looked["work_folder"]) == ("src", ".")
    done = run(folders, looked)
    assert done.returncode == 0, done.stderr
    variables = dict(line.split("=", 1) for line in (folders / "kit/project.env").read_text().splitlines())
    assert variables["PROJECT_FOLDER"] == str(project)
    assert variables["PYTHONPATH"].split(":")[0] == f"{project}/src"
    answer = json.loads((folders / "kit/project.json").read_text())
    assert (answer["framework"], answer["media_url"]) == ("django", "/media/")
    assert (folders / "static/site.css").read_text() == "p {}"
    assert sorted(line.split("\t")[0] for line in (folders / "kit/links").read_text().splitlines()) == [
        "ledger.db",
        "media",
    ]
    command = [sys.executable, "manage.py", "check"]
    environment = {"PATH": os.environ["PATH"], **variables}
    assert not subprocess.run(command, cwd=variables["PROJECT_FOLDER"], env=environment, check=False).returncode


@pytest.mark.parametrize("given", ["REGION=eu SIZES='1 2'", "  SIZES='1 2'  REGION=eu"])
def test_variables_for_the_build_are_given_in_one(given):
    assert prepare.build_environment(given) == {"REGION": "eu", "SIZES": "1 2"}


@pytest.mark.parametrize("given", ["REGION", "REGION='eu", "=eu", "A-B=1"])
def test_variables_for_the_build_that_are_none_are_refused(given):
    with pytest.raises(prepare.PrepareError, match=r"^BUILD_ENV: "):
        prepare.build_environment(given)


FAULTS = [
    ("import django, nowhere", "ModuleNotFoundError: No module named 'nowhere' (manage.py, line 1)", False),
    ("import django; from os import nothing", "ImportError: cannot import name 'nothing' from 'os'", False),
    ("import django; SECRET_KEY = nowhere.environ", "NameError: name 'nowhere' is not defined", False),
    ("import django; X = = 1", "SyntaxError: invalid syntax", False),
    ("import django\n  X = 1", "IndentationError: unexpected indent", False),
    ("import django; raise ValueError('no region x')", "ValueError: no region x (manage.py, line 1)", True),
]


@pytest.mark.parametrize(("line", "said", "may_need_a_variable"), FAULTS)
def test_settings_that_cannot_be_imported_end_the_build_in_one_line(folders, line, said, may_need_a_variable):
    (folders / "app/manage.py").write_text(f"{line}\n")
    done = run(folders, {**LOOKED, "manage": "manage.py"})
    assert done.returncode == 1
    assert said in done.stderr
    assert ('set BUILD_ENV="NAME=value ..." in .env' in done.stderr) is may_need_a_variable
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("installed", "settings", "scheme"),
    [
        ({"sqlalchemy", "psycopg"}, None, "postgresql+psycopg"),
        ({"sqlalchemy", "pg8000"}, None, "postgresql+pg8000"),
        # what SQLAlchemy takes by itself
        ({"sqlalchemy", "psycopg", "psycopg2"}, None, ""),
        ({"sqlalchemy"}, None, ""),
        # libpq's own URLs, and Django's, have no driver in them
        ({"psycopg"}, None, ""),
        ({"sqlalchemy", "psycopg"}, {"module": "shop.settings"}, ""),
    ],
)
def test_url_of_the_database_names_a_driver_that_sqlalchemy_would_not_look_for(
    monkeypatch, installed, settings, scheme
):
    monkeypatch.setattr(prepare, "_is_installed", installed.__contains__)
    lines = prepare.service_names({"settings": settings, "service_names": {"postgres": {"MY_URL": "DATABASE_URL"}}})
    assert lines == ["postgres MY_URL=DATABASE_URL\n"] + [f"postgres scheme={scheme}\n"] * bool(scheme)
