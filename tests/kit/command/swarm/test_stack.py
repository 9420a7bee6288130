"""deploy/kit/swarm: the stack file, from what compose says of docker-compose.yml."""

import json
import subprocess

import pytest

from kit.errors import KitError
from kit.swarm import checks, files, keys, nodes, services, stack
from kit.swarm.nodes import Node, Swarm
from tests.kit.command.swarm.conftest import configured

IMAGES = stack.Images("sha256:" + "a" * 64, "sha256:" + "b" * 64)


def rendered(*, several=True, replicas=3, subnet="10.0.2.0/24", only_new_files=True, **variables):
    model = configured(**variables)
    wanted = stack.Wanted(model, variables, IMAGES, "20261129-083400", replicas, several, subnet, only_new_files)
    return stack.render(wanted)


def swarm(*hostnames, **labels):
    found = [Node(f"id-{name}", name, "manager", labels.get(name, {}), True, True) for name in hostnames]
    return Swarm("id-one", found)


@pytest.fixture(scope="module")
def plain():
    return rendered()


def test_only_keys_that_swarm_acts_on(plain):
    assert list(keys.ignored(plain.content)) == []
    with_profiles = rendered(COMPOSE_PROFILES="worker,scheduler,cron", WORKER_COMMAND="x", SCHEDULER_COMMAND="y")
    assert list(keys.ignored(with_profiles.content)) == []
    assert {"worker", "scheduler", "cron"} <= set(with_profiles.content["services"])


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ("services.app.restart", lambda content: content["services"]["app"].update(restart="always")),
        (
            "services.app.deploy.update_config.wait",
            lambda it: it["services"]["app"]["deploy"]["update_config"].update(wait=1),
        ),
        (
            "services.nginx.ports.host_ip",
            lambda content: content["services"]["nginx"]["ports"][0].update(host_ip="::1"),
        ),
        ("networks.back.attachable", lambda content: content["networks"]["back"].update(attachable=True)),
        ("include", lambda content: content.update(include=[])),
    ],
)
def test_a_key_that_swarm_ignores_is_found(plain, place, change):
    content = json.loads(json.dumps(plain.content))
    change(content)
    assert list(keys.ignored(content)) == [place]
    with pytest.raises(KitError, match=place):
        keys.check(content)


def test_docker_accepts_the_file_and_ignores_nothing(plain, tmp_path):
    (tmp_path / "stack.json").write_text(json.dumps(plain.content))
    command = ["docker", "stack", "config", "--compose-file", str(tmp_path / "stack.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_update_starts_first_is_watched_for_longer_than_the_start_and_taken_back(plain):
    app = plain.content["services"]["app"]
    update = app["deploy"]["update_config"]
    assert (update["order"], update["failure_action"], update["max_failure_ratio"]) == ("start-first", "rollback", 0)
    assert update["monitor"] == "80s"
    assert app["healthcheck"]["start_period"] == "60s"
    assert app["deploy"]["replicas"] == 3
    assert app["deploy"]["rollback_config"]["order"] == "start-first"
    assert rendered(START_PATIENCE="30").content["services"]["app"]["healthcheck"]["start_period"] == "10s"


def test_a_stopping_container_serves_until_nginx_has_noticed(plain):
    app = plain.content["services"]["app"]
    assert app["environment"]["DRAIN_DELAY"] == "5"
    assert app["stop_grace_period"] == "45s"
    other = rendered(DRAIN_DELAY="30", REQUEST_TIMEOUT="60").content["services"]["app"]
    assert (other["environment"]["DRAIN_DELAY"], other["stop_grace_period"]) == ("30", "100s")
    assert other["environment"]["STOP_GRACE_PERIOD"] == "100s"


def test_nginx_is_on_each_node_and_has_the_node_s_own_ports(plain):
    nginx = plain.content["services"]["nginx"]
    assert nginx["deploy"]["mode"] == "global"
    assert nginx["ports"] == [
        {"target": 8080, "published": 8080, "protocol": "tcp", "mode": "host"},
        {"target": 8443, "published": 8443, "protocol": "tcp", "mode": "host"},
    ]
    # a port has one owner
    assert nginx["deploy"]["update_config"]["order"] == "stop-first"
    # a release does not touch it
    assert nginx["deploy"]["labels"] == {}
    assert rendered(HTTPS="off").content["services"]["nginx"]["ports"] == nginx["ports"][:1]


def test_nginx_may_be_on_the_edge_alone(plain):
    services = rendered(EDGE_NODES="labelled", APP_CONSTRAINTS="node.labels.zone==a node.role!=manager").content[
        "services"
    ]
    edge = {"constraints": ["node.labels.ropewalk.edge==1"]}
    assert services["nginx"]["deploy"]["placement"] == services["assets"]["deploy"]["placement"] == edge
    inner = {"constraints": ["node.labels.zone==a", "node.role!=manager"]}
    assert services["app"]["deploy"]["placement"] == services["release"]["deploy"]["placement"] == inner
    assert "placement" not in plain.content["services"]["app"]["deploy"]


def test_application_trusts_the_network_of_nginx(plain):
    assert plain.content["services"]["app"]["environment"]["FORWARDED_ALLOW_IPS"] == "10.0.2.0/24"
    given = rendered(FORWARDED_ALLOW_IPS="10.9.0.0/16").content["services"]["app"]
    assert given["environment"]["FORWARDED_ALLOW_IPS"] == "10.9.0.0/16"
    assert plain.content["networks"]["back"] == {"driver": "overlay", "internal": True}
    assert "internal" not in plain.content["networks"]["outbound"]
    assert rendered(OUTBOUND="off").content["networks"]["outbound"]["internal"] is True


def test_logs_and_prometheus_know_the_node_and_the_replica(plain):
    app, nginx = (plain.content["services"][name] for name in ("app", "nginx"))
    assert app["environment"]["NODE_NAME"] == nginx["environment"]["NODE_NAME"] == "{{.Node.Hostname}}"
    assert app["environment"]["REPLICA_NAME"] == "{{.Service.Name}}.{{.Task.Slot}}"
    assert nginx["environment"]["REPLICA_NAME"] == "{{.Service.Name}}.{{.Node.Hostname}}"
    assert app["deploy"]["labels"] == {"ropewalk.release": "20261129-083400"}
    scraped = rendered(ADMIN_BIND="0.0.0.0:9180").content["services"]["app"]["deploy"]["labels"]
    assert scraped["prometheus.io/port"] == "9180"
    assert scraped["prometheus.io/network"] == "shop_outbound"


def test_the_jobs_migrate_once_and_bring_the_files_of_the_image_to_each_nginx(plain):
    release, assets = (plain.content["services"][name] for name in stack.JOBS)
    assert release["deploy"]["mode"] == "replicated-job"
    assert release["deploy"]["restart_policy"] == {"condition": "none"}
    assert release["environment"]["SEVERAL_HOSTS"] == "1"
    assert "ASSETS_DIR" not in release["environment"]
    assert assets["deploy"]["mode"] == "global-job"
    assert assets["image"] == release["image"] == plain.content["services"]["app"]["image"]
    assert {"type": "volume", "source": "assets", "target": "/srv/assets"} in assets["volumes"]
    assert assets["environment"]["ONLY_STATIC_FILES"] == assets["environment"]["ONLY_NEW_FILES"] == "1"
    assert "secrets" not in assets
    assert "ONLY_NEW_FILES" not in rendered(only_new_files=False).content["services"]["assets"]["environment"]
    assert "SEVERAL_HOSTS" not in rendered(several=False).content["services"]["release"]["environment"]


def test_each_service_has_limits_and_no_rights(plain):
    for name, service in plain.content["services"].items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}, name
        assert service["logging"]["options"]["max-size"], name


def test_what_is_in_memory_has_its_size(plain):
    mounts = {each["target"]: each for each in plain.content["services"]["nginx"]["volumes"]}
    assert mounts["/srv/bodies"] == {"type": "tmpfs", "target": "/srv/bodies", "tmpfs": {"size": 384 << 20}}
    assert [stack.octets(size) for size in ("7", "2k", "3M", "1g")] == [7, 2048, 3 << 20, 1 << 30]


def test_the_project_s_variables_are_a_secret_with_a_digest_in_its_name():
    found = rendered(SECRET_KEY="a$b", DATABASE_URL="postgres://ada:secret@db/shop", THREADS="4")
    (secret,) = found.files
    assert secret.content == b"DATABASE_URL=postgres://ada:secret@db/shop\0SECRET_KEY=a$b\0"
    text = json.dumps(found.content)
    assert "a$b" not in text
    assert "ada:secret" not in text
    app = found.content["services"]["app"]
    assert app["environment"]["THREADS"] == "4"
    assert app["secrets"] == [
        {"source": secret.name, "target": "environment", "uid": "10001", "gid": "10001", "mode": 0o400}
    ]
    assert found.content["secrets"] == {secret.name: {"external": True, "name": secret.name}}
    assert secret.name.startswith("shop_environment-")
    other = rendered(SECRET_KEY="c", DATABASE_URL="postgres://ada:secret@db/shop")
    assert other.files[0].name != secret.name


def test_a_secret_of_somebody_else_is_named_by_its_file():
    found = rendered(SECRET_KEY_FILE="/run/secrets/shop_key")
    names = {file.name for file in found.files}
    assert "shop_key" in names
    assert found.content["secrets"]["shop_key"] == {"external": True, "name": "shop_key"}


def test_the_certificate_and_error_pages_are_files_of_the_swarm(tmp_path):
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / name).write_text(name)
    pages = tmp_path / "pages"
    pages.mkdir()
    (pages / "502.html").write_text("away")
    found = rendered(TLS_DIR=str(tmp_path), ERROR_PAGES=str(pages))
    nginx = found.content["services"]["nginx"]
    assert [each["target"] for each in nginx["secrets"]] == ["/srv/tls/fullchain.pem", "/srv/tls/privkey.pem"]
    assert [each["target"] for each in nginx["configs"]] == ["/kit/nginx/pages/own/502.html"]
    assert not any(each["target"] in checks.FOLDERS for each in nginx["volumes"])
    (tmp_path / "privkey.pem").unlink()
    with pytest.raises(KitError, match=r"^TLS_DIR: .*/privkey\.pem: No such file or directory$"):
        rendered(TLS_DIR=str(tmp_path))


def test_a_file_that_swarm_would_refuse():
    with pytest.raises(KitError, match=r"^environment: has 500001 octets, and Swarm's secrets at most 500000$"):
        files.make("shop", "secret", "environment", "environment", b"x" * 500_001)


@pytest.mark.parametrize(
    ("variables", "hostnames", "said"),
    [
        ({"HTTP_ADDRESS": "127.0.0.1"}, ("one",), "HTTP_ADDRESS='127.0.0.1': must be 0.0.0.0"),
        ({"HTTP_ADDRESS_IPV6": "[::]"}, ("one",), r"HTTP_ADDRESS_IPV6='\[::\]': must be unset"),
        (
            {"COMPOSE_PROFILES": "postgres"},
            ("one",),
            "COMPOSE_PROFILES: postgres is not for TARGET=swarm: DATABASE_URL=",
        ),
        ({"COMPOSE_PROFILES": "acme"}, ("one",), "COMPOSE_PROFILES: acme is not for TARGET=swarm: .*TLS_DIR"),
        (
            {"DATABASE_URL": "sqlite:////data/shop.db"},
            ("one", "two"),
            "DATABASE_URL='sqlite:.*: SQLite is for one host",
        ),
        ({}, ("one", "two"), "SECRET_KEY is not set: on several hosts, each would make a key of its own"),
        ({"APP_CONSTRAINTS": "ssd"}, ("one",), "APP_CONSTRAINTS: 'ssd': must be like node.labels.zone==a"),
        (
            {"APP_CONSTRAINTS": "node.hostname==six"},
            ("one",),
            "APP_CONSTRAINTS='node.hostname==six': no node of the swarm",
        ),
        ({"EDGE_NODES": "labelled"}, ("one",), "EDGE_NODES='labelled': no node has the label: docker node update"),
    ],
)
def test_what_a_stack_cannot_have_is_refused_in_one_line(variables, hostnames, said):
    values = {"HTTP_ADDRESS": "0.0.0.0", **variables}
    with pytest.raises(KitError, match=f"^{said}") as caught:
        checks.check(configured(**values), values, swarm(*hostnames))
    assert "\n" not in str(caught.value)


def test_one_host_may_have_sqlite():
    values = {"HTTP_ADDRESS": "0.0.0.0", "APP_CONSTRAINTS": "node.hostname==one"}
    checks.check(configured(), values, swarm("one", "two"))


def test_a_folder_of_this_machine_is_refused():
    model = configured()
    model["services"]["app"]["volumes"].append({"type": "bind", "source": "/home/ada", "target": "/photos"})
    with pytest.raises(KitError, match=r"^app: /photos is /home/ada, which other nodes do not have$"):
        checks.check(model, {"HTTP_ADDRESS": "0.0.0.0"}, swarm("one"))


def test_a_service_of_an_override_file_is_refused():
    model = configured()
    model["services"]["mail"] = {}
    with pytest.raises(
        KitError, match=r"^the service mail is not the kit's: TARGET=swarm needs it in a stack of its own$"
    ):
        checks.check(model, {"HTTP_ADDRESS": "0.0.0.0"}, swarm("one"))


@pytest.mark.parametrize(
    ("constraint", "names"),
    [
        ("node.hostname==one", ["one"]),
        ("node.hostname!=one", ["two"]),
        ("node.id==id-two", ["two"]),
        ("node.labels.zone==a", ["two"]),
        ("node.labels.zone!=a", ["one"]),
        ("node.role==worker", []),
        ("node.platform.os==linux", ["one", "two"]),
    ],
)
def test_constraints_choose_nodes(constraint, names):
    found = swarm("one", "two", two={"zone": "a"}).on_which([constraint])
    assert [node.hostname for node in found] == names


def test_where_the_other_engines_are():
    given = {"SWARM_NODES": "ada@two ssh://ada@three:2222 unix:///run/four.sock"}
    assert nodes.endpoints(given) == ["ssh://ada@two", "ssh://ada@three:2222", "unix:///run/four.sock"]
    with pytest.raises(KitError, match=r"^SWARM_NODES: 'two': must be user@node, ssh://user@node or unix:///PATH$"):
        nodes.endpoints({"SWARM_NODES": "two"})


@pytest.mark.parametrize(
    ("status", "printed", "said"),
    [
        (127, "bash: docker: command not found", "Docker is not installed on two: make setup HOST=ada@two INSTALL=1"),
        (255, "ada@two: Permission denied (publickey).", "two does not let ada in: add your public key there"),
    ],
)
def test_why_a_node_cannot_be_called(status, printed, said):
    text = f"error during connect: command [ssh -T] has exited with exit status {status}, make sure: stderr={printed}\n"
    assert nodes.reason("ssh://ada@two", text).startswith(said)
    assert nodes.reason("unix:///two.sock", "Warning\nCannot connect\n") == "Cannot connect"


@pytest.mark.parametrize(
    ("text", "running", "wanted", "is_complete"),
    [
        ("2/3", 2, 3, False),
        ("3/3 (max 1 per node)", 3, 3, False),
        ("0/1 (1/1 completed)", 0, 1, True),
        ("1/3 (2/3 completed)", 1, 3, False),
        ("0/0 (0/0 completed)", 0, 0, False),
        ("", 0, 0, False),
    ],
)
def test_what_swarm_says_of_a_service_is_read(text, running, wanted, is_complete):
    found = services.read_count(text)
    assert (found.running, found.wanted, found.is_complete) == (running, wanted, is_complete)
