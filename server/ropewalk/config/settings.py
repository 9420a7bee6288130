"""The table of settings: each is one field here, and nowhere else.

`Settings` is a value: made once (by `load` from flags, variables and a file, or by `make_settings` for a program
that embeds the server), checked then, and only read afterwards, from any thread.

Its length is the number of settings: a table, with nothing in it to be understood twice.
"""

from __future__ import annotations

from ropewalk.config import readers
from ropewalk.config.readers import DAY, GIB, KIB, MIB
from ropewalk.config.table import Setting, Table, declare

APPLICATION = "Application"
LISTENING = "Listening"
PROCESSES = "Processes and threads"
TIMES = "Times"
LIMITS = "Limits"
LOGS = "Logs"
SEEING = "Seeing and commanding"
PROXIES = "Behind a proxy"
TLS = "TLS"
COMMANDS = "Instead of serving"

NEVER_UNLIMITED = "there is no 0 for no limit: a client could fill the memory"

COMBINED_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
"""The combined log format of Apache httpd, which is gunicorn's default too."""

LOG_FORMATS = ("plain", "json")

LOG_LEVELS = ("debug", "info", "warning", "error", "critical")


class Settings(Table):
    """Every setting's effective value. Durations are seconds, sizes are bytes."""

    wsgi_app: str = declare(
        "",
        read=readers.text(allowed="must be MODULE:CALLABLE, as project.wsgi:application"),
        section=APPLICATION,
        metavar="MODULE:CALLABLE",
        help="the application: a module, and the callable in it (default: application, then app)",
    )
    chdir: str = declare(
        "",
        read=readers.path(),
        section=APPLICATION,
        flags=("--chdir",),
        metavar="DIR",
        help="change to this directory before anything else; relative paths start there",
    )
    pythonpath: tuple[str, ...] = declare(
        (),
        read=readers.several(readers.path(), allowed="must be directories, divided by commas"),
        section=APPLICATION,
        flags=("--pythonpath",),
        metavar="DIR[,DIR]",
        is_repeatable=True,
        help="directories put in front of Python's search path",
    )
    env: tuple[str, ...] = declare(
        (),
        read=readers.several(readers.assignment, separator="", allowed="must be NAME=VALUE"),
        section=APPLICATION,
        flags=("-e", "--env"),
        metavar="NAME=VALUE",
        python_name="raw_env",
        is_repeatable=True,
        help="set an environment variable before the application is imported",
    )
    static: tuple[str, ...] = declare(
        (),
        read=readers.several(readers.mount, allowed="must be PREFIX=DIR"),
        section=APPLICATION,
        flags=("--static",),
        metavar="PREFIX=DIR",
        is_repeatable=True,
        help="serve the files of a directory under a path, without the application",
        reason="a web server in front does this better; without one, the server can.",
    )
    config: str = declare(
        "",
        read=readers.path(),
        section=APPLICATION,
        flags=("-c", "--config"),
        metavar="FILE",
        help="read settings from a .toml file, or from a .py file with gunicorn's names",
    )
    bind: tuple[str, ...] = declare(
        ("127.0.0.1:8000",),
        read=readers.several(readers.address, allowed="must be one address or more", at_least=1),
        section=LISTENING,
        flags=("-b", "--bind"),
        metavar="ADDRESS",
        is_repeatable=True,
        help="where to listen: HOST:PORT, [V6]:PORT, unix:PATH or fd://N",
        reason="this machine alone, until asked otherwise.",
    )
    backlog: int = declare(
        2048,
        read=readers.integer(1, 65535),
        section=LISTENING,
        flags=("--backlog",),
        metavar="N",
        help="connections that the kernel holds until they are accepted (bounded by net.core.somaxconn)",
    )
    unix_mode: int | None = declare(
        None,
        read=readers.mode("0660"),
        section=LISTENING,
        flags=("--unix-mode",),
        metavar="MODE",
        help="the mode of the files of Unix sockets (default: 0666, less what --umask takes away)",
        reason="connecting needs the right to write, and the proxy in front is usually another user.",
    )
    workers: int = declare(
        1,
        read=readers.integer(1, 1024),
        section=PROCESSES,
        flags=("-w", "--workers"),
        metavar="N",
        other_variables=("WEB_CONCURRENCY",),
        help="worker processes",
        reason="one process keeps one processor busy; more of them use more processors.",
    )
    threads: int = declare(
        16,
        read=readers.integer(1, 4096),
        section=PROCESSES,
        flags=("--threads",),
        metavar="N",
        help="threads in each worker, at most; how many run at once adapts to the application",
    )
    preload: bool = declare(
        False,
        read=readers.switch,
        section=PROCESSES,
        flags=("--preload",),
        python_name="preload_app",
        help="load the application once, in the master, before workers are forked; a reload then keeps its code",
        reason="an application that is not made for it shares connections and locks between processes.",
    )
    max_requests: int = declare(
        0,
        read=readers.integer(0, 10**12),
        section=PROCESSES,
        flags=("--max-requests",),
        metavar="N",
        help="replace a worker when it has served so many requests (0: never)",
        reason="it hides a leak of memory, and costs the loading of the application each time.",
    )
    max_requests_jitter: int = declare(
        0,
        read=readers.integer(0, 10**12),
        section=PROCESSES,
        flags=("--max-requests-jitter",),
        metavar="N",
        help="up to so many more of them, by chance, so that workers are not due together",
    )
    max_rss: int = declare(
        0,
        read=readers.size(16 * MIB, 1024 * GIB, zero="no limit"),
        section=PROCESSES,
        flags=("--max-rss",),
        metavar="SIZE",
        help="replace a worker when it holds so much memory (0: never)",
        reason="a ceiling under the container's own: past that, the kernel kills a worker with its requests.",
    )
    pid: str = declare(
        "",
        read=readers.path(),
        section=PROCESSES,
        flags=("-p", "--pid"),
        metavar="FILE",
        python_name="pidfile",
        help="write the master's process id to this file",
    )
    user: str = declare(
        "",
        read=readers.account("user"),
        section=PROCESSES,
        flags=("-u", "--user"),
        metavar="USER",
        help="run the workers as this user, a name or a number, with the user's groups; the master stays as it is",
    )
    group: str = declare(
        "",
        read=readers.account("group"),
        section=PROCESSES,
        flags=("-g", "--group"),
        metavar="GROUP",
        help="run the workers with this group, a name or a number (default: the user's primary one)",
    )
    umask: int | None = declare(
        None,
        read=readers.mode("022"),
        section=PROCESSES,
        flags=("-m", "--umask"),
        metavar="MODE",
        help="what is taken from the mode of files that the server and the application make",
        reason="left as the server was started with; gunicorn's 0 lets everybody write to them.",
    )
    timeout: float = declare(
        30.0,
        read=readers.seconds(0.1, DAY, zero="no limit"),
        section=TIMES,
        flags=("-t", "--timeout"),
        metavar="SECONDS",
        help="how long the application may take for a request before its worker is replaced (0: for ever)",
    )
    timeout_for: tuple[str, ...] = declare(
        (),
        read=readers.several(readers.time_by_prefix, allowed="must be PREFIX=SECONDS"),
        section=TIMES,
        flags=("--timeout-for",),
        metavar="PREFIX=SECONDS",
        is_repeatable=True,
        help="another --timeout for the paths that begin with this prefix; the longest that fits counts (0: for ever)",
        reason="one slow export is no reason to let every request take as long.",
    )
    queue_timeout: float = declare(
        0.0,
        read=readers.seconds(0.01, DAY, zero="no limit"),
        section=TIMES,
        flags=("--queue-timeout",),
        metavar="SECONDS",
        help="how long a request may have waited for the application, here or since a trusted proxy's X-Request-Start, "
        "to be run at all; then 503 with Retry-After (0: as long as it takes)",
        reason="how long its clients wait, an application's operator has to know.",
    )
    graceful_timeout: float = declare(
        30.0,
        read=readers.seconds(0, DAY),
        section=TIMES,
        flags=("--graceful-timeout",),
        metavar="SECONDS",
        help="how long a worker that stops may take to finish what is in flight",
    )
    drain_delay: float = declare(
        0.0,
        read=readers.seconds(0, DAY),
        section=TIMES,
        flags=("--drain-delay",),
        metavar="SECONDS",
        help="how long to serve on after TERM, not ready any more, before what is in flight is finished",
        reason="0 unless something in front needs time to notice; a balancer that asks for readiness does.",
    )
    keep_alive: float = declare(
        75.0,
        read=readers.seconds(0, DAY),
        section=TIMES,
        flags=("--keep-alive",),
        metavar="SECONDS",
        python_name="keepalive",
        help="seconds an idle connection is kept open for its next request (0: every response closes its connection)",
        reason="longer than a proxy in front keeps it: a proxy that meets a closed connection answers 502.",
    )
    request_head_timeout: float = declare(
        10.0,
        read=readers.seconds(0.1, DAY),
        section=TIMES,
        flags=("--request-head-timeout",),
        metavar="SECONDS",
        help="seconds the head of a request may take from its first byte, then 408; a new connection has as long to "
        "send its first byte",
    )
    request_body_timeout: float = declare(
        30.0,
        read=readers.seconds(0.1, DAY),
        section=TIMES,
        flags=("--request-body-timeout",),
        metavar="SECONDS",
        help="how long a request body may stand still; then 408",
    )
    response_timeout: float = declare(
        30.0,
        read=readers.seconds(0.1, DAY),
        section=TIMES,
        flags=("--response-timeout",),
        metavar="SECONDS",
        help="how long a client may take none of its response; then the connection is closed",
    )
    limit_request_line: int = declare(
        8190,
        read=readers.integer(64, MIB, why=NEVER_UNLIMITED),
        section=LIMITS,
        flags=("--limit-request-line",),
        metavar="BYTES",
        help="the longest request line; past it 414",
        reason="Apache httpd's number; RFC 9112 asks for 8000 at least.",
    )
    limit_request_fields: int = declare(
        100,
        read=readers.integer(1, 32768),
        section=LIMITS,
        flags=("--limit-request-fields",),
        metavar="N",
        help="the most header fields of a request; past it 431",
        reason="Apache httpd's number; no browser comes near.",
    )
    limit_request_field_size: int = declare(
        8190,
        read=readers.integer(64, MIB, why=NEVER_UNLIMITED),
        section=LIMITS,
        flags=("--limit-request-field-size", "--limit-request-field_size"),
        metavar="BYTES",
        help="the longest header field of a request; past it 431",
        reason="Apache httpd's number.",
    )
    limit_request_head: int = declare(
        64 * KIB,
        read=readers.size(1 * KIB, 16 * MIB),
        section=LIMITS,
        flags=("--limit-request-head",),
        metavar="SIZE",
        help="the largest head of a request, line and fields together; past it 431",
        reason="what a connection may hold in memory before it has asked for anything.",
    )
    limit_request_body: int = declare(
        1 * GIB,
        read=readers.size(1, 1024 * GIB, zero="no limit"),
        section=LIMITS,
        flags=("--limit-request-body",),
        metavar="SIZE",
        help="the largest request body; past it 413 (0: no limit)",
    )
    body_memory: int = declare(
        512 * KIB,
        read=readers.size(0, 1 * GIB),
        section=LIMITS,
        flags=("--body-memory",),
        metavar="SIZE",
        help="the largest request body that is kept in memory; a larger one goes to a temporary file",
    )
    limit_connections: int = declare(
        16384,
        read=readers.integer(1, 1_000_000),
        section=LIMITS,
        flags=("--limit-connections",),
        metavar="N",
        help="the most connections that a worker holds at once; past it 503",
    )
    limit_waiting: int = declare(
        1024,
        read=readers.integer(1, 1_000_000),
        section=LIMITS,
        flags=("--limit-waiting",),
        metavar="N",
        help="the most whole requests that wait for a thread of a worker; past it 503 with Retry-After",
        reason="a refusal at once, instead of a queue that nobody waits for.",
    )
    control_socket: str = declare(
        "auto",
        read=readers.path(),
        section=SEEING,
        flags=("--control-socket",),
        metavar="PATH",
        help="where the server takes commands, a Unix socket of mode 0600 (auto: a name without a file; empty: none)",
        reason="a name of the abstract namespace needs no writable directory, and only the server's own user and root "
        "are listened to, who could send it signals as well.",
    )
    admin_bind: str = declare(
        "",
        read=readers.optional_address,
        section=SEEING,
        flags=("--admin-bind",),
        metavar="ADDRESS",
        help="where /livez, /readyz, /metrics and a status page are served (empty: nowhere)",
        reason="it tells about the server to whoever can connect: keep it from the public.",
    )
    statsd_host: str = declare(
        "",
        read=readers.statsd_target,
        section=SEEING,
        flags=("--statsd-host",),
        metavar="ADDRESS",
        help="the StatsD server that is told what gunicorn would tell it: HOST:PORT (8125) or unix:PATH (empty: none)",
    )
    statsd_prefix: str = declare(
        "",
        read=readers.statsd_text("a prefix"),
        section=SEEING,
        flags=("--statsd-prefix",),
        metavar="PREFIX",
        help="what stands in front of the names there, with a dot behind it",
    )
    dogstatsd_tags: str = declare(
        "",
        read=readers.statsd_text("tags", also=":,"),
        section=SEEING,
        flags=("--dogstatsd-tags",),
        metavar="TAG[,TAG]",
        help="tags for each metric, in DogStatsD's way, as env:live,team:shop",
    )
    access_log: str = declare(
        "",
        read=readers.path(),
        section=LOGS,
        flags=("--access-logfile",),
        metavar="FILE",
        python_name="accesslog",
        help="write a line for each request to this file (-: standard output)",
    )
    access_log_format: str = declare(
        COMBINED_FORMAT,
        read=readers.log_format,
        section=LOGS,
        flags=("--access-logformat",),
        metavar="FORMAT",
        help="what such a line holds, in gunicorn's letters; or json, for a line of JSON",
        reason="the combined log format, which every reader of logs knows.",
    )
    request_id: str = declare(
        "off",
        read=readers.choice(("off", "environ", "answer")),
        section=LOGS,
        flags=("--request-id",),
        metavar="MODE",
        help="name each request by a trusted proxy's X-Request-ID, or else by a new name: off, environ (there and in "
        "the logs) or answer (there too)",
        reason="a proxy in front that names requests is enough, and then costs nothing here.",
    )
    error_log: str = declare(
        "-",
        read=readers.path(),
        section=LOGS,
        flags=("--log-file", "--error-logfile"),
        metavar="FILE",
        python_name="errorlog",
        help="write what happens to this file (-: standard error)",
    )
    error_log_format: str = declare(
        "plain",
        read=readers.choice(LOG_FORMATS),
        section=LOGS,
        flags=("--error-log-format",),
        metavar="FORMAT",
        help="how that is written: plain, gunicorn's lines; or json, each message a line of JSON, tracebacks too",
    )
    log_level: str = declare(
        "info",
        read=readers.choice(LOG_LEVELS),
        section=LOGS,
        flags=("--log-level",),
        metavar="LEVEL",
        python_name="loglevel",
        help="the least that is worth writing there: " + ", ".join(LOG_LEVELS),
    )
    server_header: str = declare(
        "ropewalk",
        read=readers.field_value,
        section=PROXIES,
        flags=("--server-header",),
        metavar="TEXT",
        help="the Server field of responses (empty: none is sent)",
        reason="the name without a version, which is nobody's business.",
    )
    forwarded_allow_ips: tuple[str, ...] = declare(
        ("127.0.0.1", "::1"),
        read=readers.several(readers.proxy_address, allowed="must be addresses, divided by commas, or *"),
        section=PROXIES,
        flags=("--forwarded-allow-ips",),
        metavar="ADDRESS[,ADDRESS]",
        other_variables=("FORWARDED_ALLOW_IPS",),
        help="the proxies whose X-Forwarded fields are believed: addresses, networks, or * for whoever connects",
        reason="anybody can send these fields; only your own proxy's are true.",
    )
    forwarded_fields: tuple[str, ...] = declare(
        ("x-forwarded-for", "x-forwarded-proto"),
        read=readers.forwarded_fields,
        section=PROXIES,
        flags=("--forwarded-fields",),
        metavar="NAME[,NAME]",
        help="which fields those proxies write themselves; the others never reach the application: "
        + ", ".join(readers.FORWARDED_FIELDS),
        reason="a field that the proxy does not write comes from the client.",
    )
    proxy_protocol: str = declare(
        "off",
        read=readers.proxy_protocol,
        section=PROXIES,
        flags=("--proxy-protocol",),
        metavar="MODE",
        help="read the header of the PROXY protocol, which every connection then begins with: "
        + ", ".join(readers.PROXY_PROTOCOLS),
    )
    proxy_allow_from: tuple[str, ...] = declare(
        ("127.0.0.1", "::1"),
        read=readers.several(readers.proxy_address, allowed="must be addresses, divided by commas, or *"),
        section=PROXIES,
        flags=("--proxy-allow-from",),
        metavar="ADDRESS[,ADDRESS]",
        python_name="proxy_allow_ips",
        help="the proxies that may send such a header; with it on, connections of others are closed (*: everybody may)",
        reason="the header decides who a client is.",
    )
    certfile: str = declare(
        "",
        read=readers.path(),
        section=TLS,
        flags=("--certfile",),
        metavar="FILE",
        help="speak TLS, with this certificate chain (PEM)",
    )
    keyfile: str = declare(
        "",
        read=readers.path(),
        section=TLS,
        flags=("--keyfile",),
        metavar="FILE",
        help="its key, where it does not stand in the same file",
    )
    sni_certificate: tuple[str, ...] = declare(
        (),
        read=readers.several(readers.named_certificate, separator="", allowed="must be NAME=CERTFILE[,KEYFILE]"),
        section=TLS,
        flags=("--sni-certificate",),
        metavar="NAME=CERTFILE[,KEYFILE]",
        is_repeatable=True,
        help="another certificate, for peers that ask for this name (or *.DOMAIN)",
    )
    ca_certs: str = declare(
        "",
        read=readers.path(),
        section=TLS,
        flags=("--ca-certs",),
        metavar="FILE",
        help="the authorities whose client certificates are accepted (PEM)",
    )
    cert_reqs: str = declare(
        "none",
        read=readers.choice(("none", "optional", "required"), also={0: "none", 1: "optional", 2: "required"}),
        section=TLS,
        flags=("--cert-reqs",),
        metavar="MODE",
        help="client certificates: none, optional or required (gunicorn's 0, 1 and 2 are understood)",
    )
    tls_min_version: str = declare(
        "1.2",
        read=readers.choice(("1.2", "1.3")),
        section=TLS,
        flags=("--tls-min-version",),
        metavar="VERSION",
        help="the oldest TLS that is spoken: 1.2 or 1.3",
        reason="older ones are broken (RFC 8996).",
    )
    ciphers: str = declare(
        "",
        read=readers.text(),
        section=TLS,
        flags=("--ciphers",),
        metavar="LIST",
        help="the ciphers of TLS 1.2, in OpenSSL's syntax (empty: OpenSSL's own choice)",
    )
    check_config: bool = declare(
        False,
        read=readers.switch,
        section=COMMANDS,
        flags=("--check-config",),
        is_flag_only=True,
        help="check the settings and load the application, then exit",
    )
    print_config: bool = declare(
        False,
        read=readers.switch,
        section=COMMANDS,
        flags=("--print-config",),
        is_flag_only=True,
        help="print every setting's value and where it came from, then exit",
    )


def all_settings() -> tuple[Setting, ...]:
    """Every setting, in the order of the table."""
    return Settings.declared
