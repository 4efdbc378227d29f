"""Looking at what a peer says first without taking it: it stays there for who comes after."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, TypeVar

from trioproxy.reactor.epoll import IN

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.reactor.transport import Transport

Found = TypeVar("Found")


async def peek(
    transport: Transport, read: Callable[[bytes], Found | None], limit: int
) -> Found | None:
    """Return what `read` makes of the first bytes, at most `limit`, as soon as it can.

    It returns None as long as there are too few. None is returned where the peer says no more; what
    `read` raises comes through, and OSError.
    """
    while True:
        data = peek_nowait(transport, limit)
        if data == b"":
            transport.hangup = True
            return None
        found = read(data) if data is not None else None
        if found is not None:
            transport.ready |= IN
            return found
        if transport.hangup:
            return None
        transport.ready &= ~IN  # each piece that comes is another edge
        await transport.park(IN)


def peek_nowait(transport: Transport, limit: int) -> bytes | None:
    """Return what is there, empty at the end, None where nothing is."""
    try:
        return transport.sock.recv(limit, socket.MSG_PEEK)
    except BlockingIOError:
        return None
