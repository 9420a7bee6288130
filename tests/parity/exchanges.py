"""The table of exchanges: what a visitor says, one function or one row each. What comes back is compared."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.helpers.parity.prepare import PAPER_CONTENT, PAPER_ETAG, PAPER_PATH
from tests.helpers.parity.visitor import HOST, MULTIPART, Visitor, multipart

PROCESSES, CONTAINERS = "processes", "containers"
EVERYWHERE = (PROCESSES, CONTAINERS)

LINE = {"kind": "arrival", "vessel": "Jolle Måås", "text": "Läcker.\r\nThen & there <b>.", "signed": "Ek"}
JSON = {"Content-Type": "application/json"}
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    visit: Callable[[Visitor], object]
    where: tuple[str, ...] = EVERYWHERE
    codes: tuple[int, ...] | None = None  # what the answers must be, on both sides; or else two wrongs are equal


EXCHANGES: list[Exchange] = []


def exchange(*codes: int, where: tuple[str, ...] = EVERYWHERE):
    """Adds a function to the table. `codes` are the status codes of its answers, in order."""

    def add(visit: Callable[[Visitor], object]) -> Callable[[Visitor], object]:
        EXCHANGES.append(Exchange(visit.__name__, visit, where, codes or None))
        return visit

    return add


def row(name: str, request: str, *codes: int, body: bytes | None = None, where: tuple[str, ...] = EVERYWHERE) -> None:
    """Adds one request: "METHOD TARGET", or with fields on the lines below. Host is added; so is a body's length."""
    first, *lines = request.split("\n")
    method, target = first.split(" ", 1)
    fields = [tuple(line.strip().split(": ", 1)) for line in lines]
    EXCHANGES.append(Exchange(name, lambda visitor: visitor.ask(method, target, fields, body), where, codes or None))


def raw(name: str, data: bytes, *codes: int, methods: str = "GET", where: tuple[str, ...] = EVERYWHERE) -> None:
    """Adds bytes that go out as they are, and so many answers to them; `methods` are their requests' methods."""

    def visit(visitor: Visitor) -> None:
        visitor.send(data)
        for method in methods.split():
            visitor.receive(method)

    EXCHANGES.append(Exchange(name, visit, where, codes or None))


# Pages

row("home", "GET /", 200)
row("home by HEAD", "HEAD /", 200)
row("home with an empty query", "GET /?", 200)
row("second page of the log", "GET /?page=2", 200)
row("a page that is no number", "GET /?page=%C3%A4", 200)
row("not found", "GET /nowhere", 404)
row("not found by HEAD", "HEAD /nowhere", 404)
row("not found by POST with a body", "POST /nowhere", 404, body=b"x" * 1000)
row("an error of the application", "GET /raise", 500)
row("an error of the application by HEAD", "HEAD /raise", 500)
row("an error of the application by POST", "POST /raise", 500, body=b"a=b")
row("a redirect", "GET /redirect", 302)
row("a redirect by HEAD", "HEAD /redirect", 302)
row("a redirect that appends a slash", "GET /admin", 301)
row("the login page of the admin", "GET /admin/login/", 200)
row("cookies", "GET /cookies", 200)
row("method not allowed", "DELETE /", 403)
row("method not allowed, safe", "PUT /served-by", 403)
row("options of a class-based view", "OPTIONS /login", 200)
row("options of a function", "OPTIONS /api/entries", 405)
row("health", "GET /healthz", 200)
row("health by POST", "POST /healthz", 405, body=b"")
row("a short wait", "GET /slow?seconds=0.05", 200)
row("a wait that is refused", "GET /slow?seconds=1000", 400)


@exchange(200, 302, 200)
def redirect_followed(visitor: Visitor) -> None:
    visitor.get("/cookies")
    location = visitor.get("/redirect").get("Location")
    visitor.get(location)


# Forms and CSRF


@exchange(200, 302, 200)
def form(visitor: Visitor) -> None:
    visitor.form("/", LINE)
    visitor.get("/")


@exchange(200, 422)
def form_with_errors(visitor: Visitor) -> None:
    visitor.form("/", LINE | {"vessel": "123", "text": "", "kind": "no such"})


@exchange(403)
def form_without_cookie_and_token(visitor: Visitor) -> None:
    visitor.form("/", LINE, token="")


@exchange(200, 403)
def form_without_token(visitor: Visitor) -> None:
    visitor.get("/")
    visitor.form("/", LINE, token="")


@exchange(200, 403)
def form_with_a_wrong_token(visitor: Visitor) -> None:
    visitor.get("/")
    visitor.form("/", LINE, token="x" * 64)


@exchange(200, 302)
def form_from_the_same_origin(visitor: Visitor) -> None:
    visitor.form("/", LINE, Origin=f"http://{HOST}")


@exchange(200, 403)
def form_from_another_origin(visitor: Visitor) -> None:
    visitor.form("/", LINE, Origin="https://evil.example")


@exchange(200, 302)
def form_as_multipart(visitor: Visitor) -> None:
    values = LINE | {"csrfmiddlewaretoken": visitor.token("/")}
    visitor.ask("POST", "/", MULTIPART, multipart(values, ("unasked.bin", b"\0" * 100)))


@exchange(200, 403)
def form_that_is_empty(visitor: Visitor) -> None:
    visitor.get("/")
    visitor.ask("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, b"")


@exchange(200, 400)
def form_that_is_too_large(visitor: Visitor) -> None:
    visitor.form("/", LINE | {"text": "x" * (2 * MIB)})


@exchange(200, 302, 200)
def form_in_small_pieces(visitor: Visitor) -> None:
    token = visitor.token("/")
    body = f"csrfmiddlewaretoken={token}&kind=notice&vessel=Eka&text=Small&signed=Ek".encode()
    fields = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
    data = visitor.head("POST", "/", fields) + body
    for start in range(0, len(data), 97):
        visitor.send(data[start : start + 97])
    visitor.receive("POST")
    visitor.get("/")


# Sessions


@exchange(200, 200)
def login_refused(visitor: Visitor) -> None:
    visitor.form("/login", {"username": "sailor", "password": "guess", "next": ""})


@exchange(200, 302, 200, 302, 200)
def login_and_logout(visitor: Visitor) -> None:
    visitor.log_in()
    token = visitor.token("/")
    visitor.form("/logout", {}, token=token)
    visitor.get("/")


@exchange(302, 200, 302)
def login_on_the_way(visitor: Visitor) -> None:
    page = visitor.get("/papers").get("Location")
    visitor.form(page, {"username": "sailor", "password": "hemp-and-tar-9", "next": "/papers"})


@exchange(200, 302)
def login_sends_nobody_to_another_site(visitor: Visitor) -> None:
    values = {"username": "sailor", "password": "hemp-and-tar-9", "next": "https://evil.example/"}
    visitor.form("/login", values)


@exchange(200, 302, 200)
def admin(visitor: Visitor) -> None:
    visitor.log_in("master")
    visitor.get("/admin/harbour/entry/?q=boat&kind__exact=notice")


@exchange(200, 302, 302)
def entry_of_another_is_not_struck(visitor: Visitor) -> None:
    visitor.form("/", LINE)
    visitor.form("/entries/1/delete", {}, token=visitor.cookies["csrftoken"])


# The API

row("entries as JSON", "GET /api/entries/12", 200)
row("an entry that is not there", "GET /api/entries/4711", 404)


@exchange(200, 201, 200, 304)
def api_entry_added(visitor: Visitor) -> None:
    token = visitor.token("/")
    added = visitor.ask("POST", "/api/entries", JSON | {"X-CSRFToken": token}, json.dumps(LINE).encode())
    entry = visitor.get(added.get("Location"))
    visitor.get(added.get("Location"), If_None_Match=entry.get("ETag"))


@exchange(200, 400, 422, 415)
def api_refuses_what_is_no_entry(visitor: Visitor) -> None:
    token = visitor.token("/")
    visitor.ask("POST", "/api/entries", JSON | {"X-CSRFToken": token}, b"{")
    visitor.ask("POST", "/api/entries", JSON | {"X-CSRFToken": token}, b"{}")
    visitor.ask("POST", "/api/entries", {"Content-Type": "text/plain", "X-CSRFToken": token}, b"{}")


# Targets

row("a query", "GET /api/echo?a=1&a=2&b=%20%2B+&c&=&%C3%A4=%E2%82%AC", 200)
row("a query with raw reserved characters", "GET /api/echo?a=/?:@!$'()*,;", 200)
row("a query that is invalid UTF-8", "GET /api/echo?a=%FF%FE", 200)
row("a percent-encoded path", "GET /api/echo/%61%20b%2bc+d", 200)
row("an encoded slash", "GET /api/echo/a%2Fb%2fc", 200)
row("an encoded percent sign", "GET /api/echo/100%25%2541", 200)
row("an encoded question mark", "GET /api/echo/a%3Fb%23c", 200)
row("a path outside of ASCII", "GET /h%C3%A4fen/malm%C3%B6", 200)
row("a path outside of ASCII, decomposed", "GET /ha%CC%88fen/x", 404)
row("a path that is invalid UTF-8", "GET /api/echo/%FF%FEx", 200)
row("a path with raw octets", "GET /h\xc3\xa4fen/malm\xc3\xb6", 400)
row("two slashes first", "GET //api/echo/x", 404, where=(PROCESSES,))  # nginx merges them
row("two slashes within", "GET /api/echo/a//b", 200)
row("a semicolon", "GET /api/echo/a;b=c,d", 200)
row("a long target", "GET /api/echo/" + "a" * 2000 + "?" + "b" * 1900, 200)
row("a target near the limit", "GET /api/echo/" + "a" * 4000 + "?" + "b" * 4100, 200)
raw("an absolute target", b"GET http://localhost/api/echo/x?y HTTP/1.1\r\nHost: localhost\r\n\r\n", 200)

# Fields

row("many fields", "GET /api/echo" + "".join(f"\nX-Field-{n}: {n}" for n in range(80)), 200)
row("a large field", "GET /api/echo\nX-Large: " + "y" * 7000, 200)
row("several large fields", "GET /api/echo" + "".join(f"\nX-Large-{n}: " + "z" * 6000 for n in range(3)), 200)
row("a field outside of ASCII", "GET /api/echo\nX-Name: \xc3\x85hus \xe9", 200)
row("a field twice", "GET /api/echo\nX-Twice: one\nX-Twice: two", 200)
row("a field with inner blanks", "GET /api/echo\nX-Blank: a  b\tc", 200)
row("field names in every case", "GET /api/echo\nx-LOW-hIgH: a\nACCEPT: */*\nuser-agent: rope", 200)
row("an underscore in a field name", "GET /api/echo\nX_Under: a\nX-Under: b", 200)
row("cookies that a client sends", 'GET /api/echo\nCookie: a=1; b="two words"; sessionid=secret', 200)
row("forwarded fields", "GET /api/echo\nX-Forwarded-Proto: http", 200)
raw(
    "blanks around a value",
    b"GET /api/echo HTTP/1.1\r\nHost:localhost\r\nX-None:\r\nX-Around: \t a \t \r\nX-Only:   \r\n\r\n",
    200,
)

# Methods and bodies

for _method in ("PUT", "PATCH", "DELETE", "REPORT"):
    row(f"a body by {_method}", f"{_method} /api/echo\nContent-Type: text/plain", 200, body=b"hemp")
row("OPTIONS with a body", "OPTIONS /api/echo", 200, body=b"hemp")
row("GET with a body", "GET /api/echo", 200, body=b"hemp")
row("a body of no length", "POST /api/echo", 200, body=b"")
row("a body of every octet", "POST /api/echo\nContent-Type: image/png", 200, body=bytes(range(256)))
row("a body of a megabyte", "POST /api/echo\nContent-Type: text/plain", 200, body=b"strand" * (MIB // 6))
row("POST without a body", "POST /api/echo", 200)


@exchange(200)
def chunked_body(visitor: Visitor) -> None:
    visitor.chunked("POST", "/api/echo", {"Content-Type": "text/plain"}, [b"hemp", b"tar" * 1000, b"x"])


@exchange(200)
def chunked_body_in_many_small_chunks(visitor: Visitor) -> None:
    visitor.chunked("PUT", "/api/echo", {}, [b"y"] * 2000)


@exchange(200)
def chunked_body_that_is_empty(visitor: Visitor) -> None:
    visitor.chunked("POST", "/api/echo", {}, [])


@exchange(200)
def chunked_body_with_trailers(visitor: Visitor) -> None:
    visitor.chunked("POST", "/api/echo", {"Trailer": "X-Sum"}, [b"hemp"], b"0\r\nX-Sum: 4\r\n\r\n")


@exchange(200, 422)
def chunked_form(visitor: Visitor) -> None:
    body = f"csrfmiddlewaretoken={visitor.token('/')}&kind=notice&vessel=123&text=Chunks&signed=Ek".encode()
    visitor.chunked("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, [body[:50], body[50:]])


@exchange(200)
def expect_continue(visitor: Visitor) -> None:
    """A client that waits: the final answer comes after 100 (Continue) and the body."""
    fields = {"Content-Length": "4", "Expect": "100-continue"}
    visitor.send(visitor.head("POST", "/api/echo", fields))
    assert visitor.receive_interim() == "HTTP/1.1 100 Continue"
    visitor.send(b"hemp")
    visitor.receive("POST")


@exchange(403)
def body_that_nobody_reads(visitor: Visitor) -> None:
    """The rest of it is not read as the next request."""
    visitor.ask("POST", "/stream", {"Content-Type": "text/plain"}, b"GET /evil HTTP/1.1\r\n\r\n" * 2000)


@exchange(403)
def large_body_that_nobody_reads(visitor: Visitor) -> None:
    visitor.ask("POST", "/stream", {"Content-Type": "text/plain"}, b"GET /evil HTTP/1.1\r\n\r\n" * 20_000)


# Upload and download


@exchange(200, 302, 200, 302, 200, 200, 302)
def upload_of_20_megabytes(visitor: Visitor) -> None:
    visitor.log_in()
    content = b"".join(b"%09d strand\n" % line for line in range(20 * MIB // 17))
    values = {"title": "Twenty", "csrfmiddlewaretoken": visitor.token("/papers")}
    visitor.ask("POST", "/papers", MULTIPART, multipart(values, ("twenty.bin", content)))
    path = newest_paper(visitor)
    assert visitor.get(path).body == content
    visitor.form(f"{path}/delete", {}, token=visitor.cookies["csrftoken"])


@exchange(200, 302, 200, 422)
def upload_that_is_too_large(visitor: Visitor) -> None:
    visitor.log_in()
    values = {"title": "Large", "csrfmiddlewaretoken": visitor.token("/papers")}
    visitor.ask("POST", "/papers", MULTIPART, multipart(values, ("large.bin", b"\0" * (65 * MIB))))


@exchange(200, 302, 200, 302)
def upload_in_chunks(visitor: Visitor) -> None:
    visitor.log_in()
    values = {"title": "Chunks", "csrfmiddlewaretoken": visitor.token("/papers")}
    content = b"tar" * MIB
    body = multipart(values, ("chunks.bin", content))
    pieces = [body[start : start + 100_000] for start in range(0, len(body), 100_000)]
    if visitor.chunked("POST", "/papers", MULTIPART, pieces).code != 302:
        return  # that is compared
    compared = len(visitor.answers)
    path = newest_paper(visitor)
    assert visitor.get(path).body == content
    visitor.form(f"{path}/delete", {}, token=visitor.cookies["csrftoken"])  # both have the same papers again
    del visitor.answers[compared:]


def newest_paper(visitor: Visitor) -> str:
    page = visitor.get("/papers").body
    return page.partition(b'<ul class="papers">')[2].partition(b'href="')[2].partition(b'"')[0].decode()


@exchange(200, 200)
def download(visitor: Visitor) -> None:
    assert visitor.get(PAPER_PATH).body == PAPER_CONTENT
    visitor.get("/healthz")


row("download by HEAD", f"HEAD {PAPER_PATH}", 200)
row("download by POST", f"POST {PAPER_PATH}", 403, body=b"a=b")
row("download of what is not there", f"GET {PAPER_PATH[:-1]}2", 404)
for _range, _code in {
    "bytes=0-0": 206,
    "bytes=1000-200999": 206,
    "bytes=290000-": 206,
    "bytes=-7": 206,
    "bytes=100-999999999": 206,
    "bytes=999999999-": 416,
    "bytes=-0": 416,
    "bytes=0-1,5-9": 200,
    "bytes=9-1": 200,
    "lines=1-2": 200,
}.items():
    row(f"download of {_range}", f"GET {PAPER_PATH}\nRange: {_range}", _code)
row("range by HEAD", f"HEAD {PAPER_PATH}\nRange: bytes=0-9", 200)
row("range if it is the same", f"GET {PAPER_PATH}\nRange: bytes=5-9\nIf-Range: {PAPER_ETAG}", 206)
row("range if it is another", f'GET {PAPER_PATH}\nRange: bytes=5-9\nIf-Range: "other"', 200)
for _condition, _code in {
    f"If-None-Match: {PAPER_ETAG}": 304,
    f'If-None-Match: "a", W/{PAPER_ETAG}': 304,
    "If-None-Match: *": 304,
    'If-None-Match: "other"': 200,
    "If-Modified-Since: Mon, 01 Jun 2020 12:30:00 GMT": 304,
    "If-Modified-Since: Mon, 01 Jun 2020 12:29:59 GMT": 200,
    "If-Modified-Since: yesterday": 200,
    f"If-Match: {PAPER_ETAG}": 200,
    'If-Match: "other"': 412,
    "If-Unmodified-Since: Mon, 01 Jun 2020 12:29:59 GMT": 412,
}.items():
    row(f"download {_condition}", f"GET {PAPER_PATH}\n{_condition}", _code)
row("a condition by HEAD", f"HEAD {PAPER_PATH}\nIf-None-Match: {PAPER_ETAG}", 304)

# Streaming

row("the log as CSV", "GET /log.csv", 200)
row("the log as CSV, slowly", "GET /log.csv?delay=0.01", 200)
row("the log as CSV by HEAD", "HEAD /log.csv", 200)
row("a stream", "GET /stream?pieces=50&size=1000", 200)
row("a stream of large pieces", "GET /stream?pieces=8&size=1000000", 200)
row("a stream of single octets", "GET /stream?pieces=300&size=1", 200)
row("a stream of nothing", "GET /stream?pieces=0", 200)
row("a slow stream", "GET /stream?pieces=4&delay=0.03", 200)

# Connections


@exchange(200, 404, 500, 200, 302, 200)
def one_connection_for_many_requests(visitor: Visitor) -> None:
    for target in ("/", "/nowhere", "/raise", "/stream?pieces=3", "/redirect"):
        visitor.get(target)
    visitor.ask("HEAD", "/")


row("a connection that the client closes", "GET /api/echo\nConnection: close", 200)
row("a stream on a connection that closes", "GET /stream?pieces=3\nConnection: close", 200)
row("Connection with several options", "GET /api/echo\nX-Hop: 1\nConnection: x-hop, Close", 200)
_GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
raw(
    "requests one after another",
    _GET % b"/api/echo/1" + _GET % b"/stream?pieces=2" + _GET % b"/nowhere" + _GET % b"/healthz",
    *(200, 200, 404, 200),
    methods="GET GET GET GET",
)
raw(
    "a request after a body",
    b"POST /api/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nhemp" + _GET % b"/healthz",
    *(200, 200),
    methods="POST GET",
)
raw("empty lines before a request", b"\r\n" + _GET % b"/healthz", 200)
raw("HTTP/1.0", b"GET /api/echo HTTP/1.0\r\nHost: localhost\r\n\r\n", 200)
raw("HTTP/1.0 without a host", b"GET /healthz HTTP/1.0\r\n\r\n", 200)
raw("HTTP/1.0 by HEAD", b"HEAD / HTTP/1.0\r\nHost: localhost\r\n\r\n", 200, methods="HEAD")
raw("HTTP/1.0 and a stream", b"GET /stream?pieces=3 HTTP/1.0\r\nHost: localhost\r\n\r\n", 200)
raw(
    "HTTP/1.0 and a body",
    b"POST /api/echo HTTP/1.0\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nhemp",
    200,
    methods="POST",
)
raw(
    "HTTP/1.0 that keeps the connection",
    b"GET /api/echo HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
    200,
)
raw("a host that is not allowed", b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400, where=(PROCESSES,))

# What a server refuses by itself; intended.py has what each says to it. nginx would refuse most of it first.

_HOST = b"Host: localhost\r\n"
_POST = b"POST /api/echo HTTP/1.1\r\n" + _HOST
_ECHO = b"GET /api/echo HTTP/1.1\r\n"
REFUSED = {
    "a field that is too large": _ECHO + _HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n",
    "too many fields": _ECHO + _HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(101)) + b"\r\n",
    "a target that is too long": b"GET /" + b"a" * 8200 + b" HTTP/1.1\r\n" + _HOST + b"\r\n",
    "two hosts": _ECHO + _HOST + _HOST + b"\r\n",
    "no host": _ECHO + b"\r\n",
    "a signed length": _POST + b"Content-Length: +4\r\n\r\nhemp",
    "two lengths": _POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nhemp!",
    "a length and a transfer coding": _POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown transfer coding": _POST + b"Transfer-Encoding: hemp\r\n\r\n",
    "a blank before the colon": _ECHO + _HOST + b"X : 1\r\n\r\n",
    "lines that end with LF": b"GET /api/echo HTTP/1.1\nHost: localhost\n\n",
    "a folded line": _ECHO + _HOST + b"X: 1\r\n 2\r\n\r\n",
    "a NUL in a field": _ECHO + _HOST + b"X: a\0b\r\n\r\n",
    "an expectation nobody knows": _POST + b"Expect: miracles\r\nContent-Length: 4\r\n\r\nhemp",
    "a fragment": b"GET /api/echo#part HTTP/1.1\r\n" + _HOST + b"\r\n",
    "HTTP/2.0 in a request line": b"GET /api/echo HTTP/2.0\r\n" + _HOST + b"\r\n",
    "a method in small letters": b"get /healthz HTTP/1.1\r\n" + _HOST + b"\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}
for _name, _data in REFUSED.items():
    raw(_name, _data, where=(PROCESSES,))
raw("two Cookie fields", _ECHO + _HOST + b"Cookie: a=1\r\nCookie: b=2\r\n\r\n", 200)
row("a method of one's own", "BREW /api/echo", 200)

# Static files, as nginx serves them

row("a static file", "GET /static/harbour/site.css", 200, where=(CONTAINERS,))
row("a static file by HEAD", "HEAD /static/harbour/site.css", 200, where=(CONTAINERS,))
row("a range of a static file", "GET /static/harbour/site.css\nRange: bytes=10-19", 206, where=(CONTAINERS,))
row("a static file, compressed", "GET /static/harbour/site.css\nAccept-Encoding: gzip", 200, where=(CONTAINERS,))
row("a static file that is not there", "GET /static/harbour/none.css", 404, where=(CONTAINERS,))
row("a page, compressed", "GET /nowhere\nAccept-Encoding: br", 404, where=(CONTAINERS,))


@exchange(200, 200, 304, where=(CONTAINERS,))
def static_file_with_a_hash(visitor: Visitor) -> None:
    page = visitor.get("/login").body.decode()
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    style = visitor.get(path)
    assert "immutable" in style.get("Cache-Control")
    visitor.get(path, If_None_Match=style.get("ETag"))


# What served it

row("served by", "GET /api/served-by", 200)
