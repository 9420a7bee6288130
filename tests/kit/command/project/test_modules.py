"""deploy/kit/project/modules.py: what a module offers to a server."""

import pytest

from kit.project import modules


def best(project, text):
    offers = modules.read(project({"module.py": text}) / "module.py").offers
    return offers[0] if offers else None


@pytest.mark.parametrize(
    ("text", "expression", "is_certain"),
    [
        ("from flask import Flask\napp = Flask(__name__)\n", "app", True),
        ("import flask\napplication = app = flask.Flask(__name__)\n", "application", True),
        ("from flask import Flask\nserver: Flask = Flask(__name__)\n", "server", True),
        ("import bottle\napp = bottle.default_app()\n", "app", True),
        ("from bottle import default_app\napp = default_app()\n", "app", True),
        ("import falcon\nthings = falcon.App()\n", "things", True),
        (
            "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
            "application",
            True,
        ),
        ("import dash\napp = dash.Dash()\nserver = app.server\n", "server", True),
        ("config = Configurator()\nwsgi = config.make_wsgi_app()\n", "wsgi", True),
        ("import web\napplication = web.application(urls, globals()).wsgifunc()\n", "application", True),
        ("def application(environ, start_response): pass\n", "application", True),
        ("from flask import Flask\ndef create_app():\n    return Flask('x')\n", "create_app()", True),
        (
            "import flask\ndef create_app(x=None):\n    return flask.Flask('x')\napp = create_app()\n",
            "app",
            True,
        ),
        ("from flask import Flask\ndef make_app(*, debug=False):\n    return Flask('x')\n", "make_app()", True),
        (
            "from flask import Flask\ndef create_my_app():\n    pass\ndef create_app():\n    return Flask('x')\n",
            "create_app()",
            True,
        ),
        (
            "import flask as f\ndef make_my_app():\n    return f.Flask(1)\ndef create_app():\n    return f.Flask(2)\n",
            "create_app()",
            True,
        ),
        ("def main(global_config, **settings):\n    return Configurator().make_wsgi_app()\n", "main({})", True),
        (
            "from flask import Flask\napp = Flask('x')\napp = Wrapper(app)\n",
            "app",
            True,
        ),
        ("try:\n    from x import app\nexcept ImportError:\n    app = None\n", "app", False),
        ("app = Something()\n", "app", False),
        ("import os\nif os.environ.get('X'):\n    app = Something()\n", "app", False),
    ],
)
def test_application_is_found(project, text, expression, is_certain):
    offer = best(project, text)
    assert (offer.expression, offer.is_certain, offer.problem) == (expression, is_certain, "")


@pytest.mark.parametrize(
    "text",
    [
        "from celery import Celery\napp = Celery('x')\n",
        "import typer\napp = typer.Typer()\n",
        "application = 'a text'\n",
        "def main(): pass\n",
        "def create_user(name): pass\n",
        "if __name__ == '__main__':\n    from flask import Flask\n    app = Flask('x')\n",
        "print 'Python 2'\n",
    ],
)
def test_what_is_no_application_is_not(project, text):
    assert best(project, text) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "from flask import Flask\ndef create_app(name):\n    return Flask(name)\n",
            "create_app() has the required parameter name: pass a value, as in create_app('...')",
        ),
        (
            "from flask import Flask\ndef create_app(name, *, debug):\n    return Flask(name)\n",
            "create_app() has the required parameters name, debug: pass a value, as in create_app('...', debug='...')",
        ),
        (
            "from flask import Flask\napp = Flask('x')\napp.run()\n",
            'line 3 starts a server when it is imported: put it below `if __name__ == "__main__":`',
        ),
        ("from quart import Quart\napp = Quart('x')\napp = Wrapper(app)\n", "app is Quart, which needs an ASGI server"),
        ("from fastapi import FastAPI\napp = FastAPI()\n", "app is FastAPI, which needs an ASGI server"),
        (
            "from fastapi import FastAPI\ndef create_app():\n    return FastAPI()\n",
            "create_app() is FastAPI, which needs an ASGI",
        ),
        (
            "def main(global_config, **settings):\n    settings['x']\n    return Configurator().make_wsgi_app()\n",
            "main() reads its settings from an .ini file",
        ),
    ],
)
def test_application_that_cannot_be_served_has_the_reason(project, text, problem):
    assert best(project, text).problem.startswith(problem)


def test_server_below_main_is_not_started_on_import(project):
    text = "import bottle\napp = bottle.default_app()\nif __name__ == '__main__':\n    bottle.run(app)\n"
    assert best(project, text).problem == ""
