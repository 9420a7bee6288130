"""Names with an underscore: what each mode makes of them, and that no mode lets one stand for what the server reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.config import readers
from ropewalk.errors import ProtocolError
from ropewalk.http.fields import field_table, meta_variable
from ropewalk.http.head import HeadLimits, parse_head
from ropewalk.http.underscores import RESERVED, FieldTable, UnderscoreNames

FOUND = [("X-A", "1"), ("X_A", "2"), ("Remote-User", "root"), ("REMOTE_USER", "bob"), ("remote_user", "eve")]


def test_each_dropped_name_is_reported() -> None:
    dropped: list[str] = []
    table = field_table(FOUND, UnderscoreNames(on_dropped=dropped.append))
    assert table == {"HTTP_X_A": "1", "HTTP_REMOTE_USER": "root"}
    assert dropped == ["X_A", "REMOTE_USER", "remote_user"]


def test_dangerous_maps_and_joins() -> None:
    dropped: list[str] = []
    table = field_table(FOUND, UnderscoreNames("dangerous", on_dropped=dropped.append))
    assert table == {"HTTP_X_A": "1, 2", "HTTP_REMOTE_USER": "root, bob, eve"}
    assert dropped == []


def test_refuse_names_the_field() -> None:
    with pytest.raises(ProtocolError, match=r"400: an underscore in the field name 'X_A' \(--header-map\)"):
        field_table(FOUND, UnderscoreNames("refuse"))


def test_names_of_proxies_are_kept_apart() -> None:
    table = field_table([*FOUND[2:], ("A", "b")], UnderscoreNames("refuse", ["REMOTE_USER", "SCRIPT_NAME"]))
    assert isinstance(table, FieldTable)
    assert table == {"HTTP_REMOTE_USER": "root", "HTTP_A": "b"}
    assert table.of_proxy == {"REMOTE_USER": "bob, eve"}
    assert type(field_table([("A", "b"), ("A_B", "c")], UnderscoreNames("drop", ["REMOTE_USER"]))) is dict


def test_a_next_head_with_the_same_fields_shares_them() -> None:
    limits = HeadLimits(underscores=UnderscoreNames("drop", ["REMOTE_USER"]))
    text = "GET / HTTP/1.1\r\nHost: a\r\nREMOTE_USER: bob\r\n"
    first = parse_head(text, limits)
    second = parse_head(text, limits, first)
    assert second.fields is first.fields
    assert isinstance(second.fields, FieldTable)
    assert second.fields.of_proxy == {"REMOTE_USER": "bob"}


def test_reserved_names_are_those_that_the_setting_refuses() -> None:
    assert RESERVED == readers.RESERVED_NAMES


names = st.from_regex(r"[A-Za-z0-9_-]{0,8}_[A-Za-z0-9_-]{0,8}", fullmatch=True) | st.sampled_from(
    ["Content_Length", "transfer_encoding", "Transfer_Encoding", "X-Forwarded_For", "X_Forwarded_Proto", "x_real-ip"]
)


@given(names)
def test_no_name_with_an_underscore_stands_for_what_the_server_evaluates(field_name: str) -> None:
    for key in field_table([(field_name, "x")], UnderscoreNames("dangerous")):
        assert key.startswith("HTTP_")
        assert key.removeprefix("HTTP_") not in RESERVED
        assert not key.startswith("HTTP_X_FORWARDED_")
        assert key == meta_variable(field_name.replace("_", "-"))
