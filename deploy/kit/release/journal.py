"""What a deployment found when it began, kept in the engine, so that whatever becomes of this process the next one can
undo it or finish it: the labels of a container that is created and never started.

Its name says how far the deployment has come, since labels cannot change: a container is renamed in one step.
"""

import json
from typing import NamedTuple

from kit.release.engine import Engine
from kit.release.errors import ReleaseError

LABEL = "ropewalk.journal"


class Journal(NamedTuple):
    release: str
    """The tag of the release that is being deployed, with the repository."""
    is_new: bool
    """It is built by this deployment, so its tag is removed if that fails."""
    old: list[str]
    """The ids of the application's containers that ran before."""
    latest: str
    """The id of the image that `latest` named; empty: none."""
    live: str
    """The id of the image that `live` named; empty: none."""
    is_switched: bool = False
    """nginx uses the new containers alone; the old ones remain to be stopped."""


def name(project: str, *, is_switched: bool) -> str:
    return f"{project}-deployment-{'switched' if is_switched else 'begun'}"


def write(engine: Engine, project: str, journal: Journal, image_id: str) -> None:
    label = f"--label={LABEL}={json.dumps(journal[:5])}"
    engine.output("create", "--name", name(project, is_switched=False), "--network", "none", label, image_id)


def mark_switched(engine: Engine, project: str) -> None:
    """From now on the deployment is finished, not undone."""
    engine.output("rename", name(project, is_switched=False), name(project, is_switched=True))


def read(engine: Engine, project: str) -> Journal | None:
    """That of a deployment which has not come to its end. Raises ReleaseError if it is another version's."""
    names = [name(project, is_switched=is_switched) for is_switched in (True, False)]
    template = f'{{{{.Name}}}} {{{{index .Config.Labels "{LABEL}"}}}}'
    found = engine.run("container", "inspect", "--format", template, *names)
    for line in filter(None, found.output.splitlines()):  # those that exist, and a blank line if there is none
        found_name, _, text = line.removeprefix("/").partition(" ")
        try:
            release, is_new, old, latest, live = json.loads(text)
        except ValueError:
            raise ReleaseError(f"the container {found_name} is not a deployment's: remove it") from None
        return Journal(release, is_new, old, latest, live, found_name == names[0])
    return None


def remove(engine: Engine, project: str) -> None:
    engine.run("rm", "--volumes", *(name(project, is_switched=is_switched) for is_switched in (True, False)))
