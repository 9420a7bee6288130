"""`make deploy`, `make rollback` and, when the application runs already, `make up`: the steps in their order, and what
happens when one fails or the command is interrupted."""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from kit import compose, database_variables, env_files, targets
from kit.errors import KitError
from kit.paths import ROOT, RUN
from kit.project import facts
from kit.project.facts import Project
from kit.release import first, hosts, images, journal, lock, migrations, notices, page, services, steps, undo
from kit.release.answers import Answer
from kit.release.confirm import confirm
from kit.release.containers import Container
from kit.release.engine import Engine
from kit.release.errors import ConnectionLost, InterruptedByUser, ReleaseError
from kit.release.images import Release
from kit.release.journal import Journal
from kit.release.output import Output
from kit.release.signals import Signals
from kit.release.site import Site
from kit.release.steps import Deployment, Step

AGAIN = ("up", "deploy", "update")
FAILED_LOG = RUN / "failed.log"
"""What the container printed that made the last deployment fail; the container itself is removed."""


class Options(NamedTuple):
    is_dry: bool = False
    is_json: bool = False
    is_forced: bool = False
    """Deploys what runs already; rolls back past migrations."""
    unlocks: bool = False
    to: str = ""
    """The release to roll back to; empty: the one before the live one."""
    build_options: tuple[str, ...] = ()
    """Of `docker compose build`."""


def call(command: str, environment: Mapping[str, str], options: Options) -> int:
    """`deploy`, `up`, `update`, `rollback` or `releases`; returns the exit status.

    Raises KitError for a wrong value, before anything is touched.
    """
    if (target := targets.chosen(environment)) != targets.COMPOSE:
        status: int = targets.module(target).call(command, environment, options)
        return status
    functions = {
        "deploy": _deploy,
        "up": _deploy,
        "update": _deploy,
        "rollback": _rollback,
        "releases": _print_releases,
    }
    return _run(command, environment, options, functions[command])


def _run(command: str, environment: Mapping[str, str], options: Options, call: Callable[["Call"], int]) -> int:
    output = Output(command, is_json=options.is_json)
    with Signals() as signals:
        try:
            prepared = compose.prepare(environment)
            model = compose.check_clashes(prepared)
            engine = Engine(prepared, signals, output.show, has_terminal=output.is_live)
            values = env_files.read_kit(environment)
            image = images.read_name(model["services"]["app"]["image"])
            site = Site(engine, output, model["name"], image, model["services"], values, options.build_options)
            return call(Call(site, options, environment, prepared))
        except InterruptedByUser as interrupted:
            output.failure([], f"interrupted ({interrupted})", [])
            return interrupted.exit_status
        except ReleaseError as error:
            output.failure(error.lines, str(error), _next(error, command))
            return 1


class Call(NamedTuple):
    site: Site
    options: Options
    environment: Mapping[str, str]
    prepared: Mapping[str, str]


def _deploy(call: Call) -> int:
    site = call.site
    # not the prepared one, which may be a copy of the project in the checkout
    project = compose.find_project(site.values.get("PROJECT_DIR") or compose.DEFAULT_PROJECT)
    looked = look(project, site.values)
    if looked:
        database_variables.check(looked, site.values, given(site))
    tag = images.unused_tag(site.engine, site.image, images.project_commit(project, call.environment))
    if call.options.is_dry:
        return _print_plan(call, tag)
    for line in [*notices.of(looked, call.environment, site.values)]:
        site.output.note(line)
    application, proxy = site.look()
    up = [container for container in application if container.is_up]
    if not up or proxy is None:
        image_id = first.build(site)
        # the lock is a container, of this image
        return locked(call, lambda: first.start(site, tag), image_id) if image_id else first.start(site, tag)
    return locked(call, lambda: perform(call, tag, steps.DEPLOY, is_new=True), up[0].image_id)


def look(folder: Path, values: Mapping[str, str]) -> Project | None:
    """None for a project that cannot be understood: the build says why."""
    try:
        return facts.look(folder, values)
    except KitError:
        return None


def given(site: Site) -> set[str]:
    """The names of the variables that the application's container gets from compose."""
    given = site.services.get("app", {}).get("environment") or {}
    return {name for name, value in given.items() if value is not None}


def _rollback(call: Call) -> int:
    site = call.site

    def target() -> str:
        return find_target(images.releases(site.engine, site.image), call.options.to).tag

    up = [container for container in site.containers() if container.is_up]
    if not up:
        raise KitError("the application does not run: make up")
    if call.options.is_dry:
        site.output.result(f"Would roll back to {target()}", tag=target())
        return 0
    # a recovery, which comes first, may change what is live
    return locked(call, lambda: roll_back(call, target()), up[0].image_id)


def roll_back(call: Call, tag: str) -> int:
    old = running(call.site)
    answer = confirm(call.site, old[0], tag, is_forced=call.options.is_forced)
    return perform(call, tag, steps.ROLLBACK, is_new=False, old=old, answer=answer)


def running(site: Site) -> list[Container]:
    """The application's containers that run. Raises ReleaseError if there is none."""
    found = [container for container in site.containers() if container.is_up]
    if not found:
        raise ReleaseError("the application no longer runs: make up")
    return found


def find_target(found: list[Release], wanted: str) -> Release:
    """The release to roll back to: the wanted one, or the one before the live one. Raises KitError."""
    tags = ", ".join(release.tag for release in found) or "none"
    if wanted:
        for release in found:
            if release.tag == wanted:
                if release.is_live:
                    raise KitError(f"TO={wanted!r}: is the live release")
                return release
        raise KitError(f"TO={wanted!r}: must be one of the kept releases: {tags}")
    live = next((at for at, release in enumerate(found) if release.is_live), None)
    if live is None:
        raise KitError(f"no release is live, so TO=... must name one of the kept releases: {tags}")
    before = [release for release in found[live:] if not release.is_live]
    if not before:
        raise KitError(f"there is no release before the live one, {found[live].tag}; the kept ones: {tags}")
    return before[0]


def locked(call: Call, perform_it: Callable[[], int], image_id: str = "") -> int:
    """Holds the lock, and begins with what an earlier deployment left. `image_id`: any that is there."""
    site = call.site
    image_id = image_id or next(container.image_id for container in site.containers())
    held = lock.acquire(site.engine, site.project, image_id, by_force=call.options.unlocks)
    try:
        undo.recover(site)
        return perform_it()
    finally:
        site.engine.signals.defer()
        # the next deployment takes over the lock of a process that has ended, and the reason for a failure comes first
        with suppress(ReleaseError):
            lock.release(site.engine, held)


def perform(
    call: Call,
    tag: str,
    plan: Sequence[Step],
    *,
    is_new: bool,
    old: list[Container] | None = None,
    answer: Answer | None = None,
) -> int:
    """`old`: what runs, if that is known already. `answer`: of the release's image, if that is there."""
    site = call.site
    old = old or running(site)
    found = images.named(site.engine, site.image)
    name_what_runs(site, old, found)
    began = Journal(
        release=site.image.release(tag),
        is_new=is_new,
        old=[container.identifier for container in old],
        latest=found.get(site.image.name, ""),
        live=found.get(site.image.live, ""),
    )
    journal.write(site.engine, site.project, began, old[0].image_id)
    wanted = call.options.is_forced
    deployment = Deployment(
        site, began, tag, old, answer=answer or {}, is_forced=wanted or not is_new, may_break_page=wanted
    )
    try:
        for step in plan:
            if step.is_wanted(deployment):
                with site.output.step(step.name, step.text(deployment)):
                    step.run(deployment)
    except (ReleaseError, InterruptedByUser, KitError) as error:
        site.engine.signals.defer()
        try:
            _give_up(site, error)
        except ConnectionLost:
            site.output.note("What was begun is undone or finished by the next call: make deploy, or make rollback")
            raise
        except ReleaseError as another:  # the first one says why it failed
            site.output.note(f"It could not be undone: {another}. The next call does that: make deploy")
        if deployment.has_migrated:
            site.output.note(f"Its migrations stay applied: {migrations.named(deployment.migrations)}")
        raise
    if deployment.is_needed:
        application, proxy = site.look()
        if proxy:
            page.warn(site, application, proxy)
        services.note_certificate(site)
        urls = hosts.urls(site, proxy.nginx) if proxy else []
        site.output.result(f"{tag} is live{' at ' if urls else ''}{' and '.join(urls)}", tag=tag, urls=urls)
    else:
        site.output.result("Nothing has changed, and what runs is healthy; FORCE=1 replaces it anyway", tag="")
    return 0


def name_what_runs(site: Site, old: Sequence[Container], names: dict[str, str]) -> None:
    """The image that runs becomes the live release, also if no deployment has started it: there is a way back.

    `names` are those that the image's repository has now, each with its id; `live` is changed there too.
    """
    ids = {container.image_id for container in old}
    if len(ids) != 1:
        return
    image_id = ids.pop()
    if not any(site.image.is_release(name) for name, named in names.items() if named == image_id):
        created = site.engine.output("image", "inspect", "--format", "{{.Created}}", image_id)
        tag = images.new_tag(datetime.fromisoformat(created[:19] + "+00:00"), "")
        images.add_tag(site.engine, image_id, site.image.release(tag))
    if names.get(site.image.live) != image_id:
        images.add_tag(site.engine, image_id, site.image.live)
        names[site.image.live] = image_id


def _give_up(site: Site, error: Exception) -> None:
    """Undoes the deployment, unless it is live already."""
    began = journal.read(site.engine, site.project)
    if began is None:
        return
    if began.is_switched:
        site.output.note(
            f"{began.release.rpartition(':')[2]} is live, but what follows was not completed: the next call does that"
        )
        return
    cause = "was interrupted" if isinstance(error, InterruptedByUser) else "has failed"
    with site.output.step("undo", f"The deployment {cause}: undo it"):
        undo.undo(site, began)
    still = [container.name for container in site.containers() if container.state == "running"]
    site.output.note(
        f"Serving as before: {', '.join(still)}"
        if still
        else "Nothing serves: the containers from before have gone; make up"
    )


def _print_plan(call: Call, tag: str) -> int:
    """What a deployment would do, as far as it can be known before the build."""
    site, output = call.site, call.site.output
    old = [container for container in site.containers() if container.is_up]
    if not old or site.proxy() is None:
        output.result("Nothing runs: would build the images and start the site", tag=tag)
        return 0
    changed = steps.recreated(site, len(old))
    if unfinished := journal.read(site.engine, site.project):
        output.note(f"Would {'finish' if unfinished.is_switched else 'undo'} a deployment that was cut short")
    output.note(f"Would build {site.image.release(tag)}")
    if changed & {container.name for container in old}:
        output.note("The configuration or the image of the application has changed since its start")
    output.note(f"Would replace {len(old)} containers by {site.replicas or len(old)}, if anything has changed")
    if any(name.endswith("nginx-1") for name in changed):
        output.note("Would replace nginx, whose configuration or image has changed: it is out for a moment")
    output.result("Nothing was changed", tag=tag)
    return 0


def _print_releases(call: Call) -> int:
    return print_releases(call.site, is_json=call.options.is_json)


def print_releases(site: Site, *, is_json: bool) -> int:
    found = images.releases(site.engine, site.image)
    print("\n".join(_as_json(found) if is_json else as_table(found)))
    return 0


def as_table(found: list[Release]) -> list[str]:
    if not found:
        return ["No releases yet: make deploy"]
    rows = [("RELEASE", "BUILT (UTC)", "COMMIT", "SIZE", "STATE")]
    for release in found:
        state = "live" if release.is_live else "kept"
        rows.append((release.tag, f"{release.time:%Y-%m-%d %H:%M:%S}", release.commit or "-", release.size, state))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _as_json(found: list[Release]) -> list[str]:
    def row(release: Release) -> dict[str, Any]:
        state = "live" if release.is_live else "kept"
        return {
            "tag": release.tag,
            "built": release.time.isoformat(),
            "commit": release.commit,
            "image": release.image_id,
            "size": release.size,
            "state": state,
        }

    return [json.dumps(row(release)) for release in found]


def _next(error: ReleaseError, command: str) -> list[str]:
    """What to do: the reason may name a command already."""
    again = "" if "make " in str(error) or command not in AGAIN else f"Once that is mended: make {command}"
    kept = log_kept(error)
    if kept and again:
        return [f"{kept[0]}. {again}"]
    return kept or ([again] if again else [])


def reported(output: Output, perform: Callable[[Signals], int], *, goes_on: Sequence[str] = ()) -> int:
    """The exit status of `perform`, whose errors are printed. `goes_on`: what to know after Ctrl-C."""
    with Signals() as signals:
        try:
            return perform(signals)
        except InterruptedByUser as interrupted:
            output.failure([], f"interrupted ({interrupted})", list(goes_on))
            return interrupted.exit_status
        except ReleaseError as error:
            output.failure(error.lines, str(error), log_kept(error))
            return 1


def log_kept(error: ReleaseError) -> list[str]:
    """Keeps the whole log of what failed; where it is."""
    if error.whole_log:
        return [f"The whole log: {error.whole_log}"]
    if not error.log:
        return []
    with suppress(OSError):
        FAILED_LOG.parent.mkdir(exist_ok=True)
        FAILED_LOG.write_text(error.log)
        return [f"The whole log: {FAILED_LOG.relative_to(ROOT)}"]
    return []
