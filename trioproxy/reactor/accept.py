"""Batch accept (provisional)."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from trioproxy.reactor.epoll import IN
from trioproxy.reactor.transport import Transport

if TYPE_CHECKING:
    from trioproxy.reactor.epoll import Reactor


class Acceptor:
    """Accepts from one listen socket."""

    def __init__(self, reactor: Reactor, sock: socket.socket) -> None:
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = Transport(reactor, sock, exclusive=True)

    async def batch(self, limit: int) -> list[tuple[socket.socket, tuple[str, int]]]:
        """Take what is there."""
        taken: list[tuple[socket.socket, tuple[str, int]]] = []
        while not taken:
            await self.transport.park(IN)
            try:
                while len(taken) < limit:
                    taken.append(self.transport.sock.accept())
            except BlockingIOError:
                self.transport.ready &= ~IN
        return taken
