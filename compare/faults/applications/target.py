"""The application that is asked: it notes in the journal that it runs a request, and answers with the request's token.

/work     takes `ms` milliseconds and answers `size` octets, when the content is what it should be
/hungry   takes memory: `mb` MiB, or all that there is, and keeps it for `ms` milliseconds
/stuck    never returns, nor hears an exception that is raised in its thread
/gil      never returns, nor lets another thread of its process run, as a careless regular expression does
"""

import os
import re
import threading
import time
from urllib.parse import parse_qs

JOURNAL = os.open(os.environ["FAULTS_JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
MIB = 1024 * 1024


def application(environ, start_response):
    query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
    token = query["token"]
    content = environ["wsgi.input"].read()
    # One write to a file that is appended to: whole, whatever happens to the process behind it.
    os.write(JOURNAL, f"{token} {os.getpid()}\n".encode())
    seconds = int(query.get("ms", "0")) / 1000
    if environ["PATH_INFO"] == "/hungry":
        eat(int(query.get("mb", "0")), seconds)
    elif environ["PATH_INFO"] == "/stuck":
        threading.Event().wait()
    elif environ["PATH_INFO"] == "/gil":
        re.match(r"(a+)+$", "a" * 100 + "b")
    elif seconds:
        time.sleep(seconds)
    answer = f"{token} {os.getpid()} ".encode().ljust(int(query["size"]), b".")
    octets = int(environ.get("CONTENT_LENGTH") or 0)
    if content != (token.encode() * (octets // len(token) + 1))[:octets]:
        answer = b"the content was another's"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(answer)))])
    return [answer]


def eat(mebibytes, seconds):
    """Hold so much memory for a while; all there is when it is 0, until that is refused."""
    eaten = []
    try:
        while not mebibytes or len(eaten) < mebibytes:
            eaten.append(bytearray(b"x" * MIB))
    except MemoryError:
        time.sleep(seconds)
        raise
    time.sleep(seconds)
