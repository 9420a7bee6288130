"""The chain of times: a program that waits for another waits longer than that one takes. See docs/timeouts.md."""

import os
import re
import subprocess
import sys

import pytest

from kit import times


def chain_of(repository, **variables):
    """As `make times` prints it."""
    command = [sys.executable, "-I", repository / "deploy/kit", "times"]
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=20)
    return done, {name: int(value) for name, value in re.findall(r"^(\w+)=(\d+)$", done.stdout, re.M)}


def chain_in_images(repository, **variables):
    """As the images compute it at their start."""
    script = "source deploy/app/kit.sh; kit_times; env -0"
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=repository, env=environment, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    return {name: int(value) for name, value in re.findall(r"(?:^|\0)([A-Z]+_[A-Z_]+)=(\d+)(?=\0)", done.stdout)}


@pytest.mark.parametrize("drain_delay", [0, 5, 90])
@pytest.mark.parametrize("request_timeout", [1, 5, 30, 60, 300, 3600])
def test_each_time_leaves_room_for_the_one_inside_it(repository, request_timeout, drain_delay):
    done, chain = chain_of(repository, REQUEST_TIMEOUT=str(request_timeout), DRAIN_DELAY=str(drain_delay))
    assert done.returncode == 0
    assert chain["DRAIN_DELAY"] == drain_delay
    assert chain["REQUEST_TIMEOUT"] == request_timeout
    # the application's own 504 comes before the proxy's
    assert chain["REQUEST_TIMEOUT"] < chain["PROXY_TIMEOUT"]
    # a request that begins just before the stop still ends
    assert chain["REQUEST_TIMEOUT"] <= chain["GRACEFUL_TIMEOUT"]
    assert chain["DRAIN_DELAY"] + chain["GRACEFUL_TIMEOUT"] < chain["STOP_WAIT"] < chain["STOP_GRACE"]
    assert chain["PROXY_TIMEOUT"] < chain["NGINX_SHUTDOWN_TIMEOUT"] < chain["STOP_GRACE"]
    assert chain["STOP_GRACE"] < chain["KUBERNETES_GRACE"]
    # the side that sends requests closes an idle connection first
    assert chain["UPSTREAM_KEEP_ALIVE"] < chain["SERVER_KEEP_ALIVE"]
    assert chain["CLIENT_KEEP_ALIVE"] > 60
    assert chain == times.chain({"REQUEST_TIMEOUT": str(request_timeout), "DRAIN_DELAY": str(drain_delay)})
    assert chain == chain_in_images(
        repository, REQUEST_TIMEOUT=str(request_timeout), DRAIN_DELAY=str(drain_delay), STOP_WAIT="1"
    )


def test_defaults_are_the_documented_ones(repository):
    done, chain = chain_of(repository)
    assert done.returncode == 0
    expected = {"REQUEST_TIMEOUT": 30, "PROXY_TIMEOUT": 35, "STOP_WAIT": 40, "NGINX_SHUTDOWN_TIMEOUT": 40}
    expected |= {"STOP_GRACE": 45, "KUBERNETES_GRACE": 60}
    assert chain.items() >= expected.items()


@pytest.mark.parametrize("value", ["0", "3601", "-1", "30s", "1.5", "x", "1 2", "99999999999"])
def test_request_timeout_that_makes_no_sense_is_refused_in_one_line(repository, value):
    done, chain = chain_of(repository, REQUEST_TIMEOUT=value)
    assert (done.returncode, chain) == (2, {})
    assert done.stderr == f"times: REQUEST_TIMEOUT='{value}': must be an integer from 1 to 3600\n"


@pytest.mark.parametrize("value", ["601", "-1", "5s", "x"])
def test_drain_delay_that_makes_no_sense_is_refused_in_one_line(repository, value):
    done, chain = chain_of(repository, DRAIN_DELAY=value)
    assert (done.returncode, chain) == (2, {})
    assert done.stderr == f"times: DRAIN_DELAY='{value}': must be an integer from 0 to 600\n"


def test_every_service_is_given_the_time_of_the_chain_to_stop(repository, compose_file):
    _, chain = chain_of(repository)
    for name, service in compose_file["services"].items():
        assert service["stop_grace_period"] == f"${{STOP_GRACE_PERIOD:-{chain['STOP_GRACE']}s}}", name


def test_supervisord_waits_as_long_as_the_chain_says(repository):
    config = (repository / "deploy/supervisor/supervisord.conf").read_text()
    assert re.search(r"^stopwaitsecs = %\(ENV_STOP_WAIT\)s$", config, re.M)
    assert re.search(r"^stopsignal = TERM$", config, re.M)
    assert re.search(r"^stopasgroup = false$", config, re.M)


@pytest.mark.parametrize("backend", ["ropewalk", "gunicorn"])
def test_every_backend_is_started_with_the_times_of_the_chain(repository, backend):
    script = (repository / "deploy/backends" / backend / "command").read_text()
    assert '--timeout "$REQUEST_TIMEOUT"' in script
    assert '--graceful-timeout "$GRACEFUL_TIMEOUT"' in script
    assert '--keep-alive "$SERVER_KEEP_ALIVE"' in script


def test_no_other_file_of_the_kit_computes_a_time(repository):
    for path in (repository / "nginx").rglob("*"):
        if path.suffix in (".conf", ".template"):
            text = path.read_text()
            for directive in ("proxy_read_timeout", "proxy_send_timeout", "worker_shutdown_timeout"):
                assert not re.search(rf"^\s*{directive} \d", text, re.M), path
            # the only keep-alive times are the chain's
            assert not re.search(r"^\s*keepalive_timeout \d", text, re.M), path
