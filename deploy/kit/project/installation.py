"""What is to be installed for a project, and from which of its files. A value; `install.py` carries it out."""

import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from kit.project.names import name_of

PROJECT_ROOT = "${PROJECT_ROOT}"
"""In a requirement: the folder in which uv runs. uv itself replaces it, as PDM and pip-tools do."""


_FIXED = re.compile(r"===?\s*[^\s,;*]+\s*(?:$|[\s,;\\])|\s@\s")
"""In a requirement: one version, or the place of an archive."""


class Reader(Enum):
    """Which program reads the file that lists the dependencies."""

    UV_LOCK = "uv sync"
    """uv reads uv.lock."""
    PYLOCK = "pylock"
    """uv reads pylock.toml."""
    LINES = "requirements"
    """`Installation.write` has turned it into requirements."""


@dataclass(frozen=True, slots=True)
class Pin:
    """One version in a lock."""

    name: str
    """Normalized."""
    version: str
    hashes: tuple[str, ...] = ()
    """As `sha256:...`, of all its files."""
    marker: str = ""
    url: str = ""
    """Where it comes from if that is no index: `git+https://...@commit`, or an archive."""

    def requirement(self, *, hashes: bool = True, marker: bool = True) -> str:
        text = f"{self.name} @ {self.url}" if self.url else f"{self.name}=={self.version}"
        text += f" ; {self.marker}" if self.marker and marker else ""
        return "".join((text, *(f" \\\n    --hash={value}" for value in self.hashes if hashes)))


@dataclass(frozen=True, slots=True)
class Local:
    """A folder of the project that is installed as a distribution."""

    path: str
    """Relative to the project; "." is the project itself."""
    extras: str = ""
    """As in `.[web]`, without the brackets."""
    is_editable: bool = True
    has_dependencies: bool = False
    """Whether its own metadata lists dependencies that nothing else does."""
    is_required: bool = True
    """Whether a file asks for it. If not, a project that cannot be built is found through PYTHONPATH all the same."""

    @property
    def requirement(self) -> str:
        return f"./{self.path}{f'[{self.extras}]' if self.extras else ''}"


@dataclass(frozen=True, slots=True)
class Unused:
    """A file that also lists dependencies, and why it was not used."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Installation:
    """What uv is to install. All paths are relative to the project's folder."""

    file: str = ""
    """The file that was used; "" if the project has none. Then the requirements are what its code imports."""
    reader: Reader = Reader.LINES
    base: str = "."
    """The folder of that file: where uv runs."""
    files: tuple[str, ...] = ()
    """All files that are read before the project's code is needed. Nothing else is in the layer of dependencies, so no
    change of the code makes it be built again."""
    requirements: tuple[str, ...] = ()
    """Lines of a requirements file, each complete with its hashes."""
    constraints: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    """Lines of a requirements file that are options, such as `--index-url ...`."""
    arguments: tuple[str, ...] = ()
    """Options of requirements files that uv accepts on its command line only."""
    pins: tuple[Pin, ...] = ()
    """All versions of a lock that says less than what to install: the versions from which uv has to choose."""
    local: tuple[Local, ...] = ()
    unused: tuple[Unused, ...] = ()
    notes: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    """Requirements that count instead of all others of the same names."""
    is_complete: bool = False
    """Whether the requirements are the whole list, with the dependencies of each."""

    @property
    def is_hashed(self) -> bool:
        """Whether a requirement has a hash; then every one must have one, as pip has it. No hash exists for git's."""
        lines = self.requirements
        return any("--hash=" in line for line in lines) and not any(" @ git+" in line for line in lines)

    @property
    def unpinned(self) -> list[str]:
        """The names whose version is another one with each new release, as far as the project's files list them."""
        if self.reader is not Reader.LINES or not self.file:
            return []
        fixed = {pin.name for pin in self.pins}
        fixed |= {name_of(line) for line in (*self.requirements, *self.constraints) if _FIXED.search(line)}
        names = (name_of(line) for line in self.requirements)
        return list(dict.fromkeys(name for name in names if name and name not in fixed))

    @property
    def listed(self) -> str:
        """What is to be installed, for people."""
        text = f"what {self.file} lists" if self.file else ", ".join(self.requirements)
        newest = [line for line in self.overrides if ";" not in line]
        without = [line.partition(" ;")[0] for line in self.overrides if ";" in line]
        text += f", with the newest {', '.join(newest)}" if newest else ""
        return f"{text}, without {', '.join(without)}" if without else text

    @property
    def has_packages(self) -> bool:
        return self.reader is not Reader.LINES or bool(self.requirements)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Writes plain requirements and constraints for uv into the folder, and returns the two files."""
        requirements, constraints = folder / "requirements.txt", folder / "constraints.txt"
        requirements.write_text("".join(f"{line}\n" for line in (*self.options, *self.requirements)), encoding="utf-8")
        lines = (*self.constraints, *self.constraints_of_lock())
        constraints.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return requirements, constraints

    def constraints_of_lock(self) -> list[str]:
        """The locked versions. Where a lock has several of one name, and does not say for which Python each is, all
        versions between them are allowed here, and the choice is compared with the lock afterwards."""
        versions: dict[str, list[Pin]] = {}
        for pin in self.pins:
            versions.setdefault(pin.name, []).append(pin)
        lines = []
        for name, pins in versions.items():
            if len({pin.version for pin in pins}) == 1 or all(pin.marker for pin in pins):
                lines += [pin.requirement(hashes=False) for pin in pins]
            else:
                others = sorted({pin.version for pin in pins}, key=_sort_key)
                lines.append(f"{name}>={others[0]},<={others[-1]}")
        return lines


def _sort_key(version: str) -> list[int]:
    return [int(digits) for digits in "".join(c if c.isdigit() else " " for c in version).split()]
