"""deploy/kit/swarm/services.py: how a job and an update end, by what docker prints."""

import json

import pytest

from kit.release import images
from kit.release.engine import Done, Engine
from kit.release.errors import ReleaseError
from kit.release.output import Output
from kit.release.signals import Signals
from kit.release.site import Site
from kit.swarm import command, services
from kit.swarm.files import File

TASK = {"ID": "t1", "Node": "two", "CurrentState": "Running 3 seconds ago", "Error": ""}


class FakeDocker(Engine):
    """Answers by the first two words; a list is used up, one answer for each call."""

    def __init__(self, **answers):
        super().__init__({}, Signals(), lambda _: None)
        self.answers = answers
        self.calls = []

    def run(self, *arguments, **_):
        self.calls.append(" ".join(arguments))
        answer = self.answers.get("_".join(arguments[:2]), "")
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        return Done(0, answer, "")


def site_of(engine):
    return Site(engine, Output("deploy"), "shop", images.read_name("shop-app"), {}, {})


def service(image, state="", message=""):
    found = {"Spec": {"TaskTemplate": {"ContainerSpec": {"Image": image}}}}
    if state:
        found["UpdateStatus"] = {"State": state, "Message": message}
    return found


def task(**values):
    return json.dumps(TASK | values)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(services, "PAUSE", 0)


def test_job_is_waited_for():
    docker = FakeDocker(
        service_ls=["shop_release\t1/1 (0/1 completed)", "shop_release\t0/1 (1/1 completed)"], service_ps=task()
    )
    services.wait_job(site_of(docker), "release")
    assert not any(call.startswith("service rm") for call in docker.calls)


def test_job_that_fails_is_removed_and_its_log_has_the_reason():
    docker = FakeDocker(
        service_ls="shop_release\t0/1 (0/1 completed)",
        service_ps=task(CurrentState="Failed 1 second ago", Error='"task: non-zero exit (1)"'),
        service_logs="release: the database is away\n",
    )
    with pytest.raises(ReleaseError, match=r"^release: the database is away \(on two\)$"):
        services.wait_job(site_of(docker), "release")
    assert docker.calls[-1] == "service rm shop_release"


def test_update_is_complete_when_swarm_says_so():
    new = service("new")
    docker = FakeDocker(
        service_inspect=[
            json.dumps([found]) for found in (new, service("new", "updating"), service("new", "completed"))
        ],
        service_ps=task(),
    )
    services.wait_update(site_of(docker), "app", service("old"), {"t1"})


def test_update_that_is_taken_back_names_the_task_that_swarm_blames(capsys):
    message = "update rolled back due to failure or early termination of task t2"
    states = (("updating", ""), ("rollback_started", message), ("rollback_completed", "rollback completed"))
    docker = FakeDocker(
        service_inspect=[json.dumps([service("old", *state)]) for state in states],
        service_ps="\n".join(
            (task(ID="t3", CurrentState="Shutdown 1 s ago"), task(ID="t2", CurrentState="Complete 1 s ago"))
        ),
        service_logs="KeyError: 'API_KEY'\n",
    )
    with pytest.raises(
        ReleaseError, match=r"^app: its container is unhealthy\. Its log has: KeyError: 'API_KEY' \(on two\)$"
    ):
        services.wait_update(site_of(docker), "app", service("old"), set())
    assert "service logs --raw t2" in docker.calls
    assert "Swarm has taken the update back: the release from before serves" in capsys.readouterr().out


def test_first_start_is_over_when_all_run():
    docker = FakeDocker(
        service_inspect=json.dumps([service("new")]), service_ps=task(), service_ls=["shop_app\t1/3", "shop_app\t3/3"]
    )
    services.wait_update(site_of(docker), "app", {}, set())


def test_task_that_no_node_can_run(monkeypatch):
    monkeypatch.setattr(services, "PENDING", 0)
    docker = FakeDocker(
        service_inspect=json.dumps([service("new")]),
        service_ls="shop_app\t0/3",
        service_ps=task(
            Node="", CurrentState="Pending 40 seconds ago", Error='"no suitable node (insufficient resources)"'
        ),
    )
    with pytest.raises(ReleaseError, match=r"^app: no node can run it: no suitable node \(insufficient resources\)$"):
        services.wait_update(site_of(docker), "app", {}, set())


def test_a_secret_that_nobody_has_created():
    docker = FakeDocker(secret_ls="other")
    with pytest.raises(ReleaseError, match=r"^the swarm has no secret shop_key: docker secret create shop_key FILE$"):
        services.check_files(site_of(docker), [File("secret", "shop_key", "shop_key", None)])


def test_secrets_that_no_service_names_are_removed():
    docker = FakeDocker(
        service_ls="shop_app",
        service_inspect=json.dumps([{"PreviousSpec": {"SecretName": "shop_environment-2"}}]),
        secret_ls="shop_environment-1\nshop_environment-2\nshop_environment-3",
    )
    services.remove_files(site_of(docker), {"shop_environment-3"})
    assert [call for call in docker.calls if " rm " in call] == ["secret rm shop_environment-1"]


def test_a_release_that_never_served_is_none_to_roll_back_to():
    docker = FakeDocker()
    command._forget(site_of(docker), "shop-app:20261129-083400", "sha256:1")
    assert docker.calls == ["tag sha256:1 shop-app:failed", "image rm shop-app:20261129-083400"]


def released(state):
    return json.dumps([service("new", state) | {"Spec": {"Labels": {"ropewalk.release": "20261130-030110"}}}])


@pytest.mark.parametrize(("state", "is_live"), [("updating", False), ("completed", True), ("", True)])
def test_a_deployment_that_was_interrupted_is_live_once_swarm_has_completed_it(state, is_live):
    docker = FakeDocker(service_inspect=released(state), image_inspect=["sha256:2", "sha256:1"])
    command._settle(site_of(docker))
    assert ("tag sha256:2 shop-app:live" in docker.calls) is is_live


def test_a_service_that_has_not_changed_is_not_waited_for_while_a_node_is_down():
    """Swarm goes on to count what ran there."""
    same = service("same")
    docker = FakeDocker(service_inspect=json.dumps([same]), service_ps=task(), service_ls="shop_nginx\t2/1")
    services.wait_update(site_of(docker), "nginx", same, {"t1"})
