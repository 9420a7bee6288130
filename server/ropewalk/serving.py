"""In place of werkzeug.serving: `from ropewalk.serving import make_server, run_simple`.

docs/development.md lists what is different.
"""

from ropewalk.dev.run_simple import is_running_from_reloader, make_server, run_simple
from ropewalk.dev.werkzeug_handler import WSGIRequestHandler
from ropewalk.dev.werkzeug_server import BaseWSGIServer

__all__ = ["BaseWSGIServer", "WSGIRequestHandler", "is_running_from_reloader", "make_server", "run_simple"]
