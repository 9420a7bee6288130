"""The page `/`: an application can be healthy, and still answer it with an error.

While the old containers serve, each new one is asked for it (`check`): one that fails where an old one does not ends
the deployment. After a start it is requested once more as a visitor would (`warn`). With nothing to compare, a failure
is a warning with the reason from the application's log, since the page may be one that nobody uses.

A 400 is a failure too: the application does not accept the name by which visitors know the site.
"""

import http.client
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from kit import failures
from kit.release import containers
from kit.release.containers import Container
from kit.release.errors import ReleaseError
from kit.release.proxy import Proxy
from kit.release.site import Site

TIMEOUT = 10
"""Seconds for a response."""
MOST_REDIRECTS = 3
MAINTENANCE = "the maintenance is on (make maintenance OFF)"
ASK = Path(__file__).with_name("ask_page")

REFUSED = 400
"""Django's status for a name that is not in ALLOWED_HOSTS."""

Ask = Callable[[Sequence[str]], str]
"""Runs a command in nginx's container, and returns what it printed."""


def status_of(port: int, timeout: float = TIMEOUT, name: str = "localhost") -> int:
    """Of the response to `GET /` at this machine's port, after redirects to other paths; 0 if there is none."""
    path = "/"
    for _ in range(MOST_REDIRECTS + 1):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Host": f"{name}:{port}", "User-Agent": "make up"})
            response = connection.getresponse()
            target = urlsplit(response.headers.get("Location") or "")
            is_here = target.netloc in ("", f"{name}:{port}") and target.scheme in ("", "http")
            if not (300 <= response.status < 400 and target.path.startswith("/") and is_here):
                return response.status
            path = target.path + (f"?{target.query}" if target.query else "")
        except (OSError, http.client.HTTPException, ValueError):
            return 0
        finally:
            connection.close()
    return 0


def status_inside(ask: Ask, address: str) -> int:
    """Of the response to `GET /` of the container at this address, as nginx would request it; 0 if there is none.

    A redirect to another path of the site is followed, and so is one to https, which nginx would end.
    """
    scheme, path = "http", "/"
    for _ in range(MOST_REDIRECTS + 1):
        words = [
            "timeout",
            str(TIMEOUT),
            "bash",
            "-c",
            ASK.read_text(encoding="utf-8"),
            ASK.name,
            address,
            scheme,
            path,
        ]
        status, target = _read(ask(words), scheme)
        if not target:
            return status
        scheme, path = target
    return 0


def _read(said: str, scheme: str) -> tuple[int, tuple[str, str] | None]:
    """The status, and the scheme and path of a redirect that stays on the site, from what ask_page printed."""
    found = re.search(r"^HTTP/\S+ (\d{3})\b", said, re.MULTILINE)
    status = int(found[1]) if found else 0
    host, location = (
        (match[1].strip() if (match := re.search(rf"^{name}:(.*)$", said, re.MULTILINE | re.IGNORECASE)) else "")
        for name in ("host", "location")
    )
    if not (300 <= status < 400 and location) or re.search(r"\s", location):
        return status, None
    try:
        target = urlsplit(location)
        is_here = not target.netloc or target.hostname == urlsplit(f"//{host}").hostname
    except ValueError:
        return status, None
    if not is_here or not target.path.startswith("/") or target.scheme not in ("", "http", "https"):
        return status, None
    return status, (target.scheme or scheme, target.path + (f"?{target.query}" if target.query else ""))


def fails(status: int) -> bool:
    return status == REFUSED or status >= 500


def name_of(values: Mapping[str, str]) -> str:
    """The name by which visitors know the site, as ask_page finds it: the first in SERVER_NAME that is no pattern."""
    names = values.get("SERVER_NAME", "").split()
    return next((name for name in names if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]*", name)), "")


def cause(status: int, log: str, values: Mapping[str, str]) -> str:
    """Why the page failed; empty if nothing says so."""
    if status == REFUSED:
        name = name_of(values) or "localhost"
        return f"the application does not accept the name {name}, which ALLOWED_HOSTS in Django's settings has to have"
    return failures.cause(log)


def check(site: Site, proxy: Proxy, old: Sequence[Container], new: Iterable[Container]) -> None:
    """Raises ReleaseError if a new container answers with a 400 or a 5xx, and an old one does not."""
    for container in new:
        # twice: the first request may have met something else that has just started
        if not fails(_status(proxy, container)) or not fails(status := _status(proxy, container)):
            continue
        before = next(filter(None, (_status(proxy, each) for each in old if each.health == "healthy")), 0)
        if before and not fails(before):
            log = containers.log_of(site.engine, container.identifier)
            why = cause(status, log, site.values) or "its log has no exception"
            command = "rollback" if site.output.command == "rollback" else "deploy"
            raise ReleaseError(
                f"{container.name}: the page / is answered with {status}, and with {before} by the release that serves:"
                f" {why}. To go on all the same: make {command} FORCE=1",
                failures.explain(container.failure, log).lines,
                log,
            )


def _status(proxy: Proxy, container: Container) -> int:
    (address,) = proxy.addresses([container])
    return status_inside(proxy.ask, address)


def warn(site: Site, application: Sequence[Container], proxy: Proxy) -> None:
    running = [container for container in application if container.is_up]
    is_maintained = proxy.is_maintained
    if is_maintained:
        site.output.note(f"Visitors do not see this yet: {MAINTENANCE}", maintenance=True)
    # the port of a server may be open to itself alone, and nginx answers no other name than the site's, if it has one
    if is_maintained or site.server or name_of(site.values):
        status = max((_status(proxy, each) for each in running if each.health == "healthy"), default=0)
    else:
        port = proxy.nginx.published.get("8080/tcp", "")
        status = status_of(int(port)) if port.isdecimal() else 0
    if not fails(status):
        return
    found = (cause(status, containers.log_of(site.engine, each.identifier), site.values) for each in running)
    why = next(filter(None, found), "see make logs")
    site.output.note(f"Warning: the page / is answered with {status}: {why}", status=status, cause=why)
