"""Processes: a master that binds, forks, watches and replaces workers, and what runs in a worker.

Layer 4. A worker's service is a `worker.Service`: something that starts, drains and closes. What it serves is not
known here.
"""
