"""Under which name of this machine the application answers: Django's ALLOWED_HOSTS may have one of them alone."""

import re
from collections.abc import Sequence

from kit.release import containers, page
from kit.release.containers import Container
from kit.release.site import Site
from kit.variables import read

LOCAL = ("localhost", "127.0.0.1")
USUAL = {"http": "80", "https": "443"}
"""The ports that an address leaves out."""
REFUSED = 400
"""What Django responds with to another name."""
LOGGED = "Invalid HTTP_HOST header"
"""What it logs then."""


def allowed(port: int, names: Sequence[str], timeout: float = page.TIMEOUT) -> str:
    """The first name under which the page `/` is not answered with 400; "" if there is none."""
    return next((name for name in names if page.status_of(port, timeout, name) != REFUSED), "")


def of_server(site: Site, address: str) -> str:
    """For a site on another machine, which may not be reached from here: its own name, or the server's."""
    if address in ("127.0.0.1", "[::1]") or not site.server:
        return LOCAL[0]
    return next(iter(_own(site)), site.server.host)


def urls(site: Site, nginx: Container) -> list[str]:
    """Where the site is; empty if no port leads to it."""
    plain, tls = (nginx.published.get(f"{port}/tcp", "") for port in (8080, 8443))
    names = _own(site) or ([site.server.host] if site.server else list(LOCAL))
    is_here = not site.server and plain.isdecimal()
    host = (is_here and allowed(int(plain), names)) or names[0]
    return [url(scheme, host, port) for scheme, port in (("http", plain), ("https", tls)) if port]


def url(scheme: str, host: str, port: str) -> str:
    return f"{scheme}://{host}{'' if port == USUAL[scheme] else f':{port}'}"


def _own(site: Site) -> list[str]:
    return [name for name in read("SERVER_NAME", site.values).split() if re.fullmatch(r"[A-Za-z0-9][\w.-]*", name)]


def find(site: Site, port: str) -> str:
    """The name for the address to print. If the application allows none of the kit's, that is noted."""
    if not port.isdecimal():
        return LOCAL[0]
    # with SERVER_NAME, nginx answers under no other name
    names = _own(site) or list(LOCAL)
    name = allowed(int(port), names)
    if name:
        return name
    running = [container for container in site.containers() if container.is_up]
    if any(LOGGED in containers.log_of(site.engine, container.identifier) for container in running):
        site.output.note(
            f"Warning: the page / is answered with {REFUSED}: the application does not allow the name"
            f" {' or '.join(names)}. Add it to ALLOWED_HOSTS in the project's settings, or set SERVER_NAME in .env to a"
            " name that it allows",
            status=REFUSED,
        )
    return names[0]
