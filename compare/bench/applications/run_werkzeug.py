"""Starts Werkzeug's development server with threads: `python run_werkzeug.py MODULE BIND`."""

import importlib
import logging
import sys

from werkzeug.serving import run_simple

module, bind = sys.argv[1:]
application = importlib.import_module(module).application
host, _, port = bind.rpartition(":")
logging.getLogger("werkzeug").setLevel(logging.ERROR)
run_simple(host, int(port), application, threaded=True)
