"""gunicorn's settings that Ropewalk does not have, each with the message for a user who sets it.

Loaded only then. docs/migrating-from-gunicorn.md lists all of gunicorn's settings, and these with the same messages; a
test compares both with an installed gunicorn, so that no new setting is missed.
"""

from __future__ import annotations

_ASGI = "applications are WSGI; ASGI and WebSockets need another server"
_HTTP2 = "the server speaks HTTP/1.1; nginx in front speaks HTTP/2 with browsers"
_DIRTY = "long jobs belong in a task queue such as Celery or RQ"
_STRICT = "requests that violate HTTP's grammar are always refused"
_PASTE = "load the application in your own module and pass that: MODULE:CALLABLE"
_OWN_LOG = "logs are text or JSON lines in files or on standard output: --error-logfile, --access-logfile"
_SYSLOG = "log to standard error, which journald or the container engine stores and forwards"
_UWSGI = "nginx forwards requests as HTTP: use proxy_pass instead of uwsgi_pass"
_TLS_VERSION = "use --tls-min-version, or create the context in the ssl_context hook"

UNSUPPORTED: dict[str, str] = {
    "asgi_disconnect_grace_period": _ASGI,
    "asgi_lifespan": _ASGI,
    "asgi_loop": _ASGI,
    "capture_output": "the application's standard output and error are not redirected; a supervisor collects them",
    "casefold_http_method": "methods are case-sensitive (RFC 9110 section 9.1) and are passed on as they were sent",
    "check_config": "it is an option of the command line",
    "control_socket_disable": "use --control-socket with an empty path",
    "control_socket_mode": "it is 0600",
    "daemon": "systemd, supervisor or a container engine keeps it running, collects its output and restarts it",
    "default_proc_name": "processes are named by their command lines",
    "dirty_apps": _DIRTY,
    "dirty_graceful_timeout": _DIRTY,
    "dirty_post_fork": _DIRTY,
    "dirty_threads": _DIRTY,
    "dirty_timeout": _DIRTY,
    "dirty_worker_exit": _DIRTY,
    "dirty_worker_init": _DIRTY,
    "dirty_workers": _DIRTY,
    "disable_redirect_access_to_syslog": _SYSLOG,
    "do_handshake_on_connect": "a handshake never occupies a thread",
    "enable_backlog_metric": "if the proxy sends X-Request-Start, ropewalk_queue_seconds includes the backlog",
    "enable_stdio_inheritance": "the application's standard output and error are not redirected",
    "http2_cleartext": _HTTP2,
    "http2_initial_window_size": _HTTP2,
    "http2_max_concurrent_streams": _HTTP2,
    "http2_max_frame_size": _HTTP2,
    "http2_max_header_list_size": _HTTP2,
    "http_parser": "there is only one parser",
    "http_protocols": _HTTP2,
    "initgroups": "with --user, workers always have that user's groups",
    "logconfig": _OWN_LOG,
    "logconfig_dict": _OWN_LOG,
    "logconfig_json": _OWN_LOG,
    "logger_class": _OWN_LOG,
    "on_dirty_starting": _DIRTY,
    "paste": _PASTE,
    "permit_obsolete_folding": _STRICT,
    "permit_unconventional_http_method": _STRICT,
    "permit_unconventional_http_version": _STRICT,
    "print_config": "it is an option of the command line",
    "proc_name": "processes are named by their command lines; --pid and `ropewalk status` show which is which",
    "protocol": _UWSGI,
    "raw_paste_global_conf": _PASTE,
    "reuse_port": "all workers share the listening sockets, so that no connection waits for a busy worker",
    "root_path": "it is for ASGI; a WSGI application's path is --script-name, or X-Forwarded-Prefix from the proxy",
    "secure_scheme_headers": "a trusted proxy sends the scheme in X-Forwarded-Proto or Forwarded: --forwarded-fields",
    "sendfile": "wsgi.file_wrapper uses it whenever possible",
    "spew": "`ropewalk stacks` shows what every thread is doing",
    "ssl_version": _TLS_VERSION,
    "strip_header_spaces": _STRICT,
    "suppress_ragged_eofs": "a TLS connection that ends early truncates no request, because HTTP says how long each is",
    "syslog": _SYSLOG,
    "syslog_addr": _SYSLOG,
    "syslog_facility": _SYSLOG,
    "syslog_prefix": _SYSLOG,
    "tmp_upload_dir": "set TMPDIR in the environment; only bodies larger than --body-memory are written",
    "uwsgi_allow_ips": _UWSGI,
    "websocket_max_message_size": _ASGI,
    "worker_class": "remove it: requests run in up to --threads threads, and how many run at once adapts "
    "(ASGI needs another server)",
    "worker_connections": "use --limit-connections",
    "worker_tmp_dir": "workers do not write heartbeat files",
}
"""By the name in a file: what to use instead, or why it is not needed."""

_DEFAULTS: dict[str, object] = {
    "asgi_disconnect_grace_period": 3,
    "asgi_lifespan": "auto",
    "asgi_loop": "auto",
    "control_socket_mode": 0o600,
    "default_proc_name": "gunicorn",
    "dirty_graceful_timeout": 30,
    "dirty_threads": 1,
    "dirty_timeout": 300,
    "http2_cleartext": "off",
    "http2_initial_window_size": 65535,
    "http2_max_concurrent_streams": 100,
    "http2_max_frame_size": 16384,
    "http2_max_header_list_size": 65536,
    "http_parser": "auto",
    "http_protocols": "h1",
    "logger_class": "gunicorn.glogging.Logger",
    "protocol": "http",
    "secure_scheme_headers": {
        "X-FORWARDED-PROTOCOL": "ssl",
        "X-FORWARDED-PROTO": "https",
        "X-FORWARDED-SSL": "on",
    },
    "sendfile": None,
    "ssl_version": 2,
    "suppress_ragged_eofs": True,
    "syslog_addr": "udp://localhost:514",
    "syslog_facility": "user",
    "uwsgi_allow_ips": "127.0.0.1,::1",
    "websocket_max_message_size": 16 * 1024 * 1024,
    "worker_class": "sync",
    "worker_connections": 1000,
}
"""gunicorn's defaults, a list as text with commas, where they are not empty, zero or False."""


def is_default(name: str, value: object) -> bool:
    """Whether gunicorn does the same without this value of its setting `name`, so that nothing is lost with it."""
    if value is None:
        return True
    if isinstance(value, list | tuple):
        value = ",".join(map(str, value))
    return value == _DEFAULTS[name] if name in _DEFAULTS else not value


FLAGS: dict[str, str] = {"--" + name.replace("_", "-"): name for name in UNSUPPORTED} | {
    "-D": "daemon",
    "-R": "enable_stdio_inheritance",
    "-k": "worker_class",
    "-n": "proc_name",
    "--dirty-app": "dirty_apps",
    "--log-config": "logconfig",
    "--log-config-json": "logconfig_json",
    "--log-syslog": "syslog",
    "--log-syslog-facility": "syslog_facility",
    "--log-syslog-prefix": "syslog_prefix",
    "--log-syslog-to": "syslog_addr",
    "--name": "proc_name",
    "--no-control-socket": "control_socket_disable",
    "--no-sendfile": "sendfile",
    "--paste-global": "raw_paste_global_conf",
    "--paster": "paste",
    "--uwsgi-allow-from": "uwsgi_allow_ips",
}
"""gunicorn's options, and the names in a file that they stand for."""


def instead_of_flag(argument: str) -> tuple[str, str]:
    """gunicorn's option in `argument` (`--name`, `--name=value` or `-nvalue`) and the message for it.

    Both are empty for anything else.
    """
    name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
    return (name, UNSUPPORTED[FLAGS[name]]) if name in FLAGS else ("", "")
