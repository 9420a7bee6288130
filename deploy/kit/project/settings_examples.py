"""Settings that a project has only as an example: `configuration_example.py`, and no `configuration.py`.

Local settings are not looked for: by convention, they are for one machine, and no project insists on them.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from kit.project.reading import folders, relative

_EXAMPLE = re.compile(r"((?!local)\w*?(?:settings|config|secrets)\w*?)(?:[._-](?:example|sample|dist|template))")


def find(folder: Path, depth: int) -> Iterator[tuple[str, str]]:
    """The example and the module that it is for, relative to the project, where that module does not exist."""
    for place in folders(folder, depth):
        for path in sorted(place.glob("*.py*")):
            name = path.name.replace(".py", "", 1)
            found = _EXAMPLE.fullmatch(name)
            if found and not (place / f"{found[1]}.py").exists():
                yield relative(path, folder), relative(place / f"{found[1]}.py", folder)
