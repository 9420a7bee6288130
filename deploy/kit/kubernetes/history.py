"""The releases that a cluster can go back to: the revisions of the Deployment, of which it keeps five."""

from typing import NamedTuple

from kit.errors import KitError
from kit.kubernetes import steps
from kit.kubernetes.kubectl import Kubectl, Object
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.output import Output

REVISION = "deployment.kubernetes.io/revision"


class Release(NamedTuple):
    revision: int
    tag: str
    """Of the application's image."""
    created: str
    is_live: bool


def releases(kubectl: Kubectl) -> list[Release]:
    """The newest first. Raises ReleaseError."""
    deployment = kubectl.get("deployment", "app")
    if not deployment:
        raise ReleaseError(f"nothing runs in {steps.where(kubectl)}: make deploy TARGET=kubernetes")
    live = _revision(deployment)
    found = [
        Release(_revision(each), _tag(each), each["metadata"]["creationTimestamp"], _revision(each) == live)
        for each in kubectl.list("replicasets", "--selector", "app.kubernetes.io/name=app")
        if any(owner["uid"] == deployment["metadata"]["uid"] for owner in each["metadata"].get("ownerReferences", ()))
    ]
    return sorted(found, reverse=True)


def _revision(found: Object) -> int:
    return int(found["metadata"].get("annotations", {}).get(REVISION, "0"))


def _tag(replica_set: Object) -> str:
    pod = replica_set["spec"]["template"]["spec"]
    image = next(each["image"] for each in (*pod["initContainers"], *pod["containers"]) if each["name"] == "app")
    return str(image).rpartition(":")[2]


def find_target(found: list[Release], wanted: str) -> Release:
    """The wanted one, or the one before the live one. Raises KitError."""
    tags = ", ".join(each.tag for each in found if not each.is_live) or "none"
    if wanted:
        for each in found:
            if each.tag == wanted and not each.is_live:
                return each
        is_live = any(each.tag == wanted for each in found)
        raise KitError(f"TO={wanted!r}: {'is the live release' if is_live else f'must be one of {tags}'}")
    live = next((each.revision for each in found if each.is_live), 0)
    before = [each for each in found if each.revision < live]
    if not before:
        raise KitError("there is no release before the live one")
    return before[0]


def roll_back(kubectl: Kubectl, output: Output, target: Release, patience: int) -> None:
    """Raises ReleaseError, InterruptedByUser."""
    with output.step("app", f"Replace the pods by those of {target.tag}"):
        kubectl.output("rollout", "undo", "deployment/app", f"--to-revision={target.revision}")
        try:
            steps.wait_for_rollout(kubectl, output, patience)
        except InterruptedByUser:
            output.note("The cluster goes on with the rollback")
            raise


def as_table(found: list[Release]) -> list[str]:
    rows = [("RELEASE", "CREATED (UTC)", "REVISION", "STATE")]
    rows += [
        (each.tag, each.created.replace("T", " ").rstrip("Z"), str(each.revision), "live" if each.is_live else "kept")
        for each in found
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
