"""pip's requirements files: what they list, and every file that they read.

`-r` and `-c` are followed, paths are made relative to the project, and what is a folder of the project itself is set
apart: it can be installed only once the code is there. The format is that of pip's "Requirements File Format".
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kit.errors import KitError
from kit.project.installation import PROJECT_ROOT, Local
from kit.project.names import is_usual_index, name_of
from kit.project.reading import read_text, relative

_COMMENT = re.compile(r"(^|\s+)#.*$")
_ARCHIVE = re.compile(r"\.(whl|zip|tar\.gz|tgz|tar\.bz2|tar\.xz)$", re.IGNORECASE)
_OPTION = re.compile(r"(--?[a-z-]+)(?:\s*=\s*|\s+)?(.*)", re.DOTALL)
_SHORT = {"-r": "--requirement", "-c": "--constraint", "-e": "--editable", "-f": "--find-links", "-i": "--index-url"}
_PASSED_ON = ("--index-url", "--extra-index-url", "--no-index", "--no-binary", "--only-binary", "--find-links")
_ARGUMENTS = {"--pre": ("--prerelease", "allow"), "--trusted-host": ("--allow-insecure-host",)}

LEFT_OUT = {
    "pkg-resources": "is no distribution (a fault of Debian's old pip freeze)",
    "pywin32": "exists for Windows alone",
    "pywinpty": "exists for Windows alone",
    "pypiwin32": "exists for Windows alone",
    "twisted-iocpsupport": "exists for Windows alone",
}
"""Names that `pip freeze` writes on some machines and that can be installed on no Linux."""


@dataclass(slots=True)
class Requirements:
    """What a requirements file and those that it includes say."""

    files: list[str] = field(default_factory=list)
    """All that were read, and the archives that they name, relative to the project."""
    requirements: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    arguments: list[str] = field(default_factory=list)
    local: list[Local] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Line:
    file: Path
    number: int
    text: str
    project: Path

    @property
    def origin(self) -> str:
        return f"{relative(self.file, self.project)}:{self.number}"

    def find(self, path: str) -> Path | None:
        """A path of this line. pip takes it relative to where it is run, the project; many mean their own file."""
        places = (self.project, self.file.parent)
        return next((place / path for place in places if (place / path).exists()), None)

    def inside(self, path: Path) -> str:
        shown = relative(path, self.project)
        if shown.startswith(".."):
            raise KitError(f"{self.origin}: {shown} is outside of the project, of which alone an image can be made")
        return shown


def read(file: Path, project: Path) -> Requirements:
    """Raises KitError for a file that is missing and for what uv cannot do; file and line are named."""
    found = Requirements()
    _read_file(file, project, found, found.requirements)
    return found


def _read_file(file: Path, project: Path, found: Requirements, into: list[str]) -> None:
    shown = relative(file, project)
    if shown in found.files:
        return
    found.files.append(shown)
    for number, text in _logical_lines(read_text(file, shown)):
        _read_line(_Line(file, number, text, project), found, into)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not empty, continued ones joined, without comments."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first or number
        if line.endswith("\\") and not line.lstrip().startswith("#"):
            joined += f"{line[:-1].strip()} "
            continue
        complete = _COMMENT.sub("", joined + line).strip()
        if complete:
            yield first, complete
        joined, first = "", 0
    if joined.strip():
        yield first, joined.strip()


def _read_line(line: _Line, found: Requirements, into: list[str]) -> None:
    if not line.text.startswith("-"):
        _read_requirement(line, line.text, found, into, is_editable=False)
        return
    short, rest = line.text[:2], line.text[2:]
    if short in _SHORT:
        name, value = _SHORT[short], rest.strip(" =")
    elif option := _OPTION.fullmatch(line.text):
        name, value = option[1], option[2].strip()
    else:
        raise KitError(f"{line.origin}: {line.text!r} is not an option of a requirements file")
    _read_option(line, name, value, found, into)


def _read_option(line: _Line, name: str, value: str, found: Requirements, into: list[str]) -> None:
    match name:
        case "--requirement" | "--constraint":
            target = found.constraints if name == "--constraint" else into
            if "://" in value:
                raise KitError(f"{line.origin}: {name} {value}: put the file itself into the project")
            path = line.file.parent / value
            if not path.is_file():
                path = line.find(value) or path
            if not path.is_file():
                raise KitError(f"{line.origin}: names {value}, which does not exist")
            line.inside(path)
            _read_file(path, line.project, found, target)
        case "--editable":
            _read_requirement(line, value, found, into, is_editable=True)
        case "--find-links" if "://" not in value:
            folder = line.find(value)
            if folder is None:
                raise KitError(f"{line.origin}: names {value}, which does not exist")
            found.files += [line.inside(path) for path in sorted(folder.iterdir()) if _ARCHIVE.search(path.name)]
            found.options.append(f"--find-links {PROJECT_ROOT}/{line.inside(folder)}")
        case "--index-url" if is_usual_index({"url": value}):
            pass  # as pipenv writes it: the usual one, or the mirror that this machine has in its place
        case _ if name in _PASSED_ON:
            found.options.append(f"{name} {value}".strip())
        case _ if name in _ARGUMENTS:
            found.arguments += (*_ARGUMENTS[name], *shlex.split(value))
        case "--prefer-binary" | "--use-feature" | "--use-pep517" | "--require-hashes" | "--process-dependency-links":
            pass  # uv's default, or without a meaning for it
        case _:
            raise KitError(f"{line.origin}: the option {name} is not supported")


def _read_requirement(line: _Line, text: str, found: Requirements, into: list[str], *, is_editable: bool) -> None:
    name = name_of(text)
    if name in LEFT_OUT and ";" not in text:
        found.notes.append(f"{line.origin}: {name} is left out: it {LEFT_OUT[name]}")
        return
    if "@ file:" in text or text.startswith("file:"):
        _read_file_url(line, text, name, found, into)
        return
    target, extras, marker = _split_path(text)
    if (is_editable and "://" in text) or re.match(r"(git|hg|svn|bzr)\+", text):
        into.append(_without_egg(text))
    elif _looks_like_path(target):
        _read_path(line, target, extras, marker, found, into, is_editable=is_editable)
    elif name:
        into.append(re.sub(r"\s+--(hash|config-settings|global-option)", r" \\\n    --\1", text))
    else:
        into.append(text)


def _split_path(text: str) -> tuple[str, str, str]:
    """Path, extras and marker of `./libs/x[web] ; python_version < "3.13"`."""
    path, _, marker = text.partition(" ;")
    found = re.fullmatch(r"(.*?)(?:\[([^\]]*)\])?\s*", path)
    return (found[1], found[2] or "", marker.strip()) if found else (path, "", marker.strip())


def _looks_like_path(text: str) -> bool:
    return "://" not in text and (
        text.startswith((".", "/", "~")) or "/" in text.partition("@")[0] or _is_archive(text)
    )


def _is_archive(text: str) -> bool:
    return bool(_ARCHIVE.search(text))


def _read_path(
    line: _Line, path: str, extras: str, marker: str, found: Requirements, into: list[str], *, is_editable: bool
) -> None:
    target = line.find(path)
    if target is None:
        raise KitError(f"{line.origin}: names {path}, which does not exist")
    shown = line.inside(target)
    if target.is_dir():
        found.local.append(Local(shown, extras, is_editable, has_dependencies=True))
    else:
        found.files.append(shown)
        into.append(f"{PROJECT_ROOT}/{shown}" + (f" ; {marker}" if marker else ""))


def _read_file_url(line: _Line, text: str, name: str, found: Requirements, into: list[str]) -> None:
    path = Path(text.partition("file:")[2].partition(";")[0].partition("#")[0].strip().removeprefix("//"))
    if not path.exists() or relative(path, line.project).startswith(".."):
        better = f"write {name}==VERSION instead" if name else "write NAME==VERSION instead"
        raise KitError(f"{line.origin}: {text!r} is a path of the machine that wrote the file; {better}")
    _read_path(line, str(path), "", "", found, into, is_editable=False)


def _without_egg(text: str) -> str:
    """`-e git+URL#egg=NAME` as `NAME @ git+URL`: uv makes only folders editable."""
    url, _, fragment = text.partition("#")
    parts = [part for part in fragment.split("&") if part]
    egg = next((part.removeprefix("egg=") for part in parts if part.startswith("egg=")), "")
    rest = "&".join(part for part in parts if not part.startswith("egg="))
    url = f"{url.strip()}#{rest}" if rest else url.strip()
    return f"{egg} @ {url}" if egg and " @ " not in url else url
