"""A generator of 64 pieces of 1 KiB, without a Content-Length: each is to be sent before the next is made."""

PIECE = b"x" * 1024


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    for _ in range(64):
        yield PIECE
