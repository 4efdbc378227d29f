"""Reading HTTP/1.1 messages off a transport: whole heads, then the body in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.reactor.epoll import HANGUP, IN
from trioproxy.reactor.transport import RECEIVE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from trioproxy.reactor.transport import Transport

HEAD_END = b"\r\n\r\n"
EMPTY_LINE = b"\r\n"


class HeadTooLarge(Exception):
    """A head did not end within the limit."""


class Truncated(Exception):
    """The peer closed in the middle of a head."""


class OtherSideFirst(Exception):
    """The watched transport had something to say before this one had."""


class Reader:
    """The receiving half of a connection: `pending` was received and not used yet.

    `received` counts all bytes that came in. While something is awaited here, `watch` looks after
    the other side of the exchange: where that one hangs up first, or reports `watch_for`, the wait
    ends with OtherSideFirst.
    """

    __slots__ = ("pending", "received", "transport", "watch", "watch_for")

    def __init__(self, transport: Transport, pending: bytes = b"") -> None:
        self.transport = transport
        self.pending = pending
        self.received = 0
        self.watch: Transport | None = None
        self.watch_for = HANGUP

    def __repr__(self) -> str:
        return f"<Reader {len(self.pending)} pending>"

    async def head(self, limit: int, begun: Callable[[], None] | None = None) -> bytes | None:
        """Return the next head without its final empty line; None at the end of the stream.

        `begun` is called once if a part of the head has come and the rest must be waited for.
        Raises HeadTooLarge past `limit` bytes, Truncated at an end in the middle, OtherSideFirst,
        OSError.
        """
        data = self.pending
        while True:
            end = data.find(HEAD_END, 0, limit)
            if end > 0:
                self.pending = data[end + 4 :]
                return data[:end]
            if data[:2] == EMPTY_LINE:  # RFC 9112 section 2.2: one may precede a request
                data = data[2:]
                continue
            if len(data) >= limit:
                raise HeadTooLarge
            self.pending = data
            if data and begun is not None:
                begun()
                begun = None
            more = await self.receive()
            if not more:
                if data:
                    raise Truncated
                return None
            data = data + more if data else more

    async def receive(self, size: int = RECEIVE_SIZE) -> bytes:
        """Return bytes from the transport itself, empty at the end; `pending` is the caller's."""
        if self.watch is None:
            data = await self.transport.receive(size)
        else:
            data = await self._receive_watching(self.watch, size)
        self.received += len(data)
        return data

    async def _receive_watching(self, other: Transport, size: int) -> bytes:
        transport = self.transport
        if transport.ready & IN:
            data = transport.receive_nowait(size)
            if data is not None:
                return data
        while not transport.ready & IN:
            await transport.park_with(IN, other, self.watch_for)
            if other.ready & self.watch_for and not transport.ready & IN:
                raise OtherSideFirst
        return await transport.receive(size)
