"""The listen sockets, which main owns for its whole life: bound early, listening last."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from trioproxy.config.address import Address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

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
            for index, sock in enumerate(_group(want, inherited)):
                stack.callback(sock.close)
                bound.append(Bound(want.listener, want.address, index, want.backlog, sock))
            if want.address.family == socket.AF_UNIX:
                stack.callback(_unlink, want.address, _inode(want.address))
        yield Sockets(bound)


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


def _group(want: Wanted, inherited: Sequence[socket.socket]) -> list[socket.socket]:
    matching = [
        sock for sock in inherited if sock.type == want.kind and local_address(sock) == want.address
    ]
    if matching:
        return matching
    with ExitStack() as undo:
        try:
            group = _bind_group(want, undo)
        except OSError as error:
            raise BindFailed.of(want.listener, want.address, error) from error
        undo.pop_all()
        return group


def _bind_group(want: Wanted, undo: ExitStack) -> list[socket.socket]:
    if want.address.family == socket.AF_UNIX:
        sock = undo.enter_context(_new_socket(socket.AF_UNIX, want.kind))
        _bind_unix(sock, want)
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


def _bind_unix(sock: socket.socket, want: Wanted) -> None:
    if want.address.path.startswith("@"):
        sock.bind(want.address.sockaddr)
        return
    path = Path(want.address.path)
    with _locked(path.parent):
        _clear_stale(path, want.kind)
        mask = os.umask(0o177)
        try:
            sock.bind(str(path))
        finally:
            os.umask(mask)
        path.chmod(int(want.mode, 8))


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep others who follow the same rule from binding in `directory` meanwhile."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _clear_stale(path: Path, kind: socket.SocketKind) -> None:
    """Unlink a socket that nobody listens on; anything else stays, for bind to refuse."""
    if not path.exists() or not stat.S_ISSOCK(path.lstat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        error = probe.connect_ex(str(path))
    if error == errno.ECONNREFUSED:
        path.unlink()


def _inode(address: Address) -> int | None:
    return None if address.path.startswith("@") else Path(address.path).stat().st_ino


def _unlink(address: Address, inode: int | None) -> None:
    """Remove a path, unless somebody else has put theirs there."""
    path = Path(address.path)
    if inode is not None and path.exists() and path.stat().st_ino == inode:
        path.unlink()
