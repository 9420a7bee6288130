"""In place of werkzeug.serving: `from ropewalk.serving import make_server, run_simple`.

docs/development.md lists what is different.
"""

from ropewalk.dev.run_simple import is_running_from_reloader, make_server, run_simple
from ropewalk.dev.werkzeug_handler import WSGIRequestHandler
from ropewalk.dev.werkzeug_processes import ForkingWSGIServer
from ropewalk.dev.werkzeug_server import BaseWSGIServer, ThreadedWSGIServer

__all__ = [
    "BaseWSGIServer",
    "ForkingWSGIServer",
    "ThreadedWSGIServer",
    "WSGIRequestHandler",
    "is_running_from_reloader",
    "make_server",
    "run_simple",
]
