"""A page of 20 KB of HTML, as a template would have made it: what nginx compresses. Every other path is `hello`."""

from __future__ import annotations

import hashlib
from typing import Any

from bench.applications.hello import application as hello

ROW = '<tr><td><a href="/product/{number}">{name}</a></td><td class="price">{price}</td><td>{text}</td></tr>\n'


def _row(number: int) -> str:
    digits = hashlib.sha256(str(number).encode()).hexdigest()
    words = (f"{kind} {digits[at : at + 5]}" for at, kind in enumerate(("hemp", "twisted", "three-strand", "tarred")))
    return ROW.format(number=number, name=f"Rope {digits[:8]}", price=int(digits[:4], 16) / 100, text=", ".join(words))


PAGE = ("<!doctype html>\n<title>Ropes</title>\n<table>\n" + "".join(map(_row, range(130))) + "</table>\n").encode()
HEADERS = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))]


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] != "/page":
        return hello(environ, start_response)
    start_response("200 OK", HEADERS)
    return [PAGE]
