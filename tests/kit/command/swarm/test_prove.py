"""deploy/kit/prove/swarm.py: the proof's own site in a swarm. With a real one: tests/swarm."""

import pytest

from kit.errors import KitError
from kit.prove import command, swarm
from kit.prove.site import ProofError
from kit.swarm import nodes
from kit.swarm.nodes import Node, Swarm

ENVIRONMENT = {"TARGET": "swarm", "COMPOSE_ENV_FILES": "/dev/null"}


def node(number, *, is_active=True):
    return Node(f"id-{number}", f"node{number}", "manager", {}, True, is_active, f"10.0.0.{number}")


@pytest.fixture
def new_site(monkeypatch, tmp_path):
    """new_site(*nodes, VARIABLE=...): one whose calls of docker are kept in `calls`, and answered by `answers`."""

    def make(*its, **variables):
        monkeypatch.setattr(nodes, "find", lambda _: Swarm("id-1", list(its)))
        site = swarm.SwarmSite(tmp_path, ENVIRONMENT | variables)
        site.calls, site.answers = [], {}

        def docker(*words, environment=None):
            site.calls.append(" ".join(words))
            answer = site.answers.get(" ".join(words[:2]), "")
            answer = answer.pop(0) if isinstance(answer, list) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(site, "docker", docker)
        return site

    monkeypatch.setattr(swarm, "SETTLE", 0)
    return make


def running(*hostnames):
    return "".join(f"t-{at}\t{hostname}\tRunning 3 seconds ago\n" for at, hostname in enumerate(hostnames))


def test_clients_are_those_of_one_machine_and_each_begins_with_another_node(new_site):
    site = new_site(node(1), node(2), node(3, is_active=False), HTTP_PORT="8001", HTTPS_PORT="8002")
    clients = site.clients()
    assert [client.name for client in clients] == [
        "GET http new",
        "GET http keep-alive",
        "POST http new",
        "POST http keep-alive",
        "GET https keep-alive",
        "POST https new",
    ]
    assert [client.address for client in clients[:3]] == [("10.0.0.1", 8001), ("10.0.0.2", 8001), ("10.0.0.1", 8001)]
    assert clients[0].others == (("10.0.0.2", 8001),)
    assert (clients[4].address, clients[4].others) == (("10.0.0.1", 8002), (("10.0.0.2", 8002),))


def test_ports_of_env_are_those_of_the_users_own_stack(new_site, tmp_path):
    (tmp_path / ".env").write_text("HTTP_PORT=80\nHTTPS_PORT=443\nSWARM_NODES=deploy@node2\n")
    site = new_site(node(1), COMPOSE_ENV_FILES=str(tmp_path / ".env"))
    port, tls_port = (int(site.environment[name]) for name in ("HTTP_PORT", "HTTPS_PORT"))
    assert port in swarm.PORTS
    assert tls_port == port + 1
    assert site.environment["SWARM_NODES"] == "deploy@node2"
    assert site.environment["COMPOSE_ENV_FILES"] == "/dev/null"


def test_faults_drain_the_nodes_that_are_active(new_site):
    names = [step.name for step in swarm.faults(new_site(node(1), node(2), node(3, is_active=False)))]
    assert names == ["drain node1", "drain node2"]
    with pytest.raises(KitError, match=r"^FAULTS: it drains a node, and nginx runs on one alone: "):
        swarm.faults(new_site(node(1)))


def test_word_that_names_no_node_lists_them(new_site, monkeypatch):
    monkeypatch.setattr(swarm.SwarmSite, "remove", lambda _: None)
    new_site(node(1), node(2))
    with pytest.raises(
        KitError, match=r"^FAULTS='node7': must be 1, or a word in one of these: drain node1, drain node2"
    ):
        command.prove(ENVIRONMENT | {"FAULTS": "node7"})


def test_node_is_active_again_although_its_containers_do_not_leave_it(new_site):
    site = new_site(node(1), node(2))
    site.answers = {"service ps": running("node2")}
    with pytest.raises(ProofError, match="still not: its containers have left node2"):
        swarm.drain("node2")(site)
    updates = [call for call in site.calls if " update " in call]
    # it has all of them
    assert updates[0] == f"service update --force --quiet {site.name}_app"
    assert updates[1:] == [f"node update --availability {each} node2" for each in ("drain", "active")]


def test_swarm_that_does_not_respond_meanwhile_is_asked_again(new_site, monkeypatch):
    monkeypatch.setattr(swarm, "SETTLE", 60)
    site = new_site(node(1))
    site.answers = {"service ls": [ProofError("no leader", []), "2/3", "3/3"]}
    swarm.settle(site)
    assert len(site.calls) == 3


def test_what_it_said_last_is_in_the_failure(new_site):
    site = new_site(node(1))
    site.answers = {"service ls": ProofError("docker service ls: exit status 1", ["no leader"])}
    with pytest.raises(ProofError, match="3 containers of the application run") as caught:
        swarm.settle(site)
    assert caught.value.lines == ["docker service ls: exit status 1", "no leader"]


def test_nginx_is_replaced_on_all_nodes(new_site, monkeypatch):
    monkeypatch.setattr(swarm, "SETTLE", 60)
    site = new_site(node(1), node(2))
    old, new = running("node1", "node2"), running("node1", "node2").replace("t-", "u-")
    site.answers = {"service ps": [old, old.replace("t-0", "u-0"), new.splitlines()[0], new]}
    swarm.replace_nginx(site)
    assert site.answers["service ps"] == []


def test_only_nginx_is_not_replaced(new_site, capsys):
    site = new_site(node(1))
    swarm.replace_nginx(site)
    assert "it is not replaced" in capsys.readouterr().out
    assert site.calls == []


def test_container_is_killed_and_replaced(new_site):
    site = new_site(node(1))
    site.answers = {
        "ps --quiet": "c1\n",
        "inspect --format": "t-0\n",
        "service ps": running("node1").replace("t-0", "t-1"),
        "service ls": "3/3",
    }
    swarm.kill_container(site)
    assert "kill --signal KILL c1" in site.calls
    assert site.killed


def test_no_container_that_can_be_killed(new_site, capsys):
    site = new_site(node(1))
    swarm.kill_container(site)
    assert "none is killed" in capsys.readouterr().out
    assert not [call for call in site.calls if call.startswith("kill")]


def test_everything_is_removed_from_each_node_that_responds(new_site, monkeypatch):
    site = new_site(node(1), node(2), SWARM_NODES="deploy@node2 deploy@node3")
    monkeypatch.setattr(site, "kit", lambda *words: site.calls.append(f"make {' '.join(words)}"))
    site.answers = {
        "version": ["", ProofError("it does not respond", [])],
        "volume ls": "shop_assets\nshop_data\n",
        "image ls": "shop-app:1\n",
    }
    site.remove()
    assert site.calls[0] == "make down --unlock"
    removed = [call for call in site.calls if " rm " in call]
    assert removed == ["volume rm shop_assets shop_data", "image rm --force shop-app:1"] * 2


@pytest.mark.parametrize(
    ("status", "manager", "address"),
    [
        ("10.0.0.2", None, "10.0.0.2"),
        ("0.0.0.0", "10.0.0.1:2377", "10.0.0.1"),
        ("127.0.0.1", "[fd00::1]:2377", "fd00::1"),
        ("127.0.0.1", None, "127.0.0.1"),
    ],
)
def test_address_of_a_node(status, manager, address):
    inspected = {
        "ID": "id-1",
        "Description": {"Hostname": "node1"},
        "Spec": {"Role": "manager", "Availability": "active"},
        "Status": {"State": "ready", "Addr": status},
        **({"ManagerStatus": {"Addr": manager}} if manager else {}),
    }
    assert nodes.read_nodes([inspected])[0].address == address
