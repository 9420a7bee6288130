"""What is in the images, and how little a running container may do."""

import dataclasses
import json
import os
import secrets
import shutil
import subprocess

import pytest

from kit import sbom
from kit.project.base_python import DEBIAN
from tests.helpers.bills import faults
from tests.helpers.containers import NGINX_ROOMS, clean_environment
from tests.helpers.image_sizes import documented, strays
from tests.helpers.machine import BASE_IMAGE

pytestmark = pytest.mark.docker

SHIPPED = ["app", "nginx", "acme", "postgres", "redis", "backup", "monitor"]

VOLUMES = {
    "app": ["/data", "/srv/assets", "/srv/media", "/srv/services"],
    "nginx": ["/srv/assets", "/srv/media", "/srv/self-signed", "/srv/state", "/srv/tls"],
    "acme": ["/srv/acme", "/srv/tls"],
    "postgres": ["/srv/postgres", "/srv/services"],
    "redis": ["/srv/redis", "/srv/services"],
    "backup": ["/backups", "/data", "/srv/media", "/srv/services"],
    "monitor": ["/srv/monitor"],
}
"""The folders that belong to the user of the container, so that the volumes there do."""

SHARED = {key: ["/run/lock", "/tmp", "/var/tmp"] for key in SHIPPED} | {
    "nginx": ["/run/lock", "/srv/bodies", "/srv/responses", "/tmp", "/var/tmp"]
}
"""Folders that every user may write to, Debian's and those for a tmpfs, with the sticky bit."""


@pytest.fixture(scope="module")
def shipped(images, acme_images, service_images):
    services = {name.removesuffix("_IMAGE").lower(): image for name, image in service_images.items()}
    return {"app": images["sample"], "nginx": images["nginx"], "acme": acme_images["acme"], **services}


@pytest.fixture(scope="module")
def find(shipped):
    """find(image, *expression, user=...): the paths that find prints about an image."""

    def run(image, *expression, user="0", starts=("/",)):
        command = ["docker", "run", "--rm", "--user", user, "--entrypoint", "find", shipped[image], *starts, "-xdev"]
        # a user that is not root may not look into all folders
        done = subprocess.run([*command, *expression], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0 or user != "0", done.stderr
        return sorted(set(done.stdout.splitlines()) - {"/.dockerenv"})

    return run


@pytest.mark.parametrize("image", SHIPPED)
def test_no_file_gives_more_rights_than_its_user_has(find, image):
    assert find(image, "-perm", "/6000") == []


@pytest.mark.parametrize("image", SHIPPED)
def test_no_file_can_be_written_by_everybody(find, image):
    assert find(image, "-perm", "-2", "!", "-type", "l") == SHARED[image]
    assert find(image, "-perm", "-2", "!", "-type", "l", "!", "-perm", "-1000") == []


@pytest.mark.parametrize("image", SHIPPED)
def test_user_owns_and_can_write_the_volumes_alone(find, image):
    writable = ["(", "-writable", "-o", "-user", "10001", "-o", "-group", "10001", ")", "!", "-type", "l"]
    assert find(image, *writable, user="10001:10001") == sorted(SHARED[image] + VOLUMES[image])
    assert find(image, "-user", "10001", "-o", "-group", "10001") == VOLUMES[image]


@pytest.mark.parametrize("image", SHIPPED)
def test_no_cache_of_an_installer_is_left(find, image):
    assert find(image, "-name", "*.whl", "-o", "-path", "*/.cache/*", "-o", "-name", "*pkgcache.bin") == []
    assert find(image, "-type", "f", "-size", "+0", starts=("/var/lib/apt/lists", "/var/cache/apt")) == []


@pytest.mark.parametrize("image", SHIPPED)
def test_user_has_a_name_and_a_home_that_can_be_written_to(shipped, execute, image):
    script = 'set -e; id -un; echo "$HOME"; : >"$HOME/probe"'
    hardened = ["--read-only", "--tmpfs", "/tmp:size=1m,mode=1777,noexec,nosuid,nodev"]
    done = execute("docker", "run", "--rm", *hardened, "--entrypoint", "bash", shipped[image], "-c", script)
    assert done.stdout.split() == ["ropewalk", "/tmp"]


def test_python_finds_the_name_of_the_user(images, execute):
    script = "import getpass, pathlib; print(getpass.getuser(), pathlib.Path.home())"
    done = execute("docker", "run", "--rm", images["plain"], "python", "-c", script)
    assert done.stdout == "ropewalk /tmp\n"


@pytest.mark.parametrize("image", SHIPPED)
def test_image_has_labels(shipped, execute, image):
    labels = json.loads(
        execute("docker", "image", "inspect", "--format", "{{json .Config.Labels}}", shipped[image]).stdout
    )
    assert labels["org.opencontainers.image.base.name"] == BASE_IMAGE
    assert "Ropewalk" in labels["org.opencontainers.image.title"]
    assert labels["org.opencontainers.image.description"]


@pytest.fixture
def checkout(repository, tmp_path):
    """checkout(umask): a copy of this checkout, with the modes that git gives its files at this umask."""

    def copy(umask):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
        target = tmp_path / "checkout"
        before = os.umask(umask)
        try:
            for name in filter(None, listed.stdout.split("\0")):
                if (repository / name).is_file():
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(repository / name, target / name)
                    (target / name).chmod((0o777 if os.access(repository / name, os.X_OK) else 0o666) & ~umask)
        finally:
            os.umask(before)
        return target

    return copy


@pytest.mark.parametrize("umask", [0o027, 0o077], ids=oct)
def test_images_of_a_checkout_that_only_its_owner_can_read_run(checkout, execute, umask):
    folder = checkout(umask)
    assert (folder / "deploy/app/kit.sh").stat().st_mode & 0o007 == 0
    tag = f"ropewalk-test-umask:{secrets.token_hex(4)}"
    tags = {"Dockerfile": f"{tag}-app", "nginx/Dockerfile": f"{tag}-nginx"}
    arguments = [f"--build-arg=BASE_IMAGE={BASE_IMAGE}", "--build-arg=PROJECT_DIR=tests/kit/plain_project"]
    arguments.append("--build-arg=COMPILED=0")  # for each copy it would be compiled again
    try:
        for dockerfile, name in tags.items():
            command = ["docker", "build", "--quiet", "--file", str(folder / dockerfile), "--tag", name, *arguments]
            execute(*command, str(folder), timeout=600, env=clean_environment())
        run = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp"]
        execute("docker", "run", "--rm", "--read-only", *NGINX_ROOMS, tags["nginx/Dockerfile"], "check")
        execute(*run, "--env", "WSGI_APP=wsgi:application", "--volume", "/data", tags["Dockerfile"], "release")
        execute(*run, tags["Dockerfile"], "cat", "/opt/venv/etc/supervisord.conf", "/app/wsgi.py")
    finally:
        execute("docker", "image", "rm", "--force", *tags.values(), check=False)


@pytest.mark.parametrize("image", SHIPPED)
def test_image_runs_as_a_numeric_user_that_is_not_root(shipped, execute, image):
    user = execute("docker", "image", "inspect", "--format", "{{.Config.User}}", shipped[image]).stdout.strip()
    assert user == "10001:10001"
    ran = execute("docker", "run", "--rm", "--entrypoint", "id", shipped[image], "-u").stdout.strip()
    assert ran == "10001"


@pytest.mark.parametrize("image", SHIPPED)
def test_image_has_no_compiler_and_no_installer(shipped, execute, image):
    tools = "gcc g++ cc c++ clang make pip pip3 cargo rustc ld"
    look = f"for tool in {tools}; do command -v $tool; done; true"
    found = execute("docker", "run", "--rm", "--entrypoint", "sh", shipped[image], "-c", look).stdout.split()
    assert found == []


def test_application_image_has_the_servers_and_not_what_built_them(images, execute):
    script = (
        "import importlib.util as u\n"
        "print([n for n in ('ropewalk','gunicorn','supervisor','django','flit_core','pip') if u.find_spec(n)])"
    )
    done = execute("docker", "run", "--rm", "--entrypoint", "python", images["sample"], "-c", script)
    # gunicorn's own folder is on the path of its process alone
    assert done.stdout.strip() == "['ropewalk', 'supervisor', 'django']"
    listed = execute("docker", "run", "--rm", "--entrypoint", "ls", images["sample"], "/opt/backends/gunicorn/bin")
    assert "gunicorn" in listed.stdout.split()


def test_python_of_the_image_is_the_one_that_adopt_expects(images, execute):
    said = execute(
        "docker", "run", "--rm", images["sample"], "python", "-c", "import sys; print(*sys.version_info[:2])"
    )
    assert tuple(map(int, said.stdout.split())) == DEBIAN


def test_ropewalk_comes_as_an_installed_wheel_that_is_compiled(images, execute):
    script = "import ropewalk.http.head as head; print(head.__file__)"
    done = execute("docker", "run", "--rm", "--entrypoint", "python", images["sample"], "-c", script)
    assert done.stdout.startswith("/opt/venv/lib/python3.13/site-packages/")
    assert done.stdout.endswith(".so\n")


@pytest.mark.parametrize("service", ["app", "nginx"])
def test_container_can_write_nowhere_but_where_it_must(plain, execute, service):
    script = "for d in / /app /etc /kit /opt/venv /srv/assets /usr; do (: >$d/probe) 2>/dev/null && echo $d; done; true"
    done = execute("docker", "exec", plain.container(service), "bash", "-c", script)
    assert done.stdout.split() == []


@pytest.mark.parametrize("service", ["app", "nginx"])
def test_container_has_no_capability_and_can_gain_none(plain, execute, service):
    done = execute("docker", "exec", plain.container(service), "cat", "/proc/1/status")
    status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Uid"].split() == ["10001"] * 4


@pytest.mark.parametrize("service", ["app", "nginx"])
def test_container_is_limited(plain, execute, service):
    done = execute("docker", "inspect", plain.container(service))
    limits = json.loads(done.stdout)[0]["HostConfig"]
    assert limits["ReadonlyRootfs"]
    assert limits["Memory"] > 0
    assert limits["PidsLimit"] > 0
    assert limits["NanoCpus"] > 0
    assert limits["LogConfig"]["Config"] == {"max-file": "3", "max-size": "10m"}


def is_internal(execute, *networks):
    return {name: json.loads(execute("docker", "network", "inspect", name).stdout)[0]["Internal"] for name in networks}


def test_application_has_no_published_port_and_a_way_out(plain, execute):
    found = json.loads(execute("docker", "inspect", plain.container("app")).stdout)[0]
    assert not any(found["NetworkSettings"]["Ports"].values())
    networks = is_internal(execute, *found["NetworkSettings"]["Networks"])
    assert networks == {f"{plain.name}_back": True, f"{plain.name}_outbound": False}
    # the route of an internal network leads nowhere
    routes = execute("docker", "exec", plain.container("app"), "cat", "/proc/net/route").stdout
    assert [line for line in routes.splitlines() if line.split()[1] == "00000000"]


@pytest.fixture
def elsewhere(container, execute):
    """Address and port of a server in a network that no stack is on, published on this machine's address in it."""
    network = f"ropewalk-test-{secrets.token_hex(4)}"
    execute("docker", "network", "create", network)
    address = json.loads(execute("docker", "network", "inspect", network).stdout)[0]["IPAM"]["Config"][0]["Gateway"]
    options = ("--network", network, "--publish", f"{address}::8000", "--env", "WSGI_APP=wsgi:application")
    name = container("plain", "server", options=options)
    yield execute("docker", "port", name, "8000/tcp").stdout.split()[0].split(":")
    execute("docker", "rm", "--force", "--volumes", name)
    execute("docker", "network", "rm", network)


CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"


def test_application_reaches_what_is_elsewhere_only_while_the_way_out_is_open(new_stack, elsewhere, execute):
    stack = new_stack("plain", OUTBOUND="off")
    opened = dataclasses.replace(stack, environment={**stack.environment, "OUTBOUND": "on"})
    connect = ("python", "-c", CONNECT, *elsewhere)
    try:
        for changed, is_open in ((opened, True), (stack, False)):
            changed.compose("up", "--no-build", "--wait", "app")
            done = execute("docker", "exec", changed.container("app"), *connect, check=False)
            assert (done.returncode == 0) is is_open, done.stderr
    finally:
        stack.compose("down")  # before the network of the other value, which the fixture does not know
        opened.compose("down")


def test_way_out_can_be_closed_and_opened_again(new_stack, execute):
    stack = new_stack("plain", OUTBOUND="off")
    for variables, name in (({}, "outbound-off"), ({"OUTBOUND": "on"}, "outbound"), ({}, "outbound-off")):
        changed = dataclasses.replace(stack, environment={**stack.environment, **variables})
        changed.compose("up", "--no-build", "--no-start")
        for service in ("app", "release"):
            found = json.loads(execute("docker", "inspect", stack.container(service)).stdout)[0]
            networks = is_internal(execute, *found["NetworkSettings"]["Networks"])
            assert networks == {f"{stack.name}_back": True, f"{stack.name}_{name}": name == "outbound-off"}
    # which the fixture, with the other value, does not know
    dataclasses.replace(stack, environment={**stack.environment, "OUTBOUND": "on"}).compose("down")


def test_images_are_as_large_as_the_documentation_says(shipped, execute):
    inspect = ("docker", "image", "inspect", "--format", "{{.Size}}")
    base = int(execute(*inspect, BASE_IMAGE).stdout)
    measured = {name: (int(execute(*inspect, image).stdout) - base) / 1e6 for name, image in shipped.items()}
    assert strays(measured, documented()) == []


@pytest.mark.parametrize("image", SHIPPED)
def test_bill_of_materials_of_an_image_is_valid(shipped, image):
    bill = sbom.describe(image, "sha256:1f2e", sbom.ask(shipped[image], clean_environment()))
    assert faults(bill) == []
    assert "libc6" in {component["name"] for component in bill["components"]}
