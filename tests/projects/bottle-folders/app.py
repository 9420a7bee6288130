import os

import bottle
import notes
from settings import OPTIONS, UPLOADS

bottle.TEMPLATE_PATH.insert(0, "./views")
application = bottle.default_app()


@bottle.get("/")
def index():
    names = sorted(os.listdir(UPLOADS)) if os.path.isdir(UPLOADS) else []
    return bottle.template("index", rows=notes.count(), names=names)


@bottle.post("/add")
def add():
    if text := bottle.request.forms.text:
        notes.add(text)
    if file := bottle.request.files.get("file"):
        os.makedirs(UPLOADS, exist_ok=True)
        file.save(UPLOADS)
    with notes.opened(OPTIONS["log.data_dir"], "visits.log") as log:
        log.write("added\n")
    bottle.redirect("/")


@bottle.get("/received/<name>")
def received(name):
    return bottle.static_file(name, root=UPLOADS)


@bottle.get("/static/<name>")
def static(name):
    return bottle.static_file(name, root="./static")
