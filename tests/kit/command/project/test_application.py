"""deploy/kit/project/application.py: the application that is served, for projects of every shape."""

import pytest

from kit.errors import KitError
from kit.project import application, django, facts
from tests.kit.command.project.test_django import manage

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
FACTORY = "from flask import Flask\ndef create_app(test_config=None):\n    return Flask(__name__)\n"
CALLS_FACTORY = "from app import create_app\napp = create_app()\n"
WSGI = """
    import os
    from django.core.wsgi import get_wsgi_application
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
    application = get_wsgi_application()
"""


def wsgi(settings="shop.settings"):
    return WSGI.format(settings=settings)


def find(folder, **environment):
    return application.find(folder, environment, django.find(folder, environment))


def startproject(prefix="", settings="shop/settings.py"):
    return {
        f"{prefix}manage.py": manage(),
        f"{prefix}shop/__init__.py": "",
        f"{prefix}{settings}": "WSGI_APPLICATION = 'shop.wsgi.application'\n",
        f"{prefix}shop/wsgi.py": wsgi(),
        f"{prefix}shop/asgi.py": wsgi().replace("wsgi", "asgi"),
    }


@pytest.mark.parametrize("prefix", ["", "src/", "backend/", "app/"])
def test_new_django_project(project, prefix):
    folder = project(startproject(prefix))
    found = find(folder)
    assert (found.value, found.root) == ("shop.wsgi:application", folder / prefix)
    assert found.origin == f"WSGI_APPLICATION in {prefix}shop/settings.py:1"
    assert found.settings.module == "shop.settings"


@pytest.mark.parametrize(
    ("files", "value", "root"),
    [
        ({"app.py": FLASK}, "app:app", "."),
        ({"hello.py": FLASK}, "hello:app", "."),
        ({"src/app.py": FLASK}, "app:app", "src"),
        ({"shop/__init__.py": FLASK, "shop/views.py": ""}, "shop:app", "."),
        ({"flaskr/__init__.py": FACTORY, "flaskr/db.py": "", "tests/conftest.py": FACTORY}, "flaskr:create_app()", "."),
        ({"src/shop/__init__.py": FACTORY}, "shop:create_app()", "src"),
        (
            {"app/__init__.py": FACTORY, "shop.py": CALLS_FACTORY},
            "app:create_app()",
            ".",
        ),
        ({"app/__init__.py": FACTORY, "wsgi.py": CALLS_FACTORY}, "wsgi:app", "."),
        ({"wsgi.py": "from app import app as application\n", "app.py": FLASK}, "wsgi:application", "."),
        ({"run.py": "from shop import app\n", "shop/__init__.py": FLASK}, "run:app", "."),
        ({"main.py": "import bottle\napp = bottle.default_app()\n"}, "main:app", "."),
        ({"things/app.py": "import falcon\napp = falcon.App()\n", "things/__init__.py": ""}, "things.app:app", "."),
        (
            {"shop/__init__.py": "def main(global_config, **settings):\n    return Configurator().make_wsgi_app()\n"},
            "shop:main({})",
            ".",
        ),
        ({"backend/main.py": FLASK}, "main:app", "backend"),
        ({"backend/main.py": f"from backend.db import x\n{FLASK}", "backend/db.py": ""}, "backend.main:app", "."),
        ({"shop/wsgi.py": wsgi(), "shop/__init__.py": ""}, "shop.wsgi:application", "."),
        ({"app.py": FLASK, "tests/app.py": FLASK, "docs/conf.py": "", "examples/wsgi.py": FLASK}, "app:app", "."),
        (
            {
                "shop/__init__.py": "",
                "shop/app.py": f"def create_celery_app(app=None):\n    return app or create_app()\n{FACTORY}",
                "db/env.py": "from alembic import context\nfrom shop.app import create_app\napp = create_app()\n",
            },
            "shop.app:create_app()",
            ".",
        ),
        ({"app.py": FLASK, "celery.py": "app = Celery()\n", "other.py": "app = thing()\n"}, "app:app", "."),
    ],
)
def test_project_of_another_shape(project, files, value, root):
    folder = project(files)
    found = find(folder)
    assert (found.value, found.root) == (value, folder / root)


@pytest.mark.parametrize(
    ("procfile", "value", "root"),
    [
        ("web: gunicorn shop.wsgi --log-file -", "shop.wsgi:application", "."),
        ("web: gunicorn --chdir src main:app", "main:app", "src"),
        ("web: cd src && gunicorn main:app", "main:app", "src"),
        ("worker: rq worker\nweb: gunicorn 'flaskr:create_app()'", "flaskr:create_app()", "."),
        ("web: flask --app flaskr run", "flaskr:create_app()", "."),
    ],
)
def test_procfile_decides(project, procfile, value, root):
    files = {"Procfile": procfile, "app.py": FLASK, "src/main.py": FLASK, "flaskr/__init__.py": FACTORY}
    folder = project(files | {"shop/__init__.py": "", "shop/wsgi.py": wsgi()})
    found = find(folder)
    assert (found.value, found.root) == (value, folder / root)
    assert found.origin.startswith("Procfile:")


def test_procfile_that_names_no_module_is_not_used_and_said(project):
    found = find(project({"Procfile": "web: gunicorn gone:app", "app.py": FLASK}))
    assert found.value == "app:app"
    assert found.notes == ("Procfile:1 names gone:app, but there is no module gone: not used",)


@pytest.mark.parametrize(
    ("flask_app", "value"),
    [
        ("flaskr", "flaskr:create_app()"),
        ("flaskr:create_app", "flaskr:create_app()"),
        ("flaskr:create_app('dev')", "flaskr:create_app('dev')"),
        ("other.py", "other:app"),
        ("src/main", "main:app"),
        ("src/main.py", "main:app"),
    ],
)
def test_flask_app_decides(project, flask_app, value):
    files = {"app.py": FLASK, "other.py": FLASK, "flaskr/__init__.py": FACTORY, "src/main.py": FLASK}
    folder = project(files)
    assert find(folder, FLASK_APP=flask_app).value == value
    (folder / ".flaskenv").write_text(f'# ours\nFLASK_DEBUG=1\nexport FLASK_APP="{flask_app}"\n')
    found = find(folder)
    assert (found.value, found.origin) == (value, ".flaskenv:3")


def test_variable_decides_before_all(project):
    folder = project(startproject("src/") | {"Procfile": "web: gunicorn app:app", "app.py": FLASK})
    found = find(folder, WSGI_APP="shop.wsgi:application", FLASK_APP="app")
    assert (found.value, found.root, found.origin) == ("shop.wsgi:application", folder / "src", "the variable WSGI_APP")


def test_several_equal_ones_are_listed(project):
    with pytest.raises(KitError) as raised:
        find(project({"app.py": FLASK, "main.py": FLASK}))
    said = str(raised.value)
    assert "app:app (app.py:2), main:app (main.py:2)" in said
    assert said.endswith(".env:\nWSGI_APP=app:app")


def test_imported_application_is_no_other(project):
    assert find(project({"app.py": FLASK, "run.py": "from app import app\n"})).value == "app:app"


def test_factory_with_a_required_parameter_is_said(project):
    text = "from flask import Flask\ndef create_app(config_name):\n    return Flask(__name__)\n"
    folder = project({"shop/__init__.py": text})
    with pytest.raises(KitError) as raised:
        find(folder)
    said = str(raised.value)
    assert said.startswith("no application can be served as it is: shop/__init__.py:2: create_app() has the required")
    assert said.endswith("WSGI_APP='shop:create_app(\"...\")'")
    (folder / "flasky.py").write_text("import os\nfrom shop import create_app\napp = create_app(os.getenv('X'))\n")
    assert find(folder).value == "flasky:app"


def test_module_that_starts_a_server_on_import_is_said(project):
    with pytest.raises(KitError, match=r"app\.py:2: line 3 starts a server when it is imported"):
        find(project({"app.py": f"{FLASK}app.run(debug=True)\n"}))


FASTAPI = "from fastapi import FastAPI\napp = FastAPI()\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"main.py": FASTAPI}, "main.py:2: app is FastAPI"),
        (
            {"main.py": FASTAPI, "requirements.txt": "fastapi\nuvicorn[standard]\n"},
            "main.py:2: app is FastAPI; fastapi, uvicorn in requirements.txt",
        ),
        ({"main.py": FASTAPI, "Procfile": "web: gunicorn -k uvicorn.workers.UvicornWorker main:app\n"}, "main.py:2"),
        ({"api/__init__.py": "from quart import Quart\ndef create_app():\n    return Quart(__name__)\n"}, "is Quart"),
        ({"script.py": "", "requirements.txt": "starlette\n"}, "(starlette in requirements.txt)"),
    ],
)
def test_project_that_has_only_asgi_is_refused_in_one_paragraph(project, files, found):
    with pytest.raises(KitError, match="only an asynchronous application was found") as raised:
        facts.look(project(files), {})
    text, _, line = str(raised.value).partition("\n")
    assert found in text
    assert "This kit serves WSGI" in text
    assert line == "WSGI_APP=package.module:callable"


def test_django_with_asgi_alone_can_be_served_by_wsgi(project):
    files = startproject()
    del files["shop/wsgi.py"]
    folder = project(files)
    with pytest.raises(KitError, match=r"shop/asgi\.py:\d: application is ASGI.* without WebSockets") as raised:
        find(folder)
    line = "WSGI_APP='django.core.wsgi:get_wsgi_application()'"
    assert str(raised.value).endswith(f"\n{line}")
    found = find(folder, WSGI_APP="django.core.wsgi:get_wsgi_application()")
    assert (found.root, found.settings.module) == (folder, "shop.settings")


def test_django_without_either_is_told_the_line(project):
    with pytest.raises(KitError, match=r"no WSGI application was found.*\nWSGI_APP='django.core.wsgi:get_wsgi_"):
        find(project({"manage.py": manage(), "shop/__init__.py": "", "shop/settings.py": ""}))


def test_wsgi_is_served_if_the_procfile_names_asgi(project):
    folder = project(startproject() | {"Procfile": "web: gunicorn -k uvicorn.workers.UvicornWorker shop.asgi\n"})
    found = find(folder)
    assert found.value == "shop.wsgi:application"
    assert found.notes == ("Procfile:1 names shop.asgi, which is ASGI: ASGI is not served",)


def test_websockets_are_not_served_and_it_is_said(project):
    found = facts.look(project(startproject() | {"requirements.txt": "django\nchannels\n"}), {}).application
    assert found.notes == ("channels in requirements.txt: WebSockets need ASGI, which is not served",)


def test_variable_that_names_an_asgi_application_is_refused(project):
    with pytest.raises(KitError, match=r"\(WSGI_APP=main:app is FastAPI\)"):
        find(project({"main.py": FASTAPI, "app.py": FLASK}), WSGI_APP="main:app")
    assert find(project({}), WSGI_APP="app:app").value == "app:app"


def test_asgi_behind_a_wrapper_and_a_queue_named_app_are_no_applications(project):
    files = {
        "manage.py": manage(),
        "shop/__init__.py": "",
        "shop/asgi.py": "from django.core.asgi import get_asgi_application\ninner = get_asgi_application()\n"
        "application = checked(inner)\n",
        "shop/queue.py": "app = Queue()\n",
        "shop/tasks.py": "from .queue import app\n",
    }
    with pytest.raises(KitError, match=r"\(shop/asgi\.py:2: inner is ASGI\)"):
        find(project(files))


def test_nothing_is_an_error_with_the_line_to_add(project):
    with pytest.raises(KitError, match="no WSGI application was found") as raised:
        find(project({"README.md": "", "script.py": "print(1)\n"}))
    assert str(raised.value).endswith("\nWSGI_APP=package.module:callable")


def test_modules_that_this_python_cannot_parse_are_named(project):
    with pytest.raises(KitError, match="no WSGI application was found") as raised:
        find(project({"app.py": "print 'two'\n", "web/run.py": "x = 1\ny = = 1\n"}))
    assert "(not these: app.py:1: Missing parentheses" in str(raised.value)
    assert "web/run.py:2: " in str(raised.value)
    assert "make PYTHON=... uses another one). Name it in .env:\nWSGI_APP=" in str(raised.value)


def test_settings_for_production_hold_and_it_is_said(project):
    files = {
        "manage.py": manage("config.settings.local"),
        "config/__init__.py": "",
        "config/settings/__init__.py": "",
        "config/settings/base.py": "WSGI_APPLICATION = 'config.wsgi.application'\n",
        "config/settings/local.py": "from .base import *\n",
        "config/settings/production.py": "from .base import *\n",
        "config/wsgi.py": wsgi("config.settings.production"),
    }
    found = find(project(files))
    assert found.value == "config.wsgi:application"
    assert (found.settings.module, found.settings.origin) == ("config.settings.production", "config/wsgi.py:3")
    said = "DJANGO_SETTINGS_MODULE=config.settings.production, from config/wsgi.py:3, holds for everything; "
    assert found.notes == (f"{said}manage.py:3 names config.settings.local",)
    assert find(project({}), DJANGO_SETTINGS_MODULE="config.settings.local").settings.module == "config.settings.local"


def test_settings_for_development_are_said_if_there_are_others(project):
    files = startproject() | {
        "manage.py": manage("shop.settings.dev"),
        "shop/wsgi.py": wsgi("shop.settings.dev"),
        "shop/settings/dev.py": "WSGI_APPLICATION = 'shop.wsgi.application'\n",
        "shop/settings/prod.py": "",
    }
    del files["shop/settings.py"]
    (note,) = find(project(files)).notes
    assert note.startswith("shop.settings.dev is for development; DJANGO_SETTINGS_MODULE=shop.settings.prod in .env ")


def test_settings_of_the_procfile_hold(project):
    web = "web: DJANGO_SETTINGS_MODULE=shop.live gunicorn shop.wsgi"
    found = find(project(startproject() | {"Procfile": web, "shop/live.py": ""}))
    assert (found.settings.module, found.settings.origin) == ("shop.live", "Procfile:1")


def test_factory_of_pyramid_gets_its_settings_from_the_ini_file(project):
    files = {
        "shop/__init__.py": "def main(global_config, **settings):\n    return config(settings).make_wsgi_app()\n",
        "development.ini": "[app:main]\nuse = egg:shop\n",
        "production.ini": "[app:main]\nuse = egg:shop\n[server:main]\n",
    }
    folder = project(files)
    found = application.find(folder, {}, None)
    assert (found.value, found.origin) == ('pyramid.paster:get_app("production.ini")', "production.ini")
    (folder / "production.ini").unlink()
    found = application.find(folder, {}, None)
    assert found.value == 'pyramid.paster:get_app("development.ini")'
    assert found.notes == ("development.ini is used, since there is no production.ini",)


def test_ini_file_of_something_else_says_nothing(project):
    folder = project(
        {"production.ini": "[app:main]\nuse = egg:shop\n", "app.py": "def application(environ, start): ...\n"}
    )
    assert application.find(folder, {}, None).value == "app:application"


BARE = "import sys\nfrom django.core.management import execute_from_command_line\nexecute_from_command_line(sys.argv)\n"
BARE_WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        (("settings",), "shop.settings"),
        (("settings/base", "settings/ci", "settings/development"), "shop.settings.base"),
        (("settings/base", "settings/production"), "shop.settings.production"),
    ],
)
def test_settings_that_nothing_names(project, modules, expected):
    files = {f"shop/{name}.py": "INSTALLED_APPS = []\n" for name in modules}
    folder = project({"manage.py": BARE, "shop/wsgi.py": BARE_WSGI, "shop/settings/clever-cloud.py": "", **files})
    found = find(folder)
    assert found.settings.module == expected
    assert found.notes == (f"nothing names Django's settings; {expected} is used",)


def test_several_settings_that_nothing_names_are_listed(project):
    files = {f"shop/settings/{name}.py": "from .base import *\n" for name in ("site", "intranet")}
    folder = project({"manage.py": BARE, "shop/wsgi.py": BARE_WSGI, **files})
    with pytest.raises(KitError) as raised:
        find(folder)
    assert str(raised.value).endswith("Put one of them into .env:\nDJANGO_SETTINGS_MODULE=shop.settings.intranet")
