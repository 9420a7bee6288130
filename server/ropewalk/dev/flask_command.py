"""`flask ropewalk`: the options and lines of `flask run`, served by Ropewalk. Flask finds and imports it."""

from __future__ import annotations

import copy
import traceback
from typing import TYPE_CHECKING, Any

import click
from flask.cli import CertParamType, ScriptInfo, pass_script_info, run_command, show_server_banner
from flask.helpers import get_debug_flag

from ropewalk.dev.run_simple import BrokenApplication, is_running_from_reloader, run_simple
from ropewalk.reloading.imported import record_imports
from ropewalk.wsgi.application_errors import begin_in_application

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


class _Certificate(CertParamType):
    """That of Flask, which for `adhoc` asks for the package cryptography; here the command openssl will do."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return "adhoc" if str(value).lower() == "adhoc" else super().convert(value, param, ctx)


@pass_script_info
def _serve(
    info: ScriptInfo,
    /,
    *,
    host: str,
    port: int,
    cert: Any,
    reload: bool | None,
    debugger: bool | None,
    with_threads: bool,
    extra_files: list[str] | None,
    exclude_patterns: list[str] | None,
) -> None:
    """Run a local development server, Ropewalk.

    The reloader and debugger are enabled by default with the '--debug' option. In production, serve with the command
    ropewalk.
    """
    application = _load(info)
    is_debug = get_debug_flag()
    show_server_banner(is_debug, info.app_import_path)
    run_simple(
        host,
        port,
        application,
        use_reloader=is_debug if reload is None else reload,
        use_debugger=is_debug if debugger is None else debugger,
        threaded=with_threads,
        ssl_context=cert,
        extra_files=extra_files,
        exclude_patterns=exclude_patterns,
    )


def _load(info: ScriptInfo) -> WSGIApplication:
    """The application; after a reload one that raises what the import raised, for the debugger to show."""
    if not is_running_from_reloader():
        return info.load_app()
    record_imports()
    try:
        return info.load_app()
    except Exception as error:  # noqa: BLE001 - of the application's module
        begin_in_application(error)
        traceback.print_exception(error)
        return BrokenApplication(error)


_TAKEN = {
    *("debug", "host", "port", "cert", "key", "reload", "debugger", "with_threads", "extra_files", "exclude_patterns")
}


def _parameters() -> list[click.Parameter]:
    """Those of `flask run`, as the installed Flask has them."""
    parameters = [copy.copy(each) for each in run_command.params if each.name in _TAKEN]
    for each in parameters:
        if isinstance(each.type, CertParamType):
            each.type = _Certificate()
    return parameters


command = click.Command(
    "ropewalk",
    callback=_serve,
    params=_parameters(),
    help=_serve.__doc__,
    short_help="Run a development server, Ropewalk.",
)
