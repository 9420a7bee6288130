"""Why a program of the project's failed: one line, from the program's own last lines, with the line that mends it.

release.py runs the project's commands and ends its log with this. Pure functions over text; nothing is imported.
"""

import errno
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

TRACEBACK = re.compile(r"^(\S.*| +Applying \S+)?Traceback \(most recent call last\):$")
"""Also after what a program has printed on that line, as `manage.py migrate` does."""
FRAME = re.compile(r'^\s+File "([^"]+)", line (\d+)')
LONGEST = 500
OWNER = "10001:10001"

MISSING = tuple(
    re.compile(pattern)
    for pattern in (
        r"ImproperlyConfigured: Set the (\w+) environment variable",  # django-environ
        r"UndefinedValueError: (\w+) not found",  # python-decouple
        r'EnvError: Environment variable "(\w+)" not set',  # environs
        r"KeyError: \"Config '(\w+)' is missing",  # starlette
        r"ValidationError: (\w+) is required in env",  # dynaconf
        r"The (SECRET_KEY) setting must not be empty",
    )
)
PYDANTIC = re.compile(r"ValidationError: \d+ validation errors? for .*")
PYDANTIC_FIELD = re.compile(r"^(\w+)\n\s+(?:Field required|field required)", re.MULTILINE)
KEY = re.compile(r"^KeyError: '(\w+)'$")
MODULE = re.compile(r"ModuleNotFoundError: No module named '([^']+)'")
REMOVED = {
    **dict.fromkeys(("asynchat", "asyncore", "distutils", "imp", "smtpd"), (3, 12)),
    **dict.fromkeys(("audioop", "cgi", "cgitb", "crypt", "imghdr", "lib2to3", "mailcap", "nntplib", "pipes"), (3, 13)),
    **dict.fromkeys(("sndhdr", "telnetlib", "uu", "xdrlib"), (3, 13)),
}
"""Modules that Python's library had, and the version that has them no more."""
OLD_ALIAS = re.compile(r"cannot import name '(\w+)' from 'collections'|module 'collections' has no attribute '(\w+)'")
NO_NAME = re.compile(r"ImportError: cannot import name '(\w+)' from '([\w.]+)' \([^)]*/site-packages/([A-Za-z_]\w*)")
INSTALLED = re.compile(r"/(?:site-packages|bin)/([A-Za-z_]\w*)")
OLDEST = (3, 12)
"""The first version that the kit's oldest Python, 3.11, is older than."""
NO_TABLE = re.compile(r"no such table: (\S+)|relation \"(\S+)\" does not exist")
READ_ONLY = re.compile(r"Read-only file system: '([^']+)'")
DENIED = re.compile(r"PermissionError: .*Permission denied: '([^']+)'")
FULL = re.compile(r"No space left on device(?:: '([^']+)')?|database or disk is full|[Dd]isk quota exceeded")


def explain(output: str, environment: Mapping[str, str], project: Path = Path("/app")) -> str:
    """The reason in one line. Empty if the output has no line at all."""
    lines = output.rstrip().splitlines()
    start = max((at for at, line in enumerate(lines) if TRACEBACK.match(line)), default=-1)
    if start < 0:
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return _known(last, "", environment, project) or last[:LONGEST]
    body = lines[start + 1 :]
    at = next((at for at, line in enumerate(body) if line.strip() and not line[0].isspace()), len(body))
    error = "\n".join(body[at : at + 40])
    first = " ".join(error.split("\n")[0].split())
    return _known(error, "\n".join(body[:at]), environment, project) or first[:LONGEST] + _place(body[:at], project)


def of_known(error: str, project: Path = Path("/app")) -> str:
    """The same for one line, if the error is one that the kit knows; else empty."""
    return _known(error, "", {}, project)


def of_os_error(error: OSError, project: Path = Path("/app")) -> str:
    """The same for an error of the kit's own work on files."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _full(name)
    if error.errno in (errno.EACCES, errno.EPERM):
        return _denied(name)
    if error.errno == errno.EROFS:
        return _read_only(name, project)
    return f"{name or 'a file'}: {error.strerror or error}"


def _known(error: str, frames: str, environment: Mapping[str, str], project: Path) -> str:
    """The reason, if the error is one that the kit knows; else empty."""
    if names := _missing(error, frames):
        return missing_variables(names)
    if found := MODULE.search(error):
        return _no_module(found[1], environment, f"{frames}\n{error}")
    if found := OLD_ALIAS.search(error):
        return _too_old(f"collections.{found[1] or found[2]}", (3, 10), f"{frames}\n{error}")
    if "directly inherits TypingOnly but has additional attributes" in error:
        return (
            "the version of 'sqlalchemy' that is installed is older than this Python, and does not work with it:"
            ' UNPIN="sqlalchemy" in .env installs its newest version'
        )
    if found := NO_NAME.search(error):
        importer = (INSTALLED.findall(frames) or [""])[-1]
        if importer not in ("", found[3], "ropewalk"):
            return (
                f"the version of {importer!r} that is installed needs {found[1]!r} of {found[3]!r}, which has it no"
                f' more: UNPIN="{importer}" in .env installs its newest version'
            )
        return (
            f"the installed version of {found[3]!r} has no {found[1]!r} in {found[2]}"
            f"{_place(frames.splitlines(), project)}: the project, or a package of it, was made for another one. List"
            " the version that it needs in the file of its dependencies"
        )
    if found := NO_TABLE.search(error):
        table = (found[1] or found[2]).rstrip("()")
        return (
            f"the database has no table {table!r}: nothing has created it. Set INIT_COMMAND in .env to the project's"
            " command that does, or MIGRATE_COMMAND to that of its migrations"
        )
    for pattern, say in (
        (READ_ONLY, lambda name: _read_only(name, project)),
        (DENIED, _denied),
        (FULL, lambda name: _full(name or "")),
    ):
        if found := pattern.search(error):
            answer: Callable[[str], str] = say
            return answer(found[1] if found.groups() else "")
    return ""


def _missing(error: str, frames: str) -> list[str]:
    for pattern in MISSING:
        if found := pattern.search(error):
            return [found[1]]
    if PYDANTIC.search(error.split("\n")[0]):
        return [name.upper() for name in PYDANTIC_FIELD.findall(error)]
    # os.environ raises a plain KeyError; another dictionary's is the project's own fault
    innermost = [line for line in frames.splitlines() if FRAME.match(line)][-1:]
    found = KEY.match(error.split("\n")[0])
    if found and innermost and re.search(r'(<frozen os>|/os\.py)", line \d+, in __getitem__', innermost[0]):
        return [found[1]]
    return []


def missing_variables(names: list[str]) -> str:
    if len(names) == 1:
        return f"the project needs the variable {names[0]}, which is not set: add {names[0]}=... to .env.project"
    lines = " and ".join(f"{name}=..." for name in names)
    return f"the project needs the variables {', '.join(names)}, which are not set: add {lines} to .env.project"


def _no_module(name: str, environment: Mapping[str, str], text: str) -> str:
    for variable in ("DJANGO_SETTINGS_MODULE", "WSGI_APP"):
        named = environment.get(variable, "").partition(":")[0]
        if named and (named == name or named.startswith(f"{name}.")):
            return f"{variable}={environment[variable]}: the project has no module {name!r}"
    if since := REMOVED.get(name.partition(".")[0]):
        return _too_old(f"the module {name!r}", since, text)
    if name == "pkg_resources":
        return "the module 'pkg_resources' is not installed: add setuptools<81 to the file that lists the dependencies"
    return f"the module {name!r} is not installed: add its package to the file that lists the project's dependencies"


def _too_old(what: str, since: tuple[int, int], text: str) -> str:
    """Mostly, an old version of a package needs what Python had before."""
    place = (INSTALLED.findall(text) or [""])[-1]
    who = f"the version of {place!r} that is installed" if place else "the project"
    newer = f'UNPIN="{place}" in .env installs its newest version; or ' if place else ""
    gone = f"{who} needs {what}, which Python has no more since {since[0]}.{since[1]}: "
    if since < OLDEST:
        return f"{gone}{newer}change that line of the project"
    return f"{gone}{newer}use an older Python, BASE_IMAGE=python:{since[0]}.{since[1] - 1}-slim-trixie in .env"


def _read_only(name: str, project: Path) -> str:
    path = Path(os.path.normpath(project / name))
    if not path.is_relative_to(project) or path == project:
        return f"{name} cannot be written, since the container's files are read-only: keep it below /data or /tmp"
    place = path.relative_to(project)
    folder = place.parent
    if folder != Path() and not any((project / folder).rglob("*.py")):
        place = folder
    return (
        f"the project writes to {path.relative_to(project)}, and the container's files are read-only:"
        f" set WRITABLE_PATHS={place} in .env (several: separated by spaces, in quotes)"
    )


def _denied(name: str) -> str:
    volume = next((folder for folder in ("/data", "/srv/media", "/srv/assets") if name.startswith(folder)), "")
    if not volume:
        return f"{name or 'a file'}: permission denied for uid {os.getuid()}"
    return (
        f"{name}: belongs to another user, as after a restore: docker compose run --rm --no-deps --user 0"
        f" --cap-add CHOWN --cap-add DAC_READ_SEARCH --entrypoint chown release -R {OWNER} {volume}"
    )


def _full(name: str) -> str:
    if name.startswith("/tmp"):
        return f"{name}: no space left in /tmp, which is in memory: raise BODY_ROOM in .env"
    return f"{name or 'the disk'}: no space left on the engine's disk: `docker system df` says what takes it"


def _place(frames: list[str], project: Path) -> str:
    """The innermost line of the project's own code."""
    for line in reversed(frames):
        found = FRAME.match(line)
        if found and Path(found[1]).is_relative_to(project) and "site-packages" not in found[1]:
            return f" ({Path(found[1]).relative_to(project)}, line {found[2]})"
    return ""
