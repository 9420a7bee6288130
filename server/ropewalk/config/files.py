"""Configuration files: `.toml`, whose keys are the names of options, and `.py`, with gunicorn's names.

A `.toml` file contains only settings, so an unknown key is an error. A `.py` file is a program with names of its own,
so these only cause a warning. It may import modules of the project (`config.file_imports`).
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ropewalk.config.file_imports import importable
from ropewalk.config.hook_signatures import ARGUMENTS, Hook, check_hook
from ropewalk.config.settings import all_settings
from ropewalk.config.table import Setting
from ropewalk.errors import ConfigError, nearest
from ropewalk.monkey_patches import refused_monkey_patches

MISSPELLED = 0.8
"""difflib's ratio at which a name in a `.py` file counts as a misspelled setting: `worker` for `workers` is 0.92."""


class FileValues(NamedTuple):
    """The content of a file: values by setting name, and warnings about the rest."""

    values: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    hooks: Mapping[str, Hook] = {}
    """Functions, by gunicorn's names for them."""


def read_file(path: str, directories: Sequence[str] = ()) -> FileValues:
    """The settings in the file at `path`, which may import modules of `directories`. Raises ConfigError."""
    suffix = os.path.splitext(path)[1]
    if suffix not in (".toml", ".py"):
        raise ConfigError("--config", path, "must be a .toml or a .py file")
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ConfigError("--config", path, f"cannot be read: {error.strerror}") from error
    return _read_toml(path, content) if suffix == ".toml" else _read_python(path, content, directories)


def _read_toml(path: str, content: bytes) -> FileValues:
    import tomllib  # only for a TOML file

    try:
        table = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("--config", path, f"is not TOML: {error}") from error
    known = {setting.key: setting for setting in _settings_of_files()}
    values = {}
    for key, value in table.items():
        setting = known.get(key.replace("_", "-"))
        if setting is None:
            from ropewalk.config.gunicorn_unsupported import UNSUPPORTED  # only for an unknown key

            instead = UNSUPPORTED.get(key.replace("-", "_"))
            if instead is not None:
                raise ConfigError(key, None, f"is not supported: {instead}", path)
            raise _unknown_key(path, key, list(known), cutoff=0.5)
        values[setting.name] = value
    return FileValues(values)


def _read_python(path: str, content: bytes, directories: Sequence[str]) -> FileValues:
    namespace = _run(path, content, directories)
    known: dict[str, Setting] = {}
    for setting in _settings_of_files():
        known[setting.name] = known[setting.python_key] = setting
    values: dict[str, object] = {}
    hooks: dict[str, Hook] = {}
    others: dict[str, object] = {}
    for name, value in namespace.items():
        if name in known:
            if value is not None:
                values[known[name].name] = value
        elif name in ARGUMENTS:
            if value is not None:
                hooks[name] = check_hook(name, value, path)
        elif not name.startswith("_"):
            others[name] = value
    return FileValues(values, tuple(_warnings(path, others, known, values)) if others else (), hooks)


def _warnings(
    path: str, others: Mapping[str, object], known: Mapping[str, Setting], values: Mapping[str, object]
) -> Iterator[str]:
    """Warnings about names that have no effect, with a hint for one that looks like a misspelled setting.

    A name that contains that of a setting in the same file is not one: `timeout` was computed from `timeout_str`.
    """
    from ropewalk.config.gunicorn_unsupported import UNSUPPORTED, is_default  # only for a file with unknown names

    unknown = []
    for name in sorted(others):
        if name in UNSUPPORTED:
            if not is_default(name, others[name]):
                yield f"{path}: {name} has no effect: {UNSUPPORTED[name]}"
        elif not _is_definition(others[name]) and name.islower():
            is_derived = any(key in name for key in known if known[key].name in values)
            near = "" if is_derived else nearest(name, known, cutoff=MISSPELLED)
            if near:
                yield f"{path}: {name} is not a setting; did you mean {near}?"
            else:
                unknown.append(name)
    if unknown:
        yield f"{path}: not settings: {', '.join(unknown)}"


def _run(path: str, content: bytes, directories: Sequence[str]) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__config__", "__file__": os.path.realpath(path)}
    try:
        with (
            importable([*directories, os.path.dirname(namespace["__file__"])]),
            refused_monkey_patches("--config", path),
        ):
            exec(compile(content, path, "exec"), namespace)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_of(error, path)
        place = f" in line {line}" if line else ""
        raise ConfigError("--config", path, f"failed{place}: {type(error).__name__}: {_one_line(error)}") from error
    return namespace


def _line_of(error: BaseException, path: str) -> int | None:
    """The innermost line of the file itself in the error's traceback."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _one_line(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(str(message).split())


def _is_definition(value: object) -> bool:
    """Whether it is a function, a class or a module, which no setting is."""
    return callable(value) or isinstance(value, types.ModuleType)


def _settings_of_files() -> list[Setting]:
    return [setting for setting in all_settings() if setting.is_in_files]


def _unknown_key(path: str, key: str, known: list[str], cutoff: float) -> ConfigError:
    near = nearest(key.replace("_", "-"), known, cutoff=cutoff) or nearest(key, known, cutoff=cutoff)
    hint = f"; did you mean {near}?" if near else ""
    return ConfigError(key, None, f"no such setting{hint}", path)
