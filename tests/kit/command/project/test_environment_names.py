"""deploy/kit/project/environment_names.py."""

import pytest

from kit.project import environment_names
from kit.project.reading import modules


def names(folder):
    return {
        one.name: one.is_required for one in environment_names.find(environment_names.parse(modules(folder, 3)), folder)
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import os\nA = os.environ['A']\nos.environ['B'] = '1'\nC = os.environ.get('C')\n", {"A": True, "C": False}),
        ("from os import environ, getenv\nA = environ['A']\nB = getenv('B', '1')\n", {"A": True, "B": False}),
        (
            (
                "import environ\nenv = environ.Env(DEBUG=(bool, False))\nA = env('A')\nB = env.bool('B', True)\n"
                "C = env.int('C')\nD = env('DEBUG')\nE = env.db()\n"
            ),
            {"A": True, "B": False, "C": True, "DEBUG": False, "DATABASE_URL": True},
        ),
        ("from environs import Env\nenv = Env()\nA = env.str('A')\n", {"A": True}),
        (
            "from decouple import config\nA = config('A')\nB = config('B', default='', cast=str)\n",
            {"A": True, "B": False},
        ),
        ("import dj_database_url\nD = dj_database_url.config(default='x')\n", {"DATABASE_URL": False}),
        (
            (
                "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    key: str\n    port: int = 1\n"
                "    model_config = SettingsConfigDict(env_prefix='SHOP_')\n"
            ),
            {"SHOP_KEY": True, "SHOP_PORT": False},
        ),
        ("import os\nif 'A' in os.environ:\n    pass\nA = os.environ['A']\n", {"A": False}),
        ("import os\nif DEBUG:\n    A = os.environ['A']\nclass C:\n    B = os.environ['B']\n", {"A": False, "B": True}),
        ("import os\ntry:\n    A = os.environ['A']\nexcept KeyError:\n    A = 1\n", {"A": False}),
        (
            "import os\ndef f():\n    return os.environ['A']\nB = os.environ['B'] or os.environ['C']\n",
            {"A": False, "B": False, "C": False},
        ),
        ("name = 'x'\nother = {'A': 1}['A']\nf = lambda n: n\nf('NOT')\n", {}),
    ],
)
def test_reading_a_variable_is_found(project, text, found):
    assert names(project({"settings.py": text})) == found


def test_functions_of_the_project_are_followed(project):
    folder = project(
        {
            "shop/env.py": """
                import os
                def must(name):
                    try:
                        return os.environ[name]
                    except KeyError:
                        raise SystemExit(name)
                def text(name, default=""):
                    return os.environ.get(name, default)
                def flag(name):
                    return text(name) == "1"
            """,
            "shop/settings.py": """
                from shop import env
                from shop.env import must
                KEY = must("KEY")
                DEBUG = env.flag("DEBUG")
            """,
        }
    )
    assert names(folder) == {"KEY": True, "DEBUG": False}


def test_readers_of_other_modules_are_known_by_their_usual_names(project):
    folder = project(
        {
            "shop/base.py": "import environ\nenv = environ.Env()\n",
            "shop/live.py": "from shop.base import *\nfrom .base import env\nA = env('A')\nB = env.bool('B', False)\n",
            "shop/config.py": "config = dict\nC = config('C')\n",
        }
    )
    assert names(folder) == {"A": True, "B": False}


def test_place_is_the_first_that_insists(project):
    folder = project({"a.py": "import os\nA = os.getenv('A')\n", "b.py": "import os\n\nA = os.environ['A']\n"})
    (found,) = environment_names.find(environment_names.parse(modules(folder, 3)), folder)
    assert (found.origin, found.is_required) == ("b.py:3", True)


def test_variables_that_become_the_secret_key_are_known(project):
    folder = project(
        {
            "settings.py": """
                import os
                from decouple import config
                SECRET_KEY: str = config("A_KEY", default="dev")
                S3_SECRET_KEY = os.environ.get("S3_SECRET_KEY")
                class Config:
                    SECRET_KEY = os.environ.get("CONFIG_SECRET", "dev")
            """,
            "app.py": """
                import os
                app.secret_key = os.getenv("ATTRIBUTE") or "dev"
                app.config["SECRET_KEY"] = os.getenv("ITEM")
                app.config.from_mapping(SECRET_KEY=os.getenv("KEYWORD"), OTHER=os.getenv("OTHER"))
            """,
        }
    )
    found = environment_names.find(environment_names.parse(modules(folder, 3)), folder)
    keys = {one.name for one in found if one.is_secret_key}
    assert keys == {"A_KEY", "CONFIG_SECRET", "ATTRIBUTE", "ITEM", "KEYWORD"}
    assert {one.name for one in found} - keys == {"S3_SECRET_KEY", "OTHER"}
