"""`make down`, `make left-out`: the kit in Docker."""

from collections.abc import Mapping

from kit import compose
from kit.console import step
from kit.errors import KitError

IN_PROGRESS = (
    "a deployment of {project} is in progress: {who}. Wait for it, or end it with Ctrl-C; if it no longer runs:"
    " make down UNLOCK=1"
)


def left_out(environment: Mapping[str, str]) -> int:
    compose.check_docker(environment)
    for line in compose.left_out(environment):
        step(f"Not in the image: {line}")
    return 0


def down(environment: Mapping[str, str], *, unlocks: bool = False) -> int:
    """`unlocks`: also while a deployment is in progress. Raises KitError."""
    prepared = compose.prepare(environment)
    project = compose.project_name(prepared)
    if not unlocks and (who := deploys(prepared, project)):
        raise KitError(IN_PROGRESS.format(project=project, who=who))
    return compose.replace(["down"], prepared)


def deploys(prepared: Mapping[str, str], project: str) -> str:
    """Who deploys the project now; empty if nobody does."""
    # here, since the image's build has this file without that package
    from kit.release import lock
    from kit.release.engine import Engine
    from kit.release.errors import ReleaseError
    from kit.release.signals import Signals

    try:
        found = lock.find(Engine(prepared, Signals(), lambda _: None), project)
    except ReleaseError:  # it is nobody's lock
        return ""
    return found.in_progress if found else ""
