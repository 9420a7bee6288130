"""An application that is published under a path, which requests have in front of its own paths.

The path is that of `--script-name`, or in the field SCRIPT_NAME of a trusted proxy, if `--forwarder-headers` names it.
It is split as PEP 3333 defines: SCRIPT_NAME leads to the application, PATH_INFO is the rest. Together they are the
decoded path of the request target, which REQUEST_URI keeps as it was received.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import IO

from ropewalk.errors import ProtocolError
from ropewalk.http.forwarded import last_member, read_prefix
from ropewalk.http.head import RequestHead
from ropewalk.http.underscores import FieldTable, HeaderMap
from ropewalk.wsgi.environ import ConnectionEnviron, Environ, Fields, TrustedPeers

SCRIPT_NAME = "SCRIPT_NAME"


class MountedEnviron(ConnectionEnviron):
    """A `ConnectionEnviron` with a `script_name`, or with fields that only proxies may send (`of_proxy`).

    `of_proxy` are field names in capitals. What they mean is reserved for trusted proxies: with hyphens (`Remote-User`)
    they would have the same meta-variable, and are dropped.
    """

    __slots__ = ("_of_proxy", "_refuses", "_script_name")

    def __init__(
        self,
        base: Environ,
        trusted: TrustedPeers | None,
        script_name: str = "",
        of_proxy: Collection[str] = (),
        header_map: HeaderMap = "drop",
    ) -> None:
        super().__init__(base, trusted)
        self._script_name = script_name.encode().decode("latin-1")  # as PATH_INFO is
        self._of_proxy = of_proxy
        self._refuses = header_map == "refuse"

    def request(self, head: RequestHead, body: IO[bytes] | None) -> Environ:
        """As in the base class; also raises `ProtocolError` 404 for a path that is not the application's.

        Changes `head.path`, so that what applies to some paths (`--timeout-for`) applies to the application's own.
        """
        environ = super().request(head, body)
        script_name = self._script_name
        if SCRIPT_NAME in self._of_proxy:  # then only a trusted proxy can have set the variable
            script_name = read_prefix(last_member(environ.get(f"HTTP_{SCRIPT_NAME}", ""))) or script_name
        if head.request_target != "*":  # the server as a whole, and so "/" below any path
            environ["PATH_INFO"] = head.path = path_below(script_name, head.path)
        # After what X-Forwarded-Prefix says: a proxy that removed its own prefix may be in front of a longer one.
        environ[SCRIPT_NAME] += script_name
        return environ

    def _make(self, fields: Fields) -> Environ:
        environ = super()._make(fields)
        for name in self._of_proxy:
            environ.pop(f"HTTP_{name}", None)
        if isinstance(fields, FieldTable):
            if self.trusted is not None:
                environ.update({f"HTTP_{name}": value for name, value in fields.of_proxy.items()})
            elif self._refuses:
                raise ProtocolError(
                    400, f"{next(iter(fields.of_proxy))} from a peer that is not in --forwarded-allow-ips"
                )
        return environ


def path_below(script_name: str, path: str) -> str:
    """The rest of `path` after `script_name`: "" or a path. Raises `ProtocolError` 404 if it is not below it.

    Both are decoded, one character an octet. A whole number of segments has to match: "/shop" does not lead to
    "/shopping". Other requests are not passed on: the application would build links from the wrong base, and what a
    proxy restricts below the one path would be open at the other.
    """
    rest = path[len(script_name) :]
    if not path.startswith(script_name) or (rest and rest[0] != "/"):
        raise ProtocolError(404, f"the path does not begin with {script_name!r} (SCRIPT_NAME)")
    return rest
