"""From `MODULE:CALLABLE` to the application object (PEP 3333's "application side").

Runs once, in the thread that starts the server. Any error is a ConfigError of one line. If the user's code raised an
exception while it was imported or called, that is its cause, with only the frames of the user's code.
"""

from __future__ import annotations

import importlib
import os
import traceback
from types import FunctionType, ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from ropewalk.errors import ConfigError, nearest

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

__all__ = ["check_application", "load_application"]

SETTING: Final = "MODULE:CALLABLE"

DEFAULT_NAMES: Final = ("application", "app")
"""The names that are tried in a module without one: that of Django and mod_wsgi, then that of Flask."""


COROUTINES: Final = 0x80 | 0x200
"""`co_flags` of coroutines and of asynchronous generators (see `inspect`)."""


def load_application(spec: str) -> WSGIApplication:
    """Import the application that `spec` names.

    `package.module:callable`, `package.module` (its `application`, or else its `app`), or
    `package.module:factory()`, where the arguments may be literals: `module:create_app("production")`.

    Raises ConfigError, whose `__cause__` is set if the user's code raised: that traceback is worth logging.
    """
    module_name, colon, expression = spec.partition(":")
    module_name, expression = module_name.strip(), expression.strip()
    if not module_name or (colon and not expression):
        raise ConfigError(SETTING, spec, "must be a module and a callable in it, like shop.wsgi:application")
    target = _parse_expression(spec, expression) if colon else None
    module = _import(spec, module_name)
    if target is None:
        name, application = _find_default(spec, module)
    else:
        name, application = expression, _evaluate(spec, module, target)
    check_application(SETTING, spec, name, application)
    return cast("WSGIApplication", application)


class _Target(NamedTuple):
    """What follows the colon."""

    path: list[str]
    arguments: tuple[list[Any], dict[str, Any]] | None
    """Of the call; None for a name that is not called."""


def _parse_expression(spec: str, expression: str) -> _Target:
    """A dotted name, or a call of one with literal arguments. Nothing else is evaluated."""
    names = expression.split(".")
    if all(map(str.isidentifier, names)):
        return _Target(names, None)
    try:
        return _parse_call(expression)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        raise ConfigError(SETTING, spec, "after the colon must be a name, or a call with literal arguments") from None


def _parse_call(expression: str) -> _Target:
    import ast  # few applications are named by a call

    node, path, arguments = ast.parse(expression, mode="eval").body, [], None
    if isinstance(node, ast.Call):
        if any(keyword.arg is None for keyword in node.keywords):
            raise ValueError("** is not a literal")
        positional = [ast.literal_eval(argument) for argument in node.args]
        arguments = positional, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
        node = node.func
    while isinstance(node, ast.Attribute):
        path.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        raise ValueError("not a name")
    return _Target([node.id, *reversed(path)], arguments)


def _import(spec: str, name: str) -> ModuleType:
    if "/" in name or "" in name.split("."):
        raise ConfigError(SETTING, spec, "the module must be named as in an import statement: package.module")
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        frames = _users_frames(error.__traceback__)
        if isinstance(error, ModuleNotFoundError) and frames is None and _is_part_of(error.name, name):
            raise ConfigError(SETTING, spec, _not_found(name, str(error.name))) from None
        error.__traceback__ = frames
        raise _users_fault(spec, f"importing {name}", error, frames) from error


def _is_part_of(missing: str | None, name: str) -> bool:
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _not_found(name: str, missing: str) -> str:
    if name.endswith(".py"):
        return f"the module must be named without .py: {name.removesuffix('.py')}"
    return f"no module named {missing!r} (not in {os.getcwd()} nor on Python's path; see --chdir and --pythonpath)"


def _users_frames(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame that belongs neither to this module nor to the import system."""
    while frames is not None:
        filename = frames.tb_frame.f_code.co_filename
        if filename != __file__ and not filename.startswith("<frozen importlib") and filename != importlib.__file__:
            return frames
        frames = frames.tb_next
    return None


def _users_fault(spec: str, doing: str, error: BaseException, frames: TracebackType | None) -> ConfigError:
    text = " ".join(traceback.format_exception_only(type(error), error)[-1].split())
    where = ""
    if frames is not None and not isinstance(error, SyntaxError):
        stack = traceback.extract_tb(frames)
        last = next((frame for frame in reversed(stack) if not _is_library(frame.filename)), stack[-1])
        where = f" ({last.filename}, line {last.lineno})"
    elif isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    return ConfigError(SETTING, spec, f"{doing} raised {text}{where}")


def _is_library(filename: str) -> bool:
    """Whether a file belongs to the standard library or was installed: users look for the fault in their own files."""
    if filename.startswith(("<frozen ", f"{os.path.dirname(os.__file__)}{os.sep}")):
        return True
    return not {"site-packages", "dist-packages"}.isdisjoint(filename.split(os.sep))


def _find_default(spec: str, module: ModuleType) -> tuple[str, object]:
    for name in DEFAULT_NAMES:
        if hasattr(module, name):
            return name, getattr(module, name)
    names = " nor ".join(repr(name) for name in DEFAULT_NAMES)
    raise ConfigError(SETTING, spec, f"module {module.__name__!r} has neither {names}; write MODULE:CALLABLE")


def _evaluate(spec: str, module: ModuleType, target: _Target) -> object:
    found = _get(spec, module, target.path)
    if target.arguments is None:
        return found
    name = ".".join(target.path)
    if not callable(found):
        raise ConfigError(SETTING, spec, f"{name} is {_kind(found)}, which is not callable")
    positional, keywords = target.arguments
    try:
        return found(*positional, **keywords)
    except (Exception, SystemExit) as error:
        # Without frames of the user's code, the arguments were wrong, and the message says how.
        frames = _users_frames(error.__traceback__)
        error.__traceback__ = frames
        raise _users_fault(spec, f"calling {name}", error, frames) from error


def _get(spec: str, module: ModuleType, path: list[str]) -> object:
    """Look a dotted name up in the module."""
    found: object = module
    for number, name in enumerate(path):
        try:
            found = getattr(found, name)
        except AttributeError:
            label = ".".join(path[:number]) or f"module {module.__name__!r}"
            near = nearest(name, dir(found))
            hint = f"; did you mean {near!r}?" if near else ""
            raise ConfigError(SETTING, spec, f"{label} has no attribute {name!r}{hint}") from None
    return found


def check_application(setting: str, value: str | None, name: str, application: object) -> None:
    """Raise the ConfigError, about the value of a setting, that says why what it names is no WSGI application."""
    if not callable(application):
        verb = "returned" if name.endswith(")") else "is"
        raise ConfigError(setting, value, f"{name} {verb} {_kind(application)}, which is not callable")
    if _takes_two(application):
        return
    import inspect  # only for what is not plain: it is large

    if inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(type(application).__call__):
        raise ConfigError(setting, value, f"{name} is an ASGI application; a WSGI application is needed")
    try:
        signature = inspect.signature(application, follow_wrapped=False)
    except (ValueError, TypeError):  # written in C, without a signature
        return
    try:
        signature.bind({}, None)
    except TypeError:
        hint = "" if name.endswith(")") else f"; if it makes the application, write {name}()"
        raise ConfigError(setting, value, f"{name} does not take (environ, start_response){hint}") from None


def _takes_two(application: Any) -> bool:
    """Whether it is a plain function of two arguments, or an object whose `__call__` is one."""
    is_function = isinstance(application, FunctionType)
    code = getattr(application if is_function else type(application).__call__, "__code__", None)
    return (
        code is not None
        and code.co_argcount == (2 if is_function else 3)
        and not code.co_kwonlyargcount
        and not code.co_flags & COROUTINES
    )


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
