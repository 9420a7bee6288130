"""deploy/kit/project/django.py."""

import pytest

from kit.errors import KitError
from kit.project import django

LINE = "WSGI_APPLICATION = 'shop.wsgi.application'\n"
MANAGE = """
    import os, sys
    def main():
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "{settings}")
        from django.core.management import execute_from_command_line
        execute_from_command_line(sys.argv)
"""


def manage(settings="shop.settings"):
    return MANAGE.format(settings=settings)


@pytest.mark.parametrize("name", ["manage.py", "src/manage.py", "backend/shop/manage.py"])
def test_manage_and_its_settings(project, name):
    folder = project({name: manage()})
    found = django.find(folder, {})
    assert (found.manage, found.root) == (folder / name, (folder / name).parent)
    assert (found.settings.module, found.settings.origin) == ("shop.settings", f"{name}:3")


@pytest.mark.parametrize(
    ("line", "module"),
    [
        ('os.environ["DJANGO_SETTINGS_MODULE"] = "a.b"', "a.b"),
        ('os.environ.setdefault("DJANGO_SETTINGS_MODULE", os.getenv("X", "a.b"))', "a.b"),
        ('NAME = "a.b"\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", NAME)', "a.b"),
    ],
)
def test_other_ways_to_name_the_settings(project, line, module):
    assert django.find(project({"manage.py": f"import os\n{line}\n"}), {}).settings.module == module


def test_settings_that_exist_come_first(project):
    text = """
        import os, sys
        if "test" in sys.argv:
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.test_settings")
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    """
    folder = project({"manage.py": text, "shop/settings.py": ""})
    assert django.find(folder, {}).settings.module == "shop.settings"


@pytest.mark.parametrize("text", ["from flask_script import Manager\nManager().run()\n", "print 'Python 2'\n", ""])
def test_manage_of_another_framework_is_not_djangos(project, text):
    assert django.find(project({"manage.py": text}), {}) is None


def test_ignored_folders_are_not_searched(project):
    names = ("tests", "docs", "node_modules/x", ".hidden", "examples", "made")
    folder = project({f"{name}/manage.py": manage() for name in names} | {"made/pyvenv.cfg": ""})
    assert django.find(folder, {}) is None


def test_several_projects_are_an_error_unless_the_settings_decide(project):
    folder = project({f"{name}/manage.py": manage(f"{name}.settings") for name in ("one", "two")})
    (folder / "two/two").mkdir()
    (folder / "two/two/settings.py").touch()
    with pytest.raises(KitError) as raised:
        django.find(folder, {})
    assert "one/manage.py, two/manage.py" in str(raised.value)
    assert str(raised.value).endswith(f"\nPROJECT_DIR={folder}/one")
    assert django.find(folder, {"DJANGO_SETTINGS_MODULE": "two.settings"}).manage == folder / "two/manage.py"


@pytest.mark.parametrize(
    "files",
    [
        {"shop/settings.py": LINE},
        {"shop/settings/__init__.py": LINE},
        {
            "shop/settings/__init__.py": "from .base import *\n",
            "shop/settings/base.py": LINE,
        },
        {
            "shop/settings.py": "from shop.parts.more import *\n",
            "shop/parts/more.py": "from ..base import *\n",
            "shop/base.py": LINE,
        },
        {
            "shop/settings/__init__.py": "from split_settings.tools import include\ninclude('a/base.py')\n",
            "shop/settings/a/base.py": LINE,
        },
    ],
)
def test_wsgi_application_in_settings_of_every_shape(project, files):
    folder = project(files)
    value, _, line = django.wsgi_application(folder, "shop.settings")
    assert (value, line) == ("shop.wsgi:application", 1)


def test_settings_that_import_each_other_end(project):
    folder = project({"a.py": "from b import *\n", "b.py": "from a import *\n"})
    assert django.wsgi_application(folder, "a") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SECRET_KEY = 'django-insecure-x'\n", 1),
        ("import os\nSECRET_KEY: str = 'x'\n", 2),
        ("SECRET_KEY = 'x'\nSECRET_KEY = os.environ['KEY']\n", 0),
        ("SECRET_KEY = os.environ.get('KEY', 'x')\n", 0),
        ("DEBUG = True\n", 0),
    ],
)
def test_secret_key_in_the_code_is_found(project, text, line):
    path = project({"settings.py": text}) / "settings.py"
    assert django.fixed_secret_key([path]) == ((path, line) if line else None)
