"""The command line: its parser is built from the table of settings, and says every fault in one line.

Values stay text here; `load` reads them, so that a bad one is reported the same way wherever it came from.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ropewalk._version import __version__
from ropewalk.config.readers import shown_size
from ropewalk.config.settings import all_settings
from ropewalk.config.table import POSITIONAL, Setting
from ropewalk.errors import ConfigError, nearest

PROGRAM = "ropewalk"

COMMANDS = {
    "status": "how the server and its workers are",
    "top": "the same, again and again, with rates",
    "stacks": "what every thread of every worker is doing",
    "reload": "read the settings again and replace every worker, as HUP does",
    "upgrade": "start a new master with new code, and end the old one when the new one serves",
    "stop": "finish what is in flight and end, as TERM does",
    "scale": "keep so many workers",
    "healthcheck": "exit with 0 when the server is ready, else with 1",
}
"""Words that stand first instead of options, and ask or command a server that runs: `ropewalk.cli.control_client`."""

_ARGUMENT_FAULT = re.compile(r"argument (\S+): (.*)", re.DOTALL)


class _Formatter(argparse.HelpFormatter):
    """Knows the width of the terminal without `shutil`, which would come with three libraries of compression."""

    def __init__(self, prog: str) -> None:
        try:
            width = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size().columns or 80
        except (OSError, ValueError):
            width = 80
        super().__init__(prog, width=width - 2)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print over several lines as the one line of a ConfigError."""
        fault = _ARGUMENT_FAULT.fullmatch(message)
        if fault:
            raise ConfigError(fault[1], None, fault[2])
        raise ConfigError("usage", None, message)


def parse_flags(arguments: Sequence[str]) -> dict[str, str | list[str] | bool]:
    """The settings that `arguments` name, as they were written.

    Raises ConfigError for an unknown option; `--help` and `--version` print and raise SystemExit(0).
    """
    namespace, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0])
    return dict(vars(namespace))


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line, with its help."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [OPTIONS] {POSITIONAL}",
        description="Serve a WSGI application.",
        epilog="Every option is also a variable: --keep-alive is ROPEWALK_KEEP_ALIVE. "
        "An option goes over a variable, that over the file of --config, that over the default. "
        f"A running server is asked with `{PROGRAM} status`, top, stacks, reload, stop, scale N and healthcheck.",
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    version = f"{PROGRAM} {__version__} ({sys.implementation.name} {sys.version.partition(' ')[0]})"
    parser.add_argument("--version", action="version", version=version)
    groups: dict[str, Any] = {}
    for setting in all_settings():
        section = setting.declaration.section
        if section not in groups:
            groups[section] = parser.add_argument_group(section)
        _add(groups[section], setting)
    return parser


def shown_default(setting: Setting) -> str:
    """A setting's default as a user would write it; "" where nothing is the default."""
    value = setting.default
    if isinstance(value, tuple):
        return ",".join(value)
    if value is None or isinstance(value, bool):
        return ""
    if setting.declaration.metavar == "SIZE":
        return shown_size(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _add(group: Any, setting: Setting) -> None:
    declaration = setting.declaration
    default = shown_default(setting)
    text = (declaration.help + (f" [{default}]" if default else "")).replace("%", "%%")
    if not declaration.flags:
        group.add_argument(setting.name, metavar=declaration.metavar, nargs="?", default=argparse.SUPPRESS, help=text)
    elif setting.is_switch:
        group.add_argument(
            *declaration.flags, dest=setting.name, action="store_true", default=argparse.SUPPRESS, help=text
        )
    else:
        group.add_argument(
            *declaration.flags,
            dest=setting.name,
            metavar=declaration.metavar,
            action="append" if declaration.is_repeatable else "store",
            default=argparse.SUPPRESS,
            help=text,
        )


def _unknown(argument: str) -> ConfigError:
    if not argument.startswith("-"):
        return ConfigError("argument", argument, f"only one {POSITIONAL} can be served")
    from ropewalk.config.gunicorn_unsupported import instead_of_flag  # only for an unknown option

    name, instead = instead_of_flag(argument)
    if name:
        return ConfigError(name, None, f"is not supported: {instead}")
    name = argument.partition("=")[0]
    known = [flag for setting in all_settings() for flag in setting.declaration.flags]
    near = nearest(name, known)
    return ConfigError(
        name, None, "no such option" + (f"; did you mean {near}?" if near else f"; see {PROGRAM} --help")
    )
