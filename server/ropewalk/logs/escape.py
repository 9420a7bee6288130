"""Escaping of text that came from a peer, so that it is safe in a line of a log.

A peer must not end a line, forge one, or send control sequences to the reader's terminal. The access log keeps visible
ASCII only (`escape`); messages of the error log may have other printable characters, and several lines (`printable`).
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def is_plain(text: str) -> bool:
    """Whether `escape` would return `text` unchanged."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def escape(text: str) -> str:
    """`text` with every character escaped, as `\\xHH` per byte, that is not plain: the quote and backslash too.

    Code points to U+00FF are the bytes of a WSGI string (PEP 3333); any other is escaped as its UTF-8.
    """
    if is_plain(text):  # fast path of the substitution; test_plain_text_is_what_escaping_keeps holds them equal
        return text
    return _UNSAFE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if ord(character) < 0x100:
        return f"\\x{ord(character):02x}"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def printable(text: str) -> str:
    """`text` with the characters escaped that are not printable, except for line ends and tabs."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each in "\n\t" else each.encode("unicode_escape").decode() for each in text
    )
