from __future__ import annotations

import gc
import gzip
import os
import re
import tempfile
import threading
import weakref
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from ropewalk.errors import ApplicationError
from ropewalk.wsgi import response_head
from tests.helpers.embedded import Talk, answering
from tests.helpers.http_client import GET


def request(method: str = "GET", version: str = "1.1", close: bool = True) -> bytes:
    fields = "Connection: close\r\n" if close and version == "1.1" else ""
    return f"{method} / HTTP/{version}\r\nHost: x\r\n{fields}\r\n".encode()


def content_of(response: bytes) -> bytes:
    return response.split(b"\r\n\r\n", 1)[1]


class TestFraming:
    def test_the_response_of_a_list_has_its_length(self, talk: Talk) -> None:
        response = talk.ask(answering([b"one", b"two"]))
        assert b"Content-Length: 6\r\n" in response
        assert content_of(response) == b"onetwo"

    def test_the_response_of_an_iterator_is_chunked(self, talk: Talk) -> None:
        response = talk.ask(answering(lambda: iter([b"one", b"", b"two"])))
        assert b"Transfer-Encoding: chunked\r\n" in response
        assert content_of(response) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"

    def test_an_iterator_for_http_1_0_ends_with_the_connection(self, talk: Talk) -> None:
        response = talk.ask(answering(lambda: iter([b"one", b"two"])), request(version="1.0"))
        assert b"Transfer-Encoding" not in response
        assert b"Connection: close\r\n" in response
        assert content_of(response) == b"onetwo"

    def test_an_empty_iterator_is_an_empty_response(self, talk: Talk) -> None:
        response = talk.ask(answering(lambda: iter([])))
        assert b"Content-Length: 0\r\n" in response

    @pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
    def test_a_response_that_may_have_no_content_has_none(self, talk: Talk, status: str) -> None:
        response = talk.ask(answering([b"never"], status))
        assert content_of(response) == b""
        assert b"Content-Length" not in response
        assert b"Transfer-Encoding" not in response

    def test_204_loses_the_content_length_that_a_framework_sets(self, talk: Talk) -> None:
        assert b"Content-Length" not in talk.ask(answering([], "204 No Content", [("Content-Length", "0")]))

    def test_205_never_has_content(self, talk: Talk) -> None:
        for headers in ([], [("Content-Length", "5")]):
            response = talk.ask(answering([b"never"], "205 Reset Content", headers))
            assert content_of(response) == b""
            assert response.count(b"Content-Length: ") == response.count(b"Content-Length: 0\r\n") == 1

    def test_head_has_the_fields_of_get_and_no_content(self, talk: Talk) -> None:
        response = talk.ask(answering([b"content"], headers=[("Content-Length", "7")]), request("HEAD"))
        assert b"Content-Length: 7\r\n" in response
        assert content_of(response) == b""

    def test_head_of_an_iterator_has_no_content(self, talk: Talk) -> None:
        assert content_of(talk.ask(answering(lambda: iter([b"a", b"b"])), request("HEAD"))) == b""

    def test_date_and_server_are_added_once(self, talk: Talk) -> None:
        response = talk.ask(answering())
        assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", response)
        assert b"\r\nServer: ropewalk\r\n" in response

    def test_an_applications_own_date_and_server_stand_alone(self, talk: Talk) -> None:
        response = talk.ask(answering(headers=[("Date", "x"), ("server", "mine")]))
        assert response.count(b"Date: ") == 1
        assert response.lower().count(b"server: ") == 1

    def test_the_server_field_can_be_left_out(self, talk: Talk) -> None:
        assert b"Server" not in talk.ask(answering(), server_header="")

    def test_keep_alive_is_announced_to_http_1_0_only(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(answering()))
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert b"Connection: keep-alive\r\n" in client.read_response()[0]
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"Connection" not in client.read_response()[0]


class TestStartResponse:
    @pytest.mark.parametrize(
        ("status", "headers"),
        [
            ("200", None),
            ("OK", None),
            ("99 Low", None),
            ("1000 High", None),
            ("0200 Low", None),
            ("100 Continue", None),
            ("200 OK\r\nX: y", None),
            (200, None),
            (b"200 OK", None),
            ("200 OK", [("Content-Length", "-1")]),
            ("200 OK", [("Content-Length", "+1")]),
            ("200 OK", [("Content-Length", "1"), ("content-length", "1")]),
            ("200 OK", [("Content-Length", "")]),
            ("200 OK", [("Transfer-Encoding", "chunked")]),
            ("200 OK", [("upgrade", "websocket")]),
            ("200 OK", [("X-A", "a\r\nX-B: b")]),
            ("200 OK", [("X-A", "a\nb")]),
            ("200 OK", [("X-A", "a\0b")]),
            ("200 OK", [("X A", "a")]),
            ("200 OK", [("X-A: b\r\nX-C", "a")]),
            ("200 OK", [("", "a")]),
            ("200 OK", [("X-A", 1)]),
            ("200 OK", [("X-A", b"a")]),
            ("200 OK", [("X-A", "€")]),
            ("200 OK", [["X-A", "a"]]),
            ("200 OK", {"X-A": "a"}),
            ("200 OK", None),
        ],
    )
    def test_what_is_malformed_is_a_500(self, talk: Talk, status: Any, headers: Any) -> None:
        if (status, headers) in (("200", None), ("200 OK", None)):
            headers = [("X-A", "fine")]  # the two that are good, beside all that are not
        expected = b"200" if headers == [("X-A", "fine")] else b"500"

        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response(status, [] if headers is None else headers)
            return [b"ok"]

        assert talk.ask(application).startswith(b"HTTP/1.1 " + expected)

    @pytest.mark.parametrize("status", ["599 Network", "600 Own", "999 Denied"])
    def test_a_status_past_those_of_the_rfc_is_passed_on_and_counted(self, talk: Talk, status: str) -> None:
        server = talk.serve(answering(status=status))
        client = talk.connect(server)
        client.send(GET)
        assert client.read_all().startswith(f"HTTP/1.1 {status}\r\n".encode())
        assert server.stats().responses["5xx"] == 1

    def test_missing_start_response_is_a_500(self, talk: Talk) -> None:
        assert talk.ask(lambda environ, start_response: [b"x"]).startswith(b"HTTP/1.1 500")

    def test_start_response_may_come_with_the_first_content(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("201 Created", [])
            yield b"late"

        assert talk.ask(application).startswith(b"HTTP/1.1 201 Created\r\n")

    def test_twice_without_exc_info_is_a_500(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])
            start_response("200 OK", [])
            return []

        assert talk.ask(application).startswith(b"HTTP/1.1 500")

    def test_exc_info_replaces_what_was_not_sent(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            import sys

            start_response("200 OK", [("X-First", "1")])
            try:
                raise ValueError
            except ValueError:
                start_response("503 Sorry", [], sys.exc_info())
            return [b"sorry"]

        response = talk.ask(application)
        assert response.startswith(b"HTTP/1.1 503 Sorry\r\n")
        assert b"X-First" not in response

    def test_exc_info_is_raised_again_when_the_head_is_out(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            import sys

            start_response("200 OK", [])
            yield b"part"
            try:
                raise ValueError
            except ValueError:
                start_response("500 No", [], sys.exc_info())

        response = talk.ask(application)
        assert response.endswith(b"\r\n\r\n4\r\npart\r\n")


class TestLength:
    def test_content_over_the_length_is_left_out(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(answering([b"12345"], headers=[("Content-Length", "3")])))
        for _ in range(2):
            client.send(request(close=False))
            assert client.read_response()[1] == b"123"

    def test_an_iterator_over_the_length_is_left_out(self, talk: Talk) -> None:
        application = answering(lambda: iter([b"12", b"345", b"6"]), headers=[("Content-Length", "3")])
        client = talk.connect(talk.serve(application))
        for _ in range(2):
            client.send(request(close=False))
            assert client.read_response()[1] == b"123"

    def test_short_content_that_is_all_there_is_a_500(self, talk: Talk) -> None:
        assert talk.ask(answering([b"12"], headers=[("Content-Length", "3")])).startswith(b"HTTP/1.1 500")

    def test_a_response_with_short_content_of_an_iterator_is_aborted(self, talk: Talk) -> None:
        client = talk.connect(talk.serve(answering(lambda: iter([b"1", b"2"]), headers=[("Content-Length", "3")])))
        client.send(request(close=False) * 2)
        response = client.read_all()
        assert response.endswith(b"\r\n\r\n12")
        assert response.count(b"HTTP/1.1") == 1


class TestHopByHopHeaders:
    HARMLESS = (
        ("Connection", "close"),
        ("connection", "keep-alive"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "close"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authorization", "Basic abc"),
        ("TE", "trailers"),
        ("Trailer", "Expires"),
        ("Trailers", "Expires"),
    )

    @pytest.fixture(autouse=True)
    def nothing_reported(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(response_head, "_reported", set())

    @pytest.mark.parametrize("header", HARMLESS)
    @pytest.mark.parametrize("others", [[], [("Content-Length", "2")], [("X-A", "b"), ("Date", "now")]])
    def test_a_harmless_one_is_dropped(self, talk: Talk, header: Any, others: list[Any]) -> None:
        client = talk.connect(talk.serve(answering(headers=[*others, header, ("X-B", "c")])))
        for _ in range(3):
            client.send(request(close=False))
            head, content = client.read_response()
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert f"\r\n{header[0]}:".lower().encode() not in head.lower()
            assert head.endswith(b"X-B: c\r\n\r\n") or b"X-B: c\r\n" in head
            assert content == b"ok"

    def test_it_is_dropped_from_hints_too(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            environ["wsgi.early_hints"]([("Link", "<a>"), ("Connection", "close")])
            start_response("200 OK", [])
            return []

        response = talk.ask(application)
        assert response.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\n")

    def test_each_name_is_reported_once(self, talk: Talk, capfd: Any) -> None:
        names = ["Connection", "Keep-Alive", "connection"]

        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [("Content-Type", "text/event-stream"), *((name, "x") for name in names)])
            yield b"data: 1\n\n"

        server = talk.serve(application)
        for _ in range(2):
            client = talk.connect(server)
            client.send(GET)
            assert client.read_all().startswith(b"HTTP/1.1 200")
        lines = [line for line in capfd.readouterr().err.splitlines() if "[WARNING]" in line]
        assert len(lines) == 2
        assert "GET '/': the application's response header 'Connection' is not sent" in lines[0]
        assert "'Keep-Alive' is not sent" in lines[1]

    def test_a_malformed_one_is_still_an_error(self, talk: Talk) -> None:
        assert talk.ask(answering(headers=[("Connection", "close\r\nX: y")])).startswith(b"HTTP/1.1 500")


class Marked(bytes):
    """Bytes of a class of its own, as frameworks mark what is safe in a template."""

    def __bytes__(self) -> bytes:
        return b"wrong"

    def __getitem__(self, index: Any) -> Any:
        return b"wrong"


class TestContentOfAClassOfBytes:
    @pytest.mark.parametrize(
        "make",
        [
            lambda: [Marked(b"one"), b"two"],
            lambda: [Marked(b"onetwo")],
            lambda: (b"one", Marked(b"two")),
            lambda: iter([Marked(b"one"), Marked(), Marked(b"two")]),
            lambda: (part for part in [Marked(b"one"), Marked(b"two")]),
        ],
    )
    @pytest.mark.parametrize("length", [[], [("Content-Length", "6")]])
    def test_it_is_sent_as_it_is(self, talk: Talk, make: Any, length: list[Any]) -> None:
        response = content_of(talk.ask(answering(make, headers=length), request(version="1.0")))
        assert response == b"onetwo"

    def test_write_takes_it(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])(Marked(b"one"))
            return [Marked(b"two")]

        assert content_of(talk.ask(application, request(version="1.0"))) == b"onetwo"

    @pytest.mark.parametrize("content", [bytearray(b"a"), memoryview(b"a"), "a", None, 1])
    def test_what_is_no_class_of_bytes_is_a_500(self, talk: Talk, content: Any) -> None:
        for make in (lambda: [content], lambda: iter([content])):
            assert talk.ask(answering(make)).startswith(b"HTTP/1.1 500")


class TestWrite:
    def test_content_goes_out_in_front_of_the_iterables(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            write = start_response("200 OK", [("Content-Length", "9")])
            write(b"one")
            write(b"two")
            return [b"six"]

        assert content_of(talk.ask(application)) == b"onetwosix"

    def test_text_is_refused(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [])("text")
            return []

        assert talk.ask(application).startswith(b"HTTP/1.1 500")

    @pytest.mark.parametrize("is_next_streamed", [False, True])
    @pytest.mark.parametrize("how", ["write", "list", "generator", "fails", "fails midway"])
    @pytest.mark.parametrize("calls_from", ["another thread", "the same thread"])
    def test_what_an_application_keeps_does_not_reach_the_next_response(
        self, talk: Talk, how: str, is_next_streamed: bool, calls_from: str
    ) -> None:
        kept: list[Any] = []
        raised: list[BaseException] = []

        def call_kept() -> None:
            write, hint = kept
            for call in (lambda: write(b"STALE"), lambda: hint([("Link", "<stale>")])):
                try:
                    call()
                except ApplicationError as error:
                    raised.append(error)

        def application(environ: Any, start_response: Any) -> Any:
            write = start_response("200 OK", [])
            if not kept:
                kept.extend([write, environ["wsgi.early_hints"]])
                if how in ("write", "fails midway"):
                    write(b"first")
                if how.startswith("fails"):
                    raise ValueError
                return (part for part in [b"one", b"two"]) if how == "generator" else [b"list"]
            if is_next_streamed:
                write(b"second ")
            if calls_from == "the same thread":
                call_kept()
            else:
                thread = threading.Thread(target=call_kept)
                thread.start()
                thread.join()
            return [b"response"]

        client = talk.connect(talk.serve(application, threads=1))
        client.send(request(close=False))
        if how in ("list", "fails"):
            client.read_response()
        elif how == "fails midway":
            client.read_all()
        else:
            client.read_until(b"0\r\n\r\n")
        if how.startswith("fails"):
            client = talk.connect(talk.serve(application, threads=1))
        client.send(request())
        response = client.read_all()
        assert response.startswith(b"HTTP/1.1 200 OK\r\n")
        assert response.endswith(b"8\r\nresponse\r\n0\r\n\r\n" if is_next_streamed else b"\r\n\r\nresponse")
        assert b"STALE" not in response
        assert b"stale" not in response
        assert str(raised[0]) == "write() was called after the end of the response"

    def test_write_kept_from_a_request_that_timed_out_is_refused(self, talk: Talk, wait_for: Any) -> None:
        is_inside, go_on = threading.Event(), threading.Event()
        kept: list[Any] = []

        def application(environ: Any, start_response: Any) -> list[bytes]:
            write = start_response("200 OK", [])
            if not kept:
                kept.append(write)
                is_inside.set()
                assert go_on.wait(20)
            with pytest.raises(ApplicationError, match="after the end of the response"):
                kept[0](b"STALE")
            return [b"second"]

        server = talk.serve_as_worker(application, threads=1)
        client = talk.connect(server)
        client.send(GET)
        assert is_inside.wait(20)
        [(thread, _, since, _)] = server.service.running()
        assert server.service.interrupt(thread, since)
        assert client.read_all().startswith(b"HTTP/1.1 504")
        go_on.set()
        wait_for(lambda: not server.service.running(), "the end of the run")
        second = talk.connect(server)
        second.send(GET)
        assert second.read_all().endswith(b"second")


class Closing:
    def __init__(self, content: list[Any], closed: list[str], fails: bool = False) -> None:
        self._content, self._closed, self._fails = content, closed, fails

    def __iter__(self) -> Any:
        for part in self._content:
            if isinstance(part, BaseException):
                raise part
            yield part

    def close(self) -> None:
        self._closed.append("closed")
        if self._fails:
            raise SystemExit("from close")


class TestFailure:
    @pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), KeyboardInterrupt(), BaseException()])
    def test_whatever_is_raised_is_a_500_and_the_server_lives(self, talk: Talk, error: BaseException) -> None:
        errors = [error]

        def application(environ: Any, start_response: Any) -> list[bytes]:
            if errors:
                raise errors.pop()
            start_response("200 OK", [])
            return [b"alive"]

        server = talk.serve(application, threads=1)
        for expected in (b"500", b"200"):
            client = talk.connect(server)
            client.send(GET)
            assert client.read_all().startswith(b"HTTP/1.1 " + expected)

    def test_an_error_response_to_head_has_no_content(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            raise ValueError

        assert content_of(talk.ask(application, request("HEAD"))) == b""

    @pytest.mark.parametrize("content", [[b"a", b"b"], [], [b"a", ValueError()], [ValueError()], ["text"]])
    def test_close_is_always_called_once(self, talk: Talk, wait_for: Any, content: list[Any]) -> None:
        closed: list[str] = []
        talk.ask(answering(lambda: Closing(content, closed)))
        wait_for(lambda: closed, "close()")  # a cut is seen before it
        assert closed == ["closed"]

    def test_close_is_called_when_the_peer_left(self, talk: Talk) -> None:
        closed, is_closed = [], threading.Event()

        class Endless:
            def __iter__(self) -> Any:
                while True:
                    yield b"x" * 65536

            def close(self) -> None:
                closed.append(1)
                is_closed.set()

        client = talk.connect(talk.serve(answering(Endless)))
        client.send(GET)
        client.read_until(b"\r\n\r\n")
        client.sock.close()
        assert is_closed.wait(20)
        assert closed == [1]

    def test_a_close_that_raises_does_not_spoil_the_response(self, talk: Talk) -> None:
        closed: list[str] = []
        response = talk.ask(answering(lambda: Closing([b"good"], closed, fails=True)))
        assert b"good" in response
        assert not response.endswith(b"RESET")

    def test_the_response_of_an_iterator_that_fails_midway_is_aborted(self, talk: Talk) -> None:
        response = talk.ask(answering(lambda: Closing([b"part", ValueError()], [])))
        assert response.endswith(b"\r\n\r\n4\r\npart\r\n")

    def test_what_went_wrong_stays_out_of_the_response(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            raise ValueError("the secret")

        assert b"secret" not in talk.ask(application)


class TestFileWrapper:
    def ask(self, talk: Talk, opened: Any, headers: list[tuple[str, str]] | None = None, ask: bytes = GET) -> bytes:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", headers or [])
            return environ["wsgi.file_wrapper"](opened() if callable(opened) else opened)

        return talk.ask(application, ask)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "file"
        path.write_bytes(bytes(range(256)) * 1024)
        return path

    @pytest.mark.parametrize("size", [0, 1, 65536, 65537, 3_000_000])
    def test_a_file_is_sent_whole(self, talk: Talk, tmp_path: Path, size: int) -> None:
        path = tmp_path / "file"
        path.write_bytes(os.urandom(size))
        response = self.ask(talk, lambda: path.open("rb"))
        assert b"Content-Length: %d\r\n" % size in response
        assert content_of(response) == path.read_bytes()

    @pytest.mark.parametrize("path", ["/proc/self/cmdline", "/sys/devices/system/cpu/online"])
    def test_a_file_whose_size_says_nothing_is_read(self, talk: Talk, path: str) -> None:
        content = Path(path).read_bytes()
        assert len(content) != os.stat(path).st_size
        response = self.ask(talk, lambda: open(path, "rb"))
        assert content == (content_of(response) if b"Content-Length:" in response else self.dechunk(response))

    def test_file_is_sent_from_its_current_position(self, talk: Talk, path: Path) -> None:
        file = path.open("rb")
        file.read(10)  # the descriptor is further on, by the read-ahead
        assert content_of(self.ask(talk, file)) == path.read_bytes()[10:]

    def test_the_content_length_bounds_it(self, talk: Talk, path: Path) -> None:
        for count in (100, 100_000):
            file = path.open("rb")
            file.seek(1000)
            response = self.ask(talk, file, [("Content-Length", str(count))])
            assert content_of(response) == path.read_bytes()[1000 : 1000 + count]

    @pytest.mark.parametrize("missing", [1, 200_000])
    def test_a_file_shorter_than_its_content_length_is_a_500(self, talk: Talk, path: Path, missing: int) -> None:
        length = path.stat().st_size
        file = path.open("rb")
        file.seek(missing)
        assert self.ask(talk, file, [("Content-Length", str(length))]).startswith(b"HTTP/1.1 500")

    def test_a_decompressing_file_gives_what_it_reads(self, talk: Talk, tmp_path: Path) -> None:
        content = b"plain text " * 50_000
        path = tmp_path / "file.gz"
        path.write_bytes(gzip.compress(content))
        assert content in self.dechunk(self.ask(talk, lambda: gzip.open(path)))

    def test_a_temporary_file_with_unwritten_content_is_whole(self, talk: Talk) -> None:
        file = tempfile.TemporaryFile()
        file.write(b"x" * 100_000)
        file.seek(50_000)
        file.write(b"y")
        file.seek(0)
        assert content_of(self.ask(talk, file)) == b"x" * 50_000 + b"y" + b"x" * 49_999

    def test_any_object_with_read_will_do(self, talk: Talk) -> None:
        class Reader:
            def __init__(self) -> None:
                self.left = [b"a", b"b", b""]

            def read(self, size: int) -> bytes:
                return self.left.pop(0)

        assert self.dechunk(self.ask(talk, Reader())) == b"ab"

    @pytest.mark.parametrize("size", [100, 100_000])
    def test_the_file_is_closed(self, talk: Talk, tmp_path: Path, size: int) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"x" * size)
        file = path.open("rb")
        self.ask(talk, file)
        assert file.closed

    def test_head_sends_none_of_it(self, talk: Talk, path: Path) -> None:
        assert content_of(self.ask(talk, lambda: path.open("rb"), ask=request("HEAD"))) == b""

    def dechunk(self, response: bytes) -> bytes:
        rest, content = content_of(response), b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            content, rest = content + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return content


class TestInput:
    def post(self, body: bytes, fields: str) -> bytes:
        return f"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n\r\n".encode() + body

    def read_with(self, talk: Talk, how: Any, body: bytes, **settings: Any) -> Any:
        seen = []

        def application(environ: Any, start_response: Any) -> list[bytes]:
            seen.append((how(environ["wsgi.input"]), environ.get("CONTENT_LENGTH"), environ))
            start_response("200 OK", [])
            return []

        chunked = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
        server = talk.serve(application, **settings)
        for request in (
            self.post(body, f"Content-Length: {len(body)}"),
            self.post(chunked, "Transfer-Encoding: chunked"),
        ):
            client = talk.connect(server)
            client.send(request)
            assert client.read_all().startswith(b"HTTP/1.1 200")
        assert seen[0][:2] == seen[1][:2]
        assert "HTTP_TRANSFER_ENCODING" not in seen[1][2]
        assert seen[0][1] == str(len(body))
        return seen[0][0]

    LINES = b"first line\nsecond\n\nno end"

    @pytest.mark.parametrize("memory", ["1k", "0"])
    def test_every_way_of_reading_gives_the_same(self, talk: Talk, memory: str) -> None:
        lines = self.LINES.splitlines(keepends=True)
        for how, expected in (
            (lambda f: f.read(), self.LINES),
            (lambda f: f.read(-1), self.LINES),
            (lambda f: [f.read(5), f.read(500), f.read(5)], [self.LINES[:5], self.LINES[5:], b""]),
            (lambda f: [f.readline(), f.readline(3), f.readline()], [lines[0], b"sec", b"ond\n"]),
            (lambda f: f.readlines(), lines),
            (lambda f: list(f), lines),
            (lambda f: f.readlines(1), lines[:1]),
        ):
            assert self.read_with(talk, how, self.LINES, body_memory=memory) == expected

    def test_no_content_reads_as_none(self, talk: Talk) -> None:
        seen = []

        def application(environ: Any, start_response: Any) -> list[bytes]:
            seen.append(environ["wsgi.input"].read())
            start_response("200 OK", [])
            return []

        talk.ask(application)
        assert seen == [b""]

    def test_content_that_is_not_read_is_not_the_next_request(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Length", "1")])
            return [environ["REQUEST_METHOD"][0].encode()]

        client = talk.connect(talk.serve(application))
        smuggled = b"DELETE / HTTP/1.1\r\nHost: y\r\n\r\n"
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(smuggled), smuggled))
        client.send(GET)
        assert client.read_response()[1] == b"P"
        assert client.read_response()[1] == b"G"


def valid_list(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"valid"]


def valid_generator(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"va"
    yield b"lid"


def valid_write(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [("Content-Type", "text/plain")])(b"va")
    return [b"lid"]


def valid_input(environ: Any, start_response: Any) -> Any:
    stream = environ["wsgi.input"]
    assert (stream.readline(), stream.read(2), *stream.readlines(), stream.read(1)) in (
        (b"line\n", b"fo", b"ur", b""),
        (b"", b"", b""),
    )
    assert list(stream) == []
    environ["wsgi.errors"].write("")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"valid"]


POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize("application", [valid_list, valid_generator, valid_write, valid_input])
@pytest.mark.parametrize(
    "ask",
    [
        GET,
        request("HEAD"),
        request(version="1.0"),
        POST + b"Content-Length: 9\r\n\r\nline\nfour",
        POST + b"Transfer-Encoding: chunked\r\n\r\n6\r\nline\nf\r\n3\r\nour\r\n0\r\n\r\n",
        GET.replace(b"GET /", b"OPTIONS *"),
        GET.replace(b"GET /", b"OPTIONS http://x"),
    ],
    ids=["get", "head", "1.0", "length", "chunked", "asterisk", "absolute without a path"],
)
def test_the_validator_of_the_standard_library_agrees(talk: Talk, application: Any, ask: bytes, capfd: Any) -> None:
    response = talk.ask(validator(application), ask)
    assert response.startswith(b"HTTP/1.1 200")
    assert not response.endswith(b"RESET")
    assert "AssertionError" not in capfd.readouterr().err


@pytest.mark.parametrize(("threads", "is_multithread"), [(1, False), (2, True)])
def test_multithread_is_true_to_fact(talk: Talk, threads: int, is_multithread: bool) -> None:
    seen = []

    def application(environ: Any, start_response: Any) -> Any:
        seen.append((environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.run_once"]))
        return valid_list(environ, start_response)

    talk.ask(application, threads=threads)
    assert seen == [(is_multithread, False, False)]


class TestEarlyHints:
    LINK = ("Link", "</a.css>; rel=preload; as=style")

    def hinting(self, headers: list[Any], go_on: threading.Event | None = None) -> Any:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            environ["wsgi.early_hints"](headers)
            if go_on is not None:
                assert go_on.wait(20)
            start_response("200 OK", [])
            return [b"page"]

        return application

    def test_hints_are_sent_before_the_response_is_made(self, talk: Talk) -> None:
        go_on = threading.Event()
        client = talk.connect(talk.serve(self.hinting([self.LINK], go_on)))
        client.send(GET)
        hints = client.read_until(b"\r\n\r\n")
        assert hints == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\n\r\n"
        go_on.set()
        assert client.read_all().startswith(b"HTTP/1.1 200 OK\r\n")

    def test_http_1_0_gets_none(self, talk: Talk) -> None:
        assert talk.ask(self.hinting([self.LINK]), request(version="1.0")).startswith(b"HTTP/1.1 200")

    @pytest.mark.parametrize("header", [("Link", "a\r\nX: y"), ("Content-Length", "1"), ("Upgrade", "h2c"), "Link"])
    def test_what_is_malformed_is_a_500(self, talk: Talk, header: Any) -> None:
        assert talk.ask(self.hinting([header])).startswith(b"HTTP/1.1 500")

    def test_hints_after_the_first_content_are_left_out(self, talk: Talk) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", [])
            yield b"first"
            environ["wsgi.early_hints"]([self.LINK])
            yield b"second"

        assert b"103" not in talk.ask(application)


def test_a_request_leaves_no_cycle_to_be_collected(talk: Talk) -> None:
    class Marked:
        """Something whose end can be seen."""

    seen: list[Any] = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        marked = Marked()
        environ["marked"] = marked
        seen.append(weakref.ref(marked))
        start_response("200 OK", [])
        return []

    server = talk.serve(application)
    gc.disable()
    try:
        for _ in range(3):
            client = talk.connect(server)
            client.send(GET)
            client.read_all()
        assert sum(reference() is not None for reference in seen) <= 1  # the last may still be in a thread's hands
    finally:
        gc.enable()
