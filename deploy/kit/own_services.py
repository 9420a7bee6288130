"""Which of the kit's own servers, PostgreSQL and Redis, `make adopt` chooses for a project, and how it says so."""

from collections.abc import Iterator, Mapping, Sequence

from kit import env_files
from kit.project import service_names
from kit.project.facts import Project

PROFILES = "COMPOSE_PROFILES"


def choose(project: Project, present: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """The kit's own servers that the project needs, unless somebody has decided: that comes first."""
    if present.get(PROFILES) is not None:
        return []
    wanted = (one for one in project.services.servers if one.is_wanted and not {*present, *own}.intersection(one.place))
    return list(dict.fromkeys(one.profile for one in wanted if one.profile))


def lines(project: Project, profiles: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Lines of .env: name, value, comment."""
    if not profiles:
        return
    yield (PROFILES, ",".join(profiles), "Servers of the kit's own that the project uses (docs/data.md)")
    if "redis" in profiles and not project.services.has_redis_password:
        yield ("REDIS_AUTH", "off", "The project has no variable for a password")


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
