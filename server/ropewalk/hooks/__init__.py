"""Hooks: the functions of a configuration file that the server calls, with gunicorn's names and arguments."""
