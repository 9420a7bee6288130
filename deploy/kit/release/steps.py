"""The steps of a deployment and of a rollback. A step that fails leaves the old containers serving (kit.release.undo).

build     the images, under the tag of the release
release   new static files are added and the database is migrated, with the old containers serving
start     new containers beside the old ones, which nginx alone uses meanwhile
ready     nginx's container gets a right response from each, and the page `/` fails in none where it did not before
switch    nginx uses the new ones alone, and its workers with the old list accept nothing more: the release is live
static    files that nginx serves are replaced by those of the same name, if the release has changed any
drain     the old ones finish their requests, stop, and are removed
nginx     is replaced, if it has changed
others    services beside these are started or replaced
tidy      releases that are too old for a rollback are removed
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from kit import failures, publishing
from kit.release import answers, containers, delivery, images, journal, migrations, one_shot, page, services, undo
from kit.release.answers import Answer
from kit.release.build_log import BuildLog
from kit.release.containers import Container
from kit.release.engine import TICK
from kit.release.errors import ReleaseError
from kit.release.journal import Journal
from kit.release.proxy import every
from kit.release.site import ONE_SHOT, Site, required

BUILD_TIMEOUT = 2 * 3600.0  # seconds, for a project that compiles a lot
NGINX_PATIENCE = 10  # seconds for the requests in flight of an nginx that is replaced
WATCH_INTERVAL = 0.5  # seconds between two looks at containers that start

RECREATED = re.compile(r"Container (\S+)\s+Recreate$", re.MULTILINE)
"""What `docker compose --dry-run create` prints for a container whose configuration or image has changed."""


@dataclass
class Deployment:
    site: Site
    began: Journal
    tag: str
    """Of the release."""
    old: list[Container]
    is_forced: bool = False
    """Containers are replaced although nothing has changed."""
    may_break_page: bool = False
    """The user wants the release although the page `/` fails with it."""
    answer: Answer = field(default_factory=dict)
    """What the release's image says."""
    new: list[Container] = field(default_factory=list)
    is_needed: bool = True
    """False: what runs is the same, so the containers are left alone."""
    has_new_nginx: bool = False
    has_same_files: bool = False
    """The static files are known to be those that nginx serves."""
    migrations: list[str] = field(default_factory=list)
    """Those that this release adds."""
    has_migrated: bool = False
    """The database has them."""

    @property
    def count(self) -> int:
        return self.site.replicas or len(self.old)


class Step(NamedTuple):
    name: str
    text: Callable[[Deployment], str]
    run: Callable[[Deployment], None]
    is_wanted: Callable[[Deployment], bool] = lambda deployment: deployment.is_needed


def build_images(site: Site, environment: Mapping[str, str]) -> None:
    """Raises ReleaseError, with the kit's own reason if it has one: BuildKit prints lines of its own after it."""
    command = ("compose", "build", *site.build_options)
    here = delivery.builder(site)
    log = None if site.output.is_live else BuildLog(site.output.line)  # on a terminal, BuildKit shows all that itself
    done = site.engine.run(
        *command,
        timeout=BUILD_TIMEOUT,
        show=log.feed if log else True,
        environment=environment if here is None else {**environment, "DOCKER_HOST": here["DOCKER_HOST"]},
        meanwhile=log.look if log else None,
    )
    if done.status:
        said = failures.of_build(done.output).partition(": ")[2]
        lines = failures.end_of_build(done.output) if log else []
        reason = f"the image cannot be built: {said or done.reason}"
        raise ReleaseError(reason, lines, whole_log=log.place if log else "")
    delivery.deliver(site, here, environment.get("APP_IMAGE", ""))


def build(deployment: Deployment) -> None:
    site, release = deployment.site, deployment.began.release
    build_images(site, {"APP_IMAGE": release})
    image_id = images.find_id(site.engine, release)
    if not image_id:
        raise ReleaseError("the service app has another image than ${APP_IMAGE}, in a file that was added to the kit's")
    with _recreated(site, len(deployment.old)) as names:
        before, deployment.answer = answers.of_both(site.engine, deployment.old[0], release)
        changed = names()
    services.check_servers(site, changed)
    deployment.migrations = migrations.added(before, deployment.answer)
    find_changes(deployment, image_id, changed)


def find_changes(deployment: Deployment, image_id: str, changed: set[str]) -> None:
    """Whether anything has to be replaced. `changed`: the containers that compose would replace."""
    site = deployment.site
    nginx = {container.name for container in containers.find(site.engine, site.project, "nginx")}
    deployment.has_new_nginx = bool(nginx & changed)
    deployment.is_needed = (
        deployment.is_forced
        or deployment.count != len(deployment.old)
        or any(container.image_id != image_id or container.health != "healthy" for container in deployment.old)
        or bool(changed - nginx)
    )
    if not deployment.is_needed and deployment.began.is_new:
        images.remove_tag(site.engine, deployment.began.release)


def recreated(site: Site, count: int) -> set[str]:
    """The names of the application's and nginx's containers that `docker compose up` would replace."""
    with _recreated(site, count) as names:
        return names()


@contextmanager
def _recreated(site: Site, count: int) -> Iterator[Callable[[], set[str]]]:
    """The same while something else is done."""
    command = ("compose", "--dry-run", "create", "--no-build", f"--scale=app={count}", "nginx", "app")
    with site.engine.beside(*command) as ended:

        def names() -> set[str]:
            done = services.check_created(ended())
            return set(RECREATED.findall(done.output + done.errors))

        yield names


def prepare_data(deployment: Deployment) -> None:
    if adds := deployment.migrations:
        deployment.site.output.note(f"This release adds migrations: {migrations.named(adds)}", migrations=adds)
    one_shot.run(deployment.site, deployment.began.release, *one_shot.ADD)
    deployment.has_migrated = bool(adds)


def add_static_files(deployment: Deployment) -> None:
    """The data is left alone."""
    site = deployment.site
    if set(services.CHECKED) & set(site.servers):
        services.check_servers(site, recreated(site, len(deployment.old)))
    deployment.has_same_files = one_shot.are_published(deployment.site, deployment.answer)
    if deployment.has_same_files:
        deployment.site.output.note("The static files are those that nginx serves already")
    else:
        one_shot.run(deployment.site, deployment.began.release, *one_shot.ADD, *one_shot.WITHOUT_DATABASE)


def replace_static_files(deployment: Deployment) -> None:
    one_shot.replace_files(deployment.site, deployment.began.release)


def start(deployment: Deployment) -> None:
    site = deployment.site
    found, proxy = site.look()
    ended = [container for container in found if not container.is_up]
    containers.remove(site.engine, ended)  # compose would start them
    images.add_tag(site.engine, images.find_id(site.engine, deployment.began.release), site.image.name)
    scale = f"--scale=app={len(deployment.old) + deployment.count}"
    # nginx must use the old ones alone before the new ones start, not before they are created
    with site.engine.beside(
        "compose", "create", "--no-build", "--no-recreate", scale, "app", timeout=services.START_TIMEOUT
    ) as when_created:
        serving = [container for container in deployment.old if container.health == "healthy"]
        # until it is switched; an nginx of an earlier version of the kit cannot
        is_kept = not serving or required(proxy).use(serving, site.patience + 120, or_not_there=True)
        services.check_created(when_created())
    if not is_kept:
        site.output.note("nginx is of an earlier version of the kit: it is replaced first")
        replace_nginx(site)
        site.require_proxy().use(serving, site.patience + 120)
    created = _new(deployment)
    if len(created) != deployment.count:
        raise ReleaseError(f"compose has created {len(created)} new containers instead of {deployment.count}")
    services.start_containers(site, created)
    deployment.new = containers.inspect(site.engine, (container.identifier for container in created))


def _new(deployment: Deployment) -> list[Container]:
    """The containers of the application that were not there before."""
    found = deployment.site.containers()
    return [container for container in found if container.identifier not in deployment.began.old]


def wait_ready(deployment: Deployment) -> None:
    site = deployment.site
    began = time.monotonic()
    names = ", ".join(container.name for container in deployment.new)

    def look() -> None:
        site.output.waiting(began, f"waiting for {names}")
        found = containers.inspect(site.engine, (container.identifier for container in deployment.new))
        if len(found) < len(deployment.new):
            raise ReleaseError("a new container was removed by somebody else")
        check(found)

    def check(found: list[Container]) -> None:
        for container in found:
            if container.state != "running" or container.restarts or container.health == "unhealthy":
                raise services.failed(site, container)

    check(deployment.new)  # one that has ended already has no address
    proxy = site.require_proxy()
    done = proxy.wait_ready(deployment.new, site.patience, every(WATCH_INTERVAL, look), site.health_check)
    look()
    if done.status:
        raise services.failed(site, deployment.new[0], f"not ready within {site.patience} s: {done.reason}")
    if not deployment.may_break_page:
        page.check(site, proxy, deployment.old, deployment.new)


def switch(deployment: Deployment) -> None:
    site = deployment.site
    site.require_proxy().use(deployment.new, site.drain_timeout + 300, environment=site.health_check)
    site.engine.signals.defer()  # there is nothing left to undo: the rest is done whatever happens
    journal.mark_switched(site.engine, site.project)
    images.add_tag(site.engine, deployment.new[0].image_id, site.image.live)


def drain(deployment: Deployment) -> None:
    site = deployment.site
    # compose replaces what depends on a service that it replaces: this one must be up to date for the next `up`
    with site.engine.beside("compose", "create", "--no-build", ONE_SHOT, timeout=services.START_TIMEOUT) as created:
        undo.finish(site, deployment.began)
        services.check_created(created())


def nginx(deployment: Deployment) -> None:
    replace_nginx(deployment.site)


def replace_nginx(site: Site) -> None:
    """Its ports can have one owner, so it is out for a moment; the new one is checked before.

    Compose creates the new one, stops the old, and starts the new. A stopping nginx accepts nothing, so its requests in
    flight have NGINX_PATIENCE to end.
    """
    checked = site.engine.run(
        "compose", "run", "--rm", "--no-deps", "--no-TTY", "nginx", "check", timeout=services.START_TIMEOUT
    )
    if checked.status:
        raise ReleaseError(f"nginx: {checked.reason}", checked.errors.splitlines()[-failures.SHOWN_LINES :])
    began = time.monotonic()
    with site.engine.signals.shielded():
        command = ("compose", "up", "--detach", "--no-build", "--timeout", str(NGINX_PATIENCE), "nginx")
        done = site.engine.run(*command, timeout=services.START_TIMEOUT)
        if done.status:
            raise ReleaseError(f"docker compose up nginx: {publishing.explain(done.reason)}")
        while not ((proxy := site.proxy()) and proxy.is_serving):
            if time.monotonic() - began > site.patience:
                raise ReleaseError(f"nginx does not serve after {site.patience} s: make logs SERVICE=nginx")
            time.sleep(TICK)
    seconds = time.monotonic() - began
    site.output.note(f"nginx was out for at most {seconds:.1f} s", nginx_out=round(seconds, 3))


def others(deployment: Deployment) -> None:
    services.replace_others(deployment.site)


def tidy(deployment: Deployment) -> None:
    site = deployment.site
    for name in images.outdated(site.engine, site.image):
        images.remove_tag(site.engine, name)
    journal.remove(site.engine, site.project)


def always(_: Deployment) -> bool:
    return True


START = Step("start", lambda it: f"Start {_containers(it.count)} beside the old", start)
READY = Step("ready", lambda it: f"Wait until {'it is' if it.count == 1 else 'each is'} ready", wait_ready)
SWITCH = Step("switch", lambda it: "Switch nginx", switch)
STATIC = Step(
    "static",
    lambda it: "Replace static files that this release has changed",
    replace_static_files,
    lambda it: it.is_needed and not it.has_same_files and not one_shot.are_published(it.site, it.answer),
)
DRAIN = Step("drain", lambda it: f"Let {_containers(len(it.old), 'old ')} finish, and remove", drain)
OTHERS = Step(
    "others",
    lambda it: f"Update {', '.join(it.site.other_services)}",
    others,
    lambda it: bool(it.site.other_services),
)
TIDY = Step("tidy", lambda it: "Remove what is no longer needed", tidy, always)

DEPLOY = (
    Step("build", lambda it: f"Build {it.began.release}", build, always),
    Step("release", lambda it: "Add static files, migrate the database", prepare_data),
    START,
    READY,
    SWITCH,
    STATIC,
    DRAIN,
    Step("nginx", lambda it: "Replace nginx, which has changed", nginx, lambda it: it.has_new_nginx),
    OTHERS,
    TIDY,
)
ROLLBACK = (
    Step("release", lambda it: "Add static files", add_static_files),
    START,
    READY,
    SWITCH,
    STATIC,
    DRAIN,
    OTHERS,
    TIDY,
)


def _containers(number: int, kind: str = "") -> str:
    return f"{number} {kind}container{'s' if number != 1 else ''}"
