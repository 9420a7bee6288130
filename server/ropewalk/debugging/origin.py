"""Where a request comes from, and whether it may see the inside of the application."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Sequence
from functools import partial
from typing import IO

from ropewalk.http.forwarded import TrustedNetworks, has_forwarded, split_host
from ropewalk.http.head import HTTP_11, RequestHead
from ropewalk.wsgi.environ import ConnectionEnviron, Environ, Fields, MakeEnviron, TrustedPeers

IS_PROXIED = "ropewalk.is_proxied"
"""The key of the environ that says whether the request has a field that proxies add."""

OF_PROXIES = frozenset(
    {
        *("HTTP_VIA", "HTTP_X_REAL_IP", "HTTP_CLIENT_IP", "HTTP_X_CLIENT_IP", "HTTP_TRUE_CLIENT_IP", "HTTP_FORWARDED"),
        *("HTTP_CF_CONNECTING_IP", "HTTP_CDN_LOOP", "HTTP_X_REQUEST_START", "HTTP_X_ORIGINAL_FORWARDED_FOR"),
        *(
            "HTTP_X_CLUSTER_CLIENT_IP",
            "HTTP_FASTLY_CLIENT_IP",
            "HTTP_X_AMZN_TRACE_ID",
            "HTTP_NGROK_SKIP_BROWSER_WARNING",
        ),
    }
)
"""Besides those that begin with X-Forwarded."""


def marking(make: MakeEnviron) -> MakeEnviron:
    """`make`, for environs that have `IS_PROXIED`: the server removes fields of proxies that it does not trust."""
    return partial(_Marked, make=make)


class _Marked(ConnectionEnviron):
    """Passes everything on to another one."""

    __slots__ = ("_inner",)

    def __init__(self, base: Environ, trusted: TrustedPeers | None, make: MakeEnviron) -> None:
        super().__init__(base, trusted)
        self._inner = make(base, trusted)
        self.base = self._inner.base

    def request(self, head: RequestHead, body: IO[bytes] | None) -> Environ:
        environ = self._inner.request(head, body)
        # A browser speaks HTTP/1.1; nginx speaks 1.0 if nothing else is configured, and then adds no fields either.
        environ[IS_PROXIED] = is_proxied(head.fields) or head.version < HTTP_11
        return environ


def is_proxied(fields: Fields) -> bool:
    """Whether a request with these fields came through a proxy that says so."""
    return has_forwarded(fields) or not OF_PROXIES.isdisjoint(fields)


class Guard:
    """Decides who may see the pages of a server for development."""

    def __init__(self, allowed: Sequence[str], hosts: Collection[str], *, is_proxy_allowed: bool) -> None:
        """`allowed` are addresses, networks or `*`; `hosts` names besides localhost, or `*`."""
        self._networks = TrustedNetworks(allowed)
        self._is_everybody_allowed = "*" in allowed
        self._hosts = hosts
        self._is_proxy_allowed = is_proxy_allowed

    def refusal(self, environ: Environ) -> str:
        """Why the request may not see them; "" if it may."""
        peer, client = environ.get("ropewalk.peer", ""), environ.get("REMOTE_ADDR", "")
        for address in (peer, client):
            if not self._is_allowed(address):
                return f"{address or 'a Unix socket'} is not in --debug-allow-ips"
        if not self._is_proxy_allowed and (environ.get(IS_PROXIED, True) or peer != client):
            return "the request came through a proxy, and --debug-proxied is off"
        host = environ.get("HTTP_HOST", "")
        if not self._is_host_allowed(split_host(host)[0].lower(), peer):
            return f"{host!r} is not in --debug-hosts"
        return ""

    def _is_allowed(self, address: str) -> bool:
        if self._is_everybody_allowed:
            return True
        return bool(address) and self._networks.trusts_source(address)

    def _is_host_allowed(self, name: str, peer: str) -> bool:
        """A name that leads to this machine may belong to a page elsewhere (DNS rebinding); an address cannot."""
        if "*" in self._hosts or name in self._hosts or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not _is_loopback(peer)


def _is_loopback(address: str) -> bool:
    return bool(address) and ipaddress.ip_address(address.partition("%")[0]).is_loopback
