"""deploy/kit/project/facts.py and report.py: everything about a project, and how it is printed."""

import json

import pytest

from kit.project import facts, report
from tests.helpers.paths import SAMPLE_PROJECT
from tests.kit.command.project.test_application import startproject

SHOP = startproject("src/") | {
    "requirements.txt": "django\npsycopg\nrq\n",
    "setup.py": "",
    "runtime.txt": "python-3.12.1\n",
    "Procfile": "web: gunicorn --chdir src shop.wsgi\nworker: rq worker\nbeat: celery beat\n",
    "package.json": '{"scripts": {"build": "vite build"}}',
    "src/shop/live.py": "import os\nKEY = os.environ['KEY']\nLEVEL = os.getenv('LEVEL', 'INFO')\n",
}

BEAT = "scheduler in COMPOSE_PROFILES of .env runs it, with SCHEDULER_COMMAND=celery beat -s /data/celerybeat-schedule"
WORKER = "worker in COMPOSE_PROFILES of .env runs it, with WORKER_COMMAND="


def test_report_has_a_line_for_each_fact(project):
    lines = list(report.lines(facts.look(project(SHOP), {})))
    assert lines == [
        "dependencies  requirements.txt",
        "              not used: setup.py (requirements.txt comes first)",
        "              not pinned: django, psycopg, rq; the image gets the newest, `pip freeze` lists yours",
        "Python        3.12.1 (runtime.txt)",
        "application   shop.wsgi:application (Procfile:1)",
        "              runs in src",
        "Django        src/manage.py",
        "settings      shop.settings (src/shop/wsgi.py:3)",
        "assets        package.json: npm run build (vite build); NODE_BUILD in .env builds them",
        'packages      RUNTIME_PACKAGES="libpq5"',
        "database      PostgreSQL (psycopg in requirements.txt): on a server that the settings have to name",
        "uses          Redis (rq in requirements.txt): on a server that the settings have to name",
        f"uses          a worker of RQ (rq in requirements.txt): {WORKER}rq worker",
        f"uses          beat (Procfile:3): {BEAT}",
        "variable      KEY: has no default (src/shop/live.py:2)",
        "variables     LEVEL: have a default, or may be unset",
    ]


@pytest.mark.parametrize(
    ("files", "unpinned"),
    [
        ({"requirements.txt": "Django==5.2\nflask[async] == 3.1 ; python_version > '3'\n"}, []),
        ({"requirements.txt": "django>=5,<6\nflask==3.*\nrich == 1.0 --hash=sha256:ab\n"}, ["django", "flask"]),
        ({"requirements.txt": "-c versions.txt\ndjango\nrich\n", "versions.txt": "Django==5.2\n"}, ["rich"]),
        ({"requirements.txt": "shop @ git+https://git.example/shop@1f2e3d4\n"}, []),
        ({"app.py": "import flask\napp = flask.Flask(__name__)\n"}, []),
        (
            {
                "Pipfile": "[packages]\nrich = '*'\n",
                "Pipfile.lock": '{"default": {"rich": {"version": "==1.0"}}}',
            },
            [],
        ),
    ],
)
def test_requirements_without_a_version(project, files, unpinned):
    found = facts.look(project({"app.py": "app = print\n"} | files), {"WSGI_APP": "app:app"})
    assert found.dependencies.unpinned == unpinned


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("photo = models.ImageField(upload_to='photos')", True),
        ("file = request.files['photo']", True),
        ("files = self.request.FILES.getlist('photos')", True),
        ("# a FileField would take files", False),
        ("files = os.listdir('files')", False),
    ],
)
def test_report_says_how_large_an_upload_may_be(project, line, takes):
    found = facts.look(project({"app.py": f"import os\n{line}\napp = print\n"}), {"WSGI_APP": "app:app"})
    said = [value for name, value in report.rows(found) if name == "uploads"]
    assert len(said) == takes
    for text in said:
        assert text.startswith("app.py:2: files of up to 3 MB; UPLOAD_PATHS in .env")


def test_packages_for_what_a_lock_of_uv_lists(project):
    text = "[project]\nname = 'shop'\nversion = '1'\ndependencies = ['django', 'uwsgi']\n"
    files = SHOP | {"requirements.txt": "", "pyproject.toml": text, "uv.lock": "version = 1\n", "setup.py": ""}
    found = facts.look(project({name: value for name, value in files.items() if name != "requirements.txt"}), {})
    assert (found.dependencies.file, found.system_packages.build) == ("uv.lock", ("gcc", "python3-dev"))


def test_long_list_of_variables_is_counted_or_wrapped(project):
    names = [f"SHOP_VARIABLE_{number}" for number in range(30)]
    text = "".join(f"{name} = os.getenv('{name}')\n" for name in names)
    found = facts.look(project(SHOP | {"src/shop/live.py": f"import os\n{text}A = os.environ['A']\n"}), {})
    short = list(report.lines(found, is_short=True))
    assert short[-2:] == [
        "variable      A: has no default (src/shop/live.py:32)",
        "variables     30 have a default, or may be unset; `make look` lists them",
    ]
    whole = "\n".join(report.lines(found))
    assert all(name in whole for name in names)
    assert max(map(len, whole.splitlines()[-6:])) < 120


def test_scripts_beside_the_project_s_own_folder_are_not_read(project):
    found = facts.look(project(SHOP | {"scripts/fill.py": "import os\nos.environ['FILL']\n"}), {})
    assert "FILL" not in {one.name for one in found.environment_names}


def test_settings_that_are_not_used_insist_on_nothing(project):
    files = startproject() | {
        "shop/settings.py": "",
        "shop/settings/__init__.py": "",
        "shop/settings/base.py": "from decouple import config\nWSGI_APPLICATION = 'shop.wsgi.application'\n",
        "shop/settings/local.py": "from shop.settings.base import *\nA = config('A')\n",
        "shop/settings/live.py": "from shop.settings.base import *\nB = config('B')\n",
        "manage.py": startproject()["manage.py"].replace("shop.settings", "shop.settings.local"),
    }
    del files["shop/settings.py"]
    found = facts.look(project(files), {"DJANGO_SETTINGS_MODULE": "shop.settings.local"})
    assert {one.name: one.is_required for one in found.environment_names} == {"A": True, "B": False}


def test_example_of_settings_without_the_settings_is_found(project):
    files = SHOP | {"src/shop/configuration_example.py": "", "src/shop/local_settings.py.example": ""}
    folder = project(files)
    pair = ("src/shop/configuration_example.py", "src/shop/configuration.py")
    assert facts.look(folder, {}).settings_examples == (pair,)
    (folder / pair[1]).touch()
    assert facts.look(folder, {}).settings_examples == ()


def test_json_has_the_same(project):
    found = json.loads(report.as_json(facts.look(project(SHOP), {})))
    assert found["application"]["value"] == "shop.wsgi:application"
    assert (found["root"], found["paths"], found["manage"]) == ("src", ["src", "."], "src/manage.py")
    assert found["dependencies"]["files"] == ["requirements.txt"]
    assert [one["name"] for one in found["environment"] if one["required"]] == ["KEY"]


def test_looking_leaves_nothing_in_the_folder(project):
    folder = project(SHOP)
    before = sorted(folder.rglob("*"))
    facts.look(folder, {})
    assert sorted(folder.rglob("*")) == before


def test_sample_project():
    found = facts.look(SAMPLE_PROJECT, {})
    assert found.application.value == "sample_project.wsgi:application"
    assert found.dependencies.is_hashed
    assert "SECRET_KEY" in {one.name for one in found.environment_names}
