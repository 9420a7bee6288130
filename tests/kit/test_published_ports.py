"""Which ports compose publishes for nginx, as it says itself: `docker compose config`, without a container."""

import json

import pytest

from tests.helpers.containers import clean_environment

pytestmark = pytest.mark.docker

LOCAL = {("127.0.0.1", 8080, "tcp"), ("127.0.0.1", 8443, "tcp")}


@pytest.mark.parametrize(
    ("variables", "published"),
    [
        ({}, LOCAL),
        ({"HTTPS": "off", "HTTP3": "on"}, {("127.0.0.1", 8080, "tcp")}),
        ({"HTTP3": "on"}, {*LOCAL, ("127.0.0.1", 8443, "udp")}),
        ({"HTTP_ADDRESS_IPV6": "[::1]"}, {*LOCAL, ("::1", 8080, "tcp"), ("::1", 8443, "tcp")}),
        (
            {"HTTP_ADDRESS": "0.0.0.0", "HTTP_ADDRESS_IPV6": "[::]", "HTTPS_PORT": "443", "HTTP3": "on"},
            {
                (address, port, protocol)
                for address in ("0.0.0.0", "::")
                for port, protocol in ((8080, "tcp"), (443, "tcp"), (443, "udp"))
            },
        ),
    ],
)
def test_published_ports(execute, variables, published):
    command = ("docker", "compose", "--env-file", "/dev/null", "--project-name", "shop", "config", "--format", "json")
    model = json.loads(execute(*command, env=clean_environment() | variables).stdout)
    ports = model["services"]["nginx"]["ports"]
    assert {(port["host_ip"], int(port["published"]), port["protocol"]) for port in ports} == published
    assert len(ports) == len(published)
    has_ipv6 = "HTTP_ADDRESS_IPV6" in variables
    front = model["networks"]["front"]
    assert (front["name"], front.get("enable_ipv6", False)) == (f"shop_front{'-ipv6' * has_ipv6}", has_ipv6)
