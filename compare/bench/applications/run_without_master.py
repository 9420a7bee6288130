"""Starts Ropewalk in this process, without a master: `python run_without_master.py MODULE BIND THREADS`."""

import importlib
import sys

import ropewalk

module, bind, threads = sys.argv[1:]
ropewalk.serve(importlib.import_module(module).application, bind=bind, threads=int(threads))
