"""deploy/app/debug_page.py: what `make dev` shows for an exception of an application without a debugger."""

import io

import pytest

from debug_page import DebugPage


class Response:
    """What a server would send."""

    def __init__(self, application):
        self.errors = io.StringIO()
        self.begun = False
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/<b>", "wsgi.errors": self.errors}
        iterable = DebugPage(application)(environ, self.start)
        self.content = b"".join(self.chunks(iterable)).decode()
        iterable.close()

    def start(self, status, headers, exc_info=None):
        if exc_info and self.begun:
            raise exc_info[1]
        self.status, self.headers = status, dict(headers)

    def chunks(self, iterable):
        for chunk in iterable:
            self.begun = True
            yield chunk


class Content:
    def __init__(self, *chunks):
        self.chunks = chunks
        self.is_closed = False

    def __iter__(self):
        for chunk in self.chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def close(self):
        self.is_closed = True


def test_response_that_does_not_fail_is_as_it_was():
    content = Content(b"a", b"b")
    response = Response(lambda environ, start: start("200 OK", [("A", "b")]) or content)
    assert (response.status, response.headers, response.content) == ("200 OK", {"A": "b"}, "ab")
    assert content.is_closed
    assert not response.errors.getvalue()


def fail(environ, start_response):
    raise ValueError("no <script>")


def test_exception_is_a_page_and_in_the_log():
    response = Response(fail)
    assert response.status == "500 Internal Server Error"
    assert int(response.headers["Content-Length"]) == len(response.content.encode())
    assert "<h1>ValueError: no &lt;script&gt;</h1><p><code>GET /&lt;b&gt;</code>" in response.content
    assert "in fail\n    raise ValueError(" in response.content
    assert "app/debug_page.py" not in response.content
    assert response.errors.getvalue().endswith("ValueError: no <script>\n")


def test_exception_of_the_content_is_a_page_unless_some_of_it_was_sent():
    content = Content(KeyError("name"))
    assert "<h1>KeyError" in Response(lambda environ, start: start("200 OK", []) or content).content
    assert content.is_closed
    with pytest.raises(KeyError):
        Response(lambda environ, start: start("200 OK", []) or Content(b"a", KeyError("name")))
