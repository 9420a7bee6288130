"""Which of a project's files lists its dependencies, and what is to be installed.

The first that exists is used, and the others are reported: uv.lock, poetry.lock, pdm.lock, pylock.toml, Pipfile.lock,
requirements.txt, requirements for production, pyproject.toml, Pipfile, setup.py and setup.cfg. REQUIREMENTS=path names
another one. Without any, it is the framework that the code imports.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kit.errors import KitError
from kit.project import frameworks, locks, poetry, requirements_files, setup_files, unpin
from kit.project.installation import PROJECT_ROOT, Installation, Local, Pin, Reader, Unused
from kit.project.names import is_usual_index, name_of
from kit.project.reading import folders, read_toml, relative

REQUIREMENTS_FILES = (
    "requirements.txt",
    *(f"requirements/{name}.txt" for name in ("prod", "production", "base", "requirements", "common", "main")),
    *(f"requirements{mark}{name}.txt" for name in ("prod", "production", "base") for mark in "-_."),
    *(f"{name}{mark}requirements.txt" for name in ("prod", "production", "base") for mark in "-_."),
)
"""In the order in which they are looked for."""

LOCKS_OF_PYPROJECT = ("uv.lock", "poetry.lock", "pdm.lock")

DEPTH = 3
"""Files are looked for in so many folders within each other."""

VARIABLE = "REQUIREMENTS"

MAIN_GROUPS = ("main", "prod", "production", "default", "base")
DEVELOPMENT_GROUP = re.compile(r"dev|test|lint|doc|typ|format|debug|ci$")


def find(folder: Path, environment: Mapping[str, str]) -> Installation:
    """Raises KitError, with file and line, for what cannot be read or decided."""
    return unpin.unpin(_find(folder, environment.get(VARIABLE)), unpin.names(environment))


def _find(folder: Path, given: str | None) -> Installation:
    if given:
        return _given(folder, given)
    found = candidates(folder)
    installation = _read(folder, folder / found[0]) if found else _below(folder)
    unused = [Unused(name, f"{found[0]} comes first") for name in found[1:] if name not in installation.files]
    return replace(installation, unused=(*installation.unused, *unused, *_locks_alone(folder)))


def _locks_alone(folder: Path) -> list[Unused]:
    if (folder / "pyproject.toml").is_file():
        return []
    return [Unused(name, "it needs its pyproject.toml") for name in _files(folder, LOCKS_OF_PYPROJECT)]


def direct_requirements(installation: Installation, folder: Path) -> tuple[str, ...]:
    """What the project itself asks for: with a lock that uv reads, what pyproject.toml lists."""
    if installation.reader is Reader.LINES:
        return installation.requirements
    return _listed(folder / installation.base, read_pyproject(folder / installation.base)).requirements


def candidates(folder: Path) -> list[str]:
    """The files of the folder that list dependencies, the one that is used first."""
    pyproject = folder / "pyproject.toml"
    table = read_toml(pyproject) if pyproject.is_file() else {}
    names = [
        *(name for name in LOCKS_OF_PYPROJECT if pyproject.is_file()),
        *("pylock.toml", "Pipfile.lock"),
        *REQUIREMENTS_FILES,
        *(["pyproject.toml"] if _lists_dependencies(table) else []),
        *("Pipfile", "setup.py"),
        *(
            ["setup.cfg"]
            if not (folder / "setup.py").is_file() and setup_files.configuration(folder).has_section("options")
            else []
        ),
    ]
    return [name for name in names if (folder / name).is_file()]


def _given(folder: Path, given: str) -> Installation:
    path = (folder / given).resolve()
    if not path.is_file():
        raise KitError(f"{VARIABLE}={given!r}: must be a file in the project")
    if not path.is_relative_to(folder.resolve()):
        raise KitError(f"{VARIABLE}={given!r}: is outside of the project")
    return _read(folder, folder / path.relative_to(folder.resolve()))


def _below(folder: Path) -> Installation:
    """A project may keep everything in one folder of its own, such as backend/."""
    found: list[tuple[Path, str]] = []
    for depth in range(1, DEPTH + 1):
        below = (place for place in folders(folder, depth) if place != folder)
        found = found or [(place, names[0]) for place in below if (names := candidates(place))]
    if not found:
        return _imported(folder)
    if len(found) > 1:
        listed = ", ".join(relative(place / name, folder) for place, name in found)
        first = relative(found[0][0] / found[0][1], folder)
        raise KitError(
            f"several files list dependencies, and none is in the project's own folder: {listed}. Put the one to use"
            f" into .env:\n{VARIABLE}={first}"
        )
    place, name = found[0]
    return _read(folder, place / name)


def _imported(folder: Path) -> Installation:
    """The framework that the code imports, in its current version."""
    found = frameworks.find(folder)
    return Installation(requirements=tuple(found), notes=(frameworks.note(found),) if found else ())


def _read(folder: Path, file: Path) -> Installation:
    """What is to be installed by that file. Its folder is where uv runs, so all paths are first relative to it."""
    base = file.parent
    if base != folder and (base.name.startswith("requirements") or not _is_root(base)):
        base = folder
    installation = _reader(file)(base, file)
    settings = [name for name in _settings_of_uv(base) if name not in installation.files]
    installation = replace(installation, files=(*installation.files, *settings))
    prefix = relative(base, folder)
    if prefix == ".":
        return replace(installation, file=relative(file, folder))
    below = tuple(f"{prefix}/{name}" for name in installation.files)
    return replace(installation, file=relative(file, folder), base=prefix, files=below)


def _settings_of_uv(base: Path) -> list[str]:
    """Files in which uv finds indexes and other settings of its own."""
    has_table = "uv" in read_pyproject(base).get("tool", {})
    return [*_files(base, ["uv.toml"]), *(["pyproject.toml"] if has_table else [])]


def _is_root(folder: Path) -> bool:
    return any((folder / name).exists() for name in ("pyproject.toml", "setup.py", "manage.py", "Pipfile")) or bool(
        candidates(folder)
    )


def _reader(file: Path) -> Callable[[Path, Path], Installation]:
    readers: dict[str, Callable[[Path, Path], Installation]] = {
        "uv.lock": _uv_lock,
        "poetry.lock": _poetry_lock,
        "pdm.lock": _pdm_lock,
        "Pipfile.lock": _pipfile_lock,
        "pyproject.toml": _pyproject,
        "Pipfile": _pipfile,
        "setup.py": _setup,
        "setup.cfg": _setup,
    }
    if file.name.startswith("pylock.") and file.suffix == ".toml":
        return _pylock
    return readers.get(file.name, _requirements)


def _files(base: Path, names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if (base / name).is_file()))


def _uv_lock(base: Path, file: Path) -> Installation:
    lock = read_toml(file)
    files, is_local = ["uv.lock", "pyproject.toml"], False
    for package in lock.get("package", []):
        source = package.get("source", {})
        for kind in ("editable", "directory", "virtual"):
            if kind in source:
                files.append(f"{source[kind]}/pyproject.toml".removeprefix("./"))
                is_local = is_local or kind != "virtual"
        if "path" in source:
            files.append(source["path"])
    local = (Local("."),) if is_local else ()
    return Installation(reader=Reader.UV_LOCK, files=_files(base, files), local=local)


def _pylock(base: Path, file: Path) -> Installation:
    lock = read_toml(file)
    files = [file.name, "pyproject.toml"]
    files += [
        package["archive"]["path"] for package in lock.get("packages", []) if "path" in package.get("archive", {})
    ]
    if any("directory" in package for package in lock.get("packages", [])):
        raise KitError(f"{file.name}: a package that is a folder is not supported; use the lock from which it was made")
    return Installation(reader=Reader.PYLOCK, files=_files(base, files), local=_itself(base, read_pyproject(base)))


def _poetry_lock(base: Path, file: Path) -> Installation:
    return _locked(base, file, locks.read_poetry(file))


def _pdm_lock(base: Path, file: Path) -> Installation:
    return _locked(base, file, locks.read_pdm(file))


def _locked(base: Path, file: Path, pins: tuple[Pin, ...]) -> Installation:
    """What pyproject.toml lists, in the versions of the lock; from the lock's commit, where it is a repository."""
    listed = _listed(base, read_pyproject(base))
    urls = {pin.name: pin.url for pin in pins if pin.url}
    requirements = tuple(_from_url(line, urls.get(name_of(line), "")) for line in listed.requirements)
    return replace(listed, files=_files(base, [file.name, "pyproject.toml"]), requirements=requirements, pins=pins)


def _from_url(line: str, url: str) -> str:
    if not url:
        return line
    requirement, semicolon, marker = line.partition(" ;")
    return f"{re.split('[<>=!~ @]', requirement, maxsplit=1)[0]} @ {url}{semicolon}{marker}"


def _pipfile_lock(base: Path, file: Path) -> Installation:
    lines, options = locks.read_pipfile_lock(file)
    folders_, rest = [], []
    for line in lines:
        path = line.removeprefix(f"{PROJECT_ROOT}/").partition(" ")[0].partition("[")[0]
        if line.startswith(PROJECT_ROOT) and (base / path).is_dir():
            folders_.append(Local(relative(base / path, base), has_dependencies=False))
        else:
            rest.append(line)
    return Installation(
        files=_files(base, ["Pipfile.lock", "Pipfile"]),
        requirements=tuple(rest),
        options=tuple(options),
        local=tuple(folders_),
        is_complete=True,
    )


def _requirements(base: Path, file: Path) -> Installation:
    found = requirements_files.read(file, base)
    return Installation(
        files=tuple(dict.fromkeys(found.files)),
        requirements=tuple(found.requirements),
        constraints=tuple(found.constraints),
        options=tuple(dict.fromkeys(found.options)),
        arguments=tuple(found.arguments),
        local=tuple(dict.fromkeys(found.local)),
        notes=tuple(found.notes),
    )


def _pyproject(base: Path, _: Path) -> Installation:
    return _listed(base, read_pyproject(base))


def read_pyproject(base: Path) -> dict[str, Any]:
    path = base / "pyproject.toml"
    return read_toml(path) if path.is_file() else {}


def _lists_dependencies(table: Mapping[str, Any]) -> bool:
    project = table.get("project", {})
    is_dynamic = "dependencies" in project.get("dynamic", [])
    is_poetrys = "dependencies" in table.get("tool", {}).get("poetry", {})
    return "dependencies" in project or is_dynamic or is_poetrys or bool(groups_to_install(table))


def _listed(base: Path, table: Mapping[str, Any]) -> Installation:
    """The dependencies that pyproject.toml lists itself."""
    project, tool = table.get("project", {}), table.get("tool", {}).get("poetry", {})
    local = list(_itself(base, table))
    files, chosen = ["pyproject.toml"], list[str]()
    if "dependencies" in project:
        if not isinstance(project["dependencies"], list):
            raise KitError("pyproject.toml: project.dependencies must be a list of strings")
        requirements = [str(line) for line in project["dependencies"]]
    elif "dependencies" in project.get("dynamic", []):
        requirements, more = _dynamic(base, table)
        files += more
        local = [replace(one, has_dependencies=not requirements, is_required=not requirements) for one in local]
    elif "dependencies" in tool:
        requirements = list(poetry.dependencies(tool["dependencies"]))
    else:
        chosen = groups_to_install(table)
        requirements = [line for name in chosen for line in _group(table, name)]
    local += [
        Local(relative(base / path, base), "", editable, has_dependencies=True)
        for path, editable in _poetry_paths(base, tool)
    ]
    names = {path for path, _ in poetry.local_paths(tool.get("dependencies", {}))}
    requirements = [line for line in requirements if line not in _names_of_paths(tool, names)]
    groups = [name for name in (*table.get("dependency-groups", {}), *tool.get("group", {})) if name not in chosen]
    notes = (f"pyproject.toml: groups that are not installed: {', '.join(groups)}",) if groups else ()
    options = [
        f"--extra-index-url {source['url']}"
        for source in tool.get("source", [])
        if "url" in source and not is_usual_index(source)
    ]
    return Installation(
        files=_files(base, files),
        requirements=tuple(requirements),
        options=tuple(options),
        local=tuple(local),
        notes=notes,
    )


def groups_to_install(table: Mapping[str, Any]) -> list[str]:
    """The dependency groups of a project that lists its dependencies nowhere else (PEP 735)."""
    groups = table.get("dependency-groups", {})
    if "dependencies" in table.get("project", {}) or "dependencies" in table.get("tool", {}).get("poetry", {}):
        return []
    main = [name for name in groups if name.lower() in MAIN_GROUPS]
    return main[:1] or [name for name in groups if not DEVELOPMENT_GROUP.search(name.lower())]


def _group(table: Mapping[str, Any], name: str, above: tuple[str, ...] = ()) -> list[str]:
    """The requirements of a group, and of those that it includes."""
    lines = []
    for entry in table["dependency-groups"].get(name, []):
        if isinstance(entry, str):
            lines.append(entry)
        elif (included := entry.get("include-group")) and included not in above:
            lines += _group(table, included, (*above, name))
    return lines


def _poetry_paths(base: Path, tool: Mapping[str, Any]) -> list[tuple[str, bool]]:
    return [
        (path, develop) for path, develop in poetry.local_paths(tool.get("dependencies", {})) if (base / path).is_dir()
    ]


def _names_of_paths(tool: Mapping[str, Any], paths: Iterable[str]) -> set[str]:
    wanted = set(paths)
    table = tool.get("dependencies", {})
    return {name for name, given in table.items() if isinstance(given, dict) and given.get("path") in wanted}


def _dynamic(base: Path, table: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Dependencies that setuptools reads from other files, and those files; nothing if only a build can tell."""
    wanted = table.get("tool", {}).get("setuptools", {}).get("dynamic", {}).get("dependencies", {})
    names = wanted.get("file", []) if isinstance(wanted, dict) else []
    names = [names] if isinstance(names, str) else names
    if not names or not all((base / name).is_file() for name in names):
        return [], []
    found = [requirements_files.read(base / name, base) for name in names]
    return [line for one in found for line in one.requirements], [name for one in found for name in one.files]


def _itself(base: Path, table: Mapping[str, Any]) -> tuple[Local, ...]:
    """The project, if it says how to build it. Nothing asks for it by name, so a failure is not the end."""
    tool = table.get("tool", {})
    is_off = tool.get("poetry", {}).get("package-mode") is False or tool.get("uv", {}).get("package") is False
    if is_off or "build-system" not in table or not ("project" in table or "poetry" in tool):
        return ()
    return (Local(".", is_required=False),)


def _pipfile(base: Path, file: Path) -> Installation:
    table = read_toml(file)
    packages = table.get("packages", {})
    plain = {name: given for name, given in packages.items() if not (isinstance(given, dict) and "path" in given)}
    folders_ = [given["path"] for name, given in packages.items() if name not in plain]
    requirements = [
        _pipfile_requirement(name, {"version": given} if isinstance(given, str) else given)
        for name, given in plain.items()
    ]
    sources = [source for source in table.get("source", []) if not is_usual_index(source)]
    return Installation(
        files=("Pipfile",),
        requirements=tuple(requirements),
        options=tuple(f"--extra-index-url {source['url']}" for source in sources),
        local=tuple(Local(relative(base / path, base), has_dependencies=True) for path in folders_),
    )


def _pipfile_requirement(name: str, wanted: Mapping[str, Any]) -> str:
    extras = f"[{','.join(wanted['extras'])}]" if wanted.get("extras") else ""
    marker = f" ; {wanted['markers']}" if wanted.get("markers") else ""
    if "git" in wanted:
        reference = f"@{wanted['ref']}" if wanted.get("ref") else ""
        return f"{name}{extras} @ git+{poetry.git_url(wanted['git'])}{reference}{marker}"
    if "file" in wanted:
        return f"{name}{extras} @ {wanted['file']}{marker}"
    version = wanted.get("version", "*")
    return f"{name}{extras}{'' if version == '*' else version}{marker}"


def _setup(base: Path, file: Path) -> Installation:
    """setup.py and setup.cfg: what they list as literals is in the layer of dependencies; a build finds the rest."""
    requirements = setup_files.literal_requirements(base)
    local = Local(".", has_dependencies=True, is_required=not requirements)
    files = _files(base, ["setup.py", "setup.cfg"])
    return Installation(files=files, requirements=tuple(requirements), local=(local,))
