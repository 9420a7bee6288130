"""The variables from which a project reads the address and the login of its PostgreSQL or Redis, and what each means.

The containers of the kit's own servers write these parts under names of their own (deploy/postgres/entrypoint,
deploy/redis/entrypoint). With what is found here, the application gets them under the names that it reads.
"""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from kit.project.environment_names import EnvironmentName, ParsedModule

Names = dict[str, str]
"""The project's variable, and what it gets: a variable of the service, or, after an `=`, a text."""

POSTGRES = {
    "URL": "DATABASE_URL",
    "HOST": "PGHOST",
    "PORT": "PGPORT",
    "USER": "PGUSER",
    "PASSWORD": "PGPASSWORD",
    "NAME": "PGDATABASE",
}
REDIS = {"URL": "REDIS_URL", "HOST": "REDIS_HOST", "PORT": "REDIS_PORT", "PASSWORD": "REDIS_PASSWORD"}

ENGINES = "django.db.backends."
ENGINE = f"{ENGINES}postgresql"

_DATABASE = re.compile(
    r"(?!(?:MONGO|MYSQL|MARIADB|REDIS|TEST)\w*_)(?:[A-Z0-9]+_)?(?:POSTGRES(?:QL)?|PG|PSQL|DB|DATABASE|SQL|RDS)_?([A-Z]+)"
)
_REDIS = re.compile(r"(?:\w+_)?(?:REDIS|VALKEY)_?(?:\w+_)?([A-Z]+)")
_QUEUE = re.compile(r"(?:\w+_)?(?:BROKER|RESULT_BACKEND)(?:_UR[LI])?")

_PARTS = {
    **dict.fromkeys(("URL", "URI", "DSN", "LOCATION"), "URL"),
    **dict.fromkeys(("HOST", "HOSTNAME", "SERVER", "ADDRESS"), "HOST"),
    "PORT": "PORT",
    **dict.fromkeys(("USER", "USERNAME"), "USER"),
    **dict.fromkeys(("PASSWORD", "PASS", "PASSWD", "PW"), "PASSWORD"),
    **dict.fromkeys(("NAME", "DB", "DBNAME", "DATABASE"), "NAME"),
}
"""What a name ends with."""


def of_postgres(names: Iterable[EnvironmentName], settings: Iterable[ParsedModule]) -> Names:
    """By the key of Django's DATABASES that a variable is for, and by its name."""
    found = {one.name: source for one in names if (source := _by_name(one.name, _DATABASE, POSTGRES))}
    for module in settings:
        for key, value in _database_entries(module):
            found |= _of_entry(key, value, module)
    return _without_own(found, POSTGRES)


def of_redis(names: Collection[EnvironmentName], place: Collection[str], others: Collection[str] = ()) -> Names:
    """By their names. `place` are variables that are known to say where it is, `others` those of another queue."""
    found = {one.name: source for one in names if (source := _by_name(one.name, _REDIS, REDIS))}
    found |= {one.name: REDIS["URL"] for one in names if one.is_required and found and _QUEUE.fullmatch(one.name)}
    has_host = REDIS["HOST"] in found.values()
    for name in place:
        part = _PARTS.get(name.rpartition("_")[2], "" if has_host else "URL")
        if part in REDIS:
            found.setdefault(name, REDIS[part])
    return _without_own({name: source for name, source in found.items() if name not in others}, REDIS)


def reads_no_password(names: Iterable[EnvironmentName], found: Names) -> bool:
    """Whether a project says where Redis is by its host, and has nowhere to put a password."""
    read = {found.get(one.name, one.name) for one in names}
    return REDIS["HOST"] in read and not read & {REDIS["PASSWORD"], REDIS["URL"]}


def _by_name(name: str, family: re.Pattern[str], parts: Mapping[str, str]) -> str:
    match = family.fullmatch(name)
    return parts.get(_PARTS.get(match[1], ""), "") if match else ""


def _without_own(found: Names, parts: Mapping[str, str]) -> Names:
    own = set(parts.values())
    return {name: source for name, source in sorted(found.items()) if name not in own}


def _of_entry(key: str, value: ast.expr, module: ParsedModule) -> Names:
    read = list(dict.fromkeys(module.variables_in(value)))
    if len(read) != 1:
        return {}
    if key == "ENGINE":
        has_start = f"{ENGINES}\n" in _texts(value)
        return {read[0]: f"={ENGINE.removeprefix(ENGINES) if has_start else ENGINE}"}
    return {read[0]: POSTGRES[key]} if key in POSTGRES else {}


def _database_entries(module: ParsedModule) -> Iterator[tuple[str, ast.expr]]:
    """Keys and values of the dictionaries that describe a PostgreSQL, or a database that a variable chooses."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Dict):
            continue
        entries = dict(zip(map(_key, node.keys), node.values, strict=True))
        engine = entries.get("ENGINE")
        if engine and (
            "postg" in _texts(engine) or ("backends" in _texts(engine) and any(module.variables_in(engine)))
        ):
            yield from entries.items()


def _key(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _texts(node: ast.expr) -> str:
    """All texts in an expression, each in a line."""
    parts = ast.walk(node)
    return "\n".join(one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)) + "\n"
