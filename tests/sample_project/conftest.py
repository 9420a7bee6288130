"""Sets Django up for the sample project, once, in a directory of its own.

This runs when the tests are collected, because they import the project's modules. The variables are there
only until the settings have read them: other tests start processes, which must not inherit them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import django
import pytest

DATA = Path(tempfile.mkdtemp(prefix="ropewalk-sample-"))

_variables = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
_variables |= {
    "DJANGO_SETTINGS_MODULE": "sample_project.settings",
    "DATA_DIR": str(DATA),
    "MAX_UPLOAD_SIZE": "200k",
    "LOG_LEVEL": "CRITICAL",
    "DIAGNOSTICS": "1",
}
with mock.patch.dict(os.environ, _variables, clear=True):
    django.setup()


@pytest.fixture(scope="session", autouse=True)
def _project() -> Iterator[None]:
    """A migrated database and collected static files; everything is deleted at the end."""
    from django.core.management import call_command
    from django.db import connections
    from django.test.utils import override_settings, setup_test_environment, teardown_test_environment

    setup_test_environment()
    # The real hashers take half a second for each password, by intent.
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        yield
    teardown_test_environment()
    connections.close_all()
    shutil.rmtree(DATA)


@pytest.fixture(autouse=True)
def _rolled_back(_project: None) -> Iterator[None]:
    """Each test finds the database as the migrations left it."""
    from django.db import transaction

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def client():
    from django.test import Client

    return Client(raise_request_exception=False)


@pytest.fixture
def sailor(client):
    """A member of the crew, logged in at `client`."""
    from django.contrib.auth.models import User

    user = User.objects.create_user("sailor", password="hemp-and-tar-9")
    client.force_login(user)
    return user
