"""What a module of Python offers to a WSGI server, by its syntax tree: applications, factories, and why not.

Only what happens on import counts: the body of the module and of its `if`, `try` and `with` statements, but not what is
below `if __name__ == "__main__"`.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from kit.project.reading import is_readable, parse_text, read_text

APPLICATION_NAMES = ("application", "app")
"""The names that servers look for, in their order."""

FACTORY = re.compile(
    r"(create|make|build|get)_(?!(celery|worker|cli|test|tk|qt)_)([a-z]+_)?(app|application)|app_factory|main"
)
"""Names of functions that return an application. `main` is one only with the parameters that Pyramid gives it."""

FACTORY_NAMES = ("create_app", "make_app", "create_application", "make_application", "app_factory")
"""The names that most projects give it."""

WSGI = frozenset(
    (
        *("flask.Flask", "apiflask.APIFlask", "flask_openapi3.OpenAPI", "eve.Eve"),
        *("bottle.Bottle", "bottle.default_app", "bottle.app", "bottle.AppStack"),
        *("falcon.App", "falcon.API", "falcon.app.App", "falcon.api.API"),
        *("django.core.wsgi.get_wsgi_application", "pyramid.paster.get_app", "cherrypy.Application"),
        *("whitenoise.WhiteNoise", "whitenoise.base.WhiteNoise", "werkzeug.middleware.proxy_fix.ProxyFix"),
        *("werkzeug.middleware.dispatcher.DispatcherMiddleware", "webapp2.WSGIApplication", "dj_static.Cling"),
    )
)
WSGI_METHODS = frozenset(("make_wsgi_app", "wsgifunc", "wsgi_app"))
"""Methods and attributes that are an application, whatever object has them: Pyramid's, web.py's, Flask's."""

ASGI = {
    "fastapi.FastAPI": "FastAPI",
    "starlette.applications.Starlette": "Starlette",
    "quart.Quart": "Quart",
    "sanic.Sanic": "Sanic",
    "litestar.Litestar": "Litestar",
    "falcon.asgi.App": "falcon.asgi",
    "django.core.asgi.get_asgi_application": "ASGI",
    "channels.routing.ProtocolTypeRouter": "ASGI",
    "aiohttp.web.Application": "aiohttp",
    "tornado.web.Application": "Tornado",
}
"""What a WSGI server cannot serve, and how it is called."""

OTHER = frozenset(("Celery", "Typer", "QApplication", "Tk", "Slack", "AsyncApp", "TestClient", "Blueprint"))
"""Classes whose objects are called `app` too, and have nothing to do with HTTP."""

_SERVES = frozenset(("bottle.run", "waitress.serve", "werkzeug.serving.run_simple", "eventlet.wsgi.server"))
_PYRAMID = ("global_config", "global_conf", "global_settings")


@dataclass(frozen=True, slots=True)
class Offer:
    """A name in a module that a server can serve, or could if it were not for `problem`."""

    name: str
    line: int
    is_factory: bool = False
    is_certain: bool = True
    """Whether it is known to be WSGI; not known of `app = Something()`."""
    arguments: str = ""
    """What to pass to the factory."""
    problem: str = ""
    asgi: str = ""
    """What makes it, if it is an ASGI application; `problem` says so too."""
    imported: tuple[str, str] | None = None
    """Module and name, if it comes from another one: a relative import starts with dots."""

    @property
    def expression(self) -> str:
        return f"{self.name}({self.arguments})" if self.is_factory else self.name


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    offers: tuple[Offer, ...] = ()
    """The best first: applications by the usual names, then others, then factories."""
    imports: frozenset[str] = frozenset()
    """The modules that it imports, as written."""


_OFFERS = re.compile(r"(?i)app\b|application|wsgi|flask|bottle|falcon|create_|make_|build_|get_|global_conf|global_set")
"""What is in the text of every module that has something to offer."""


@cache
def read(path: Path) -> ModuleFacts:
    text = read_text(path) if is_readable(path) else ""
    tree = parse_text(text) if _OFFERS.search(text) else None
    return ModuleFacts() if tree is None else _Reader(tree).facts()


class _Reader:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._statements = list(statements(tree.body))
        self._names = imported_names(self._statements)
        self._dash: set[str] = set()
        self._functions = {
            node.name: node for node in self._statements if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def facts(self) -> ModuleFacts:
        offers: dict[str, Offer] = {}
        for statement in self._statements:
            for offer in self._offers(statement):
                known = offers.get(offer.name)
                # `application = wrapped(application)` is what it was before
                if known is None or offer.is_certain or offer.problem or not (known.is_certain or known.problem):
                    offers[offer.name] = offer
        line = self._serving_line(offers)
        found = list(offers.values())
        if line:
            text = f'line {line} starts a server when it is imported: put it below `if __name__ == "__main__":`'
            found = [replace(one, problem=one.problem or text) for one in found]
        imports = {module for module, _ in self._names.values()}
        return ModuleFacts(tuple(sorted(found, key=rank)), frozenset(imports))

    def _offers(self, statement: ast.stmt) -> Iterator[Offer]:
        match statement:
            case ast.FunctionDef():
                yield from self._function(statement)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield from self._assignment(target.id, value, statement.lineno)
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                yield from self._assignment(name, value, statement.lineno)
            case ast.ImportFrom(names=names):
                for alias in names:
                    name = alias.asname or alias.name
                    if name in APPLICATION_NAMES or _is_factory_name(name):
                        module = "." * statement.level + (statement.module or "")
                        yield Offer(
                            name,
                            statement.lineno,
                            is_factory=name not in APPLICATION_NAMES,
                            is_certain=False,
                            imported=(module, alias.name),
                        )

    def _function(self, node: ast.FunctionDef) -> Iterator[Offer]:
        required = required_parameters(node)
        if node.name in APPLICATION_NAMES and len(node.args.args) == 2:
            yield Offer(node.name, node.lineno)
        elif node.name == "main":
            if required[:1] and required[0] in _PYRAMID:
                yield Offer("main", node.lineno, is_factory=True, arguments="{}", problem=_pyramid_problem(node))
        elif _is_factory_name(node.name):
            asgi = self._asgi(node)
            problem = _needs_asgi(f"{node.name}() is {asgi}") if asgi else ""
            if required and not problem:
                problem = _required_problem(node, required)
            is_certain = self._returns_wsgi(node) or bool(asgi)
            yield Offer(node.name, node.lineno, True, is_certain, problem=problem, asgi=asgi)

    def _assignment(self, name: str, value: ast.expr, line: int) -> Iterator[Offer]:
        if not isinstance(value, ast.Call):
            yield from self._attribute(name, value, line)
            return
        called = self._dotted(value.func)
        last = called.rpartition(".")[2]
        if called == "dash.Dash":
            self._dash.add(name)
        elif called in ASGI:
            asgi = ASGI[called]
            yield Offer(name, line, problem=_needs_asgi(f"{name} is {asgi}"), asgi=asgi)
        elif called in WSGI or last in WSGI_METHODS:
            yield Offer(name, line)
        elif name in APPLICATION_NAMES and last not in OTHER:
            function = self._functions.get(called)
            asgi = self._asgi(function) if function is not None else ""
            certain = (function is not None and self._returns_wsgi(function)) or _is_factory_name(last)
            problem = _needs_asgi(f"{name} is {asgi}") if asgi else ""
            yield Offer(name, line, is_certain=certain, problem=problem, asgi=asgi)

    def _attribute(self, name: str, value: ast.expr, line: int) -> Iterator[Offer]:
        match value:
            case ast.Attribute(value=ast.Name(id=owner), attr="server") if owner in self._dash:
                yield Offer(name, line)
            case ast.Attribute(attr=attribute) if attribute in WSGI_METHODS:
                yield Offer(name, line)
            case ast.Name() | ast.Attribute() if name in APPLICATION_NAMES:
                yield Offer(name, line, is_certain=False)

    def _dotted(self, node: ast.expr) -> str:
        """`flask.Flask`, whichever way it was imported; "" for what has no name."""
        if isinstance(node, ast.Attribute):
            owner = self._dotted(node.value)
            return f"{owner}.{node.attr}" if owner else node.attr
        if not isinstance(node, ast.Name):
            return ""
        module, name = self._names.get(node.id, ("", node.id))
        return f"{module}.{name}".strip(".") if name else module

    def _calls(self, node: ast.AST) -> Iterator[str]:
        for part in ast.walk(node):
            if isinstance(part, ast.Call):
                yield self._dotted(part.func)

    def _returns_wsgi(self, node: ast.AST) -> bool:
        return any(called in WSGI or called.rpartition(".")[2] in WSGI_METHODS for called in self._calls(node))

    def _asgi(self, node: ast.AST) -> str:
        """What ASGI application a function makes; "" if it makes none."""
        if isinstance(node, ast.AsyncFunctionDef):
            return "async"
        called = next((one for one in self._calls(node) if one in ASGI), "")
        return ASGI.get(called, "")

    def _serving_line(self, offers: dict[str, Offer]) -> int:
        """The line that starts a server on import; 0 if there is none."""
        for statement in self._statements:
            if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
                function = statement.value.func
                if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                    is_run = function.attr == "run" and (function.value.id in offers or function.value.id in self._dash)
                    if is_run or function.attr == "serve_forever":
                        return statement.lineno
                if self._dotted(function) in _SERVES:
                    return statement.lineno
        return 0


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run on import."""
    for node in body:
        match node:
            case ast.If(test=test):
                if "__name__" not in ast.dump(test):
                    yield from statements(node.body)
                yield from statements(node.orelse)
            case ast.Try():
                yield from statements(node.body)
                for handler in node.handlers:
                    yield from statements(handler.body)
                yield from statements([*node.orelse, *node.finalbody])
            case ast.With():
                yield from statements(node.body)
            case _:
                yield node


def imported_names(body: list[ast.stmt]) -> dict[str, tuple[str, str]]:
    """Module and name of what each name of the module was imported as; the name is "" for a whole module."""
    names = {}
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                names[alias.asname or first] = (alias.name if alias.asname else first, "")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = ("." * node.level + (node.module or ""), alias.name)
    return names


def required_parameters(node: ast.FunctionDef) -> list[str]:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    plain = positional[: len(positional) - len(arguments.defaults)]
    named = [one for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return [one.arg for one in (*plain, *named)]


def _required_problem(node: ast.FunctionDef, required: list[str]) -> str:
    keywords = {one.arg for one in node.args.kwonlyargs}
    call = ", ".join(f"{name}='...'" if name in keywords else "'...'" for name in required)
    many = "s" if len(required) > 1 else ""
    return (
        f"{node.name}() has the required parameter{many} {', '.join(required)}: pass a value, as in {node.name}({call})"
    )


def _pyramid_problem(node: ast.FunctionDef) -> str:
    """A factory that reads its settings needs the .ini file; one that reads none can be called with none."""
    keyword = node.args.kwarg.arg if node.args.kwarg else ""
    reads = any(
        isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name) and part.value.id == keyword
        for part in ast.walk(node)
    )
    if not reads:
        return ""
    return (
        "main() reads its settings from an .ini file: add a module wsgi.py with the lines"
        " `from pyramid.paster import get_app` and `application = get_app('production.ini')`"
    )


def _needs_asgi(text: str) -> str:
    return f"{text}, which needs an ASGI server; this one serves WSGI"


def _is_factory_name(name: str) -> bool:
    return name != "main" and FACTORY.fullmatch(name) is not None


def rank(offer: Offer) -> tuple[bool, bool, bool, int, int]:
    """What can be served first, applications before factories, certain factories and the usual names before others."""
    names = FACTORY_NAMES if offer.is_factory else APPLICATION_NAMES
    usual = names.index(offer.name) if offer.name in names else len(names)
    is_vague = offer.is_factory and not (offer.is_certain or offer.imported)
    return bool(offer.problem), offer.is_factory, is_vague, usual, offer.line
