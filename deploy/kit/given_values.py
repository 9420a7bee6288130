"""Values that compose or a container would refuse late, or in words that do not name the variable."""

import ipaddress
import re
from collections.abc import Callable, Mapping

from kit.errors import KitError
from kit.paths import ROOT
from kit.variables import declared, read

OF_THIS_MACHINE = ("PORT", "DEV_PORT", "DEV_MAIL_PORT")
"""Of commands that need no engine: other programs may have set them."""

PORTS = ("HTTP_PORT", "MONITOR_PORT")
ADDRESSES = ("HTTP_ADDRESS", "MONITOR_ADDRESS")
LIMITS = ("APP", "BACKUP", "CRON", "MONITOR", "NGINX", "POSTGRES", "REDIS", "WORKER")
"""NAME_MEMORY and NAME_CPUS limit these containers."""
ROOMS = ("BODY_ROOM", "RESPONSE_ROOM")

SIZE = re.compile(r"[0-9]+(\.[0-9]+)?([bkmgt]|[kmgt]i?b)?", re.IGNORECASE)
"""As compose reads it."""
NUMBER = re.compile(r"[0-9]*\.?[0-9]+")
IMAGE = re.compile(r"[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]+)?")
NAMES = re.compile(r"[A-Za-z0-9._* -]+")


def check(values: Mapping[str, str]) -> None:
    """Raises KitError for the first value that is not allowed."""
    for name in declared():
        if name not in OF_THIS_MACHINE:
            read(name, values)
    sizes = (*(f"{name}_MEMORY" for name in LIMITS), *ROOMS)
    for names, is_allowed, allowed in (
        (PORTS, _is_port, "an integer from 0 to 65535"),
        (ADDRESSES, _is_address, "an IPv4 address, such as 127.0.0.1 or 0.0.0.0"),
        (sizes, _matches(SIZE), "a size such as 512m"),
        ([f"{name}_CPUS" for name in LIMITS], _matches(NUMBER), "a number such as 1 or 0.5"),
        (["SERVER_NAME"], _matches(NAMES), "names separated by spaces, or _ for any name"),
        (["BASE_IMAGE"], _matches(IMAGE), "the name of an image, such as debian:trixie-slim"),
        (["NETRC"], _is_file, "an existing file, with the passwords of a private index"),
    ):
        for name in names:
            value = values.get(name, "")
            if value and not is_allowed(value):
                raise KitError(f"{name}={value!r}: must be {allowed}")


def _is_port(text: str) -> bool:
    return text.isdecimal() and int(text) <= 65535


def _is_address(text: str) -> bool:
    if ":" in text:
        return True  # of IPv6: kit.publishing says what to do
    try:
        return ipaddress.ip_address(text).version == 4
    except ValueError:
        return False


def _is_file(text: str) -> bool:
    return (ROOT / text).is_file()


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None
