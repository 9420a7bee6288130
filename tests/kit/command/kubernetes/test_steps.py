"""deploy/kit/kubernetes: a release that fails, is interrupted or meets another one says what serves now."""

import itertools
import json
import signal
from types import SimpleNamespace

import pytest

from kit.errors import KitError
from kit.kubernetes import history, steps
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.output import Output
from tests.helpers import fake_kubectl
from tests.helpers.fake_kubectl import LATE, READY, STARTING, FakeKubectl


@pytest.fixture(autouse=True)
def seconds(monkeypatch):
    """Each look at the clock is a second later, and nothing sleeps."""
    clock = itertools.count()
    monkeypatch.setattr(steps, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda _: None))


@pytest.fixture
def deploy(tmp_path):
    """deploy(kubectl): releases shop-app:2."""

    def perform(kubectl, patience=600, image="shop-app:2", **options):
        file = tmp_path / "manifests"
        file.write_text(json.dumps(fake_kubectl.manifests(image)))
        steps.perform(steps.Release(kubectl, Output("deploy"), file, patience, **options))

    return perform


def words(kubectl):
    return [call[0] for call in kubectl.calls if call[0] not in ("get", "logs") and "--dry-run=server" not in call]


def test_migrations_come_before_the_pods(deploy, capsys):
    kubectl = FakeKubectl()
    deploy(kubectl)
    selectors = [call[4] for call in kubectl.calls if call[0] == "apply" and "--dry-run=server" not in call]
    assert selectors == [steps.BEFORE, steps.RELEASE, steps.AFTER]
    assert kubectl.image == "shop-app:2"
    assert "migrated" in capsys.readouterr().out


def test_first_release(deploy):
    kubectl = FakeKubectl(live="")
    deploy(kubectl)
    assert kubectl.image == "shop-app:2"


def test_manifest_that_the_cluster_refuses_changes_nothing(deploy):
    kubectl = FakeKubectl()
    kubectl.errors["dry"] = 'Error from server (BadRequest): strict decoding error: unknown field "spec.replcas"\n'
    with pytest.raises(ReleaseError, match=r'unknown field "spec\.replcas"'):
        deploy(kubectl)
    assert words(kubectl) == []


def test_release_step_that_fails_replaces_nothing(deploy, capsys):
    kubectl = FakeKubectl()
    kubectl.job_ends, kubectl.log = {"failed": 1}, "Applying 2\nrelease: no such table\n"
    with pytest.raises(ReleaseError, match="the release step failed: release: no such table"):
        deploy(kubectl)
    assert kubectl.image == "shop-app:1"
    assert "No pod was replaced" in capsys.readouterr().out


def test_pods_that_never_become_ready_are_taken_back(deploy, capsys):
    kubectl = FakeKubectl()
    kubectl.rollout = iter([STARTING, LATE])
    kubectl.pods = [pod(waiting={"reason": "CrashLoopBackOff", "message": "back-off"}, exit_code=3)]
    kubectl.log = "Traceback\nValueError: no\n"
    with pytest.raises(ReleaseError, match="no pod became ready in time: app-1: app ended with exit status 3"):
        deploy(kubectl)
    assert kubectl.image == "shop-app:1"
    said = capsys.readouterr().out
    assert said.count("app ended with exit status 3") == 1
    assert "ValueError: no" in said


def pod(*, waiting=None, exit_code=0, name="app-1"):
    state = {"waiting": waiting} if waiting else {"running": {}}
    last = {"terminated": {"exitCode": exit_code}} if exit_code else {}
    return {
        "metadata": {"name": name, "creationTimestamp": "2026-11-29T08:00:00Z"},
        "status": {"initContainerStatuses": [{"name": "app", "state": state, "lastState": last, "ready": False}]},
    }


def test_first_release_that_fails_is_left_to_look_at(deploy, capsys):
    kubectl = FakeKubectl(live="")
    kubectl.rollout = itertools.repeat(STARTING)
    with pytest.raises(ReleaseError, match="deployment/app: not ready after 9 s"):
        deploy(kubectl, patience=9)
    assert "rollout" not in words(kubectl)
    assert "no release before it" in capsys.readouterr().out


def test_pods_that_were_not_changed_are_not_taken_back(deploy, capsys):
    kubectl = FakeKubectl(live="shop-app:2")
    kubectl.live[0]["status"] = {"observedGeneration": 1, **LATE}
    with pytest.raises(ReleaseError, match="no pod became ready"):
        deploy(kubectl)
    assert "rollout" not in words(kubectl)
    assert "nothing was undone" in capsys.readouterr().out


def test_site_that_is_scaled_to_zero_is_told(deploy, capsys, monkeypatch):
    monkeypatch.setattr(fake_kubectl, "WANTED", 0)
    kubectl = FakeKubectl()
    deploy(kubectl)
    assert "scaled to 0, so no pod starts: kubectl --namespace shop scale" in capsys.readouterr().out


def test_cause_of_a_pod_that_cannot_start_is_said_at_once(deploy, capsys):
    kubectl = FakeKubectl()
    message = 'MountVolume.SetUp failed for volume "secrets": secret "site" not found'
    kubectl.pods = [pod(waiting={"reason": "PodInitializing"})]
    kubectl.events = [{"involvedObject": {"kind": "Pod", "name": "app-1"}, "reason": "FailedMount", "message": message}]
    deploy(kubectl)
    assert message in capsys.readouterr().out


def test_pods_that_the_namespace_does_not_allow_are_told_once(deploy, capsys):
    """There is no pod then; the warning is the ReplicaSet's, and comes again for each try."""
    kubectl = FakeKubectl()
    kubectl.rollout = iter([STARTING, STARTING, STARTING, READY])
    tries = itertools.count(10_000)

    def warn(_):
        message = f'pods "app-5d-{next(tries)}" is forbidden: violates PodSecurity "restricted:latest"'
        message = f"(combined from similar events): {message}" if kubectl.events else message
        involved = {"kind": "ReplicaSet", "name": "app-5d"}
        kubectl.events = [{"involvedObject": involved, "reason": "FailedCreate", "message": message}]

    kubectl.before_call = warn
    deploy(kubectl)
    said = capsys.readouterr().out
    assert said.count('==> pods "app-5d-..." is forbidden: violates PodSecurity "restricted:latest"') == 1
    assert said.count("forbidden") == 1


def test_another_release_is_waited_for_by_its_user(deploy):
    kubectl = FakeKubectl()
    kubectl.job = {"metadata": {"uid": "1"}, "status": {"active": 1}}
    with pytest.raises(ReleaseError, match="another release is in progress"):
        deploy(kubectl)
    assert words(kubectl) == []


def test_another_rollout_is_not_replaced_unless_forced(deploy):
    kubectl = FakeKubectl()
    kubectl.live[0]["status"] |= STARTING
    with pytest.raises(ReleaseError, match=r"another release is in progress.*FORCE=1"):
        deploy(kubectl)
    assert words(kubectl) == []
    deploy(kubectl, is_forced=True)
    assert kubectl.image == "shop-app:2"


def test_pods_that_start_again_are_no_rollout(deploy):
    """As those of a drained node."""
    kubectl = FakeKubectl()
    kubectl.live[0]["status"] |= {**READY, "availableReplicas": 1}
    deploy(kubectl)
    assert kubectl.image == "shop-app:2"


def test_release_that_another_one_replaces_undoes_nothing(deploy, capsys):
    kubectl = FakeKubectl()

    def other(arguments):
        if arguments[:2] == ("get", "deployment") and kubectl.image == "shop-app:2":
            kubectl.live.append(fake_kubectl.deployment("shop-app:3", STARTING, 3))

    kubectl.before_call = other
    with pytest.raises(ReleaseError, match="another release has replaced this one"):
        deploy(kubectl)
    assert kubectl.image == "shop-app:3"
    assert "rollout" not in words(kubectl)
    assert "nothing was undone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("at", "live", "said"),
    [
        (steps.BEFORE, "shop-app:1", ""),
        (
            "job",
            "shop-app:1",
            "The release step goes on in the cluster: kubectl --namespace shop logs --follow job/release",
        ),
        ("deployment", "shop-app:2", "The cluster goes on with the rollout. To take it back: kubectl --namespace shop"),
    ],
)
def test_interruption_says_what_goes_on(deploy, capsys, at, live, said):
    kubectl = FakeKubectl()

    def interrupt(arguments):
        is_step = at in arguments and "--dry-run=server" not in arguments
        if is_step and (at == steps.BEFORE or (at == "job" and kubectl.jobs) or kubectl.image == "shop-app:2"):
            kubectl.signals._note(signal.SIGINT, None)

    kubectl.before_call = interrupt
    with pytest.raises(InterruptedByUser):
        deploy(kubectl)
    assert kubectl.image == live
    assert said in capsys.readouterr().out


def test_api_server_that_restarts_is_waited_for(deploy):
    kubectl = FakeKubectl()
    left = iter(range(5))

    def fail(arguments):
        is_away = arguments[:2] == ("get", "job") and kubectl.jobs and next(left, None) is not None
        kubectl.errors = {"get": "The connection to the server was refused"} if is_away else {}

    kubectl.before_call = fail
    deploy(kubectl)
    assert kubectl.image == "shop-app:2"


def test_api_server_that_stays_away_ends_the_wait(deploy, monkeypatch):
    monkeypatch.setattr(steps, "UNREACHABLE", -1)
    kubectl = FakeKubectl()

    def fail(arguments):
        kubectl.errors = {"get": "The connection was refused"} if kubectl.jobs else {}

    kubectl.before_call = fail
    with pytest.raises(ReleaseError, match="The connection was refused"):
        deploy(kubectl)


def test_rollback_goes_to_the_release_before_or_a_named_one(deploy, capsys):
    kubectl = FakeKubectl()
    deploy(kubectl)
    kubectl.rollout = iter([STARTING, READY])
    deploy(kubectl, image="shop-app:3")
    found = history.releases(kubectl)
    assert [(each.tag, each.is_live) for each in found] == [("3", True), ("2", False), ("1", False)]
    assert history.as_table(found)[1].split() == ["3", "2026-11-29", "08:00:00", "3", "live"]
    assert history.find_target(found, "").tag == "2"
    history.roll_back(kubectl, Output("rollback"), history.find_target(found, "1"), 600)
    assert kubectl.image == "shop-app:1"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("3", "TO='3': must be one of none"),
        ("1", "TO='1': is the live release"),
        ("", "there is no release before the live one"),
    ],
)
def test_release_that_is_no_target_of_a_rollback(wanted, said):
    with pytest.raises(KitError, match=said):
        history.find_target(history.releases(FakeKubectl()), wanted)


def test_rollback_without_a_site():
    with pytest.raises(ReleaseError, match="nothing runs in the namespace shop"):
        history.releases(FakeKubectl(live=""))


@pytest.mark.parametrize("given", ["0", "ten", "-1", "100000"])
def test_patience_is_seconds(given):
    with pytest.raises(KitError, match=f"PATIENCE='{given}': must be seconds, from 1 to 99999"):
        steps.patience_of({"PATIENCE": given})
