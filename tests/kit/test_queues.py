"""The profile worker with real queues: no job is lost, while both its worker and the site are replaced, or killed."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.helpers.containers import run, wait_until
from tests.helpers.deployed import Deployed, deployed
from tests.helpers.paths import REPOSITORY

pytestmark = pytest.mark.docker

QUEUES = REPOSITORY / "tests/kit/queues"
COMMANDS = {
    "celery": "celery -A jobs worker --concurrency 1 --loglevel INFO",
    "huey": "huey_consumer jobs.huey --workers 1 --graceful-signal TERM",
    "django": "python manage.py db_worker",
}
PROFILES = {"celery": "redis,worker", "huey": "redis,worker", "django": "worker"}
SHORT, LONG = 0.5, 5.0  # seconds that a job takes
PAUSE = 0.3  # seconds between two jobs: less than one takes, so that the worker always has one


class Jobs:
    """What was put into the queue of a site, and what became of it."""

    def __init__(self, site: Deployed) -> None:
        self._site = site
        self._numbers = itertools.count()
        self.given: list[int] = []

    def give(self, count: int = 1, seconds: float = SHORT) -> None:
        """Raises AssertionError if the site does not take one."""
        for number in itertools.islice(self._numbers, count):
            answer = self._site.stack.request(f"/jobs?number={number}&seconds={seconds}", method="POST")
            assert answer.status == 202
            self.given.append(number)

    def read(self, file: str) -> list[tuple[int, str]]:
        """The number of each job that has begun, or is done, and the release that ran it."""
        lines = self._site.stack.request(f"/{file}").content.decode().splitlines()
        return [(int(number), version) for number, version in map(str.split, lines)]

    def done(self) -> Counter[int]:
        return Counter(number for number, _ in self.read("done"))

    def wait(self) -> None:
        wait_until(lambda: self.done().keys() >= set(self.given), "all jobs are done", 120)


@pytest.fixture(scope="module", params=COMMANDS)
def queue(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def site(queue: str) -> Iterator[Deployed]:
    with deployed(COMPOSE_PROFILES=PROFILES[queue], WORKER_COMMAND=COMMANDS[queue]) as site:
        shutil.copytree(QUEUES / queue, site.folder, dirs_exist_ok=True)
        for name in ("wsgi.py", "work.py"):
            shutil.copy(QUEUES / name, site.folder)
        write_release(site, "one")
        site.kit("up")
        yield site


@pytest.fixture(scope="module")
def jobs(site: Deployed) -> Jobs:
    return Jobs(site)


def write_release(site: Deployed, version: str) -> None:
    (site.folder / "version.py").write_text(f"VERSION = {version!r}\n")


@contextlib.contextmanager
def constantly(give: Callable[[], None]) -> Iterator[None]:
    ended = threading.Event()

    def run_until_ended() -> None:
        while not ended.wait(PAUSE):
            give()

    thread = threading.Thread(target=run_until_ended)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_every_job_is_done_once_while_the_worker_is_replaced(site, jobs):
    jobs.give(4)
    old = site.stack.container("worker")
    write_release(site, "two")
    with constantly(jobs.give):
        site.kit("deploy")
    assert site.stack.container("worker") != old
    jobs.give(4)
    jobs.wait()
    assert len(jobs.given) > 12
    assert jobs.done() == Counter(jobs.given)
    assert sorted(jobs.read("begun")) == sorted(jobs.read("done"))
    assert {version for _, version in jobs.read("done")} == {"one", "two"}


def test_what_becomes_of_a_job_whose_worker_is_killed(site, jobs, queue):
    jobs.give(seconds=LONG)
    killed = jobs.given[-1]
    wait_until(lambda: killed in {number for number, _ in jobs.read("begun")}, "the job runs")
    # all but process 1, as for lack of memory; the engine starts the container again
    run("docker", "exec", site.stack.container("worker"), "sh", "-c", "kill -9 -1", check=False)
    jobs.give()
    if queue == "celery":
        jobs.wait()
    else:
        wait_until(lambda: jobs.given[-1] in jobs.done(), "the next job is done")
        assert set(jobs.given) - set(jobs.done()) == {killed}
