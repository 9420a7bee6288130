"""deploy/kit/tee.py: what is shown is kept too, and a terminal stays one."""

import os
import pty
import subprocess
import sys

PROGRAM = """
import os, sys
from pathlib import Path
from kit import tee

child = "import os, sys; print(os.isatty(1), flush=True); print('error', file=sys.stderr); sys.exit(7)"
status, kept = tee.call([sys.executable, "-c", child], os.environ, Path("/"))
Path(sys.argv[1]).write_text(f"{status} {kept.split()}")
"""


def run(repository, tmp_path, stdout):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "kept")],
        stdout=stdout,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(repository / "deploy")},
    )


def test_without_a_terminal_the_output_is_passed_through_a_pipe(repository, tmp_path):
    with run(repository, tmp_path, subprocess.PIPE) as process:
        shown = process.communicate(timeout=60)[0]
    assert shown.split() == [b"False", b"error"]
    assert (tmp_path / "kept").read_text() == "7 ['False', 'error']"


def test_on_a_terminal_the_program_has_one_of_its_own(repository, tmp_path):
    reading, writing = pty.openpty()
    with run(repository, tmp_path, writing) as process:
        os.close(writing)
        process.wait(timeout=60)
    shown = os.read(reading, 4096)
    os.close(reading)
    assert shown.split() == [b"True", b"error"]
    assert (tmp_path / "kept").read_text() == "7 ['True', 'error']"
