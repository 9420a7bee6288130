"""deploy/kit/publishing.py: what nginx publishes, and the spellings that compose knows."""

import re

import pytest

from kit import publishing
from kit.errors import KitError


@pytest.mark.parametrize(
    ("values", "prepared"),
    [
        ({}, {}),
        ({"HTTPS": "off", "HTTP3": ""}, {}),
        ({"HTTPS": "on", "HTTP3": "on"}, {}),
        ({"HTTPS": "0"}, {"HTTPS": "off"}),
        ({"HTTPS": "True", "HTTP3": "1"}, {"HTTPS": "on", "HTTP3": "on"}),
        ({"HTTP_ADDRESS": "0.0.0.0", "HTTP_ADDRESS_IPV6": "[2001:db8::7]"}, {}),
    ],
)
def test_switches_are_spelled_as_the_files_of_compose(values, prepared):
    assert publishing.prepare(values) == prepared


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"HTTP3": "3"}, "HTTP3='3': must be 1 or 0"),
        ({"HTTPS": "off", "HTTP3": "on"}, "HTTP3=on: needs HTTPS=on"),
        ({"HTTP_ADDRESS": "[::]"}, "HTTP_ADDRESS='[::]': must be an IPv4 address; for IPv6 set HTTP_ADDRESS_IPV6"),
        *(
            ({"HTTP_ADDRESS_IPV6": value}, f"HTTP_ADDRESS_IPV6={value!r}: must be an IPv6 address in brackets")
            for value in ("::", "on", "[0.0.0.0]", "[::", "[x::]")
        ),
    ],
)
def test_value_that_is_not_allowed_is_named(values, said):
    with pytest.raises(KitError, match=f"^{re.escape(said)}"):
        publishing.prepare(values)


def test_addresses_without_brackets():
    assert publishing.addresses({}) == ["127.0.0.1"]
    assert publishing.addresses({"HTTP_ADDRESS_IPV6": "[::]"}) == ["127.0.0.1", "::"]


def test_network_whose_addresses_another_has_is_explained():
    reason = (
        "failed to create network shop_front-ipv6: Error response: Pool overlaps with other one on this address space"
    )
    assert re.search(r"IPV6_SUBNET=fd[0-9a-f]{2}:[0-9a-f]{4}:[0-9a-f]{4}::/64$", publishing.explain(reason))
    assert publishing.explain("no space left on device") == "no space left on device"
