"""The profiles postgres and redis: the application finds them by itself, with generated passwords."""

import secrets

import pytest

from tests.helpers.containers import image_builder, rooms

pytestmark = pytest.mark.docker

ENVIRONMENT = (
    "import os; print(os.environ['DATABASE_URL'].partition('@')[2], os.environ['REDIS_URL'].partition('@')[2])"
)
WRITE = (
    "from django.contrib.sessions.models import Session as S; from django.utils import timezone;"
    "S.objects.create(session_key='kept', session_data='', expire_date=timezone.now())"
)
READ = (
    "from django.contrib.sessions.models import Session as S; from django.db import connection;"
    "print(connection.vendor, [each.session_key for each in S.objects.all()])"
)
# The protocol needs no library: one command, with the password of REDIS_URL.
PING = (
    "import os, socket, urllib.parse as u; url = u.urlsplit(os.environ['REDIS_URL']);"
    "connection = socket.create_connection((url.hostname, url.port), 10);"
    "connection.sendall(b'AUTH %s\\r\\nINCR kept\\r\\n' % url.password.encode());"
    "file = connection.makefile('rb'); print(file.readline(), file.readline())"
)


@pytest.fixture(scope="module")
def services():
    with image_builder() as build:
        yield {
            "POSTGRES_IMAGE": build("postgres", dockerfile="deploy/postgres/Dockerfile"),
            "REDIS_IMAGE": build("redis", dockerfile="deploy/redis/Dockerfile"),
        }


@pytest.fixture
def volume(execute):
    name = f"ropewalk-test-{secrets.token_hex(4)}"
    yield name
    execute("docker", "volume", "rm", "--force", name)


@pytest.fixture(scope="module")
def stack(start_stack, services):
    stack = start_stack("sample", COMPOSE_PROFILES="postgres,redis", **services)
    stack.up()
    return stack


def python(stack, code):
    return stack.compose("exec", "-T", "app", "python", "-c", code).stdout.strip()


def shell(stack, code):
    return stack.compose("exec", "-T", "app", "python", "manage.py", "shell", "-v0", "-c", code).stdout.strip()


def test_application_and_its_commands_use_them(stack):
    assert python(stack, ENVIRONMENT) == "postgres:5432/ropewalk redis:6379/0"
    assert stack.request("/", headers={"Host": "localhost"}).status == 200
    assert python(stack, PING) == r"b'+OK\r\n' b':1\r\n'"


def test_rows_and_keys_outlive_the_containers(stack):
    shell(stack, WRITE)
    assert python(stack, PING).startswith(r"b'+OK")
    stack.compose("down", "--timeout", "20")
    stack.up()
    assert shell(stack, READ) == "postgresql ['kept']"
    assert int(python(stack, PING).partition("b':")[2].partition("\\")[0]) > 1


def test_nobody_without_the_password(stack, execute):
    address = "postgresql://ropewalk:wrong@postgres/ropewalk"
    program = f"/usr/lib/postgresql/*/bin/psql {address} -c 'SELECT 1'"
    refused = execute("docker", "exec", stack.container("postgres"), "bash", "-c", program, check=False)
    assert "password authentication failed" in refused.stderr
    program = "valkey-cli -h redis GET kept"
    assert "NOAUTH" in execute("docker", "exec", stack.container("redis"), "bash", "-c", program).stdout


def test_database_of_another_version_is_refused_in_one_line(services, execute, volume):
    mount = ("--read-only", *rooms("/tmp"), *(f"--volume={volume}:/srv/{name}" for name in ("postgres", "services")))
    make = "mkdir -p /srv/postgres/data && echo 13 >/srv/postgres/data/PG_VERSION"
    execute("docker", "run", "--rm", *mount, services["POSTGRES_IMAGE"], "bash", "-c", make)
    refused = execute("docker", "run", "--rm", *mount, services["POSTGRES_IMAGE"], check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "postgres: the volume has a database of PostgreSQL 13, and this image PostgreSQL 17"
    )


def test_service_that_does_not_start_ends_the_release(services, start_stack):
    """Compose itself would start the application without it, on an SQLite file."""
    stack = start_stack("sample", COMPOSE_PROFILES="postgres", POSTGRES_CONNECTIONS="none", **services)
    assert stack.compose("up", "--no-build", "--wait", check=False, timeout=300).returncode != 0
    said = "entrypoint: the profile postgres is on, and its container has not started: docker compose logs postgres"
    assert said in stack.logs("release")
