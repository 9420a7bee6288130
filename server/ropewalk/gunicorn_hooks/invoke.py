"""Calling a hook: exceptions of the user's code are caught, and logged without frames of the server."""

from __future__ import annotations

from typing import Any

from ropewalk.config.hook_signatures import Hook
from ropewalk.wsgi.exchange import RequestTimeoutError


def call_hook(hook: Hook, *arguments: object) -> tuple[Any, BaseException | None]:
    """Call `hook`; return its result and the exception that it raised, with the traceback of its own code.

    Raises RequestTimeoutError, which does not come from the hook: it interrupts the request that the thread runs.
    """
    try:
        return hook(*arguments), None
    except RequestTimeoutError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the code of an operator may raise anything
        trace = error.__traceback__
        return None, error.with_traceback(trace.tb_next if trace is not None else None)


def describe(error: BaseException) -> str:
    """The exception of a hook, in one line."""
    return f"the hook raised {type(error).__name__}: {' '.join(str(error).split())}"
