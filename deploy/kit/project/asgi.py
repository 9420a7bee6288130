"""What to say about an ASGI application, which this kit does not serve."""

from collections.abc import Iterable, Sequence

from kit.project.django import Django
from kit.project.names import name_of

FRAMEWORKS = (
    *("fastapi", "starlette", "quart", "sanic", "litestar", "blacksheep", "channels", "daphne", "uvicorn"),
    "hypercorn",
)
"""Distributions that are of no use without ASGI."""

DJANGO = "WSGI_APP='django.core.wsgi:get_wsgi_application()'"
"""The line for .env with which Django is served by WSGI without a module of the project's."""


def listed(requirements: Iterable[str], file: str) -> str:
    """Those of a project's dependencies, and the file that lists them; "" if there are none."""
    names = {name_of(line) for line in requirements}
    found = [name for name in FRAMEWORKS if name in names]
    return f"{', '.join(found)} in {file}" if found else ""


def refusal(places: Sequence[str], dependencies: str, found_django: Django | None) -> str:
    """One paragraph: what was found, what this kit serves, and the way out."""
    found = "; ".join(filter(None, (*places, dependencies)))
    text = (
        f"only an asynchronous application was found ({found}), and no WSGI application. This kit serves WSGI, as Flask"
        " and Django have it; ASGI needs another server, such as uvicorn"
    )
    if found_django:
        return (
            f"{text}. Django itself can be served by WSGI, without WebSockets, if no view needs them. Put this into"
            f" .env:\n{DJANGO}"
        )
    return f"{text}. If there is a WSGI application, name it in .env:\nWSGI_APP=package.module:callable"
