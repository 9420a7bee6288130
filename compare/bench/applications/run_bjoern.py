"""Starts bjoern, which has no command of its own: `python run_bjoern.py MODULE BIND` (`HOST:PORT` or `unix:PATH`)."""

import importlib
import sys

import bjoern

module, bind = sys.argv[1:]
application = importlib.import_module(module).application
if bind.startswith("unix:"):
    bjoern.run(application, bind, listen_backlog=2048)
else:
    host, _, port = bind.rpartition(":")
    bjoern.run(application, host, int(port), listen_backlog=2048)
