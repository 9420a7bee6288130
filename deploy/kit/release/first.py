"""`make up` and `make deploy` when nothing serves yet, so that there is nothing to replace: `docker compose up`."""

import re
from collections.abc import Iterator

from kit import failures, publishing
from kit.release import containers, hosts, images, one_shot, page, services, steps
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.site import ONE_SHOT, Site
from kit.variables import read

WARNING = re.compile(r"release: warning: (.+)")


def build(site: Site) -> str:
    """Builds the images; returns the id of the application's. Raises ReleaseError."""
    with site.output.step("build", "Build the images"):
        steps.build_images(site, {})
    return images.find_id(site.engine, site.image.name)


def start(site: Site, tag: str) -> int:
    """Starts the services and waits until they are healthy; returns the exit status. Raises ReleaseError."""
    with site.output.step("start", "Start the services"):
        before = containers.all_of(site.engine, site.project)
        arguments = ("up", "--no-build", "--wait", "--detach")
        try:
            done = site.engine.run("compose", *arguments, timeout=one_shot.MIGRATION_TIMEOUT, show=True)
            if done.status:
                raise _failure(site, [each.failure for each in before], publishing.explain(done.reason))
            services.watch(site)
        except (ReleaseError, InterruptedByUser):
            site.engine.signals.defer()
            _free_ports(site)
            raise
    if image_id := images.find_id(site.engine, site.image.name):
        images.add_tag(site.engine, image_id, site.image.release(tag))
        images.add_tag(site.engine, image_id, site.image.live)
    for line in _warnings(site):
        site.output.note(line)
    address, port = published(site, 8080)
    application, proxy = site.look()
    if proxy:
        page.warn(site, application, proxy)
    services.note_certificate(site)
    if site.server and address in ("127.0.0.1", "[::1]"):
        site.output.note(
            f"Only {site.server.host} itself reaches it. To see it here: {site.server.tunnel(port)}; for everybody:"
            " HTTP_ADDRESS=0.0.0.0 in .env"
        )
    host = hosts.of_server(site, address) if site.server else hosts.find(site, port)
    site.output.result(f"Serving {' and '.join(addresses(site, host))}; make logs, make down", tag=tag)
    return 0


def _warnings(site: Site) -> Iterator[str]:
    """Those of the release, which compose does not show."""
    for each in containers.find(site.engine, site.project, ONE_SHOT):
        for line in containers.log_of(site.engine, each.identifier).splitlines():
            if found := WARNING.match(line):
                yield f"Warning: {found[1]}"


def _free_ports(site: Site) -> None:
    """nginx does not stay in front of nothing. If the application runs, it does: its response may say what is wrong."""
    nginx = [each for each in containers.find(site.engine, site.project, "nginx") if each.is_up]
    if not nginx:
        return
    if any(each.is_up for each in site.containers()):
        site.output.note("nginx and the application go on running, to look at; make down ends them")
        return
    containers.stop(site.engine, nginx)
    site.output.note("nginx is stopped, since there is nothing to serve: its ports are free")


def addresses(site: Site, host: str = "localhost") -> list[str]:
    found = [hosts.url("http", host, published_port(site, 8080))]
    if read("HTTPS", site.values) == "1":
        found.append(hosts.url("https", host, published_port(site, 8443)))
    return found


def published(site: Site, port: int) -> tuple[str, str]:
    """The address and the port of the engine's machine that lead to nginx's `port`."""
    address, _, number = site.engine.output("compose", "port", "nginx", str(port)).rpartition(":")
    return address, number


def published_port(site: Site, port: int) -> str:
    return published(site, port)[1]


def _failure(site: Site, before: list[failures.Container], reason: str) -> ReleaseError:
    """The last lines of the service that failed, and why."""
    now = [each.failure for each in containers.all_of(site.engine, site.project)]
    container = failures.failed(now, before)
    if container is None:
        return ReleaseError(reason)
    failure = failures.explain(container, containers.log_of(site.engine, container.identifier))
    # a plain docker compose asks this machine's engine
    compose = "python3 -I deploy/kit compose" if site.server else f"docker compose -p {site.project}"
    command = f"{compose} logs {failure.service}"
    return ReleaseError(f"{failure.service}: {failure.reason}", failure.lines, whole_log=command)
