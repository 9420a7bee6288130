"""deploy/kit/release/output.py: a terminal that is gone ends nothing."""

import subprocess
import sys

PROGRAM = """
import sys
from kit.release.output import Output
output = Output("deploy")
sys.stdin.read()
with output.step("build", "Build"):
    output.show(b"more")
output.failure(["line"], "reason", [])
sys.exit(7)
"""


def test_output_that_nobody_reads_any_more_is_no_error(repository):
    command = [sys.executable, "-c", PROGRAM]
    environment = {"PYTHONPATH": str(repository / "deploy")}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        process.stdout.close()
        process.stderr.close()
        process.stdin.close()
        assert process.wait(30) == 7
