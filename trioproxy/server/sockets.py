"""The listen sockets, which main owns for its whole life: bound early, listening last."""

from __future__ import annotations

import enum
import logging
import socket
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import attrs

from trioproxy.server.inherited import local_address
from trioproxy.server.paths import SocketFile, bind_path, path_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trioproxy.config.address import Address
    from trioproxy.server.inherited import Inherited

log = logging.getLogger("trioproxy.main")
PRIVILEGED = 1024


class BindFailed(Exception):
    """A listener cannot have its address; the text names both and the reason."""

    @classmethod
    def of(cls, listener: str, address: Address, error: OSError) -> BindFailed:
        """Say what the system said."""
        reason = error.strerror or str(error)
        if isinstance(error, PermissionError) and 0 < address.port < PRIVILEGED:
            reason += f"; a port below {PRIVILEGED} takes root or CAP_NET_BIND_SERVICE"
        return cls(f"{listener}: cannot bind {address}: {reason}")


@attrs.frozen
class Wanted:
    """What a listener asks for; `count` is how many sockets share its address, where they can."""

    listener: str
    address: Address
    backlog: int
    mode: str = "660"
    count: int = 1
    kind: socket.SocketKind = socket.SOCK_STREAM


class Sharer(enum.Enum):
    """A generation that has our sockets, too."""

    PARENT = "parent"
    CHILD = "child"


@attrs.define(eq=False)
class Bound:
    """A listen socket, the `index`-th of its listener; `address` is what was configured.

    `sharers` are other generations that listen on it, too, and `lent` says that it is systemd's:
    then neither it nor its file is ours to end.
    """

    listener: str
    address: Address
    index: int
    backlog: int
    mode: str
    sock: socket.socket
    file: SocketFile | None = None
    lent: bool = False
    sharers: set[Sharer] = attrs.field(factory=set)

    @property
    def ours(self) -> bool:
        """Whether nobody else has it."""
        return not self.lent and not self.sharers

    @property
    def local(self) -> Address:
        """Where it really listens: port 0 has become a port."""
        return local_address(self.sock)

    def adopt(self, origin: Inherited) -> None:
        """Take note that its owner has it, too."""
        self.lent = origin.lent
        if not self.lent:
            self.sharers.add(Sharer.PARENT)

    def listen(self) -> None:
        """Let the kernel queue connections, with our backlog and mode; raises BindFailed."""
        try:
            self.sock.listen(self.backlog)
        except OSError as error:
            raise BindFailed.of(self.listener, self.address, error) from error
        if self.file is not None and not self.lent:
            self.file.set_mode(self.mode)

    def refuse(self) -> None:
        """Have the kernel refuse connections, in every process; what is queued is reset."""
        with suppress(OSError):  # one that never listened refuses already
            self.sock.shutdown(socket.SHUT_RDWR)

    def withdraw(self) -> None:
        """Refuse connections until `restore`.

        A Unix socket that is shut never listens again: one with a file only loses its name, and an
        abstract one goes on queueing.
        """
        if self.file is not None:
            self.file.hide()
        elif self.sock.family != socket.AF_UNIX:
            self.refuse()

    def restore(self) -> None:
        """Undo `withdraw`, in whichever process that was; raises BindFailed."""
        if self.file is not None:
            self.file.show()
        elif not self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            local = self.local
            self._listen_at(local)
            # Shut twice, as by two processes, a socket would shut each connection that it accepts;
            # shut while it listens, it forgets that.
            self.refuse()
            self._listen_at(local)
        self.listen()

    def _listen_at(self, local: Address) -> None:
        with suppress(OSError):  # only what was bound to port 0 has let go of its port
            self.sock.bind(local.sockaddr)
        self.listen()

    def close(self) -> None:
        """Close it, and remove its file if that is ours alone."""
        if self.file is not None and self.ours:
            self.file.remove()
        self.sock.close()


class Sockets:
    """Some listen sockets of one generation."""

    def __init__(self, bound: Iterable[Bound]) -> None:
        self.bound = tuple(bound)

    def listen(self) -> None:
        """Let the kernel queue connections, now that somebody is there to accept them.

        Raises BindFailed where another process listens since we bound.
        """
        for bound in self.bound:
            bound.listen()
            if bound.index == 0:
                log.info("%s listens on %s", bound.listener, bound.local)

    @property
    def ours(self) -> list[Bound]:
        """Those that nobody else has."""
        return [bound for bound in self.bound if bound.ours]

    def refuse(self) -> None:
        """Have the kernel refuse new connections, for all processes that have these sockets.

        What is queued is reset: let somebody accept it before. What others have stays.
        """
        for bound in self.ours:
            bound.refuse()
        if self.ours:
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
    wanted: Iterable[Wanted], inherited: Sequence[Inherited] = (), *, beside: bool = False
) -> Iterator[Sockets]:
    """Bind all that is wanted, or take it from `inherited`; at the end close it and unlink paths.

    `beside`: a parent that is lost may still have the port or path. Raises BindFailed with nothing
    left bound.
    """
    with ExitStack() as stack:
        every: list[Bound] = []
        for want in wanted:
            taken = [each for each in inherited if each.fits(want)]
            crossed = any(each.crosses(want) for each in inherited)
            group = [each.sock for each in taken] or _new_group(want, beside=beside or crossed)
            file = SocketFile.of(want.address)
            for index, sock in enumerate(group):
                bound = Bound(
                    want.listener, want.address, index, want.backlog, want.mode, sock, file
                )
                stack.callback(bound.close)
                every.append(bound)
                if taken:
                    bound.adopt(taken[index])
        yield Sockets(every)


def _new_group(want: Wanted, *, beside: bool) -> list[socket.socket]:
    with ExitStack() as undo:
        try:
            group = _bind_group(want, undo, beside=beside)
        except OSError as error:
            raise BindFailed.of(want.listener, want.address, error) from error
        undo.pop_all()
    return group


def _bind_group(want: Wanted, undo: ExitStack, *, beside: bool) -> list[socket.socket]:
    if want.address.family == socket.AF_UNIX:
        sock = undo.enter_context(_new_socket(socket.AF_UNIX, want.kind))
        path = path_of(want.address)
        if path is None:
            sock.bind(want.address.sockaddr)
        else:
            bind_path(sock, path, int(want.mode, 8), replace=beside)
        return [sock]
    first = undo.enter_context(_new_socket(want.address.family))
    if beside:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
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
