"""Installs what a project needs into a virtual environment, with uv: for `make run`, and in the image's build.

Two steps, because the image has a layer for each: the dependencies, for which only a few files of the project are
needed, and then what the project itself has to be installed for.
"""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kit.console import step
from kit.errors import KitError
from kit.project import base_python, old_versions, system_packages, unpin
from kit.project.installation import Installation, Local, Pin, Reader, Unused
from kit.project.names import name_of
from kit.project.system_packages import SystemPackages

FROM_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}
"""pip's variables, and what uv calls them: a machine that is set up for pip works with uv too."""

NOT_PASSED_ON = (
    *("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME", "UV_PYTHON", "UV_PROJECT", "UV_WORKING_DIRECTORY"),
    *("UV_TARGET", "UV_PREFIX", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT", "UV_FROZEN", "UV_LOCKED"),
)
"""Variables that would have uv install something else, or elsewhere."""

_LEFT_OUT = re.compile(r" [+~-] |Using Python ")
"""uv lists each package that it installs, and says each time into which environment. These lines are left out."""


MOST_UNPINNED = 12
"""So many packages that are too old are looked for. A project with more of them wants an older Python."""

COMPILE = ("pip", "compile", "--quiet", "--no-header", "--no-annotate")


class UvError(Exception):
    """uv has failed, and has printed why."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


@dataclass(frozen=True, slots=True)
class Uv:
    """uv, and the virtual environment that it installs into."""

    program: Path
    python: Path
    environment: Mapping[str, str]
    is_image: bool = True
    """Whether this is an image's build, where packages of Debian come from variables."""

    def run(self, arguments: Sequence[str | Path], folder: Path) -> str:
        """Returns the standard output; prints errors while they arrive. Raises UvError."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                [self.program, *arguments],
                cwd=folder,
                env=uv_environment(self.environment, self.python),
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            with process:
                assert process.stderr
                errors = [_show(line) for line in process.stderr]
            if process.returncode:
                raise UvError("".join(errors))
            output.seek(0)
            return output.read()

    def pip_install(self, arguments: Sequence[str | Path], folder: Path) -> None:
        self.run(["pip", "install", "--python", self.python, *arguments], folder)


def _show(line: str) -> str:
    if not _LEFT_OUT.match(line):
        sys.stderr.write(line)
    return line


def uv_environment(environment: Mapping[str, str], python: Path) -> dict[str, str]:
    """uv never downloads an interpreter, and installs into that environment alone."""
    kept = {name: value for name, value in environment.items() if name not in NOT_PASSED_ON}
    for name, uvs in FROM_PIP.items():
        if environment.get(name):
            kept.setdefault(uvs, environment[name])
    # the machine's certificates, as pip trusts them, and not uv's own list
    kept.setdefault("UV_SYSTEM_CERTS", "true")
    return kept | {"UV_PYTHON_DOWNLOADS": "never", "UV_PROJECT_ENVIRONMENT": str(python.parent.parent)}


def find_uv(given: str | None) -> Path:
    program = shutil.which(given or "uv")
    if program is None:
        raise KitError(f"--uv {given}: there is no such program" if given else "uv is not installed; pass --uv PATH")
    return Path(program)


def install_dependencies(installation: Installation, project: Path, uv: Uv) -> None:
    """What the project's files list, but nothing that is a folder of the project. Raises KitError."""
    if not installation.has_packages:
        return
    step(f"Installing {installation.listed}")
    try:
        _install_dependencies(installation, project / installation.base, project / installation.file, uv)
    except UvError as error:
        old = _old_version(error, uv)
        if old and unpin.can_unpin(installation):
            raise _try_newer(old, installation, project, uv) from None
        raise _explained(
            error, installation.listed, uv, installation.unused, newer=_newer(error, installation, uv)
        ) from None


def _newer(error: UvError, installation: Installation, uv: Uv) -> str:
    """The other ways for a version that has to be compiled: the newest one may need no compiler, nor may this one with
    an older Python. Empty if it is the newest."""
    name = system_packages.diagnose(error.output)[0]
    if not name or not unpin.can_unpin(installation) or not _is_pinned(name, installation):
        return ""
    names = [*unpin.spelled(installation), name]
    newest = f"\nOr, if its newest version does for the project, which may need none of them:\n{unpin.line(names)}"
    if name not in old_versions.too_old(installation, _version_of(uv)[:2]):
        return newest
    return newest + _older_python([name], installation, uv)


def _is_pinned(name: str, installation: Installation) -> bool:
    lines = (*installation.requirements, *installation.constraints)
    is_listed = any(name_of(line) == name and "==" in line.partition(";")[0] for line in lines)
    return name not in map(name_of, installation.overrides) and (
        is_listed or any(pin.name == name for pin in installation.pins)
    )


def _old_version(error: UvError, uv: Uv) -> str:
    """The package that cannot be built, although nothing that is known is missing; "" if that is not why uv failed."""
    name, missing = system_packages.diagnose(error.output)
    return name if not missing or _is_given(missing, uv) else ""


def _is_given(missing: SystemPackages, uv: Uv) -> bool:
    return uv.is_image and _given(uv) | missing == _given(uv)


def _given(uv: Uv) -> SystemPackages:
    return SystemPackages(*(tuple(uv.environment.get(name, "").split()) for name in system_packages.VARIABLES))


def _try_newer(name: str, installation: Installation, project: Path, uv: Uv) -> KitError:
    """Looks which other packages are too old as well, so that one line names them all. The owner decides about it."""
    wanted = unpin.spelled(installation)
    while name not in wanted and len(wanted) < MOST_UNPINNED:
        wanted.append(name)
        step(f"{name} cannot be built for {_python_of(uv)}; looking whether it is the only one")
        tried = unpin.unpin(installation, wanted)
        try:
            _install_dependencies(tried, project / tried.base, project / tried.file, uv)
        except UvError as error:
            name = _old_version(error, uv)
            if name:
                continue
            return _explained(error, installation.listed, uv, installation.unused, unpinned=wanted)
        return KitError(_too_old(wanted, installation, uv))
    without = unpin.line([*(one for one in wanted if one != name), f"-{name}"])
    return KitError(
        f"{_not_built(name, uv, installation.unused)}. Its newest version cannot be built either; if the project does"
        f" without it, as with a tool for development, put into .env:\n{without}"
    )


def _too_old(names: Sequence[str], installation: Installation, uv: Uv) -> str:
    old = "these versions are" if len(names) > 1 else "this version is"
    return (
        f"{', '.join(names)} cannot be built for {_python_of(uv)}: {old} older than it. With the newest ones, all"
        " of the rest can be installed. If they do for the project, put into .env:\n"
        f"{unpin.line(names)}"
        f"{_older_python(names, installation, uv)}{_other_file(installation.unused)}"
    )


def _older_python(names: Sequence[str], installation: Installation, uv: Uv) -> str:
    """The line for .env, or for make run. Empty if no Python of the kit is known to do."""
    image = base_python.older_image(names, installation, _version_of(uv))
    if not image:
        return ""
    line = f"BASE_IMAGE={image}"
    python = image.replace(":", "").partition("-")[0]
    here = "" if uv.is_image else f"PYTHON={python} for make run; for the images, "
    return f"\nOr, with the listed versions, use an older Python:\n{here}{line}"


def _version_of(uv: Uv) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", _python_of(uv))
    return tuple(map(int, found.groups())) if found else sys.version_info[:3]


def _other_file(unused: Sequence[Unused]) -> str:
    return f"; or another file, REQUIREMENTS={unused[0].file}" if unused else ""


def _install_dependencies(installation: Installation, folder: Path, file: Path, uv: Uv) -> None:
    if installation.reader is Reader.UV_LOCK:
        uv.run([*_sync(uv), "--no-install-project", "--no-install-workspace", "--no-install-local"], folder)
        return
    if installation.reader is Reader.PYLOCK:
        uv.pip_install(["--requirements", file], folder)
        return
    with tempfile.TemporaryDirectory() as written:
        requirements, limits = _written(installation, Path(written))
        if installation.pins:
            text = uv.run([*COMPILE, "--python", uv.python, *limits, *installation.arguments, requirements], folder)
            pins = chosen_pins(text, installation)
            requirements.write_text("".join(f"{line}\n" for line in _pinned(pins, installation)), encoding="utf-8")
            limits = ["--no-deps", *(["--require-hashes"] if all(pin.hashes for pin in pins) else [])]
        else:
            limits += ["--no-deps"] if installation.is_complete else []
            limits += ["--require-hashes"] if installation.is_hashed else []
            limits += _overrides(installation, Path(written))
        uv.pip_install([*installation.arguments, *limits, "--requirements", requirements], folder)


def _written(installation: Installation, folder: Path) -> tuple[Path, list[str | Path]]:
    """The requirements, and the option that names the constraints if there are any."""
    requirements, constraints = installation.write(folder)
    return requirements, ["--constraints", constraints] if constraints.stat().st_size else []


def _overrides(installation: Installation, folder: Path) -> list[str | Path]:
    if not installation.overrides:
        return []
    file = folder / "overrides.txt"
    file.write_text("".join(f"{line}\n" for line in installation.overrides), encoding="utf-8")
    return ["--overrides", file]


def _sync(uv: Uv) -> list[str | Path]:
    return ["sync", "--frozen", "--no-dev", "--inexact", "--python", uv.python]


def _pinned(pins: Iterable[Pin], installation: Installation) -> list[str]:
    return [*installation.options, *(pin.requirement(marker=False) for pin in pins)]


def chosen_pins(resolved: str, installation: Installation) -> list[Pin]:
    """The pins of the lock for what uv has resolved, a requirement a line. Raises KitError if the lock lacks one."""
    by_name: dict[str, dict[str, Pin]] = {}
    for one in installation.pins:
        by_name.setdefault(one.name, {})[one.version] = one
    chosen = []
    for line in resolved.splitlines():
        name = name_of(line)
        if not name or line.startswith("-"):
            continue
        versions = by_name.get(name, {})
        found = re.search(r"==([^\s;\\]+)", line)
        by_url = next((other for other in versions.values() if other.url), None)
        pin = versions.get(found[1]) if found else by_url
        if pin is None:
            raise KitError(
                f"{installation.file} is out of date: pyproject.toml needs {line.strip()}, which it does not have. Run"
                f" `{Path(installation.file).stem} lock` in the project, or set REQUIREMENTS in .env to another file"
            )
        chosen.append(pin)
    return chosen


def install_project(installation: Installation, project: Path, uv: Uv) -> None:
    """The folders of the project that are distributions, the project itself among them. Raises KitError."""
    folder = project / installation.base
    for local in installation.local:
        step(f"Installing {'the project itself' if local.path == '.' else local.path} from its folder")
        try:
            if installation.reader is Reader.UV_LOCK:
                uv.run(_sync(uv), folder)
            else:
                _install_local(local, installation, folder, uv)
        except UvError as error:
            if local.is_required:
                raise _explained(error, f"what {local.path} lists", uv) from None
            step("The project itself cannot be installed (see above). Its folder is on PYTHONPATH instead")


def _install_local(local: Local, installation: Installation, folder: Path, uv: Uv) -> None:
    with tempfile.TemporaryDirectory() as written:
        _, limits = _written(installation, Path(written))
        arguments = [*limits, *installation.arguments, *_overrides(installation, Path(written))]
        if installation.options:
            options = Path(written) / "options.txt"
            options.write_text("".join(f"{line}\n" for line in installation.options), encoding="utf-8")
            arguments += ["--requirements", options]
        if not local.has_dependencies:
            arguments.append("--no-deps")
        uv.pip_install([*arguments, *(["--editable"] if local.is_editable else []), local.requirement], folder)


def install_server(folder: Path, locked: Path, uv: Uv) -> None:
    """The server, editable. What builds it has to be the locked version, with its hash."""
    try:
        # uv warns that --require-build-hashes is new, unless it is asked for by that name as well
        new = ("--require-build-hashes", "--preview-features", "build-dependency-hashes")
        uv.pip_install(["--no-deps", "--no-config", "--build-constraints", locked, *new, "--editable", folder], folder)
    except UvError as error:
        raise _explained(error, f"what {folder} lists", uv) from None


def _explained(
    error: UvError,
    listed: str,
    uv: Uv,
    unused: Sequence[Unused] = (),
    unpinned: Sequence[str] = (),
    newer: str = "",
) -> KitError:
    """One paragraph that ends with the lines to add, if it is known what is missing."""
    name, missing = system_packages.diagnose(error.output)
    if name and (not missing or _is_given(missing, uv)):
        return KitError(_not_built(name, uv, unused))
    line = f"\n{unpin.line(unpinned)}" if unpinned else ""
    if not missing:
        also = f", also with {line.strip()} in .env" if line else ""
        reason = system_packages.of_index(error.output) or system_packages.not_fetched(error.output)
        return KitError(
            f"{listed} could not be installed{also}{f': {reason}' if reason else '; uv has printed the reason above'}"
        )
    given = _given(uv)
    what = name or listed
    here = "" if uv.is_image else f"here, apt-get install {' '.join(missing.build)}; for the images, "
    lines = f"{(given | missing).lines()}{line}{newer}"
    return KitError(f"{what} cannot be built, packages of Debian are missing: {here}put into .env:\n{lines}")


def _not_built(name: str, uv: Uv, unused: Sequence[Unused]) -> str:
    """Mostly an old version: it has no wheel for this Python, and its build needs what newer Pythons do not have."""
    return (
        f"{name} could not be built for {_python_of(uv)}; uv has printed the reason above. If it is an old version that"
        f" has no wheel for this Python, allow a newer one; or use the Python that the project was made for,"
        f" 3.11 or newer (make run: PYTHON=python3.X; images: BASE_IMAGE=..., docs/deployment.md){_other_file(unused)}"
    )


def _python_of(uv: Uv) -> str:
    """Such as "Python 3.13.5", as the virtual environment's own file says."""
    with contextlib.suppress(OSError):
        text = (uv.python.parent.parent / "pyvenv.cfg").read_text(encoding="utf-8")
        if found := re.search(r"^version(?:_info)? *= *(\d+\.\d+\.\d+)", text, re.M):
            return f"Python {found[1]}"
    return "this Python"


def copy_files(installation: Installation, project: Path, target: Path) -> None:
    """Copies what install_dependencies reads to the same places in an empty folder, for a layer of an image."""
    for name in installation.files:
        destination = target / name
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(project / name, destination)
    for local in installation.local:
        # empty: a requirements file may name only what is there
        (target / installation.base / local.path).mkdir(parents=True, exist_ok=True)
    if not installation.file and installation.requirements:
        # the code, which imports these, is not copied
        lines = (f"# {note}" for note in installation.notes)
        text = "".join(f"{line}\n" for line in (*lines, *installation.requirements))
        (target / "requirements.txt").write_text(text, encoding="utf-8")


def fingerprint_files(installation: Installation, project: Path) -> list[Path]:
    """Every file that decides what is installed: when one changes, the installation is out of date."""
    names = [*installation.files]
    for local in installation.local:
        names += [f"{installation.base}/{local.path}/{name}" for name in ("pyproject.toml", "setup.py", "setup.cfg")]
    paths = dict.fromkeys((project / name).resolve() for name in names)
    return [path for path in paths if path.is_file()]
