"""Which WSGI application a project has, in the form that WSGI_APP has.

The first of these that says something decides: the variable WSGI_APP, the web process of the Procfile, FLASK_APP (in
the environment, .flaskenv or .env), WSGI_APPLICATION of the settings that manage.py names, Pyramid's production.ini,
and then the modules: wsgi.py before app.py, main.py and the like, before packages, before other modules. Within a
module, `application` comes before `app`, before other names, before factories. Equal ones are an error that lists
them.

It is long because these are one ordered search: what one of them finds decides whether the next is looked at.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kit.errors import KitError
from kit.project import asgi, django, flask_app, ini, modules, procfile, programs
from kit.project.django import Django
from kit.project.modules import Offer
from kit.project.reading import modules as python_files
from kit.project.reading import relative, syntax_error

VARIABLE = "WSGI_APP"

DEPTH = 3
"""Modules are looked for in so many folders within each other."""

USUAL = ("app", "application", "main", "server", "run", "autoapp", "passenger_wsgi", "web", "api", "index")
"""Names of the module that has the application, if it is in the project's own folder or in its package."""

USUAL_OFFERS = ("application", "app", "create_app", "make_app")

MAX_PROBLEMS = 5
"""So many applications that cannot be served are listed, the likeliest first."""

MAX_IMPORTS = 4
"""So many imports of an application from another module are followed."""


@dataclass(frozen=True, slots=True)
class Application:
    value: str
    """`module:name`, or `module:factory()`."""
    origin: str
    root: Path
    """The folder that has to be on the path, and in which the server is started."""
    settings: django.Settings | None = None
    """Django's: which module holds, and what says so."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    path: Path
    module: str
    root: Path
    offer: Offer

    @property
    def value(self) -> str:
        return f"{self.module}:{self.offer.expression}"

    def origin(self, folder: Path) -> str:
        return f"{relative(self.path, folder)}:{self.offer.line}"


@dataclass(slots=True)
class _Search:
    folder: Path
    environment: Mapping[str, str]
    django: Django | None
    listed: str = ""
    """What the dependencies have for ASGI, and where."""
    notes: list[str] = field(default_factory=list)


def find(folder: Path, environment: Mapping[str, str], found_django: Django | None, listed: str = "") -> Application:
    """Raises KitError with what was found, what is missing, and the line to put into .env.

    `listed` is what the dependencies have for ASGI, from `asgi.listed`.
    """
    search = _Search(folder, environment, found_django, listed)
    found = (
        _given(search)
        or _from_procfile(search)
        or _from_flask(search)
        or _from_django(search)
        or _from_ini(search)
        or _from_modules(search)
    )
    return _with_settings(found, search)


def _given(search: _Search) -> Application | None:
    value = search.environment.get(VARIABLE)
    if not value:
        return None
    module, _, expression = value.partition(":")
    root = _root_of(search, module.strip())
    path = django.find_module(root, module.strip())
    if path and (offer := _asgi_offer(path, root, expression or "application", search)):
        raise KitError(asgi.refusal([f"{VARIABLE}={value} is {offer.asgi}"], search.listed, search.django))
    return Application(value, f"the variable {VARIABLE}", root)


def _root_of(search: _Search, module: str) -> Path:
    """The folder from which the module can be imported; the project's own if none is known."""
    places = [search.folder, *([search.django.root] if search.django else []), search.folder / "src"]
    first = next((place for place in places if django.find_module(place, module)), None)
    if first is not None:
        return first
    found = (root_and_module(path, search.folder) for path in python_files(search.folder, DEPTH))
    return next((root for root, name in found if name == module), places[-2])


def root_and_module(path: Path, folder: Path) -> tuple[Path, str]:
    """The folder that must be on the path, and the module's name: packages are folders with an `__init__.py`."""
    root = path.parent
    while root != folder and (root / "__init__.py").is_file():
        root = root.parent
    if root.parent == folder and root != folder and _imports_itself(path, root.name):
        root = folder
    parts = path.relative_to(root).with_suffix("").parts
    return root, ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def _imports_itself(path: Path, name: str) -> bool:
    """Whether a module in a folder without `__init__.py` imports it as a package, which it then is."""
    return any(module.partition(".")[0] == name for module in modules.read(path).imports)


def _from_procfile(search: _Search) -> Application | None:
    web = procfile.web(search.folder)
    if web is None or not web.application:
        return None
    root = (search.folder / web.folder).resolve()
    if not root.is_dir() or not root.is_relative_to(search.folder.resolve()):
        return None
    root = search.folder / root.relative_to(search.folder.resolve())
    module, _, expression = web.application.partition(":")
    path = django.find_module(root, module)
    if path is None:
        search.notes.append(f"Procfile:{web.line} names {web.application}, but there is no module {module}: not used")
        return None
    if offer := _asgi_offer(path, root, expression, search):
        search.notes.append(f"Procfile:{web.line} names {web.application}, which is {offer.asgi}: ASGI is not served")
        return None
    if not expression:
        offers = [offer for offer in _resolved(path, root, search.folder) if not offer.problem]
        expression = offers[0].expression if offers else "application"
    settings = web.environment.get(django.VARIABLE)
    origin = f"Procfile:{web.line}"
    return Application(f"{module}:{expression}", origin, root, django.Settings(settings, origin) if settings else None)


def _asgi_offer(path: Path, root: Path, expression: str, search: _Search) -> Offer | None:
    """What that expression of the module is, if it is an ASGI application: of any name, if there is no expression."""
    name = expression.partition("(")[0]
    found = (one for one in _resolved(path, root, search.folder) if one.asgi and name in ("", one.name))
    return next(found, None)


def _from_flask(search: _Search) -> Application | None:
    value, origin = flask_app.find(search.folder, search.environment)
    if not value:
        return None
    target, _, expression = value.partition(":")
    # as Flask itself takes it: a path, or a module
    path = (search.folder / f"{target.removesuffix('.py')}.py").resolve()
    if ("/" in target or target.endswith(".py")) and path.is_file() and path.is_relative_to(search.folder.resolve()):
        root, module = root_and_module(search.folder / path.relative_to(search.folder.resolve()), search.folder)
    else:
        module = target.replace("/", ".").strip(".")
        root = _root_of(search, module)
    file = django.find_module(root, module)
    if file is None:
        search.notes.append(f"{origin} names {value}, but there is no module {module}: not used")
        return None
    if not expression:
        return _usable(
            [Candidate(file, module, root, offer) for offer in _resolved(file, root, search.folder)], search, origin
        )
    if expression.isidentifier():
        offers = [offer for offer in modules.read(file).offers if offer.name == expression]
        expression = offers[0].expression if offers and offers[0].is_factory else expression
    return Application(f"{module}:{expression}", origin, root)


def _from_django(search: _Search) -> Application | None:
    found = search.django
    if found is None or found.settings is None:
        return None
    declared = django.wsgi_application(found.root, found.settings.module)
    if declared is None:
        return None
    value, path, line = declared
    origin = f"WSGI_APPLICATION in {relative(path, search.folder)}:{line}"
    if django.find_module(found.root, value.partition(":")[0]) is None:
        search.notes.append(f"{origin} is {value}, but there is no such module: not used")
        return None
    return Application(value, origin, found.root)


def _from_ini(search: _Search) -> Application | None:
    """Pyramid's factory gets its settings from an .ini file, by the name that the installed project has."""
    name = ini.find(search.folder)
    if not name:
        return None
    found = (modules.read(path).offers for path in python_files(search.folder, DEPTH))
    if not any(offer.name == "main" and offer.is_factory for offers in found for offer in offers):
        return None
    if not name.startswith("production"):
        search.notes.append(f"{name} is used, since there is no production.ini")
    return Application(f'pyramid.paster:get_app("{name}")', name, search.folder)


def _from_modules(search: _Search) -> Application:
    found = list(_candidates(search))
    usable = [candidate for candidate in found if not candidate.offer.problem]
    if not usable:
        raise KitError(_nothing_found(found, search))
    best = min(_level(candidate, search) for candidate in usable)
    equal = _distinct([one for one in usable if _level(one, search) == best], search)
    if len(equal) > 1:
        listed = ", ".join(f"{one.value} ({one.origin(search.folder)})" for one in equal)
        raise KitError(
            f"several applications were found, and nothing says which one to serve: {listed}. Put one of them into"
            f" .env:\n{_line(equal[0].value)}"
        )
    return Application(equal[0].value, equal[0].origin(search.folder), equal[0].root)


def _usable(found: list[Candidate], search: _Search, origin: str) -> Application:
    usable = [candidate for candidate in found if not candidate.offer.problem]
    if not usable:
        raise KitError(_nothing_found(found, search))
    return Application(usable[0].value, origin, usable[0].root)


def _nothing_found(found: Iterable[Candidate], search: _Search) -> str:
    found = sorted(found, key=lambda one: _level(one, search))[:MAX_PROBLEMS]
    if all(one.offer.asgi for one in found) and (found or search.listed):
        places = [f"{one.origin(search.folder)}: {one.offer.name} is {one.offer.asgi}" for one in found]
        return asgi.refusal(places, search.listed, search.django)
    problems = [f"{one.origin(search.folder)}: {one.offer.problem}" for one in found]
    if problems:
        first = found[0]
        call = re.search(r"as in (\w+\(.*\))", first.offer.problem)
        line = f". Put it into .env:\n{_line(f'{first.module}:{call[1]}')}" if call else ""
        return f"no application can be served as it is: {'; '.join(problems)}{line}"
    if search.django:
        return (
            f"no WSGI application was found. Django's own serves the project without a wsgi.py. In .env:\n{asgi.DJANGO}"
        )
    return (
        "no WSGI application was found: no web process in a Procfile, no FLASK_APP, no manage.py of Django's, no module"
        f" with `application`, `app` or `create_app`{_unparsed(search)}. Name it in .env:\n"
        "WSGI_APP=package.module:callable"
    )


def _unparsed(search: _Search) -> str:
    """The modules in which it may be: those that a newer Python, or an older one, may be able to parse."""
    found = ((path, syntax_error(path)) for path in python_files(search.folder, DEPTH))
    places = [f"{relative(path, search.folder)}:{reason}" for path, reason in found if reason][:MAX_PROBLEMS]
    python = f"Python {sys.version_info.major}.{sys.version_info.minor}"
    return (
        f" that {python} can parse (not these: {'; '.join(places)}. make PYTHON=... uses another one)" if places else ""
    )


def _line(value: str) -> str:
    return (
        f"{VARIABLE}={value}"
        if re.fullmatch(r"[\w.:]+(\(\))?", value)
        else f"{VARIABLE}='{value}'".replace("'...'", '"..."')
    )


def _candidates(search: _Search) -> Iterator[Candidate]:
    """The best offer of each module."""
    for path in python_files(search.folder, DEPTH):
        if path.name in ("setup.py", "manage.py", "celery.py", "gunicorn.conf.py") or _is_alembics(path):
            continue
        root, module = root_and_module(path, search.folder)
        found = [Candidate(path, module, root, offer) for offer in _resolved(path, root, search.folder)]
        yield from [one for one in found if not _is_vague(one) and (one.offer.problem or not _is_asgis(one))][:1]


def _is_alembics(path: Path) -> bool:
    """Whether alembic runs the module: it may create the application to get at its models."""
    return path.name == "env.py" and "alembic" in modules.read(path).imports


def _is_asgis(candidate: Candidate) -> bool:
    return "asgi" in candidate.module.split(".")


def _is_vague(candidate: Candidate) -> bool:
    """Whether only the name, `app` or `create_app`, suggests an application, and the module's name does not."""
    if candidate.offer.is_certain or candidate.module.rpartition(".")[2] in ("wsgi", *USUAL):
        return False
    return candidate.path.name != "__init__.py" or candidate.offer.name not in USUAL_OFFERS


def _resolved(path: Path, root: Path, folder: Path, depth: int = 0) -> list[Offer]:
    """The offers of a module, imported ones with what is known of them where they are defined."""
    found = []
    for offer in modules.read(path).offers:
        target = _imported_from(offer, path, root) if offer.imported and depth < MAX_IMPORTS else None
        if target is None:
            if not (offer.imported and offer.is_factory):  # a factory of a library is what others call
                found.append(offer)
            continue
        inner = [
            one
            for one in _resolved(target, root, folder, depth + 1)
            if offer.imported and one.name == offer.imported[1]
        ]
        if inner:
            found.append(
                replace(
                    offer,
                    is_factory=inner[0].is_factory,
                    is_certain=inner[0].is_certain,
                    arguments=inner[0].arguments,
                    problem=offer.problem or inner[0].problem,
                    asgi=offer.asgi or inner[0].asgi,
                )
            )
    return sorted(found, key=modules.rank)


def _imported_from(offer: Offer, path: Path, root: Path) -> Path | None:
    if offer.imported is None:
        return None
    module, name = offer.imported
    level = len(module) - len(module.lstrip("."))
    if level:
        base = path.parent
        for _ in range(level - 1):
            base = base.parent
        dotted = module.lstrip(".")
        target = django.find_module(base, dotted) if dotted else base / "__init__.py"
        return target if target and target.is_file() and target != path else None
    return django.find_module(root, module) or django.find_module(root, f"{module}.{name}")


def _level(candidate: Candidate, search: _Search) -> tuple[bool, int, int]:
    """What decides between candidates: certainty, the module's name and place, its depth."""
    parts = candidate.module.split(".")
    is_package = candidate.path.name == "__init__.py"
    if parts[-1] == "wsgi":
        level = 0
    elif len(parts) == 1 and not is_package:
        level = 1 if parts[0] in USUAL else 4
    elif is_package:
        level = 2
    else:
        level = 3 if parts[-1] in USUAL else 5
    depth = len(candidate.path.relative_to(search.folder).parts)
    return not candidate.offer.is_certain, level, depth - is_package


def _distinct(candidates: list[Candidate], search: _Search) -> list[Candidate]:
    """Without those whose application is another candidate's, imported."""
    paths = {candidate.path for candidate in candidates}
    return [one for one in candidates if _imported_from(one.offer, one.path, one.root) not in paths]


def _with_settings(found: Application, search: _Search) -> Application:
    """The settings module that holds for server and manage.py alike, and what to say about it."""
    notes = list(search.notes)
    if re.search(r"\b(channels|daphne)\b", search.listed):
        notes.append(f"{search.listed}: WebSockets need ASGI, which is not served")
    managed = search.django.settings if search.django else None
    settings = _settings_that_hold(found, search, managed)
    if settings is None and search.django:
        settings = django.unnamed_settings(search.folder, search.django.root)
        notes += [f"nothing names Django's settings; {settings.module} is used"] if settings else []
    if settings and managed and managed.module != settings.module:
        notes.append(
            f"{django.VARIABLE}={settings.module}, from {settings.origin}, holds for everything; {managed.origin} names"
            f" {managed.module}"
        )
    module = found.value.partition(":")[0]
    if (path := django.find_module(found.root, module)) and (program := programs.note(search.folder, module, path)):
        notes.append(program)
    if settings and (better := django.production_variant(found.root, settings.module)):
        notes.append(
            f"{settings.module} is for development; {django.VARIABLE}={better} in .env selects the settings for"
            " production"
        )
    return replace(found, settings=settings, notes=tuple(notes))


def _settings_that_hold(found: Application, search: _Search, managed: django.Settings | None) -> django.Settings | None:
    """The environment's, the Procfile's, the WSGI module's, manage.py's: as it is when the server starts."""
    if given := search.environment.get(django.VARIABLE):
        return django.Settings(given, f"the variable {django.VARIABLE}")
    if found.settings:
        return found.settings
    path = django.find_module(found.root, found.value.partition(":")[0])
    for module, line in django.settings_modules(path) if path else ():
        if path and django.find_module(found.root, module):
            return django.Settings(module, f"{relative(path, search.folder)}:{line}")
    return managed
