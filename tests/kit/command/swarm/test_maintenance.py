"""deploy/kit/swarm/maintenance.py: a job on each node of nginx."""

import json
from datetime import UTC, datetime

import pytest

from kit.errors import KitError
from kit.logs.records import parse
from kit.swarm import maintenance

NGINX = json.dumps([{"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": "sha256:2"}}}}])
TIME = datetime(2026, 11, 30, tzinfo=UTC)
TASK = json.dumps({"ID": "t1", "Node": "two", "CurrentState": "Failed 1 second ago", "Error": ""})


@pytest.fixture
def swarm(kit, tmp_path, model):
    (tmp_path / "model").write_text(json.dumps(model))
    kit.script = f"""'compose --profile=* config'*) cat {tmp_path}/model ;;
'service inspect shop_nginx') echo '{NGINX}' ;;
'network inspect'*) exit 1 ;;
'stack deploy'*) cp "$7" {tmp_path}/stack ;;
'service ls --filter name='*) printf 'shop_maintenance\\t0/2 (2/2 completed)\\n' ;;
'service rm'*) : ;;"""
    return kit


def test_a_job_on_each_node_of_nginx_leaves_it(swarm, tmp_path):
    status, out, err = swarm("maintenance", "ON", ALLOW="203.0.113.7", HTTP_ADDRESS="0.0.0.0")
    assert (status, err) == (0, "")
    assert "Everybody except 203.0.113.7 gets the page of the maintenance" in out
    (service,) = json.loads((tmp_path / "stack").read_text())["services"].values()
    assert service["command"] == ["/kit/bin/maintenance", "leave", "on", "60", "203.0.113.7"]
    assert service["deploy"]["mode"] == "global-job"
    assert service["image"] == "sha256:2"
    # a job has no ports, and its volumes hold no files of visitors
    assert "ports" not in service
    assert {each["target"] for each in service["volumes"]} == {"/srv/state", "/tmp"}


def test_a_node_that_does_not_do_it_is_named_by_its_reason(swarm):
    swarm.script = f"""'service ls --filter name='*) printf 'shop_maintenance\\t1/2 (1/2 completed)\\n' ;;
'service ps'*) echo '{TASK}' ;;
'service logs'*) echo 'maintenance: nginx has not taken it within 60 s' ;;
{swarm.script}"""
    said = "maintenance: nginx has not taken it within 60 s (on two)\n"
    assert swarm("maintenance", "OFF", HTTP_ADDRESS="0.0.0.0") == (2, "", said)


def test_addresses_that_every_nginx_would_refuse(swarm):
    said = "maintenance: ALLOW='300.1.1.1': must be addresses or networks, such as 203.0.113.7 or 2001:db8::/32\n"
    assert swarm("maintenance", "ON", ALLOW="300.1.1.1") == (2, "", said)
    with pytest.raises(KitError):
        maintenance.check_addresses(["203.0.113.7/33"])
    maintenance.check_addresses(["203.0.113.7/8", "2001:db8::/32"])


def test_the_state_of_each_node_is_printed_unless_all_are_off():
    def said(**lines):
        return [parse(TIME, f"maintenance-status@{node}", line) for node, line in lines.items()]

    assert maintenance.by_node(said(two="off", one="off")) == ["Off: the site is as usual"]
    assert maintenance.by_node(said(two="on since 8", one="off")) == ["one: off", "two: on since 8"]
