"""Text that came from a peer, made safe for a line of a log.

Whatever is not visible ASCII, and the quote and backslash that lines use themselves, becomes `\\xHH` for each
octet: no peer can end a line, forge one, or reach the terminal of whoever reads it.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def is_plain(text: str) -> bool:
    """Whether `printable` would leave `text` as it is."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def printable(text: str) -> str:
    """`text` with every octet that is not a plain character escaped.

    Code points to U+00FF are the octets of a WSGI string (PEP 3333); any other is escaped as its UTF-8.
    """
    if is_plain(text):
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if ord(character) < 0x100:
        return f"\\x{ord(character):02x}"
    return "".join(f"\\x{octet:02x}" for octet in character.encode("utf-8", "surrogatepass"))
