"""UNPIN="markdown -cffi": packages that are installed in their newest version, whatever the project's files say; those
with a - are left out.

Old projects pin versions that no current Python can build. Their owner decides, and edits nothing: each name becomes an
override for uv. The hashes of the files hold for other versions, so none is checked then.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from kit.errors import KitError
from kit.project.installation import Installation, Reader
from kit.project.names import name_of, normalize

VARIABLE = "UNPIN"

_HASH = re.compile(r"\s*\\?\s*--hash=\S+")
_EXTRAS = re.compile(r"\s*[\w.-]+\s*(\[[^\]]*\])")


def names(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Normalized. Raises KitError for what is no name."""
    given = environment.get(VARIABLE, "").replace(",", " ").split()
    for name in given:
        if not re.fullmatch(r"-?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
            raise KitError(f"{VARIABLE}: {name!r}: must be names of packages, separated by spaces")
    return tuple(dict.fromkeys(f"{name[: name.startswith('-')]}{normalize(name.lstrip('-'))}" for name in given))


def line(wanted: Sequence[str]) -> str:
    """For .env."""
    return f'{VARIABLE}="{" ".join(wanted)}"'


def spelled(installation: Installation) -> list[str]:
    """The names that are overridden already, as the variable has them."""
    return [f"{'-' * (';' in text)}{name_of(text)}" for text in installation.overrides]


def can_unpin(installation: Installation) -> bool:
    """Not where uv itself reads the lock."""
    return installation.reader is Reader.LINES


def unpin(installation: Installation, wanted: Sequence[str]) -> Installation:
    """Raises KitError for a lock that uv itself reads."""
    if not wanted:
        return installation
    if not can_unpin(installation):
        upgrade = " ".join(f"--upgrade-package {name}" for name in wanted)
        raise KitError(
            f"{VARIABLE} cannot change what {installation.file} locks: run `uv lock {upgrade}` in the project, or set"
            " REQUIREMENTS in .env to another file"
        )
    locked = () if not installation.pins else tuple(installation.constraints_of_lock())
    limits = (*installation.constraints, *locked)
    changed = {name.lstrip("-") for name in wanted}
    return replace(
        installation,
        requirements=tuple(_HASH.sub("", line) for line in installation.requirements),
        constraints=tuple(_HASH.sub("", line) for line in limits if name_of(line) not in changed),
        pins=(),
        is_complete=False,
        overrides=tuple(_override(name, installation) for name in wanted),
    )


def _override(name: str, installation: Installation) -> str:
    if name.startswith("-"):
        return f"{name.lstrip('-')} ; python_version < '0'"
    return f"{name}{_extras(name, installation)}"


def _extras(name: str, installation: Installation) -> str:
    lines = (line for line in installation.requirements if name_of(line) == name)
    return next((found[1] for line in lines if (found := _EXTRAS.match(line))), "")
