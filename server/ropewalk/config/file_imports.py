"""What a configuration file may import: modules of the project, which a reload has to import again.

The master runs the file, at its start and at each reload, and workers inherit its modules. If those of the project
stayed as they were, a worker would load the rest of a new release together with them. So each run of the file begins
without the modules that the run before has imported. Main thread of the master only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_imported: set[str] = set()
"""Names of the project's modules that the last run has imported."""


@contextmanager
def importable(directories: Sequence[str]) -> Iterator[None]:
    """Search these directories for modules too; the last one after all others, the rest before them.

    If the file fails, the modules are again those of the last run that did not.
    """
    directories = [os.path.abspath(each) for each in directories]
    path, modules = sys.path[:], sys.modules.copy()
    for name in _outdated():
        del sys.modules[name]
    others = set(sys.modules)
    sys.path[:] = [*directories[:-1], *path, directories[-1]]
    try:
        yield
    except BaseException:
        for name in _found_in(directories, sys.modules.keys() - others):
            del sys.modules[name]
        sys.modules.update({name: modules[name] for name in modules.keys() - sys.modules.keys()})
        raise
    finally:
        sys.path[:] = path
    _imported.intersection_update(others)
    _imported.update(_found_in(directories, sys.modules.keys() - others))


def _outdated() -> list[str]:
    """The modules of the last run, except for those of packages of which others have imported something since.

    With --preload that is the application, whose code a reload keeps.
    """
    kept = {name.partition(".")[0] for name in sys.modules.keys() - _imported}
    return [name for name in _imported & sys.modules.keys() if name.partition(".")[0] not in kept]


def _found_in(directories: Sequence[str], names: set[str]) -> list[str]:
    """Those of these modules that are, or whose package is, directly in one of the directories."""
    return [name for name in names if _place(name.partition(".")[0]) in directories]


def _place(name: str) -> str:
    """The directory of the search path in which a module of the top level was found; "" if there is none."""
    module = sys.modules.get(name)
    paths = [*getattr(module, "__path__", ()), getattr(module, "__file__", None) or ""]
    return os.path.dirname(os.path.abspath(paths[0])) if paths[0] else ""
