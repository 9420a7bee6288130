"""The sample project as a user gets it: up, looked at, swapped to another server, down."""

import json
import re

import pytest

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def sample(start_stack):
    stack = start_stack("sample", BACKEND="gunicorn")
    stack.up()
    return stack


def asset(stack):
    """The path of a stylesheet that the page names."""
    page = stack.request("/", headers={"Host": "localhost"}).content.decode()
    return re.search(r'href="(/static/[^"]+\.css)"', page)[1]


def test_page_is_served_with_no_settings_at_all(sample):
    answer = sample.request("/", headers={"Host": "localhost"})
    assert answer.status == 200
    assert answer.headers.get_content_type() == "text/html"


def test_hashed_static_file_comes_from_nginx_and_may_be_kept_forever(sample):
    answer = sample.request(asset(sample))
    assert answer.status == 200
    assert answer.headers.get_content_type() == "text/css"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("coding", ["gzip", "br"])
def test_static_file_is_sent_as_it_was_compressed_at_build(sample, execute, coding):
    path = asset(sample)
    answer = sample.request(path, headers={"Accept-Encoding": coding})
    assert answer.headers["Content-Encoding"] == coding
    suffix = {"gzip": "gz", "br": "br"}[coding]
    stored = f"/srv/assets/{path.removeprefix('/static/')}.{suffix}"
    size = execute("docker", "exec", sample.container("nginx"), "stat", "-c", "%s", stored).stdout
    assert len(answer.content) == int(size)


def test_security_headers_of_the_application_are_not_doubled(sample):
    headers = sample.request("/", headers={"Host": "localhost"}).headers
    assert headers.get_all("X-Frame-Options") == ["DENY"]
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_health_answers_for_any_name(sample):
    answer = sample.request("/healthz", headers={"Host": "not-an-allowed-host.example"})
    assert (answer.status, answer.content) == (200, b"ok\n")


def test_name_that_is_not_allowed_is_the_application_s_to_refuse(sample):
    assert sample.request("/", headers={"Host": "evil.example"}).status == 400


def test_secret_key_is_kept_over_a_new_container(sample, execute):
    read = ("docker", "exec", sample.container("app"), "cat", "/data/secret_key")
    before = execute(*read).stdout
    assert len(before) > 40
    sample.compose("up", "--no-build", "--wait", "--wait-timeout", "120", "--force-recreate", "--no-deps", "app")
    assert execute("docker", "exec", sample.container("app"), "cat", "/data/secret_key").stdout == before


def test_one_variable_swaps_the_server_and_the_data_stays(start_stack, execute, wait):
    stack = start_stack("sample")
    stack.up()
    served_by = stack.request("/api/served-by", headers={"Host": "localhost"})
    before = execute("docker", "exec", stack.container("app"), "cat", "/data/secret_key").stdout
    assert json.loads(served_by.content)["backend"] == "ropewalk"
    nginx = stack.container("nginx")
    swapped = type(stack)(stack.name, {**stack.environment, "BACKEND": "gunicorn"})
    swapped.up()
    # the proxy stays: a visitor during the swap gets its page, and not a closed port
    assert swapped.container("nginx") == nginx

    def answered_by_gunicorn():
        answer = swapped.request("/api/served-by", headers={"Host": "localhost"})
        return answer.status == 200 and json.loads(answer.content)["backend"] == "gunicorn"

    wait(answered_by_gunicorn, "gunicorn answers through nginx")
    assert execute("docker", "exec", swapped.container("app"), "cat", "/data/secret_key").stdout == before


def test_unknown_backend_ends_compose_with_the_known_ones_before_it_touches_anything(sample):
    before = sample.container("app")
    typed = type(sample)(sample.name, {**sample.environment, "BACKEND": "nope"})
    done = typed.compose("up", "--no-build", "--wait", check=False)
    assert done.returncode != 0
    assert "deploy/backends/nope/compose.yml: no such file or directory" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert sample.container("app") == before
    assert sample.request("/healthz").status == 200


def test_down_with_volumes_leaves_nothing(start_stack, execute):
    stack = start_stack("sample")
    stack.up()
    stack.compose("down", "--volumes")
    label = f"label=com.docker.compose.project={stack.name}"
    for kind in (["ps", "--all"], ["network", "ls"], ["volume", "ls"]):
        assert execute("docker", *kind, "--quiet", "--filter", label).stdout == ""
