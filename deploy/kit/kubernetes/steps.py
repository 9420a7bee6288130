"""The steps of a release to a cluster, which `deploy/kubernetes/deploy` and `make deploy TARGET=kubernetes` take.

check     the cluster checks every manifest, and changes nothing
before    what the pods need, and what an overlay brings along to run beside them
release   a Job migrates the database while the old release serves; if it fails, nothing else is touched
app       the Deployment: a new pod starts, and only when it is ready does an old one end; a failure is undone
"""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kit import failures
from kit.errors import KitError
from kit.kubernetes import trouble
from kit.kubernetes.kubectl import Kubectl, Object
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.output import Output

BEFORE, RELEASE, AFTER = "ropewalk/step=before", "ropewalk/step=release", "ropewalk/step!=before,ropewalk/step!=release"
NAMESPACE = re.compile(r"^  namespace: (\S+)$", re.MULTILINE)
PAUSE = 1.0  # seconds between two looks
PATIENCE = 600  # seconds for each step, unless PATIENCE is given
UNREACHABLE = 60.0
"""Seconds for which an API server may be away while a step waits, such as for its restart."""


class Release(NamedTuple):
    kubectl: Kubectl
    output: Output
    manifests: Path
    """The rendered ones, in a file."""
    patience: int
    is_forced: bool = False
    """Also while another rollout is in progress."""


def patience_of(environment: Mapping[str, str]) -> int:
    """Raises KitError."""
    given = environment.get("PATIENCE") or str(PATIENCE)
    if not re.fullmatch("[1-9][0-9]{0,4}", given):
        raise KitError(f"PATIENCE={given!r}: must be seconds, from 1 to 99999")
    return int(given)


def namespace_of(manifests: str, overlay: str) -> str:
    """Raises KitError."""
    if not (found := NAMESPACE.search(manifests)):
        raise KitError(f"{overlay}/kustomization.yaml: has no namespace")
    return found[1]


def perform(release: Release) -> None:
    """Raises ReleaseError, InterruptedByUser."""
    output = release.output
    with output.step("check", f"Check the manifests for {where(release.kubectl)}"):
        _check(release)
    with output.step("before", "Apply what the pods need"):
        release.kubectl.apply(release.manifests, BEFORE)
        for each in release.kubectl.list("statefulset", "--selector", BEFORE):
            _wait_for_rollout(release, "statefulset", each["metadata"]["name"])
    with output.step("release", "Migrate the database, with the old pods serving"):
        _run_job(release)
    with output.step("app", "Replace the pods"):
        _roll_out(release)


def where(kubectl: Kubectl) -> str:
    return f"the namespace {kubectl.namespace} of {kubectl.context or 'the cluster'}"


def check_free(kubectl: Kubectl, *, is_forced: bool) -> None:
    """Raises ReleaseError while another release is in progress."""
    _check_job(kubectl)
    deployment = kubectl.get("deployment", "app")
    if deployment and not is_forced and _is_rolling_out(deployment):
        watch = kubectl.named("rollout status deployment/app")
        raise ReleaseError(f"another release is in progress: {watch}; FORCE=1 replaces it")


def _check_job(kubectl: Kubectl) -> None:
    """Raises ReleaseError while the Job of another release runs."""
    job = kubectl.get("job", "release")
    if job and job.get("status", {}).get("active"):
        raise ReleaseError(f"another release is in progress: {kubectl.named('logs --follow job/release')}")


def _check(release: Release) -> None:
    """Before anything is touched. Raises ReleaseError."""
    kubectl = release.kubectl
    check_free(kubectl, is_forced=release.is_forced)
    # without the namespace, the API would refuse all the rest for that alone
    exists = kubectl.get("namespace", kubectl.namespace) is not None
    for selector in (BEFORE, RELEASE, AFTER) if exists else ():
        if selector == RELEASE and kubectl.get("job", "release"):  # which cannot be changed: it is replaced
            continue
        _, warnings = kubectl.apply(release.manifests, selector, is_dry=True)
        for line in warnings:
            release.output.note(line)


def _is_rolling_out(deployment: Object) -> bool:
    """Not one that has failed, or that has pods to start again, such as those of a drained node."""
    status = deployment.get("status", {})
    wanted, updated = deployment["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
    return (
        bool(status)
        and trouble.condition(deployment, "Progressing").get("status") != "False"
        and (updated < wanted or status.get("replicas", 0) > updated)
    )


def _run_job(release: Release) -> None:
    kubectl = release.kubectl
    _check_job(kubectl)  # it may have begun since the check
    kubectl.output("delete", "job", "release", "--ignore-not-found", timeout=120)
    (job,), _ = kubectl.apply(release.manifests, RELEASE)
    own = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
    causes = trouble.Causes(release.output.note)
    try:
        for seen in _looks(release, lambda: kubectl.get("job", "release")):
            if not seen or seen["metadata"]["uid"] != job["metadata"]["uid"]:
                raise ReleaseError("another release has replaced this one's Job")
            status = seen.get("status", {})
            if status.get("succeeded"):
                break
            if status.get("failed") or trouble.condition(seen, "Failed").get("status") == "True":
                raise ReleaseError(f"the release step failed: {_log_end(kubectl, release.output, own, seen)}")
            causes.look(kubectl, own, ("Job", "release"))
        else:
            reason = causes.last or f"it still runs: {kubectl.named('logs --follow job/release')}"
            raise ReleaseError(f"the release step did not end in {release.patience} s: {reason}")
    except InterruptedByUser:
        follow = kubectl.named("logs --follow job/release")
        release.output.note(f"The release step goes on in the cluster: {follow}. No pod was replaced")
        raise
    except ReleaseError:
        release.output.note("No pod was replaced")
        raise
    done = kubectl.run("logs", "--selector", own, "--tail=-1")
    for line in failures.without_tracebacks(done.output.splitlines()):
        release.output.line(line)


def _log_end(kubectl: Kubectl, output: Output, selector: str, job: Object) -> str:
    """Prints the end of the log; the last line, or what the cluster says if there is none."""
    done = kubectl.run("logs", "--selector", selector, "--tail=20")
    lines = done.output.splitlines() if done.status == 0 else []
    for line in lines[:-1]:
        output.line(f"    {line}")
    return lines[-1] if lines else trouble.condition(job, "Failed").get("message", "no log")


def _roll_out(release: Release) -> None:
    kubectl = release.kubectl
    before = kubectl.get("deployment", "app")
    applied, _ = kubectl.apply(release.manifests, AFTER)
    deployments = [each for each in applied if each["kind"] == "Deployment" and each["metadata"]["name"] == "app"]
    if not deployments:
        raise ReleaseError("the manifests have no Deployment app")
    template = deployments[0]["spec"]["template"]
    if deployments[0]["spec"].get("replicas") == 0:
        scale = kubectl.named("scale deployment/app --replicas=2")
        release.output.note(f"The Deployment is scaled to 0, so no pod starts: {scale}")
    try:
        _wait_for_rollout(release, "deployment", "app", template)
    except InterruptedByUser:
        undo = kubectl.named("rollout undo deployment/app")
        release.output.note(f"The cluster goes on with the rollout. To take it back: {undo}")
        raise
    except ReleaseError:
        release.kubectl.signals.defer()
        _undo(release, before, template)
        raise


def _undo(release: Release, before: Object | None, template: Object) -> None:
    kubectl, output = release.kubectl, release.output
    now = kubectl.get("deployment", "app")
    if before is None:
        output.note("There is no release before it to go back to")
    elif not now or now["spec"]["template"] != template:
        output.note("Another release has replaced this one: nothing was undone")
    elif before["spec"]["template"] == template:
        output.note("The pods are those from before: nothing was undone")
    else:
        kubectl.output("rollout", "undo", "deployment/app")
        with output.step("undo", "The release before is live again: remove the new pods"):
            _wait_for_rollout(release, "deployment", "app")


def wait_for_rollout(kubectl: Kubectl, output: Output, patience: int) -> None:
    """Of the Deployment. Raises ReleaseError, InterruptedByUser."""
    _wait_for_rollout(Release(kubectl, output, Path(), patience), "deployment", "app")


def _wait_for_rollout(release: Release, kind: str, name: str, template: Object | None = None) -> None:
    """`template`: of its pods; if another one takes its place meanwhile, that is another release's.

    Raises ReleaseError."""
    kubectl, causes = release.kubectl, trouble.Causes(release.output.note)
    for seen in _looks(release, lambda: kubectl.get(kind, name)):
        if not seen:
            raise ReleaseError(f"{kind}/{name}: was removed meanwhile")
        if template and seen["spec"]["template"] != template:
            raise ReleaseError("another release has replaced this one")
        if _is_rolled_out(seen):
            return
        selector = ",".join(f"{key}={value}" for key, value in seen["spec"]["selector"]["matchLabels"].items())
        causes.look(kubectl, selector, (seen["kind"], name))
        progress = trouble.condition(seen, "Progressing")
        if progress.get("reason") == "ProgressDeadlineExceeded" and _is_current(seen):
            reason = causes.last or progress.get("message", "")
            causes.print_log(kubectl, release.output)
            raise ReleaseError(f"no pod became ready in time: {reason}")
    causes.print_log(kubectl, release.output)
    raise ReleaseError(f"{kind}/{name}: not ready after {release.patience} s: {causes.last or 'its pods still start'}")


def _is_current(seen: Object) -> bool:
    return int(seen["metadata"]["generation"]) <= int(seen.get("status", {}).get("observedGeneration", 0))


def _is_rolled_out(seen: Object) -> bool:
    """As `kubectl rollout status` decides."""
    status, wanted = seen.get("status", {}), int(seen["spec"].get("replicas", 1))
    updated, available = (int(status.get(f"{name}Replicas", 0)) for name in ("updated", "available"))
    is_complete = updated >= wanted and int(status.get("replicas", 0)) <= updated and available >= wanted
    return is_complete and _is_current(seen)


def _looks(release: Release, look: Callable[[], Object | None]) -> Iterator[Object | None]:
    """One after another, until the patience ends. Raises ReleaseError if the cluster stays away."""
    end = time.monotonic() + release.patience
    away_since = None
    while time.monotonic() < end:
        release.kubectl.signals.check()
        try:
            seen = look()
        except ReleaseError:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > UNREACHABLE:
                raise
        else:
            away_since = None
            yield seen
        time.sleep(PAUSE)
