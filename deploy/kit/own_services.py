"""What `make adopt` writes into .env about services: which of the kit's own servers, PostgreSQL and Redis, a project
uses, and the commands of its queue's worker and scheduler, which run once their profiles are on."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from kit import env_files
from kit.project import service_names, workers
from kit.project.facts import Project

PROFILES = "COMPOSE_PROFILES"


def choose(project: Project, present: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """The kit's own servers that the project needs, unless somebody has decided: that comes first."""
    if present.get(PROFILES) is not None:
        return []
    wanted = (one for one in project.services.servers if one.is_wanted and not {*present, *own}.intersection(one.place))
    return list(dict.fromkeys(one.profile for one in wanted if one.profile))


class Line(NamedTuple):
    name: str
    value: str
    comment: str
    is_proposal: bool = False
    """Whether it is written as a comment."""


def lines(project: Project, profiles: Sequence[str], present: Mapping[str, str]) -> Iterator[Line]:
    """Of .env."""
    if profiles:
        yield from _server_lines(project, profiles)
    on = present.get(PROFILES) or ",".join(profiles)
    if found := project.services.workers[:1]:
        comment = f"A worker of {found[0].name}, which runs with {line_of(on, 'worker')} (docs/workers.md)"
        yield Line("WORKER_COMMAND", found[0].command, comment, workers.UNKNOWN in found[0].command)
    if one := project.services.scheduler:
        comment = f"{one.name} in the Procfile, which runs with {line_of(on, 'scheduler')} (docs/workers.md)"
        yield Line("SCHEDULER_COMMAND", one.command, comment)


def line_of(on: str, *added: str) -> str:
    """The line of .env with more profiles than those that are on."""
    return f"{PROFILES}={','.join(dict.fromkeys([*(name for name in on.split(',') if name), *added]))}"


def _server_lines(project: Project, profiles: Sequence[str]) -> Iterator[Line]:
    yield Line(PROFILES, ",".join(profiles), "Servers of the kit's own that the project uses (docs/data.md)")
    if "redis" in profiles and not project.services.has_redis_password:
        yield Line("REDIS_AUTH", "off", "The project has no variable for a password")


def text(project: Project, profiles: Sequence[str]) -> str:
    """What was chosen, and the other way."""
    servers = [one for one in project.services.servers if one.profile in profiles]
    names = sorted({name for profile in profiles for name in project.services.names.get(profile, {})})
    given = f", which give{'s' * (len(servers) == 1)} the project its {', '.join(names)}" if names else ""
    place = ", ".join(dict.fromkeys(name for one in servers for name in one.place))
    return (
        f"{PROFILES}={','.join(profiles)} in .env: {' and '.join(one.name for one in servers)} of the kit's own{given}."
        f" For a server elsewhere, remove that line and set {place} in {env_files.PROJECT_FILE}"
    )


def given_by(profile: str, project: Project) -> list[str]:
    """The variables that a server of the kit's own sets."""
    parts = {"postgres": service_names.POSTGRES, "redis": service_names.REDIS}.get(profile, {})
    return [*parts.values(), *project.services.names.get(profile, {})]
