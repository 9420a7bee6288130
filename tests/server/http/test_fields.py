"""RFC 9110 section 5: how fields become a table keyed by meta-variable."""

from __future__ import annotations

from collections.abc import Callable
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import ProtocolError
from ropewalk.http import fields, grammar
from ropewalk.http.fields import field_table, list_members, meta_variable
from ropewalk.http.underscores import DROP_ALL, DROPPED

names = st.from_regex(r"[!#$%&'*+\-.^`|~0-9A-Za-z]{1,20}", fullmatch=True)


@pytest.mark.parametrize(
    ("field_name", "key"),
    [
        ("Accept-Language", "HTTP_ACCEPT_LANGUAGE"),
        ("host", "HTTP_HOST"),
        ("content-type", "CONTENT_TYPE"),
        ("CONTENT-LENGTH", "CONTENT_LENGTH"),
        ("Content-Encoding", "HTTP_CONTENT_ENCODING"),
        ("Content_Length", DROPPED),
        ("X_A", DROPPED),
        ("_", DROPPED),
    ],
)
def test_the_key_of_a_field(field_name: str, key: str):
    assert meta_variable(field_name) == key
    assert meta_variable(field_name) == key  # from the cache


@given(names, names)
def test_names_share_a_key_only_when_they_are_the_same_name(one: str, other: str):
    assert (meta_variable(one) == meta_variable(other)) == (one.lower() == other.lower())


@given(names)
def test_no_name_makes_a_key_that_is_the_servers_own(field_name: str):
    assert meta_variable(field_name).startswith(("HTTP_", "CONTENT_TYPE", "CONTENT_LENGTH"))


def test_the_cache_does_not_grow_without_end():
    with mock.patch.dict(fields._names, clear=True):
        for number in range(fields.MAX_CACHED_NAMES + 50):
            assert meta_variable(f"X-{number}") == f"HTTP_X_{number}"
        assert len(fields._names) == fields.MAX_CACHED_NAMES


def test_repeated_fields_are_joined_in_order():
    assert field_table([("A", "1"), ("B", "x"), ("a", "2"), ("A", "3")]) == {"HTTP_A": "1, 2, 3", "HTTP_B": "x"}


def test_repeated_cookies_are_joined_with_a_semicolon():
    assert field_table([("Cookie", "a=1"), ("cookie", "b=2")]) == {"HTTP_COOKIE": "a=1; b=2"}


@pytest.mark.parametrize("field_name", ["Host", "Content-Length", "Content-Type"])
def test_a_field_that_is_no_list_may_stand_once(field_name: str):
    with pytest.raises(ProtocolError) as caught:
        field_table([(field_name, "1"), (field_name.lower(), "1")])
    assert caught.value.status_code == 400


def test_names_with_an_underscore_are_dropped_and_join_nothing():
    assert field_table([("X_A", "forged"), ("X-A", "real"), ("X_B", "forged"), ("x_b", "twice")]) == {
        "HTTP_X_A": "real"
    }


@given(st.lists(st.tuples(names, st.text("abc ,", max_size=5)), max_size=20))
def test_every_value_is_in_the_table_once(found: list[tuple[str, str]]):
    found = [(name, value) for name, value in found if meta_variable(name) not in fields.SINGLETONS]
    table = field_table(found)
    for key, value in table.items():
        joined = ("; " if key == fields.COOKIE else ", ").join(v for name, v in found if meta_variable(name) == key)
        assert value == joined
    assert len(table) == len({name.lower() for name, _ in found})


@given(
    st.lists(st.tuples(st.sampled_from(["Host", "host", "X-A", "x-a", "X_A", "Cookie", "COOKIE"]) | names, st.text()))
)
def test_a_table_equals_the_joined_one(found: list[tuple[str, str]]):
    def outcome(make: Callable[[list[tuple[str, str]]], dict[str, str]]) -> dict[str, str] | int:
        try:
            return make(found)
        except ProtocolError as error:
            return error.status_code

    expected = outcome(lambda found: fields._joined_table(found, DROP_ALL))
    assert outcome(field_table) == expected  # with names that are cached,
    fields._names.clear()
    assert outcome(field_table) == expected  # and with names that are not


LINE_PARTS = st.sampled_from(
    [
        *("Host", "host", "X-A", "x-a", "X_A", "Cookie", "Content-Length", "X-Real-IP", "X A", "", "\xe9"),
        *(":", ": ", ":  ", ":\t", " :", " ", "\t", "a", "1", "a b", "\xe9", "\0", "\r", "\n", "\r\n", "a" * 200),
    ]
)
field_texts = st.lists(LINE_PARTS | st.text(st.characters(max_codepoint=255), max_size=3), max_size=12).map("".join)


@given(st.lists(field_texts, max_size=6), st.integers(0, 1))
def test_quick_table_is_that_of_the_pattern_or_none(texts: list[str], is_known: int):
    text = "".join(f"{each}\r\n" for each in texts)
    for name in ("Host", "host", "X-A", "x-a", "Cookie", "Content-Length", "X-Real-IP"):
        meta_variable(name)
    fields._lines.clear()
    fields._likely.clear()
    for _ in range(is_known):
        fields.quick_table(text)
    table = fields.quick_table(text)
    if table is not None:
        found = grammar.FIELD_LINE.findall(text)
        assert len(found) == text.count("\n")  # which means that all lines are fields
        assert table == field_table([(name, value.rstrip(" \t")) for name, value in found])
        assert list(table) == [meta_variable(name) for name, _ in found]


def test_usual_lines_are_read_quickly_and_kept_unless_they_are_secret():
    for name in ("Host", "Accept", "Cookie", "Authorization", "X-Forwarded-For"):
        meta_variable(name)
    fields._lines.clear()
    text = "Host: a\r\nAccept: */* \r\nCookie: a=1\r\nAuthorization: Basic eDp5\r\nX-Forwarded-For: 192.0.2.1\r\n"
    expected = {"HTTP_HOST": "a", "HTTP_ACCEPT": "*/*", "HTTP_COOKIE": "a=1", "HTTP_AUTHORIZATION": "Basic eDp5"}
    for _ in range(2):
        assert fields.quick_table(text) == expected | {"HTTP_X_FORWARDED_FOR": "192.0.2.1"}
        assert set(fields._lines) == {"Host: a", "Accept: */* "}
    assert fields.quick_table(f"Accept: {'a' * 200}\r\n") == {"HTTP_ACCEPT": "a" * 200}
    assert len(fields._lines) == 2


VALUES = {
    "Host": ("a", "b"),
    "Accept": ("*/*", "text/html ", "a" * 250, "a\tb", "\xe9"),
    "Cookie": ("a=1", "a=2"),
    "X-Real-IP": ("192.0.2.1", "192.0.2.2"),
    "X-A": ("", "1"),
}
usual_lines = st.sampled_from([f"{name}: {value}" for name, values in VALUES.items() for value in values])
BAD_LINES = ("", " ", "\n", "\r", "Cookie", "Cookie:", ": a", "X-Real-IP : a", " Host: a", "Host: a\nX-A: 1")
bad_lines = st.sampled_from(BAD_LINES)
heads_of_lines = st.lists(usual_lines, min_size=1, max_size=5) | st.lists(usual_lines | bad_lines, max_size=5)


@given(st.lists(heads_of_lines, min_size=2, max_size=8))
def test_a_table_is_the_same_after_any_other_heads(heads: list[list[str]]):
    for name in VALUES:
        meta_variable(name)
    fields._lines.clear()
    fields._likely.clear()
    for lines in heads:
        pairs = [line.partition(": ")[::2] for line in lines]
        table = fields.quick_table("".join(f"{line}\r\n" for line in lines))
        if all(value in VALUES.get(name, ()) and value.isascii() and "\t" not in value for name, value in pairs) and (
            len({name for name, _ in pairs}) == len(pairs)
        ):
            assert table == {meta_variable(name): value.rstrip(" ") for name, value in pairs}
            assert list(table or ()) == [meta_variable(name) for name, _ in pairs]
        else:
            assert table is None


@pytest.mark.parametrize("bad_line", BAD_LINES)
def test_a_bad_line_is_not_read_as_the_line_that_stood_there(bad_line: str):
    for name in VALUES:
        meta_variable(name)
    fields._likely.clear()
    lines = [f"{name}: {values[0]}" for name, values in VALUES.items()]
    assert fields.quick_table("".join(f"{line}\r\n" for line in lines)) is not None
    for place in range(len(lines)):
        changed = [*lines[:place], bad_line, *lines[place + 1 :]]
        assert fields.quick_table("".join(f"{line}\r\n" for line in changed)) is None


def test_the_table_of_a_head_belongs_to_it_alone():
    fields._likely.clear()
    text = "Host: a\r\nAccept: */*\r\n"
    tables = [fields.quick_table(text) for _ in range(3)]
    assert tables[0] is not None
    tables[0]["HTTP_HOST"] = "b"
    assert tables[1:] == [{"HTTP_HOST": "a", "HTTP_ACCEPT": "*/*"}] * 2


def test_nothing_secret_is_kept_for_the_next_head():
    for name in ("Host", *(key.removeprefix("HTTP_").replace("_", "-").title() for key in fields.NEVER_CACHED)):
        meta_variable(name)
    fields._likely.clear()
    lines = ["Host: a", *(f"{key.removeprefix('HTTP_').replace('_', '-').title()}: s3" for key in fields.NEVER_CACHED)]
    assert fields.quick_table("".join(f"{line}\r\n" for line in lines)) is not None
    likely = fields._likely[len(lines)]
    assert likely.lines == ["Host: a"] + [fields.NOT_KEPT] * len(fields.NEVER_CACHED)
    assert likely.table == {"HTTP_HOST": "a", **dict.fromkeys(likely.keys[1:], "")}


def test_what_is_likely_follows_the_clients_but_not_each_of_them():
    fields._likely.clear()
    fields.quick_table("Host: a\r\nAccept: */*\r\n")
    for _ in range(fields.MAX_OTHERS):
        fields.quick_table("Accept: */*\r\nHost: a\r\n")
        assert fields._likely[2].keys == ["HTTP_HOST", "HTTP_ACCEPT"]
    fields.quick_table("Accept: */*\r\nHost: a\r\n")
    assert fields._likely[2].keys == ["HTTP_ACCEPT", "HTTP_HOST"]
    names = [f"X-{number}" for number in range(fields.MAX_LIKELY + 1)]
    for name in names:
        meta_variable(name)
    assert fields.quick_table("".join(f"{name}: a\r\n" for name in names)) is not None
    assert list(fields._likely) == [2]


def test_the_cache_of_lines_does_not_grow_without_end():
    meta_variable("Accept")
    fields._lines.clear()
    for number in range(fields.MAX_CACHED_LINES + 50):
        assert fields.quick_table(f"Accept: {number}\r\n") == {"HTTP_ACCEPT": str(number)}
        assert len(fields._lines) <= fields.MAX_CACHED_LINES
    assert f"Accept: {number}" in fields._lines  # a peer that fills it does not keep the others' lines out


@pytest.mark.parametrize(
    ("field_value", "members"),
    [
        ("close", ["close"]),
        ("Keep-Alive, \tClose ", ["keep-alive", "close"]),
        ("", []),
        (" , ,\t, a ,,", ["a"]),
        ("a b", ["a b"]),
        ("\xa0close", ["\xa0close"]),
        ("\x0bclose", ["\x0bclose"]),
    ],
)
def test_the_members_of_a_list(field_value: str, members: list[str]):
    assert list_members(field_value) == members
