"""Answers with the file BENCH_FILE by `wsgi.file_wrapper`, or piece by piece where the server has none."""

import os

BLOCK = 64 * 1024
PATH = os.environ["BENCH_FILE"]


def pieces(file, block):
    with file:
        while content := file.read(block):
            yield content


def application(environ, start_response):
    file = open(PATH, "rb")  # noqa: SIM115 - the server closes it
    length = os.fstat(file.fileno()).st_size
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(length))])
    return environ.get("wsgi.file_wrapper", pieces)(file, BLOCK)
