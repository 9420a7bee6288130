"""deploy/kit/project/debug_switch.py: DEBUG that is on unless a variable says otherwise."""

import pytest

from kit.project import debug_switch, environment_names
from kit.project.reading import modules


def find(folder):
    found = debug_switch.find(environment_names.parse(modules(folder, 3)), folder)
    return {one.name: one.off for one in found if one.is_default}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("env = environ.Env()\nDEBUG = env.bool('DEBUG', default=True)", {"DEBUG": "False"}),
        ("env = environ.Env(DEBUG=(bool, True))\nDEBUG = env('DEBUG')", {"DEBUG": "False"}),
        ("from decouple import config\nDEBUG = config('APP_DEBUG', default=True, cast=bool)", {"APP_DEBUG": "False"}),
        ("from decouple import config\nDEBUG = config('APP_DEBUG', default=1, cast=int)", {"APP_DEBUG": "0"}),
        ("DEBUG = os.environ.get('DEBUG', 'True') == 'True'", {"DEBUG": "False"}),
        ("DEBUG = os.getenv('DEBUG', 'true').lower() in ('1', 'true')", {"DEBUG": "False"}),
        ("DEBUG = bool(int(os.environ.get('DEBUG', 1)))", {"DEBUG": "0"}),
        ("DEBUG = bool(os.environ.get('DEBUG', True))", {"DEBUG": ""}),
        ("DEBUG = json.loads(os.environ.get('DEBUG', 'true'))", {"DEBUG": "false"}),
        ("app.config['DEBUG'] = os.environ.get('FLASK_DEBUG', '1') == '1'", {"FLASK_DEBUG": "False"}),
        ("DEBUG = os.environ.get('DEBUG') == '1'", {}),
        ("DEBUG = os.environ.get('DEBUG', '0') == '1'", {}),
        ("DEBUG = True", {}),
        ("OTHER = os.environ.get('OTHER', '1') == '1'", {}),
    ],
)
def test_variable_without_which_debug_is_on(project, text, found):
    assert find(project({"settings.py": f"import environ, os\n{text}\n"})) == found


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("ALLOWED_HOSTS = []", True),
        ("ALLOWED_HOSTS = ['www.shop.example']", True),
        ("", True),
        ("ALLOWED_HOSTS = ['*']", False),
        ("ALLOWED_HOSTS = ['localhost', 'www.shop.example']", False),
        ("ALLOWED_HOSTS = env.list('ALLOWED_HOSTS')", False),
        ("ALLOWED_HOSTS = [os.environ['HOST']]", False),
    ],
)
def test_settings_that_allow_no_host_without_debug(project, text, lacks):
    folder = project({"settings.py": f"{text}\n"})
    assert debug_switch.lacks_hosts([folder / "settings.py"]) is lacks


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ALLOWED_HOSTS = ['127.0.0.1', 'www.shop.example']", "127.0.0.1"),
        ("ALLOWED_HOSTS = ['127.0.0.1', 'localhost']", "localhost"),
        ("ALLOWED_HOSTS = ['*']", "localhost"),
        ("ALLOWED_HOSTS = ['www.shop.example']", "localhost"),
        ("ALLOWED_HOSTS = [os.environ['HOST'], '127.0.0.1']", "localhost"),
        ("", "localhost"),
    ],
)
def test_name_under_which_the_site_answers_here(project, text, name):
    folder = project({"settings.py": f"{text}\n"})
    assert debug_switch.local_name([folder / "settings.py"]) == name


@pytest.mark.parametrize(
    ("text", "variables", "is_on"),
    [
        ("env.bool('SHOP_DEBUG', default=True)", {}, True),
        ("env.bool('SHOP_DEBUG', default=True)", {"SHOP_DEBUG": "False"}, False),
        ("os.environ.get('SHOP_DEBUG') == '1'", {}, False),
        ("os.environ.get('SHOP_DEBUG') == '1'", {"SHOP_DEBUG": "1"}, True),
        ("os.environ.get('SHOP_DEBUG') == '1'", {"SHOP_DEBUG": ""}, False),
    ],
)
def test_switch_is_known_by_its_value_or_its_default(project, text, variables, is_on):
    folder = project({"settings.py": f"import environ, os\nenv = environ.Env()\nDEBUG = {text}\n"})
    (switch,) = debug_switch.find(environment_names.parse(modules(folder, 3)), folder)
    assert (switch.name, switch.is_on(variables)) == ("SHOP_DEBUG", is_on)
    assert [line[0] for line in debug_switch.lines((switch,), lacks_hosts=False)] == ["SHOP_DEBUG"] * switch.is_default
