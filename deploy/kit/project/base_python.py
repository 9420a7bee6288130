"""Which Python the images of a project get: the one that it states, or else the newest that its pinned versions fit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from kit.errors import KitError
from kit.project import old_versions
from kit.project.installation import Installation
from kit.project.python_version import PythonVersion, Version

DEBIAN = (3, 13)
"""Debian trixie's, which the images have unless BASE_IMAGE says otherwise."""

OFFERED = ((3, 14), (3, 13), (3, 12), (3, 11))
"""Those that the kit and the server support, with an image of each, the newest first."""

MICRO = {DEBIAN: 5}
LATE = 99
"""An image of another Python is late in its series."""


@dataclass(frozen=True, slots=True)
class Choice:
    version: Version
    """X.Y"""
    reason: str = ""
    """Why it is not Debian's; "" if it is."""
    cured: tuple[str, ...] = ()
    """Names of packages that are too old for Debian's Python, but not for this one."""
    remaining: tuple[str, ...] = ()
    """Requirements that are too old for this Python, and for all others if the project states none."""

    @property
    def shown(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def image(self) -> str:
        """For BASE_IMAGE; "" for the kit's own."""
        return "" if self.version == DEBIAN else image(self.version)


def image(version: Version) -> str:
    return f"python:{version[0]}.{version[1]}-slim-trixie"


def choose(python: PythonVersion, dependencies: Installation) -> Choice:
    """Raises KitError if the kit has no Python that the project allows."""
    allowed = [version for version in OFFERED if python.is_allowed((*version, MICRO.get(version, LATE)))]
    if not allowed:
        wanted = ", ".join(f"{condition.text} ({condition.origin})" for condition in python.conditions)
        raise KitError(f"the project wants Python {wanted}; the kit has 3.11 to 3.14. Relax that line of the project")
    for wish, origin in python.wishes:
        version = _nearest(wish, allowed)
        if origin.endswith("Dockerfile") and (older := _without_old(version, allowed, dependencies)):
            old = ", ".join(old_versions.too_old(dependencies, version).values())
            return _of(older, f"{origin} names Python {wish}, for which {old} is too old", dependencies)
        nearest = "" if wish.startswith(f"{version[0]}.{version[1]}") else ", the nearest that the kit has"
        return _of(version, f"{origin} names Python {wish}{nearest}", dependencies)
    if DEBIAN not in allowed:
        wanted = " and ".join(f"{condition.origin} wants Python {condition.text}" for condition in python.conditions)
        return _of(newest(dependencies, allowed), wanted, dependencies)
    version = newest(dependencies, [one for one in allowed if one <= DEBIAN])
    too_old = _cured(version, dependencies)
    be = "is" if len(too_old) == 1 else "are"
    listed = f"{', '.join(too_old.values())} ({dependencies.file}) {be} older than Debian's Python 3.13"
    return _of(version, listed, dependencies, tuple(too_old))


def _of(version: Version, reason: str, dependencies: Installation, cured: tuple[str, ...] = ()) -> Choice:
    remaining = tuple(old_versions.too_old(dependencies, version).values())
    return Choice(version, "" if version == DEBIAN else reason, cured, remaining)


def _nearest(wish: str, allowed: Sequence[Version]) -> Version:
    wanted = tuple(int(number) for number in wish.split("."))[:2]
    return next((version for version in allowed if version <= wanted), allowed[-1])


def _without_old(version: Version, allowed: Sequence[Version], dependencies: Installation) -> Version | None:
    """The newest Python before this one with which no package is too old, if some are too old for this one.

    A Dockerfile counts for less than what .python-version and the like say: the image may be newer than the pins, and
    then the project's own build fails too.
    """
    if not old_versions.too_old(dependencies, version):
        return None
    older = (one for one in allowed if one < version)
    return next((one for one in older if not old_versions.too_old(dependencies, one)), None)


def newest(dependencies: Installation, versions: Sequence[Version]) -> Version:
    """The first for which the fewest packages are too old."""
    return min(versions, key=lambda version: len(old_versions.too_old(dependencies, version)))


def _cured(version: Version, dependencies: Installation) -> dict[str, str]:
    before, after = (old_versions.too_old(dependencies, one) for one in (DEBIAN, version))
    return {name: text for name, text in before.items() if name not in after}


def older_image(names: Collection[str], dependencies: Installation, running: Version) -> str:
    """An image with a Python older than the one that runs, for packages that cannot be built for that one: the newest
    with which the table knows no fault of theirs. "" if there is none."""
    for version in OFFERED:
        old = old_versions.too_old(dependencies, version)
        if version < running[:2] and not any(name in old for name in names):
            return image(version)
    return ""
