"""What nginx adds in front of the application, and that both say the same about a request."""

import json
import secrets
import socket

import pytest

from tests.helpers.containers import rooms

pytestmark = pytest.mark.docker


def access_log(stack, wait, request_id):
    """The JSON line that nginx wrote about a request."""
    found = []

    def written():
        found[:] = [json.loads(line) for line in stack.logs("nginx").splitlines() if request_id in line]
        return found

    wait(written, "nginx has logged the request")
    return found[0]


def test_nginx_and_the_application_agree_on_the_client(plain, wait):
    claimed = secrets.token_hex(16)
    claims = {
        "X-Request-ID": claimed,
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Prefix": "/evil",
        # gunicorn knows these two as well
        "X-Forwarded-Protocol": "ssl",
        "X-Forwarded-Ssl": "on",
        "Forwarded": "for=203.0.113.9;proto=https",
        "Proxy": "http://evil.example",
    }
    answer = plain.request("/environ", headers=claims)
    environ, request_id = answer.json, answer.headers["X-Request-ID"]
    line = access_log(plain, wait, request_id)
    assert environ["HTTP_X_FORWARDED_FOR"] == line["client"] != "203.0.113.9"
    assert environ["wsgi.url_scheme"] == environ["HTTP_X_FORWARDED_PROTO"] == line["scheme"] == "http"
    assert environ["HTTP_X_FORWARDED_HOST"] == environ["HTTP_HOST"] == line["host"] == f"127.0.0.1:{plain.port}"
    assert environ["HTTP_X_FORWARDED_PORT"] == str(plain.port)
    assert environ["HTTP_X_REQUEST_ID"] == request_id != claimed
    assert float(environ["HTTP_X_REQUEST_START"].removeprefix("t=")) > 1_700_000_000
    others = ("FORWARDED", "PROXY", "X_FORWARDED_PREFIX", "X_FORWARDED_PROTOCOL", "X_FORWARDED_SSL")
    assert not [name for name in others if environ.get(f"HTTP_{name}")]
    assert environ["SCRIPT_NAME"] == ""
    if plain.environment["BACKEND"] == "ropewalk":
        # gunicorn leaves the proxy's address there
        assert environ["REMOTE_ADDR"] == line["client"]


@pytest.mark.parametrize("backend", ["gunicorn", "ropewalk"])
def test_trusted_proxy_is_believed(new_stack, wait, backend):
    stack = new_stack("plain", BACKEND=backend, TRUSTED_PROXIES="0.0.0.0/1,128.0.0.0/1")
    stack.up()
    request_id = secrets.token_hex(16)
    claims = {"X-Request-ID": request_id, "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    environ = stack.request("/environ", headers=claims | {"Host": "shop.example"}).json
    line = access_log(stack, wait, request_id)
    assert environ["HTTP_X_FORWARDED_FOR"] == line["client"] == "203.0.113.9"
    assert environ["wsgi.url_scheme"] == line["scheme"] == "https"
    assert environ["HTTP_X_FORWARDED_PORT"] == "443"
    if backend == "ropewalk":
        assert environ["REMOTE_ADDR"] == "203.0.113.9"


def test_the_server_believes_the_internal_network_alone(plain, execute):
    network = json.loads(execute("docker", "network", "inspect", f"{plain.name}_back").stdout)[0]
    inside = ("docker", "exec", plain.container("app"), "cat")
    pid = execute(*inside, "/tmp/backend.pid").stdout.strip()
    variables = execute(*inside, f"/proc/{pid}/environ").stdout.split("\0")
    assert f"FORWARDED_ALLOW_IPS={network['IPAM']['Config'][0]['Subnet']},127.0.0.1" in variables


def test_request_id_that_could_harm_a_log_is_replaced(plain):
    answer = plain.request("/environ", headers={"X-Request-ID": 'a"b c'})
    assert answer.json["HTTP_X_REQUEST_ID"] == answer.headers["X-Request-ID"]
    assert len(answer.headers["X-Request-ID"]) == 32


def test_exception_is_logged_with_the_id_that_the_visitor_sees(new_stack, wait):
    stack = new_stack("plain", BACKEND="ropewalk")
    stack.up()
    answer = stack.request("/slow?seconds=no")
    assert answer.status == 500
    assert answer.content.decode() == f"500 Internal Server Error\nRequest ID: {answer.headers['X-Request-ID']}\n"
    message = f"the application raised ValueError (request id {answer.headers['X-Request-ID']})"
    wait(lambda: message in stack.logs("app"), "the log tells of it")


def test_every_response_has_the_security_headers_once(plain):
    for target in ("/environ", "/nothing-here", "/static/nothing-here"):
        headers = plain.request(target).headers
        assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
        assert headers.get_all("X-Frame-Options") == ["SAMEORIGIN"]
        assert headers.get_all("Referrer-Policy") == ["strict-origin-when-cross-origin"]
        assert len(headers.get_all("X-Request-ID")) == 1
        assert headers["Server"] == "nginx"


def test_body_over_the_limit_is_refused_with_the_kits_page(new_stack, wait):
    stack = new_stack("plain", BACKEND="gunicorn", MAX_BODY_SIZE="1m", UPLOAD_SIZE="1m")
    stack.up()
    assert stack.request("/upload", method="POST", content=b"x" * (1 << 20)).content == b"1048576"
    answer = stack.request("/upload", method="POST", content=b"x" * ((1 << 20) + 1))
    assert answer.status == 413
    assert b"larger than this site accepts" in answer.content
    line = access_log(stack, wait, answer.headers["X-Request-ID"])
    assert (line["method"], line["status"]) == ("POST", 413)


def test_requests_over_the_rate_get_429_and_the_kits_own_health_check_never_does(new_stack):
    stack = new_stack("plain", BACKEND="gunicorn", RATE_LIMIT="1")
    stack.up()
    answers = [stack.request("/environ") for _ in range(5)]
    refused = [answer for answer in answers if answer.status != 200]
    assert refused
    assert {answer.status for answer in refused} == {429}
    assert refused[0].headers["Retry-After"] == "1"
    assert b"Too many requests" in refused[0].content
    # a stranger's too, but not the one that is made in the container
    assert 429 in {stack.request("/healthz").status for _ in range(8)}
    for _ in range(8):
        stack.compose("exec", "-T", "nginx", "/kit/bin/probe", "127.0.0.1", "8080", "/healthz")


def test_visitor_sees_a_page_while_the_application_is_away_and_the_site_again_after(new_stack, wait):
    stack = new_stack("plain", BACKEND="gunicorn")
    stack.up()
    stack.compose("stop", "app")
    answer = stack.request("/environ")
    assert answer.status in (502, 504)  # the address is refused, or is nobody's
    assert answer.headers["Retry-After"] == "5"
    assert b"Back in a moment" in answer.content
    assert f'<div class="code">{answer.status}</div>'.encode() in answer.content
    assert b"Request ID: " + answer.headers["X-Request-ID"].encode() in answer.content
    assert "no-store" in answer.headers["Cache-Control"]
    stack.compose("start", "app")
    wait(lambda: stack.request("/environ").status == 200, "the application is back")


def test_visitor_sees_another_page_when_the_application_took_the_request_and_is_late(new_stack, execute):
    stack = new_stack("plain", REQUEST_TIMEOUT="1")
    stack.up()
    execute("docker", "pause", stack.container("app"))  # the kernel takes the connection all the same
    answer = stack.request("/environ")
    assert answer.status == 504
    assert b"Response took too long" in answer.content
    assert answer.headers["Retry-After"] is None


def test_project_without_a_health_page_comes_up(new_stack):
    stack = new_stack("plain", WSGI_APP="wsgi:stranger")
    stack.up()
    assert stack.request("/").content == b"hello\n"


def test_application_that_does_not_become_healthy_is_reported_and_shown_after_a_while(container, execute, wait):
    app = container("plain", "server", options=("--env", "WSGI_APP=wsgi:stranger"))
    options = ("--network", f"container:{app}", "--env", "APP_HOST=localhost", "--env", "START_PATIENCE=1")
    nginx = container("nginx", options=(*options, "--env", "HEALTH_PATH=/health"))

    def is_well(port, path):
        return execute("docker", "exec", nginx, "/kit/bin/probe", "127.0.0.1", port, path, check=False).returncode == 0

    wait(lambda: is_well("8081", "/health"), "the containers that wait for nginx start")
    wait(lambda: is_well("8080", "/"), "the visitor meets the application")
    assert (
        "the application is not becoming healthy: GET /health: HTTP/1.1 404 Not Found\n"
        in execute("docker", "logs", nginx).stderr
    )


def check_request_ids(stack, execute, wait):
    """Each request has one ID in its response, in nginx's log and in that of one of both containers, with the names."""
    identifiers = {stack.request("/environ").headers["X-Request-ID"] for _ in range(8)}
    containers = stack.compose("ps", "--quiet", "app").stdout.split()

    def logged(container):
        lines = [
            json.loads(line) for line in execute("docker", "logs", container).stdout.splitlines() if line[0] == "{"
        ]
        return {line["request_id"]: line for line in lines if line.get("request_id") in identifiers}

    wait(lambda: sum(len(logged(container)) for container in containers) == len(identifiers), "all are logged")
    assert all(logged(container) for container in containers)
    of_nginx = logged(stack.container("nginx"))
    assert of_nginx.keys() == identifiers
    lines = [*of_nginx.values(), *(line for container in containers for line in logged(container).values())]
    assert {line["node"] for line in lines} == {"node-1"}


def test_nginx_follows_the_application_from_one_container_to_others(new_stack, execute, wait):
    stack = new_stack("plain", NODE_NAME="node-1")
    stack.up()

    def servers():
        return set(stack.compose("exec", "-T", "nginx", "cat", "/tmp/nginx/upstream.conf").stdout.splitlines())

    before = servers()
    assert len(before) == 1
    first = stack.container("app")
    stack.compose("up", "--no-build", "--wait", "--wait-timeout", "120", "--no-recreate", "--scale", "app=2")
    wait(lambda: len(servers()) == 2, "nginx knows both containers")
    check_request_ids(stack, execute, wait)
    execute("docker", "rm", "--force", first)
    wait(lambda: len(servers()) == 1, "nginx has forgotten the one that is gone")
    assert servers() != before
    assert [stack.request("/environ").status for _ in range(5)] == [200] * 5


def test_application_can_have_nginx_send_an_uploaded_file(plain):
    script = "open('/srv/media/page.html', 'w').write('<p>hello'); open('/srv/media/a.txt', 'w').write('text')"
    plain.compose("exec", "-T", "app", "python", "-c", script)
    answer = plain.request("/accel?name=a.txt")
    assert (answer.status, answer.content) == (200, b"text")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers.get_content_disposition() is None
    # what a browser would run as a page of this site
    page = plain.request("/accel?name=page.html")
    assert (page.headers.get_content_type(), page.headers.get_content_disposition()) == ("text/html", "attachment")
    part = plain.request("/accel?name=a.txt", headers={"Range": "bytes=1-2"})
    assert (part.status, part.content, part.headers["Content-Range"]) == (206, b"ex", "bytes 1-2/4")
    for path in ("/_media/a.txt", "//_media/a.txt", "/%5Fmedia/a.txt", "/static/../_media/a.txt"):
        assert plain.request(path).status == 404
    # what a client names is a field of its request, not of the response
    assert plain.request("/environ", headers={"X-Accel-Redirect": "/_media/a.txt"}).content != b"text"


def test_unknown_name_gets_no_response_when_names_are_set(new_stack):
    stack = new_stack("plain", BACKEND="gunicorn", SERVER_NAME="shop.example www.shop.example")
    stack.up()
    assert stack.request("/environ", headers={"Host": "shop.example"}).status == 200
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert connection.recv(1000) == b""


RENDERINGS = [
    {},
    {"SERVER_NAME": "a.example *.b.example"},
    {"TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32", "RATE_LIMIT": "0", "CONNECTION_LIMIT": "0"},
    {"HTTPS": "off", "SERVER_NAME": "a.example", "HTTPS_ONLY": "1", "HSTS_SECONDS": "31536000"},
    {
        "HTTPS_ONLY": "true",
        "HTTPS_PORT": "443",
        "HSTS_SECONDS": "1",
        "SERVER_NAME": "a.example 10.1.2.3 .b.example c.*",
    },
    {"REQUEST_TIMEOUT": "3600", "STATIC_URL": "/assets/v1/", "HEALTH_PATH": "/", "UPLOAD_SIZE": "150m"},
    {"UPLOAD_PATHS": "/a/ /a /a/b.c /assets /~x@y+z/_-", "STATIC_URL": "/assets/v1/", "BODY_LIMIT": "0"},
    {"SERVER_NAME": "a.example", "REDIRECT_HOSTS": "www.a.example b.example"},
    {"SERVER_NAME": "a.example", "REDIRECT_HOSTS": "b.example", "HTTPS_ONLY": "1", "HTTPS_PORT": "443", "HTTP3": "on"},
    {"SERVER_NAME": "a.example", "REDIRECT_HOSTS": "b.example", "HTTPS": "off"},
    {"CONNECTION_LIMIT": "65535", "BODY_LIMIT": "65535", "UPLOAD_LIMIT": "65535", "MAX_BODY_SIZE": "1"},
]
ROOMS = rooms("/tmp", "/srv/bodies", "/srv/responses", size="600m")


@pytest.mark.parametrize("variables", RENDERINGS)
def test_rendered_configuration_passes_nginx_s_own_test(images, execute, variables):
    options = [option for name, value in variables.items() for option in ("--env", f"{name}={value}")]
    command = ["docker", "run", "--rm", "--read-only", *ROOMS, *options, images["nginx"], "check"]
    assert execute(*command).stderr == ""


@pytest.mark.parametrize(
    ("mounted", "said"),
    [
        (("/srv/bodies", "/srv/responses"), "/tmp/nginx is not writable: mount a tmpfs at /tmp"),
        (("/tmp", "/srv/responses"), "/srv/bodies is not writable: mount a tmpfs there"),
        (("/tmp", "/srv/bodies"), "/srv/responses is not writable: mount a tmpfs there"),
    ],
)
def test_output_that_cannot_be_written_stops_the_start(images, execute, mounted, said):
    done = execute("docker", "run", "--rm", "--read-only", *rooms(*mounted, size="600m"), images["nginx"], check=False)
    assert (done.returncode, done.stderr) == (2, f"nginx/entrypoint: {said}\n")


def test_body_larger_than_the_room_and_a_room_larger_than_the_memory_stop_the_start(images, execute):
    sizes = {"/tmp": "16m", "/srv/bodies": "64m", "/srv/responses": "32m"}
    mounts = [mount for folder, size in sizes.items() for mount in rooms(folder, size=size)]
    run = ("docker", "run", "--rm", "--read-only", *mounts)
    done = execute(*run, images["nginx"], check=False)
    said = "UPLOAD_SIZE='80m': must be from 1 to 64m, the size of /srv/bodies (BODY_ROOM in docker-compose.yml)"
    assert (done.returncode, done.stderr) == (2, f"nginx/entrypoint: {said}\n")
    small = ("--env", "UPLOAD_SIZE=16m", "--env", "MAX_BODY_SIZE=1m")
    assert execute(*run, *small, "--memory", "240m", images["nginx"], "check").stderr == ""
    done = execute(*run, *small, "--memory", "239m", images["nginx"], "check", check=False)
    said = "NGINX_MEMORY: the container has 239m: must be at least 240m, of which 112m are for /tmp, /srv/bodies and "
    assert (done.returncode, done.stderr) == (2, f"nginx/entrypoint: {said}/srv/responses\n")


def test_body_larger_than_the_application_s_room_stops_the_start(images, execute):
    run = ("docker", "run", "--rm", "--read-only", *rooms("/tmp", size="64m"), images["plain"])
    for command in ("server", "supervisor", "release"):
        done = execute(*run, command, check=False)
        said = "UPLOAD_SIZE='80m': must be from 1 to 64m, the size of /tmp (BODY_ROOM in docker-compose.yml)"
        assert (done.returncode, done.stderr) == (2, f"entrypoint: {said}\n")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SERVER_NAME", "a; return 200"),
        ("REDIRECT_HOSTS", "www.shop.example"),
        ("STATIC_URL", "static"),
        ("MAX_BODY_SIZE", "lots"),
        ("MAX_BODY_SIZE", "700m"),
        ("UPLOAD_PATHS", "papers"),
        ("UPLOAD_PATHS", "/"),
        ("UPLOAD_PATHS", "/a; return 200"),
        ("UPLOAD_PATHS", "/a /b/../c"),
        ("UPLOAD_PATHS", "/a//b"),
        ("UPLOAD_PATHS", "/static"),
        ("UPLOAD_PATHS", "/static/up"),
        ("UPLOAD_PATHS", "/_media/"),
        ("UPLOAD_LIMIT", "many"),
        ("BODY_LIMIT", "65536"),
        ("TRUSTED_PROXIES", "10.0.0.1; x"),
        ("REQUEST_TIMEOUT", "30s"),
        ("RATE_LIMIT", "-1"),
        ("HTTPS", "maybe"),
        ("HTTPS_PORT", "https"),
        ("HTTPS_ONLY", "2"),
        ("HSTS_SECONDS", "1y"),
    ],
)
def test_value_that_is_not_allowed_stops_the_start_and_is_named(images, execute, name, value):
    command = ["docker", "run", "--rm", "--read-only", *ROOMS, "--env", f"{name}={value}", images["nginx"]]
    done = execute(*command, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nginx/entrypoint: {name}='{value}': ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("names", "hosts", "said"),
    [
        ("a.example", "b.example; return 200", "must be names separated by spaces, such as www.shop.example"),
        ("a.example", "https://b.example", "must be names separated by spaces, such as www.shop.example"),
        ("a.example", "*.b.example", "must be names separated by spaces, such as www.shop.example"),
        ("a.example", " ", "must be names separated by spaces, such as www.shop.example"),
        ("*.a.example", "b.example", "leads to the first name in SERVER_NAME, which must be one, not '*.a.example'"),
        ("_", "b.example", "leads to the first name in SERVER_NAME, which must be one, not '_'"),
        ("a.example B.example", "b.example", "b.example must not be in SERVER_NAME too"),
    ],
)
def test_names_that_cannot_be_redirected_stop_the_start(images, execute, names, hosts, said):
    given = ("--env", f"SERVER_NAME={names}", "--env", f"REDIRECT_HOSTS={hosts}")
    done = execute("docker", "run", "--rm", "--read-only", *ROOMS, *given, images["nginx"], "check", check=False)
    assert (done.returncode, done.stderr) == (2, f"nginx/entrypoint: REDIRECT_HOSTS='{hosts}': {said}\n")
