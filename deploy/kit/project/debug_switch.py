"""The variables that switch a project's DEBUG, and whether DEBUG is on without: `env.bool("DEBUG", default=True)`.

Such a default is meant for development, and holds on a server too: there, strangers see code and settings.
"""

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kit.project.environment_names import ParsedModule
from kit.project.reading import parse_module, relative

LOCAL = ("localhost", "127.0.0.1")
ON = ("1", "true", "yes", "on", "y", "t")


class DebugSwitch(NamedTuple):
    name: str
    off: str
    """The value with which DEBUG is off."""
    origin: str
    is_default: bool = True
    """Whether DEBUG is on if the variable is not set."""

    def is_on(self, variables: Mapping[str, str]) -> bool:
        """In the environment of the application."""
        value = variables.get(self.name)
        return self.is_default if value is None else value.strip().lower() in ON


def find(parsed: Mapping[Path, ParsedModule], folder: Path) -> tuple[DebugSwitch, ...]:
    """Each variable once."""
    found: dict[str, DebugSwitch] = {}
    for path, module in sorted(parsed.items()):
        for value, line in _values(module.tree):
            for name, is_default in _variables(value, module):
                switch = DebugSwitch(name, _off(value), f"{relative(path, folder)}:{line}", is_default)
                if name not in found or (is_default and not found[name].is_default):
                    found[name] = switch
    return tuple(found.values())


def _values(tree: ast.Module) -> Iterator[tuple[ast.expr, int]]:
    """What DEBUG is given, as a name, an attribute, a key or a parameter."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[target], value=value) if _is_debug(target):
                yield value, node.lineno
            case ast.AnnAssign(target=target, value=ast.expr() as value) if _is_debug(target):
                yield value, node.lineno
            case ast.keyword(arg="DEBUG", value=value):
                yield value, value.lineno


def _is_debug(target: ast.expr) -> bool:
    match target:
        case ast.Name(id="DEBUG") | ast.Attribute(attr="debug" | "DEBUG") | ast.Subscript(slice=ast.Constant("DEBUG")):
            return True
    return False


def _variables(value: ast.expr, module: ParsedModule) -> Iterator[tuple[str, bool]]:
    """Names of variables in it, and whether their default is on, perhaps by `environ.Env(DEBUG=(bool, True))`."""
    on_in_scheme = {
        keyword.arg
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and module.dotted(node.func).rpartition(".")[2] == "Env"
        for keyword in node.keywords
        if keyword.arg and isinstance(keyword.value, ast.Tuple) and _is_on(keyword.value.elts[-1])
    }
    for node in ast.walk(value):
        if isinstance(node, ast.Call) and (names := [*module.variables_of(node)]):
            defaults = [*node.args[1:2], *(each.value for each in node.keywords if each.arg == "default")]
            yield names[0], any(map(_is_on, defaults)) or (not defaults and names[0] in on_in_scheme)


def _is_on(default: ast.expr) -> bool:
    return isinstance(default, ast.Constant) and str(default.value).lower() in ON


def _off(value: ast.expr) -> str:
    """`int("False")` fails, and `bool("False")` is true."""
    match value:
        case ast.Call(func=ast.Name(id="bool"), args=[ast.Call(func=ast.Attribute(attr="get" | "getenv"))]):
            return ""
    called = {_name(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)}
    called |= {
        getattr(each.value, "id", "")
        for node in ast.walk(value)
        if isinstance(node, ast.Call)
        for each in node.keywords
    }
    if "int" in called:
        return "0"
    return "false" if "loads" in called else "False"


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def lacks_hosts(settings: Iterable[Path]) -> bool:
    """Whether Django's settings allow no host as soon as DEBUG is off: ALLOWED_HOSTS is a list in the code without one
    for this machine, or is not there."""
    hosts = fixed_hosts(settings)
    return hosts is not None and not hosts & {"*", *LOCAL}


def local_name(settings: Iterable[Path]) -> str:
    """The name of this machine under which the site answers."""
    hosts = fixed_hosts(settings) or {"*"}
    return next((name for name in LOCAL if name in hosts), LOCAL[0])


def fixed_hosts(settings: Iterable[Path]) -> set[str] | None:
    """ALLOWED_HOSTS of Django's settings: empty if it is not there, None if more than the code decides."""
    for path in settings:
        tree = parse_module(path)
        for node in reversed(list(ast.walk(tree)) if tree else []):
            match node:
                case ast.Assign(targets=[ast.Name(id="ALLOWED_HOSTS")], value=ast.List(elts=parts)):
                    named = {str(part.value) for part in parts if isinstance(part, ast.Constant)}
                    return named if all(isinstance(part, ast.Constant) for part in parts) else None
                case (
                    ast.Assign(targets=[ast.Name(id="ALLOWED_HOSTS")])
                    | ast.AnnAssign(target=ast.Name(id="ALLOWED_HOSTS"))
                ):
                    return None
    return set()


def lines(switches: tuple[DebugSwitch, ...], *, lacks_hosts: bool) -> Iterator[tuple[str, str, str, str, bool]]:
    """The lines of .env.project, as make adopt writes them: proposals, if nobody would get an answer with DEBUG off."""
    for one in switches:
        if not one.is_default:
            continue
        comment = f"Read in {one.origin}: DEBUG would be on without it, which shows code and settings"
        if lacks_hosts:
            comment += ". Before it is off, ALLOWED_HOSTS in the settings needs the names of the site"
        yield one.name, one.off, comment, "", lacks_hosts
