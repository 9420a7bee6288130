"""`make dev`: the page that an application without a debugger of its own shows for an exception: its traceback.

Werkzeug's debugger and Django's page are better, and used where they are.
"""

import html
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

STYLE = """
:root{color-scheme:light dark;--soft:#8882}
*{box-sizing:border-box}body{background:Canvas;color:CanvasText}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:70rem;padding:1rem}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1rem;margin:1.5rem 0 .5rem}
pre{font:14px/1.5 ui-monospace,monospace;overflow-x:auto;padding:1rem;background:var(--soft);border-radius:.4rem}
code{overflow-wrap:anywhere}
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class DebugPage:
    def __init__(self, application: Application) -> None:
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        iterable: Iterable[bytes] = ()
        try:
            iterable = self._application(environ, start_response)
            yield from iterable
        except Exception as error:  # noqa: BLE001 - of the project, which is to be seen
            environ["wsgi.errors"].write(traceback.format_exc())
            content = page(error, environ).encode(errors="replace")
            headers = [
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(content))),
                ("Content-Security-Policy", POLICY),
            ]
            # raises the exception again if the response has begun
            start_response("500 Internal Server Error", headers, sys.exc_info())
            yield content
        finally:
            if close := getattr(iterable, "close", None):
                close()


def page(error: Exception, environ: dict[str, Any]) -> str:
    """Without the frames of this module."""
    frames = traceback.extract_tb(error.__traceback__)[1:]
    lines = [*traceback.format_list(frames), *traceback.format_exception_only(error)]
    if error.__cause__ or error.__context__:
        lines = traceback.format_exception(error)
    title = html.escape(f"{type(error).__name__}: {error}")
    request = html.escape(f"{environ['REQUEST_METHOD']} {environ.get('REQUEST_URI') or environ.get('PATH_INFO', '')}")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1><p><code>{request}</code>"
        f"<h2>Traceback, the most recent call last</h2><pre>{html.escape(''.join(lines))}</pre>"
        "<p>This page is that of <code>make dev</code>: visitors of a site see none of this."
    )
