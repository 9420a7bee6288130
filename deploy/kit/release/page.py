"""The page `/`, requested once after a start: an application can be healthy, and still answer it with an error.

A warning with the reason from the application's log, no failure: the page may be one that nobody uses.
"""

import http.client
from urllib.parse import urlsplit

from kit import failures
from kit.release import steps
from kit.release.site import Site

TIMEOUT = 10
"""Seconds for a response."""
MOST_REDIRECTS = 3


def status_of(port: int, timeout: float = TIMEOUT) -> int:
    """Of the response to `GET /` at this machine's port, after redirects to other paths; 0 if there is none."""
    path = "/"
    for _ in range(MOST_REDIRECTS + 1):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            connection.request("GET", path, headers={"Host": f"localhost:{port}", "User-Agent": "make up"})
            response = connection.getresponse()
            target = urlsplit(response.headers.get("Location") or "")
            is_here = target.netloc in ("", f"localhost:{port}") and target.scheme in ("", "http")
            if not (300 <= response.status < 400 and target.path.startswith("/") and is_here):
                return response.status
            path = target.path + (f"?{target.query}" if target.query else "")
        except (OSError, http.client.HTTPException, ValueError):
            return 0
        finally:
            connection.close()
    return 0


def warn(site: Site, port: str) -> None:
    status = status_of(int(port)) if port.isdecimal() else 0
    if status < 500:
        return
    running = [container for container in site.containers() if container.is_up]
    logs = [failures.cause(steps.log_of(site, container.identifier)) for container in running]
    cause = next(filter(None, logs), "see make logs")
    site.output.note(f"Warning: the page / is answered with {status}: {cause}", status=status, cause=cause)
