"""The sockets that the service listens on: of TCP, or one in the file system."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scs.errors import ServerError
from service.settings import Settings

_NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)  # an address of a kind that this machine does not have
_PRIVATE = 0o117  # takes all but reading and writing by owner and group


@contextmanager
def shared_listeners(settings: Settings, processes: int) -> Iterator[list[list[socket.socket]]]:
    """Bind sockets as :func:`listeners` does, for each of several processes its own, which share the port.

    The system hands each connection to one of them (``SO_REUSEPORT``). A Unix socket has one queue for all.

    Raises:
        ServerError: as :func:`listeners`; also where another server would share the port with this one.
    """
    with listeners(settings) as first:  # without sharing, so that a port is refused that another has, who may share it
        if settings.uds is not None:
            yield [first] * processes
            return
        places = [(each.family, each.getsockname()) for each in first]
        for listener in first:
            listener.close()
        groups: list[list[socket.socket]] = []
        try:
            for _ in range(processes):
                groups.append([_bind(family, address, shares=True) for family, address in places])
            yield groups
        except OSError as error:
            raise ServerError(f"the port cannot be shared by {processes} workers: {error.strerror or error}") from None
        finally:
            for listener in (each for group in groups for each in group):
                listener.close()


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Keep a port for processes of this service that will share it, for the length of a context; yield its number.

    Raises:
        ServerError: it is not free.
    """
    (first, *others) = _bind_tcp(host, port)
    family, address = first.family, first.getsockname()
    for listener in (first, *others):
        listener.close()
    with _bind(family, address, shares=True):
        yield address[1]


@contextmanager
def listeners(settings: Settings) -> Iterator[list[socket.socket]]:
    """Bind the sockets of a server for the length of a context; nothing can connect before the server listens.

    Raises:
        ServerError: the port or the path is not free, or the host is none of this machine's.
    """
    bound = _bind_tcp(settings.host, settings.port) if settings.uds is None else [_bind_unix(settings.uds)]
    made = None if settings.uds is None else settings.uds.stat().st_ino
    try:
        yield bound
    finally:
        for listener in bound:
            listener.close()
        if settings.uds is not None and _inode(settings.uds) == made:  # another server may have replaced it
            settings.uds.unlink()


def _bind_tcp(host: str, port: int) -> list[socket.socket]:
    """Bind to every address of a host; to ``::`` for IPv4 as well."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _bind_all(dict.fromkeys((family, address) for family, _, _, _, address in found))
    except OSError as error:
        raise ServerError(
            f"a free port was needed to serve on; {host}:{port} is not: {(error.strerror or str(error)).lower()}"
        ) from None


def _bind_all(addresses: Iterable[tuple[int, Any]]) -> list[socket.socket]:
    bound, missing = [], None
    for family, address in addresses:
        try:
            bound.append(_bind(family, address))
        except OSError as error:
            missing = error
            if error.errno not in _NOT_HERE:
                break
    else:
        if bound or missing is None:
            return bound
    for listener in bound:
        listener.close()
    assert missing is not None
    raise missing


def _bind(family: int, address: Any, shares: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere this would let two servers listen to one port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shares:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            both = address[0] == "::" and socket.has_dualstack_ipv6()
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _bind_unix(path: Path) -> socket.socket:
    """Bind to a path; the socket that a server has left there when it ended is replaced, a live one is not."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(_PRIVATE)  # from the start, so that nobody else gets in between
    try:
        if _is_left_over(path):
            path.unlink()
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise ServerError(
            f"SCS_UDS needs a path for a socket; '{path}' is none: {(error.strerror or str(error)).lower()}"
        ) from None
    finally:
        os.umask(old_mask)
    return listener


def _is_left_over(path: Path) -> bool:
    """Return whether a path is a socket that nobody listens to."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.setblocking(False)
        return trial.connect_ex(str(path)) == errno.ECONNREFUSED


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except OSError:
        return None
