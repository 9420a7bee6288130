"""A pod of the manifests, run by Docker as a kubelet would (tests/helpers/pod.py)."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.helpers.containers import run, wait_until
from tests.helpers.kubernetes import Manifest, Overlays, the
from tests.helpers.pod import Pod, pod_of

pytestmark = pytest.mark.docker

THREADS = 2


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """The production overlay. What is asked here needs no database: in place of one, a file."""
    secrets = {"SECRET_KEY": "of-the-tests\n", "DATABASE_URL": "sqlite:////data/site.sqlite3\n"}
    overlays = Overlays.copy(tmp_path_factory.mktemp("kubernetes") / "kubernetes", secrets)
    overlay = overlays.folder / "overlays/production"
    (overlay / "project.env").write_text(f"DIAGNOSTICS=1\nTHREADS={THREADS}\nALLOWED_HOSTS=*\n")
    kustomization = overlay / "kustomization.yaml"
    without_claim = kustomization.read_text().replace("  - ../../components/media", "  # ")
    kustomization.write_text(without_claim.replace("components:\n", "components: []\n"))
    (overlay / "site.env").write_text("SERVER_NAME=_\n")
    return overlays.render("production")


@pytest.fixture(scope="module")
def by_image(images: Mapping[str, str]) -> dict[str, str]:
    return {"registry.example/site-app:1": images["sample"], "registry.example/site-nginx:1": images["nginx"]}


@pytest.fixture(scope="module")
def pod(rendered: list[Manifest], by_image: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder = tmp_path_factory.mktemp("secrets")
    with pod_of(the(rendered, "Deployment", "app"), rendered, by_image, folder) as pod:
        pod.start()
        wait_until(pod.is_ready, "the pod is ready")
        yield pod


def test_processes_have_no_rights(pod: Pod) -> None:
    for name, program in (("app", "ropewalk"), ("nginx", "nginx: master")):
        said = run("docker", "exec", pod.name_of(name), "cat", "/proc/1/status", "/proc/1/cmdline").stdout
        assert program in said  # process 1, with no supervisor above it
        status = dict(line.split(":\t", 1) for line in said.splitlines() if ":\t" in line)
        assert status["Uid"].split() == ["10001"] * 4
        assert {status[f"Cap{kind}"].strip() for kind in ("Prm", "Eff", "Bnd")} == {"0" * 16}
        assert status["NoNewPrivs"].strip() == "1"
        written = run("docker", "exec", pod.name_of(name), "touch", "/kit/written", check=False)
        assert "Read-only file system" in written.stderr


def test_nginx_serves_pages_and_the_static_files_of_the_image(pod: Pod) -> None:
    assert pod.get("/api/echo", 8080) == 200
    files = run("docker", "exec", pod.name_of("nginx"), "find", "/srv/assets", "-name", "*.css").stdout.split()
    assert files
    assert pod.get(files[0].replace("/srv/assets", "/static"), 8080) == 200


def running(pod: Pod) -> int:
    """Requests that the application is working on."""
    with urllib.request.urlopen(f"http://{pod.address}:9180/status.json", timeout=30) as response:
        return sum(int(worker["snapshot"]["gauges"]["in_flight"]) for worker in json.load(response)["workers"])


@contextlib.contextmanager
def slow_requests(pod: Pod, number: int, seconds: int) -> Iterator[list[Future[int]]]:
    """So many that have arrived at the application."""
    with ThreadPoolExecutor(number) as clients:
        sent = [clients.submit(pod.get, f"/slow?seconds={seconds}", 8080) for _ in range(number)]
        wait_until(lambda: running(pod) == number or all(each.done() for each in sent), "the requests have arrived")
        yield sent


def test_probes_pass_while_every_thread_is_stuck(pod: Pod) -> None:
    for seconds in (3, 10, 25):  # the machine may be slow
        with slow_requests(pod, THREADS, seconds) as stuck:
            statuses = [pod.get(path, 9180) for path in ("/livez", "/readyz")]
            were_stuck = running(pod) == THREADS
        assert [each.result() for each in stuck] == [200] * THREADS
        assert statuses == [200, 200]
        if were_stuck:
            return
    pytest.fail("the requests ended before the probes did")


def test_release_step_refuses_a_database_in_a_file(
    rendered: list[Manifest], by_image: dict[str, str], tmp_path: Path
) -> None:
    with (
        pod_of(the(rendered, "Job", "release"), rendered, by_image, tmp_path) as job,
        pytest.raises(AssertionError, match="several hosts cannot share an SQLite file"),
    ):
        job.start()


def test_end_of_a_pod_loses_no_request(pod: Pod) -> None:
    """The last test of this module. nginx gets QUIT while a request is being served that came at the last moment."""
    with contextlib.ExitStack() as stack:
        late: list[Future[int]] = []
        statuses = pod.stop(lambda: late.extend(stack.enter_context(slow_requests(pod, 1, 8))))
        assert [each.result() for each in late] == [200]
    # nginx first, and both by themselves: 137 would be a kill
    assert list(statuses.items()) == [("nginx", 0), ("app", 0)]
