"""Configuration files: `.toml`, whose keys are the options' names, and `.py`, with gunicorn's names.

A `.toml` file holds settings and nothing else, so an unknown key is an error. A `.py` file is a program: it has
names of its own, which are named in a warning; one that looks like a mistyped setting is an error there too.
"""

from __future__ import annotations

import os
import types
from dataclasses import dataclass, field
from typing import Any

from ropewalk.config.declare import Setting
from ropewalk.config.hooks import ARGUMENTS, Hook, check_hook
from ropewalk.config.settings import all_settings
from ropewalk.errors import ConfigError, nearest

NEAR_ENOUGH = 0.8
"""How alike (difflib's ratio) a name in a `.py` file must be to a setting's to be a mistyped one: `worker` is
to `workers` (0.92), `port` is to none."""

GUNICORN_ONLY = frozenset(
    """
    check_config print_config
    asgi_disconnect_grace_period asgi_lifespan asgi_loop capture_output casefold_http_method
    control_socket_disable control_socket_mode daemon default_proc_name dirty_apps dirty_graceful_timeout
    dirty_post_fork dirty_threads dirty_timeout dirty_worker_exit dirty_worker_init dirty_workers
    disable_redirect_access_to_syslog do_handshake_on_connect enable_backlog_metric
    enable_stdio_inheritance forwarder_headers header_map http2_cleartext http2_initial_window_size
    http2_max_concurrent_streams http2_max_frame_size http2_max_header_list_size http_parser http_protocols
    initgroups logconfig logconfig_dict logconfig_json logger_class on_dirty_starting paste
    permit_obsolete_folding permit_unconventional_http_method permit_unconventional_http_version preload_app
    proc_name protocol raw_paste_global_conf reload reload_engine reload_extra_files reuse_port root_path
    secure_scheme_headers sendfile spew ssl_version strip_header_spaces
    suppress_ragged_eofs syslog syslog_addr syslog_facility syslog_prefix tmp_upload_dir uwsgi_allow_ips
    websocket_max_message_size worker_class worker_connections worker_tmp_dir
    """.split()  # noqa: SIM905 - a hundred quoted names are no easier to read
)
"""gunicorn's settings that a file may hold and that have no effect here (yet)."""


@dataclass(frozen=True, slots=True)
class FileValues:
    """What a file says: values by setting name, and what its reader should be told."""

    values: dict[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    hooks: dict[str, Hook] = field(default_factory=dict)
    """Functions by gunicorn's names."""


def read_file(path: str) -> FileValues:
    """The settings in the file at `path`. Raises ConfigError with one line."""
    suffix = os.path.splitext(path)[1]
    if suffix not in (".toml", ".py"):
        raise ConfigError("--config", path, "must be a .toml or a .py file")
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ConfigError("--config", path, f"cannot be read: {error.strerror}") from error
    return _read_toml(path, content) if suffix == ".toml" else _read_python(path, content)


def _read_toml(path: str, content: bytes) -> FileValues:
    import tomllib  # only for a file that is written in it

    try:
        table = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("--config", path, f"is not TOML: {error}") from error
    known = {setting.key: setting for setting in _settings_of_files()}
    values = {}
    for key, value in table.items():
        setting = known.get(key.replace("_", "-"))
        if setting is None:
            raise _unknown_key(path, key, list(known), cutoff=0.5)
        values[setting.name] = value
    return FileValues(values)


def _read_python(path: str, content: bytes) -> FileValues:
    namespace = _run(path, content)
    known: dict[str, Setting] = {}
    for setting in _settings_of_files():
        known[setting.name] = known[setting.python_key] = setting
    values: dict[str, object] = {}
    hooks: dict[str, Hook] = {}
    without_effect, unknown = [], []
    for name, value in namespace.items():
        if name in known:
            if value is not None:
                values[known[name].name] = value
        elif name in ARGUMENTS:
            if value is not None:
                hooks[name] = check_hook(name, value, path)
        elif name in GUNICORN_ONLY:
            without_effect.append(name)
        elif not name.startswith("_") and not _is_definition(value):
            if nearest(name, known, cutoff=NEAR_ENOUGH):
                raise _unknown_key(path, name, list(known), cutoff=NEAR_ENOUGH)
            unknown.append(name)
    return FileValues(
        values,
        tuple(
            f"{path}: {what}: {', '.join(sorted(names))}"
            for what, names in (
                ("gunicorn's names that have no effect here", without_effect),
                ("names that are no settings", unknown),
            )
            if names
        ),
        hooks,
    )


def _run(path: str, content: bytes) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__config__", "__file__": os.path.realpath(path)}
    try:
        exec(compile(content, path, "exec"), namespace)
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else _line_of(error, path)
        place = f" in line {line}" if line else ""
        raise ConfigError("--config", path, f"failed{place}: {type(error).__name__}: {_one_line(error)}") from error
    return namespace


def _line_of(error: BaseException, path: str) -> int | None:
    """The innermost line of the file itself that the error passed."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _one_line(error: BaseException) -> str:
    message = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(str(message).split())


def _is_definition(value: object) -> bool:
    return callable(value) or isinstance(value, types.ModuleType)


def _settings_of_files() -> list[Setting]:
    return [s for s in all_settings() if not s.declaration.is_flag_only and s.name != "config"]


def _unknown_key(path: str, key: str, known: list[str], cutoff: float) -> ConfigError:
    near = nearest(key.replace("_", "-"), known, cutoff=cutoff) or nearest(key, known, cutoff=cutoff)
    hint = f"; did you mean {near}?" if near else ""
    return ConfigError(key, None, f"no such setting{hint}", path)
