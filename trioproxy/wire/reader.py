"""Reading HTTP/1.1 messages off a transport: whole heads, then the body in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trioproxy.reactor.epoll import IN
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


class Reader:
    """The receiving half of a connection: `pending` was received and not used yet.

    At most `size` bytes are taken at a time; `received` counts the bytes that came in.
    """

    __slots__ = (
        "_other",
        "_other_first",
        "_other_flags",
        "pending",
        "received",
        "size",
        "transport",
    )

    def __init__(self, transport: Transport, size: int = RECEIVE_SIZE) -> None:
        self.transport = transport
        self.size = size
        self.pending = b""
        self.received = 0
        self._other: Transport | None = None
        self._other_flags = 0
        self._other_first: type[Exception] = Exception

    def __repr__(self) -> str:
        return f"<Reader {len(self.pending)} pending>"

    async def head(self, limit: int, begun: Callable[[], None] | None = None) -> bytes | None:
        """Return the next head without its final empty line; None at the end of the stream.

        `begun` is called once if a part of the head has come and the rest must be waited for.
        Raises HeadTooLarge past `limit` bytes, empty lines before it included, Truncated at an end
        in the middle, what `watch` was told to raise, OSError.
        """
        data = self.pending or await self.receive()
        while data:
            if data[:2] == EMPTY_LINE:  # RFC 9112 section 2.2: one may come before a request
                limit -= len(EMPTY_LINE)
                if limit <= 0:
                    raise HeadTooLarge
                data = data[2:] or await self.receive()
                continue
            end = data.find(HEAD_END, 0, limit)
            if end > 0:
                self.pending = data[end + 4 :]
                return data[:end]
            if len(data) >= limit:
                raise HeadTooLarge
            if begun is not None:
                begun()
                begun = None
            more = await self.receive()
            if not more:
                raise Truncated
            data += more
        self.pending = b""
        return None

    def take_count(self) -> int:
        """Return how many bytes were received, and begin to count anew."""
        count, self.received = self.received, 0
        return count

    def watch(self, other: Transport, flags: int, first: type[Exception]) -> None:
        """From now on a wait here also looks after the other side of the exchange.

        Where that reports one of `flags` before anything comes in here, `first` is raised.
        """
        self._other, self._other_flags, self._other_first = other, flags, first

    def unwatch(self) -> None:
        """Wait for this side alone."""
        self._other = None

    async def receive(self) -> bytes:
        """Return bytes from the transport itself, empty at the end; `pending` is the caller's."""
        transport = self.transport
        if transport.patience <= 0:
            await transport.give_way()
        while True:
            if transport.ready & IN:
                data = transport.receive_nowait(self.size)
                if data is not None:
                    break
            if self._other is None:
                await transport.park(IN)
            else:
                await self._look_out(self._other)
        self.received += len(data)
        return data

    async def _look_out(self, other: Transport) -> None:
        transport, flags = self.transport, self._other_flags
        while not transport.ready & IN:
            await transport.park_with(IN, other, flags)
            if other.ready & flags and not transport.ready & IN:
                raise self._other_first
