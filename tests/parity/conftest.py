from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.helpers.containers import image_builder
from tests.helpers.parity import backends
from tests.helpers.parity.containers import running_containers
from tests.helpers.parity.raw_http import Address

Backends = dict[str, Address]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory) -> Path:
    return backends.make_prepared(tmp_path_factory.mktemp("prepared") / "data")


@pytest.fixture(scope="session")
def processes(prepared, tmp_path_factory) -> Iterator[Backends]:
    """Both backends as processes of this machine."""
    with ExitStack() as stack:
        yield {
            backend: stack.enter_context(backends.running_process(backend, prepared, tmp_path_factory.mktemp(backend)))
            for backend in ("ropewalk", "gunicorn")
        }


@pytest.fixture(scope="session")
def containers(prepared) -> Iterator[Backends]:
    """Both backends in containers, each behind an nginx of its own."""
    with ExitStack() as stack:
        build = stack.enter_context(image_builder())
        images = {"sample": build("parity-app"), "nginx": build("parity-nginx", dockerfile="nginx/Dockerfile")}
        yield {
            backend: stack.enter_context(running_containers(backend, images, prepared))
            for backend in ("ropewalk", "gunicorn")
        }
