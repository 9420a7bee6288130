"""The pages of --reload and --debug in a browser: seen, and gone by themselves when the file is mended."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.machine import find_browser
from tests.helpers.processes import wait_until

APPLICATION = """\
import answer

def application(environ, start_response):
    if environ["PATH_INFO"] == "/favicon.ico":
        start_response("204 No Content", [])
        return []
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
    return [f"<title>shop</title><h1>{answer.text()}</h1>".encode()]
"""
WORKS = "def text():\n    return {!r}\n"

pytestmark = pytest.mark.browser


@pytest.fixture
def page() -> Iterator[Any]:
    browser_program = find_browser()
    if browser_program is None:
        pytest.skip("no Chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program, args=["--no-sandbox"])
        page = browser.new_context().new_page()
        page.set_default_timeout(30_000)
        yield page
        browser.close()


@pytest.fixture(params=["inotify", "poll"])
def url(request: pytest.FixtureRequest, start: Callable[..., Any], tmp_path: Path) -> str:
    (tmp_path / "shop.py").write_text(APPLICATION)
    (tmp_path / "answer.py").write_text(WORKS.format("first"))
    command = (sys.executable, "-m", "ropewalk", "--reload", "--debug", "--reload-engine", request.param)
    running = start(*command, "-b", "127.0.0.1:0", "shop")
    port = running.wait_line(r"http://127\.0\.0\.1:(\d+) ")[1]
    running.wait_line("Ready: ")
    return f"http://localhost:{port}/"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("def text(:\n", "SyntaxError"),
        ("def text():\n    price = 3\n    return price / 0\n", "ZeroDivisionError"),
    ],
    ids=["while it is loaded", "in a request"],
)
def test_error_page_is_replaced_by_the_page_once_the_file_is_mended(
    page: Any, url: str, tmp_path: Path, broken: str, said: str
) -> None:
    from playwright.sync_api import expect

    def shows(heading: str) -> None:
        expect(page.locator("h1")).to_have_text(heading, timeout=30_000)

    messages: list[str] = []
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("console", lambda message: messages.append(message.text))
    page.goto(url)
    assert page.inner_text("h1") == "first"
    (tmp_path / "answer.py").write_text(broken)
    wait_until(lambda: page.reload().status == 500, "the page of the error")
    # Between the two steps of a write the file is empty, which is an error of its own.
    shows(said)
    assert "answer.py" in page.inner_text("main")
    assert "loads itself again" in page.inner_text(".waits")
    with page.expect_event("load"):
        (tmp_path / "answer.py").write_text(broken + "#")  # still broken: the page that comes is another one
    shows(said)
    (tmp_path / "answer.py").write_text(WORKS.format("mended"))
    shows("mended")
    # A connection may end with the worker; a script that fails, or that the policy refuses, is an error of the page.
    assert [each for each in messages if "Failed to load resource" not in each] == []


def test_tabs_that_wait_leave_connections_for_other_pages(page: Any, url: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    waiting: set[Any] = set()
    most = 0

    def begin(request: Any) -> None:
        nonlocal most
        if "x-ropewalk-wait" in request.headers:
            waiting.add(request)
            most = max(most, len(waiting))

    page.context.on("request", begin)
    for event in ("requestfinished", "requestfailed"):
        page.context.on(event, lambda request: waiting.discard(request))
    (tmp_path / "answer.py").write_text("def text(:\n")
    wait_until(lambda: page.goto(url).status == 500, "the page of the error")
    tabs = [page, *(page.context.new_page() for _ in range(7))]  # a browser has six connections to a server
    for tab in tabs:
        tab.goto(url)
    wait_until(lambda: page.evaluate("1") and waiting, "a tab that waits")  # it also takes the events of the browser
    assert most == 1
    (tmp_path / "answer.py").write_text(WORKS.format("mended"))
    for tab in tabs:
        expect(tab.locator("h1")).to_have_text("mended", timeout=30_000)
