"""`make deploy`, `rollback`, `releases` and `render` for Kubernetes, and `deploy/kubernetes/deploy OVERLAY`.

build     the images, under the tag of the release
images    they are pushed to REGISTRY, or KUBERNETES_LOAD brings them to the cluster
then      the steps of kit.kubernetes.steps, with the overlay and what .env adds to it (kit.kubernetes.overlay)
"""

import json
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from kit import compose, containers, database_variables, env_files
from kit.errors import KitError
from kit.kubernetes import history, overlay, steps
from kit.kubernetes.kubectl import Kubectl
from kit.kubernetes.overlay import Wanted
from kit.paths import RUN
from kit.release import answers, confirm, images, notices, run
from kit.release.engine import Engine
from kit.release.errors import ReleaseError
from kit.release.output import Output
from kit.release.run import Options
from kit.release.signals import Signals
from kit.release.site import Site
from kit.release.steps import build_images

LOAD_TIMEOUT = 3600.0  # seconds
SECRET_DATA = re.compile(r"^(  [A-Za-z0-9._-]+: )(?:\|\n(?:    .*\n)+|.*\n)", re.MULTILINE)


class Call(NamedTuple):
    site: Site
    model: Mapping[str, Any]
    options: Options
    kubectl: Kubectl
    environment: Mapping[str, str]


def call(command: str, environment: Mapping[str, str], options: Options) -> int:
    """The exit status. Raises KitError for a wrong value, before anything is touched."""
    functions = {"deploy": _deploy, "up": _deploy, "update": _deploy, "rollback": _rollback, "releases": _releases}
    output = Output(command, is_json=options.is_json)
    return run.reported(output, lambda signals: functions[command](_prepare(environment, options, output, signals)))


def _prepare(environment: Mapping[str, str], options: Options, output: Output, signals: Signals) -> Call:
    prepared = compose.prepare(environment)
    model = json.loads(containers.output(["compose", "config", "--format", "json"], prepared))
    values = env_files.read_kit(environment)
    overlay.check(values, model["services"])
    overlay.name_of(values)
    engine = Engine(prepared, signals, output.show, has_terminal=output.is_live)
    image = images.read_name(model["services"]["app"]["image"])
    site = Site(engine, output, model["name"], image, model["services"], values, options.build_options)
    return Call(site, model, options, find_kubectl(values, signals, output), environment)


def find_kubectl(values: Mapping[str, str], signals: Signals, output: Output) -> Kubectl:
    """Raises KitError."""
    if not shutil.which("kubectl", path=values.get("PATH")):
        raise KitError("there is no kubectl here: it is what speaks to the cluster (docs/kubernetes.md)")
    return Kubectl(values, signals, output.show)


def _deploy(call: Call) -> int:
    site = call.site
    project = compose.find_project(site.values.get("PROJECT_DIR") or compose.DEFAULT_PROJECT)
    looked = run.look(project, site.values)
    if looked:
        database_variables.check(looked, site.values, run.given(site))
    way = _way(site.values)
    tag = images.unused_tag(site.engine, site.image, images.project_commit(project, call.environment))
    call.kubectl.check()
    with _rendered(call, tag):  # an error in the overlay is known before the build
        place = steps.where(call.kubectl)
    steps.check_free(call.kubectl, is_forced=call.options.is_forced)
    if call.options.is_dry:
        site.output.note(f"Would build {site.image.release(tag)}, and release it to {place}")
        site.output.result("Nothing was changed", tag=tag)
        return 0
    for line in notices.of(looked, call.environment, site.values):
        site.output.note(line)
    name = site.image.release(tag)
    with site.output.step("build", f"Build {name}"):
        build_images(site, {"APP_IMAGE": name})
    if not images.find_id(site.engine, name):
        raise ReleaseError("the service app has another image than ${APP_IMAGE}, in a file that was added to the kit's")
    with site.output.step("images", f"Bring the images to the cluster, by {way}"):
        _bring_images(call, tag)
    with _rendered(call, tag) as manifests:
        steps.perform(_release(call, manifests))
    images.add_tag(site.engine, images.find_id(site.engine, name), site.image.live)
    for outdated in images.outdated(site.engine, site.image):
        images.remove_tag(site.engine, outdated)
    site.output.result(f"{tag} is live in {place}", tag=tag)
    return 0


def _release(call: Call, manifests: Path) -> steps.Release:
    patience = steps.patience_of(call.site.values)
    return steps.Release(call.kubectl, call.site.output, manifests, patience, is_forced=call.options.is_forced)


def _way(values: Mapping[str, str]) -> str:
    """How images reach the cluster, for messages. Raises KitError."""
    if found := values.get("REGISTRY") or values.get("KUBERNETES_LOAD"):
        return found
    raise KitError(
        "REGISTRY is not set: from where the cluster pulls the images, such as registry.example/shop. For a cluster on"
        " this machine: KUBERNETES_LOAD='kind load docker-image'"
    )


def _names(call: Call, tag: str) -> tuple[str, str]:
    """Of the images of a release, as the cluster knows them. nginx's has its ID as its tag: it is the same in most."""
    site = call.site
    nginx = str(call.model["services"]["nginx"]["image"])
    found = images.find_id(site.engine, nginx).removeprefix("sha256:")[:12] or "unknown"
    place = f"{registry}/" if (registry := site.values.get("REGISTRY")) else ""
    app_base, nginx_base = (images.read_name(each).repository for each in (site.image.name, nginx))
    if place:
        app_base, nginx_base = app_base.rpartition("/")[2], nginx_base.rpartition("/")[2]
    return f"{place}{app_base}:{site.image.prefix}{tag}", f"{place}{nginx_base}:{found}"


def _bring_images(call: Call, tag: str) -> None:
    """Raises ReleaseError."""
    site = call.site
    names = _names(call, tag)
    local = (site.image.release(tag), str(call.model["services"]["nginx"]["image"]))
    for mine, remote in zip(local, names, strict=True):
        if mine != remote:
            images.add_tag(site.engine, images.find_id(site.engine, mine), remote)
    if registry := site.values.get("REGISTRY"):
        for remote in names:
            done = site.engine.run("push", "--quiet", remote, timeout=LOAD_TIMEOUT)
            if done.status:
                raise ReleaseError(f"REGISTRY={registry!r}: {done.reason}")
        return
    given = site.values["KUBERNETES_LOAD"]
    program, *options = shlex.split(given)
    done = _Loader.of(program, site).run(*options, *names, timeout=LOAD_TIMEOUT, show=True)
    if done.status:
        raise ReleaseError(f"KUBERNETES_LOAD={given!r}: {done.reason}")


class _Loader(Engine):
    """The program of KUBERNETES_LOAD."""

    program: ClassVar[str] = ""

    @classmethod
    def of(cls, program: str, site: Site) -> "_Loader":
        if not shutil.which(program, path=site.engine.environment.get("PATH")):
            raise ReleaseError(f"KUBERNETES_LOAD: there is no program {program!r}")
        named: type[_Loader] = type("Loader", (cls,), {"program": program})
        return named(site.engine.environment, site.engine.signals, site.output.show)


@contextmanager
def _rendered(call: Call, tag: str) -> Iterator[Path]:
    """A file with the manifests of a release, secrets included: gone after the block. Raises KitError, ReleaseError."""
    RUN.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kubernetes-", dir=RUN) as folder:
        file = Path(folder) / "manifests.yaml"
        file.write_text(_manifests(call, tag, Path(folder) / "copy"), encoding="utf-8")
        yield file


def _manifests(call: Call, tag: str, folder: Path) -> str:
    values = call.site.values
    services = call.model["services"]
    public, secret = overlay.split(values, services["nginx"], services["app"])
    app, nginx = _names(call, tag)
    name = overlay.name_of(values)
    text = call.kubectl.kustomize(overlay.copy(Wanted(name, public, secret, app, nginx, values), folder))
    call.kubectl.in_namespace(steps.namespace_of(text, name))
    return text


def _rollback(call: Call) -> int:
    call.kubectl.check()
    with _rendered(call, "unknown"):
        pass
    site = call.site
    target = history.find_target(history.releases(call.kubectl), call.options.to)
    if call.options.is_dry:
        site.output.result(f"Would roll back to {target.tag}", tag=target.tag)
        return 0
    _confirm(call, target.tag)
    history.roll_back(call.kubectl, site.output, target, steps.patience_of(site.values))
    if identifier := images.find_id(site.engine, site.image.release(target.tag)):
        images.add_tag(site.engine, identifier, site.image.live)
    site.output.result(f"{target.tag} is live in {steps.where(call.kubectl)}", tag=target.tag)
    return 0


def _confirm(call: Call, tag: str) -> None:
    """Asks before a rollback past migrations, if this machine has both images. Raises ReleaseError."""
    site = call.site
    names = (site.image.live, site.image.release(tag))
    if all(images.find_id(site.engine, name) for name in names):
        live, wanted = answers.of_images(site.engine, *names)
        confirm.check(site, live, wanted, tag, is_forced=call.options.is_forced)
    else:
        site.output.note("The images are not on this machine, so nobody has compared the migrations of both releases")


def _releases(call: Call) -> int:
    call.kubectl.check()
    with _rendered(call, "unknown"):
        pass
    found = history.releases(call.kubectl)
    lines = [json.dumps(each._asdict()) for each in found] if call.options.is_json else history.as_table(found)
    print("\n".join(lines))
    return 0


def print_stack(environment: Mapping[str, str]) -> int:
    """`make render STACK=kubernetes`: the manifests as a deployment would apply them, with the live images.

    Secrets are masked, unless SHOW_SECRETS=1. It asks no cluster.
    """
    output = Output("render")

    def perform(signals: Signals) -> int:
        call = _prepare(environment, Options(), output, signals)
        live = images.find_id(call.site.engine, call.site.image.live)
        found = images.releases(call.site.engine, call.site.image)
        tag = next((each.tag for each in found if each.image_id == live), "unknown")
        with _rendered(call, tag) as manifests:
            text = manifests.read_text(encoding="utf-8")
        sys.stdout.write(text if environment.get("SHOW_SECRETS") == "1" else masked(text))
        return 0

    return run.reported(output, perform)


def masked(manifests: str) -> str:
    """Without the values of Secrets."""
    documents = manifests.split("---\n")
    return "---\n".join(_without_data(each) if "\nkind: Secret\n" in f"\n{each}" else each for each in documents)


def _without_data(document: str) -> str:
    before, mark, rest = document.partition("data:\n")
    end = re.search(r"^[^ ]", rest, re.MULTILINE)
    data, after = (rest[: end.start()], rest[end.start() :]) if end else (rest, "")
    return before + mark + SECRET_DATA.sub(r"\1'***'\n", data) + after


def apply(options: Any, environment: Mapping[str, str]) -> int:
    """`deploy/kubernetes/deploy OVERLAY`: releases it as it is, with the images and variables that it names.

    Raises KitError.
    """
    folder = Path(options.argument)
    if not (folder / "kustomization.yaml").is_file():
        raise KitError(f"{options.argument!r}: must be the folder of an overlay, such as overlays/production")
    patience = steps.patience_of(environment)
    output = Output("deploy")

    def perform(signals: Signals) -> int:
        kubectl = find_kubectl(environment, signals, output)
        text = kubectl.kustomize(folder.resolve())
        kubectl.check()
        kubectl.in_namespace(steps.namespace_of(text, options.argument))
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            is_forced = environment.get("FORCE") == "1"
            steps.perform(steps.Release(kubectl, output, Path(file.name), patience, is_forced=is_forced))
        output.result(f"live in {steps.where(kubectl)}")
        return 0

    return run.reported(output, perform)
