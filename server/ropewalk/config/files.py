"""Configuration files: `.toml`, whose keys are the options' names, and `.py`, with gunicorn's names.

A `.toml` file holds settings and nothing else, so an unknown key is an error. A `.py` file is a program: it has
names of its own, which are named in a warning; one that looks like a mistyped setting is an error there too.
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ropewalk.config.hook_signatures import ARGUMENTS, Hook, check_hook
from ropewalk.config.settings import all_settings
from ropewalk.config.table import Setting
from ropewalk.errors import ConfigError, nearest

NEAR_ENOUGH = 0.8
"""How alike (difflib's ratio) a name in a `.py` file must be to a setting's to be a mistyped one: `worker` is
to `workers` (0.92), `port` is to none."""


class FileValues(NamedTuple):
    """What a file says: values by setting name, and what its reader should be told."""

    values: Mapping[str, object] = {}
    warnings: tuple[str, ...] = ()
    hooks: Mapping[str, Hook] = {}
    """Functions by gunicorn's names."""


def read_file(path: str) -> FileValues:
    """The settings in the file at `path`. Raises ConfigError with one line."""
    suffix = os.path.splitext(path)[1]
    if suffix not in (".toml", ".py"):
        raise ConfigError("--config", path, "must be a .toml or a .py file")
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ConfigError("--config", path, f"cannot be read: {error.strerror}") from error
    return _read_toml(path, content) if suffix == ".toml" else _read_python(path, content)


def _read_toml(path: str, content: bytes) -> FileValues:
    import tomllib  # only for a file that is written in it

    try:
        table = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("--config", path, f"is not TOML: {error}") from error
    known = {setting.key: setting for setting in _settings_of_files()}
    values = {}
    for key, value in table.items():
        setting = known.get(key.replace("_", "-"))
        if setting is None:
            from ropewalk.config.gunicorn_unsupported import NOT_HERE  # only for a key that we do not know

            instead = NOT_HERE.get(key.replace("-", "_"))
            if instead is not None:
                raise ConfigError(key, None, f"no such setting here: {instead}", path)
            raise _unknown_key(path, key, list(known), cutoff=0.5)
        values[setting.name] = value
    return FileValues(values)


def _read_python(path: str, content: bytes) -> FileValues:
    namespace = _run(path, content)
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
    return FileValues(values, tuple(_told_of_others(path, others, known, values)) if others else (), hooks)


def _told_of_others(
    path: str, others: Mapping[str, object], known: Mapping[str, Setting], values: Mapping[str, object]
) -> Iterator[str]:
    """Warnings about names that have no effect. Raises ConfigError for one that looks like a mistyped setting.

    Not for one that holds the name of a setting that is there too: `timeout_str` is what `timeout` was made of.
    """
    from ropewalk.config.gunicorn_unsupported import NOT_HERE  # only for a file that says something we do not know

    unknown = []
    for name in sorted(others):
        if name in NOT_HERE:
            yield f"{path}: {name} has no effect here: {NOT_HERE[name]}"
        elif not _is_definition(others[name]):
            is_derived = any(key in name for key in known if known[key].name in values)
            if not is_derived and nearest(name, known, cutoff=NEAR_ENOUGH):
                raise _unknown_key(path, name, list(known), cutoff=NEAR_ENOUGH)
            unknown.append(name)
    if unknown:
        yield f"{path}: names that are no settings: {', '.join(unknown)}"


def _run(path: str, content: bytes) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__config__", "__file__": os.path.realpath(path)}
    try:
        exec(compile(content, path, "exec"), namespace)
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_of(error, path)
        place = f" in line {line}" if line else ""
        raise ConfigError("--config", path, f"failed{place}: {type(error).__name__}: {_one_line(error)}") from error
    return namespace


def _line_of(error: BaseException, path: str) -> int | None:
    """The innermost line of the file itself that the error passed."""
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
    return callable(value) or isinstance(value, types.ModuleType)


def _settings_of_files() -> list[Setting]:
    return [s for s in all_settings() if not s.declaration.is_flag_only and s.name != "config"]


def _unknown_key(path: str, key: str, known: list[str], cutoff: float) -> ConfigError:
    near = nearest(key.replace("_", "-"), known, cutoff=cutoff) or nearest(key, known, cutoff=cutoff)
    hint = f"; did you mean {near}?" if near else ""
    return ConfigError(key, None, f"no such setting{hint}", path)
