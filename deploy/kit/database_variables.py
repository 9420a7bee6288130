"""Variables without which a project has no database, and does not say so: `make up` refuses, `make run` gives them one.

Which these are: kit.project.database_names.
"""

from collections.abc import Collection, Iterator, Mapping

from kit import env_files
from kit.errors import KitError
from kit.project import database_names
from kit.project.environment_names import EnvironmentName
from kit.project.facts import Project

OF_PROFILES = {"postgres": ("DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE")}
"""What the kit's own services set (deploy/postgres/entrypoint)."""


def check(project: Project, values: Mapping[str, str], given: Collection[str]) -> None:
    """Raises KitError for a variable of the database that the application's container does not get.

    `values` are the kit's variables, `given` the names of the container's.
    """
    profiles = values.get("COMPOSE_PROFILES", "").split(",")
    known = {*given, *(name for profile in profiles for name in OF_PROFILES.get(profile, ()))}
    for variable in missing(project, known):
        value = database_names.PROPOSALS.get(variable.database, "...")
        raise KitError(
            f"{variable.name} names the project's database ({variable.origin}) and is not set, so the site could not"
            f" write: add {variable.name}={value} to {env_files.PROJECT_FILE}"
        )


def missing(project: Project, given: Collection[str]) -> Iterator[EnvironmentName]:
    for variable in project.environment_names:
        if variable.database and variable.is_required and not {variable.name, f"{variable.name}_FILE"} & {*given}:
            yield variable


def proposals(project: Project, given: Collection[str]) -> dict[str, str]:
    """Values for those that are missing, where the kit has one: in the data volume."""
    found = {each.name: database_names.PROPOSALS.get(each.database, "") for each in missing(project, given)}
    return {name: value for name, value in found.items() if value}
