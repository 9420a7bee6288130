"""The databases, queues and workers that a project needs beside its server, by its dependencies and its settings.

Of these, the kit runs PostgreSQL and Redis if it is asked to. A setting that names a server is looked for where it is
assigned: Django's DATABASES, and URLs such as redis://localhost. What matters is whether a variable says where the
server is: `localhost`, or the name of another container, is nothing that the application's container can reach.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from kit.project import service_names, workers
from kit.project.environment_names import EnvironmentName, ParsedModule, nodes
from kit.project.names import name_of
from kit.project.procfile import Process
from kit.project.reading import is_readable, parse_text, read_text, relative
from kit.project.values import Assigned, assigned, default_databases, entry, followed, targets, texts
from kit.project.workers import Worker

SQLITE = "SQLite"

KINDS = {
    "PostgreSQL": r"postg|psql",
    "MySQL": r"mysql|mariadb",
    SQLITE: r"sqlite|spatialite",
    "Oracle": r"oracle",
    "SQL Server": r"mssql|sqlserver",
    "Redis": r"rediss?\b|valkeys?\b|unix\b",
    "RabbitMQ": r"amqps?\b",
    "MongoDB": r"mongodb",
}
"""How Django's engines and the schemes of URLs begin, or what they have in them."""

DATABASES = ("PostgreSQL", "MySQL", SQLITE, "Oracle", "SQL Server")

DISTRIBUTIONS = {
    **dict.fromkeys(("psycopg", "psycopg2", "psycopg2-binary", "pg8000", "asyncpg"), "PostgreSQL"),
    **dict.fromkeys(("mysqlclient", "pymysql", "mysql-connector-python"), "MySQL"),
    **dict.fromkeys(("oracledb", "cx-oracle"), "Oracle"),
    **dict.fromkeys(("redis", "django-redis", "flask-redis", "channels-redis", "valkey", "rq", "django-rq"), "Redis"),
    **dict.fromkeys(("pymongo", "mongoengine", "flask-pymongo", "flask-mongoengine"), "MongoDB"),
    **dict.fromkeys(("elasticsearch", "elasticsearch-dsl", "django-elasticsearch-dsl"), "Elasticsearch"),
    **dict.fromkeys(("pymemcache", "pylibmc", "python-memcached"), "memcached"),
    "pika": "RabbitMQ",
}
"""By normalized name. If a project lists several for one service, the first of these is named."""

NAMED = {
    "PostgreSQL": r"POSTGRES\w*_HOST|PG_?HOST|DATABASE_UR[LI]|DB_HOST",
    "MySQL": r"MYSQL\w*_HOST|MARIADB\w*_HOST|DATABASE_UR[LI]|DB_HOST",
    "Redis": r"(\w+_)?(REDIS|VALKEY)\w*_(URL|HOST)|(\w+_)?BROKER_URL|CACHE_URL",
    "RabbitMQ": r"(\w+_)?(AMQP|RABBIT\w*)_?(URL|HOST)|(\w+_)?BROKER_URL",
    "MongoDB": r"(\w+_)?MONGO\w*_(UR[LI]|HOST)",
    "Elasticsearch": r"(\w+_)?ELASTIC\w*_(URL|HOST|ENDPOINT)",
    "memcached": r"(\w+_)?MEMCACHED?\w*_(URL|HOST|SERVERS?|LOCATION)|MEMCACHIER_SERVERS",
}
"""Variables that say where a server is, if nothing in the code shows it."""

OWN = {"PostgreSQL": "postgres", "Redis": "redis"}
"""Services that the kit can run itself, and the profile of compose for each."""

LOCAL = ("", "localhost", "127.0.0.1", "::1")

_WHOLE = re.compile("UR[LI]|DSN")
_SAYS_WHERE = re.compile("UR[LI]|DSN|HOST|SERVER|ADDR|ENDPOINT|SOCKET")
_URL = re.compile(r"([a-z][a-z0-9]*)(?:\+[a-z0-9]+)?://", re.IGNORECASE)
_HINTS = re.compile(r"DATABASES|://")
_SETTINGS = re.compile(
    r"(^|/)(default_)?(settings?|config\w*|app|application|main|__init__|celery\w*|extensions|db)(/|\.py$)"
)
_NOT_SERVED = re.compile(r"(?i)test|example|sample")
_DEVELOPMENT = re.compile(r"(?i)dev|local|debug")


@dataclass(frozen=True, slots=True)
class Service:
    """A server that the project uses, and what says where it is."""

    name: str
    origin: str
    host: str | None = None
    """What the code says; None if it says nothing."""
    place: tuple[str, ...] = ()
    """Variables that say where it is."""
    variables: tuple[str, ...] = ()
    """All variables that it is described by."""
    is_certain: bool = True
    """Whether the code names it in any case; if not, a variable or a branch decides."""
    is_required: bool = False
    """Whether the project does not start without a variable that says where it is."""

    @property
    def is_fixed(self) -> bool:
        """Whether it is where the application's container cannot reach it, and no variable can change that."""
        return self.is_certain and self.host is not None and not self.place and not is_reachable(self.host)

    @property
    def profile(self) -> str:
        """The profile of the kit's own server that the project would use; "" if there is none."""
        return OWN.get(self.name, "") if self.place else ""

    @property
    def is_wanted(self) -> bool:
        """Whether it is used unless a variable says otherwise, and the code's own value is of no use in a container."""
        is_elsewhere = self.host is not None and not is_reachable(self.host)
        return bool(self.place) and (self.is_required or (self.is_certain and is_elsewhere))


@dataclass(frozen=True, slots=True)
class Services:
    database: Service | None = None
    others: tuple[Service, ...] = ()
    workers: tuple[Worker, ...] = ()
    scheduler: Process | None = None
    alternatives: tuple[Service, ...] = ()
    """Other databases, which a variable can choose."""
    names: Mapping[str, service_names.Names] = field(default_factory=dict)
    """For each profile of the kit's own servers: the project's variables for its parts, also if it is not proposed."""
    has_redis_password: bool = True
    """False: the project has no variable for one."""

    @property
    def servers(self) -> tuple[Service, ...]:
        """All but SQLite."""
        own = (self.database,) if self.database and self.database.name != SQLITE else ()
        return (*own, *self.others)


def is_reachable(host: str) -> bool:
    """Whether a container may reach it: the name of a machine elsewhere has a dot in it."""
    return host not in LOCAL and ("." in host or ":" in host)


def host_of(value: str) -> str | None:
    """The host of a URL of one of these services, or of a value that is a host; None for anything else."""
    scheme = _URL.match(value)
    if scheme is None:
        return value.partition(":")[0] if re.fullmatch(r"[\w.-]*(:\d+)?", value) else None
    if kind_of(scheme[1]) in ("", SQLITE):
        return None
    try:
        return urlsplit(value.partition(",")[0]).hostname or ""
    except ValueError:
        return None


def kind_of(text: str) -> str:
    """The service of an engine or a scheme; "" if it is none of them."""
    return next((name for name, pattern in KINDS.items() if re.search(pattern, text.lower())), "")


@dataclass(frozen=True, slots=True)
class Sources:
    """What is known about a project before its services are looked for."""

    folder: Path
    listed: Sequence[str]
    """Requirements."""
    file: str
    """The file that lists them."""
    modules: Mapping[Path, ParsedModule]
    """Those that read variables."""
    names: Sequence[EnvironmentName]
    settings: Sequence[Path] = ()
    """Django's; empty for another framework."""
    processes: Sequence[Process] = ()
    """Of the Procfile."""

    @property
    def old_workers(self) -> set[str]:
        lock = self.folder / self.file
        is_lock = lock.suffix in (".lock", ".toml") and is_readable(lock)
        return workers.without_option(self.listed, read_text(lock) if is_lock else "")

    def parse(self, path: Path) -> ParsedModule | None:
        if path in self.modules:
            return self.modules[path]
        text = read_text(path) if is_readable(path) else ""
        tree = parse_text(text) if _HINTS.search(text) else None
        return ParsedModule(tree, {}) if tree else None


def find(sources: Sources, files: Iterable[Path]) -> Services:
    """`files`: the modules of the project, in which there may be URLs."""
    by_name: dict[str, str] = {}
    for line in sources.listed:
        name = name_of(line)
        if name in DISTRIBUTIONS or name in workers.WORKERS:
            by_name.setdefault(name, f"{name} in {sources.file}" if sources.file else name)
    files = list(files)
    seen = list(_seen(sources, files))
    databases = [one for one in seen if one.name in ("", *DATABASES)]
    database, alternatives = _database(databases, by_name, sources.names)
    others = tuple(_others(seen, by_name, sources.names))
    names = _names_of_own(sources, database, others)
    return Services(
        _named_by_driver(database, by_name, sources.names),
        tuple(_with_need(one, sources.names) for one in others),
        workers.find(by_name, [one.command for one in sources.processes], sources.folder, files, sources.old_workers),
        workers.scheduler(sources.processes),
        alternatives,
        names,
        not service_names.reads_no_password(sources.names, names["redis"]),
    )


def _names_of_own(sources: Sources, database: Service | None, others: Iterable[Service]) -> dict[str, dict[str, str]]:
    settings = [module for path in sources.settings if (module := sources.parse(path))]
    is_another = database is not None and database.name not in ("", SQLITE, "PostgreSQL")
    places = {one.name: one.place for one in others}
    return {
        "postgres": {} if is_another else service_names.of_postgres(sources.names, settings),
        "redis": service_names.of_redis(sources.names, places.get("Redis", ()), places.get("RabbitMQ", ())),
    }


def _with_need(service: Service, names: Iterable[EnvironmentName]) -> Service:
    required = {one.name for one in names if one.is_required}
    return replace(service, is_required=service.is_required or bool(required.intersection(service.place)))


def _named_by_driver(
    database: Service | None, by_name: Mapping[str, str], names: Iterable[EnvironmentName]
) -> Service | None:
    """The service of a URL without a default is what the one driver in the requirements is for."""
    if database is None:
        return None
    kinds = {kind for name in by_name if (kind := DISTRIBUTIONS.get(name)) in DATABASES}
    if not database.name and len(kinds) == 1:
        database = replace(database, name=kinds.pop())
    return _with_need(database, names) if database.name != SQLITE else database


# --- What the code says


def _seen(sources: Sources, files: Iterable[Path]) -> Iterator[Service]:
    places = list(sources.settings) or [
        path for path in files if _SETTINGS.search(relative(path, sources.folder)) and not _NOT_SERVED.search(path.name)
    ]
    for path in places:
        module = sources.parse(path)
        if module is None:
            continue
        known = assigned(module.tree)
        found = list(_databases_of_django(module, known)) if sources.settings else []
        classes = _classes(module.tree)
        for node, is_conditional in nodes(module.tree):
            name = classes.get(node, "")
            if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) and not _NOT_SERVED.search(name):
                is_other = is_conditional or _DEVELOPMENT.search(name) is not None
                found += [(one, node.lineno, is_other) for one in _urls(node, module, sources.settings, known)]
        for service, line, is_conditional in found:
            where = f"{relative(path, sources.folder)}:{line}"
            yield replace(service, origin=where, is_certain=service.is_certain and not is_conditional)


def _classes(tree: ast.Module) -> dict[ast.AST, str]:
    """The name of the class for each node in one: configurations of Flask are often classes."""
    return {node: outer.name for outer in ast.walk(tree) if isinstance(outer, ast.ClassDef) for node in ast.walk(outer)}


def _databases_of_django(module: ParsedModule, known: Assigned) -> Iterator[tuple[Service, int, bool]]:
    """What is assigned to DATABASES["default"]: the service, its line, and whether a branch decides."""
    tests = _tests(module, known)
    insisting = set(_without_another_way(module))
    for statement, value, is_conditional in default_databases(module.tree):
        if service := _described(followed(value, known), module):
            variables = dict.fromkeys((*tests.get(statement, ()), *service.variables))
            is_required = statement in insisting and bool(service.place)
            yield replace(service, variables=tuple(variables), is_required=is_required), value.lineno, is_conditional


def _tests(module: ParsedModule, known: Assigned) -> dict[ast.AST, list[str]]:
    """The variables in the tests of the branches that a statement is in."""
    found: dict[ast.AST, list[str]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If):
            variables = list(module.variables_in(followed(node.test, known)))
            for statement in node.body:
                found.setdefault(statement, []).extend(variables)
    return found


def _without_another_way(module: ParsedModule) -> Iterator[ast.stmt]:
    """The statements of a branch whose other branch describes the database by variables that have to be set."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.If):
            others = default_databases(ast.Module(node.orelse, []))
            if any(module.insists(value) for _, value, _ in others):
                yield from node.body


def _described(value: ast.expr, module: ParsedModule) -> Service | None:
    """A dict with an ENGINE, or an expression with a URL in it: `dj_database_url.config(default="postgres://...")`."""
    variables = tuple(dict.fromkeys(module.variables_in(value)))
    if not isinstance(value, ast.Dict):
        found = next((one for one in texts(value) if _URL.match(one)), "")
        kind = kind_of(found)
        place = _place(variables)
        return Service(kind, "", _host(found, place) if found else None, place, variables) if kind or place else None
    engine = entry(value, "ENGINE")
    kind = next(filter(None, map(kind_of, texts(engine))), "") if engine else ""
    if not kind:
        return None
    host = entry(value, "HOST")
    place = tuple(dict.fromkeys(module.variables_in(host))) if host else ()
    text = next(iter(texts(host)), "") if host else ""
    known = host is None or isinstance(host, ast.Constant) or bool(place)
    return Service(
        kind,
        "",
        None if kind == SQLITE or not known else text,
        place,
        variables,
        is_certain=engine is not None and not list(module.variables_in(engine)),
    )


def _urls(node: ast.stmt, module: ParsedModule, settings: Sequence[Path], known: Assigned) -> Iterator[Service]:
    """Servers in the URLs of a statement. A variable for the whole URL counts for more than those for its parts."""
    value = getattr(node, "value", None)
    if value is None or any(_NOT_SERVED.search(ast.dump(target)) for target in targets(node)):
        return
    complete = followed(value, known)
    whole = [name for name in module.variables_in(value) if _WHOLE.search(name)]
    for text in texts(complete):
        scheme = _URL.match(text)
        kind = kind_of(scheme[1]) if scheme else ""
        if not kind or (settings and kind in DATABASES):
            continue
        variables = tuple(dict.fromkeys(whole or module.variables_in(complete)))
        place = _place(variables)
        yield Service(kind, "", _host(text, place), place, variables)


def _place(variables: Sequence[str]) -> tuple[str, ...]:
    """Those that say where a server is; all, if no name says so."""
    return tuple(filter(_SAYS_WHERE.search, variables)) or tuple(variables)


def _host(text: str, place: Sequence[str]) -> str | None:
    """The host of a URL, of which parts may be known only when the project runs."""
    host = host_of(text)
    return host if host is None or not re.search("[{}%]", host) else "" if place else None


# --- What follows


def _database(
    seen: Sequence[Service], by_name: Mapping[str, str], names: Sequence[EnvironmentName]
) -> tuple[Service | None, tuple[Service, ...]]:
    """The one that holds as long as no variable chooses another, and those others."""
    if not seen:
        return next(iter(_listed_only(by_name, names, DATABASES)), None), ()
    certain = [one for one in seen if one.is_certain]
    files = [one.origin.rpartition(":")[0] for one in certain]
    # the first file is the settings module itself; in it, the last assignment holds
    own = [one for one, file in zip(certain, files, strict=True) if file == files[0]]
    plain = [one for one in seen if one.name == SQLITE]
    chosen = (own[-1:] or plain or list(seen))[0]
    if not chosen.is_certain:
        chosen = replace(chosen, is_certain=chosen.name == SQLITE)
    others = {one.name: one for one in seen if one.name not in (chosen.name, SQLITE) and not one.is_certain}
    return chosen, tuple(others.values())


def _listed_only(
    by_name: Mapping[str, str], names: Sequence[EnvironmentName], kinds: Iterable[str]
) -> Iterator[Service]:
    """Services that a dependency is for, and that the code names by variables at most."""
    for kind in kinds:
        origins = [origin for name, origin in by_name.items() if DISTRIBUTIONS.get(name) == kind]
        if origins:
            place = tuple(one.name for one in names if re.fullmatch(NAMED.get(kind, "(?!)"), one.name))
            yield Service(kind, origins[0], None, place, place, is_certain=False)


def _others(seen: Sequence[Service], by_name: Mapping[str, str], names: Sequence[EnvironmentName]) -> Iterator[Service]:
    kinds = [kind for kind in dict.fromkeys((*KINDS, *DISTRIBUTIONS.values())) if kind not in DATABASES]
    listed = {one.name: one for one in _listed_only(by_name, names, kinds)}
    for kind in kinds:
        found = [one for one in seen if one.name == kind]
        # a variable that says where it is counts for more than a value in another class or module
        best = sorted(found, key=lambda one: (not one.is_certain, not one.place))
        with_place = [one for one in best if one.place]
        if found:
            more = [one.name for one in names if re.fullmatch(NAMED.get(kind, "(?!)"), one.name)]
            place = tuple(dict.fromkeys((*(name for one in with_place for name in one.place), *more)))
            chosen = (with_place or best)[0]
            yield replace(chosen, place=place, variables=place)
        elif kind in listed:
            yield listed[kind]
