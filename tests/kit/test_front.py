"""deploy/front, the proxy before several sites on one machine."""

import re

import pytest
import yaml

TRUSTED = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Request-ID")


@pytest.fixture
def configuration(repository):
    return (repository / "deploy/front/nginx.conf").read_text()


def test_all_that_a_site_believes_is_set(configuration, repository):
    """nginx/snippets/maps.conf: the fields of a trusted proxy that are used."""
    maps = (repository / "nginx/snippets/maps.conf").read_text()
    used = {name.replace("_", "-") for name in re.findall(r"from_trusted_proxy:\$http_(\w+)", maps)}
    assert "real_ip_header X-Forwarded-For;" in (repository / "nginx/nginx.conf.template").read_text()
    assert used | {"x-forwarded-for"} == {name.lower() for name in TRUSTED}
    for name in TRUSTED:
        assert re.search(rf"proxy_set_header {name} \S+;", configuration), name
    assert "proxy_add_x_forwarded_for" not in configuration


def test_tls_is_that_of_a_site(configuration, repository):
    of_a_site = (repository / "nginx/snippets/https.conf").read_text()
    for directive in ("ssl_protocols", "ssl_ecdh_curve", "ssl_ciphers", "ssl_prefer_server_ciphers"):
        line = re.search(rf"^ *({directive} .*;)$", of_a_site, re.M)[1]
        assert line in configuration


def test_container_is_hardened_and_bounded(repository):
    service = yaml.safe_load((repository / "deploy/front/compose.yml").read_text())["services"]["front"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(service[limit] for limit in ("cpus", "mem_limit", "pids_limit"))
    assert "/srv/front:ro" in service["volumes"][0]


@pytest.mark.docker
def test_nginx_accepts_the_configuration_and_the_example(execute, images, repository):
    command = "mkdir /tmp/front && cp -r /given/. /tmp/front && cp /tmp/front/sites.example /tmp/front/sites"
    command += " && sed -i 's:/srv/front:/tmp/front:' /tmp/front/nginx.conf && nginx -t -c /tmp/front/nginx.conf"
    mount = f"--volume={repository / 'deploy/front'}:/given:ro"
    execute("docker", "run", "--rm", "--tmpfs=/tmp:mode=1777", mount, images["nginx"], "bash", "-c", command)
