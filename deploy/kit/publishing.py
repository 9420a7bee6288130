"""The variables that say where nginx is published. Some name files in deploy/compose: they have two spellings there."""

import ipaddress
import re
import secrets
from collections.abc import Mapping

from kit.errors import KitError
from kit.variables import read

SWITCHES = ("HTTPS", "HTTP3")


def prepare(values: Mapping[str, str]) -> dict[str, str]:
    """The variables that compose has to get in another spelling. Raises KitError for a value that is not allowed."""
    _check_addresses(values)
    on = {name: read(name, values) == "1" for name in SWITCHES}
    if on["HTTP3"] and not on["HTTPS"]:
        raise KitError(
            "HTTP3=on: needs HTTPS=on, since HTTP/3 is always encrypted; a load balancer in front offers HTTP/3 itself"
        )
    spelled = {name: "on" if is_on else "off" for name, is_on in on.items()}
    return {name: word for name, word in spelled.items() if values.get(name) and values[name] != word}


def _check_addresses(values: Mapping[str, str]) -> None:
    ipv4, ipv6 = values.get("HTTP_ADDRESS"), values.get("HTTP_ADDRESS_IPV6")
    if ipv4 and ":" in ipv4:
        raise KitError(f"HTTP_ADDRESS={ipv4!r}: must be an IPv4 address; for IPv6 set HTTP_ADDRESS_IPV6 in .env too")
    if ipv6 and not is_ipv6_in_brackets(ipv6):
        raise KitError(f"HTTP_ADDRESS_IPV6={ipv6!r}: must be an IPv6 address in brackets, such as [::]")


def is_ipv6_in_brackets(text: str) -> bool:
    if not re.fullmatch(r"\[[0-9A-Fa-f:.]+\]", text):
        return False
    try:
        return ipaddress.ip_address(text.strip("[]")).version == 6
    except ValueError:
        return False


def addresses(values: Mapping[str, str]) -> list[str]:
    """The addresses of this machine on which nginx is published, without brackets."""
    given = [values.get("HTTP_ADDRESS") or "127.0.0.1", values.get("HTTP_ADDRESS_IPV6") or ""]
    return [address.strip("[]") for address in given if address]


def explain(reason: str) -> str:
    """The engine's reason for a failed start, or what to do if its network `front` meets the addresses of another."""
    if "Pool overlaps" not in reason:
        return reason
    free = f"fd{secrets.token_hex(1)}:{secrets.token_hex(2)}:{secrets.token_hex(2)}::/64"
    return f"IPV6_SUBNET: another network has these addresses: write others into .env, such as IPV6_SUBNET={free}"
