from pathlib import Path
from urllib.parse import parse_qs

import notes

ROOT = Path(__file__).parent


def application(environ, start_response):
    match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
        case "GET", "/":
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            return [(ROOT / "index.html").read_text().format(rows=notes.count()).encode()]
        case "GET", "/static/site.css":
            start_response("200 OK", [("Content-Type", "text/css")])
            return [(ROOT / "site.css").read_bytes()]
        case "POST", "/add":
            form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
            notes.add(parse_qs(form)["text"][0])
            start_response("303 See Other", [("Location", "/")])
            return [b""]
    start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"not found\n"]
