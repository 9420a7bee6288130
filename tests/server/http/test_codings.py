"""RFC 9110 section 12.5.3: Accept-Encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.http.codings import acceptable_codings


@pytest.mark.parametrize(
    ("field_value", "expected"),
    [
        ("", []),
        ("gzip", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("GZIP", ["gzip"]),
        ("gzip, deflate, br, zstd", ["br", "gzip"]),
        ("br;q=0.5, gzip;q=0.8", ["gzip", "br"]),
        ("br;Q=0, gzip ; q=0.001", ["gzip"]),
        ("gzip;q=0", []),
        ("gzip;q=0.000", []),
        ("*", ["br", "gzip"]),
        ("*;q=0", []),
        ("gzip, *;q=0", ["gzip"]),
        ("gzip;q=0, *", ["br"]),
        ("identity", []),
        ("identity;q=0, gzip", ["gzip"]),
        ("identity, gzip;q=0.5", []),
        ("identity;q=0.5, gzip;q=0.5", ["gzip"]),
        ("gzip;q=2", []),
        ("gzip;q=0.0001", []),
        ("gzip;q=", []),
        ("gzip;level=1", []),
        ("gz ip, br", ["br"]),
        (",,gzip,,", ["gzip"]),
    ],
)
def test_codings_by_weight(field_value: str, expected: list[str]) -> None:
    assert acceptable_codings(field_value, ["br", "gzip"]) == expected


@given(st.text())
def test_any_text_is_read(field_value: str) -> None:
    assert set(acceptable_codings(field_value, ["br", "gzip"])) <= {"br", "gzip"}
    assert acceptable_codings(field_value, []) == []
