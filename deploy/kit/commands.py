"""The table of the kit's commands: what each calls, its options, and what it does for another TARGET."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kit import adopt, assets, compose, env_files, local, maintenance, stack, targets, times, virtual_environment
from kit.console import step
from kit.errors import KitError
from kit.project import facts, install, manifests, node, python_version, report

if TYPE_CHECKING:
    from kit.release import run


SAME = ""
"""For `in_swarm`: the function asks itself what the target is, or works on no site that runs."""


class Command(NamedTuple):
    call: Callable[[argparse.Namespace], int]
    help: str
    argument: str = ""
    """The name of its one argument, if it has one; in brackets if it may be left out."""
    options: Mapping[str, str] = {}
    """Its options and their help. One whose help starts with a name in capitals takes a value."""
    is_local: bool = False
    """It has nothing to do with an engine, so neither HOST nor TARGET matters to it."""
    in_swarm: Callable[[argparse.Namespace], int] | str | None = None
    """With TARGET=swarm: what is called instead, SAME, or what to do instead, in a line with which the command ends.
    None: nobody has decided, which only a local command may have."""
    in_cluster: str = "docs/kubernetes.md has what kubectl does instead"
    """With TARGET=kubernetes, which takes the commands that are the SAME: what to do instead."""

    def function(self, environment: Mapping[str, str]) -> Callable[[argparse.Namespace], int]:
        """For TARGET. Raises KitError if the command is not for it."""
        if self.is_local or self.in_swarm == SAME or (target := targets.chosen(environment)) == targets.COMPOSE:
            return self.call
        if target == targets.KUBERNETES:
            raise KitError(f"not for TARGET=kubernetes: {self.in_cluster}")
        if callable(self.in_swarm):
            return self.in_swarm
        raise KitError(f"not for TARGET=swarm: {self.in_swarm}")


def run_compose(options: argparse.Namespace) -> int:
    compose.replace(options.arguments, compose.prepare(os.environ))


def create_environment(options: argparse.Namespace) -> int:
    virtual_environment.create(Path(options.argument))
    return 0


def print_project(options: argparse.Namespace) -> int:
    """The project that .env names, or another folder, to which .env does not apply."""
    if options.argument:
        folder, environment = compose.find_project(options.argument, Path.cwd()), dict(os.environ)
    else:
        environment = env_files.read_kit(os.environ)
        environment |= env_files.read_project(environment) | dict(os.environ)
        folder = compose.find_project(environment.get("PROJECT_DIR") or "sample_project")
    project = facts.look(folder, environment)
    print(report.as_json(project) if options.json else "\n".join(report.lines(project)))
    return 0


def install_project(options: argparse.Namespace) -> int:
    """For the image's build: each step is a layer."""
    if not options.project:
        raise KitError("--project DIR is missing")
    folder = compose.find_project(options.project, Path.cwd())
    if not options.copy_to and not (options.python and Path(options.python).exists()):
        raise KitError(f"--python {options.python}: must be the interpreter of a virtual environment")
    installation = manifests.find(folder, os.environ)
    if options.copy_to:
        for text in () if installation.file else installation.notes:
            step(text)
        # here, since this is the first step of the build: nothing has been installed in vain
        for note in python_version.find(folder, installation.base).check(sys.version_info[:3], "the image's Python"):
            step(note)
        install.copy_files(installation, folder, Path(options.copy_to))
        return 0
    uv = install.Uv(install.find_uv(options.uv), Path(options.python).absolute(), os.environ)
    for text in () if options.only == "project" else installation.notes:
        step(text)
    if options.only in (None, "dependencies"):
        install.install_dependencies(installation, folder, uv)
    if options.only in (None, "project"):
        install.install_project(installation, folder, uv)
    return 0


def build_assets(options: argparse.Namespace) -> int:
    """For the image's build: each step is a layer. Without NODE_BUILD, each does nothing."""
    if not options.project or options.step not in ("manifests", "install", "build"):
        raise KitError("--project DIR and --step manifests, install or build are needed")
    folder = compose.find_project(options.project, Path.cwd())
    build = assets.choose(os.environ.get(assets.VARIABLE, ""), node.find(folder), folder)
    if build is None:
        return 0
    if options.step == "install":
        assets.install(build, folder, os.environ)
        return 0
    if not options.copy_to:
        raise KitError("--copy-to DIR is missing")
    target = Path(options.copy_to)
    if options.step == "build":
        assets.run_and_copy(build, folder, os.environ, target)
        return 0
    assets.copy_manifests(build, folder, target / "app")
    (target / "packages").write_text(f"{assets.PACKAGES}\n", encoding="utf-8")
    return 0


def print_times(options: argparse.Namespace) -> int:
    print("".join(f"{name}={seconds}\n" for name, seconds in times.chain(os.environ).items()), end="")
    return 0


def on_site(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """A command for a site that runs. It is imported only here, since the image's build has this file without it."""

    def call(options: argparse.Namespace) -> int:
        called: Callable[..., int] = getattr(importlib.import_module(f"kit.{module}"), function)
        return called(os.environ, as_json=True) if getattr(options, "json", False) else called(os.environ)

    return call


def down_stack(options: argparse.Namespace) -> int:
    from kit.swarm import command  # here, since the image's build has this file without that package

    return command.down(os.environ, unlocks=options.unlock)


def maintain_stack(options: argparse.Namespace) -> int:
    from kit.swarm import maintenance as of_swarm  # here, as above

    return of_swarm.maintenance(options.argument or "", os.environ)


def apply_overlay(options: argparse.Namespace) -> int:
    from kit.kubernetes import command  # here, since the image's build has this file without that package

    return command.apply(options, os.environ)


def release(command: str) -> Callable[[argparse.Namespace], int]:
    """The function for one of the commands that deploy."""

    def call(options: argparse.Namespace) -> int:
        from kit.release import run  # here, since the image's build has this file without that package

        return run.call(command, os.environ, release_options(options, run.Options))

    return call


def release_options(options: argparse.Namespace, kind: "type[run.Options]") -> "run.Options":
    return kind(
        is_dry=getattr(options, "dry_run", False),
        is_json=options.json,
        is_forced=getattr(options, "force", False),
        unlocks=getattr(options, "unlock", False),
        to=getattr(options, "to", None) or "",
    )


BACKUPS = "back the database up where it is, and uploads in their object store"
REMOVE = (
    "make down, then on each node docker volume rm $(docker volume ls -q -f label=com.docker.stack.namespace=NAME);"
    " the images of this engine: make remove TARGET=compose"
)
"""What to do in a swarm instead."""

AS_JSON = {"--json": "print one JSON object per line"}
UNLOCK = {"--unlock": "take over the lock of a deployment that no longer runs, on another machine"}
DEPLOY = {
    "--dry-run": "print what would be done, and change nothing",
    "--force": "replace the containers although nothing has changed",
    **UNLOCK,
    **AS_JSON,
}

COMMANDS = {
    "up": Command(
        release("up"),
        "build the images, start the kit in Docker and wait until it serves; if it runs, deploy",
        options=DEPLOY,
        in_swarm=SAME,
    ),
    "deploy": Command(
        release("deploy"),
        "build the images, and replace what runs without losing a request",
        options=DEPLOY,
        in_swarm=SAME,
    ),
    "rollback": Command(
        release("rollback"),
        "go back to an earlier release without losing a request",
        options={
            "--to": "TAG the release; without it, the one before the live one",
            "--dry-run": "print which release it would be, and change nothing",
            "--force": "go back past migrations without asking",
            **UNLOCK,
            **AS_JSON,
        },
        in_swarm=SAME,
    ),
    "releases": Command(
        release("releases"),
        "list the releases that a rollback can go to",
        options=AS_JSON,
        in_swarm=SAME,
    ),
    "down": Command(
        lambda options: stack.down(os.environ, unlocks=options.unlock),
        "stop the kit and remove its containers; the data stays",
        options=UNLOCK,
        in_swarm=down_stack,
        in_cluster=(
            "kubectl scale deployment/app --replicas=0 ends the pods and keeps all else; kubectl delete -k, with the"
            " overlay's folder, removes everything"
        ),
    ),
    "logs": Command(
        on_site("logs.command", "logs"),
        "follow the logs of all containers, merged by time",
        in_swarm=on_site("swarm.logs", "logs"),
    ),
    "why": Command(
        on_site("logs.why", "why"),
        "show one request's way and times through the logs (ID=...)",
        in_swarm=on_site("swarm.logs", "why"),
    ),
    "doctor": Command(
        on_site("doctor.command", "doctor"),
        "check the running site: settings, secrets, database, disk, memory, certificate, images and more",
        options={"--json": "print each finding as a line of JSON"},
        in_swarm=on_site("swarm.doctor", "doctor"),
    ),
    "status-page": Command(
        on_site("status_page", "status_page"),
        "show the server's live status page on this machine, until Ctrl-C",
        in_swarm=on_site("swarm.consoles", "status_page"),
    ),
    "render": Command(
        on_site("render", "render"),
        "print the configuration as the containers have it, with the origin of values",
        in_swarm=SAME,
    ),
    "sbom": Command(
        on_site("sbom", "sbom"),
        "write a bill of materials of each image (CycloneDX) in sbom/",
        in_swarm=SAME,
    ),
    "sizes": Command(
        on_site("sizes", "sizes"),
        "print the size of each image, and what it adds to its base",
        in_swarm=SAME,
    ),
    "prune": Command(
        on_site("upkeep", "prune"),
        "remove images, containers and networks of this project that nothing needs any more",
        in_swarm=SAME,
    ),
    "remove": Command(
        on_site("remove", "remove"),
        "remove the project's containers, volumes, networks, and images with all releases, after a question",
        in_swarm=REMOVE,
    ),
    "update": Command(
        on_site("upkeep", "update"),
        "build the images again on the newest packages of their base, then do as `up`",
        in_swarm=SAME,
    ),
    "setup": Command(
        on_site("remote.setup", "setup"),
        "check whether a site can run on the server that HOST names; INSTALL=1 installs Docker there",
        is_local=True,
    ),
    "manage": Command(
        on_site("consoles", "manage"),
        "run Django's manage.py, or flask's commands, in the running application's container",
        in_swarm=on_site("swarm.consoles", "manage"),
    ),
    "shell": Command(
        on_site("consoles", "shell"),
        "open the project's Python shell in the running application's container",
        in_swarm=on_site("swarm.consoles", "shell"),
    ),
    "dbshell": Command(
        on_site("consoles", "dbshell"),
        "open the database's console in the running application's container",
        in_swarm=on_site("swarm.consoles", "dbshell"),
    ),
    "prove": Command(
        on_site("prove.command", "prove"),
        "count the requests that a site of its own loses while it is deployed, rolled back, scaled, moved and hurt",
        in_swarm=SAME,
    ),
    "bench-deploy": Command(
        on_site("prove.speed", "measure"),
        "measure how long a deployment and a rollback take, beside docker compose",
        in_swarm="it measures docker compose: make bench-deploy TARGET=compose",
    ),
    "backup": Command(
        on_site("backups", "backup"),
        "save the database, the data and the uploads in one file",
        in_swarm=BACKUPS,
    ),
    "restore": Command(
        on_site("backups", "restore"),
        "replace the site's data by that of a backup (FILE=...)",
        in_swarm=BACKUPS,
    ),
    "backup-check": Command(
        on_site("backups", "check"),
        "restore the newest backup, or FILE, beside the site, and compare the rows",
        in_swarm=BACKUPS,
    ),
    "maintenance": Command(
        lambda options: maintenance.maintenance(options.argument or "", os.environ),
        "show visitors the page of a maintenance instead of the site, or the site again",
        "[ON|OFF]",
        in_swarm=maintain_stack,
    ),
    "left-out": Command(
        lambda _: stack.left_out(os.environ),
        "list the project's files that its image will not get",
        in_swarm=SAME,
    ),
    "run": Command(lambda _: local.run(os.environ), "serve the project on this machine, without Docker", is_local=True),
    "dev": Command(
        on_site("dev", "dev"),
        "run the project in containers for development: its folder mounted, reloading, DEBUG on, mails caught",
        in_swarm=SAME,
    ),
    "adopt": Command(
        lambda options: adopt.adopt(options.argument or "", os.environ),
        "look at a project, and write .env and .env.project for it; again: for what is new in it",
        "[FOLDER]",
        in_swarm=SAME,
    ),
    "look": Command(
        print_project,
        "print what the kit finds in a project's folder, without running anything of it",
        "[FOLDER]",
        {"--json": "print it as JSON"},
        is_local=True,
    ),
    "install": Command(
        install_project,
        "install what a project needs into a virtual environment",
        options={
            "--project": "DIR the project",
            "--python": "PATH the interpreter of the virtual environment",
            "--uv": "PATH uv, if it is not in PATH",
            "--only": "STEP dependencies, or project: what has to be installed from the project's own folders",
            "--copy-to": "DIR install nothing: copy the files that the dependencies are read from",
        },
        is_local=True,
    ),
    "assets": Command(
        build_assets,
        "build a project's assets with npm, as NODE_BUILD says",
        options={
            "--project": "DIR the project",
            "--step": "STEP manifests, install or build",
            "--copy-to": "DIR for the manifests, or for what was built",
        },
        is_local=True,
    ),
    "apply": Command(
        apply_overlay, "release an overlay of Kustomize to the cluster of kubectl's context", "FOLDER", is_local=True
    ),
    "times": Command(print_times, "print the chain of times for REQUEST_TIMEOUT and DRAIN_DELAY", is_local=True),
    "compose": Command(
        run_compose,
        "run docker compose, with any arguments, as `up` does",
        in_swarm=SAME,
    ),
    "venv": Command(
        create_environment, "create a virtual environment in a folder, unless there is one", "FOLDER", is_local=True
    ),
}
