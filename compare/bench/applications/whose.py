"""Tells which process answers, in eight digits; 13 octets at /hello."""

import os

HELLO = b"Hello, world!"


def application(environ, start_response):
    content = HELLO if environ["PATH_INFO"] == "/hello" else b"%08d" % os.getpid()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
