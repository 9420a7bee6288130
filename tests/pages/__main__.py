"""Pictures of every page that the kit shows by itself: `make pages`.

Needs nginx and chromium on this machine, and no container. Each page is shown on a phone and on a desktop, light and
dark; the pictures are in .run/pages. Prints what is wrong with one: text with too little contrast, or wider than the
screen. The exit status is 1 then. SITE=http://localhost:8080 adds pages of a site that runs.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

import ropewalk
from deploy.app import debug_page, mail_page
from tests.helpers.machine import find_browser
from tests.helpers.nginx import running_nginx, wait_until_listening
from tests.helpers.paths import REPOSITORY
from tests.helpers.ports import free_port

SCREENS = {"phone": (390, 844), "desktop": (1280, 800)}
SCHEMES = ("light", "dark")
FOLDER = REPOSITORY / ".run/pages"
OF_A_SITE = ("/", "/nowhere")

# WCAG 2.1, AA: 4.5, and 3 for text of 24 pixels or more, or of 18.66 in bold.
FIND_FAULTS = """() => {
  const channel = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const paint = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const color = text => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = text; paint.fillRect(0, 0, 1, 1);
    return [...paint.getImageData(0, 0, 1, 1).data];
  };
  const faults = new Set();
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter(node => node.nodeType === 3 && node.data.trim());
    const style = getComputedStyle(element), box = element.getBoundingClientRect();
    if (!own.length || !box.width || style.visibility === "hidden" || element.closest("svg")) continue;
    let under = element, back = color(style.backgroundColor);
    while (back[3] < 255 && (under = under.parentElement)) back = color(getComputedStyle(under).backgroundColor);
    if (back[3] < 255) back = color("canvas");
    const [less, more] = [light(color(style.color)), light(back)].sort((a, b) => a - b);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const contrast = (more + 0.05) / (less + 0.05);
    const start = own[0].data.trim().slice(0, 40);
    if (contrast < (isLarge ? 3 : 4.5)) faults.add(`contrast ${contrast.toFixed(2)}: ${start}`);
  }
  const root = document.documentElement;
  const [wide, screen] = [root.scrollWidth, root.clientWidth];
  if (wide > screen) faults.add(`${wide} pixels wide on a screen of ${screen}`);
  if (!root.lang) faults.add("no language");
  if (!document.title) faults.add("no title");
  return [...faults];
}"""


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"app"]


def names() -> list[str]:
    """Of nginx's pages: those that have a title."""
    text = (REPOSITORY / "nginx/snippets/pages.conf").read_text()
    titles = text[text.index("map $error_name $error_title {") :].partition("}")[0]
    return [*re.findall(r"^    (\w+) \"", titles, re.M)[1:], "response"]


@contextlib.contextmanager
def nginx(shown: list[str]) -> Iterator[str]:
    def show(directory: Path) -> None:
        site = directory / "kit/nginx/snippets/site.conf"
        status = {"maintenance": 503, "response": 502}
        added = "".join(
            f"location = /{name} {{ error_page 418 ={status.get(name) or name} /_errors/{name}; return 418; }}\n"
            for name in shown
        )
        site.write_text(f"{site.read_text()}\n{added}")

    with (
        tempfile.TemporaryDirectory(prefix="ropewalk-nginx-") as folder,
        ropewalk.Server(application, bind="127.0.0.1:0") as server,
        running_nginx(server, Path(folder), before=show) as port,
    ):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def development() -> Iterator[dict[str, str]]:
    """The pages of `make dev`: mails, one mail, an exception."""

    def fails(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        raise LookupError(
            "no order has the number 17, and this is a long text that says so without a single line break"
        )

    message = EmailMessage()
    message["Subject"] = "Your order 17: thanks, and what happens next"
    message["From"], message["To"] = "shop@example.org", "Ada <ada@example.com>"
    message.set_content(f"Hello Ada,\n\nthanks for your order: https://shop.example/orders/{'17' * 40}\n")
    message.add_alternative("<h1>Hello Ada</h1><p>Thanks for your <b>order</b>.", subtype="html")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="invoice.pdf")
    mail_page.Pages.box = mail_page.Box()
    empty = mail_page.list_page([])
    for _ in range(3):
        mail_page.Pages.box.add(message.as_bytes(), ["ada@example.com", "orders@shop.example"])
    mails = ThreadingHTTPServer(("127.0.0.1", 0), mail_page.Pages)
    threading.Thread(target=mails.serve_forever, daemon=True).start()

    def none(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
        return [empty.encode()]

    with (
        ropewalk.Server(debug_page.DebugPage(fails), bind="127.0.0.1:0") as failing,
        ropewalk.Server(none, bind="127.0.0.1:0") as none_yet,
    ):
        address = f"http://127.0.0.1:{mails.server_port}"
        yield {
            "mails": f"{address}/",
            "mail": f"{address}/1",
            "mails-none": "http://{}:{}/".format(*none_yet.address),
            "exception": "http://{}:{}/orders/17?from=mail".format(*failing.address),
        }
    mails.shutdown()
    mails.server_close()


@contextlib.contextmanager
def server_status() -> Iterator[str]:
    """The status page of a server of its own."""
    port = free_port()
    options = ("--bind", f"127.0.0.1:{free_port()}", "--admin-bind", f"127.0.0.1:{port}", "--workers", "2")
    command = [sys.executable, "-m", "ropewalk", *options, "tests.pages.__main__:application"]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def show(browser: Browser, addresses: dict[str, str]) -> int:
    """Takes the pictures; returns how many faults were printed."""
    count = 0
    for scheme in SCHEMES:
        for screen, (width, height) in SCREENS.items():
            with browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme) as page:
                for name, address in addresses.items():
                    page.goto(address)
                    page.wait_for_load_state("load")
                    page.screenshot(path=FOLDER / f"{name}-{screen}-{scheme}.png")
                    for fault in page.evaluate(FIND_FAULTS):
                        count += 1
                        sys.stdout.write(f"{name}, {screen}, {scheme}: {fault}\n")
    return count


def main() -> int:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with nginx(names()) as site, server_status() as status, development() as own, sync_playwright() as playwright:
        addresses = {f"nginx-{name}": f"{site}/{name}" for name in names()} | {"status": f"{status}/"} | own
        if given := os.environ.get("SITE", "").rstrip("/"):
            addresses |= {f"site{path.replace('/', '-').rstrip('-')}": given + path for path in OF_A_SITE}
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        count = show(browser, addresses)
        browser.close()
    sys.stdout.write(
        f"{len(addresses)} pages, {count or 'no'} faults; the pictures: {FOLDER.relative_to(REPOSITORY)}\n"
    )
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
