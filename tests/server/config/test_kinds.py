"""Readers of values: what each takes, from text and from a file, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from ropewalk.config import kinds
from ropewalk.config.kinds import GIB, KIB, MIB, Reader

TAKEN: list[tuple[Reader, object, object]] = [
    (kinds.integer(1, 10), "1", 1),
    (kinds.integer(1, 10), " 10 ", 10),
    (kinds.integer(1, 10), 10, 10),
    (kinds.seconds(0.1, 60), "0.1", 0.1),
    (kinds.seconds(0.1, 60), 60, 60.0),
    (kinds.seconds(0.1, 60, zero="never"), "0", 0.0),
    (kinds.size(1, GIB), "10k", 10 * KIB),
    (kinds.size(1, GIB), "10K", 10 * KIB),
    (kinds.size(1, GIB), "20 MiB", 20 * MIB),
    (kinds.size(1, GIB), "1G", GIB),
    (kinds.size(1, GIB), 4096, 4096),
    (kinds.size(1, GIB, zero="no limit"), "0", 0),
    (kinds.mode("022"), "", None),
    (kinds.mode("022"), None, None),
    (kinds.mode("022"), "0", kinds.Mode(0)),
    (kinds.mode("022"), "022", kinds.Mode(0o022)),
    (kinds.mode("022"), "0o777", kinds.Mode(0o777)),
    (kinds.mode("022"), 0o660, kinds.Mode(0o660)),
    (kinds.account("user"), "www-data", "www-data"),
    (kinds.account("user"), 33, "33"),
    (kinds.account("user"), "", ""),
    (kinds.account("user"), None, ""),
    (kinds.text(), "", ""),
    (kinds.path(), Path("/run/x"), "/run/x"),
    (kinds.choice(["info", "debug"]), "INFO", "info"),
    (kinds.switch, True, True),
    (kinds.switch, "1", True),
    (kinds.switch, "Off", False),
    (kinds.several(kinds.text(), allowed=""), "a, b,,c", ("a", "b", "c")),
    (kinds.several(kinds.text(), allowed=""), ["a,b", "c"], ("a,b", "c")),
    (kinds.several(kinds.text(), allowed=""), "", ()),
    (kinds.several(kinds.assignment, separator="", allowed=""), "A=1,2", ("A=1,2",)),
    (kinds.address, "[::1]:8000", "[::1]:8000"),
    (kinds.assignment, "NAME=", "NAME="),
    (kinds.assignment, "NAME=a=b", "NAME=a=b"),
    (kinds.mount, "/static/=files", "/static/=files"),
    (kinds.time_by_prefix, "/reports/=300", "/reports/=300"),
    (kinds.time_by_prefix, "/a=b = 0.5", "/a=b=0.5"),
    (kinds.time_by_prefix, "/stream=0", "/stream=0"),
    (kinds.field_value, "", ""),
    (kinds.field_value, "my server/1.0", "my server/1.0"),
    (kinds.proxy_address, "*", "*"),
    (kinds.proxy_address, "10.0.0.0/8", "10.0.0.0/8"),
    (kinds.proxy_address, "::1", "::1"),
    (kinds.forwarded_fields, "X-Forwarded-For, x-forwarded-proto", ("x-forwarded-for", "x-forwarded-proto")),
    (kinds.forwarded_fields, "forwarded,x-forwarded-port", ("forwarded", "x-forwarded-port")),
    (kinds.forwarded_fields, "", ()),
    (kinds.proxy_protocol, "Auto", "auto"),
    (kinds.proxy_protocol, True, "auto"),
    (kinds.proxy_protocol, False, "off"),
    (kinds.log_format, "%(h)s", "%(h)s"),
]

REFUSED: list[tuple[Reader, object]] = [
    *((kinds.integer(1, 10), bad) for bad in ("0", "11", "", "-1", "+1", "1.0", "1_0", "٣", 0, 11, 1.0, True, None)),
    *((kinds.seconds(0.1, 60), bad) for bad in ("0", "0.09", "60.1", "", "-1", "1e1", "nan", "inf", "٣")),
    *((kinds.seconds(0.1, 60), bad) for bad in (0, 0.05, 61, float("nan"), float("inf"), True, None, [1])),
    *((kinds.size(2, 10 * MIB), bad) for bad in ("1", "11M", "10T", "k", "", "-1k", "1.5M", "0", 0, 1, 2.0, True)),
    *(
        (kinds.mode("022"), bad)
        for bad in ("22", "660", "08", "0o", "0x1", "-01", "01000", "00777", 512, -1, True, 1.0)
    ),
    *((kinds.account("user"), bad) for bad in ("-1", "a b", "a:b", "a/b", "a\n", -1, True, 1.5)),
    *((kinds.text(), bad) for bad in ("a\nb", "a\x00", 1, None)),
    *((kinds.path(), bad) for bad in ("a\x00b", 1, b"bytes")),
    *((kinds.choice(["info", "debug"]), bad) for bad in ("loud", "", 1)),
    *((kinds.switch, bad) for bad in ("maybe", "", 1, None)),
    *((kinds.several(kinds.integer(1, 2), allowed="a", at_least=1), bad) for bad in ("", [], [3], 1, {"a": 1})),
    *((kinds.address, bad) for bad in ("127.0.0.1:99999", "", "::1", "fd://x", "unix:", 8000)),
    *((kinds.assignment, bad) for bad in ("", "NAME", "=x", "A B=x", "1A=x", "A=\x00", 1)),
    *((kinds.mount, bad) for bad in ("", "/static/", "static/=x", "/static/=", 1)),
    *((kinds.time_by_prefix, bad) for bad in ("", "/a", "a=1", "/a=", "/a=soon", "/a=0.01", "/a=90000", "/\n=1", 1)),
    *((kinds.field_value, bad) for bad in (" x", "x ", "a\r\nb", "é", 1)),
    *((kinds.proxy_address, bad) for bad in ("", "localhost", "10.0.0.0/33", "1.2.3", 1)),
    *(
        (kinds.forwarded_fields, bad)
        for bad in ("x-real-ip", "forwarded,x-forwarded-for", "forwarded, X-Forwarded-Host")
    ),
    *((kinds.proxy_protocol, bad) for bad in ("", "v3", "on", 1, None)),
    *((kinds.log_format, bad) for bad in ("%(x)s", "%s", "a\nb", 1)),
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
    assert str(kinds.Mode(0o022)) == "0o022"
    assert kinds.mode("022")(str(kinds.Mode(0))) == 0


def test_the_reason_of_a_bound_is_said() -> None:
    with pytest.raises(ValueError, match=r"from 1 to 2 \(because\)"):
        kinds.integer(1, 2, why="because")(0)


@pytest.mark.parametrize(("count", "text"), [(GIB, "1G"), (512 * KIB, "512k"), (8190, "8190"), (0, "0")])
def test_a_size_is_shown_as_a_user_would_write_it(count: int, text: str) -> None:
    assert kinds.shown_size(count) == text
