"""Accepting in batches: one connection a turn would starve the rest of a burst."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import checkpoint

from trioproxy.reactor.epoll import IN
from trioproxy.reactor.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.reactor.epoll import Reactor

    Accepted = tuple[socket.socket, tuple[str, int] | tuple[str, int, int, int] | str | bytes]

BACK_OFF = 0.1
# What the process or the machine has run out of: others must end before we can go on.
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
# What became of one connection in the queue, as accept(2) lists it: the next one may be well.
LOST = {
    errno.ECONNABORTED,
    errno.EPROTO,
    errno.EPERM,
    errno.ENETDOWN,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
    errno.ENETUNREACH,
}
# Another process that has the socket has shut it, and may have it listen again.
SHUT = errno.EINVAL


class Acceptor:
    """A listen socket in the reactor; `exhausted` is told each error that made it back off.

    What it accepts has TCP_NODELAY set: connections inherit it from their listen socket.
    """

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        exhausted: Callable[[OSError], object] | None = None,
    ) -> None:
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = Transport(reactor, sock)
        self._kind = sock.family, sock.type, sock.proto
        self._exhausted = exhausted
        self._backs_off = False

    def __repr__(self) -> str:
        return f"<Acceptor {self.transport!r}>"

    async def wait(self) -> None:
        """Wait until somebody is in the queue, at least for a turn; backs off first if it must."""
        if self._backs_off:
            self._backs_off = False
            await trio.sleep(BACK_OFF)
        elif self.transport.ready & IN:
            await checkpoint()
        else:
            await self.transport.park(IN)

    def take(self, limit: int) -> list[Accepted]:
        """Return connections from the queue with their addresses, at most `limit`, perhaps none."""
        try:
            return self._accept(limit)
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise
            self._backs_off = True
            if self._exhausted is not None:
                self._exhausted(error)
            return []

    def _accept(self, limit: int) -> list[Accepted]:
        accepted: list[Accepted] = []
        family, kind, protocol = self._kind
        for _ in range(limit):
            try:
                # As `socket.accept` does, but for asking each time what kind of socket it is: 4 us.
                fd, peer = self.transport.sock._accept()  # type: ignore[attr-defined]
                accepted.append((socket.socket(family, kind, protocol, fd), peer))
            except BlockingIOError:
                self.transport.ready &= ~IN
                break
            except OSError as error:
                if error.errno in LOST:
                    continue
                if error.errno == SHUT:
                    self.transport.ready &= ~IN
                    break
                if accepted:
                    break
                raise
        return accepted

    def detach(self) -> socket.socket:
        """Leave the reactor; the caller owns the socket from here on."""
        return self.transport.detach()

    def close(self) -> None:
        """Close the listen socket; what still waits in its queue is reset."""
        self.transport.close()
