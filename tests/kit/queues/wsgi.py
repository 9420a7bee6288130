"""Puts jobs into a queue: POST /jobs?number=7&seconds=0.5. GET /begun, /done: each job, and the release that ran it."""

from pathlib import Path
from urllib.parse import parse_qs

import jobs


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/jobs" and environ["REQUEST_METHOD"] == "POST":
        query = parse_qs(environ["QUERY_STRING"])
        jobs.enqueue(int(query["number"][0]), float(query["seconds"][0]))
        start_response("202 Accepted", [("Content-Length", "0")])
        return []
    file = Path("/data", path.strip("/") or "begun")
    content = file.read_bytes() if file.exists() else b""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(content)))])
    return [content]
