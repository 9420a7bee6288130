#!/opt/venv/bin/python
"""Runs supervisord as this process, and exits with 3 if it ended because the backend could not be kept running.

supervisord itself exits with 0 even when a program is FATAL, and then no restart policy and no orchestrator
learns of it. The listener (fatal-listener) leaves a mark and ends supervisord; here the mark becomes the status.
"""

import contextlib
import os
import sys

from supervisor import supervisord

MARK = "/tmp/backend.fatal"  # named in fatal-listener too

with contextlib.suppress(FileNotFoundError):
    os.unlink(MARK)
supervisord.main(["--configuration", "/etc/supervisord.conf"])
if os.path.exists(MARK):
    sys.stderr.write("supervise: the backend could not be kept running: its own lines above say why\n")
    sys.exit(3)
