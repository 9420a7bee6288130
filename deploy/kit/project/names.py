"""Names of distributions, and the requirements that name them (PEP 503, PEP 508)."""

import re
from collections.abc import Mapping

_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[([^\]]*)\])?\s*(.*)", re.DOTALL)


def normalize(name: str) -> str:
    """As indexes compare names: `Flask_SQLAlchemy` is `flask-sqlalchemy`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def name_of(requirement: str) -> str:
    """The normalized name in a requirement; "" if it starts with none, as a URL does."""
    found = _REQUIREMENT.fullmatch(requirement)
    if found is None or re.match(r"[:/\\+]", found[3]):
        return ""
    return normalize(found[1])


def is_usual_index(source: Mapping[str, object]) -> bool:
    """Whether an index of a Pipfile, its lock or poetry is PyPI, under its own or its old address: uv has it anyway, or
    the mirror that the machine uses in its place."""
    url = str(source.get("url", ""))
    return re.fullmatch(r"https?://pypi\.(?:python\.)?org/simple/?", url) is not None or source.get("name") == "pypi"
