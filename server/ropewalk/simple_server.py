"""In place of the standard library's wsgiref.simple_server: `from ropewalk.simple_server import make_server`.

    python -m ropewalk.simple_server [PORT]     its demonstration

docs/development.md lists what is different.
"""

import sys
from wsgiref.simple_server import demo_app

from ropewalk.dev.simple_server import WSGIRequestHandler, WSGIServer, main, make_server

__all__ = ["WSGIRequestHandler", "WSGIServer", "demo_app", "make_server"]

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
