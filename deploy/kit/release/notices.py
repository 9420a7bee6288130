"""What a deployment says of the project before it builds: what the image lacks or gets, what strangers would see."""

from collections.abc import Iterator, Mapping

from kit import compose, env_files, uploads
from kit.doctor import settings
from kit.project.facts import Project


def of(project: Project | None, environment: Mapping[str, str], values: Mapping[str, str]) -> Iterator[str]:
    """`project`: None if it cannot be understood; `values`: the kit's variables. Raises KitError."""
    # The build prints it too, but not if its steps are cached, and on a terminal only for a moment.
    for line in compose.left_out(environment):
        yield f"Not in the image: {line}"
    if note := compose.assets_note(environment):
        yield note
    if project is None:
        return
    for found in uploads.find(project, values):
        yield uploads.note(found)
    for line in exposure(project, values):
        yield f"Warning: {line}"


def exposure(project: Project, values: Mapping[str, str]) -> Iterator[str]:
    """What shows code and settings to strangers, if others reach the site: a DEBUG that is on."""
    if not settings.is_public(values):
        return
    own = env_files.read_project(values)
    given = {**values, **own}
    switches = [one for one in project.debug_switches if one.is_on(given)]
    is_on = bool(switches or project.debug_in_code)
    fixed = {"DEBUG": project.debug_in_code}
    for found in settings.check_debugging(given, fixed, is_on, public=True, switches=switches, own=own):
        if found.mend:
            yield f"{found.what}. Mend: {found.mend}"
