"""The arguments of hooks, as documented in docs/hooks.md."""

from __future__ import annotations

import re

from ropewalk.config.hook_signatures import ARGUMENTS
from ropewalk.config.settings import make_settings
from ropewalk.gunicorn_hooks.api import Config, Request, Response, Server, Worker
from tests.helpers.paths import REPOSITORY

PAGE = (REPOSITORY / "docs/hooks.md").read_text()

ENVIRON = {
    "REQUEST_METHOD": "GET",
    "RAW_URI": "/",
    "QUERY_STRING": "",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.url_scheme": "http",
    "REMOTE_ADDR": "",
}


def test_every_attribute_of_the_page_is_there() -> None:
    cfg = Config(make_settings())
    arguments = {
        "server": Server(cfg),
        "worker": Worker(1, cfg),
        "req": Request(ENVIRON),
        "resp": Response("200 OK", []),
    }
    names = set(re.findall(r"`(server|worker|req|resp)\.([A-Za-z_]+)", PAGE))
    assert len(names) > 20
    for owner, name in names:
        assert hasattr(arguments[owner], name), f"{owner}.{name}"


def test_every_attribute_is_on_the_page() -> None:
    cfg = Config(make_settings())
    for owner, value in (("server", Server(cfg)), ("worker", Worker(1, cfg)), ("resp", Response("200 OK", []))):
        for name in vars(value):
            assert f"`{owner}.{name}`" in PAGE, f"{owner}.{name}"


def test_every_hook_is_on_the_page_with_its_arguments() -> None:
    for name, arguments in ARGUMENTS.items():
        assert f"| `{name}({', '.join(arguments)})` |" in PAGE


def test_settings_go_by_both_names() -> None:
    cfg = Config(make_settings(keep_alive=7, bind=("127.0.0.1:1", "127.0.0.1:2")))
    assert (cfg.keepalive, cfg.keep_alive) == (7.0, 7.0)
    assert cfg.bind == ["127.0.0.1:1", "127.0.0.1:2"]
