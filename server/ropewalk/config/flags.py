"""The command line: its parser and its help are built from the table of settings, and each error is one line.

Values stay text here; `load` reads them, so that a bad one is reported the same way wherever it came from.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ropewalk._version import __version__, build
from ropewalk.config.readers import shown_size
from ropewalk.config.settings import all_settings
from ropewalk.config.table import POSITIONAL, Setting
from ropewalk.errors import ConfigError, nearest

PROGRAM = "ropewalk"

COMMANDS = {
    "status": "show the state of the server and its workers",
    "top": "show the state every second, with rates",
    "stacks": "show the stack of every thread of every worker",
    "reload": "read the settings again and replace the workers, as HUP does",
    "upgrade": "start a new master with new code, then stop the old one",
    "stop": "finish requests in flight and stop, as TERM does",
    "scale": "set the number of workers to N",
    "healthcheck": "exit with status 0 if the server is ready, else 1",
}
"""The first argument instead of options, to query or control a running server: `ropewalk.cli.control_client`."""

EXAMPLES = {
    f"{PROGRAM} project.wsgi": "serve it at http://127.0.0.1:8000",
    f"{PROGRAM} -b 0.0.0.0:8000 -w 4 project.wsgi": "for other hosts, with four workers",
    f"{PROGRAM} -c {PROGRAM}.toml": "with the settings of a file",
    f"{PROGRAM} status": "show the state of the running server",
}

_ARGUMENT_ERROR = re.compile(r"argument (\S+): (.*)", re.DOTALL)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Finds the width of the terminal without `shutil`, which would import three compression libraries."""

    def __init__(self, prog: str) -> None:
        try:
            width = int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size().columns or 80
        except (OSError, ValueError):
            width = 80
        super().__init__(prog, width=width - 2)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print over several lines as the one line of a ConfigError."""
        match = _ARGUMENT_ERROR.fullmatch(message)
        if match:
            raise ConfigError(match[1], None, match[2])
        raise ConfigError("usage", None, message)


class _HelpAll(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        build_parser(shows_all=True).print_help()
        parser.exit()


def parse_flags(arguments: Sequence[str]) -> dict[str, str | list[str] | bool]:
    """The settings that `arguments` name, as they were written.

    Raises ConfigError for an unknown option; `--help`, `--help-all` and `--version` print and raise SystemExit(0).
    """
    namespace, unknown = build_parser().parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0])
    return dict(vars(namespace))


def build_parser(*, shows_all: bool = False) -> argparse.ArgumentParser:
    """The parser of the command line. Its help shows the options that people use, or all of them."""
    parser = _Parser(
        prog=PROGRAM,
        usage=f"{PROGRAM} [OPTIONS] {POSITIONAL}\n       {PROGRAM} COMMAND [OPTIONS]",
        description=f"Serve a WSGI application, or control a running server.\n\nExamples:\n{_listed(EXAMPLES)}",
        epilog=f"Commands for a running server ({PROGRAM} COMMAND --help):\n{_listed(COMMANDS)}\n\n"
        "Every option can also be set by an environment variable (ROPEWALK_BIND for --bind)\n"
        "or in the file of --config. Options take precedence over variables, and variables\n"
        "over the file.",
        allow_abbrev=False,
        add_help=False,
        formatter_class=_Formatter,
    )
    groups: dict[str, Any] = {}
    for setting in all_settings():
        section = setting.declaration.section
        if section not in groups:
            groups[section] = parser.add_argument_group(section)
        is_shown = shows_all or setting.declaration.is_common or not setting.declaration.flags
        _add(groups[section], setting, is_shown=is_shown)
    help_group = parser.add_argument_group("Help")
    python = f"{sys.implementation.name} {sys.version.partition(' ')[0]}"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        python += " free-threaded"
    version = f"{PROGRAM} {__version__} ({python}, {build()})"
    help_group.add_argument("-h", "--help", action="help", help="show the most used options and exit")
    help_group.add_argument("--help-all", action=_HelpAll, nargs=0, help="show all options and exit")
    help_group.add_argument("--version", action="version", version=version, help="show the version and exit")
    return parser


def _listed(descriptions: Mapping[str, str]) -> str:
    width = max(map(len, descriptions))
    return "\n".join(f"  {name:{width}}  {description}" for name, description in descriptions.items())


def shown_default(setting: Setting) -> str:
    """A setting's default as a user would write it; "" if there is none."""
    value = setting.default
    if isinstance(value, tuple):
        return ",".join(value)
    if value is None or isinstance(value, bool):
        return ""
    if setting.declaration.metavar == "SIZE":
        return shown_size(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _add(group: Any, setting: Setting, *, is_shown: bool) -> None:
    declaration = setting.declaration
    default = shown_default(setting)
    text = (
        (declaration.help + (f" [{default}]" if default else "")).replace("%", "%%") if is_shown else argparse.SUPPRESS
    )
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


OF_ADDRESS = dict.fromkeys(("--port", "--host", "--listen"), "HOST:PORT") | dict.fromkeys(
    ("--uds", "--unix-socket"), "unix:PATH"
)
"""Options of other servers that are not spelled like the one here, and the value that `--bind` takes for each."""


def _unknown(argument: str) -> ConfigError:
    if not argument.startswith("-"):
        return ConfigError("argument", argument, f"only one {POSITIONAL} can be served")
    from ropewalk.config.gunicorn_unsupported import instead_of_flag  # only for an unknown option

    name, instead = instead_of_flag(argument)
    if name:
        return ConfigError(name, None, f"is not supported: {instead}")
    name = argument.partition("=")[0]
    known = [flag for setting in all_settings() for flag in setting.declaration.flags]
    if name in OF_ADDRESS:
        return ConfigError(name, None, f"no such option; use --bind {OF_ADDRESS[name]}")
    near = nearest(name, known)
    return ConfigError(
        name, None, "no such option" + (f"; did you mean {near}?" if near else f"; see {PROGRAM} --help-all")
    )
