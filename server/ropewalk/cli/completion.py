"""Completion for bash, zsh and fish, made of the same tables as the command line: `ropewalk --completion SHELL`.

The script that is printed does everything in the shell: no program runs while somebody types.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from ropewalk.cli.control_client import make_parser
from ropewalk.config.flags import COMMANDS, PROGRAM, build_parser
from ropewalk.config.readers import Choice
from ropewalk.config.settings import SHELLS, all_settings

FILES: Final = ("FILE", "PATH")
DIRECTORIES: Final = ("DIR",)


class Option(NamedTuple):
    """An option of the command, or of a command for a running server."""

    flags: tuple[str, ...]
    help: str
    metavar: str
    """What its value is; "" if it takes none."""
    values: tuple[str, ...]
    """All of its values, if they are a choice."""
    is_repeatable: bool

    @property
    def is_file(self) -> bool:
        return self.metavar in FILES

    @property
    def is_directory(self) -> bool:
        return self.metavar.partition("[")[0] in DIRECTORIES


def script(shell: str) -> str:
    """The script for a shell of `SHELLS`."""
    return _SCRIPTS[shell]()


def server_options() -> list[Option]:
    """Those of a server that is to be started."""
    choices = {
        setting.name: setting.declaration.read.names
        for setting in all_settings()
        if isinstance(setting.declaration.read, Choice)
    }
    return list(_options(build_parser(shows_all=True), choices))


def command_options(name: str) -> list[Option]:
    """Those of a command for a running server."""
    return list(_options(make_parser(name), {}))


def _options(parser: argparse.ArgumentParser, choices: dict[str, tuple[str, ...]]) -> Iterator[Option]:
    for action in parser._actions:
        if action.option_strings:
            takes_value = action.nargs is None
            text = (action.help or "").replace("%%", "%")
            is_repeatable = isinstance(action, argparse._AppendAction)
            metavar = str(action.metavar or action.dest.upper()) if takes_value else ""
            yield Option(tuple(action.option_strings), text, metavar, choices.get(action.dest, ()), is_repeatable)


def _flags(options: Iterable[Option]) -> list[str]:
    return [flag for option in options for flag in option.flags]


# bash

_BASH = """\
# Completion of {program} for bash, in ~/.bashrc: eval "$({program} --completion bash)"

_{program}_modules() {{
    local file
    for file in *.py */wsgi.py; do
        # compgen would run a command that is in a name
        if [[ -f $file && $file =~ ^[A-Za-z0-9_/]+\\.py$ ]]; then
            file=${{file%.py}}
            printf '%s\\n' "${{file//\\//.}}"
        fi
    done
}}

_{program}_names() {{
    # of a module's own lines at the margin: name = ..., def name(
    local line file=${{1//.//}} name='([a-z][A-Za-z0-9_]*)'
    local pattern="^(def +$name *[(]|$name *(:[^=]*)?=[^=])"
    [[ $1 =~ ^[A-Za-z0-9_.]+$ ]] || return
    [[ -f $file.py ]] || file+=/__init__
    [[ -f $file.py ]] || return
    while IFS= read -r line; do
        if [[ $line =~ $pattern ]]; then
            printf '%s\\n' "${{BASH_REMATCH[2]}}${{BASH_REMATCH[3]}}"
        fi
    done <"$file.py"
}}

_{program}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} words module=''
    if [[ $current == ':' ]]; then
        module=$previous current=''
    elif [[ $previous == ':' ]]; then
        module=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    if [[ -n $module ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_{program}_names "$module")" -- "$current")
        return
    fi
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $previous == '=' ]]; then
        previous=${{COMP_WORDS[COMP_CWORD - 2]}}
    fi
    COMPREPLY=()
    case $previous in
{values}
    esac
    words=''
    if ((COMP_CWORD > 1)); then
        case ${{COMP_WORDS[1]}} in
{commands}
        esac
    fi
    if [[ -z $words && $current == -* ]]; then
        words='{options}'
    elif [[ -z $words ]]; then
        words=$(_{program}_modules)
        ((COMP_CWORD > 1)) || words+=' {names}'
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}

complete -F _{program} {program}
"""


def _bash() -> str:
    options = server_options()
    everywhere = [*options, *(option for name in COMMANDS for option in command_options(name))]
    values = [
        _bash_case((option for option in options if option.values == values), f'-W "{" ".join(values)}"')
        for values in dict.fromkeys(option.values for option in options if option.values)
    ]
    values.append(_bash_case((option for option in everywhere if option.is_file), "-f", " && compopt -o filenames"))
    values.append(_bash_case((option for option in options if option.is_directory), "-d", " && compopt -o filenames"))
    others = dict.fromkeys(_flags(option for option in everywhere if option.metavar and not _has_words(option)))
    values.append(f"        {' | '.join(others)}) return ;;")
    commands = [f"            {name}) words='{' '.join(_flags(command_options(name)))}' ;;" for name in COMMANDS]
    return _BASH.format(
        program=PROGRAM,
        values="\n".join(values),
        options=" ".join(_flags(options)),
        commands="\n".join(commands),
        names=" ".join(COMMANDS),
    )


def _has_words(option: Option) -> bool:
    return bool(option.values) or option.is_file or option.is_directory


def _bash_case(options: Iterable[Option], words: str, then: str = "") -> str:
    flags = " | ".join(dict.fromkeys(_flags(options)))
    return f'        {flags}) mapfile -t COMPREPLY < <(compgen {words} -- "$current"){then}; return ;;'


# zsh

_ZSH = """\
#compdef {program}
# Completion of {program} for zsh, in ~/.zshrc after compinit: eval "$({program} --completion zsh)"

_{program}_first() {{
    local -a commands modules
    commands=(
{names}
    )
    modules=(*.py(N:r) */wsgi.py(N:r:gs#/#.#))
    (( CURRENT == 2 )) && _describe -t commands command commands
    compadd -a modules
}}

_{program}() {{
    if (( CURRENT > 2 )); then
        case $words[2] in
{commands}
        esac
    fi
    _arguments -s \\
{options}
        ':application:_{program}_first'
}}

compdef _{program} {program}
"""


def _zsh() -> str:
    commands = []
    for name in COMMANDS:
        specs = "".join(f" \\\n                    {spec}" for spec in map(_zsh_spec, command_options(name)))
        commands.append(
            f"            {name})\n                shift words; (( CURRENT-- ))\n"
            f"                _arguments -s{specs}\n                return\n                ;;"
        )
    return _ZSH.format(
        program=PROGRAM,
        names="\n".join(f"        {_quoted(f'{name}:{text}')}" for name, text in COMMANDS.items()),
        commands="\n".join(commands),
        options="\n".join(f"        {_zsh_spec(option)} \\" for option in server_options()),
    )


def _zsh_spec(option: Option) -> str:
    """The arguments of `_arguments` for an option."""
    text = re.sub(r"([\\\[\]:])", r"\\\1", option.help)
    metavar = re.sub(r"([\\:])", r"\\\1", option.metavar)
    others = " ".join(option.flags)
    start = "*" if option.is_repeatable else f"({others})" if len(option.flags) > 1 else ""
    action = " "
    if option.values:
        action = f"({' '.join(option.values)})"
    elif option.is_file or option.is_directory:
        action = "_files -/" if option.is_directory else "_files"
    specs = []
    for flag in option.flags:
        after = "" if not option.metavar else "=" if flag.startswith("--") else "+"
        value = f":{metavar}:{action}" if option.metavar else ""
        specs.append(_quoted(f"{start}{flag}{after}[{text}]{value}"))
    return " ".join(specs)


# fish

_FISH = """\
# Completion of {program} for fish: {program} --completion fish >~/.config/fish/completions/{program}.fish

function __{program}_modules
    for file in *.py */wsgi.py
        string replace -r '\\.py$' '' -- $file | string replace -a / .
    end
end

complete -c {program} -f
complete -c {program} -n 'not __fish_seen_subcommand_from {names}' -a '(__{program}_modules)'
{lines}
"""


def _fish() -> str:
    names = " ".join(COMMANDS)
    lines = [
        f"complete -c {PROGRAM} -n __fish_use_subcommand -a {name} -d {_fish_quoted(text)}"
        for name, text in COMMANDS.items()
    ]
    lines += [_fish_line(f"not __fish_seen_subcommand_from {names}", option) for option in server_options()]
    for name in COMMANDS:
        lines += [_fish_line(f"__fish_seen_subcommand_from {name}", option) for option in command_options(name)]
    return _FISH.format(program=PROGRAM, names=names, lines="\n".join(lines))


def _fish_line(condition: str, option: Option) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = ""
    if option.values:
        value = f" -x -a {_fish_quoted(' '.join(option.values))}"
    elif option.is_directory:
        value = " -x -a '(__fish_complete_directories)'"
    elif option.metavar:
        value = " -r -F" if option.is_file else " -x"
    return f"complete -c {PROGRAM} -n {_fish_quoted(condition)} {flags}{value} -d {_fish_quoted(option.help)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


_SCRIPTS: dict[str, Callable[[], str]] = dict(zip(SHELLS, (_bash, _fish, _zsh), strict=True))
