"""The call of a hook: whatever the user's code raises is caught, and told without our own frames."""

from __future__ import annotations

from typing import Any

from ropewalk.config.hook_signatures import Hook
from ropewalk.wsgi.exchange import RequestTimeoutError


def attempt(hook: Hook, *arguments: object) -> tuple[Any, BaseException | None]:
    """What `hook` returned, and what it raised instead, with the traceback of its own code.

    Raises RequestTimeoutError, which is not the hook's but meant for the request that the thread runs.
    """
    try:
        return hook(*arguments), None
    except RequestTimeoutError:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - an operator's own code may raise anything
        trace = error.__traceback__
        return None, error.with_traceback(trace.tb_next if trace is not None else None)


def told(error: BaseException) -> str:
    """It in one line."""
    return f"the hook raised {type(error).__name__}: {' '.join(str(error).split())}"
