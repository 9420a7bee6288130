"""deploy/kit/project/facts.py and report.py: everything about a project, and how it is printed."""

import json

from kit.project import facts, report
from tests.helpers.paths import SAMPLE_PROJECT
from tests.kit.command.project.test_application import startproject

SHOP = startproject("src/") | {
    "requirements.txt": "django\npsycopg\n",
    "setup.py": "",
    "runtime.txt": "python-3.12.1\n",
    "Procfile": "web: gunicorn --chdir src shop.wsgi\nworker: rq worker\n",
    "package.json": '{"scripts": {"build": "vite build"}}',
    "src/shop/live.py": "import os\nKEY = os.environ['KEY']\nLEVEL = os.getenv('LEVEL', 'INFO')\n",
}


def test_report_has_a_line_for_each_fact(project):
    lines = list(report.lines(facts.look(project(SHOP), {})))
    assert lines == [
        "dependencies  requirements.txt",
        "              not used: setup.py (requirements.txt comes first)",
        "Python        3.12.1 (runtime.txt)",
        "application   shop.wsgi:application (Procfile:1)",
        "              runs in src",
        "Django        src/manage.py",
        "settings      shop.settings (src/shop/wsgi.py:3)",
        "process       worker: rq worker (Procfile:2)",
        "assets        package.json: npm run build (vite build)",
        'packages      RUNTIME_PACKAGES="libpq5"',
        "variable      KEY: has no default (src/shop/live.py:2)",
        "variables     LEVEL: have a default, or may be unset",
    ]


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
