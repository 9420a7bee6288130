from pathlib import Path

import bottle
import notes

ROOT = Path(__file__).parent
bottle.TEMPLATE_PATH.insert(0, str(ROOT / "views"))
application = bottle.default_app()


@bottle.get("/")
def index():
    return bottle.template("index", rows=notes.count())


@bottle.post("/add")
def add():
    notes.add(bottle.request.forms.text)
    bottle.redirect("/")


@bottle.get("/static/<name>")
def static(name):
    return bottle.static_file(name, root=ROOT / "static")
