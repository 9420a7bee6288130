"""`make bench-nginx`: its variants of the kit's nginx configuration, and what its table says of them."""

from __future__ import annotations

import re
import shutil
import urllib.request

import pytest

import ropewalk
from bench.applications import catalogue
from bench.kit_nginx import STATIC_BYTES, Edit, kit_nginx
from bench.nginx_costs import KIT, LOADS, Sample, report
from bench.report.markdown import parse_tables
from bench.server_process import StartError
from tests.helpers.paths import REPOSITORY

VARIANTS = [pytest.param(edits, id=name) for load in LOADS.values() for name, edits in load.variants.items()]
HAS_NGINX = bool(shutil.which("nginx") and shutil.which("envsubst"))


@pytest.mark.parametrize("edits", VARIANTS)
def test_a_variant_changes_what_the_configuration_has(edits: tuple[Edit, ...]) -> None:
    files = [REPOSITORY / "nginx/nginx.conf.template", *(REPOSITORY / "nginx/snippets").iterdir()]
    text = "".join(path.read_text() for path in files)
    for pattern, replacement in edits:
        changed, count = re.subn(pattern, replacement, text, flags=re.M)
        assert count
        assert changed != text or "comp_level" in pattern  # one of the levels is the kit's


def sample(nginx: float) -> Sample:
    return Sample(nginx, 10e-6, 400.0, 9000.0)


def test_a_difference_within_the_spread_is_called_noise() -> None:
    samples = {
        KIT: [sample(20e-6), sample(21e-6), sample(40e-6)],
        "a little less": [sample(19.4e-6), sample(19.6e-6), sample(30e-6)],
        "less": [sample(10e-6), sample(10.5e-6), sample(30e-6)],
    }
    (_, *rows) = parse_tables(report(LOADS["small"], samples))[0]
    assert [row[:3] for row in rows] == [
        [KIT, "20.0 (21.0)", ""],
        ["a little less", "19.4 (19.6)", "-3% (noise)"],
        ["less", "10.0 (10.5)", "-50%"],
    ]


@pytest.mark.skipif(not HAS_NGINX, reason="nginx or envsubst is not installed")
def test_the_kit_s_nginx_serves_in_front_of_a_server() -> None:
    with ropewalk.Server(catalogue.application, bind="127.0.0.1:0") as server:
        upstream = "{}:{}".format(*server.address)
        with kit_nginx(upstream) as front:
            for path, size in (("/page", len(catalogue.PAGE)), ("/static/site.css", STATIC_BYTES)):
                with urllib.request.urlopen(front.url + path, timeout=30) as response:
                    assert len(response.read()) == size
                    assert response.headers["X-Request-ID"]
            assert len(front.processes()) == 2  # the master and a worker
        with (
            pytest.raises(StartError, match="'nonsense on;' is not in nginx's configuration"),
            kit_nginx(upstream, [("nonsense on;", "")]),
        ):
            pass
