#!/usr/bin/env python3
"""While the image is built: asks the project about itself, collects its static files, and links what it writes.

    prepare.py LOOKED PROJECT STATIC KIT
    prepare.py --environment LOOKED PROJECT KIT     for development: what follows from LOOKED alone

LOOKED is what the detector found (JSON, from `deploy/kit look --json`), PROJECT the folder of the project's files,
STATIC the folder that the static files go to, KIT the folder for what the running containers need to know:

    project.env     NAME=value, one per line: the environment of every process of the project
    service-names   SERVICE NAME=SOURCE, one per line: the project's own names for where a service of the kit's is; and
                    SERVICE scheme=SCHEME: what its URLs begin with, for a driver that is not SQLAlchemy's default
    project.json    what the project said about itself (project_answer.Answer)
    links           path in the project, tab, target in a volume: one per line; the target of a folder ends with "/". A
                    third column is a path that becomes a link to the target, in the volume of the folder that it is in
    initial/        files of the image that lie where the project writes; they are copied into the volume at the start

The container's root is read-only, so each file and folder that the project writes to becomes a link into a volume.
"""

import builtins
import hashlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import ask_project

DATA = Path("/data/project")
MEDIA = Path("/srv/media")
ADDITIONS = Path("/additions")
"""What the image gets in addition, from its root."""

TEMPORARY = tuple(map(Path, ("/tmp", "/run", "/dev", "/data", "/srv")))
"""Folders of the containers that are no part of the image."""

COLLECTSTATIC = Path(__file__).with_name("collectstatic.py")

SERVED = re.compile(r"/[A-Za-z0-9._~/-]*/|/")
"""A URL that nginx can serve files below: a path, not one of another host."""


SQLALCHEMY_DRIVERS = ("psycopg", "pg8000")
"""For PostgreSQL, besides its default: the modules, which are the drivers' names in its URLs as well."""

FAULTS_OF_CODE = (ImportError, NameError, SyntaxError)


class PrepareError(Exception):
    """Ends the build with one line."""


def say(text: str) -> None:
    sys.stderr.write(f"prepare: {text}\n")


def main(arguments: list[str]) -> int:
    if arguments[0] == "--environment":
        looked_file, project, kit = map(Path, arguments[1:])
        looked = json.loads(looked_file.read_text(encoding="utf-8"))
        write_environment(looked, environment(looked, project), kit)
        (kit / "links").touch()
        return 0
    looked_file, project, static, kit = map(Path, arguments)
    looked = json.loads(looked_file.read_text(encoding="utf-8"))
    try:
        prepare(looked, project.resolve(), static, kit)
    except PrepareError as error:
        say(str(error))
        return 1
    return 0


def prepare(looked: dict[str, Any], project: Path, static: Path, kit: Path) -> None:
    variables = environment(looked, project)
    os.environ.update(variables | build_environment(os.environ.get("BUILD_ENV", "")))
    folder = project / looked["work_folder"]
    answer = _ask(folder, project, is_django=bool(looked["manage"]))
    root = collect(answer, folder, static)
    if root:
        keep_outside(Path(root), project, static)
    answer["files_digest"] = digest(answer, static)
    links = link(places(answer, project, root), project, kit / "initial", Path(answer.get("media_root") or "/nowhere"))
    links |= from_temporary(answer, project)
    write_environment(looked, variables, kit)
    (kit / "project.json").write_text(json.dumps(answer, indent=1))
    (kit / "links").write_text("".join(f"{path}\t{target}\n" for path, target in links.items()))


def write_environment(looked: dict[str, Any], variables: dict[str, str], kit: Path) -> None:
    kit.mkdir(parents=True, exist_ok=True)
    (kit / "project.env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    (kit / "service-names").write_text("".join(service_names(looked)))


def environment(looked: dict[str, Any], project: Path) -> dict[str, str]:
    """What every process of the project needs, unless it is set."""
    variables = {
        "PYTHONPATH": os.pathsep.join(str(project / path) for path in looked["paths"]).replace("/.", ""),
        "PROJECT_FOLDER": str(project / looked["work_folder"]),
        "WSGI_APP": looked["application"]["value"],
    }
    if looked["settings"]:
        variables["DJANGO_SETTINGS_MODULE"] = looked["settings"]["module"]
    for name, fact in (("MIGRATE_COMMAND", "migrate"), ("INIT_COMMAND", "first_start")):
        if looked.get(fact):
            variables[name] = looked[fact]
    return variables


def service_names(looked: dict[str, Any]) -> list[str]:
    """Lines for kit_services of kit.sh."""
    found: dict[str, dict[str, str]] = looked.get("service_names", {})
    lines = [f"{service} {name}={source}\n" for service, names in found.items() for name, source in names.items()]
    if not looked["settings"] and (driver := postgres_driver()):
        lines.append(f"postgres scheme=postgresql+{driver}\n")
    return lines


def postgres_driver() -> str:
    """The driver that URLs have to name for SQLAlchemy, since psycopg2, its default, is not installed; or empty."""
    if not _is_installed("sqlalchemy") or _is_installed("psycopg2"):
        return ""
    return next((name for name in SQLALCHEMY_DRIVERS if _is_installed(name)), "")


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def build_environment(given: str) -> dict[str, str]:
    """The variables in BUILD_ENV: NAME=value words, quoted as in a shell. Raises PrepareError."""
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise PrepareError(f"BUILD_ENV: {error}") from None
    for word in words:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*=.*", word, re.DOTALL):
            raise PrepareError(f"BUILD_ENV: {word!r} is not NAME=value")
    return dict(word.split("=", 1) for word in words)


def _ask(folder: Path, project: Path, *, is_django: bool) -> dict[str, Any]:
    try:
        answer = ask_project.ask(folder, top=project)
    except RuntimeError as error:
        # A framework other than Django needs nothing of this; the application is loaded again when the site starts.
        if is_django:
            raise PrepareError(f"the project cannot be imported: {error}{_advice(str(error))}") from None
        say(f"the application cannot be imported while the image is built: {error}")
        return {}
    if names := ", ".join(answer["dummies"]):
        say(f"the project insists on {names}: dummy values in this step, which are not kept")
    for note in answer.get("notes", ()):
        say(note)
    return dict(answer)


def _advice(error: str) -> str:
    """`error`: NAME_OF_THE_EXCEPTION: TEXT. Empty for a fault of the code, which no variable mends."""
    kind = getattr(builtins, error.partition(":")[0], None)
    if isinstance(kind, type) and issubclass(kind, FAULTS_OF_CODE):
        return ""
    return (
        ". If it needs variables with values that make sense while the image is built, set"
        ' BUILD_ENV="NAME=value ..." in .env'
    )


# --- Static files


def collect(answer: dict[str, Any], folder: Path, static: Path) -> str:
    """Copies the static files into `static`; returns the folder that the project collects into, if it has one."""
    if not SERVED.fullmatch(answer.get("static_url", "") or ""):
        return ""
    source = answer.get("static_folder", "")
    if answer.get("collects"):
        source = _collectstatic(answer, folder)
    if source and Path(source).is_dir() and Path(source).resolve() != static.resolve():
        shutil.copytree(source, static, dirs_exist_ok=True, ignore_dangling_symlinks=True)
    return source if answer.get("collects") else ""


def keep_outside(root: Path, project: Path, static: Path, additions: Path = ADDITIONS) -> None:
    """A STATIC_ROOT such as /public_collected is no part of the image, and the project reads its manifest there: it
    becomes a link to the files that are."""
    within = (project, static, *TEMPORARY)
    if additions.is_dir() and not any(root.is_relative_to(each) for each in within):
        place = additions / root.relative_to("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(static)


def _collectstatic(answer: dict[str, Any], folder: Path) -> str:
    command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", COLLECTSTATIC.read_text()]
    status, printed = ask_project.run_marked(command, folder, {**os.environ, **answer["dummies"]})
    if status:
        raise PrepareError("collecting the static files failed; its own lines above say why")
    return str(folder / printed) if printed else ""


def digest(answer: dict[str, Any], static: Path) -> str:
    """Of what the release publishes: the static files, and what nginx has to know (release.describe)."""
    known = [answer.get(key) for key in ("static_url", "media_url", "https_redirect", "allowed_hosts")]
    total = hashlib.sha256(json.dumps(known).encode())
    for path in sorted(path for path in static.rglob("*") if path.is_file()):
        total.update(f"\0{path.relative_to(static)}\0".encode("utf-8", "surrogateescape"))
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


# --- Places that the project writes to


def places(answer: dict[str, Any], project: Path, collected: str) -> dict[Path, bool]:
    """The paths to link, relative to the project, and whether each is a folder.

    None is inside another one, and none has code in it.
    """
    found: dict[Path, bool] = {}
    wanted = [*answer.get("writes", ()), *_named(project)]
    for name in sorted(wanted):
        path = Path(os.path.normpath(name))
        if not path.is_relative_to(project) or path == project or (collected and path.is_relative_to(collected)):
            continue
        relative = path.relative_to(project)
        is_inside = any(relative.is_relative_to(other) for other in found)
        if is_inside or (path.is_dir() and any(path.rglob("*.py"))):
            continue
        found[relative] = name.endswith("/") or path.is_dir()
    return found


def _named(project: Path) -> list[str]:
    """Those of WRITABLE_PATHS. What does not exist and has no suffix is a folder: `cache`, but not `data/list.txt`."""
    names = []
    for given in os.environ.get("WRITABLE_PATHS", "").split():
        path = project / given
        is_folder = given.endswith("/") or (not path.exists() and not path.suffix)
        names.append(f"{path}/" if is_folder else str(path))
        if path.is_dir() and any(path.rglob("*.py")):
            say(f"WRITABLE_PATHS={given} has code in it and stays as it is: name folders or files in it")
    return names


def link(paths: dict[Path, bool], project: Path, initial: Path, media_root: Path) -> dict[str, str]:
    """Makes each a link into a volume, and returns their targets; what was there goes to `initial`."""
    links = {}
    for path, is_folder in paths.items():
        place = project / path
        target = MEDIA if place == media_root else DATA / path
        inner = _take_media(media_root, project, initial) if place in media_root.parents else {}
        shipped = shipped_with(place)
        _move(place, initial / path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
        links[str(path)] = f"{target}/" if is_folder else str(target)
        links |= inner
        say(f"{path} is kept in a volume, since the project writes to it{shipped}")
    return links


def from_temporary(answer: dict[str, Any], project: Path) -> dict[str, str]:
    """As `link`, for SQLite files in /tmp, such as Flask-SQLAlchemy's old example: they would go with the container."""
    files = [Path(database.get("file") or "/") for database in answer.get("databases", ())]
    links = {}
    for file in files:
        if not file.is_relative_to("/tmp") or file.is_relative_to(project):
            continue
        kept = f".outside{file}"
        links[kept] = f"{DATA / kept}\t{file}"
        say(f"{file} is kept in a volume, since it is a database")
    return links


def shipped_with(place: Path) -> str:
    """What is said of files that are there already: they may be uploads that were made during development."""
    sizes = [file.stat().st_size for file in place.rglob("*") if file.is_file()] if place.is_dir() else []
    if not sizes:
        return ""
    files, are = ("1 file", "is") if len(sizes) == 1 else (f"{len(sizes)} files", "are")
    return (
        f". The image has {files} of it ({sum(sizes) / 1e6:.1f} MB), which {are} copied into the volume while that is"
        " empty"
    )


def _take_media(media_root: Path, project: Path, initial: Path) -> dict[str, str]:
    """For media in a folder that goes to another volume as a whole: nginx only sees its own."""
    path = media_root.relative_to(project)
    kept = Path(".media") / path
    _move(media_root, initial / kept)
    return {str(kept): f"{MEDIA}/\t{DATA / path}"}


def _move(place: Path, target: Path) -> None:
    if place.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(place, target)
        _let_read(target)


def _let_read(place: Path) -> None:
    """The containers' user reads what the project created, as root, when it was imported: caches have mode 0600."""
    for path in (place, *place.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
