"""Procfile: the commands of a project's processes, and the application that its web process serves.

Understood are gunicorn, uWSGI, waitress, mod_wsgi-express and `flask run`, also started through `python -m`, `env`, a
shell or a wrapper.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kit.project.reading import read_text

_LINE = re.compile(r"([A-Za-z0-9_-]+):\s*(.+)")
_VARIABLE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_APPLICATION = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\(.*\))?)?", re.DOTALL)

_FOLDER = ("--chdir", "--chdir2", "--directory", "--working-directory")
_NAMES = ("--module", "--wsgi", "-w", "--wsgi-file", "--mount")
_WITHOUT_VALUE = frozenset(
    (
        *("--preload", "--preload-app", "--reload", "--daemon", "-D", "-R", "--check-config", "--print-config"),
        *("--no-sendfile", "--capture-output", "--enable-stdio-inheritance", "--log-syslog", "--proxy-protocol"),
        *(
            "--spew",
            "--initgroups",
            "--reuse-port",
            "--disable-redirect-access-to-syslog",
            "--master",
            "--http-keepalive",
        ),
        *("--call", "--expose-tracebacks", "--no-expose-tracebacks", "--enable-threads", "--need-app", "--die-on-term"),
    )
)
_SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "waitress", "mod_wsgi-express", "flask", "ropewalk")


@dataclass(frozen=True, slots=True)
class Process:
    name: str
    command: str
    line: int


@dataclass(slots=True)
class Web:
    """What the web process serves."""

    application: str = ""
    """As in `shop.wsgi:application`; "" if the command does not say."""
    folder: str = "."
    """Where it runs."""
    environment: dict[str, str] = field(default_factory=dict)
    line: int = 0


def processes(folder: Path) -> list[Process]:
    path = folder / "Procfile"
    if not path.is_file():
        return []
    found = ((number, _LINE.fullmatch(line.strip())) for number, line in enumerate(read_text(path).splitlines(), 1))
    return [Process(match[1], match[2], number) for number, match in found if match]


def web(folder: Path) -> Web | None:
    """None without a Procfile, or without a web process in it."""
    process = next((one for one in processes(folder) if one.name == "web"), None)
    if process is None:
        return None
    found = read_command(process.command)
    found.line = process.line
    return found


def read_command(command: str) -> Web:
    found = Web()
    for words in _commands(command):
        if words[0] == "cd" and len(words) > 1:
            found.folder = str(Path(found.folder) / words[1])
        else:
            _read_words(words, found)
    return found


def _commands(command: str) -> Iterator[list[str]]:
    """The words of each command of a line of shell, joined by `&&` or `;`."""
    try:
        lexer = shlex.shlex(command, posix=True, punctuation_chars="&;|")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return
    current: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set("&;|"):
            if current:
                yield current
            current = []
        else:
            current.append(word)


def _read_words(words: Sequence[str], found: Web) -> None:
    for place, word in enumerate(words):
        if match := _VARIABLE.fullmatch(word):
            found.environment[match[1]] = match[2]
        elif word in ("-c", "-lc") and words[place - 1].endswith("sh") and place + 1 < len(words):
            inner = read_command(words[place + 1])
            found.application, found.environment = inner.application, {**found.environment, **inner.environment}
            found.folder = inner.folder
            return
        elif word.rpartition("/")[2] in _SERVERS:
            _read_server(word.rpartition("/")[2], list(words[place + 1 :]), found)
            return


def _read_server(server: str, arguments: list[str], found: Web) -> None:
    if server == "flask":
        found.application = _option(arguments, ("--app", "-A")) or found.environment.get("FLASK_APP", "")
        return
    for name in _FOLDER:
        if folder := _option(arguments, (name,)):
            found.folder = str(Path(found.folder) / folder)
    named = _option(arguments, _NAMES)
    if server == "uwsgi":
        function = _option(arguments, ("--callable",))
        named = re.sub(r"\.py$", "", named).replace("/", ".") if named else ""
        found.application = f"{named}:{function}" if function and ":" not in named else named
        return
    found.application = _positional(arguments)
    if server.startswith("waitress") and "--call" in arguments and found.application:
        found.application += "()"


def _option(arguments: Sequence[str], names: Sequence[str]) -> str:
    for place, word in enumerate(arguments):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else next(iter(arguments[place + 1 :]), "")
    return ""


def _positional(arguments: Sequence[str]) -> str:
    """The last word that is neither an option nor the value of one."""
    found, is_value = "", False
    for word in arguments:
        if is_value:
            is_value = False
        elif word.startswith("-"):
            is_short_with_value = not word.startswith("--") and len(word) > 2
            is_value = "=" not in word and word not in _WITHOUT_VALUE and not is_short_with_value
        elif _APPLICATION.fullmatch(word):
            found = word
    return found
