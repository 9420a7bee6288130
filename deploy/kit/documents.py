"""Parts of the documentation that commands write: what is between two comments, such as `<!-- make sizes -->`."""

from kit.errors import KitError
from kit.paths import ROOT


def replace(path: str, command: str, lines: list[str]) -> None:
    """`path` is relative to the checkout. Raises KitError if the comments are missing."""
    document = ROOT / path
    begin, end = f"<!-- {command} -->", f"<!-- end of {command} -->"
    before, found, rest = document.read_text(encoding="utf-8").partition(begin)
    _, also, after = rest.partition(end)
    if not found or not also:
        raise KitError(f"{path}: the lines {begin} and {end} are missing")
    inside = "\n".join(("", *lines, ""))
    document.write_text(f"{before}{begin}{inside}{end}{after}", encoding="utf-8")
