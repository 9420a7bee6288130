"""The container of a deployment's release: static files, migrations.

Before nginx is switched, only files with names that are not there yet are added: others, and the URLs that nginx serves
itself, are what the old release serves, also if this one fails. They are replaced once nginx is switched.
"""

from kit import failures
from kit.release import answers, services
from kit.release.answers import Answer
from kit.release.errors import ReleaseError
from kit.release.frames import WithoutFrames
from kit.release.site import ONE_SHOT, Site

MIGRATION_TIMEOUT = 12 * 3600.0  # seconds; Ctrl-C ends it before
ADD = ("--env", "ONLY_NEW_FILES=1")
WITHOUT_DATABASE = ("--env", "ONLY_STATIC_FILES=1", "--env", "MIGRATE_COMMAND=true")
"""The second for images that do not know the first."""


def name(project: str, release: str) -> str:
    return f"{project}-{ONE_SHOT}-{release.rpartition(':')[2]}"


def run(site: Site, release: str, *options: str) -> None:
    """Raises ReleaseError."""
    services.start_servers(site)
    words = ("--rm", "--no-deps", "--no-TTY", "--name", name(site.project, release), *options, ONE_SHOT)
    done = site.engine.run(
        "compose",
        "run",
        *words,
        timeout=MIGRATION_TIMEOUT,
        show=WithoutFrames(site.output.show),
        environment={"APP_IMAGE": release},
    )
    if done.status:
        ended = failures.Container(ONE_SHOT, "", "exited", done.status, "", "", "")
        failure = failures.explain(ended, done.output)
        raise ReleaseError(f"{ONE_SHOT}: {failure.reason}", failure.lines, done.output)


def remove(site: Site, release: str) -> None:
    """That of a deployment whose process was killed: it may run still, and has the name."""
    site.engine.run("rm", "--force", "--volumes", name(site.project, release))


def replace_files(site: Site, release: str) -> None:
    """Those whose names have no hash of their content. Raises ReleaseError."""
    run(site, release, *WITHOUT_DATABASE)


def are_published(site: Site, answer: Answer) -> bool:
    return answers.is_published(answer, site.require_proxy().ask(("cat", answers.PUBLISHED)))
