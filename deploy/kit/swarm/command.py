"""`make deploy`, `rollback`, `releases`, `down` and `render` for a swarm.

build     the images, under the tag of the release, by the engine that is asked, which is a manager's
images    they reach the nodes: through REGISTRY, or loaded on each
release   a job migrates the database while the old containers serve; if it fails, nothing else is touched
assets    a job on each node of nginx adds the static files that are new
app       Swarm starts a container before it stops one, and takes all back if one does not become healthy or stay so
static    files that nginx serves are replaced by those of the same name
others    nginx and the other services, if they have changed
tidy      releases that are too old for a rollback, and secrets that nothing names, are removed
"""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kit import compose, containers, database_variables, env_files, failures
from kit import stack as of_compose
from kit.errors import KitError
from kit.release import answers, confirm, images, lock, notices, run, steps
from kit.release.engine import Engine
from kit.release.errors import InterruptedByUser, ReleaseError
from kit.release.output import Output
from kit.release.run import Options
from kit.release.signals import Signals
from kit.release.site import Site
from kit.swarm import checks, nodes, services
from kit.swarm.nodes import Others, Swarm
from kit.swarm.stack import APPLICATIONS, Images, Stack, Wanted, part, render

MEGABYTE = 1e6


class Call(NamedTuple):
    site: Site
    model: Mapping[str, Any]
    options: Options
    swarm: Swarm
    others: Others
    environment: Mapping[str, str]

    @property
    def nginx_image(self) -> str:
        return str(self.model["services"]["nginx"]["image"])


def call(command: str, environment: Mapping[str, str], options: Options) -> int:
    """The exit status. Raises KitError for a wrong value, before anything is touched."""
    functions = {"deploy": _deploy, "up": _deploy, "update": _deploy, "rollback": _rollback, "releases": _releases}
    output = Output(command, is_json=options.is_json)

    def perform(signals: Signals) -> int:
        prepared = _prepare(environment, options, output, signals)
        _settle(prepared.site)
        return functions[command](prepared)

    return run.reported(output, perform, goes_on=["What Swarm has been given goes on: make releases"])


def _prepare(environment: Mapping[str, str], options: Options, output: Output, signals: Signals) -> Call:
    prepared = compose.prepare(environment)
    model = _model(prepared)
    compose.check_profiles(prepared)
    values = env_files.read_kit(environment)
    swarm = nodes.find(prepared)
    checks.check(model, values, swarm)
    others = nodes.reach(swarm, values, prepared)
    if not options.is_dry:  # which is to find the rest while the site still runs there
        checks.check_compose(model["name"], prepared)
    engine = Engine(prepared, signals, output.show, has_terminal=output.is_live)
    image = images.read_name(model["services"]["app"]["image"])
    site = Site(engine, output, model["name"], image, model["services"], values, options.build_options)
    return Call(site, model, options, swarm, others, environment)


def _model(prepared: Mapping[str, str]) -> dict[str, Any]:
    return dict(json.loads(containers.output(["compose", "config", "--format", "json"], prepared)))


def _deploy(call: Call) -> int:
    site = call.site
    project = compose.find_project(site.values.get("PROJECT_DIR") or compose.DEFAULT_PROJECT)
    looked = run.look(project, site.values)
    if looked:
        database_variables.check(looked, site.values, run.given(site))
    tag = images.unused_tag(site.engine, site.image, images.project_commit(project, call.environment))
    _check_files(call, tag)
    if call.options.is_dry:
        site.output.note(f"Would build {site.image.release(tag)}, and load it on {_where(call)}")
        site.output.result("Nothing was changed", tag=tag)
        return 0
    for line in notices.of(looked, call.environment, site.values):
        site.output.note(line)
    name = site.image.release(tag)
    with site.output.step("build", f"Build {name}"):
        steps.build_images(site, {"APP_IMAGE": name})
    identifier = images.find_id(site.engine, name)
    if not identifier:
        raise ReleaseError("the service app has another image than ${APP_IMAGE}, in a file that was added to the kit's")
    try:
        return _locked(call, identifier, lambda: _release(call, tag, migrates=True))
    except (ReleaseError, InterruptedByUser):
        site.engine.signals.defer()
        # interrupted while Swarm replaces containers, it goes on to serve
        if images.find_id(site.engine, site.image.live) != identifier and services.release(site) != tag:
            _forget(site, name, identifier)
        raise


def _settle(site: Site) -> None:
    """The release of a deployment that was interrupted is live, if Swarm has completed it since."""
    running = services.inspect(site, "app")
    if (running.get("UpdateStatus") or {}).get("State") in services.GOING_ON:
        return
    tag = services.release(site)
    identifier = images.find_id(site.engine, site.image.release(tag)) if tag else ""
    if identifier and identifier != images.find_id(site.engine, site.image.live):
        images.add_tag(site.engine, identifier, site.image.live)
        if not site.output.is_json:
            site.output.note(f"{tag} serves: Swarm has completed what was interrupted")


def _check_files(call: Call, tag: str) -> None:
    """That secrets and configs can be made, before anything is built. Raises KitError, ReleaseError."""
    services.check_files(call.site, _render(call, tag, Images("", "")).files)


def _forget(site: Site, name: str, identifier: str) -> None:
    """No rollback goes to a release that never served. Containers that have ended may still use its only name."""
    images.add_tag(site.engine, identifier, f"{site.image.repository}:{site.image.prefix}failed")
    images.remove_tag(site.engine, name)


def _where(call: Call) -> str:
    if registry := call.site.values.get("REGISTRY"):
        return f"the registry {registry}"
    return ", ".join(sorted(call.others.reached)) or "this node alone"


def _rollback(call: Call) -> int:
    site = call.site
    tag = run.find_target(images.releases(site.engine, site.image), call.options.to).tag
    if not services.inspect(site, "app"):
        raise KitError("the stack does not run: make deploy TARGET=swarm")
    if call.options.is_dry:
        site.output.result(f"Would roll back to {tag}", tag=tag)
        return 0
    live, wanted = answers.of_images(site.engine, site.image.live, site.image.release(tag))
    confirm.check(site, live, wanted, tag, is_forced=call.options.is_forced)
    identifier = images.find_id(site.engine, site.image.release(tag))
    return _locked(call, identifier, lambda: _release(call, tag, migrates=False))


def _locked(call: Call, image_id: str, perform: Any) -> int:
    engine = call.site.engine
    held = lock.acquire(engine, call.site.project, image_id, by_force=call.options.unlocks)
    try:
        return int(perform())
    finally:
        engine.signals.defer()
        lock.release(engine, held)


def _release(call: Call, tag: str, *, migrates: bool) -> int:
    site = call.site
    name = site.image.release(tag)
    with site.output.step("images", f"Bring the images to {_where(call)}"):
        found = _bring_images(call, tag)
    stack = _render(call, tag, found)
    services.create_files(site, stack.files)
    if migrates:
        with site.output.step("release", "Migrate the database, with the old containers serving"):
            _run_job(site, stack, "release")
    with site.output.step("assets", "Add static files on each node of nginx"):
        _run_job(site, stack, "assets")
    stack = _render(call, tag, found)  # now the network is there
    applications = [each for each in APPLICATIONS if each in stack.content["services"]]
    count = stack.content["services"]["app"]["deploy"]["replicas"]
    with site.output.step("app", f"Replace the application's containers, {count} in all"):
        _update(call, stack, ["app"])
    images.add_tag(site.engine, images.find_id(site.engine, name), site.image.live)
    site.engine.signals.defer()  # it is live: the rest is completed
    with site.output.step("static", "Replace static files that this release has changed"):
        _run_job(site, _render(call, tag, found, only_new_files=False), "assets")
    with site.output.step("others", "Update nginx and the others, if they have changed"):
        _update(call, stack, ["nginx", *(each for each in applications if each != "app")])
    with site.output.step("tidy", "Remove what is no longer needed"):
        _tidy(call, stack)
    site.output.result(f"{tag} is live on {', '.join(sorted(_running_on(call)))}", tag=tag)
    return 0


def _running_on(call: Call) -> set[str]:
    """Without nodes that are down: what ran there is still said to run."""
    up = {node.hostname for node in call.swarm.nodes if node.is_ready}
    return up & {task.node for task in services.tasks(call.site, "app") if task.state == "Running"}


def _bring_images(call: Call, tag: str) -> Images:
    """The names by which the nodes find them. Raises ReleaseError."""
    site = call.site
    app, nginx = site.image.release(tag), call.nginx_image
    if registry := site.values.get("REGISTRY"):
        found = Images(f"{registry}/{_base(app)}:{tag}", f"{registry}/{_base(nginx)}:{_short_id(site, nginx)}")
        for local, remote in zip((app, nginx), found, strict=True):
            images.add_tag(site.engine, images.find_id(site.engine, local), remote)
            done = site.engine.run("push", "--quiet", remote, timeout=services.UPDATE_TIMEOUT)
            if done.status:
                raise ReleaseError(f"REGISTRY={registry!r}: {done.reason}")
        return found

    def progress(sent: int, total: int) -> None:
        site.engine.signals.check()

    try:
        sent = nodes.send(call.others, (app, nginx), site.engine.environment, progress)
    except KitError as error:
        raise ReleaseError(str(error)) from None
    for hostname, octets in sent.items():
        site.output.note(f"{hostname}: sent {octets / MEGABYTE:.1f} MB", node=hostname, sent=octets)
    # by its ID, a node looks for an image in no registry
    return Images(images.find_id(site.engine, app), images.find_id(site.engine, nginx))


def _base(name: str) -> str:
    return images.read_name(name).repository.rpartition("/")[2]


def _short_id(site: Site, name: str) -> str:
    return images.find_id(site.engine, name).removeprefix("sha256:")[:12]


def _render(call: Call, tag: str, found: Images, *, only_new_files: bool = True) -> Stack:
    site = call.site
    replicas = site.replicas or services.replicas(services.inspect(site, "app")) or 1
    several = len(nodes.hosts_of_application(call.swarm, site.values)) > 1
    subnet = nodes.subnet_of(f"{site.project}_back", site.engine.environment)
    wanted = Wanted(call.model, site.values, found, tag, replicas, several, subnet, only_new_files)
    return render(wanted)


def _run_job(site: Site, stack: Stack, name: str) -> None:
    """Raises ReleaseError."""
    services.remove(site, name)  # what is there has run already, and would not run again
    services.deploy(site, part(stack, [name]))
    services.wait_job(site, name)
    if name == "release":
        for line in failures.without_tracebacks(services.log_of(site, f"{site.project}_{name}").splitlines()):
            site.output.line(line)


def _update(call: Call, stack: Stack, names: Iterable[str]) -> None:
    """Raises ReleaseError."""
    site = call.site
    listed = list(names)
    before = {name: services.inspect(site, name) for name in listed}
    known = {
        name: {task.identifier for task in services.tasks(site, name)} if before[name] else set() for name in listed
    }
    services.deploy(site, part(stack, listed))
    if call.options.is_forced and "app" in listed and before["app"]:
        site.engine.output("service", "update", "--force", "--detach", f"{site.project}_app")
    for name in listed:
        try:
            services.wait_update(site, name, before[name], known[name])
        except ReleaseError:
            if not before[name]:  # there is nothing to go back to, and Swarm would start it again and again
                services.remove(site, name)
            raise


def _tidy(call: Call, stack: Stack) -> None:
    site = call.site
    services.remove_files(site, {file.name for file in stack.files})
    for name in images.outdated(site.engine, site.image):
        images.remove_tag(site.engine, name)
        for there in call.others.reached.values():
            containers.call(["image", "rm", name], there)  # a node may not have it


def _releases(call: Call) -> int:
    return run.print_releases(call.site, is_json=call.options.is_json)


def down(environment: Mapping[str, str], *, unlocks: bool = False) -> int:
    """Removes the stack with its secrets; the volumes of the nodes stay. `unlocks`: also while a deployment is in
    progress. Raises KitError."""
    prepared = compose.prepare(environment)
    nodes.find(prepared)
    output = Output("down")
    project = compose.project_name(prepared)
    if not unlocks and (who := of_compose.deploys(prepared, project)):
        raise KitError(of_compose.IN_PROGRESS.format(project=project, who=who))
    with Signals() as signals:
        engine = Engine(prepared, signals, output.show)
        model = _model(prepared)
        site = Site(engine, output, model["name"], images.read_name(model["services"]["app"]["image"]), {}, {})
        if not services.all_of(site):
            output.result(f"There is no stack {site.project}")
            return 0
        done = engine.run("stack", "rm", site.project, timeout=services.STACK_TIMEOUT)
        if done.status:
            raise KitError(f"docker stack rm: {done.reason}")
        services.remove_files(site, set())
    output.result(f"{site.project} is removed; its data stays in the volumes of the nodes")
    return 0


def print_stack(environment: Mapping[str, str]) -> int:
    """`make render STACK=swarm`: in JSON, which is YAML too."""
    sys.stdout.write(json.dumps(stack_of(environment), indent=2) + "\n")
    return 0


def stack_of(environment: Mapping[str, str]) -> dict[str, Any]:
    """The stack file as a deployment would give it to Swarm.

    The images are those that are live, by their ID; secrets are named, and not shown.
    """
    prepared = compose.prepare(environment)
    model = _model(prepared)
    values = env_files.read_kit(environment)
    swarm = nodes.find(prepared)
    checks.check(model, values, swarm)
    app, nginx = (model["services"][service]["image"] for service in ("app", "nginx"))
    live = nodes.id_of(images.read_name(app).live, prepared)
    found = Images(live or app, nodes.id_of(nginx, prepared) or nginx)
    several = len(nodes.hosts_of_application(swarm, values)) > 1
    replicas = int(values.get("APP_REPLICAS") or 1)
    subnet = nodes.subnet_of(f"{model['name']}_back", prepared)
    return render(Wanted(model, values, found, "latest", replicas, several, subnet)).content
