"""The check of ``Host`` and ``Origin``: what a stranger's page may make a browser send to the service."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from functools import lru_cache
from http import HTTPStatus

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.middleware.body_limit import refuse
from service.http.problems import failure
from service.settings import Settings

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{0,5}))?")
_OWN = frozenset({"localhost", "127.0.0.1", "[::1]"})
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_READING = ("GET", "HEAD", "OPTIONS")


class TrustedHosts:
    """ASGI middleware that refuses requests for foreign hosts, and changes asked for by foreign pages.

    A request needs one ``Host``: 400 where it is missing (only HTTP/1.0 may leave it out), doubled or none, 421 where
    it names another host. So a page that has its own name point at this machine (DNS rebinding) gets nothing. A request
    that does more than to read answers 403 if its ``Origin`` is neither the host itself nor allowed by CORS.

    Args:
        app: the rest.
        hosts: the names by which the service may be asked, as `trusted_hosts` returns them; None for any.
        origins: origins that may send requests, beside the service's own; ``*`` for any.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None, origins: Collection[str]) -> None:
        self.app, self.hosts = app, hosts
        self.origins = None if "*" in origins else frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it before its body is read."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self.app(scope, receive, send)
        else:
            await refuse(refusal, scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        hosts, origins = [], []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"origin":
                origins.append(value)
        host = _parsed(hosts[0]) if len(hosts) == 1 else None
        if host is None:
            if hosts or scope.get("http_version", "1.0") != "1.0":
                return _no_host(scope["path"], hosts)
        elif self.hosts is not None and host[0] not in self.hosts:
            return _foreign_host(scope["path"], hosts[0])
        if origins and scope["method"] not in _READING and not self._may_write(origins, host):
            return _foreign_origin(scope["path"], origins[0])
        return None

    def _may_write(self, origins: list[bytes], host: tuple[str, str] | None) -> bool:
        if self.origins is None:
            return True
        if len(origins) > 1:
            return False
        origin = origins[0].decode("latin-1")
        return origin in self.origins or _is_own(origin, host)


def trusted_hosts(settings: Settings) -> frozenset[str] | None:
    """Return the names by which a service may be asked; None for any.

    Unless they are set, these are the names of this machine for itself where nobody else reaches the service. A Unix
    socket is not reached by browsers, so there any name will do.
    """
    if settings.allowed_hosts:
        return None if "*" in settings.allowed_hosts else _OWN | set(map(_normal, settings.allowed_hosts))
    if settings.uds is None and is_loopback(settings.host):
        return _OWN | {_normal(f"[{settings.host}]" if ":" in settings.host else settings.host)}
    return None


def is_loopback(host: str) -> bool:
    """Return whether an address, or a name of one, is reached from this machine only."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:  # a host name, and no address
        return _normal(host) == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@lru_cache(maxsize=1024)
def _parsed(host: bytes) -> tuple[str, str] | None:
    """Return the name and the port (or an empty text) in a ``Host``; None if it is none."""
    found = _HOST.fullmatch(host.decode("latin-1"))
    return None if found is None else (_normal(found[1]), found[2] or "")


def _normal(name: str) -> str:
    """Return one form of all those that name the same host."""
    if name.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(name[1:-1])}]"
        except ValueError:
            return name
    return name.lower().removesuffix(".")


def _is_own(origin: str, host: tuple[str, str] | None) -> bool:
    """Return whether an origin is that of the host, whose scheme a proxy may have changed."""
    scheme, _, rest = origin.partition("://")
    default = _DEFAULT_PORTS.get(scheme)
    came = _parsed(rest.encode("latin-1"))
    if host is None or came is None or default is None:
        return False
    return (came[0], came[1] or default) == (host[0], host[1] or default)


def _no_host(path: str, hosts: list[bytes]) -> Response:
    came = {0: "none", 1: _shown(hosts[0]) if hosts else ""}.get(len(hosts), f"{len(hosts)} of them")
    return failure(path, HTTPStatus.BAD_REQUEST, f"one Host is needed, a name or an address; {came} came")


def _foreign_host(path: str, host: bytes) -> Response:
    detail = f"the Host needs to be one of SCS_ALLOWED_HOSTS or this machine's own name; {_shown(host)} came"
    return failure(path, HTTPStatus.MISDIRECTED_REQUEST, detail)


def _foreign_origin(path: str, origin: bytes) -> Response:
    detail = f"a page may send this to its own host or where SCS_CORS_ORIGINS has its origin; {_shown(origin)} came"
    return failure(path, HTTPStatus.FORBIDDEN, detail)


def _shown(value: bytes) -> str:
    return repr(value.decode("latin-1")[:60])
