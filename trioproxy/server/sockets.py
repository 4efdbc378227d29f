"""The listen sockets, which main owns for its whole life: bound early, listening last."""

from __future__ import annotations

import logging
import os
import socket
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from trioproxy.config.address import Address
from trioproxy.server.paths import bind_path, inode_of, unlink_own

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

log = logging.getLogger("trioproxy.main")

FIRST_SYSTEMD_FD = 3


class BindFailed(Exception):
    """A listener cannot have its address; the text names both and the reason."""

    @classmethod
    def of(cls, listener: str, address: Address, error: OSError) -> BindFailed:
        """Say what the system said."""
        return cls(f"{listener}: cannot bind {address}: {error.strerror or error}")


@attrs.frozen
class Wanted:
    """What a listener asks for; `count` is how many sockets share its address, where they can."""

    listener: str
    address: Address
    backlog: int
    mode: str = "660"
    count: int = 1
    kind: socket.SocketKind = socket.SOCK_STREAM


@attrs.frozen(eq=False)
class Bound:
    """A listen socket, the `index`-th of its listener; `address` is what was configured."""

    listener: str
    address: Address
    index: int
    backlog: int
    sock: socket.socket

    @property
    def local(self) -> Address:
        """Where it really listens: port 0 has become a port."""
        return local_address(self.sock)


class Sockets:
    """All listen sockets of one generation."""

    def __init__(self, bound: Iterable[Bound]) -> None:
        self.bound = tuple(bound)

    def listen(self) -> None:
        """Let the kernel queue connections, now that somebody is there to accept them.

        Raises BindFailed where another process listens since we bound.
        """
        for bound in self.bound:
            try:
                bound.sock.listen(bound.backlog)
            except OSError as error:
                raise BindFailed.of(bound.listener, bound.address, error) from error
            if bound.index == 0:
                log.info("%s listens on %s", bound.listener, bound.local)

    def refuse(self) -> None:
        """Have the kernel refuse new connections, for all processes that have these sockets.

        What is queued is reset: let somebody accept it before.
        """
        for bound in self.bound:
            with suppress(OSError):  # one that never listened refuses already
                bound.sock.shutdown(socket.SHUT_RDWR)
        log.info("listeners refuse connections")

    def served_by(self, worker: int, workers: int) -> list[Bound]:
        """Return the sockets that a worker accepts on: each socket has one, each worker some."""
        counts: dict[str, int] = {}
        for bound in self.bound:
            counts[bound.listener] = counts.get(bound.listener, 0) + 1
        return [
            bound
            for bound in self.bound
            if serves(worker, workers, bound.index, counts[bound.listener])
        ]


def serves(worker: int, workers: int, index: int, sockets: int) -> bool:
    """Say whether a worker accepts on the `index`-th of so many sockets of a listener."""
    if sockets >= workers:
        return index % workers == worker
    return worker % sockets == index


@contextmanager
def open_sockets(
    wanted: Iterable[Wanted], inherited: Sequence[socket.socket] = ()
) -> Iterator[Sockets]:
    """Bind all that is wanted, or take it from `inherited`; at the end close it and unlink paths.

    Raises BindFailed with nothing left bound.
    """
    with ExitStack() as stack:
        bound: list[Bound] = []
        for want in wanted:
            group = _inherited_group(want, inherited) or _new_group(want, stack)
            for index, sock in enumerate(group):
                stack.callback(sock.close)
                bound.append(Bound(want.listener, want.address, index, want.backlog, sock))
        yield Sockets(bound)


def is_file(address: Address) -> bool:
    """Say whether listening there leaves a file."""
    return bool(address.path) and not address.path.startswith("@")


def systemd_sockets(environment: Mapping[str, str], pid: int) -> list[socket.socket]:
    """Take over the sockets that systemd passed to the process `pid`, if to that one."""
    if environment.get("LISTEN_PID") != str(pid):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    passed = range(FIRST_SYSTEMD_FD, FIRST_SYSTEMD_FD + count)
    for fd in passed:
        os.set_inheritable(fd, False)
    return [socket.socket(fileno=fd) for fd in passed]


def local_address(sock: socket.socket) -> Address:
    """Return where a socket is bound."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = f"@{name[1:].decode()}" if isinstance(name, bytes) else name
        return Address(socket.AF_UNIX, path=path)
    return Address(sock.family, name[0], name[1])


def _inherited_group(want: Wanted, inherited: Sequence[socket.socket]) -> list[socket.socket]:
    return [
        sock for sock in inherited if sock.type == want.kind and local_address(sock) == want.address
    ]


def _new_group(want: Wanted, stack: ExitStack) -> list[socket.socket]:
    """Bind what is wanted; its file, if it has one, is removed when `stack` ends."""
    with ExitStack() as undo:
        try:
            group = _bind_group(want, undo)
        except OSError as error:
            raise BindFailed.of(want.listener, want.address, error) from error
        undo.pop_all()
    if is_file(want.address):
        path = Path(want.address.path)
        stack.callback(unlink_own, path, inode_of(path))
    return group


def _bind_group(want: Wanted, undo: ExitStack) -> list[socket.socket]:
    if want.address.family == socket.AF_UNIX:
        sock = undo.enter_context(_new_socket(socket.AF_UNIX, want.kind))
        if is_file(want.address):
            bind_path(sock, Path(want.address.path), int(want.mode, 8))
        else:
            sock.bind(want.address.sockaddr)
        return [sock]
    first = undo.enter_context(_new_socket(want.address.family))
    first.bind(want.address.sockaddr)
    # Only now: with SO_REUSEPORT from the start, a port taken by our like would go unnoticed.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    group = [first]
    while len(group) < want.count:
        sock = undo.enter_context(_new_socket(want.address.family))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(first.getsockname())
        group.append(sock)
    return group


def _new_socket(
    family: socket.AddressFamily, kind: socket.SocketKind = socket.SOCK_STREAM
) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.setblocking(False)
    if family == socket.AF_UNIX:
        return sock
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock
