"""gunicorn's settings that have no effect here: what is said to who uses one, in a file or on the command line.

Loaded only then. docs/migrating-from-gunicorn.md lists all of gunicorn's settings, these among them with these words;
a test holds both to the list of an installed gunicorn, so that none it gains is passed over in silence.
"""

from __future__ import annotations

_ASGI = "applications are WSGI; ASGI and WebSockets want another server"
_HTTP2 = "the server speaks HTTP/1.1; nginx in front speaks HTTP/2 to browsers"
_DIRTY = "long work belongs in a task queue, as Celery or RQ"
_STRICT = "what HTTP's grammar does not allow is always refused"
_PASTE = "load the application in a module of your own and name that: MODULE:CALLABLE"
_OWN_LOG = "logs are lines of text or JSON in a file or on standard output: --error-logfile, --access-logfile"
_SYSLOG = "write to standard error, which journald or the container's engine keeps and passes on"
_UWSGI = "nginx passes requests on as HTTP: proxy_pass instead of uwsgi_pass"
_LEVEL_OF_TLS = "say --tls-min-version, or make the context in the hook ssl_context"

NOT_HERE: dict[str, str] = {
    "asgi_disconnect_grace_period": _ASGI,
    "asgi_lifespan": _ASGI,
    "asgi_loop": _ASGI,
    "capture_output": "standard output and error of the application are left as they are, and a supervisor keeps both",
    "casefold_http_method": "methods are passed on as they were sent (RFC 9110 section 9.1: they are case-sensitive)",
    "check_config": "it is an option of the command line",
    "control_socket_disable": "say --control-socket with an empty path",
    "control_socket_mode": "it is 0600, and the kernel is asked who connects",
    "daemon": "systemd, supervisor or a container's engine keeps it running, collects its output and restarts it",
    "default_proc_name": "processes keep the names of their command lines",
    "dirty_apps": _DIRTY,
    "dirty_graceful_timeout": _DIRTY,
    "dirty_post_fork": _DIRTY,
    "dirty_threads": _DIRTY,
    "dirty_timeout": _DIRTY,
    "dirty_worker_exit": _DIRTY,
    "dirty_worker_init": _DIRTY,
    "dirty_workers": _DIRTY,
    "disable_redirect_access_to_syslog": _SYSLOG,
    "do_handshake_on_connect": "handshakes hold no thread, whenever the peer begins them",
    "enable_backlog_metric": "with X-Request-Start from the proxy, ropewalk_queue_seconds counts the backlog too",
    "enable_stdio_inheritance": "standard output and error of the application are left as they are",
    "forwarder_headers": "a field with an underscore in its name never reaches the application; the fields of proxies "
    "are those of --forwarded-fields",
    "header_map": "a field with an underscore in its name never reaches the application",
    "http2_cleartext": _HTTP2,
    "http2_initial_window_size": _HTTP2,
    "http2_max_concurrent_streams": _HTTP2,
    "http2_max_frame_size": _HTTP2,
    "http2_max_header_list_size": _HTTP2,
    "http_parser": "there is one parser",
    "http_protocols": _HTTP2,
    "initgroups": "with --user the workers always get that user's groups",
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
    "proc_name": "processes keep the names of their command lines; --pid and `ropewalk status` tell which is which",
    "protocol": _UWSGI,
    "raw_paste_global_conf": _PASTE,
    "reload": "send HUP, or say `ropewalk reload`; a framework's own development server watches files",
    "reload_engine": "send HUP, or say `ropewalk reload`",
    "reload_extra_files": "send HUP, or say `ropewalk reload`",
    "reuse_port": "all workers take from the same listening sockets, so that none of them is left waiting",
    "root_path": "let the proxy say X-Forwarded-Prefix, and name it in --forwarded-fields",
    "secure_scheme_headers": "a trusted proxy says the scheme in X-Forwarded-Proto or Forwarded: --forwarded-fields",
    "sendfile": "wsgi.file_wrapper uses it wherever the file and the connection allow",
    "spew": "`ropewalk stacks` tells what every thread is doing",
    "ssl_version": _LEVEL_OF_TLS,
    "strip_header_spaces": _STRICT,
    "suppress_ragged_eofs": "an end of TLS without notice cuts no request: heads and lengths tell what is whole",
    "syslog": _SYSLOG,
    "syslog_addr": _SYSLOG,
    "syslog_facility": _SYSLOG,
    "syslog_prefix": _SYSLOG,
    "tmp_upload_dir": "say TMPDIR in the environment; only bodies larger than --body-memory are written",
    "uwsgi_allow_ips": _UWSGI,
    "websocket_max_message_size": _ASGI,
    "worker_class": "leave it out: requests run in threads, --threads at the most, and how many at once adapts "
    "(ASGI wants another server)",
    "worker_connections": "say --limit-connections",
    "worker_tmp_dir": "workers write no heartbeat files",
}
"""By the name in a file: what there is instead, or why there is nothing."""

FLAGS: dict[str, str] = {"--" + name.replace("_", "-"): name for name in NOT_HERE} | {
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
    "--reload-extra-file": "reload_extra_files",
    "--uwsgi-allow-from": "uwsgi_allow_ips",
}
"""Spellings on gunicorn's command line, and the names in a file."""


def instead_of_flag(argument: str) -> tuple[str, str]:
    """gunicorn's flag that `argument` is, alone, with a value behind `=` or right behind its letter, and what is said.

    Both are empty for anything else.
    """
    name = argument.partition("=")[0] if argument.startswith("--") else argument[:2]
    return (name, NOT_HERE[FLAGS[name]]) if name in FLAGS else ("", "")
