"""`make prove FAULTS=1`: deployments that are interrupted or killed in each of their steps, and releases that fail.

After each, the site serves, and the next deployment finishes or undoes what was begun and brings its release.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping

from kit.prove.command import Step
from kit.prove.site import COMMAND_TIMEOUT, KIT, STATIC_FILE, ProofError, Site

PLACES = ("build", "release", "start", "ready", "switch", "static", "drain", "tidy")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
BROKEN_NGINX = "/tmp/nginx/maintenance.conf"
"""A file that nginx's configuration includes."""


def interrupted(place: str, number: signal.Signals) -> Callable[[Site], None]:
    def run(site: Site) -> None:
        if place == "static":
            site.has_static_files = True  # from now on
        if place not in site.step_seconds:
            measure(site)
        serves = site.version()
        version = site.write_next()
        status = interrupt(site, place, number, site.step_seconds[place] / 2)
        expected = {-number} if number == signal.SIGKILL else {0, 128 + number}
        if status not in expected:
            raise ProofError(f"exit status {status} instead of {' or '.join(map(str, sorted(expected)))}", [])
        expect(site.version() in (serves, version), "the site serves the old release or the new one")
        if site.has_static_files:
            served = site.version(f"/{STATIC_FILE}")
            expect(served in (serves, version), f"nginx serves the static file of {serves} or of {version}: {served}")
        settle(site, version)

    return run


def measure(site: Site) -> None:
    """How long each step of a deployment takes; what was measured before stays."""
    site.write_next()
    rows = [json.loads(line) for line in site.kit("deploy", "--json", "--force").splitlines() if line.startswith("{")]
    found = {row["step"]: row["seconds"] for row in rows if row.get("state") == "done"}
    site.step_seconds = found | site.step_seconds


def interrupt(site: Site, place: str, number: signal.Signals, after: float) -> int:
    """Sends the signal to a deployment, so many seconds after the start of this step; its exit status."""
    timer: threading.Timer | None = None
    command = [*KIT, "deploy", "--json"]
    with subprocess.Popen(
        command, env=site.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        for line in process.stdout or ():
            row = json.loads(line)
            if (row.get("step"), row.get("state")) == (place, "started"):
                timer = threading.Timer(after, os.kill, (process.pid, number))
                timer.start()
        status = process.wait(COMMAND_TIMEOUT)
        if timer:
            timer.cancel()
    return status


def settle(site: Site, version: str) -> None:
    """The next deployment, without a fault, leaves one container of the release, and nothing of the one before."""
    site.kit("deploy")
    expect(site.version() == version, f"the site serves {version}")
    if site.has_static_files:
        served = site.version(f"/{STATIC_FILE}")
        expect(served == version, f"nginx serves the static file of {version}: {served}")
    expect(len(site.containers()) == 1, "one container serves")
    left = site.docker("ps", "--all", "--format", "{{.Names}}", f"--filter=name={site.name}-deployment").split()
    expect(not left, f"nothing is left of the deployment: {', '.join(left)}")


def expect(is_so: bool, what: str) -> None:
    if not is_so:
        raise ProofError(f"not so: {what}", [])


def failing(place: str, breaks: Callable[[Site], Mapping[str, str]], mends: Callable[[Site], None]) -> Step:
    def run(site: Site) -> None:
        serves = site.version()
        version = site.write_next()
        said = site.kit("deploy", status=1, **breaks(site))
        expect(site.version() == serves, f"the site serves {serves} after:\n{said[-500:]}")
        mends(site)
        site.write(version)
        settle(site, version)

    return Step(f"a release that fails in {place}", run)


def _break_build(site: Site) -> Mapping[str, str]:
    (site.folder / "requirements.txt").write_text("./there-is-no-such-folder\n")
    return {}


def _mend_build(site: Site) -> None:
    (site.folder / "requirements.txt").unlink()


def _break_nginx(site: Site) -> Mapping[str, str]:
    """Its workers go on; it refuses to load anything else."""
    _in_nginx(site, f"cp {BROKEN_NGINX} /tmp/kept && echo nonsense >>{BROKEN_NGINX}")
    return {}


def _mend_nginx(site: Site) -> None:
    _in_nginx(site, f"cp /tmp/kept {BROKEN_NGINX}")


def _in_nginx(site: Site, command: str) -> None:
    site.docker("exec", site.containers("nginx")[0], "sh", "-c", command)


def _break_start(site: Site) -> Mapping[str, str]:
    site.write("bad", 'raise RuntimeError("this release cannot start")')
    return {}


def _break_page(site: Site) -> Mapping[str, str]:
    site.write("bad", "import os", status="500 Internal Server Error")
    return {"START_PATIENCE": "10"}


def _nothing(_: Site) -> None:
    pass


def _failing_static(site: Site) -> None:
    """It is live by then: the next deployment completes it."""
    site.has_static_files = True  # from now on
    settle(site, serves := site.write_next())
    # it replaces a file by one of this name
    blocked = f"/srv/assets/.{STATIC_FILE.rpartition('/')[2]}.new"
    _in_assets(site, "mkdir", blocked)
    version = site.write_next()
    said = site.kit("deploy", status=1)
    expect(site.version() == version, f"the site serves {version} after:\n{said[-500:]}")
    served = site.version(f"/{STATIC_FILE}")
    expect(served == serves, f"nginx serves the static file of {serves}: {served}")
    _in_assets(site, "rmdir", blocked)
    settle(site, version)


def _in_assets(site: Site, *command: str) -> None:
    volume = f"--volume={site.name}_assets:/srv/assets"
    site.docker("run", "--rm", volume, f"--entrypoint={command[0]}", f"{site.name}-app", *command[1:])


FAILING = (
    failing("build", _break_build, _mend_build),
    failing("release", lambda _: {"MIGRATE_COMMAND": "false"}, _nothing),
    failing("start", lambda _: {"APP_CPUS": "100000"}, _nothing),
    failing("ready, since it ends", _break_start, _nothing),
    failing("ready, since it is not well", _break_page, _nothing),
    failing("switch", _break_nginx, _mend_nginx),
    Step("a release that fails in static", _failing_static),
)
STEPS = (
    *FAILING,
    *(Step(f"{number.name} in {place}", interrupted(place, number)) for place in PLACES for number in SIGNALS),
)
