"""Starts FastPySGI: `python run_fastpysgi.py MODULE BIND WORKERS [CERTIFICATE KEY]`. Its command has no workers."""

import importlib
import sys

import fastpysgi

module, bind, workers, *tls = sys.argv[1:]
application = importlib.import_module(module).application
host, _, port = bind.rpartition(":")
fastpysgi.server.max_content_length = 64 * 1024 * 1024  # more than the largest upload
fastpysgi.server.tls_list = [(*tls, None)] if tls else None
fastpysgi.run(application, host, int(port), workers=int(workers))
