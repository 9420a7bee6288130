"""Makes the parts of a service that only some settings need. Their modules are imported only then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from ropewalk.config.settings import Settings
from ropewalk.errors import ConfigError
from ropewalk.logs.error_log import current_log
from ropewalk.wsgi.environ import ConnectionEnviron, MakeEnviron

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from ropewalk.metrics.statsd import Reporter
    from ropewalk.net.tls import Adapt, TlsContext


def with_static_files(application: WSGIApplication, settings: Settings) -> WSGIApplication:
    """The application, with the static files that the settings mount in front of it. Raises ConfigError."""
    mounts = dict(static_mounts(settings))
    if not mounts:
        return application
    from ropewalk.wsgi.static.app import StaticFiles

    return StaticFiles(application, mounts)


def static_mounts(settings: Settings) -> Iterator[tuple[str, str]]:
    """The path prefixes and directories of static files. Raises ConfigError for one that is not a directory."""
    for mount in settings.static:
        prefix, _, directory = mount.partition("=")
        if not os.path.isdir(directory):
            raise ConfigError("--static", mount, f"{os.path.abspath(directory)} is not a directory")
        yield prefix, directory


def make_environ(settings: Settings) -> MakeEnviron:
    """What makes the environ of a connection."""
    if settings.reload or settings.debug:
        from ropewalk.debugging.origin import marking

        return marking(_make_environ(settings))
    return _make_environ(settings)


def _make_environ(settings: Settings) -> MakeEnviron:
    if not (settings.script_name or settings.forwarder_headers):
        return ConnectionEnviron
    from ropewalk.wsgi.script_name import MountedEnviron

    return partial(
        MountedEnviron,
        script_name=settings.script_name,
        of_proxy=frozenset(settings.forwarder_headers),
        header_map=settings.header_map,
    )


def statsd_reporter(settings: Settings) -> Reporter | None:
    """The reporter to the StatsD server of the settings; None without one."""
    if not settings.statsd_host:
        return None
    from ropewalk.metrics.statsd import Client, Reporter

    return Reporter(Client(settings.statsd_host, settings.statsd_prefix, settings.dogstatsd_tags), current_log().counts)


def tls_context(settings: Settings, adapt: Adapt | None = None) -> TlsContext | None:
    """Load the certificates of the settings; None without any. Raises `ConfigError`.

    `adapt` may change each context (`TlsContext`).
    """
    if not settings.certfile:
        _refuse_without_certificate(settings)
        return None
    from ropewalk.net.tls import Certificate, TlsConfig, TlsContext  # with OpenSSL, which takes 4 MB of memory

    by_name = {}
    for entry in settings.sni_certificate:
        name, _, files = entry.partition("=")
        by_name[name] = Certificate(*files.split(","))
    return TlsContext(
        TlsConfig(
            certificate=Certificate(settings.certfile, settings.keyfile),
            by_name=by_name,
            client_authorities=settings.ca_certs,
            verify_mode=settings.cert_reqs,
            min_version=settings.tls_min_version,
            ciphers=settings.ciphers,
        ),
        adapt,
    )


def _refuse_without_certificate(settings: Settings) -> None:
    """Refuse settings of TLS without --certfile: an operator who makes them does not expect plain HTTP."""
    for flag, value in (
        ("--keyfile", settings.keyfile),
        ("--sni-certificate", ", ".join(settings.sni_certificate)),
        ("--ca-certs", settings.ca_certs),
        ("--cert-reqs", settings.cert_reqs if settings.cert_reqs != "none" else ""),
    ):
        if value:
            raise ConfigError(flag, value, "needs --certfile; without it there is no TLS")
