"""The table of settings: each one is a field here, and nowhere else.

`Settings` is an immutable value: made once, by `load` from options, variables and a file, or by `make_settings` for a
program that embeds the server; checked then, and only read afterwards, by any thread.

The module is as long as there are settings: a table, to be searched rather than read.
"""

from __future__ import annotations

from typing import Any, Literal

from ropewalk.config import readers
from ropewalk.config.readers import DAY, GIB, KIB, MIB
from ropewalk.config.table import Setting, Table, declare
from ropewalk.errors import ConfigError, nearest
from ropewalk.logs.error_format import LOG_FORMATS

APPLICATION = "Application"
LISTENING = "Listening"
PROCESSES = "Processes and threads"
TIMEOUTS = "Timeouts"
LIMITS = "Limits"
MONITORING = "Monitoring and control"
LOGGING = "Logging"
PROXIES = "Behind a proxy"
TLS = "TLS"
DEVELOPMENT = "Development"
COMMANDS = "Check and exit"

NEVER_UNLIMITED = "0 does not mean unlimited: a client could exhaust the memory"

NO_WORKERS = "there are no worker processes"
NO_MASTER = "there is no master process"
PROCESS = "it concerns the whole process, which belongs to the program"
OPTION = "it is an option of the command line"
NO_DEBUG = "the pages belong to the command"

RELOAD_ENGINES = ("auto", "inotify", "poll")

COMBINED_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
"""The combined log format of Apache httpd, which is gunicorn's default too."""

SHELLS = ("bash", "fish", "zsh")

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class Settings(Table):
    """Every setting's effective value. Durations are in seconds, sizes in bytes."""

    wsgi_app: str = declare(
        default="",
        read=readers.text(allowed="must be MODULE:CALLABLE, such as project.wsgi:application"),
        section=APPLICATION,
        metavar="MODULE:CALLABLE",
        help="the application: a module and a callable in it (default: application, or else app)",
        not_embedded="the application is the first argument",
    )
    chdir: str = declare(
        default="",
        read=readers.path(),
        section=APPLICATION,
        flags=("--chdir",),
        metavar="DIR",
        help="change to this directory first; relative paths start there",
        needs_restart=True,
        not_embedded=PROCESS,
    )
    pythonpath: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.path(), allowed="must be directories, separated by commas"),
        section=APPLICATION,
        flags=("--pythonpath",),
        metavar="DIR[,DIR]",
        is_repeatable=True,
        help="put these directories at the front of the module search path",
        not_embedded="the program imports the application itself",
    )
    env: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.assignment, separator="", allowed="must be NAME=VALUE"),
        section=APPLICATION,
        flags=("-e", "--env"),
        metavar="NAME=VALUE",
        python_name="raw_env",
        is_repeatable=True,
        help="set an environment variable before the application is imported",
    )
    script_name: str = declare(
        default="",
        read=readers.script_name,
        section=APPLICATION,
        flags=("--script-name",),
        metavar="URL_PATH",
        other_variables=("SCRIPT_NAME",),
        is_set_by_env=True,
        help="path under which the application is published, if requests have it in front of the application's own "
        "paths: it becomes the SCRIPT_NAME, and other paths are a 404",
    )
    static: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.mount, allowed="must be PREFIX=DIR"),
        section=APPLICATION,
        flags=("--static",),
        metavar="PREFIX=DIR",
        is_repeatable=True,
        help="serve the files of a directory under a path prefix; what is not a file there goes to the application",
        reason="a web server in front does this better, but the server can do without one.",
    )
    config: str = declare(
        default="",
        read=readers.path(),
        section=APPLICATION,
        flags=("-c", "--config"),
        metavar="FILE",
        help="read settings from a .toml file, or from a .py file with gunicorn's names",
        is_common=True,
        needs_restart=True,
        not_embedded="pass the settings themselves",
    )
    bind: tuple[str, ...] = declare(
        default=("127.0.0.1:8000",),
        read=readers.several(readers.address, allowed="must be addresses, such as 127.0.0.1:8000", at_least=1),
        section=LISTENING,
        flags=("-b", "--bind"),
        metavar="ADDRESS",
        is_repeatable=True,
        default_variable="PORT",
        read_default=readers.platform_port,
        help="where to listen: HOST:PORT, [V6]:PORT, unix:PATH or fd://N; if it is set nowhere, a platform's variable "
        "PORT means 0.0.0.0:PORT",
        reason="only this machine can connect until you say otherwise.",
        is_common=True,
        needs_restart=True,
    )
    backlog: int = declare(
        default=2048,
        read=readers.integer(1, 65535),
        section=LISTENING,
        flags=("--backlog",),
        metavar="N",
        help="connections that the kernel queues until they are accepted (at most net.core.somaxconn)",
        needs_restart=True,
    )
    unix_mode: int | None = declare(
        default=None,
        read=readers.mode("0660"),
        section=LISTENING,
        flags=("--unix-mode",),
        metavar="MODE",
        help="file mode of Unix sockets (default: 0666, less the --umask)",
        reason="connecting needs write permission, and the proxy in front usually runs as another user.",
        needs_restart=True,
    )
    workers: int = declare(
        default=1,
        read=readers.integer(1, 1024),
        section=PROCESSES,
        flags=("-w", "--workers"),
        metavar="N",
        other_variables=("WEB_CONCURRENCY",),
        help="worker processes",
        reason="one process keeps one processor busy; more processes use more processors.",
        is_common=True,
        not_embedded=NO_WORKERS,
    )
    threads: int = declare(
        default=16,
        read=readers.integer(1, 4096),
        section=PROCESSES,
        flags=("--threads",),
        metavar="N",
        help="maximum number of threads per worker; how many run at once adapts to the application",
        is_common=True,
    )
    stream_threads: int = declare(
        default=0,
        read=readers.integer(0, 4096),
        section=PROCESSES,
        flags=("--stream-threads",),
        metavar="N",
        help="threads per worker, beyond --threads, for responses that stream: server-sent events and the like",
        reason="a stream occupies a thread for as long as it is open.",
    )
    preload: bool = declare(
        default=False,
        read=readers.switch,
        section=PROCESSES,
        flags=("--preload",),
        python_name="preload_app",
        help="load the application once, in the master, before workers are forked; a reload then keeps its code",
        reason="unless an application is made for it, its processes share connections and locks.",
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    max_requests: int = declare(
        default=0,
        read=readers.integer(0, 10**12),
        section=PROCESSES,
        flags=("--max-requests",),
        metavar="N",
        help="replace a worker after it has served this many requests (0: never)",
        reason="it hides memory leaks, and each replacement loads the application again.",
        not_embedded=NO_WORKERS,
    )
    max_requests_jitter: int = declare(
        default=0,
        read=readers.integer(0, 10**12),
        section=PROCESSES,
        flags=("--max-requests-jitter",),
        metavar="N",
        help="add a random 0 to N to --max-requests, so that workers do not restart together",
        not_embedded=NO_WORKERS,
    )
    max_rss: int = declare(
        default=0,
        read=readers.size(16 * MIB, 1024 * GIB, zero="no limit"),
        section=PROCESSES,
        flags=("--max-rss",),
        metavar="SIZE",
        help="replace a worker whose resident memory exceeds this size (0: never)",
        reason="set it below the container's memory limit, where the kernel kills a worker with its requests.",
        not_embedded=NO_WORKERS,
    )
    pid: str = declare(
        default="",
        read=readers.path(),
        section=PROCESSES,
        flags=("-p", "--pid"),
        metavar="FILE",
        python_name="pidfile",
        help="write the master's process id to this file",
        needs_restart=True,
        not_embedded=PROCESS,
    )
    user: str = declare(
        default="",
        read=readers.account("user"),
        section=PROCESSES,
        flags=("-u", "--user"),
        metavar="USER",
        help="run the workers as this user (name or number) with the user's groups; the master keeps its own",
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    group: str = declare(
        default="",
        read=readers.account("group"),
        section=PROCESSES,
        flags=("-g", "--group"),
        metavar="GROUP",
        help="run the workers with this group (name or number; default: the user's primary group)",
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    umask: int | None = declare(
        default=None,
        read=readers.mode("022"),
        section=PROCESSES,
        flags=("-m", "--umask"),
        metavar="MODE",
        help="file mode creation mask (umask)",
        reason="inherited from the process that starts the server; gunicorn's 0 lets everybody write to new files.",
        needs_restart=True,
        not_embedded=PROCESS,
    )
    timeout: float = declare(
        default=30.0,
        read=readers.seconds(0.1, DAY, zero="no limit"),
        section=TIMEOUTS,
        flags=("-t", "--timeout"),
        metavar="SECONDS",
        help="seconds a request may run before its response begins; 504 after that (0: no limit)",
        is_common=True,
    )
    timeout_for: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.time_by_prefix, allowed="must be PREFIX=SECONDS"),
        section=TIMEOUTS,
        flags=("--timeout-for",),
        metavar="PREFIX=SECONDS",
        is_repeatable=True,
        help="a different --timeout for paths with this prefix; the longest matching prefix wins (0: no limit)",
        reason="one slow export should not give every request as much time.",
    )
    stream_timeout: float = declare(
        default=300.0,
        read=readers.seconds(0.1, DAY, zero="no limit"),
        section=TIMEOUTS,
        flags=("--stream-timeout",),
        metavar="SECONDS",
        help="seconds the application may produce nothing for a response that has begun, before that response is ended "
        "(0: no limit); a longer --timeout-for of its path counts instead",
        reason="an application with a heartbeat each minute may miss four; most proxies wait for less.",
    )
    queue_timeout: float = declare(
        default=0.0,
        read=readers.seconds(0.01, DAY, zero="no limit"),
        section=TIMEOUTS,
        flags=("--queue-timeout",),
        metavar="SECONDS",
        help="seconds a request may wait for the application, here and since a trusted proxy's X-Request-Start, before "
        "it is refused with 503 and Retry-After (0: no limit)",
        reason="only the operator knows how long the clients wait.",
    )
    graceful_timeout: float = declare(
        default=30.0,
        read=readers.seconds(0, DAY),
        section=TIMEOUTS,
        flags=("--graceful-timeout",),
        metavar="SECONDS",
        help="seconds a stopping worker may take to finish requests in flight",
        is_common=True,
    )
    drain_delay: float = declare(
        default=0.0,
        read=readers.seconds(0, DAY),
        section=TIMEOUTS,
        flags=("--drain-delay",),
        metavar="SECONDS",
        help="seconds to keep serving after TERM while readiness already reports false",
        reason="only a load balancer that polls for readiness needs the time.",
        not_embedded="the program decides when to stop",
    )
    keep_alive: float = declare(
        default=75.0,
        read=readers.seconds(0, DAY),
        section=TIMEOUTS,
        flags=("--keep-alive",),
        metavar="SECONDS",
        python_name="keepalive",
        help="seconds an idle connection is kept open for its next request (0: close after each response)",
        reason="longer than a proxy in front keeps it: a proxy that finds its connection closed responds with 502.",
    )
    request_head_timeout: float = declare(
        default=10.0,
        read=readers.seconds(0.1, DAY),
        section=TIMEOUTS,
        flags=("--request-head-timeout",),
        metavar="SECONDS",
        help="seconds from the first byte of a request head to its end, then 408; a new connection has as long to send "
        "its first byte",
    )
    request_body_timeout: float = declare(
        default=30.0,
        read=readers.seconds(0.1, DAY),
        section=TIMEOUTS,
        flags=("--request-body-timeout",),
        metavar="SECONDS",
        help="seconds a request body may make no progress; 408 after that",
    )
    response_timeout: float = declare(
        default=30.0,
        read=readers.seconds(0.1, DAY),
        section=TIMEOUTS,
        flags=("--response-timeout",),
        metavar="SECONDS",
        help="seconds a client may accept nothing of its response before the connection is closed",
    )
    limit_request_line: int = declare(
        default=8190,
        read=readers.integer(64, MIB, why=NEVER_UNLIMITED),
        section=LIMITS,
        flags=("--limit-request-line",),
        metavar="BYTES",
        help="maximum length of the request line; 414 above",
        reason="Apache httpd's value; RFC 9112 asks for at least 8000.",
    )
    limit_request_fields: int = declare(
        default=100,
        read=readers.integer(1, 32768),
        section=LIMITS,
        flags=("--limit-request-fields",),
        metavar="N",
        help="maximum number of header fields of a request; 431 above",
        reason="Apache httpd's value; browsers send far fewer.",
    )
    limit_request_field_size: int = declare(
        default=8190,
        read=readers.integer(64, MIB, why=NEVER_UNLIMITED),
        section=LIMITS,
        flags=("--limit-request-field-size", "--limit-request-field_size"),
        metavar="BYTES",
        help="maximum length of a header field of a request; 431 above",
        reason="Apache httpd's value.",
    )
    limit_request_head: int = declare(
        default=64 * KIB,
        read=readers.size(1 * KIB, 16 * MIB),
        section=LIMITS,
        flags=("--limit-request-head",),
        metavar="SIZE",
        help="maximum size of a request head, request line and fields together; 431 above",
        reason="the memory that a connection may take before it has asked for anything.",
    )
    limit_request_body: int = declare(
        default=100 * MIB,
        read=readers.size(1, 1024 * GIB, zero="no limit"),
        section=LIMITS,
        flags=("--limit-request-body",),
        metavar="SIZE",
        help="maximum size of a request body; 413 above (0: no limit)",
        reason="what few projects exceed, and a tenth of --limit-request-bodies; nginx's default is 1 MiB.",
    )
    limit_request_bodies: int = declare(
        default=1 * GIB,
        read=readers.size(MIB, 1024 * GIB, zero="no limit"),
        section=LIMITS,
        flags=("--limit-request-bodies",),
        metavar="SIZE",
        help="maximum size of all request bodies that a worker holds in memory and temporary files; 503 with "
        "Retry-After above, except for bodies up to 16 KiB (0: no limit; otherwise at least --limit-request-body)",
        reason="what all clients together may take of the disk, or of the memory if /tmp is a tmpfs.",
    )
    body_memory: int = declare(
        default=512 * KIB,
        read=readers.size(0, 1 * GIB),
        section=LIMITS,
        flags=("--body-memory",),
        metavar="SIZE",
        help="maximum size of a request body that is kept in memory; a larger one goes to a temporary file",
    )
    response_memory: int = declare(
        default=64 * MIB,
        read=readers.size(MIB, 1024 * GIB),
        section=LIMITS,
        flags=("--response-memory",),
        metavar="SIZE",
        help="maximum size of all responses that a worker keeps in memory for clients that have not taken them yet; "
        "the rest goes to temporary files",
        reason="a dozen large responses; an object that many clients wait for counts once.",
    )
    limit_buffered_responses: int = declare(
        default=1 * GIB,
        read=readers.size(MIB, 1024 * GIB, zero="no limit"),
        section=LIMITS,
        flags=("--limit-buffered-responses",),
        metavar="SIZE",
        help="maximum size of all responses that a worker keeps, in memory and temporary files, for clients that have "
        "not taken them yet; above, a thread with a response over 64 KiB waits for its client (0: no limit)",
        reason="what all clients together may take of the disk, or of the memory if /tmp is a tmpfs.",
    )
    limit_connections: int = declare(
        default=16384,
        read=readers.integer(1, 1_000_000),
        section=LIMITS,
        flags=("--limit-connections",),
        metavar="N",
        help="maximum number of connections per worker; above, the one that is idle longest is closed, or if none is "
        "idle the new one gets 503",
    )
    limit_waiting: int = declare(
        default=1024,
        read=readers.integer(1, 1_000_000),
        section=LIMITS,
        flags=("--limit-waiting",),
        metavar="N",
        help="maximum number of complete requests that wait for a thread of a worker; 503 with Retry-After above",
        reason="an immediate refusal is better than a queue that outlasts the clients' patience.",
    )
    control_socket: str = declare(
        default="auto",
        read=readers.path(),
        section=MONITORING,
        flags=("--control-socket",),
        metavar="PATH",
        help="path of the Unix socket for commands, with mode 0600 (auto: a name without a file; empty: none)",
        reason="a name in the abstract namespace needs no writable directory, and is open only to the server's own "
        "user and root, who could send signals as well.",
        needs_restart=True,
        not_embedded=NO_MASTER,
    )
    admin_bind: str = declare(
        default="",
        read=readers.optional_address,
        section=MONITORING,
        flags=("--admin-bind",),
        metavar="ADDRESS",
        help="address that serves /livez, /readyz, /metrics and a status page (empty: none)",
        is_common=True,
        reason="everybody who can connect sees what the server is doing, so do not expose it.",
        needs_restart=True,
        not_embedded=NO_MASTER,
    )
    admin_hosts: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.host_name, allowed="must be host names, separated by commas"),
        section=MONITORING,
        flags=("--admin-hosts",),
        metavar="NAME[,NAME]",
        is_repeatable=True,
        help="names by which clients reach --admin-bind, besides its own host, addresses and names without a dot "
        "(*: any); 421 for others, except for health checks",
        reason="a web site could read the metrics through its visitor's browser, if its name leads there.",
        needs_restart=True,
        not_embedded=NO_MASTER,
    )
    statsd_host: str = declare(
        default="",
        read=readers.statsd_target,
        section=MONITORING,
        flags=("--statsd-host",),
        metavar="ADDRESS",
        help="send gunicorn-compatible metrics to this StatsD server: HOST:PORT (8125) or unix:PATH (empty: none)",
        needs_restart=True,
    )
    statsd_prefix: str = declare(
        default="",
        read=readers.statsd_text("a prefix"),
        section=MONITORING,
        flags=("--statsd-prefix",),
        metavar="PREFIX",
        help="prefix of the names of these metrics, without the dot at its end",
        needs_restart=True,
    )
    dogstatsd_tags: str = declare(
        default="",
        read=readers.statsd_text("tags", also=":,"),
        section=MONITORING,
        flags=("--dogstatsd-tags",),
        metavar="TAG[,TAG]",
        help="tags for each of these metrics in DogStatsD's format, such as env:live,team:shop",
        needs_restart=True,
    )
    access_log: str = declare(
        default="",
        read=readers.path(),
        section=LOGGING,
        flags=("--access-logfile",),
        metavar="FILE",
        python_name="accesslog",
        help="write a line for each request to this file (-: standard output, the default if that is a terminal; "
        "empty: none)",
        is_common=True,
    )
    access_log_format: str = declare(
        default=COMBINED_FORMAT,
        read=readers.log_format,
        section=LOGGING,
        flags=("--access-logformat",),
        metavar="FORMAT",
        help="format of these lines in gunicorn's letters, json for lines of JSON, or terminal for a person (the "
        "default on a terminal)",
        reason="the combined log format, which every log analyzer reads.",
    )
    access_log_skip: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.agent, allowed="must be the starts of User-Agent fields, separated by commas"),
        section=LOGGING,
        flags=("--access-log-skip",),
        metavar="AGENT[,AGENT]",
        help="no line for a response below 500 to a client whose User-Agent starts with one of these: health checks, "
        "such as kube-probe",
    )
    request_id: Literal["off", "environ", "response"] = declare(
        default="off",
        read=readers.Choice(("off", "environ", "response")),
        section=LOGGING,
        flags=("--request-id",),
        metavar="MODE",
        help="identify each request, by a trusted proxy's X-Request-ID or else by a new one: off, environ (in the "
        "environ and the logs) or response (as a response field too)",
        reason="a proxy in front that identifies requests is enough.",
    )
    node_name: str = declare(
        default="",
        read=readers.name,
        section=LOGGING,
        flags=("--node-name",),
        metavar="NAME",
        help="name of this machine in each message of the error log, and in each access log line of the format json "
        "(empty: none)",
        needs_restart=True,
    )
    replica_name: str = declare(
        default="",
        read=readers.name,
        section=LOGGING,
        flags=("--replica-name",),
        metavar="NAME",
        help="name of this server among several of the same application, likewise (empty: none)",
        needs_restart=True,
    )
    error_log: str = declare(
        default="-",
        read=readers.path(),
        section=LOGGING,
        flags=("--log-file", "--error-logfile"),
        metavar="FILE",
        python_name="errorlog",
        help="write log messages to this file (-: standard error)",
        needs_restart=True,
    )
    error_log_format: Literal["plain", "json", "terminal"] = declare(
        default="plain",
        read=readers.Choice(LOG_FORMATS),
        section=LOGGING,
        flags=("--error-log-format",),
        metavar="FORMAT",
        help="format of log messages: plain, gunicorn's lines; json, a line of JSON each, with tracebacks; or terminal "
        "for a person (the default on a terminal)",
        needs_restart=True,
    )
    log_level: Literal["debug", "info", "warning", "error", "critical"] = declare(
        default="info",
        read=readers.Choice(LOG_LEVELS),
        section=LOGGING,
        flags=("--log-level",),
        metavar="LEVEL",
        python_name="loglevel",
        help="lowest level of log messages: " + ", ".join(LOG_LEVELS),
        is_common=True,
        needs_restart=True,
    )
    server_header: str = declare(
        default="ropewalk",
        read=readers.field_value,
        section=PROXIES,
        flags=("--server-header",),
        metavar="TEXT",
        help="value of the Server field of responses (empty: the field is not sent)",
        reason="the name without the version, which would only help attackers.",
    )
    forwarded_allow_ips: tuple[str, ...] = declare(
        default=("127.0.0.1", "::1"),
        read=readers.several(readers.proxy_address, allowed="must be addresses, separated by commas, or *"),
        section=PROXIES,
        flags=("--forwarded-allow-ips",),
        metavar="ADDRESS[,ADDRESS]",
        other_variables=("FORWARDED_ALLOW_IPS",),
        help="proxies whose X-Forwarded fields are trusted: addresses, networks, or * for any peer",
        reason="anybody can send these fields; only your own proxy's are true.",
        is_common=True,
    )
    forwarded_fields: tuple[str, ...] = declare(
        default=("x-forwarded-for", "x-forwarded-proto"),
        read=readers.forwarded_fields,
        section=PROXIES,
        flags=("--forwarded-fields",),
        metavar="NAME[,NAME]",
        help="fields that these proxies set; the others never reach the application: "
        + ", ".join(readers.FORWARDED_FIELDS),
        reason="a field that the proxy does not set comes from the client.",
    )
    forwarder_headers: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.underscore_name, allowed="must be field names, separated by commas"),
        section=PROXIES,
        flags=("--forwarder-headers",),
        metavar="NAME[,NAME]",
        help="fields with an underscore in their names that these proxies set: REMOTE_USER reaches the application as "
        "HTTP_REMOTE_USER, and SCRIPT_NAME replaces --script-name",
        reason="nginx drops such fields of clients, but other proxies pass them on.",
    )
    header_map: Literal["drop", "refuse", "dangerous"] = declare(
        default="drop",
        read=readers.Choice(("drop", "refuse", "dangerous")),
        section=PROXIES,
        flags=("--header-map",),
        metavar="MODE",
        help="other fields with an underscore in their names: drop, refuse (400) or dangerous, which passes them on as "
        "if they had hyphens",
        reason="such a field would pass a proxy that removes only the one with hyphens.",
    )
    proxy_protocol: Literal["off", "auto", "v1", "v2"] = declare(
        default="off",
        read=readers.proxy_protocol,
        section=PROXIES,
        flags=("--proxy-protocol",),
        metavar="MODE",
        help="expect a PROXY protocol header on every connection: " + ", ".join(readers.PROXY_PROTOCOLS),
    )
    proxy_allow_from: tuple[str, ...] = declare(
        default=("127.0.0.1", "::1"),
        read=readers.several(readers.proxy_address, allowed="must be addresses, separated by commas, or *"),
        section=PROXIES,
        flags=("--proxy-allow-from",),
        metavar="ADDRESS[,ADDRESS]",
        python_name="proxy_allow_ips",
        help="proxies that may send this header; connections from other peers are closed (*: any peer may)",
        reason="the header decides who the client is.",
    )
    certfile: str = declare(
        default="",
        read=readers.path(),
        section=TLS,
        flags=("--certfile",),
        metavar="FILE",
        help="serve TLS with this certificate chain (PEM)",
        is_common=True,
    )
    keyfile: str = declare(
        default="",
        read=readers.path(),
        section=TLS,
        flags=("--keyfile",),
        metavar="FILE",
        help="private key of the certificate, if it is not in the same file",
        is_common=True,
    )
    sni_certificate: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.named_certificate, separator="", allowed="must be NAME=CERTFILE[,KEYFILE]"),
        section=TLS,
        flags=("--sni-certificate",),
        metavar="NAME=CERTFILE[,KEYFILE]",
        is_repeatable=True,
        help="another certificate, for clients that ask for this name (or *.DOMAIN)",
    )
    ca_certs: str = declare(
        default="",
        read=readers.path(),
        section=TLS,
        flags=("--ca-certs",),
        metavar="FILE",
        help="authorities whose client certificates are accepted (PEM)",
    )
    cert_reqs: Literal["none", "optional", "required"] = declare(
        default="none",
        read=readers.Choice(("none", "optional", "required"), also={0: "none", 1: "optional", 2: "required"}),
        section=TLS,
        flags=("--cert-reqs",),
        metavar="MODE",
        help="client certificates: none, optional or required (or gunicorn's 0, 1 and 2)",
    )
    tls_min_version: Literal["1.2", "1.3"] = declare(
        default="1.2",
        read=readers.Choice(("1.2", "1.3")),
        section=TLS,
        flags=("--tls-min-version",),
        metavar="VERSION",
        help="lowest TLS version: 1.2 or 1.3",
        reason="older versions are broken (RFC 8996).",
    )
    ciphers: str = declare(
        default="",
        read=readers.text(),
        section=TLS,
        flags=("--ciphers",),
        metavar="LIST",
        help="ciphers for TLS 1.2 in OpenSSL's syntax (empty: OpenSSL's default)",
    )
    reload: bool = declare(
        default=False,
        read=readers.switch,
        section=DEVELOPMENT,
        flags=("--reload",),
        help="for development: replace the workers when a file of the application changes, and show in the browser why "
        "it cannot be loaded",
        is_common=True,
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    reload_engine: Literal["auto", "inotify", "poll"] = declare(
        default="auto",
        read=readers.Choice(RELOAD_ENGINES),
        section=DEVELOPMENT,
        flags=("--reload-engine",),
        metavar="ENGINE",
        help=f"how --reload notices changes: {', '.join(RELOAD_ENGINES)}",
        reason="auto is inotify where the package watchfiles is installed and the kernel sees every change, else poll.",
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    reload_extra_files: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.path(), allowed="must be files, folders or patterns, separated by commas"),
        section=DEVELOPMENT,
        flags=("--reload-extra-file",),
        metavar="FILE[,FILE]",
        is_repeatable=True,
        help="other files that --reload watches: paths, folders, or patterns such as conf/**/*.yaml",
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    reload_ignore: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.path(), allowed="must be patterns, separated by commas"),
        section=DEVELOPMENT,
        flags=("--reload-ignore",),
        metavar="PATTERN[,PATTERN]",
        is_repeatable=True,
        help="files and folders that --reload does not watch, by name, by the end of their path, or by pattern",
        needs_restart=True,
        not_embedded=NO_WORKERS,
    )
    debug: bool = declare(
        default=False,
        read=readers.switch,
        section=DEVELOPMENT,
        flags=("--debug",),
        help="for development: respond to an exception with a page that shows its stack, source, variables and "
        "request, to browsers on this machine only",
        reason="it shows the inside of the application.",
        is_common=True,
        needs_restart=True,
        not_embedded=NO_DEBUG,
    )
    debug_allow_ips: tuple[str, ...] = declare(
        default=("127.0.0.1", "::1"),
        read=readers.several(readers.proxy_address, allowed="must be addresses, separated by commas, or *"),
        section=DEVELOPMENT,
        flags=("--debug-allow-ips",),
        metavar="ADDRESS[,ADDRESS]",
        help="who may see the pages of --debug and --reload: addresses, networks, or * for everybody",
        reason="the second of the two settings without which nothing leaves this machine.",
        needs_restart=True,
        not_embedded=NO_DEBUG,
    )
    debug_hosts: tuple[str, ...] = declare(
        default=(),
        read=readers.several(readers.host_name, allowed="must be host names, separated by commas"),
        section=DEVELOPMENT,
        flags=("--debug-hosts",),
        metavar="NAME[,NAME]",
        help="the names under which a browser may see these pages, besides localhost and addresses (*: any)",
        reason="a page elsewhere could otherwise read them, by a name that leads to this machine.",
        needs_restart=True,
        not_embedded=NO_DEBUG,
    )
    debug_proxied: bool = declare(
        default=False,
        read=readers.switch,
        section=DEVELOPMENT,
        flags=("--debug-proxied",),
        help="show these pages to requests through a proxy, too, if --debug-allow-ips has the proxy and its client",
        reason="a proxy on this machine makes every client look local.",
        needs_restart=True,
        not_embedded=NO_DEBUG,
    )
    check_config: bool = declare(
        default=False,
        read=readers.switch,
        section=COMMANDS,
        flags=("--check-config",),
        is_flag_only=True,
        help="check the settings and load the application, then exit",
        is_common=True,
        not_embedded=OPTION,
    )
    print_config: bool = declare(
        default=False,
        read=readers.switch,
        section=COMMANDS,
        flags=("--print-config",),
        is_flag_only=True,
        help="print every setting with its value and origin, then exit",
        is_common=True,
        not_embedded=OPTION,
    )
    completion: str = declare(
        default="",
        read=readers.Choice(SHELLS, also={"": ""}),
        section=COMMANDS,
        flags=("--completion",),
        metavar="SHELL",
        is_flag_only=True,
        help="print a script that completes options and commands in the shell: " + ", ".join(SHELLS),
        not_embedded=OPTION,
    )


def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the table."""
    return Settings.declared


def make_settings(**values: object) -> Settings:
    """Settings from Python values, by the names of fields or options; one text may stand for a tuple of one.

    Raises TypeError for an unknown name and ConfigError for a bad value.
    """
    known = {name: setting for setting in all_settings() for name in (setting.name, setting.key.replace("-", "_"))}
    read: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            near = nearest(name, known)
            raise TypeError(f"no such setting: {name}" + (f"; did you mean {near}?" if near else ""))
        setting = known[name]
        if setting.name in read:
            raise TypeError(f"{name} and {setting.name} are the same setting")
        read[setting.name] = setting.read(value, name)
    assigned = dict(assignment.split("=", 1) for assignment in read.get("env", ()))
    for setting in all_settings():
        for variable in setting.declaration.other_variables if setting.declaration.is_set_by_env else ():
            if variable in assigned and setting.name not in read:  # as on the command line
                read[setting.name] = setting.read(assigned[variable], setting.name, variable)
    return Settings(**read)


def refuse_not_embedded(settings: Settings) -> None:
    """Raise ConfigError for the first of the given settings that would have no effect in an embedded server."""
    for setting in all_settings():
        reason = setting.declaration.not_embedded
        if reason and setting.name in vars(settings):
            value = getattr(settings, setting.name)
            raise ConfigError(setting.name, value, f"has no effect in an embedded server: {reason}")
