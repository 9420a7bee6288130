"""What is in the images, and how little a running container may do."""

import json

import pytest

pytestmark = pytest.mark.docker


@pytest.mark.parametrize("image", ["sample", "nginx"])
def test_image_runs_as_a_numeric_user_that_is_not_root(images, execute, image):
    user = execute("docker", "image", "inspect", "--format", "{{.Config.User}}", images[image]).stdout.strip()
    assert user == "10001:10001"
    ran = execute("docker", "run", "--rm", "--entrypoint", "id", images[image], "-u").stdout.strip()
    assert ran == "10001"


@pytest.mark.parametrize("image", ["sample", "nginx"])
def test_image_has_no_compiler_and_no_installer(images, execute, image):
    tools = "gcc g++ cc c++ clang make pip pip3 cargo rustc ld"
    look = f"for tool in {tools}; do command -v $tool; done; true"
    found = execute("docker", "run", "--rm", "--entrypoint", "sh", images[image], "-c", look).stdout.split()
    assert found == []


def test_application_image_has_the_servers_and_not_what_built_them(images, execute):
    script = (
        "import importlib.util as u\n"
        "print([n for n in ('ropewalk','gunicorn','supervisor','django','flit_core','pip') if u.find_spec(n)])"
    )
    done = execute("docker", "run", "--rm", "--entrypoint", "python", images["sample"], "-c", script)
    assert done.stdout.strip() == "['ropewalk', 'gunicorn', 'supervisor', 'django']"


def test_ropewalk_comes_as_an_installed_wheel(images, execute):
    script = "import ropewalk; print(ropewalk.__file__)"
    done = execute("docker", "run", "--rm", "--entrypoint", "python", images["sample"], "-c", script)
    assert done.stdout.startswith("/opt/venv/lib/python3.13/site-packages/")


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


def test_application_has_no_published_port_and_no_way_out(plain, execute):
    found = json.loads(execute("docker", "inspect", plain.container("app")).stdout)[0]
    assert not any(found["NetworkSettings"]["Ports"].values())
    assert list(found["NetworkSettings"]["Networks"]) == [f"{plain.name}_back"]
    network = json.loads(execute("docker", "network", "inspect", f"{plain.name}_back").stdout)[0]
    assert network["Internal"]
