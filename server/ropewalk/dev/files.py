"""Serves a folder, as `python -m http.server` does: its files, index pages, and a list where a folder has none."""

from __future__ import annotations

import argparse
import html
import os
import re
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ropewalk.cli.stdio import print_error, print_out
from ropewalk.dev.terminal_logs import logs_on_terminal
from ropewalk.embedded import Server
from ropewalk.errors import ConfigError
from ropewalk.wsgi.static.app import StaticFiles
from ropewalk.wsgi.static.directory import Directory, Entry

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

HOST, DEFAULT_PORT = "127.0.0.1", "8000"

INDEX = ("index.html", "index.htm")
STYLE = """
:root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
h1{font-size:1.2rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}
td{padding:.1rem .5rem;overflow-wrap:anywhere}
td+td{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
@media(max-width:30rem){td:last-child{display:none}}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class Files:
    """A WSGI application: the public files of a folder. None whose name begins with a dot, and none outside of it."""

    def __init__(self, folder: str) -> None:
        """Raises ConfigError for what is no folder."""
        try:
            self._directory = Directory(folder)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ConfigError("folder", folder, f"not a readable directory: {reason}") from error
        self._files = StaticFiles(self._respond, {"/": folder})

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/"):
            path = environ["PATH_INFO"]
            for name in INDEX:
                if self._directory.has(f"{path[1:]}{name}".encode("latin-1")):
                    environ["PATH_INFO"] = f"{path}{name}"
                    break
        return self._files(environ, start_response)

    def _respond(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """To what is no file."""
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _page("405 Method Not Allowed", [("Allow", "GET, HEAD")], "", environ, start_response)
        path = environ["PATH_INFO"].encode("latin-1")[1:]
        if path and not path.endswith(b"/"):
            if self._directory.entries(path + b"/") is None:
                return _page("404 Not Found", [], "", environ, start_response)
            # a path alone: whatever Host says, the client stays where it is
            location = "/" + quote(path.lstrip(b"/") + b"/")
            if environ["QUERY_STRING"]:
                location += f"?{environ['QUERY_STRING']}"
            return _page("301 Moved Permanently", [("Location", location)], "", environ, start_response)
        entries = self._directory.entries(path)
        if entries is None:
            return _page("404 Not Found", [], "", environ, start_response)
        return _page("200 OK", [], _list(path, entries), environ, start_response)


def _page(
    status: str, headers: list[tuple[str, str]], body: str, environ: dict[str, Any], start_response: StartResponse
) -> list[bytes]:
    title = html.escape(os.fsdecode(environ["PATH_INFO"].encode("latin-1")) if body else status)
    content = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}\n"
    ).encode(errors="replace")
    described = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(content))),
        ("Content-Security-Policy", POLICY),
        ("Cache-Control", "no-cache"),
    ]
    start_response(status, described + headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]


def _list(path: bytes, entries: Sequence[Entry]) -> str:
    rows = ['<tr><td><a href="../">../</a><td><td>'] if path else []
    for entry in sorted(entries, key=lambda entry: (not entry.is_directory, entry.name)):
        slash = "/" * entry.is_directory
        name = html.escape(os.fsdecode(entry.name) + slash)
        # with ./, a colon in the name begins no scheme
        link = f"./{quote(entry.name)}{slash}"
        size = "" if entry.is_directory else f"{entry.size:,}"
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.modified))
        rows.append(f'<tr><td><a href="{link}">{name}</a><td>{size}<td>{when}')
    return f"<table>{''.join(rows)}</table>" if rows else "<p>This folder has no public files.</p>"


def main(arguments: Sequence[str]) -> int:
    """Serve a folder until Ctrl-C; returns the exit status."""
    parser = argparse.ArgumentParser(
        "python -m ropewalk.files",
        usage="%(prog)s [-h] [-b HOST[:PORT]] [-d FOLDER] [FOLDER] [PORT]",
        description="Serve the files of a folder.",
    )
    parser.add_argument("words", nargs="*", metavar="FOLDER, PORT", help="by default the current folder, and 8000")
    parser.add_argument("-b", "--bind", default=HOST, metavar="HOST[:PORT]", help=f"by default {HOST}")
    parser.add_argument("-d", "--directory", metavar="FOLDER", help="the folder, as python -m http.server has it")
    given = parser.parse_args(arguments)
    folder, port = given.directory, ""
    words = given.words
    if words and words[-1].isdecimal() and (len(words) == 2 or folder or not os.path.isdir(words[-1])):
        port = words.pop()
    if words and folder is None:
        folder = words.pop(0)
    if words:
        parser.error(f"{words[0]!r} is no port, and one folder can be served")
    logs: dict[str, Any] = {"access_log": "-"} | logs_on_terminal()
    try:
        server = Server(Files(folder or "."), bind=_address(given.bind, port), **logs)
    except ConfigError as error:
        print_error(f"{parser.prog}: {error}")
        return 2
    print_out(f"Serving {os.path.abspath(folder or '.')} at {server.url} until Ctrl-C\n")
    server.serve_forever()
    return 0


def _address(bind: str, port: str) -> str:
    """A value of `bind` for a host with or without a port, and a port, or "". Raises ConfigError for two ports."""
    if bind.startswith("unix:"):
        return bind
    match = re.fullmatch(r"(\[.*\]|[^:]*)(?::([^:]*))?", bind)
    host, its_port = match.groups() if match else (f"[{bind}]", None)  # IPv6, as http.server takes it
    if its_port and port:
        raise ConfigError("--bind", bind, f"has a port, and {port} is another one")
    return f"{host}:{port or its_port or DEFAULT_PORT}"
