"""Which migrations an image has: the list that its build made (deploy/app/project_answer.py), of Django or Alembic."""

from collections.abc import Iterable

from kit.release.answers import Answer

SHOWN = 10
"""Names in a message; of the others, only the number."""


def of(answer: Answer) -> set[str] | None:
    """None: the image does not say, as one of an earlier version of the kit does not."""
    found = answer.get("migrations")
    return set(map(str, found)) if isinstance(found, list) else None


def added(before: Answer, after: Answer) -> list[str]:
    """Those that `after` has and `before` has not; none if one of them is not known."""
    known, wanted = of(before), of(after)
    return sorted(wanted - known) if known is not None and wanted is not None else []


def named(names: Iterable[str]) -> str:
    """For a message: shop.0002_price, shop.0003_tax and 4 more."""
    listed = list(names)
    more = f" and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + more
