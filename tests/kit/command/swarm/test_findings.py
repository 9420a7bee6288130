"""deploy/kit/swarm/findings.py: what a manager says, as findings."""

import json

import pytest

from kit.doctor.findings import Severity
from kit.swarm import findings
from kit.swarm.services import Task, read_count
from tests.kit.command.swarm.conftest import NODES

IF_ONE_FAILS = ": if one fails, nothing can be changed until it is back; the site goes on"


def nodes(**changes):
    """NODES, and a third one with these changes."""
    third = json.loads(json.dumps(NODES[0]))
    third["Description"]["Hostname"] = "three"
    for place, value in changes.items():
        part, _, key = place.partition("_")
        third[part][key] = value
    return [*NODES, third]


def found(findings):
    return [(each.severity.value, each.what) for each in findings]


def test_three_managers_that_are_ready():
    assert found(findings.check_nodes(nodes())) == [("ok", "one, three, two: ready, Docker 26.1.5")]


@pytest.mark.parametrize(
    ("changes", "severity", "said"),
    [
        ({"Status_State": "down", "Status_Message": "heartbeat failure"}, "error", "three is down: heartbeat failure"),
        ({"Spec_Availability": "drain"}, "note", "three is drained: nothing starts there"),
        ({"Description_Engine": {"EngineVersion": "20.10.24"}}, "error", "three has Docker 20.10.24"),
        (
            {"Description_Engine": {"EngineVersion": "28.0.1"}},
            "note",
            "the nodes have several versions of Docker: 26.1.5: one, two; 28.0.1: three",
        ),
        (
            {"Spec_Role": "worker"},
            "warning",
            f"2 managers{IF_ONE_FAILS}",
        ),
        (
            {"ManagerStatus_Reachability": "unreachable"},
            "warning",
            f"3 managers, 2 of which can be reached{IF_ONE_FAILS}",
        ),
    ],
)
def test_what_is_wrong_with_a_node(changes, severity, said):
    assert (severity, said) in found(findings.check_nodes(nodes(**changes)))


def service(count, *tasks, **update):
    return list(findings.check_service("app", read_count(count), tasks, update, "shop"))


def test_a_service_with_all_its_containers():
    assert service("3/3", Task("t", "one", "Running", ""), Task("u", "one", "Shutdown", "")) == []


@pytest.mark.parametrize(
    ("count", "task", "severity", "said"),
    [
        (
            "2/3",
            Task("t", "", "Pending", "no node"),
            "warning",
            "app: 2 of 3 containers run: no node",
        ),
        ("0/3", Task("t", "one", "Rejected", "No such image"), "error", "app: 0 of 3 containers run: No such image"),
        ("0/3", Task("t", "one", "Starting", ""), "error", "app: 0 of 3 containers run"),
        (
            "3/3",
            Task("t", "one", "Failed", "exit 1"),
            "warning",
            "app: once a container has failed: exit 1 (on one)",
        ),
    ],
)
def test_what_is_wrong_with_a_service(count, task, severity, said):
    (finding,) = service(count, task)
    assert (finding.severity.value, finding.what) == (severity, said)
    assert finding.mend


@pytest.mark.parametrize(
    ("state", "severity"),
    [
        ("updating", Severity.NOTE),
        ("rollback_completed", Severity.WARNING),
        ("rollback_paused", Severity.ERROR),
        ("paused", Severity.ERROR),
    ],
)
def test_how_the_last_update_went(state, severity):
    (finding,) = service("3/3", State=state, Message="said")
    assert finding.severity is severity
    assert service("3/3", State="completed") == []


def test_images_on_nodes():
    said = list(findings.check_images({"one": [], "two": ["app"]}, ["three"], has_registry=False))
    assert [each.severity.value for each in said] == ["warning", "warning", "ok"]
    assert said[0].what == "two has no image of app: it cannot start one"
    assert "three" in said[1].what
    assert list(findings.check_images({}, ["three"], has_registry=True)) == []


def test_clocks_of_nodes():
    assert found(findings.check_clocks({"one": 0.4, "two": -7.0})) == [("warning", "the clock of two is 7.00 s slow")]
    assert found(findings.check_clocks({"one": 0.4, "two": -0.1})) == [("ok", "this machine and one, two agree")]


def published(*ports):
    return {"Spec": {"EndpointSpec": {"Ports": [{"PublishedPort": port} for port in ports]}}}


def test_nginx_alone_publishes_ports():
    said = found(findings.check_ports({"nginx": published(80, 443), "app": published(8000), "worker": {"Spec": {}}}))
    assert [severity for severity, _ in said] == ["ok", "error"]
    assert said[1][1] == "app publishes 8000 on every node, past nginx"
    assert found(findings.check_ports({"nginx": published()})) == [("error", "nginx publishes no port")]


def test_values_that_have_changed_since_the_deployment():
    limits = {"resources": {"limits": {"memory": "1073741824b"}}}
    wanted = {"environment": {"THREADS": "8", "A": "x$$y", "B": ""}, "secrets": [{"source": "new"}], "deploy": limits}
    spec = {"Env": ["THREADS=4", "A=x$y"], "Secrets": [{"SecretName": "old"}]}
    resources = {"Limits": {"MemoryBytes": 1 << 30}}
    running = {"Spec": {"TaskTemplate": {"ContainerSpec": spec, "Resources": resources}}}
    (finding,) = findings.check_drift(wanted, running, "app")
    assert finding.what == (
        "app runs with other values than those of .env now: THREADS, what is secret (the project's variables, or a"
        " certificate)"
    )
    spec |= {"Env": ["THREADS=8", "A=x$y"], "Secrets": [{"SecretName": "new"}]}
    assert list(findings.check_drift(wanted, running, "app")) == []
