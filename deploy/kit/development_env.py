"""The .env that a project has for development: no image gets it, so what is set there alone is not set on the site."""

from collections.abc import Collection

from kit import dotenv
from kit.errors import KitError
from kit.project.facts import Project
from kit.project.reading import relative

NAMED = 6
"""So many variables are named."""


def note(project: Project, known: Collection[str]) -> str:
    """Which variables of the file the code reads and nothing sets for the site; "" if there are none.

    `known` are those that .env and .env.project set or ask for.
    """
    reads = {one.name for one in project.environment_names}
    for folder in dict.fromkeys((project.folder, project.folder / project.work_folder)):
        path = folder / ".env"
        try:
            values = dotenv.read(path, {})
        except KitError:
            continue
        names = [name for name, value in values.items() if name in reads and name not in known and value]
        if names:
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            return (
                f"{relative(path, project.folder)} of the project sets {', '.join(names[:NAMED])}{more}, and is for"
                " development: no image gets it. What the site needs of it belongs into .env.project"
            )
    return ""
