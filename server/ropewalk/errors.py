"""The exceptions that layers share. Each is raised where the error is found and handled in one place.

`ProtocolError` is an error of the peer and carries the status code of the response; `ApplicationError` is one of the
application and becomes a 500; `ConfigError` is one of the operator and ends the start with exit status 2.
"""

from __future__ import annotations

from collections.abc import Iterable

TLS_ON_HTTP = "it speaks HTTPS, and this port speaks HTTP"
"""The detail of a refusal that Django has a sentence for."""


class ProtocolError(Exception):
    """A request that RFC 9110 or RFC 9112, or one of our limits, refuses.

    `status_code` is that of the response; `detail` is for the log and is never sent to the peer.
    """

    def __init__(self, status_code: int, detail: str) -> None:
        super().__init__(status_code, detail)
        self.status_code = status_code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"


class OverloadError(ProtocolError):
    """A request that has nothing wrong with it, but cannot be served now: 503 with Retry-After.

    `reason` is the name under which it is counted.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(503, f"overloaded: {detail}")
        self.reason = reason


class PeerGoneError(OSError):
    """The peer closed the connection, or did not take the response in time: nobody reads the rest of it."""


class FileTruncatedError(OSError):
    """A file became shorter while it was sent."""


class ApplicationError(Exception):
    """The application violated PEP 3333; the message says how."""


class ConfigError(Exception):
    """A setting that the operator must change; `str()` is one line: `--threads='many': must be an integer from ...`.

    `setting` is its name as the operator writes it, `value` what it was (None: no value), `allowed` what is allowed,
    `source` where the value came from if not from the setting's own option.
    """

    def __init__(self, setting: str, value: object, allowed: str, source: str = "") -> None:
        super().__init__(setting, value, allowed, source)
        self.setting = setting
        self.value = value
        self.allowed = allowed
        self.source = source

    def __str__(self) -> str:
        value = "" if self.value is None else f"={str(self.value)!r}"
        source = f" (from {self.source})" if self.source else ""
        return f"{self.setting}{value}{source}: {self.allowed}"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The name in `known` that `name` is probably a misspelling of, or ""; `cutoff` is difflib's ratio."""
    import difflib  # not needed unless something is misspelled

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return near[0] if near else ""
