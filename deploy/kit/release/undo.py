"""Undoing a deployment, or finishing it, from what the engine knows: a failed one, an interrupted one, and one whose
process was killed take the same way. Everything here can be repeated."""

from kit.release import containers, images, journal, one_shot
from kit.release.containers import Container
from kit.release.errors import ReleaseError
from kit.release.journal import Journal
from kit.release.proxy import Proxy
from kit.release.site import Site, required

QUICK = 15
"""Seconds in which the new containers of a deployment that was killed must be ready, if it is to be finished."""


def undo(site: Site, began: Journal) -> None:
    """The containers from before serve, and nothing of the deployment remains. Raises ReleaseError."""
    one_shot.remove(site, began.release)
    old, new = _sort(site, began)
    if lost := [container.identifier for container in old if not container.is_up]:
        site.engine.run("start", *lost)
        old, new = _sort(site, began)
    proxy = site.proxy()
    if new and proxy and old:
        _give_back(site, proxy, old)
    containers.stop(site.engine, [container for container in new if container.state == "running"])
    containers.remove(site.engine, new)
    if began.latest:
        images.add_tag(site.engine, began.latest, site.image.name)
    if began.live:
        images.add_tag(site.engine, began.live, site.image.live)
    if began.is_new:
        images.remove_tag(site.engine, began.release)
        _name_nginx(site)
    if proxy:
        proxy.free()
    journal.remove(site.engine, site.project)


def _name_nginx(site: Site) -> None:
    """The image of nginx that runs is the one that `docker compose up` would start, although another one was built."""
    name = site.services.get("nginx", {}).get("image")
    if name and (running := containers.find(site.engine, site.project, "nginx")):
        site.engine.run("tag", running[0].image_id, name)  # a name with a digest has not moved


def _give_back(site: Site, proxy: Proxy, old: list[Container]) -> None:
    """Requests go to the old containers alone. If none is ready, as before the deployment, nginx is left alone."""
    ready = [container for container in old if container.state == "running" and container.health != "unhealthy"]
    try:
        proxy.use(ready, site.drain_timeout + 120)
        proxy.drain(site.drain_timeout)
    except ReleaseError as error:
        site.output.note(f"The containers from before do not serve: {error}")


def finish(site: Site, began: Journal, timeout: float | None = None) -> None:
    """The old containers finish their requests and are removed. nginx has been switched. Raises ReleaseError."""
    found, running = site.look()
    proxy = required(running)
    old = [container for container in found if container.identifier in began.old]
    if not proxy.drain(int(timeout or site.drain_timeout)):
        site.output.note("nginx has ended requests that took too long")
    containers.stop(site.engine, old)
    with proxy.freed():
        containers.remove(site.engine, old)


def recover(site: Site) -> None:
    """Undoes or finishes the deployment whose process did not come to its end, if there is one. Raises ReleaseError."""
    began = journal.read(site.engine, site.project)
    if began is None:
        return
    tag = began.release.rpartition(":")[2]
    if began.is_switched and _is_ready(site, began):
        with site.output.step("recover", f"Finish the deployment of {tag}, which was cut short"):
            images.add_tag(site.engine, images.find_id(site.engine, began.release), site.image.live)
            one_shot.remove(site, began.release)
            one_shot.replace_files(site, began.release)
            finish(site, began)
            journal.remove(site.engine, site.project)
    elif any(container.is_up for container in _sort(site, began)[0]):
        with site.output.step("recover", f"Undo the deployment of {tag}, which was cut short"):
            undo(site, began)
    else:
        # None of the containers from before is there: what is there now is all there is.
        site.output.note(f"The deployment of {tag} was cut short, and the containers from before it have gone")
        journal.remove(site.engine, site.project)


def _is_ready(site: Site, began: Journal) -> bool:
    """Whether the new containers can serve alone; nginx then uses them alone, also if it was restarted since."""
    _, new = _sort(site, began)
    proxy = site.proxy()
    if not new or proxy is None or not all(container.state == "running" for container in new):
        return False
    try:
        if proxy.wait_ready(new, QUICK, lambda: None, site.health_check).status:
            return False
        proxy.use(new, site.drain_timeout + 120, environment=site.health_check)
    except ReleaseError:
        return False
    return True


def _sort(site: Site, began: Journal) -> tuple[list[Container], list[Container]]:
    """The application's containers from before the deployment, and its own."""
    found = site.containers()
    old = [container for container in found if container.identifier in began.old]
    return old, [container for container in found if container.identifier not in began.old]
