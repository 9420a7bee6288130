from pathlib import Path

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPFound
from pyramid.response import Response
from sqlalchemy import Column, Integer, MetaData, String, Table, engine_from_config, func, select

ROOT = Path(__file__).parent
metadata = MetaData()
note = Table("note", metadata, Column("id", Integer, primary_key=True), Column("text", String, nullable=False))


def index(request):
    with request.registry.engine.connect() as connection:
        rows = connection.execute(select(func.count()).select_from(note)).scalar()
    return Response((ROOT / "templates/index.html").read_text().format(rows=rows))


def add(request):
    with request.registry.engine.begin() as connection:
        connection.execute(note.insert().values(text=request.POST["text"]))
    return HTTPFound("/")


def main(global_config, **settings):
    with Configurator(settings=settings) as config:
        config.registry.engine = engine_from_config(settings, "sqlalchemy.")
        config.add_route("index", "/")
        config.add_view(index, route_name="index")
        config.add_route("add", "/add")
        config.add_view(add, route_name="add", request_method="POST")
        config.add_static_view("static", "ledger:static")
        return config.make_wsgi_app()
