"""What proxies say of a client, and what clients would like them to have said."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.config import readers
from ropewalk.errors import ProtocolError
from ropewalk.http import forwarded
from ropewalk.http.forwarded import (
    DEFAULT_FIELDS,
    FOR,
    FORWARDED,
    HOST,
    KNOWN,
    PORT,
    PREFIX,
    PROTO,
    REAL_IP,
    ForwardedReader,
    Node,
    Origin,
    TrustedNetworks,
    parse_forwarded,
    split_host,
)

PROXIES = ("127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:aa::/48")
X_FIELDS = tuple(name for name in KNOWN if name != "forwarded")
CLIENT = "198.51.100.7"
LIE = "203.0.113.66"


def read(fields: dict[str, str], *, allowed: tuple[str, ...] = PROXIES, names: tuple[str, ...] = X_FIELDS) -> Origin:
    return ForwardedReader(TrustedNetworks(allowed), names).read(fields)


def client_of(value: str, **more: tuple[str, ...]) -> str | None:
    client = read({FOR: value}, **more).client
    return None if client is None else client.address


def test_the_settings_know_the_same_fields_and_default() -> None:
    assert set(readers.FORWARDED_FIELDS) == set(KNOWN)
    assert readers.forwarded_fields(",".join(DEFAULT_FIELDS)) == DEFAULT_FIELDS


# X-Forwarded-For

CLIENTS = {
    CLIENT: CLIENT,
    f"{CLIENT}:50123": CLIENT,
    f"{CLIENT}, 10.1.2.3": CLIENT,
    f"{CLIENT},10.1.2.3,\t127.0.0.1": CLIENT,
    "10.1.2.3": "10.1.2.3",
    "10.9.9.9, 10.1.2.3": "10.9.9.9",
    "2001:db8::7": "2001:db8::7",
    "[2001:DB8::7]": "2001:db8::7",
    "[2001:db8::7]:443": "2001:db8::7",
    "2001:db8:0:0:0:0:0:7": "2001:db8::7",
    f"{CLIENT}, 2001:db8:aa::1": CLIENT,
    f"::ffff:{CLIENT}": CLIENT,
    f"[::ffff:{CLIENT}]:1": CLIENT,
    f"{CLIENT}, ::ffff:10.0.0.1": CLIENT,
    "unknown": "",
    "Unknown, 10.1.2.3": "",
    "_hidden": "",
    "_SEVKISEK:_port": "",
    "unix:": "",
    "": None,
}


@pytest.mark.parametrize("value", CLIENTS)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(value: str) -> None:
    assert client_of(value) == CLIENTS[value]


SPOOFED = {
    "an address put in front of the true one": (f"{LIE}, {CLIENT}", CLIENT),
    "an address of this machine put in front": (f"127.0.0.1, {CLIENT}", CLIENT),
    "a proxy's address put in front": (f"{LIE}, 10.1.2.3, {CLIENT}", CLIENT),
    "a whole chain of proxies put in front": (f"{LIE}, 10.1.2.3, 10.1.2.4, {CLIENT}, 10.1.2.3", CLIENT),
    "a field of its own before the proxy's": (f"{LIE}, {CLIENT}", CLIENT),
    "words that no reader takes put in front": (f'"; DROP, <>, {CLIENT}', CLIENT),
    "a list that ends with a comma, to a proxy that knows no address": (f"{LIE}, ", ""),
    "a list of commas": (f"{LIE},,,, , 10.1.2.3", ""),
    "after a hop that is not identified": (f"{LIE}, unknown, 10.1.2.3", ""),
    "after an obfuscated hop": (f"{LIE}, _gazonk, 10.1.2.3", ""),
    "after a Unix socket": (f"{LIE}, unix:, 10.1.2.3", ""),
    "a proxy's address as a mapped one further left": (f"{LIE}, ::ffff:10.1.2.3, {CLIENT}", CLIENT),
}


@pytest.mark.parametrize("attack", SPOOFED)
def test_a_client_cannot_choose_its_address(attack: str) -> None:
    value, address = SPOOFED[attack]
    assert client_of(value) == address


def test_a_star_trusts_peers_and_not_the_hops_that_they_report() -> None:
    assert TrustedNetworks(["*"]).trusts_peer(LIE)
    assert client_of(f"{LIE}, {CLIENT}", allowed=("*",)) == CLIENT
    assert client_of(f"{LIE}, {CLIENT}, 10.0.0.1", allowed=("*", "10.0.0.0/8")) == CLIENT
    assert not TrustedNetworks(["*"]).trusts_source(LIE)


@pytest.mark.parametrize(
    "value",
    [
        *("localhost", "1.2.3", "1.2.3.4.5", "1.2.3.256", "010.0.0.1", "0x7f.0.0.1", "2130706433", "1.2.3.4/8"),
        *("1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536", "1.2.3.4:+1", "1.2.3.4:1:2", "[1.2.3.4]", "[1.2.3.4]:80"),
        *(":", "::g", "[::1", "::1]", "[::1]80", "[]", "[:::]", "fe80::1%eth0", "[fe80::1%25eth0]", ":::1"),
        *('"1.2.3.4"', "for=1.2.3.4", "1.2.3.4 10.0.0.1", "1.2.3.4;10.0.0.1", "unknown\xa0", "x" * 9000, "_" * 256),
        *("\xb2.2.3.4", "unix:/run/x", "10.1.2.3, 1.2.3.4\x0b", "x, 10.1.2.3"),
    ],
)
def test_proxy_address_that_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        read({FOR: value})
    assert caught.value.status_code == 400


def test_ports_are_shown_where_they_are_known() -> None:
    assert read({FOR: f"{CLIENT}:50123"}).client == Node(CLIENT, "50123", False)
    assert read({FOR: "[2001:db8::7]:00080"}).client == Node("2001:db8::7", "80", False)
    assert read({FOR: f"{CLIENT}:_hidden"}).client == Node(CLIENT, "", False)


def test_a_long_list_of_proxies_is_walked_to_its_end() -> None:
    assert client_of(f"{CLIENT}" + ", 10.0.0.1" * 6000) == CLIENT


# Networks and peers


@pytest.mark.parametrize(
    ("peer", "is_trusted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("10.255.0.1", True),
        ("11.0.0.1", False),
        ("::1", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:11.0.0.1", False),
        ("2001:db8:aa::9%eth0", True),
        ("2001:db8:ab::9", False),
        ("", True),
    ],
)
def test_peers_are_trusted_by_address_and_network(peer: str, is_trusted: bool) -> None:
    assert TrustedNetworks(PROXIES).trusts_peer(peer) is is_trusted


def test_a_network_of_mapped_addresses_is_one_of_ipv4() -> None:
    networks = TrustedNetworks(["::ffff:10.0.0.0/104"])
    assert networks.trusts_peer("10.1.2.3")
    assert networks.trusts_peer("::ffff:10.1.2.3")
    assert not networks.trusts_peer("11.1.2.3")


def test_a_bad_entry_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="localhost"):
        TrustedNetworks(["localhost"])


def test_empty_list_of_proxies_is_allowed() -> None:
    assert not TrustedNetworks([]).trusts_peer("127.0.0.1")


# The other fields


@pytest.mark.parametrize(
    ("value", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http", "http"), ("wss", "https"), ("ws", "http"), ("", "")],
)
def test_schemes(value: str, scheme: str) -> None:
    assert read({PROTO: value}).scheme == scheme


SPOOFED_FIELDS = {
    "a scheme before the proxy's": ({PROTO: "https, http"}, Origin(scheme="http")),
    "a host before the proxy's": ({HOST: "evil.example, shop.example"}, Origin(host="shop.example")),
    "a host to a proxy that reports none": ({HOST: "evil.example, "}, Origin()),
    "a port before the proxy's": ({PORT: "1, 443"}, Origin(port="443")),
    "a prefix before the proxy's": ({PREFIX: "/evil, /app"}, Origin(script_name="/app")),
    "a broken scheme before the proxy's": ({PROTO: "javascript, https"}, Origin(scheme="https")),
}


@pytest.mark.parametrize("attack", SPOOFED_FIELDS)
def test_of_each_other_field_the_proxys_own_value_counts(attack: str) -> None:
    fields, origin = SPOOFED_FIELDS[attack]
    assert read(fields) == origin


@pytest.mark.parametrize("name", X_FIELDS)
def test_a_field_that_the_proxies_do_not_write_says_nothing(name: str) -> None:
    fields = {FOR: LIE, PROTO: "https", HOST: "evil.example", PORT: "1", PREFIX: "/evil", FORWARDED: f"for={LIE}"}
    origin = read(fields, names=tuple(each for each in X_FIELDS if each != name))
    said = dict(
        zip(X_FIELDS, (origin.client, origin.scheme, origin.host, origin.port, origin.script_name), strict=True)
    )
    assert [each for each in X_FIELDS if not said[each]] == [name]


@pytest.mark.parametrize(
    "fields",
    [
        *({PROTO: value} for value in ("ftp", "https://", "on", "http s", "https;", "\x85https")),
        *({HOST: value} for value in ("a b", "evil/", "evil@x", "x\\y", "[::1", "a:123456", "h\xe9", '"', "?", "#")),
        *({PORT: value} for value in ("0", "65536", "-1", "+1", "80a", "8_0", "\xb2", "443;", "100000")),
        *(
            {PREFIX: value}
            for value in (
                *("app", "//evil.example", "/app/", "/a//b", "/\\evil.example", "/a\\b", "/a b", "/a?b", "/a#b"),
                *("/..", "/../x", "/a/../b", "/.", "/%2e%2e/x", "/%2fevil.example", "/a%0d%0ab", "/a%00", "/%5cevil"),
                *("/a%", "/a%zz", "/a%2f", "/\xe9", "http://evil.example", "/a%7f", "/a%09"),
            )
        ),
    ],
    ids=repr,
)
def test_a_value_that_cannot_be_is_refused(fields: dict[str, str]) -> None:
    with pytest.raises(ProtocolError) as caught:
        read(fields)
    assert caught.value.status_code == 400


@pytest.mark.parametrize(
    ("value", "script_name"),
    [
        ("/app", "/app"),
        ("/a/b-c.d~e", "/a/b-c.d~e"),
        ("/", ""),
        ("", ""),
        ("/b%C3%A5t", "/b\xc3\xa5t"),
        ("/..a", "/..a"),
    ],
)
def test_prefixes_are_decoded_as_pep_3333_has_paths(value: str, script_name: str) -> None:
    assert read({PREFIX: value}).script_name == script_name


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("shop.example", ("shop.example", "")),
        ("shop.example:", ("shop.example", "")),
        ("shop.example:8443", ("shop.example", "8443")),
        ("[2001:db8::1]", ("[2001:db8::1]", "")),
        ("[2001:db8::1]:8443", ("[2001:db8::1]", "8443")),
        ("", ("", "")),
    ],
)
def test_hosts_are_split(host: str, parts: tuple[str, str]) -> None:
    assert split_host(host) == parts


# Forwarded (RFC 7239)

ELEMENTS: dict[str, list[dict[str, str]]] = {
    'for="_gazonk"': [{"for": "_gazonk"}],
    'For="[2001:db8:cafe::17]:4711"': [{"for": "[2001:db8:cafe::17]:4711"}],
    "for=192.0.2.60;proto=http;by=203.0.113.43": [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}],
    "for=192.0.2.43, for=198.51.100.17": [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}],
    "for=1.2.3.4; proto=https ;host=a\t,for=b": [{"for": "1.2.3.4", "proto": "https", "host": "a"}, {"for": "b"}],
    r'for="a\"b\\c";x="1;2,3"': [{"for": r'a"b\c', "x": "1;2,3"}],
    "for=a;;proto=http;": [{"for": "a", "proto": "http"}],
    "for=a,,for=b": [{"for": "a"}, {}, {"for": "b"}],
    'x=""': [{"x": ""}],
}


@pytest.mark.parametrize("value", ELEMENTS)
def test_forwarded_is_read(value: str) -> None:
    assert parse_forwarded(value) == ELEMENTS[value]


@pytest.mark.parametrize(
    "value",
    [
        *("for", "for=", "=a", "for =a", "for= a", 'for="a', 'for=a"b"', 'for="a"b', "for=a b", "for=a=b", "for=[::1]"),
        *("for=1.2.3.4:80", "for=a;for=b", "for=a;FOR=a", 'for="a\\', "for=\xe9", 'for="\x7f"', '"for"=a', "f(r=a"),
    ],
)
def test_bad_forwarded_is_refused(value: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_forwarded(value)
    assert caught.value.status_code == 400


def said(value: str) -> tuple[str | None, str, str]:
    origin = read({FORWARDED: value, FOR: LIE, PROTO: "http", HOST: "evil.example"}, names=("forwarded",))
    return origin.client.address if origin.client is not None else None, origin.scheme, origin.host


FORWARDINGS = {
    "one proxy": (f"for={CLIENT};proto=https;host=shop.example", (CLIENT, "https", "shop.example")),
    "two proxies": (
        f"for={CLIENT};proto=https;host=a.example, for=10.1.2.3;proto=http",
        (CLIENT, "https", "a.example"),
    ),
    "two proxies, of which the outer reports no scheme": (
        f"for={CLIENT}, for=10.1.2.3;proto=https",
        (CLIENT, "https", ""),
    ),
    "no address": ("proto=https", (None, "https", "")),
    "a hidden client": ("for=unknown;proto=https", ("", "https", "")),
    "a whole element put in front": (f"for={LIE};proto=https;host=evil.example, for={CLIENT}", (CLIENT, "", "")),
    "in front of an element without an address": (f"for={LIE};host=evil.example, proto=https", (None, "https", "")),
    "in front of nothing": (f"for={LIE};host=evil.example, ", (None, "", "")),
    "after a hidden hop": (f"for={LIE};host=evil.example, for=_x, for=10.1.2.3", ("", "", "")),
    "nothing": ("", (None, "", "")),
}


@pytest.mark.parametrize("case", FORWARDINGS)
def test_what_forwarded_says(case: str) -> None:
    value, outcome = FORWARDINGS[case]
    assert said(value) == outcome


@pytest.mark.parametrize(
    "value",
    [
        f'for="{LIE}, for={CLIENT}',
        'for="x, for="[2001:db8::7]:1"',
        'for=x;y=", for="[2001:db8::7]";proto="https"',
        f"for={CLIENT};proto=ftp",
        f'for={CLIENT};host="a b"',
        "for=evil",
    ],
)
def test_a_quote_left_open_does_not_swallow_the_proxys_element(value: str) -> None:
    with pytest.raises(ProtocolError):
        said(value)


def test_forwarded_is_not_trusted_unless_it_is_named() -> None:
    assert read({FORWARDED: f"for={LIE};proto=https"}) == Origin()
    assert read({FORWARDED: f"for={LIE};proto=https", FOR: CLIENT}, names=DEFAULT_FIELDS).client == (CLIENT, "", False)


# Which fields are meant


@pytest.mark.parametrize("name", [*KNOWN.values(), REAL_IP, "HTTP_X_FORWARDED_SSL", "HTTP_X_FORWARDED_USER"])
def test_a_field_that_names_proxies_is_noticed(name: str) -> None:
    fields = {"HTTP_HOST": "x", name: "y"}
    assert forwarded.has_forwarded(fields)
    assert forwarded.forwarded_names(fields) == [name]
    assert forwarded.has_known(fields) is (name in KNOWN.values())


@given(
    st.dictionaries(
        st.sampled_from(
            [*KNOWN.values(), REAL_IP, "HTTP_X_FORWARDED_SSL", "HTTP_FORWARDED_BY", "HTTP_HOST", "HTTP_FOR"]
        )
        | st.from_regex(r"HTTP_[A-Z_]{1,12}", fullmatch=True),
        st.just("y"),
    )
)
def test_fields_of_proxies_are_never_missed(fields: dict[str, str]) -> None:
    if not forwarded.has_forwarded(fields):
        assert forwarded.forwarded_names(fields) == []
    if not forwarded.has_known(fields):
        for names in (X_FIELDS, ("forwarded",), ()):
            reader = ForwardedReader(TrustedNetworks(["*"]), names)
            assert reader.read(fields) == Origin()
            assert not fields.keys() & set(reader.dropped)


def test_other_fields_are_not() -> None:
    fields = {"HTTP_HOST": "x", "HTTP_X_REQUEST_ID": "y", "HTTP_NOT_FORWARDED": "z"}
    assert forwarded.forwarded_names(fields) == []
    assert not forwarded.has_known(fields)
    assert not forwarded.has_forwarded({"HTTP_HOST": "x", "HTTP_X_REQUEST_ID": "y"})


# Whatever comes

PIECES = st.sampled_from(
    [*',;="\\:[]. _\t%/', "for", "proto", "host", "10.0.0.1", "1.2.3.4", "::1", "[::1]", "unknown", "https", "/a", "80"]
)
VALUES = st.lists(PIECES, max_size=20).map("".join) | st.text(st.characters(max_codepoint=255), max_size=60)
IDENTITIES = st.one_of(st.ip_addresses().map(str), st.just("unknown"))


@given(st.dictionaries(st.sampled_from(list(KNOWN.values())), VALUES), st.booleans())
def test_any_value_is_read_or_refused_with_400(fields: dict[str, str], is_forwarded: bool) -> None:
    names = ("forwarded", "x-forwarded-port", "x-forwarded-prefix") if is_forwarded else X_FIELDS
    try:
        origin = read(fields, names=names)
    except ProtocolError as error:
        origin = Origin()
        status_code = error.status_code
    else:
        status_code = 400
    assert status_code == 400
    if origin.client is not None and origin.client.address:
        assert str(ipaddress.ip_address(origin.client.address)) == origin.client.address
    assert origin.scheme in ("", "http", "https")
    assert not origin.script_name or (origin.script_name[0] == "/" != origin.script_name[-1])
    assert not origin.port or 0 < int(origin.port) < 65536


@given(
    st.dictionaries(
        st.sampled_from(list(KNOWN.values())), VALUES | st.sampled_from(["https", "WSS", " http", "1.2.3.4"])
    )
)
def test_usual_fields_are_read_as_all_would_be(fields: dict[str, str]) -> None:
    def outcome(fields: dict[str, str], names: tuple[str, ...]) -> Origin | int:
        try:
            return read(fields, names=names)
        except ProtocolError as error:
            return error.status_code

    usual = {name: value for name, value in fields.items() if name in (FOR, PROTO)}
    assert outcome(fields, DEFAULT_FIELDS) == outcome(usual, X_FIELDS)


@given(VALUES, IDENTITIES)
def test_nothing_in_front_of_an_untrusted_address_changes_the_client(lie: str, client: str) -> None:
    assert read({FOR: f"{lie}, {client}"}, allowed=()).client == read({FOR: client}, allowed=()).client


@given(VALUES, IDENTITIES)
def test_nothing_in_front_of_a_forwarded_element_changes_the_client(lie: str, client: str) -> None:
    own = f'for="{f"[{client}]" if ":" in client else client}";proto=https;host=shop.example'
    reader = ForwardedReader(TrustedNetworks(()), ("forwarded",))
    try:
        origin = reader.read({FORWARDED: f"{lie}, {own}"})
    except ProtocolError:
        return
    assert origin == reader.read({FORWARDED: own})


@given(st.lists(st.tuples(st.sampled_from(["for", "by", "x"]), VALUES), max_size=3, unique_by=lambda pair: pair[0]))
def test_forwarded_that_was_written_rightly_is_read_back(pairs: list[tuple[str, str]]) -> None:
    pairs = [(name, "".join(c for c in value if c == "\t" or " " <= c <= "~" or c > "\x9f")) for name, value in pairs]
    written = ";".join(name + '="' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for name, value in pairs)
    assert parse_forwarded(written) == [dict(pairs)]
