from pathlib import Path

import notes
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response

ROOT = Path(__file__).parent


def index(request):
    return Response((ROOT / "index.html").read_text().format(rows=notes.count()))


def add(request):
    notes.add(request.POST["text"])
    return HTTPFound("/")


def main(global_config=None, **settings):
    with Configurator(settings=settings) as config:
        config.add_route("index", "/")
        config.add_view(index, route_name="index")
        config.add_route("add", "/add")
        config.add_view(add, route_name="add", request_method="POST")
        config.add_static_view("static", str(ROOT / "static"))
        return config.make_wsgi_app()


app = main()
