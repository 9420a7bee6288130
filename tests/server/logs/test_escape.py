from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.logs.escape import _UNSAFE, escape, is_plain


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /a b?c=d HTTP/1.1", "GET /a b?c=d HTTP/1.1"),
        ("a\r\nb", r"a\x0d\x0ab"),
        ('say "hi"', r"say \x22hi\x22"),
        ("back\\slash", r"back\x5cslash"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x00\x7f\t", r"\x00\x7f\x09"),
        ("caf\xc3\xa9", r"caf\xc3\xa9"),
        ("\u2028", r"\xe2\x80\xa8"),
        ("\udc80", r"\xed\xb2\x80"),
        ("", ""),
    ],
)
def test_text_is_made_safe(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_every_octet_comes_out_as_visible_ascii_on_one_line() -> None:
    text = escape("".join(map(chr, range(256))))
    assert text.isascii()
    assert text.isprintable()
    assert '"' not in text


@given(st.text())
def test_plain_text_is_what_escaping_keeps(text: str) -> None:
    assert is_plain(text) == (_UNSAFE.search(text) is None)
