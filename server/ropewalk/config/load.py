"""Settings from everywhere: an option goes over a variable, that over the file, that over the default.

The one place that reads values, so that each bad one is told alike: the setting, the value, where it came from,
and what is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from ropewalk.config.files import FileValues, read_file
from ropewalk.config.flags import parse_flags
from ropewalk.config.hook_signatures import Hook
from ropewalk.config.settings import Settings, all_settings
from ropewalk.config.table import PREFIX, Setting
from ropewalk.errors import ConfigError, nearest

DEFAULT = "default"

GUNICORNS_FILE = "gunicorn.conf.py"

MISTYPED = 0.9
"""difflib's ratio from which a `ROPEWALK_…` variable is taken for a mistyped one. Others are left alone:
platforms make such names themselves (`ROPEWALK_SERVICE_HOST`, of a service that is called ropewalk)."""


class Loaded(NamedTuple):
    """Settings with their origins."""

    settings: Settings
    sources: Mapping[str, str]
    """By setting name: the option, the variable, the file's path, or `default`."""
    warnings: tuple[str, ...]
    """What the operator should be told, one line each."""
    hooks: Mapping[str, Hook]
    """The functions of a `.py` file that the server calls, by gunicorn's names."""

    def origin(self, name: str) -> str:
        """Where the value of the setting `name` came from, when that was neither its option nor its default."""
        source = self.sources[name]
        return "" if source == DEFAULT or source.startswith("-") else source

    def is_default(self, name: str) -> bool:
        """Whether nobody said anything of the setting `name`."""
        return self.sources[name] == DEFAULT

    def lines(self) -> Iterator[str]:
        """Every effective value and where it came from; values of `env` are kept back, as they may be secret."""
        width = max(len(setting.key) for setting in all_settings())
        for setting in all_settings():
            if not setting.declaration.is_flag_only:
                value = getattr(self.settings, setting.name)
                if setting.name == "env":
                    value = tuple(item.partition("=")[0] + "=..." for item in value)
                yield f"{setting.key:{width}} = {shown(value)}  # {self.sources[setting.name]}"


def load_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Loaded:
    """Settings of the command line `arguments`, the variables `environ` and the file they name, if any.

    Raises ConfigError for the first bad value; SystemExit(0) for `--help` and `--version`.
    """
    flags = parse_flags(arguments)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    file, path = FileValues(), ""
    # The file's own setting is looked up first: every other one may stand in it.
    for setting in sorted(all_settings(), key=lambda setting: setting.name != "config"):
        values[setting.name], sources[setting.name] = _look_up(setting, flags, environ, file.values, path)
        if setting.name == "config" and values["config"]:
            path = values["config"]
            file = read_file(path)
    return Loaded(Settings(**values), sources, file.warnings + tuple(_overlooked(environ, path)), file.hooks)


def make_settings(**values: object) -> Settings:
    """Settings for a program that embeds the server; a single text stands for a tuple of one.

    Raises TypeError for an unknown name and ConfigError for a bad value.
    """
    known = {setting.name: setting for setting in all_settings()}
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise TypeError(f"no such setting: {', '.join(unknown)}")
    return Settings(**{name: _read(known[name], value, name, "") for name, value in values.items()})


def shown(value: object) -> str:
    """A value on one line, as TOML writes it, which has empty text for nothing."""
    if value is None:
        return '""'
    if isinstance(value, tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def _look_up(
    setting: Setting,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    file: Mapping[str, object],
    path: str,
) -> tuple[Any, str]:
    if setting.name in flags:
        value = flags[setting.name]
        if not setting.declaration.is_repeatable:
            return _read(setting, value, setting.flag, ""), setting.flag
        # Each occurrence may hold several items, as it may in a variable.
        return sum((_read(setting, one, setting.flag, "") for one in value), ()), setting.flag
    for variable in setting.variables:
        text = environ.get(variable)
        if text is not None and (text or _has_empty_value(setting)):
            return _read(setting, text, setting.flag, variable), variable
    if setting.name in file:
        return _read(setting, file[setting.name], setting.flag, path), path
    return setting.default, DEFAULT


def _read(setting: Setting, value: object, name: str, source: str) -> Any:
    try:
        return setting.declaration.read(value)
    except ValueError as error:
        raise ConfigError(name, value, str(error), source) from None


def _has_empty_value(setting: Setting) -> bool:
    """Whether an empty variable says something; where it cannot, it counts as not set."""
    try:
        setting.declaration.read("")
    except ValueError:
        return False
    return True


def _overlooked(environ: Mapping[str, str], path: str) -> Iterator[str]:
    """What the operator may think is read."""
    if environ.get("GUNICORN_CMD_ARGS"):
        yield "the variable GUNICORN_CMD_ARGS is not read here: each option has a variable, as ROPEWALK_KEEP_ALIVE"
    if not path and os.path.isfile(GUNICORNS_FILE):
        yield f"{GUNICORNS_FILE} is there and is not read: gunicorn takes it unasked, here --config has to name it"
    yield from _mistyped(environ)


def _mistyped(environ: Mapping[str, str]) -> Iterator[str]:
    known = [variable for setting in all_settings() for variable in setting.variables]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            from ropewalk.config.gunicorn_unsupported import NOT_HERE  # only for a variable that we do not know

            near = nearest(name, known, cutoff=MISTYPED)
            instead = NOT_HERE.get(name.removeprefix(PREFIX).lower())
            if instead is not None:
                yield f"the variable {name} has no effect: {instead}"
            elif near:
                yield f"the variable {name} is no setting; did you mean {near}?"
