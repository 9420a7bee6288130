"""The examples of docs/development.md for Django, in a project as `django-admin startproject` makes it."""

from __future__ import annotations

import re
import shlex
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.helpers.django_site import STARTED
from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port
from tests.helpers.processes import Running, Starter

SECTION = re.findall(r"^## Django\n(.*?)^## ", (REPOSITORY / "docs/development.md").read_text(), re.M | re.S)[0]

PROGRAMS = {name: text for text, name in re.findall(r"^```python\n(# (\S+)\n.*?)^```$", SECTION, re.M | re.S)}

COMMANDS = re.findall(r"^    ((?:python|pytest) .*)$", SECTION, re.M)

[MAKE_CERTIFICATE] = re.findall(r"^    (openssl (?:.*\\\n)*.*)$", SECTION, re.M)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    command = [sys.executable, "-m", "django", "startproject", "shop", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    settings = tmp_path / "shop/settings.py"
    usual = r"^INSTALLED_APPS = \[.*?^\]\n"
    text, count = re.subn(usual, PROGRAMS["settings.py"], settings.read_text(), flags=re.M | re.S)
    assert count == 1
    settings.write_text(text)
    return tmp_path


def run(start: Starter, command: str) -> Running:
    words = shlex.split(command)
    return start(sys.executable, *(words[1:] if words[0] == "python" else ["-m", *words, "-p", "no:cacheprovider"]))


@pytest.mark.parametrize("command", [each for each in COMMANDS if "runserver" in each])
def test_runserver(project: Path, start: Starter, command: str) -> None:
    has_file = "--certfile" in command
    if has_file:
        subprocess.run(MAKE_CERTIFICATE, shell=True, cwd=project, check=True, capture_output=True, timeout=60)
    address = f"127.0.0.1:{free_port()}"
    running = run(start, command.replace("127.0.0.1:8000", address) + ("" if "8000" in command else f" {address}"))
    started = running.wait_line(STARTED)
    assert started[1] == ("https" if "--https" in command or has_file else "http")
    url = started[0].rpartition(" ")[2] + "admin/login/"
    trusted = ssl.create_default_context(cafile=project / "dev.crt") if has_file else ssl._create_unverified_context()
    with urllib.request.urlopen(url, timeout=20, context=trusted) as page:
        assert page.headers["Server"] == "ropewalk"
        assert b"Django administration" in page.read()


def test_live_server_test_case(project: Path, start: Starter) -> None:
    (project / "tests.py").write_text(PROGRAMS["tests.py"])
    running = run(start, "python manage.py test")
    assert running.wait_exit() == 0, running.output
    assert "Ran 1 test" in running.output


def test_pytest_plugin(project: Path, start: Starter) -> None:
    (project / "tests.py").write_text(PROGRAMS["tests.py"])
    [command] = [each for each in COMMANDS if each.startswith("pytest")]
    assert 'pytest_plugins = ["ropewalk.django.pytest_plugin"]' in SECTION
    running = run(start, f"{command} --ds shop.settings tests.py")
    assert running.wait_exit() == 0, running.output
    assert "1 passed" in running.output
