from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from ropewalk.wsgi.response_head import check_response_head

HEADERS = [("Content-Type", "text/plain"), ("X-Of-The-Test", "of test_response_head"), ("Content-Length", "13")]


def test_a_head_is_the_same_in_every_thread_and_found_again_in_each() -> None:
    def twice() -> bool:
        check_response_head("200 OK", list(HEADERS))  # its lines are remembered
        first = check_response_head("200 OK", list(HEADERS))
        assert check_response_head("200 OK", list(HEADERS)) is first
        return first == expected

    expected = check_response_head("200 OK", list(HEADERS))
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda _: twice(), range(8)))
