"""`MODULE:CALLABLE`: what is found, and what is said when it is not. The modules are real files."""

from __future__ import annotations

import itertools
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ConfigError
from ropewalk.wsgi.loader import load_application

APPLICATION = "def {name}(environ, start_response):\n    return [b'{name}']\n"

MakeModule = Callable[..., str]
_numbers = itertools.count()


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeModule]:
    """Write the text as a module that can be imported; returns its name, a new one each time."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(text: str, *, package: bool = False) -> str:
        name = f"loaded_{next(_numbers)}"
        if package:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").touch()
            (tmp_path / name / "wsgi.py").write_text(text)
            return f"{name}.wsgi"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield make
    for name in set(sys.modules) - before:
        if name.startswith("loaded_"):
            del sys.modules[name]


def refusal(spec: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_application(spec)
    error = caught.value
    assert len(str(error).splitlines()) == 1
    assert str(error).startswith(f"MODULE:CALLABLE={spec!r}: ")
    return error


def response(application: Callable[..., object]) -> object:
    return application({}, lambda status, headers, exc_info=None: lambda data: None)


@pytest.mark.parametrize("package", [False, True])
def test_named_callable_is_loaded(make_module: MakeModule, package: bool) -> None:
    module = make_module(APPLICATION.format(name="site"), package=package)
    assert response(load_application(f"{module}:site")) == [b"site"]


def test_module_alone_has_application_then_app(make_module: MakeModule) -> None:
    app = APPLICATION.format(name="app")
    assert response(load_application(make_module(app))) == [b"app"]
    both = make_module(app + APPLICATION.format(name="application"))
    assert response(load_application(both)) == [b"application"]


def test_attribute_of_an_object_is_loaded(make_module: MakeModule) -> None:
    module = make_module("class box:\n    @staticmethod\n    def app(environ, start_response): return [b'in']\n")
    assert response(load_application(f"{module}:box.app")) == [b"in"]


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("create()", [(), {}]),
        ("create('x', 2)", [("x", 2), {}]),
        ("create([1], debug=True, n=-1)", [([1],), {"debug": True, "n": -1}]),
        (" create ( ) ", [(), {}]),
    ],
)
def test_factory_is_called_with_literals(make_module: MakeModule, call: str, expected: object) -> None:
    module = make_module("def create(*args, **kwargs):\n    return lambda environ, start_response: [args, kwargs]\n")
    assert response(load_application(f"{module}:{call}")) == expected


@pytest.mark.parametrize(
    "expression",
    ["a b", "f(x)", "f(**{})", "f(*x)", "f()()", "a[0]", "1", "f'x'", "lambda: 1", "(a := 1)", "a + b", "a\0", "f()."],
)
def test_other_expressions_are_refused_and_never_run(make_module: MakeModule, expression: str) -> None:
    module = make_module("raise SystemError('must not be imported')")
    assert "after the colon" in str(refusal(f"{module}:{expression}"))
    assert module not in sys.modules


@given(st.text(min_size=1))
def test_no_text_after_the_colon_is_evaluated(text: str) -> None:
    with pytest.raises(ConfigError):
        load_application(f"no_such_module_at_all:{text}")


@pytest.mark.parametrize("spec", ["", ":", ":app", "module:", " : "])
def test_incomplete_spec_is_refused(spec: str) -> None:
    assert "shop.wsgi:application" in str(refusal(spec))


def test_module_that_does_not_exist_is_named() -> None:
    error = refusal("no_such_package.wsgi:app")
    assert "no module named 'no_such_package'" in str(error)
    assert "--chdir" in str(error)
    assert error.__cause__ is None


def test_missing_module_of_an_existing_package_is_named(make_module: MakeModule) -> None:
    package = make_module("", package=True).partition(".")[0]
    error = refusal(f"{package}.other:app")
    assert f"no module named '{package}.other'" in str(error)
    assert error.__cause__ is None


@pytest.mark.parametrize("spec", ["./app:app", "/srv/app", "a..b:app", ".app:app"])
def test_path_in_place_of_a_module_is_refused(spec: str) -> None:
    assert "as in an import statement" in str(refusal(spec))


def test_file_name_in_place_of_a_module_is_reported(make_module: MakeModule) -> None:
    module = make_module(APPLICATION.format(name="app"))
    assert str(refusal(f"{module}.py:app")).endswith(f"without .py: {module}")


def test_missing_attribute_is_named_with_the_nearest(make_module: MakeModule) -> None:
    module = make_module(APPLICATION.format(name="application"))
    text = str(refusal(f"{module}:aplication"))
    assert f"module '{module}' has no attribute 'aplication'; did you mean 'application'?" in text
    assert f"module '{module}' has no attribute 'zzz'" in str(refusal(f"{module}:zzz()"))
    assert "application has no attribute 'zzz'" in str(refusal(f"{module}:application.zzz"))
    assert "has neither 'application' nor 'app'" in str(refusal(make_module("")))


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("app = None", "app", "app is None, which is not callable"),
        ("app = 'x'", "app", "app is of type str, which is not callable"),
        ("app = 'x'", "app()", "app is of type str, which is not callable"),
        ("def app(): pass", "app()", "app() returned None, which is not callable"),
        ("def app(): pass", "app", "if it makes the application, write app()"),
        ("def app(environ): pass", "app", "app does not take (environ, start_response)"),
        ("async def app(scope, receive, send): pass", "app", "app is an ASGI application"),
        ("class A:\n  async def __call__(self, a, b, c): pass\napp = A()", "app", "app is an ASGI application"),
    ],
)
def test_object_that_is_no_application_is_reported(
    make_module: MakeModule, text: str, name: str, expected: str
) -> None:
    assert expected in str(refusal(f"{make_module(text)}:{name}"))


@pytest.mark.parametrize(
    "text",
    [
        "class app:\n  def __init__(self, environ, start_response): pass\n  def __iter__(self): return iter([])",
        "class A:\n  def __call__(self, *args): pass\napp = A()",
        "def app(environ, start_response, extra=None): pass",
        "from functools import partial\ndef f(x, environ, start_response): pass\napp = partial(f, 1)",
        "from unittest.mock import Mock\napp = Mock()",
        "app = dict.fromkeys",
    ],
)
def test_every_kind_of_callable_is_an_application(make_module: MakeModule, text: str) -> None:
    assert callable(load_application(f"{make_module(text)}:app"))


def test_failing_import_inside_the_module_shows_which_one_and_carries_the_traceback(
    make_module: MakeModule,
) -> None:
    module = make_module("import os\nimport no_such_dependency.sub\n")
    error = refusal(f"{module}:app")
    assert f"importing {module} raised ModuleNotFoundError: No module named 'no_such_dependency'" in str(error)
    assert f"{module}.py, line 2" in str(error)
    assert isinstance(error.__cause__, ModuleNotFoundError)
    frames = traceback.extract_tb(error.__cause__.__traceback__)
    assert frames[0].filename.endswith(f"{module}.py")


def test_module_that_imports_a_missing_part_of_its_own_package_is_the_users_fault(
    make_module: MakeModule,
) -> None:
    module = make_module("from . import settings\n", package=True)
    error = refusal(f"{module}:app")
    assert "raised ImportError: cannot import name 'settings'" in str(error)
    assert isinstance(error.__cause__, ImportError)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise ValueError('two\\nlines')", "raised ValueError: two lines"),
        ("import sys\nsys.exit('bye')", "raised SystemExit: bye"),
        ("x = (", "raised SyntaxError: '(' was never closed"),
    ],
)
def test_what_the_module_raises_is_reported(make_module: MakeModule, text: str, expected: str) -> None:
    module = make_module(text)
    error = refusal(module)
    assert expected in str(error)
    assert f"{module}.py, line" in str(error)
    assert error.__cause__ is not None


def test_what_the_factory_raises_is_reported(make_module: MakeModule) -> None:
    module = make_module("def create(): return {}['key']\n")
    error = refusal(f"{module}:create()")
    assert "calling create raised KeyError: 'key'" in str(error)
    assert isinstance(error.__cause__, KeyError)
    wrong = refusal(f"{module}:create(1)")
    assert "takes 0 positional arguments but 1 was given" in str(wrong)


def test_interrupt_of_the_operator_passes(make_module: MakeModule) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_application(make_module("raise KeyboardInterrupt"))


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ("import os\n\nos.environ['NOT_SET_AT_ALL']\n", "KeyError: 'NOT_SET_AT_ALL'"),
        ("import json\n\njson.loads('{')\n", "JSONDecodeError"),
        ("import trustme\n\ntrustme.CA().issue_cert()\n", "ValueError"),
    ],
    ids=["in a frozen module", "in the standard library", "in a library"],
)
def test_a_fault_that_shows_elsewhere_is_located_in_the_users_file(
    make_module: MakeModule, text: str, raised: str
) -> None:
    module = make_module(text)
    error = refusal(module)
    assert raised in str(error)
    assert str(error).endswith(f"{module}.py, line 3)")
    assert error.__cause__ is not None
    assert len(traceback.extract_tb(error.__cause__.__traceback__)) > 1  # the log has all of it
