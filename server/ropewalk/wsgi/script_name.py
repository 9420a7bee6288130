"""An application that is published under a path, `--script-name`, which requests have in front of its own paths.

The path is split as PEP 3333 defines: SCRIPT_NAME leads to the application, PATH_INFO is the rest. Together they are
the decoded path of the request target, which REQUEST_URI keeps as it was received.
"""

from __future__ import annotations

from typing import IO

from ropewalk.errors import ProtocolError
from ropewalk.http.head import RequestHead
from ropewalk.wsgi.environ import ConnectionEnviron, Environ, TrustedPeers


class MountedEnviron(ConnectionEnviron):
    """A `ConnectionEnviron` for an application under `script_name`, which is not empty."""

    __slots__ = ("_script_name",)

    def __init__(self, base: Environ, trusted: TrustedPeers | None, script_name: str) -> None:
        super().__init__(base, trusted)
        self._script_name = script_name.encode().decode("latin-1")  # as PATH_INFO is

    def request(self, head: RequestHead, body: IO[bytes] | None) -> Environ:
        """As in the base class; also raises `ProtocolError` 404 for a path that is not the application's.

        Changes `head.path`, so that what applies to some paths (`--timeout-for`) applies to the application's own.
        """
        environ = super().request(head, body)
        if head.request_target != "*":  # the server as a whole, and so "/" below any path
            environ["PATH_INFO"] = head.path = path_below(self._script_name, head.path)
        # After what X-Forwarded-Prefix says: a proxy that removed its own prefix may be in front of a longer one.
        environ["SCRIPT_NAME"] += self._script_name
        return environ


def path_below(script_name: str, path: str) -> str:
    """The rest of `path` after `script_name`: "" or a path. Raises `ProtocolError` 404 if it is not below it.

    Both are decoded, one character an octet. A whole number of segments has to match: "/shop" does not lead to
    "/shopping". Other requests are not passed on: the application would build links from the wrong base, and what a
    proxy restricts below the one path would be open at the other.
    """
    rest = path[len(script_name) :]
    if not path.startswith(script_name) or (rest and rest[0] != "/"):
        raise ProtocolError(404, f"the path does not begin with {script_name!r} (--script-name)")
    return rest
