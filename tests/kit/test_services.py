"""The profiles postgres, redis and backup: the application finds its services by itself, and data come back."""

import secrets

import pytest

from tests.helpers.containers import rooms, wait_until

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


@pytest.fixture
def volume(execute):
    name = f"ropewalk-test-{secrets.token_hex(4)}"
    yield name
    execute("docker", "volume", "rm", "--force", name)


# A queue's worker, without a library: it takes names from a list in Redis, and makes a file for each.
WORK = (
    "import os, socket, urllib.parse as u; url = u.urlsplit(os.environ['REDIS_URL']);"
    "connection = socket.create_connection((url.hostname, url.port)); file = connection.makefile('rb');"
    "send = lambda text: connection.sendall(text.encode() + b'\\r\\n');"
    "send('AUTH ' + url.password); file.readline();"
    "[(send('BLPOP tasks 0'), [file.readline() for _ in range(4)],"
    " open('/data/' + file.readline().decode().strip(), 'w').close()) for _ in iter(int, 1)]"
)
PUSH = PING.replace("INCR kept", "RPUSH tasks done")


@pytest.fixture(scope="module")
def stack(start_stack, service_images):
    command = f'python -c "{WORK}"'
    stack = start_stack("sample", COMPOSE_PROFILES="postgres,redis,worker", WORKER_COMMAND=command, **service_images)
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


def test_worker_takes_a_task_from_the_queue(stack):
    assert python(stack, PUSH) == r"b'+OK\r\n' b':1\r\n'"
    done = ("exec", "-T", "app", "test", "-e", "/data/done")
    wait_until(lambda: stack.compose(*done, check=False).returncode == 0, "the worker has done it")


def test_rows_and_keys_outlive_the_containers(stack):
    shell(stack, WRITE)
    assert python(stack, PING).startswith(r"b'+OK")
    stack.compose("down", "--timeout", "20")
    stack.up()
    assert shell(stack, READ) == "postgresql ['kept']"
    assert int(python(stack, PING).partition("b':")[2].partition("\\")[0]) > 1


def in_backup(stack, *arguments, options=(), check=True):
    return stack.compose("--profile", "backup", "run", "--rm", "--no-deps", "-T", *options, *arguments, check=check)


def test_backup_brings_back_what_was_lost(stack):
    shell(stack, "from django.contrib.auth.models import User; User.objects.create_user('kept')")
    stack.compose("exec", "-T", "app", "bash", "-c", "echo photo >/srv/media/photo.txt")
    name = in_backup(stack, "backup", "save").stdout.strip()
    assert "12 tables" in in_backup(stack, "backup", "check").stdout
    shell(stack, "from django.contrib.auth.models import User; User.objects.all().delete()")
    stack.compose("exec", "-T", "app", "bash", "-c", "rm /srv/media/photo.txt; echo new >/srv/media/new.txt")
    stack.compose("stop", "app")
    in_backup(stack, "backup", "restore", name)
    stack.up()
    users = "from django.contrib.auth.models import User; print([each.username for each in User.objects.all()])"
    assert shell(stack, users) == "['kept']"
    assert stack.compose("exec", "-T", "app", "ls", "/srv/media").stdout.split() == ["incoming", "photo.txt"]


AGE = """
age-keygen -o /tmp/key 2>/tmp/public
export BACKUP_RECIPIENT=$(sed 's/.*: //' /tmp/public) BACKUP_IDENTITY=/tmp/key
"""
GPG = """
export GNUPGHOME=/tmp/home; mkdir -m 700 /tmp/home
gpg --batch --quiet --passphrase '' --quick-generate-key site@example.org default default never
gpg --batch --quiet --export site@example.org >/tmp/public
gpg --batch --quiet --export-secret-keys site@example.org >/tmp/key
export BACKUP_RECIPIENT=site@example.org BACKUP_IDENTITY=/tmp/key
sed 's|^PUBLIC_KEY = .*|PUBLIC_KEY = Path("/tmp/public")|' -i /tmp/backup/settings.py
"""
ROUND = """
cp -r /kit/backup /tmp/backup
{keys}
name=$(python3 -I /tmp/backup save)
python3 -I /tmp/backup check "$name"
unset BACKUP_IDENTITY
python3 -I /tmp/backup check "$name" || echo "status $?"
"""


@pytest.mark.parametrize(("keys", "suffix"), [(AGE, ".age"), (GPG, ".gpg")], ids=["age", "gpg"])
def test_encrypted_backup_needs_the_private_key(stack, keys, suffix):
    options = ("--entrypoint", "bash")
    done = in_backup(stack, "backup", "-euc", ROUND.format(keys=keys), options=options)
    assert f"{suffix}: " in done.stdout
    assert "all as they were saved" in done.stdout
    assert f"{suffix} is encrypted: BACKUP_IDENTITY has to name a file with the private key" in done.stderr
    assert done.stdout.strip().endswith("status 2")


def test_nobody_without_the_password(stack, execute):
    address = "postgresql://ropewalk:wrong@postgres/ropewalk"
    program = f"/usr/lib/postgresql/*/bin/psql {address} -c 'SELECT 1'"
    refused = execute("docker", "exec", stack.container("postgres"), "bash", "-c", program, check=False)
    assert "password authentication failed" in refused.stderr
    program = "valkey-cli -h redis GET kept"
    assert "NOAUTH" in execute("docker", "exec", stack.container("redis"), "bash", "-c", program).stdout


def test_given_password_is_the_databases(service_images, volume, container, execute, wait):
    given = ("--env", "POSTGRES_PASSWORD=a-given_1")
    mounts = (f"--volume={volume}:/srv/{name}" for name in ("postgres", "services"))
    name = container(service_images["POSTGRES_IMAGE"], options=(*mounts, *given))

    def ask(password):
        query = "exec /usr/lib/postgresql/*/bin/psql --no-psqlrc -h 127.0.0.1 -U ropewalk -Atc 'SELECT 41 + 1'"
        return execute("docker", "exec", "--env", f"PGPASSWORD={password}", name, "bash", "-c", query, check=False)

    wait(lambda: ask("a-given_1").stdout == "42\n", "the database takes the password")
    assert "password authentication failed" in ask("another").stderr


def test_health_check_that_is_ended_leaves_the_database_alone(service_images, volume, container, execute, wait):
    mounts = (f"--volume={volume}:/srv/{name}" for name in ("postgres", "services"))
    name = container(service_images["POSTGRES_IMAGE"], options=tuple(mounts))

    def check(*words, options=""):
        command = ("docker", "exec", "--env", f"PGOPTIONS={options}", name, *words, "/kit/bin/healthy")
        return execute(*command, check=False).returncode

    wait(lambda: check() == 0, "the database answers")
    assert check("timeout", "1", options="-c post_auth_delay=60") == 124
    wait(lambda: "psql" not in execute("docker", "top", name).stdout, "the check has ended")
    wait(lambda: check() == 0, "the database answers")
    logs = execute("docker", "logs", name)
    assert "was terminated by signal" not in logs.stdout + logs.stderr


def test_password_that_no_url_can_have_is_refused_in_one_line(service_images, execute):
    variable = ("--env", "POSTGRES_PASSWORD=p@ss")
    refused = execute("docker", "run", "--rm", *variable, service_images["POSTGRES_IMAGE"], check=False)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "POSTGRES_PASSWORD: must have no other characters than" in refused.stderr


def test_database_of_another_version_is_refused_in_one_line(service_images, execute, volume):
    mount = ("--read-only", *rooms("/tmp"), *(f"--volume={volume}:/srv/{name}" for name in ("postgres", "services")))
    make = "mkdir -p /srv/postgres/data && echo 13 >/srv/postgres/data/PG_VERSION"
    execute("docker", "run", "--rm", *mount, service_images["POSTGRES_IMAGE"], "bash", "-c", make)
    refused = execute("docker", "run", "--rm", *mount, service_images["POSTGRES_IMAGE"], check=False)
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "postgres: the volume has a database of PostgreSQL 13, and this image PostgreSQL 17"
    )


def test_service_that_does_not_start_ends_the_release(service_images, start_stack):
    """Compose itself would start the application without it, on an SQLite file."""
    stack = start_stack("sample", COMPOSE_PROFILES="postgres", POSTGRES_CONNECTIONS="none", **service_images)
    assert stack.compose("up", "--no-build", "--wait", check=False, timeout=300).returncode != 0
    said = "entrypoint: the profile postgres is on, and its container has not started: docker compose logs postgres"
    assert said in stack.logs("release")
