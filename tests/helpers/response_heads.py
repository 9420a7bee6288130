"""The values of a `ResponseHead`, which is no tuple."""

from __future__ import annotations

from typing import Any

from ropewalk.wsgi.response_head import ResponseHead


def values(head: ResponseHead) -> dict[str, Any]:
    """The arguments that make such a head."""
    return {name: getattr(head, name) for name in dir(head) if not name.startswith("_")}
