#!/opt/venv/bin/python -Iu
"""An event listener of supervisord: when a program is FATAL, leaves a mark for supervise.py and stops supervisord."""

import os
import signal
import sys
from pathlib import Path

from supervisor.childutils import get_headers, listener

while True:
    headers, payload = listener.wait(sys.stdin, sys.stdout)
    if headers["eventname"] == "PROCESS_STATE_FATAL":
        program = get_headers(payload)
        Path(os.environ["FATAL_MARK"]).write_text(f"{program['groupname']}:{program['processname']}")
        os.kill(os.getppid(), signal.SIGTERM)
    listener.ok(sys.stdout)
