"""Django by its files: whose manage.py it is, which settings hold, and what they say without being run."""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kit.errors import KitError
from kit.project.modules import statements
from kit.project.reading import folders, parse_module, read_text, relative

VARIABLE = "DJANGO_SETTINGS_MODULE"
MANAGE_DEPTH = 2
"""manage.py is looked for in folders of folders: backend/shop/manage.py is the deepest that is common."""

DEVELOPMENT = ("dev", "development", "local", "debug", "test", "testing")
PRODUCTION = ("production", "prod", "live", "deploy")


SETTINGS = re.compile(r"^(?:INSTALLED_APPS|ROOT_URLCONF|DATABASES)\b|^from \.\w* import \*", re.M)
"""In the text of a module with settings: some of its own, or all of another one."""

NO_SETTINGS = ("wsgi", "asgi", "urls", "celery", "celery_app")
"""Modules that lie beside the settings in many projects, and are imported."""


@dataclass(frozen=True, slots=True)
class Settings:
    module: str
    origin: str
    """File and line, or the variable, that names the module."""


@dataclass(frozen=True, slots=True)
class Django:
    manage: Path
    settings: Settings | None
    notes: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The folder that has to be on the path: Python adds manage.py's to it."""
        return self.manage.parent


def find(folder: Path, environment: Mapping[str, str]) -> Django | None:
    """None if there is no manage.py of Django's. Raises KitError if there are several that are equal."""
    manage = _find_manage(folder, environment)
    if manage is None:
        return None
    settings = [Settings(module, _origin(manage, line, folder)) for module, line in settings_modules(manage)]
    existing = [one for one in settings if find_module(manage.parent, one.module)]
    chosen = next(iter(existing or settings), None)
    if given := environment.get(VARIABLE):
        chosen = Settings(given, f"the variable {VARIABLE}")
    return Django(manage, chosen)


def _origin(path: Path, line: int, folder: Path) -> str:
    return f"{relative(path, folder)}:{line}"


def is_djangos(manage: Path) -> bool:
    """Whether a manage.py is Django's: other frameworks have used that name too."""
    tree = parse_module(manage)
    return tree is not None and any(map(_names_django, ast.walk(tree)))


def _names_django(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=text) if text == VARIABLE:
            return True
        case ast.alias(name="execute_from_command_line") | ast.Name(id="execute_from_command_line"):
            return True
    return False


def _find_manage(folder: Path, environment: Mapping[str, str]) -> Path | None:
    found = [place / "manage.py" for place in folders(folder, MANAGE_DEPTH) if (place / "manage.py").is_file()]
    found = [path for path in found if is_djangos(path)]
    if given := environment.get(VARIABLE):
        found = [path for path in found if find_module(path.parent, given)] or found
    depth = min((len(path.parts) for path in found), default=0)
    found = [path for path in found if len(path.parts) == depth]
    if len(found) > 1:
        listed = ", ".join(relative(path, folder) for path in found)
        raise KitError(
            f"several Django projects are in this folder: {listed}. Choose one of their folders, in .env:\n"
            f"PROJECT_DIR={found[0].parent}"
        )
    return next(iter(found), None)


def settings_modules(path: Path) -> list[tuple[str, int]]:
    """The modules that a program puts into DJANGO_SETTINGS_MODULE, and the lines, in their order."""
    tree = parse_module(path)
    if tree is None:
        return []
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    found = [
        (_module_named(node, constants), node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call | ast.Assign)
    ]
    return sorted(((module, line) for module, line in found if module), key=lambda one: one[1])


def _module_named(node: ast.Call | ast.Assign, constants: Mapping[str, object]) -> str:
    match node:
        case ast.Call(func=ast.Attribute(attr="setdefault"), args=[ast.Constant(value=name), value]) if (
            name == VARIABLE
        ):
            return _text(value, constants)
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=name))], value=value) if name == VARIABLE:
            return _text(value, constants)
    return ""


def _text(value: ast.expr, constants: Mapping[str, object]) -> str:
    """A literal, a constant of the module, or the default in `os.getenv(name, default)`."""
    match value:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if isinstance(constants.get(name), str):
            return str(constants[name])
        case ast.Call(args=[_, ast.Constant(value=str(text))]):
            return text
    return ""


def find_module(root: Path, dotted: str) -> Path | None:
    """The file of a module, if it is below the folder."""
    path = root.joinpath(*dotted.split("."))
    places = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def settings_files(root: Path, module: str) -> list[Path]:
    """The file of the settings and those of the modules that they import with `*`."""
    found: list[Path] = []
    _collect(root, module, found)
    return found


def other_settings(files: Iterable[Path], used: Collection[Path]) -> set[Path]:
    """Of the modules, those with settings that are not used: production.py beside local.py."""
    places = {path.parent for path in used}
    return {
        path
        for path in files
        if path.parent in places
        and path not in used
        and path.name != "__init__.py"
        and ("settings" in path.stem or re.search("settings?$|^conf", path.parent.name))
        and path.stem not in NO_SETTINGS
    }


def _collect(root: Path, module: str, found: list[Path]) -> None:
    path = find_module(root, module)
    if path is None or path in found:
        return
    found.append(path)
    tree = parse_module(path)
    for node in statements(tree.body) if tree else ():
        for name in _included(node, path, root, module):
            _collect(root, name, found)


def _included(node: ast.stmt, path: Path, root: Path, module: str) -> Iterator[str]:
    match node:
        case ast.ImportFrom(names=[ast.alias(name="*")]):
            yield absolute(module, path, node)
        case ast.Expr(value=ast.Call(func=ast.Name(id="include" | "optional"), args=arguments)):
            # django-split-settings: include("base.py", ...), relative to the file
            for value in arguments:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    target = path.parent / value.value
                    if target.is_file():
                        yield relative(target, root).removesuffix(".py").replace("/", ".")


def absolute(module: str, path: Path, node: ast.ImportFrom) -> str:
    """The module that `from ... import` names, from the module that is in that file."""
    if not node.level:
        return node.module or ""
    parts = module.split(".")
    package = parts if path.name == "__init__.py" else parts[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def wsgi_application(root: Path, settings: str) -> tuple[str, Path, int] | None:
    """WSGI_APPLICATION of those settings, as `module:name`, with file and line; None if it is no literal."""
    for path in settings_files(root, settings):
        tree = parse_module(path)
        for node in statements(tree.body) if tree else ():
            match node:
                case ast.Assign(targets=[ast.Name(id="WSGI_APPLICATION")], value=ast.Constant(value=str(text))):
                    module, _, name = text.rpartition(".")
                    return (f"{module}:{name}", path, node.lineno) if module else None
    return None


def fixed_secret_key(files: Iterable[Path]) -> tuple[Path, int] | None:
    """File and line of a SECRET_KEY that is a text in the code, if the settings in these files have one for good."""
    return fixed_setting(files, "SECRET_KEY")


def debug_in_code(files: Iterable[Path]) -> tuple[Path, int] | None:
    """File and line of a DEBUG that is on whatever a variable says."""
    found = fixed_setting(files, "DEBUG")
    return found if found and "True" in found[0].read_text(encoding="utf-8").splitlines()[found[1] - 1] else None


def fixed_setting(files: Iterable[Path], name: str) -> tuple[Path, int] | None:
    """File and line of a setting that is a literal in the code, so that no variable changes it."""
    for path in files:
        tree = parse_module(path)
        for node in reversed(list(statements(tree.body) if tree else ())):
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id=found)], value=value)
                    | ast.AnnAssign(target=ast.Name(id=found), value=value)
                ) if found == name:
                    return (path, node.lineno) if _is_literal(value) else None
    return None


def _is_literal(value: ast.expr | None) -> bool:
    match value:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return all(map(_is_literal, parts))
    return isinstance(value, ast.Constant)


def production_variant(root: Path, module: str) -> str:
    """The settings for production that lie beside those for development; "" if these are not for development."""
    package, _, name = module.rpartition(".")
    if not package or name not in DEVELOPMENT:
        return ""
    return next((f"{package}.{other}" for other in PRODUCTION if find_module(root, f"{package}.{other}")), "")


def unnamed_settings(folder: Path, root: Path) -> Settings | None:
    """The settings of a project that leaves their name to the environment: the only ones, or those for production. None
    if there are none. Raises KitError with the line to add if there are several."""
    found = {".".join(path.relative_to(root).with_suffix("").parts): path for path in _settings_files(root)}
    found = {name.removesuffix(".__init__"): path for name, path in found.items()}
    last = {name: name.rpartition(".")[2] for name in found}
    wanted = [name for name in found if last[name] not in (*DEVELOPMENT, "ci", "example", "sample")]
    wanted = [name for name in wanted if last[name] in PRODUCTION] or wanted
    if len(wanted) > 1:
        raise KitError(
            f"nothing names Django's settings: neither manage.py nor wsgi.py sets {VARIABLE}. Candidates are"
            f" {', '.join(wanted)}. Put one of them into .env:\n{VARIABLE}={wanted[0]}"
        )
    return Settings(wanted[0], relative(found[wanted[0]], folder)) if wanted else None


def _settings_files(root: Path) -> Iterator[Path]:
    """Modules of that name, or in a package of that name, that have Django's settings and can be imported."""
    for place in folders(root, MANAGE_DEPTH):
        for path in sorted(place.glob("*.py")):
            is_named = path.stem == "settings" or place.name == "settings"
            if is_named and (path.stem.isidentifier() and SETTINGS.search(read_text(path))):
                yield path
