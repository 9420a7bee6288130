"""Ropewalk: a threaded WSGI server in pure Python."""

__version__ = "0.1.0"
