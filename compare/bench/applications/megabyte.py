"""Answers with 1 MiB out of memory; with 13 octets at /hello."""

CONTENT = bytes(range(256)) * 4096
HELLO = b"Hello, world!"


def application(environ, start_response):
    content = HELLO if environ["PATH_INFO"] == "/hello" else CONTENT
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(len(content)))])
    return [content]
