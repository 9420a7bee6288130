"""Two Flask views: JSON at /greeting, and at /page a page that is rendered from a template."""

from __future__ import annotations

from flask import Flask, jsonify, render_template, request
from flask.wrappers import Response
from jinja2 import DictLoader

from bench.applications.page import ROWS, TEMPLATE, TITLE

application = Flask(__name__)
application.jinja_loader = DictLoader({"page.html": TEMPLATE})


@application.get("/greeting")
def greeting() -> Response:
    return jsonify(message="Hello, world!", numbers=list(range(10)), path=request.path)


@application.get("/page")
def page() -> str:
    return render_template("page.html", title=TITLE, rows=ROWS)
