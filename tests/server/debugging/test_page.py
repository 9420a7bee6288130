"""The pages about an exception, by the applications that raise them."""

import json
import re
import threading

import pytest

from ropewalk.debugging.middleware import WAIT, Debugger
from ropewalk.debugging.origin import IS_PROXIED, Guard
from ropewalk.debugging.secrets import MASK
from ropewalk.errors import ConfigError

EVIL = "<script>alert(1)</script>"


def environ_of(accept="text/html", **more):
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/x",
        "RAW_URI": f"/x?q={EVIL}",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": accept,
        "HTTP_USER_AGENT": EVIL,
        "HTTP_COOKIE": "sessionid=verysecret",
        "ropewalk.peer": "127.0.0.1",
        "REMOTE_ADDR": "127.0.0.1",
        IS_PROXIED: False,
        "wsgi.input": None,
    } | more


def debugger(is_ending=None):
    guard = Guard(["127.0.0.1"], [], is_proxy_allowed=False)
    return Debugger(guard, is_ending, shows_locals=True, generation="7")


def raising(environ, start_response):
    password = "hunter2secret"
    text = EVIL
    try:
        {}[text]
    except KeyError as error:
        raise ValueError(f"{text} with {password}") from error


def failing_late(environ, start_response):
    start_response("200 OK", [])
    yield b""
    raising(environ, start_response)


def run(application, environ):
    responses = []
    iterable = application(environ, lambda status, headers, exc_info=None: responses.append((status, dict(headers))))
    content = b"".join(iterable)
    if hasattr(iterable, "close"):
        iterable.close()
    status, headers = responses[-1]
    return status, headers, content.decode()


@pytest.mark.parametrize("application", [raising, failing_late])
def test_page_shows_the_exception_and_escapes_everything(application):
    status, headers, page = run(debugger().watching(application), environ_of())
    assert status.startswith("500 ")
    assert EVIL not in page
    for part in (
        "ValueError",
        "KeyError",
        "raising",
        "test_page.py",
        "Variables",
        "was raised from this one",
        "User-Agent",
    ):
        assert part in page
    assert "hunter2secret" not in page
    assert "verysecret" not in page
    assert MASK in page
    assert re.search(r"default-src 'none'; .*frame-ancestors 'none'", headers["Content-Security-Policy"])
    assert headers["Cache-Control"] == "no-store"
    assert "<script" not in page  # nothing watches files, and so nothing is waited for


def test_programs_and_terminals_get_what_they_read():
    _, headers, text = run(debugger().watching(raising), environ_of("*/*"))
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text.startswith("Traceback (most recent call last):\n")
    assert "hunter2secret" not in text
    _, headers, text = run(debugger().watching(raising), environ_of("application/json"))
    assert headers["Content-Type"] == "application/json"
    found = json.loads(text)
    assert (found["error"], found["traceback"][0]["error"]) == ("ValueError", "KeyError")
    assert "hunter2secret" not in text


def test_others_get_what_the_server_makes_of_an_exception():
    with pytest.raises(ValueError, match="script"):
        run(debugger().watching(raising), environ_of(REMOTE_ADDR="9.9.9.9"))
    status, _, text = run(debugger().showing(ConfigError("a", "b", "inside")), environ_of(HTTP_HOST="evil.example"))
    assert status.startswith("500 ")
    assert text == "The application cannot be loaded. The terminal of the server says why.\n"


def test_response_of_a_working_application_is_passed_on():
    content = [b"a"]
    assert debugger().watching(lambda environ, start_response: content)(environ_of(), None) is content


def test_iterable_is_closed():
    closed = []

    class Iterable:
        def __iter__(self):
            return iter([b"a"])

        def close(self):
            closed.append(True)

    def application(environ, start_response):
        start_response("200 OK", [])
        return Iterable()

    assert run(debugger().watching(application), environ_of())[2] == "a"
    assert closed == [True]


def test_page_about_loading_shows_the_line_of_a_syntax_error(tmp_path):
    (tmp_path / "broken.py").write_text("a = 1\nb = (\n")
    try:
        compile((tmp_path / "broken.py").read_text(), str(tmp_path / "broken.py"), "exec")
    except SyntaxError as error:
        raised = error
    _, _, page = run(debugger(threading.Event()).showing(raised), environ_of())
    assert "The application cannot be loaded" in page
    assert "<span class=now><i>2</i>b = (</span>" in page
    assert "This page loads itself again" in page
    assert "Send the form again" not in page
    assert 'data-generation="7"' in page


def test_page_after_a_form_says_that_it_does_not_load_itself_again():
    _, _, page = run(debugger(threading.Event()).watching(raising), environ_of(REQUEST_METHOD="POST"))
    assert "<script" not in page  # it would send the form again
    assert "Send the form again once this is mended" in page
    _, _, page = run(debugger().watching(raising), environ_of(REQUEST_METHOD="POST"))
    assert "Send the form again" not in page  # nothing watches files: a page never loads itself again


def test_only_a_worker_of_a_later_generation_has_a_page_load_itself_again():
    is_ending = threading.Event()
    is_ending.set()
    application = debugger(is_ending).answering(raising)
    assert run(application, environ_of(**{WAIT: "7"}))[0] == "205 Reset Content"  # the old error would come again
    assert run(application, environ_of(**{WAIT: "6"}))[0] == "204 No Content"
    for later in ("8", "10"):  # the connection to a worker that was replaced is still open
        assert run(application, environ_of(**{WAIT: later}))[0] == "205 Reset Content"
    for other in ("", "x", "-1", "²", "6" * 5000):
        expected = "204 No Content" if not other.startswith("6") else "205 Reset Content"
        assert run(application, environ_of(**{WAIT: other}))[0] == expected
    with pytest.raises(ValueError, match="script"):
        run(application, environ_of(**{WAIT: "7", "REMOTE_ADDR": "9.9.9.9"}))


def test_page_of_a_server_with_reload_does_not_wait_where_nothing_watches_files():
    environ = environ_of(**{WAIT: "6"})
    assert run(debugger().answering(raising), environ)[0] == "204 No Content"


def test_exception_that_handling_it_raises_again_is_shown_once(capfd):
    def fail():
        raise ValueError("wrong")

    def call(number):
        try:
            if number:
                call(number - 1)
        finally:
            fail()

    def application(environ, start_response):
        call(8)

    _, _, page = run(debugger().watching(application), environ_of())
    assert page.count("ValueError: wrong\n") == 1
    assert capfd.readouterr().err.count("ValueError: ") == 1


def test_deep_recursion_is_shortened():
    def deep(environ, start_response):
        return deep(environ, start_response)

    _, _, page = run(debugger().watching(deep), environ_of())
    assert "more calls" in page
    assert len(page) < 2_000_000


def test_page_says_that_the_application_returned_none():
    status, _, page = run(debugger().watching(lambda environ, start_response: None), environ_of())
    assert status.startswith("500 ")
    assert "the application returned None, not an iterable of bytes" in page
    assert "NoneType" not in page
