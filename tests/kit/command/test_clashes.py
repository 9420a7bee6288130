"""deploy/kit/clashes.py: names and ports that another project has already."""

import errno
import socket

import pytest

from kit.clashes import Container, bind_error, check, is_in_use, read_list
from kit.errors import KitError


def model(name="shop", **ports):
    targets = {"HTTP_PORT": 8080, "HTTPS_PORT": 8443, "OTHER": 9000}
    published = [
        {"target": targets[variable], "host_ip": "127.0.0.1", "published": str(port)}
        for variable, port in ports.items()
    ]
    return {"name": name, "services": {"nginx": {"ports": published}}}


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_own_containers_are_no_clash(tmp_path, listening):
    containers = [Container("shop", str(tmp_path), f"127.0.0.1:{listening}->8080/tcp")]
    check(model(HTTP_PORT=listening), containers, tmp_path)


def test_same_name_in_another_folder_is_a_clash(tmp_path):
    with pytest.raises(KitError, match=r"belongs to /srv/other: set COMPOSE_PROJECT_NAME in \.env"):
        check(model(), [Container("blog", "/srv/blog", ""), Container("shop", "/srv/other", "")], tmp_path)
    check(
        model(), [Container("shop", "/srv/other", "")], tmp_path, is_local=False
    )  # a folder of who knows which machine


def test_site_that_was_deployed_from_elsewhere_is_the_same_one_by_its_id(tmp_path):
    running = [Container("shop", "/home/ada/ropewalk", "")]
    check(model(), running, tmp_path, owner="shop@12345678", own="shop@12345678")
    for owner, own in (("shop@12345678", "shop@87654321"), ("shop", "shop"), ("", "")):
        with pytest.raises(KitError, match=r"belongs to /home/ada/ropewalk") as raised:
            check(model(), running, tmp_path, owner=owner, own=own)
        assert (f"PROJECT_ID={owner}; if that" in str(raised.value)) == bool(owner)


def test_port_of_another_project_is_a_clash(tmp_path):
    containers = [Container("blog", "/srv/blog", "0.0.0.0:8080->8080/tcp, [::]:8080->8080/tcp")]
    with pytest.raises(
        KitError, match=r"^HTTP_PORT=8080: in use by blog: set HTTP_PORT in \.env to another port, or put one proxy"
    ):
        check(model(HTTP_PORT=8080), containers, tmp_path, is_local=False)
    check(model(HTTP_PORT=80), containers, tmp_path, is_local=False)


def test_port_of_another_program_is_a_clash(tmp_path, listening):
    with pytest.raises(KitError, match=f"^HTTPS_PORT={listening}: in use by another program"):
        check(model(HTTPS_PORT=listening), [], tmp_path)
    check(model(HTTPS_PORT=listening), [], tmp_path, is_local=False)


def test_port_of_udp_is_another_one_than_that_of_tcp(tmp_path):
    udp = model(HTTPS_PORT=8443)
    udp["services"]["nginx"]["ports"][0]["protocol"] = "udp"
    check(udp, [Container("blog", "/srv/blog", "0.0.0.0:8443->8443/tcp")], tmp_path, is_local=False)
    with pytest.raises(KitError, match=r"^HTTPS_PORT=8443: in use by blog: "):
        check(udp, [Container("blog", "/srv/blog", "0.0.0.0:8443->8443/udp")], tmp_path, is_local=False)


@pytest.mark.parametrize(("address", "variable"), [("192.0.2.7", "HTTP_ADDRESS"), ("2001:db8::7", "HTTP_ADDRESS_IPV6")])
def test_address_that_the_machine_does_not_have_is_named(tmp_path, address, variable):
    asked = model(HTTP_PORT=18080)
    asked["services"]["nginx"]["ports"][0]["host_ip"] = address
    with pytest.raises(KitError, match=f"^{variable}='{address}': this machine has no such address"):
        check(asked, [], tmp_path)
    check(asked, [], tmp_path, is_local=False)


def test_ipv4_and_ipv6_have_ports_of_their_own(listening):
    assert bind_error("::", listening) in (None, errno.EAFNOSUPPORT)


def test_port_of_the_monitor_is_one_of_the_site_s(tmp_path, listening):
    port = {"target": 9090, "host_ip": "127.0.0.1", "published": str(listening)}
    found = {"name": "shop", "services": {"nginx": {}, "monitor": {"ports": [port]}}}
    with pytest.raises(KitError, match=f"^MONITOR_PORT={listening}: in use by another program"):
        check(found, [], tmp_path)


def test_port_0_is_any_port(tmp_path):
    check(model(HTTP_PORT=0, HTTPS_PORT=0), [Container("blog", "/srv/blog", "127.0.0.1:0->8080/tcp")], tmp_path)


def test_free_port_is_free(listening):
    assert is_in_use("127.0.0.1", listening)
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    assert not is_in_use("127.0.0.1", free)


def test_list_of_containers_is_read():
    assert read_list("shop\t/srv/shop\t127.0.0.1:8080->8080/tcp\n\t\t\n") == [
        Container("shop", "/srv/shop", "127.0.0.1:8080->8080/tcp"),
        Container("", "", ""),
    ]
