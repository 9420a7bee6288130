from pathlib import Path

import falcon
import notes

ROOT = Path(__file__).parent


class Index:
    def on_get(self, request, response):
        response.content_type = falcon.MEDIA_HTML
        response.text = (ROOT / "index.html").read_text().format(rows=notes.count())


class Add:
    def on_post(self, request, response):
        notes.add(request.get_media()["text"])
        raise falcon.HTTPSeeOther("/")


app = falcon.App()
app.add_route("/", Index())
app.add_route("/add", Add())
app.add_static_route("/static", ROOT / "static")
