"""Settings from the command line, the environment, a file and the defaults, in this order of precedence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ropewalk.config.flags import parse_flags
from ropewalk.config.settings import Settings, all_settings
from ropewalk.config.table import PREFIX, Setting
from ropewalk.errors import nearest

if TYPE_CHECKING:
    from ropewalk.config.files import FileValues
    from ropewalk.config.hook_signatures import Hook

DEFAULT = "default"

GUNICORN_FILE = "gunicorn.conf.py"

GUNICORN_TRUE = ("y", "1", "yes", "true")
"""What the variable SENDFILE can be without switching sendfile off; gunicorn has no other switches as variables."""

MISSPELLED = 0.9
"""difflib's ratio at which an unknown `ROPEWALK_…` variable counts as misspelled. Others are ignored: platforms create
such names themselves (`ROPEWALK_SERVICE_HOST`, for a service called ropewalk)."""


class Loaded(NamedTuple):
    """Settings and their origins."""

    settings: Settings
    sources: Mapping[str, str]
    """By setting name: the option, the variable, the file's path, or `default`."""
    warnings: tuple[str, ...]
    """For the operator, one line each."""
    hooks: Mapping[str, Hook]
    """Functions of a `.py` file that the server calls, by gunicorn's names."""

    def origin(self, name: str) -> str:
        """Where the value of the setting `name` came from; "" for its option or its default."""
        source = self.sources[name]
        return "" if source == DEFAULT or source.startswith("-") else source

    def is_default(self, name: str) -> bool:
        """Whether the setting `name` was not set anywhere."""
        return self.sources[name] == DEFAULT

    def is_platform_default(self, name: str) -> bool:
        """Whether a platform's variable, such as PORT, replaced the default of the setting `name`."""
        variables = [setting.declaration.default_variable for setting in all_settings() if setting.name == name]
        return self.sources[name] in filter(None, variables)

    def lines(self) -> Iterator[str]:
        """Every effective value and its origin. The values of `env`, which may be secret, are left out."""
        width = max(len(setting.key) for setting in all_settings())
        for setting in all_settings():
            if not setting.declaration.is_flag_only:
                value = getattr(self.settings, setting.name)
                if setting.name == "env":
                    value = tuple(item.partition("=")[0] + "=..." for item in value)
                yield f"{setting.key:{width}} = {shown(value)}  # {self.sources[setting.name]}"


def load_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Loaded:
    """Settings from the command line `arguments`, the variables `environ` and the file that they name, if any.

    Raises ConfigError for the first bad value; SystemExit(0) for `--help` and `--version`.
    """
    flags = parse_flags(arguments)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    file: FileValues | None = None
    path = ""
    # The file's own setting is first: every other one may be in the file.
    for setting in sorted(all_settings(), key=lambda setting: setting.name != "config"):
        in_file = {} if file is None else file.values
        variables = _with_assigned(environ, setting, values["env"]) if setting.declaration.is_set_by_env else environ
        values[setting.name], sources[setting.name] = _look_up(setting, flags, variables, in_file, path)
        if setting.name == "config" and values["config"]:
            from ropewalk.config.files import read_file  # not needed without a file

            path = values["config"]
            file = read_file(path, _project_directories(flags, environ))
    warnings = tuple(_unused(environ, path))
    if file is None:
        return Loaded(Settings(**values), sources, warnings, {})
    return Loaded(Settings(**values), sources, file.warnings + warnings, file.hooks)


def _project_directories(flags: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Where the application will be imported from, as far as options and variables say."""
    by_name = {setting.name: setting for setting in all_settings()}
    pythonpath, _ = _look_up(by_name["pythonpath"], flags, environ, {}, "")
    chdir, _ = _look_up(by_name["chdir"], flags, environ, {}, "")
    return [os.path.join(chdir, directory) for directory in (*pythonpath, "")]


def _with_assigned(environ: Mapping[str, str], setting: Setting, assignments: Iterable[str]) -> Mapping[str, str]:
    """The variables, with those of the setting's `other_variables` that `--env` assigns."""
    assigned = dict(assignment.split("=", 1) for assignment in assignments)
    variables = setting.declaration.other_variables
    return {**environ, **{name: assigned[name] for name in variables if name in assigned}}


def shown(value: object) -> str:
    """A value on one line as in TOML, where None is empty text."""
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
            return setting.read(value, setting.flag), setting.flag
        # Each occurrence may have several items, as in a variable.
        return sum((setting.read(one, setting.flag) for one in value), ()), setting.flag
    for variable in setting.variables:
        text = environ.get(variable)
        if text is not None and (text or _has_empty_value(setting)):
            return setting.read(text, setting.flag, variable), variable
    if setting.name in file:
        return setting.read(file[setting.name], setting.flag, path), path
    variable = setting.declaration.default_variable
    if variable and environ.get(variable):
        return setting.read_default_variable(environ[variable]), variable
    return setting.default, DEFAULT


def _has_empty_value(setting: Setting) -> bool:
    """Whether an empty variable is a value; otherwise it counts as not set."""
    try:
        setting.declaration.read("")
    except ValueError:
        return False
    return True


def _unused(environ: Mapping[str, str], path: str) -> Iterator[str]:
    """Warnings about what the operator may expect to be read."""
    if environ.get("GUNICORN_CMD_ARGS"):
        yield "GUNICORN_CMD_ARGS has no effect: each option has a variable, such as ROPEWALK_KEEP_ALIVE"
    if environ.get("SENDFILE", "yes").lower() not in GUNICORN_TRUE:
        from ropewalk.config.gunicorn_unsupported import UNSUPPORTED  # only for such a variable

        yield f"SENDFILE={environ['SENDFILE']} has no effect: {UNSUPPORTED['sendfile']}"
    if not path and os.path.isfile(GUNICORN_FILE):
        yield f"{GUNICORN_FILE} has no effect: gunicorn reads it by default, but Ropewalk only with --config"
    yield from _misspelled(environ)


def _misspelled(environ: Mapping[str, str]) -> Iterator[str]:
    known = [variable for setting in all_settings() for variable in setting.variables]
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            from ropewalk.config.gunicorn_unsupported import UNSUPPORTED  # only for an unknown variable

            near = nearest(name, known, cutoff=MISSPELLED)
            instead = UNSUPPORTED.get(name.removeprefix(PREFIX).lower())
            if instead is not None:
                yield f"{name} has no effect: {instead}"
            elif near:
                yield f"{name} is not a setting; did you mean {near}?"
