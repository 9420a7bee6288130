"""deploy/kit/doctor/inside.py: what it prints, in any Linux."""

import json
import os
import subprocess
import sys

from kit.doctor import inside


def test_secret_is_never_printed():
    environment = {"SECRET_KEY": "a-secret-value", "DEBUG": "1", "SECRET_KEY_FILE": "/x", "PATH": "/bin"}
    with open(inside.__file__) as script:
        done = subprocess.run(
            [sys.executable, "-I", "-"], stdin=script, env=environment, capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "a-secret-value" not in done.stdout
    said = json.loads(done.stdout)
    assert said["variables"] == {"DEBUG": "1"}
    assert said["secrets"] == [{"name": "SECRET_KEY", "length": 14, "blank": False, "known": False}]
    assert {"path", "size", "free", "files", "files_free"} == set(said["folders"][0])
    assert set(said["memory"]) == {"limit", "used", "killed"}


def test_workers_are_the_children_of_the_server(tmp_path, monkeypatch):
    """This process stands for the master."""
    real = inside.read
    master = str(os.getpid())
    monkeypatch.setattr(inside, "read", lambda path: master if path == "/tmp/backend.pid" else real(path))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = [worker for worker in inside.workers() if worker["pid"] == child.pid]
        child.communicate(b"\n")
    assert found[0]["memory"] > 0
    assert found[0]["descriptors"] >= 3
