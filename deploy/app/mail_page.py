#!/opt/venv/bin/python -Iu
"""`make dev`: receives all mails that the project sends, on port 1025, and shows them in a page, on port 8025.

The last MOST mails are kept in memory. A mail's HTML is shown in a frame without scripts, and without anything from
other servers: it comes from code that is being written, and may carry what strangers have typed.
"""

import sys

sys.path.insert(0, "/opt/dev")
import email
import email.policy
import html
import itertools
import threading
from collections import OrderedDict
from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, cast

MOST = 200
LARGEST = 32 * 1024 * 1024
"""Octets of a mail with its attachments."""
PAGES = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self'"
}
CONTENT = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"}

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
*{box-sizing:border-box}body{background:Canvas;color:CanvasText}
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
h1{font-size:1.3rem;overflow-wrap:anywhere}header{display:flex;gap:1rem;align-items:center;flex-wrap:wrap}
header h1{flex:1;margin:.5rem 0}a{color:LinkText}ul{list-style:none;padding:0;margin:0}
li a{display:grid;grid-template-columns:1fr auto;gap:0 1rem;padding:.7rem .5rem;border-bottom:1px solid var(--line);
text-decoration:none;color:inherit;overflow-wrap:anywhere}li a:hover,li a:focus{background:var(--soft)}
li b{grid-column:1}li time{white-space:nowrap;opacity:.75}li span{grid-column:1/-1;opacity:.75}
dl{display:grid;grid-template-columns:auto 1fr;gap:.2rem 1rem}dt{opacity:.75}dd{margin:0;overflow-wrap:anywhere}
pre{white-space:pre-wrap;overflow-wrap:anywhere;padding:1rem;background:var(--soft);border-radius:.4rem}
iframe{width:100%;height:60vh;border:1px solid var(--line);border-radius:.4rem;background:#fff}
button{font:inherit;padding:.4rem .9rem;min-height:2.5rem}h2{font-size:1rem;margin:1.5rem 0 .5rem}
"""


class Mail(NamedTuple):
    number: int
    received: datetime
    message: EmailMessage
    recipients: list[str]
    """Of the envelope: also those in Bcc."""

    @property
    def subject(self) -> str:
        return str(self.message["subject"] or "(no subject)")

    def body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        return str(cast("EmailMessage", part).get_content()) if part else ""


class Box:
    """The mails, the newest last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._mails: OrderedDict[int, Mail] = OrderedDict()
        self._numbers = itertools.count(1)

    def add(self, content: bytes, recipients: list[str]) -> Mail:
        message = email.message_from_bytes(content, policy=email.policy.default)
        with self._lock:
            mail = Mail(next(self._numbers), datetime.now(), message, recipients)
            self._mails[mail.number] = mail
            while len(self._mails) > MOST:
                self._mails.popitem(last=False)
        return mail

    def all(self) -> list[Mail]:
        with self._lock:
            return list(reversed(self._mails.values()))

    def find(self, number: int) -> Mail | None:
        with self._lock:
            return self._mails.get(number)

    def clear(self) -> None:
        with self._lock:
            self._mails.clear()


class Receiver:
    """The handler of aiosmtpd."""

    def __init__(self, box: Box) -> None:
        self._box = box

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        mail = self._box.add(envelope.content, list(envelope.rcpt_tos))
        print(f"mail: {', '.join(mail.recipients)}: {mail.subject}", flush=True)
        return "250 kept"


def page(title: str, content: str, head: str = "") -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"{head}<title>{html.escape(title)}</title><style>{STYLE}</style>{content}"
    )


def list_page(mails: list[Mail]) -> str:
    rows = "".join(
        f'<li><a href="/{mail.number}"><b>{html.escape(mail.subject)}</b><time>{mail.received:%H:%M:%S}</time>'
        f"<span>{html.escape(', '.join(mail.recipients))}</span></a>"
        for mail in mails
    )
    clear = '<form method="post" action="/clear"><button>Delete all</button></form>' if mails else ""
    empty = "" if mails else "<p>None yet. What the project sends arrives here, and nowhere else."
    title = f"Mails ({len(mails)})"
    refresh = '<meta http-equiv="refresh" content="5">'
    return page(title, f"<header><h1>{title}</h1>{clear}</header><ul>{rows}</ul>{empty}", refresh)


def mail_page(mail: Mail) -> str:
    fields = {name: str(mail.message[name]) for name in ("From", "To", "Cc", "Reply-To", "Date") if mail.message[name]}
    fields["Delivered to"] = ", ".join(mail.recipients)
    rows = "".join(f"<dt>{name}<dd>{html.escape(value)}" for name, value in fields.items())
    parts = [f"<p><a href='/'>All mails</a><h1>{html.escape(mail.subject)}</h1><dl>{rows}</dl>"]
    if mail.body("html"):
        parts.append(f'<iframe sandbox src="/{mail.number}/html" title="The mail as HTML"></iframe>')
    if text := mail.body("plain"):
        parts.append(f"<h2>Text</h2><pre>{html.escape(text)}</pre>")
    for place, (name, content) in enumerate(attachments(mail)):
        link = f'<a href="/{mail.number}/{place}" download="{html.escape(name)}">{html.escape(name)}</a>'
        parts.append(f"<p>{link}, {len(content)} B")
    parts.append(f'<p><a href="/{mail.number}/raw">Source</a>')
    return page(mail.subject, "".join(parts))


def attachments(mail: Mail) -> Iterator[tuple[str, bytes]]:
    for part in mail.message.iter_attachments():
        yield part.get_filename() or "attachment", cast("bytes", part.get_payload(decode=True) or b"")


class Pages(BaseHTTPRequestHandler):
    box: Box

    def do_GET(self) -> None:
        first, _, rest = self.path.partition("?")[0].strip("/").partition("/")
        if not first:
            self.answer(list_page(self.box.all()))
            return
        mail = self.box.find(int(first)) if first.isdecimal() and len(first) < 10 else None
        kept = list(attachments(mail)) if mail else []
        if mail is None or not (rest in ("", "html", "raw") or (rest.isdecimal() and int(rest) < len(kept))):
            self.answer(page("Not found", "<h1>There is no such mail</h1><p><a href='/'>All mails</a>"), status=404)
        elif rest == "":
            self.answer(mail_page(mail))
        elif rest == "html":
            self.answer(mail.body("html"), headers=CONTENT)
        elif rest == "raw":
            self.answer(mail.message.as_string(), "text/plain", headers=CONTENT)
        else:
            self.answer(kept[int(rest)][1], "application/octet-stream", headers=CONTENT)

    def do_POST(self) -> None:
        if self.path == "/clear":
            self.box.clear()
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(
        self, content: str | bytes, kind: str = "text/html", *, status: int = 200, headers: dict[str, str] = PAGES
    ) -> None:
        data = content if isinstance(content, bytes) else content.encode(errors="replace")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        """Nothing: the pages ask again every few seconds."""


def main() -> None:
    from aiosmtpd.controller import Controller

    box = Box()
    Pages.box = box
    Controller(Receiver(box), hostname="0.0.0.0", port=1025, data_size_limit=LARGEST).start()
    ThreadingHTTPServer(("0.0.0.0", 8025), Pages).serve_forever()


if __name__ == "__main__":
    main()
