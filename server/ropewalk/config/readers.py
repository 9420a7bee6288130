"""Readers: functions that turn what a user wrote into a setting's value.

A reader takes text (from an option or a variable), or a value of Python or TOML (from a file, or from a program that
embeds the server). It returns the setting's value, or raises ValueError with what is allowed. Readers do not know where
a value came from; `table.Setting.read` adds that to the error.

It is long because there are many kinds of values. Each reader can be read by itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ropewalk.net.listeners.address import parse_address

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

DAY = 86400.0

Reader = Callable[[object], Any]

_INTEGER = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_ACCOUNT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@$\\-]{0,255}")
_MODE = re.compile(r"(?=0)(?:0o)?([0-7]{1,4})", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})\s*([kKmMgG]?)(?:i?[bB])?", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._:/@-]{0,128}", re.ASCII)
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FIELD_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_UNDERSCORE_NAME = re.compile(r"(?=.*_)[A-Za-z0-9_]{1,80}", re.ASCII)
_HOST_PATTERN = re.compile(r"(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_UNITS = {"": 1, "k": KIB, "m": MIB, "g": GIB}


def integer(low: int, high: int, *, why: str = "") -> Reader:
    """An integer from `low` to `high`; `why` explains bounds that are not obvious."""
    allowed = f"must be an integer from {low} to {high}" + (f" ({why})" if why else "")

    def read(value: object) -> int:
        return _within(_parse_integer(value, _INTEGER, allowed), low, high, allowed)

    return read


def seconds(low: float, high: float, *, zero: str = "") -> Reader:
    """A duration in seconds from `low` to `high`; `zero` says what 0 means, if that is allowed too."""
    allowed = f"must be a number of seconds from {low:g} to {high:g}" + (f", or 0 ({zero})" if zero else "")

    def read(value: object) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_digits = isinstance(value, str) and _SECONDS.fullmatch(value.strip())
        if not (is_number or is_digits):
            raise ValueError(allowed)
        duration = float(value)  # type: ignore[arg-type]  # one of the two
        if (zero and duration == 0) or low <= duration <= high:
            return duration
        raise ValueError(allowed)

    return read


def size(low: int, high: int, *, zero: str = "") -> Reader:
    """A size in bytes, optionally with the suffix k, M or G (powers of 1024)."""
    allowed = f"must be a size from {shown_size(low)} to {shown_size(high)} (such as 4096, 512k, 20M or 1G)"
    allowed += f", or 0 ({zero})" if zero else ""

    def read(value: object) -> int:
        if isinstance(value, str):
            match = _SIZE.fullmatch(value.strip())
            if match is None:
                raise ValueError(allowed)
            count = int(match[1]) * _UNITS[match[2].lower()]
        else:
            count = _parse_integer(value, _INTEGER, allowed)
        return count if zero and count == 0 else _within(count, low, high, allowed)

    return read


class Mode(int):
    """The mode of a file, which is written in octal."""

    def __str__(self) -> str:
        return f"0o{self:03o}"

    __repr__ = __str__


def mode(example: str) -> Reader:
    """The mode of a file in octal; None, or empty text, for none."""
    allowed = f"must be an octal mode from 0 to 0777 with a leading 0, such as {example}"

    def read(value: object) -> Mode | None:
        if value is None or value == "":
            return None
        if isinstance(value, str):
            # 22 is decimal for gunicorn and octal for chmod(1), so it is refused.
            match = _MODE.fullmatch(value.strip())
            if match is None:
                raise ValueError(allowed)
            value = int(match[1], 8)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 0o777:
            raise ValueError(allowed)
        return Mode(value)

    return read


def text(*, allowed: str = "must be text without control characters") -> Reader:
    """Text, possibly empty."""

    def read(value: object) -> str:
        if not isinstance(value, str) or (value and not value.isprintable()):
            raise ValueError(allowed)
        return value

    return read


def account(kind: str) -> Reader:
    """The name or number of a user or group, as text, possibly empty. Whether it exists is checked later."""

    def read(value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return str(value)
        if value is None or (isinstance(value, str) and (value == "" or _ACCOUNT.fullmatch(value))):
            return value or ""
        raise ValueError(f"must be the name or number of a {kind}")

    return read


def path() -> Reader:
    """A path, possibly empty for none."""

    def read(value: object) -> str:
        if hasattr(value, "__fspath__"):
            value = value.__fspath__()
        if not isinstance(value, str) or "\0" in value:
            raise ValueError("must be a path")
        return value

    return read


class Choice:
    """A reader of one of `names`, in any case; `also` maps the spellings of another server to them."""

    def __init__(self, names: Iterable[str], *, also: Mapping[object, str] | None = None) -> None:
        self.names = tuple(names)
        self._others = {str(other): name for other, name in (also or {}).items()}
        self._allowed = "must be one of " + ", ".join(self.names)

    def __call__(self, value: object) -> str:
        if not isinstance(value, bool) and str(value) in self._others:
            return self._others[str(value)]
        if isinstance(value, str) and value.strip().lower() in self.names:
            return value.strip().lower()
        raise ValueError(self._allowed)


def switch(value: object) -> bool:
    """True or False."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in _SWITCHES:
        return _SWITCHES[value.strip().lower()]
    raise ValueError("must be true or false")


_SWITCHES = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
"""Spellings in variables."""


def several(read_item: Reader, *, separator: str = ",", allowed: str, at_least: int = 0) -> Reader:
    """A tuple of items, from a sequence or from one text with a `separator` ("": the text is a single item)."""

    def read(value: object) -> tuple[Any, ...]:
        if isinstance(value, str):
            parts = value.split(separator) if separator else [value]
            items: list[object] = [part.strip() for part in parts if part.strip()]
        elif isinstance(value, list | tuple):
            items = list(value)
        else:
            raise ValueError(allowed)
        if len(items) < at_least:
            raise ValueError(allowed)
        return tuple(read_item(item) for item in items)

    return read


def address(value: object) -> str:
    """An address to listen at, as `net.listeners.address` reads it; kept as it was written."""
    if not isinstance(value, str):
        raise ValueError("must be HOST:PORT, [V6]:PORT, unix:PATH or fd://N")
    parse_address(value)
    return value


_PORT = integer(1, 65535)


def platform_port(value: object) -> tuple[str, ...]:
    """The number of a port, as hosting platforms pass it in the variable PORT: it is open to all IPv4 interfaces."""
    try:
        return (f"0.0.0.0:{_PORT(value)}",)
    except ValueError as error:
        raise ValueError(f"{error}, or set --bind, which takes precedence") from None


def optional_address(value: object) -> str:
    """An address to listen at, or empty text for none."""
    return "" if value in (None, "") else address(value)


def statsd_target(value: object) -> str:
    """The address of a StatsD server, kept as it was written; empty text for none."""
    if value in (None, ""):
        return ""
    if not isinstance(value, str):
        raise ValueError("must be HOST:PORT or unix:PATH")
    from ropewalk.metrics.statsd import parse_target  # not needed without one

    parse_target(value)
    return value


def statsd_text(what: str, *, also: str = "") -> Reader:
    """Part of a StatsD line, without the characters that separate its parts; `also` are allowed nevertheless."""
    refused = set(":|@#,") - set(also)
    allowed = f"must be {what} without spaces or any of {' '.join(sorted(refused))}"

    def read(value: object) -> str:
        if isinstance(value, str) and value.isascii() and value.isprintable() and not (refused | {" "}) & set(value):
            return value
        raise ValueError(allowed)

    return read


def name(value: object) -> str:
    """A name that needs no escaping in any format of a log."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ValueError("must be at most 128 letters, digits and any of . _ : / @ -")


def assignment(value: object) -> str:
    """NAME=VALUE for an environment variable."""
    if isinstance(value, str) and "\0" not in value:
        name, equals, _ = value.partition("=")
        if equals and _VARIABLE_NAME.fullmatch(name):
            return value
    raise ValueError("must be NAME=VALUE")


def mount(value: object) -> str:
    """PREFIX=DIR for static files; the prefix starts with a slash."""
    if isinstance(value, str) and "\0" not in value:
        prefix, equals, directory = value.partition("=")
        if equals and directory and prefix.startswith("/"):
            return value
    raise ValueError("must be PREFIX=DIR with a PREFIX that starts with /, such as /static/=staticfiles")


_SCRIPT_NAME = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[^/%?#\\]+)+")


def script_name(value: object) -> str:
    """The path of an application, not percent-encoded; `/`, or empty text, for none.

    It has no empty, `.` or `..` segments: a redirect to a path that begins with `//` would lead to another site.
    """
    if isinstance(value, str) and value in ("", "/"):
        return ""
    if isinstance(value, str) and value.isprintable() and _SCRIPT_NAME.fullmatch(value):
        return value
    raise ValueError("must begin with / and not end with one, such as /shop, and not be percent-encoded")


_TIME = seconds(0.1, DAY, zero="no limit")


def time_by_prefix(value: object) -> str:
    """PREFIX=SECONDS for paths; the prefix starts with a slash."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or "=" not in value:
        raise ValueError("must be PREFIX=SECONDS with a PREFIX that starts with /, such as /reports/=300")
    prefix, _, number = value.rpartition("=")
    try:
        return f"{prefix.rstrip()}={_TIME(number):g}"
    except ValueError as error:
        raise ValueError(f"SECONDS {error}") from None


def named_certificate(value: object) -> str:
    """NAME=CERTFILE[,KEYFILE]; the name may start with `*.`."""
    if isinstance(value, str) and "\0" not in value:
        name, equals, files = value.partition("=")
        if equals and all(files.split(",")[:2]) and files.count(",") <= 1 and _HOST_PATTERN.fullmatch(name):
            return value
    raise ValueError("must be NAME=CERTFILE[,KEYFILE], such as example.org=example.pem,example.key")


def host_name(value: object) -> str:
    """A host name in lower case, or `*` for any."""
    if isinstance(value, str) and (value == "*" or (_HOST_PATTERN.fullmatch(value) and "*" not in value)):
        return value.lower()
    raise ValueError("must be a host name without a port, or *")


def proxy_address(value: object) -> str:
    """The address of a proxy (IPv4 or IPv6), a network, or `*` for any peer."""
    if isinstance(value, str):
        if value == "*":
            return value
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            pass
        else:
            return value
    raise ValueError("must be an IP address, a network such as 10.0.0.0/8, or *")


FORWARDED_FIELDS = (
    *("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix"),
    "forwarded",
)
_REPLACED_BY_FORWARDED = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"}


def forwarded_fields(value: object) -> tuple[str, ...]:
    """Names of fields that a proxy sets. Of two fields for the same thing, one would come from the client."""
    names: tuple[str, ...] = several(Choice(FORWARDED_FIELDS), allowed="must be field names, separated by commas")(
        value
    )
    if "forwarded" in names and _REPLACED_BY_FORWARDED.intersection(names):
        raise ValueError("must be forwarded, or x-forwarded-for, -proto and -host, but not both")
    return names


RESERVED_NAMES = frozenset(
    {"CONTENT_LENGTH", "CONTENT_TYPE", "TRANSFER_ENCODING", "X_REAL_IP", "X_REQUEST_ID", "X_REQUEST_START"}
)
"""As in `http.underscores`."""


def underscore_name(value: object) -> str:
    """The name of a field with an underscore, in capitals; not one whose name with hyphens the server evaluates."""
    if not isinstance(value, str) or not _UNDERSCORE_NAME.fullmatch(value):
        raise ValueError("must be letters, digits and underscores, such as SCRIPT_NAME")
    name = value.upper()
    if name in RESERVED_NAMES or name.startswith("X_FORWARDED_"):
        raise ValueError("is a name that the server itself evaluates, with hyphens: see --forwarded-fields")
    return name


PROXY_PROTOCOLS = ("off", "auto", "v1", "v2")


class _ProxyProtocol(Choice):
    """The version of the PROXY protocol that is expected; True and False are from older gunicorn files."""

    def __call__(self, value: object) -> str:
        return ("auto" if value else "off") if isinstance(value, bool) else super().__call__(value)


proxy_protocol = _ProxyProtocol(PROXY_PROTOCOLS)


def field_value(value: object) -> str:
    """The value of a header field (RFC 9110 section 5.5, but ASCII only), or empty text."""
    if isinstance(value, str) and (value == "" or _FIELD_VALUE.fullmatch(value)):
        return value
    raise ValueError("must be printable ASCII without spaces at either end, or empty for none")


def agent(value: object) -> str:
    """The start of a User-Agent. Every text starts with the empty one, which is refused."""
    if isinstance(value, str) and "," not in value and _FIELD_VALUE.fullmatch(value):
        return value
    raise ValueError("must be the start of a User-Agent: printable ASCII without commas, or spaces at either end")


def log_format(value: object) -> str:
    """A format of access log lines, with known letters only."""
    if not isinstance(value, str):
        raise ValueError("must be a format of access log lines")
    from ropewalk.logs.access_format import compile_format  # not needed for the default

    compile_format(value)
    return value


def shown_size(count: int) -> str:
    """`count` bytes as a user would write them: 1G, 512k, 8190."""
    for unit, factor in (("G", GIB), ("M", MIB), ("k", KIB)):
        if count and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def _parse_integer(value: object, pattern: re.Pattern[str], allowed: str) -> int:
    if isinstance(value, str) and pattern.fullmatch(value.strip()):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(allowed)


def _within(number: int, low: int, high: int, allowed: str) -> int:
    if not low <= number <= high:
        raise ValueError(allowed)
    return number
