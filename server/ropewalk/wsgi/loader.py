"""From `MODULE:CALLABLE` to the application object (PEP 3333's "application side").

Runs once, in the thread that starts the server. What goes wrong is told in one line; what the user's own code
raised while it was imported or called is the cause of that ConfigError, with the user's frames only.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import traceback
from types import ModuleType, TracebackType
from typing import Any, Final, cast
from wsgiref.types import WSGIApplication

from ropewalk.errors import ConfigError, nearest

__all__ = ["load_application"]

SETTING: Final = "MODULE:CALLABLE"

DEFAULT_NAMES: Final = ("application", "app")
"""What a module that is named alone is looked at for: Django's and mod_wsgi's name, then Flask's."""


def load_application(spec: str) -> WSGIApplication:
    """Import what `spec` names.

    `package.module:callable`, `package.module` (its `application`, or else its `app`), or
    `package.module:factory()`, where the arguments may be literals: `module:create_app("production")`.

    Raises ConfigError. Its `__cause__` is set when the user's code raised: that traceback is worth logging.
    """
    module_name, colon, expression = spec.partition(":")
    module_name, expression = module_name.strip(), expression.strip()
    if not module_name or (colon and not expression):
        raise ConfigError(SETTING, spec, "expected a module and a callable in it, like shop.wsgi:application")
    target = _parse_expression(spec, expression) if colon else None
    module = _import(spec, module_name)
    if target is None:
        name, application = _find_default(spec, module)
    else:
        name, application = expression, _evaluate(spec, module, target)
    _check_application(spec, name, application)
    return cast(WSGIApplication, application)


def _parse_expression(spec: str, expression: str) -> ast.expr:
    """A dotted name, or a call of one with literal arguments: nothing else is ever evaluated."""
    try:
        target = ast.parse(expression, mode="eval").body
        path = target
        if isinstance(target, ast.Call):
            _arguments(target)
            path = target.func
        while isinstance(path, ast.Attribute):
            path = path.value
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        path = None
    if not isinstance(path, ast.Name):
        raise ConfigError(SETTING, spec, "after the colon stands a name, or a call with literal arguments")
    return target


def _arguments(call: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    if any(keyword.arg is None for keyword in call.keywords):
        raise ValueError("** is no literal")
    positional = [ast.literal_eval(argument) for argument in call.args]
    return positional, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}


def _import(spec: str, name: str) -> ModuleType:
    if "/" in name or "" in name.split("."):
        raise ConfigError(SETTING, spec, "a module is named as in an import statement: package.module")
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
        return f"a module is named without its .py: {name.removesuffix('.py')}"
    return f"no module named {missing!r} (looked in {os.getcwd()} and Python's path; see --chdir and --pythonpath)"


def _users_frames(frames: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is neither ours nor the import system's."""
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
        last = traceback.extract_tb(frames)[-1]
        where = f" ({last.filename}, line {last.lineno})"
    elif isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
    return ConfigError(SETTING, spec, f"{doing} raised {text}{where}")


def _find_default(spec: str, module: ModuleType) -> tuple[str, object]:
    for name in DEFAULT_NAMES:
        if hasattr(module, name):
            return name, getattr(module, name)
    names = " nor ".join(repr(name) for name in DEFAULT_NAMES)
    raise ConfigError(SETTING, spec, f"module {module.__name__!r} has neither {names}; write MODULE:CALLABLE")


def _evaluate(spec: str, module: ModuleType, target: ast.expr) -> object:
    if not isinstance(target, ast.Call):
        return _get(spec, module, target)
    factory = _get(spec, module, target.func)
    name = ast.unparse(target.func)
    if not callable(factory):
        raise ConfigError(SETTING, spec, f"{name} is {_kind(factory)}, which is not callable")
    positional, keywords = _arguments(target)
    try:
        return factory(*positional, **keywords)
    except (Exception, SystemExit) as error:
        # Without frames of the user's the arguments were wrong, and the message says how.
        frames = _users_frames(error.__traceback__)
        error.__traceback__ = frames
        raise _users_fault(spec, f"calling {name}", error, frames) from error


def _get(spec: str, module: ModuleType, path: ast.expr) -> object:
    """What a dotted name is in the module."""
    if isinstance(path, ast.Attribute):
        owner, name = _get(spec, module, path.value), path.attr
        label = ast.unparse(path.value)
    else:
        owner, name = module, cast(ast.Name, path).id
        label = f"module {module.__name__!r}"
    try:
        return getattr(owner, name)
    except AttributeError:
        near = nearest(name, dir(owner))
        hint = f"; did you mean {near!r}?" if near else ""
        raise ConfigError(SETTING, spec, f"{label} has no attribute {name!r}{hint}") from None


def _check_application(spec: str, name: str, application: object) -> None:
    if not callable(application):
        verb = "returned" if name.endswith(")") else "is"
        raise ConfigError(SETTING, spec, f"{name} {verb} {_kind(application)}, which is not callable")
    if inspect.iscoroutinefunction(application) or inspect.iscoroutinefunction(type(application).__call__):
        raise ConfigError(SETTING, spec, f"{name} is an ASGI application; a WSGI application is needed")
    try:
        signature = inspect.signature(application, follow_wrapped=False)
    except (ValueError, TypeError):  # written in C, without a signature: taken at its word
        return
    try:
        signature.bind({}, None)
    except TypeError:
        hint = "" if name.endswith(")") else f"; if it makes the application, write {name}()"
        raise ConfigError(SETTING, spec, f"{name} does not take (environ, start_response){hint}") from None


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"
