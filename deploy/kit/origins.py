"""Where the value of each of the kit's variables comes from: the shell, .env, .env.project, or a default."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kit import dotenv, env_files, times
from kit.doctor import inside
from kit.errors import KitError
from kit.paths import ROOT
from kit.variables import declared

IN_COMPOSE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(?::?-([^${}]*))?\}")
"""A variable of the compose files, and its default if that is plain text."""
ALSO_SECRET = re.compile(r"_KEYS$|_DSN$|SALT|CREDENTIAL|SIGNING|WEBHOOK", re.IGNORECASE)
"""In names of variables that are shown nowhere, but not checked as secrets are (kit.doctor.inside)."""
PASSWORD_IN_URL = re.compile(r"(://[^:/\s]*):[^/\s]+@")
USER_IN_URL = re.compile(r"(\bhttps?://)[^:/@\s]+@")
"""Over HTTP, a user without a password is a token."""
SECRET_IN_TEXT = re.compile(
    r"\b([\w-]*(?:password|passwd|passphrase|secret|token|_key|apikey|accountkey|signature)=)(\"[^\"]*\"|[^\s,;&\"]+)",
    re.IGNORECASE,
)
"""In the query of a URL, in a connection string, in the environment of a command."""

COMPUTED = {
    "STOP_GRACE_PERIOD": "computed from REQUEST_TIMEOUT and DRAIN_DELAY",
    "COMPOSE_PROJECT_NAME": "computed from the folder of the project",
    "PROJECT_ID": "computed from the folder of the project",
    "WEB_CONCURRENCY": "the CPUs of the container, if it is unset",
    "WSGI_APP": "found in the project, if it is unset",
}


class Value(NamedTuple):
    name: str
    value: str
    origin: str


def find(environment: Mapping[str, str], prepared: Mapping[str, str], root: Path = ROOT) -> Iterator[Value]:
    """The value of each variable, by name. `prepared` is compose.prepare's, which computes some. Raises KitError.

    The application has the value of .env.project where both files have one.
    """
    compose_defaults = _in_compose_files(root)
    files = _kit_files(environment, root)
    kit = env_files.read_kit(environment, root)
    project = env_files.read_project(kit, root)
    passed = [name for name in _passed(root) if environment.get(name)]
    names = {*declared(), *compose_defaults, *project, *passed, *(name for _, values in files for name in values)}
    for name in sorted(names):
        value, origin = _kit_value(name, environment, files, prepared, compose_defaults)
        if name == "ALLOWED_HOSTS" and origin.startswith("default") and (added := hosts_of(kit.get("SERVER_NAME", ""))):
            value, origin = ",".join([value, *added]), f"{origin}, and SERVER_NAME"
        if name in project and name not in compose_defaults:
            origin = ".env.project" + (f", for the application; nginx: {origin}" if name in kit else "")
            value = project[name]
        yield Value(name, value, origin)
    delay = {"DRAIN_DELAY": compose_defaults["DRAIN_DELAY"]} if compose_defaults.get("DRAIN_DELAY") else {}
    for name, seconds in times.chain(delay | kit).items():
        if name not in names:
            yield Value(name, str(seconds), "computed (deploy/app/times)")


def hosts_of(server_name: str) -> list[str]:
    """What the containers add to ALLOWED_HOSTS (kit_allowed_hosts in deploy/app/kit.sh)."""
    names = (name for name in server_name.split() if name != "_" and not name.startswith("~"))
    return [re.sub(r"^\*\.", ".", name) for name in names if not name.endswith(".*")]


def _kit_files(environment: Mapping[str, str], root: Path) -> list[tuple[str, dict[str, str]]]:
    """.env, or what COMPOSE_ENV_FILES names: the last one first, since it takes precedence."""
    names = (environment.get("COMPOSE_ENV_FILES") or ".env").split(",")
    return [(name, dotenv.read(root / name, environment)) for name in reversed(names)]


def _in_compose_files(root: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in [root / "docker-compose.yml", *sorted((root / "deploy").glob("**/*.yml"))]:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
        for name, default in IN_COMPOSE.findall("\n".join(lines)):
            found[name] = found.get(name) or default
    return found


def _passed(root: Path) -> list[str]:
    """What the application gets of .env and of the shell, beside what the compose files name."""
    text = (root / "deploy/compose/passed.env").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _kit_value(
    name: str,
    environment: Mapping[str, str],
    files: list[tuple[str, dict[str, str]]],
    prepared: Mapping[str, str],
    compose_defaults: Mapping[str, str],
) -> tuple[str, str]:
    """A blank value is as none: the images then take the default."""
    for origin, values in [("shell", environment), *files]:
        if values.get(name):
            changed = prepared.get(name, values[name])
            return changed, origin if changed == values[name] else f"{origin} ({values[name]})"
    if prepared.get(name):
        return prepared[name], COMPUTED.get(name, "computed")
    if default := compose_defaults.get(name):
        return default, "default (docker-compose.yml)"
    if (variable := declared().get(name)) and variable.default:
        return variable.default, "default (deploy/app/variables)"
    return "", COMPUTED.get(name, "not set")


def mask(name: str, value: str) -> str:
    """The value, unless it is secret: then its length; and without what is secret inside it."""
    if value and (inside.is_secret(name) or (ALSO_SECRET.search(name) and not name.endswith("_FILE"))):
        return f"({len(value)} characters)"
    return mask_text(value)


def mask_text(text: str) -> str:
    return SECRET_IN_TEXT.sub(r"\1***", USER_IN_URL.sub(r"\1***@", PASSWORD_IN_URL.sub(r"\1:***@", text)))


def check_what(what: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The sections that WHAT names. Raises KitError."""
    chosen = tuple(what.replace(",", " ").split()) or known
    for each in chosen:
        if each not in known:
            raise KitError(f"WHAT={each!r}: must be one of {', '.join(known)}")
    return chosen
