#!/opt/venv/bin/python
"""An event listener of supervisord: when a program is FATAL, leaves a mark for `supervise` and ends supervisord."""

import os
import pathlib
import signal
import sys

from supervisor import childutils

MARK = "/tmp/backend.fatal"  # named in supervise too

while True:
    headers, payload = childutils.listener.wait(sys.stdin, sys.stdout)
    if headers["eventname"] == "PROCESS_STATE_FATAL":
        pathlib.Path(MARK).write_text(payload)
        os.kill(os.getppid(), signal.SIGTERM)
    childutils.listener.ok(sys.stdout)
