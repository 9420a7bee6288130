"""Readers of values: what each takes, from text and from a file, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropewalk.config import readers
from ropewalk.config.readers import GIB, KIB, MIB, Reader

TAKEN: list[tuple[Reader, object, object]] = [
    (readers.integer(1, 10), "1", 1),
    (readers.integer(1, 10), " 10 ", 10),
    (readers.integer(1, 10), 10, 10),
    (readers.seconds(0.1, 60), "0.1", 0.1),
    (readers.seconds(0.1, 60), 60, 60.0),
    (readers.seconds(0.1, 60, zero="never"), "0", 0.0),
    (readers.size(1, GIB), "10k", 10 * KIB),
    (readers.size(1, GIB), "10K", 10 * KIB),
    (readers.size(1, GIB), "20 MiB", 20 * MIB),
    (readers.size(1, GIB), "1G", GIB),
    (readers.size(1, GIB), 4096, 4096),
    (readers.size(1, GIB, zero="no limit"), "0", 0),
    (readers.mode("022"), "", None),
    (readers.mode("022"), None, None),
    (readers.mode("022"), "0", readers.Mode(0)),
    (readers.mode("022"), "022", readers.Mode(0o022)),
    (readers.mode("022"), "0o777", readers.Mode(0o777)),
    (readers.mode("022"), 0o660, readers.Mode(0o660)),
    (readers.account("user"), "www-data", "www-data"),
    (readers.account("user"), 33, "33"),
    (readers.account("user"), "", ""),
    (readers.account("user"), None, ""),
    *((readers.script_name, text, text) for text in ("", "/shop", "/shop/eu", "/a b", "/café", "/.well", "/...")),
    (readers.script_name, "/", ""),
    (readers.underscore_name, "remote_User", "REMOTE_USER"),
    (readers.text(), "", ""),
    (readers.path(), Path("/run/x"), "/run/x"),
    (readers.Choice(["info", "debug"]), "INFO", "info"),
    (readers.switch, True, True),
    (readers.switch, "1", True),
    (readers.switch, "Off", False),
    (readers.several(readers.text(), allowed=""), "a, b,,c", ("a", "b", "c")),
    (readers.several(readers.text(), allowed=""), ["a,b", "c"], ("a,b", "c")),
    (readers.several(readers.text(), allowed=""), "", ()),
    (readers.several(readers.assignment, separator="", allowed=""), "A=1,2", ("A=1,2",)),
    (readers.address, "[::1]:8000", "[::1]:8000"),
    (readers.assignment, "NAME=", "NAME="),
    (readers.assignment, "NAME=a=b", "NAME=a=b"),
    (readers.mount, "/static/=files", "/static/=files"),
    (readers.time_by_prefix, "/reports/=300", "/reports/=300"),
    (readers.time_by_prefix, "/a=b = 0.5", "/a=b=0.5"),
    (readers.time_by_prefix, "/stream=0", "/stream=0"),
    (readers.field_value, "", ""),
    (readers.field_value, "my server/1.0", "my server/1.0"),
    (readers.proxy_address, "*", "*"),
    (readers.proxy_address, "10.0.0.0/8", "10.0.0.0/8"),
    (readers.proxy_address, "::1", "::1"),
    (readers.forwarded_fields, "X-Forwarded-For, x-forwarded-proto", ("x-forwarded-for", "x-forwarded-proto")),
    (readers.forwarded_fields, "forwarded,x-forwarded-port", ("forwarded", "x-forwarded-port")),
    (readers.forwarded_fields, "", ()),
    (readers.proxy_protocol, "Auto", "auto"),
    (readers.proxy_protocol, True, "auto"),
    (readers.proxy_protocol, False, "off"),
    (readers.log_format, "%(h)s", "%(h)s"),
]

REFUSED: list[tuple[Reader, object]] = [
    *((readers.underscore_name, bad) for bad in ("*", "", "USER", "REMOTE-USER", "A_B ", "X_FORWARDED_FOR", "É_A", 1)),
    *((readers.underscore_name, name) for name in sorted(readers.RESERVED_NAMES)),
    *((readers.script_name, bad) for bad in ("shop", "/shop/", "//", "//shop", "/a//b", "/..", "/a/../b", "/.", None)),
    *((readers.script_name, bad) for bad in ("/a%20b", "/a?b", "/a#b", "/a\\b", "/a\nb", "/\udce9", ["/a"], 1)),
    *((readers.integer(1, 10), bad) for bad in ("0", "11", "", "-1", "+1", "1.0", "1_0", "٣", 0, 11, 1.0, True, None)),
    *((readers.seconds(0.1, 60), bad) for bad in ("0", "0.09", "60.1", "", "-1", "1e1", "nan", "inf", "٣")),
    *((readers.seconds(0.1, 60), bad) for bad in (0, 0.05, 61, float("nan"), float("inf"), True, None, [1])),
    *((readers.size(2, 10 * MIB), bad) for bad in ("1", "11M", "10T", "k", "", "-1k", "1.5M", "0", 0, 1, 2.0, True)),
    *(
        (readers.mode("022"), bad)
        for bad in ("22", "660", "08", "0o", "0x1", "-01", "01000", "00777", 512, -1, True, 1.0)
    ),
    *((readers.account("user"), bad) for bad in ("-1", "a b", "a:b", "a/b", "a\n", -1, True, 1.5)),
    *((readers.text(), bad) for bad in ("a\nb", "a\x00", 1, None)),
    *((readers.path(), bad) for bad in ("a\x00b", 1, b"bytes")),
    *((readers.Choice(["info", "debug"]), bad) for bad in ("loud", "", 1)),
    *((readers.switch, bad) for bad in ("maybe", "", 1, None)),
    *((readers.several(readers.integer(1, 2), allowed="a", at_least=1), bad) for bad in ("", [], [3], 1, {"a": 1})),
    *((readers.address, bad) for bad in ("127.0.0.1:99999", "", "::1", "fd://x", "unix:", 8000)),
    *((readers.assignment, bad) for bad in ("", "NAME", "=x", "A B=x", "1A=x", "A=\x00", 1)),
    *((readers.mount, bad) for bad in ("", "/static/", "static/=x", "/static/=", 1)),
    *((readers.time_by_prefix, bad) for bad in ("", "/a", "a=1", "/a=", "/a=soon", "/a=0.01", "/a=90000", "/\n=1", 1)),
    *((readers.field_value, bad) for bad in (" x", "x ", "a\r\nb", "é", 1)),
    *((readers.proxy_address, bad) for bad in ("", "localhost", "10.0.0.0/33", "1.2.3", 1)),
    *(
        (readers.forwarded_fields, bad)
        for bad in ("x-real-ip", "forwarded,x-forwarded-for", "forwarded, X-Forwarded-Host")
    ),
    *((readers.proxy_protocol, bad) for bad in ("", "v3", "on", 1, None)),
    *((readers.log_format, bad) for bad in ("%(x)s", "%s", "a\nb", 1)),
]


@pytest.mark.parametrize(("reader", "value", "result"), TAKEN)
def test_a_value_is_read(reader: Reader, value: object, result: object) -> None:
    read = reader(value)
    assert read == result
    assert type(read) is type(result)


@pytest.mark.parametrize(("reader", "value"), REFUSED)
def test_a_bad_value_is_refused_in_one_line(reader: Reader, value: object) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        reader(value)


def test_a_mode_is_shown_as_it_can_be_read_again() -> None:
    assert str(readers.Mode(0o022)) == "0o022"
    assert readers.mode("022")(str(readers.Mode(0))) == 0


def test_the_reason_of_a_bound_is_said() -> None:
    with pytest.raises(ValueError, match=r"from 1 to 2 \(because\)"):
        readers.integer(1, 2, why="because")(0)


@pytest.mark.parametrize(("count", "text"), [(GIB, "1G"), (512 * KIB, "512k"), (8190, "8190"), (0, "0")])
def test_a_size_is_shown_as_a_user_would_write_it(count: int, text: str) -> None:
    assert readers.shown_size(count) == text
